"""Queries and scans: what their requests ask for, checked against the table.

Source: Amazon DynamoDB API Reference, Query and Scan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import INDEX_KEY_ATTRIBUTES_MAX
from fogbank.services.dynamodb.rules import indexes, keys, pages, sizes, values
from fogbank.services.dynamodb.rules.capacity import NO_INDEXES, IndexUnits
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm, KeyTerms
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.paths import Path
from fogbank.services.dynamodb.rules.requests import Expressions
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import (
    CREATING,
    DELETING,
    IndexRecord,
    KeyAttribute,
    TableRecord,
)

_INVALID: Final = "One or more parameter values were invalid: "
_INVALID_START: Final = "The provided starting key is invalid"
_KEY_TERMS_MAX: Final = 2
_INDEX_KEY_TERMS_MAX: Final = 2 * INDEX_KEY_ATTRIBUTES_MAX
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
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in request:
        raise ValidationException(
            f"{_INVALID}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    if select in ("ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT") and asked:
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


class Target(msgspec.Struct, frozen=True):
    """What a query or a scan reads: a table, or an index of it."""

    table: TableRecord
    index: IndexRecord | None = None

    @property
    def partition(self) -> tuple[KeyAttribute, ...]:
        """Return the attributes of the partition key."""
        return (self.table.partition,) if self.index is None else self.index.partition

    @property
    def sort(self) -> tuple[KeyAttribute, ...]:
        """Return the attributes of the sort key."""
        return self.table.key_attributes[1:] if self.index is None else self.index.sort

    @property
    def start_attributes(self) -> dict[str, str]:
        """Return the names and types of what ``ExclusiveStartKey`` holds."""
        own = self.partition + self.sort
        return {each.name: each.type for each in own + self.table.key_attributes}


def target_of(table: TableRecord, request: Request) -> Target:
    """Return what a request reads of a table.

    Raises:
        ValidationException: There is no such index, or it cannot be read so.
    """
    name: str | None = request.get("IndexName")
    if name is None:
        return Target(table)
    index = indexes.find_index(table, name)
    if index is None or index.status == DELETING:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if index.vector is not None:
        # AWS: measured of PartiQL, whose SELECT without a key is a Scan (nubo-db/
        # dynamodb-conformance, tests/tier2/vectorSearch/partiql.test.ts).
        terms = ("KeyConditionExpression", "KeyConditions")
        word = "Query" if any(each in request for each in terms) else "Scan"
        raise ValidationException(f"{word} operation not supported on this index type")
    if index.status == CREATING:
        raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
    if not index.is_local and request.get("ConsistentRead", False):
        raise ValidationException("Consistent reads are not supported on global secondary indexes")
    return Target(table, index)


def require_shown(target: Target, request: Request, expressions: Expressions) -> bool:
    """Return whether the items of an index's entries must be read too; refuse what cannot be.

    AWS: a local index fetches what it does not project from the table, a global one refuses it
    (API Reference, Query, ``Select``).
    """
    index = target.index
    names = None if index is None else indexes.projected_names(target.table, index)
    if index is None or names is None:
        return False
    everything = request.get("Select") == "ALL_ATTRIBUTES"
    asked = expressions.projection
    hidden = _not_in(names, () if asked is None else asked.paths)
    if index.is_local:
        looked_at = () if expressions.filter is None else expressions.filter.paths
        return everything or bool(hidden or _not_in(names, looked_at))
    if everything:
        raise ValidationException(
            f"{_INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary index"
            f" {index.name} because its projection type is not ALL"
        )
    if hidden:
        raise ValidationException(
            f"{_INVALID}Global secondary index {index.name} does not project [{', '.join(hidden)}]"
        )
    return False


def units_of(
    target: Target, size: int, fetched: Iterable[int], *, consistent: bool
) -> tuple[float, IndexUnits]:
    """Return what a page consumed of a table itself, and of its indexes.

    Args:
        target: What was read.
        size: The sizes of all that was looked at, together.
        fetched: The sizes of the items that were fetched beside their entries.
        consistent: Whether the read was.
    """
    units = sizes.read_units(size, consistent=consistent)
    if target.index is None:
        return units, NO_INDEXES
    named = {target.index.name: units}
    of_index = IndexUnits(named) if target.index.is_local else IndexUnits({}, named)
    return sum(sizes.read_units(each, consistent=consistent) for each in fetched), of_index


def _not_in(names: frozenset[str], found: Iterable[Path]) -> list[str]:
    """Return the attributes of paths that are not among the names, in order."""
    return [str(path[0]) for path in found if path[0] not in names]


def require_key_terms(request: Request, expressions: Expressions) -> KeyTerms:
    """Return the key conditions of a query, which cannot be without."""
    terms = expressions.key_terms
    if terms is None:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in"
            " the request."
        )
    most = _INDEX_KEY_TERMS_MAX if "IndexName" in request else _KEY_TERMS_MAX
    if not 1 <= len(terms) <= most:
        raise _terms_refused()
    return terms


def _terms_refused() -> ValidationException:
    """Return the error for too many key conditions."""
    return ValidationException("Conditions can be of length 1 or 2 only")


def query_range(target: Target, terms: KeyTerms, start: Item | None, *, forward: bool) -> KeyRange:
    """Return the keys that a query reads.

    Raises:
        ValidationException: The conditions do not fit the key, or the start is not in them.
    """
    if start is not None:
        _require_start_attributes(target, start)
    partition, sort = _terms_of(target, terms)
    if target.index is None:
        asked = _table_range(target.table, partition, sort)
    else:
        asked = _index_range(target.table, target.index, partition, sort)
    if start is None:
        return asked
    place = _start_place(target, start)
    _require_start_inside(target, start, place, asked, by_sort_key=bool(sort))
    return asked.behind(place, forward=forward)


def _table_range(table: TableRecord, partition: list[KeyTerm], sort: list[KeyTerm]) -> KeyRange:
    """Return the keys of a table that a query reads."""
    content = keys.partition_bytes(table.partition, partition[0].values[0])
    digest = keys.digest_of(table, content)
    if table.sort is None or not sort:
        asked = pages.partition_range(digest)
    else:
        asked = pages.sort_range(digest, table.sort, sort[0])
    return asked._replace(partition=content)


def _index_range(
    table: TableRecord, index: IndexRecord, partition: list[KeyTerm], sort: list[KeyTerm]
) -> KeyRange:
    """Return the keys of an index that a query reads."""
    found = {
        each.name: term.values[0] for each, term in zip(index.partition, partition, strict=True)
    }
    for each in index.partition:
        keys.partition_bytes(each, found[each.name])
    content = indexes.partition_content(index, found)
    terms = [*zip(index.sort, sort, strict=False)]
    asked = pages.entry_range(keys.digest_of(table, content), terms)
    return asked._replace(partition=content)


def _require_start_attributes(target: Target, start: Item) -> None:
    """Refuse a start that has not the attributes of the key that is read, and of the table's."""
    wanted = target.start_attributes
    if start.keys() != wanted.keys():
        raise ValidationException(_INVALID_START)
    keys.require_types(wanted, start)


