"""Operations that read many items: a page at a time, in steps.

A step is one short transaction that only fetches rows; filters and projections run outside of it.
Items that change between two steps of a page are seen before or after the change, as on AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    capacity,
    keys,
    names,
    owners,
    reads,
    requests,
)
from fogbank.services.dynamodb.rules.pages import KeyRange, Page, PageRules
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.requests import Expressions, expressions_of

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_index("Query"), domain=owners.of_table, reply=quotas.PAGE_BYTES)
async def query(call: Call, request: shapes.QueryInput) -> Wire:
    """Return the items of one partition key, in the order of their sort keys."""
    name = names.shared_name_of(call.scope, call.domain, request)
    start = reads.start_of(request)
    expressions = expressions_of(request, requests.QUERY)
    terms = reads.require_key_terms(request, expressions)
    reads.require_select(request)
    forward = request.get("ScanIndexForward", True)
    target = reads.target_of(await state.pages.read_table(call, name), request)
    asked = reads.query_range(target, terms, start, forward=forward)
    keys.require_scalar_keys(target.table, expressions.nested_attributes)
    reads.require_filter_off_keys(target, request, expressions)
    rules = _rules_of(call, request, target, expressions, asked)
    state.admission.require(call, target, asked.partition)
    page = await state.pages.read_page(call, target, rules, asked, forward)
    return _reply(call, request, target, page)


@operation(access=access.on_index("Scan"), domain=owners.of_table, reply=quotas.PAGE_BYTES)
async def scan(call: Call, request: shapes.ScanInput) -> Wire:
    """Return the items of a table, or of one segment of it, in an order of the table's own."""
    name = names.shared_name_of(call.scope, call.domain, request)
    start = reads.start_of(request)
    reads.require_segments(request)
    expressions = expressions_of(request, requests.SCAN)
    reads.require_select(request)
    target = reads.target_of(await state.pages.read_table(call, name), request)
    asked = reads.scan_range(target, request, start)
    keys.require_scalar_keys(target.table, expressions.nested_attributes)
    rules = _rules_of(call, request, target, expressions, asked)
    state.admission.require(call, target)
    page = await state.pages.read_page(call, target, rules, asked)
    return _reply(call, request, target, page)


def _rules_of(
    call: Call, request: Request, target: Target, expressions: Expressions, asked: KeyRange
) -> PageRules:
    """Return what makes a page of this request."""
    fetches = reads.require_shown(target, request, expressions)
    return PageRules(
        item_of=state.pages.shower_of(target, asked, fetches=fetches),
        bytes_max=call.limit(quotas.PAGE_BYTES),
        items_max=request.get("Limit"),
        filter=expressions.filter,
        projection=expressions.projection,
        count_only=request.get("Select") == "COUNT",
        fetches=fetches,
    )


def _reply(call: Call, request: Request, target: Target, page: Page) -> Wire:
    """Return the answer that a page makes, and take what it has cost."""
    units, of_indexes = reads.units_of(
        target, page.size, page.fetched, consistent=request.get("ConsistentRead", False)
    )
    state.admission.took(call, target, units, of_indexes)
    reply: Wire = {
        "Count": page.count,
        "ScannedCount": page.scanned,
        **capacity.consumed_capacity(request, target.table.name, units, of_indexes),
    }
    if request.get("Select") != "COUNT":
        reply["Items"] = page.items
    if page.full and page.last is not None:
        reply["LastEvaluatedKey"] = {name: page.last[name] for name in target.start_attributes}
    return reply
