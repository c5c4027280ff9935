"""When a schedule is due: ``rate(5 minutes)``, ``cron(0 10 ? * MON-FRI *)``, ``at(2026-03-01T12:00:00)``.

Rule: pure; local times become instants in the schedule's own time zone. A local time that a change
of clocks skips does not occur; one that it repeats occurs once, the first time. A rate counts real
time from its anchor.

Source: Amazon EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler" (formats,
"Daylight savings time"); the fields of cron with ``L``, ``W`` and ``#`` are those of EventBridge.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RATE: Final = re.compile(r"rate\((\d{1,9}) (minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\(([^()]{1,240})\)")
_AT: Final = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_UNIT_MS: Final = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_MONTHS: Final = {
    name: at
    for at, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1
    )
}
_DAYS: Final = {
    name: at for at, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)
}
_YEARS: Final = (1970, 2199)
_LAST_DAY: Final = re.compile(r"L(?:-(\d{1,2}))?")
_NEAREST: Final = re.compile(r"(\d{1,2})W")
_LAST_OF: Final = re.compile(r"([1-7]|[A-Z]{3})L")
_NTH_OF: Final = re.compile(r"([1-7]|[A-Z]{3})#([1-5])")
_SATURDAY, _SUNDAY = 5, 6
_PARSED_KEPT: Final = 1_024


class InvalidExpression(ValueError):
    """A text is no schedule expression; the message says what is wrong with it."""


class Expression(Protocol):
    """When something is due."""

    def next_ms(self, after_ms: int, anchor_ms: int, zone: ZoneInfo) -> int | None:
        """Return the first due time behind ``after_ms``, or None if there is none any more.

        Args:
            after_ms: Milliseconds since the epoch.
            anchor_ms: Where a rate starts to count; nothing is due before it.
            zone: The time zone of local times.
        """
        ...


class Rate(NamedTuple):
    """Every so much time, from the anchor on."""

    period_ms: int

    def next_ms(self, after_ms: int, anchor_ms: int, zone: ZoneInfo) -> int | None:  # noqa: ARG002 (the protocol of all expressions)
        """Return the first due time behind ``after_ms``: the anchor, or periods behind it."""
        if after_ms < anchor_ms:
            return anchor_ms
        return anchor_ms + ((after_ms - anchor_ms) // self.period_ms + 1) * self.period_ms


class At(NamedTuple):
    """Once."""

    local: datetime

    def next_ms(self, after_ms: int, anchor_ms: int, zone: ZoneInfo) -> int | None:
        """Return the one due time unless it is past."""
        due_ms = _instant_ms(self.local, zone)
        return due_ms if due_ms > after_ms and due_ms >= anchor_ms else None


class Cron(NamedTuple):
    """At local times whose fields match."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[str, ...] | None
    """Entries of the day-of-month field; None: ``?``."""
    months: tuple[int, ...]
    weekdays: tuple[str, ...] | None
    """Entries of the day-of-week field; None: ``?``."""
    years: tuple[int, ...]

    def next_ms(self, after_ms: int, anchor_ms: int, zone: ZoneInfo) -> int | None:
        """Return the first due time behind ``after_ms`` and not before the anchor."""
        after_ms = max(after_ms, anchor_ms - 1)
        local = datetime.fromtimestamp(after_ms / 1000, zone).replace(tzinfo=None, fold=0)
        for candidate in self._locals_from(local.replace(second=0, microsecond=0)):
            due_ms = _instant_ms(candidate, zone)
            if due_ms > after_ms and _exists(candidate, zone):
                return due_ms
        return None

    def _locals_from(self, begin: datetime) -> Iterator[datetime]:
        """Yield the local times that match, from a minute on."""
        for year in self.years:
            if year < begin.year:
                continue
            for month in self.months:
                if (year, month) < (begin.year, begin.month):
                    continue
                for day in self._days_of(year, month):
                    if (year, month, day) < (begin.year, begin.month, begin.day):
                        continue
                    for hour in self.hours:
                        for minute in self.minutes:
                            at = datetime(year, month, day, hour, minute)  # noqa: DTZ001 (local)
                            if at >= begin:
                                yield at

    def _days_of(self, year: int, month: int) -> Sequence[int]:
        """Return the days of a month that match, in order."""
        if self.days is not None:
            found = {day for entry in self.days for day in _month_days(entry, year, month)}
        else:
            assert self.weekdays is not None, "one of the two day fields is given"
            found = {day for entry in self.weekdays for day in _week_days(entry, year, month)}
        return sorted(found)


def _instant_ms(local: datetime, zone: ZoneInfo) -> int:
    """Return the instant of a local time: the first of two, and behind a gap for one within it."""
    return int(local.replace(tzinfo=zone, fold=0).timestamp() * 1000)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    """Return whether clocks in the zone ever show a local time."""
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return instant.astimezone(zone).replace(tzinfo=None, fold=0) == local


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database.

    Raises:
        InvalidExpression: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidExpression(f"Provided timezone is invalid: {name}") from error


@lru_cache(_PARSED_KEPT)
def parse(text: str) -> Expression:
    """Return the expression that a text is.

    Raises:
        InvalidExpression: It is none.
    """
    if found := _RATE.fullmatch(text):
        return _rate(int(found[1]), found[2], found[3])
    if found := _CRON.fullmatch(text):
        return _cron(found[1].split())
    if found := _AT.fullmatch(text):
        try:
            return At(datetime.fromisoformat(found[1]))
        except ValueError as error:
            raise InvalidExpression(f"Invalid Schedule Expression {text}.") from error
    raise InvalidExpression(f"Invalid Schedule Expression {text}.")


