"""CSV: a header of names and a record of values for each item, fields in quotes where need be.

All values are texts, but those of keys of the table and of its indexes, which have their types.
A quote that is part of a field is doubled in a quoted field, and stands as three in one that is
not: so does AWS's own example.

Source: Amazon DynamoDB Developer Guide, "Amazon S3 import formats for DynamoDB: CSV"; RFC 4180.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from fogbank.services.dynamodb.rules.exchange.faults import Malformed, Unreadable
from fogbank.services.dynamodb.rules.values import Item, Value

_DELIMITERS: Final = 6
"""The model has so many."""


@lru_cache(maxsize=_DELIMITERS)
def _field(delimiter: str) -> re.Pattern[str]:
    """Return the pattern of a field and of what ends it."""
    mark = re.escape(delimiter)
    quoted, plain = '"([^"]*(?:""[^"]*)*)"', rf'([^"{mark}]*(?:"""[^"{mark}]*)*)'
    return re.compile(f"(?:{quoted}|{plain})({mark}|\\Z)")


def fields_of(record: bytes, delimiter: str) -> list[str]:
    """Return the fields of a record.

    Raises:
        Unreadable: It is no record of CSV.
    """
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise Unreadable("The record is not in UTF-8") from None
    found: list[str] = []
    at, pattern = 0, _field(delimiter)
    while True:
        match = pattern.match(text, at)
        if match is None:
            raise Unreadable(f"A quote in field {len(found) + 1} is not escaped")
        quoted, plain, end = match.groups()
        found.append(plain.replace('"""', '"') if quoted is None else quoted.replace('""', '"'))
        if not end:
            return found
        at = match.end()


def header_of(record: bytes, delimiter: str, bytes_max: int) -> tuple[str, ...]:
    """Return the names that the first record of a file has.

    Raises:
        Malformed: They are none, or more than can be kept.
    """
    if len(record) > bytes_max:
        raise Malformed(f"The header has more than {bytes_max} bytes")
    try:
        names = tuple(fields_of(record, delimiter))
    except Unreadable as error:
        raise Malformed(error.message) from None
    if not all(names):
        raise Malformed("A column has no name")
    if len(set(names)) < len(names):
        raise Malformed("Two columns have one name")
    return names


def item_of(record: bytes, delimiter: str, header: Sequence[str], types: Mapping[str, str]) -> Item:
    """Return the item of a record, its values not yet checked.

    Args:
        record: The record.
        delimiter: What stands between fields.
        header: The names of the fields.
        types: The types of attributes that are keys.

    Raises:
        Unreadable: It is no record of CSV, or has other fields than the header.
    """
    fields = fields_of(record, delimiter)
    if len(fields) != len(header):
        raise Unreadable(f"The record has {len(fields)} fields, and the header {len(header)}")
    return {
        name: _value(name, field, types.get(name, "S"))
        for name, field in zip(header, fields, strict=True)
    }


def _value(name: str, field: str, kind: str) -> Value:
    """Return the value of a field."""
    if kind != "B":
        return {kind: field}
    try:
        return {kind: b64decode(field, validate=True)}
    except (binascii.Error, ValueError):
        raise Unreadable(f"The value of the key {name} is not in base64") from None
