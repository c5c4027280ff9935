"""The Extensions, Telemetry and Logs APIs over HTTP, beside the Runtime API on the same listener.

Rule: as there (``runtime_api.py``): sizes are counted before anything is kept, what is out of order is
refused in AWS's words. A connection that waits for an event holds nothing but its extension.

Source: Lambda Developer Guide, "Using the Lambda Extensions API to create extensions" (paths, headers,
bodies); status codes, order of checks and bodies are those of AWS's runtime interface emulator
(``rapi/router.go``, ``rapi/handler/agentregister.go``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, cast

from fogbank.platform.runtime import telemetry
from fogbank.platform.runtime.dialogue import RefusedError
from fogbank.platform.runtime.extensions import Extension, Extensions, Stage
from fogbank.platform.runtime.port import SandboxSpec
from fogbank.platform.runtime.telemetry import Relay

VERSION: Final = "/2020-01-01/extension/"
SUBSCRIPTIONS: Final = {
    "/2022-07-01/telemetry": telemetry.TELEMETRY,
    "/2020-08-15/logs": telemetry.LOGS,
}
"""Where extensions subscribe to what happens."""
BODY_BYTES_MAX: Final = 64 << 10
IDENTIFIER: Final = "lambda-extension-identifier"
ERROR_TYPE: Final = "lambda-extension-function-error-type"
_NAME: Final = "lambda-extension-name"
_FEATURES: Final = "lambda-extension-accept-feature"
KEPT: Final = frozenset((IDENTIFIER, ERROR_TYPE, _NAME, _FEATURES))
"""Headers that mean something here."""
_ACCEPTED: Final = b'{"status":"OK"}\n'
_FORMAT: Final = "InvalidRequestFormat"


class Exchange(Protocol):
    """One connection, and the request on it."""

    headers: dict[str, str]
    body: bytearray

    def reply(self, status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        """Answer the request."""
        ...


class ExtensionsApi:
    """Serves one sandbox's extensions.

    Args:
        spec: The environment's.
        identify: Returns the identifier of an event (a UUID).
    """

    def __init__(self, spec: SandboxSpec, identify: Callable[[], str]) -> None:
        self._spec = spec
        self._identify = identify
        self._waiting: dict[str, Exchange] = {}
        """Who has asked for the next event, by extension."""
        self._told: dict[str, Mapping[str, object]] = {}
        """Events for extensions whose connection was gone: the next request has them."""
        self.extensions: Extensions
        self.relay: Relay | None = None
        """What brings telemetry to extensions; None: nobody inside could receive it."""
        self.spawn: Callable[[Coroutine[Any, Any, None]], object] = _nowhere
        """Runs a subscription while the listener is served."""
        self.awake = asyncio.Event()
        """Whether what is inside runs."""

    def deliver(self, extension: Extension, event: Mapping[str, object]) -> None:
        """Tell an extension that waits an event."""
        exchange = self._waiting.pop(extension.identifier, None)
        if exchange is None:
            self._told[extension.identifier] = event
        else:
            self._send(exchange, event)

    def _send(self, exchange: Exchange, event: Mapping[str, object]) -> None:
        lines = [("Lambda-Extension-Event-Identifier", self._identify())]
        exchange.reply(200, json.dumps(event, separators=(",", ":")).encode(), lines)

    def forget(self, exchange: Exchange) -> None:
        """Note that a connection is gone: its event waits for the next."""
        for identifier, waiting in list(self._waiting.items()):
            if waiting is exchange:
                del self._waiting[identifier]

    def serves(self, path: str) -> bool:
        """Return whether a path is of these APIs."""
        return path.startswith(VERSION) or path in SUBSCRIPTIONS

    def route(self, exchange: Exchange, method: str, path: str) -> Callable[[], None]:
        """Return what to do when the body is there.

        Raises:
            RefusedError: There is no such thing, or nobody may ask for it.
        """
        if method == "PUT" and path in SUBSCRIPTIONS:
            extension = self.extensions.known(exchange.headers.get(IDENTIFIER, ""))
            return lambda: self._subscribe(exchange, extension, SUBSCRIPTIONS[path])
        rest = path.removeprefix(VERSION)
        if method == "POST" and rest == "register":
            return lambda: self._register(exchange)
        failing = {"init/error": Stage.INIT_ERROR, "exit/error": Stage.EXIT_ERROR}.get(rest)
        if (method, rest) == ("GET", "event/next") or (method == "POST" and failing is not None):
            extension = self.extensions.known(exchange.headers.get(IDENTIFIER, ""))
            if failing is None:
                return lambda: self._next(exchange, extension)
            return lambda: self._fail(exchange, extension, failing)
        raise RefusedError(404, "NotFound", f"There is no {method} {path}")

    def _register(self, exchange: Exchange) -> None:
        name = exchange.headers.get(_NAME, "")
        features = {word.strip() for word in exchange.headers.get(_FEATURES, "").split(",")}
        extension = self.extensions.register(name, events_of(bytes(exchange.body)))
        told = {"accountId": self._spec.account} if "accountId" in features else {}
        told |= {
            "functionName": self._spec.function_name,
            "functionVersion": self._spec.version,
            "handler": self._spec.handler,
        }
        body = json.dumps(told, separators=(",", ":")).encode() + b"\n"
        exchange.reply(200, body, [("Lambda-Extension-Identifier", extension.identifier)])

    def _next(self, exchange: Exchange, extension: Extension) -> None:
        event = self._told.pop(extension.identifier, None)
        if event is not None:
            self._send(exchange, event)
            return
        before = self._waiting.get(extension.identifier)
        self._waiting[extension.identifier] = exchange
        if before is None and extension.stage is Stage.READY:
            return  # the connection on which it had asked is gone
        try:
            self.extensions.ask(extension)
        except RefusedError:
            self._waiting.pop(extension.identifier)
            if before is not None:
                self._waiting[extension.identifier] = before
            raise

    def _subscribe(self, exchange: Exchange, extension: Extension, api: str) -> None:
        if self.relay is None:
            words = f"fogbank has not built the {api} API for functions without external extensions"
            raise RefusedError(501, "NotImplemented", words)
        if len(exchange.body) > BODY_BYTES_MAX:
            raise RefusedError(400, "ValidationError", f"more than {BODY_BYTES_MAX} bytes")
        asked = telemetry.subscription_of(api, bytes(exchange.body))
        made = self.relay.subscribe(extension.name, asked)
        if made is not None:
            self.spawn(made.run(self.awake))
        exchange.reply(200, b'"OK"')

    def _fail(self, exchange: Exchange, extension: Extension, stage: Stage) -> None:
        self.extensions.fail(extension, stage, exchange.headers.get(ERROR_TYPE, ""))
        exchange.reply(202, _ACCEPTED)


def _nowhere(work: Coroutine[Any, Any, None]) -> None:
    """Refuse to run anything: the listener is not served."""
    work.close()
    raise RuntimeError("a request came where nobody listens")


def events_of(body: bytes) -> list[str]:
    """Return the events that a registration asks for; raises ``RefusedError``."""
    if len(body) > BODY_BYTES_MAX:
        raise RefusedError(403, _FORMAT, f"more than {BODY_BYTES_MAX} bytes")
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(403, _FORMAT, f"no JSON: {type(error).__name__}") from None
    fields = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    events: Any = fields.get("events") or []
    is_list = isinstance(events, list) and all(
        isinstance(e, str) for e in cast("list[Any]", events)
    )
    if not (isinstance(told, dict) and is_list):
        raise RefusedError(403, _FORMAT, "events are no list of strings")
    if fields.get("configurationKeys"):
        words = "configurationKeys are deprecated; use environment variables instead"
        raise RefusedError(403, _FORMAT, words)
    return cast("list[str]", events)
