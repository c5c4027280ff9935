"""One running sandbox, seen from the store process: birth, invocations, output, its end.

Rule: what comes out of a sandbox is untrusted; ``framing`` and ``runtime_api`` take it in, and
``Dialogue`` keeps the order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from fogbank.base.clock import Clock
from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.sandbox import outcomes, variables
from fogbank.engines.sandbox.birth import Birth, Listening
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.framing import FrameWire
from fogbank.engines.sandbox.inside import frames
from fogbank.engines.sandbox.keeping import Ended, Hooks, Keeping
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.meter import Meter
from fogbank.engines.sandbox.output import Output
from fogbank.engines.sandbox.programs import Program
from fogbank.engines.sandbox.rest import Rest
from fogbank.engines.sandbox.runtime_api import RuntimeApi
from fogbank.engines.sandbox.stem import Binding, Held, Stem
from fogbank.engines.sandbox.vitals import Vitals
from fogbank.platform.runtime import telemetry
from fogbank.platform.runtime.dialogue import Answer, Dialogue, Event, Phase, Turn
from fogbank.platform.runtime.extensions import Extensions
from fogbank.platform.runtime.port import (
    Chunks,
    Credentials,
    Ending,
    InitReport,
    LogSink,
    Outcome,
    SandboxSpec,
    UndeliveredError,
)

_Answer = TypeVar("_Answer")


class End(Exception):
    """A sandbox that is no more, and why; set on the futures of those who wait for it."""

    def __init__(self, cause: str, status: int, peak_mb: int, note: str, kind: str = "") -> None:
        super().__init__(f"{cause} {status} {note}")
        self.cause = cause
        self.status = status
        self.peak_mb = peak_mb
        self.note = note
        self.kind = kind
        """The type of an extension's error that ended it; then ``note`` has its words."""


class Setting(NamedTuple):
    """What is the same for all sandboxes of a runtime, and what one of them is given."""

    link: Link
    clock: Clock
    endpoint: str
    """URL of the cloud, inside."""
    init_timeout_ms: int
    roots: variables.Roots
    """Where code and layers lie, inside."""
    runtime: str
    """What runs the function: as asked for, or what stands in."""
    program: Program | None
    """What is executed; None: the zygote's own interpreter runs the handler."""
    api_port: int
    """Of the Runtime API inside."""
    ids: Ids
    stem: Stem | None = None
    """What runs already, and waits for the function."""

    @property
    def frames(self) -> bool:
        """Return whether the runtime speaks frames; else it speaks the Runtime API."""
        return self.program is None or self.program.frames

    def calls(self, spec: SandboxSpec) -> bool:
        """Return whether the Runtime API may be called: what a wrapper starts may be not ours."""
        program = self.program
        return program is not None and bool(not program.frames or program.wrapper(spec.environment))


def _order_of(number: int, spec: SandboxSpec, setting: Setting) -> dict[str, int | str]:
    """Return what the daemon must know to build a sandbox."""
    return {
        "id": number,
        "account": spec.account,
        "runtime": setting.runtime,
        "name": spec.function_name,
        "memory_mb": spec.memory_mb,
        "tmp_mb": spec.tmp_mb,
        "api": setting.api_port,
    }


def _assign(
    wire: FrameWire, spec: SandboxSpec, setting: Setting, environment: dict[str, str]
) -> None:
    """Send the environment, and what is to be executed in it."""
    program = setting.program
    if setting.stem is not None:
        wire.send(frames.ASSIGN, {"environment": environment, "executed": False})
        return
    if program is not None:
        head = {
            "candidates": program.paths(*setting.roots),
            "arguments": program.words(spec, *setting.roots),
            "environment": environment,
            "frames": program.frames,
            "wrapper": program.wrapper(environment),
        }
        wire.send(frames.EXECUTE, head)
    if setting.frames:
        executed = program is not None  # with these variables, which a wrapper may have changed
        wire.send(frames.ASSIGN, {"environment": environment, "executed": executed})


def _trees(spec: SandboxSpec) -> Iterator[int]:
    """Open the folders that are mounted into the sandbox."""
    for tree in filter(None, (spec.code_dir, spec.layers_dir)):
        yield os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


