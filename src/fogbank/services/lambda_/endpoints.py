"""Function URLs as they are called, over HTTP, by whoever the function's policy lets in; and packages.

A request is an event of payload format 2.0 and the answer a response, whole or while it is made. What
the function does wrong is 502; who may not come in hears 403 and nothing of what there is; for whom
there is no room hears 429.

Source: Developer Guide, "Control access to Lambda function URLs" (both permissions since October
2025), "Invoking Lambda function URLs" and "Monitoring Lambda function URLs".
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, NamedTuple

import orjson

from fogbank.base.errors import ServiceError, Throttled
from fogbank.contract.call import Call
from fogbank.contract.endpoint import Endpoint, Knock
from fogbank.contract.operation import BodyLimit
from fogbank.platform.blobs import rows
from fogbank.platform.runtime.answers import AnswerStream
from fogbank.platform.runtime.figures import note_event
from fogbank.platform.runtime.functions import (
    Invocation,
    PackageError,
    RoleNotAssumableError,
    Target,
    UnreadableError,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import arns, metrics, options, quotas, state
from fogbank.services.lambda_.errors import AccessDeniedException, ResourceNotFoundException
from fogbank.services.lambda_.rules import downloads, http, invocations, routing, urls, views
from fogbank.services.lambda_.rules.http import Head, Unfit, Visitor
from fogbank.services.lambda_.schema import UrlRecord
from fogbank.services.lambda_.state import reloading, runs
from fogbank.services.lambda_.state.runs import Runnable
from fogbank.wire.http import HttpReply

log = logging.getLogger("fogbank.functions")

_TRACE_BYTES: Final = 20
_CLIENT_ERROR: Final = 400
_FAILED: Final = 500
_FORBIDDEN: Final = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


class _Asked(NamedTuple):
    """A request at a URL, let in."""

    call: Call
    url: UrlRecord
    runnable: Runnable
    invocation: Invocation

    @property
    def target(self) -> Target:
        """Return what runs."""
        call, found = self.call, self.runnable
        return views.target_of(call.account, call.region, found.version, found.room)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return what every answer says."""
        return [
            ("x-amzn-RequestId", self.call.request_id),
            ("X-Amzn-Trace-Id", self.invocation.context["trace_id"]),
        ]


async def invoke_function_url(knock: Knock) -> HttpReply:
    """Answer a request at the URL of a function."""
    call = knock.call
    share = routing.share_of(call.request_id)

    async def body(tr: Transaction) -> tuple[UrlRecord, Runnable] | None:
        url = await state.urls.find_url(tr, knock.name)
        if url is None:
            return None
        in_force = call.facilities.quotas
        runnable = await runs.find_runnable(tr, url.function, url.qualifier, share, in_force)
        if runnable is None or runnable.version.key != url.key:
            return None
        return url, runnable

    found = await call.store.read(body)
    if found is None:
        raise AccessDeniedException(_FORBIDDEN)
    url, runnable = found
    began_ms, status = call.clock.now_ms(), _FAILED
    try:
        reply = await _reply_of(knock, url, runnable)
        status = reply.status
    except ServiceError as error:
        status = error.status or _CLIENT_ERROR
        raise
    finally:
        arn = arns.function_arn(call.region, call.account, url.function, url.qualifier)
        _note(call, arn, status, call.clock.now_ms() - began_ms)
    return reply


def _note(call: Call, arn: str, status: int, took_ms: int) -> None:
    """Note a request at a URL and how it was answered."""
    noted = call.facilities.metrics
    note_event(noted, arn, metrics.URL_REQUESTS)
    note_event(noted, arn, metrics.URL_LATENCY, took_ms)
    if status >= _CLIENT_ERROR:
        note_event(noted, arn, metrics.URL_5XX if status >= _FAILED else metrics.URL_4XX)


