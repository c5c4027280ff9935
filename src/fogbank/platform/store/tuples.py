"""Order-preserving encoding of tuples into key bytes.

Theory: the encoded bytes of two tuples compare as the tuples do, element by element, so that a
range of keys is a range of tuples. Each element starts with a type mark. Byte strings and texts
are written in groups of eight bytes, each followed by a marker that says how many of the eight
count (9/8 of the length whatever the content, so that every key has a known largest length);
all groups but the last carry marker 255, which makes a prefix scan of the raw bytes work.
Integers are unsigned or negative 64-bit, in nine bytes.

Types order: None < bytes < str < int. Shape after FoundationDB's tuple layer and the group
encoding of MyRocks and TiKV.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

Element = bytes | str | int | None

_NONE: Final = 0x01
_BYTES: Final = 0x02
_TEXT: Final = 0x03
_INT: Final = 0x04
_GROUP: Final = 8
_FULL: Final = 255
_INT_BIAS: Final = 1 << 63
_INT_BYTES: Final = 9  # mark + 8
_MARK: Final = bytes((_FULL,))
_SPLIT: Final = tuple(Struct(f"{_GROUP}s" * groups) for groups in range(1, 33))
"""Cut a padded byte string into so many groups at once: 256 bytes at most, which most keys are."""


def pack(*elements: Element) -> bytes:
    """Return the key bytes of a tuple."""
    out = bytearray()
    for element in elements:
        if type(element) is str:
            out.append(_TEXT)
            _pack_groups(out, element.encode())
        elif type(element) is int:
            out.append(_INT)
            out += (element + _INT_BIAS).to_bytes(8)
        elif type(element) is bytes:
            out.append(_BYTES)
            _pack_groups(out, element)
        elif element is None:
            out.append(_NONE)
        else:
            raise TypeError(f"a key holds bytes, str, int or None, not {type(element).__name__}")
    return bytes(out)


def _pack_groups(out: bytearray, raw: bytes) -> None:
    """Append the groups of a byte string."""
    if len(raw) <= _GROUP:
        out += raw.ljust(_GROUP, b"\0")
        out.append(len(raw))
        return
    groups = (len(raw) + _GROUP - 1) // _GROUP
    if groups <= len(_SPLIT):
        parts = _SPLIT[groups - 1].unpack(raw.ljust(groups * _GROUP, b"\0"))
        out += _MARK.join(parts)
    else:
        padded = raw.ljust(groups * _GROUP, b"\0")
        out += _MARK.join([padded[at : at + _GROUP] for at in range(0, len(padded), _GROUP)])
    out.append(len(raw) - (groups - 1) * _GROUP)


def unpack(raw: bytes) -> tuple[Element, ...]:
    """Return the tuple whose key bytes these are; raise ``ValueError`` if they are none."""
    elements: list[Element] = []
    at = 0
    while at < len(raw):
        mark = raw[at]
        at += 1
        if mark == _INT:
            if at + 8 > len(raw):
                raise ValueError("the key ends inside an integer")
            elements.append(int.from_bytes(raw[at : at + 8]) - _INT_BIAS)
            at += 8
        elif mark in (_BYTES, _TEXT):
            value, at = _unpack_groups(raw, at)
            elements.append(value if mark == _BYTES else value.decode())
        elif mark == _NONE:
            elements.append(None)
        else:
            raise ValueError(f"no tuple element begins with {mark:#x}")
    return tuple(elements)


def _unpack_groups(raw: bytes, at: int) -> tuple[bytes, int]:
    """Return a byte string and the place after its last group."""
    end, size = at + _GROUP, len(raw)
    while end < size and raw[end] == _FULL:
        end += _GROUP + 1
    if end >= size:
        raise ValueError("the key ends inside a group")
    marker = raw[end]
    if marker > _GROUP:
        raise ValueError(f"no group has the marker {marker}")
    last = end - _GROUP
    if last == at:
        return raw[at : at + marker], end + 1
    out = bytearray(raw[at:last])
    del out[_GROUP :: _GROUP + 1]
    return bytes(out) + raw[last : last + marker], end + 1


def text_prefix(prefix: str) -> bytes:
    """Return bytes that begin the encoding of every text that starts with ``prefix``.

    Only whole groups can be compared, so rows under the result may still need a check.
    """
    return _open(_TEXT, prefix.encode())


def bytes_prefix(prefix: bytes) -> bytes:
    """Return bytes that begin the encoding of every byte string that starts with ``prefix``.

    The encodings from that of ``prefix`` itself on that begin so are those, and no others.
    """
    return _open(_BYTES, prefix)


def _open(mark: int, raw: bytes) -> bytes:
    """Return what begins the encoding of everything that begins with some bytes."""
    full = len(raw) - len(raw) % _GROUP
    out = bytearray([mark])
    for at in range(0, full - _GROUP, _GROUP):
        out += raw[at : at + _GROUP]
        out.append(_FULL)
    if full:
        out += raw[full - _GROUP : full]
        if full < len(raw):
            out.append(_FULL)
    return bytes(out + raw[full:])


def after_prefix(prefix: bytes) -> bytes:
    """Return the first key above every key that begins with ``prefix``."""
    stripped = prefix.rstrip(b"\xff")
    assert stripped, "a prefix of 0xff bytes has no end"
    return stripped[:-1] + bytes([stripped[-1] + 1])
