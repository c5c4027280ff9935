"""SQL over tables: an operation of our own, which AWS does not have.

It is there where the setting ``dynamodb.sql`` asks for it. What a statement reads is what its parser says,
and whoever asks needs ``dynamodb:Scan`` on each of these tables, by name and by what the table says.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from fogbank.base.errors import NotBuilt
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.sql import Sql, SqlAbsent, SqlBounds, SqlRefused, Statement
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import LimitExceededException, ValidationException
from fogbank.services.dynamodb.options import SQL
from fogbank.services.dynamodb.rules import capacity, reads, throughput
from fogbank.services.dynamodb.rules.access import RequestKeys, arn_of
from fogbank.services.dynamodb.rules.capacity import Sums
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.schema import TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

SCAN: Final = "Scan"
WAIT_MS: Final = 1_000
"""So long is waited for throughput before it is looked at again: meters count seconds."""
_encode: Final = msgspec.json.Encoder().encode


def none_beforehand(_scope: Scope, _request: object) -> list[Access]:
    """Return nothing: what a statement needs is known when it has been parsed."""
    return []


@operation(access=none_beforehand, reply=quotas.SQL_BYTES)
async def query_sql(call: Call, request: shapes.QuerySqlInput) -> shapes.QuerySqlOutput:
    """Run one SELECT over the tables that it names, all of them as they are at one moment."""
    text = request["Statement"]
    try:
        async with _sql_of(call).open(text, _bounds_of(call)) as statement:
            await _require(call, statement.tables)
            consumed = await _fill(call, statement) if statement.tables else Sums()
            answer = await statement.answer()
    except SqlRefused as refused:
        raise ValidationException(str(refused)) from None
    except SqlAbsent:
        raise NotBuilt("dynamodb:QuerySql needs DuckDB: pip install 'fogbank[sql]'") from None
    return cast(
        "shapes.QuerySqlOutput",
        {
            "Columns": [{"Name": name, "Type": kind} for name, kind in answer.columns],
            "Items": list(answer.rows),
            **capacity.consumed_capacities(request, consumed),
        },
    )


def _sql_of(call: Call) -> Sql:
    """Return what runs statements, where it is asked for."""
    if not call.chosen(SQL) or call.facilities.sql is None:
        raise NotBuilt(
            "dynamodb:QuerySql is an operation of fogbank's own, which the setting dynamodb.sql turns on"
        )
    return call.facilities.sql


def _bounds_of(call: Call) -> SqlBounds:
    return SqlBounds(
        rows=call.limit(quotas.SQL_ROWS),
        answer_bytes=call.limit(quotas.SQL_BYTES),
        memory_bytes=call.limit(quotas.SQL_MEMORY_BYTES),
        compute_ms=call.limit(quotas.SQL_COMPUTE_MS),
        at_once=call.limit(quotas.SQL_AT_ONCE),
    )


async def _require(call: Call, names: Sequence[str]) -> None:
    """Have the caller be allowed to scan each of some tables.

    Raises:
        ServiceError: He may not scan one of them, or they are too many.
    """
    if len(names) > quotas.SQL_TABLES_MAX:
        raise ValidationException(
            f"A statement may read no more than {quotas.SQL_TABLES_MAX} tables"
        )
    if call.moved:
        return
    for name in names:
        asked: dict[str, Any] = {"TableName": name}
        # Of a request, and so with its keys of attributes: all of them, as nobody says which.
        await call.require(f"dynamodb:{SCAN}", arn_of(call.scope, name), RequestKeys(SCAN, asked))


async def _fill(call: Call, statement: Statement) -> Sums:
    """Give a statement its tables, as of one moment; return what that consumed.

    Raises:
        LimitExceededException: Reading them took too long.
        ProvisionedThroughputExceededException: One of them has no throughput left for a scan.
        ThrottlingException: Likewise, on demand.
    """
    names, reader = statement.tables, call.ids.uuid()
    store, until_ms = call.store_of(call.domain), call.clock.now_ms() + call.limit(quotas.SQL_MS)

    async def take(tr: Transaction) -> list[TableRecord]:
        if len(names) > 1 and not call.moved:
            await state.tables.require_together(tr, names)
        opened = [await state.tables.require_table(tr, call, name) for name in names]
        kept = await state.moments.take(tr, names, reader, call.clock.now_ms())
        return [
            msgspec.structs.replace(table, sse=each.sse)
            for table, each in zip(kept, opened, strict=True)
        ]

    tables, consumed = await call.store.transact(take), Sums()
    try:
        for table in tables:
            state.admission.require(call, Target(table))
        for table in tables:
            scan = _Scan(call, table, until_ms)
            await statement.begin([(each.name, each.type) for each in table.key_attributes])
            items = state.moments.read(store, call.blobs, table, reader, call.clock)
            async with aclosing(items):
                async for item, size in items:
                    await scan.passed(size)
                    await statement.add(_encode(item))
            consumed.add(table.name, scan.end())
    finally:

        async def release(tr: Transaction) -> None:
            for table in tables:
                await state.moments.release(tr, table, reader, call.clock.now_ms())

        await store.transact(release)
    return consumed


class _Scan:
    """What reading a table takes of its throughput: what a consistent scan takes, page by page.

    Args:
        call: The call, which has been let in once.
        table: The table.
        until_ms: It waits for throughput no longer than that.
    """

    def __init__(self, call: Call, table: TableRecord, until_ms: int) -> None:
        self._call = call
        self._target = Target(table)
        self._until_ms = until_ms
        self._bytes_max = call.limit(quotas.PAGE_BYTES)
        self._size = 0
        self._units = 0.0

    async def passed(self, size: int) -> None:
        """Take an item; where a page ends there, wait until the table lets the next one in.

        Raises:
            LimitExceededException: That takes too long.
        """
        if self._size and self._size + size > self._bytes_max:
            self.end()
            while not self._is_let_in():
                self._require_time()
                await self._call.clock.sleep_until(self._call.clock.now_ms() + WAIT_MS)
        self._require_time()
        self._size += size

    def _is_let_in(self) -> bool:
        """Return whether the table has throughput left for another page."""
        try:
            state.admission.require(self._call, self._target)
        except throughput.THROTTLED:
            return False
        return True

    def _require_time(self) -> None:
        """Refuse to read on for too long."""
        if self._call.clock.now_ms() >= self._until_ms:
            raise LimitExceededException("The tables were read for too long")

    def end(self) -> float:
        """Take what a page has cost; return what all have, in units."""
        units, of_indexes = reads.units_of(self._target, self._size, (), consistent=True)
        state.admission.took(self._call, self._target, units, of_indexes)
        self._units += units
        self._size = 0
        return self._units
