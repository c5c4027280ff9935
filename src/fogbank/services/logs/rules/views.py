"""Groups, streams and events as the wire has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.action import Scope
from fogbank.services.logs import arns
from fogbank.services.logs.rules.sorting import Found
from fogbank.services.logs.schema import GroupRecord, StreamRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import logs as shapes

STANDARD = "STANDARD"


def group_view(scope: Scope, group: GroupRecord, stored_bytes: int) -> shapes.LogGroup:
    """Return a group as DescribeLogGroups tells it."""
    arn = arns.group_arn(scope.region, scope.account, group.name)
    view: shapes.LogGroup = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "storedBytes": stored_bytes,
        "logGroupClass": STANDARD,
        "logGroupArn": arn,
        "deletionProtectionEnabled": False,
    }
    if group.retention_days:
        view["retentionInDays"] = group.retention_days
    return view


def stream_view(scope: Scope, group: GroupRecord, stream: StreamRecord) -> shapes.LogStream:
    """Return a stream as DescribeLogStreams tells it."""
    view: shapes.LogStream = {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": arns.stream_arn(scope.region, scope.account, group.name, stream.name),
        # AWS: always 0 for streams since 17 June 2019 (API Reference, LogStream).
        "storedBytes": 0,
    }
    if stream.last_event_ms >= 0:
        view["firstEventTimestamp"] = stream.first_event_ms
        view["lastEventTimestamp"] = stream.last_event_ms
        view["lastIngestionTime"] = stream.last_ingested_ms
        view["uploadSequenceToken"] = sequence_token(stream.last_ingested_ms)
    return view


def sequence_token(ingested_ms: int) -> str:
    """Return a sequence token; nobody checks them any more."""
    return f"{ingested_ms:056d}"


def event_view(found: Found, message: str) -> shapes.OutputLogEvent:
    """Return an event as GetLogEvents tells it."""
    return {
        "timestamp": found.position.time_ms,
        "message": message,
        "ingestionTime": found.ingested_ms,
    }


def filtered_view(found: Found, message: str, stream: str) -> shapes.FilteredLogEvent:
    """Return an event as FilterLogEvents tells it."""
    return {
        **event_view(found, message),
        "logStreamName": stream,
        "eventId": found.position.digits,
    }
