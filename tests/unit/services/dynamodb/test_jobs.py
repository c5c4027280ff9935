from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.contract.job import Verdict, WorkList
from fogbank.platform.scheduler import worklist
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.keyspace import partition_of
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs import tables as jobs
from fogbank.services.dynamodb.rules.measures import PERIOD_MS
from fogbank.services.dynamodb.schema import ITEMS, MEASURES


def attempt(call: Any, work: WorkList) -> Verdict:
    """Make the attempt that the driver would make now at the one entry that is due."""
    return asyncio.run(_attempt(call, work))


async def _attempt(call: Any, work: WorkList) -> Verdict:
    [entry] = await worklist.claim(
        call.engine.system_stores()[0],
        work.name,
        partition_of(call.domain),
        now_ms=call.now_ms,
        hold_ms=work.hold_ms,
        holder="test",
        limit=2,
    )
    verdict = await work.attempt(entry, call.facilities)

    async def settle(tr: Transaction) -> None:
        if verdict.settle is not None:
            await verdict.settle(tr)
        if verdict.retry_at_ms is None:
            await worklist.remove(tr, entry)
        else:
            worklist.put_back(tr, entry, verdict.retry_at_ms)

    await call.store.transact(settle)
    return verdict


def fill(run: Any, count: int) -> None:
    for number in range(count):
        run("put_item", TableName="tab", Item={"p": {"S": f"{number:04}"}})


def rows(call: Any, table: Any) -> int:
    prefix = table.prefix(call.domain)
    return sum(key.startswith(prefix) for key in call.engine.rows)


def test_a_new_table_of_a_name_sees_nothing_of_the_old(
    run: Any, make_table: Any, call: Any
) -> None:
    make_table()
    fill(run, jobs.ITEMS_PER_STEP + 1)
    run("delete_table", TableName="tab")
    make_table()
    assert run("scan", TableName="tab")["Count"] == 0
    assert rows(call, ITEMS) == jobs.ITEMS_PER_STEP + 1
    run("put_item", TableName="tab", Item={"p": {"S": "new"}})

    assert attempt(call, jobs.remove_items) == Verdict()
    assert rows(call, ITEMS) == 1
    assert run("scan", TableName="tab")["Items"] == [{"p": {"S": "new"}}]


def test_removing_goes_on_in_the_next_attempt(
    run: Any, make_table: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)
    make_table()
    fill(run, jobs.ITEMS_PER_STEP + 1)
    run("delete_table", TableName="tab")
    assert attempt(call, jobs.remove_items).retry_at_ms == call.now_ms
    assert rows(call, ITEMS) == 1
    assert attempt(call, jobs.remove_items) == Verdict()
    assert rows(call, ITEMS) == 0


def test_tables_are_counted_every_six_hours(
    run: Any, make_table: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)
    make_table()
    fill(run, jobs.ITEMS_PER_STEP + 1)

    def measured() -> tuple[int, int]:
        table = run("describe_table", TableName="tab")["Table"]
        return table["ItemCount"], table["TableSizeBytes"]

    call.now_ms += PERIOD_MS
    assert attempt(call, jobs.count_items).retry_at_ms == call.now_ms
    assert measured() == (0, 0)
    assert attempt(call, jobs.count_items).retry_at_ms == call.now_ms + PERIOD_MS
    assert measured() == (51, 51 * 5)

    call.now_ms += PERIOD_MS
    run("delete_item", TableName="tab", Key={"p": {"S": "0000"}})
    attempt(call, jobs.count_items)
    attempt(call, jobs.count_items)
    assert measured() == (50, 50 * 5)


def test_a_deleted_table_is_counted_no_more(run: Any, make_table: Any, call: Any) -> None:
    make_table()
    call.now_ms += PERIOD_MS
    attempt(call, jobs.count_items)
    assert rows(call, MEASURES) == 1
    run("delete_table", TableName="tab")
    assert rows(call, MEASURES) == 0
    call.now_ms += 1
    make_table()
    call.now_ms += PERIOD_MS - 1
    assert attempt(call, jobs.count_items) == Verdict()
    assert rows(call, MEASURES) == 0


def test_a_table_deleted_while_it_is_counted_leaves_nothing(
    run: Any, make_table: Any, call: Any
) -> None:
    make_table()
    call.now_ms += PERIOD_MS

    async def counting() -> Verdict:
        table = await call.store.read(lambda tr: state.tables.require_table(tr, call, "tab"))
        entry = worklist.WorkEntry(
            list=state.tables.MEASURED_TABLES,
            id=table.id,
            domain=call.domain.name,
            payload=b"tab",
            created_ms=0,
            visible_ms=0,
        )
        return await jobs.count_items.attempt(entry, call.facilities)

    verdict = asyncio.run(counting())
    run("delete_table", TableName="tab")
    assert verdict.settle is not None
    asyncio.run(call.store.transact(verdict.settle))
    assert rows(call, MEASURES) == 0
