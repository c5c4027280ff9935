"""Bulk puts: what may be asked for, what their reports hold, and how one is told.

A line of an object is an item, ``{"Item": {...}}``, in DynamoDB JSON or in Ion; beside it may stand the
members with which PutItem says on what condition it writes: ``ConditionExpression``,
``ExpressionAttributeNames`` and ``ExpressionAttributeValues``. Reports lie where exports do, in
DynamoDB JSON: AWS says what they hold, and how their lines look we have not seen.

Source: Amazon DynamoDB API Reference, StartBulkPutItems, InputS3Configuration, OutputS3Configuration
and BulkOperationDescription; Developer Guide, "Amazon S3 input formats for bulk put items", "Bulk put
items output and reconciliation" and "Bulk put items considerations, quotas, and permissions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ResourceInUseException, ValidationException
from fogbank.services.dynamodb.quotas import WRITE_UNIT_BYTES
from fogbank.services.dynamodb.rules import admitting, items, outputs
from fogbank.services.dynamodb.rules.access import arn_of as table_arn_of
from fogbank.services.dynamodb.rules.admitting import Format, Source
from fogbank.services.dynamodb.rules.capacity import IndexUnits, Units
from fogbank.services.dynamodb.rules.exchange import dynamodb_json
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    FAILED,
    NO_VALUE,
    TABLES,
    ItemRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.bulks import (
    CANCELLED,
    CANCELLING,
    OUTPUT_TYPES,
    BulkLineRecord,
    BulkRecord,
    BulkUsage,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

START: Final = "dynamodb:StartBulkPutItems"
_ACCELERATED: Final = "ACCELERATED"
_STANDARD: Final = "STANDARD"
TOO_MUCH: Final = "BulkOperationLimitExceeded"
CANCELLED_BY: Final = ("Cancelled", "The bulk operation was cancelled by a request")
GONE: Final = ("TableNotFound", "The table was deleted while the bulk operation was in progress")
"""The code and the message of bulk puts that end so; ours, for AWS does not say which it has."""
_MESSAGE_CHARACTERS_MAX: Final = 2_048
"""What is told of one record: a name in it may be as long as an item."""
_FOLDERS: Final = ("error/", "condition-check-failure/")
_ENDING: Final = "json.gz"
_INPUT: Final = ("S3Bucket", "S3KeyPrefix", "InputFormat", "InputCompressionType")
_OUTPUT: Final = ("S3Bucket", "S3KeyPrefix", "S3SseAlgorithm", "S3SseKmsKeyId", "OutputType")
"""The members of the two configurations beside the owners of their buckets."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def start_bulk_put_items(scope: Scope, request: Request) -> list[Access]:
    """Return what StartBulkPutItems needs of DynamoDB: the right to write into the table in bulk."""
    return [Access(START, table_arn_of(scope, request["TableName"]))]


# What is asked for.


def require_request(request: Request) -> None:
    """Refuse a StartBulkPutItems request that contradicts itself or has nowhere to report to."""
    output: Wire = request["OutputS3Configuration"]
    if "S3Bucket" not in output:
        raise ValidationException(
            f"{outputs.INVALID}OutputS3Configuration must specify an S3Bucket"
        )
    if not output["OutputType"]:
        raise ValidationException(
            f"{outputs.INVALID}OutputS3Configuration must specify at least one OutputType"
        )
    outputs.require_encryption(output)


def require_target(table: TableRecord) -> None:
    """Refuse a table that is not to be written in bulk now.

    Developer Guide, "Bulk put items considerations: Table state requirements" and "Global tables".

    Raises:
        ResourceInUseException: It is not ready, or an index of it is being made.
        ValidationException: It is part of a global table.
    """
    if table.group or table.replicas or table.strong is not None:
        raise ValidationException("Bulk put items does not support global tables")
    if table.status != ACTIVE:
        raise ResourceInUseException(f"The table is not ready: Table: {table.name}")
    if any(index.status == CREATING for index in table.indexes):
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table is being updated: {table.name}"
        )


def stored_request(scope: Scope, request: Request) -> bytes:
    """Return a request as its bulk put keeps it, with the owners of the buckets that it means."""
    source = _owned(scope, request["InputS3Configuration"], _INPUT)
    output = _owned(scope, request["OutputS3Configuration"], _OUTPUT)
    return _encode({**request, "InputS3Configuration": source, "OutputS3Configuration": output})


def _owned(scope: Scope, given: Wire, members: tuple[str, ...]) -> Wire:
    """Return what is said of a bucket, with its owner."""
    found = {name: given[name] for name in members if name in given}
    return {"S3BucketOwner": given.get("S3BucketOwner", scope.account), **found}


def request_of(record: BulkRecord) -> Wire:
    """Return what a bulk put was asked for."""
    return _decode(record.request)