async def _reply_of(knock: Knock, url: UrlRecord, runnable: Runnable) -> HttpReply:
    """Answer a request at a URL that stands."""
    request = knock.request
    origin = request.headers.get("origin", "")
    if url.cors is not None and urls.is_preflight(request.method, request.headers):
        return HttpReply(200, urls.preflight_headers(url.cors, request.headers))
    reply = await _answer(await _let_in(knock, url, runnable))
    if url.cors is not None and origin:
        told = urls.answer_headers(url.cors, origin)
        reply.headers[:] = [
            each for each in reply.headers if not each[0].lower().startswith("access-control-")
        ]
        reply.headers.extend(told)
    return reply


async def _let_in(knock: Knock, url: UrlRecord, runnable: Runnable) -> _Asked:
    """Return a request whose caller may do what it asks.

    Raises:
        AccessDeniedException: It may not, or is nobody and may not be.
    """
    call: Call | None = knock.call
    if url.auth != urls.NONE:
        call = await knock.prove()
    if call is None:
        raise AccessDeniedException(_FORBIDDEN)
    arn = arns.function_arn(call.region, call.account, url.function, url.qualifier)
    try:
        await call.require(
            "lambda:InvokeFunctionUrl", arn, {"lambda:FunctionUrlAuthType": url.auth}
        )
        if not call.chosen(options.URLS_BEFORE_OCTOBER_2025):
            await call.require(
                "lambda:InvokeFunction", arn, {"lambda:InvokedViaFunctionUrl": "true"}
            )
    except ServiceError as error:
        raise AccessDeniedException(_FORBIDDEN) from error
    function = arns.function_arn(call.region, call.account, url.function)
    sample = runs.sampler_of(call.functions, function, runnable.version)
    visitor = _visitor_of(call, knock, sample, proved=url.auth != urls.NONE)
    request = knock.request
    event = http.event_of(
        request.method, knock.path, request.query, request.headers, request.body, visitor
    )
    context = {"invoked_function_arn": arn, "trace_id": visitor.trace_id}
    if runnable.version.folder:
        runnable = await reloading.current(call.facilities, call.account, call.region, runnable)
    return _Asked(call, url, runnable, Invocation(call.request_id, orjson.dumps(event), context))


def _visitor_of(
    call: Call, knock: Knock, sample: Callable[[], bool] | None, *, proved: bool
) -> Visitor:
    """Return who asks, and where."""
    now_ms, given = call.clock.now_ms(), knock.request.headers.get(invocations.TRACE_HEADER, "")
    return Visitor(
        request_id=call.request_id,
        url_id=knock.name,
        host=knock.request.headers.get("host", ""),
        source_ip=knock.request.peer,
        secure=knock.request.secure,
        now_ms=now_ms,
        trace_id=invocations.trace_id_of(
            now_ms, call.ids.random_bytes(_TRACE_BYTES), given, sample
        ),
        signer=call.principal if proved else None,
        access_key=call.principal.access_key_id if proved else "",
    )


async def _answer(asked: _Asked) -> HttpReply:
    """Run the function and return its response.

    Raises:
        TooManyRequestsException: There is no room.
    """
    try:
        if asked.url.mode == urls.RESPONSE_STREAM:
            return await _stream(asked)
        return await _run(asked)
    except Throttled as error:
        raise invocations.refusal_of(error) from error
    except (RoleNotAssumableError, UnreadableError, PackageError, Unfit) as error:
        log.info("%s: %r", asked.invocation.context["invoked_function_arn"], error)
        return _bad_gateway(asked)


async def _run(asked: _Asked) -> HttpReply:
    """Return the response of a function that answers it whole."""
    call = asked.call
    run = await call.functions.run(asked.target, asked.invocation, call.facilities)
    if run.failed or len(run.payload) > call.limit(quotas.SYNC_RESPONSE_BYTES):
        return _bad_gateway(asked)
    head, body = http.response_of(run.payload)
    return HttpReply(head.status, [*head.headers, *asked.headers], body)


def _bad_gateway(asked: _Asked) -> HttpReply:
    """Return the response for a function that has not answered one.

    AWS: 502 and these words (recorded in LocalStack's ``test_lambda_url_invocation_exception``).
    """
    headers = [("Content-Type", "application/json"), *asked.headers]
    return HttpReply(502, headers, b"Internal Server Error")


