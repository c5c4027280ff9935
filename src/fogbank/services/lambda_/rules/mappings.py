"""Event source mappings: what may be asked of one, and how it is shown.

Source: API Reference, CreateEventSourceMapping and UpdateEventSourceMapping; Developer Guide,
"Using AWS Lambda with Amazon DynamoDB". AWS: the state in the answer of an operation is a transition,
and every later one tells where it led.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.bus.patterns import InvalidPattern, Pattern
from fogbank.services.lambda_ import arns, quotas
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules import configuration
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import CursorRecord, MappingRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

LATEST: Final = "LATEST"
TRIM_HORIZON: Final = "TRIM_HORIZON"
EVENT_COUNT: Final = "EventCount"
_STREAM: Final = re.compile(r"table/[^/]+/stream/[^/]+")
_OTHER_SOURCES: Final = frozenset({"sqs", "kinesis", "kafka", "mq", "rds"})
_OTHER_DESTINATIONS: Final = frozenset({"sqs", "sns"})
_PLAIN: Final = {
    # Members that are taken as they are.
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "window_s",
    "ParallelizationFactor": "factor",
    "BisectBatchOnFunctionError": "bisects",
    "MaximumRetryAttempts": "retries",
    "TumblingWindowInSeconds": "tumbling_s",
    "Enabled": "enabled",
}


def require_source(scope: Scope, request: Request) -> str:
    """Return the ARN of the stream that a mapping reads.

    Raises:
        InvalidParameterValueException: It names none, or nothing that can be one.
        NotBuilt: It names a source of another kind, or of another account or region.
    """
    given: str = request.get("EventSourceArn", "")
    arn = find_arn(given)
    if arn is None:
        raise InvalidParameterValueException("Unrecognized event source.")
    if arn.service in _OTHER_SOURCES:
        raise NotBuilt(f"fogbank has not built event source mappings of {arn.service}")
    if arn.service != "dynamodb" or _STREAM.fullmatch(arn.resource) is None:
        raise InvalidParameterValueException("Unrecognized event source.")
    if (arn.account, arn.region) != (scope.account, scope.region):
        raise NotBuilt("fogbank has not built event sources of other accounts or regions")
    return given


def require_position(request: Request) -> str:
    """Return where a new mapping begins to read."""
    position: str | None = request.get("StartingPosition")
    if position is None:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy"
            " constraint: Member must not be null."
        )
    if position not in (LATEST, TRIM_HORIZON):
        raise InvalidParameterValueException(
            f"Unsupported starting position for arn type: {request['EventSourceArn']}"
        )
    if "StartingPositionTimestamp" in request:
        raise InvalidParameterValueException(
            "StartingPositionTimestamp is supported with StartingPosition AT_TIMESTAMP only."
        )
    return position


def created_mapping(
    scope: Scope, request: Request, named: FunctionName, *, mapping_id: str, now_ms: int
) -> MappingRecord:
    """Return the mapping that a CreateEventSourceMapping request asks for."""
    blank = MappingRecord(
        id=mapping_id,
        function=named.name,
        qualifier=named.qualifier,
        source_arn=require_source(scope, request),
        enabled=True,
        modified_ms=now_ms,
        position=require_position(request),
        batch_size=quotas.STREAM_BATCH,
        tags=configuration.tags_of(request),
    )
    return changed_mapping(blank, request, now_ms)


def changed_mapping(before: MappingRecord, request: Request, now_ms: int) -> MappingRecord:
    """Return a mapping with what a request says of it.

    Raises:
        InvalidParameterValueException: A value is not one that there can be.
        NotBuilt: It names a destination that is not built.
    """
    changes: dict[str, Any] = {
        field: request[member] for member, field in _PLAIN.items() if member in request
    }
    if "MaximumRecordAgeInSeconds" in request:
        changes["age_s"] = _age_of(request["MaximumRecordAgeInSeconds"])
    if "FilterCriteria" in request:
        changes["filters"] = _filters_of(request["FilterCriteria"])
    if "DestinationConfig" in request:
        changes["on_failure"] = _destination_of(request["DestinationConfig"])
    if "MetricsConfig" in request:
        changes["counted"] = _counted(request["MetricsConfig"])
    if "FunctionResponseTypes" in request:
        changes["partial"] = bool(request["FunctionResponseTypes"])
    return msgspec.structs.replace(before, modified_ms=now_ms, **changes)


def _age_of(seconds: int) -> int:
    """Return the largest age of a record, which is a minute or more."""
    if -1 < seconds < quotas.RECORD_AGE_S_MIN:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{seconds}' at 'maximumRecordAgeInSeconds' failed"
            " to satisfy constraint: Member must have value greater than or equal to"
            f" {quotas.RECORD_AGE_S_MIN}"
        )
    return seconds


def _counted(config: Request) -> bool:
    """Return whether the records of a mapping are to be counted.

    AWS: the other metrics are of sources of Kafka (API Reference, EventSourceMappingMetricsConfig).
    """
    wanted: list[str] = config.get("Metrics") or []
    if set(wanted) - {EVENT_COUNT}:
        raise InvalidParameterValueException(
            "Unsupported MetricsConfig parameter for given event source mapping type."
        )
    return bool(wanted)


def _filters_of(criteria: Request) -> tuple[str, ...]:
    """Return the patterns of a filter, which must be some."""
    found = tuple(each.get("Pattern", "") for each in criteria.get("Filters", ()))
    if len(found) > quotas.FILTERS_MAX:
        raise InvalidParameterValueException(
            f"Filter criteria can have {quotas.FILTERS_MAX} filters at most."
        )
    for each in found:
        try:
            Pattern(each.encode())
        except InvalidPattern:
            raise InvalidParameterValueException("Invalid filter pattern definition.") from None
    return found


def _destination_of(config: Request) -> str:
    """Return the ARN of who hears of records that were given up."""
    if config.get("OnSuccess", {}).get("Destination"):
        raise InvalidParameterValueException(
            "Unsupported DestinationConfig parameter for given event source mapping type."
        )
    given: str = config.get("OnFailure", {}).get("Destination", "")
    if not given or arns.find_function(given) is not None:
        return given
    arn = find_arn(given)
    if arn is not None and arn.service == "s3" and arn.resource and "/" not in arn.resource:
        return given
    if given.startswith("kafka://") or (arn is not None and arn.service in _OTHER_DESTINATIONS):
        raise NotBuilt(f"fogbank has not built the destination {given}")
    raise InvalidParameterValueException(
        "The provided destination config DestinationConfig(onSuccess=null,"
        f" onFailure=OnFailure(destination={given})) is invalid."
    )


def reads_for(mapping: MappingRecord) -> tuple[str, str, str]:
    """Return what no two mappings share: the source, and the function, version or alias."""
    return mapping.source_arn, mapping.function, mapping.qualifier


def not_found(mapping_id: str) -> ResourceNotFoundException:
    """Return the error that there is no such mapping."""
    return ResourceNotFoundException(
        f"The resource you requested does not exist. (Event source mapping: {mapping_id})"
    )


def no_access(source_arn: str) -> InvalidParameterValueException:
    """Return the error that the function's role may not read the stream."""
    return InvalidParameterValueException(
        f"Cannot access stream {source_arn}. Please ensure the role can perform the GetRecords,"
        " GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM."
    )


