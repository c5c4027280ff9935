"""What the store process and the child that runs a statement say to each other.

Frames: four bytes of length, then a struct in MessagePack. The child is told the statement and says which
tables it reads, is given them, and says what the statement says. Whatever cannot be done is its last word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fogbank.platform.sql import SqlBounds

LENGTH_BYTES: Final = 4
SPARE_BYTES: Final = 4 << 20
"""What a frame from the child may have beside the bytes of an answer: names and types of columns."""


class Opening(msgspec.Struct, tag="open"):
    """The statement."""

    text: str
    bounds: SqlBounds


class Begin(msgspec.Struct, tag="begin"):
    """The next table."""

    key: list[list[str]]


class Add(msgspec.Struct, tag="add"):
    """An item of the table, in DynamoDB's JSON."""

    item: bytes


class Run(msgspec.Struct, tag="run"):
    """All tables are there."""


class Tables(msgspec.Struct, tag="tables"):
    """The names of the tables that the statement reads."""

    names: list[str]


class Refused(msgspec.Struct, tag="refused"):
    """Why it cannot be run."""

    reason: str
    is_absent: bool = False
    """There is no DuckDB."""


class Answered(msgspec.Struct, tag="answer"):
    """What it says."""

    columns: list[tuple[str, str]]
    rows: Sequence[Mapping[str, Mapping[str, Any]]]


Asked = Opening | Begin | Add | Run
Told = Tables | Refused | Answered
_encode: Final = msgspec.msgpack.Encoder().encode
asked_of: Final = msgspec.msgpack.Decoder(Asked).decode
told_of: Final = msgspec.msgpack.Decoder(Told).decode


def frame_of(value: Asked | Told) -> bytes:
    """Return a value as it travels."""
    content = _encode(value)
    return len(content).to_bytes(LENGTH_BYTES) + content