def table_of(record: BulkRecord) -> TableRecord:
    """Return the table of a bulk put, as it was when that began."""
    return TABLES.decode(record.definition)


def with_keys_of(record: BulkRecord, table: TableRecord) -> BulkRecord:
    """Return a bulk put that knows with what its table is sealed by now."""
    known = table_of(record)
    if known.sse == table.sse:
        return record
    definition = encode(msgspec.structs.replace(known, sse=table.sse))
    return msgspec.structs.replace(record, definition=definition)


def format_of(request: Request) -> Format:
    """Return how the files of a bulk put are written."""
    return Format(request["InputS3Configuration"]["InputFormat"], conditional=True)


def source_of(request: Request) -> Source:
    """Return where the objects of a bulk put lie."""
    given: Wire = request["InputS3Configuration"]
    return admitting.source_of(given, given.get("InputCompressionType", "NONE"))


def tier_of(request: Request) -> str:
    """Return the ``PerformanceTier`` of a bulk put."""
    found: str = request.get("PerformanceTier", _STANDARD)
    return found


def rate_of(request: Request, standard: int, accelerated: int) -> int:
    """Return the units a second that a bulk put may write; 0: as many as its table takes.

    Args:
        request: With ``MaxWriteRequestUnits`` and ``PerformanceTier``.
        standard: What the tier STANDARD may write; 0: as many as there are.
        accelerated: Likewise ACCELERATED.
    """
    of_tier = accelerated if tier_of(request) == _ACCELERATED else standard
    given = [each for each in (of_tier, request.get("MaxWriteRequestUnits", 0)) if each]
    return min(given, default=0)


# What writes cost.


def with_write(usage: BulkUsage, units: float, indexes: IndexUnits) -> BulkUsage:
    """Return what writes have cost with one more.

    Each costs whole units of writing, as it does PutItem, told in bytes.
    """
    return BulkUsage(
        table=usage.table + _bytes_of(units),
        local=_added(usage.local, indexes.local, WRITE_UNIT_BYTES),
        overall=_added(usage.overall, indexes.overall, WRITE_UNIT_BYTES),
        vectors=_added(usage.vectors, indexes.vectors, 1),
    )


def _bytes_of(units: float) -> int:
    return int(units * WRITE_UNIT_BYTES)


def _added(sums: dict[str, int], more: Units, factor: int) -> dict[str, int]:
    """Return sums with what one write adds to them."""
    if not more:
        return sums
    return {**sums, **{name: sums.get(name, 0) + int(each * factor) for name, each in more.items()}}


def units_between(before: BulkUsage, after: BulkUsage) -> float:
    """Return the units of writing that were consumed between two moments; vectors have none."""
    return (_units_of(after) - _units_of(before)) / WRITE_UNIT_BYTES


def _units_of(usage: BulkUsage) -> int:
    """Return what writes have cost, in bytes, without those of vectors."""
    return usage.table + sum(usage.local.values()) + sum(usage.overall.values())


# Reports.


def folder_of(record: BulkRecord) -> str:
    """Return the key below which the reports of a bulk put lie, a slash at its end."""
    output: Wire = request_of(record)["OutputS3Configuration"]
    return f"{outputs.root_of(output.get('S3KeyPrefix', ''))}{record.id}/"


def file_key(record: BulkRecord, kind: int) -> str:
    """Return the key of the file of one type that comes next; in another attempt it is the same."""
    word = f"{record.id}/{OUTPUT_TYPES[kind]}/{record.outputs[kind].files}"
    return f"{folder_of(record)}{_FOLDERS[kind]}{outputs.file_name(word, _ENDING)}"


def told_message(message: str) -> str:
    """Return as much of a message as is kept."""
    return message[:_MESSAGE_CHARACTERS_MAX]


def line_of(
    table: TableRecord,
    record: BulkRecord,
    line: BulkLineRecord,
    attempted: ItemRecord | None,
    existing: ItemRecord | None,
) -> bytes:
    """Return a line of a report: where the record stands, and why or against what it was not written.

    Args:
        table: Of the bulk put, opened if it is sealed.
        record: The bulk put.
        line: What is kept of the line.
        attempted: The item that was to be written, if it is told.
        existing: What lay at its key.
    """
    bucket = request_of(record)["InputS3Configuration"]["S3Bucket"]
    told: dict[str, Any] = {
        "itemS3Pointer": {"bucket": bucket, "key": line.key, "itemIndex": line.number}
    }
    if line.message:
        told["errorMessages"] = [line.message]
    for name, found in (("Item", attempted), ("ExistingItem", existing)):
        if found is not None:
            told[name] = items.item_of(table, found)
    return dynamodb_json.line_of(told)