def _rate(value: int, unit: str, plural: str) -> Rate:
    """Return a rate; one takes the singular, more the plural."""
    if value == 0 or (value == 1) == bool(plural):
        raise InvalidExpression(f"Invalid Schedule Expression rate({value} {unit}{plural}).")
    return Rate(value * _UNIT_MS[unit])


def _cron(fields: Sequence[str]) -> Cron:
    """Return the expression of six fields."""
    if len(fields) != 6:  # noqa: PLR2004 (minutes hours day-of-month month day-of-week year)
        raise InvalidExpression("A cron expression has six fields")
    minutes, hours, days, months, weekdays, years = (field.upper() for field in fields)
    if (days == "?") == (weekdays == "?"):
        raise InvalidExpression("One of day-of-month and day-of-week must be ?, and not both")
    return Cron(
        minutes=_numbers("minutes", minutes, 0, 59),
        hours=_numbers("hours", hours, 0, 23),
        days=None if days == "?" else _checked_days(days),
        months=_numbers("month", months, 1, 12, _MONTHS),
        weekdays=None if weekdays == "?" else _checked_weekdays(weekdays),
        years=_numbers("year", years, *_YEARS),
    )


def _numbers(
    field: str, text: str, low: int, high: int, names: Mapping[str, int] | None = None
) -> tuple[int, ...]:
    """Return the numbers that a field allows, in order."""
    found: set[int] = set()
    for entry in text.split(","):
        found.update(_numbers_of(field, entry, (low, high), names or {}))
    return tuple(sorted(found))


def _numbers_of(
    field: str, entry: str, bounds: tuple[int, int], names: Mapping[str, int]
) -> Iterable[int]:
    """Return the numbers of one entry: ``*``, ``7``, ``1-5``, ``*/2``, ``3/4``, ``1-9/2``."""
    span, slash, step_text = entry.partition("/")
    low, high = bounds
    step = _number(field, step_text, 1, high, {}) if slash else 1
    if span == "*":
        return range(low, high + 1, step)
    first, dash, last = span.partition("-")
    begin = _number(field, first, low, high, names)
    if dash:
        end = _number(field, last, low, high, names)
        if end < begin:  # AWS: FRI-MON goes over the end of the week
            return [*range(begin, high + 1, step), *range(low, end + 1, step)]
        return range(begin, end + 1, step)
    return range(begin, high + 1, step) if slash else (begin,)


def _number(field: str, text: str, low: int, high: int, names: Mapping[str, int]) -> int:
    """Return a number or a name as the number it stands for."""
    if text in names:
        return names[text]
    if text.isascii() and text.isdigit() and len(text) <= 4 and low <= int(text) <= high:  # noqa: PLR2004 (a year has four digits)
        return int(text)
    raise InvalidExpression(f"The field {field} cannot be {text}")


def _checked_days(text: str) -> tuple[str, ...]:
    """Return the entries of the day-of-month field."""
    entries = tuple(text.split(","))
    for entry in entries:
        if (found := _LAST_DAY.fullmatch(entry)) or (found := _NEAREST.fullmatch(entry)):
            if found[1] is not None:
                _number("day-of-month", found[1], 1, 31, {})
        elif entry != "LW":
            _numbers("day-of-month", entry, 1, 31)
    return entries


def _checked_weekdays(text: str) -> tuple[str, ...]:
    """Return the entries of the day-of-week field; Sunday is 1."""
    entries = tuple(text.split(","))
    for entry in entries:
        if (found := _LAST_OF.fullmatch(entry)) or (found := _NTH_OF.fullmatch(entry)):
            _number("day-of-week", found[1], 1, 7, _DAYS)
        elif entry != "L":
            _numbers("day-of-week", entry, 1, 7, _DAYS)
    return entries


def _month_days(entry: str, year: int, month: int) -> Sequence[int]:
    """Return the days of a month that one entry of the day-of-month field means."""
    last = calendar.monthrange(year, month)[1]
    if entry == "LW":
        return (_nearest_weekday(year, month, last),)
    if found := _LAST_DAY.fullmatch(entry):
        day = last - int(found[1] or 0)
        return (day,) if day >= 1 else ()
    if found := _NEAREST.fullmatch(entry):
        day = int(found[1])
        return (_nearest_weekday(year, month, day),) if day <= last else ()
    return [day for day in _numbers("day-of-month", entry, 1, 31) if day <= last]


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Return the day from Monday to Friday that is nearest, within the month."""
    last = calendar.monthrange(year, month)[1]
    weekday = calendar.weekday(year, month, day)
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _week_days(entry: str, year: int, month: int) -> Sequence[int]:
    """Return the days of a month that one entry of the day-of-week field means."""
    last = calendar.monthrange(year, month)[1]
    if found := _LAST_OF.fullmatch(entry):
        return _on(_number("day-of-week", found[1], 1, 7, _DAYS), year, month)[-1:]
    if found := _NTH_OF.fullmatch(entry):
        nth = int(found[2])
        return _on(_number("day-of-week", found[1], 1, 7, _DAYS), year, month)[nth - 1 : nth]
    numbers = (7,) if entry == "L" else _numbers("day-of-week", entry, 1, 7, _DAYS)
    return [day for day in range(1, last + 1) if _week_number(year, month, day) in numbers]


def _on(number: int, year: int, month: int) -> list[int]:
    """Return the days of a month that fall on a day of the week."""
    last = calendar.monthrange(year, month)[1]
    return [day for day in range(1, last + 1) if _week_number(year, month, day) == number]


def _week_number(year: int, month: int, day: int) -> int:
    """Return the day of the week, Sunday as 1."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1
