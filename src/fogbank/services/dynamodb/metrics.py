"""The metrics of tables that are kept, as CloudWatch names them.

Source: Amazon DynamoDB Developer Guide, "DynamoDB metrics and dimensions" and "CloudWatch throttling
metrics".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fogbank.contract.metric import Metric
from fogbank.platform.metering.metrics import Metrics, Series
from fogbank.platform.store.engine import Domain

NAMESPACE: Final = "AWS/DynamoDB"
THROTTLED: Final = "ThrottledRequests"
LATENCY: Final = "ReplicationLatency"
"""AWS: of global tables that are not strongly consistent, for each pair of regions, in the one that was
written. ``PendingReplicationCount`` is of those of 2017 alone, which are not made any more."""
_EVENTS: Final = {False: "ReadThrottleEvents", True: "WriteThrottleEvents"}
_TABLE: Final = ("TableName",)
_INDEX: Final = ("GlobalSecondaryIndexName", "TableName")

METRICS: Final = (
    Metric(NAMESPACE, THROTTLED, "Count", ("Operation", "TableName")),
    *(
        Metric(NAMESPACE, name, "Count", dimensions)
        for name in _EVENTS.values()
        for dimensions in (_TABLE, _INDEX)
    ),
    Metric(NAMESPACE, LATENCY, "Milliseconds", ("ReceivingRegion", "TableName")),
)


def note_event(metrics: Metrics, domain: Domain, table: str, index: str, *, writes: bool) -> None:
    """Note that a table, or one of its global indexes, had no throughput left for something."""
    of = (("TableName", table),)
    if index:
        of = (("GlobalSecondaryIndexName", index), *of)
    metrics.board(domain, Series(NAMESPACE, of)).note(_EVENTS[writes])


def note_request(metrics: Metrics, domain: Domain, table: str, operation: str) -> None:
    """Note that a request was throttled, however many events in it were."""
    of = (("Operation", operation), ("TableName", table))
    metrics.board(domain, Series(NAMESPACE, of)).note(THROTTLED)


def note_replication(
    metrics: Metrics, domain: Domain, table: str, region: str, latencies_ms: Iterable[int]
) -> None:
    """Note how long ago writes of a replica had been made, in milliseconds, when they came to a region."""
    board = metrics.board(
        domain, Series(NAMESPACE, (("ReceivingRegion", region), ("TableName", table)))
    )
    for latency_ms in latencies_ms:
        board.note(LATENCY, latency_ms)
