select rowqueue.enqueue('noop', :payload);
