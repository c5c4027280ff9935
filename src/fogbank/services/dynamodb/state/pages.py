"""Pages of items, of a table or of an index of it, read step by step.

A page is read in short steps, so that a large one holds up nobody; items that change between two steps
are seen before or after the change, each whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fogbank.base.errors import Corrupt
from fogbank.contract.call import Call, Pace
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules import indexes, items
from fogbank.services.dynamodb.rules.indexes import IndexRow
from fogbank.services.dynamodb.rules.pages import KeyRange, Page, PageRules, Step
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.state import bodies, entries, rows, tables


async def read_table(call: Call, name: str) -> TableRecord:
    """Return the table that a request names."""

    async def body(tr: Transaction) -> TableRecord:
        return await tables.require_table(tr, call, name)

    return await call.store.read(body)


def shower_of(target: Target, asked: KeyRange, *, fetches: bool) -> Callable[[Any], Item]:
    """Return what makes an item of a row of a range: one of the table's, or one of an index's."""
    if target.index is None:
        return partial(items.item_of, target.table)
    return partial(indexes.item_of, target.table, target.index, asked.partition, whole=fetches)


async def read_page(
    call: Call,
    target: Target,
    rules: PageRules,
    asked: KeyRange,
    forward: bool = True,  # noqa: FBT001, FBT002 (as ScanIndexForward says it)
) -> Page:
    """Read a page of a range, step by step, until it is full or the range ends.

    Raises:
        Corrupt: A row is damaged, or a body that it refers to.
    """
    page, rest, pace = Page(rules), asked, Pace(call, quotas.STEP_BYTES)
    done = missing = b""
    while True:
        step = Step(rest, page.rows_next, forward, rules.fetches)
        found = await _read_step(call, target, step)
        for place, row in found:
            if page.full:
                break
            try:
                page.add(row if bodies.is_open(row) else await bodies.fetched_row(call.blobs, row))
            except Corrupt:
                # The item was replaced or removed since it was read, or is damaged: looking again tells.
                if place == missing:
                    raise
                missing = place
                break
            done = place
            await pace.did(row.size)
        else:
            if len(found) < step.limit:
                return page
        if page.full:
            return page
        rest = rest.behind(done, forward=forward) if done else rest
        await call.give_way()


async def _read_step(
    call: Call, target: Target, step: Step
) -> Sequence[tuple[bytes, ItemRecord | IndexRow]]:
    """Read the next rows of a range."""
    table, index = target.table, target.index

    async def body(tr: Transaction) -> Sequence[tuple[bytes, ItemRecord | IndexRow]]:
        if index is None:
            return await rows.list_items(
                tr, table, step.keys, limit=step.limit, forward=step.forward
            )
        return await entries.list_entries(tr, table, index, step)

    return await call.store.read(body)
