// Powertools for AWS Lambda (TypeScript): functions that run once for a payload, and parameters.
// Argument: what its tables are called by.
import assert from "node:assert/strict";
import { DynamoDBClient, CreateTableCommand, PutItemCommand, ScanCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { IdempotencyConfig, IdempotencyAlreadyInProgressError, IdempotencyValidationError, makeIdempotent } from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";
import { DynamoDBProvider } from "@aws-lambda-powertools/parameters/dynamodb";

const name = process.argv[2];
process.env.AWS_LAMBDA_FUNCTION_NAME = "of-the-field";
const client = new DynamoDBClient({ maxAttempts: 1 });
const make = async (TableName, ...keys) => {
  await client.send(new CreateTableCommand({
    TableName,
    KeySchema: keys.map((AttributeName, at) => ({ AttributeName, KeyType: at ? "RANGE" : "HASH" })),
    AttributeDefinitions: keys.map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
    BillingMode: "PAY_PER_REQUEST",
  }));
  await waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName });
};

await make(`${name}-once`, "id");
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: `${name}-once` });
const config = new IdempotencyConfig({ eventKeyJmesPath: "order", payloadValidationJmesPath: "amount", throwOnNoIdempotencyKey: true });
let calls = 0;
let finish;
const finished = new Promise((resolve) => { finish = resolve; });
const pay = makeIdempotent(async (event) => {
  calls += 1;
  if (event.amount === 0) throw new RangeError("nothing to pay");
  await finished;
  return { calls, "ü": event.order };
}, { persistenceStore, config });

const order = { order: "🪙 1", amount: 5 };
const heard = [];
const all = Array.from({ length: 8 }, () => pay(order).then(() => heard.push("done"), (error) => heard.push(error)));
const until = Date.now() + 30_000;
while (heard.length < 7) {
  assert(Date.now() < until, `heard ${heard}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
}
assert(heard.every((error) => error instanceof IdempotencyAlreadyInProgressError), String(heard));
finish();
await Promise.all(all);
assert.equal(heard.at(-1), "done");
assert.deepEqual(await pay(order), { calls: 1, "ü": "🪙 1" });
await assert.rejects(pay({ ...order, amount: 6 }), IdempotencyValidationError);
await assert.rejects(pay({ order: "2", amount: 0 }), /nothing to pay/);
assert.deepEqual(await pay({ order: "2", amount: 7 }), { calls: 3, "ü": "2" });
const rows = await client.send(new ScanCommand({ TableName: `${name}-once` }));
assert.deepEqual(rows.Items.map((row) => row.status.S), ["COMPLETED", "COMPLETED"]);

await make(`${name}-one`, "id");
await make(`${name}-many`, "id", "sk");
await client.send(new PutItemCommand({ TableName: `${name}-one`, Item: { id: { S: "p" }, value: { S: '{"a":[1,"é"]}' } } }));
const one = new DynamoDBProvider({ tableName: `${name}-one` });
assert.deepEqual(await one.get("p", { transform: "json" }), { a: [1, "é"] });
assert.equal(await one.get("none"), undefined);
for (let number = 0; number < 30; number += 1) {
  await client.send(new PutItemCommand({ TableName: `${name}-many`, Item: { id: { S: "all" }, sk: { S: `p${number}` }, value: { S: "x".repeat(50_000) } } }));
}
const many = await new DynamoDBProvider({ tableName: `${name}-many` }).getMultiple("all");
assert.equal(Object.keys(many).length, 30);
