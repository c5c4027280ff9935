"""Who did what, when, from where, and how it ended: one entry per call.

Rule: an entry holds names and outcomes, never values of a request, so it holds no secrets. It is
made for every call that reached a service's door, refused ones included, and costs the request
one small tuple; the record is written out when somebody reads it.

Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from fogbank.platform.identity.principal import Principal, PrincipalKind

EVENT_VERSION: Final = "1.11"
ENTRIES_MAX: Final = 10_000
_TEXT_MAX: Final = 1_024
_READS: Final = (
    "BatchGet",
    "Describe",
    "Filter",
    "Get",
    "Head",
    "List",
    "Query",
    "Scan",
    "Select",
    "Simulate",
)
_DATA_EVENTS: Final = {
    "s3": ("GetObject", "PutObject", "HeadObject", "DeleteObject", "CopyObject", "UploadPart"),
    "dynamodb": (
        "GetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "Query",
        "Scan",
        "Batch",
        "Transact",
    ),
    "lambda": ("Invoke",),
    "logs": ("PutLogEvents", "GetLogEvents", "FilterLogEvents"),
}
"""Beginnings of the operations that CloudTrail counts as data events and not as management."""
_TYPES: Final = {
    PrincipalKind.ROOT: "Root",
    PrincipalKind.USER: "IAMUser",
    PrincipalKind.SESSION: "AssumedRole",
    PrincipalKind.SERVICE: "AWSService",
    PrincipalKind.ANONYMOUS: "AWSAccount",
}


class AuditEntry(NamedTuple):
    """One call, as it ended."""

    time_ms: int
    request_id: str
    service: str
    operation: str
    principal: Principal
    region: str
    source_ip: str = ""
    user_agent: str = ""
    resources: tuple[str, ...] = ()
    error_code: str = ""
    error_message: str = ""

    def record(self) -> dict[str, Any]:
        """Return the entry in the shape of a CloudTrail record."""
        principal = self.principal
        record: dict[str, Any] = {
            "eventVersion": EVENT_VERSION,
            "userIdentity": _identity_of(principal),
            "eventTime": datetime.fromtimestamp(self.time_ms // 1000, UTC).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
            "eventSource": f"{self.service}.amazonaws.com",
            "eventName": self.operation,
            "awsRegion": self.region,
            "sourceIPAddress": self.source_ip or principal.arn,
            "userAgent": self.user_agent[:_TEXT_MAX],
            "requestID": self.request_id,
            # The request's id is unique; a second id of our own would say nothing more.
            "eventID": self.request_id,
            "readOnly": self.operation.startswith(_READS),
            "eventType": "AwsApiCall",
            "managementEvent": not self.operation.startswith(_DATA_EVENTS.get(self.service, ())),
            "recipientAccountId": principal.account or principal.source_account,
            "requestParameters": None,
            "responseElements": None,
        }
        if self.resources:
            record["resources"] = [{"ARN": arn} for arn in self.resources]
        if self.error_code:
            record["errorCode"] = self.error_code
            record["errorMessage"] = self.error_message[:_TEXT_MAX]
        return record


def _identity_of(principal: Principal) -> dict[str, Any]:
    """Return the ``userIdentity`` element."""
    kind = principal.kind
    if kind is PrincipalKind.SERVICE:
        return {"type": "AWSService", "invokedBy": principal.arn}
    if kind is PrincipalKind.ANONYMOUS:
        return {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}
    identity: dict[str, Any] = {
        "type": _TYPES[kind],
        "principalId": principal.user_id,
        "arn": principal.arn,
        "accountId": principal.account,
        "accessKeyId": principal.access_key_id,
    }
    if kind is PrincipalKind.USER:
        identity["userName"] = principal.name
    return identity


class Sink(Protocol):
    """Where entries go; it neither waits nor fails."""

    def __call__(self, entry: AuditEntry) -> None:
        """Take one entry."""
        ...


class RecentCalls:
    """Keeps the newest entries in memory: until the durable trail stands, and for tests."""

    __slots__ = ("_entries", "total")

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries: deque[AuditEntry] = deque(maxlen=entries_max)
        self.total = 0
        """How many entries there ever were."""

    def __call__(self, entry: AuditEntry) -> None:
        """Take one entry; the oldest goes when there are too many."""
        self._entries.append(entry)
        self.total += 1

    def __iter__(self) -> Iterator[AuditEntry]:
        """Yield the entries, oldest first."""
        return iter(tuple(self._entries))
