"""A table as of any moment equals a model of it, whatever is written meanwhile and removed since."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.history_world import SORTS, Held, World, text, word

from fogbank.engines.memory import MemoryEngine
from fogbank.services.dynamodb.jobs import histories, tables
from fogbank.services.dynamodb.rules import history as rules
from fogbank.services.dynamodb.rules import items
from fogbank.services.dynamodb.schema import CUTS, HISTORY, ITEMS, MARKS, TRIMS
from fogbank.services.dynamodb.schema.replicas import ReplicaRecoveryRecord, StrongRecord

DAY_MS = 86_400_000
Writes = list[tuple[str, Any, Any, int]]
kinds = st.sampled_from(["put", "put", "update", "delete", "transact"])
pauses = st.sampled_from([0, 0, 1, 400, 1_000, 2_500])


def some_writes(sort: str) -> st.SearchStrategy[Writes]:
    """Return writes: of what kind, where, and how many milliseconds after the one before."""
    return st.lists(st.tuples(kinds, word, SORTS[sort], pauses), min_size=1, max_size=14)


def write_all(world: World, writes: Writes) -> None:
    for kind, partition, sort, pause in writes:
        world.call.now_ms += pause
        world.write(kind, world.key(partition, sort), len(world.commits))


@pytest.mark.slow
@pytest.mark.parametrize("sort", SORTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_table_as_of_any_second_is_what_it_was_then(sort: str, data: st.DataObject) -> None:
    world = World(sort)
    write_all(world, data.draw(some_writes(sort))[:2])
    world.recover()
    first = world.second
    write_all(world, data.draw(some_writes(sort)))
    for second in range(first, world.second + 2):
        table = world.cut(f"{second}", second)
        limit = data.draw(st.integers(1, 3))
        assert world.read(table, f"{second}", limit) == world.held_at(second)


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["", "S"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_cut_is_of_one_moment_though_the_table_is_written_while_it_is_read(
    sort: str, data: st.DataObject
) -> None:
    world = World(sort)
    write_all(world, data.draw(some_writes(sort)))
    expected = dict(world.held)
    table = world.cut("reader")
    later = data.draw(some_writes(sort))
    whole: Held = {}
    for piece in world.pieces(table, "reader", data.draw(st.integers(1, 2))):
        whole |= piece
        write_all(world, later[:1])
        later = later[1:]
    assert whole == expected


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["", "N"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_changed_between_two_cuts_is_what_the_model_says(
    sort: str, data: st.DataObject
) -> None:
    world = World(sort)
    write_all(world, data.draw(some_writes(sort)))
    world.cut("first")
    old, begin = dict(world.held), len(world.commits)
    write_all(world, data.draw(some_writes(sort)))
    table = world.cut("second")
    new, end = dict(world.held), len(world.commits)
    write_all(world, data.draw(some_writes(sort)))

    found = world.changes(table, "first", "second", data.draw(st.integers(1, 3)))
    written: dict[str, int] = {}
    before = old
    for commit in world.commits[begin:end]:
        for key in before.keys() | commit.held.keys():
            if before.get(key) != commit.held.get(key):
                written[key] = commit.second
        before = commit.held
    told = {}
    for change in found:
        images = change.before, change.after
        shown = [None if each is None else items.item_of(table, each) for each in images]
        either = shown[0] or shown[1]
        if either is None:
            continue
        key = text(world.key(either["p"], either.get("c")))
        assert shown == [old.get(key), new.get(key)]
        told[key] = change.at_ms // 1_000
    assert told == {
        key: second for key, second in written.items() if key in old.keys() | new.keys()
    }
    assert len(found) == len(written), "what came and went is a change as well"


class Running:
    """A clock on which a second passes whenever it is read, if it runs."""

    def __init__(self, call: FakeCall) -> None:
        self._call = call
        self.runs = False

    def now_ms(self) -> int:
        self._call.now_ms += 1_000 * self.runs
        return self._call.now_ms


class Hurried(FakeCall):
    """A call whose bodies run once, as they would not be pure by such a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = MemoryEngine()
        self.store = self.engine.store_of(self.domain)
        self.running = Running(self)

    @property
    def clock(self) -> Any:
        return self.running


