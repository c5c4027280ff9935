"""Searches of vectors: what a request asks for, and the nearest of what is looked at.

Theory: a search is exact. It looks at every vector of its partition, in pieces, and keeps the nearest
of those that it has seen; which it keeps depends on no order, for of two at one distance the one whose
entry lies first is nearer.

Source: Amazon DynamoDB API Reference, SearchVectors; Developer Guide, "Creating and searching vector
indexes". The messages were measured on AWS (nubo-db/dynamodb-conformance,
tests/tier3/error-messages/searchVectors.test.ts; dynoxide).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import SEARCH_STEP_BYTES, TOP_K_MAX
from fogbank.services.dynamodb.rules import distances, indexes, items, keys, pages, vectors
from fogbank.services.dynamodb.rules.expressions.projections import ItemProjection
from fogbank.services.dynamodb.rules.expressions.searchconditions import SearchTerm
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.values import Item, type_of
from fogbank.services.dynamodb.schema import (
    CREATING,
    DELETING,
    IndexRecord,
    ItemRecord,
    KeyAttribute,
    TableRecord,
    VectorRecord,
    VectorShape,
)

_ROWS_MIN: Final = 8
_ROWS_MAX: Final = 128


class Search(msgspec.Struct, frozen=True):
    """What a request looks for."""

    table: TableRecord
    index: IndexRecord
    shape: VectorShape
    wanted: bytes
    """The vector to compare with, in 32 bits a number."""
    top_k: int
    keys: KeyRange
    """Where the entries lie that are looked at."""
    filters: tuple[tuple[int, bytes], ...]
    """What an entry must have: the place among its filters, and the content."""
    contradicts: bool
    """Nothing can be what is asked for."""

    @property
    def rows_next(self) -> int:
        """Return how many entries a step reads, at most 4 KB beside each vector."""
        row = vectors.size_of(self.shape) + indexes.COPY_BYTES_MAX
        return max(_ROWS_MIN, min(_ROWS_MAX, SEARCH_STEP_BYTES // row))


class Hit(NamedTuple):
    """One of the nearest."""

    rank: float
    """The lower, the nearer."""
    place: bytes
    """Where its entry lies within the index."""
    score: float
    record: VectorRecord


_order: Final = attrgetter("rank", "place")


def require_top_k(request: Request) -> int:
    """Return ``TopK``, or refuse it."""
    top_k: int = request["TopK"]
    if top_k > TOP_K_MAX:
        raise ValidationException(
            f"Provided TopK value '{top_k}' is out of valid range. The value must be between 1 and"
            f" {TOP_K_MAX} inclusive"
        )
    return top_k


def search_of(
    table: TableRecord, name: str, wanted: bytes, terms: Sequence[SearchTerm] | None, top_k: int
) -> Search:
    """Return what a request looks for in a table.

    Args:
        table: The table.
        name: The name of the index.
        wanted: The vector to compare with, in 32 bits a number.
        terms: What an entry must have; None: there is no condition.
        top_k: How many are wanted.

    Raises:
        ValidationException: There is no such index, or the request does not fit it.
    """
    index = indexes.find_index(table, name)
    shape = None if index is None or index.status == DELETING else index.vector
    if index is None or shape is None:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if index.status == CREATING:
        raise ValidationException(f"Cannot search backfilling vector index: {name}")
    dimensions = len(wanted) // vectors.NUMBER_BYTES
    if dimensions != shape.dimensions:
        raise ValidationException(
            f"Input search vector dimension {dimensions} does not match vector index dimension"
            f" {shape.dimensions}"
        )
    contents = [
        (attribute, _content_of(index, attribute, term))
        for term in terms or ()
        for attribute in (_attribute_of(shape, term),)
    ]
    partition = [content for attribute, content in contents if attribute in index.partition]
    if index.partition and not partition:
        raise ValidationException(
            "SearchConditionExpression must be provided when SearchSchema has a HASH key"
        )
    filters = vectors.filter_attributes(index)
    # The same bytes that the entries of items with this value lie under.
    digest = keys.digest_of(table, partition[0] if partition else b"")
    return Search(
        table=table,
        index=index,
        shape=shape,
        wanted=wanted,
        top_k=top_k,
        keys=pages.partition_range(digest),
        filters=tuple(
            (filters.index(attribute), content)
            for attribute, content in contents
            if attribute not in index.partition
        ),
        contradicts=len(set(partition)) > 1,
    )


def _attribute_of(shape: VectorShape, term: SearchTerm) -> KeyAttribute:
    """Return the attribute of the search schema that a term is on."""
    for attribute in shape.schema:
        if attribute.name == term.name:
            return attribute
    raise ValidationException(
        "SearchConditionExpression must not contain any attributes that is not in SearchSchema."
        f" Invalid attribute: {term.name}"
    )


def _content_of(index: IndexRecord, attribute: KeyAttribute, term: SearchTerm) -> bytes:
    """Return the content that a term asks for."""
    if attribute.type not in term.value:
        raise ValidationException(
            f"Type of '{term.name}' attribute in SearchConditionExpression ({type_of(term.value)})"
            f" does not match type in search schema ({attribute.type})"
        )
    if attribute in index.partition:
        return keys.partition_bytes(attribute, term.value)
    return keys.content_of(attribute, term.value)


class Nearest:
    """The nearest of all entries that a search has looked at, and what looking cost."""

    def __init__(self, search: Search) -> None:
        """Begin with none."""
        self._search = search
        self.hits: list[Hit] = []
        """In order, the nearest first."""
        self.size = 0
        """Bytes of vectors that were compared."""

    def add(self, rows: Sequence[tuple[bytes, VectorRecord]]) -> None:
        """Look at some entries: where each lies within the index, and what it has."""
        search = self._search
        wanted = search.filters
        met = [
            (place, record)
            for place, record in rows
            if all(record.filters[at] == content for at, content in wanted)
        ]
        if not met:
            return
        found = [record.vector for _, record in met]
        scores = distances.scores_of(search.shape.distance, search.wanted, found)
        self.size += sum(map(len, found))
        sign = -1.0 if distances.is_nearer_high(search.shape.distance) else 1.0
        new = [
            Hit(sign * score, place, score, record)
            for score, (place, record) in zip(scores, met, strict=True)
        ]
        self.hits = heapq.nsmallest(search.top_k, [*self.hits, *new], key=_order)


# What is told of the nearest.


def shown_item(
    search: Search, record: VectorRecord, base: ItemRecord | None, projection: ItemProjection | None
) -> Item:
    """Return what a request asks for of an entry.

    AWS: the vector is left out unless a projection names it, and the index projects it too.

    Args:
        search: What was looked for.
        record: The entry.
        base: Its item, if the entry only says where that lies.
        projection: What is asked for; None: everything but the vector.
    """
    if record.place:
        assert base is not None, "the item was read for the entry that refers to it"
        item = indexes.projected(search.table, search.index, items.item_of(search.table, base))
    else:
        item = items.attributes_of(record.attributes, None)
    if projection is None:
        return item
    named = {path[0] for path in projection.paths}
    if search.shape.attribute in named and vectors.shows_vector(search.index):
        item[search.shape.attribute] = vectors.values_of(record.vector)
    return projection.of(item)
