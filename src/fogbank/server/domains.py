"""Putting one domain back to what it was in a backup, or at a moment behind it; it wants no server.

The store is made of the backup once more, beside the data directory and without its blobs, and
rolled forward as a whole restore is. Then the rows of the domain there take the place of those that
are here now: what is not there goes, what differs is written, and blobs that are gone come back from
the pool under their names. Everything else in the data directory stays as it is.

Rule: only a backup of the same cloud will do, because blobs keep their names. Nothing is written
before the backup was found whole. Cut short, the domain is between the two; the same command again
ends what it began.

What belongs to a store and not to a domain stays as it is now: deliveries, timers and work under
way, the audit trail, and names in the directory (a bucket that was deleted is made again first).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import restore
from fogbank.engines.embedded.cloud import cloud_of
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.manifest import BLOBS
from fogbank.engines.embedded.place import make_folders, place, sync_folders
from fogbank.engines.embedded.rollforward import Until
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM, Domain, Store, Transaction
from fogbank.platform.store.keyspace import BLOB_DELETIONS, partition_of, shard_of, system_prefix
from fogbank.server import datadir
from fogbank.server.backups import store_settings
from fogbank.server.config import Config
from fogbank.server.restores import RestoreRefused, choose

PAGE_ROWS: Final = 200
PAGE_BYTES: Final = 2 << 20
KINDS: Final = {
    "s3": ("BUCKET",),
    "dynamodb": ("ACCOUNT", "REGION"),
    "lambda": ("ACCOUNT", "REGION"),
    "logs": ("ACCOUNT", "REGION"),
    "iam": ("ACCOUNT",),
}
"""What domains are called: the service, and what names one of its domains."""

Rows = list[tuple[bytes, bytes]]


class PutBack(NamedTuple):
    """What was done to a domain."""

    written: int
    """Rows that were missing or others."""
    removed: int
    """Rows that were not there then."""
    blobs: int
    """Blobs that came back."""


def domain_of(words: str) -> Domain:
    """Return the domain of a name such as ``s3/BUCKET`` or ``dynamodb/ACCOUNT/REGION``.

    Raises:
        RestoreRefused: There is no such kind of domain.
    """
    kind, *names = words.split("/")
    if len(names) != len(KINDS.get(kind, "?" * 9)) or not all(names):
        known = ", ".join("/".join((each, *parts)) for each, parts in KINDS.items())
        raise RestoreRefused(f"{words} names no domain: they are {known}")
    return Domain(kind, *names)


class Asked(NamedTuple):
    """What is to be put back."""

    backups: Path
    """The folder of the backup set."""
    name: str
    """Of the backup; empty: the newest, or the newest before ``until``."""
    domain: Domain
    until: Until | None
    """How far behind the backup; None: as it was in the backup."""


def put_back(asked: Asked, data_dir: Path, config: Config, encryption: Encryption) -> PutBack:
    """Put a domain of a data directory that no server uses back to what it was.

    Args:
        asked: Which domain, and to when.
        data_dir: The data directory.
        config: The settings in force.
        encryption: What opens the directory and the backup.

    Raises:
        RestoreRefused: The backup is not whole, or of another cloud.
        DirectoryInUse: A server uses the directory.
        KeyRefused: The secret opens one of the two and not the other.
    """
    stores = datadir.stores_of(data_dir)
    try:
        chosen = choose(asked.backups, asked.name, asked.until)
        if stores != chosen.stores:
            raise RestoreRefused(f"the backup is of {chosen.stores} stores; here are {stores or 0}")
        number = shard_of(asked.domain, chosen.stores) if chosen.stores > 1 else 0
        root, manifest = chosen.set_of(number), chosen.manifests[number]
        store_dir = datadir.store_dirs(data_dir, chosen.stores)[number]
        restore.require_whole(root, manifest)
        if cloud_of(root) != cloud_of(store_dir):
            raise RestoreRefused(f"{root} holds the backups of another cloud")
        beside = Path(tempfile.mkdtemp(prefix="restore-", dir=data_dir))
        try:
            then_dir = beside / "store"
            restore.begin_store(then_dir)
            restore.restore_store(root, manifest, then_dir, chosen.until[number], blobs=False)
            settings = store_settings(config, data_dir, number, keeps_spool=True)
            opening = Opening(store_dir, then_dir, root / BLOBS, encryption, settings)
            return asyncio.run(_put_back(opening, asked.domain))
        finally:
            shutil.rmtree(beside)
    except Corrupt as error:
        raise RestoreRefused(str(error)) from error


class Opening(NamedTuple):
    """What is opened."""

    now_dir: Path
    """The store of the data directory."""
    then_dir: Path
    """The store of the backup, without its blobs."""
    pool: Path
    """Where they lie."""
    encryption: Encryption
    settings: Settings


async def _put_back(opening: Opening, domain: Domain) -> PutBack:
    """Open both stores and make the domain of the one that of the other."""
    now_dir, then_dir, pool, encryption, settings = opening
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        opened: list[EmbeddedEngine] = []
        for folder, own in ((now_dir, settings), (then_dir, Settings())):
            engine = await EmbeddedEngine.open(
                folder, clock=clock, settings=own, encryption=encryption
            )
            stack.push_async_callback(engine.close)
            opened.append(engine)
        now, then = opened
        store, source = now.store_of(domain), then.store_of(domain)
        wanted = await _blobs_of(source, domain)
        await _keep_files(now.store_of(SYSTEM), domain, set(wanted))
        blobs = 0
        for ref, size in wanted.items():
            if not path_of(now_dir / BLOBS, ref).exists():
                await asyncio.to_thread(_bring, pool, now_dir, ref)
                blobs += 1
            if await now.blobs.verify(ref) != size:
                raise Corrupt(f"the blob {ref.incarnation}-{ref.number} is not of {size} bytes")
        written = await _write(store, source, domain)
        return PutBack(written, await _remove(store, source, domain), blobs)


def _bring(pool: Path, now_dir: Path, ref: BlobRef) -> None:
    """Bring a blob's file back from the pool."""
    source, target = path_of(pool, ref), path_of(now_dir / BLOBS, ref)
    make_folders(now_dir, target.parent)
    try:
        place(source, target, link=False)
    except FileNotFoundError:
        raise Corrupt(f"{source} is missing, and the domain refers to it") from None
    sync_folders(now_dir, {target.parent})


