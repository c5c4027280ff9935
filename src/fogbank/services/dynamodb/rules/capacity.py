"""What an operation consumed of a table and of its indexes, as replies say it.

Source: Amazon DynamoDB API Reference, "ConsumedCapacity" and "ItemCollectionMetrics".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

Kind: TypeAlias = Literal["ReadCapacityUnits", "WriteCapacityUnits"]
Units: TypeAlias = dict[str, float]
"""Units by the name of an index."""
GIGABYTE: Final = 1 << 30
_NO_UNITS: Final[Units] = {}


class IndexUnits(NamedTuple):
    """What the indexes of one table consumed; only those that did."""

    local: Units = _NO_UNITS
    overall: Units = _NO_UNITS
    """Those of global indexes."""
    vectors: Units = _NO_UNITS
    """Bytes written to vector indexes, which are no units of capacity."""

    @property
    def total(self) -> float:
        """Return the units of all secondary indexes together."""
        return sum(self.local.values()) + sum(self.overall.values())


class Followed(NamedTuple):
    """What changed with an item beside the item."""

    units: IndexUnits
    collection: int | None = None
    """The size of the item's collection; None: the table counts none."""


NO_INDEXES: Final = IndexUnits()
NOTHING: Final = Followed(NO_INDEXES)


def consumed_capacity(
    request: Request, table: str, units: float, indexes: IndexUnits = NO_INDEXES
) -> Wire:
    """Return the ``ConsumedCapacity`` member of a reply, or nothing if it was not asked for.

    Args:
        request: With ``ReturnConsumedCapacity``.
        table: The table as the client named it.
        units: What the operation consumed of the table itself.
        indexes: What it consumed of the table's indexes.
    """
    wanted = request.get("ReturnConsumedCapacity", "NONE")
    return {} if wanted == "NONE" else {"ConsumedCapacity": _told(wanted, table, units, indexes)}


def _told(
    wanted: str, table: str, units: float, indexes: IndexUnits, kind: Kind | None = None
) -> shapes.ConsumedCapacity:
    """Return a ``ConsumedCapacity``; with a kind its units stand under that name too."""
    told: shapes.ConsumedCapacity = {"TableName": table, "CapacityUnits": units + indexes.total}
    if kind is not None:
        told[kind] = told["CapacityUnits"]
    if wanted == "INDEXES":
        told["Table"] = _capacity(units, kind)
        if indexes.local:
            told["LocalSecondaryIndexes"] = {
                name: _capacity(each, kind) for name, each in indexes.local.items()
            }
        if indexes.overall:
            told["GlobalSecondaryIndexes"] = {
                name: _capacity(each, kind) for name, each in indexes.overall.items()
            }
        if indexes.vectors:
            told["VectorIndexes"] = {
                name: {"VectorWriteRequestBytes": each} for name, each in indexes.vectors.items()
            }
    return told


def _capacity(units: float, kind: Kind | None) -> shapes.Capacity:
    """Return a ``Capacity``."""
    told: shapes.Capacity = {"CapacityUnits": units}
    if kind is not None:
        told[kind] = units
    return told


class Sums:
    """What several operations consumed, by table."""

    def __init__(self, cost: int = 1) -> None:
        """Begin with nothing.

        Args:
            cost: How many times each operation is charged.
        """
        self._cost = cost
        self.tables: Units = {}
        self.local: dict[str, Units] = {}
        self.overall: dict[str, Units] = {}
        self.vectors: dict[str, Units] = {}

    def add(self, table: str, units: float, indexes: IndexUnits = NO_INDEXES) -> None:
        """Add what one operation consumed of a table and its indexes."""
        _add(self.tables, table, units * self._cost)
        for sums, found in ((self.local, indexes.local), (self.overall, indexes.overall)):
            for name, each in found.items():
                _add(sums.setdefault(table, {}), name, each * self._cost)
        # AWS: bytes of vectors cost in a transaction what they cost outside (measured, dynoxide).
        for name, each in indexes.vectors.items():
            _add(self.vectors.setdefault(table, {}), name, each)

    def units_of(self, table: str) -> IndexUnits:
        """Return what the indexes of a table consumed."""
        return IndexUnits(
            self.local.get(table, {}), self.overall.get(table, {}), self.vectors.get(table, {})
        )

    def of_indexes(self) -> Wire:
        """Return what indexes consumed as plain values, for ``of_plain``."""
        return {"local": self.local, "overall": self.overall, "vectors": self.vectors}

    @classmethod
    def of_plain(cls, tables: Units, indexes: Wire) -> Sums:
        """Return the sums of tables and of their indexes that plain values say."""
        sums = cls()
        sums.tables = tables
        sums.local, sums.overall = indexes.get("local", {}), indexes.get("overall", {})
        sums.vectors = indexes.get("vectors", {})
        return sums


def _add(sums: Units, name: str, units: float) -> None:
    """Add to one of several sums."""
    sums[name] = sums.get(name, 0.0) + units


def consumed_capacities(
    request: Request,
    sums: Sums,
    named: Mapping[str, str] | None = None,
    kind: Kind | None = None,
) -> Wire:
    """Return the ``ConsumedCapacity`` of several operations, or nothing if it was not asked for.

    Args:
        request: With ``ReturnConsumedCapacity``.
        sums: What they consumed.
        named: The plain names of the tables in ``sums``, if these are not.
        kind: The member for units of this kind, where the operation tells it.
    """
    wanted = request.get("ReturnConsumedCapacity", "NONE")
    if wanted == "NONE":
        return {}
    told = [
        _told(wanted, named[table] if named else table, units, sums.units_of(table), kind)
        for table, units in sums.tables.items()
    ]
    return {"ConsumedCapacity": told}


def collection_metrics(request: Request, table: TableRecord, item: Item, size: int | None) -> Wire:
    """Return the ``ItemCollectionMetrics`` member of a reply, or nothing.

    Args:
        request: With ``ReturnItemCollectionMetrics``.
        table: The table.
        item: An item with the partition key.
        size: The size of its collection; None: the table has no local index, and tells nothing.
    """
    if size is None or request.get("ReturnItemCollectionMetrics", "NONE") == "NONE":
        return {}
    return {"ItemCollectionMetrics": metrics_of(table, item, size)}


def metrics_of(table: TableRecord, item: Item, size: int) -> shapes.ItemCollectionMetrics:
    """Return what is told of a collection: between which whole gigabytes its size lies."""
    name = table.partition.name
    low = float(size // GIGABYTE)
    return {
        "ItemCollectionKey": {name: cast("shapes.AttributeValue", item[name])},
        "SizeEstimateRangeGB": [low, low + 1.0],
    }


def collections_metrics(
    request: Request, told: Iterable[tuple[str, TableRecord, Item, int | None]]
) -> Wire:
    """Return the ``ItemCollectionMetrics`` of several writes by table, or nothing.

    Args:
        request: With ``ReturnItemCollectionMetrics``.
        told: For each write, in order: the table as it is named, the table, an item with the
            partition key, and the size of its collection.
    """
    if request.get("ReturnItemCollectionMetrics", "NONE") == "NONE":
        return {}
    found: dict[str, dict[str, shapes.ItemCollectionMetrics]] = {}
    for name, table, item, size in told:
        if size is not None:
            key = repr(item[table.partition.name])
            found.setdefault(name, {})[key] = metrics_of(table, item, size)
    return {"ItemCollectionMetrics": {name: [*each.values()] for name, each in found.items()}}
