"""Notification configurations: what is legal, and which events reach whom.

Source: Amazon S3 User Guide, "Amazon S3 Event Notifications", "Supported event types" and
"Configuring event notifications using object key name filtering"; messages from answers recorded
by LocalStack (tests/aws/services/s3/test_s3_notifications_lambda.snapshot.json).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Final

from fogbank.base.arn import partition_of
from fogbank.base.errors import NotBuilt
from fogbank.services.s3.errors import InvalidArgument, MalformedXML
from fogbank.services.s3.quotas import KEY_BYTES_MAX, NOTIFICATION_CONFIGURATIONS_MAX
from fogbank.services.s3.schema import FilterRule, FunctionNotification

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

CREATED_PUT: Final = "s3:ObjectCreated:Put"
CREATED_COPY: Final = "s3:ObjectCreated:Copy"
CREATED_COMPLETE: Final = "s3:ObjectCreated:CompleteMultipartUpload"
REMOVED_DELETE: Final = "s3:ObjectRemoved:Delete"
REMOVED_MARKER: Final = "s3:ObjectRemoved:DeleteMarkerCreated"
TAGGED: Final = "s3:ObjectTagging:Put"
ACL_PUT: Final = "s3:ObjectAcl:Put"
RETAINED: Final = "s3:ObjectRetention:Put"
EXPIRED_DELETE: Final = "s3:LifecycleExpiration:Delete"
EXPIRED_MARKER: Final = "s3:LifecycleExpiration:DeleteMarkerCreated"
UNTAGGED: Final = "s3:ObjectTagging:Delete"

_BUILT: Final = frozenset(
    (
        "s3:ObjectCreated:*",
        CREATED_PUT,
        "s3:ObjectCreated:Post",
        CREATED_COPY,
        CREATED_COMPLETE,
        "s3:ObjectRemoved:*",
        REMOVED_DELETE,
        REMOVED_MARKER,
        "s3:ObjectTagging:*",
        TAGGED,
        UNTAGGED,
        ACL_PUT,
        RETAINED,
        "s3:LifecycleExpiration:*",
        EXPIRED_DELETE,
        EXPIRED_MARKER,
    )
)
_KNOWN: Final = re.compile(
    r"s3:(ReducedRedundancyLostObject|ObjectRestore:.+|Replication:.+|LifecycleTransition|"
    r"IntelligentTiering|LifecycleExpiration:.+|ObjectAnnotation:.+)"
)
_FUNCTION_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):function:"
    r"(?P<name>[A-Za-z0-9_-]{1,64})(?::(?P<qualifier>[A-Za-z0-9$_-]{1,128}))?"
)
_UNVALIDATED: Final = "Unable to validate the following destination configurations"


def functions_of(
    configuration: shapes.NotificationConfiguration, region: str, ids: Iterable[str]
) -> tuple[FunctionNotification, ...]:
    """Return the functions that a configuration names, checked.

    Args:
        configuration: ``NotificationConfiguration`` as decoded.
        region: The region of the bucket: its destinations must lie there too.
        ids: Fresh ids for entries that give none.

    Raises:
        InvalidArgument: A destination, event or filter is not legal, or two entries overlap.
        NotBuilt: The configuration asks for what is not built.
    """
    _check_destinations(configuration)
    given = configuration.get("LambdaFunctionConfigurations") or []
    if len(given) > NOTIFICATION_CONFIGURATIONS_MAX:
        raise InvalidArgument(
            f"A bucket has at most {NOTIFICATION_CONFIGURATIONS_MAX} notification configurations"
        )
    fresh = iter(ids)
    functions = tuple(_function_of(entry, region, fresh) for entry in given)
    _check_together(functions)
    return functions


def _check_destinations(configuration: shapes.NotificationConfiguration) -> None:
    """Refuse destinations that cannot be reached yet, as AWS refuses what it cannot validate."""
    for kind, member in (("QueueConfigurations", "QueueArn"), ("TopicConfigurations", "TopicArn")):
        for entry in configuration.get(kind) or ():
            raise InvalidArgument(
                _UNVALIDATED,
                ArgumentName=entry.get(member, ""),
                ArgumentValue=f"The destination {member[:5].lower()} does not exist",
            )
    if configuration.get("EventBridgeConfiguration") is not None:
        raise NotBuilt.member(
            "s3", "PutBucketNotificationConfiguration", "EventBridgeConfiguration"
        )


def _function_of(
    entry: shapes.LambdaFunctionConfiguration, region: str, ids: Iterable[str]
) -> FunctionNotification:
    """Return one entry, checked by itself."""
    arn: str = entry.get("LambdaFunctionArn") or ""
    found = _FUNCTION_ARN.fullmatch(arn)
    if found is None or found["partition"] != partition_of(found["region"]):
        raise InvalidArgument(
            "The ARN could not be parsed", ArgumentName="LambdaFunctionArn", ArgumentValue=arn
        )
    if found["region"] != region:
        raise InvalidArgument(
            "The notification destination service region is not valid for the bucket location "
            "constraint",
            ArgumentName="LambdaFunctionArn",
            ArgumentValue=arn,
        )
    rule, names = _filter_of(entry)
    return FunctionNotification(
        id=entry.get("Id") or next(iter(ids)),
        function_arn=arn,
        events=_events_of(entry),
        rule=rule,
        rule_names=names,
    )


def _events_of(entry: shapes.LambdaFunctionConfiguration) -> tuple[str, ...]:
    """Return the events of an entry."""
    events: list[str] = entry.get("Events") or []
    if not events:
        raise MalformedXML
    for event in events:
        if event in _BUILT:
            continue
        if _KNOWN.fullmatch(event):
            raise NotBuilt(f"fogbank has not built notifications of the event {event}")
        raise InvalidArgument(
            "The event is not supported for notifications",
            ArgumentName="Event",
            ArgumentValue=event,
        )
    return tuple(dict.fromkeys(events))


def _filter_of(entry: shapes.LambdaFunctionConfiguration) -> tuple[FilterRule, tuple[str, ...]]:
    """Return which keys an entry is about, and the names of its rules in order."""
    filters: shapes.NotificationConfigurationFilter = entry.get("Filter") or {}
    keys: shapes.S3KeyFilter = filters.get("Key") or {}
    rules = keys.get("FilterRules") or []
    values: dict[str, str] = {}
    for rule in rules:
        if "Name" not in rule or "Value" not in rule:
            raise MalformedXML
        name, value = str(rule["Name"]).lower(), str(rule["Value"])
        if name not in ("prefix", "suffix"):
            raise InvalidArgument(
                "filter rule name must be either prefix or suffix",
                ArgumentName="FilterRule.Name",
                ArgumentValue=rule["Name"],
            )
        if name in values:
            raise InvalidArgument(
                f"Cannot specify more than one {name} rule in a filter.",
                ArgumentName="FilterRule.Name",
                ArgumentValue=name,
            )
        if len(value.encode()) > KEY_BYTES_MAX:
            raise InvalidArgument(
                "filter rule value cannot be longer than 1024 characters",
                ArgumentName="FilterRule.Value",
                ArgumentValue=value,
            )
        values[name] = value
    return FilterRule(**values), tuple(values)


def _check_together(functions: Sequence[FunctionNotification]) -> None:
    """Refuse two entries with one id, and two that would both be told of one event."""
    if len({function.id for function in functions}) < len(functions):
        raise InvalidArgument("Same ID used for multiple configurations. IDs must be unique")
    for one, other in combinations(functions, 2):
        if not (_share_event(one.events, other.events) and _share_key(one.rule, other.rule)):
            continue
        if FilterRule() in (one.rule, other.rule):
            raise InvalidArgument(
                "Configurations overlap. Configurations on the same bucket cannot share a common "
                "event type."
            )
        raise InvalidArgument(
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules "
            "if the prefixes are overlapping for the same event type."
        )


def _covers(pattern: str, event: str) -> bool:
    """Return whether a configured event, perhaps ending in ``*``, includes another."""
    return pattern == event or (pattern.endswith("*") and event.startswith(pattern[:-1]))


def _share_event(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether an event can belong to both."""
    return any(_covers(a, b) or _covers(b, a) for a in one for b in other)


