"""Operations that read many items: a page at a time, in steps.

A step is one short transaction that only fetches rows; filters and projections run outside of it.
Items that change between two steps of a page are seen before or after the change, as on AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Pace
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    capacity,
    indexes,
    items,
    keys,
    names,
    reads,
    requests,
    sizes,
)
from fogbank.services.dynamodb.rules.capacity import IndexUnits
from fogbank.services.dynamodb.rules.indexes import IndexRow
from fogbank.services.dynamodb.rules.pages import KeyRange, Page, PageRules, Step
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.requests import Expressions, expressions_of
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_index("Query"), reply=quotas.PAGE_BYTES)
async def query(call: Call, request: shapes.QueryInput) -> Wire:
    """Return the items of one partition key, in the order of their sort keys."""
    name = names.table_name_of(call.scope, request)
    start = reads.start_of(request)
    expressions = expressions_of(request, requests.QUERY)
    terms = reads.require_key_terms(request, expressions)
    reads.require_select(request)
    forward = request.get("ScanIndexForward", True)
    target = reads.target_of(await _read_table(call, name), request)
    asked = reads.query_range(target, terms, start, forward=forward)
    keys.require_scalar_keys(target.table, expressions.nested_attributes)
    reads.require_filter_off_keys(target, request, expressions)
    rules = _rules_of(call, request, target, expressions, asked)
    return _reply(request, target, await _read_page(call, target, rules, asked, forward))


@operation(access=access.on_index("Scan"), reply=quotas.PAGE_BYTES)
async def scan(call: Call, request: shapes.ScanInput) -> Wire:
    """Return the items of a table, or of one segment of it, in an order of the table's own."""
    name = names.table_name_of(call.scope, request)
    start = reads.start_of(request)
    reads.require_segments(request)
    expressions = expressions_of(request, requests.SCAN)
    reads.require_select(request)
    target = reads.target_of(await _read_table(call, name), request)
    asked = reads.scan_range(target, request, start)
    keys.require_scalar_keys(target.table, expressions.nested_attributes)
    rules = _rules_of(call, request, target, expressions, asked)
    return _reply(request, target, await _read_page(call, target, rules, asked))


async def _read_table(call: Call, name: str) -> TableRecord:
    """Return the table that a request names."""

    async def body(tr: Transaction) -> TableRecord:
        return await state.tables.require_table(tr, call, name)

    return await call.store.read(body)


def _rules_of(
    call: Call, request: Request, target: Target, expressions: Expressions, asked: KeyRange
) -> PageRules:
    """Return what makes a page of this request."""
    table, index = target.table, target.index
    fetches = reads.require_shown(target, request, expressions)
    if index is None:
        item_of: Callable[[Any], Item] = partial(items.item_of, table)
    else:
        item_of = partial(indexes.item_of, table, index, asked.partition, whole=fetches)
    return PageRules(
        item_of=item_of,
        bytes_max=call.limit(quotas.PAGE_BYTES),
        items_max=request.get("Limit"),
        filter=expressions.filter,
        projection=expressions.projection,
        count_only=request.get("Select") == "COUNT",
        fetches=fetches,
    )


async def _read_page(
    call: Call,
    target: Target,
    rules: PageRules,
    asked: KeyRange,
    forward: bool = True,  # noqa: FBT001, FBT002 (as ScanIndexForward says it)
) -> Page:
    """Read a page of a range, step by step, until it is full or the range ends."""
    page, rest, pace = Page(rules), asked, Pace(call, quotas.STEP_BYTES)
    while True:
        limit = page.rows_next
        step = Step(rest, limit, forward, rules.fetches)
        rows = await _read_step(call, target, step)
        for _, record in rows:
            if page.full:
                break
            page.add(record)
            await pace.did(record.size)
        if page.full or len(rows) < limit:
            return page
        rest = rest.behind(rows[-1][0], forward=forward)
        await call.give_way()


async def _read_step(
    call: Call, target: Target, step: Step
) -> Sequence[tuple[bytes, ItemRecord | IndexRow]]:
    """Read the next rows of a range."""
    table, index = target.table, target.index

    async def body(tr: Transaction) -> Sequence[tuple[bytes, ItemRecord | IndexRow]]:
        if index is None:
            return await state.rows.list_items(
                tr, table, step.keys, limit=step.limit, forward=step.forward
            )
        return await state.entries.list_entries(tr, table, index, step)

    return await call.store.read(body)


def _reply(request: Request, target: Target, page: Page) -> Wire:
    """Return the answer that a page makes."""
    table, index = target.table, target.index
    consistent = request.get("ConsistentRead", False)
    units = sizes.read_units(page.size, consistent=consistent)
    of_indexes = capacity.NO_INDEXES
    if index is not None:
        named = {index.name: units}
        of_indexes = IndexUnits(named) if index.is_local else IndexUnits({}, named)
        units = sum(sizes.read_units(size, consistent=consistent) for size in page.fetched)
    reply: Wire = {
        "Count": page.count,
        "ScannedCount": page.scanned,
        **capacity.consumed_capacity(request, table.name, units, of_indexes),
    }
    if request.get("Select") != "COUNT":
        reply["Items"] = page.items
    if page.full and page.last is not None:
        reply["LastEvaluatedKey"] = {name: page.last[name] for name in target.start_attributes}
    return reply
