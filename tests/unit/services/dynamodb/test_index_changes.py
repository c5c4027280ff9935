"""Indexes that come and go while the table is written: the backfill, the removal, what resumes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.test_index_model import (
    GLOBAL,
    TYPES,
    Item,
    Shape,
    World,
    stored,
    write,
)
from tests.unit.services.dynamodb.test_jobs import attempt

from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ValidationException,
)
from fogbank.services.dynamodb.jobs import tables as jobs
from fogbank.services.dynamodb.schema import BUILDS, ENTRIES

BY_G, BY_G_N = GLOBAL[:2]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ITEMS_PER_STEP", 2)
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)


def change(call: FakeCall, **action: Any) -> Item:
    names = {each["AttributeName"] for each in action.get("Create", {}).get("KeySchema", ())}
    members: Item = {"GlobalSecondaryIndexUpdates": [action]}
    if names:
        members["AttributeDefinitions"] = [
            {"AttributeName": name, "AttributeType": TYPES[name]} for name in sorted(names)
        ]
    return call.run("update_table", TableName="tab", **members)["TableDescription"]  # type: ignore[no-any-return]


def status(call: FakeCall, shape: Shape) -> tuple[str, bool] | None:
    table = call.run("describe_table", TableName="tab")["Table"]
    for index in table.get("GlobalSecondaryIndexes", ()):
        if index["IndexName"] == shape.name:
            return index["IndexStatus"], index.get("Backfilling", False)
    return None


def attempts(call: FakeCall, shape: Shape, *, until: tuple[str, bool] | None) -> int:
    """Make attempts until the index stands so; return how many there were."""
    for made in range(1, 100):
        attempt(call, jobs.change_index)
        if status(call, shape) == until:
            return made
    raise AssertionError("the index never got there")


def fill(world: World, count: int) -> None:
    for number in range(count):
        key = {"p": {"S": f"{number}"}, "c": {"N": "0"}}
        world.write("put", key, {"g": {"S": f"{number % 3}"}, "n": {"N": f"{number}"}})


ACTIVE = ("ACTIVE", False)


@pytest.mark.usefixtures("small_steps")
def test_a_new_index_is_filled_in_pieces_and_then_active() -> None:
    """Developer Guide, "Managing Global Secondary Indexes": CREATING, Backfilling, ACTIVE."""
    world = World()
    fill(world, 7)
    told = change(world.call, Create=BY_G.request())["GlobalSecondaryIndexes"]
    assert [each["IndexStatus"] for each in told] == ["CREATING"]
    assert status(world.call, BY_G) == ("CREATING", True)
    with pytest.raises(ValidationException, match="Cannot read from backfilling global"):
        world.call.run("scan", TableName="tab", IndexName=BY_G.name)
    assert attempts(world.call, BY_G, until=ACTIVE) == 4
    world.shapes.append(BY_G)
    assert world.check() == stored(world.call)
    prefix = BUILDS.prefix(world.call.domain)
    assert not any(key.startswith(prefix) for key in world.call.engine.rows)


@pytest.mark.usefixtures("small_steps")
def test_what_is_written_during_the_backfill_is_indexed_once_and_as_it_is() -> None:
    """Before the place that it has come to and behind it: put, moved, changed and removed."""
    world = World()
    fill(world, 12)
    change(world.call, Create=BY_G.request())
    attempt(world.call, jobs.change_index)
    attempt(world.call, jobs.change_index)
    for number, key in enumerate([*world.items.values()]):
        found = {name: key[name] for name in ("p", "c")}
        kind = ("put", "update", "delete", "update")[number % 4]
        world.write(kind, found, {"g": {"S": "moved"}} if number % 2 else {})
    world.write("put", {"p": {"S": "new"}, "c": {"N": "1"}}, {"g": {"S": "new"}})
    attempts(world.call, BY_G, until=ACTIVE)
    world.shapes.append(BY_G)
    assert world.check() == stored(world.call)


@pytest.mark.usefixtures("small_steps")
def test_items_that_cannot_be_in_a_new_index_stay_in_the_table_and_out_of_it() -> None:
    """Developer Guide, "Detecting and correcting index key violations"."""
    world = World()
    for number, value in enumerate(({"N": "1"}, {"S": ""}, {"S": "x" * 2_049}, {"S": "good"})):
        world.write("put", {"p": {"S": f"{number}"}, "c": {"N": "0"}}, {"g": value})
    change(world.call, Create=BY_G.request())
    attempts(world.call, BY_G, until=ACTIVE)
    [found] = world.call.run("scan", TableName="tab", IndexName=BY_G.name)["Items"]
    assert found["g"] == {"S": "good"}
    # What the item had before the index is no fault of an update that leaves it as it is.
    update = {"z": {"Action": "PUT", "Value": {"S": "z"}}}
    key = {"p": {"S": "0"}, "c": {"N": "0"}}
    world.call.run("update_item", TableName="tab", Key=key, AttributeUpdates=update)
    with pytest.raises(ValidationException, match="Type mismatch for Index Key g"):
        world.call.run("put_item", TableName="tab", Item={**key, "g": {"N": "1"}})


@pytest.mark.usefixtures("small_steps")
def test_an_index_is_removed_in_pieces_and_its_name_can_be_given_again() -> None:
    world = World(BY_G, BY_G_N)
    fill(world, 7)
    change(world.call, Delete={"IndexName": BY_G.name})
    assert status(world.call, BY_G) == ("DELETING", False)
    with pytest.raises(ValidationException, match="does not have the specified index"):
        world.call.run("scan", TableName="tab", IndexName=BY_G.name)
    for number in range(3):
        attempt(world.call, jobs.change_index)
        assert status(world.call, BY_G) == ("DELETING", False)
        # What is written meanwhile leaves nothing behind, wherever the removal has come to.
        for item in [*world.items.values()]:
            key = {name: item[name] for name in ("p", "c")}
            world.write("put", key, {"n": {"N": "1"}, "g": {"S": f"{item['p']['S']}{number}"}})
    attempt(world.call, jobs.change_index)
    assert status(world.call, BY_G) is None
    world.shapes.remove(BY_G)
    assert world.check() == stored(world.call)
    change(world.call, Create=BY_G.request())
    attempts(world.call, BY_G, until=ACTIVE)
    world.shapes.append(BY_G)
    assert world.check() == stored(world.call)


@pytest.mark.usefixtures("small_steps")
def test_an_index_may_be_given_up_while_it_is_filled() -> None:
    world = World()
    fill(world, 7)
    change(world.call, Create=BY_G.request())
    attempt(world.call, jobs.change_index)
    assert stored(world.call) > 7
    change(world.call, Delete={"IndexName": BY_G.name})
    attempts(world.call, BY_G, until=None)
    assert world.check() == stored(world.call)


def test_one_index_is_made_or_removed_at_a_time() -> None:
    """An update of another's throughput is no such change; giving up the one that is made is."""
    world = World(BY_G_N)
    change(world.call, Create=BY_G.request())
    for action in ({"Create": GLOBAL[3].request()}, {"Delete": {"IndexName": BY_G_N.name}}):
        with pytest.raises(LimitExceededException, match="Only 1 online index can be created"):
            change(world.call, **action)
    change(world.call, Delete={"IndexName": BY_G.name})
    with pytest.raises(LimitExceededException, match="Only 1 online index can be created"):
        change(world.call, Create=GLOBAL[3].request())
    attempts(world.call, BY_G, until=None)
    change(world.call, Create=GLOBAL[3].request())
    assert status(world.call, GLOBAL[3]) == ("CREATING", True)


