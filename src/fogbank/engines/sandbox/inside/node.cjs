"use strict";
// Runs the user's handler as AWS's Node.js runtime does: frames in, frames and output out.
//
// Rule: names, messages and shapes are those of AWS's own runtime interface client
// (aws-lambda-nodejs-runtime-interface-client 4), because people match on them. Everything here
// shares the process with user code and can be forged by it; nothing here decides about limits.

const fs = require("fs");
const net = require("net");
const path = require("path");
const util = require("util");
const { Writable } = require("stream");
const { pathToFileURL } = require("url");

const ASSIGN = 1, INVOKE = 2, INIT = 4, RESULT = 5, ERROR = 6, CHUNK = 7, WARM = 10;
const PREFIX_BYTES = 9;
const RESPONSE_BYTES_MAX = 6291556;
const CHUNK_BYTES_MAX = 1 << 20;
const INIT_FAILED = 1, REJECTED = 128, UNCAUGHT = 129;
const STREAMED = Symbol.for("aws.lambda.runtime.handler.streaming");
const HTTP = "application/vnd.awslambda.http-integration-response";

const socket = new net.Socket({ fd: 3, readable: true, writable: true });
let requestId; // undefined outside of invocations, and printed so, as AWS prints it
let handler;
let turn = null; // the invocation under way
let wantsJson = false;
let levelMin = 0;

// -- frames --------------------------------------------------------------------------------

let buffered = Buffer.alloc(0);
let muted = process.argv[2] === "stem"; // whether nothing that is said counts yet

function send(kind, head, body, done) {
  const raw = Buffer.from(JSON.stringify(head));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt8(kind, 0);
  prefix.writeUInt32BE(raw.length, 1);
  prefix.writeUInt32BE(body ? body.length : 0, 5);
  const frame = Buffer.concat(body ? [prefix, raw, body] : [prefix, raw]);
  return muted ? handler && handler.done && handler.done() : socket.write(frame, done);
}

function rss() {
  return { maxrss_kb: process.resourceUsage().maxRSS };
}

socket.on("data", (data) => {
  buffered = buffered.length ? Buffer.concat([buffered, data]) : data;
  while (buffered.length >= PREFIX_BYTES) {
    const head = buffered.readUInt32BE(1), body = buffered.readUInt32BE(5);
    const whole = PREFIX_BYTES + head + body;
    if (buffered.length < whole) break;
    const kind = buffered.readUInt8(0);
    const words = JSON.parse(buffered.toString("utf8", PREFIX_BYTES, PREFIX_BYTES + head));
    const payload = buffered.subarray(PREFIX_BYTES + head, whole);
    buffered = buffered.subarray(whole);
    if (kind === ASSIGN) start(words);
    else if (kind === INVOKE) invoke(words, payload);
  }
});
socket.on("end", () => process.exit(0)); // the client is gone, and this sandbox with it
socket.on("error", () => process.exit(0));

// -- the log -------------------------------------------------------------------------------

const LEVELS = { TRACE: 0, DEBUG: 1, INFO: 2, WARN: 3, ERROR: 4, FATAL: 5 };

function write(text) {
  fs.writeSync(1, text);
}

function line(level, args) {
  if (LEVELS[level] < levelMin) return;
  const now = new Date().toISOString();
  if (!wantsJson) {
    const message = util.format(...args);
    write(`${now}\t${requestId}\t${level}\t${message}`.replace(/\n/g, "\r") + "\n");
    return;
  }
  const told = { timestamp: now, level, requestId };
  const only = args.length === 1 ? args[0] : undefined;
  told.message = only !== null && typeof only === "object" && !isError(only) ? only : util.format(...args);
  const error = args.find(isError);
  if (error) Object.assign(told, { errorType: error.name, errorMessage: error.message, stackTrace: lines(error) });
  try {
    write(JSON.stringify(told) + "\n");
  } catch {
    write(JSON.stringify({ ...told, message: util.format(...args) }) + "\n");
  }
}