def function_arn_of(scope: Scope, mapping: MappingRecord) -> str:
    """Return the ARN of the function that a mapping invokes."""
    return arns.function_arn(scope.region, scope.account, mapping.function, mapping.qualifier)


def state_of(mapping: MappingRecord) -> str:
    """Return the state in which a mapping rests."""
    return "Enabled" if mapping.enabled else "Disabled"


def transition_of(before: MappingRecord, after: MappingRecord) -> str:
    """Return the state in which UpdateEventSourceMapping tells a mapping."""
    if before.enabled == after.enabled:
        return "Updating"
    return "Enabling" if after.enabled else "Disabling"


def renamed(mapping: MappingRecord, named: FunctionName) -> MappingRecord:
    """Return a mapping that invokes another function."""
    return msgspec.structs.replace(mapping, function=named.name, qualifier=named.qualifier)


def view_of(
    scope: Scope, mapping: MappingRecord, state: str
) -> shapes.EventSourceMappingConfiguration:
    """Return a mapping as the wire has it, in a state."""
    view: shapes.EventSourceMappingConfiguration = {
        "UUID": mapping.id,
        "StartingPosition": mapping.position,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.window_s,
        "ParallelizationFactor": mapping.factor,
        "EventSourceArn": mapping.source_arn,
        "FunctionArn": function_arn_of(scope, mapping),
        "LastModified": mapping.modified_ms,
        "LastProcessingResult": mapping.result,
        "State": state,
        "StateTransitionReason": "User action",
        "DestinationConfig": {"OnFailure": {"Destination": mapping.on_failure}}
        if mapping.on_failure
        else {"OnFailure": {}},
        "MaximumRecordAgeInSeconds": mapping.age_s,
        "BisectBatchOnFunctionError": mapping.bisects,
        "MaximumRetryAttempts": mapping.retries,
        "TumblingWindowInSeconds": mapping.tumbling_s,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if mapping.partial else [],
        "EventSourceMappingArn": arns.mapping_arn(scope.region, scope.account, mapping.id),
    }
    if mapping.filters:
        view["FilterCriteria"] = criteria_of(mapping.filters)
    if mapping.counted:
        view["MetricsConfig"] = {"Metrics": [EVENT_COUNT]}
    if mapping.kms_key:
        view["KMSKeyArn"] = mapping.kms_key
    return view


def criteria_of(filters: tuple[str, ...]) -> shapes.FilterCriteria:
    """Return the filters of a mapping as the wire has them."""
    return {"Filters": [{"Pattern": each} for each in filters]}


def least_of(cursors: list[CursorRecord]) -> CursorRecord:
    """Return the cursor that is furthest behind, for lanes that are to be others."""
    found = min(cursors, key=lambda cursor: int(cursor.position or 0))
    return msgspec.structs.replace(
        found, fences=(), attempts=0, retry_at_ms=0, done=False, window_ms=0, state_pieces=0
    )