async def _stream(asked: _Asked) -> HttpReply:
    """Return the response of a function while it is made."""
    call = asked.call
    answer = AnswerStream(
        call.limit(quotas.STREAMED_RESPONSE_BYTES), call.limit(quotas.SYNC_RESPONSE_BYTES)
    )
    await call.functions.stream(asked.target, asked.invocation, call.facilities, answer)
    pieces = answer.pieces()
    try:
        first = await anext(pieces, None)
        if first is None and (answer.run.failed or answer.passed):
            return _bad_gateway(asked)
        kind = answer.content_type
        if kind == http.INTEGRATION:
            head, first = await _prelude_of(first or b"", pieces)
        else:
            head = Head(200, [("Content-Type", kind or http.STREAMED_TYPE)])
    except BaseException:
        await pieces.aclose()
        raise
    headers = [*head.headers, *asked.headers]
    return HttpReply(head.status, headers, _rest_of(answer, first or b"", pieces))


async def _prelude_of(first: bytes, pieces: AsyncIterator[bytes]) -> tuple[Head, bytes]:
    """Return status and headers that an answer begins with, and what lies behind them.

    Raises:
        Unfit: They do not end, or are none.
    """
    read = bytearray(first)
    while (end := read.find(http.PRELUDE_END)) < 0:
        piece = await anext(pieces, None)
        if piece is None or len(read) > http.PRELUDE_BYTES_MAX:
            raise Unfit("prelude")
        read += piece
    return http.prelude_of(bytes(read[:end])), bytes(read[end + len(http.PRELUDE_END) :])


async def _rest_of(
    answer: AnswerStream, first: bytes, pieces: AsyncGenerator[bytes, None]
) -> AsyncIterator[bytes]:
    """Yield the body of a response; break off where the function has.

    Raises:
        BrokenAnswerError: The function failed half-way: the connection must end in the middle.
    """
    async with aclosing(pieces):
        if first:
            yield first
        async for piece in pieces:
            yield piece
    if answer.run.failed or answer.passed:
        raise BrokenAnswerError(answer.run.report.request_id)


class BrokenAnswerError(Exception):
    """A streamed response has no end."""


async def download_code(knock: Knock) -> HttpReply:
    """Answer a request for a deployment package or a layer, of whoever was given its URL.

    Raises:
        AccessDeniedException: Nobody was given that URL, or it is too old.
        KMSAccessDeniedException, KMSDisabledException, KMSInvalidStateException,
        KMSNotFoundException: It is sealed with a KMS key that Lambda cannot use.
        ResourceNotFoundException: The package is gone.
    """
    call, request = knock.call, knock.request
    secret = state.packages.secret_of(call)
    ticket = downloads.find_ticket(knock.name, call.region, request.query, secret)
    if ticket is None or request.method not in {"GET", "HEAD"}:
        raise AccessDeniedException("Access Denied")
    if call.clock.now_ms() > ticket.expires_ms:
        raise AccessDeniedException("Request has expired")
    row = await call.store.read(lambda tr: rows.find(tr, ticket.blob))
    if row is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    key: bytes | None = None
    if ticket.lock is not None:
        key = await state.packages.opened(call, ticket.lock)
    headers = [("Content-Type", "application/zip"), ("x-amzn-RequestId", call.request_id)]
    if request.method == "HEAD":
        return HttpReply(200, headers, b"", row.size)
    return HttpReply(200, headers, call.leaving.read(ticket.blob, lock=key), row.size)


CODE: Final = Endpoint(
    name="DownloadCode",
    label=downloads.LABEL,
    place=urls.find_place,
    serve=download_code,
    body=BodyLimit(quotas.REQUEST_BYTES),
)
FUNCTION_URL: Final = Endpoint(
    name="InvokeFunctionUrl",
    label=urls.LABEL,
    place=urls.find_place,
    serve=invoke_function_url,
    body=BodyLimit(quotas.SYNC_PAYLOAD_BYTES, invocations.too_large),
)
