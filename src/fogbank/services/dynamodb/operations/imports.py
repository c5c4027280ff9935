"""Operations on imports from S3.

ImportTable makes the table and queues the work (``state/importing``); whether the bucket stands and
may be read is found by the work, as on AWS, in the name of the caller.

Source: Amazon DynamoDB API Reference, ImportTable, DescribeImport and ListImports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.errors import TokenReused
from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import ImportConflictException, ImportNotFoundException
from fogbank.services.dynamodb.rules import (
    encryption,
    imports,
    measures,
    names,
    tables,
    transfers,
)
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import CREATING
from fogbank.services.dynamodb.schema.imports import IMPORTS, ImportRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_DIGEST_KEY_BYTES: Final = 16


@operation(access=imports.import_table)
async def import_table(call: Call, request: shapes.ImportTableInput) -> shapes.ImportTableOutput:
    """Create a table and begin to fill it with the items of objects of a bucket."""
    parameters = request["TableCreationParameters"]
    name, now_ms = names.table_name_of(call.scope, parameters), call.clock.now_ms()
    imports.require_request(request)
    table = msgspec.structs.replace(
        tables.created_table(
            parameters,
            name=name,
            table_id=call.ids.uuid(),
            digest_key=call.ids.random_bytes(_DIGEST_KEY_BYTES),
            now_ms=now_ms,
            limit=call.limit,
        ),
        status=CREATING,
    )
    record = ImportRecord(
        id=transfers.new_id(now_ms, call.ids.random_bytes(transfers.RANDOM_BYTES)),
        table=name,
        table_id=table.id,
        principal=call.principal,
        region=call.region,
        request=imports.stored_request(call.scope, request),
        started_ms=now_ms,
    )

    token = transfers.token_of_request(call.account, "ImportTable", request)
    asked = encryption.asked_of(parameters.get("SSESpecification"))
    sse = await state.keying.new_key(call, asked, name, table.id)
    keyed = msgspec.structs.replace(table, sse=sse)

    async def body(tr: Transaction) -> str:
        await state.tables.create_table(
            tr, keyed, call.limit(quotas.TABLES), now_ms + measures.PERIOD_MS
        )
        await state.imports.begin(tr, record, call.limit(quotas.IMPORTS))
        return record.id

    try:
        async with state.keying.unless_refused(call, sse):
            import_id = await call.store.transact(body, token=token)
    except TokenReused:
        raise ImportConflictException(
            "The client token was used by an import with other parameters"
        ) from None
    if sse is not None and import_id != record.id:
        await state.keying.retire(call.facilities, call.domain, sse)
    found = record if import_id == record.id else await _read(call, TransferName(name, import_id))
    return {"ImportTableDescription": imports.description_of(call.scope, found)}


async def _read(call: Call, name: TransferName) -> ImportRecord:
    """Return an import."""

    async def body(tr: Transaction) -> ImportRecord:
        return await state.imports.require(tr, name)

    return await call.store.read(body)


@operation(access=lambda _scope, request: [Access("dynamodb:DescribeImport", request["ImportArn"])])
async def describe_import(
    call: Call, request: shapes.DescribeImportInput
) -> shapes.DescribeImportOutput:
    """Return what an import is, and how far it has come."""
    name = transfers.find_name(call.scope, request["ImportArn"], "import")
    if name is None:
        raise ImportNotFoundException(f"Import not found: {request['ImportArn']}")
    record = await _read(call, name)
    return {"ImportTableDescription": imports.description_of(call.scope, record)}


@operation(access=lambda _scope, _request: [Access("dynamodb:ListImports", "*")])
async def list_imports(call: Call, request: shapes.ListImportsInput) -> shapes.ListImportsOutput:
    """Return the imports of the last 90 days, of one table or of all, a page at a time."""
    limit: int = request.get("PageSize", quotas.TRANSFERS_PAGE)
    table = transfers.find_table(call.scope, request.get("TableArn"))
    before = transfers.begin_of(request.get("NextToken"))

    async def body(tr: Transaction) -> list[ImportRecord]:
        return await state.transfers.list_records(tr, IMPORTS, table, before, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListImportsOutput = {
        "ImportSummaryList": [imports.summary_of(call.scope, each) for each in found[:limit]]
    }
    if len(found) > limit:
        last = found[limit - 1]
        reply["NextToken"] = transfers.page_token(TransferName(last.table, last.id))
    return reply
