"""Operations on bulk puts from S3.

StartBulkPutItems queues the work (``state/bulking``); whether the buckets stand, may be read and may be
written is found by the work, in the name of the caller.

Source: Amazon DynamoDB API Reference, StartBulkPutItems, DescribeBulkOperation, ListBulkOperations and
CancelBulkOperation; Developer Guide, "Running a bulk put items operation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.errors import TokenReused
from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, Scope
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import (
    IdempotentParameterMismatchException,
    ResourceNotFoundException,
)
from fogbank.services.dynamodb.rules import bulks, names, transfers
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema.bulks import BulkRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


def _on_bulk(action: str) -> AccessOf:
    """Return the access of an operation on the one bulk put that its request names."""

    def access(_scope: Scope, request: Request) -> list[Access]:
        return [Access(f"dynamodb:{action}", request["BulkOperationArn"])]

    return access


@operation(access=bulks.start_bulk_put_items)
async def start_bulk_put_items(
    call: Call, request: shapes.StartBulkPutItemsInput
) -> shapes.StartBulkPutItemsOutput:
    """Begin to write the items of the objects of a bucket into a table that stands."""
    name, now_ms = names.table_name_of(call.scope, request), call.clock.now_ms()
    bulks.require_request(request)
    bulk_id = transfers.new_id(now_ms, call.ids.random_bytes(transfers.RANDOM_BYTES))
    kept = bulks.stored_request(call.scope, request)
    token = transfers.token_of_request(call.account, "StartBulkPutItems", request)
    await state.keying.require_usable(call, name)

    async def body(tr: Transaction) -> str:
        table = await state.tables.require_named_table(tr, name)
        bulks.require_target(table)
        record = BulkRecord(
            id=bulk_id,
            table=name,
            table_id=table.id,
            definition=encode(table),
            principal=call.principal,
            region=call.region,
            request=kept,
            started_ms=now_ms,
        )
        of_domain, of_table = call.limit(quotas.BULKS), call.limit(quotas.TABLE_BULKS)
        await state.bulks.begin(tr, record, of_domain, of_table)
        return bulk_id

    try:
        begun = await call.store.transact(body, token=token)
    except TokenReused:
        raise IdempotentParameterMismatchException(
            "The client token was used by a bulk operation with other parameters"
        ) from None
    record = await _read(call, TransferName(name, begun))
    return {"BulkOperationDescription": bulks.description_of(call.scope, record)}


async def _read(call: Call, name: TransferName) -> BulkRecord:
    """Return a bulk put."""
    return await call.store.read(lambda tr: state.bulks.require(tr, name))


def _name_of(scope: Scope, arn: str) -> TransferName:
    """Return what the ARN of a bulk put names."""
    name = transfers.find_name(scope, arn, "bulk-operation")
    if name is None:
        raise ResourceNotFoundException(f"Bulk operation not found: {arn}")
    return name


@operation(access=_on_bulk("DescribeBulkOperation"))
async def describe_bulk_operation(
    call: Call, request: shapes.DescribeBulkOperationInput
) -> shapes.DescribeBulkOperationOutput:
    """Return what a bulk put is, and how far it has come."""
    record = await _read(call, _name_of(call.scope, request["BulkOperationArn"]))
    return {"BulkOperationDescription": bulks.description_of(call.scope, record)}


@operation(access=_on_bulk("CancelBulkOperation"))
async def cancel_bulk_operation(
    call: Call, request: shapes.CancelBulkOperationInput
) -> shapes.CancelBulkOperationOutput:
    """Have a bulk put stop where it is; what it has written stays."""
    name = _name_of(call.scope, request["BulkOperationArn"])
    record = await call.store.transact(lambda tr: state.bulks.cancel(tr, name))
    return {
        "BulkOperationArn": bulks.arn_of_bulk(call.scope, record),
        "BulkOperationStatus": record.status,
    }


@operation(access=lambda _scope, _request: [Access("dynamodb:ListBulkOperations", "*")])
async def list_bulk_operations(
    call: Call, request: shapes.ListBulkOperationsInput
) -> shapes.ListBulkOperationsOutput:
    """Return the bulk puts of the last 90 days, the latest first, a page at a time."""
    limit: int = request.get("MaxResults", quotas.BULKS_PAGE)
    before = transfers.begin_of(request.get("NextToken"))

    async def body(tr: Transaction) -> list[BulkRecord]:
        return await state.bulks.list_bulks(tr, before, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListBulkOperationsOutput = {
        "BulkOperationsSummaryList": [bulks.summary_of(call.scope, each) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextToken"] = transfers.page_token(state.bulks.name_of(found[limit - 1]))
    return reply
