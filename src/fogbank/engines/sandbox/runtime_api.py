"""The Runtime API over HTTP (2018-06-01), as one wire of the dialogue with a runtime.

A sandbox finds it at ``AWS_LAMBDA_RUNTIME_API``: a listener that was opened inside, on its own
loopback; whoever connects is that sandbox. Rule: llhttp reads what comes, sizes are counted before
anything is kept, and a connection that breaks the protocol is closed; the sandbox lives on, for it
harms itself only. One request at a time on a connection, and few connections.

Source: Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" (paths, headers)
and "Building custom runtimes" (streamed responses: mode header, error trailers); status codes and
bodies are those of AWS's runtime interface emulator (``rapi/rendering/render_error.go``).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import httptools

from fogbank.engines.sandbox import extensions_api
from fogbank.engines.sandbox.extensions_api import ExtensionsApi
from fogbank.engines.sandbox.passage import Address
from fogbank.platform.runtime.dialogue import (
    RESPONSE_BYTES_MAX,
    Dialogue,
    Event,
    RefusedError,
    Turn,
    error_payload,
)
from fogbank.platform.runtime.port import Level

PORT: Final = 9001
"""AWS: what AWS_LAMBDA_RUNTIME_API names in every environment of Lambda."""
_OTHER_PORT: Final = 9002
"""Where the cloud itself has the usual one."""
CONNECTIONS_MAX: Final = 64
HEAD_BYTES_MAX: Final = (1 << 20) + (64 << 10)
"""AWS's clients send up to 1 MB of ``Lambda-Runtime-Function-XRay-Error-Cause``."""
HELD_BYTES_MAX: Final = RESPONSE_BYTES_MAX + (1 << 20)
"""Of bodies that come at the same time: one response, and what extensions say beside it."""
_VERSION: Final = "/2018-06-01/runtime/"
_NOT_BUILT: Final = ("/2018-06-01/runtime/restore/",)
_INVOCATION_PARTS: Final = 3
_ACCEPTED: Final = b'{"status":"OK"}\n'
_ERROR_TYPE: Final = "lambda-runtime-function-error-type"
_ERROR_BODY: Final = "lambda-runtime-function-error-body"
_MODE: Final = "lambda-runtime-function-response-mode"
_KEPT: Final = (
    frozenset(("content-type", "content-length", "expect", _ERROR_TYPE, _ERROR_BODY, _MODE))
    | extensions_api.KEPT
)
_HEADERS: Final = {
    "invoked_function_arn": "Lambda-Runtime-Invoked-Function-Arn",
    "trace_id": "Lambda-Runtime-Trace-Id",
    "client_context": "Lambda-Runtime-Client-Context",
    "identity": "Lambda-Runtime-Cognito-Identity",
    "tenant_id": "Lambda-Runtime-Aws-Tenant-Id",
}


def place_of(level: Level, endpoint_port: int) -> tuple[int, socket.socket | None]:
    """Return at which port a sandbox finds the Runtime API, and its listener if it is open already.

    Without namespaces there is no loopback of its own: then the listener is on the machine's, at a
    port of this sandbox alone, and at level 3 no other sandbox can connect to it. Else it is
    opened inside.
    """
    if level >= Level.LANDLOCK:
        listener = socket.create_server(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port, listener
    return (PORT if endpoint_port != PORT else _OTHER_PORT), None


class RuntimeApi:
    """Serves one sandbox's runtime."""

    def __init__(
        self,
        dialogue: Dialogue | None,
        extensions: ExtensionsApi,
        hear: Callable[[], None],
        allowed: Callable[[Address, Address], bool] = lambda _, __: True,
        *,
        framed: bool = False,
    ) -> None:
        """Take what is spoken.

        Args:
            dialogue: With the runtime; None: it speaks frames, and only its extensions come here.
            framed: It is expected to speak frames, until it comes here.
            extensions: Serves those.
            hear: Called before an answer counts: takes in what was printed before it.
            allowed: Says whether who connects, from an address to ours, may: where others reach the
                listener.
        """
        self.dialogue = dialogue
        self.extensions = extensions
        self.hear = hear
        self.framed = framed
        """Whether the runtime speaks frames: what a wrapper script starts may be another than ours."""
        self._allowed = allowed
        self._waiting: list[_Connection] = []
        """Who has asked for the next event."""
        self.connections: set[_Connection] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Serve a listener, which is ours from now on, until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: _Connection(self), sock=listener)
            async with server, asyncio.TaskGroup() as tasks:
                self.extensions.spawn = tasks.create_task
                await server.serve_forever()
        finally:
            listener.close()
            for connection in list(self.connections):
                connection.close()

    def admits(self, connection: _Connection, peer: Address, here: Address) -> bool:
        """Return whether one more connection, from and to an address, is served."""
        if len(self.connections) >= CONNECTIONS_MAX or not self._allowed(peer, here):
            return False
        self.connections.add(connection)
        return True

    def forget(self, connection: _Connection) -> None:
        """Note that a connection is gone."""
        self.connections.discard(connection)
        self.extensions.forget(connection)
        if connection in self._waiting:
            self._waiting.remove(connection)

    def has_room(self) -> bool:
        """Return whether what all connections hold of bodies is within bounds."""
        return sum(len(each.body) for each in self.connections) <= HELD_BYTES_MAX

    def wait(self, connection: _Connection) -> None:
        """Have a connection told the next event, as soon as there is one."""
        self._waiting.append(connection)
        self.deliver()

    def deliver(self) -> None:
        """Tell the event that waits to whoever asked first."""
        if not self._waiting or self.dialogue is None:
            return
        event = self.dialogue.take()
        if event is not None:
            self._waiting.pop(0).send_event(event)


