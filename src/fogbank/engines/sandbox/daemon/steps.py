"""The steps at which tests kill this daemon, to prove that nothing is left over.

Rule: a step changes nothing; only a daemon whose configuration names one (no setting does) dies
there, as by ``kill -9``, the first time it comes by. Theory: zygotes and sandboxes cannot signal it
from their pid namespaces. At their steps they write to a socket at which the kernel kills the daemon
(``O_ASYNC`` with ``F_SETSIG``), and go on when its end is closed: then it is dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Generator
from contextlib import AbstractContextManager

STEPS = (
    *("make directory", "find level", "clone zygote", "map zygote", "open zygote's gate"),
    *("warm zygote", "prepare spare", "make cell", "limit cell", "open trees", "ask for fork"),
    *("hear of fork", "bind", "hear of function", "settle", "freeze", "thaw", "measure", "kill"),
    *("hear of end", "remove cell", "close"),
)
INSIDE = (  # zygotes and sandboxes, in their order
    *("build root", "execute zygote", "preload", "fork", "join groups", "enter namespaces"),
    *("mount", "open endpoint", "arrange descriptors", "limit", "change identity"),
    *("attach", "raise walls", "load filters", "import handler", "first frame", "tell end"),
)
WIRE_FD = 200
_NOTHING = contextlib.nullcontext()


class Steps:
    """Marks steps; the one named in the configuration is deadly."""

    def __init__(self, deadly: str = "", wire: int = -1) -> None:
        name, _, side = deadly.partition(":")
        assert not deadly or (name in STEPS + INSIDE and side in {"before", "after"}), deadly
        self.deadly = deadly
        self.wire = wire
        """What kills the daemon when it is written to; -1 without a deadly step inside."""
        self._trigger: socket.socket | None = None

    def arm(self) -> None:
        """Have the kernel kill this process when a deadly step inside is reached."""
        if self.deadly.partition(":")[0] not in INSIDE:
            return
        self._trigger, wire = socket.socketpair()
        self.wire = os.dup2(wire.detach(), WIRE_FD)
        fcntl.fcntl(self._trigger, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(self._trigger, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._trigger, fcntl.F_SETFL, os.O_ASYNC)

    def leave(self) -> None:
        """Note that this is a child of the daemon."""
        if self._trigger is not None:
            self._trigger.close()

    def __call__(self, name: str) -> AbstractContextManager[None]:
        """Die before or after what is done within, if that is asked."""
        return self._around(name) if self.deadly else _NOTHING

    @contextlib.contextmanager
    def _around(self, name: str) -> Generator[None]:
        assert name in STEPS + INSIDE, name
        self._pass(f"{name}:before")
        yield
        self._pass(f"{name}:after")

    def _pass(self, point: str) -> None:
        if point != self.deadly:
            return
        if self.wire < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.deadly = ""
        with contextlib.suppress(ConnectionError):
            os.write(self.wire, b".")
            os.read(self.wire, 1)  # returns, or fails, when the daemon is dead
