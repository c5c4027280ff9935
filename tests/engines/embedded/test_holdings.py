"""How many blobs there are and what they take: counted at the start, kept from then on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fogbank.base.ids import Ids
from fogbank.engines.embedded import holdings
from fogbank.engines.embedded.blobs import FileBlobs, blob_files
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.holdings import Held, Holdings
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.keys import DataKeys

KEYS = DataKeys({1: bytes(range(32))}, active=1, draw=Ids().random_bytes)
WAIT_S = 10


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def write(blobs: FileBlobs, size: int) -> BlobRef:
    ref = await blobs.name()
    await blobs.write(ref, once(b"x" * size))
    return ref


def on_disk(root: Path) -> Held:
    sizes = [path.stat().st_size for path, _ in blob_files(root)]
    return Held(len(sizes), sum(sizes))


def counted(blobs: FileBlobs | Holdings) -> Held:
    deadline = time.monotonic() + WAIT_S
    while (held := blobs.held()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return held


def in_directory(root: Path, work: Callable[[FileBlobs], Awaitable[None]]) -> None:
    async def opened() -> None:
        blobs = await asyncio.to_thread(FileBlobs, root, 1, KEYS)
        blobs.begin_counting()
        await work(blobs)
        await blobs.close()

    root.mkdir(exist_ok=True)
    asyncio.run(opened())


def test_what_is_written_and_removed_counts_at_once_and_after_a_restart(tmp_path: Path) -> None:
    root, kept = tmp_path / "blobs", list[BlobRef]()

    async def first(blobs: FileBlobs) -> None:
        assert counted(blobs) == Held(0, 0)
        refs = [await write(blobs, size) for size in (1, 70_000, 3 << 20)]
        joined = await blobs.name()
        await blobs.concat(joined, refs[:2])
        assert counted(blobs) == on_disk(root)
        assert counted(blobs).blobs == 4
        await blobs.delete(refs[1])
        await blobs.delete(refs[1])
        assert counted(blobs) == on_disk(root)
        assert counted(blobs).blobs == 3
        kept.extend((refs[0], refs[2], joined))

    async def second(blobs: FileBlobs) -> None:
        assert counted(blobs) == on_disk(root)
        assert counted(blobs).blobs == 3
        fresh = await write(blobs, 5)
        await blobs.delete(kept[0])
        assert counted(blobs) == on_disk(root)
        await blobs.delete(fresh)
        assert counted(blobs) == on_disk(root)
        assert counted(blobs).blobs == 2

    in_directory(root, first)
    in_directory(root, second)


def test_what_was_not_finished_does_not_count(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (2 << 20)
        raise ConnectionError("the client broke off")

    async def work(blobs: FileBlobs) -> None:
        with pytest.raises(ConnectionError):
            await blobs.write(await blobs.name(), broken())
        assert counted(blobs) == Held(0, 0)

    in_directory(tmp_path / "blobs", work)


def put(root: Path, ref: BlobRef, size: int) -> Path:
    path = path_of(root, ref)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_what_goes_and_comes_while_the_old_files_are_counted_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [BlobRef(incarnation, number) for incarnation in (1, 2) for number in (1, 2, 5_000)]
    for ref in refs:
        put(tmp_path, ref, 100)
    (tmp_path / "numbers.note").write_text("no blob")
    (path_of(tmp_path, refs[0]).parent / "stray").write_text("no blob")
    counting = Holdings(tmp_path, BlobRef(2, 5_001))
    seen: list[Path] = []
    count_folder = Holdings._count_folder

    def beside(self: Holdings, folder: Path) -> None:
        """Let files go and come before the second folder is counted."""
        seen.append(folder)
        if len(seen) == 2:
            self._lock.release()
            self.remove(path_of(tmp_path, refs[0]), refs[0])  # was counted
            self.remove(path_of(tmp_path, refs[3]), refs[3])  # was not counted yet
            self.added(
                put(tmp_path, BlobRef(2, 5_001), 7).stat().st_size
            )  # came into a folder of old ones
            self.added(put(tmp_path, BlobRef(2, 10_000), 9).stat().st_size)
            self.remove(path_of(tmp_path, BlobRef(2, 10_000)), BlobRef(2, 10_000))
            self._lock.acquire()
        count_folder(self, folder)

    monkeypatch.setattr(Holdings, "_count_folder", beside)
    counting.begin()
    assert counted(counting) == Held(5, 4 * 100 + 7)
    counting.end()


def test_a_file_whose_writer_was_cancelled_may_be_removed_before_it_is_counted(
    tmp_path: Path,
) -> None:
    """The thread that made it durable counts it behind whoever gave it up."""
    holdings = Holdings(tmp_path, BlobRef(2, 1))
    holdings.begin()
    assert counted(holdings) == Held(0, 0)
    path = put(tmp_path, BlobRef(2, 1), 7)
    size = path.stat().st_size
    holdings.remove(path, BlobRef(2, 1))
    holdings.added(size)
    assert counted(holdings) == Held(0, 0)
    holdings.end()


def test_a_file_that_takes_anothers_place_counts_as_what_it_takes_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [BlobRef(1, 1), BlobRef(1, 2), BlobRef(1, 5_000), BlobRef(1, 5_001)]
    for ref in old:
        put(tmp_path, ref, 100)
    counting = Holdings(tmp_path, BlobRef(2, 1))
    seen: list[Path] = []
    count_folder = Holdings._count_folder

    def replace(ref: BlobRef, size: int) -> None:
        beside = path_of(tmp_path, ref).with_name("beside")
        beside.write_bytes(b"y" * size)
        counting.replace(path_of(tmp_path, ref), beside, ref)
        assert not beside.exists()

    def beside(self: Holdings, folder: Path) -> None:
        """Let files be replaced before the second folder is counted."""
        seen.append(folder)
        if len(seen) == 2:
            self._lock.release()
            replace(old[0], 130)  # was counted
            replace(old[2], 60)  # was not counted yet
            self.added(put(tmp_path, BlobRef(2, 1), 7).stat().st_size)
            replace(BlobRef(2, 1), 9)  # came after the start
            self._lock.acquire()
        count_folder(self, folder)

    monkeypatch.setattr(Holdings, "_count_folder", beside)
    counting.begin()
    assert counted(counting) == Held(5, 130 + 100 + 60 + 100 + 9)
    assert path_of(tmp_path, old[2]).read_bytes() == b"y" * 60
    counting.end()


def test_a_file_does_not_take_the_place_of_one_that_is_gone(tmp_path: Path) -> None:
    ref = BlobRef(1, 1)
    path = put(tmp_path, ref, 100)
    counting = Holdings(tmp_path, BlobRef(2, 1))
    counting.begin()
    assert counted(counting) == Held(1, 100)
    counting.remove(path, ref)
    beside = path.with_name("beside")
    beside.write_bytes(b"y")
    counting.replace(path, beside, ref)
    assert not path.exists(), "a deletion is not undone"
    assert not beside.exists()
    assert counted(counting) == Held(0, 0)
    counting.end()


def test_a_store_that_closes_does_not_wait_for_the_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, BlobRef(1, 1), 1)
    monkeypatch.setattr(holdings, "PAUSE_S", 3_600)
    counting = Holdings(tmp_path, BlobRef(1, 2))
    counting.begin()
    assert counting.held() is None
    counting.end()
    assert counting.held() is None