function patchConsole() {
  wantsJson = (process.env.AWS_LAMBDA_LOG_FORMAT || "").toUpperCase() === "JSON";
  levelMin = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || "").toUpperCase()] || 0;
  console.log = (...args) => line("INFO", args);
  console.info = (...args) => line("INFO", args);
  console.debug = (...args) => line("DEBUG", args);
  console.warn = (...args) => line("WARN", args);
  console.error = (...args) => line("ERROR", args);
  console.fatal = (...args) => line("FATAL", args);
  console.trace = (...args) => {
    const here = {};
    Error.captureStackTrace(here, console.trace);
    line("TRACE", [`Trace: ${util.format(...args)}\n${here.stack.split("\n").slice(1).join("\n")}`]);
  };
}

// -- errors --------------------------------------------------------------------------------

function isError(thing) {
  return util.types.isNativeError(thing) ||
    (thing && thing.name && thing.message && typeof thing.stack === "string");
}

function lines(error) {
  return String(error.stack || "").split("\n");
}

function payloadOf(error) {
  if (isError(error)) return { errorType: error.name, errorMessage: error.message, trace: lines(error) };
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function logError(what, error) {
  const told = isError(error)
    ? { errorType: error.name, errorMessage: error.message, ...error, stack: lines(error) }
    : { errorType: typeof error, errorMessage: String(error), stack: [] };
  if (wantsJson) line("ERROR", [error]);
  else line("ERROR", [`${what} \t${JSON.stringify(told)}`]);
}

function fault(name, message) {
  const error = new Error(message);
  error.name = name;
  error.stack = error.stack.replace(/^Error/, name);
  return error;
}

function faultOf(error, name) {
  const made = new Error(String(error));
  made.name = name;
  made.stack = `${name}: ${made.message}\n${lines(error).filter((l) => l.startsWith("    at ")).join("\n")}`;
  return made;
}

// -- the handler ---------------------------------------------------------------------------

function isModule(file) {
  if (file.endsWith(".mjs")) return true;
  if (!file.endsWith(".js")) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")).type === "module";
    } catch (error) {
      if (error.code !== "ENOENT") return false;
    }
    if (folder === path.dirname(folder)) return false;
  }
}

async function load(root, folder, name) {
  const stem = path.resolve(root, folder, name);
  for (const file of [stem, `${stem}.js`, `${stem}.mjs`, `${stem}.cjs`]) {
    if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) continue;
    return isModule(file) ? import(pathToFileURL(file).href) : require(file);
  }
  return require(require.resolve(name, { paths: [root, path.resolve(root, folder)] }));
}

