"""``fogbank check`` says where indexes do not agree with their table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.test_index_changes import BY_G, attempt, change, fill
from tests.unit.services.dynamodb.test_index_model import GLOBAL, World

from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs import tables as jobs
from fogbank.services.dynamodb.schema import COLLECTIONS, ENTRIES, ITEMS


class Rows:
    """The rows of a memory engine, as a store at rest shows them."""

    def __init__(self, call: FakeCall) -> None:
        self._rows: dict[bytes, bytes] = call.engine.rows  # type: ignore[assignment]

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def rows(self, begin: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self._rows):
            if begin <= key < end:
                yield key, self._rows[key]


def findings(world: World) -> list[str]:
    return list(state.agreement.damage_of(Rows(world.call)))


def keys(world: World, table: Any) -> list[bytes]:
    prefix = table.prefix(world.call.domain)
    return sorted(key for key in world.call.engine.rows if key.startswith(prefix))


@pytest.fixture
def world() -> World:
    made = World(*GLOBAL)
    for number in range(4):
        key = {"p": {"S": f"{number}"}, "c": {"N": "0"}}
        attributes = {"g": {"S": "g"}, "h": {"N": "1"}, "s": {"S": "s"}, "n": {"N": "1"}}
        made.write("put", key, attributes)
    return made


def test_what_agrees_is_not_told_of(world: World) -> None:
    assert len(keys(world, ENTRIES)) == 6 * 4
    assert findings(world) == []


def test_a_missing_entry_is_told(world: World) -> None:
    for key in keys(world, ENTRIES):
        value = world.call.engine.rows.pop(key)
        [found] = findings(world)
        assert "lacks the entry of the item at" in found
        world.call.engine.rows[key] = value


def test_another_entry_and_one_of_no_item_are_told(world: World) -> None:
    one, other = keys(world, ENTRIES)[:2]
    rows = world.call.engine.rows
    kept, rows[one] = rows[one], rows[other]
    [found] = findings(world)
    assert "the index local of the table tab has another entry of the item at" in found
    rows[one] = kept
    rows[one + b"x"] = kept
    assert findings(world) == ["the index local of the table tab has 1 entries that no item has"]


def test_an_item_that_is_gone_leaves_entries_and_a_size_behind(world: World) -> None:
    del world.call.engine.rows[keys(world, ITEMS)[0]]
    found = findings(world)
    assert len(found) == 6
    assert all("has 1 entries that no item has" in each for each in found)


def test_a_size_that_was_not_counted_is_told(world: World) -> None:
    del world.call.engine.rows[keys(world, COLLECTIONS)[0]]
    [found] = findings(world)
    assert found.startswith("the table tab keeps 0 bytes of the collection")


def test_an_index_on_its_way_in_or_out_has_what_its_pieces_have_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "ITEMS_PER_STEP", 2)
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)
    world = World()
    fill(world, 5)
    change(world.call, Create=BY_G.request())
    assert findings(world) == []
    before = set(keys(world, ENTRIES))
    attempt(world.call, jobs.change_index)
    assert findings(world) == []
    written = sorted(set(keys(world, ENTRIES)) - before)
    assert len(written) == 2
    for key in written:
        value = world.call.engine.rows.pop(key)
        assert ["lacks the entry" in found for found in findings(world)] == [True]
        world.call.engine.rows[key] = value
    change(world.call, Delete={"IndexName": BY_G.name})
    attempt(world.call, jobs.change_index)
    assert findings(world) == []
