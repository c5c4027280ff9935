"""The control socket: how a command talks to the server of a data directory.

It is the one channel for operators' commands (accounts, status, traces, backups, ...): a Unix socket
``control.sock`` in the data directory, mode 0600, opened by the store process that holds the
directory's lock. Whoever connects must be the user of that process or root, as the kernel says
(``SO_PEERCRED``), whatever the file's mode.

Form, for whoever adds a request: one request a connection, in lines of JSON of at most
``LINE_BYTES_MAX``. The client sends ``{"request": NAME, "arguments": {...}}``; the server answers
with any number of ``{"row": {...}}`` and then with one ``{"result": {...}}`` or
``{"error": {"code": ..., "message": ...}}``. A client that goes away, or says more, cancels its
request. A request is a ``Control``: a name, a msgspec struct of arguments, and a coroutine function
of these and of ``send``, which sends a row and waits while the client does not read. What it raises
as ``ControlError``, ``ServiceError`` or ``Weather`` is the client's to read; anything else is a bug,
logged here and answered ``InternalFailure``. Register one in ``server/controls.py``; ask with
``ask``, which raises ``NotRunning`` where there is no server.

Source: unix(7), for ``SO_PEERCRED``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import ServiceError, Weather

SOCKET: Final = "control.sock"
LINE_BYTES_MAX: Final = 1 << 20
CONNECTIONS_MAX: Final = 32
"""Requests of operators in work at once; more wait in the backlog."""
REQUEST_TIMEOUT_MS: Final = 5_000
"""How long a client may take to say what it wants."""
CONNECT_TIMEOUT_S: Final = 10.0
_BACKLOG: Final = 16
_READ_BYTES: Final = 64 << 10
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid
log = logging.getLogger("fogbank.control")

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Sends one row of an answer."""


class NotRunning(Exception):
    """No server has the data directory's control socket open."""


class ControlError(Exception):
    """A request is refused, for a reason that the operator reads."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of a request that takes none."""


class Control(NamedTuple):
    """One kind of request."""

    name: str
    arguments: type[msgspec.Struct]
    run: Callable[[Any, Send], Awaitable[Mapping[str, Any]]]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The line that a client sends."""

    request: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Said(msgspec.Struct, frozen=True):
    """A line that the server sends; one of the three is there."""

    row: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None


@contextmanager
def _address(data_dir: Path) -> Generator[str]:
    """Yield a short name of the socket: a path in ``sockaddr_un`` has 107 bytes at most."""
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


# The server's end.


@contextmanager
def listening(data_dir: Path) -> Generator[socket.socket]:
    """Yield the listening socket; a dead server's is replaced: the caller holds the lock."""
    path = data_dir / SOCKET
    path.unlink(missing_ok=True)
    with (
        _address(data_dir) as address,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
    ):
        listener.bind(address)
        try:
            path.chmod(0o600)
            listener.listen(_BACKLOG)
            listener.setblocking(False)  # noqa: FBT003 (the standard library's signature)
            yield listener
        finally:
            path.unlink(missing_ok=True)


class ControlServer:
    """Answers the requests of operators.

    Args:
        controls: The kinds of request.
        clock: What late clients are cut off by.
        allowed: The users who may ask; the process's own and root.
    """

    def __init__(
        self, controls: Sequence[Control], clock: Clock, allowed: frozenset[int] | None = None
    ) -> None:
        self._controls = {each.name: each for each in controls}
        assert len(self._controls) == len(controls), "each name is taken once"
        self._clock = clock
        self._allowed = frozenset((0, os.getuid())) if allowed is None else allowed
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def serve(self, listener: socket.socket) -> None:
        """Serve a socket of ``listening`` until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._room.acquire()
                connection, _ = await loop.sock_accept(listener)
                group.create_task(self._visited(connection), name="control")

    async def _visited(self, connection: socket.socket) -> None:
        """Answer the one request of a connection."""
        with connection:
            try:
                if self._is_allowed(connection):
                    await self._visit(connection)
            except OSError as error:
                log.info("a control connection broke off: %s", error)
            finally:
                self._room.release()

    def _is_allowed(self, connection: socket.socket) -> bool:
        """Return whether the kernel says that the client is one of ours."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        if uid not in self._allowed:
            log.warning("refused process %d of user %d on the control socket", pid, uid)
        return uid in self._allowed

    async def _visit(self, connection: socket.socket) -> None:
        """Read a request, run it while the client stays, and answer."""
        connection.setblocking(False)  # noqa: FBT003 (the standard library's signature)
        loop = asyncio.get_running_loop()
        until_ms = self._clock.now_ms() + REQUEST_TIMEOUT_MS
        first = await _first(_line_of(connection), self._clock.sleep_until(until_ms))
        if not isinstance(first, bytes):
            return

        async def send(row: Mapping[str, Any]) -> None:
            await loop.sock_sendall(connection, _encoded({"row": row}))

        answer = await _first(self._answer(first, send), loop.sock_recv(connection, 1))
        if answer is not None:
            await loop.sock_sendall(connection, _encoded(answer))

    async def _answer(self, line: bytes, send: Send) -> dict[str, Any]:
        """Return the last line of an answer."""
        try:
            asked = msgspec.json.decode(line, type=Asked)
            control = self._controls.get(asked.request)
            if control is None:
                raise ControlError("UnknownRequest", f"there is no request {asked.request[:64]}")  # noqa: TRY301 (one place renders refusals)
            arguments = msgspec.json.decode(asked.arguments, type=control.arguments)
            result = await control.run(arguments, send)
        except msgspec.MsgspecError as error:
            return _refusal("BadRequest", str(error))
        except ControlError as error:
            return _refusal(error.code, error.message)
        except ServiceError as error:
            return _refusal(error.code, error.message)
        except Weather as weather:
            return _refusal(type(weather).__name__, str(weather))
        except OSError:
            raise
        except Exception:  # a bug of one request ends neither channel nor server
            log.exception("a control request failed")
            return _refusal("InternalFailure", "the request failed; the server's log says why")
        return {"result": result}


