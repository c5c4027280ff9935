"""Operations that read many items: a page at a time, in steps.

A step is one short transaction that only fetches rows; filters and projections run outside of it.
Items that change between two steps of a page are seen before or after the change, as on AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Pace
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import access, keys, names, reads, requests, sizes
from fogbank.services.dynamodb.rules.pages import KeyRange, Page, PageRules
from fogbank.services.dynamodb.rules.requests import Expressions, expressions_of
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_UNHONOURED: Final = {"IndexName": None}


@operation(access=access.on_table("Query"), unhonoured=_UNHONOURED, reply=quotas.PAGE_BYTES)
async def query(call: Call, request: shapes.QueryInput) -> Wire:
    """Return the items of one partition key, in the order of their sort keys."""
    name = names.table_name_of(call.scope, request)
    start = reads.start_of(request)
    expressions = expressions_of(request, requests.QUERY)
    terms = reads.require_key_terms(expressions)
    reads.require_select(request)
    forward = request.get("ScanIndexForward", True)
    table = await _read_table(call, name)
    asked = reads.query_range(table, terms, start, forward=forward)
    keys.require_scalar_keys(table, expressions.nested_attributes)
    reads.require_filter_off_keys(table, request, expressions)
    page = await _read_page(call, _rules_of(call, request, table, expressions), asked, forward)
    return _reply(request, table, page)


@operation(access=access.on_table("Scan"), unhonoured=_UNHONOURED, reply=quotas.PAGE_BYTES)
async def scan(call: Call, request: shapes.ScanInput) -> Wire:
    """Return the items of a table, or of one segment of it, in an order of the table's own."""
    name = names.table_name_of(call.scope, request)
    start = reads.start_of(request)
    reads.require_segments(request)
    expressions = expressions_of(request, requests.SCAN)
    reads.require_select(request)
    table = await _read_table(call, name)
    asked = reads.scan_range(table, request, start)
    keys.require_scalar_keys(table, expressions.nested_attributes)
    page = await _read_page(call, _rules_of(call, request, table, expressions), asked)
    return _reply(request, table, page)


async def _read_table(call: Call, name: str) -> TableRecord:
    """Return the table that a request names."""

    async def body(tr: Transaction) -> TableRecord:
        return await state.tables.require_table(tr, call, name)

    return await call.store.read(body)


def _rules_of(
    call: Call, request: Request, table: TableRecord, expressions: Expressions
) -> PageRules:
    """Return what makes a page of this request."""
    return PageRules(
        table=table,
        bytes_max=call.limit(quotas.PAGE_BYTES),
        items_max=request.get("Limit"),
        filter=expressions.filter,
        projection=expressions.projection,
        count_only=request.get("Select") == "COUNT",
    )


async def _read_page(
    call: Call,
    rules: PageRules,
    asked: KeyRange,
    forward: bool = True,  # noqa: FBT001, FBT002 (as ScanIndexForward says it)
) -> Page:
    """Read a page of a range, step by step, until it is full or the range ends."""
    page, rest, pace = Page(rules), asked, Pace(call, quotas.STEP_BYTES)
    while True:
        limit = page.rows_next
        rows = await _read_step(call, rules.table, rest, limit, forward)
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
    call: Call,
    table: TableRecord,
    rest: KeyRange,
    limit: int,
    forward: bool,  # noqa: FBT001 (as ScanIndexForward says it)
) -> list[tuple[bytes, ItemRecord]]:
    """Read the next rows of a range."""

    async def body(tr: Transaction) -> list[tuple[bytes, ItemRecord]]:
        return await state.rows.list_items(tr, table, rest, limit=limit, forward=forward)

    return await call.store.read(body)


def _reply(request: Request, table: TableRecord, page: Page) -> Wire:
    """Return the answer that a page makes."""
    units = sizes.read_units(page.size, consistent=request.get("ConsistentRead", False))
    reply: Wire = {
        "Count": page.count,
        "ScannedCount": page.scanned,
        **sizes.consumed_capacity(request, table.name, units),
    }
    if request.get("Select") != "COUNT":
        reply["Items"] = page.items
    if page.full and page.last is not None:
        reply["LastEvaluatedKey"] = keys.key_attributes_of(table, page.last)
    return reply