async function find(root, full) {
  if (full.includes("..")) {
    throw fault("Runtime.MalformedHandlerName",
      `'${full}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(full), folder = full.slice(0, full.length - base.length);
  const parts = base.match(/^([^.]*)\.(.*)$/);
  if (!parts || !parts[2]) throw fault("Runtime.MalformedHandlerName", "Bad handler");
  let found;
  try {
    found = await load(root, folder, parts[1]);
  } catch (error) {
    if (error instanceof SyntaxError) throw faultOf(error, "Runtime.UserCodeSyntaxError");
    if (["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"].includes(error && error.code)) {
      throw faultOf(error, "Runtime.ImportModuleError");
    }
    throw error;
  }
  let value = found;
  for (const part of parts[2].split(".")) value = value && value[part];
  if (!value && found.default) {
    value = found.default;
    for (const part of parts[2].split(".")) value = value && value[part];
  }
  if (!value) throw fault("Runtime.HandlerNotFound", `${full} is undefined or not exported`);
  if (typeof value !== "function") throw fault("Runtime.HandlerNotFound", `${full} is not a function`);
  return value;
}

// Makes the variables those of the function. What stays is not touched: each write of TZ has ICU look
// for the time zone again, which takes ten milliseconds.
function take(environment) {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  for (const [name, value] of Object.entries(environment)) {
    if (process.env[name] !== value) process.env[name] = value;
  }
}

async function start(assignment) {
  if (!assignment.executed) take(assignment.environment); // else it has them, as a wrapper left them
  const root = process.env.LAMBDA_TASK_ROOT;
  process.chdir(root);
  require("module").globalPaths.push(...(process.env.NODE_PATH || "").split(":").filter(Boolean));
  patchConsole();
  try {
    handler = await find(root, process.env._HANDLER);
    send(INIT, rss());
  } catch (error) {
    logError("Uncaught Exception", error);
    fail(error, INIT_FAILED);
  }
}

// -- invocations ---------------------------------------------------------------------------

function contextOf(head) {
  const text = head.client_context, who = head.identity;
  let waits = true;
  const context = {
    get callbackWaitsForEmptyEventLoop() { return waits; },
    set callbackWaitsForEmptyEventLoop(value) { waits = value; },
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: text ? JSON.parse(text) : undefined,
    identity: who ? JSON.parse(who) : undefined,
    invokedFunctionArn: head.invoked_function_arn,
    awsRequestId: head.request_id,
    tenantId: head.tenant_id,
    getRemainingTimeInMillis: () => head.deadline_ms - Date.now(),
  };
  return context;
}

class ResponseStream extends Writable {
  constructor(mine) {
    super({ highWaterMark: 65536 });
    this.mine = mine;
    this.contentType = "application/octet-stream";
    this.prelude = null;
  }
  setContentType(kind) { this.contentType = kind; }
  _write(piece, encoding, done) {
    let data = typeof piece === "string" ? Buffer.from(piece, encoding) : Buffer.from(piece);
    if (this.prelude) {
      data = Buffer.concat([this.prelude, data]);
      this.prelude = null;
    }
    this.push(data, 0, done);
  }
  push(data, from, done) {
    if (this.mine.done) return done();
    const piece = data.subarray(from, from + CHUNK_BYTES_MAX);
    const last = from + piece.length >= data.length;
    const head = { request_id: this.mine.id, content_type: this.contentType };
    send(CHUNK, head, piece, (error) => last || error ? done(error) : this.push(data, from + piece.length, done));
  }
  _final(done) {
    if (!this.prelude) return done();
    const data = this.prelude;
    this.prelude = null;
    this.push(data, 0, done);
  }
}

function settle(mine, kind, body) {
  if (mine.done) return;
  mine.done = true;
  turn = null;
  socket.ref();
  send(kind, { ...rss(), request_id: mine.id }, body);
  requestId = undefined;
}

function succeed(mine, result) {
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result);
    if (text === undefined) text = "null";
  } catch {
    return refuse(mine, fault("Runtime.MarshalError", "Unable to stringify response body"));
  }
  const body = Buffer.from(text);
  if (body.length > RESPONSE_BYTES_MAX) {
    const words = `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`;
    return refuse(mine, fault("Function.ResponseSizeTooLarge", words));
  }
  settle(mine, RESULT, body);
}

function refuse(mine, error) {
  if (mine.done) return;
  logError("Invoke Error", error);
  settle(mine, ERROR, Buffer.from(JSON.stringify(payloadOf(error))));
}

function invoke(head, payload) {
  requestId = head.request_id;
  const mine = turn = { id: head.request_id, done: false, result: undefined, failure: null };
  if (head.trace_id) process.env._X_AMZN_TRACE_ID = head.trace_id;
  else delete process.env._X_AMZN_TRACE_ID;
  try {
    const event = JSON.parse(payload.toString("utf8"));
    const context = contextOf(head);
    if (handler[STREAMED] === "response") stream(mine, event, context);
    else call(mine, event, context);
  } catch (error) {
    refuse(mine, error);
  }
}

function call(mine, event, context) {
  const callback = (error, result) => {
    if (mine.done || mine.called) return;
    mine.called = true;
    mine.failure = error === undefined || error === null ? null : { error };
    mine.result = result;
    // AWS: a callback's answer leaves when nothing is left to do, unless the handler says otherwise.
    if (context.callbackWaitsForEmptyEventLoop) socket.unref();
    else finish(mine);
  };
  context.succeed = (result) => { context.callbackWaitsForEmptyEventLoop = false; callback(null, result); };
  context.fail = (error) => { context.callbackWaitsForEmptyEventLoop = false; callback(error || "handled"); };
  context.done = (error, result) => { context.callbackWaitsForEmptyEventLoop = false; callback(error, result); };
  const answer = handler(event, context, callback);
  if (answer !== null && answer !== undefined && typeof answer.then === "function") {
    answer.then((result) => succeed(mine, result), (error) => refuse(mine, error));
  }
  if (!mine.done) socket.unref(); // when nothing is left to do, ``beforeExit`` ends it
}

function finish(mine) {
  if (mine.failure) refuse(mine, mine.failure.error);
  else succeed(mine, mine.result);
}

function stream(mine, event, context) {
  const response = new ResponseStream(mine);
  response.on("finish", () => settle(mine, RESULT, Buffer.alloc(0)));
  response.on("error", (error) => refuse(mine, error));
  Promise.resolve(handler(event, response, context)).then(
    () => undefined, // AWS: the stream's end ends the invocation, not the promise
    (error) => refuse(mine, error),
  );
  socket.unref();
}

process.on("beforeExit", () => {
  socket.ref();
  if (turn) finish(turn); // nothing is left to do, whatever the handler waits for
});

// -- what nobody caught --------------------------------------------------------------------

function fail(error, status) {
  const body = payloadOf(error), leave = () => process.exit(status);
  if (handler === undefined) send(INIT, { ...rss(), error: body }, null, leave);
  else if (turn && !turn.done) {
    turn.done = true;
    send(ERROR, { ...rss(), request_id: turn.id, leaving: true }, Buffer.from(JSON.stringify(body)), leave);
  } else leave();
}

process.on("uncaughtException", (error) => {
  logError("Uncaught Exception", error);
  fail(error, UNCAUGHT);
});
process.on("unhandledRejection", (reason) => {
  const error = fault("Runtime.UnhandledPromiseRejection", String(reason));
  error.reason = reason;
  logError("Unhandled Promise Rejection", error);
  fail(error, REJECTED);
});

globalThis.awslambda = {
  streamifyResponse(streamed, options) {
    streamed[STREAMED] = "response";
    if (options && options.highWaterMark !== undefined) streamed.highWaterMark = Number(options.highWaterMark);
    return streamed;
  },
  HttpResponseStream: class HttpResponseStream {
    static from(response, prelude) {
      response.setContentType(HTTP);
      response.prelude = Buffer.concat([Buffer.from(JSON.stringify(prelude)), Buffer.alloc(8)]);
      return response;
    }
  },
};

// -- waiting for a function ------------------------------------------------------------------

// What every start and every invocation does is done before there is a function, so that V8 has
// compiled it and its pages are this process's own; nothing of it is seen by user code.
async function rehearse(name) {
  const head = { request_id: "", deadline_ms: 0, client_context: "{}", invoked_function_arn: "" };
  await start({ executed: false, environment: { ...process.env, LAMBDA_TASK_ROOT: __dirname, _HANDLER: `${name}.handler` } });
  await new Promise((done) => {
    handler.done = done;
    invoke(head, Buffer.from('{"a": [1.5, null, true, "b"]}'));
  });
  handler = requestId = undefined;
}

async function wait() {
  process.argv.length = 2; // as where the function was known from the start
  const shown = { ...console }, found = { ...process.env }, here = process.cwd();
  for (const name of ["rehearsal", "rehearsal-of-a-module", "rehearsal"]) {
    await rehearse(name);
    delete require.cache[path.join(__dirname, "rehearsal.js")];
  }
  module.children.length = 0;
  Object.assign(console, shown);
  delete console.fatal;
  take(found);
  process.chdir(here);
  muted = false;
  send(WARM, {});
}

if (muted) wait();
