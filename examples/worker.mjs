// A rowqueue worker in Node: claim, work, heartbeat, progress, cancellation, complete, fail, release.
//
//   npm install
//   ROWQUEUE_DSN=postgresql://… node worker.mjs [--burst] [QUEUE]        --burst: end when nothing is due
//
// ROWQUEUE_LEASE is how many seconds the database waits for a sign of life; 60 if not set.
// All that a worker has to know stands in this file; what is right and when is decided in the database.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';

// A handler by job type. What it returns, JSON, is the result; what it throws is the error.
const handlers = {
  async digest({ payload, progress, signal }) {
    const { size } = await stat(payload.path);
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const block of createReadStream(payload.path, { signal })) {
      hash.update(block);
      bytes += block.length;
      progress(bytes, Math.max(bytes, size), `reading ${payload.path}`);
    }
    return { sha256: hash.digest('hex'), bytes };
  },
};

const LEASE_SECONDS = Number(process.env.ROWQUEUE_LEASE ?? 60);
const LEASE = `${LEASE_SECONDS} seconds`;
const HEARTBEAT_MS = (LEASE_SECONDS * 1000) / 3;
const PROGRESS_MS = 500;
const POLL_MS = 2_000;

const { values: options, positionals } = parseArgs({
  options: { burst: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const queue = positionals[0] ?? 'default';
const name = `${hostname()}:${process.pid}`;

// Without ROWQUEUE_DSN, PGHOST, PGUSER and the like say where the database is.
const dsn = process.env.ROWQUEUE_DSN;
const pool = new pg.Pool({ ...(dsn && { connectionString: dsn }), max: 3, application_name: name });
pool.on('error', (error) => console.error(`connection lost: ${error.message}`));

const shutdown = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => shutdown.abort(new Error(`worker stopped by ${signal}`)));
}

/** Calls a function that returns one value. */
async function call(name, ...args) {
  const places = args.map((_, i) => `$${i + 1}`);
  const { rows } = await pool.query(`select rowqueue.${name}(${places}) as value`, args);
  return rows[0].value;
}

/** Runs one claimed job and reports how it ended. */
async function run(job) {
  const { id, token, job_type: type } = job;
  const log = (what) => console.log(`${id} ${type} ${what}`);
  const handler = handlers[type];
  if (!handler) {
    await call('release', id, token, '1 minute');
    return log('released: there is no handler for it here');
  }

  const stop = new AbortController();
  const timeout = AbortSignal.timeout(job.timeout_ms);
  const signal = AbortSignal.any([stop.signal, timeout, shutdown.signal]);
  // Every report tells whether to go on; for a job that is another's by now, an error does.
  const goOn = (answer) =>
    answer.then(
      (yes) => yes || stop.abort(new Error('cancelled')),
      (error) => (isLost(error) ? stop.abort(error) : console.error(`${id}: ${error.message}`)),
    );
  const heartbeat = setInterval(() => goOn(call('extend_lease', id, token, LEASE)), HEARTBEAT_MS);

  // However often a handler reports, only its newest word goes out, and not more than twice a second.
  let newest;
  let sentAt = 0;
  let sending = Promise.resolve();
  const send = () => {
    if (!newest) return;
    const report = newest;
    newest = undefined;
    sentAt = Date.now();
    sending = sending.then(() => goOn(call('report_progress', id, token, ...report)));
  };
  const progress = (current, total, message) => {
    newest = [current, total, message];
    if (Date.now() - sentAt >= PROGRESS_MS) send();
  };

  // A handler may be deaf to its signal; the worker isn't.
  const stopped = new Promise((_, reject) => {
    const giveUp = () => reject(signal.reason);
    signal.aborted ? giveUp() : signal.addEventListener('abort', giveUp);
  });

  try {
    const result = await Promise.race([handler({ ...job, progress, signal }), stopped]);
    send();
    await sending;
    await call('complete', id, token, JSON.stringify(result ?? null));
    log('completed');
  } catch (error) {
    await sending;
    if (isLost(error) || isLost(signal.reason)) {
      log('lost its lease: its result is dropped');
    } else if (shutdown.signal.aborted) {
      await call('release', id, token);
      log('released');
    } else {
      const reason = timeout.aborted ? `timeout: ran longer than ${job.timeout_ms} ms` : describe(error);
      log(await call('fail_with_backoff', id, token, reason));
    }
  } finally {
    clearInterval(heartbeat);
  }
}

/** Tells whether an error says that this worker no longer holds the job. */
function isLost(error) {
  return ['RQ001', 'RQ101', 'RQ102'].includes(error?.code);
}

/** Returns an error as text that Postgres can store. */
function describe(error) {
  return String(error?.message ?? error).replaceAll('\0', '').toWellFormed();
}

/** Returns the next job, or nothing. Each look also does the queue's housekeeping. */
async function claim() {
  await call('tick');
  const { rows } = await pool.query(
    'select id, token, job_type, workspace_id, payload, attempts, timeout_ms from rowqueue.claim_next($1, $2, 1, $3)',
    [name, [queue], LEASE],
  );
  return rows[0];
}

console.log(`worker ${name} on queue ${queue}`);
while (!shutdown.signal.aborted) {
  try {
    const job = await claim();
    if (job) {
      await run(job);
      continue;
    }
    if (options.burst) break;
  } catch (error) {
    console.error(error.message);
    if (options.burst) {
      process.exitCode = 3;
      break;
    }
  }
  await sleep(POLL_MS, undefined, { signal: shutdown.signal }).catch(() => {});
}
await pool.end();
process.exit(); // whatever a handler deaf to its signal may still be doing