async def _line_of(connection: socket.socket) -> bytes:
    """Return the line of a request; empty if the client went away or says too much."""
    loop = asyncio.get_running_loop()
    said = b""
    while not said.endswith(b"\n"):
        piece = await loop.sock_recv(connection, _READ_BYTES)
        said += piece
        if not piece or len(said) > LINE_BYTES_MAX:
            return b""
    return said


async def _first(wanted: Awaitable[Any], other: Awaitable[Any]) -> Any:
    """Return the result of ``wanted``, or None if ``other`` ended before it."""
    tasks = [asyncio.ensure_future(each) for each in (wanted, other)]  # noqa: TID251 (ended here)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _encoded(line: Mapping[str, Any]) -> bytes:
    """Return a line; one that is too long is a bug of the request, which should send rows."""
    encoded = msgspec.json.encode(line) + b"\n"
    assert len(encoded) <= LINE_BYTES_MAX, "an answer is cut into rows"
    return encoded


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


# The client's end.


def ask(
    data_dir: Path,
    request: str,
    arguments: Mapping[str, Any] | None = None,
    on_row: Callable[[dict[str, Any]], None] | None = None,
    wait_s: float | None = None,
) -> dict[str, Any]:
    """Ask the server of a data directory and return its result; blocks until it answers.

    Args:
        data_dir: The data directory.
        request: The name of a request.
        arguments: Its arguments, as plain values.
        on_row: What is done with each row of the answer.
        wait_s: How long each line of the answer may take; None: for ever.

    Raises:
        NotRunning: No server answers.
        ControlError: The server refuses, ended in the middle, or is not heard of in time.
    """
    with _connected(data_dir) as connection:
        connection.settimeout(wait_s)
        line = {"request": request, "arguments": arguments or {}}
        with suppress(BrokenPipeError):  # what was refused at the door is told below
            connection.sendall(_encoded(line))
        with connection.makefile("rb") as answers:
            while answer := _next(answers.readline):
                said = msgspec.json.decode(answer, type=Said)
                if said.row is not None and on_row is not None:
                    on_row(said.row)
                if said.error is not None:
                    raise ControlError(said.error["code"], said.error["message"])
                if said.result is not None:
                    return said.result
    raise ControlError("Closed", "the server closed the connection without an answer")


def _next(readline: Callable[[int], bytes]) -> bytes:
    """Return the next line of an answer, or nothing if the server went away.

    Raises:
        ControlError: It did not come in time.
    """
    try:
        line = readline(LINE_BYTES_MAX + 1)
    except ConnectionError:
        return b""
    except TimeoutError as error:
        raise ControlError("Timeout", "the server runs and does not answer") from error
    return line if line.endswith(b"\n") else b""


@contextmanager
def _connected(data_dir: Path) -> Generator[socket.socket]:
    """Yield a connection to the server of a data directory.

    Raises:
        NotRunning: There is no directory, no socket, or nobody listens on it.
        ControlError: The socket is another user's.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            with _address(data_dir) as address:
                connection.connect(address)
        except PermissionError as error:
            raise ControlError("AccessDenied", f"{data_dir} is another user's") from error
        except OSError as error:
            raise NotRunning(f"no server runs on {data_dir}") from error
        yield connection
