"""Vectors: what an item has in a vector index, and what its attributes must be for that.

Theory: an index keeps a vector in 32 bits a number whatever the item's own numbers are, and beside
it the contents of the attributes that a search may ask for, so that a search reads nothing else of
an entry that is not among the nearest. An item without a vector, or without the index's partition
key, has no entry.

Source: Amazon DynamoDB Developer Guide, "Creating and searching vector indexes" ("Writing items with
vector data") and "Troubleshooting vector indexes". The words of the refusals are those that
others measured on AWS (nubo-db/dynamodb-conformance, tests/tier3/error-messages/vectorWrites.test.ts,
and dynoxide, which says when and where each was captured).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import keys, values
from fogbank.services.dynamodb.rules.values import Item, Value, type_of
from fogbank.services.dynamodb.schema import ALL, IndexRecord, KeyAttribute, VectorShape

NUMBER_BYTES: Final = 4
NO_VECTOR: Final = b""
_INVALID: Final = "One or more parameter values were invalid. "
_RANGE: Final = "[-3.4028235E38, 3.4028235E38]"
_DIGITS: Final = range(6, 10)
"""Six digits always come back from 32 bits as they were, and nine always tell one number."""

Packed = dict[str, bytes]
"""The vectors of one item by attribute, as far as they were asked for; empty: it has none."""
Filters = tuple[bytes | None, ...]


def packed(value: Value | None, dimensions: int) -> bytes:
    """Return the numbers of a vector in 32 bits each; nothing if the value is no such vector."""
    members: list[Value] | None = None if value is None else value.get("L")
    if members is None or len(members) != dimensions:
        return NO_VECTOR
    try:
        return struct.pack(f"<{dimensions}f", *[float(member["N"]) for member in members])
    except (KeyError, OverflowError):
        return NO_VECTOR


def vector_of(shape: VectorShape, item: Item, made: Packed) -> bytes:
    """Return the vector that an item has in an index; nothing if it has none.

    Args:
        shape: What the index compares.
        item: The item.
        made: Its vectors; indexes of one attribute have one number of dimensions.
    """
    if shape.attribute not in made:
        made[shape.attribute] = packed(item.get(shape.attribute), shape.dimensions)
    return made[shape.attribute]


def filters_of(index: IndexRecord, item: Item) -> Filters | None:
    """Return the contents of what a search may ask for; None: a value is of another type.

    AWS: then a write is refused, and an item that was there before the index gets no entry.
    """
    contents: list[bytes | None] = []
    for attribute in filter_attributes(index):
        value = item.get(attribute.name)
        if value is not None and attribute.type not in value:
            return None
        contents.append(None if value is None else keys.content_of(attribute, value))
    return tuple(contents)


def filter_attributes(index: IndexRecord) -> tuple[KeyAttribute, ...]:
    """Return the attributes of a vector index that a search may ask for beside its partition key."""
    shape = index.vector
    return () if shape is None else tuple(one for one in shape.schema if one not in index.partition)


def size_of(shape: VectorShape) -> int:
    """Return what a vector counts in the size of its entry, with its name, in bytes.

    AWS: four bytes a number, whatever its text (measured: ``VectorWriteRequestBytes``).
    """
    return NUMBER_BYTES * shape.dimensions + len(shape.attribute.encode())


def shows_vector(index: IndexRecord) -> bool:
    """Return whether an index projects its own vectors."""
    shape = index.vector
    return shape is not None and (index.projection == ALL or shape.attribute in index.included)


def values_of(vector: bytes) -> Value:
    """Return a vector as a list of numbers: the shortest texts that are these 32 bits.

    AWS: the copy of the index is told, not what the item has, and whole numbers with ``.0``
    (measured, dynoxide).
    """
    numbers: tuple[float, ...] = struct.unpack(f"<{len(vector) // NUMBER_BYTES}f", vector)
    return {"L": [{"N": _text_of(number)} for number in numbers]}


def _text_of(number: float) -> str:
    """Return the shortest plain text of a number of 32 bits."""
    text = ""
    for digits in _DIGITS:
        text = f"{number:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", number):
            break
    plain = f"{Decimal(text):f}"
    return plain if "." in plain else f"{plain}.0"


# What a write must keep.


def require_vector(index: IndexRecord, item: Item, before: Item, made: Packed) -> None:
    """Refuse an item that has something else where an index wants a vector, or a filter's value.

    Args:
        index: Of any kind; what is no vector index wants nothing.
        item: The item as it is to be.
        before: As it was: what it had, and keeps, is no fault.
        made: The vectors of ``item``.
    """
    shape = index.vector
    if shape is None:
        return
    value = item.get(shape.attribute)
    if (
        value is not None
        and not vector_of(shape, item, made)
        and value != before.get(shape.attribute)
    ):
        raise _fault_of(index, shape, value)
    for attribute in shape.schema:
        found = item.get(attribute.name)
        if found is None or attribute.type in found or found == before.get(attribute.name):
            continue
        raise ValidationException(
            f"{_INVALID}Attribute '{attribute.name}' type mismatch. Expected: {attribute.type},"
            f" Actual: {type_of(found)}. IndexName: {index.name}"
        )


def _fault_of(index: IndexRecord, shape: VectorShape, value: Value) -> ValidationException:
    """Return what is wrong with a value that is no vector of an index."""
    name, members = shape.attribute, value.get("L")
    if members is None:
        return ValidationException(
            f"{_INVALID}Invalid type for parameter {name}, Expected: 32-bit floating point number"
            f" list IndexName: {index.name}"
        )
    for place, member in enumerate(members):
        if "N" not in member:
            return ValidationException(
                f"{_INVALID}Invalid type for parameter {name}[{place}], Expected: 32-bit floating"
                f" point number, Actual: {type_of(member)}. IndexName: {index.name}"
            )
        if not packed({"L": [member]}, 1):
            return ValidationException(
                f"{_INVALID}Invalid value for parameter {name}[{place}], Value:"
                f" {Decimal(member['N']).normalize()} is outside valid range {_RANGE}."
                f" IndexName: {index.name}"
            )
    return ValidationException(
        f"{_INVALID}Invalid size for parameter {name}, Expected: {shape.dimensions}, Actual:"
        f" {len(members)} IndexName: {index.name}"
    )


def search_vector_of(given: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the vector that a search compares with, in 32 bits a number.

    Raises:
        ValidationException: It has something else than such numbers.
    """
    try:
        return struct.pack(
            f"<{len(given)}f", *[float(values.admit({**each})["N"]) for each in given]
        )
    except (KeyError, OverflowError):
        raise ValidationException(
            "Search vector contains invalid values. All values in the search vector must be a"
            " 32-bit floating-point number attribute"
        ) from None
