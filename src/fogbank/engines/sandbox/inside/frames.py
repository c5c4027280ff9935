"""The frames between client and sandbox: kind, a small JSON head, and bytes.

Layout: kind 1 byte, length of the head 4 bytes, length of the body 4 bytes (big-endian), head,
body. Rule: the receiving side checks both lengths against a named maximum before it reads on;
what a sandbox sends is never trusted further than that.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple, cast

ASSIGN = 1
INVOKE = 2
CREDENTIALS = 3
INIT = 4
RESULT = 5
ERROR = 6
CHUNK = 7
EXECUTE = 8
EXTEND = 9
WARM = 10
"""Said once by a runtime that waits without a function."""

HEAD_BYTES_MAX = 256 * 1024
BODY_BYTES_MAX = 8 * 1024 * 1024
RESPONSE_BYTES_MAX = 6_291_556
"""AWS: 6 MB and a little, counted as its error message counts."""

PREFIX = struct.Struct(">BII")


class Frame(NamedTuple):
    """One frame."""

    kind: int
    head: dict[str, Any]
    body: bytes


class Oversized(Exception):
    """A frame that is larger than its kind may be, or of no known kind."""


def encode(kind: int, head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    raw = json.dumps(head, separators=(",", ":")).encode()
    assert len(raw) <= HEAD_BYTES_MAX
    assert len(body) <= BODY_BYTES_MAX
    return PREFIX.pack(kind, len(raw), len(body)) + raw + body


def lengths(prefix: bytes | bytearray | memoryview) -> tuple[int, int, int]:
    """Return kind and lengths from a prefix.

    Raises:
        Oversized: The frame may not be read.
    """
    kind, head_bytes, body_bytes = PREFIX.unpack(prefix)
    if not ASSIGN <= kind <= EXTEND or head_bytes > HEAD_BYTES_MAX or body_bytes > BODY_BYTES_MAX:
        raise Oversized(f"kind {kind}, head {head_bytes}, body {body_bytes}")
    return kind, head_bytes, body_bytes


def head_of(raw: bytes) -> dict[str, Any]:
    """Return a frame's head; raises ``ValueError`` if it is no JSON object."""
    head = json.loads(raw)
    if not isinstance(head, dict):
        raise ValueError("a head that is no object")  # noqa: TRY004 (one error for bad bytes)
    return cast("dict[str, Any]", head)
