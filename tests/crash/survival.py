"""What must be true of a folder after a power cut, whatever was not synced: ``test_power_cut.py``.

``store_damage`` belongs to the load of ``cutting.py``, ``kept_damage`` to that of ``keeping.py``,
``upload_damage`` to that of ``assembling.py``.
Each starts on what is left, as the next ``fogbank serve`` would, and returns what is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.crash import assembling, cutting, keeping
from tests.unit.services.s3.world import World

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.frames import Reader
from fogbank.engines.embedded.keyfile import PLAIN, Encryption
from fogbank.engines.embedded.keys import list_keys, read_keys
from fogbank.engines.embedded.manifest import backups_in
from fogbank.engines.embedded.migrate import find_identity
from fogbank.engines.embedded.restore import find_backup, require_whole
from fogbank.engines.embedded.spool import About, entries, read_groups_of
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.blobs.sweep import sweep
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.store.engine import Transaction

Said = list[list[str]]
"""The acknowledgements, word by word."""
Objects = dict[tuple[str, str], bytes]
"""The bodies of objects by bucket and key."""
GROWN = ("grown/", "renamed/")
"""Where an object is that grew, before and behind its rename."""


class Contents:
    """What a store holds after a start."""

    def __init__(self, rows: dict[str, bytes], blobs: dict[str, bytes], version: int) -> None:
        self.rows = rows
        self.blobs = blobs
        self.version = version

    def count_of(self, writer: int) -> int:
        return int(self.rows.get(f"a{writer}", b"0").rstrip(b"v"))


async def started(root: Path, store: Path, encryption: Encryption = cutting.SEALED) -> Contents:
    """Start on what is left, read everything, write on, and stop in order."""
    engine = await EmbeddedEngine.open(
        store,
        clock=SystemClock(),
        settings=cutting.settings(root),
        encryption=encryption,
    )
    try:

        async def rows(tr: Transaction) -> list[tuple[bytes, bytes]]:
            return await tr.range(cutting.P, cutting.P + b"\xff", limit=10_000)

        found = dict(await engine.store_of(cutting.DOMAIN).read(rows))
        named = {k[len(cutting.P) :].decode("latin-1"): v for k, v in found.items()}
        blobs: dict[str, bytes] = {}
        for name, raw in named.items():
            if name.startswith("blob"):
                ref = BlobRef(*map(int, raw.split()))
                parts = [part async for part in engine.blobs.read(ref)]
                blobs[name.removeprefix("blob")] = b"".join(parts)
        await sweep(engine.system_stores()[0], engine.blobs, engine.blobs.before_start())
        for writer in range(cutting.WRITERS):
            await cutting.write_row(engine, writer)
        return Contents(named, blobs, engine.figures().version)
    finally:
        await engine.close()
        if engine._archiver is not None:
            engine._archiver._thread.join()  # it may still be carrying


def store_damage(root: Path, said: Said, *, whole_pages: bool) -> Iterator[str]:
    """Yield what is wrong with a store that four writers, blobs and the archive were at."""
    store = root / "store"
    if whole_pages and store.exists() and find_identity(store) is not None:
        # A page that was written in part looks as if it was damaged, until a start has seen it.
        yield from check(store, cutting.SEALED)
    for about in archived(root):
        yield from entry_damage(root, about)
    contents = asyncio.run(started(root, store))
    yield from row_damage(contents, said)
    yield from blob_damage(contents, said)
    yield from archive_damage(root, contents.version)
    yield from check(store, cutting.SEALED)


def row_damage(contents: Contents, said: Said) -> Iterator[str]:
    counts = dict.fromkeys(range(cutting.WRITERS), 0)
    counts.update({int(words[1]): int(words[2]) for words in said if words[0] == "row"})
    for writer, count in counts.items():
        have = contents.count_of(writer)
        if have - count not in (0, 1):
            yield f"writer {writer}: {count} was acknowledged, {have} is there"
        for key in (f"a{writer}", f"z{writer}"):
            if have and contents.rows.get(key) != cutting.value(writer, have):
                yield f"{key} is not what was written with {have}"


def blob_damage(contents: Contents, said: Said) -> Iterator[str]:
    written = {words[1] for words in said if words[0] == "blob"}
    gone = {words[1] for words in said if words[0] == "gone"}
    for name in written - gone - contents.blobs.keys():
        if not name.endswith(cutting.DROPPED):  # its removal may be under way
            yield f"the blob {name} is lost"
    for name, data in contents.blobs.items():
        if data != cutting.body_of(name):
            yield f"the blob {name} is torn"
        if name in gone:
            yield f"the blob {name} is back"


def archived(root: Path) -> list[About]:
    log = root / "set" / "log"
    return entries(log) if log.is_dir() else []


def archive_damage(root: Path, version: int) -> Iterator[str]:
    """Yield what archive and spool lack of the log up to a version."""
    spooled = entries(root / "store" / "archive")
    known = 0
    for about in sorted(archived(root) + spooled, key=lambda each: each.first):
        if about.first > known + 1:
            yield f"the archive lacks {known + 1} to {about.first - 1}"
        known = max(known, about.last)
    if known < version:
        yield f"the archive ends at {known}, the store at {version}"


def entry_damage(root: Path, about: About) -> Iterator[str]:
    log = root / "set" / "log"
    try:
        read_groups_of(log, about)
        keys = read_keys(log, cutting.SEALED)
        for each in about.blobs:
            verify(root / "set" / "blobs", BlobRef(*each), keys)
    except Corrupt as error:
        yield str(error)


def verify(pool: Path, ref: BlobRef, keys: DataKeys) -> None:
    with Reader(pool, ref, keys) as reader:
        reader.verify()


def kept_damage(root: Path, said: Said, *, whole_pages: bool) -> Iterator[str]:
    """Yield what is wrong with backups, keys and a restored store."""
    del whole_pages
    done = {words[0]: words[1:] for words in said}
    if "key" in done and len(list_keys(root / "store", cutting.SEALED)) < 2:
        yield "the new key is lost"
    if "alone" in done:
        yield from backup_damage(root / keeping.ALONE, "alone")
    backups = [words[1] for words in said if words[0] == "backup"]
    # What is removed behind the restore may be gone or not, until that is acknowledged.
    for name in backups[-1:] if "restored" in done else backups:
        yield from backup_damage(root / "set", name)
    left = [manifest.head.name for manifest in backups_in(root / "set")]
    if "kept" in done and left != done["kept"]:
        yield f"a removed backup is back: {left}"
    if "restored" in done:
        copy = root / "copy"
        contents = asyncio.run(started(root, copy / "store"))
        if contents.count_of(0) < int(done["restored"][0]):
            yield f"{contents.count_of(0)} rows were restored of {done['restored'][0]}"
        yield from blob_damage(contents, [])
        if (copy / "tls" / "beside").read_text() != keeping.SECRET:
            yield "what stood beside the store is not what was written"
        return
    if "begun" in done:
        yield from half_damage(root, int(done["begun"][0]))
    if "plain" in done:
        contents = asyncio.run(started(root, root / "plain", PLAIN))
        if contents.count_of(0) < int(done["plain"][0]):
            yield "a row of the plain store is lost"
    if (root / "store").exists():
        contents = asyncio.run(started(root, root / "store"))
        if contents.count_of(0) < max((int(w[1]) for w in said if w[0] == "row"), default=0):
            yield "a row is lost"


def half_damage(root: Path, rows: int) -> Iterator[str]:
    """Yield whether a restore that was cut short is served as if it was none."""
    try:
        contents = asyncio.run(started(root, root / "copy" / "store"))
    except Corrupt:
        return
    if contents.count_of(0) < rows:
        yield f"a restore that was cut short is served with {contents.count_of(0)} rows"


def backup_damage(backups: Path, name: str) -> Iterator[str]:
    try:
        require_whole(backups, find_backup(backups, name))
    except Corrupt as error:
        yield str(error)


def upload_damage(root: Path, said: Said, *, whole_pages: bool) -> Iterator[str]:
    """Yield what is wrong with objects that were put, completed of parts, copied, and that grew."""
    store = root / "store"
    if whole_pages and store.exists() and find_identity(store) is not None:
        yield from check(store, cutting.SEALED)
    buckets = assembling.BUCKETS if ["bucket"] in said else ()
    objects, uploads = asyncio.run(held(root, buckets))
    yield from grown_damage(objects, said)
    yield from object_damage(objects, said)
    done = {words[2] for words in said if words[0] in ("done", "aborted")}
    yield from (f"the upload {name} is back" for name in uploads & done)
    yield from lost_uploads(objects, uploads | done, said)
    yield from check(store, cutting.SEALED)


def lost_uploads(objects: Objects, known: set[str], said: Said) -> Iterator[str]:
    """Yield uploads that were begun and are neither under way nor over."""
    for words in said:
        # What was to be aborted may have been, without a word.
        if words[0] != "begun" or "gone" in words[1]:
            continue
        if words[2] not in known and ("bucket", words[1]) not in objects:
            yield f"the upload {words[2]} of {words[1]} is lost"


def object_damage(objects: Objects, said: Said) -> Iterator[str]:
    for words in said:
        bucket = words[2] if words[0] == "object" and len(words) > 2 else "bucket"
        if words[0] in ("object", "done") and (bucket, words[1]) not in objects:
            yield f"{bucket}/{words[1]} is lost"
    for (bucket, key), body in objects.items():
        if key.startswith(GROWN):
            continue
        if body != assembling.content_of(key):
            yield f"{bucket}/{key} is torn"


def grown_damage(objects: Objects, said: Said) -> Iterator[str]:
    """Yield objects that lack a piece which was acknowledged, or lie at two keys or at none."""
    told = {words[1]: words for words in said if words[0] in ("grown", "renamed")}
    for _, key in objects:
        if key.startswith(GROWN):
            name = key.partition("/")[2]
            told.setdefault(name, ["grown", name, "0"])
    for name, (what, _, count) in told.items():
        found = [objects[at] for prefix in GROWN if (at := ("bucket", prefix + name)) in objects]
        allowed = assembling.pieces_of(name)[max(int(count), 1) - 1 :][:2]
        if len(found) != 1 or found[0] not in allowed:
            yield f"{name}, of which {count} pieces were acknowledged, is {list(map(len, found))}"
        if what == "renamed" and ("bucket", f"grown/{name}") in objects:
            yield f"{name} has its old key"


async def held(root: Path, buckets: Sequence[str]) -> tuple[Objects, set[str]]:
    """Start on what is left; return every object and the ids of the uploads under way."""
    engine = await assembling.open_engine(root)
    try:
        # First: what no row refers to must be nothing that an object needs.
        await sweep(engine.system_stores()[0], engine.blobs, engine.blobs.before_start())
        world = World(engine=engine, seed=100)
        objects: Objects = {}
        uploads: set[str] = set()
        for bucket in buckets:
            found = await world.call("list_objects_v2", Bucket=bucket)
            for each in found["Contents"]:
                objects[bucket, each["Key"]] = await world.get(each["Key"], bucket)
            begun = await world.call("list_multipart_uploads", Bucket=bucket)
            uploads |= {each["UploadId"] for each in begun["Uploads"]}
        return objects, uploads
    finally:
        await engine.close()
