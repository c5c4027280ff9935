"""What a record of a file becomes: an item that may be written, or a refusal; for imports and bulk puts.

Rule: whatever a record holds, what becomes of it is an outcome: nothing that stands in a file ends the
work that reads it. The values of an item are checked as PutItem checks them, its key and the keys of
indexes against the table.

Source: Amazon DynamoDB Developer Guide, "Amazon S3 import formats for DynamoDB", "Import format quotas
and validation" and "Amazon S3 input formats for bulk put items".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from fogbank.base.types import Wire
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import indexes, items, keys, requests, values
from fogbank.services.dynamodb.rules.exchange import delimited, dynamodb_json, ion
from fogbank.services.dynamodb.rules.exchange.faults import Malformed, Unreadable
from fogbank.services.dynamodb.rules.exchange.records import Cut
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.requests import NOTHING, Expressions
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

CSV: Final = "CSV"
ION: Final = "ION"
_ENCODED_PER_BYTE: Final = 8
"""Bytes of a file for a byte of an item: ``{"NULL":true},`` has 14 for two; a control character in
JSON six for one."""
_ENVELOPE_BYTES: Final = 64 << 10
_NO_MEMBERS: Final[Wire] = {}


class Admitted(NamedTuple):
    """An item that may be written."""

    key: ItemKey
    record: ItemRecord
    expressions: Expressions = NOTHING
    """With the condition on which it is written, if its record has one."""


class Refusal(NamedTuple):
    """A record that is no item of the table."""

    number: int
    """That of the record in its object, from 0 on."""
    message: str


class Outcome(NamedTuple):
    """What a record is; a blank line is nothing."""

    number: int
    end: int
    """Where the next record begins."""
    found: Admitted | Refusal | None


class Format(NamedTuple):
    """How files are written."""

    name: str
    """``InputFormat``."""
    delimiter: str = ""
    """Of CSV."""
    header: tuple[str, ...] = ()
    """The names of the columns of CSV; empty: the first record of each file has them."""
    conditional: bool = False
    """Whether a record may say on what condition it is written."""


class Source(NamedTuple):
    """Where the objects lie, and how."""

    bucket: str
    owner: str
    prefix: str
    compression: str
    """``InputCompressionType``."""


def source_of(given: Wire, compression: str) -> Source:
    """Return where a request that names the owner of its bucket says that objects lie."""
    return Source(
        given["S3Bucket"], given["S3BucketOwner"], given.get("S3KeyPrefix", ""), compression
    )


class Reader:
    """Reads the records of one object.

    Args:
        form: How it is written.
        table: The table.
        item_bytes_max: What an item may have.
        header: The names of the columns, if the object's own were read.
    """

    def __init__(
        self, form: Format, table: TableRecord, item_bytes_max: int, header: tuple[str, ...] = ()
    ) -> None:
        self._form = form
        # Items are sealed when they are written, if they are.
        self._table = msgspec.structs.replace(table, sse=None)
        self._item_bytes_max = item_bytes_max
        self.header = header or form.header
        self._types = types_of(table)

    @property
    def is_quoted(self) -> bool:
        """Return whether line breaks in quotes belong to a record."""
        return self._form.name == CSV

    @property
    def record_bytes_max(self) -> int:
        """Return what a record may have; no item that is not too large has more."""
        return self._item_bytes_max * _ENCODED_PER_BYTE + _ENVELOPE_BYTES

    @property
    def needs_header(self) -> bool:
        """Return whether the next record names the columns."""
        return self._form.name == CSV and not self.header

    def name_columns(self, cut: Cut, bytes_max: int) -> None:
        """Take the first record of an object for the names of its columns.

        Raises:
            Malformed: It cannot be.
        """
        if cut.content is None:
            raise Malformed(f"The header has more than {bytes_max} bytes")
        self.header = delimited.header_of(cut.content, self._form.delimiter, bytes_max)

    def outcomes(self, cuts: Sequence[Cut], first: int) -> list[Outcome]:
        """Return what records are, of which the first has a number."""
        found: list[Outcome] = []
        index = first
        for cut in cuts:
            if cut.content == b"":
                # It has no number: what is told of the next record is where that stands.
                found.append(Outcome(index - 1, cut.end, None))
                continue
            try:
                found.append(Outcome(index, cut.end, self._admit(cut.content)))
            except (Unreadable, ValidationException) as error:
                found.append(Outcome(index, cut.end, Refusal(index, error.message)))
            index += 1
        return found

    def _admit(self, content: bytes | None) -> Admitted:
        """Return the item of a record.

        Raises:
            Unreadable: It is no item in its format.
            ValidationException: The table cannot have this item.
        """
        if content is None:
            raise ValidationException(items.TOO_LARGE)
        given, members = self._given_in(content)
        item = values.admit_item(given)
        size = items.require_size(item, self._item_bytes_max, items.TOO_LARGE)
        expressions = requests.expressions_of(members, requests.WRITE)
        key = keys.key_of_item(self._table, item)
        indexes.require_keys(self._table, item)
        keys.require_scalar_keys(self._table, expressions.nested_attributes)
        return Admitted(key, items.record_of(self._table, key, item, size), expressions)

    def _given_in(self, record: bytes) -> tuple[Item, Mapping[str, object]]:
        """Return the item of a record, its values not yet checked, and the members of its condition."""
        if self._form.name == CSV:
            item = delimited.item_of(record, self._form.delimiter, self.header, self._types)
            return item, _NO_MEMBERS
        kind = ion if self._form.name == ION else dynamodb_json
        return (
            kind.put_of(record) if self._form.conditional else (kind.item_of(record), _NO_MEMBERS)
        )


def types_of(table: TableRecord) -> dict[str, str]:
    """Return the types of the attributes that a table, or an index of it, gives one."""
    found = {each.name: each.type for each in table.key_attributes}
    for index in table.indexes:
        found |= {each.name: each.type for each in index.defined_attributes}
    return found
