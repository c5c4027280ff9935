"""The marks of an archived log's times have a check each: what rotted is named and left out."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import pytest

from fogbank.engines.embedded.archiver import set_up
from fogbank.engines.embedded.check import _spool_damage
from fogbank.engines.embedded.spool import (
    OLD_TIMES,
    TIMES,
    ArchiveSettings,
    first_time,
    forget_times,
    note_time,
    read_times,
    times_damage,
)

MARKS = [(number, 1_000 * number) for number in range(1, 60)]
MARK_BYTES = 20


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Return a spool with marks."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for mark in MARKS:
        note_time(folder, *mark)
    return folder


def test_marks_are_read_as_they_were_noted_and_forgotten_up_to_a_version(spool: Path) -> None:
    assert read_times(spool) == MARKS
    assert (first_time(spool, 0), first_time(spool, 1), first_time(spool, 59)) == (1_000, 2_000, 0)
    forget_times(spool, 57)
    assert read_times(spool) == MARKS[57:]
    assert times_damage(spool) == []


@pytest.mark.parametrize("number", [0, 30, 58])
def test_a_mark_that_rotted_is_named_and_left_out_and_no_other(
    spool: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = spool / TIMES
    whole = path.read_bytes()
    for offset in range(number * MARK_BYTES, (number + 1) * MARK_BYTES):
        raw = bytearray(whole)
        raw[offset] ^= 0x04
        path.write_bytes(raw)
        assert read_times(spool) == MARKS[:number] + MARKS[number + 1 :]
        (damage,) = times_damage(spool)
        assert damage.startswith(f"{path} is not what was written: 1 of 59 marks")
        assert _spool_damage(spool) == [damage]
    caplog.set_level(logging.ERROR, "fogbank.store")
    forget_times(spool, 0)
    assert "1 of 59 marks" in caplog.text
    assert read_times(spool) == MARKS[:number] + MARKS[number + 1 :]
    assert times_damage(spool) == []


def test_what_a_crash_or_a_full_disk_leaves_is_no_damage_and_hides_no_later_mark(
    spool: Path,
) -> None:
    path = spool / TIMES
    whole = path.read_bytes()
    for left in (
        whole[:-7],  # of the last mark
        whole[:512] + bytes(3_000),  # from a sector on, in the middle of a mark
        whole[:1_024] + bytes(5),
    ):
        path.write_bytes(left)
        kept = [mark for mark in MARKS if mark[0] * MARK_BYTES <= len(left.rstrip(b"\0"))]
        assert read_times(spool) == kept
        assert times_damage(spool) == []
    path.write_bytes(whole[:-7])
    note_time(spool, 100, 100_000)
    assert read_times(spool) == [*MARKS[:-1], (100, 100_000)]
    assert times_damage(spool) == []


def test_zeros_in_the_middle_are_damage(spool: Path) -> None:
    raw = bytearray((spool / TIMES).read_bytes())
    raw[512:1_024] = bytes(512)
    (spool / TIMES).write_bytes(raw)
    assert len(times_damage(spool)) == 1


def test_a_start_drops_what_a_crash_left_and_takes_over_marks_without_a_check(
    spool: Path, tmp_path: Path
) -> None:
    path = spool / TIMES
    path.write_bytes(path.read_bytes()[:1_024] + bytes(3_000))
    (spool / OLD_TIMES).write_bytes(struct.pack(">QQQQ", 7, 8, 9, 10) + b"half")
    assert read_times(spool) == [(7, 8), (9, 10), *MARKS[:51]]
    assert _spool_damage(spool) == []
    set_up(tmp_path, ArchiveSettings(target=tmp_path / "set"))
    assert not (spool / OLD_TIMES).exists()
    note_time(spool, 100, 100_000)
    assert read_times(spool) == [(7, 8), (9, 10), *MARKS[:51], (100, 100_000)]
