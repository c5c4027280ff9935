"""The watchdog: the service manager hears that we are well only while every process answers.

At half of the period that the service manager names, each child is asked; when the last of them has
answered, ``WATCHDOG=1`` is said. So a process whose loop is stuck leads to silence, and the service
manager ends and starts the whole server: what hangs for ever inside one process is nothing that we
could mend from another. A child that is starting answers nothing yet; it counts as well for as long
as a start may take.

Source: systemd, sd_watchdog_enabled(3), sd_notify(3), systemd.service(5) ``WatchdogSec=``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from fogbank.server import notify

PERIOD: Final = "WATCHDOG_USEC"
PID: Final = "WATCHDOG_PID"
ALIVE: Final = "WATCHDOG=1"


class Watched(Protocol):
    """A process that can be asked whether its loop turns."""

    name: str

    def ask(self) -> None:
        """Ask it, unless an answer is still to come."""
        ...

    @property
    def is_well(self) -> bool:
        """Return whether it owes no answer."""
        ...


def period_s(environment: Mapping[str, str], pid: int) -> float:
    """Return within how many seconds the service manager wants to hear from us; 0: it does not."""
    text = environment.get(PERIOD, "")
    if not text.isdecimal() or environment.get(PID, str(pid)) != str(pid):
        return 0.0
    return int(text) / 1_000_000


class Watchdog:
    """Asks every child, and tells the service manager when all have answered.

    Args:
        children: Who is asked.
        half_s: Seconds from one round to the next; 0: nobody wants to hear.
        warn: Tells the operator.
        say: Tells the service manager.
    """

    def __init__(
        self,
        children: Sequence[Watched],
        half_s: float,
        warn: Callable[[str], object],
        say: Callable[[str], object] = notify.say,
    ) -> None:
        self._children = children
        self._half_s = half_s
        self._warn = warn
        self._say = say
        self._stuck: set[str] = set()
        """The children whose silence the operator was told of."""
        self._next = 0.0
        self._is_open = False
        """Whether the answers of a round are waited for."""

    @property
    def is_wanted(self) -> bool:
        """Return whether a service manager wants to hear from us."""
        return self._half_s > 0

    def wait_s(self) -> float | None:
        """Return the seconds until the next round is due; None if there never is one."""
        return max(0.0, self._next - time.monotonic()) if self.is_wanted else None

    def turn(self) -> None:
        """Begin a round if one is due, and tell the service manager if one has ended."""
        if not self.is_wanted:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._half_s
            self._look()
            self._is_open = True
            for child in self._children:
                child.ask()
        if self._is_open and all(child.is_well for child in self._children):
            self._is_open = False
            self._say(ALIVE)

    def _look(self) -> None:
        """Tell the operator, once, who has not answered the round before: it may be the last word."""
        for child in self._children:
            if child.is_well:
                self._stuck.discard(child.name)
            elif child.name not in self._stuck:
                self._stuck.add(child.name)
                self._warn(f"{child.name} does not answer")


def of_environment(children: Sequence[Watched], warn: Callable[[str], object]) -> Watchdog:
    """Return the watchdog that our environment asks for."""
    return Watchdog(children, period_s(os.environ, os.getpid()) / 2, warn)
