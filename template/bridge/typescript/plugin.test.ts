import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request as send } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  <%- if plugin.mode == "async" %>
  checkedJob,
  <%- endif %>
  checkedStatus,
  decode,
  encode,
  PHASES,
  readTask,
  routes,
  <%- if plugin.mode == "async" %>
  runs,
  <%- endif %>
  serve,
  taskTypes,
  type Fields,
  type Operation,
  type Routes,
} from "./plugin.js";

const PATH = `/plugins/v1/${taskTypes[0]?.name}/${taskTypes[0]?.version}`;
/** The method of requests with a task. */
const START = "<% if plugin.mode == "async" %>PUT<% else %>POST<% endif %>";
const TASK = '{"inputs": {"text": "hi"}}';

type Answer = { status: number | undefined; answer: Fields };
type Call = (method: string, path: string, body?: string, headers?: Record<string, string>) => Promise<Answer>;

/** The path of a socket, which has to be short. */
function newSocket(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "plugin"));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, "plugin.sock");
}

/** Serves on a socket. Returns a function that sends a request there. */
async function started(t: TestContext, all: Routes = routes()): Promise<Call> {
  const socketPath = newSocket(t);
  t.after(await serve(socketPath, all));
  return async (method, path, body = "", headers = {}) => {
    const request = send({ socketPath, method, path, headers: { "idempotency-key": "k", ...headers } }).end(body);
    const [response] = await once(request, "response");
    return { status: response.statusCode, answer: decode(await text(response), "the answer") as Fields };
  };
}
<%- if plugin.mode == "async" %>

/** The path of a job with an id. */
const about = (id: unknown) => `${PATH}?job_id=${encodeURIComponent(JSON.stringify(id))}`;

/** Creates a job. Returns its id. */
async function created(call: Call, key: string) {
  const { status, answer } = await call("PUT", PATH, TASK, { "idempotency-key": key });
  assert.equal(status, 200);
  return answer["job_id"];
}

test("a job runs and succeeds", async (t) => {
  const call = await started(t);
  const id = await created(call, "one");
  const log_links = [{ name: "Job", uri: "https://example.com/jobs/one" }];
  assert.deepEqual((await call("GET", about(id))).answer, { phase: "RUNNING", message: "shouting", log_links });
  runs.set("one", { text: "hi", ends: 0 });
  assert.deepEqual((await call("GET", about(id))).answer, { phase: "SUCCEEDED", outputs: { o0: "HI" }, log_links });
});

test("a repeated create is the same job", async (t) => {
  const call = await started(t);
  assert.deepEqual(await created(call, "a"), await created(call, "a"));
  assert.notDeepEqual(await created(call, "a"), await created(call, "b"));
});

test("a job id may be in the body", async (t) => {
  const call = await started(t);
  const body = JSON.stringify({ job_id: await created(call, "body") });
  assert.equal((await call("POST", `${PATH}/poll`, body)).status, 200);
  assert.equal((await call("POST", `${PATH}/delete`, body)).status, 200);
  assert.equal((await call("POST", `${PATH}/poll`, body)).status, 404);
});

test("an unknown job is not found, and its delete is fine", async (t) => {
  const call = await started(t);
  const { status, answer } = await call("GET", about({ id: "?" }));
  assert.deepEqual([status, answer["error_code"]], [404, "NOT_FOUND"]);
  assert.equal((await call("DELETE", about({ id: "?" }))).status, 200);
});
<%- else %>

test("a task is answered at once", async (t) => {
  const call = await started(t);
  assert.deepEqual((await call("POST", PATH, TASK)).answer, { phase: "SUCCEEDED", outputs: { o0: "HI" } });
});
<%- endif %>

test("the plugin is listed", async (t) => {
  const plugins = taskTypes.map(({ name, version }) => ({ task_type: name, version, sync: <% if plugin.mode == "async" %>false<% else %>true<% endif %> }));
  assert.deepEqual((await (await started(t))("GET", "/plugins/v1")).answer, { plugins });
});

test("wrong requests are answered with words", async (t) => {
  const call = await started(t);
  const large = JSON.stringify({ inputs: { text: "a".repeat(8 << 20) } });
  const cases: [string, string, string, number, string, Record<string, string>?][] = [
    [START, PATH, "{", 400, "the body: not JSON"],
    [START, PATH, "[]", 400, "the body: expected an object"],
    [START, PATH, '{"inputs": []}', 400, "inputs: expected an object"],
    [START, PATH, '{"inputs": {}}', 422, "inputs.text: expected a string"],
    [START, PATH, large, 413, "the body is larger than 8 MiB"],
    [START, PATH, TASK, 400, "Idempotency-Key: missing", { "idempotency-key": "" }],
    <%- if plugin.mode == "async" %>
    ["GET", PATH, "", 400, "job_id: missing"],
    ["GET", `${PATH}?job_id=x`, "", 400, "job_id: not JSON"],
    ["PATCH", PATH, "", 405, "expected PUT, GET, DELETE, not PATCH"],
    <%- else %>
    ["PUT", PATH, TASK, 405, "expected POST, not PUT"],
    <%- endif %>
    ["GET", `${PATH}9`, "", 404, `no such path, task type or version: ${PATH}9`],
    ["GET", "/toString", "", 404, "no such path, task type or version: /toString"],
  ];
  for (const [method, path, body, status, message, headers] of cases) {
    const got = await call(method, path, body, headers);
    assert.deepEqual([got.status, got.answer["message"]], [status, message], `${method} ${path} ${body.slice(0, 40)}`);
  }
});

