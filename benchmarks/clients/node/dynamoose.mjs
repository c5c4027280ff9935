// Dynamoose: models with schemas, indexes, transactions and times to live.
// Argument: what its table is called by.
import assert from "node:assert/strict";
import dynamoose from "dynamoose";

const name = process.argv[2];
const schema = new dynamoose.Schema({
  artist: { type: String, hashKey: true },
  song: { type: String, rangeKey: true },
  genre: { type: String, index: { name: "by-genre", rangeKey: "year", type: "global" } },
  year: { type: Number, index: { name: "by-year", rangeKey: "year", type: "local" } },
  at: Date,
  bytes: Buffer,
  names: { type: Set, schema: [String] },
  of: { type: Object, schema: { y: Number, "ü": { type: Array, schema: [String] } } },
  plays: { type: Number, default: 0 },
}, { timestamps: true });
const Song = dynamoose.model(name, schema);
const table = new dynamoose.Table(name, [Song], { throughput: "ON_DEMAND", expires: { ttl: 3600, attribute: "until" }, initialize: false, waitForActive: { enabled: true, check: { timeout: 60_000, frequency: 100 } } });
await table.initialize();

const at = new Date(1_600_000_000_000);
const one = await Song.create({ artist: "Björk 🎻", song: "Jóga", genre: "x", year: 1997, at, bytes: Buffer.from([0, 255]), names: new Set(["a", "b"]), of: { y: 7, "ü": ["z"] } });
const back = await Song.get({ artist: one.artist, song: one.song });
assert.deepEqual([back.at, back.names, back.of, back.plays], [at, new Set(["a", "b"]), { y: 7, "ü": ["z"] }, 0]);
assert(Buffer.from(back.bytes).equals(Buffer.from([0, 255])));
await assert.rejects(Song.create({ artist: one.artist, song: one.song }), (error) => error.name === "ConditionalCheckFailedException");
const isY = new dynamoose.Condition().where("of.y").eq(7);
const changed = await Song.update({ artist: one.artist, song: one.song }, { $ADD: { plays: 3 }, $REMOVE: ["genre"], $SET: { year: 1998 } }, { condition: isY, return: "item" });
assert.deepEqual([changed.plays, changed.year, changed.genre], [3, 1998, undefined]);
await Promise.all(Array.from({ length: 30 }, () => Song.update({ artist: one.artist, song: one.song }, { $ADD: { plays: 1 } })));
assert.equal((await Song.get({ artist: one.artist, song: one.song }, { consistent: true })).plays, 33);

const songs = Array.from({ length: 60 }, (_, number) => ({ artist: `a${number % 3}`, song: `s${number}`, genre: number % 2 ? "odd" : "even", year: 1900 + number }));
for (let begin = 0; begin < 60; begin += 25) {
  const left = await Song.batchPut(songs.slice(begin, begin + 25));
  assert.deepEqual(left.unprocessedItems, []);
}
const odd = await Song.query("genre").eq("odd").where("year").ge(1930).using("by-genre").sort("descending").exec();
assert.deepEqual(odd.map((each) => each.year), Array.from({ length: 15 }, (_, at) => 1959 - 2 * at));
const early = await Song.query("artist").eq("a1").where("year").lt(1908).using("by-year").exec();
assert.deepEqual(early.map((each) => each.year), [1901, 1904, 1907]);
const first = await Song.query("artist").eq("a2").limit(15).exec();
const rest = await Song.query("artist").eq("a2").startAt(first.lastKey).exec();
assert.deepEqual([first.length, rest.length], [15, 5]);
assert.equal((await Song.scan("plays").eq(0).parallel(3).all().exec()).length, 60);
assert.equal((await Song.batchGet(songs.slice(0, 50).map(({ artist, song }) => ({ artist, song })))).length, 50);

await dynamoose.transaction([
  Song.transaction.create({ artist: "t", song: "1" }),
  Song.transaction.update({ artist: "a0", song: "s0" }, { $SET: { plays: 9 } }),
  Song.transaction.delete({ artist: "a1", song: "s1" }),
  Song.transaction.condition({ artist: "a2", song: "s2" }, new dynamoose.Condition().where("genre").eq("even")),
]);
assert.deepEqual([(await Song.get({ artist: "a0", song: "s0" })).plays, await Song.get({ artist: "a1", song: "s1" })], [9, undefined]);
await assert.rejects(dynamoose.transaction([
  Song.transaction.update({ artist: "a0", song: "s0" }, { $SET: { plays: 10 } }),
  Song.transaction.create({ artist: "t", song: "1" }),
]), (error) => error.name === "TransactionCanceledException");
assert.equal((await Song.get({ artist: "a0", song: "s0" })).plays, 9);
await Song.delete({ artist: "t", song: "1" });
assert.equal(await Song.get({ artist: "t", song: "1" }), undefined);
