"""Long blobs are on their way to the disk before they are synced."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.engines.embedded import frames, writeback
from fogbank.engines.embedded.frames import Reader, Writer
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef

REF = BlobRef(1, 1)


def test_the_kernel_begins_to_write_a_long_blob_while_more_of_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []
    begin = writeback.begin_write_back

    def noted(fd: int, first: int, last: int) -> None:
        assert writer.path.stat().st_size >= last, "what is begun has been written"
        begun.append((first, last))
        begin(fd, first, last)

    monkeypatch.setattr(frames, "begin_write_back", noted)
    monkeypatch.setattr(frames, "WRITE_BACK_BYTES", 2 * FRAME_BYTES)
    writer = Writer(tmp_path, REF, None)
    for number in range(5):
        writer.feed(bytes([number]) * FRAME_BYTES)
    assert begun == [(0, 2 * FRAME_BYTES), (2 * FRAME_BYTES, 4 * FRAME_BYTES)]
    writer.finish()
    with Reader(tmp_path, REF, None) as reader:
        assert [reader.frame(number)[:1] for number in range(5)] == [bytes([n]) for n in range(5)]


def test_the_kernel_is_told_of_a_range_to_begin_with_and_not_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source: sync_file_range(2): SYNC_FILE_RANGE_WRITE is 2, those that wait are 1 and 4."""
    told: list[tuple[int, ...]] = []
    answers: list[int] = []
    ask = writeback._sync_file_range

    def noted(*given: int) -> None:
        told.append(given)
        answers.append(ask(*given))

    monkeypatch.setattr(writeback, "_sync_file_range", noted)
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(1 << 16))
        file.flush()
        writeback.begin_write_back(file.fileno(), 4_096, 12_288)
        assert told == [(file.fileno(), 4_096, 8_192, 2)]
    assert answers == [0]