def test_a_table_stays_while_an_index_is_made_or_removed(call: FakeCall) -> None:
    world = World()
    change(world.call, Create=BY_G.request())
    with pytest.raises(ResourceInUseException, match="Cannot delete table while indexes are"):
        world.call.run("delete_table", TableName="tab")
    attempts(world.call, BY_G, until=ACTIVE)
    fill(world, 3)
    assert stored(world.call) > 0
    world.call.run("delete_table", TableName="tab")
    attempt(world.call, jobs.remove_items)
    prefix = ENTRIES.prefix(world.call.domain)
    assert not any(key.startswith(prefix) for key in world.call.engine.rows)
    assert call is not world.call


step = st.one_of(
    write, st.tuples(st.just("index"), st.sampled_from(GLOBAL)), st.tuples(st.just("attempt"))
)


@pytest.mark.slow
@pytest.mark.usefixtures("small_steps")
@settings(max_examples=25, deadline=None)
@given(st.lists(step, min_size=1, max_size=40))
def test_indexes_agree_whenever_they_are_made_and_removed(steps: list[Any]) -> None:
    """Random writes, indexes that begin and end, and attempts between them, in any order."""
    world = World()
    for each in steps:
        if each[0] == "index":
            begin(world, each[1])
        elif each[0] == "attempt":
            settle(world, once=True)
            world.check()
        else:
            world.write(*each)
    settle(world, once=False)
    assert world.check() == stored(world.call)


def begin(world: World, shape: Shape) -> None:
    """Begin to make an index, or to remove it if it is there; one at a time."""
    found = {each.name: status(world.call, each) for each in GLOBAL}
    if any(each is not None and each != ACTIVE for each in found.values()):
        return
    if found[shape.name] is None:
        change(world.call, Create=shape.request())
    else:
        world.shapes.remove(shape)
        change(world.call, Delete={"IndexName": shape.name})


def settle(world: World, *, once: bool) -> None:
    """Let work on an index go on, for one attempt or to its end."""
    while shapes := [each for each in GLOBAL if status(world.call, each) not in (None, ACTIVE)]:
        attempt(world.call, jobs.change_index)
        for each in shapes:
            if status(world.call, each) == ACTIVE:
                world.shapes.append(each)
        if once:
            return