def kept_size(
    line: BulkLineRecord, attempted: ItemRecord | None, existing: ItemRecord | None
) -> int:
    """Return what a line is counted with until it is told."""
    found = sum(each.size for each in (attempted, existing) if each is not None)
    return len(line.key) + len(line.message) + found + WRITE_UNIT_BYTES // 8


def is_kept(value: msgspec.Raw) -> bool:
    """Return whether a line has an item."""
    return value != NO_VALUE


def summary_manifest(scope: Scope, record: BulkRecord, ended_ms: int) -> bytes:
    """Return the summary of a bulk put that ends now."""
    request, counts = request_of(record), record.counts
    output: Wire = request["OutputS3Configuration"]
    told: dict[str, object] = {
        "bulkOperationArn": arn_of_bulk(scope, record),
        "startTime": outputs.time_text(record.started_ms),
        "endTime": outputs.time_text(ended_ms),
        "tableArn": arns.table_arn(scope.region, scope.account, record.table),
        "tableId": record.table_id,
        "s3Bucket": output["S3Bucket"],
        "s3Prefix": output.get("S3KeyPrefix"),
        "s3SseAlgorithm": output.get("S3SseAlgorithm"),
        "s3SseKmsKeyId": output.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": f"{folder_of(record)}manifest-files.json",
        "outputType": output["OutputType"],
        "processedItemCount": counts.processed,
        "failedItemCount": counts.errors,
        "conditionCheckFailureCount": counts.processed - counts.imported - counts.errors,
    }
    return orjson.dumps(told)


# How it ends, and is told.


def ended(record: BulkRecord, ended_ms: int) -> BulkRecord:
    """Return a bulk put that ends now: as it was about to, unless it was cancelled before."""
    status, code, message = record.ending, record.failure_code, record.failure_message
    if record.status == CANCELLING and status != FAILED:
        status, (code, message) = CANCELLED, CANCELLED_BY
    return msgspec.structs.replace(
        record,
        status=status,
        failure_code=code,
        failure_message=message,
        ended_ms=ended_ms,
    )


def arn_of_bulk(scope: Scope, record: BulkRecord) -> str:
    """Return the ARN of a bulk put."""
    return arns.bulk_arn(arns.table_arn(scope.region, scope.account, record.table), record.id)


def description_of(scope: Scope, record: BulkRecord) -> shapes.BulkOperationDescription:
    """Return the ``BulkOperationDescription`` of a bulk put."""
    request, counts = request_of(record), record.counts
    described: shapes.BulkOperationDescription = {
        "BulkOperationArn": arn_of_bulk(scope, record),
        "BulkOperationStatus": record.status,
        "TableDetails": [{"TableName": record.table, "TableId": record.table_id}],
        "InputS3Configuration": request["InputS3Configuration"],
        "OutputS3Configuration": request["OutputS3Configuration"],
        "StartTime": record.started_ms,
        "ProcessedItemCount": counts.processed,
        "ProcessedInputBytes": record.read_bytes,
        "BulkOperationUsage": [_usage_of(record)],
        "FailedItemCount": counts.errors,
        "PerformanceTier": tier_of(request),
    }
    if counts.is_listed:
        described["TotalInputBytes"] = counts.object_bytes
    if "ClientToken" in request:
        described["ClientToken"] = request["ClientToken"]
    if "MaxWriteRequestUnits" in request:
        described["MaxWriteRequestUnits"] = request["MaxWriteRequestUnits"]
    if record.is_over:
        described["EndTime"] = record.ended_ms
    if record.is_over and record.failure_code:
        described["FailureCode"] = record.failure_code
        described["FailureMessage"] = record.failure_message
    return described


def _usage_of(record: BulkRecord) -> shapes.BulkOperationUsage:
    """Return the ``BulkOperationUsage`` of a bulk put."""
    usage = record.usage
    told: shapes.BulkOperationUsage = {
        "TableName": record.table,
        "BulkPutBytes": _units_of(usage),
        "Table": {"BulkPutBytes": usage.table},
    }
    if usage.local:
        told["LocalSecondaryIndexes"] = {
            name: {"BulkPutBytes": each} for name, each in usage.local.items()
        }
    if usage.overall:
        told["GlobalSecondaryIndexes"] = {
            name: {"BulkPutBytes": each} for name, each in usage.overall.items()
        }
    if usage.vectors:
        told["VectorIndexes"] = {
            name: {"BulkPutVectorBytes": each} for name, each in usage.vectors.items()
        }
    return told


def summary_of(scope: Scope, record: BulkRecord) -> shapes.BulkOperationSummary:
    """Return the ``BulkOperationSummary`` of a bulk put."""
    summary: shapes.BulkOperationSummary = {
        "BulkOperationArn": arn_of_bulk(scope, record),
        "BulkOperationStatus": record.status,
        "StartTime": record.started_ms,
    }
    if record.is_over:
        summary["EndTime"] = record.ended_ms
    return summary
