"""One stem, seen from the store process: a runtime that waits in a sandbox for its function.

Rule: whoever binds it takes all that it holds, and it is never bound twice. Nothing of any function is
in it, so what it says before that is ours: one frame, when it has booted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.birth import Birth
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.inside import frames
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.meter import Meter

WARM_SECONDS_MAX = 60.0
"""For a runtime to boot, on a busy machine; then it is given up."""

_OF_BINDING = ("id", "name", "memory_mb", "tmp_mb")
_WARM = frames.encode(frames.WARM, {})


class Kind(NamedTuple):
    """What stems have in common that can stand in for each other."""

    account: str
    runtime: str
    """What is executed: as the machine names it."""
    candidates: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    """Variables that no function has a say in."""


class Held(NamedTuple):
    """What a stem holds, which becomes that of an environment."""

    frames: socket.socket
    birth: Birth
    output: int
    listeners: list[int]


class Binding:
    """How one stem gets its function."""

    def __init__(self, stem: Stem | None) -> None:
        """Take all that a stem holds; None: there is none."""
        self.held = None if stem is None else stem.release()
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def answered(self, why: str) -> None:
        """Note that the code is there, or why the stem cannot have it."""
        if not self._answer.done():
            self._answer.set_result(why)

    async def bind(self, link: Link, order: Mapping[str, int | str], trees: Iterable[int]) -> None:
        """Give it limits, code and layers; raises ``Unavailable`` where it cannot have them."""
        opened: list[int] = []
        try:
            opened.extend(trees)
            link.send("bind", opened, **{name: order[name] for name in _OF_BINDING})
        except OSError as error:
            raise Unavailable(f"a sandbox cannot be started: {error}") from error
        finally:
            messages.close_all(opened)
        why = await self._answer
        if why:
            raise Unavailable(f"a stem cannot have this function: {why}")


class Stem:
    """A sandbox without a function."""

    def __init__(self, number: int, kind: Kind, link: Link) -> None:
        """Take its number at the daemon, and what it is to run."""
        self.number = number
        self.kind = kind
        self.warm = False
        self.memory_mb = 0
        """The most that it held, once it was measured."""
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._booting = True
        self._ended = False
        self._birth = Birth(lambda _, fds: messages.close_all(fds))
        self._listeners: list[int] = []
        self._output = -1
        self._frames: socket.socket | None = None
        self.meter = Meter(link, number)

    async def open(self, api_port: int) -> None:
        """Have it built and booted.

        Raises:
            Unavailable: The daemon has no room for it, or it has ended.
        """
        self._frames, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._frames.setblocking(False)  # noqa: FBT003 (positional in socket)
        self._output, written = os.pipe()
        os.set_blocking(self._output, False)
        opened = [theirs.detach(), self._birth.open(), written]
        try:
            self._link.send(
                "start",
                opened,
                id=self.number,
                account=self.kind.account,
                runtime=self.kind.runtime,
                name="stem",
                memory_mb=0,
                tmp_mb=0,
                api=api_port,
            )
        finally:
            messages.close_all(opened)
        self._birth.watch(self._listeners.extend)
        head = {
            "candidates": self.kind.candidates,
            "arguments": self.kind.arguments,
            "environment": dict(self.kind.environment),
            "frames": True,
            "wrapper": "",
        }
        try:
            with contextlib.suppress(OSError):  # one that has ended, or takes too long
                async with asyncio.timeout(WARM_SECONDS_MAX):
                    await self._boot(frames.encode(frames.EXECUTE, head))
        finally:
            self._booting = False
            if self._ended:
                self._free()
            elif not self.warm:
                self.discard()
        if not self.warm or self._ended:
            raise Unavailable(f"a stem of {self.kind.runtime} does not start")

    async def _boot(self, order: bytes) -> None:
        """Have the runtime executed, and wait until it says that it waits."""
        assert self._frames is not None, "it was opened"
        await self._loop.sock_sendall(self._frames, order)
        raw = b""
        while len(raw) < len(_WARM):
            piece = await self._loop.sock_recv(self._frames, len(_WARM) - len(raw))
            if not piece:
                return
            raw += piece
        self._birth.read()
        if raw != _WARM or not self._listeners:
            return
        self.memory_mb = await self.meter.measure()
        self.warm = True

    def release(self) -> Held:
        """Let go of all that it holds, for an environment to take."""
        assert self.warm, "it has booted"
        assert self._frames is not None, "and is taken once"
        held = Held(self._frames, self._birth, self._output, self._listeners)
        self._frames, self._output, self._listeners = None, -1, []
        return held

    def finish(self) -> None:
        """Note that the sandbox is gone, and free what it holds still."""
        self._ended = True
        self.meter.measured(0)
        if not self._booting:
            self._free()
        elif self._frames is not None:
            self._frames.shutdown(socket.SHUT_RDWR)  # whoever reads there is told

    def _free(self) -> None:
        if self._frames is not None:
            self._frames.close()
            self._frames = None
            self._birth.close()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        messages.close_all(self._listeners)
        self._listeners = []

    def discard(self) -> None:
        """Have the daemon kill it; the daemon tells when it is gone."""
        with contextlib.suppress(Unavailable):
            if not self._ended:
                self._link.send("kill", id=self.number)
