"""Invoke: now, later, or not at all; the answer whole, or piece by piece as it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.runtime.answers import AnswerStream
from fogbank.platform.runtime.figures import note_event
from fogbank.platform.runtime.functions import (
    REFUSALS,
    Invocation,
    Run,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import metrics, quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    TooManyRequestsException,
)
from fogbank.services.lambda_.rules import access, invocations, lineage, names, routing, views
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import EventRecord
from fogbank.services.lambda_.state import reloading, runs
from fogbank.services.lambda_.state.runs import Runnable
from fogbank.wire.http import BodyStream

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_CHECK_ON_LOOP_BYTES_MAX: Final = 256 << 10
_TRACE_BYTES: Final = 20
_READ_BYTES: Final = 256 << 10


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
    await _check(payload, call.limit(limit), kind)
    client_context, cold = invocations.client_context_of(request), False
    if client_context:
        client_context, cold = invocations.asked_of(client_context, kind)
    if kind == invocations.EVENT:
        await _enqueue(call, named, payload, client_context)
        return {"StatusCode": 202, "Payload": b""}
    found = await _require(call, named)
    if kind == invocations.DRY_RUN:
        return {"StatusCode": 204, "Payload": b""}
    if cold:
        await _end_environments(call, named, found)
    run = await _run(call, named, found, payload, client_context)
    tail = request.get("LogType") == "Tail"
    limit_bytes = call.limit(quotas.SYNC_RESPONSE_BYTES)
    return invocations.reply_of(run, found.version.version, limit_bytes, tail=tail)


async def _check(payload: bytes, bytes_max: int, kind: str = invocations.REQUEST_RESPONSE) -> None:
    """Refuse a payload that is too large for its kind of invocation, or no JSON."""
    invocations.check_size(payload, kind, bytes_max)
    if len(payload) > _CHECK_ON_LOOP_BYTES_MAX:
        await asyncio.to_thread(invocations.check_json, payload)
    else:
        invocations.check_json(payload)


async def _require(call: Call, named: FunctionName) -> Runnable:
    """Return the version to invoke; the error names it."""
    asked = named._replace(qualifier=named.qualifier or LATEST)
    share = routing.share_of(call.request_id)

    async def body(tr: Transaction) -> Runnable:
        return await runs.require_runnable(tr, asked, share, call.facilities.quotas)

    found = await call.store.read(body)
    if found.version.folder:
        found = await reloading.current(call.facilities, asked.account, asked.region, found)
    return found


async def _enqueue(call: Call, named: FunctionName, payload: bytes, client_context: str) -> None:
    """Queue an event; it is durable when this returns."""
    event = EventRecord(
        function_name=named.name,
        invoked_arn=named.qualified_arn,
        payload=payload,
        client_context=client_context,
        trace=_trace_of(call),
    )
    asked = named._replace(qualifier=named.qualifier or LATEST)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        await state.versions.require_version(tr, asked)
        queued = await state.count_queued(tr, named.name)
        throttle = state.throttle_of(queued, call.facilities.quotas)
        if throttle:
            raise TooManyRequestsException("Rate Exceeded.", Reason=throttle)
        state.enqueue(tr, event, call.request_id, now_ms, queued)

    await call.store.transact(body)
    note_event(call.facilities.metrics, named.qualified_arn, metrics.ASYNC_RECEIVED)


async def _end_environments(call: Call, named: FunctionName, found: Runnable) -> None:
    """End the environments of a version, for a caller who may end them by an update as well.

    Nothing comes between this and an invocation that follows at once: it finds none.
    """
    await call.require("lambda:UpdateFunctionConfiguration", named.arn, {})
    await call.functions.retire(named.arn, version=found.version.version)


async def _run(
    call: Call, named: FunctionName, found: Runnable, payload: bytes, client_context: str
) -> Run:
    """Run a function now, or say in the service's words why it cannot."""
    _check_loop(call, named, found)
    try:
        return await call.functions.run(
            views.target_of(named.account, named.region, found.version, found.room),
            _invocation_of(call, named, found, payload, client_context),
            call.facilities,
        )
    except REFUSALS as error:
        raise invocations.refusal_of(error) from error


