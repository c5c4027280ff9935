"""Blob files: damage is found, names survive, orphans are swept, a full disk leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Full
from fogbank.base.ids import Ids
from fogbank.engines.embedded import files, frames
from fogbank.engines.embedded.blobs import NUMBERS_BLOCK, FileBlobs, blob_files
from fogbank.engines.embedded.check import check, examine
from fogbank.engines.embedded.frames import path_of, ref_of
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.blobs.sweep import sweep
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Domain, Transaction

DOMAIN = Domain("bucket")
SETTINGS = Settings(segment_bytes=1 << 16)
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
KEYS = DataKeys({1: bytes(range(32))}, active=1, draw=Ids().random_bytes)
PLAIN = DataKeys({}, active=None, draw=Ids().random_bytes)


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def kept(engine: Any, body: bytes) -> BlobRef:
    """Write a blob and its row."""
    ref = await engine.blobs.name()
    size = await engine.blobs.write(ref, once(body))

    async def attach(tr: Transaction) -> None:
        rows.attach(tr, ref, size)

    await engine.store_of(DOMAIN).transact(attach)
    return ref


async def read_into(blobs: FileBlobs, ref: BlobRef, got: list[bytes]) -> None:
    # Not a comprehension: what came before the damage must be looked at too.
    async for chunk in blobs.read(ref):
        got += [chunk]


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x01]))


def in_blobs(folder: Path, check_blobs: Any, keys: DataKeys = KEYS) -> None:
    async def run() -> None:
        blobs = FileBlobs(folder, 1, keys)
        try:
            await check_blobs(blobs)
        finally:
            await blobs.close()

    asyncio.run(run())


def test_names_and_places_of_blobs_agree(tmp_path: Path) -> None:
    for number in (1, 4_095, 4_096, (1 << 24) - 1, 1 << 24, 1 << 40):
        ref = BlobRef(3, number)
        assert ref_of(tmp_path, path_of(tmp_path, ref)) == ref
    for name in ("0001/0/000/001.blob", "0001/0000000000/000/001", "x", "a/b/c/d.blob"):
        assert ref_of(tmp_path, tmp_path / name) is None


@pytest.fixture(params=["at hand", "on the disk"])
def read_from(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the kernel has the bytes of files that are read: not every file system can tell."""

    def read_at_hand(fd: int, buffer: memoryview, offset: int) -> bool:
        if request.param == "on the disk":
            return False
        return os.preadv(fd, [buffer], offset) == len(buffer)

    monkeypatch.setattr(frames, "read_at_hand", read_at_hand)
    return request.param


@pytest.mark.parametrize("keys", [KEYS, PLAIN], ids=["sealed", "plain"])
@pytest.mark.usefixtures("read_from")
def test_any_changed_byte_of_a_blob_is_found_before_it_leaves(
    tmp_path: Path, keys: DataKeys
) -> None:
    async def run(blobs: FileBlobs) -> None:
        ref = await blobs.name()
        await blobs.write(ref, once(b"b" * (FRAME_BYTES + 100)))
        path = path_of(tmp_path, ref)
        size = path.stat().st_size
        for offset in (0, FRAME_BYTES, FRAME_BYTES + 99, *range(FRAME_BYTES + 100, size)):
            flip(path, offset)
            with pytest.raises(Corrupt):
                await blobs.verify(ref)
            got: list[bytes] = []
            with pytest.raises(Corrupt):
                await read_into(blobs, ref, got)
            assert b"".join(got) in (b"", b"b" * FRAME_BYTES)
            flip(path, offset)
        assert await blobs.verify(ref) == FRAME_BYTES + 100

    in_blobs(tmp_path, run, keys)