def test_a_transaction_is_in_a_moment_whole_though_seconds_pass_in_it() -> None:
    call = Hurried()
    world = World("S", call)
    world.recover()
    begun = world.second
    puts = [
        {"Put": {"TableName": "tab", "Item": {"p": {"S": "p"}, "c": {"S": each}}}}
        for each in ("one", "two", "three")
    ]
    call.running.runs = True
    call.run("transact_write_items", TransactItems=puts)
    call.running.runs = False
    assert world.second > begun + 2
    for second in range(begun, world.second + 1):
        table = world.cut(f"{second}", second)
        assert len(world.read(table, f"{second}")) in (0, 3)


def test_clocks_that_go_back_leave_the_order_of_commits() -> None:
    world = World()
    world.recover()
    for number, second in enumerate((0, 10, 5, 20)):
        world.call.now_ms = 1_700_000_000_000 + second * 1_000
        world.write("put", {"p": {"S": "a"}}, number)
        world.write("put", {"p": {"S": "b"}}, number)
    states = [world.commits[0].held, *(each.held for each in world.commits[2::2])]
    for second in range(20):
        table = world.cut(f"{second}", 1_700_000_000 + second)
        assert world.read(table, f"{second}") in states


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sort", "longest"), [("S", {"S": "\x7f" * 1_024}), ("B", {"B": b"\xff" * 1_024})]
)
def test_the_largest_item_under_the_longest_key_has_a_history(sort: str, longest: Any) -> None:
    world = World(sort)
    world.recover()
    key = {"p": {"S": "p" * 2_048}, "c": longest}
    largest = {**key, "v": {"B": os.urandom((400 << 10) - 2_048 - 1_024 - 3)}}
    world.call.run("put_item", TableName="tab", Item=largest)
    table = world.cut("then")
    world.call.run("delete_item", TableName="tab", Key=key)
    assert list(world.read(table, "then").values()) == [largest]


def test_a_table_whose_history_is_not_kept_keeps_none() -> None:
    world = World()
    for number in range(3):
        world.write("put", {"p": {"S": "a"}}, number)
    assert [world.rows(kind) for kind in (HISTORY, MARKS, CUTS)] == [0, 0, 0]


def test_a_write_that_changes_nothing_leaves_no_history() -> None:
    world = World()
    world.recover()
    world.write("put", {"p": {"S": "a"}}, 1)
    world.write("put", {"p": {"S": "a"}}, 1)
    world.write("delete", {"p": {"S": "b"}}, 1)
    assert world.rows(HISTORY) == 1


def filled(days: int) -> World:
    """Return a table that is written four times a day for five days."""
    world = World()
    world.recover(days)
    for number in range(20):
        world.call.now_ms += DAY_MS // 4
        world.write("put", {"p": {"S": f"{number % 3}"}}, number)
    return world


