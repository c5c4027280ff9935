"""Invoke: now, later, or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fogbank.base.errors import Throttled
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.runtime.functions import (
    Invocation,
    PackageError,
    RoleNotAssumableError,
    Run,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    AccessDeniedException,
    InvalidZipFileException,
    TooManyRequestsException,
)
from fogbank.services.lambda_.rules import access, code, invocations, names, views
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import EventRecord, FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_CHECK_ON_LOOP_BYTES_MAX: Final = 256 << 10
_TRACE_BYTES: Final = 20


@operation(
    access=access.on_function("InvokeFunction"),
    domain=names.function_domain,
    unhonoured={"DurableExecutionName": None, "TenantId": None},
    body=BodyLimit(quotas.SYNC_PAYLOAD_BYTES, invocations.too_large),
)
async def invoke(call: Call, request: shapes.InvocationRequest) -> shapes.InvocationResponse:
    """Run a function and return its answer, or queue the event and return at once."""
    named = names.function_name_of(call.scope, request)
    kind: str = request.get("InvocationType", invocations.REQUEST_RESPONSE)
    payload = bytes(request.get("Payload") or b"{}")
    limit = quotas.ASYNC_PAYLOAD_BYTES if kind == invocations.EVENT else quotas.SYNC_PAYLOAD_BYTES
    invocations.check_size(payload, kind, call.limit(limit))
    if len(payload) > _CHECK_ON_LOOP_BYTES_MAX:
        await asyncio.to_thread(invocations.check_json, payload)
    else:
        invocations.check_json(payload)
    client_context = invocations.client_context_of(request)
    if kind == invocations.EVENT:
        await _enqueue(call, named, payload, client_context)
        return {"StatusCode": 202, "Payload": b""}
    function = await _require(call, named)
    if kind == invocations.DRY_RUN:
        return {"StatusCode": 204, "Payload": b""}
    run = await _run(call, named, function, payload, client_context)
    tail = request.get("LogType") == "Tail"
    return invocations.reply_of(run, call.limit(quotas.SYNC_RESPONSE_BYTES), tail=tail)


async def _require(call: Call, named: FunctionName) -> FunctionRecord:
    """Return the function to invoke; the error names its version."""
    asked = named._replace(qualifier=named.qualifier or LATEST)

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.require_function(tr, asked)

    return await call.store.read(body)


async def _enqueue(call: Call, named: FunctionName, payload: bytes, client_context: str) -> None:
    """Queue an event; it is durable when this returns."""
    event = EventRecord(
        function_name=named.name,
        invoked_arn=named.qualified_arn,
        payload=payload,
        client_context=client_context,
    )
    asked = named._replace(qualifier=named.qualifier or LATEST)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        await state.require_function(tr, asked)
        queued = await state.count_queued(tr, named.name)
        throttle = state.throttle_of(queued, call.facilities.quotas)
        if throttle:
            raise TooManyRequestsException("Rate Exceeded.", Reason=throttle)
        state.enqueue(tr, event, call.request_id, now_ms, queued)

    await call.store.transact(body)


async def _run(
    call: Call, named: FunctionName, function: FunctionRecord, payload: bytes, client_context: str
) -> Run:
    """Run a function now, or say in the service's words why it cannot."""
    trace_id = invocations.trace_id_of(call.clock.now_ms(), call.ids.random_bytes(_TRACE_BYTES))
    context = {"invoked_function_arn": named.qualified_arn, "trace_id": trace_id}
    if client_context:
        context["client_context"] = client_context
    try:
        return await call.functions.run(
            views.target_of(named.account, named.region, function),
            Invocation(call.request_id, payload, context),
            call.facilities,
        )
    except Throttled as error:
        raise TooManyRequestsException(
            "Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded"
        ) from error
    except RoleNotAssumableError as error:
        raise AccessDeniedException(code.UNASSUMABLE) from error
    except PackageError as error:
        raise InvalidZipFileException("Lambda could not unzip the deployment package.") from error
