"""Operations on exports to S3.

ExportTableToPointInTime keeps the moment that is asked for and queues the work
(``state/exporting``); whether the bucket stands and may be written is found by the work, as on AWS,
in the name of the caller.

Source: Amazon DynamoDB API Reference, ExportTableToPointInTime, DescribeExport and ListExports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from fogbank.base.errors import TokenReused
from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import ExportConflictException, ExportNotFoundException
from fogbank.services.dynamodb.rules import backups, exports, filters, names, strong, transfers
from fogbank.services.dynamodb.rules.exports import Bounds, Span
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import TableRecord
from fogbank.services.dynamodb.schema.exports import EXPORTS, ExportRecord
from fogbank.services.dynamodb.state.afar import Origin

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=exports.export_table)
async def export_table_to_point_in_time(
    call: Call, request: shapes.ExportTableToPointInTimeInput
) -> shapes.ExportTableToPointInTimeOutput:
    """Begin to write what a table held at a moment, or what changed between two, into a bucket."""
    name, now_ms = names.own_name(call.scope, request["TableArn"]), call.clock.now_ms()
    exports.require_request(request)
    export_id = transfers.new_id(now_ms, call.ids.random_bytes(transfers.RANDOM_BYTES))
    kept = exports.stored_request(call.scope, request)
    token = transfers.token_of_request(call.account, "ExportTableToPointInTime", request)

    asked = _Asked(call, request, name, export_id, now_ms)
    origin: Origin | None = None

    async def body(tr: Transaction) -> str:
        table = await state.tables.require_backed_table(tr, name)
        record, span = asked.record_of(table, kept)
        exports_max = call.limit(quotas.EXPORTS)
        if strong.is_at_home(table, call.region):
            await state.exports.begin(tr, record, table, span, exports_max)
            return export_id
        if origin is None:
            raise _Afar(table, record, span)
        origin.require_fresh(call.clock.now_ms())
        record = msgspec.structs.replace(record, table=encode(origin.table), home=origin.home)
        await state.exports.begin_afar(tr, record, exports_max)
        return export_id

    try:
        try:
            begun = await call.store.transact(body, token=token)
        except _Afar as afar:
            origin = await afar.take(call)
            begun = await call.store.transact(body, token=token)
    except TokenReused:
        raise ExportConflictException(
            "The client token was used by an export with other parameters"
        ) from None
    record = await _read(call, TransferName(name, begun))
    return {"ExportDescription": exports.description_of(call.scope, record)}


class _Asked(NamedTuple):
    """An export that is asked for."""

    call: Call
    request: shapes.ExportTableToPointInTimeInput
    name: str
    id: str
    now_ms: int

    def record_of(self, table: TableRecord, kept: bytes) -> tuple[ExportRecord, Span]:
        """Return the export of a table, and the times that it is of.

        Raises:
            InvalidExportTimeException: The table has not got these times.
            PointInTimeRecoveryUnavailableException: It cannot be restored to any.
            ValidationException: The filter does not fit the table.
        """
        call, now_ms = self.call, self.now_ms
        bounds = Bounds(
            backups.require_recoverable(table, now_ms),
            now_ms,
            call.limit(quotas.EXPORT_SPAN_MIN_MS),
            call.limit(quotas.EXPORT_SPAN_MAX_MS),
        )
        span = exports.span_of(self.request, bounds)
        filters.filter_of(self.request, table)
        record = ExportRecord(
            id=self.id,
            table=b"",
            name=self.name,
            table_id=table.id,
            principal=call.principal,
            region=call.region,
            request=kept,
            started_ms=now_ms,
            export_ms=span.until_ms,
            from_ms=span.since_ms,
        )
        return record, span


class _Afar(Exception):
    """The items of a table lie in another region, where the moments of an export are to be taken."""

    def __init__(self, table: TableRecord, record: ExportRecord, span: Span) -> None:
        super().__init__(f"the items of {table.name} lie in another region")
        self._table = table
        self._record = record
        self._span = span

    async def take(self, call: Call) -> Origin:
        """Take the moments; what is taken for nobody is taken back."""
        record, placement = self._record, call.facilities.placement
        key = state.transfers.key_of(state.exports.name_of(record))
        cuts = dict(zip(state.exports.cuts_of(record), self._span.seconds, strict=True))
        reader = (state.afar.EXPORT, *key)
        return await state.afar.take(
            placement, call.domain, self._table, reader, cuts, record.started_ms
        )


async def _read(call: Call, name: TransferName) -> ExportRecord:
    """Return an export."""
    return await call.store.read(lambda tr: state.exports.require(tr, name))


@operation(access=lambda _scope, request: [Access("dynamodb:DescribeExport", request["ExportArn"])])
async def describe_export(
    call: Call, request: shapes.DescribeExportInput
) -> shapes.DescribeExportOutput:
    """Return what an export is, and how far it has come."""
    name = transfers.find_name(call.scope, request["ExportArn"], "export")
    if name is None:
        raise ExportNotFoundException(f"Export not found: {request['ExportArn']}")
    return {"ExportDescription": exports.description_of(call.scope, await _read(call, name))}


@operation(access=lambda _scope, _request: [Access("dynamodb:ListExports", "*")])
async def list_exports(call: Call, request: shapes.ListExportsInput) -> shapes.ListExportsOutput:
    """Return the exports of the last 90 days, of one table or of all, a page at a time."""
    limit: int = request.get("MaxResults", quotas.TRANSFERS_PAGE)
    table = transfers.find_table(call.scope, request.get("TableArn"))
    before = transfers.begin_of(request.get("NextToken"))

    async def body(tr: Transaction) -> list[ExportRecord]:
        return await state.transfers.list_records(tr, EXPORTS, table, before, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListExportsOutput = {
        "ExportSummaries": [exports.summary_of(call.scope, each) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextToken"] = transfers.page_token(state.exports.name_of(found[limit - 1]))
    return reply