def _terms_of(target: Target, terms: KeyTerms) -> tuple[list[KeyTerm], list[KeyTerm]]:
    """Return the conditions on the partition key and on the sort key, in the order of the key."""
    if max(len(target.partition), len(target.sort)) > 1:
        return _many_terms(target, terms)
    if len(terms) > _KEY_TERMS_MAX:
        raise _terms_refused()
    attribute = target.partition[0]
    if not target.sort and len(terms) > 1:
        raise ValidationException("Query key condition not supported")
    partition = terms.get(attribute.name)
    if partition is None:
        raise _missed(attribute.name)
    _require_type(partition, attribute.type)
    if partition.operator != "=":
        raise ValidationException("Query key condition not supported")
    sort = [terms[each.name] for each in target.sort if each.name in terms]
    if len(terms) > 1 and not sort:
        raise _missed(target.sort[0].name)
    for term in sort:
        _require_type(term, target.sort[0].type)
    return [partition], sort


def _many_terms(target: Target, terms: KeyTerms) -> tuple[list[KeyTerm], list[KeyTerm]]:
    """Return the conditions on a key of several attributes of a kind.

    AWS: all attributes of the partition key by equality, those of the sort key from the left, all
    but the last of them by equality (Developer Guide, "Multi-attribute keys pattern"). Its words
    are not known.
    """
    named = {each.name: each for each in target.partition + target.sort}
    for name, term in terms.items():
        if name not in named:
            raise ValidationException(f"Query key condition not supported: {name} is no key")
        _require_type(term, named[name].type)
    partition = [terms.get(each.name) for each in target.partition]
    found = [term for term in partition if term is not None and term.operator == "="]
    if len(found) < len(partition):
        raise ValidationException(
            "Query key condition not supported: each HASH attribute of the index needs an equality"
            f" condition: {_names_text(target.partition)}"
        )
    sort = [terms[each.name] for each in target.sort if each.name in terms]
    leading = [each.name for each in target.sort[: len(sort)]]
    if not all(name in terms for name in leading) or any(t.operator != "=" for t in sort[:-1]):
        raise ValidationException(
            "Query key condition not supported: RANGE attributes of the index stand in conditions"
            " from the left, each but the last in an equality condition:"
            f" {_names_text(target.sort)}"
        )
    return found, sort


