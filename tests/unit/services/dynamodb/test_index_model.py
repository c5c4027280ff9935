"""Random writes, and each index holds exactly what a simple model says: no entry less, none more.

The model computes an index anew from the items each time it is asked; it knows nothing of entries.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.services.dynamodb.conftest import FakeCall

from fogbank.services.dynamodb.rules import indexes
from fogbank.services.dynamodb.schema import ENTRIES

Item = dict[str, Any]
TYPES = {"p": "S", "c": "N", "g": "S", "h": "N", "s": "S", "n": "N"}


class Shape(NamedTuple):
    """An index of the test's table, as the model sees it."""

    name: str
    partition: tuple[str, ...]
    sort: tuple[str, ...]
    shown: frozenset[str] | None
    is_local: bool = False

    def request(self) -> Item:
        """Return the index as CreateTable and UpdateTable take it."""
        roles = [(name, "HASH") for name in self.partition] + [(n, "RANGE") for n in self.sort]
        projection: Item = {"ProjectionType": "ALL"}
        if self.shown is not None:
            projection = {"ProjectionType": "KEYS_ONLY"}
        if self.shown:
            projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": sorted(self.shown)}
        return {
            "IndexName": self.name,
            "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in roles],
            "Projection": projection,
        }

    def holds(self, item: Item) -> bool:
        """Return whether an item is in the index."""
        return all(TYPES[name] in item.get(name, {}) for name in self.partition + self.sort)

    def shows(self, item: Item) -> Item:
        """Return what the index shows of an item."""
        if self.shown is None:
            return item
        names = {"p", "c", *self.partition, *self.sort, *self.shown}
        return {name: value for name, value in item.items() if name in names}

    def order(self, item: Item) -> tuple[Any, ...]:
        """Return what the entries of one partition key are ordered by."""
        return tuple(
            int(item[name]["N"]) if TYPES[name] == "N" else item[name]["S"].encode()
            for name in self.sort
        )


LOCAL = (
    Shape("local", ("p",), ("s",), frozenset(), is_local=True),
    Shape("local-all", ("p",), ("n",), None, is_local=True),
)
GLOBAL = (
    Shape("by-g", ("g",), (), None),
    Shape("by-g-n", ("g",), ("n",), frozenset({"z"})),
    Shape("by-many", ("g", "h"), ("s", "n"), frozenset()),
    Shape("by-sort", ("s",), ("c",), frozenset({"z", "h"})),
)

small = st.integers(-2, 2).map(lambda number: {"N": str(number)})
word = st.sampled_from(["a", "a\0", "ab", "b"]).map(lambda text: {"S": text})
pads = st.sampled_from([1, 2 * indexes.COPY_BYTES_MAX]).map(lambda size: {"S": "x" * size})
others = st.fixed_dictionaries(
    {}, optional={"g": word, "h": small, "s": word, "n": small, "z": pads, "other": pads}
)
key = st.fixed_dictionaries({"p": word, "c": small})
write = st.tuples(st.sampled_from(["put", "update", "delete", "transact"]), key, others)


class World:
    """A table with indexes, and the items that the model knows of."""

    def __init__(self, *global_indexes: Shape) -> None:
        self.call = FakeCall()
        self.items: dict[str, Item] = {}
        self.shapes: list[Shape] = [*LOCAL, *global_indexes]
        given: Item = {"LocalSecondaryIndexes": [each.request() for each in LOCAL]}
        if global_indexes:
            given["GlobalSecondaryIndexes"] = [each.request() for each in global_indexes]
        used = {"p", "c"}.union(*(each.partition + each.sort for each in self.shapes))
        self.call.run(
            "create_table",
            TableName="tab",
            KeySchema=[
                {"AttributeName": "p", "KeyType": "HASH"},
                {"AttributeName": "c", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": TYPES[name]} for name in sorted(used)
            ],
            BillingMode="PAY_PER_REQUEST",
            **given,
        )

    def write(self, kind: str, key: Item, attributes: Item) -> None:
        """Make a write, here and in the model."""
        place = _text(key)
        whole = {**key, **attributes}
        if kind == "delete":
            self.items.pop(place, None)
            self.call.run("delete_item", TableName="tab", Key=key)
        elif kind == "put":
            self.items[place] = whole
            self.call.run("put_item", TableName="tab", Item=whole)
        elif kind == "transact":
            self.items[place] = whole
            self.call.run(
                "transact_write_items",
                TransactItems=[{"Put": {"TableName": "tab", "Item": whole}}],
            )
        else:
            self._update(place, key, attributes)

    def _update(self, place: str, key: Item, attributes: Item) -> None:
        """Set the attributes, and remove ``g`` where it is not among them."""
        changed = {**self.items.get(place, key), **attributes}
        updates = {name: {"Action": "PUT", "Value": value} for name, value in attributes.items()}
        if "g" not in attributes:
            changed.pop("g", None)
            updates["g"] = {"Action": "DELETE"}
        self.items[place] = changed
        self.call.run("update_item", TableName="tab", Key=key, AttributeUpdates=updates)

    def check(self) -> int:
        """Hold every index against the items; return how many entries they have together."""
        entries = 0
        for shape in self.shapes:
            held = [item for item in self.items.values() if shape.holds(item)]
            entries += len(held)
            self._check_scan(shape, held)
            partitions = {
                _text({name: item[name] for name in shape.partition}): item for item in held
            }
            for one in partitions.values():
                same = [item for item in held if all(item[n] == one[n] for n in shape.partition)]
                self._check_query(shape, one, same)
        return entries

    def _check_scan(self, shape: Shape, held: list[Item]) -> None:
        found = self._pages("scan", IndexName=shape.name, Limit=3)
        expected = [shape.shows(item) for item in held]
        assert sorted(map(_text, found)) == sorted(map(_text, expected)), shape.name

    def _check_query(self, shape: Shape, one: Item, same: list[Item]) -> None:
        condition = " AND ".join(f"{name} = :{name}" for name in shape.partition)
        values = {f":{name}": one[name] for name in shape.partition}
        for forward in (True, False):
            found = self._pages(
                "query",
                IndexName=shape.name,
                Limit=2,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ScanIndexForward=forward,
            )
            expected = [shape.shows(item) for item in same]
            assert sorted(map(_text, found)) == sorted(map(_text, expected)), shape.name
            orders = [shape.order(item) for item in found]
            assert orders == sorted(orders, reverse=not forward), shape.name

    def _pages(self, operation: str, **request: Any) -> list[Item]:
        """Return the items of all pages."""
        reply = self.call.run(operation, TableName="tab", **request)
        found = [*reply["Items"]]
        while "LastEvaluatedKey" in reply:
            start = reply["LastEvaluatedKey"]
            reply = self.call.run(operation, TableName="tab", ExclusiveStartKey=start, **request)
            found += reply["Items"]
        return found


def _text(item: Item) -> str:
    return repr(sorted(item.items()))


def stored(call: FakeCall) -> int:
    """Return how many entries lie in the store."""
    prefix = ENTRIES.prefix(call.domain)
    return sum(key.startswith(prefix) for key in call.engine.rows)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(write, min_size=1, max_size=25))
def test_indexes_hold_what_the_items_say(writes: list[tuple[str, Item, Item]]) -> None:
    world = World(*GLOBAL)
    for each in writes:
        world.write(*each)
    entries = world.check()
    assert entries == stored(world.call)
