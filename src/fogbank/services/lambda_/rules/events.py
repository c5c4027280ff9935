"""Events: how those of a function are treated, and what destinations hear of them.

Source: API Reference, PutFunctionEventInvokeConfig; Developer Guide, "Capturing records of Lambda
asynchronous invocations"; words and records recorded by LocalStack's validated
``TestLambdaEventInvokeConfig`` and ``TestLambdaDestinationSqs``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson

from fogbank.base.arn import find_arn
from fogbank.base.types import Request, Wire
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules.destinations import moment_of
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import EventConfigRecord, TellingRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

SUCCESS: Final = "Success"
EXHAUSTED: Final = "RetriesExhausted"
TOO_OLD: Final = "EventAgeExceeded"
NO_CONCURRENCY: Final = "ZeroReservedConcurrency"
LOOP: Final = "RecursiveInvocation"
"""Ours: how AWS names the condition of an event that was stopped as a loop is not told."""
NO_FUNCTION: Final = "The function doesn't exist."
_SERVICES: Final = frozenset({"lambda", "s3", "sqs", "sns", "events"})
_MEMBERS: Final = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


def check_asked(request: Request) -> None:
    """Refuse a configuration that configures nothing."""
    if not any(member in request for member in _MEMBERS):
        raise InvalidParameterValueException(
            "You must specify at least one of error handling or destination setting."
        )


def changed_config(before: EventConfigRecord, request: Request, now_ms: int) -> EventConfigRecord:
    """Return a configuration with what a request says of it."""
    changes: dict[str, Any] = {"modified_ms": now_ms}
    if "MaximumRetryAttempts" in request:
        changes["retries"] = request["MaximumRetryAttempts"]
    if "MaximumEventAgeInSeconds" in request:
        changes["age_s"] = request["MaximumEventAgeInSeconds"]
    config: Request = request.get("DestinationConfig") or {}
    for member, field in (("OnSuccess", "on_success"), ("OnFailure", "on_failure")):
        if member in config:
            changes[field] = config[member].get("Destination", "")
    return msgspec.structs.replace(before, **changes)


def check_destinations(named: FunctionName, config: EventConfigRecord) -> list[str]:
    """Return the destinations that must be found to be there.

    Raises:
        InvalidParameterValueException: One is none that there can be, or cannot be validated: SQS,
            SNS and EventBridge do not stand, so nothing of theirs is found.
    """
    for arn, kind in ((config.on_success, "onSuccess"), (config.on_failure, "onFailure")):
        if not arn:
            continue
        parsed = find_arn(arn)
        service = "" if parsed is None else parsed.service
        if service not in _SERVICES or (service == "s3" and kind == "onSuccess"):
            raise _invalid_config(kind, arn)
        if service not in {"lambda", "s3"}:
            raise invalid(arn)
        found = arns.find_function(arn)
        if service == "lambda" and found is None:
            raise invalid(arn)
        if found is not None and found[:3] == (named.account, named.region, named.name):
            raise InvalidParameterValueException(
                "You can't specify the function as a destination for itself."
            )
    return [each for each in {config.on_success: 0, config.on_failure: 0} if each]


def _invalid_config(kind: str, arn: str) -> InvalidParameterValueException:
    """Return the error for a destination of a kind that there is not."""
    both = {"onSuccess": "null", "onFailure": "null"}
    both[kind] = f"{kind[0].upper()}{kind[1:]}(destination={arn})"
    told = ", ".join(f"{name}={value}" for name, value in both.items())
    return InvalidParameterValueException(
        f"The provided destination config DestinationConfig({told}) is invalid."
    )


def invalid(arn: str) -> InvalidParameterValueException:
    """Return the error for a destination that cannot be validated."""
    return InvalidParameterValueException(f"The destination ARN {arn} is invalid.")


def unpermitted(action: str, arn: str) -> InvalidParameterValueException:
    """Return the error for a destination that the function's role may not reach."""
    return InvalidParameterValueException(
        f"The function's execution role does not have permissions to call {action} on {arn}"
    )


