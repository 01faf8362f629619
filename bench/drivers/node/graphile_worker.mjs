/** graphile-worker's driver. Its options are settings of graphile-worker's own `preset.worker`. */

import { handle, main, url } from "./protocol.mjs";

process.env.NO_LOG_SUCCESS = "1"; // read while it is loaded, hence the import here
const { Logger, makeWorkerUtils, run, runMigrations } = await import("graphile-worker");

const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

async function setup(dsn) {
  await runMigrations({ connectionString: url(dsn), logger });
}

/** Opens a sender: `addJob` for a single job, `addJobs` for more. */
async function sender(dsn) {
  const utils = await makeWorkerUtils({ connectionString: url(dsn), logger });
  return (payloads) =>
    payloads.length === 1
      ? utils.addJob("noop", payloads[0])
      : utils.addJobs(payloads.map((payload) => ({ identifier: "noop", payload })));
}

async function work(task, record) {
  await task.begin();
  const runner = await run({
    preset: {
      worker: {
        connectionString: url(task.dsn),
        concurrentJobs: task.concurrency,
        maxPoolSize: task.concurrency + 1,
        ...task.options,
      },
    },
    taskList: { noop: (payload) => handle(task, record, payload) },
    noHandleSignals: true,
    logger,
  });
  await task.stopped;
  await runner.stop();
}

await main({ setup, sender, work });