def _invocation_of(
    call: Call, named: FunctionName, found: Runnable, payload: bytes, client_context: str
) -> Invocation:
    """Return the event of a call as placement takes it."""
    entropy = call.ids.random_bytes(_TRACE_BYTES)
    sample = runs.sampler_of(call.functions, named.arn, found.version)
    now_ms = call.clock.now_ms()
    trace_id = lineage.passed_on(_trace_of(call), named.arn, now_ms, entropy, sample)
    context = {"invoked_function_arn": named.qualified_arn, "trace_id": trace_id}
    if client_context:
        context["client_context"] = client_context
    return Invocation(call.request_id, payload, context)


def _trace_of(call: Call) -> str:
    """Return the trace header that came with a request; empty: none did."""
    return call.http.headers.get(invocations.TRACE_HEADER, "")


def _check_loop(call: Call, named: FunctionName, found: Runnable) -> None:
    """Refuse a request that has come by the function too often.

    Raises:
        RecursiveInvocationException: It has, and the function allows no loops.
    """
    most = call.limit(quotas.LOOPS)
    if not found.loops and lineage.is_loop(_trace_of(call), named.arn, most):
        note_event(call.facilities.metrics, named.qualified_arn, metrics.RECURSIVE_DROPPED)
        raise lineage.stopped()


@operation(
    access=access.on_function("InvokeFunction"),
    domain=names.function_domain,
    unhonoured={"TenantId": None},
    body=BodyLimit(quotas.SYNC_PAYLOAD_BYTES, invocations.too_large),
)
async def invoke_with_response_stream(
    call: Call, request: shapes.InvokeWithResponseStreamRequest
) -> shapes.InvokeWithResponseStreamResponse:
    """Run a function and return its answer while it is made."""
    named = names.function_name_of(call.scope, request)
    payload = bytes(request.get("Payload") or b"{}")
    await _check(payload, call.limit(quotas.SYNC_PAYLOAD_BYTES))
    client_context, cold = invocations.asked_of(invocations.client_context_of(request))
    found = await _require(call, named)
    if request.get("InvocationType") == invocations.DRY_RUN:
        return {"StatusCode": 204}
    _check_loop(call, named, found)
    if cold:
        await _end_environments(call, named, found)
    answer = AnswerStream(
        call.limit(quotas.STREAMED_RESPONSE_BYTES), call.limit(quotas.SYNC_RESPONSE_BYTES)
    )
    try:
        await call.functions.stream(
            views.target_of(named.account, named.region, found.version, found.room),
            _invocation_of(call, named, found, payload, client_context),
            call.facilities,
            answer,
        )
    except REFUSALS as error:
        raise invocations.refusal_of(error) from error
    tail = request.get("LogType") == "Tail"
    return {
        "StatusCode": 200,
        "ExecutedVersion": found.version.version,
        "EventStream": _events_of(answer, tail=tail),
    }


async def _events_of(answer: AnswerStream, *, tail: bool) -> AsyncIterator[Wire]:
    """Yield the pieces of an answer as they come, then how it ended."""
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            yield {"PayloadChunk": {"Payload": piece}}
    yield {"InvokeComplete": invocations.completion_of(answer.run, answer.passed, tail=tail)}


async def _read(body: bytes | BodyStream, bytes_max: int) -> bytes:
    """Return a payload that may come as a stream, unless it is too large."""
    if isinstance(body, bytes):
        return body
    payload = bytearray()
    while chunk := await body.read(_READ_BYTES):
        payload += chunk
        if len(payload) > bytes_max:
            raise invocations.too_large(len(payload), bytes_max, invocations.EVENT)
    return bytes(payload)


@operation(
    access=access.on_function("InvokeAsync"),
    domain=names.function_domain,
    body=BodyLimit(quotas.ASYNC_PAYLOAD_BYTES, invocations.too_large),
)
async def invoke_async(
    call: Call, request: shapes.InvokeAsyncRequest
) -> shapes.InvokeAsyncResponse:
    """Queue an event, as Invoke with ``Event`` does (AWS: deprecated)."""
    named = names.function_name_of(call.scope, request)
    limit = call.limit(quotas.ASYNC_PAYLOAD_BYTES)
    payload = await _read(request["InvokeArgs"], limit)
    await _check(payload, limit, invocations.EVENT)
    await _enqueue(call, named, payload, "")
    return {"Status": 202}
