"""Sandboxes forked ahead of need: everything is built of them but what depends on whose they are.

Rule: a spare has run no user code and knows no function, only the zygote reaches it, and it
becomes one sandbox or ends; it ends with the zygote. Theory: forking a warm interpreter copies
its page tables, its first steps copy pages, and entering a control group waits for a grace period
of the kernel (up to tens of milliseconds where nobody did so lately): together most of a cold
start, and none of it depends on the function.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Spare(NamedTuple):
    """A process that waits at the other end of ``control`` for its ``spawn`` message."""

    pid: int
    pidfd: int
    control: socket.socket


class Spares:
    """The spares of one zygote, by the numbers that sandboxd gave them."""

    def __init__(self, fork: Callable[[socket.socket, Sequence[int]], int]) -> None:
        """Start with none; ``fork`` returns the pid of a child that waits at a socket.

        It is also given what the child writes to, to enter its control groups.
        """
        self._fork = fork
        self._waiting: dict[int, Spare] = {}

    @property
    def pids(self) -> list[int]:
        """Return the processes that wait."""
        return [spare.pid for spare in self._waiting.values()]

    def make(self, groups: Sequence[int]) -> Spare:
        """Fork a spare, which is the caller's; raises ``OSError``."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = self._fork(theirs, groups)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return Spare(pid, os.pidfd_open(pid), ours)

    def keep(self, number: int, spare: Spare) -> None:
        """Keep a spare under a number."""
        self._waiting[number] = spare

    def take(self, number: int) -> Spare | None:
        """Return a spare, which is the caller's from now on, or None if it is gone."""
        return self._waiting.pop(number, None)

    def number_of(self, pidfd: int) -> int | None:
        """Return the number of a spare that waits, or None if it is none."""
        return next((n for n, spare in self._waiting.items() if spare.pidfd == pidfd), None)

    def detach(self) -> None:
        """Let go of the descriptors in a child, which closes them by number."""
        for spare in self._waiting.values():
            spare.control.detach()


def discard(spare: Spare) -> None:
    """End a spare and collect it."""
    signal.pidfd_send_signal(spare.pidfd, signal.SIGKILL)
    os.waitpid(spare.pid, 0)
    os.close(spare.pidfd)
    spare.control.close()
