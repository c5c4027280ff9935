"""Listings as a walk over ordered keys: prefix, delimiter, markers, pages.

Theory: keys are ordered by their UTF-8 bytes. A walk takes rows in that order and says where to
look next: behind a key, or past everything that begins with a common prefix, so that a folder of a
million keys costs one seek. It asks for one entry more than fits, and only then calls the page
truncated. Nothing here reads; ``state.objects`` and ``state.uploads`` feed it.

Source: Amazon S3 User Guide, "Organizing objects using prefixes"; API Reference, ListObjectsV2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self
from urllib.parse import quote

from fogbank.base.types import Request
from fogbank.services.s3.errors import InvalidArgument
from fogbank.services.s3.quotas import LIST_KEYS_MAX

_INTEGER_MAX: Final = 2_147_483_647


class Place(NamedTuple):
    """Where a walk looks next."""

    after: tuple[str, ...] = ()
    """Behind the row of this key, or of this key and upload id; () is the beginning."""
    past: bool = False
    """Behind every key that begins with ``after[0]``."""


class Row(NamedTuple):
    """One stored row of a listing."""

    key: str
    upload_id: str
    value: bytes


class Walk:
    """One page of a listing in the making."""

    __slots__ = (
        "_delimiter",
        "done",
        "limit",
        "place",
        "prefix",
        "prefixes",
        "rows",
        "truncated",
    )

    def __init__(self, prefix: str, delimiter: str, limit: int, place: Place) -> None:
        self.prefix = prefix
        self._delimiter = delimiter
        self.limit = limit
        self.place = place
        self.rows: list[Row] = []
        self.prefixes: list[str] = []
        self.truncated = False
        self.done = limit == 0

    def clone(self) -> Self:
        """Return a copy that can go on by itself: transaction bodies may run twice."""
        other = type(self)(self.prefix, self._delimiter, self.limit, self.place)
        other.rows, other.prefixes = self.rows.copy(), self.prefixes.copy()
        other.truncated, other.done = self.truncated, self.done
        return other

    def common_prefix(self, key: str) -> str:
        """Return the prefix up to the first delimiter that the key rolls up into, or nothing."""
        if not self._delimiter:
            return ""
        at = key.find(self._delimiter, len(self.prefix))
        return "" if at < 0 else key[: at + len(self._delimiter)]

    def feed(self, rows: Sequence[Row], *, last: bool) -> None:
        """Take the rows found at ``place``, in order.

        Args:
            rows: What was found; rows outside the prefix are passed over.
            last: Whether there is nothing behind them.
        """
        if self._delimiter or self.place.past:
            for row in rows:
                if not self._take(row):
                    return
        elif not self._take_all([row for row in rows if row.key.startswith(self.prefix)]):
            return
        self.done = last

    def _take_all(self, rows: Sequence[Row]) -> bool:
        """Take rows that roll up into nothing; return whether the walk goes on."""
        fitting = rows[: self.limit - len(self.rows)]
        if fitting:
            self.rows += fitting
            self.place = behind(fitting[-1])
        if len(fitting) == len(rows):
            return True
        self.truncated = self.done = True
        return False

    def _take(self, row: Row) -> bool:
        """Take one row; return whether the walk goes on."""
        if not row.key.startswith(self.prefix):
            return True
        if self.place.past and row.key.startswith(self.place.after[0]):
            return True
        common = self.common_prefix(row.key)
        if len(self.rows) + len(self.prefixes) == self.limit:
            self.truncated = self.done = True
            return False
        if common:
            self.place = Place((common,), past=True)
            self.prefixes.append(common)
        else:
            self.place = behind(row)
            self.rows.append(row)
        return True


def behind(row: Row) -> Place:
    """Return the place behind a row."""
    return Place((row.key, row.upload_id) if row.upload_id else (row.key,))


def walk_from_marker(prefix: str, delimiter: str, limit: int, marker: str) -> Walk:
    """Return a walk behind a marker: a key, or anything inside a common prefix already shown."""
    walk = Walk(prefix, delimiter, limit, Place((marker,) if marker else ()))
    if marker and marker.startswith(prefix):
        common = walk.common_prefix(marker)
        # AWS: a marker inside a common prefix passes over all of it (LocalStack's validated
        # list_objects does the same).
        if common:
            return Walk(prefix, delimiter, limit, Place((common,), past=True))
    return walk


def limit_of(request: Request, member: str, name: str) -> int:
    """Return how many entries a page holds.

    Raises:
        InvalidArgument: The number is negative.
    """
    asked = request.get(member)
    if asked is None:
        return LIST_KEYS_MAX
    if not 0 <= asked <= _INTEGER_MAX:
        raise InvalidArgument(
            f"Argument {name} must be an integer between 0 and {_INTEGER_MAX}",
            ArgumentName=name,
            ArgumentValue=asked,
        )
    return min(asked, LIST_KEYS_MAX)


def token_of(place: Place) -> str:
    """Return the continuation token of a place, which the gateway seals."""
    mark = "p" if place.past else "k"
    return f"{mark}{place.after[0]}"


def place_of(token: str) -> Place:
    """Return the place that a continuation token names.

    Raises:
        InvalidArgument: We have not given it out.
    """
    if token[:1] not in ("p", "k") or not token[1:]:
        raise InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        )
    return Place((token[1:],), past=token[0] == "p")


def check_encoding(request: Request) -> None:
    """Refuse encodings other than ``url``."""
    encoding = request.get("EncodingType")
    if encoding not in (None, "url"):
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request",
            ArgumentName="encoding-type",
            ArgumentValue=encoding,
        )


def encoded(request: Request, text: str) -> str:
    """Return a key or prefix as the request wants it: URL-encoded or as it is."""
    return quote(text, safe="/") if request.get("EncodingType") == "url" else text
