"""What an export leaves out: items by their key or by a condition, and attributes.

Rule: a key condition bounds what is read; a filter is asked of what was read, of the latest image of an
item that changed, or of the old one where it is gone; a projection cuts every image. They have the
syntax and the limits of those of Query and Scan.

Source: Amazon DynamoDB API Reference, FilterSpecification; Developer Guide, "Filtering a table export".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import reads, requests
from fogbank.services.dynamodb.rules.expressions.conditions import BoundCondition
from fogbank.services.dynamodb.rules.expressions.keyconditions import KIND
from fogbank.services.dynamodb.rules.expressions.projections import ItemProjection
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.requests import Parameters
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import TableRecord

MEMBER: Final = "FilterSpecification"
_EXPORT: Final = Parameters.of(("ProjectionExpression", "FilterExpression", KIND), ())
_EXPRESSIONS: Final = frozenset(_EXPORT.expressions)


class ExportFilter(NamedTuple):
    """What an export is of."""

    keys: KeyRange = KeyRange()
    """Where within the table it reads."""
    condition: BoundCondition | None = None
    projection: ItemProjection | None = None

    def from_place(self, place: bytes) -> KeyRange:
        """Return what is left to read from a place on."""
        return self.keys._replace(begin=max(self.keys.begin, place))

    def takes(self, item: Item) -> bool:
        """Return whether an item is exported."""
        return self.condition is None or self.condition.holds(item)

    def shown(self, item: Item) -> Item:
        """Return what is exported of an item."""
        return item if self.projection is None else self.projection.of(item)


def filter_of(request: Request, table: TableRecord) -> ExportFilter:
    """Return what an ExportTableToPointInTime request leaves of a table.

    Raises:
        ValidationException: An expression is wrong, or does not fit the key of the table.
    """
    given: Request | None = request.get(MEMBER)
    if given is None:
        return ExportFilter()
    if _EXPRESSIONS.isdisjoint(given):
        raise ValidationException(
            f"Invalid Request: {MEMBER} must have at least one of FilterExpression,"
            f" ProjectionExpression and {KIND}"
        )
    expressions = requests.expressions_of(given, _EXPORT)
    keys = KeyRange()
    if expressions.key_terms is not None:
        target = Target(table)
        keys = reads.query_range(
            target, reads.require_key_terms(given, expressions), None, forward=True
        )
        reads.require_filter_off_keys(target, given, expressions)
    return ExportFilter(keys, expressions.filter, expressions.projection)