class _Connection(asyncio.Protocol):
    """One connection of a runtime."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._head_bytes = 0
        self._busy = False
        """Whether a request has begun whose reply is not written."""
        self._url = b""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._body_done: Callable[[], None] | None = None
        """What to do when the body is there; None: its reply is written already."""
        self._turn: Turn | None = None
        """Of a response that comes in pieces."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        peer, here = map(self._transport.get_extra_info, ("peername", "sockname"))
        if peer is None or not self._api.admits(self, peer, here):  # who has gone has no address
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a response that it was sending is cut short."""
        del exc
        self._api.forget(self)
        if self._turn is not None:
            turn, self._turn = self._turn, None
            self._dialogue.sent()
            turn.fail(error_payload("Runtime.TruncatedResponse", "Response truncated"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Read no more requests of whoever does not read the replies."""
        cast("asyncio.Transport", self._transport).pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self._resume()

    def data_received(self, data: bytes) -> None:
        """Read requests; what is none ends the connection."""
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self.close()
            if not isinstance(error.__context__, (RefusedError, UnicodeDecodeError)):
                raise  # ours: asyncio reports it
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
        if self._head_bytes > HEAD_BYTES_MAX:
            self.close()

    @property
    def _dialogue(self) -> Dialogue:
        dialogue = self._api.dialogue
        assert dialogue is not None, "requests of a runtime are refused where it speaks frames"
        return dialogue

    # -- what llhttp calls -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._busy:
            raise RefusedError(400, "InvalidRequest", "One request at a time")
        self._busy = True
        self._url = b""
        self.headers = {}
        self.body = bytearray()
        self._body_done = None

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the path."""
        self._url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer, that means something here."""
        lower = name.decode("latin-1").lower()
        if lower in _KEPT:
            self.headers[lower] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Decide what the request is."""
        self._head_bytes = 0
        method = self._parser.get_method().decode("ascii")
        path = self._url.partition(b"?")[0].decode("ascii")
        try:
            self._body_done = self._route(method, path)
        except RefusedError as error:
            self._refuse(error)
            return
        if self.headers.get("expect", "").lower() == "100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._head_bytes = 0
        if self._turn is not None:
            self._on_piece(self._turn, piece)
        elif self._body_done is not None:
            self.body += piece
            if len(self.body) > RESPONSE_BYTES_MAX:
                self._overflow()
            elif not self._api.has_room():
                self.close()

    def on_message_complete(self) -> None:
        """Do what the request asks."""
        self._head_bytes = 0
        done, self._body_done = self._body_done, None
        if done is None:
            self._busy = False  # refused already
            return
        try:
            done()
        except RefusedError as error:
            self._refuse(error)
            self._busy = False
        self.body = bytearray()

    # -- requests ----------------------------------------------------------------------------

    def _route(self, method: str, path: str) -> Callable[[], None]:
        """Return what to do when the body is there.

        Raises:
            RefusedError: There is no such thing, or it cannot be had now.
        """
        if self._api.extensions.serves(path):
            return self._api.extensions.route(self, method, path)
        if path.startswith(_NOT_BUILT):
            words = f"fogbank has not built lambda:{path}"
            raise RefusedError(501, "NotImplemented", words)
        rest = path.removeprefix(_VERSION) if path.startswith(_VERSION) else ""
        if rest and self._api.dialogue is None:
            words = "The runtime of this function speaks with the platform in another way."
            raise RefusedError(403, "InvalidStateTransition", words)
        self._api.framed = self._api.framed and not rest
        if method == "GET" and rest == "invocation/next":
            return self._next
        if method == "POST" and rest == "init/error":
            return self._fail_start
        parts = rest.split("/")
        if method == "POST" and len(parts) == _INVOCATION_PARTS and parts[0] == "invocation":
            if parts[2] == "response":
                return self._responding(parts[1])
            if parts[2] == "error":
                return lambda: self._fail(parts[1])
        raise RefusedError(404, "NotFound", f"There is no {method} {path}")

    def _next(self) -> None:
        self._dialogue.ask()
        self._api.wait(self)

    def send_event(self, event: Event) -> None:
        """Tell the runtime an event."""
        lines = [
            ("Lambda-Runtime-Aws-Request-Id", event.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(event.deadline_ms)),
        ]
        lines += [
            (name, event.context[key]) for key, name in _HEADERS.items() if event.context.get(key)
        ]
        self.reply(200, event.payload, lines)

    def _fail_start(self) -> None:
        self._api.hear()
        self._dialogue.fail_start(_start_error(bytes(self.body), self.headers.get(_ERROR_TYPE, "")))
        self.reply(202, _ACCEPTED)

    def _fail(self, request_id: str) -> None:
        self._api.hear()
        kind = self.headers.get(_ERROR_TYPE, "") or "Runtime.Unknown"
        if len(self.body) > RESPONSE_BYTES_MAX:
            self.body = bytearray(error_payload(kind, "The error is too large"))
        self._dialogue.fail(request_id, bytes(self.body) or error_payload(kind, ""))
        self.reply(202, _ACCEPTED)

    def _responding(self, request_id: str) -> Callable[[], None]:
        """Return what ends a response; one that is streamed begins now."""
        mode = self.headers.get(_MODE, "")
        kind = self.headers.get("content-type", "")
        if mode == "streaming":
            self._turn = self._dialogue.stream(request_id, kind)
            return self._end_stream
        if mode:
            words = "Invalid function response mode"
            error = error_payload("Runtime.InvalidResponseModeHeader", words)
            self._dialogue.fail(request_id, error)
            raise RefusedError(400, "InvalidFunctionResponseMode", words)
        return lambda: self._respond(request_id, kind)

    def _respond(self, request_id: str, kind: str) -> None:
        self._api.hear()
        self._dialogue.respond(request_id, bytes(self.body), kind)
        self.reply(202, _ACCEPTED)

    def _on_piece(self, turn: Turn, piece: bytes) -> None:
        try:
            has_room = turn.write(piece, self._resume)
        except RefusedError as error:
            self._turn = None
            self._body_done = None
            self._dialogue.sent()
            self._refuse(error)
            return
        if not has_room:
            cast("asyncio.Transport", self._transport).pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end_stream(self) -> None:
        """End a streamed response; trailers may say that it failed half-way."""
        turn, self._turn = cast("Turn", self._turn), None
        self._api.hear()
        self._dialogue.sent()
        kind = self.headers.get(_ERROR_TYPE, "")
        if kind:
            turn.fail(_trailed(self.headers.get(_ERROR_BODY, "")) or error_payload(kind, ""))
        else:
            turn.finish()
        self.reply(202, _ACCEPTED)

    def _overflow(self) -> None:
        """Refuse a body that is too large; the invocation that it answers fails."""
        done, self._body_done = self._body_done, None
        self.body += b" "
        assert done is not None
        try:
            done()
        except RefusedError as error:
            self._refuse(error)
        self.body = bytearray()

    # -- replies -----------------------------------------------------------------------------

    def _refuse(self, error: RefusedError) -> None:
        body = {"errorMessage": error.message, "errorType": error.kind}
        self.reply(error.status, json.dumps(body, separators=(",", ":")).encode() + b"\n")

    def reply(self, status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        """Answer the request."""
        keep = self._parser.should_keep_alive()
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {_plain(value)}" for name, value in headers or ()),
            *(() if keep else ("Connection: close",)),
        ]
        self._write("\r\n".join((*lines, "\r\n")).encode("latin-1") + body)
        self._busy = False
        if not keep and self._transport is not None:
            self._transport.close()

    def _write(self, raw: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(raw)


def _plain(value: str) -> str:
    """Return a header's value as it may be written: what is not Latin-1, or ends lines, is escaped."""
    if value.isascii() and value.isprintable():
        return value
    return value.encode("ascii", "backslashreplace").decode().replace("\r", " ").replace("\n", " ")


def _trailed(encoded: str) -> bytes:
    """Return the error in a trailer: base64, or nothing where it is none."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _start_error(body: bytes, kind: str) -> dict[str, object]:
    """Return the error that a runtime told of its start."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and told:
        return cast("dict[str, object]", told)
    words = body[:4096].decode(errors="replace")
    return {"errorType": kind or "Runtime.Unknown", "errorMessage": words}
