"""Timestamps on the wire and in values.

Rule: in decoded values a timestamp is an **int of milliseconds since the Unix epoch**; encoders
take such an int or an aware datetime. Decoders accept each of the three forms wherever a
timestamp stands, as AWS's own front does: ISO 8601, RFC 7231's HTTP date, seconds since the epoch.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

_MINUTE_MS = 60_000
_LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
_FIRST_MS = -62_135_596_800_000
"""The first millisecond of the year 1."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_LENGTH_MAX = 64
_MILLIS = tuple(f".{millis:03}Z" for millis in range(1000))
"""How a timestamp with milliseconds ends."""

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:([Zz])|([+-]\d\d):?(\d\d))?",
    re.ASCII,
)
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)()(Z)()()", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)()()()()()()()", re.ASCII)
_SECONDS = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?(?:[eE]\+?\d{1,2})?", re.ASCII)


def _bounded(milliseconds: int) -> int:
    """Return the milliseconds if a calendar has them."""
    if not _FIRST_MS <= milliseconds <= _LAST_MS:
        raise ValueError("a timestamp outside the calendar")
    return milliseconds


def ms_of_seconds(seconds: float) -> int:
    """Return milliseconds for seconds since the epoch.

    Raises:
        ValueError: It is not finite, or outside the years 1 to 9999.
    """
    if type(seconds) is int:
        return _bounded(seconds * 1000)
    if not math.isfinite(seconds):
        raise ValueError("a timestamp that is not finite")
    return _bounded(round(seconds * 1000))


def ms_of_datetime(moment: datetime) -> int:
    """Return milliseconds for an aware datetime; a naive one is a bug."""
    assert moment.tzinfo is not None, "a timestamp without a time zone"
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def ms_of_text(text: str) -> int:
    """Return milliseconds for a timestamp in any of the wire's forms.

    Raises:
        ValueError: It is none of them.
    """
    text = text.strip()
    if len(text) > _TEXT_LENGTH_MAX:
        raise ValueError("a timestamp that is too long")
    match = _ISO.fullmatch(text) or _DATE.fullmatch(text) or _BASIC.fullmatch(text)
    if match:
        return _ms_of_match(match)
    if _SECONDS.fullmatch(text):
        return ms_of_seconds(float(text))
    if "," not in text:
        raise ValueError("a timestamp in no known form")
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return ms_of_datetime(moment)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError("a timestamp in no known form") from error


def _ms_of_match(match: re.Match[str]) -> int:
    """Return milliseconds for a match of one of the ISO 8601 forms."""
    year, month, day, hour, minute, second, fraction, _, zone_hour, zone_minute = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), tzinfo=UTC)
    # A leap second is the next second: add it rather than refuse it.
    if int(second or 0) > 60:  # noqa: PLR2004 (a leap second is allowed)
        raise ValueError("more than sixty seconds")
    found = ms_of_datetime(moment) + int(second or 0) * 1000
    if fraction:
        found += int(fraction.ljust(3, "0")[:3])
    if zone_hour:
        minutes = int(zone_hour[1:]) * 60 + int(zone_minute)
        found -= (minutes if zone_hour[0] == "+" else -minutes) * 60_000
    return _bounded(found)


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    """Return the date, hour and minute of a minute counted from the epoch."""
    moment = _EPOCH + timedelta(minutes=minute)
    return moment.strftime("%Y-%m-%dT%H:%M:").rjust(17, "0")


@lru_cache(maxsize=4096)
def _iso_second_text(second: int) -> str:
    """Return the date and time of a second counted from the epoch."""
    return f"{_minute_text(second // 60)}{second % 60:02}"


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    """Return the HTTP date of a second counted from the epoch."""
    return formatdate(second, usegmt=True)


def _ms(moment: int | datetime) -> int:
    if type(moment) is int:
        return moment
    assert isinstance(moment, datetime), f"a timestamp is an int of milliseconds, not {moment!r}"
    return ms_of_datetime(moment)


def iso_seconds(moment: int | datetime) -> str:
    """Return ``2026-01-02T03:04:05Z``, with milliseconds only if there are any."""
    minute, rest = divmod(_ms(moment), _MINUTE_MS)
    millis = rest % 1000
    if millis:
        return f"{_minute_text(minute)}{rest // 1000:02}.{millis:03}Z"
    return f"{_minute_text(minute)}{rest // 1000:02}Z"


def iso_millis(moment: int | datetime) -> str:
    """Return ``2026-01-02T03:04:05.000Z``: always with milliseconds."""
    second, millis = divmod(moment if type(moment) is int else _ms(moment), 1000)
    return _iso_second_text(second) + _MILLIS[millis]


def http_date(moment: int | datetime) -> str:
    """Return ``Fri, 02 Jan 2026 03:04:05 GMT``; fractions of a second are dropped."""
    return _second_text(_ms(moment) // 1000)


def epoch_seconds(moment: int | datetime) -> float:
    """Return seconds since the epoch, an int if whole, for JSON."""
    milliseconds = _ms(moment)
    whole, rest = divmod(milliseconds, 1000)
    return milliseconds / 1000 if rest else whole
