"""Imports from S3: what may be asked for, and how one is told.

Source: Amazon DynamoDB API Reference, ImportTable and ImportTableDescription; Developer Guide,
"Import format quotas and validation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import orjson

from fogbank.base.arn import arn_of
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.access import arn_of as table_arn_of
from fogbank.services.dynamodb.rules.admitting import CSV, Format, Refusal
from fogbank.services.dynamodb.schema.imports import ImportRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

TOO_MUCH: Final = "ImportLimitExceeded"
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
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def import_table(scope: Scope, request: Request) -> list[Access]:
    """Return what ImportTable needs of DynamoDB: the right to import into the new table."""
    arn = table_arn_of(scope, request["TableCreationParameters"]["TableName"])
    return [Access("dynamodb:ImportTable", arn)]


def require_request(request: Request) -> None:
    """Refuse an ImportTable request that contradicts itself."""
    if "InputFormatOptions" in request and request["InputFormat"] != CSV:
        raise ValidationException("InputFormatOptions can only be specified for InputFormat CSV")
    header = format_of(request).header
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


def format_of(request: Request) -> Format:
    """Return how the files of an import are written; of CSV as AWS takes it where nothing is said."""
    found: Wire = request.get("InputFormatOptions", {}).get("Csv", {})
    delimiter, header = found.get("Delimiter", _DELIMITER), tuple(found.get("HeaderList", ()))
    return Format(request["InputFormat"], delimiter, header)


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
