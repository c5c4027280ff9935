"""Contributor insights: which keys of a table or a global index are accessed and throttled most.

Rules have AWS's names: of what is accessed by partition key (PKC) and by both keys (SKC), and of what
is throttled likewise (PKT, SKT); those of both keys only where there is a sort key.

Source: Amazon DynamoDB API Reference, UpdateContributorInsights, DescribeContributorInsights and
ListContributorInsights; Developer Guide, "CloudWatch Contributor Insights for DynamoDB: How it works".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ResourceNotFoundException
from fogbank.services.dynamodb.rules import numbers
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.schema import (
    IndexRecord,
    InsightsRecord,
    KeyAttribute,
    TableRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

ALL_KEYS: Final = "ACCESSED_AND_THROTTLED_KEYS"
_SHORT: Final = {
    (False, False): "PKC",
    (False, True): "PKT",
    (True, False): "SKC",
    (True, True): "SKT",
}
"""By whether a rule is of both keys, and of what is throttled."""


def find_index(table: TableRecord, request: Request) -> IndexRecord | None:
    """Return the index that a request names, or None if it means the table.

    Raises:
        ResourceNotFoundException: There is no such global index.
    """
    name: str | None = request.get("IndexName")
    if name is None:
        return None
    for index in table.indexes:
        if index.name == name and index.is_global:
            return index
    raise ResourceNotFoundException(f"Requested resource not found: Index: {name} not found")


def changed_table(table: TableRecord, request: Request, now_ms: int) -> TableRecord:
    """Return a table as an UpdateContributorInsights request wants it."""
    index = find_index(table, request)
    mode: str = request.get("ContributorInsightsMode", ALL_KEYS)
    enabled = request["ContributorInsightsAction"] == "ENABLE"
    insights = InsightsRecord(mode=mode if enabled else "", changed_ms=now_ms)
    if index is None:
        changed = msgspec.structs.replace(table, insights=insights)
    else:
        after = msgspec.structs.replace(index, insights=insights)
        indexes = tuple(after if each.number == after.number else each for each in table.indexes)
        changed = msgspec.structs.replace(table, indexes=indexes)
    watched = any(insights.mode for _, insights in of_all(changed))
    return msgspec.structs.replace(changed, is_watched=watched)


def insights_of(table: TableRecord, index: IndexRecord | None) -> InsightsRecord:
    """Return the insights of a table, or of an index of it."""
    return table.insights if index is None else index.insights


def of_all(table: TableRecord) -> Iterator[tuple[str, InsightsRecord]]:
    """Yield the insights of a table, under no name, and of its global indexes, under theirs."""
    yield "", table.insights
    for index in table.indexes:
        if index.is_global:
            yield index.name, index.insights


def rule_of(table: TableRecord, index: IndexRecord | None, *, both: bool, throttled: bool) -> str:
    """Return the name of a rule."""
    of = table.name if index is None else f"{table.name}-{index.name}"
    insights = insights_of(table, index)
    return f"DynamoDBContributorInsights-{_SHORT[both, throttled]}-{of}-{insights.changed_ms}"


def rules_of(table: TableRecord, index: IndexRecord | None) -> list[str]:
    """Return the names of all rules of a table or an index; none if it has no insights."""
    insights = insights_of(table, index)
    has_sort = bool(table.sort if index is None else index.sort)
    if not insights.mode:
        return []
    kinds = (False, True) if insights.mode == ALL_KEYS else (True,)
    return [
        rule_of(table, index, both=both, throttled=throttled)
        for throttled in kinds
        for both in ((False, True) if has_sort else (False,))
    ]


def names_of(table: TableRecord, key: ItemKey) -> list[tuple[bool, str]]:
    """Return what the keys of an item are counted by: whether both keys are meant, and the name."""
    partition = _text(table.partition, key.partition)
    found = [(False, partition)]
    if table.sort is not None:
        found.append((True, f"{partition}, {_sort_text(table.sort, key.sort)}"))
    return found


def partition_text(attributes: Sequence[KeyAttribute], content: bytes) -> str:
    """Return the content of a partition key, of several attributes perhaps, as people read it."""
    if len(attributes) == 1:
        return _text(attributes[0], content)
    return content.decode(errors="replace")


def _text(attribute: KeyAttribute, content: bytes) -> str:
    """Return the content of a partition key as people read it."""
    return b64encode(content).decode() if attribute.type == "B" else content.decode()


def _sort_text(attribute: KeyAttribute, encoded: bytes) -> str:
    """Return the value of a sort key, encoded to be sorted by, as people read it."""
    if attribute.type == "N":
        return numbers.text_of(encoded)
    return _text(attribute, encoded)


def described(
    table: TableRecord, index: IndexRecord | None
) -> shapes.DescribeContributorInsightsOutput:
    """Return what DescribeContributorInsights says of a table or an index."""
    insights = insights_of(table, index)
    told: shapes.DescribeContributorInsightsOutput = {
        "TableName": table.name,
        "ContributorInsightsRuleList": rules_of(table, index),
        "ContributorInsightsStatus": "ENABLED" if insights.mode else "DISABLED",
    }
    if index is not None:
        told["IndexName"] = index.name
    if insights.changed_ms:
        told["LastUpdateDateTime"] = insights.changed_ms
    if insights.mode:
        told["ContributorInsightsMode"] = insights.mode
    return told


def summary_of(
    table: str, index: str, insights: InsightsRecord
) -> shapes.ContributorInsightsSummary:
    """Return what ListContributorInsights says of a table or an index."""
    told: shapes.ContributorInsightsSummary = {
        "TableName": table,
        "ContributorInsightsStatus": "ENABLED" if insights.mode else "DISABLED",
    }
    if index:
        told["IndexName"] = index
    if insights.mode:
        told["ContributorInsightsMode"] = insights.mode
    return told
