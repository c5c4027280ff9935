"""Exports to S3: what may be asked for, what files hold, and how an export is told.

Source: Amazon DynamoDB API Reference, ExportTableToPointInTime and ExportDescription; Developer
Guide, "DynamoDB table export output format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import orjson

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import InvalidExportTimeException, ValidationException
from fogbank.services.dynamodb.rules import filters, items, keys, outputs
from fogbank.services.dynamodb.rules.access import arn_of as table_arn_of
from fogbank.services.dynamodb.rules.exchange import dynamodb_json, ion
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.exports import ExportRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

FULL: Final = "FULL_EXPORT"
INCREMENTAL: Final = "INCREMENTAL_EXPORT"
BOTH_IMAGES: Final = "NEW_AND_OLD_IMAGES"
_ENDINGS: Final = {"DYNAMODB_JSON": "json.gz", "ION": "ion.gz"}
_VERSIONS: Final = {FULL: "2020-06-30", INCREMENTAL: "2023-08-01"}
"""Of the summary manifest, as the guide shows it for either type."""
_SECOND_MS: Final = 1_000
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def export_table(scope: Scope, request: Request) -> list[Access]:
    """Return what ExportTableToPointInTime needs of DynamoDB: the right to export the table."""
    arn = table_arn_of(scope, request["TableArn"])
    return [Access("dynamodb:ExportTableToPointInTime", arn)]


# What is asked for.


class Span(NamedTuple):
    """The times that an export is of, in milliseconds."""

    until_ms: int
    """Of a full export the moment; of an incremental one its end, which is not in it."""
    since_ms: int = 0
    """Where an incremental one begins; 0: it is a full one."""

    @property
    def seconds(self) -> list[int]:
        """Return the seconds at whose ends a table is looked at, the earlier first."""
        if not self.since_ms:
            return [self.until_ms // _SECOND_MS]
        return [self.since_ms // _SECOND_MS - 1, self.until_ms // _SECOND_MS - 1]


class Bounds(NamedTuple):
    """Within which the times of an export lie, in milliseconds."""

    earliest_ms: int
    now_ms: int
    span_min_ms: int
    span_max_ms: int


def require_request(request: Request) -> None:
    """Refuse an ExportTableToPointInTime request that contradicts itself."""
    kind, specification = request.get("ExportType", FULL), "IncrementalExportSpecification"
    if kind == INCREMENTAL and specification not in request:
        raise ValidationException(f"{outputs.INVALID}{specification} is required for {INCREMENTAL}")
    if kind == FULL and specification in request:
        raise ValidationException(f"{outputs.INVALID}{specification} is only for {INCREMENTAL}")
    if kind == INCREMENTAL and "ExportTime" in request:
        raise ValidationException(f"{outputs.INVALID}ExportTime is only for {FULL}")
    outputs.require_encryption(request)


def span_of(request: Request, bounds: Bounds) -> Span:
    """Return the times that an export is asked for.

    Raises:
        InvalidExportTimeException: The table cannot be restored to one of them, or they lie too
            near to each other or too far apart.
        ValidationException: An incremental export has no begin.
    """
    if request.get("ExportType", FULL) == FULL:
        until_ms = request.get("ExportTime", bounds.now_ms)
        _require_within(until_ms, bounds)
        return Span(until_ms)
    asked: Wire = request["IncrementalExportSpecification"]
    if "ExportFromTime" not in asked:
        raise ValidationException(f"{outputs.INVALID}ExportFromTime is required for {INCREMENTAL}")
    since_ms = asked["ExportFromTime"] // _SECOND_MS * _SECOND_MS
    until_ms = asked.get("ExportToTime", bounds.now_ms) // _SECOND_MS * _SECOND_MS
    for each in (since_ms, until_ms):
        _require_within(each, bounds)
    if not bounds.span_min_ms <= until_ms - since_ms <= bounds.span_max_ms:
        raise InvalidExportTimeException(
            "The difference between ExportFromTime and ExportToTime must be at least"
            f" {bounds.span_min_ms // _SECOND_MS} seconds and at most"
            f" {bounds.span_max_ms // _SECOND_MS} seconds"
        )
    return Span(until_ms, since_ms)


def _require_within(at_ms: int, bounds: Bounds) -> None:
    """Refuse a time to which the table cannot be restored."""
    if not bounds.earliest_ms <= at_ms <= bounds.now_ms:
        raise InvalidExportTimeException(
            "The specified ExportTime is outside of the point in time recovery window."
        )


def stored_request(scope: Scope, request: Request) -> bytes:
    """Return a request as its export keeps it, with the owner of the bucket that it means."""
    return _encode({"S3BucketOwner": scope.account, **request})


def request_of(record: ExportRecord) -> Wire:
    """Return what an export was asked for."""
    return _decode(record.request)


def table_of(record: ExportRecord) -> TableRecord:
    """Return the table of an export, as its moment was kept."""
    return TABLES.decode(record.table)


# Files.


def folder_of(record: ExportRecord) -> str:
    """Return the key below which the manifests of an export lie, a slash at its end."""
    return f"{_root_of(record)}{record.id}/"


def _root_of(record: ExportRecord) -> str:
    """Return the key below which all exports with a prefix lie."""
    return outputs.root_of(request_of(record).get("S3Prefix", ""))


def file_key(record: ExportRecord) -> str:
    """Return the key of the file that an export writes next; in another attempt it is the same.

    AWS: the files of incremental exports lie in one folder, those of a full one in its own.
    """
    ending = _ENDINGS[format_of(record)]
    name = outputs.file_name(f"{record.id}/{record.progress.files}", ending)
    root = _root_of(record) if record.from_ms else folder_of(record)
    return f"{root}data/{name}"


def format_of(record: ExportRecord) -> str:
    """Return the ``ExportFormat`` of an export."""
    found: str = request_of(record).get("ExportFormat", "DYNAMODB_JSON")
    return found


class Writer:
    """Writes the lines of an export.

    Args:
        record: The export.
        table: Its table, opened.
    """

    def __init__(self, record: ExportRecord, table: TableRecord) -> None:
        request = request_of(record)
        self._table = table
        self._is_ion = format_of(record) == "ION"
        specification: Wire = request.get("IncrementalExportSpecification", {})
        self._shows_old = specification.get("ExportViewType", BOTH_IMAGES) == BOTH_IMAGES
        self._filter = filters.filter_of(request, table)

    def item_line(self, record: ItemRecord) -> bytes:
        """Return the line of an item; none if it is filtered out."""
        item = items.item_of(self._table, record)
        if not self._filter.takes(item):
            return b""
        item = self._filter.shown(item)
        return (
            ion.line_of({"Item": item}) if self._is_ion else dynamodb_json.line_of({"Item": item})
        )

    def change_line(self, before: ItemRecord | None, after: ItemRecord | None, at_ms: int) -> bytes:
        """Return the line of what became of an item; none if it came and went, or is filtered out.

        Developer Guide, "DynamoDB table export output format: Incremental export output".
        """
        old, new = items.found_item(self._table, before), items.found_item(self._table, after)
        found = new or old
        if found is None or not self._filter.takes(found):
            return b""
        told: dict[str, Item] = {
            "Metadata": {"WriteTimestampMicros": {"N": str(at_ms * 1_000)}},
            "Keys": keys.key_attributes_of(self._table, found),
        }
        if old is not None and self._shows_old:
            told["OldImage"] = self._filter.shown(old)
        if new is not None:
            told["NewImage"] = self._filter.shown(new)
        if self._is_ion:
            return ion.record_line_of(told)
        return dynamodb_json.line_of(told)


def summary_manifest(scope: Scope, record: ExportRecord, ended_ms: int) -> bytes:
    """Return the summary of an export that ends now."""
    request, progress = request_of(record), record.progress
    kind = INCREMENTAL if record.from_ms else FULL
    told: dict[str, object] = {
        "version": _VERSIONS[kind],
        "exportArn": arn_of_export(scope, record),
        "startTime": outputs.time_text(record.started_ms),
        "endTime": outputs.time_text(ended_ms),
        "tableArn": arns.table_arn(scope.region, scope.account, record.name),
        "tableId": record.table_id,
    }
    if record.from_ms:
        told["exportFromTime"] = outputs.time_text(record.from_ms)
        told["exportToTime"] = outputs.time_text(record.export_ms)
    else:
        told["exportTime"] = outputs.time_text(record.export_ms)
    told |= {
        "s3Bucket": request["S3Bucket"],
        "s3Prefix": request.get("S3Prefix"),
        "s3SseAlgorithm": request.get("S3SseAlgorithm", "AES256"),
        "s3SseKmsKeyId": request.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": f"{folder_of(record)}manifest-files.json",
        "billedSizeBytes": progress.size,
        "itemCount": progress.items,
        "outputFormat": format_of(record),
    }
    if record.from_ms:
        specification = request["IncrementalExportSpecification"]
        told["outputView"] = specification.get("ExportViewType", BOTH_IMAGES)
        told["exportType"] = kind
    return orjson.dumps(told)


# How it is told.


def arn_of_export(scope: Scope, record: ExportRecord) -> str:
    """Return the ARN of an export."""
    return arns.export_arn(arns.table_arn(scope.region, scope.account, record.name), record.id)


def description_of(scope: Scope, record: ExportRecord) -> shapes.ExportDescription:
    """Return the ``ExportDescription`` of an export."""
    request = request_of(record)
    described: shapes.ExportDescription = {
        "ExportArn": arn_of_export(scope, record),
        "ExportStatus": record.status,
        "StartTime": record.started_ms,
        "TableArn": arns.table_arn(scope.region, scope.account, record.name),
        "TableId": record.table_id,
        "S3Bucket": request["S3Bucket"],
        "S3BucketOwner": request["S3BucketOwner"],
        "S3SseAlgorithm": request.get("S3SseAlgorithm", "AES256"),
        "ExportFormat": format_of(record),
        "ExportType": INCREMENTAL if record.from_ms else FULL,
        "BilledSizeBytes": record.progress.size,
        "ItemCount": record.progress.items,
    }
    if record.from_ms:
        specification = request["IncrementalExportSpecification"]
        described["IncrementalExportSpecification"] = {
            "ExportFromTime": record.from_ms,
            "ExportToTime": record.export_ms,
            "ExportViewType": specification.get("ExportViewType", BOTH_IMAGES),
        }
    else:
        described["ExportTime"] = record.export_ms
    if filters.MEMBER in request:
        described["FilterSpecification"] = request[filters.MEMBER]
    if "ClientToken" in request:
        described["ClientToken"] = request["ClientToken"]
    if "S3Prefix" in request:
        described["S3Prefix"] = request["S3Prefix"]
    if "S3SseKmsKeyId" in request:
        described["S3SseKmsKeyId"] = request["S3SseKmsKeyId"]
    if record.ended_ms:
        described["EndTime"] = record.ended_ms
    if record.failure_code:
        described["FailureCode"] = record.failure_code
        described["FailureMessage"] = record.failure_message
    elif record.ended_ms:
        described["ExportManifest"] = f"{folder_of(record)}manifest-summary.json"
    return described


def summary_of(scope: Scope, record: ExportRecord) -> shapes.ExportSummary:
    """Return the ``ExportSummary`` of an export."""
    return {
        "ExportArn": arn_of_export(scope, record),
        "ExportStatus": record.status,
        "ExportType": INCREMENTAL if record.from_ms else FULL,
    }
