"""Vector indexes against a simple model, while they come and go, and what ``fogbank check`` says."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.test_agreement import Rows
from tests.unit.services.dynamodb.test_jobs import attempt

from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ValidationException,
)
from fogbank.services.dynamodb.jobs import tables as jobs
from fogbank.services.dynamodb.rules import distances, indexes, vectors
from fogbank.services.dynamodb.schema import VECTORS

Item = dict[str, Any]
SCHEMA = [
    {"AttributeName": "t", "SearchSchemaElementType": "HASH"},
    {"AttributeName": "n", "SearchSchemaElementType": "INLINE_FILTER"},
]
TYPES = {"p": "S", "t": "S", "n": "N"}


def shape(name: str, *, schema: bool, distance: str = "EUCLIDEAN") -> Item:
    made: Item = {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": "v"},
        "Dimensions": 2,
        "DistanceFunction": distance,
        "Projection": {"ProjectionType": "ALL" if schema else "KEYS_ONLY"},
    }
    return made | ({"SearchSchema": SCHEMA} if schema else {})


class World:
    """A table with vector indexes, and the items that the model knows of."""

    def __init__(self, *made: Item) -> None:
        self.call = FakeCall()
        self.items: dict[str, Item] = {}
        members = {"VectorIndexes": [*made]} if made else {}
        used = {"p"}.union(*({"t", "n"} for each in made if "SearchSchema" in each))
        self.call.run(
            "create_table",
            TableName="tab",
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=_definitions(used),
            BillingMode="PAY_PER_REQUEST",
            **members,
        )

    def put(self, p: str, vector: tuple[int, ...] | None = None, **attributes: Any) -> None:
        item: Item = {"p": {"S": p}, **attributes}
        if vector is not None:
            item["v"] = {"L": [{"N": str(number)} for number in vector]}
        self.items[p] = item
        self.call.run("put_item", TableName="tab", Item=item)

    def write(self, kind: str, p: str, attributes: Item) -> None:
        """Make a write, here and in the model."""
        key = {"p": {"S": p}}
        if kind == "delete":
            self.items.pop(p, None)
            self.call.run("delete_item", TableName="tab", Key=key)
            return
        if kind == "put":
            self.items[p] = {**key, **attributes}
            self.call.run("put_item", TableName="tab", Item=self.items[p])
            return
        changed = {**self.items.get(p, key), **attributes}
        updates: Item = {name: {"Value": value} for name, value in attributes.items()}
        for name in {"v", "t"} - attributes.keys():
            changed.pop(name, None)
            updates[name] = {"Action": "DELETE"}
        self.items[p] = changed
        self.call.run("update_item", TableName="tab", Key=key, AttributeUpdates=updates)

    def search(self, name: str, wanted: tuple[int, int], **members: Any) -> list[Item]:
        return self.call.run(  # type: ignore[no-any-return]
            "search_vectors",
            TableName="tab",
            IndexName=name,
            SearchVector=[{"N": str(number)} for number in wanted],
            TopK=100,
            **members,
        )["SearchResults"]

    def nearest(self, wanted: tuple[int, int], t: str | None, n: str | None) -> list[float]:
        """Return the distances that a search of some of the items must find."""
        found = [
            math.dist(wanted, [float(number["N"]) for number in item["v"]["L"]])
            for item in self.items.values()
            if "v" in item
            and (t is None or item.get("t") == {"S": t})
            and (n is None or item.get("n") == {"N": n})
        ]
        return sorted(found)

    def change(self, **action: Any) -> None:
        create = action.get("Create", {})
        members = {"AttributeDefinitions": _definitions({"t", "n"})} if create else {}
        self.call.run("update_table", TableName="tab", VectorIndexUpdates=[action], **members)

    def findings(self) -> list[str]:
        return list(state.agreement.damage_of(Rows(self.call)))

    def rows(self) -> list[bytes]:
        prefix = VECTORS.prefix(self.call.domain)
        return sorted(key for key in self.call.engine.rows if key.startswith(prefix))

    def status(self) -> tuple[str, bool] | None:
        told = self.call.run("describe_table", TableName="tab")["Table"]
        for index in told.get("VectorIndexes", ()):
            return index["IndexStatus"], index.get("Backfilling", False)
        return None


def _definitions(names: set[str]) -> list[Item]:
    return [{"AttributeName": name, "AttributeType": TYPES[name]} for name in sorted(names)]


vector = st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(
    lambda pair: {"L": [{"N": str(number)} for number in pair]}
)
pads = st.sampled_from([1, 2 * indexes.COPY_BYTES_MAX]).map(lambda size: {"S": "x" * size})
attributes = st.fixed_dictionaries(
    {},
    optional={
        "v": vector,
        "t": st.sampled_from(["t", "u"]).map(lambda text: {"S": text}),
        "n": st.sampled_from(["1", "2"]).map(lambda text: {"N": text}),
        "other": pads,
    },
)
write = st.tuples(st.sampled_from(["put", "update", "delete"]), st.sampled_from("abcd"), attributes)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(write, min_size=1, max_size=20), st.integers(-3, 3))
def test_searches_find_what_the_items_say(writes: list[tuple[str, str, Item]], at: int) -> None:
    world = World(shape("all", schema=False), shape("some", schema=True))
    for each in writes:
        world.write(*each)
    wanted = (at, 1)
    found = world.search("all", wanted)
    assert [each["Score"] for each in found] == pytest.approx(world.nearest(wanted, None, None))
    for n in (None, "1"):
        condition, values = "t = :t", {":t": {"S": "t"}}
        if n is not None:
            condition, values = f"{condition} AND n = :n", {**values, ":n": {"N": n}}
        members = {
            "SearchConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        found = world.search("some", wanted, **members)
        assert [each["Score"] for each in found] == pytest.approx(world.nearest(wanted, "t", n))
        for each in found:
            item = world.items[each["Item"]["p"]["S"]]
            assert each["Item"] == {name: value for name, value in item.items() if name != "v"}
    assert world.findings() == []


@pytest.mark.parametrize("distance", ["COSINE", "EUCLIDEAN", "DOT_PRODUCT"])
@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_scores_are_those_of_a_plain_sum(distance: str, data: st.DataObject) -> None:
    numbers = st.floats(-1e3, 1e3, width=32)
    dimensions = data.draw(st.integers(1, 20))
    one = st.lists(numbers, min_size=dimensions, max_size=dimensions)
    wanted, *found = data.draw(st.lists(one, min_size=2, max_size=6))
    packed = [struct.pack(f"<{dimensions}f", *each) for each in (wanted, *found)]
    scores = distances.scores_of(distance, packed[0], packed[1:])
    for each, score in zip(found, scores, strict=True):
        if distance == "EUCLIDEAN":
            expected = math.dist(wanted, each)
        else:
            expected = math.fsum(map(math.prod, zip(wanted, each, strict=True)))
        if distance == "COSINE":
            length = math.hypot(*wanted) * math.hypot(*each)
            expected = 1.0 if length == 0 else 1.0 - expected / length
        assert score == pytest.approx(expected, rel=1e-9, abs=1e-9)
    # A row is scored alike whatever stands beside it.
    alone = [distances.scores_of(distance, packed[0], [each])[0] for each in packed[1:]]
    assert alone == scores
    if distance == "COSINE" and any(wanted):
        assert distances.scores_of(distance, packed[0], packed[:1]) == [0.0]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_of_an_index_are_told_in_the_shortest_text_that_is_the_number(
    number: float,
) -> None:
    packed = struct.pack("<f", number)
    [told] = vectors.values_of(packed)["L"]
    assert "e" not in told["N"].lower()
    assert "." in told["N"]
    assert struct.pack("<f", float(told["N"])) == packed
    digits = told["N"].strip("-0.").replace(".", "").strip("0")
    assert len(digits) <= 9


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ITEMS_PER_STEP", 2)
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)


def some(world: World) -> list[str]:
    members = {
        "SearchConditionExpression": "t = :t",
        "ExpressionAttributeValues": {":t": {"S": "t"}},
    }
    return [each["Item"]["p"]["S"] for each in world.search("some", (0, 0), **members)]


@pytest.mark.usefixtures("small_steps")
def test_a_new_index_is_filled_in_pieces_beside_writes_and_then_searched() -> None:
    """Developer Guide, "Data synchronization between tables and vector indexes"."""
    world = World()
    for number in range(7):
        world.put(f"{number}", (number, 0), t={"S": "t"})
    world.change(Create=shape("some", schema=True))
    assert world.status() == ("CREATING", True)
    with pytest.raises(ValidationException, match="Cannot search backfilling vector index: some"):
        some(world)
    attempt(world.call, jobs.change_index)
    assert len(world.rows()) == 2
    assert world.findings() == []
    for number in range(0, 7, 2):
        world.put(f"{number}", (10 + number, 0), t={"S": "t"})
    world.write("delete", "1", {})
    world.put("new", (5, 0), t={"S": "t"})
    assert world.findings() == []
    while world.status() != ("ACTIVE", False):
        attempt(world.call, jobs.change_index)
    nearest = [world.items[p]["v"]["L"][0]["N"] for p in some(world)]
    assert nearest == ["3", "5", "5", "10", "12", "14", "16"]
    assert world.findings() == []


@pytest.mark.usefixtures("small_steps")
def test_an_index_is_removed_in_pieces_and_nothing_of_it_stays() -> None:
    world = World(shape("some", schema=True))
    for number in range(5):
        world.put(f"{number}", (number, 0), t={"S": "t"})
    assert len(world.rows()) == 5
    world.change(Delete={"IndexName": "some"})
    with pytest.raises(ValidationException, match="does not have the specified index: some"):
        some(world)
    world.put("after", (1, 1), t={"S": "t"})
    attempt(world.call, jobs.change_index)
    assert len(world.rows()) == 3
    assert world.findings() == []
    while world.status() is not None:
        attempt(world.call, jobs.change_index)
    assert world.rows() == []


def test_one_index_is_made_at_a_time_and_its_table_stays_until_it_is() -> None:
    world = World()
    world.change(Create=shape("some", schema=True))
    with pytest.raises(ResourceInUseException, match=r"Index is being created\.  Table: tab Index"):
        world.change(Create=shape("some", schema=True))
    with pytest.raises(LimitExceededException, match="Only 1 online index"):
        world.change(Create=shape("all", schema=False))
    with pytest.raises(ResourceInUseException, match="Cannot delete table while indexes"):
        world.call.run("delete_table", TableName="tab")
    world.change(Delete={"IndexName": "some"})


@pytest.mark.usefixtures("small_steps")
def test_a_dropped_table_takes_its_vectors_along() -> None:
    world = World(shape("all", schema=False))
    for number in range(5):
        world.put(f"{number}", (number, 0))
    world.call.run("delete_table", TableName="tab")
    for _ in range(5):
        attempt(world.call, jobs.remove_items)
    assert world.rows() == []


def test_what_lacks_or_changes_in_the_store_is_told() -> None:
    world = World(shape("all", schema=False))
    for number in range(3):
        world.put(f"{number}", (number, 0))
    assert world.findings() == []
    rows = world.call.engine.rows
    one, other, _ = world.rows()
    kept = rows.pop(one)
    [found] = world.findings()
    assert "the index all of the table tab lacks the entry of the item at" in found
    rows[one] = rows[other]
    [found] = world.findings()
    assert "the index all of the table tab has another entry of the item at" in found
    rows[one] = kept
    rows[one + b"x"] = kept
    assert world.findings() == ["the index all of the table tab has 1 entries that no item has"]


def test_an_item_that_goes_while_its_entry_is_shown_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(shape("some", schema=True))
    big = {"S": "x" * 2 * indexes.COPY_BYTES_MAX}
    for p in "ab":
        world.put(p, (1, 0), t={"S": "t"}, other=big)
    find_base = state.searches.find_base

    async def gone(call: Any, search: Any, hit: Any) -> Any:
        base = await find_base(call, search, hit)
        return None if base is None or base.partition == b"a" else base

    monkeypatch.setattr(state.searches, "find_base", gone)
    assert some(world) == ["b"]
