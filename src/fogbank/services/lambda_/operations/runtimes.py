"""Operations on how the runtime of a function is kept up to date.

A function runs on what the machine has at each start of an environment: ``Auto``. No earlier build of an
interpreter is kept, and so ``FunctionUpdate`` and ``Manual`` are refused as not built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.rules import access, names
from fogbank.services.lambda_.rules.names import FunctionName

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_AUTO = "Auto"


async def _require(call: Call, request: Request) -> FunctionName:
    """Return what a request names, or refuse the call if it is not there."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> None:
        await state.versions.require_version(tr, named)

    await call.store.read(body)
    return named


@operation(
    access=access.on_function("PutRuntimeManagementConfig"),
    domain=names.function_domain,
    unhonoured={"UpdateRuntimeOn": _AUTO, "RuntimeVersionArn": None},
)
async def put_runtime_management_config(
    call: Call, request: shapes.PutRuntimeManagementConfigRequest
) -> shapes.PutRuntimeManagementConfigResponse:
    """Have a version of a function run on the newest build of its runtime that the machine has."""
    named = await _require(call, request)
    return {"UpdateRuntimeOn": _AUTO, "FunctionArn": named.qualified_arn}


@operation(access=access.on_function("GetRuntimeManagementConfig"), domain=names.function_domain)
async def get_runtime_management_config(
    call: Call, request: shapes.GetRuntimeManagementConfigRequest
) -> shapes.GetRuntimeManagementConfigResponse:
    """Return how the runtime of a version of a function is kept up to date: at every start."""
    named = await _require(call, request)
    return {"UpdateRuntimeOn": _AUTO, "FunctionArn": named.qualified_arn}
