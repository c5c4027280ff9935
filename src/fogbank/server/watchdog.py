"""The watchdog: who hangs is killed, and the service manager hears of us only while all answer.

At half of the period that the service manager names, or more often, each child is asked; when the
last of them has answered, ``WATCHDOG=1`` is said. With a service manager and without one, a child
that has not answered for ``processes.hang_ms`` is killed, and then started again alone like any that
dies; where even that does not help, the service manager hears nothing, and ends and starts the whole
server. A child that is starting answers nothing yet; it counts as well for as long as a start may
take, and is not killed.

Source: systemd, sd_watchdog_enabled(3), sd_notify(3), systemd.service(5) ``WatchdogSec=``.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from fogbank.server import notify

PERIOD: Final = "WATCHDOG_USEC"
PID: Final = "WATCHDOG_PID"
ALIVE: Final = "WATCHDOG=1"
ROUNDS: Final = 4
"""So often is a child asked while it hangs, before it is killed."""


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

    @property
    def is_starting(self) -> bool:
        """Return whether it has not said yet whether it serves."""
        ...

    def abort(self) -> None:
        """Kill it where it stands."""
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
        half_s: The service manager hears of us at least so often; 0: it does not want to.
        hang_s: Seconds without an answer after which a child is killed; 0: never.
        warn: Tells the operator.
        say: Tells the service manager.
    """

    def __init__(
        self,
        children: Sequence[Watched],
        half_s: float,
        hang_s: float,
        warn: Callable[[str], object],
        say: Callable[[str], object] = notify.say,
    ) -> None:
        self._children = children
        self._half_s = half_s
        self._hang_s = hang_s
        self._round_s = min([s for s in (half_s, hang_s / ROUNDS) if s], default=0.0)
        """Seconds from one round to the next; 0: nobody is asked."""
        self._missed: Counter[str] = Counter()
        """Rounds that each child has let pass since its last answer: no clock, so that an answer which
        lies here while we ourselves stood still is read before anybody is killed for it."""
        self._warn = warn
        self._say = say
        self._stuck: set[str] = set()
        """The children whose silence the operator was told of."""
        self._next = 0.0
        self._is_open = False
        """Whether the answers of a round are waited for."""

    def wait_s(self) -> float | None:
        """Return the seconds until the next round is due; None if there never is one."""
        return max(0.0, self._next - time.monotonic()) if self._round_s else None

    def turn(self) -> None:
        """Begin a round if one is due, and tell the service manager if one has ended."""
        if not self._round_s:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._round_s
            self._look()
            self._is_open = True
            for child in self._children:
                child.ask()
        if self._is_open and all(child.is_well for child in self._children):
            self._is_open = False
            if self._half_s:
                self._say(ALIVE)

    def _look(self) -> None:
        """Tell the operator, once, who has not answered the round before; kill who hangs too long."""
        for child in self._children:
            if child.is_well:
                self._stuck.discard(child.name)
                del self._missed[child.name]
                continue
            if child.name not in self._stuck:
                self._stuck.add(child.name)
                self._warn(f"{child.name} does not answer")
            self._missed[child.name] += 1
            silent_s = self._missed[child.name] * self._round_s
            if self._hang_s and silent_s >= self._hang_s and not child.is_starting:
                self._warn(f"{child.name} has not answered for {silent_s:.0f} s; killing it")
                child.abort()
                del self._missed[child.name]


def of_environment(
    children: Sequence[Watched], hang_s: float, warn: Callable[[str], object]
) -> Watchdog:
    """Return the watchdog that our environment and the settings ask for."""
    return Watchdog(children, period_s(os.environ, os.getpid()) / 2, hang_s, warn)
