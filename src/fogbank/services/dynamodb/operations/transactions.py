"""Transactions over items of any tables of an account and region: all of it happens, or nothing.

Tables and items of an account and region lie in one domain of the store, so that a transaction is
one of the store's: it sees no half of another, and none sees half of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from fogbank.base.errors import TokenReused, TransactionTooLarge
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Pace
from fogbank.contract.operation import operation
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import Body, Token, Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import (
    IdempotentParameterMismatchException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import (
    access,
    capacity,
    items,
    owners,
    sizes,
    transactions,
)
from fogbank.services.dynamodb.rules.capacity import Kind, Sums
from fogbank.services.dynamodb.rules.partiql import access as statement_access
from fogbank.services.dynamodb.rules.partiql import statements
from fogbank.services.dynamodb.rules.transactions import COST, Part
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_parts("TransactGetItems", transactions.READS), domain=owners.of_parts)
async def transact_get_items(
    call: Call, request: shapes.TransactGetItemsInput
) -> shapes.TransactGetItemsOutput:
    """Return items by their keys, all as they were at one time."""
    parts = await _parts_of(call, request)

    async def body(tr: Transaction) -> list[tuple[TableRecord, ItemRecord | None]]:
        return await state.parts.read_all(tr, call, parts)

    reply = await _read_reply(call, request, parts, await call.store.read(body))
    return cast("shapes.TransactGetItemsOutput", reply)


async def _read_reply(
    call: Call,
    request: Request,
    parts: list[Part],
    found: list[tuple[TableRecord, ItemRecord | None]],
) -> Wire:
    """Return the answer to a transaction that has read some items."""
    found_sizes = [items.found_size(record) for _, record in found]
    transactions.require_size(sum(found_sizes), call.limit(quotas.TRANSACTION_BYTES))
    consumed = Sums(COST)
    responses: list[shapes.ItemResponse] = []
    pace = Pace(call, quotas.STEP_BYTES)
    for part, (table, record), size in zip(parts, found, found_sizes, strict=True):
        consumed.add(part.name, sizes.read_units(size, consistent=True))
        responses.append(_response(part, table, record))
        await pace.did(size)
    told = capacity.consumed_capacities(request, consumed, kind="ReadCapacityUnits")
    return {"Responses": responses, **told}


def _response(part: Part, table: TableRecord, record: ItemRecord | None) -> shapes.ItemResponse:
    """Return what a part has read: its item if there is one, or what a projection asks for of it."""
    if record is None:
        return {}
    shown = items.shown_item(table, record, part.expressions.projection)
    # Items are as they go over the wire, each value under its kind.
    return {"Item": cast("dict[str, shapes.AttributeValue]", shown)}


async def _parts_of(call: Call, request: Request) -> list[Part]:
    """Return the parts of a transaction, giving way to others between large ones."""
    pace = Pace(call, quotas.STEP_BYTES)
    parts: list[Part] = []
    for listed in request["TransactItems"]:
        part = transactions.part_of(call.scope, call.domain, listed)
        parts.append(part)
        await pace.did(part.size)
    return parts


@operation(
    access=access.on_parts("TransactWriteItems", transactions.WRITES), domain=owners.of_parts
)
async def transact_write_items(
    call: Call, request: shapes.TransactWriteItemsInput
) -> shapes.TransactWriteItemsOutput:
    """Write, remove and check items; with a token once, however often it is asked for."""
    parts = await _parts_of(call, request)

    async def body(tr: Transaction) -> Wire:
        return await state.parts.write_all(tr, call, parts, request)

    result = await _written(call, body, _token_of(call, request, "TransactWriteItems"))
    told = _consumed(call, request, result)
    return cast("shapes.TransactWriteItemsOutput", {**told, **result.get("metrics", {})})


async def _written(call: Call, body: Body[Wire], token: Token | None) -> Wire:
    """Make a transaction that writes, with its token once; return what it answered then.

    Raises:
        IdempotentParameterMismatchException: The token came before, with another request.
        ValidationException: It is larger than one transaction of the store.
    """
    try:
        return await call.store.transact(body, token=token)
    except TokenReused:
        raise IdempotentParameterMismatchException(
            "Request with same ClientRequestToken was previously sent with different parameters"
        ) from None
    except TransactionTooLarge:
        raise ValidationException("The transaction is too large to be kept") from None


def _consumed(call: Call, request: Request, result: Wire) -> Wire:
    """Return what a transaction consumed: of writes if it was made now, else of reads."""
    is_first = result["by"] == call.request_id
    kind: Kind = "WriteCapacityUnits" if is_first else "ReadCapacityUnits"
    # What a token answers may be older than the members behind the first three.
    indexes_consumed: Wire = result.get("indexes", {}) if is_first else {}
    consumed = Sums.of_plain(result[kind], indexes_consumed)
    return capacity.consumed_capacities(request, consumed, kind=kind)


def _token_of(call: Call, request: Request, operation: str) -> Token | None:
    """Return what makes a request a repeat of another, if its client sent a token."""
    word = request.get("ClientRequestToken")
    if word is None:
        return None
    others = {name: value for name, value in request.items() if name not in _NOT_DIGESTED}
    return Token(
        call.account,
        "dynamodb",
        operation,
        word,
        tokens.digest_of(others),
        transactions.TOKEN_WINDOW_MS,
    )


_NOT_DIGESTED: Final = frozenset({"ClientRequestToken", "ReturnConsumedCapacity"})
"""AWS: a repeat with the same parameters may ask for what it consumed when the first did not
(API Reference, TransactWriteItems, ``ClientRequestToken``)."""


@operation(access=statement_access.on_statements("TransactStatements", "ExecuteTransaction"))
async def execute_transaction(
    call: Call, request: shapes.ExecuteTransactionInput
) -> shapes.ExecuteTransactionOutput:
    """Execute statements that all read, or that all write or check, as one transaction."""
    asked = statements.transaction_of(call.scope, request["TransactStatements"])

    async def parts_of(tr: Transaction) -> list[Part]:
        found: list[Part] = []
        for number, each in enumerate(asked):
            table = await state.tables.require_table(tr, call, each.name, transactional=True)
            found.append(statements.part_in_transaction(each, table, number))
        return found

    async def read(
        tr: Transaction,
    ) -> tuple[list[Part], list[tuple[TableRecord, ItemRecord | None]]]:
        parts = await parts_of(tr)
        return parts, await state.parts.read_all(tr, call, parts)

    async def write(tr: Transaction) -> Wire:
        return await state.parts.write_all(tr, call, await parts_of(tr), request)

    if statements.is_read(asked):
        reply = await _read_reply(call, request, *await call.store.read(read))
        return cast("shapes.ExecuteTransactionOutput", reply)
    result = await _written(call, write, _token_of(call, request, "ExecuteTransaction"))
    told: Wire = {"Responses": [], **_consumed(call, request, result)}
    return cast("shapes.ExecuteTransactionOutput", told)
