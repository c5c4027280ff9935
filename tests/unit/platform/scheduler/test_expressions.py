"""Rows of EventBridge Scheduler User Guide, "Schedule types" and "Daylight savings time"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.platform.scheduler.expressions import Cron, InvalidExpression, parse, zone_of

UTC_ZONE = ZoneInfo("UTC")
START = datetime(2026, 1, 1, tzinfo=UTC)


def ms(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def due(text: str, count: int, after: str = "2026-01-01T00:00:00", zone: str = "UTC") -> list[str]:
    """Return the next due times as the clocks of the zone show them."""
    expression, place, at_ms = parse(text), ZoneInfo(zone), ms(after, zone)
    anchor_ms, found = at_ms, list[str]()
    while len(found) < count:
        next_ms = expression.next_ms(at_ms, anchor_ms, place)
        if next_ms is None:
            break
        assert next_ms > at_ms
        at_ms = next_ms
        found.append(datetime.fromtimestamp(at_ms / 1000, place).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cron(0 10 * * ? *)", ["2026-01-01T10:00", "2026-01-02T10:00"]),
        ("cron(15 12 * * ? *)", ["2026-01-01T12:15", "2026-01-02T12:15"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-01-01T18:00", "2026-01-02T18:00", "2026-01-05T18:00"]),
        ("cron(0 8 1 * ? *)", ["2026-01-01T08:00", "2026-02-01T08:00"]),
        ("cron(0/15 * * * ? *)", ["2026-01-01T00:15", "2026-01-01T00:30"]),
        ("cron(0/10 * ? * MON-FRI *)", ["2026-01-01T00:10", "2026-01-01T00:20"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2026-01-01T08:00", "2026-01-01T08:05"]),
        ("cron(0/30 20-2 ? * * *)", ["2026-01-01T00:30", "2026-01-01T01:00"]),
        ("cron(15 10 ? * 6L 2026-2027)", ["2026-01-30T10:15", "2026-02-27T10:15"]),
        ("cron(0 9 L * ? *)", ["2026-01-31T09:00", "2026-02-28T09:00"]),
        ("cron(0 9 L-2 2 ? *)", ["2026-02-26T09:00", "2027-02-26T09:00", "2028-02-27T09:00"]),
        ("cron(0 9 LW 1 ? 2026)", ["2026-01-30T09:00"]),
        ("cron(0 9 1W 2,8 ? 2026)", ["2026-02-02T09:00", "2026-08-03T09:00"]),
        ("cron(0 9 15W 8 ? 2026)", ["2026-08-14T09:00"]),
        ("cron(0 9 31W * ? 2026)", ["2026-01-30T09:00", "2026-03-31T09:00"]),
        ("cron(0 9 ? * 3#2 *)", ["2026-01-13T09:00", "2026-02-10T09:00"]),
        ("cron(0 9 ? * TUE#5 2026)", ["2026-03-31T09:00", "2026-06-30T09:00"]),
        ("cron(0 0 ? * L *)", ["2026-01-03T00:00", "2026-01-10T00:00"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("cron(0 0 ? JAN/4 FRI-SUN *)", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("cron(0 0 30 2 ? *)", []),
        ("cron(0 0 1 1 ? 2020)", []),
        ("at(2026-03-01T12:30:59)", ["2026-03-01T12:30"]),
        ("at(2025-03-01T12:30:59)", []),
        ("rate(1 minute)", ["2026-01-01T00:01", "2026-01-01T00:02"]),
        ("rate(5 hours)", ["2026-01-01T05:00", "2026-01-01T10:00"]),
        ("rate(2 days)", ["2026-01-03T00:00", "2026-01-05T00:00"]),
    ],
)
def test_an_expression_is_due_when_its_page_says(text: str, expected: list[str]) -> None:
    count = len(expected)
    assert due(text, count + (count == 0 or text.startswith("at"))) == expected


def test_a_local_time_that_clocks_skip_does_not_occur_and_one_they_repeat_occurs_once() -> None:
    place = "Europe/Berlin"  # 29 March 2026: 2:00 becomes 3:00; 25 October: 3:00 becomes 2:00
    daily = due("cron(30 2 * * ? *)", 3, "2026-03-27T12:00:00", place)
    assert daily == ["2026-03-28T02:30", "2026-03-30T02:30", "2026-03-31T02:30"]
    autumn = due("cron(30 2 * * ? *)", 2, "2026-10-24T12:00:00", place)
    assert autumn == ["2026-10-25T02:30", "2026-10-26T02:30"]
    quarters = due("cron(0/15 * * * ? *)", 6, "2026-10-25T01:45:00", place)
    assert quarters == [
        f"2026-10-25T0{at}" for at in ("2:00", "2:15", "2:30", "2:45", "3:00", "3:15")
    ]
    again = parse("cron(30 2 * * ? *)").next_ms(ms("2026-10-25T00:30:00"), 0, ZoneInfo(place))
    assert again == ms("2026-10-26T01:30:00")  # not at the second 2:30, an hour later
    assert due("at(2026-03-29T02:30:00)", 1, "2026-01-01T00:00:00", place) == ["2026-03-29T03:30"]


def test_a_rate_counts_real_time_from_its_anchor_across_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor_ms = ms("2026-03-28T10:00:00", "Europe/Berlin")
    rate = parse("rate(1 day)")
    assert rate.next_ms(anchor_ms - 1, anchor_ms, berlin) == anchor_ms
    assert rate.next_ms(anchor_ms, anchor_ms, berlin) == anchor_ms + 86_400_000
    assert due("rate(1 day)", 1, "2026-03-28T10:00:00", "Europe/Berlin") == ["2026-03-29T11:00"]


def test_local_times_are_those_of_the_zone() -> None:
    assert parse("at(2026-07-01T09:00:00)").next_ms(0, 0, zone_of("America/New_York")) == ms(
        "2026-07-01T13:00:00"
    )
    with pytest.raises(InvalidExpression, match="Mars/Phobos"):
        zone_of("Mars/Phobos")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-1 minutes)",
        "rate(5minutes)",
        "every(5 minutes)",
        "at(2026-13-01T00:00:00)",
        "at(2026-01-01)",
        "cron(0 10 * * *)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32W * ? *)",
        "cron(0 0 1 13 ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * 3#6 *)",
        "cron(0 0 ? * XYL *)",
        "cron(0 0 1 * ? 1969)",
        "cron(0 0 1 * ? 2200)",
        "cron(0/0 0 1 * ? *)",
        "cron(1, 0 1 * ? *)",
        "cron(a 0 1 * ? *)",
        "cron(٣ 0 1 * ? *)",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse(text)


@given(
    st.integers(0, 59), st.integers(0, 23), st.integers(1, 31), st.integers(1, 12),
    st.integers(0, 400 * 86_400),
)  # fmt: skip
def test_the_next_time_is_the_first_minute_that_matches(
    minute: int, hour: int, day: int, month: int, seconds: int
) -> None:
    """Against a search minute by minute, day by day."""
    expression = parse(f"cron({minute} {hour} {day} {month} ? *)")
    assert isinstance(expression, Cron)
    after = START + timedelta(seconds=seconds)
    found = expression.next_ms(int(after.timestamp() * 1000), 0, UTC_ZONE)
    at = after.replace(hour=hour, minute=minute, second=0)
    for _ in range(9 * 366):
        if at > after and (at.day, at.month) == (day, month):
            assert found == int(at.timestamp() * 1000)
            return
        at += timedelta(days=1)
    assert found is None
