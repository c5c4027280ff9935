"""Pages: which keys a query or scan reads, from where, and in steps of what length.

Theory: within a table an item lies at digest + sort key (``schema``). Each condition on the sort
key is one range of such keys, each segment of a parallel scan is one range of digests, and
starting behind a key only moves an end of the range. ``end`` None means the end of the table.

Within an index an entry lies at digest + the values of the sort key as tuples encode them + a digest
of the item's place (``indexes``): there a value is a range of keys and not one.

Source: Amazon DynamoDB Developer Guide, "Key condition expressions for the Query operation",
"Paginating table query results" and "Parallel scan".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from fogbank.platform.store import tuples
from fogbank.services.dynamodb.rules.expressions.conditions import BoundCondition
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm
from fogbank.services.dynamodb.rules.expressions.projections import ItemProjection
from fogbank.services.dynamodb.rules.indexes import IndexRow
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES, sort_bytes
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, KeyAttribute

ROWS_FIRST: Final = 8
"""Rows read before anything is known of their size: 3.2 MB at most."""
ROWS_GROWTH: Final = 4
"""So many times as many rows as all before are read in one step at most: they may be larger."""
ROWS_MAX: Final = 64
"""Rows read in one step at most, so that no step holds the loop for long: half a millisecond."""


class KeyRange(NamedTuple):
    """A half-open range of keys within a table."""

    begin: bytes = b""
    end: bytes | None = None
    partition: bytes | None = None
    """The content of the partition key that every item of the range has; None if it is of many."""

    def behind(self, place: bytes, *, forward: bool) -> KeyRange:
        """Return what is left of the range when a place was the last one read."""
        if forward:
            return self._replace(begin=max(self.begin, place + b"\0"))
        return self._replace(end=place if self.end is None else min(self.end, place))

    def holds(self, place: bytes) -> bool:
        """Return whether a place lies in the range."""
        return self.begin <= place and (self.end is None or place < self.end)


def _after(prefix: bytes) -> bytes | None:
    """Return the first key behind all that begin with a prefix, or None if it is the last."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def partition_range(digest: bytes) -> KeyRange:
    """Return the range of all items of one partition key."""
    return KeyRange(digest, _after(digest))


def sort_range(digest: bytes, attribute: KeyAttribute, term: KeyTerm) -> KeyRange:
    """Return the range of the items of one partition key whose sort key meets a condition."""
    whole = partition_range(digest)
    low = digest + sort_bytes(attribute, term.values[0])
    high = digest + sort_bytes(attribute, term.values[-1])
    match term.operator:
        case "<":
            return KeyRange(whole.begin, low)
        case "<=":
            return KeyRange(whole.begin, low + b"\0")
        case ">":
            return KeyRange(low + b"\0", whole.end)
        case ">=":
            return KeyRange(low, whole.end)
        case "begins_with":
            return KeyRange(low, _after(low))
        case operator:
            assert operator in ("=", "BETWEEN"), f"{operator} is no condition on a sort key"
            return KeyRange(low, high + b"\0")


def entry_range(digest: bytes, terms: Sequence[tuple[KeyAttribute, KeyTerm]]) -> KeyRange:
    """Return the range of the entries of one partition key whose sort key meets conditions.

    Args:
        digest: What stands for the partition key.
        terms: A condition for each of the first attributes of the sort key, all but the last of
            them that it equals a value.
    """
    prefix = digest
    for attribute, term in terms[:-1]:
        assert term.operator == "=", "only the last condition may be another"
        prefix += tuples.pack(sort_bytes(attribute, term.values[0]))
    whole = KeyRange(prefix, _after(prefix))
    if not terms:
        return whole
    attribute, term = terms[-1]
    first, last = (sort_bytes(attribute, term.values[each]) for each in (0, -1))
    low, high = prefix + tuples.pack(first), prefix + tuples.pack(last)
    ranges = {
        "<": KeyRange(whole.begin, low),
        "<=": KeyRange(whole.begin, _after(low)),
        ">": KeyRange(_after(low) or b"", whole.end),
        ">=": KeyRange(low, whole.end),
        "begins_with": KeyRange(low, _after(prefix + tuples.bytes_prefix(first))),
        "=": KeyRange(low, _after(high)),
        "BETWEEN": KeyRange(low, _after(high)),
    }
    return ranges[term.operator]


def segment_range(segment: int, total: int) -> KeyRange:
    """Return the range of one of ``total`` segments; together they are the table."""
    digests = 1 << 8 * DIGEST_BYTES

    def edge(number: int) -> bytes:
        return (-(-digests * number // total)).to_bytes(DIGEST_BYTES)

    begin = edge(segment) if segment else b""
    return KeyRange(begin, edge(segment + 1) if segment + 1 < total else None)


class Step(NamedTuple):
    """What is read in one transaction."""

    keys: KeyRange
    limit: int
    """Rows, at most."""
    forward: bool = True
    fetches: bool = False
    """Whether items are wanted beside their entries in an index."""


class PageRules(NamedTuple):
    """What makes a page of items."""

    item_of: Callable[[Any], Item]
    """From what was read to the item."""
    bytes_max: int
    """A page ends with the item that reaches this size."""
    items_max: int | None = None
    """A page ends with this many items, whether they pass the filter or not."""
    filter: BoundCondition | None = None
    projection: ItemProjection | None = None
    count_only: bool = False
    fetches: bool = False
    """Items are read, and charged, beside their entries in an index."""


class Page:
    """A page as it is read, item by item."""

    def __init__(self, rules: PageRules) -> None:
        self._rules = rules
        self.items: list[Item] = []
        self.count = 0
        """Items that passed the filter."""
        self.scanned = 0
        self.size = 0
        """The sizes of all items that were looked at."""
        self.fetched: list[int] = []
        """The sizes of the items that were fetched beside their entries."""
        self._hidden = 0
        """Bytes that were read beside ``size``: of items that an entry shows only a part of."""
        self.last: Item | None = None
        """The item looked at last."""

    @property
    def full(self) -> bool:
        """Return whether the page takes no further item."""
        rules = self._rules
        read = self.size + self._hidden if rules.fetches else self.size
        return self.scanned == rules.items_max or read >= rules.bytes_max

    @property
    def rows_next(self) -> int:
        """Return how many rows to read in the next step."""
        if not self.scanned:
            wanted = ROWS_FIRST
        else:
            read = self.size + self._hidden
            left = self._rules.bytes_max - self.size
            wanted = left * self.scanned // max(1, read) + 1
            wanted = max(1, min(ROWS_MAX, ROWS_GROWTH * self.scanned, wanted))
        if self._rules.items_max is None:
            return wanted
        return min(wanted, self._rules.items_max - self.scanned)

    def add(self, record: ItemRecord | IndexRow) -> None:
        """Look at one item more."""
        assert not self.full, "a full page takes no item"
        rules = self._rules
        item = self.last = rules.item_of(record)
        self.scanned += 1
        self.size += record.size
        if isinstance(record, IndexRow):
            self._count(record)
        if rules.filter is not None and not rules.filter.holds(item):
            return
        self.count += 1
        if not rules.count_only:
            shown = item if rules.projection is None else rules.projection.of(item)
            self.items.append(shown)

    def _count(self, row: IndexRow) -> None:
        """Count what was read of an item beside its entry."""
        self._hidden += max(0, row.fetched - row.size)
        if self._rules.fetches:
            self.fetched.append(row.fetched)
