"""Statements of PartiQL, one by itself or several, each for itself.

A SELECT reads by key what its condition fixes, and everything else page by page; a write is what the
operation on one item that it is like would be. Statements of a transaction stand with the transactions.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Scattered
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import batches, capacity, items, owners, reads, sizes
from fogbank.services.dynamodb.rules.capacity import Sums
from fogbank.services.dynamodb.rules.pages import KeyRange, Page, PageRules
from fogbank.services.dynamodb.rules.partiql import access, overlaps, plans, statements
from fogbank.services.dynamodb.rules.partiql.plans import Reading
from fogbank.services.dynamodb.rules.partiql.statements import Asked
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.requests import Expressions
from fogbank.services.dynamodb.rules.transactions import Part
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.state.parts import Done, Place

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_statement, reply=quotas.PAGE_BYTES)
async def execute_statement(
    call: Call, request: shapes.ExecuteStatementInput
) -> shapes.ExecuteStatementOutput:
    """Execute one statement: return what it reads, a page at a time, or write one item."""
    asked = statements.alone(call.scope, request)
    if asked.statement.kind == "Select":
        return cast("shapes.ExecuteStatementOutput", await _select(call, request, asked))
    done, shown = await _write(call, asked)
    told = capacity.consumed_capacity(request, asked.name, done.units, done.followed.units)
    return cast("shapes.ExecuteStatementOutput", {"Items": [*shown.values()], **told})


async def _write(call: Call, asked: Asked) -> tuple[Done, Wire]:
    """Do what a statement that writes asks for; return what was done, and what it wants to see."""

    async def body(tr: Transaction) -> tuple[Part, Done]:
        table = await state.tables.require_table(tr, call, asked.name)
        part = statements.part_of(asked, table)
        place = Place(table, state.parts.key_of(table, part))
        return part, await state.parts.do(tr, call, part, place, call.limit(quotas.ITEM_BYTES))

    part, done = await call.store.transact(body)
    returned, update = asked.statement.returning, part.expressions.update
    return done, items.returned_attributes(returned, update, done.old, done.new)


async def _select(call: Call, request: Request, asked: Asked) -> Wire:
    """Return the next page of what a SELECT reads."""
    table = await state.pages.read_table(call, asked.name)
    consistent = request.get("ConsistentRead", False)
    target = _target_of(table, asked, consistent=consistent)
    reading = plans.reading_of(
        asked.statement,
        asked.placeholders,
        [each.name for each in target.partition],
        [each.name for each in target.sort],
    )
    overlaps.require_disjoint(asked.statement, asked.placeholders, target.partition, target.sort)
    answer = _Answer(request, target, reading)
    state.admission.require(call, target)
    while answer.goes_on:
        page = await _read_range(call, target, reading, answer)
        answer.add(page)
    units, of_indexes = reads.units_of(target, answer.size, answer.fetched, consistent=consistent)
    state.admission.took(call, target, units, of_indexes)
    told = capacity.consumed_capacity(request, table.name, units, of_indexes)
    return {"Items": answer.items, **answer.rest(), **told}


class _Answer:
    """What a SELECT has found so far, over the ranges that it reads."""

    def __init__(self, request: Request, target: Target, reading: Reading) -> None:
        self._target = target
        self._count = 1 if reading.ranges is None else len(reading.ranges)
        # The partition of a table without a sort key holds one item, behind which nothing is read.
        self._single = reading.ranges is not None and not target.sort and target.index is None
        self.number, self.start = statements.place_of(request.get("NextToken"))
        self.left: int | None = request.get("Limit")
        """How many items may still be looked at, or None."""
        self.items: list[Item] = []
        self.size = 0
        self.fetched: list[int] = []
        self._last: Item | None = None
        """The key of the item looked at last, if the answer ends with it."""

    @property
    def goes_on(self) -> bool:
        """Return whether there is more to read for this answer."""
        return self._last is None and self.number < self._count

    def add(self, page: Page) -> None:
        """Take what was read of a range."""
        self.items += page.items
        self.size += page.size
        self.fetched += page.fetched
        self.left = None if self.left is None else self.left - page.scanned
        self.start = None
        if page.full and page.last is not None:
            self._last = {name: page.last[name] for name in self._target.start_attributes}
        if self._last is None or self._single:
            self.number += 1
        else:
            self.start = self._last

    def rest(self) -> Wire:
        """Return the members that say where the next page begins, if there is one."""
        if self._last is None or self.number == self._count:
            return {}
        token = statements.token_of(self.number, self.start)
        return {"LastEvaluatedKey": self._last, "NextToken": token}


def _target_of(table: TableRecord, asked: Asked, *, consistent: bool) -> Target:
    """Return what a SELECT reads: the table, or an index of it."""
    index = {"IndexName": asked.statement.index} if asked.statement.index else {}
    return reads.target_of(table, {**index, "ConsistentRead": consistent})


async def _read_range(call: Call, target: Target, reading: Reading, answer: _Answer) -> Page:
    """Read the rest of a range, as far as one answer goes."""
    asked = _range_of(target, reading, answer.number, answer.start)
    expressions = Expressions(filter=reading.filter, projection=reading.columns)
    fetches = reads.require_shown(target, {}, expressions)
    rules = PageRules(
        item_of=state.pages.shower_of(target, asked, fetches=fetches),
        bytes_max=call.limit(quotas.PAGE_BYTES) - answer.size,
        items_max=answer.left,
        filter=reading.filter,
        projection=reading.columns,
        fetches=fetches,
    )
    return await state.pages.read_page(call, target, rules, asked, reading.forward)


def _range_of(target: Target, reading: Reading, number: int, start: Item | None) -> KeyRange:
    """Return the keys of a range that are still to be read."""
    if reading.ranges is None:
        return reads.scan_range(target, {}, start)
    return reads.query_range(target, reading.ranges[number], start, forward=reading.forward)


@operation(access=access.on_statements("Statements"), reply=quotas.PAGE_BYTES)
async def batch_execute_statement(
    call: Call, request: shapes.BatchExecuteStatementInput
) -> shapes.BatchExecuteStatementOutput:
    """Execute statements, each for itself: what one gets wrong is told in its place."""
    consumed = Sums()
    responses: list[Wire] = []
    if len(request["Statements"]) > 1 and not call.moved:
        await _require_together(call, request)
    for each in request["Statements"]:
        responses.append(await _one_of_batch(call, each, consumed))
        call.tab.settle()
        await call.give_way()
    told = capacity.consumed_capacities(request, consumed)
    return cast("shapes.BatchExecuteStatementOutput", {"Responses": responses, **told})


async def _require_together(call: Call, request: shapes.BatchExecuteStatementInput) -> None:
    """Have a batch run where the items of its tables lie, before the first of its statements.

    Raises:
        Elsewhere: In another region's domain, or in several, each statement in its own.
    """
    own, named = call.domain.name[-1], list[str]()
    for each in request["Statements"]:
        named.append("")
        # A statement that cannot be read is told of in its place.
        with suppress(ServiceError):
            named[-1] = statements.alone(call.scope, each).name

    async def body(tr: Transaction) -> dict[str, str]:
        return await state.tables.homes_of(tr, {name for name in named if name})

    homes = await call.store.read(body)
    if set(homes.values()) <= {own}:
        return
    parts = batches.split_statements(request, [homes.get(name, own) for name in named])
    places = [at for _, at in parts.values()]
    raise Scattered(
        [(owners.domain_of(call.domain.name[1], home), part) for home, (part, _) in parts.items()],
        lambda answers: batches.merged_statements(answers, places),
    )


async def _one_of_batch(call: Call, request: Request, consumed: Sums) -> Wire:
    """Execute a statement of a batch; return its response."""
    told: Wire = {}
    try:
        asked = statements.alone(call.scope, request)
        told["TableName"] = asked.name
        if asked.statement.kind == "Select":
            return {**told, **await _read_one(call, request, asked, consumed)}
        done, shown = await _write(call, asked)
        consumed.add(asked.name, done.units, done.followed.units)
        return {**told, **({"Item": shown["Attributes"]} if shown else {})}
    except ServiceError as error:
        found = statements.error_of(error)
        if found is None:
            raise
        return {**told, "Error": found}


async def _read_one(call: Call, request: Request, asked: Asked, consumed: Sums) -> Wire:
    """Return the item that a SELECT of a batch names, if it is there."""
    consistent = request.get("ConsistentRead", False)

    async def body(tr: Transaction) -> tuple[Part, TableRecord, ItemRecord | None]:
        table = await state.tables.require_table(tr, call, asked.name)
        part = statements.read_part(asked, table, "BatchExecuteStatement")
        key = state.parts.key_of(table, part)
        record = await state.rows.find_whole(tr, table, key)
        state.admission.read(tr, call, table, key, record, consistent=consistent)
        return part, table, record

    part, table, record = await call.store.read(body)
    consumed.add(asked.name, sizes.read_units(items.found_size(record), consistent=consistent))
    if record is None:
        return {}
    return {"Item": items.shown_item(table, record, part.expressions.projection)}
