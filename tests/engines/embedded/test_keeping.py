"""Blobs that another process writes: the same file, under a key lent for it alone."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.engines.embedded.conftest import Opener

from fogbank.base.errors import Corrupt, Full
from fogbank.engines.embedded import frames
from fogbank.engines.embedded.blobs import blob_files
from fogbank.engines.embedded.keeping import BlobKeeper
from fogbank.engines.embedded.keyfile import PLAIN
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef, Kept, Loan, Wanted
from fogbank.platform.blobs.sweep import sweep
from fogbank.platform.crypto.keys import LentKeys
from fogbank.wire.checksums import digest_of, hasher_of

MB = 1 << 20


class Source:
    """A body in pieces, as sockets give them; it may break off."""

    def __init__(self, body: bytes, error: Exception | None = None) -> None:
        self.body, self.at, self.error = body, 0, error
        self.length: int | None = None
        self.trailers = {"x-amz-checksum-crc32": "AAAAAA=="}

    async def read(self, limit: int) -> bytes:
        piece = self.body[self.at : self.at + min(limit, 100_000)]
        self.at += len(piece)
        if not piece and self.error is not None:
            raise self.error
        return piece


async def keep(
    engine: EmbeddedEngine, source: Source, *, inline: int = 1_000, most: int = 64 * MB
) -> tuple[BlobRef, Kept]:
    """Have a body kept as a front does, and taken over as a store process does."""
    ref = await engine.blobs.name()
    wanted = Wanted(ref, ("CRC32", "SHA256"), inline, most)
    kept = await BlobKeeper(hasher_of).keep(engine.blobs.permit(ref), wanted, source)
    return ref, kept


async def whole(engine: EmbeddedEngine, ref: BlobRef) -> bytes:
    return b"".join([piece async for piece in engine.blobs.read(ref)])


def files(engine: EmbeddedEngine) -> list[BlobRef]:
    return [ref for _path, ref in blob_files(engine.blobs._root)]


@pytest.mark.parametrize("size", [1_001, FRAME_BYTES, 3 * FRAME_BYTES + 5])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_kept_body_is_the_blob_that_the_store_would_have_written(
    open_engine: Opener, size: int, sealed: bool
) -> None:
    async def scene() -> None:
        async with open_engine(**({} if sealed else {"encryption": PLAIN})) as engine:
            body = os.urandom(size)
            ref, kept = await keep(engine, Source(body))
            assert (kept.size, kept.inline) == (size, None)
            assert kept.trailers == {"x-amz-checksum-crc32": "AAAAAA=="}
            assert kept.digests == {
                "MD5": hashlib.md5(body).digest(),
                "CRC32": digest_of("CRC32", body),
                "SHA256": hashlib.sha256(body).digest(),
            }
            await engine.blobs.adopt(ref, size)
            assert await whole(engine, ref) == body
            assert await engine.blobs.verify(ref) == size
            raw = frames.path_of(engine.blobs._root, ref).read_bytes()
            assert (body[:500] in raw) is not sealed

    asyncio.run(scene())


@pytest.mark.parametrize("size", [0, 1, 1_000])
def test_a_short_body_comes_back_and_leaves_no_file(open_engine: Opener, size: int) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            body = os.urandom(size)
            _, kept = await keep(engine, Source(body))
            assert (kept.inline, kept.size) == (body, size)
            assert kept.digests["MD5"] == hashlib.md5(body).digest()
            assert files(engine) == []
            if size:
                ref, kept = await keep(engine, Source(body), inline=0)
                assert kept.inline is None
                assert files(engine) == [ref]

    asyncio.run(scene())


def test_of_more_than_may_come_nothing_is_kept(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            source = Source(bytes(5 * MB))
            _, kept = await keep(engine, source, most=2 * MB)
            assert kept.size == 3 * MB
            assert source.at < 5 * MB
            assert files(engine) == []

    asyncio.run(scene())


class Broken(Exception):
    """A client that is gone."""


@pytest.mark.parametrize("size", [10, 2 * MB + 7])
def test_a_body_that_breaks_off_leaves_nothing(open_engine: Opener, size: int) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            with pytest.raises(Broken):
                await keep(engine, Source(bytes(size), Broken()))
            assert files(engine) == []

    asyncio.run(scene())


def test_a_full_disk_is_told_as_such_and_leaves_nothing(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scene() -> None:
        async with open_engine() as engine:
            monkeypatch.setattr(frames, "write_all", full)
            with pytest.raises(Full):
                await keep(engine, Source(bytes(2 * MB)))
            monkeypatch.undo()
            assert files(engine) == []

    asyncio.run(scene())


def test_a_front_ends_when_a_sync_fails(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk holds is not known then; another sync might say that all is well."""

    def broken(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def scene() -> None:
        async with open_engine() as engine:
            said: list[str] = []
            ref = await engine.blobs.name()
            permit, wanted = engine.blobs.permit(ref), Wanted(ref, (), 0, 9 * MB)
            monkeypatch.setattr(frames.Writer, "finish", broken)
            with pytest.raises(OSError, match="Input/output"):
                await BlobKeeper(hasher_of, said.append).keep(permit, wanted, Source(bytes(MB)))
            monkeypatch.undo()
            assert said == ["the blobs cannot be written: [Errno 5] Input/output error"]

    asyncio.run(scene())


def test_who_gives_up_finds_the_file_gone_and_says_nothing(open_engine: Opener) -> None:
    """The store process removes what its caller was writing when the link between them breaks."""

    async def scene() -> None:
        async with open_engine() as engine:
            ref = await engine.blobs.name()
            source = Source(bytes(3 * MB), Broken())
            read = source.read

            async def removed(limit: int) -> bytes:
                if source.at >= 2 * MB:
                    await engine.blobs.delete(ref)
                return await read(limit)

            source.read = removed  # type: ignore[method-assign]
            keeper = BlobKeeper(hasher_of)
            with pytest.raises(Broken):
                await keeper.keep(engine.blobs.permit(ref), Wanted(ref, (), 0, 9 * MB), source)
            assert files(engine) == []

    asyncio.run(scene())


def test_a_blob_is_taken_over_only_as_it_was_said_to_be(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            ref, kept = await keep(engine, Source(bytes(MB)))
            with pytest.raises(Corrupt, match="bytes of"):
                await engine.blobs.adopt(ref, kept.size + 1)
            frames.path_of(engine.blobs._root, ref).unlink()
            with pytest.raises(Corrupt, match="missing"):
                await engine.blobs.adopt(ref, kept.size)

    asyncio.run(scene())


def test_a_blob_that_is_taken_over_counts_and_its_folder_is_synced(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            synced: list[Path] = []
            monkeypatch.setattr(engine.blobs._syncs, "sync", synced.append)
            ref, kept = await keep(engine, Source(bytes(MB)))
            assert engine.blobs._holdings._count == 0
            await engine.blobs.adopt(ref, kept.size)
            assert engine.blobs._holdings._count == 1
            assert synced == [frames.path_of(engine.blobs._root, ref).parent]

    asyncio.run(scene())


def test_every_blob_has_a_key_of_its_own(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            ref = await engine.blobs.name()
            one, two = engine.blobs.permit(ref), engine.blobs.permit(ref)
            assert one.sealed_by is not None
            assert two.sealed_by is not None
            data_keys = engine._opened.keys.export().values()
            assert one.sealed_by[1] != two.sealed_by[1]
            assert one.sealed_by[2] != two.sealed_by[2]
            assert one.sealed_by[2] not in data_keys

    asyncio.run(scene())


def test_the_sweep_leaves_alone_what_is_just_being_written(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It judges the names of earlier starts; a half-written file of now has no reference either."""
    begun = threading.Event()
    make_file = frames.Writer.open

    def opening(writer: frames.Writer) -> None:
        make_file(writer)
        begun.set()

    async def scene() -> None:
        async with open_engine() as engine:
            orphan, _ = await keep(engine, Source(bytes(MB)))
        monkeypatch.setattr(frames.Writer, "open", opening)
        async with open_engine() as engine:
            ref = await engine.blobs.name()
            source = Source(bytes(2 * MB))
            read, swept = source.read, []

            async def sweeping(limit: int) -> bytes:
                if source.at >= 2 * MB and not swept:
                    assert await asyncio.to_thread(begun.wait, 30)
                    assert set(files(engine)) == {orphan, ref}
                    system = engine.system_stores()[0]
                    swept.append(await sweep(system, engine.blobs, engine.blobs.before_start()))
                    assert files(engine) == [ref]
                return await read(limit)

            source.read = sweeping  # type: ignore[method-assign]
            keeper = BlobKeeper(hasher_of)
            await keeper.keep(engine.blobs.permit(ref), Wanted(ref, (), 0, 9 * MB), source)
            await engine.blobs.adopt(ref, 2 * MB)
            assert swept == [1]
            assert await whole(engine, ref) == bytes(2 * MB)

    asyncio.run(scene())


async def borrowed(engine: EmbeddedEngine, ref: BlobRef, begin: int, end: int | None) -> bytes:
    """Read a range as a front does: by a loan that was bytes meanwhile."""
    loan = msgspec.msgpack.encode(await engine.blobs.lend(ref, begin, end))
    keeper = BlobKeeper(hasher_of)
    pieces = keeper.read(msgspec.msgpack.decode(loan, type=Loan))
    return b"".join([piece async for piece in pieces])


RANGES = [
    (0, None),
    (0, 10),
    (FRAME_BYTES - 1, FRAME_BYTES + 1),
    (2 * FRAME_BYTES, 9 * FRAME_BYTES),
]


@pytest.mark.parametrize("sealed", [True, False])
def test_what_is_lent_is_read_as_the_store_would_read_it(open_engine: Opener, sealed: bool) -> None:
    async def scene() -> None:
        async with open_engine(**({} if sealed else {"encryption": PLAIN})) as engine:
            body = os.urandom(3 * FRAME_BYTES + 5)
            ref, _ = await keep(engine, Source(body))
            for begin, end in RANGES:
                assert await borrowed(engine, ref, begin, end) == body[begin:end]
            loan = await engine.blobs.lend(ref, 0, None)
            assert len(loan.sealed_by) == sealed

    asyncio.run(scene())


def test_frames_that_were_copied_from_other_blobs_are_lent_with_their_keys(
    open_engine: Opener,
) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            bodies = [os.urandom(2 * FRAME_BYTES), os.urandom(FRAME_BYTES), os.urandom(5)]
            parts = [(await keep(engine, Source(body), inline=0))[0] for body in bodies]
            ref = await engine.blobs.name()
            await engine.blobs.concat(ref, parts)
            whole = b"".join(bodies)
            for begin, end in RANGES:
                assert await borrowed(engine, ref, begin, end) == whole[begin:end]

    asyncio.run(scene())


def test_a_loan_opens_nothing_but_its_blob(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            one, _ = await keep(engine, Source(bytes(MB)))
            two, _ = await keep(engine, Source(bytes(MB)))
            loan = await engine.blobs.lend(one, 0, None)
            keeper = BlobKeeper(hasher_of)
            with pytest.raises(Corrupt, match="not the one that was lent"):
                await anext(keeper.read(loan._replace(ref=two)))
            assert keeper.damaged_reads == 0
            assert "key" not in repr(LentKeys(loan.sealed_by)).lower().replace("lentkeys", "")

    asyncio.run(scene())


def test_a_blob_that_is_gone_is_told_by_who_lends_and_by_who_reads(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            ref, _ = await keep(engine, Source(bytes(MB)))
            loan = await engine.blobs.lend(ref, 0, None)
            await engine.blobs.delete(ref)
            with pytest.raises(Corrupt, match="missing"):
                await engine.blobs.lend(ref, 0, None)
            assert engine.damaged_reads == 1
            keeper = BlobKeeper(hasher_of)
            with pytest.raises(Corrupt, match="missing"):
                await anext(keeper.read(loan))
            assert keeper.damaged_reads == 1

    asyncio.run(scene())


def test_a_front_never_hands_out_a_damaged_frame(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            ref, _ = await keep(engine, Source(os.urandom(2 * FRAME_BYTES)))
            with frames.path_of(engine.blobs._root, ref).open("r+b") as file:
                file.seek(FRAME_BYTES + 7)
                byte = file.read(1)
                file.seek(FRAME_BYTES + 7)
                file.write(bytes([byte[0] ^ 1]))
            keeper = BlobKeeper(hasher_of)
            pieces = keeper.read(await engine.blobs.lend(ref, 0, None))
            assert len(await anext(pieces)) == FRAME_BYTES
            with pytest.raises(Corrupt, match="frame 1"):
                await anext(pieces)
            assert keeper.damaged_reads == 1

    asyncio.run(scene())
