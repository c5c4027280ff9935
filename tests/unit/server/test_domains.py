"""One domain is put back to what it was in a backup or at a moment behind it, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines.embedded.test_archive import World
from tests.engines.embedded.test_archive import passed as archived

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.rollforward import Until
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.server import domains
from fogbank.server.config import Config
from fogbank.server.domains import Asked, PutBack, domain_of, put_back
from fogbank.server.restores import RestoreRefused

pytestmark = pytest.mark.slow

MINE, OTHER = domain_of("s3/mine"), domain_of("s3/other")
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
LARGE = b"large" * 60_000


class Owned:
    """A data directory with one store."""

    def __init__(self, path: Path) -> None:
        self.data_dir = path / "data"
        self.backups = path / "backups"
        self.data_dir.mkdir()

    async def opened(self) -> EmbeddedEngine:
        return await EmbeddedEngine.open(
            self.data_dir / "store", clock=SystemClock(), encryption=SEALED
        )

    def put_back(self, domain: Domain = MINE, until: Until | None = None) -> PutBack:
        return put_back(Asked(self.backups, "", domain, until), self.data_dir, Config(), SEALED)


async def put(engine: EmbeddedEngine, domain: Domain, name: bytes, value: bytes | None) -> None:
    async def body(tr: Transaction) -> None:
        if value is None:
            tr.delete(domain.prefix + name)
        else:
            tr.put(domain.prefix + name, value)

    await engine.store_of(domain).transact(body)


async def add_blob(engine: EmbeddedEngine, domain: Domain) -> BlobRef:
    async def once() -> AsyncIterator[bytes]:
        yield LARGE

    ref = await engine.blobs.name()
    await engine.blobs.write(ref, once())

    async def body(tr: Transaction) -> None:
        rows.attach(tr, ref, len(LARGE))

    await engine.store_of(domain).transact(body)
    return ref


async def drop_blob(engine: EmbeddedEngine, domain: Domain, ref: BlobRef) -> None:
    async def body(tr: Transaction) -> None:
        await rows.release(tr, ref)

    await engine.store_of(domain).transact(body)


async def rows_of(engine: EmbeddedEngine, domain: Domain) -> dict[bytes, bytes]:
    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(domain.prefix, domain.prefix + b"\xff" * 9, limit=1_000)

    found = await engine.store_of(domain).read(body)
    return {key[len(domain.prefix) :]: value for key, value in found}


def test_a_domain_is_put_back_with_its_blobs_and_no_other_is_touched(tmp_path: Path) -> None:
    owned = Owned(tmp_path)
    wanted: list[dict[bytes, bytes]] = []
    refs: list[BlobRef] = []

    async def before() -> None:
        engine = await owned.opened()
        for n in range(500):
            await put(engine, MINE, b"row%03d" % n, b"then" * 100)
        refs.extend([await add_blob(engine, MINE) for _ in range(2)])
        wanted.append(await rows_of(engine, MINE))
        await engine.back_up(BackupRequest(owned.backups, "then"))
        # What goes wrong afterwards, and what others do meanwhile.
        await put(engine, MINE, b"row001", b"spoiled")
        await put(engine, MINE, b"row002", None)
        await put(engine, MINE, b"new", b"new")
        await drop_blob(engine, MINE, refs[0])
        assert await rows.drain_deletions(engine.system_stores()[0], engine.blobs, 9) == 1
        await drop_blob(engine, MINE, refs[1])  # its deletion is still queued
        refs.append(await add_blob(engine, MINE))
        await put(engine, OTHER, b"row", b"of another")
        wanted.append(await rows_of(engine, OTHER))
        await engine.close()

    async def after() -> None:
        engine = await owned.opened()
        assert await rows_of(engine, MINE) == wanted[0]
        assert await rows_of(engine, OTHER) == wanted[1]
        # The one that came later goes, and the others stay though they were to go.
        assert await rows.drain_deletions(engine.system_stores()[0], engine.blobs, 9) == 1
        for ref in refs[:2]:
            body = b"".join([part async for part in engine.blobs.read(ref)])
            assert body == LARGE
        assert [ref for ref, _size in await engine.blobs.list(None, 9)] == refs[:2]
        await engine.close()

    asyncio.run(before())
    done = owned.put_back()
    # Two rows and those of two blobs; the new row and that of the new blob.
    assert done == PutBack(written=4, removed=2, blobs=1)
    asyncio.run(after())
    assert check(owned.data_dir / "store", SEALED) == []
    assert owned.put_back() == PutBack(written=0, removed=0, blobs=0)
    assert [path.name for path in owned.data_dir.iterdir()] == ["store"]


def test_the_file_of_a_blob_is_durable_before_the_domain_refers_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned, steps = Owned(tmp_path), [""]
    sync_folders, expect_file = domains.sync_folders, rows.expect_file

    async def lose() -> BlobRef:
        engine = await owned.opened()
        ref = await add_blob(engine, MINE)
        await engine.back_up(BackupRequest(owned.backups, "one"))
        await drop_blob(engine, MINE, ref)
        assert await rows.drain_deletions(engine.system_stores()[0], engine.blobs, 9) == 1
        await engine.close()
        return ref

    def synced(root: Path, folders: set[Path]) -> None:
        sync_folders(root, folders)
        steps.extend(str(folder) for folder in folders)

    def expected(tr: Transaction, ref: BlobRef, row: rows.BlobRow) -> None:
        steps.append("referred to")
        expect_file(tr, ref, row)

    path = path_of(owned.data_dir / "store" / "blobs", asyncio.run(lose()))
    monkeypatch.setattr(domains, "sync_folders", synced)
    monkeypatch.setattr(rows, "expect_file", expected)
    owned.put_back()
    assert steps[1:] == [str(path.parent), "referred to"]


def test_a_domain_is_put_back_to_a_moment_behind_the_backup(tmp_path: Path) -> None:
    owned = Owned(tmp_path)
    world = World(tmp_path)
    world.store = owned.data_dir / "store"
    moments: list[Until] = []
    refs: list[BlobRef] = []

    async def lived() -> None:
        engine = await world.open()

        async def later() -> None:
            """Let the log that there is be archived, and some time pass."""
            world.clock.advance_to(world.clock.now_ms() + 60_000)
            await archived(engine)
            moments.append(Until(time_ms=world.clock.now_ms()))

        await put(engine, MINE, b"row", b"in the backup")
        await put(engine, OTHER, b"row", b"in the backup")
        await engine.back_up(BackupRequest(owned.backups, "base"))
        world.clock.advance_to(world.clock.now_ms() + 60_000)
        await put(engine, MINE, b"row", b"after it")
        refs.append(await add_blob(engine, MINE))
        await later()
        await put(engine, MINE, b"row", b"spoiled")
        await put(engine, MINE, b"new", b"new")
        await drop_blob(engine, MINE, refs[0])
        await put(engine, OTHER, b"row", b"of another")
        await later()
        assert await rows.drain_deletions(engine.system_stores()[0], engine.blobs, 9) == 1
        await engine.close()

    async def found() -> tuple[bytes, bytes | None, bytes]:
        engine = await world.open()
        mine, other = await rows_of(engine, MINE), await rows_of(engine, OTHER)
        if b"new" not in mine:
            assert b"".join([part async for part in engine.blobs.read(refs[0])]) == LARGE
        await engine.close()
        return mine[b"row"], mine.get(b"new"), other[b"row"]

    asyncio.run(lived())
    assert owned.put_back(until=moments[0]) == PutBack(written=2, removed=1, blobs=1)
    assert asyncio.run(found()) == (b"after it", None, b"of another")
    # Forward again: what was archived last, which the domain had before it was put back.
    assert owned.put_back(until=moments[1]) == PutBack(written=2, removed=1, blobs=0)
    assert asyncio.run(found()) == (b"spoiled", b"new", b"of another")
    with pytest.raises(RestoreRefused, match="no backup"):
        owned.put_back(until=Until(time_ms=0))
    assert check(owned.data_dir / "store", SEALED) == []


def test_a_backup_of_another_cloud_or_that_is_not_whole_changes_nothing(tmp_path: Path) -> None:
    owned, another = Owned(tmp_path), tmp_path / "another"
    another.mkdir()
    stranger = Owned(another)

    async def fill(each: Owned) -> BlobRef:
        engine = await each.opened()
        await put(engine, MINE, b"row", b"value")
        ref = await add_blob(engine, MINE)
        await engine.back_up(BackupRequest(each.backups, "one"))
        await put(engine, MINE, b"row", b"later")
        await engine.close()
        return ref

    async def now() -> bytes:
        engine = await owned.opened()
        try:
            return (await rows_of(engine, MINE))[b"row"]
        finally:
            await engine.close()

    ref = asyncio.run(fill(owned))
    asyncio.run(fill(stranger))
    own, owned.backups = owned.backups, stranger.backups
    with pytest.raises(RestoreRefused, match="holds the backups of another cloud"):
        owned.put_back()
    owned.backups = own
    path = path_of(own / "blobs", ref)
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw[:-1] + b"x")
    with pytest.raises(RestoreRefused, match="is not what was written"):
        owned.put_back()
    assert asyncio.run(now()) == b"later"


@pytest.mark.parametrize("words", ["", "s3", "s3/", "s3/a/b", "ec2/a", "dynamodb/111122223333"])
def test_what_names_no_domain_is_refused_with_what_would(words: str) -> None:
    with pytest.raises(RestoreRefused, match="dynamodb/ACCOUNT/REGION"):
        domain_of(words)
