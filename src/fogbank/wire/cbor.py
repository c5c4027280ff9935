"""CBOR data items: bytes to values and back, bounded and canonical.

Rule: nothing is believed. A length is checked against the bytes that are there before anything is
made of it, nesting and the number of items are bounded, and every failure is ``Unreadable``. What
is written is the deterministic encoding: shortest heads, definite lengths, shortest floats that
keep the value, keys of maps in the order of their bytes. Of tags only 1 (epoch time) has a meaning
here; a text, a number or a container under another tag is refused.

Source: RFC 8949, sections 3 and 4.2.1; Smithy, "RPC v2 CBOR protocol".
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final, cast

DEPTH_MAX: Final = 100
"""Items within items, as in JSON."""
ITEMS_MAX: Final = 500_000
"""Items of one body: what a few megabytes of empty lists would otherwise become in memory."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE: Final = 31
_EPOCH_TAG: Final = 1
_BREAK: Final = object()
_FLOATS: Final = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLES: Final[dict[int, Any]] = {20: False, 21: True, 22: None, 23: None}
_SHORT: Final = 24
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


class Unreadable(ValueError):
    """Bytes that are no CBOR data item, or one that passes a bound."""


class Epoch:
    """A time: seconds since the Unix epoch under tag 1."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Epoch) and other.seconds == self.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __repr__(self) -> str:
        return f"Epoch({self.seconds!r})"


class _Reader:
    """Reads items from the front of a body."""

    __slots__ = ("at", "data", "items")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes, all of them."""
        end = self.at + count
        if end > len(self.data):
            raise Unreadable("it ends in the middle of an item")
        found = self.data[self.at : end]
        self.at = end
        return found

    def item(self, depth: int) -> Any:
        """Return the next item, or ``_BREAK``."""
        self.items += 1
        if depth > DEPTH_MAX or self.items > ITEMS_MAX:
            raise Unreadable("too many items, or too deep")
        first = self.take(1)[0]
        major, short = first >> 5, first & 31
        if major == _SIMPLE:
            return self._simple(short)
        if short == _INDEFINITE:
            return self._indefinite(major, depth)
        number = short if short < _SHORT else self._number(short)
        if major == _UNSIGNED:
            return number
        if major == _NEGATIVE:
            return -1 - number
        if major == _TAG:
            return self._tagged(number, depth)
        return self._sized(major, number, depth)

    def _number(self, short: int) -> int:
        width = _WIDTHS.get(short)
        if width is None:
            raise Unreadable("a reserved head")
        return int.from_bytes(self.take(width), "big")

    def _sized(self, major: int, count: int, depth: int) -> Any:
        """Return a string or container of a known length."""
        if major == _BYTES:
            return self.take(count)
        if major == _TEXT:
            return _text_of(self.take(count))
        if count > len(self.data) - self.at:
            raise Unreadable("more items than bytes")
        if major == _ARRAY:
            return [self._inner(depth) for _ in range(count)]
        out: dict[str, Any] = {}
        for _ in range(count):
            self._entry(self._inner(depth), out, depth)
        return out

    def _inner(self, depth: int) -> Any:
        found = self.item(depth + 1)
        if found is _BREAK:
            raise Unreadable("a break outside of an indefinite item")
        return found

    def _entry(self, key: Any, out: dict[str, Any], depth: int) -> None:
        """Read the value of a map's key."""
        if type(key) is not str:
            raise Unreadable("a key that is not a text")
        if key in out:
            raise Unreadable("a key that comes twice")
        out[key] = self._inner(depth)

    def _simple(self, short: int) -> Any:
        if short in _FLOATS:
            form, width = _FLOATS[short]
            return struct.unpack(form, self.take(width))[0]
        if short == _INDEFINITE:
            return _BREAK
        if short not in _SIMPLES:
            raise Unreadable("a simple value without a meaning")
        return _SIMPLES[short]

    def _tagged(self, tag: int, depth: int) -> Epoch:
        found = self._inner(depth)
        if tag != _EPOCH_TAG or type(found) not in {int, float}:
            raise Unreadable("a tag without a meaning here")
        return Epoch(found)

    def _indefinite(self, major: int, depth: int) -> Any:
        """Return a string in pieces, or a container that ends at a break."""
        if major in {_BYTES, _TEXT}:
            return self._pieces(bytes if major == _BYTES else str, depth)
        if major == _ARRAY:
            items: list[Any] = []
            while (found := self.item(depth + 1)) is not _BREAK:
                items.append(found)
            return items
        if major != _MAP:
            raise Unreadable("a reserved head")
        out: dict[str, Any] = {}
        while (key := self.item(depth + 1)) is not _BREAK:
            self._entry(key, out, depth)
        return out

    def _pieces(self, kind: type[bytes | str], depth: int) -> Any:
        pieces: list[Any] = []
        while (found := self.item(depth + 1)) is not _BREAK:
            if type(found) is not kind:
                raise Unreadable("a piece of another type than its string")
            pieces.append(found)
        return kind().join(pieces)


