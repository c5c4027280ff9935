"""Imports from S3: what may be asked for, what a record of a file becomes, and how one is told.

Source: Amazon DynamoDB API Reference, ImportTable and ImportTableDescription; Developer Guide,
"Amazon S3 import formats for DynamoDB" and "Import format quotas and validation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import orjson

from fogbank.base.arn import arn_of
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import indexes, items, keys, values
from fogbank.services.dynamodb.rules.access import arn_of as table_arn_of
from fogbank.services.dynamodb.rules.exchange import delimited, dynamodb_json, ion
from fogbank.services.dynamodb.rules.exchange.faults import Malformed, Unreadable
from fogbank.services.dynamodb.rules.exchange.records import Cut
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ImportRecord, ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

CSV: Final = "CSV"
LOG_GROUP: Final = "/aws-dynamodb/imports"
FAILED_ITEMS: Final = (
    "ItemValidationError",
    (
        "Some of the items failed validation checks and were not imported. Please check CloudWatch"
        " error logs for more details."
    ),
)
"""The code and the message of an import of which some items were refused."""
_DELIMITER: Final = ","
_MESSAGE_CHARACTERS_MAX: Final = 2_048
"""What is told of one item: a name in it may be as long as an item."""
_ENCODED_PER_BYTE: Final = 8
"""Bytes of a file for a byte of an item: ``{"NULL":true},`` has 14 for two; a control character in
JSON six for one."""
_ENVELOPE_BYTES: Final = 64 << 10
_NOT_BUILT: Final[Mapping[str, object]] = {
    "OnDemandThroughput": None,
    "SSESpecification": {"Enabled": False},
    "VectorIndexes": None,
}
"""Members of ``TableCreationParameters`` that are not acted on, each with its neutral value."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def import_table(scope: Scope, request: Request) -> list[Access]:
    """Return what ImportTable needs of DynamoDB: the right to import into the new table."""
    arn = table_arn_of(scope, request["TableCreationParameters"]["TableName"])
    return [Access("dynamodb:ImportTable", arn)]


def require_request(request: Request) -> None:
    """Refuse an ImportTable request that contradicts itself or asks for what is not built."""
    parameters: Wire = request["TableCreationParameters"]
    for member, neutral in _NOT_BUILT.items():
        if parameters.get(member, neutral) != neutral:
            raise NotBuilt.member("dynamodb", "ImportTable", f"TableCreationParameters.{member}")
    if "InputFormatOptions" in request and request["InputFormat"] != CSV:
        raise ValidationException("InputFormatOptions can only be specified for InputFormat CSV")
    header = options_of(request).header
    if len(set(header)) < len(header):
        raise ValidationException("HeaderList must not contain duplicate headers")


def stored_request(scope: Scope, request: Request) -> bytes:
    """Return a request as its import keeps it, with the owner of the bucket that it means."""
    given: Wire = request["S3BucketSource"]
    source = {
        "S3BucketOwner": given.get("S3BucketOwner", scope.account),
        "S3Bucket": given["S3Bucket"],
    }
    if "S3KeyPrefix" in given:
        source["S3KeyPrefix"] = given["S3KeyPrefix"]
    return _encode({**request, "S3BucketSource": source})


def request_of(record: ImportRecord) -> Wire:
    """Return what an import was asked for."""
    return _decode(record.request)


class Options(NamedTuple):
    """How a file of CSV is written."""

    delimiter: str
    header: tuple[str, ...]
    """The names of the columns; empty: the first record of each file has them."""


def options_of(request: Request) -> Options:
    """Return the options of CSV, those that AWS takes where there are none."""
    found: Wire = request.get("InputFormatOptions", {}).get("Csv", {})
    return Options(found.get("Delimiter", _DELIMITER), tuple(found.get("HeaderList", ())))


class Admitted(NamedTuple):
    """An item that may be written."""

    key: ItemKey
    record: ItemRecord


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


