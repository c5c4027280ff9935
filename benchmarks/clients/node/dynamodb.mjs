// The scene of all SDKs, through the document client of the AWS SDK for JavaScript v3; see
// ../go/dynamodb/main.go. Argument: what its table is called by.
import assert from "node:assert/strict";
import { DynamoDBClient, CreateTableCommand, DeleteTableCommand, DescribeTableCommand, ListTablesCommand, waitUntilTableExists, waitUntilTableNotExists } from "@aws-sdk/client-dynamodb";
import { DynamoDBStreamsClient, DescribeStreamCommand, GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-dynamodb-streams";
import * as ddb from "@aws-sdk/lib-dynamodb";

const TableName = process.argv[2];
const client = new DynamoDBClient({ maxAttempts: 1 });
const documents = ddb.DynamoDBDocumentClient.from(client, {
  marshallOptions: { removeUndefinedValues: true },
});
const ask = (Command, input = {}) => documents.send(new Command({ TableName, ...input }));
const refused = (name) => (error) => error.name === name;
const waits = { client, maxWaitTime: 60 };

const names = { artist: "S", song: "S", year: "N", genre: "S" };
await client.send(new CreateTableCommand({
  TableName,
  KeySchema: [{ AttributeName: "artist", KeyType: "HASH" }, { AttributeName: "song", KeyType: "RANGE" }],
  AttributeDefinitions: Object.entries(names).map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
  LocalSecondaryIndexes: [{
    IndexName: "by-year",
    KeySchema: [{ AttributeName: "artist", KeyType: "HASH" }, { AttributeName: "year", KeyType: "RANGE" }],
    Projection: { ProjectionType: "ALL" },
  }],
  GlobalSecondaryIndexes: [{
    IndexName: "by-genre",
    KeySchema: [{ AttributeName: "genre", KeyType: "HASH" }, { AttributeName: "year", KeyType: "RANGE" }],
    Projection: { ProjectionType: "KEYS_ONLY" },
  }],
  BillingMode: "PAY_PER_REQUEST",
  StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
}));
await waitUntilTableExists(waits, { TableName });

// Types: what goes in comes out, numbers that no double holds too.
const DIGITS = "12345678901234567890.123456789012345678";
const item = {
  artist: "Björk 🎻", song: "Jóga", year: 1997, big: 9007199254740993n,
  bytes: new Uint8Array([0, 255]), nothing: null, yes: true, empty: "",
  list: [1, "two", { three: [] }], map: { "ü": { deep: false } },
  names: new Set(["a", "b"]), numbers: new Set([1, 2.5]), gone: undefined,
};
await ask(ddb.PutCommand, { Item: { ...item, digits: ddb.NumberValue.from(DIGITS) } });
const Key = { artist: item.artist, song: item.song };
const wrapping = ddb.DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 1 }), { unmarshallOptions: { wrapNumbers: true } });
const wrapped = await wrapping.send(new ddb.GetCommand({ TableName, Key, ConsistentRead: true }));
assert.equal(wrapped.Item.digits.value ?? wrapped.Item.digits.toString(), DIGITS);
await ask(ddb.UpdateCommand, { Key, UpdateExpression: "REMOVE digits, big" });
const { gone, big, ...rest } = item;
assert.deepEqual((await ask(ddb.GetCommand, { Key })).Item, rest);
await ask(ddb.DeleteCommand, { Key });

// Conditions, counters, parts of items.
const nina = { artist: "Nina", song: "Feeling Good" };
const isNew = { ConditionExpression: "attribute_not_exists(song)" };
await ask(ddb.PutCommand, { Item: { ...nina, plays: 1, tags: ["a"] }, ...isNew });
await assert.rejects(ask(ddb.PutCommand, { Item: nina, ...isNew }), refused("ConditionalCheckFailedException"));
const changed = await ask(ddb.UpdateCommand, {
  Key: nina,
  UpdateExpression: "SET tags = list_append(tags, :more), #of = if_not_exists(#of, :of) ADD plays :one",
  ExpressionAttributeNames: { "#of": "of" },
  ExpressionAttributeValues: { ":more": ["b"], ":of": { y: 7 }, ":one": 1 },
  ReturnValues: "ALL_NEW",
});
assert.deepEqual(changed.Attributes, { ...nina, plays: 2, tags: ["a", "b"], of: { y: 7 } });
const why = await ask(ddb.DeleteCommand, {
  Key: nina,
  ConditionExpression: "plays > :many OR #of.y IN (:one)",
  ExpressionAttributeNames: { "#of": "of" },
  ExpressionAttributeValues: { ":many": 100, ":one": 1 },
  ReturnValuesOnConditionCheckFailure: "ALL_OLD",
}).catch((error) => error);
assert.equal(why.Item.plays.N ?? why.Item.plays, "2");
const counters = Array.from({ length: 40 }, () => ask(ddb.UpdateCommand, {
  Key: nina, UpdateExpression: "ADD plays :one", ExpressionAttributeValues: { ":one": 1 },
}));
await Promise.all(counters);
assert.equal((await ask(ddb.GetCommand, { Key: nina, ConsistentRead: true })).Item.plays, 42);
assert.equal((await ask(ddb.DeleteCommand, { Key: nina, ReturnValues: "ALL_OLD" })).Attributes.plays, 42);

