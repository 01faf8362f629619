/**
 * A driver's side of the protocol, for drivers in JavaScript: `protocol.py` in another language.
 *
 * A driver says what it can do with three functions and hands them to `main`:
 *
 *     setup(dsn)            puts the schema into an empty database
 *     sender(dsn)           returns `send(payloads)`; one call is one transaction
 *     work(task, record)    handles jobs until `task.stopped` resolves, and returns once all
 *                           completions are written; each handler calls `record(payload)` first
 *
 * A task has dsn, concurrency, milliseconds (how long a handler sleeps; 0: it does nothing), options
 * (the system's settings), begin (to be awaited once connected) and stopped (resolved by SIGTERM).
 */

import { writeFileSync } from "node:fs";
import { endianness } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const REPORT_EVERY = 50;
const PRODUCE_AT_ONCE = 1000;

let lines;

/** Does what the command line asks for, and ends the process. */
export async function main(driver) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      dsn: { type: "string" },
      jobs: { type: "string" },
      first: { type: "string", default: "0" },
      batch: { type: "string", default: "1000" },
      pad: { type: "string", default: "50" },
      rate: { type: "string" },
      seconds: { type: "string" },
      concurrency: { type: "string" },
      out: { type: "string" },
      "work-ms": { type: "string", default: "0" },
      options: { type: "string", default: "{}" },
    },
  });
  const verbs = {
    setup: () => driver.setup(values.dsn),
    enqueue: () => enqueue(driver.sender, values),
    produce: () => produce(driver.sender, values),
    work: () => work(driver.work, values),
  };
  await verbs[positionals[0]]();
  process.exit(0);
}

/** Notes a job and sleeps as long as the task says: what every handler does. */
export async function handle(task, record, payload) {
  record(payload);
  if (task.milliseconds > 0) await sleep(task.milliseconds);
}

/** Returns libpq's `name=value …` as a URL, which is what drivers in JavaScript understand. */
export function url(dsn) {
  const found = dsn.matchAll(/(\w+)\s*=\s*(?:'((?:\\.|[^'\\])*)'|(\S*))/g);
  const parts = Object.fromEntries(
    Array.from(found, ([, name, quoted, bare]) => [name, quoted?.replace(/\\(.)/g, "$1") ?? bare]),
  );
  const made = new URL(`postgres://localhost/${encodeURIComponent(parts.dbname ?? parts.user)}`);
  made.username = parts.user ?? "";
  made.password = parts.password ?? "";
  made.port = parts.port ?? "";
  if (parts.host?.startsWith("/")) made.searchParams.set("host", parts.host);
  else made.hostname = parts.host ?? "localhost";
  return made.href;
}

/** Enqueues so many jobs at each `go`, until the harness closes stdin. */
async function enqueue(sender, values) {
  const [jobs, batch] = [values.jobs, values.batch].map(Number);
  let begin = Number(values.first);
  const pad = "x".repeat(Number(values.pad));
  const send = await sender(values.dsn);
  await ready();
  do {
    const start = now();
    for (let sent = 0; sent < jobs; sent += batch) {
      const at = now();
      const length = Math.min(batch, jobs - sent);
      await send(Array.from({ length }, (_, i) => ({ n: begin + sent + i, at, pad })));
    }
    say({ done: jobs, seconds: now() - start, start });
    begin += jobs;
  } while (await go());
}

/** An open loop: what is due is sent, together if it is more than one, however long that takes. */
async function produce(sender, values) {
  const [rate, first] = [values.rate, values.first].map(Number);
  const pad = "x".repeat(Number(values.pad));
  const total = Math.floor(rate * Number(values.seconds));
  const send = await sender(values.dsn);
  await ready();
  const start = now();
  for (let sent = 0; sent < total; ) {
    const elapsed = now() - start;
    const due = Math.min(Math.floor(elapsed * rate) + 1, total, sent + PRODUCE_AT_ONCE);
    if (due <= sent) {
      await sleep(Math.ceil((sent / rate - elapsed) * 1000));
      continue;
    }
    await send(
      Array.from({ length: due - sent }, (_, i) => ({
        n: first + sent + i,
        at: start + (sent + i) / rate,
        pad,
      })),
    );
    sent = due;
  }
  say({ done: total, seconds: now() - start, start });
}

async function work(run, values) {
  const stopped = new Promise((resolve) => process.once("SIGTERM", resolve));
  const numbers = [];
  const starts = [];
  const record = (payload) => {
    starts.push(now());
    numbers.push(payload.n);
  };
  let said = 0;
  const report = () => {
    if (numbers.length !== said) say({ handled: (said = numbers.length) });
  };
  const reporter = setInterval(report, REPORT_EVERY);
  await run(
    {
      dsn: values.dsn,
      concurrency: Number(values.concurrency),
      milliseconds: Number(values["work-ms"]),
      options: JSON.parse(values.options),
      begin: async () => {
        await ready();
        go().then(() => process.exit(1)); // the harness was killed before it could end us
      },
      stopped,
    },
    record,
  );
  clearInterval(reporter);
  report();
  writeFileSync(values.out, packed(numbers, starts));
}

/** Returns the count, all numbers and all starts, each of them 8 bytes, the smallest first. */
function packed(numbers, starts) {
  const bytes = Buffer.concat([
    Buffer.from(BigInt64Array.from([numbers.length, ...numbers].map(BigInt)).buffer),
    Buffer.from(Float64Array.from(starts).buffer),
  ]);
  return endianness() === "BE" ? bytes.swap64() : bytes;
}

/** Tells the harness something: a line of JSON on stdout. */
function say(values) {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}

/** Says so and waits for `go`. */
async function ready() {
  say({ ready: true });
  if (!(await go())) throw new Error("the harness went away");
}

/** Waits for the harness's `go`; false when it has closed stdin. */
async function go() {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  return (await lines.next()).value === "go";
}

/** The unix time in seconds, finer than the millisecond of Date.now(). */
function now() {
  return (performance.timeOrigin + performance.now()) / 1000;
}
