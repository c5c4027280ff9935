"""Cuts a stream of bytes into records: lines, or in CSV lines with line breaks in quotes.

Rule: what is kept is one record, however the stream is cut, and no more of it than a record may
have; each record is told with where the next one begins, so that reading can go on there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.services.dynamodb.rules.exchange.faults import Malformed

_BREAK: Final = b"\n"
_QUOTE: Final = b'"'


class Cut(NamedTuple):
    """A record, and where the next one begins."""

    content: bytes | None
    """Without its line break; None: it was larger than a record may be, and was passed over."""
    end: int
    """In bytes of the stream."""


class Cutter:
    """Cuts one stream.

    Args:
        begin: Where in the stream it begins.
        record_bytes_max: What a record may have; a larger one is passed over.
        quoted: Whether line breaks between quotes belong to their record.
    """

    def __init__(self, begin: int, record_bytes_max: int, *, quoted: bool) -> None:
        self._end = begin
        self._max = record_bytes_max
        self._quoted = quoted
        self._kept: list[bytes] = []
        self._size = 0
        self._open = False
        """Whether a quote is open where the kept bytes end."""
        self._is_endless = False
        """Whether a quote has been open for longer than a record may be."""

    def cut(self, chunk: bytes) -> list[Cut]:
        """Return the records that end in the next bytes of the stream.

        Raises:
            Malformed: Before them a quote stays open for longer than a record may be.
        """
        self._require_sound()
        found: list[Cut] = []
        begin = at = 0
        while (end := chunk.find(_BREAK, at)) >= 0:
            is_open = self._open_behind(chunk, at, end)
            at = end + 1
            if not is_open:
                found.append(self._taken(chunk[begin:end], at - begin))
                begin = at
            self._open = is_open
        self._open = self._open_behind(chunk, at, len(chunk))
        self._keep(chunk[begin:])
        return found

    def finish(self) -> list[Cut]:
        """Return what stands behind the last line break.

        Raises:
            Malformed: The stream ends inside a quote.
        """
        self._require_sound()
        if self._open:
            raise Malformed("The file ends inside a quoted field")
        return [self._taken(b"", 0)] if self._size else []

    def _open_behind(self, chunk: bytes, begin: int, end: int) -> bool:
        """Return whether a quote is open behind a part of a chunk, which the next one follows."""
        return self._quoted and self._open != bool(chunk.count(_QUOTE, begin, end) % 2)

    def _taken(self, last: bytes, length: int) -> Cut:
        """Return the record that ends with some bytes."""
        self._end += self._size + length
        size = self._size + len(last)
        content = None if size > self._max else b"".join((*self._kept, last)).removesuffix(b"\r")
        self._kept, self._size = [], 0
        return Cut(content, self._end)

    def _keep(self, rest: bytes) -> None:
        """Keep the begin of a record, as long as it is not too large for one."""
        self._size += len(rest)
        if self._size <= self._max:
            self._kept.append(rest)
            return
        self._kept = []
        self._is_endless = self._open

    def _require_sound(self) -> None:
        """Refuse what stands behind a quote that nobody has closed."""
        if self._is_endless:
            raise Malformed("A quoted field is larger than an item may be")