test("a task has what its author sets, and the statement", async (t) => {
  const echo: Operation = async (request, body) => {
    const { custom, sql } = readTask({ name: "x", version: 0 }, request, body);
    return { custom, sql };
  };
  const call = await started(t, { "/": { PUT: echo } });
  const template = { custom: { queue: "a" }, sql: { statement: "SELECT 1" } };
  const { answer } = await call("PUT", "/", JSON.stringify({ template }));
  assert.deepEqual(answer, { custom: { queue: "a" }, sql: "SELECT 1" });
  assert.deepEqual((await call("PUT", "/", TASK)).answer, { custom: {} });
});

test("what is no answer is an exception", () => {
  <%- if plugin.mode == "async" %>
  assert.throws(() => checkedJob(undefined), {
    message: "create returned undefined: return what finds the job again",
  });
  <%- endif %>
  assert.throws(() => checkedStatus(undefined), { message: / returned undefined: return a status, / });
  assert.throws(() => checkedStatus({ phase: "DONE" }), {
    message: `<% if plugin.mode == "async" %>poll<% else %>execute<% endif %> returned the phase "DONE"; there are ${PHASES.join(", ")}`,
  });
});

test("an exception shows its class and last line", async (t) => {
  const fails = async () => {
    throw new TypeError("secret\nno model");
  };
  const call = await started(t, { "/": { GET: fails } });
  const { status, answer } = await call("GET", "/");
  assert.deepEqual([status, answer], [500, { error_code: null, message: "TypeError: no model" }]);
});

test("integers of 64 bits stay exact", () => {
  const json = '{"a":[9007199254740993,-9223372036854775808,1.5,12],"9007199254740993":"\\"9007199254740993"}';
  const value = decode(json, "x") as Fields;
  assert.deepEqual(value["a"], [9007199254740993n, -9223372036854775808n, 1.5, 12]);
  assert.equal(encode(value), json);
});

test("what JSON cannot express is an error with its name", () => {
  assert.throws(() => encode({ outputs: { o0: NaN } }), { message: "o0: NaN is not JSON" });
});

test("a call ends at its deadline, or when its caller leaves", async (t) => {
  const ended = new EventEmitter();
  const waits = async (_request: unknown, _body: string, signal: AbortSignal) => {
    await once(signal, "abort");
    ended.emit("end", signal.reason.name);
    throw signal.reason;
  };
  const call = await started(t, { "/": { GET: waits } });
  assert.equal((await call("GET", "/", "", { "outrigger-deadline-ms": "20" })).status, 504);
  const socketPath = newSocket(t);
  t.after(await serve(socketPath, { "/": { GET: waits } }));
  const request = send({ socketPath, path: "/" }).end();
  request.on("error", () => {});
  setTimeout(() => request.destroy(), 50);
  assert.deepEqual(await once(ended, "end"), ["AbortError"]);
});
<%- if plugin.mode == "async" %>

test("a create goes on when its caller leaves", async (t) => {
  const ended = new EventEmitter();
  const waits = async (_request: unknown, _body: string, signal: AbortSignal) => {
    await sleep(100);
    ended.emit("end", signal.aborted);
    return {};
  };
  const socketPath = newSocket(t);
  t.after(await serve(socketPath, { "/": { PUT: waits } }));
  const request = send({ socketPath, path: "/", method: "PUT" }).end();
  request.on("error", () => {});
  setTimeout(() => request.destroy(), 50);
  assert.deepEqual(await once(ended, "end"), [false]);
});
<%- endif %>

test("SIGTERM finishes calls and exits with 0", async (t) => {
  const socket = newSocket(t);
  const program = spawn(process.execPath, [join(import.meta.dirname, "plugin.js")], {
    env: { ...process.env, PLUGIN_SOCKET: socket },
    stdio: ["ignore", "inherit", "pipe"],
  });
  t.after(() => program.kill("SIGKILL"));
  await once(program.stderr, "data");
  const headers = { "idempotency-key": "k", expect: "100-continue", "content-length": TASK.length };
  const request = send({ socketPath: socket, method: START, path: PATH, headers });
  request.flushHeaders();
  // The call is under way when the plugin asks for the body.
  await once(request, "continue");
  const exited = once(program, "exit");
  program.kill("SIGTERM");
  while (await accepts(socket)) await sleep(10);
  request.end(TASK);
  const [response] = await once(request, "response");
  assert.equal(response.statusCode, 200);
  assert.deepEqual(await exited, [0, null]);
});

async function accepts(socket: string): Promise<boolean> {
  const connection = connect(socket);
  try {
    await once(connection, "connect");
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}