async def _settled(turn: Turn, chunks: Chunks | None, extensions: Extensions) -> Answer:
    """Return the answer once the extensions are done too; one that there is stays one."""
    answer = await turn.answered(chunks)
    with contextlib.suppress(End):
        await extensions.ready()
    return answer


class Environment:
    """One sandbox; implements the port's ``Sandbox``."""

    def __init__(self, number: int, spec: SandboxSpec, log: LogSink, setting: Setting) -> None:
        self.number = number
        self.spec = spec
        self.init = InitReport(0.0, None)
        self._setting = setting
        self._link = setting.link
        self.clock = setting.clock
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[End] = self._loop.create_future()
        self.binding = Binding(setting.stem)
        heard = Birth(lambda raw, fds: self._keeping.heard(raw, fds))
        self._birth = self.binding.held.birth if self.binding.held else heard
        hooks = Hooks(self._on_runtime_ended, self._on_extension_lost, self.kill)
        self._keeping = Keeping(spec, log, self._birth, hooks, setting.clock, setting.ids)
        self.tell, self.connect = self._keeping.tell, self._keeping.connect
        self._output = Output(log, self._keeping.printed(telemetry.FUNCTION))
        self._dialogue = Dialogue()
        self._frames = FrameWire(self._dialogue, self._output.read, self._hung_up)
        spoken, served = self._dialogue if setting.calls(spec) else None, self._keeping.served
        hear, ours = self._output.read, self._birth.is_ours
        self.api = RuntimeApi(spoken, served, hear, ours, framed=setting.frames)
        self._busy = self._expired = self._open = False
        self.meter = Meter(self._link, number)
        self._fallen: End | None = None
        """Why it serves no more although it is not gone yet: its extensions are to leave in order."""
        self._blamed: End | None = None
        """What ended it, unless the daemon says that memory did."""
        stays = spec.debug_port > 0
        self.rest = Rest(self._link, number, lambda: stays or self.closed or self._busy)
        self.look = Vitals(self._birth, self.rest).look
        served.awake = self.rest.awake
        self.requested = False
        """Whether the daemon was asked for it; then the daemon will tell its end."""

    @property
    def closed(self) -> bool:
        """Return whether the environment is gone, for whatever reason."""
        if self.ended.done() or not self._open or self._fallen is not None:
            return True
        return self.api.framed and self._frames.closed

    # -- birth -------------------------------------------------------------------------------

    async def open(self, listening: Listening) -> None:
        """Have the sandbox built; ``listening`` is given the listeners inside.

        Raises:
            Unavailable: The daemon is gone or the code is not there.
        """
        if self.binding.held is not None:
            await self._bind(self.binding.held, listening)
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        opened = [theirs.detach(), self._birth.open(), self._output.open()]
        try:
            opened.extend(_trees(self.spec))
            self._link.send("start", opened, **_order_of(self.number, self.spec, self._setting))
        except (OSError, Unavailable) as error:
            ours.close()
            self._output.close()
            self._birth.close()
            raise Unavailable(f"a sandbox cannot be started: {error}") from error
        finally:
            messages.close_all(opened)
        if self.ended.done():  # the daemon had died, and only asking it has shown it
            ours.close()
            raise Unavailable("the sandbox daemon is gone")
        self.requested = True
        self._output.watch()
        self._birth.watch(listening)
        await self._loop.create_unix_connection(lambda: self._frames, sock=ours)
        self._open = True

    async def _bind(self, held: Held, listening: Listening) -> None:
        """Give a stem its function; raises ``Unavailable``."""
        self.requested = True  # the daemon has it, and will tell its end
        self._output.adopt(held.output)
        await self._loop.create_unix_connection(lambda: self._frames, sock=held.frames)
        listening(held.listeners)
        order = _order_of(self.number, self.spec, self._setting)
        await self.binding.bind(self._link, order, _trees(self.spec))
        self._output.watch()
        self._open = True

    async def initialise(self, credentials: Credentials) -> None:
        """Hand over the assignment and wait for the start; a failure is in ``init``."""
        limit_ms = self._setting.init_timeout_ms
        started = self.clock.monotonic()
        stop = self._birth.limit(limit_ms / 1000, self._expire)
        try:
            if self.ended.done():
                raise self.ended.result()  # refused at once
            error = await self._answered(self._begin(credentials))
            if error is None:
                self._link.send("settle", id=self.number)
            else:
                self._fall(End("exited", 0, 0, ""), "failure")
                if not self._keeping.active:
                    await self.ended
        except End as end:
            error = self._init_error(end, limit_ms)
        finally:
            stop()
        self._expired = False
        self.rest.begin()
        reports = self._keeping.extensions.reports()
        self.init = InitReport(self._elapsed_ms(started), error, reports)

    async def _begin(self, credentials: Credentials) -> dict[str, object] | None:
        """Start the extensions, then the runtime; return its error, or None when all are ready."""
        setting, extensions = self._setting, self._keeping.extensions
        api = f"127.0.0.1:{setting.api_port}"
        roots, variables_of = setting.roots, variables.environment_of
        environment = variables_of(self.spec, credentials, setting.endpoint, roots, api)
        if self.spec.extensions_dir:
            self._keeping.extend()
            theirs = variables.of_extensions(environment)
            head = {"folder": self.spec.extensions_dir, "environment": theirs}
            self._frames.send(frames.EXTEND, head)
            await extensions.registered()
        _assign(self._frames, self.spec, setting, environment)
        error = await self._dialogue.started
        self._keeping.started()
        if error is None and extensions.any:
            await extensions.ready()
        self._keeping.ready()
        return error

    def _init_error(self, end: End, limit_ms: int) -> dict[str, object]:
        """Return why a start ended; raises ``Unavailable`` where it was not the user's doing."""
        if end.cause in {"refused", "lost"} or self._birth.failure:
            why = self._birth.failure or end.note or end.cause
            raise Unavailable(f"a sandbox could not be built: {why}")
        if self._expired:
            return outcomes.start_timed_out(limit_ms)
        if end.kind:
            return outcomes.init_error(end.kind, end.note)
        self._output.say(outcomes.explained(end.cause, self.spec.tmp_mb))
        return outcomes.start_ended(end.cause, end.status)

    # -- invocations -------------------------------------------------------------------------

    async def invoke(
        self,
        request_id: str,
        payload: bytes,
        deadline_ms: int,
        context: Mapping[str, str],
        chunks: Chunks | None = None,
    ) -> Outcome:
        """Run the handler once; end the whole sandbox at the deadline or out of memory."""
        assert not self._busy, "one invocation at a time"
        if self.closed:
            raise Unavailable("the sandbox is gone")
        self._output.read()  # what background threads printed belongs to the invocation before
        self._output.request_id = request_id
        self.rest.end()
        started = self.clock.monotonic()
        left_s = max(0.0, (deadline_ms - self.clock.now_ms()) / 1000)
        handle = self._loop.call_later(left_s, self._expire)
        event = Event(request_id, payload, deadline_ms, context)
        turn = self._dialogue.begin(event, streamed=chunks is not None)
        self._busy = True
        try:
            extensions = self._keeping.extensions
            extensions.begin(event)
            (self._frames if self.api.framed else self.api).deliver()
            answer = await self._answered(
                _settled(turn, chunks, extensions) if extensions.any else turn.answered(chunks)
            )
            self._keeping.output.read()
        except End as end:
            return self._outcome_of_end(end, request_id, started)
        finally:
            self._busy = False
            handle.cancel()
            self.rest.begin()
        elapsed_ms = self._elapsed_ms(started)
        used_mb = self._memory_mb(0 if self.api.framed else await self.meter.measure())
        ending = Ending.RAISED if answer.failed else Ending.RETURNED
        return Outcome(ending, answer.payload, elapsed_ms, used_mb, answer.content_type)

    async def _answered(self, answer: Awaitable[_Answer]) -> _Answer:
        """Wait for the runtime; who stops waiting ends it. Raises ``End``."""
        try:
            return await answer
        except asyncio.CancelledError:
            self.kill()
            raise

    def _expire(self) -> None:
        self._expired = True
        self._fall(End("signalled", signal.SIGKILL, 0, ""), "timeout")

    def _elapsed_ms(self, started: float) -> float:
        return (self.clock.monotonic() - started) * 1000

    def _memory_mb(self, peak_mb: int) -> int:
        return min(self.spec.memory_mb, max(1, self._frames.rss_mb, peak_mb))

    def _outcome_of_end(self, end: End, request_id: str, started: float) -> Outcome:
        """Return how an invocation ended whose sandbox did not survive it.

        Raises:
            UndeliveredError: The runtime had not asked for the event yet.
            Unavailable: Neither the function nor its limits ended it: the daemon was lost.
        """
        elapsed, used = self._elapsed_ms(started), self._memory_mb(end.peak_mb)
        if self._expired:
            payload = outcomes.timed_out(request_id, self.spec.timeout_ms)
            return Outcome(Ending.TIMED_OUT, payload, elapsed, used)
        if end.cause == "lost":
            raise Unavailable("the sandbox daemon is gone")
        if not self._dialogue.given:
            raise UndeliveredError("the runtime had ended before it asked for the event")
        self._output.say(outcomes.explained(end.cause, self.spec.tmp_mb))
        if end.cause == "memory":
            payload = outcomes.out_of_memory(request_id)
            return Outcome(Ending.OUT_OF_MEMORY, payload, elapsed, self.spec.memory_mb)
        payload = outcomes.exited(request_id, end.cause, end.status, end.kind, end.note)
        return Outcome(Ending.EXITED, payload, elapsed, used)

    async def credentials(self, credentials: Credentials) -> None:
        """Replace the credentials that the environment's SDK clients find.

        The variables of a program cannot be changed; its environment ends before they expire.
        """
        if not self.closed and self._setting.program is None:
            head = {"environment": variables.of_credentials(credentials)}
            self._frames.send(frames.CREDENTIALS, head)

    # -- the end -----------------------------------------------------------------------------

    def _hung_up(self) -> None:
        """End a sandbox that hangs up, or says nonsense; programs of others keep no frames."""
        framed, active = self.api.framed, self._keeping.active
        if active and framed:
            self._keeping.signal("", signal.SIGKILL)  # if it has ended already: how is told as well
        elif not active and (framed or self._dialogue.phase is Phase.INIT_ERROR):
            self.kill()

    def _on_runtime_ended(self, ended: Ended) -> None:
        """Note how the runtime ended that a keeper started."""
        if self._fallen is None and ended.was_killed:
            self.kill()  # maybe for want of memory, which the daemon knows
        else:
            self._fall(End(ended.cause, ended.status, 0, ""), "failure")

    def _on_extension_lost(self, kind: str, words: str) -> None:
        """End an environment that an extension has ended."""
        end = End("extension", 0, 0, words, kind)
        if self._keeping.killed or not self._keeping.active:
            self._blamed = end
            self.kill()
        else:
            self._fall(end, "failure")

    def _fall(self, end: End, reason: str) -> None:
        """Serve no more; extensions leave in order, in ``close``."""
        if not self._keeping.active:
            self.kill()
        elif self._fallen is None:
            self._fallen = end
            self._keeping.reason = reason
            self._dialogue.end(end)
            self._keeping.extensions.fall(end)

    def kill(self) -> None:
        """Ask the daemon to kill every process of the sandbox."""
        if not self.ended.done() and not self._link.closed:
            self._link.send("kill", id=self.number)

    async def close(self) -> None:
        """Kill every process of the sandbox and free what it held; returns when gone."""
        try:
            if self._keeping.active and not self.ended.done():
                self._fall(End("killed", 0, 0, ""), self._keeping.reason)
                self.rest.end()
                await self._keeping.shut_down()
        finally:
            self.kill()
        await self.ended

    def finish(self, end: End) -> None:
        """Note that the sandbox is gone, as the daemon says (or with the daemon itself)."""
        if self.ended.done():
            return
        end = self._blamed if self._blamed and end.cause != "memory" else end
        self._output.read()
        self.ended.set_result(end)
        self._output.close()
        self._birth.close()
        self._frames.abort()
        self._dialogue.end(end)
        self._keeping.end(end)
        self.binding.answered(end.note or end.cause)
        self.meter.measured(end.peak_mb)
