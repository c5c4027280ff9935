from __future__ import annotations

from itertools import count

import msgspec
import pytest

from fogbank.services.dynamodb.rules import changes, shards
from fogbank.services.dynamodb.rules.streams import label_of
from fogbank.services.dynamodb.schema import (
    CHANGES,
    NO_VALUE,
    ChangeRecord,
    KeyAttribute,
    StreamRecord,
)

STREAM = StreamRecord(
    table="tab",
    table_id="0" * 32,
    created_ms=0,
    view="NEW_AND_OLD_IMAGES",
    partition=KeyAttribute("p", "S"),
    sort=None,
)


def image(letter: str, size: int = 200_000) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode({"a": {"S": letter * size}}))


def change(at_ms: int, old: msgspec.Raw = NO_VALUE, new: msgspec.Raw = NO_VALUE) -> ChangeRecord:
    return ChangeRecord(event="MODIFY", at_ms=at_ms, partition=b"p", old=old, new=new)


WRITTEN = [
    change(0, new=image("a", 300_000)),
    change(1, old=image("a"), new=image("b")),
    change(2, old=image("b"), new=image("c", 10)),
    change(3, old=image("c"), new=image("d")),
]


def rows() -> list[tuple[int, ChangeRecord]]:
    """Return the rows of all changes, as the store has them."""
    number = count(1)
    return [
        (next(number), CHANGES.decode(raw)) for each in WRITTEN for raw in changes.rows_of(each)
    ]


def test_every_row_fits_the_store() -> None:
    assert all(len(raw) < 512 << 10 for each in WRITTEN for raw in changes.rows_of(each))
    assert len(rows()) == 2 + 3 + 1 + 3


@pytest.mark.parametrize("begin", range(9))
@pytest.mark.parametrize("limit", range(1, 10))
def test_what_is_read_of_some_rows_is_whole(begin: int, limit: int) -> None:
    """Rows of images whose change lies before them are passed over, a change that is cut is left."""
    given = rows()
    heads = [place for place, row in given if row.event]
    for place, found in changes.changes_in(given[begin : begin + limit]):
        written = WRITTEN[heads.index(place)]
        assert (found.old, found.new, found.at_ms) == (written.old, written.new, written.at_ms)
    if limit >= changes.ROWS_MIN and begin <= heads[-1] - 1:
        assert changes.changes_in(given[begin : begin + limit])


def test_a_service_that_changes_something_by_itself_is_named() -> None:
    """API Reference, Record: ``userIdentity`` of deletions by time to live."""
    by = "dynamodb.amazonaws.com"
    told = changes.record_of("eu-west-1", STREAM, 7, msgspec.structs.replace(change(0), by=by))
    assert told["userIdentity"] == {"Type": "Service", "PrincipalId": by}
    assert "userIdentity" not in changes.record_of("eu-west-1", STREAM, 7, change(0))


@pytest.mark.parametrize("place", [0, 1, 1 << 80, (1 << 96) - 1])
def test_numbers_of_places_have_thirty_digits_and_stand_for_them(place: int) -> None:
    number = shards.sequence_number(place)
    assert (len(number), shards.place_of_number(number)) == (30, place)
    assert shards.find_start(shards.shard_id(place)) == place
    assert 28 <= len(shards.shard_id(place)) <= 65


@pytest.mark.parametrize("given", ["", "1" * 29, "0" * 30, "9" * 30, "x" * 30, "¹" * 30])
def test_other_texts_are_numbers_of_no_place(given: str) -> None:
    assert shards.place_of_number(given) is None


def test_a_stream_is_labelled_by_when_it_was_made() -> None:
    assert label_of(1_431_379_293_291) == "2015-05-11T21:21:33.291"