// Many: batches, pages of the table and of its indexes, segments.
const row = (number) => ({
  artist: `a${number % 4}`, song: `s${String(number).padStart(3, "0")}`,
  year: 1900 + number, genre: number % 2 ? "odd" : "even",
});
for (let begin = 0; begin < 100; begin += 25) {
  const puts = Array.from({ length: 25 }, (_, at) => ({ PutRequest: { Item: row(begin + at) } }));
  const left = await ask(ddb.BatchWriteCommand, { RequestItems: { [TableName]: puts } });
  assert.deepEqual(left.UnprocessedItems, {});
}
const rowsOf = async (pages) => {
  const rows = [];
  for await (const page of pages) rows.push(...page.Items);
  return rows;
};
const paged = { client: documents, pageSize: 7 };
const found = await rowsOf(ddb.paginateQuery(paged, {
  TableName, KeyConditionExpression: "artist = :a AND begins_with(song, :s)", ScanIndexForward: false,
  ExpressionAttributeValues: { ":a": "a1", ":s": "s09" },
}));
assert.deepEqual(found.map((each) => each.song), ["s097", "s093"]);
const byYear = await rowsOf(ddb.paginateQuery(paged, {
  TableName, IndexName: "by-year", ConsistentRead: true,
  KeyConditionExpression: "artist = :a AND #y BETWEEN :from AND :to",
  ExpressionAttributeNames: { "#y": "year" },
  ExpressionAttributeValues: { ":a": "a2", ":from": 1900, ":to": 1910 },
}));
assert.deepEqual(byYear.map((each) => each.year), [1902, 1906, 1910]);
const odd = await rowsOf(ddb.paginateQuery(paged, {
  TableName, IndexName: "by-genre", KeyConditionExpression: "genre = :g",
  ExpressionAttributeValues: { ":g": "odd" },
}));
assert.deepEqual(odd.map((each) => each.year), Array.from({ length: 50 }, (_, at) => 1901 + 2 * at));
const segments = await Promise.all([0, 1, 2].map((Segment) =>
  rowsOf(ddb.paginateScan(paged, { TableName, Segment, TotalSegments: 3 }))));
assert.equal(new Set(segments.flat().map((each) => each.song)).size, 100);
const Keys = Array.from({ length: 100 }, (_, at) => row(at)).map(({ artist, song }) => ({ artist, song }));
const got = await ask(ddb.BatchGetCommand, { RequestItems: { [TableName]: { Keys } } });
assert.equal(got.Responses[TableName].length, 100);

// Transactions, once for a token.
const parts = (genre) => ({
  ClientRequestToken: `${TableName}${genre}`,
  TransactItems: [
    { Put: { TableName, Item: { artist: "t", song: "1", plays: 5 } } },
    { Update: { TableName, Key: { artist: "t", song: "2" }, UpdateExpression: "ADD plays :five", ExpressionAttributeValues: { ":five": 5 } } },
    { ConditionCheck: { TableName, Key: { artist: "a0", song: "s000" }, ConditionExpression: "genre = :g", ExpressionAttributeValues: { ":g": genre } } },
  ],
});
await ask(ddb.TransactWriteCommand, parts("even"));
await ask(ddb.TransactWriteCommand, parts("even"));
const both = await ask(ddb.TransactGetCommand, {
  TransactItems: ["1", "2"].map((song) => ({ Get: { TableName, Key: { artist: "t", song } } })),
});
assert.deepEqual(both.Responses.map((each) => each.Item.plays), [5, 5]);
const cancelled = await ask(ddb.TransactWriteCommand, parts("odd")).catch((error) => error);
assert.equal(cancelled.name, "TransactionCanceledException");
assert.deepEqual(cancelled.CancellationReasons.map((each) => each.Code), ["None", "None", "ConditionalCheckFailed"]);

// PartiQL.
const said = await documents.send(new ddb.ExecuteStatementCommand({
  Statement: `SELECT plays FROM "${TableName}" WHERE artist = ? AND song = ?`, Parameters: ["t", "2"],
}));
assert.deepEqual(said.Items, [{ plays: 5 }]);

// The stream, with what was and what is.
const streams = new DynamoDBStreamsClient({ maxAttempts: 1 });
const StreamArn = (await client.send(new DescribeTableCommand({ TableName }))).Table.LatestStreamArn;
const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }));
const events = [];
for (const { ShardId } of StreamDescription.Shards) {
  let { ShardIterator } = await streams.send(new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
  while (ShardIterator) {
    const page = await streams.send(new GetRecordsCommand({ ShardIterator, Limit: 50 }));
    if (page.Records.length === 0) break;
    events.push(...page.Records);
    ShardIterator = page.NextShardIterator;
  }
}
const ofNina = events.filter((each) => each.dynamodb.Keys.song.S === nina.song);
assert.deepEqual(ofNina.map((each) => each.eventName), ["INSERT", ...Array(41).fill("MODIFY"), "REMOVE"]);
assert.deepEqual(ofNina.slice(1, -1).map((each) => Number(each.dynamodb.NewImage.plays.N)), Array.from({ length: 41 }, (_, at) => at + 2));

await client.send(new DeleteTableCommand({ TableName }));
await waitUntilTableNotExists(waits, { TableName });
assert(!(await client.send(new ListTablesCommand({}))).TableNames.includes(TableName));