def _names_text(attributes: Iterable[KeyAttribute]) -> str:
    """Return attributes of a key as AWS's messages list names."""
    return f"[{', '.join(each.name for each in attributes)}]"


def _missed(name: str) -> ValidationException:
    """Return the error for a query without a condition on an attribute of the key."""
    return ValidationException(f"Query condition missed key schema element: {name}")


def _require_type(term: KeyTerm, kind: str) -> None:
    """Refuse a condition whose values are not of the attribute's type."""
    if any(kind not in value for value in term.values):
        raise ValidationException(f"{_INVALID}Condition parameter type does not match schema type")


def _start_place(target: Target, start: Item) -> bytes:
    """Return the place at which a page begins."""
    table, index = target.table, target.index
    own = {each.name: start[each.name] for each in table.key_attributes if each.name in start}
    try:
        key = keys.key_of(table, start if index is None else own)
    except ValidationException as error:
        raise ValidationException(f"{_INVALID_START}: {error.message}") from None
    if index is None:
        return key.place
    entry = indexes.entry_of(table, index, key, start, {})
    if entry is None:
        raise ValidationException(_INVALID_START)
    return entry.place


def _require_start_inside(
    target: Target, start: Item, place: bytes, asked: KeyRange, *, by_sort_key: bool
) -> None:
    """Refuse a start that the query itself could not have given."""
    table = target.table
    if target.index is None and table.sort is None:
        # AWS: a partition of one item cannot be continued (scylladb test/alternator,
        # test_query_no_sort_key_exclusive_start_key).
        [(kind, content)] = start[table.partition.name].items()
        shown = f"{{{table.partition.name}=AttributeValue: {{{kind}:{content}}}}}"
        raise ValidationException(
            f"The provided exclusive start key is invalid: ExclusiveStartKey: {shown}"
        )
    if asked.holds(place):
        return
    if by_sort_key:
        raise ValidationException(
            "The provided starting key does not match the range key predicate"
        )
    raise ValidationException(
        "The provided starting key is outside query boundaries based on provided conditions"
    )


def require_filter_off_keys(target: Target, request: Request, expressions: Expressions) -> None:
    """Refuse a query whose filter looks at an attribute of the key."""
    if expressions.filter is None:
        return
    shown = "QueryFilter" if "QueryFilter" in request else "Filter Expression"
    looked_at = {path[0] for path in expressions.filter.paths}
    for attribute in target.partition + target.sort:
        if attribute.name in looked_at:
            raise ValidationException(
                f"{shown} can only contain non-primary key attributes:"
                f" Primary key attribute: {attribute.name}"
            )


def scan_range(target: Target, request: Request, start: Item | None) -> KeyRange:
    """Return the keys that a scan reads.

    Raises:
        ValidationException: The start is no key of what is read, or not in the segment.
    """
    segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
    asked = pages.segment_range(segment, total)
    if start is None:
        return asked
    if target.index is not None:
        _require_start_attributes(target, start)
    place = _start_place(target, start)
    if not asked.holds(place):
        raise ValidationException(
            f"{_INVALID_START}: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with"
            f" correct Segment. TotalSegments: {total} Segment: {segment}"
        )
    return asked.behind(place, forward=True)
