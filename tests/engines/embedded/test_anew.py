"""After a rotation everything stored comes under the newest key, and then no older key is needed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.engines.embedded.conftest import SEALED, opened
from tests.engines.embedded.test_archive import World, in_world
from tests.engines.embedded.test_archive import passed as archived
from tests.engines.embedded.test_backup import (
    DOMAIN,
    P,
    add_blob,
    content,
    drop_blob,
    put,
    reading,
    restored,
)
from tests.engines.embedded.test_encryption import copied

from fogbank.base.errors import Full
from fogbank.engines.embedded import rewriting, rows, turnover
from fogbank.engines.embedded.anew import AnewState
from fogbank.engines.embedded.check import check, examine
from fogbank.engines.embedded.checkpoint import Reseal
from fogbank.engines.embedded.cut import BackupRequest, CutReader, ReaderFailed
from fogbank.engines.embedded.frames import BESIDE, Reader, path_of
from fogbank.engines.embedded.keys import list_keys, read_keys, write_keyring
from fogbank.engines.embedded.manifest import read_manifest
from fogbank.engines.embedded.restore import require_whole
from fogbank.engines.embedded.retention import keep_newest
from fogbank.engines.embedded.rollforward import Until
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.platform.store.engine import Transaction

pytestmark = pytest.mark.slow

PLAIN = msgspec.structs.replace(SEALED, enabled=False)


def row_body(n: int) -> bytes:
    return b"v%d " % n * (n * 20)


async def fill(engine: EmbeddedEngine, begin: int = 0, end: int = 60) -> list[BlobRef]:
    for n in range(begin, end):
        await engine.store_of(DOMAIN).transact(put(b"row%d" % n, row_body(n)))
    cut = await engine.system_stores()[0].checkpoint("settled")
    await cut.release()
    return [await add_blob(engine, bytes([n]) * (700_000 * n)) for n in range(4)]


async def passed(engine: EmbeddedEngine, slice_bytes: int = 1 << 20) -> AnewState:
    """Let the pass go to its end."""
    for _ in range(1_000):
        if not await engine.anew.step(slice_bytes):
            break
    return engine.anew.state


def forget_old_keys(root: Path) -> None:
    """Leave the newest data key alone in the keyring."""
    write_keyring(root, list_keys(root, SEALED)[-1:], SEALED)


async def body_of(engine: EmbeddedEngine, ref: BlobRef) -> bytes:
    return b"".join([part async for part in engine.blobs.read(ref)])


def test_after_a_rotation_nothing_that_is_stored_needs_an_older_key(
    open_engine: Any, tmp_path: Path
) -> None:
    root = tmp_path / "store"

    async def run() -> tuple[dict[bytes, bytes], list[BlobRef]]:
        async with open_engine(process=True, segment_bytes=1 << 20) as engine:
            refs = await fill(engine)
            assert (await passed(engine)).is_done  # nothing was to be done
            await engine.keyring.rotate()
            state = engine.anew.state
            assert (state.key_id, state.is_done, state.rows, state.blobs) == (2, False, 0, 0)
            state = await passed(engine)
            assert state.is_done
            assert state.rows >= 60
            assert (state.blobs, state.damaged, state.error) == (4, 0, "")
            again = await fill(engine, 60, 70)
            rows_now = await content(engine)
        return rows_now, refs + again

    rows_before, refs = asyncio.run(run())
    forget_old_keys(root)
    assert check(root, SEALED) == []
    rows_after, bodies = reading(root, *refs)
    assert rows_after == rows_before
    assert bodies == [bytes([n % 4]) * (700_000 * (n % 4)) for n in range(8)]


def test_without_the_pass_the_older_key_is_needed(open_engine: Any, tmp_path: Path) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            await fill(engine)
            await engine.keyring.rotate()

    asyncio.run(run())
    forget_old_keys(tmp_path / "store")
    assert check(tmp_path / "store", SEALED)


def test_killed_at_any_step_it_goes_on_where_it_was(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes: list[Path] = []
    monkeypatch.setattr(rewriting, "FRAMES_MAX", 1)
    monkeypatch.setattr(turnover, "Reseal", lambda: Reseal(page_rows=10))

    async def run() -> dict[bytes, bytes]:
        async with open_engine(segment_bytes=1 << 22) as engine:
            await fill(engine, 0, 30)
            await engine.keyring.rotate()
            goes_on = True
            while goes_on:
                goes_on = await engine.anew.step(1)
                crashes.append(tmp_path / f"crash-{len(crashes)}")
                await copied(engine, crashes[-1])
            return await content(engine)

    async def resumed(path: Path) -> tuple[AnewState, AnewState, dict[bytes, bytes]]:
        async with opened(path) as engine:
            before = engine.anew.state
            return before, await passed(engine), await content(engine)

    whole = asyncio.run(run())
    assert any(list(path.rglob(f"*{BESIDE}")) for path in crashes)
    # When it has ended, not even the log needs the older key: a start after a kill shows it.
    killed = shutil.copytree(crashes[-1], tmp_path / "killed")
    forget_old_keys(killed)
    assert reading(killed)[0] == whole
    looked: list[int] = []
    for path in [*crashes[1:-1:3], crashes[-1]]:
        left = path / "blobs" / f"gone.blob{BESIDE}"  # its blob was removed meanwhile
        left.touch()
        before, after, found = asyncio.run(resumed(path))
        looked.append(before.rows)
        assert after.is_done
        assert found == whole
        assert list(path.rglob(f"*{BESIDE}")) == ([left] if before.is_done else [])
        left.unlink(missing_ok=True)
        forget_old_keys(path)
    assert check(crashes[-1], SEALED) == []
    assert looked == sorted(looked)
    assert looked[-1] > 30  # what was done before the kill was not done again


def test_writers_deletions_and_copies_go_on_beside_it(open_engine: Any, tmp_path: Path) -> None:
    root = tmp_path / "store"

    async def run() -> tuple[dict[bytes, bytes], list[BlobRef]]:
        async with open_engine() as engine:
            refs = await fill(engine)
            await engine.keyring.rotate()
            joined = await engine.blobs.name()
            is_done = False

            async def rotating() -> None:
                nonlocal is_done
                await passed(engine, 1)
                is_done = True

            async def writing() -> None:
                n = 0
                while not is_done or n < 20:
                    await engine.store_of(DOMAIN).transact(put(b"beside%d" % (n % 50), bytes(900)))
                    n += 1

            async def copying() -> None:
                # Frames of a blob that was not sealed anew yet come into a new one.
                size = await engine.blobs.concat(joined, [refs[3], refs[2]])

                async def body(tr: Transaction) -> None:
                    blob_rows.attach(tr, joined, size)

                await engine.store_of(DOMAIN).transact(body)

            async def deleting() -> None:
                await drop_blob(engine, refs[1])
                assert await blob_rows.drain_deletions(engine.system_stores()[0], engine.blobs, 10)

            async with asyncio.TaskGroup() as group:
                for work in (rotating, writing, copying, deleting):
                    group.create_task(work())
            return await content(engine), [*refs[2:], joined]

    rows_before, refs = asyncio.run(run())
    forget_old_keys(root)
    assert examine(root, SEALED).damage == []
    rows_after, bodies = reading(root, *refs)
    assert rows_after == rows_before
    assert bodies[2] == bodies[1] + bodies[0]


def test_a_blob_that_is_copied_from_after_it_was_passed_is_passed_once_more(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            old = await add_blob(engine, bytes(2 * FRAME_BYTES))
            await engine.keyring.rotate()
            newest = engine.blobs.newest()
            while not (engine.anew.state.are_rows_done and engine.anew.state.upto):
                assert await engine.anew.step(1)
            assert engine.anew.state.upto == newest.number
            copy = await engine.blobs.name()
            await engine.blobs.concat(copy, [old])

            async def body(tr: Transaction) -> None:
                blob_rows.attach(tr, copy, 2 * FRAME_BYTES)

            await engine.store_of(DOMAIN).transact(body)
            assert (await passed(engine, 1)).blobs == 2
            with Reader(tmp_path / "store" / "blobs", copy, engine._opened.keys) as reader:
                assert reader.key_ids() == {2}

    asyncio.run(run())


def test_it_waits_for_a_blob_that_is_being_written_with_the_older_key(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            go_on = asyncio.Event()

            async def slow() -> AsyncIterator[bytes]:
                yield bytes(2 * FRAME_BYTES)
                await go_on.wait()

            ref = await engine.blobs.name()
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.blobs.write(ref, slow()))
                while not path_of(tmp_path / "store" / "blobs", ref).exists():  # noqa: ASYNC110 (a thread)
                    await asyncio.sleep(0.001)
                await engine.keyring.rotate()
                for _ in range(20):
                    assert await engine.anew.step(1 << 20)
                assert not engine.anew.state.is_done
                assert engine.anew.state.damaged == 0
                go_on.set()
            state = await passed(engine)
            assert (state.is_done, state.blobs, state.damaged) == (True, 1, 0)

    asyncio.run(run())


def test_what_lay_open_is_sealed_when_encryption_is_turned_on(tmp_path: Path) -> None:
    root = tmp_path / "store"
    planted = b"the planted plaintext"

    async def run(work: Callable[[EmbeddedEngine], Awaitable[Any]], **how: Any) -> Any:
        async with opened(root, **how) as engine:
            return await work(engine)

    async def plant(engine: EmbeddedEngine) -> BlobRef:
        await engine.store_of(DOMAIN).transact(put(b"row", planted))
        return await add_blob(engine, planted * 50_000)

    async def back_up(engine: EmbeddedEngine) -> None:
        await engine.back_up(BackupRequest(tmp_path / "set", "open"))

    ref = asyncio.run(run(plant, encryption=PLAIN))
    asyncio.run(run(back_up, encryption=PLAIN))
    path = path_of(root / "blobs", ref)
    assert planted in path.read_bytes()
    state = asyncio.run(run(passed))
    assert state.is_done
    assert state.blobs == 1
    assert planted not in path.read_bytes()
    assert check(root, SEALED) == []
    found, bodies = reading(root, ref)
    assert (found[b"row"], bodies) == (planted, [planted * 50_000])

    async def back_up_again(engine: EmbeddedEngine) -> int:
        return (await engine.back_up(BackupRequest(tmp_path / "set", "sealed"))).blobs_new

    # The pool keeps the file that the first backup names, and the second one names it too.
    assert asyncio.run(run(back_up_again)) == 0
    for name in ("open", "sealed"):
        require_whole(tmp_path / "set", read_manifest(tmp_path / "set" / name))
    again = restored(tmp_path / "set", tmp_path / "again", "sealed")

    async def whole(engine: EmbeddedEngine) -> tuple[AnewState, bytes]:
        assert not engine.anew.state.is_done
        return await passed(engine), await body_of(engine, ref)

    async def in_again() -> tuple[AnewState, bytes]:
        async with opened(again) as engine:
            return await whole(engine)

    state, body = asyncio.run(in_again())
    assert (state.blobs, body) == (1, planted * 50_000)


def test_what_is_damaged_is_left_as_it_lies_and_said(
    open_engine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "store"

    async def fill_and_rotate() -> list[BlobRef]:
        async with open_engine() as engine:
            refs = await fill(engine)
            await engine.keyring.rotate()
            return refs

    refs = asyncio.run(fill_and_rotate())
    path = path_of(root / "blobs", refs[2])
    raw = bytearray(path.read_bytes())
    raw[5] ^= 1
    path.write_bytes(raw)
    env = rows.open_rows(root / "rows")
    with env.begin(write=True) as txn:
        key = P + b"row7"
        value = bytearray(txn.get(key) or b"")
        value[-1] ^= 1
        txn.put(key, bytes(value))
    env.close()
    (root / "rows" / rows.SUMS).unlink()
    (root / "rows" / rows.LOCK).unlink()

    async def go() -> AnewState:
        async with open_engine() as engine:
            state = await passed(engine)
            with pytest.raises(KeyRefused, match="2 rows or blobs are damaged"):
                await engine.drop_keys()
            return state

    state = asyncio.run(go())
    assert (state.is_done, state.damaged, state.blobs) == (True, 2, 3)
    assert path.read_bytes() == raw
    assert "a blob cannot be sealed anew" in caplog.text
    # Of what is damaged it is still told which it is.
    damage = "\n".join(check(root, SEALED))
    assert "row7" in damage
    assert str(path) in damage


def test_a_full_disk_puts_it_off_and_it_goes_on_later(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        async with open_engine() as engine:
            refs = await fill(engine)
            await engine.keyring.rotate()
            while not engine.anew.state.are_rows_done:
                assert await engine.anew.step(1)
            with monkeypatch.context() as patch:
                patch.setattr(rewriting.Writer, "feed", full)
                with pytest.raises(Full):
                    await passed(engine)
            assert not list((tmp_path / "store").rglob(f"*{BESIDE}"))
            state = await passed(engine)
            assert (state.is_done, state.blobs, state.damaged) == (True, 4, 0)
            assert await body_of(engine, refs[1]) == b"\1" * 700_000

    asyncio.run(run())


def test_a_second_rotation_begins_it_again(open_engine: Any, tmp_path: Path) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            await fill(engine)
            await engine.keyring.rotate()
            for _ in range(4):
                assert await engine.anew.step(1)
            await engine.keyring.rotate()
            state = await passed(engine)
            assert (state.key_id, state.is_done, state.blobs) == (3, True, 4)

    asyncio.run(run())
    forget_old_keys(tmp_path / "store")
    assert read_keys(tmp_path / "store", SEALED).active == 3
    assert check(tmp_path / "store", SEALED) == []


def test_while_the_rows_stand_still_for_a_cut_none_is_sealed_anew(
    open_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        standing, go_on = asyncio.Event(), asyncio.Event()
        begin = CutReader.begin

        async def slowly(reader: CutReader) -> int:
            standing.set()
            await go_on.wait()
            return await begin(reader)

        async with open_engine() as engine:
            await fill(engine)
            await engine.keyring.rotate()
            monkeypatch.setattr(CutReader, "begin", slowly)
            async with asyncio.TaskGroup() as group:
                cut = group.create_task(engine.system_stores()[0].checkpoint("slow"))
                await standing.wait()
                step = group.create_task(engine.anew.step(1))
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not step.done()
                assert engine.anew.state.rows == 0
                go_on.set()
            await cut.result().release()
            assert engine.anew.state.rows > 0

    asyncio.run(run())


# Dropping keys.


def test_older_keys_go_when_nothing_needs_them_and_not_before(
    open_engine: Any, tmp_path: Path
) -> None:
    root, target = tmp_path / "store", tmp_path / "set"

    async def run() -> list[BlobRef]:
        async with open_engine(process=True, segment_bytes=1 << 20) as engine:
            refs = await fill(engine)
            await engine.back_up(BackupRequest(target, "before"))
            await engine.keyring.rotate()
            with pytest.raises(KeyRefused, match="still being sealed anew"):
                await engine.drop_keys()
            assert (await passed(engine)).is_done
            cut = await engine.system_stores()[0].checkpoint("reading")
            with pytest.raises(KeyRefused, match="is being read"):
                await engine.drop_keys()
            await cut.release()
            assert await engine.drop_keys() == [1]
            assert [key.id for key in await engine.keyring.keys()] == [2]
            assert await engine.drop_keys() == []
            # Everything goes on: log, rows and blobs.
            refs += await fill(engine, 60, 70)
            assert await body_of(engine, refs[1]) == b"\1" * 700_000
            # The older backup's files in the pool need the key that is gone.
            with pytest.raises(ReaderFailed, match="take the next backup into a new folder"):
                await engine.back_up(BackupRequest(target, "after"))
            await engine.back_up(BackupRequest(tmp_path / "new set", "after"))
            return refs

    refs = asyncio.run(run())
    assert [key.id for key in list_keys(root, SEALED)] == [2]
    assert check(root, SEALED) == []
    for folder, name in ((target, "before"), (tmp_path / "new set", "after")):
        _rows, bodies = reading(restored(folder, tmp_path / f"from {name}", name), *refs[:4])
        assert bodies == [bytes([n]) * (700_000 * n) for n in range(4)]


def test_older_keys_that_the_archived_log_needs_do_not_go(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        await engine.back_up(BackupRequest(world.backups, "before"))
        await add_blob(engine, bytes(200_000))
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await archived(engine)
        await engine.keyring.rotate()
        assert (await passed(engine)).is_done
        await archived(engine)
        with pytest.raises(KeyRefused, match="needed by the archived log in"):
            await engine.drop_keys()
        await engine.close()
        world.backups = tmp_path / "new set"
        engine = await world.open(interval_ms=1)
        await engine.back_up(BackupRequest(world.backups, "after"))
        await engine.store_of(DOMAIN).transact(put(b"last", b"value"))
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await archived(engine)
        assert await engine.drop_keys() == [1]
        await engine.store_of(DOMAIN).transact(put(b"very last", b"value"))
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await archived(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    found, _bodies = reading(world.restored(Until()))
    assert {b"last", b"very last"} <= found.keys()


def test_a_backup_from_before_the_end_keeps_the_keys_of_the_log_behind_it(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        async with opened(world.store) as engine:
            await add_blob(engine, bytes(200_000))
        engine = await world.open(interval_ms=1)
        await engine.keyring.rotate()
        cut = await engine.system_stores()[0].checkpoint("settled")
        await cut.release()
        await engine.back_up(BackupRequest(world.backups, "early"))
        assert (await passed(engine)).is_done
        await archived(engine)
        with pytest.raises(KeyRefused, match="the backup early and the log behind it"):
            await engine.drop_keys()
        await engine.store_of(DOMAIN).transact(put(b"later", b"value"))
        await engine.back_up(BackupRequest(world.backups, "late"))
        keep_newest(world.backups, 1, 1)
        with pytest.raises(KeyRefused, match="needed by blobs of backups in"):
            await engine.drop_keys()
        await engine.close()

    in_world(work, tmp_path)