def test_history_older_than_the_window_is_removed_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histories, "STEPS_PER_ATTEMPT", 1)
    monkeypatch.setattr(histories, "ITEMS_PER_STEP", 3)
    world = filled(days=2)
    assert (world.rows(HISTORY), world.rows(MARKS)) == (20, 20)
    [verdict] = world.attempt(histories.trim_history)
    assert verdict.retry_at_ms == world.call.now_ms
    assert world.rows(TRIMS) == 1
    for _ in range(20):
        [verdict] = world.attempt(histories.trim_history) or [verdict]
    assert verdict.retry_at_ms == world.call.now_ms + 2 * DAY_MS // 8
    assert (world.rows(HISTORY), world.rows(MARKS), world.rows(TRIMS)) == (9, 9, 0)
    for second in range(world.second - 2 * 86_400, world.second + 1, 86_400 // 4):
        table = world.cut(f"{second}", second)
        assert world.read(table, f"{second}") == world.held_at(second)


def test_a_cut_keeps_what_lies_behind_it_and_lets_it_go() -> None:
    world = filled(days=2)
    world.attempt(histories.trim_history)
    second = world.second - 2 * 86_400
    table = world.cut("old", second)
    expected = world.held_at(second)
    for number in range(20):
        world.call.now_ms += DAY_MS
        world.write("put", {"p": {"S": f"{number % 3}"}}, 100 + number)
    world.attempt(histories.trim_history)
    assert world.read(table, "old") == expected
    world.release(table, "old")
    world.call.now_ms += DAY_MS
    world.attempt(histories.trim_history)
    assert (world.rows(HISTORY), world.rows(CUTS)) == (2, 0)


def test_the_history_goes_with_the_last_cut_and_a_new_one_is_another() -> None:
    world = World()
    world.write("put", {"p": {"S": "a"}}, 1)
    first = world.cut("first")
    world.write("put", {"p": {"S": "a"}}, 2)
    table = world.cut("second")
    assert table == first
    world.release(table, "first")
    assert world.table().history_ms == table.history_ms
    world.release(table, "second")
    world.release(table, "second")
    assert world.table().history_ms == 0
    world.write("put", {"p": {"S": "a"}}, 3)
    expected = dict(world.held)
    again = world.cut("third")
    assert again.history_ms > table.history_ms, "in the same millisecond"
    world.write("delete", {"p": {"S": "a"}}, 4)
    assert world.rows(HISTORY) == 2
    world.attempt(histories.trim_history)
    assert world.rows(HISTORY) == 1
    assert world.read(again, "third") == expected
    world.call.now_ms += DAY_MS
    verdicts = world.attempt(histories.trim_history)
    assert [each.retry_at_ms is None for each in verdicts] == [True, False]
    assert world.read(again, "third") == expected


def test_a_table_that_is_deleted_while_it_is_read_goes_afterwards() -> None:
    world = World()
    world.write("put", {"p": {"S": "a"}}, 1)
    expected = dict(world.held)
    table = world.cut("reader")
    world.write("put", {"p": {"S": "a"}}, 2)
    world.call.run("delete_table", TableName="tab")
    assert world.attempt(tables.remove_items) == []
    assert world.read(table, "reader") == expected
    world.release(table, "reader")
    world.attempt(tables.remove_items)
    assert [world.rows(kind) for kind in (ITEMS, HISTORY, MARKS, CUTS)] == [0, 0, 0, 0]
    assert world.attempt(histories.trim_history) == []
    world.call.now_ms += DAY_MS
    [verdict] = world.attempt(histories.trim_history)
    assert verdict.retry_at_ms is None


def test_a_history_is_needed_as_far_back_as_any_replica_can_be_restored() -> None:
    """Recovery is each region's own; the history of a strongly consistent table is one."""
    day_ms, now_ms = rules.DAY_MS, 100 * rules.DAY_MS
    table = msgspec.structs.replace(World().table(), recovery_ms=1, recovery_days=2)
    assert rules.needed_since_ms(table, now_ms) == now_ms - 2 * day_ms
    strong = StrongRecord(
        id=table.id,
        home="us-east-1",
        replicas=(),
        recoveries={
            "eu-west-1": ReplicaRecoveryRecord(since_ms=now_ms - 20 * day_ms, days=35),
            "ap-south-1": ReplicaRecoveryRecord(since_ms=0, days=35),
        },
    )
    table = msgspec.structs.replace(table, strong=strong)
    assert rules.needed_since_ms(table, now_ms) == now_ms - 20 * day_ms
    assert rules.window_ms(table) == 35 * day_ms
    alone = msgspec.structs.replace(table, recovery_ms=0)
    assert rules.needed_since_ms(alone, now_ms) == now_ms - 20 * day_ms
    assert rules.needed_since_ms(msgspec.structs.replace(alone, strong=None), now_ms) is None
