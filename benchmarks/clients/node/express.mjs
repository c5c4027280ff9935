// Express with connect-dynamodb: sessions of a web application, kept in a table.
// Argument: what its table is called by.
import assert from "node:assert/strict";
import { DynamoDBClient, ScanCommand, UpdateTimeToLiveCommand } from "@aws-sdk/client-dynamodb";
import connect from "connect-dynamodb";
import express from "express";
import session from "express-session";

const table = process.argv[2];
const client = new DynamoDBClient({ maxAttempts: 1 });
const Store = connect(session);
const store = new Store({ table, client, skipThrowMissingSpecialKeys: true });
await store.initialize();

const application = (maxAge) => {
  const app = express();
  app.use(session({ store, secret: "of the field", resave: false, saveUninitialized: false, cookie: { maxAge } }));
  app.get("/add/:name", (request, reply) => {
    request.session.cart = [...(request.session.cart ?? []), request.params.name];
    request.session["ü"] = { "🛒": [1, null, true] };
    reply.json(request.session);
  });
  app.get("/see", (request, reply) => reply.json({ cart: request.session.cart ?? null }));
  app.get("/leave", (request, reply) => request.session.destroy(() => reply.json({})));
  return new Promise((resolve) => {
    const server = app.listen(0, "127.0.0.1", () => resolve(server));
  });
};
const visitor = (server) => {
  let cookie = "";
  return async (path) => {
    const reply = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers: { cookie } });
    cookie = reply.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return reply.json();
  };
};
const count = async () => (await client.send(new ScanCommand({ TableName: table, ConsistentRead: true }))).Items.length;

const server = await application(3_600_000);
const shops = Array.from({ length: 6 }, async (_, user) => {
  const visit = visitor(server);
  const wanted = Array.from({ length: 8 }, (_, number) => `${user}-${number}`);
  for (const name of wanted) await visit(`/add/${name}`);
  assert.deepEqual((await visit("/see")).cart, wanted);
});
await Promise.all(shops);
assert.equal(await count(), 6);
const one = visitor(server);
assert.deepEqual((await one("/add/a"))["ü"], { "🛒": [1, null, true] });
assert.deepEqual(await visitor(server)("/see"), { cart: null });
await one("/leave");
assert.deepEqual(await one("/see"), { cart: null });
assert.equal(await count(), 6);

await client.send(new UpdateTimeToLiveCommand({ TableName: table, TimeToLiveSpecification: { Enabled: true, AttributeName: "expires" } }));
const short = await application(1_000);
const late = visitor(short);
await late("/add/late");
const until = Date.now() + 30_000;
while (await count() > 6) {
  assert(Date.now() < until, "an expired session stays");
  await new Promise((resolve) => setTimeout(resolve, 100));
}
assert.deepEqual(await late("/see"), { cart: null });
server.close();
short.close();
server.closeAllConnections();
short.closeAllConnections();
