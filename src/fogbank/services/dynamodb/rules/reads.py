"""Queries and scans: what their requests ask for, checked against the table.

Source: Amazon DynamoDB API Reference, Query and Scan.
"""

from __future__ import annotations

from typing import Final

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import keys, pages, values
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm, KeyTerms
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.requests import Expressions
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import TableRecord

_INVALID: Final = "One or more parameter values were invalid: "
_INVALID_START: Final = "The provided starting key is invalid"
_KEY_TERMS_MAX: Final = 2
_ADMIT_FAULTS: Final = ("Number ", "Attempting", "The parameter", "Input collection")
"""AWS names the starting key in front of some faults of its values, and of these it does not."""


def require_select(request: Request) -> None:
    """Refuse a ``Select`` that contradicts what else the request asks for."""
    select: str | None = request.get("Select")
    asked = [name for name in ("AttributesToGet", "ProjectionExpression") if name in request]
    if select == "SPECIFIC_ATTRIBUTES" and not asked:
        raise ValidationException(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get"
            " SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES":
        raise ValidationException(
            f"{_INVALID}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    if select in ("ALL_ATTRIBUTES", "COUNT") and asked:
        chosen = "only the Count" if select == "COUNT" else select
        raise ValidationException(f"Cannot specify the {asked[0]} when choosing to get {chosen}")


def require_segments(request: Request) -> None:
    """Refuse one of ``Segment`` and ``TotalSegments`` without the other, or out of range."""
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if segment is not None and total is None:
        raise ValidationException(
            "The TotalSegments parameter is required but was not present in the request when"
            " Segment parameter is present"
        )
    if total is not None and segment is None:
        raise ValidationException(
            "The Segment parameter is required but was not present in the request when parameter"
            " TotalSegments is present"
        )
    if segment is not None and segment >= total:
        raise ValidationException(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments:"
            f" Segment: {segment} is not less than TotalSegments: {total}"
        )


def start_of(request: Request) -> Item | None:
    """Return ``ExclusiveStartKey`` with its values admitted, or None."""
    start: Item | None = request.get("ExclusiveStartKey")
    if start is None:
        return None
    try:
        return values.admit_item(start)
    except ValidationException as error:
        if error.message.startswith(_ADMIT_FAULTS):
            raise
        raise ValidationException(f"{_INVALID_START}: {error.message}") from None


def require_key_terms(expressions: Expressions) -> KeyTerms:
    """Return the key conditions of a query, which cannot be without."""
    terms = expressions.key_terms
    if terms is None:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in"
            " the request."
        )
    if not 1 <= len(terms) <= _KEY_TERMS_MAX:
        raise ValidationException("Conditions can be of length 1 or 2 only")
    return terms


def query_range(
    table: TableRecord, terms: KeyTerms, start: Item | None, *, forward: bool
) -> KeyRange:
    """Return the keys that a query reads.

    Raises:
        ValidationException: The conditions do not fit the table, or the start is not in them.
    """
    if start is not None:
        _require_start_attributes(table, start)
    partition = _partition_term(table, terms)
    sort = _sort_term(table, terms)
    content = keys.partition_bytes(table.partition, partition.values[0])
    digest = keys.digest_of(table, content)
    if table.sort is None or sort is None:
        asked = pages.partition_range(digest)
    else:
        asked = pages.sort_range(digest, table.sort, sort)
    asked = asked._replace(partition=content)
    if start is None:
        return asked
    key = _start_key(table, start)
    _require_start_inside(table, start, key, asked, by_sort_key=sort is not None)
    return asked.behind(key.place, forward=forward)


def _require_start_attributes(table: TableRecord, start: Item) -> None:
    """Refuse a start that has not the attributes of the table's key."""
    if start.keys() != {attribute.name for attribute in table.key_attributes}:
        raise ValidationException(_INVALID_START)
    keys.require_key_types(table, start)


def _partition_term(table: TableRecord, terms: KeyTerms) -> KeyTerm:
    """Return the condition on the partition key: that it equals a value."""
    if table.sort is None and len(terms) > 1:
        raise ValidationException("Query key condition not supported")
    term = terms.get(table.partition.name)
    if term is None:
        raise _missed(table.partition.name)
    _require_type(term, table.partition.type)
    if term.operator != "=":
        raise ValidationException("Query key condition not supported")
    return term


def _sort_term(table: TableRecord, terms: KeyTerms) -> KeyTerm | None:
    """Return the condition on the sort key, if there is one."""
    if table.sort is None:
        return None
    term = terms.get(table.sort.name)
    if term is None:
        if len(terms) > 1:
            raise _missed(table.sort.name)
        return None
    _require_type(term, table.sort.type)
    return term


def _missed(name: str) -> ValidationException:
    """Return the error for a query without a condition on an attribute of the key."""
    return ValidationException(f"Query condition missed key schema element: {name}")


def _require_type(term: KeyTerm, kind: str) -> None:
    """Refuse a condition whose values are not of the attribute's type."""
    if any(kind not in value for value in term.values):
        raise ValidationException(f"{_INVALID}Condition parameter type does not match schema type")


def _start_key(table: TableRecord, start: Item) -> ItemKey:
    """Return the key at which a page begins."""
    try:
        return keys.key_of(table, start)
    except ValidationException as error:
        raise ValidationException(f"{_INVALID_START}: {error.message}") from None


def _require_start_inside(
    table: TableRecord, start: Item, key: ItemKey, asked: KeyRange, *, by_sort_key: bool
) -> None:
    """Refuse a start that the query itself could not have given."""
    if table.sort is None:
        # AWS: a partition of one item cannot be continued (scylladb test/alternator,
        # test_query_no_sort_key_exclusive_start_key).
        [(kind, content)] = start[table.partition.name].items()
        shown = f"{{{table.partition.name}=AttributeValue: {{{kind}:{content}}}}}"
        raise ValidationException(
            f"The provided exclusive start key is invalid: ExclusiveStartKey: {shown}"
        )
    if asked.holds(key.place):
        return
    if by_sort_key:
        raise ValidationException(
            "The provided starting key does not match the range key predicate"
        )
    raise ValidationException(
        "The provided starting key is outside query boundaries based on provided conditions"
    )


def require_filter_off_keys(table: TableRecord, request: Request, expressions: Expressions) -> None:
    """Refuse a query whose filter looks at an attribute of the key."""
    if expressions.filter is None:
        return
    shown = "QueryFilter" if "QueryFilter" in request else "Filter Expression"
    looked_at = {path[0] for path in expressions.filter.paths}
    for attribute in table.key_attributes:
        if attribute.name in looked_at:
            raise ValidationException(
                f"{shown} can only contain non-primary key attributes:"
                f" Primary key attribute: {attribute.name}"
            )


def scan_range(table: TableRecord, request: Request, start: Item | None) -> KeyRange:
    """Return the keys that a scan reads.

    Raises:
        ValidationException: The start is no key of the table, or not in the segment.
    """
    segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
    asked = pages.segment_range(segment, total)
    if start is None:
        return asked
    key = _start_key(table, start)
    if not asked.holds(key.place):
        raise ValidationException(
            f"{_INVALID_START}: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with"
            f" correct Segment. TotalSegments: {total} Segment: {segment}"
        )
    return asked.behind(key.place, forward=True)