class Reader:
    """Reads the records of one object.

    Args:
        request: What the import was asked for.
        table: The table.
        item_bytes_max: What an item may have.
        header: The names of the columns, if the object's own were read.
    """

    def __init__(
        self, request: Request, table: TableRecord, item_bytes_max: int, header: tuple[str, ...]
    ) -> None:
        options = options_of(request)
        self._format: str = request["InputFormat"]
        self._delimiter = options.delimiter
        self._table = table
        self._item_bytes_max = item_bytes_max
        self.header = header or options.header
        self._types = types_of(table)

    @property
    def is_quoted(self) -> bool:
        """Return whether line breaks in quotes belong to a record."""
        return self._format == CSV

    @property
    def record_bytes_max(self) -> int:
        """Return what a record may have; no item that is not too large has more."""
        return self._item_bytes_max * _ENCODED_PER_BYTE + _ENVELOPE_BYTES

    @property
    def needs_header(self) -> bool:
        """Return whether the next record names the columns."""
        return self._format == CSV and not self.header

    def name_columns(self, cut: Cut, bytes_max: int) -> None:
        """Take the first record of an object for the names of its columns.

        Raises:
            Malformed: It cannot be.
        """
        if cut.content is None:
            raise Malformed(f"The header has more than {bytes_max} bytes")
        self.header = delimited.header_of(cut.content, self._delimiter, bytes_max)

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
        item = values.admit_item(self._item_of(content))
        size = items.require_size(item, self._item_bytes_max, items.TOO_LARGE)
        key = keys.key_of_item(self._table, item)
        indexes.require_keys(self._table, item)
        return Admitted(key, items.record_of(self._table, key, item, size))

    def _item_of(self, record: bytes) -> Item:
        """Return the item of a record, its values not yet checked."""
        if self._format == CSV:
            return delimited.item_of(record, self._delimiter, self.header, self._types)
        return ion.item_of(record) if self._format == "ION" else dynamodb_json.item_of(record)


def types_of(table: TableRecord) -> dict[str, str]:
    """Return the types of the attributes that are keys of a table or of its indexes."""
    found = {each.name: each.type for each in table.key_attributes}
    for index in table.indexes:
        found |= {each.name: each.type for each in index.key_attributes}
    return found


def error_message(scope: Scope, record: ImportRecord, key: str, refusal: Refusal) -> str:
    """Return what the log of an import is told of a record of an object that is no item."""
    bucket = request_of(record)["S3BucketSource"]["S3Bucket"]
    told = {
        "itemS3Pointer": {"bucket": bucket, "key": key, "itemIndex": refusal.number},
        "importArn": arn_of_import(scope, record),
        "errorMessages": [refusal.message[:_MESSAGE_CHARACTERS_MAX]],
    }
    return orjson.dumps(told).decode()


def arn_of_import(scope: Scope, record: ImportRecord) -> str:
    """Return the ARN of an import."""
    return arns.import_arn(arns.table_arn(scope.region, scope.account, record.table), record.id)


def _log_group_arn(scope: Scope) -> str:
    """Return the ARN of the group in which imports log."""
    return arn_of("logs", scope.region, scope.account, f"log-group:{LOG_GROUP}:*")


def description_of(scope: Scope, record: ImportRecord) -> shapes.ImportTableDescription:
    """Return the ``ImportTableDescription`` of an import."""
    request, counts = request_of(record), record.counts
    described: shapes.ImportTableDescription = {
        "ImportArn": arn_of_import(scope, record),
        "ImportStatus": record.status,
        "TableArn": arns.table_arn(scope.region, scope.account, record.table),
        "TableId": record.table_id,
        "S3BucketSource": request["S3BucketSource"],
        "ErrorCount": counts.errors,
        "CloudWatchLogGroupArn": _log_group_arn(scope),
        "InputFormat": request["InputFormat"],
        "InputCompressionType": request.get("InputCompressionType", "NONE"),
        "TableCreationParameters": request["TableCreationParameters"],
        "StartTime": record.started_ms,
        "ProcessedSizeBytes": counts.processed_bytes,
        "ProcessedItemCount": counts.processed,
        "ImportedItemCount": counts.imported,
    }
    if "ClientToken" in request:
        described["ClientToken"] = request["ClientToken"]
    if "InputFormatOptions" in request:
        described["InputFormatOptions"] = request["InputFormatOptions"]
    if record.ended_ms:
        described["EndTime"] = record.ended_ms
    if record.failure_code:
        described["FailureCode"] = record.failure_code
        described["FailureMessage"] = record.failure_message
    return described


def summary_of(scope: Scope, record: ImportRecord) -> shapes.ImportSummary:
    """Return the ``ImportSummary`` of an import."""
    request = request_of(record)
    summary: shapes.ImportSummary = {
        "ImportArn": arn_of_import(scope, record),
        "ImportStatus": record.status,
        "TableArn": arns.table_arn(scope.region, scope.account, record.table),
        "S3BucketSource": request["S3BucketSource"],
        "CloudWatchLogGroupArn": _log_group_arn(scope),
        "InputFormat": request["InputFormat"],
        "StartTime": record.started_ms,
    }
    if record.ended_ms:
        summary["EndTime"] = record.ended_ms
    return summary