def check_dead_letters(request: Request) -> None:
    """Refuse every dead letter queue: SQS and SNS do not stand, so no role reaches one.

    AWS: in these words, whether the queue is missing or the permission.
    """
    config: Request = request.get("DeadLetterConfig") or {}
    arn: str = config.get("TargetArn", "")
    if not arn:
        return
    action = "Publish on SNS" if ":sns:" in arn else "SendMessage on SQS"
    raise InvalidParameterValueException(
        f"The provided execution role does not have permissions to call {action}"
    )


def no_config(named: FunctionName) -> ResourceNotFoundException:
    """Return the error that nothing is configured."""
    arn = named._replace(qualifier=named.qualifier or LATEST).qualified_arn
    return ResourceNotFoundException(f"The function {arn} doesn't have an EventInvokeConfig")


def view_of(named: FunctionName, config: EventConfigRecord) -> shapes.FunctionEventInvokeConfig:
    """Return a configuration as the wire has it."""
    view: shapes.FunctionEventInvokeConfig = {
        "LastModified": config.modified_ms,
        "FunctionArn": named._replace(qualifier=named.qualifier or LATEST).qualified_arn,
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }
    if config.retries >= 0:
        view["MaximumRetryAttempts"] = config.retries
    if config.age_s >= 0:
        view["MaximumEventAgeInSeconds"] = config.age_s
    return view


class Fate(NamedTuple):
    """What has become of an event."""

    condition: str
    attempts: int
    version: str
    """The one that ran last."""
    answer: bytes | None
    """What it answered: JSON; None: it has not run."""

    @property
    def went_well(self) -> bool:
        """Return whether the last run went well."""
        return self.condition == SUCCESS


def record_of(
    fate: Fate, qualified_arn: str, request_id: str, payload: bytes, now_ms: int
) -> bytes:
    """Return what a destination hears of an event: JSON."""
    told: dict[str, Any] = {
        "version": "1.0",
        "timestamp": moment_of(now_ms),
        "requestContext": {
            "requestId": request_id,
            "functionArn": qualified_arn,
            "condition": fate.condition,
            "approximateInvokeCount": fate.attempts,
        },
        "requestPayload": orjson.Fragment(payload),
    }
    if fate.answer is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": fate.version}
        if not fate.went_well:
            context["functionError"] = "Unhandled"
        told["responseContext"] = context
        told["responsePayload"] = _json_of(fate.answer)
    return orjson.dumps(told)


def _json_of(answer: bytes) -> Any:
    """Return an answer as it stands in a record: as JSON, or as text if it is none."""
    try:
        orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer.decode(errors="replace")
    return orjson.Fragment(answer)


class Message(NamedTuple):
    """A call that tells a destination."""

    service: str
    operation: str
    request: Wire


def region_of(arn: str) -> str:
    """Return the region of a destination; empty: it has none."""
    parsed = find_arn(arn)
    return "" if parsed is None else parsed.region


def message_of(telling: TellingRecord, content: bytes, drawn: str, now_ms: int) -> Message:
    """Return the call that tells a destination.

    Args:
        telling: What is to be told.
        content: Of it, put together.
        drawn: A UUID that ends the name of an object.
        now_ms: The time.
    """
    if arns.find_function(telling.target) is not None:
        request: Wire = {
            "FunctionName": telling.target,
            "InvocationType": "Event",
            "Payload": content,
        }
        return Message("lambda", "Invoke", request)
    found = arns.find_function(telling.function_arn)
    assert found is not None, "events are a function's"
    at = datetime.fromtimestamp(now_ms // 1_000, UTC)
    key = f"aws/lambda/async/{found[2]}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{drawn}"
    bucket = telling.target.rpartition(":")[2]
    return Message("s3", "PutObject", {"Bucket": bucket, "Key": key, "Body": content})
