"""Patterns with ``*`` (any run of characters) and ``?`` (any one character).

Rule: matching takes time linear in the text for each literal piece of the pattern, whatever the
pattern; nothing backtracks.

Theory: a pattern is pieces of fixed length between stars. The first piece must begin the text and
the last must end it; taking for every piece between the leftmost place behind the one before is
enough, because a later place never leaves more room for the rest. Pieces are found by the string
search of the runtime; a piece that holds ``?`` is a regular expression without repetition.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from typing import Final

Matcher = Callable[[str], bool]


class Wild(enum.Enum):
    """What in a pattern is not literal text."""

    ANY = "*"
    ONE = "?"


Part = str | Wild

_WILD = re.compile(r"[*?]")


def parts_of(pattern: str) -> list[Part]:
    """Return the literal runs and wildcards of a pattern, in order."""
    parts: list[Part] = []
    at = 0
    for found in _WILD.finditer(pattern):
        if found.start() > at:
            parts.append(pattern[at : found.start()])
        parts.append(Wild(found.group()))
        at = found.end()
    if at < len(pattern):
        parts.append(pattern[at:])
    return parts


def matcher_of(parts: Sequence[Part]) -> Matcher:
    """Return what tells whether a whole text matches the parts."""
    pieces: list[list[Part]] = [[]]
    for part in parts:
        if part is Wild.ANY:
            pieces.append([])
        else:
            pieces[-1].append(part)
    if any(Wild.ONE in piece for piece in pieces):
        return _Pieces(pieces).matches
    literals = ["".join(str(part) for part in piece) for piece in pieces]
    if len(literals) == 1:
        return literals[0].__eq__
    first, *middle, last = literals
    middle = [piece for piece in middle if piece]
    if middle:
        return _holding(first, middle, last)
    return _beginning(first) if not last else _between(first, last)


def pattern_matcher(pattern: str) -> Matcher:
    """Return what tells whether a whole text matches a pattern."""
    return matcher_of(parts_of(pattern))


def _beginning(prefix: str) -> Matcher:
    """Return what tells whether a text begins with the prefix."""

    def matches(text: str) -> bool:
        return text.startswith(prefix)

    return matches


def _between(first: str, last: str) -> Matcher:
    """Return what tells whether a text begins and ends so, with anything or nothing between."""
    length_min = len(first) + len(last)

    def matches(text: str) -> bool:
        return len(text) >= length_min and text.endswith(last) and text.startswith(first)

    return matches


def _beginning_holding(first: str, piece: str) -> Matcher:
    """Return what tells whether a text begins with one text and holds another behind it."""
    begins = len(first)

    def matches(text: str) -> bool:
        return text.find(piece, begins) >= 0 and text.startswith(first)

    return matches


def _holding(first: str, middle: Sequence[str], last: str) -> Matcher:
    """Return what tells whether a text also holds pieces, one behind the other."""
    if len(middle) == 1 and not last:
        return _beginning_holding(first, middle[0])
    begins, tail = len(first), len(last)
    length_min = begins + tail + sum(len(piece) for piece in middle)

    def matches(text: str) -> bool:
        end = len(text) - tail
        if end + tail < length_min or not (text.startswith(first) and text.endswith(last)):
            return False
        at = begins
        for piece in middle:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return matches


class _Pieces:
    """Pieces that may hold ``?``: each a regular expression of fixed length."""

    __slots__ = ("_length_min", "_lengths", "_pieces")

    def __init__(self, pieces: list[list[Part]]) -> None:
        self._lengths = [
            sum(1 if part is Wild.ONE else len(str(part)) for part in piece) for piece in pieces
        ]
        self._length_min = sum(self._lengths)
        self._pieces: Final = [
            re.compile(
                "".join("." if part is Wild.ONE else re.escape(str(part)) for part in piece),
                re.DOTALL,
            )
            for piece in pieces
        ]

    def matches(self, text: str) -> bool:
        """Tell whether the whole text matches."""
        pieces, lengths = self._pieces, self._lengths
        if len(pieces) == 1:
            return len(text) == lengths[0] and pieces[0].match(text) is not None
        if len(text) < self._length_min:
            return False
        end = len(text) - lengths[-1]
        if not pieces[0].match(text) or not pieces[-1].match(text, end):
            return False
        at = lengths[0]
        for piece in pieces[1:-1]:
            found = piece.search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return True
