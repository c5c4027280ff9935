"""What the functions of an account and region come to, and may come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.schema import FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


@operation()
async def get_account_settings(
    call: Call,
    request: shapes.GetAccountSettingsRequest,  # noqa: ARG001 (it is empty)
) -> shapes.GetAccountSettingsResponse:
    """Return the limits of an account and region, and what its functions come to."""
    count = 0
    after: str | None = None
    while page := await _functions_after(call, after):
        count += len(page)
        after = page[-1].name
    account = await call.store.read(state.accounts.find_account)
    most = call.limit(quotas.CONCURRENCY)
    return {
        "AccountLimit": {
            "TotalCodeSize": call.limit(quotas.CODE_STORAGE_BYTES),
            "ConcurrentExecutions": most,
            "UnreservedConcurrentExecutions": max(0, most - account.held),
            "CodeSizeUnzipped": quotas.UNZIPPED_BYTES_MAX,
            "CodeSizeZipped": call.limit(quotas.ZIPPED_BYTES),
        },
        "AccountUsage": {"FunctionCount": count, "TotalCodeSize": account.code_bytes},
    }


async def _functions_after(call: Call, name: str | None) -> list[FunctionRecord]:
    """Return the next page of functions; each page is a transaction of its own."""

    async def body(tr: Transaction) -> list[FunctionRecord]:
        return await state.list_functions(tr, name, quotas.LIST_PAGE)

    return await call.store.read(body)
