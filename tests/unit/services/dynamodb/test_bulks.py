"""Bulk puts: what table may be put into, and how one ends that was cancelled on its last step."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.contracts.samples import sample
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.test_agreement import Rows

from fogbank.base.errors import ServiceError
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.rules import bulks
from fogbank.services.dynamodb.rules.admitting import Format, Reader
from fogbank.services.dynamodb.rules.exchange.records import Cut
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    DELETING,
    TABLES,
    IndexRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.bulks import (
    CANCELLED,
    CANCELLING,
    OUTPUT_TYPES,
    BulkOutput,
    BulkRecord,
)
from fogbank.services.dynamodb.state.agreement import damage_of

TABLE: TableRecord = msgspec.structs.replace(
    sample(msgspec.inspect.type_info(TableRecord)),
    status=ACTIVE,
    group="",
    replicas=(),
    indexes=(),
    sse=None,
    strong=None,
)
INDEX: IndexRecord = sample(msgspec.inspect.type_info(IndexRecord))
BULK: BulkRecord = sample(msgspec.inspect.type_info(BulkRecord))


def test_a_table_that_is_ready_may_be_put_into() -> None:
    kept = msgspec.structs.replace(INDEX, status=DELETING)
    bulks.require_target(msgspec.structs.replace(TABLE, indexes=(kept,)))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": CREATING}, "ResourceInUseException"),
        (
            {"indexes": (msgspec.structs.replace(INDEX, status=CREATING),)},
            "ResourceInUseException",
        ),
        ({"group": "id"}, "ValidationException"),
    ],
)
def test_a_table_that_is_not_ready_or_is_a_replica_may_not(
    changes: dict[str, Any], code: str
) -> None:
    """Developer Guide, "Bulk put items considerations: Table state requirements", "Global tables"."""
    with pytest.raises(ServiceError) as caught:
        bulks.require_target(msgspec.structs.replace(TABLE, **changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "ending", "expected"),
    [
        (CANCELLING, "COMPLETED", (CANCELLED, *bulks.CANCELLED_BY)),
        (CANCELLING, "FAILED", ("FAILED", "code", "message")),
        ("IN_PROGRESS", "COMPLETED", ("COMPLETED", "code", "message")),
    ],
)
def test_who_was_told_that_it_is_cancelled_hears_that_it_was(
    status: str, ending: str, expected: tuple[str, str, str]
) -> None:
    before = msgspec.structs.replace(
        BULK, status=status, ending=ending, failure_code="code", failure_message="message"
    )
    after = bulks.ended(before, 5)
    assert (after.status, after.failure_code, after.failure_message) == expected
    assert after.ended_ms == 5


def test_writes_cost_whole_units_and_vectors_their_bytes() -> None:
    units = bulks.IndexUnits({"l": 1.0}, {"g": 2.0}, {"v": 1_200})
    usage = bulks.with_write(bulks.with_write(bulks.BulkUsage(), 3.0, units), 1.0, units)
    assert usage == bulks.BulkUsage(
        table=4 * 1_024, local={"l": 2_048}, overall={"g": 4_096}, vectors={"v": 2_400}
    )
    assert bulks.units_between(bulks.BulkUsage(), usage) == 10.0


UNLESS_THERE = {"ConditionExpression": "attribute_not_exists(p)"}


def asked_for(run: Callable[..., Any], name: str, size: int) -> bytes:
    """Put an item of a size; return the line of a bulk put that would put it again, unless it is there."""
    item = {"p": {"S": name}, "x": {"S": "x" * size}}
    run("put_item", TableName="tab", Item=item)
    changed = {**item, "x": {"S": "y" * size}}
    return json.dumps({"Item": changed, **UNLESS_THERE}).encode()


def test_lines_that_no_file_has_yet_hold_the_bodies_of_large_items(
    call: FakeCall, run: Callable[..., Any], make_table: Callable[..., None]
) -> None:
    """One that is a chunk and one that is a blob: the check counts both, and nothing is left behind."""
    make_table()
    content = [asked_for(run, name, size) for name, size in (("a", 20 << 10), ("b", 300 << 10))]
    assert [*damage_of(Rows(call))] == []

    async def write(tr: Transaction) -> BulkRecord:
        table = await TABLES.find(tr, "tab")
        assert table is not None
        before = msgspec.structs.replace(
            BULK,
            table="tab",
            table_id=table.id,
            definition=encode(table),
            outputs=(BulkOutput(), BulkOutput()),
        )
        state.bulks.put(tr, before)
        reader = Reader(Format("DYNAMODB_JSON", conditional=True), table, 400 << 10)
        outcomes = reader.outcomes([Cut(each, 10 * at) for at, each in enumerate(content, 1)], 0)
        work = state.bulks.Writing(call, call.clock, call.limit, frozenset(OUTPUT_TYPES))  # type: ignore[arg-type]
        return await state.bulks.write_piece(tr, before, outcomes, work, 20)

    after = asyncio.run(call.store.transact(write))
    assert [each.lines for each in after.outputs] == [0, 2]
    assert [*damage_of(Rows(call))] == []
    run("delete_item", TableName="tab", Key={"p": {"S": "a"}})
    assert [*damage_of(Rows(call))] == [], "the line holds what is gone from the table"

    async def forget(tr: Transaction) -> int:
        told = msgspec.structs.replace(after, is_told=True)
        return await state.bulks.forget_lines(tr, told, 10)

    assert asyncio.run(call.store.transact(forget)) == 2
    assert [*damage_of(Rows(call))] == []