def test_frames_that_the_kernel_has_in_memory_take_no_thread_and_the_others_do(
    tmp_path: Path, read_from: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    opened = frames.Reader._opened

    def noted(self: frames.Reader, *arguments: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return opened(self, *arguments)

    async def run(blobs: FileBlobs) -> None:
        ref = await blobs.name()
        body = os.urandom(2 * FRAME_BYTES + 5)
        await blobs.write(ref, once(body))
        for begin, end in ((0, None), (3, FRAME_BYTES + 7), (FRAME_BYTES, len(body))):
            pieces = [piece async for piece in blobs.read(ref, begin, end)]
            assert b"".join(pieces) == body[begin:end]
        at_hand = [name == threading.current_thread().name for name in threads]
        assert at_hand == [read_from == "at hand"] * 7

    monkeypatch.setattr(frames.Reader, "_opened", noted)
    in_blobs(tmp_path, run)


@pytest.mark.parametrize("outcome", [errno.EAGAIN, errno.EOPNOTSUPP, 7])
def test_bytes_of_which_the_kernel_has_a_part_or_cannot_tell_are_not_at_hand(
    monkeypatch: pytest.MonkeyPatch, outcome: int
) -> None:
    """preadv2(2): RWF_NOWAIT reads what is there, and EAGAIN says that nothing is."""

    def preadv(_fd: int, _buffers: list[memoryview], _offset: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        if outcome == 7:
            return outcome
        raise OSError(outcome, "")

    monkeypatch.setattr(os, "preadv", preadv)
    assert files.read_at_hand(0, memoryview(bytearray(8)), 0) is False


def test_a_disk_that_cannot_read_is_an_error_also_where_nothing_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def preadv(*_: Any) -> int:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(OSError, match=str(errno.EIO)):
        files.read_at_hand(0, memoryview(bytearray(8)), 0)


def test_others_have_their_turn_between_two_frames(tmp_path: Path) -> None:
    async def run(blobs: FileBlobs) -> None:
        ref = await blobs.name()
        await blobs.write(ref, once(bytes(8 * FRAME_BYTES)))
        turns: list[str] = []

        async def reads() -> None:
            async for _ in blobs.read(ref):
                turns.append("frame")  # noqa: PERF401 (each when it comes)

        async def others() -> None:
            while turns.count("frame") < 8:
                turns.append("other")
                await asyncio.sleep(0)

        await asyncio.gather(reads(), others())
        assert "frame frame" not in " ".join(turns)

    in_blobs(tmp_path, run)


def test_a_truncated_and_a_strange_file_are_not_served(tmp_path: Path) -> None:
    async def run(blobs: FileBlobs) -> None:
        one, other = await blobs.name(), await blobs.name()
        await blobs.write(one, once(b"1" * 1_000))
        await blobs.write(other, once(b"2" * 1_000))
        shutil.copy(path_of(tmp_path, one), path_of(tmp_path, other))
        with pytest.raises(Corrupt):
            await blobs.verify(other)
        for size in (1_001, 999, 40, 1, 0):
            os.truncate(path_of(tmp_path, one), size)
            with pytest.raises(Corrupt):
                await blobs.verify(one)

    in_blobs(tmp_path, run)


def test_numbers_go_on_behind_the_last_block_after_a_restart(tmp_path: Path) -> None:
    seen: list[BlobRef] = []

    async def run(blobs: FileBlobs) -> None:
        before = blobs.before_start()
        seen.extend([await blobs.name() for _ in range(3)])
        assert before < seen[-3]

    for _ in range(3):
        in_blobs(tmp_path, run)
    assert seen == sorted(set(seen))
    assert seen[-1].number == 2 * NUMBERS_BLOCK + 3


def test_damage_that_came_before_a_concatenation_is_found_after_it(tmp_path: Path) -> None:
    async def run(blobs: FileBlobs) -> None:
        part, whole = await blobs.name(), await blobs.name()
        await blobs.write(part, once(b"b" * FRAME_BYTES * 2))
        flip(path_of(tmp_path, part), FRAME_BYTES + 5)
        try:
            await blobs.concat(whole, [part])
        except Corrupt:
            return
        with pytest.raises(Corrupt):
            await blobs.verify(whole)

    in_blobs(tmp_path, run)


def test_parts_are_copied_where_the_kernel_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: Any) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(frames.os, "copy_file_range", cannot)

    async def run(blobs: FileBlobs) -> None:
        part, whole = await blobs.name(), await blobs.name()
        await blobs.write(part, once(b"b" * (FRAME_BYTES * 2 + 9)))
        assert await blobs.concat(whole, [part, part]) == FRAME_BYTES * 4 + 18
        assert await blobs.verify(whole) == FRAME_BYTES * 4 + 18

    in_blobs(tmp_path, run)


@pytest.mark.parametrize(("where", "name"), [(frames, "write_all"), (Path, "mkdir")])
def test_a_full_disk_refuses_the_blob_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str
) -> None:
    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def run(blobs: FileBlobs) -> None:
        ref = await blobs.name()
        with monkeypatch.context() as patch:
            patch.setattr(where, name, no_space)
            for size in (10, 3 * FRAME_BYTES):
                with pytest.raises(Full):
                    await blobs.write(ref, once(b"b" * size))
            assert list(blob_files(tmp_path)) == []
        await blobs.write(ref, once(b"b"))
        assert await blobs.verify(ref) == 1

    in_blobs(tmp_path, run)


def test_a_removal_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    async def run(blobs: FileBlobs) -> None:
        ref = await blobs.name()
        await blobs.write(ref, once(b"gone soon"))
        path = path_of(blobs._root, ref)
        synced: list[tuple[Path, bool]] = []

        class Noted:
            def sync(self, folder: Path) -> None:
                synced.append((folder, path.exists()))

        assert path.exists()
        blobs._syncs = Noted()  # type: ignore[assignment]
        await blobs.delete(ref)
        assert synced == [(path.parent, False)]

    in_blobs(tmp_path, run)


def test_a_full_disk_gives_no_names_and_later_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fogbank.engines.embedded import blobs as module  # noqa: PLC0415 (only this test needs it)

    def no_space(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def run(blobs: FileBlobs) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, "write_note", no_space)
            with pytest.raises(Full):
                await blobs.name()
        assert (await blobs.name()).number == 1

    in_blobs(tmp_path, run)


def test_many_blobs_at_once_share_the_syncs_of_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fogbank.engines.embedded import blobs as module  # noqa: PLC0415 (only this test needs it)

    synced: list[Path] = []
    sync = module.sync_folder
    monkeypatch.setattr(module, "sync_folder", lambda path: (synced.append(path), sync(path))[1])

    async def run(blobs: FileBlobs) -> None:
        refs = [await blobs.name() for _ in range(100)]
        async with asyncio.TaskGroup() as group:
            for ref in refs:
                group.create_task(blobs.write(ref, once(b"b")))
        assert 0 < len(synced) < 100
        assert len(await blobs.list(None, 1_000)) == 100

    in_blobs(tmp_path, run)


@pytest.mark.slow
def test_an_orphan_of_a_crash_is_sweepable_and_swept_by_the_next_start(
    open_engine: Any, tmp_path: Path
) -> None:
    copy = tmp_path / "crashed"

    async def crash() -> None:
        async with open_engine() as engine:
            await kept(engine, b"kept")
            orphan = await engine.blobs.name()
            await engine.blobs.write(orphan, once(b"orphan"))
            partial = await engine.blobs.name()
            path_of(tmp_path / "store" / "blobs", partial).write_bytes(b"half of a fra")
            await asyncio.wrap_future(engine._core.turnover._thread.submit(lambda: None))
            shutil.copytree(tmp_path / "store", copy)

    async def restart() -> None:
        engine = await EmbeddedEngine.open(
            copy, clock=SystemClock(), settings=SETTINGS, encryption=SEALED
        )
        try:
            (system,) = engine.system_stores()
            assert await sweep(system, engine.blobs, engine.blobs.before_start()) == 2
            assert len(await engine.blobs.list(None, 10)) == 1
            await kept(engine, b"more")
        finally:
            await engine.close()

    asyncio.run(crash())
    report = examine(copy, SEALED)
    assert report.damage == []
    assert len(report.sweepable) == 2
    asyncio.run(restart())
    report = examine(copy, SEALED)
    assert report.damage == report.sweepable == []


@pytest.mark.slow
def test_a_sweep_after_another_start_looks_at_nothing_below_the_low_water_mark(
    open_engine: Any,
) -> None:
    async def run(*, settle: bool) -> tuple[BlobRef, int, list[BlobRef]]:
        async with open_engine() as engine:
            orphan = await engine.blobs.name()
            await engine.blobs.write(orphan, once(b"orphan"))
            if settle:
                await engine.blobs.raise_low_water(orphan)
            (system,) = engine.system_stores()
            swept = await sweep(system, engine.blobs, engine.blobs.before_start())
            return orphan, swept, [ref for ref, _size in await engine.blobs.list(None, 9)]

    settled, swept, _left = asyncio.run(run(settle=True))
    assert swept == 0
    unsettled, swept, _left = asyncio.run(run(settle=False))
    assert swept == 0
    last, swept, left = asyncio.run(run(settle=False))
    assert (swept, left) == (1, [settled, last])
    assert unsettled not in left


@pytest.mark.parametrize("change", ["missing", "flipped", "longer", "stranger", "old orphan"])
def test_check_finds_what_is_wrong_with_blobs(
    open_engine: Any, tmp_path: Path, change: str
) -> None:
    async def run() -> BlobRef:
        async with open_engine() as engine:
            ref = await kept(engine, b"body")
            (system,) = engine.system_stores()
            await sweep(system, engine.blobs, engine.blobs.newest())
            return ref

    path = tmp_path / "store"
    blob = path_of(path / "blobs", asyncio.run(run()))
    assert check(path, SEALED) == []
    if change == "missing":
        blob.unlink()
    elif change == "flipped":
        flip(blob, 2)
    elif change == "longer":
        blob.write_bytes(blob.read_bytes() + b"\0")
    elif change == "stranger":
        (blob.parent / "stranger").write_bytes(b"")
    else:
        path_of(path / "blobs", BlobRef(1, 0)).write_bytes(b"")
    assert len(check(path, SEALED)) == 1


def test_a_blob_whose_removal_is_queued_may_be_there_or_gone(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> BlobRef:
        async with open_engine() as engine:
            ref = await kept(engine, b"body")

            async def release(tr: Transaction) -> None:
                await rows.release(tr, ref)

            await engine.store_of(DOMAIN).transact(release)
            return ref

    path = tmp_path / "store"
    ref = asyncio.run(run())
    assert examine(path, SEALED).damage == examine(path, SEALED).sweepable == []
    path_of(path / "blobs", ref).unlink()
    assert examine(path, SEALED).damage == []


def test_every_byte_of_a_blob_is_synced_before_its_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, int] = {}
    really = os.fsync

    def noted(fd: int) -> None:
        really(fd)
        about = os.fstat(fd)
        synced[about.st_ino] = about.st_size

    monkeypatch.setattr(os, "fsync", noted)

    async def with_engine(folder: Path) -> None:
        engine = await EmbeddedEngine.open(
            folder, clock=SystemClock(), settings=SETTINGS, encryption=SEALED
        )
        try:
            ref = await engine.blobs.name()
            await engine.blobs.write(ref, once(os.urandom(3 * FRAME_BYTES // 2)))
            about = path_of(folder / "blobs", ref).stat()
            assert synced.get(about.st_ino) == about.st_size
            joined = await engine.blobs.name()
            await engine.blobs.concat(joined, [ref, ref])
            about = path_of(folder / "blobs", joined).stat()
            assert synced.get(about.st_ino) == about.st_size
        finally:
            await engine.close()

    asyncio.run(with_engine(tmp_path / "data"))