def _share_key(one: FilterRule, other: FilterRule) -> bool:
    """Return whether a key can match both."""
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
    return prefixes and suffixes


def matching(
    functions: Sequence[FunctionNotification], event: str, key: str
) -> list[FunctionNotification]:
    """Return the entries that are told of an event at a key."""
    return [
        function
        for function in functions
        if any(_covers(pattern, event) for pattern in function.events)
        and key.startswith(function.rule.prefix)
        and key.endswith(function.rule.suffix)
    ]


def configuration_of(functions: Sequence[FunctionNotification]) -> shapes.NotificationConfiguration:
    """Return the configuration as GetBucketNotificationConfiguration answers it."""
    if not functions:
        return {}
    return {"LambdaFunctionConfigurations": [_entry_of(function) for function in functions]}


def _entry_of(function: FunctionNotification) -> shapes.LambdaFunctionConfiguration:
    """Return one entry as it is answered."""
    entry: shapes.LambdaFunctionConfiguration = {
        "Id": function.id,
        "LambdaFunctionArn": function.function_arn,
        "Events": list(function.events),
    }
    if function.rule_names:
        rules: list[shapes.FilterRule] = [
            {"Name": name.capitalize(), "Value": getattr(function.rule, name)}
            for name in function.rule_names
        ]
        entry["Filter"] = {"Key": {"FilterRules": rules}}
    return entry


def unauthorized(function_arn: str) -> InvalidArgument:
    """Return the error for a function that is not there or that S3 may not invoke."""
    return InvalidArgument(
        _UNVALIDATED,
        ArgumentName1=f"{function_arn}, null",
        ArgumentValue1=f"Not authorized to invoke function [{function_arn}]",
    )