def _text_of(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("a text that is not UTF-8") from None


def loads(data: bytes) -> Any:
    """Return the one data item that bytes are.

    Returns:
        An int, float, text, bytes, bool, None (null and undefined), ``Epoch``, list, or dict with
        texts as keys.

    Raises:
        Unreadable: They are not one, or pass a bound.
    """
    reader = _Reader(data)
    found = reader.item(0)
    if found is _BREAK or reader.at != len(data):
        raise Unreadable("bytes behind the item, or a break")
    return found


def head(major: int, number: int) -> bytes:
    """Return the shortest head of an item."""
    first = major << 5
    if number < _SHORT:
        return bytes((first | number,))
    for short, width in _WIDTHS.items():
        if number < 1 << (8 * width):
            return bytes((first | short,)) + number.to_bytes(width, "big")
    raise ValueError("a number that CBOR has no head for")


def text(value: str) -> bytes:
    """Return a text's item."""
    data = value.encode("utf-8")
    return head(_TEXT, len(data)) + data


def real(value: float) -> bytes:
    """Return a float's item: the shortest that keeps its value."""
    value = float(value)
    if math.isnan(value):
        return b"\xf9\x7e\x00"
    for short, form in ((0xF9, ">e"), (0xFA, ">f")):
        try:
            data = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, data)[0] == value:
            return bytes((short,)) + data
    return b"\xfb" + struct.pack(">d", value)


def whole(value: int) -> bytes:
    """Return an int's item."""
    return head(_UNSIGNED, value) if value >= 0 else head(_NEGATIVE, -1 - value)


def blob(value: bytes | bytearray | memoryview) -> bytes:
    """Return the item of bytes."""
    return head(_BYTES, len(value)) + bytes(value)


def epoch(milliseconds: int) -> bytes:
    """Return a time's item: tag 1 over seconds, an int if whole and else a double."""
    seconds, rest = divmod(milliseconds, 1000)
    inside = b"\xfb" + struct.pack(">d", milliseconds / 1000) if rest else whole(seconds)
    return head(_TAG, _EPOCH_TAG) + inside


def array_head(count: int) -> bytes:
    """Return the head of a list."""
    return head(_ARRAY, count)


def map_head(count: int) -> bytes:
    """Return the head of a map."""
    return head(_MAP, count)


def truth(value: bool) -> bytes:  # noqa: FBT001 (the value itself)
    """Return a boolean's item."""
    return b"\xf5" if value else b"\xf4"


NULL: Final = b"\xf6"


def dumps(value: Any) -> bytes:
    """Return the item of a value of ``loads``'s kinds, keys of maps in the order of their bytes."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        parts = sorted((text(key), dumps(each)) for key, each in entries.items())
        return map_head(len(parts)) + b"".join(key + item for key, item in parts)
    if isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        return array_head(len(items)) + b"".join(map(dumps, items))
    if value is None:
        return NULL
    writers: dict[type, Any] = {bool: truth, int: whole, float: real, str: text, bytes: blob}
    if type(value) is Epoch:
        return epoch(round(value.seconds * 1000))
    return writers[type(value)](value)
