"""Streams: what a table is asked to tell of its changes, and how its streams are named.

Rules: a stream is named by its table and by when it was made; a table has one open stream at most,
whose view cannot be changed. A closed stream can be read as long as its records are kept.

Source: Amazon DynamoDB Developer Guide, "Change data capture for DynamoDB Streams"; API Reference,
StreamSpecification. Messages: answers of AWS in ack-api-quirks, DDB-TABLE-050.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.rules.shards import ITERATOR_MARK
from fogbank.services.dynamodb.schema import StreamRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as table_shapes
    from fogbank.wire.shapes import dynamodbstreams as shapes

REPLICATED_VIEW: Final = "NEW_AND_OLD_IMAGES"
"""Of the stream that a replica has."""
_INVALID: Final = "One or more parameter values were invalid: "
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]{1,32}:[0-9]{12}"
    r":table/(?P<table>[a-zA-Z0-9_.-]{1,255})"
    r"/stream/(?P<label>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3})"
)
_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%f"


class StreamName(NamedTuple):
    """What the ARN of a stream of this account and region names."""

    arn: str
    table: str
    created_ms: int

    @property
    def not_found(self) -> ResourceNotFoundException:
        """Return the error that there is no such stream."""
        return ResourceNotFoundException(
            f"Requested resource not found: Stream: {self.arn} not found"
        )


def label_of(created_ms: int) -> str:
    """Return the label of a stream: when it was made, in UTC."""
    seconds, ms = divmod(created_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}"


def find_created_ms(label: str) -> int | None:
    """Return when the stream with a label was made, or None if none can have it."""
    try:
        made = datetime.strptime(label, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(made.timestamp()) * 1_000 + made.microsecond // 1_000


def stream_name_of(scope: Scope, arn: str) -> StreamName:
    """Return what the ARN of a stream names.

    Raises:
        ValidationException: It is no ARN of a stream.
        ResourceNotFoundException: It is of another account or region than the scope.
    """
    found = _ARN.fullmatch(arn)
    if found is None:
        raise ValidationException("Invalid StreamArn")
    table, label = found["table"], found["label"]
    created_ms = find_created_ms(label)
    if created_ms is None:
        raise ValidationException("Invalid StreamArn")
    name = StreamName(arn, table, created_ms)
    if arn != arns.stream_arn(scope.region, scope.account, table, label):
        raise name.not_found
    return name


def arn_of(scope: Scope, stream: StreamRecord) -> str:
    """Return the ARN of a stream."""
    label = label_of(stream.created_ms)
    return arns.stream_arn(scope.region, scope.account, stream.table, label)


def on_stream(operation: str) -> AccessOf:
    """Return the access of an operation on the stream that its request names."""
    action = f"dynamodb:{operation}"
    return lambda _scope, request: [Access(action, request["StreamArn"])]


def on_iterator(_scope: Scope, request: Request) -> list[Access]:
    """Return the access of GetRecords: on the stream that its iterator begins with."""
    arn = request["ShardIterator"].partition(ITERATOR_MARK)[0]
    return [Access("dynamodb:GetRecords", arn)]


def require_limit(request: Request, limit_max: int) -> int:
    """Return ``Limit``, which the model bounds below alone."""
    limit: int = request.get("Limit", limit_max)
    if limit > limit_max:
        raise ValidationException(f"{_INVALID}Limit should be less than or equal to {limit_max}")
    return limit


def view_of_new(request: Request) -> str:
    """Return the view of the stream that a new table is to have; empty: it has none."""
    asked = request.get("StreamSpecification")
    if asked is None:
        return ""
    view: str = asked.get("StreamViewType", "")
    if asked["StreamEnabled"] and not view:
        raise ValidationException(
            f"{_INVALID}Table is being created with a stream enabled, UpdateViewType is required"
        )
    if not asked["StreamEnabled"] and view:
        raise ValidationException(
            f"{_INVALID}Table is being created with a stream disabled,"
            " UpdateViewType should not be specified"
        )
    return view


def changed_view(table: TableRecord, request: Request) -> str:
    """Return the view that UpdateTable gives the stream of a table; empty: it closes it.

    Raises:
        ValidationException: There is one already, or none to close.
    """
    asked = request["StreamSpecification"]
    view: str = asked.get("StreamViewType", "")
    if not asked["StreamEnabled"]:
        if view:
            raise ValidationException(
                f"{_INVALID}If stream is being disabled, then UpdateViewType must not be specified"
            )
        if table.replicas:
            # AWS: in these words (ack-api-quirks, DDB-TABLE-227).
            raise ValidationException("Disabling Stream is not allowed for a Global Table replica.")
        if not table.stream_view:
            raise ValidationException(f"Table has no stream to disable: TableName: {table.name}")
        return ""
    if not view:
        raise ValidationException(
            f"{_INVALID}If stream is being enabled then UpdateViewType is required"
        )
    if table.stream_view:
        raise ValidationException(f"Table already has an enabled stream: TableName: {table.name}")
    return view


def members_of(scope: Scope, table: TableRecord) -> table_shapes.TableDescription:
    """Return what the description of a table says of its streams.

    AWS: the latest stream is named though it is closed; that it is closed is told by there being no
    ``StreamSpecification`` (ack-api-quirks, DDB-TABLE-050).
    """
    if not table.stream_ms:
        return {}
    label = label_of(table.stream_ms)
    said: table_shapes.TableDescription = {
        "LatestStreamLabel": label,
        "LatestStreamArn": arns.stream_arn(scope.region, scope.account, table.name, label),
    }
    if table.stream_view:
        said["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.stream_view}
    return said


def summary_of(scope: Scope, stream: StreamRecord) -> shapes.Stream:
    """Return a stream as ListStreams shows it."""
    return {
        "StreamArn": arn_of(scope, stream),
        "TableName": stream.table,
        "StreamLabel": label_of(stream.created_ms),
    }


def description_of(
    scope: Scope, stream: StreamRecord, shown: list[shapes.Shard], last: str
) -> shapes.StreamDescription:
    """Return a stream as DescribeStream shows it.

    Args:
        scope: Whose it is.
        stream: The stream.
        shown: A page of its shards.
        last: The id of the last of them, if there are more; otherwise empty.
    """
    key: list[shapes.KeySchemaElement] = [
        {"AttributeName": stream.partition.name, "KeyType": "HASH"}
    ]
    if stream.sort is not None:
        key.append({"AttributeName": stream.sort.name, "KeyType": "RANGE"})
    description: shapes.StreamDescription = {
        **summary_of(scope, stream),
        "StreamStatus": "DISABLED" if stream.closed_ms else "ENABLED",
        "StreamViewType": stream.view,
        "CreationRequestDateTime": stream.created_ms,
        "KeySchema": key,
        "Shards": shown,
    }
    if last:
        description["LastEvaluatedShardId"] = last
    return description
