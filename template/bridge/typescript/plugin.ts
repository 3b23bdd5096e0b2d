// <[ plugin.title ]>: <[ plugin.description ]>.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, lstatSync, realpathSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { inspect } from "node:util";

// ---- Your part: replace the example. ----

/** The types of Flyte's tasks that this plugin runs. */
export const taskTypes: readonly TaskType[] = [
  // plugin.toml names them, too; outrigger sync changes only what is generated: keep both in step.
  <%- for t in plugin.task_types %>
  { name: "<[ t.name ]>", version: <[ t.version ]> },
  <%- endfor %>
];
<%- if plugin.mode == "async" %>

/** What finds a job again. It is sealed: nobody else can read or change it. */
type Job = { id: string };

/** The jobs of the example, by key. They stand for the vendor: call its API instead. */
export const runs = new Map<string, { text: string; ends: number }>();

/** Starts a job. Flyte repeats a create whose answer was lost: look for the job that has `task.key` first. */
async function create(task: Task, _signal: AbortSignal): Promise<Job> {
  const { text } = task.inputs;
  if (typeof text !== "string") throw refused("inputs.text: expected a string");
  if (!runs.has(task.key)) runs.set(task.key, { text, ends: Date.now() + 2000 });
  return { id: task.key };
}

/** Reports on a job. */
async function poll(job: Job, _signal: AbortSignal): Promise<Status> {
  const run = runs.get(job.id);
  if (run === undefined) throw notFound("the job is gone");
  // The links of a phase have to be in its first status.
  const log_links = [{ name: "Job", uri: `https://example.com/jobs/${job.id}` }];
  if (Date.now() < run.ends) return { phase: "RUNNING", message: "shouting", log_links };
  return { phase: "SUCCEEDED", outputs: { o0: run.text.toUpperCase() }, log_links };
}

/** Stops a job. If it has ended or is gone, there is nothing to do. */
async function remove(job: Job, _signal: AbortSignal): Promise<void> {
  runs.delete(job.id);
}
<%- else %>

/** Runs a task before `signal` aborts. Flyte may repeat it, with the same `task.key`. */
async function execute(task: Task, _signal: AbortSignal): Promise<Status> {
  const { text } = task.inputs;
  if (typeof text !== "string") throw refused("inputs.text: expected a string");
  return { phase: "SUCCEEDED", outputs: { o0: text.toUpperCase() } };
}
<%- endif %>

// ---- What your part gets and returns. ----

/** A value of JSON. Integers that a number cannot hold are bigints. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };
export type Fields = { [name: string]: Json };

/** A type of tasks. */
export type TaskType = { name: string; version: number };

/** What Flyte asks for. `template` and `execution` are its TaskTemplate and TaskExecutionMetadata as proto-JSON. */
export type Task = {
  type: TaskType;
  /** The same whenever Flyte repeats the task: give it to the vendor as the idempotency key. */
  key: string;
  inputs: Fields;
  /** What the task's author sets: the fields of tasks/package/config.py. */
  custom: Fields;
  /** The statement of an SQL task. */
  sql?: string;
  template: Fields;
  execution: Fields;
  outputPrefix: string;
};

/** How a <% if plugin.mode == "async" %>job is<% else %>task has ended<% endif %>. */
export type Status = {
  phase: Phase;
  message?: string;
  outputs?: Fields;
  log_links?: { name: string; uri: string }[];
  custom_info?: Fields;
  error_code?: string;
};

/** The phases of Flyte. After RETRYABLE_FAILED it runs the task again. */
export const PHASES = [
  <%- if plugin.mode == "async" %>
  "QUEUED",
  "WAITING_FOR_RESOURCES",
  "INITIALIZING",
  "RUNNING",
  <%- endif %>
  "SUCCEEDED",
  "FAILED",
  "RETRYABLE_FAILED",
] as const;
export type Phase = (typeof PHASES)[number];

/** An answer that your part means to give. Any other error is a fault in it: HTTP status 500. */
export class Answer extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** Fails the task for good. */
export const refused = (message: string) => new Answer(422, "REFUSED", message);
<%- if plugin.mode == "async" %>

/** Says that a job is gone. */
export const notFound = (message: string) => new Answer(404, "NOT_FOUND", message);
<%- endif %>

/** Lets Flyte try again, after so many seconds. */
export const unavailable = (message: string, seconds: number) =>
  new Answer(503, "UNAVAILABLE", message, { "retry-after": String(Math.ceil(seconds)) });

// ---- The server. It needs no changes. ----

