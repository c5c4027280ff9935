// Node's own HTTP/2 (nghttp2) against the server: presigned URLs on one session, side by side.
import http2 from "node:http2";
import { readFileSync } from "node:fs";

const asked = JSON.parse(readFileSync(0, "utf8"));
// Node takes no header while more than 10 MB of what it is to send lie in a session: streams that end
// one after the other, and not all at once, would be broken off by Node itself.
const limits = { maxSessionMemory: 64 };
const session = http2.connect(asked.origin, asked.ca ? { ...limits, ca: readFileSync(asked.ca) } : limits);

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = { ":method": method, ":path": path };
    if (body) headers["content-length"] = body.length;
    const stream = session.request(headers, { endStream: !body });
    let status = 0;
    const pieces = [];
    stream.on("response", (fields) => { status = fields[":status"]; });
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", () => resolve([status, Buffer.concat(pieces)]));
    stream.on("error", reject);
    if (body) stream.end(body);
  });
}

const body = Buffer.alloc(asked.size, "0123456789abcdef");
const put = await Promise.all(asked.puts.map((path) => ask("PUT", path, body)));
const got = await Promise.all(asked.gets.map((path) => ask("GET", path)));
const [health] = await ask("GET", "/health");
const [head, nothing] = await ask("HEAD", "/health");
const [stranger] = await ask("GET", "/side/0");
session.close();
console.log(JSON.stringify({
  protocol: session.alpnProtocol,
  put: put.map(([status]) => status),
  got: got.map(([status, bytes]) => status === 200 && bytes.equals(body)),
  health, head: [head, nothing.length], stranger,
}));
