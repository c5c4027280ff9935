// The AWS SDK for JavaScript v3, unmodified, against the endpoint that AWS_ENDPOINT_URL names.
// Prints one JSON object: what it saw. tests/http/test_node_sdk.py compares.
import { createHash } from "node:crypto";
import * as dynamo from "@aws-sdk/client-dynamodb";
import * as s3 from "@aws-sdk/client-s3";
import * as sts from "@aws-sdk/client-sts";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const saw = {};

const objects = new s3.S3Client({ forcePathStyle: true, maxAttempts: 1 });
const Bucket = "node-objects";
await objects.send(new s3.CreateBucketCommand({ Bucket }));
const body = Buffer.alloc(3_000_000, "fogbank");
await objects.send(new s3.PutObjectCommand({ Bucket, Key: "a/b c+ü.bin", Body: body, Metadata: { who: "node" } }));
const got = await objects.send(new s3.GetObjectCommand({ Bucket, Key: "a/b c+ü.bin" }));
saw.object = digest(await got.Body.transformToByteArray()) === digest(body);
saw.metadata = got.Metadata;
const range = await objects.send(new s3.GetObjectCommand({ Bucket, Key: "a/b c+ü.bin", Range: "bytes=7-13" }));
saw.range = await range.Body.transformToString();
const listed = await objects.send(new s3.ListObjectsV2Command({ Bucket, Delimiter: "/" }));
saw.prefixes = listed.CommonPrefixes.map((row) => row.Prefix);
const url = await getSignedUrl(objects, new s3.GetObjectCommand({ Bucket, Key: "a/b c+ü.bin" }), { expiresIn: 60 });
saw.presigned = (await fetch(url)).status;
saw.missing = await objects.send(new s3.GetObjectCommand({ Bucket, Key: "none" })).catch((error) => error.name);

const tables = new dynamo.DynamoDBClient({ maxAttempts: 1 });
const TableName = "node-rows";
await tables.send(new dynamo.CreateTableCommand({
  TableName,
  KeySchema: [{ AttributeName: "k", KeyType: "HASH" }, { AttributeName: "n", KeyType: "RANGE" }],
  AttributeDefinitions: [{ AttributeName: "k", AttributeType: "S" }, { AttributeName: "n", AttributeType: "N" }],
  BillingMode: "PAY_PER_REQUEST",
}));
await dynamo.waitUntilTableExists({ client: tables, maxWaitTime: 20, minDelay: 1, maxDelay: 1 }, { TableName });
for (const n of [10, 9, -1.5]) {
  await tables.send(new dynamo.PutItemCommand({ TableName, Item: { k: { S: "x" }, n: { N: String(n) }, b: { B: Buffer.from([0, 255]) } } }));
}
const rows = await tables.send(new dynamo.QueryCommand({
  TableName, KeyConditionExpression: "k = :k", ExpressionAttributeValues: { ":k": { S: "x" } },
}));
saw.numbers = rows.Items.map((row) => row.n.N);
saw.bytes = Array.from(rows.Items[0].b.B);
saw.condition = await tables.send(new dynamo.PutItemCommand({
  TableName, Item: { k: { S: "x" }, n: { N: "9" } }, ConditionExpression: "attribute_not_exists(k)",
})).catch((error) => error.name);

const caller = new sts.STSClient({ maxAttempts: 1 });
saw.account = (await caller.send(new sts.GetCallerIdentityCommand({}))).Account;
const stranger = new sts.STSClient({ maxAttempts: 1, credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "x".repeat(40) } });
saw.stranger = await stranger.send(new sts.GetCallerIdentityCommand({})).catch((error) => error.name);

console.log(JSON.stringify(saw));
