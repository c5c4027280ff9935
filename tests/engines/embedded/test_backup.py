"""A backup holds exactly its cut, proves itself whole, and becomes a store again."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.engines.embedded.conftest import SEALED, opened
from tests.engines.embedded.test_archive import World, in_world
from tests.engines.embedded.test_archive import passed as archived

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Conflict, Corrupt, CutRevoked, Throttled
from fogbank.engines.embedded import place as place_module
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.cloud import CLOUD
from fogbank.engines.embedded.cut import BackupRequest, ReaderFailed
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.manifest import MANIFEST, backups_in, read_manifest
from fogbank.engines.embedded.place import place
from fogbank.engines.embedded.restore import begin_store, find_backup, require_whole, restore_store
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Transaction
from fogbank.platform.store.keyspace import OUTBOX, system_prefix

DOMAIN = Domain("account", "region")
P, END = DOMAIN.prefix, DOMAIN.prefix + b"\xff" * 8
BOX = system_prefix(OUTBOX, 3)


def put(name: bytes, value: bytes) -> Body[None]:
    async def body(tr: Transaction) -> None:
        tr.put(P + name, value)
        tr.append(BOX, name)

    return body


async def add_blob(engine: EmbeddedEngine, data: bytes) -> BlobRef:
    async def once() -> AsyncIterator[bytes]:
        yield data

    async def body(tr: Transaction) -> None:
        blob_rows.attach(tr, ref, len(data))
        tr.put(P + b"blob%d" % ref.number, b"")

    ref = await engine.blobs.name()
    await engine.blobs.write(ref, once())
    await engine.store_of(DOMAIN).transact(body)
    return ref


async def drop_blob(engine: EmbeddedEngine, ref: BlobRef) -> None:
    async def body(tr: Transaction) -> None:
        await blob_rows.release(tr, ref)

    await engine.store_of(DOMAIN).transact(body)


async def content(engine: EmbeddedEngine) -> dict[bytes, bytes]:
    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(P, END, limit=10_000)

    return {key[len(P) :]: value for key, value in await engine.store_of(DOMAIN).read(body)}


def restored(root: Path, into: Path, name: str = "") -> Path:
    manifest = find_backup(root, name)
    require_whole(root, manifest)
    begin_store(into)
    restore_store(root, manifest, into)
    return into


def reading(path: Path, *refs: BlobRef) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Return the rows of a restored store and the bytes of blobs."""

    async def run() -> tuple[dict[bytes, bytes], list[bytes]]:
        async with opened(path) as engine:
            bodies = [b"".join([part async for part in engine.blobs.read(ref)]) for ref in refs]
            return await content(engine), bodies

    return asyncio.run(run())


def a_backup(open_engine: Any, target: Path) -> tuple[dict[bytes, bytes], BlobRef]:
    """Make a store of some rows and a blob, and a backup of it."""

    async def run() -> tuple[dict[bytes, bytes], BlobRef]:
        async with open_engine() as engine:
            for n in range(50):
                await engine.store_of(DOMAIN).transact(put(b"row%d" % n, b"v" * n * 100))
            ref = await add_blob(engine, b"blob" * 400_000)
            await engine.back_up(BackupRequest(target, "first"))
            return await content(engine), ref

    return asyncio.run(run())


