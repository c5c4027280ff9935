// ElectroDB: several entities in one table, found by overloaded indexes.
// Argument: what its table is called by.
import assert from "node:assert/strict";
import { DynamoDBClient, CreateTableCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { Entity, Service } from "electrodb";

const table = process.argv[2];
const client = new DynamoDBClient({ maxAttempts: 1 });
const attributes = ["pk", "sk", "gsi1pk", "gsi1sk"];
await client.send(new CreateTableCommand({
  TableName: table,
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
  AttributeDefinitions: attributes.map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
  GlobalSecondaryIndexes: [{
    IndexName: "gsi1",
    KeySchema: [{ AttributeName: "gsi1pk", KeyType: "HASH" }, { AttributeName: "gsi1sk", KeyType: "RANGE" }],
    Projection: { ProjectionType: "ALL" },
  }],
  BillingMode: "PAY_PER_REQUEST",
}));
await waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName: table });

const index = (pk, sk) => ({ pk: { field: "pk", composite: pk }, sk: { field: "sk", composite: sk } });
const together = (pk, sk) => ({
  index: "gsi1", collection: "office", pk: { field: "gsi1pk", composite: pk }, sk: { field: "gsi1sk", composite: sk },
});
const employee = new Entity({
  model: { entity: "employee", version: "1", service: "field" },
  attributes: {
    id: { type: "string" }, office: { type: "string", required: true }, name: { type: "string" },
    salary: { type: "number", default: 0 }, tags: { type: "set", items: "string" },
    address: { type: "map", properties: { "straße": { type: "string" } } },
    history: { type: "list", items: { type: "string" } },
    changed: { type: "number", watch: "*", set: (_, __) => 1, default: 0 },
  },
  indexes: { one: index(["id"], []), office: together(["office"], ["name"]) },
}, { client, table });
const desk = new Entity({
  model: { entity: "desk", version: "1", service: "field" },
  attributes: { number: { type: "number" }, office: { type: "string" }, free: { type: "boolean" } },
  indexes: { one: index(["number"], []), office: together(["office"], ["number"]) },
}, { client, table });
const service = new Service({ employee, desk });

const names = Array.from({ length: 40 }, (_, at) => `name-${String(at).padStart(2, "0")} é`);
const left = await employee.put(names.map((name, at) => ({ id: `e${at}`, office: at % 2 ? "Graz" : "Köln", name, tags: ["a", "b"] }))).go();
assert.deepEqual(left.unprocessed, []);
await desk.create({ number: 7, office: "Graz", free: true }).go();
await assert.rejects(desk.create({ number: 7, office: "Graz", free: true }).go(), /conditional request failed/i);

const { data: one } = await employee.get({ id: "e3" }).go();
assert.deepEqual([one.name, one.tags], ["name-03 é", ["a", "b"]]);
const poor = ({ salary }, { lt }) => lt(salary, 50);
await employee.patch({ id: "e3" }).set({ history: ["hired"] }).go();
const { data: changed } = await employee.patch({ id: "e3" })
  .add({ salary: 100, tags: ["c"] }).append({ history: ["raise"] }).set({ address: { "straße": "Gasse 1" } })
  .where(poor).go({ response: "all_new" });
assert.deepEqual([changed.salary, changed.tags.sort(), changed.history, changed.address], [100, ["a", "b", "c"], ["hired", "raise"], { "straße": "Gasse 1" }]);
await assert.rejects(employee.patch({ id: "e3" }).subtract({ salary: 1 }).where(poor).go(), /conditional request failed/i);
await assert.rejects(employee.patch({ id: "none" }).set({ salary: 1 }).go(), /conditional request failed/i);

const { data: some } = await employee.query.office({ office: "Köln" }).between({ name: "name-10" }, { name: "name-15" }).go();
assert.deepEqual(some.map((each) => each.id), ["e10", "e12", "e14"]);
let cursor = null;
const pages = [];
do {
  const page = await employee.query.office({ office: "Graz" }).go({ cursor, limit: 6 });
  pages.push(...page.data.map((each) => each.id));
  cursor = page.cursor;
} while (cursor);
assert.deepEqual(pages, Array.from({ length: 20 }, (_, at) => `e${2 * at + 1}`));
const { data: all } = await service.collections.office({ office: "Graz" }).go({ pages: "all" });
assert.deepEqual([all.employee.length, all.desk], [20, [{ number: 7, office: "Graz", free: true }]]);
const { data: scanned } = await employee.scan.where(({ salary }, { gt }) => gt(salary, 0)).go({ pages: "all" });
assert.deepEqual(scanned.map((each) => each.id), ["e3"]);

const move = (free) => service.transaction.write(({ employee, desk }) => [
  employee.patch({ id: "e4" }).set({ office: "Graz" }).commit(),
  desk.patch({ number: 7 }).set({ free: !free }).where((each, { eq }) => eq(each.free, free)).commit(),
  employee.delete({ id: "e5" }).commit(),
]).go();
assert.equal((await move(true)).canceled, false);
const again = await move(true);
assert.equal(again.canceled, true);
assert.deepEqual(again.data.map((each) => each.code), ["None", "ConditionalCheckFailed", "None"]);
const read = await service.transaction.get(({ employee, desk }) => [employee.get({ id: "e4" }).commit(), desk.get({ number: 7 }).commit()]).go();
assert.deepEqual([read.data[0].item.office, read.data[1].item.free], ["Graz", false]);
const { data: got, unprocessed } = await employee.get(names.map((_, at) => ({ id: `e${at}` }))).go();
assert.deepEqual([got.length, unprocessed], [39, []]);
