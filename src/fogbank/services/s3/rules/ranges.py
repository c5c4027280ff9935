"""Ranges of reads.

Source: RFC 9110, section 14; Amazon S3 API Reference, GetObject (one range per request; what is
no valid range is ignored).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fogbank.services.s3.errors import InvalidRange

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE)


class Span(NamedTuple):
    """The bytes of an object that a read is about: half-open."""

    begin: int
    end: int
    size: int
    partial: bool
    """Whether a part was asked for: then the reply is 206."""

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.end - self.begin

    @property
    def content_range(self) -> str:
        """Return the value of Content-Range."""
        return f"bytes {self.begin}-{self.end - 1}/{self.size}"


def span_of(header: str | None, size: int) -> Span:
    """Return the bytes that a Range header asks for; all, if it is none or not a single range.

    Raises:
        InvalidRange: It begins behind the end of the object.
    """
    whole = Span(0, size, size, partial=False)
    found = _RANGE.fullmatch(header) if header is not None else None
    if found is None or not (found[1] or found[2]):
        return whole
    if found[1]:
        begin = int(found[1])
        end = min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < begin:
            return whole
    else:
        begin, end = max(size - int(found[2]), 0), size
    if begin >= size:
        raise InvalidRange(ActualObjectSize=size, RangeRequested=header)
    return Span(begin, end, size, partial=True)
