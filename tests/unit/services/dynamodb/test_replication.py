"""Replicas converge, on the last writer, whatever is cut, delayed, reordered or brought twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.services.dynamodb.replicating import REGIONS, World

from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.jobs import replication as jobs
from fogbank.services.dynamodb.rules.replication import Change
from fogbank.services.dynamodb.rules.ttl import SERVICE_PRINCIPAL
from fogbank.services.dynamodb.schema.replicas import REPLICATION

WEST, EAST = "eu-west-1", "us-east-1"
HOUR_MS = 3_600_000
STEPS = 150
KEYS = [f"key-{number}" for number in range(6)]


class Chaos:
    """Writes, steps, cuts, repeats and sweeps, in the order of a seed."""

    def __init__(self, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.draw = random.Random(seed)
        self.world = World()
        self.last: dict[str, tuple[int, str | None]] = {}
        """Of each key the time and the value of the last write."""
        self.tied: set[str] = set()
        """Keys of which two regions wrote the last in one millisecond."""
        self.arrived: list[tuple[str, Change]] = []
        self._lose_moves = False
        accept, move = state.replication.accept, state.replication.move_pair

        async def noted(tr: Any, table: Any, change: Change, clock: Any) -> bool:
            self.arrived.append((tr.domain.name[-1], change))
            return await accept(tr, table, change, clock)

        async def lost(*given: Any) -> bool:
            return False if self._lose_moves else await move(*given)

        patch.setattr(state.replication, "accept", noted)
        patch.setattr(state.replication, "move_pair", lost)
        patch.setattr(jobs, "TOMBSTONE_MS", 200)

    def write(self) -> None:
        region, key = self.draw.choice(REGIONS), self.draw.choice(KEYS)
        self.world.pass_ms(self.draw.choice((0, 1, 1, 7)))
        now_ms = self.world.clock.now_ms()
        value = None if self.draw.random() < 0.3 else f"{region}/{now_ms}/{self.draw.random()}"
        if self.last.get(key, (0, None))[0] == now_ms:
            self.tied.add(key)
        else:
            self.tied.discard(key)
        self.last[key] = now_ms, value
        self.world.write(region, key, value)

    def step(self) -> None:
        """Take a step of a pair; now and then it dies between the effect and the cursor."""
        self._lose_moves = self.draw.random() < 0.2
        self.world.step(self.draw.choice(self.world.links()))
        self._lose_moves = False

    def cut(self) -> None:
        pair = frozenset(self.draw.sample(REGIONS, 2))
        self.world.placement.cuts ^= {pair}

    def repeat(self) -> None:
        """Bring something again that has arrived before, in whatever order."""
        if self.arrived:
            self.world.deliver(*self.draw.choice(self.arrived))

    def sweep(self) -> None:
        """Let tombstones go; what arrived before is not repeated any more."""
        self.arrived.clear()
        self.world.pass_ms(300)
        self.world.sweep(self.draw.choice(REGIONS))

    def live(self) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self.write, 40), (self.step, 40), (self.cut, 5), (self.repeat, 10), (self.sweep, 5),
        ]  # fmt: skip
        kinds, weights = zip(*acts, strict=True)
        for act in self.draw.choices(kinds, weights, k=STEPS):
            act()
        self.world.placement.cuts.clear()
        self.world.catch_up()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_replicas_converge_on_the_last_writer_of_each_item(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chaos = Chaos(seed, monkeypatch)
    chaos.live()
    held = [chaos.world.held(region) for region in REGIONS]
    assert held[0] == held[1] == held[2], f"seed {seed}"
    for key, (_, value) in chaos.last.items():
        if key not in chaos.tied:
            assert held[0].get(key) == value, f"seed {seed}: {key}"
    for region in REGIONS:
        assert chaos.world.count(region, REPLICATION) == 0, "what all have is not kept in the log"


@pytest.fixture
def world() -> World:
    return World()


def test_a_write_is_not_brought_back_where_it_came_from(world: World) -> None:
    world.write(WEST, "key", "value")
    world.catch_up()
    assert [world.held(region) for region in REGIONS] == [{"key": "value"}] * 3
    assert [world.count(region, REPLICATION) for region in REGIONS] == [0, 0, 0]


def test_many_writes_of_an_item_come_as_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        world.write(WEST, "key", str(number))
    taken: list[str] = []
    accept = state.replication.accept

    async def noted(tr: Any, *given: Any) -> bool:
        took = await accept(tr, *given)
        taken.extend([tr.domain.name[-1]] if took else [])
        return took

    monkeypatch.setattr(state.replication, "accept", noted)
    world.catch_up()
    assert sorted(taken) == ["ap-south-1", "us-east-1"]


def test_a_write_is_later_than_what_it_replaces_though_that_came_from_a_clock_ahead(
    world: World,
) -> None:
    world.pass_ms(HOUR_MS)
    world.write(WEST, "key", "ahead")
    world.pass_ms(-HOUR_MS)
    world.catch_up()
    world.write(EAST, "key", "behind")
    world.catch_up()
    assert [world.held(region) for region in REGIONS] == [{"key": "behind"}] * 3


def test_writes_of_one_millisecond_in_two_regions_end_alike(world: World) -> None:
    world.write(EAST, "key", "east")
    world.write(WEST, "key", "west")
    world.catch_up()
    assert [world.held(region) for region in REGIONS] == [{"key": "east"}] * 3


def test_what_expired_in_one_region_does_not_undo_a_later_write_in_another(world: World) -> None:
    world.write(WEST, "key", "old")
    world.catch_up()
    world.pass_ms(1)
    world.write(EAST, "key", "new")
    world.pass_ms(10)
    world.write(WEST, "key", None, by=SERVICE_PRINCIPAL)
    world.catch_up()
    assert [world.held(region) for region in REGIONS] == [{"key": "new"}] * 3


class TestTombstones:
    def test_they_go_when_nothing_older_can_come(self, world: World) -> None:
        world.write(WEST, "key", "value")
        world.write(WEST, "key", None)
        world.catch_up()
        assert [world.versions(region) for region in REGIONS] == [1, 1, 1]
        world.sweep(EAST)
        assert world.versions(EAST) == 1, "clocks may differ by an hour"
        world.pass_ms(jobs.TOMBSTONE_MS + 1)
        for region in REGIONS:
            world.sweep(region)
        assert [world.versions(region) for region in REGIONS] == [0, 0, 0]
        assert [world.tombstones(region) for region in REGIONS] == [0, 0, 0]

    def test_they_stay_while_an_older_write_is_on_its_way(self, world: World) -> None:
        world.write(EAST, "key", "old")
        world.pass_ms(1)
        world.write(WEST, "key", None)
        world.pass_ms(10 * HOUR_MS)
        for region in REGIONS:
            world.sweep(region)
        world.catch_up()
        assert [world.held(region) for region in REGIONS] == [{}, {}, {}]

    def test_that_of_an_earlier_deletion_does_not_take_a_later_one_away(self, world: World) -> None:
        world.write(WEST, "key", None)
        world.pass_ms(2 * HOUR_MS)
        world.write(WEST, "key", None)
        world.catch_up()
        world.sweep(WEST)
        assert (world.tombstones(WEST), world.versions(WEST)) == (1, 1)


class TestLongCuts:
    def test_a_log_ends_and_everything_is_copied_when_the_other_is_back(self, world: World) -> None:
        kept_ms = quotas.REPLICATION_BACKLOG_MS.default
        world.write(WEST, "kept", "old")
        world.write(WEST, "gone", "old")
        world.catch_up()
        world.placement.cuts.add(frozenset((WEST, EAST)))
        world.write(WEST, "kept", "new")
        world.write(WEST, "gone", None)
        world.catch_up()
        world.pass_ms(kept_ms + 1)
        world.write(WEST, "more", "new")
        world.catch_up()
        assert world.count(WEST, REPLICATION) == 0
        world.sweep(WEST)
        world.placement.cuts.clear()
        world.catch_up()
        assert world.held(EAST) == world.held(WEST) == {"kept": "new", "more": "new"}


class TestLargeItems:
    LARGE = "x" * 300_000

    def test_they_are_fetched_by_the_process_that_has_the_other_store(self, world: World) -> None:
        world.placement.is_one_store = False
        world.write(WEST, "key", self.LARGE)
        world.catch_up()
        assert world.held(EAST) == {}
        assert world.count(WEST, REPLICATION) == 1, "the cursor waits until the item is there"
        assert world.fetch(EAST) == 1
        world.catch_up()
        assert world.fetch(EAST) == 0
        assert world.held(EAST) == {"key": self.LARGE}
        world.write(EAST, "key", "small")
        world.catch_up()
        assert world.fetch(WEST) == 1, "what it replaces is a blob of the other store"
        world.catch_up()
        assert world.held(WEST) == {"key": "small"}

    def test_what_was_replaced_meanwhile_is_fetched_as_it_is(self, world: World) -> None:
        world.placement.is_one_store = False
        world.write(WEST, "key", self.LARGE)
        world.catch_up()
        world.pass_ms(1)
        world.write(WEST, "key", None)
        world.fetch(EAST)
        world.catch_up()
        assert world.held(EAST) == {}

    def test_in_one_store_each_replica_has_a_blob_of_its_own(self, world: World) -> None:
        world.write(WEST, "key", self.LARGE)
        world.catch_up()
        assert [world.held(region) for region in REGIONS] == [{"key": self.LARGE}] * 3
        assert len(world.run(world.engine.blobs.list(None, 10))) == 3