const ROOT = "/plugins/v1";
const MAX_PATH = 100;
const MAX_BODY = 8 * 1024 * 1024;
const DEFAULT_TIME = 30_000; // for calls that do not say how long their caller waits
const MAX_TIME = 2 ** 31 - 1; // what a timer can do
const SLOW_TIME = 10_000; // for headers and bodies
const IDLE_TIME = 120_000; // longer than the bridge keeps connections, or a call could meet the closing
const DRAIN_TIME = 25_000;

/** Answers a request, whose body has been read. */
export type Operation = (request: IncomingMessage, body: string, signal: AbortSignal) => Promise<unknown>;

/** The operations by path and method. */
export type Routes = Record<string, Record<string, Operation>>;

export function routes(): Routes {
  const plugins = taskTypes.map(({ name, version }) => ({ task_type: name, version, sync: <% if plugin.mode == "async" %>false<% else %>true<% endif %> }));
  const all: Routes = { [ROOT]: { GET: async () => ({ plugins }) } };
  for (const type of taskTypes) {
    const path = `${ROOT}/${type.name}/${type.version}`;
    <%- if plugin.mode == "async" %>
    const put: Operation = async (request, body, signal) => {
      return { job_id: checkedJob(await create(readTask(type, request, body), signal)) };
    };
    all[path] = { PUT: put, GET: pollJob, DELETE: removeJob };
    // For ids that are too long for a query.
    all[`${path}/poll`] = { POST: pollJob };
    all[`${path}/delete`] = { POST: removeJob };
    <%- else %>
    const post: Operation = async (request, body, signal) => {
      return checkedStatus(await execute(readTask(type, request, body), signal));
    };
    all[path] = { POST: post };
    <%- endif %>
  }
  return all;
}
<%- if plugin.mode == "async" %>

async function pollJob(request: IncomingMessage, body: string, signal: AbortSignal): Promise<unknown> {
  return checkedStatus(await poll(readJob(request, body), signal));
}

async function removeJob(request: IncomingMessage, body: string, signal: AbortSignal): Promise<unknown> {
  await remove(readJob(request, body), signal);
  return {};
}

/** Throws if there is no job, which the types of your part cannot see behind an `any`. */
export function checkedJob(job: unknown): unknown {
  if (job === undefined) throw new TypeError("create returned undefined: return what finds the job again");
  return job;
}
<%- endif %>

/** Throws if it is no status, which the types of your part cannot see behind an `any`. */
export function checkedStatus(status: unknown): Status {
  if (typeof status !== "object" || status === null) {
    throw new TypeError(`<% if plugin.mode == "async" %>poll<% else %>execute<% endif %> returned ${status}: return a status, for example { phase: "<% if plugin.mode == "async" %>RUNNING<% else %>SUCCEEDED<% endif %>" }`);
  }
  const { phase } = status as Partial<Status>;
  if (phase === undefined || !PHASES.includes(phase)) {
    throw new TypeError(`<% if plugin.mode == "async" %>poll<% else %>execute<% endif %> returned the phase ${JSON.stringify(phase)}; there are ${PHASES.join(", ")}`);
  }
  return status as Status;
}

export function readTask(type: TaskType, request: IncomingMessage, body: string): Task {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || key === "") throw malformed("Idempotency-Key: missing");
  const fields = asFields(decode(body, "the body"), "the body");
  const member = (of: Fields, name: string) => asFields(of[name] ?? {}, name);
  const template = member(fields, "template");
  const { statement } = member(template, "sql");
  return {
    type,
    key,
    inputs: member(fields, "inputs"),
    custom: member(template, "custom"),
    ...(typeof statement === "string" && { sql: statement }),
    template,
    execution: member(fields, "task_execution_metadata"),
    outputPrefix: String(fields["output_prefix"] ?? ""),
  };
}
<%- if plugin.mode == "async" %>

function readJob(request: IncomingMessage, body: string): Job {
  if (request.method === "POST") {
    const { job_id } = asFields(decode(body, "the body"), "the body");
    if (job_id === undefined) throw malformed("job_id: missing");
    return job_id as Job;
  }
  const text = new URLSearchParams(request.url?.split("?")[1]).get("job_id");
  if (text === null) throw malformed("job_id: missing");
  // It is what create returned.
  return decode(text, "job_id") as Job;
}
<%- endif %>

function asFields(value: Json, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw malformed(`${where}: expected an object`);
}

const malformed = (message: string) => new Answer(400, "MALFORMED", message);

// JSON.parse would round long integers, and JSON.stringify knows no bigints: both get strings with this mark.
const MARK = randomUUID();
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, "g");
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function decode(text: string, where: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (!/\d{16}/.test(text)) return value as Json;
    const isLong = (token: string) => /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));
    const marked = text.replace(STRING_OR_NUMBER, (token) => (isLong(token) ? `"${MARK}${token}"` : token));
    const revive = (_: string, it: unknown) =>
      typeof it === "string" && it.startsWith(MARK) ? BigInt(it.slice(MARK.length)) : it;
    return JSON.parse(marked, revive) as Json;
  } catch {
    throw malformed(`${where}: not JSON`);
  }
}

