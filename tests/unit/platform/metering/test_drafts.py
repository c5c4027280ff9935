"""Rows of the audit trail that are put together."""

from __future__ import annotations

import msgspec
import pytest

from fogbank.platform.metering.drafts import (
    ROW_BYTES_MAX,
    ROW_CALLERS_MAX,
    ROW_ENTRIES_MAX,
    ROWS_WAITING_MAX,
    Draft,
    Drafts,
)
from fogbank.platform.metering.records import BatchRecord, Caller, Entry, decode_batch
from fogbank.platform.store.records import encode

CALLERS = [
    Caller("s3", name, "us-east-1", "root") for name in ("GetObject", "PutObject", "HeadObject")
]


def entry(number: int, caller: int = 0) -> Entry:
    return Entry(number, f"id-{number}", caller, ("arn:aws:s3:::b",), b"\x80", error_code="No")


@pytest.mark.parametrize(
    "count", [1, 15, 16, pytest.param(ROW_ENTRIES_MAX, marks=pytest.mark.slow)]
)
def test_a_draft_is_the_record_of_its_entries(count: int) -> None:
    draft = Draft("1")
    fulls = [draft.add(CALLERS[number % 3], entry(number)) for number in range(count)]
    expected = BatchRecord(
        tuple(CALLERS[: min(count, 3)]),
        tuple(entry(number, number % 3) for number in range(count)),
    )
    assert decode_batch(draft.row()) == expected
    if count < 16:
        # Short lists may say their length in less.
        assert len(draft.row()) == len(encode(expected)) + 2
    else:
        assert draft.row() == encode(expected)
    assert fulls == [number + 1 == ROW_ENTRIES_MAX for number in range(count)]


def test_a_row_is_full_before_the_store_refuses_it() -> None:
    large, many = Draft("1"), Draft("1")
    while not large.add(CALLERS[0], Entry(1, "x", 0, parameters=bytes(32 << 10))):
        assert len(large.row()) < ROW_BYTES_MAX + 1_000
    assert large.count == ROW_BYTES_MAX // (32 << 10)
    while not many.add(Caller("s3", str(many.count), "r", "root"), entry(1)):
        pass
    assert many.count == ROW_CALLERS_MAX


def test_full_rows_wait_for_each_other_so_that_one_transaction_takes_them() -> None:
    drafts = Drafts()
    full = ROWS_WAITING_MAX * ROW_ENTRIES_MAX
    told = [drafts.add("1", CALLERS[0], entry(number)) for number in range(full)]
    assert told == [False] * (full - 1) + [True]
    assert drafts.add("1", CALLERS[0], entry(0)) is False
    assert len(drafts.take()) == ROWS_WAITING_MAX + 1


def test_rows_keep_their_order_and_the_oldest_is_pushed_out() -> None:
    drafts = Drafts()
    for number in range(ROW_ENTRIES_MAX):
        drafts.add("1", CALLERS[0], entry(number))
    drafts.add("2", CALLERS[0], entry(0))
    drafts.add("1", CALLERS[0], entry(ROW_ENTRIES_MAX))
    taken = drafts.take()
    assert [(each.account, each.count) for each in taken] == [
        ("1", ROW_ENTRIES_MAX),
        ("2", 1),
        ("1", 1),
    ]
    assert (drafts.count, drafts.take()) == (0, [])
    drafts.add("3", CALLERS[0], entry(0))
    drafts.put_back(taken)
    assert drafts.count == ROW_ENTRIES_MAX + 3
    assert [drafts.push_out() for _ in range(4)] == [ROW_ENTRIES_MAX, 1, 1, 1]
    assert drafts.count == 0
    assert msgspec.msgpack.decode(taken[0].row())[0] == "audit.batch/1"
