"""The bytes on disk: they may only change with the store's format number."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.blobs import FileBlobs
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.notes import find_note, write_note
from fogbank.engines.embedded.segment import (
    PAGE_BYTES,
    SEGMENT_BYTES,
    encode_writes,
    find_group,
    first_offset,
    group_bytes,
    make_ready,
    pack_group,
    read_groups,
    read_segment,
    stray_pages,
)
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.keys import LOG, DataKeys
from fogbank.platform.crypto.secret import no_draw

SIZE = 1 << 16
KEYS = DataKeys({3: bytes(range(32))}, active=3, draw=lambda count: bytes(range(count)))
PLAIN = DataKeys({}, active=None, draw=no_draw)
RECORDS = [encode_writes({b"key": b"value"}), encode_writes({b"gone": None})]


def test_the_bytes_of_a_group() -> None:
    data = pack_group(7, RECORDS, 0)
    assert len(data) == PAGE_BYTES
    assert data.rstrip(b"\0").hex() == (
        "46624772" "0000001a" "ac1ea5c1" "0000000000000007" "00000002"
        "dd00000002" "81c4036b6579c40576616c7565" "81c404676f6e65c0"
    )  # fmt: skip


def test_a_group_is_read_as_it_was_written() -> None:
    group = find_group(b"........" + pack_group(7, RECORDS, 8), 8)
    assert group is not None
    assert (group.first, group.last) == (7, 8)
    assert group.end - group.offset == group_bytes(sum(map(len, RECORDS)), sealed=False)
    assert group.writes(PLAIN) == [{b"key": b"value"}, {b"gone": None}]
    assert pack_group(7, RECORDS, 8)[-1:] == b"\0"


def test_the_bytes_of_an_encrypted_group() -> None:
    data = pack_group(7, RECORDS, 0, KEYS.series(LOG))
    assert data.rstrip(b"\0").hex() == (
        "46624753" "0000003e" "7122cfd0" "0000000000000007" "00000002"
        "00000003" "000102030405060708090a0b0c0d0e0f"
        "5d38ed80c538371c6ac121de10be8b503caf2d932fcfea00da29"
        "dc05015411b9b139813636d07da16d8a"
    )  # fmt: skip
    group = find_group(data, 0)
    assert group is not None
    assert group.writes(KEYS) == [{b"key": b"value"}, {b"gone": None}]
    assert group.end - group.offset == group_bytes(sum(map(len, RECORDS)), sealed=True)


@pytest.mark.parametrize("what", ["version", "salt", "body", "tag", "mark"])
def test_an_encrypted_group_with_a_valid_check_that_was_changed_is_refused(what: str) -> None:
    data = bytearray(pack_group(7, RECORDS, 0, KEYS.series(LOG)))
    length = int.from_bytes(data[4:8])
    at = {"version": 19, "salt": 30, "body": 50, "tag": 24 + length - 1, "mark": 3}[what]
    data[at] ^= ord("S") ^ ord("r") if what == "mark" else 1
    data[8:12] = crc32c(bytes(data[24 : 24 + length]), crc32c(data[4:8] + data[12:24])).to_bytes(4)
    group = find_group(bytes(data), 0)
    assert group is not None
    with pytest.raises(Corrupt):
        group.writes(KEYS)


def test_groups_must_follow_each_other(tmp_path: Path) -> None:
    make_ready(tmp_path, "a.log", SIZE)
    data = bytearray(read_segment(tmp_path / "a.log"))
    offset = first_offset(SIZE)
    for first in (1, 3, 5):
        group = pack_group(first, RECORDS, offset)
        data[offset : offset + len(group)] = group
        offset += group_bytes(sum(map(len, RECORDS)), sealed=False)
    groups, end = read_groups(bytes(data), 0)
    assert [group.first for group in groups] == [1, 3, 5]
    assert end == offset
    # Read from another floor these are stale, or there is a hole before them.
    assert read_groups(bytes(data), 6).groups == []
    with pytest.raises(Corrupt, match="the log is damaged"):
        read_groups(bytes(data), 2)


def test_a_recycled_segment_knows_its_old_bytes(tmp_path: Path) -> None:
    make_ready(tmp_path, "a.log", SIZE)
    offset = first_offset(SIZE)
    with (tmp_path / "a.log").open("r+b") as file:
        file.seek(offset)
        file.write(pack_group(1, [encode_writes({b"key": b"v" * 20_000})], offset))
    make_ready(tmp_path, "b.log", SIZE, tmp_path / "a.log")
    assert not (tmp_path / "a.log").exists()
    data = read_segment(tmp_path / "b.log")
    assert list(stray_pages(data, offset)) == []
    assert read_groups(data, 1).groups == []
    changed = bytearray(data)
    changed[offset + 5_000] ^= 1
    assert list(stray_pages(bytes(changed), offset)) == [(offset + 5_000) // PAGE_BYTES]


def test_a_segment_is_made_ready_a_piece_at_a_time(tmp_path: Path) -> None:
    """What the thread that does it frees stays with the process: once it was 32 MiB for good."""
    tracemalloc.start()
    try:
        make_ready(tmp_path, "a.log", SEGMENT_BYTES)
        make_ready(tmp_path, "b.log", SEGMENT_BYTES, tmp_path / "a.log")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < SEGMENT_BYTES / 4
    data = read_segment(tmp_path / "b.log")
    assert list(stray_pages(data, first_offset(SEGMENT_BYTES))) == []


@pytest.mark.parametrize("offset", [0, 20, 26, 31, 100, PAGE_BYTES, PAGE_BYTES + 63])
def test_a_damaged_head_of_a_segment_is_found(tmp_path: Path, offset: int) -> None:
    make_ready(tmp_path, "a.log", SIZE)
    data = bytearray((tmp_path / "a.log").read_bytes())
    data[offset] ^= 1
    (tmp_path / "a.log").write_bytes(data)
    with pytest.raises(Corrupt):
        read_segment(tmp_path / "a.log")


def test_the_bytes_of_a_note(tmp_path: Path) -> None:
    path = tmp_path / "note"
    assert find_note(path) is None
    write_note(path, {"format": 1, "incarnation": 2})
    assert path.read_text() == "format 1\nincarnation 2\ncheck 3fd72f63\n"
    assert find_note(path) == {"format": 1, "incarnation": 2}
    for at in range(path.stat().st_size):
        raw = bytearray(path.read_bytes())
        raw[at] ^= 1
        (tmp_path / "other").write_bytes(raw)
        with pytest.raises(Corrupt):
            find_note(tmp_path / "other")


def written(folder: Path, keys: DataKeys, body: bytes) -> bytes:
    """Return the bytes of the file of a blob."""

    async def once() -> AsyncIterator[bytes]:
        yield body

    async def run() -> None:
        blobs = FileBlobs(folder, 1, keys)
        try:
            await blobs.write(BlobRef(1, 5), once())
            assert [chunk async for chunk in blobs.read(BlobRef(1, 5))] == [body]
        finally:
            await blobs.close()

    asyncio.run(run())
    path = path_of(folder, BlobRef(1, 5))
    assert path.relative_to(folder).as_posix() == "0001/0000000000/000/005.blob"
    return path.read_bytes()


def test_the_bytes_of_a_blob(tmp_path: Path) -> None:
    assert written(tmp_path, PLAIN, b"body").hex() == (
        b"body".hex() + "9a0fcc50" + b"fogblob1".hex() + "0000000000000004" "0001"
        "0000000000000005" "0000" "677f7130"
    )  # fmt: skip


def test_the_bytes_of_an_encrypted_blob(tmp_path: Path) -> None:
    data = written(tmp_path, KEYS, b"body")
    salt = bytes(range(16)).hex()
    assert data.hex() == (
        "16a63d62"
        # The entry of the frame: check, origin, data key, salt, tags of frame and entry.
        "622b5ccd" "0001" "0000000000000005" "0000000000000000" "00000003" + salt
        + "47bd83e754d1668d5f0a2df28ca1454b" "e1552514543cca6c348a7ff7c41f156b"
        # Data key, salt and the tag of the footer.
        "00000003" + salt + "37d1ae21f7c2b42a733faccf7c2b9bc4"
        + b"fogblob2".hex() + "0000000000000004" "0001" "0000000000000005" "0000" "7061f707"
    )  # fmt: skip


def test_a_blob_of_the_first_format_is_read_with_keys_and_without(tmp_path: Path) -> None:
    written(tmp_path, PLAIN, b"body")

    async def run() -> None:
        blobs = FileBlobs(tmp_path, 1, KEYS)
        try:
            assert [chunk async for chunk in blobs.read(BlobRef(1, 5))] == [b"body"]
            assert await blobs.list(None, 10) == [(BlobRef(1, 5), 4)]
        finally:
            await blobs.close()

    asyncio.run(run())
