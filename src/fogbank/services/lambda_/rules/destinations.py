"""What a destination hears of records that no run takes any more.

AWS: an object has the event with it, everything else the numbers alone by which it can be read again
from the stream as long as that keeps it.

Source: Lambda Developer Guide, "Retain discarded batch records for a DynamoDB event source".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from fogbank.base.types import Wire
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.rules.lanes import EXHAUSTED
from fogbank.services.lambda_.schema import MappingRecord


class GivenUp(NamedTuple):
    """Some records that are given up."""

    mapping: MappingRecord
    function_arn: str
    version: str
    """The one that ran."""
    shard: str
    cause: str
    request_id: str
    """Of the last run with them."""
    attempts: int
    numbers: list[str]
    created_ms: list[int]
    events: list[bytes]
    """JSON."""
    now_ms: int


def second_of(time_ms: int) -> str:
    """Return a time by the second: ``2026-01-31T12:00:00Z``."""
    return f"{datetime.fromtimestamp(time_ms // 1_000, UTC):%Y-%m-%dT%H:%M:%S}Z"


def moment_of(time_ms: int) -> str:
    """Return a time by the millisecond: ``2026-01-31T12:00:00.000Z``."""
    return f"{second_of(time_ms)[:-1]}.{time_ms % 1_000:03}Z"


def message_of(batch: GivenUp, drawn: str) -> tuple[str, str, Wire]:
    """Return the service, operation and request that tell the destination.

    Args:
        batch: What is given up.
        drawn: A UUID that ends the name of an object.
    """
    told = _told_of(batch)
    target = batch.mapping.on_failure
    if arns.find_function(target) is not None:
        request = {"FunctionName": target, "InvocationType": "Event", "Payload": orjson.dumps(told)}
        return "lambda", "Invoke", request
    told["payload"] = orjson.Fragment(b'{"Records":[' + b",".join(batch.events) + b"]}")
    body = orjson.dumps(told)
    at = datetime.fromtimestamp(batch.now_ms // 1_000, UTC)
    key = (
        f"aws/lambda/{batch.mapping.id}/{batch.shard}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{drawn}"
    )
    bucket = target.rpartition(":")[2]
    return "s3", "PutObject", {"Bucket": bucket, "Key": key, "Body": body}


def _told_of(batch: GivenUp) -> dict[str, Any]:
    """Return what every destination hears."""
    told: dict[str, Any] = {
        "requestContext": {
            "requestId": batch.request_id,
            "functionArn": batch.function_arn,
            "condition": batch.cause,
            "approximateInvokeCount": batch.attempts,
        }
    }
    if batch.cause == EXHAUSTED:
        told["responseContext"] = {
            "statusCode": 200,
            "executedVersion": batch.version,
            "functionError": "Unhandled",
        }
    told["version"] = "1.0"
    told["timestamp"] = moment_of(batch.now_ms)
    told["DDBStreamBatchInfo"] = {
        "shardId": batch.shard,
        "startSequenceNumber": batch.numbers[0],
        "endSequenceNumber": batch.numbers[-1],
        "approximateArrivalOfFirstRecord": second_of(batch.created_ms[0]),
        "approximateArrivalOfLastRecord": second_of(batch.created_ms[-1]),
        "batchSize": len(batch.numbers),
        "streamArn": batch.mapping.source_arn,
    }
    return told
