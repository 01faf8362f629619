/** pg-boss's driver: several loops that fetch a batch, run its handlers and complete it. */

import { setTimeout as sleep } from "node:timers/promises";
import PgBoss from "pg-boss";
import { handle, main, url } from "./protocol.mjs";

const QUEUE = "bench";

async function setup(dsn) {
  const boss = await started(dsn, { supervise: false });
  await boss.createQueue(QUEUE);
  await boss.stop();
}

/** Opens a sender: `send` for a single job, `insert` for more. */
async function sender(dsn) {
  const boss = await started(dsn, { supervise: false, migrate: false });
  return (payloads) =>
    payloads.length === 1
      ? boss.send(QUEUE, payloads[0])
      : boss.insert(payloads.map((data) => ({ name: QUEUE, data })));
}

async function work(task, record) {
  const { poll } = task.options;
  const loops = Math.min(task.options.loops, task.concurrency);
  const each = Math.floor(task.concurrency / loops);
  const batch = task.milliseconds > 0 ? each : task.options.batch; // no loop hoards what takes time
  const boss = await started(task.dsn, { migrate: false, max: loops + 1 });
  const stopping = new AbortController();
  task.stopped.then(() => stopping.abort());
  await task.begin();
  await Promise.all(Array.from({ length: loops }, loop));
  await boss.stop();

  async function loop() {
    while (!stopping.signal.aborted) {
      const jobs = await boss.fetch(QUEUE, { batchSize: batch });
      if (jobs.length === 0) {
        await sleep(poll, undefined, { signal: stopping.signal }).catch(() => {});
        continue;
      }
      const waiting = jobs.values();
      await Promise.all(Array.from({ length: each }, () => lane(waiting)));
      await boss.complete(
        QUEUE,
        jobs.map((job) => job.id),
      );
    }
  }

  async function lane(waiting) {
    for (const job of waiting) await handle(task, record, job.data);
  }
}

async function started(dsn, options) {
  const boss = new PgBoss({ connectionString: url(dsn), schedule: false, ...options });
  boss.on("error", console.error);
  return boss.start();
}

await main({ setup, sender, work });
