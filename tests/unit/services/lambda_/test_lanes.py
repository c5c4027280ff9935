"""Cursors of event source mappings: who may move one, and when its shard is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.scheduler import consumers
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.schema import CursorRecord, LaneRecord, MappingRecord

DOMAIN = Domain("lambda", "111122223333", "us-east-1")
MAPPING = MappingRecord(
    id="m",
    function="f",
    qualifier="",
    source_arn="arn",
    enabled=True,
    modified_ms=0,
    position="TRIM_HORIZON",
    batch_size=1,
    factor=2,
)
BEGIN = CursorRecord(begin="TRIM_HORIZON")
LANE = LaneRecord("m", "parent", 0)


class World:
    """A store with a mapping of one shard, in two lanes."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)
        self.store = self.engine.store_of(DOMAIN)
        self.run(lambda tr: state.create_mapping(tr, MAPPING, {"parent": BEGIN}, 10))

    def run(self, body: Callable[[Transaction], Awaitable[Any]]) -> Any:
        return asyncio.run(self.store.transact(body))

    def lanes(self) -> list[str]:
        """Return the lanes that are read."""
        [store] = self.engine.system_stores()
        return [each.id for each in asyncio.run(consumers.list_all(store, state.SOURCES))]

    def cursors(self) -> dict[str, str]:
        """Return the positions of all lanes."""
        found = self.run(lambda tr: state.list_cursors(tr, "m"))
        return {f"{shard}/{lane}": cursor.position for shard, lane, cursor in found}

    def move(self, before: CursorRecord, position: str) -> bool:
        after = msgspec.structs.replace(before, position=position)
        moved: bool = self.run(lambda tr: state.move_cursor(tr, LANE, before, after, "OK"))
        return moved

    def change(self, before: MappingRecord, **changes: Any) -> MappingRecord:
        after = msgspec.structs.replace(before, **changes)
        self.run(lambda tr: state.change_mapping(tr, before, after))
        return after


@pytest.fixture
def world() -> World:
    return World()


def test_a_cursor_is_moved_by_who_has_read_it_last(world: World) -> None:
    assert world.move(BEGIN, "1")
    assert not world.move(BEGIN, "2")
    assert world.cursors() == {"parent/0": "1", "parent/1": ""}


def test_a_step_that_ends_behind_the_end_of_its_mapping_moves_nothing(world: World) -> None:
    stopped = world.change(MAPPING, enabled=False)
    assert not world.move(BEGIN, "1")
    assert world.lanes() == []
    world.run(lambda tr: state.delete_mapping(tr, stopped))
    assert not world.move(BEGIN, "1")
    assert world.cursors() == {}


def test_lanes_that_are_laid_anew_begin_with_the_one_that_was_furthest_behind(
    world: World,
) -> None:
    other = LaneRecord("m", "parent", 1)
    for lane, position in ((LANE, "12"), (other, "9")):
        after = msgspec.structs.replace(BEGIN, position=position)
        world.run(lambda tr, lane=lane, after=after: state.move_cursor(tr, lane, BEGIN, after, ""))
    world.change(MAPPING, factor=3)
    assert world.cursors() == {f"parent/{lane}": "9" for lane in range(3)}
    assert world.lanes() == [f"m/parent/{lane}" for lane in range(3)]


def test_children_begin_when_the_last_lane_of_their_parent_has_ended(world: World) -> None:
    world.run(lambda tr: state.end_lane(tr, LANE, BEGIN, ["child"]))
    assert world.lanes() == ["m/parent/1"]
    other = LaneRecord("m", "parent", 1)
    world.run(lambda tr: state.end_lane(tr, other, BEGIN, ["child"]))
    assert world.lanes() == ["m/child/0", "m/child/1"]
    assert world.cursors() == {"child/0": "", "child/1": ""}
