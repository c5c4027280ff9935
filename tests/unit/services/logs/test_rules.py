from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import NotBuilt
from fogbank.services.logs import quotas
from fogbank.services.logs.errors import InvalidParameterException
from fogbank.services.logs.rules import batches, patterns, positions, retention
from fogbank.services.logs.rules.positions import Edge, Position
from fogbank.services.logs.rules.sorting import FIRST, LAST, Row, Sorter, Span
from fogbank.services.logs.schema import Event, EventsRecord, GroupRecord

HOUR_MS = 3_600_000
times = st.integers(0, 3 * HOUR_MS)


def wire(*pairs: tuple[int, str]) -> list[dict[str, Any]]:
    return [{"timestamp": time_ms, "message": message} for time_ms, message in pairs]


def rows_of(events: list[dict[str, Any]], names: Any = None) -> list[batches.RowDraft]:
    counter = itertools.count()
    sizes = [batches.size_of(event) for event in events]
    return batches.rows_of(events, sizes, 7, names or (lambda: next(counter).to_bytes(8)))


@given(st.lists(st.tuples(times, st.text(min_size=1, max_size=50)), max_size=60))
def test_rows_hold_the_batch_in_order_and_keep_within_their_bounds(
    pairs: list[tuple[int, str]],
) -> None:
    events = wire(*sorted(pairs, key=lambda pair: pair[0]))
    rows = rows_of(events)
    told = [
        (row.first_ms + event.offset_ms, event.message)
        for row in rows
        for event in row.record.events
    ]
    assert told == [(event["timestamp"], event["message"]) for event in events]
    for row in rows:
        assert row.last_ms - row.first_ms <= quotas.ROW_SPAN_MS
        assert batches.hour_of(row.first_ms) == batches.hour_of(row.last_ms)
    assert sum(row.record.bytes for row in rows) == sum(map(batches.size_of, events))


def test_large_messages_lie_in_parts_and_rows_stay_small() -> None:
    small, large = "s" * 30_000, "é" * 300_000
    rows = rows_of(wire((1, small), (1, small), (1, small), (2, large), (3, "end")))
    assert [len(row.record.events) for row in rows] == [2, 1, 1, 1]
    (event,) = rows[2].record.events
    assert event.message == ""
    parts = rows[2].parts
    assert {name for name, _, _ in parts} == {event.parts}
    assert [number for _, number, _ in parts] == [0, 1, 2]
    assert b"".join(part.content for _, _, part in parts).decode() == large


row_lists = st.lists(
    st.tuples(
        st.integers(0, 100_000),
        st.lists(st.integers(0, quotas.ROW_SPAN_MS), min_size=1, max_size=5).map(sorted),
    ),
    max_size=25,
)


@given(row_lists, st.booleans(), st.integers(1, 5), times, times, st.none() | times)
def test_events_of_overlapping_rows_come_out_sorted_and_none_is_lost(
    drawn: list[tuple[int, list[int]]],
    descending: bool,
    page: int,
    begin_ms: int,
    end_ms: int,
    edge_ms: int | None,
) -> None:
    rows = [
        Row(first_ms, stamp, EventsRecord(0, 0, tuple(Event(o - offsets[0], "m") for o in offsets)))
        for stamp, (first_ms, offsets) in enumerate(drawn, 1)
    ]
    start = LAST if descending else FIRST
    edge = Edge(start if edge_ms is None else Position(edge_ms, 3, 1), descending)
    span = Span(begin_ms, end_ms, edge)
    everything = [
        Position(row.first_ms + event.offset_ms, row.stamp, number)
        for row in rows
        for number, event in enumerate(row.record.events)
    ]
    wanted = sorted((p for p in everything if span.wants(p)), reverse=descending)
    stored = sorted(
        (row for row in rows if span.rows_begin_ms <= row.first_ms < span.rows_end_ms),
        key=lambda row: (row.first_ms, row.stamp),
        reverse=descending,
    )
    sorter, told = Sorter(span), []
    for at in range(0, len(stored) + page, page):
        sorter.feed(stored[at : at + page], last=at + page >= len(stored) + page)
        while (found := sorter.next()) is not None:
            told.append(found.position)
    sorter.feed([], last=True)
    while (found := sorter.next()) is not None:
        told.append(found.position)
    assert told == wanted


@given(times, st.integers(0, 2**96 - 1), st.integers(0, 10_000), st.booleans())
def test_tokens_read_back(time_ms: int, stamp: int, number: int, descending: bool) -> None:
    edge = Edge(Position(time_ms, stamp, number), descending)
    assert positions.edge_of_filter_token(positions.filter_token(edge)) == edge
    token = positions.stream_token(edge.position, "b" if descending else "f")
    assert positions.edge_of_stream_token(token) == edge


@given(st.text())
def test_names_in_tokens_read_back(name: str) -> None:
    assert positions.name_of_token(positions.name_token(name)) == name


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("a b", "b then a", True),
        ("a b", "only a", False),
        ('"a b"', "a b", True),
        ('"a b"', "b a", False),
        ('"say \\"hi\\""', 'they say "hi"', True),
        ("?x ?y", "y", True),
        ("?x ?y", "z", False),
        ("-x", "y", True),
        ("-x", "x", False),
        ("a -b", "a b", False),
        ("?a b", "b", False),
        ("?a b", "a b", True),
    ],
)
def test_terms_match_as_the_guide_says(pattern: str, message: str, matches: bool) -> None:
    assert patterns.pattern_of(pattern).matches(message) is matches


@given(st.text(alphabet='ab -?"\\{[%\u00e9', max_size=20))
def test_any_pattern_is_taken_or_refused_in_the_service_s_words(text: str) -> None:
    with suppress(InvalidParameterException, NotBuilt):
        patterns.pattern_of(text).matches("a b")


def test_an_hour_expires_when_its_last_event_is_too_old() -> None:
    group = GroupRecord(name="g", id=b"", created_ms=0, retention_days=1)
    day_ms = 24 * HOUR_MS
    assert retention.next_expiry_ms(group, 10, 0) == 11 * HOUR_MS + day_ms
    assert retention.next_expiry_ms(group, None, 5) == 5 + HOUR_MS
    assert retention.kept_since_ms(group, 3 * day_ms) == 2 * day_ms