@pytest.mark.slow
def test_a_backup_becomes_a_store_of_the_same_content_and_the_next_incarnation(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    rows, ref = a_backup(open_engine, target)
    store = restored(target, tmp_path / "new")
    assert check(store, SEALED) == []
    assert reading(store, ref) == (rows, [b"blob" * 400_000])
    assert check(store, SEALED) == []

    async def run() -> None:
        async with opened(store) as engine:
            await engine.store_of(DOMAIN).transact(put(b"more", b"v"))
            entries = await engine.store_of(SYSTEM).tail(BOX, None, 1_000)
            # What is appended from now on lies behind all that there was.
            assert [value for _, value in entries[-2:]] == [b"row49", b"more"]
            assert entries[-1][0].incarnation == entries[-2][0].incarnation + 1
            new = await add_blob(engine, b"new")
            assert new == BlobRef(ref.incarnation + 1, 1)

    asyncio.run(run())
    assert check(store, SEALED) == []
    # The backup itself was not touched by the store that was made of it.
    require_whole(target, find_backup(target))


@pytest.mark.slow
def test_a_backup_under_load_holds_what_was_acknowledged_before_and_nothing_asked_after(
    open_engine: Any, tmp_path: Path
) -> None:
    """Four writers count in rows and blobs; the restored counts lie between the marks."""
    target = tmp_path / "backups"
    acknowledged = [0] * 4
    asked = [0] * 4

    async def write(engine: EmbeddedEngine, writer: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            n = asked[writer] = acknowledged[writer] + 1
            try:
                if n % 10 == 0:
                    await add_blob(engine, b"%d-%d" % (writer, n) * 30_000)
                await engine.store_of(DOMAIN).transact(put(b"w%d-%06d" % (writer, n), b"%d" % n))
                acknowledged[writer] = n
            except Throttled:
                continue

    async def run() -> None:
        async with open_engine(process=True) as engine:
            stop = asyncio.Event()
            writers = [asyncio.ensure_future(write(engine, n, stop)) for n in range(4)]
            try:
                for turn in range(2):
                    await asyncio.sleep(0.2)
                    before = list(acknowledged)
                    await engine.back_up(BackupRequest(target, f"turn{turn}"))
                    after = list(asked)
                    marks.append((before, after))
            finally:
                stop.set()
                await asyncio.gather(*writers)

    marks: list[tuple[list[int], list[int]]] = []
    asyncio.run(run())
    for turn, (before, after) in enumerate(marks):
        store = restored(target, tmp_path / f"new{turn}", f"turn{turn}")
        assert check(store, SEALED) == []
        rows, _ = reading(store)
        for writer in range(4):
            counts = [int(v) for k, v in rows.items() if k.startswith(b"w%d-" % writer)]
            assert sorted(counts) == list(range(1, len(counts) + 1))
            assert before[writer] <= len(counts) <= after[writer]
    first, second = (read_manifest(target / f"turn{turn}") for turn in range(2))
    shared = {path for path in first.files if path.startswith("blobs/")}
    assert shared
    assert shared <= second.files.keys()


@pytest.mark.slow
def test_a_second_backup_copies_only_new_blobs(open_engine: Any, tmp_path: Path) -> None:
    target = tmp_path / "backups"

    async def run() -> None:
        async with open_engine() as engine:
            old = await add_blob(engine, b"old" * 50_000)
            first = await engine.back_up(BackupRequest(target, "first"))
            assert (first.blobs, first.blobs_new) == (1, 1)
            new = await add_blob(engine, b"new" * 50_000)
            second = await engine.back_up(BackupRequest(target, "second"))
            assert (second.blobs, second.blobs_new) == (2, 1)
            await drop_blob(engine, old)
            system = engine.system_stores()[0]
            await blob_rows.drain_deletions(system, engine.blobs, 10, before=system.oldest_cut())
            third = await engine.back_up(BackupRequest(target, "third"))
            assert (third.blobs, third.blobs_new) == (1, 0)
            refs.extend((old, new))
            with pytest.raises(ReaderFailed, match="first"):
                await engine.back_up(BackupRequest(target, "first"))

    refs: list[BlobRef] = []
    asyncio.run(run())
    assert [each.head.name for each in backups_in(target)] == ["first", "second", "third"]
    bodies = reading(restored(target, tmp_path / "two", "second"), *refs)[1]
    assert bodies == [b"old" * 50_000, b"new" * 50_000]
    store = restored(target, tmp_path / "three")
    assert not path_of(store / "blobs", refs[0]).exists()
    assert check(store, SEALED) == []


@pytest.mark.slow
def test_a_blob_whose_deletion_was_queued_may_be_missing_and_no_other(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"

    async def run() -> None:
        async with open_engine() as engine:
            leaving = await add_blob(engine, b"leaving")
            await drop_blob(engine, leaving)
            await engine.blobs.delete(leaving)
            done = await engine.back_up(BackupRequest(target, "first"))
            assert done.blobs == 0
            lost = await add_blob(engine, b"lost")
            await engine.blobs.delete(lost)
            with pytest.raises(ReaderFailed, match="is missing, and the store refers to it"):
                await engine.back_up(BackupRequest(target, "second"))
            assert engine.system_stores()[0].oldest_cut() is None

    asyncio.run(run())
    assert [each.head.name for each in backups_in(target)] == ["first"]
    assert check(restored(target, tmp_path / "new"), SEALED) == []


@pytest.mark.slow
def test_a_damaged_backup_is_refused_and_the_file_is_named(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    a_backup(open_engine, target)
    whole = read_manifest(target / "first")
    assert {"first/rows.dump", "first/store/store.note", "first/store/keyring"} <= (
        whole.files.keys()
    )
    for name in [*whole.files, f"first/{MANIFEST}"]:
        path = target / name
        raw = path.read_bytes()
        for damaged in (raw[:-1], raw[: len(raw) // 2] + b"\1" + raw[len(raw) // 2 + 1 :]):
            path.unlink()  # the store's own blob may be the same file
            path.write_bytes(damaged)
            with pytest.raises(Corrupt, match=path.name):
                restored(target, tmp_path / "new")
            assert not (tmp_path / "new").exists()
        path.unlink()
        with pytest.raises(Corrupt, match=rf"{path.name}|no backup"):
            restored(target, tmp_path / "new")
        path.write_bytes(raw)
    # Lines that can be read and that nobody wrote: the hash over all of them tells.
    manifest = target / "first" / MANIFEST
    raw = manifest.read_bytes()
    manifest.write_bytes(raw.replace(b'"made_ms":1', b'"made_ms":2', 1))
    assert manifest.read_bytes() != raw
    with pytest.raises(Corrupt, match="its lines have another SHA-256"):
        restored(target, tmp_path / "new")
    manifest.write_bytes(raw)
    restored(target, tmp_path / "new")


@pytest.mark.slow
def test_rows_that_are_not_those_of_the_manifest_become_no_store(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    a_backup(open_engine, target)
    whole = read_manifest(target / "first")
    tail = msgspec.structs.replace(whole.tail, content="0" * len(whole.tail.content))
    begin_store(tmp_path / "new")
    with pytest.raises(Corrupt, match="are not those of the backup first"):
        restore_store(target, msgspec.structs.replace(whole, tail=tail), tmp_path / "new")
    with pytest.raises(Corrupt, match="cut short"):
        reading(tmp_path / "new")


@pytest.mark.slow
def test_a_backup_that_was_cut_short_is_none_and_the_next_one_does_not_mind(
    open_engine: Any, tmp_path: Path
) -> None:
    """The process that writes it is killed at a point that moves on."""
    target = tmp_path / "backups"

    async def run() -> int:
        cut_short = 0
        async with open_engine() as engine:
            for _ in range(12):
                await add_blob(engine, os.urandom(300_000))
            for turn in range(8):
                writing = asyncio.ensure_future(
                    engine.back_up(BackupRequest(target, f"turn{turn}", link=turn % 2 == 0))
                )
                await asyncio.sleep(0)
                with pytest.raises(Conflict):
                    await engine.back_up(BackupRequest(target, "other"))
                while not (target / f"turn{turn}").exists() and not writing.done():  # noqa: ASYNC110 (another process makes it)
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.002 * turn)
                for entry in engine._taker.cuts.entries():
                    engine._taker.cuts.revoke(entry, "the test wants it")
                with suppress(CutRevoked):
                    await writing
                    continue
                cut_short += 1
                assert not (target / f"turn{turn}" / MANIFEST).exists()
            await engine.back_up(BackupRequest(target, "last"))
        return cut_short

    assert asyncio.run(run()) > 0
    assert find_backup(target).head.name == "last"
    assert check(restored(target, tmp_path / "new"), SEALED) == []


@pytest.mark.slow
def test_a_restore_that_was_cut_short_leaves_no_store_that_opens(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backups"
    a_backup(open_engine, target)

    class Crash(BaseException):
        pass

    def crash(*_: Any) -> None:
        raise Crash

    steps = ("read_dump", "load_rows", "_copy_blobs", "make_ready", "_copy_beside")
    for name in (*steps, "write_identity"):
        with monkeypatch.context() as patch:
            patch.setattr(f"fogbank.engines.embedded.restore.{name}", crash)
            with pytest.raises(Crash):
                restored(target, tmp_path / "new")
        with pytest.raises(Corrupt, match="was cut short: remove it"):
            reading(tmp_path / "new")
        shutil.rmtree(tmp_path / "new")


@pytest.mark.slow
def test_a_backup_of_a_plain_store_and_one_of_a_newer_format(tmp_path: Path) -> None:
    target = tmp_path / "backups"

    async def run() -> None:
        engine = await EmbeddedEngine.open(
            tmp_path / "store", clock=SystemClock(), settings=Settings(segment_bytes=1 << 16)
        )
        await engine.store_of(DOMAIN).transact(put(b"row", b"in the open"))
        await engine.back_up(BackupRequest(target, "plain"))
        await engine.close()

    asyncio.run(run())
    assert b"in the open" in (target / "plain" / "rows.dump").read_bytes()
    store = restored(target, tmp_path / "new")
    assert check(store) == []
    manifest = find_backup(target)
    newer = type(manifest.head)(**{**_fields(manifest.head), "format": 99})
    with pytest.raises(Corrupt, match=r"of format 99; .* start a newer one"):
        require_whole(target, type(manifest)(newer, manifest.files, manifest.tail))


def _fields(head: Any) -> dict[str, Any]:
    return {name: getattr(head, name) for name in head.__struct_fields__}


def test_an_encrypted_store_is_as_sealed_in_its_backup(open_engine: Any, tmp_path: Path) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            await engine.store_of(DOMAIN).transact(put(b"row", b"secret words"))
            await engine.back_up(BackupRequest(tmp_path / "backups", "sealed"))

    asyncio.run(run())
    files = [path for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    assert [path for path in files if b"secret words" in path.read_bytes()] == []


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("can_link", [True, False])
def test_a_file_is_placed_whole_by_whatever_the_file_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, link: bool, can_link: bool
) -> None:
    if not can_link:
        monkeypatch.setattr(place_module, "_linked", lambda _source, _target: False)
    (tmp_path / "one").write_bytes(b"x" * 3_000_000)
    place(tmp_path / "one", tmp_path / "two", link=link)
    assert (tmp_path / "two").read_bytes() == b"x" * 3_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    same = (tmp_path / "one").stat().st_ino == (tmp_path / "two").stat().st_ino
    assert not same or (link and can_link)
    with pytest.raises(FileNotFoundError):
        place(tmp_path / "none", tmp_path / "three", link=link)


# Whose a set is.


@pytest.mark.slow
def test_two_clouds_never_share_a_backup_set(open_engine: Any, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    a_backup(open_engine, target)
    before = sorted(target.rglob("*"))

    async def another() -> None:
        async with opened(tmp_path / "another") as engine:
            await add_blob(engine, b"blob" * 400_000)  # of the same name and size
            with pytest.raises(ReaderFailed, match="holds the backups of another cloud"):
                await engine.back_up(BackupRequest(target, "second"))
            await engine.back_up(BackupRequest(tmp_path / "its own", "second"))

    asyncio.run(another())
    assert sorted(target.rglob("*")) == before


@pytest.mark.slow
def test_a_restored_store_goes_on_with_its_set_and_one_of_before_is_adopted(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    a_backup(open_engine, target)
    (target / CLOUD).unlink()  # as a program of format 2 left it
    store = restored(target, tmp_path / "restored")

    async def back_up(path: Path, name: str) -> None:
        async with opened(path) as engine:
            await engine.back_up(BackupRequest(target, name))

    asyncio.run(back_up(store, "second"))
    asyncio.run(back_up(tmp_path / "store", "third"))
    assert len(backups_in(target)) == 3


@pytest.mark.slow
def test_two_clouds_never_share_an_archive_of_the_log(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        await engine.back_up(BackupRequest(world.backups, "one"))
        await engine.close()
        world.store = tmp_path / "another"
        engine = await world.open(interval_ms=1)
        await engine.store_of(DOMAIN).transact(put(b"row", b"value"))
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await archived(engine)
        state = engine.archive_state
        assert state is not None
        assert "holds the backups of another cloud" in state.error
        await engine.close()
        assert not list((world.backups / "log").glob("*.json"))

    in_world(work, tmp_path)
