// The scene of all SDKs, through the AWS SDK for JavaScript v3; see ../go/s3/main.go.
// Argument: a bucket that is not there yet.
import assert from "node:assert/strict";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = process.argv[2];
const client = new s3.S3Client({ forcePathStyle: true, maxAttempts: 1 });
const ask = (Command, input = {}) => client.send(new Command({ Bucket, ...input }));
const bytesOf = async (reply) => Buffer.from(await reply.Body.transformToByteArray());
const refused = (name) => (error) => error.name === name;
const PART = 5 << 20;

await ask(s3.CreateBucketCommand);

const Key = "a b/ü+1.txt";
const Body = Buffer.from("hello of the field");
for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
  await ask(s3.PutObjectCommand, { Key, Body, ChecksumAlgorithm, Metadata: { colour: "blue" } });
  assert.deepEqual(await bytesOf(await ask(s3.GetObjectCommand, { Key, ChecksumMode: "ENABLED" })), Body);
}
assert.equal((await bytesOf(await ask(s3.GetObjectCommand, { Key, Range: "bytes=1-3" }))).toString(), "ell");
await assert.rejects(ask(s3.PutObjectCommand, { Key, Body, IfNoneMatch: "*" }), refused("PreconditionFailed"));
await assert.rejects(ask(s3.GetObjectCommand, { Key: "none" }), refused("NoSuchKey"));
await ask(s3.PutObjectTaggingCommand, { Key, Tagging: { TagSet: [{ Key: "a", Value: "b" }] } });
assert.deepEqual((await ask(s3.GetObjectTaggingCommand, { Key })).TagSet, [{ Key: "a", Value: "b" }]);
await ask(s3.CopyObjectCommand, { Key: "copy", CopySource: `${Bucket}/${encodeURIComponent(Key)}` });
const head = await ask(s3.HeadObjectCommand, { Key: "copy" });
assert.equal(head.Metadata.colour, "blue");
assert.equal(head.ServerSideEncryption, "AES256");
const url = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key }));
assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), Body);

const content = Buffer.alloc(3 * PART + 8, "fogbank ");
await new Upload({ client, params: { Bucket, Key: "large", Body: content }, partSize: PART }).done();
assert.deepEqual(await bytesOf(await ask(s3.GetObjectCommand, { Key: "large" })), content);
const Range = `bytes=${PART - 3}-${PART + 4}`;
const border = await bytesOf(await ask(s3.GetObjectCommand, { Key: "large", Range }));
assert.deepEqual(border, content.subarray(PART - 3, PART + 5));
const fourth = await ask(s3.GetObjectCommand, { Key: "large", PartNumber: 4 });
assert.deepEqual([fourth.ContentLength, fourth.PartsCount], [8, 4]);
await fourth.Body.transformToByteArray();

for (const number of [0, 1, 2, 3, 4]) await ask(s3.PutObjectCommand, { Key: `many/${number}`, Body: "" });
const keys = [];
for await (const page of s3.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Prefix: "many/" })) {
  keys.push(...page.Contents.map((object) => ({ Key: object.Key })));
}
assert.equal(keys.length, 5);
const level = await ask(s3.ListObjectsV2Command, { Delimiter: "/" });
assert.deepEqual([level.CommonPrefixes.length, level.Contents.length], [2, 2]);
assert.equal((await ask(s3.DeleteObjectsCommand, { Delete: { Objects: keys } })).Deleted.length, 5);

await ask(s3.PutBucketVersioningCommand, { VersioningConfiguration: { Status: "Enabled" } });
const first = await ask(s3.PutObjectCommand, { Key: "v", Body: "one" });
await ask(s3.PutObjectCommand, { Key: "v", Body: "two" });
await ask(s3.DeleteObjectCommand, { Key: "v" });
const found = await ask(s3.ListObjectVersionsCommand, { Prefix: "v" });
assert.deepEqual([found.Versions.length, found.DeleteMarkers.length], [2, 1]);
const old = await ask(s3.GetObjectCommand, { Key: "v", VersionId: first.VersionId });
assert.equal(await old.Body.transformToString(), "one");
