"""Timestamps: the wire's forms to milliseconds and back."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.wire.timestamps import (
    epoch_seconds,
    http_date,
    iso_millis,
    iso_seconds,
    ms_of_seconds,
    ms_of_text,
)

MOMENT = 1767323045678


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.678Z", MOMENT),
        ("2026-01-02T03:04:05.678901Z", MOMENT),
        ("2026-01-02T03:04:05Z", MOMENT - 678),
        ("2026-01-02T05:04:05+02:00", MOMENT - 678),
        ("2026-01-02T03:04:05", MOMENT - 678),
        ("20260102T030405Z", MOMENT - 678),
        ("2026-01-02", 1767312000000),
        ("Fri, 02 Jan 2026 03:04:05 GMT", MOMENT - 678),
        ("1767323045.678", MOMENT),
        ("1767323045", MOMENT - 678),
        ("-1", -1000),
        ("2016-12-31T23:59:60Z", 1483228800000),
    ],
)
def test_each_form_is_read(text: str, expected: int) -> None:
    assert ms_of_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "2026-01-02T03:04:99Z",
        "Foo, 99 Bar 2026 00:00:00 GMT",
        "9" * 12,
        "1e99",
        "9" * 100,
        "٢٠٢٦-01-02",
        ",",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ms_of_text(text)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e18, -1e18, 2**63])
def test_seconds_outside_the_calendar_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        ms_of_seconds(seconds)


def test_each_form_is_written() -> None:
    assert iso_millis(MOMENT) == "2026-01-02T03:04:05.678Z"
    assert iso_millis(MOMENT - 678) == "2026-01-02T03:04:05.000Z"
    assert iso_seconds(MOMENT - 678) == "2026-01-02T03:04:05Z"
    assert http_date(MOMENT) == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert epoch_seconds(MOMENT) == 1767323045.678
    assert epoch_seconds(MOMENT - 678) == 1767323045


def test_an_aware_datetime_is_written_like_its_milliseconds() -> None:
    moment = datetime(2026, 1, 2, 5, 4, 5, 678000, tzinfo=timezone(timedelta(hours=2)))
    assert iso_millis(moment) == iso_millis(MOMENT)


@settings(max_examples=200, deadline=None)
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 (the strategy adds the zone)
def test_what_is_written_reads_back(moment: datetime) -> None:
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert ms_of_text(iso_millis(moment)) == milliseconds
    assert ms_of_text(iso_seconds(moment)) == milliseconds
    if moment.year >= 1900:  # an HTTP date of an earlier year has the form of a year of two digits
        assert ms_of_text(http_date(moment)) == milliseconds // 1000 * 1000


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=70))
def test_no_text_raises_anything_but_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        ms_of_text(text)
