"""One running sandbox, seen from the store process: frames out and in, output, its end.

Rule: what comes out of a sandbox is untrusted: sizes are checked before they are read, an
unexpected frame ends the sandbox, output is handed on as it comes and never kept. Theory: output
is a pipe; what the handler printed before it answered is in the pipe when the answer arrives, so
one read that does not wait brings every line in before the invocation returns.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from fogbank.base.clock import Clock
from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox import outcomes, variables
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.inside import frames
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.rest import Rest
from fogbank.platform.runtime.port import (
    Credentials,
    Ending,
    InitReport,
    LogSink,
    Outcome,
    SandboxSpec,
)

OUTPUT_BYTES_PER_READ = 65_536
_READS_PER_TURN_MAX = 4
_CONTEXT = ("invoked_function_arn", "client_context", "trace_id", "identity", "tenant_id")
_BIRTH_BYTES_MAX = 8192
_KB_PER_MB = 1024
_TMP = "/tmp"  # noqa: S108 (what the user calls it; no file of ours)


class End(Exception):
    """A sandbox that is no more, and why; set on the futures of those who wait for it."""

    def __init__(self, cause: str, status: int, peak_mb: int, note: str) -> None:
        super().__init__(f"{cause} {status} {note}")
        self.cause = cause
        self.status = status
        self.peak_mb = peak_mb
        self.note = note


def _order_of(number: int, spec: SandboxSpec) -> dict[str, int | str]:
    """Return what the daemon must know to build a sandbox."""
    return {
        "id": number,
        "account": spec.account,
        "runtime": spec.runtime,
        "name": spec.function_name,
        "memory_mb": spec.memory_mb,
        "tmp_mb": spec.tmp_mb,
    }


class Environment(asyncio.Protocol):
    """One sandbox; implements the port's ``Sandbox``."""

    def __init__(
        self, number: int, spec: SandboxSpec, log: LogSink, link: Link, clock: Clock
    ) -> None:
        self.number = number
        self.spec = spec
        self.init = InitReport(0.0, None)
        self.ended: asyncio.Future[End]
        self._log = log
        self._link = link
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.ended = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._request_id = ""
        self._reply: asyncio.Future[frames.Frame] | None = None
        self._expired = False
        self._rss_mb = 0
        self._failure = ""
        self._output = -1
        self._birth: socket.socket | None = None
        self.rest = Rest(link, number, lambda: self.closed or self._reply is not None)
        self.requested = False
        """Whether the daemon was asked for it; then the daemon will tell its end."""

    @property
    def closed(self) -> bool:
        """Return whether the environment is gone, for whatever reason."""
        return self.ended.done() or self._transport is None or self._transport.is_closing()

    # -- birth -------------------------------------------------------------------------------

    async def open(self, listening: Callable[[int], None]) -> None:
        """Have the sandbox built; ``listening`` is given the endpoint's socket inside.

        Raises:
            Unavailable: The daemon is gone or the code is not there.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._birth, birth = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._output, output = os.pipe()
        os.set_blocking(self._output, False)
        self._birth.settimeout(0)
        opened = [theirs.detach(), birth.detach(), output]
        try:
            opened.append(os.open(self.spec.code_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            self._link.send("start", opened, **_order_of(self.number, self.spec))
        except (OSError, Unavailable) as error:
            ours.close()
            self._close_output()
            self._close_birth()
            raise Unavailable(f"a sandbox cannot be started: {error}") from error
        finally:
            messages.close_all(opened)
        if self.ended.done():  # the daemon had died, and only asking it has shown it
            ours.close()
            raise Unavailable("the sandbox daemon is gone")
        self.requested = True
        self._loop.add_reader(self._output, self._read_output)
        self._loop.add_reader(self._birth, self._read_birth, listening)
        await self._loop.create_unix_connection(lambda: self, sock=ours)

    async def initialise(
        self, credentials: Credentials, endpoint_url: str, task_root: str, limit_ms: int
    ) -> None:
        """Hand over the assignment and wait for the imports; a failure is in ``init``."""
        started = self._clock.monotonic()
        environment = variables.environment_of(self.spec, credentials, endpoint_url, task_root)
        handle = self._loop.call_later(limit_ms / 1000, self._expire)
        try:
            frame = await self._exchange(frames.ASSIGN, {"environment": environment}, b"")
            error = cast("dict[str, object] | None", frame.head.get("error"))
            if error is None:
                self._link.send("settle", id=self.number)
            else:
                self.kill()
                await self.ended
        except End as end:
            error = self._init_error(end, limit_ms)
        finally:
            handle.cancel()
        self._expired = False
        self.rest.begin()
        self.init = InitReport((self._clock.monotonic() - started) * 1000, error)

    def _init_error(self, end: End, limit_ms: int) -> dict[str, object]:
        """Return why a start ended; raises ``Unavailable`` where it was not the user's doing."""
        if end.cause in {"refused", "lost"} or self._failure:
            why = self._failure or end.note or end.cause
            raise Unavailable(f"a sandbox could not be built: {why}")
        if self._expired:
            words = f"Task timed out after {limit_ms / 1000:.2f} seconds"
            return outcomes.init_error("Sandbox.Timedout", words)
        self._explain(end)
        if end.cause == "memory":
            words = outcomes.exit_words("signalled", 9)
            return outcomes.init_error("Runtime.OutOfMemory", words)
        return outcomes.init_error("Runtime.ExitError", outcomes.exit_words(end.cause, end.status))

    # -- invocations -------------------------------------------------------------------------

    async def invoke(
        self, request_id: str, payload: bytes, deadline_ms: int, context: Mapping[str, str]
    ) -> Outcome:
        """Run the handler once; end the whole sandbox at the deadline or out of memory."""
        assert self._reply is None, "one invocation at a time"
        head: dict[str, Any] = {name: context[name] for name in _CONTEXT if context.get(name)}
        head["request_id"], head["deadline_ms"] = request_id, deadline_ms
        self._read_output()  # what background threads printed belongs to the invocation before
        self._request_id = request_id
        self.rest.end()
        started = self._clock.monotonic()
        left_s = max(0.0, (deadline_ms - self._clock.now_ms()) / 1000)
        handle = self._loop.call_later(left_s, self._expire)
        try:
            frame = await self._exchange(frames.INVOKE, head, payload)
        except End as end:
            return self._outcome_of_end(end, request_id, started)
        finally:
            handle.cancel()
            self.rest.begin()
        ending = Ending.RETURNED if frame.kind == frames.RESULT else Ending.RAISED
        return Outcome(ending, frame.body, self._elapsed_ms(started), self._memory_mb(0))

    async def _exchange(self, kind: int, head: dict[str, Any], body: bytes) -> frames.Frame:
        """Send a frame and return the answer; raises ``End``."""
        if self.ended.done() and kind == frames.ASSIGN:
            raise self.ended.result()  # refused at once
        if self._transport is None or self.closed:
            raise Unavailable("the sandbox is gone")
        self._reply = self._loop.create_future()
        self._transport.write(frames.encode(kind, head, body))
        try:
            return await self._reply
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._reply = None

    def _expire(self) -> None:
        self._expired = True
        self.kill()

    def _elapsed_ms(self, started: float) -> float:
        return (self._clock.monotonic() - started) * 1000

    def _memory_mb(self, peak_mb: int) -> int:
        return min(self.spec.memory_mb, max(1, self._rss_mb, peak_mb))

    def _outcome_of_end(self, end: End, request_id: str, started: float) -> Outcome:
        """Return how an invocation ended whose sandbox did not survive it.

        Raises:
            Unavailable: Neither the function nor its limits ended it: the daemon was lost.
        """
        elapsed, used = self._elapsed_ms(started), self._memory_mb(end.peak_mb)
        if self._expired:
            payload = outcomes.timed_out(request_id, self.spec.timeout_ms)
            return Outcome(Ending.TIMED_OUT, payload, elapsed, used)
        if end.cause == "lost":
            raise Unavailable("the sandbox daemon is gone")
        self._explain(end)
        if end.cause == "memory":
            payload = outcomes.out_of_memory(request_id)
            return Outcome(Ending.OUT_OF_MEMORY, payload, elapsed, self.spec.memory_mb)
        payload = outcomes.exited(request_id, end.cause, end.status)
        return Outcome(Ending.EXITED, payload, elapsed, used)

    def _explain(self, end: End) -> None:
        if end.cause == "tmp":
            line = f"{_TMP} held more than {self.spec.tmp_mb} MB: the environment was ended\n"
            self._log(self._request_id, line.encode())

    async def credentials(self, credentials: Credentials) -> None:
        """Replace the credentials that the environment's SDK clients find."""
        if self._transport is not None and not self.closed:
            head = {"environment": variables.of_credentials(credentials)}
            self._transport.write(frames.encode(frames.CREDENTIALS, head))

    # -- the end -----------------------------------------------------------------------------

    def kill(self) -> None:
        """Ask the daemon to kill every process of the sandbox."""
        if not self.ended.done() and not self._link.closed:
            self._link.send("kill", id=self.number)

    async def close(self) -> None:
        """Kill every process of the sandbox and free what it held; returns when gone."""
        self.kill()
        await self.ended

    def finish(self, end: End) -> None:
        """Note that the sandbox is gone, as the daemon says (or with the daemon itself)."""
        if self.ended.done():
            return
        self._read_output()
        self.ended.set_result(end)
        self._close_output()
        self._close_birth()
        if self._transport is not None:
            self._transport.abort()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(end)

    # -- what comes in -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of the frames."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A sandbox that hangs up is ended; why it did comes from the daemon."""
        del exc
        self.kill()

    def data_received(self, data: bytes) -> None:
        """Take frames apart; nonsense ends the sandbox."""
        self._buffer += data
        try:
            while (frame := self._next_frame()) is not None:
                self._on_frame(frame)
        except (frames.Oversized, ValueError, RecursionError):
            self._buffer.clear()
            self.kill()
            cast("asyncio.Transport", self._transport).abort()  # what follows is not heard

    def _next_frame(self) -> frames.Frame | None:
        size = frames.PREFIX.size
        if len(self._buffer) < size:
            return None
        kind, head_bytes, body_bytes = frames.lengths(self._buffer[:size])
        total = size + head_bytes + body_bytes
        if len(self._buffer) < total:
            return None
        head = frames.head_of(bytes(self._buffer[size : size + head_bytes]))
        body = bytes(self._buffer[size + head_bytes : total])
        del self._buffer[:total]
        return frames.Frame(kind, head, body)

    def _on_frame(self, frame: frames.Frame) -> None:
        reply = self._reply
        if reply is None or reply.done() or not _answers(frame, self._request_id):
            raise ValueError("nothing was asked, or something else")
        rss = frame.head.get("maxrss_kb")
        if isinstance(rss, int):
            self._rss_mb = max(self._rss_mb, rss // _KB_PER_MB)
        self._read_output()
        reply.set_result(frame)

    def _read_output(self) -> None:
        """Hand on what was printed so far."""
        for _ in range(_READS_PER_TURN_MAX):
            if self._output < 0:
                return
            try:
                piece = os.read(self._output, OUTPUT_BYTES_PER_READ)
            except BlockingIOError:
                return
            if not piece:
                self._close_output()
                return
            self._log(self._request_id, piece)

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    def _read_birth(self, listening: Callable[[int], None]) -> None:
        """Take the listener that construction hands out, or its failure."""
        assert self._birth is not None
        try:
            raw, fds, _ = messages.receive_raw(self._birth, _BIRTH_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            raw, fds = b"", []
        for fd in fds:
            listening(fd)
        if raw.startswith(b"failed "):
            self._failure = raw.removeprefix(b"failed ").decode(errors="replace")
        if not raw or self._failure:
            self._close_birth()

    def _close_birth(self) -> None:
        if self._birth is not None:
            self._loop.remove_reader(self._birth)
            self._birth.close()
            self._birth = None


def _answers(frame: frames.Frame, request_id: str) -> bool:
    """Return whether a frame answers a request, or the assignment."""
    ours = frame.kind == frames.INIT or frame.head.get("request_id") == request_id
    return ours and frame.kind in {frames.INIT, frames.RESULT, frames.ERROR}
