"""Event stream messages: headers and a payload in a frame with two checksums, both ways.

Rule: no I/O. ``encoded`` makes a frame; ``Frames`` is fed whatever bytes came and gives the
messages that are whole. Lengths are bounded before anything waits for them, and both checksums are
compared before a header is looked at.

A frame: total length (4 bytes), length of headers (4), CRC-32 of these (4), headers, payload,
CRC-32 of all before (4); numbers are big-endian.

Source: Smithy, "Amazon Event Stream Specification".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID
from zlib import crc32

HEADERS_BYTES_MAX: Final = 128 << 10
PAYLOAD_BYTES_MAX: Final = 16 << 20
HEADERS_MAX: Final = 256
"""Headers of one message."""
_PRELUDE_BYTES: Final = 12
_FRAME_BYTES_MIN: Final = 16
_NAME_BYTES_MAX: Final = 255
_VALUE_BYTES_MAX: Final = (1 << 15) - 1

_TRUE, _FALSE, _BYTE, _SHORT, _INT, _LONG, _BYTES, _TEXT, _TIME, _UUID = range(10)
_NUMBERS: Final = {_BYTE: (">b", 1), _SHORT: (">h", 2), _INT: (">i", 4), _LONG: (">q", 8)}
_INT32_MAX: Final = 2**31 - 1
_INT64_MAX: Final = 2**63 - 1


class BrokenFrame(ValueError):
    """Bytes that are no event stream message, or one that passes a bound."""


class Time(int):
    """A header's time: milliseconds since the Unix epoch."""


Value = bool | int | bytes | str | UUID
"""A header's value; a ``Time`` is an int of its own kind."""


class Message(NamedTuple):
    """One message of a stream."""

    headers: Mapping[str, Value]
    payload: bytes


def _value(value: Any) -> bytes:
    """Return a header's type and value."""
    if isinstance(value, bool):
        return bytes((_TRUE if value else _FALSE,))
    if isinstance(value, Time):
        return struct.pack(">Bq", _TIME, value)
    if isinstance(value, int):
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            raise BrokenFrame("a header's number does not fit")
        small = -_INT32_MAX - 1 <= value <= _INT32_MAX
        return struct.pack(">Bi", _INT, value) if small else struct.pack(">Bq", _LONG, value)
    if isinstance(value, UUID):
        return bytes((_UUID,)) + value.bytes
    kind, data = (_TEXT, value.encode()) if isinstance(value, str) else (_BYTES, bytes(value))
    if len(data) > _VALUE_BYTES_MAX:
        raise BrokenFrame("a header's value is too long")
    return struct.pack(">BH", kind, len(data)) + data


def encoded(message: Message) -> bytes:
    """Return the frame of a message.

    Raises:
        BrokenFrame: It passes a bound.
    """
    headers = headers_encoded(message.headers)
    if len(headers) > HEADERS_BYTES_MAX or len(message.payload) > PAYLOAD_BYTES_MAX:
        raise BrokenFrame("a message that is too large")
    total = _FRAME_BYTES_MIN + len(headers) + len(message.payload)
    prelude = struct.pack(">II", total, len(headers))
    body = b"".join((prelude, struct.pack(">I", crc32(prelude)), headers, message.payload))
    return body + struct.pack(">I", crc32(body))


def headers_encoded(headers: Mapping[str, Value]) -> bytes:
    """Return headers as they stand in a frame.

    Raises:
        BrokenFrame: One passes a bound.
    """
    pieces: list[bytes] = []
    for name, value in headers.items():
        data = name.encode()
        if not 1 <= len(data) <= _NAME_BYTES_MAX:
            raise BrokenFrame("a header's name is empty or too long")
        pieces += (bytes((len(data),)), data, _value(value))
    return b"".join(pieces)


class Frames:
    """Finds the messages in bytes that come in pieces; holds no more than one frame."""

    __slots__ = ("_buffer", "_total")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._total = 0
        """Bytes of the frame that is incomplete; 0 while its prelude is."""

    @property
    def is_between(self) -> bool:
        """Return whether the stream may end here."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are whole once more bytes came; take all of them.

        Raises:
            BrokenFrame: The bytes are no messages; nothing after them can be read.
        """
        self._buffer += data
        while True:
            if not self._total and len(self._buffer) >= _PRELUDE_BYTES:
                self._total = _total_of(self._buffer)
            if not self._total or len(self._buffer) < self._total:
                return
            frame = bytes(self._buffer[: self._total])
            del self._buffer[: self._total]
            self._total = 0
            yield _message(frame)


def _total_of(buffer: bytearray) -> int:
    """Return the length of a frame whose prelude is there."""
    total, headers, check = struct.unpack_from(">III", buffer)
    if crc32(buffer[:8]) != check:
        raise BrokenFrame("the checksum of a prelude does not match")
    payload = total - headers - _FRAME_BYTES_MIN
    if headers > HEADERS_BYTES_MAX or not 0 <= payload <= PAYLOAD_BYTES_MAX:
        raise BrokenFrame("a message that is too large, or lengths that do not fit")
    return int(total)


def _message(frame: bytes) -> Message:
    """Return the message of a whole frame."""
    (check,) = struct.unpack_from(">I", frame, len(frame) - 4)
    if crc32(frame[:-4]) != check:
        raise BrokenFrame("the checksum of a message does not match")
    (length,) = struct.unpack_from(">I", frame, 4)
    end = _PRELUDE_BYTES + length
    return Message(_headers(frame[_PRELUDE_BYTES:end]), frame[end:-4])


def _headers(data: bytes) -> dict[str, Value]:
    out: dict[str, Value] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name = data[at + 1 : name_end].decode()
            if not name or name in out or len(out) >= HEADERS_MAX or name_end >= len(data):
                raise BrokenFrame("a header without a name or value, one twice, or too many")
            out[name], at = _read_value(data, name_end)
    except (struct.error, UnicodeDecodeError, IndexError):
        raise BrokenFrame("a header that cannot be read") from None
    if at != len(data):
        raise BrokenFrame("a header that is cut off")
    return out


def _read_value(data: bytes, at: int) -> tuple[Value, int]:
    """Return a header's value and where it ends."""
    kind, at = data[at], at + 1
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, at
    if kind in _NUMBERS:
        form, width = _NUMBERS[kind]
        return struct.unpack_from(form, data, at)[0], at + width
    if kind == _TIME:
        return Time(struct.unpack_from(">q", data, at)[0]), at + 8
    if kind == _UUID:
        return _uuid(data, at), at + 16
    if kind not in {_BYTES, _TEXT}:
        raise BrokenFrame("a header of an unknown type")
    (length,) = struct.unpack_from(">H", data, at)
    end = at + 2 + length
    if end > len(data):
        raise BrokenFrame("a header that is cut off")
    found = data[at + 2 : end]
    return (found.decode() if kind == _TEXT else found), end


def _uuid(data: bytes, at: int) -> UUID:
    if at + 16 > len(data):
        raise BrokenFrame("a header that is cut off")
    return UUID(bytes=data[at : at + 16])