async def _page(store: Store, begin: bytes, end: bytes) -> Rows:
    """Return some rows from a key on, bounded in number and bytes."""

    async def body(tr: Transaction) -> Rows:
        found: Rows = []
        size = 0
        for key, value in await tr.range(begin, end, limit=PAGE_ROWS):
            found.append((key, value))
            size += len(key) + len(value)
            if size >= PAGE_BYTES:
                break
        return found

    return await store.read(body)


async def _blobs_of(store: Store, domain: Domain) -> dict[BlobRef, int]:
    """Return the blobs that a domain refers to, with their sizes."""
    prefix = domain.prefix + rows.ROWS.subspace
    begin, end = prefix, tuples.after_prefix(prefix)
    found: dict[BlobRef, int] = {}
    while page := await _page(store, begin, end):
        for key, value in page:
            found[rows.ref_of_row_key(key)] = rows.ROWS.decode(value).size
        begin = page[-1][0] + b"\0"
    return found


async def _keep_files(system: Store, domain: Domain, wanted: set[BlobRef]) -> None:
    """Take the deletions of blobs back that are wanted again."""
    prefix = system_prefix(BLOB_DELETIONS, partition_of(domain))
    begin, end = prefix, tuples.after_prefix(prefix)
    while page := await _page(system, begin, end):
        begin = page[-1][0] + b"\0"
        deletions = [(key, rows.decode_deletion(value)) for key, value in page]
        kept = [key for key, each in deletions if BlobRef(each.incarnation, each.number) in wanted]

        async def body(tr: Transaction, kept: list[bytes] = kept) -> None:
            for key in kept:
                tr.delete(key)

        await system.transact(body)


async def _write(store: Store, source: Store, domain: Domain) -> int:
    """Write what is missing or differs, with the entries of blobs; return how many rows."""
    begin, end, written = domain.prefix, tuples.after_prefix(domain.prefix), 0
    while page := await _page(source, begin, end):
        begin = page[-1][0] + b"\0"

        async def body(tr: Transaction, page: Rows = page) -> int:
            changed = 0
            have = await tr.get_many([key for key, _value in page])
            for key, value in page:
                if have.get(key) != value:
                    tr.put(key, value)
                    changed += 1
                    if key.startswith(tr.domain.prefix + rows.ROWS.subspace):
                        rows.expect_file(tr, rows.ref_of_row_key(key), rows.ROWS.decode(value))
            return changed

        written += await store.transact(body)
    return written


async def _remove(store: Store, source: Store, domain: Domain) -> int:
    """Remove what was not there then, with its blobs; return how many rows."""
    begin, end, removed = domain.prefix, tuples.after_prefix(domain.prefix), 0
    while page := await _page(store, begin, end):
        begin = page[-1][0] + b"\0"

        async def known(tr: Transaction, page: Rows = page) -> set[bytes]:
            return set(await tr.get_many([key for key, _value in page]))

        there = await source.read(known)
        gone = [key for key, _value in page if key not in there]

        async def body(tr: Transaction, gone: list[bytes] = gone) -> None:
            for key in gone:
                tr.delete(key)
                if key.startswith(tr.domain.prefix + rows.ROWS.subspace):
                    rows.queue_deletion(tr, rows.ref_of_row_key(key))

        if gone:
            await store.transact(body)
        removed += len(gone)
    return removed