export function encode(value: unknown): string {
  const text = JSON.stringify(value, (name, it: unknown) => {
    if (typeof it === "number" && !Number.isFinite(it)) throw new RangeError(`${name}: ${it} is not JSON`);
    return typeof it === "bigint" ? `${MARK}${it}` : it;
  });
  return text.replace(MARKED, "$1");
}

function find(all: Routes, request: IncomingMessage): Operation {
  const path = request.url?.split("?")[0] ?? "";
  const methods = Object.hasOwn(all, path) ? all[path] : undefined;
  if (methods === undefined) throw new Answer(404, "NOT_FOUND", `no such path, task type or version: ${path}`);
  const operation = methods[request.method ?? ""];
  if (operation !== undefined) return operation;
  const allow = Object.keys(methods).join(", ");
  throw new Answer(405, "METHOD_NOT_ALLOWED", `expected ${allow}, not ${request.method}`, { allow });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // To its end, even if it is too large: otherwise the caller could not read the answer.
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= MAX_BODY) chunks.push(chunk);
    }
  } catch {
    throw new Answer(408, "TIMEOUT", "the body did not arrive");
  }
  if (size > MAX_BODY) throw new Answer(413, "TOO_LARGE", `the body is larger than ${MAX_BODY >> 20} MiB`);
  return Buffer.concat(chunks).toString();
}

/** Aborts when the caller stops waiting. */
function limit(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const time = Number(request.headers["outrigger-deadline-ms"] ?? DEFAULT_TIME);
  const deadline = AbortSignal.timeout(time >= 0 ? Math.min(Math.trunc(time), MAX_TIME) : DEFAULT_TIME);
  <%- if plugin.mode == "async" %>
  // A create or delete goes on when its caller leaves, who could not know what runs.
  if (request.method === "PUT" || request.method === "DELETE" || request.url?.endsWith("/delete")) return deadline;
  <%- endif %>
  const left = new AbortController();
  response.once("close", () => left.abort());
  return AbortSignal.any([deadline, left.signal]);
}

async function respond(all: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader("content-type", "application/json");
  try {
    const operation = find(all, request);
    const body = await readBody(request);
    response.end(encode(await operation(request, body, limit(request, response))));
  } catch (error) {
    const { status, headers, code, message } = asAnswer(error, request);
    response.writeHead(status, headers).end(encode({ error_code: code || null, message }));
  }
}

/** Of a fault, the caller gets its class and last line, and the log the rest. */
function asAnswer(error: unknown, request: IncomingMessage): Answer {
  if (error instanceof Answer) return error;
  const { name, message } = error instanceof Error ? error : new Error(inspect(error));
  if (name === "AbortError" || name === "TimeoutError") return new Answer(504, "DEADLINE_EXCEEDED", "no time left");
  console.error(`${request.method} ${request.url} failed:`, error);
  return new Answer(500, "", `${name}: ${message.trim().split("\n").at(-1)}`);
}

/** Serves on a socket. Returns what finishes the calls under way and ends the server. */
export async function serve(path: string, all: Routes): Promise<() => Promise<void>> {
  const calls = new Map<ServerResponse, Promise<void>>();
  const times = { headersTimeout: SLOW_TIME, requestTimeout: SLOW_TIME, connectionsCheckingInterval: 1000 };
  const server = createServer({ ...times, keepAliveTimeout: IDLE_TIME }, (request, response) => {
    const call = respond(all, request, response).finally(() => calls.delete(response));
    calls.set(response, call);
  });
  // The system would cut it.
  if (Buffer.byteLength(path) > MAX_PATH) throw new Error(`${path}: longer than ${MAX_PATH} bytes`);
  // A process that was killed leaves its socket.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path);
  await once(server.listen(path), "listening");
  // For the group, too: the bridge may be another user.
  chmodSync(path, 0o660);
  return async () => {
    const closed = once(server.close(), "close");
    for (const response of calls.keys()) response.shouldKeepAlive = false;
    // Calls whose caller has left have no connection.
    await Promise.all([...calls.values(), closed]);
  };
}

async function main(): Promise<void> {
  const path = process.env["PLUGIN_SOCKET"] || "/run/outrigger/plugin.sock";
  const finish = await serve(path, routes());
  console.error(`serving on ${path}`);
  const stop = () => {
    void finish().then(() => process.exit(0));
    setTimeout(() => process.exit(1), DRAIN_TIME);
  };
  // A second signal ends it at once.
  process.once("SIGTERM", stop).once("SIGINT", stop);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) await main();
