"""``fogbank check`` says where indexes do not agree with their table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.history_world import World as Past
from tests.unit.services.dynamodb.test_index_changes import BY_G, attempt, change, fill
from tests.unit.services.dynamodb.test_index_model import GLOBAL, World

from fogbank.platform.blobs import chunks
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.keyspace import SERVICES
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs import backups
from fogbank.services.dynamodb.jobs import tables as jobs
from fogbank.services.dynamodb.schema import (
    BACKUP_ITEMS,
    COLLECTIONS,
    ENTRIES,
    HISTORY,
    ITEMS,
    NO_VALUE,
)


class Rows:
    """The rows of a memory engine, as a store at rest shows them."""

    def __init__(self, call: FakeCall) -> None:
        self._rows: dict[bytes, bytes] = call.engine.rows  # type: ignore[assignment]
        self._blobs = call.blobs

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def rows(self, begin: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self._rows):
            if begin <= key < end:
                yield key, self._rows[key]

    def blob(self, incarnation: int, number: int) -> bytes:
        async def read() -> bytes:
            parts = self._blobs.read(BlobRef(incarnation, number))
            return b"".join([part async for part in parts])

        return asyncio.run(read())


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


# Bodies that records refer to.


@pytest.fixture
def bodied(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world of two large items, whose bodies are a chunk and a blob."""
    monkeypatch.setattr(chunks, "INLINE_BYTES_MAX", 64)
    monkeypatch.setattr(chunks, "CHUNK_BYTES_MAX", 512)
    made = World(*GLOBAL)
    for number, size in enumerate((200, 2_000)):
        made.write("put", {"p": {"S": f"{number}"}, "c": {"N": "0"}}, {"z": {"S": "z" * size}})
    return made


def test_bodies_that_are_counted_right_are_not_told_of(bodied: World) -> None:
    assert findings(bodied) == []


def test_a_record_that_is_gone_leaves_its_body_counted(bodied: World) -> None:
    for key in keys(bodied, ITEMS):
        value = bodied.call.engine.rows.pop(key)
        told = [each for each in findings(bodied) if "is referred to by no record" in each]
        assert len(told) == 1
        bodied.call.engine.rows[key] = value


def test_bodies_of_a_domain_that_has_nothing_else_are_told(bodied: World) -> None:
    """Neither an item nor a table is left that could refer to them, or say whose they are."""
    rows = bodied.call.engine.rows
    ours = bodied.call.domain.prefix + bytes((SERVICES["dynamodb"],))
    for key in [key for key in rows if key.startswith(ours)]:
        del rows[key]
    told = findings(bodied)
    assert len(told) == 2
    assert all("is referred to by no record" in each for each in told)


def test_bodies_of_another_service_are_its_own(bodied: World) -> None:
    """S3 keeps blobs in the domain of a bucket, to which its own rows refer."""
    rows = bodied.call.engine.rows
    prefix = bodied.call.domain.prefix
    for key in [key for key in rows if key.startswith(prefix)]:
        if key.startswith(prefix + bytes((SERVICES["dynamodb"],))):
            del rows[key]
    rows[prefix + bytes((SERVICES["s3"], 1))] = b"a row of another"
    assert findings(bodied) == []


def test_a_record_that_is_not_counted_is_told(bodied: World) -> None:
    rows = bodied.call.engine.rows
    for key in keys(bodied, ITEMS):
        rows[key + b"x"] = rows[key]
        assert "is referred to by 2 records and counted 1 times" in "".join(findings(bodied))
        del rows[key + b"x"]


def test_a_backup_that_lacks_an_item_and_a_history_of_another_are_told() -> None:
    past = Past()
    past.recover()
    for number in range(3):
        past.write("put", {"p": {"S": f"{number % 2}"}}, number)
    past.call.run("create_backup", TableName="tab", BackupName="saved")
    past.attempt(backups.copy_backup)
    rows: dict[bytes, bytes] = past.call.engine.rows  # type: ignore[assignment]

    def told() -> list[str]:
        return list(state.agreement.damage_of(Rows(past.call)))

    def under(kind: Any) -> list[bytes]:
        return sorted(key for key in rows if key.startswith(kind.prefix(past.call.domain)))

    assert told() == []
    first = under(BACKUP_ITEMS)[0]
    kept = rows.pop(first)
    [found] = told()
    assert "of the table tab has 1 items of 5 bytes, and says 2 of 10" in found
    rows[first] = kept
    [written] = [key for key in under(HISTORY) if HISTORY.decode(rows[key]).before != NO_VALUE]
    other = written.replace(written[40:50], bytes(10))
    rows[other] = rows.pop(written)
    [found] = told()
    assert "the history of the table tab has another item at" in found
