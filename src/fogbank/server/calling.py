"""Calls of a command to the running server, over the wire as anybody's: signed HTTP.

Rule: thin. A command calls with the credentials of an account of the data directory, as ``fogbank env``
names them; where the server is, is read anew for each call, since one that started again may be
elsewhere. Nothing is tried again here: only who calls knows whether that is harmless.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from fogbank.base.arn import partition_of
from fogbank.base.clock import SystemClock
from fogbank.server import config, datadir
from fogbank.wire import sigv4
from fogbank.wire.http import HttpRequest
from fogbank.wire.regions import first_region

CONNECT_S: Final = 10.0


class CallError(Exception):
    """A call did not come to an answer, or was refused; the message is for people.

    Args:
        code: The error's code; empty: there was no answer.
        message: Why.
        status: Of the answer; 0: there was none.
    """

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.status = status

    @property
    def is_weather(self) -> bool:
        """Return whether the same call may go well a little later."""
        return self.status == 0 or self.status >= 500 or "Throttl" in self.code  # noqa: PLR2004 (HTTP)


class Answer(NamedTuple):
    """What a call came to."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes


class Place(NamedTuple):
    """Where a server is."""

    url: str
    authority: str = ""
    """The file of what is to be trusted there; empty: what this machine trusts."""


Carry = Callable[[Place, HttpRequest], Answer]
"""Takes a signed request to a server and returns the answer."""


def carried(place: Place, request: HttpRequest) -> Answer:
    """Take a request to a server over a connection of its own; the answer may take any time.

    Raises:
        CallError: There is nobody, or who is there does not speak HTTP.
    """
    parts = urlsplit(place.url)
    host, port = parts.hostname or "", parts.port
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=place.authority or None)
        connection = HTTPSConnection(host, port, timeout=CONNECT_S, context=context)
    else:
        connection = HTTPConnection(host, port, timeout=CONNECT_S)
    target = f"{request.path}?{request.query}" if request.query else request.path
    with closing(connection):
        try:
            connection.connect()
            connection.sock.settimeout(None)
            connection.request(request.method, target, request.body, request.headers)
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, headers, reply.read())
        except (OSError, HTTPException) as error:
            raise CallError("", f"{place.url} does not answer: {error}") from error


class Caller:
    """Calls as the root of an account.

    Args:
        find: Says where the server is; raises ``CallError``.
        account: Whose credentials.
        region: Where.
        carry: Takes requests there.
        now: Says the time in milliseconds, for signatures; None: the machine's clock does.
    """

    def __init__(
        self,
        find: Callable[[], Place],
        account: datadir.AccountCredentials,
        region: str,
        carry: Carry = carried,
        now: Callable[[], int] | None = None,
    ) -> None:
        self._find = find
        self._account = account
        self._carry = carry
        self.region = region
        self.now_ms = now or SystemClock().now_ms

    def call(self, service: str, request: HttpRequest) -> Answer:
        """Sign a request and return its answer.

        Raises:
            CallError: There is no server, or it refuses.
        """
        place = self._find()
        request.headers["host"] = urlsplit(place.url).netloc
        sigv4.sign(
            request,
            access_key_id=self._account.access_key_id,
            secret=self._account.secret_access_key,
            region=self.region,
            service=service,
            timestamp=f"{datetime.fromtimestamp(self.now_ms() / 1000, UTC):%Y%m%dT%H%M%SZ}",
        )
        answer = self._carry(place, request)
        if answer.status >= 300:  # noqa: PLR2004 (HTTP)
            raise _refusal(answer)
        return answer

    def ask(self, service: str, target: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reply of an operation of the JSON protocol.

        Args:
            service: As signatures name it.
            target: ``X-Amz-Target``.
            asked: The request.

        Raises:
            CallError: There is no server, or it refuses.
        """
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
        body = json.dumps(asked).encode()
        answer = self.call(service, HttpRequest("POST", "/", "", headers, body))
        reply: dict[str, Any] = json.loads(answer.body)
        return reply


class _Said(msgspec.Struct):
    """What the body of a refusal says, in the protocols of JSON."""

    type: str = msgspec.field(name="__type", default="")
    message: str = ""
    capital: str = msgspec.field(name="Message", default="")


def _refusal(answer: Answer) -> CallError:
    """Return what an answer says that is none."""
    try:
        said = msgspec.json.decode(answer.body, type=_Said)
    except msgspec.MsgspecError:
        said = _Said(message=answer.body.decode(errors="replace"))
    code = answer.headers.get("x-amzn-errortype", "") or said.type
    code = code.partition(":")[0].rpartition("#")[2] or f"HTTP {answer.status}"
    return CallError(code, said.message or said.capital, answer.status)


def caller_of(data_argument: str | None, account: str, region: str) -> Caller:
    """Return what calls the server of a data directory.

    Args:
        data_argument: The directory, as the command line names it.
        account: The name of one of its accounts, or its id.
        region: Empty: the settings'.

    Raises:
        CallError: There is no such directory or account.
        ConfigError: The settings cannot be used.
    """
    data_dir = config.data_dir_of(data_argument)
    accounts = datadir.read_credentials(data_dir)
    if not accounts:
        raise CallError("", f"{data_dir} is no data directory: run fogbank serve first")
    named = (row for row in accounts if account in (row.name, row.account_id))
    found = next(named, None)
    if found is None:
        raise CallError("", f"there is no account named {account}")
    wanted = region or config.load(data_dir).region
    if not region and partition_of(wanted) != found.partition:
        wanted = first_region(found.partition)
    return Caller(lambda: _place(data_dir), found, wanted)


def _place(data_dir: Path) -> Place:
    """Return where the server of a data directory is.

    Raises:
        CallError: None runs.
    """
    server = datadir.find_server(data_dir)
    if server is None:
        raise CallError("", f"no server runs on {data_dir}")
    return Place(server.client_url, server.client_authority)
