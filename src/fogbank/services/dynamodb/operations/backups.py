"""Operations on what is kept of tables to be restored: nothing yet, and they say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.rules import access, names

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_table("DescribeContinuousBackups"))
async def describe_continuous_backups(
    call: Call, request: shapes.DescribeContinuousBackupsInput
) -> shapes.DescribeContinuousBackupsOutput:
    """Return that a table cannot be restored to a point in time: UpdateContinuousBackups is not built."""
    name = names.table_name_of(call.scope, request)

    async def body(tr: Transaction) -> None:
        await state.tables.require_backed_table(tr, name)

    await call.store.read(body)
    off: shapes.ContinuousBackupsDescription = {
        "ContinuousBackupsStatus": "DISABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
    return {"ContinuousBackupsDescription": off}
