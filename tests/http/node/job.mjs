// The main job through the AWS SDK for JavaScript v3, unmodified; see tests/http/go/main.go.
// Arguments: the function's package (zip), a picture, a word that makes names unique, a runtime.
import { readFileSync } from "node:fs";
import * as dynamo from "@aws-sdk/client-dynamodb";
import * as iam from "@aws-sdk/client-iam";
import * as lambda from "@aws-sdk/client-lambda";
import * as s3 from "@aws-sdk/client-s3";
import * as sts from "@aws-sdk/client-sts";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const [zip, picturePath, word, runtime] = process.argv.slice(2);
const photos = `${word}-photos`;
const thumbnails = `${word}-thumbnails`;
const picture = readFileSync(picturePath);
const once = { maxAttempts: 1 };
const objects = new s3.S3Client({ forcePathStyle: true, ...once });
const tables = new dynamo.DynamoDBClient(once);
const roles = new iam.IAMClient(once);
const functions = new lambda.LambdaClient(once);
const waiting = { maxWaitTime: 60, minDelay: 1, maxDelay: 1 };
const statement = (more) => JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...more }] });
const saw = {};

saw.account = (await new sts.STSClient(once).send(new sts.GetCallerIdentityCommand({}))).Account;
for (const Bucket of [photos, thumbnails]) await objects.send(new s3.CreateBucketCommand({ Bucket }));
await tables.send(new dynamo.CreateTableCommand({
  TableName: word,
  KeySchema: [{ AttributeName: "name", KeyType: "HASH" }],
  AttributeDefinitions: [{ AttributeName: "name", AttributeType: "S" }],
  BillingMode: "PAY_PER_REQUEST",
}));
await dynamo.waitUntilTableExists({ client: tables, ...waiting }, { TableName: word });
const role = await roles.send(new iam.CreateRoleCommand({
  RoleName: word,
  AssumeRolePolicyDocument: statement({ Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }),
}));
await roles.send(new iam.PutRolePolicyCommand({
  RoleName: word,
  PolicyName: "all",
  PolicyDocument: statement({ Action: ["s3:*", "dynamodb:*", "logs:*"], Resource: "*" }),
}));
const made = await functions.send(new lambda.CreateFunctionCommand({
  FunctionName: word,
  Role: role.Role.Arn,
  Handler: "app.handler",
  Runtime: runtime,
  Timeout: 30,
  MemorySize: 512,
  Code: { ZipFile: readFileSync(zip) },
  Environment: { Variables: { THUMBNAILS_BUCKET: thumbnails, TABLE: word } },
}));
await lambda.waitUntilFunctionActiveV2({ client: functions, ...waiting }, { FunctionName: word });
await functions.send(new lambda.AddPermissionCommand({
  FunctionName: word,
  StatementId: "s3",
  Action: "lambda:InvokeFunction",
  Principal: "s3.amazonaws.com",
  SourceArn: `arn:aws:s3:::${photos}`,
}));
await objects.send(new s3.PutBucketNotificationConfigurationCommand({
  Bucket: photos,
  NotificationConfiguration: {
    LambdaFunctionConfigurations: [{ LambdaFunctionArn: made.FunctionArn, Events: ["s3:ObjectCreated:*"] }],
  },
}));

const Key = "a b/picture+ü.jpg";
await objects.send(new s3.PutObjectCommand({ Bucket: photos, Key, Body: picture, ContentType: "image/jpeg" }));
const row = { TableName: word, Key: { name: { S: Key } }, ConsistentRead: true };
let item;
while (!item) ({ Item: item } = await tables.send(new dynamo.GetItemCommand(row)));
saw.size = item.size.N;
saw.thumbnail = (await objects.send(new s3.HeadObjectCommand({ Bucket: thumbnails, Key: `${Key}.jpg` }))).ContentType;
const url = await getSignedUrl(objects, new s3.GetObjectCommand({ Bucket: photos, Key }), { expiresIn: 60 });
saw.presigned = Buffer.from(await (await fetch(url)).arrayBuffer()).equals(picture);
const code = (error) => error.name;
saw.missing = await objects.send(new s3.GetObjectCommand({ Bucket: photos, Key: "none" })).catch(code);
saw.condition = await tables.send(new dynamo.PutItemCommand({
  TableName: word,
  Item: row.Key,
  ConditionExpression: "attribute_not_exists(#n)",
  ExpressionAttributeNames: { "#n": "name" },
})).catch(code);

const large = Buffer.alloc(16 << 20, "fogbank ");
const multipart = { Bucket: thumbnails, Key: "large" };
const { UploadId } = await objects.send(new s3.CreateMultipartUploadCommand({ ...multipart, ChecksumAlgorithm: "CRC32" }));
const part = async (PartNumber) => {
  const Body = large.subarray((PartNumber - 1) * (8 << 20), PartNumber * (8 << 20));
  const { ETag, ChecksumCRC32 } = await objects.send(
    new s3.UploadPartCommand({ ...multipart, UploadId, PartNumber, Body, ChecksumAlgorithm: "CRC32" }),
  );
  return { PartNumber, ETag, ChecksumCRC32 };
};
const Parts = await Promise.all([1, 2].map(part));
await objects.send(new s3.CompleteMultipartUploadCommand({ ...multipart, UploadId, MultipartUpload: { Parts } }));
const back = await objects.send(new s3.GetObjectCommand(multipart));
saw.large = Buffer.from(await back.Body.transformToByteArray()).equals(large);
console.log(JSON.stringify(saw));
