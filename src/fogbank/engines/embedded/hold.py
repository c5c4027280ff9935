"""A pause between two groups of the log, so that several stores can be cut at one moment.

While a store is held it makes nothing durable and so lets nothing out. Whoever holds all stores of
a cloud at once and cuts each where it stands has one moment of them all: what any client or store
could have learned from a write lies behind that write in every cut. (Chandy and Lamport, 1985,
"Distributed Snapshots": a cut is consistent if no message crosses it backwards; here none is under
way.)

Rule: a hold ends by itself, because whoever asked may be dead; what was not cut by then is not.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable
from typing import Final

from fogbank.base.errors import Unavailable

HOLD_S_MAX: Final = 2.0
"""From the wish on. Writers wait meanwhile."""


class Hold:
    """The pause of one store.

    Args:
        loop: Its timers.
        go_on: Called when groups may begin again, or one may be held up.
    """

    __slots__ = ("_go_on", "_loop", "_needs_cut", "_reached", "_timer")

    def __init__(self, loop: AbstractEventLoop, go_on: Callable[[], None]) -> None:
        self._loop = loop
        self._go_on = go_on
        self._needs_cut = False
        self._reached: Future[None] | None = None
        self._timer: TimerHandle | None = None

    def begin(self, *, needs_cut: bool) -> Future[None]:
        """Return what is done once no group is under way; none begins until ``end``.

        Args:
            needs_cut: Wait until the log can be cut exactly there, too.
        """
        assert self._reached is None, "one at a time"
        self._needs_cut = needs_cut
        reached = self._reached = self._loop.create_future()
        self._timer = self._loop.call_later(HOLD_S_MAX, self.end)
        self._go_on()
        return reached

    def stops(self, *, can_cut: bool) -> bool:
        """Return whether no group may begin now; called when one could, and none is under way."""
        reached = self._reached
        if reached is None or (self._needs_cut and not can_cut and not reached.done()):
            return False
        if not reached.done():
            reached.set_result(None)
        return True

    def require(self) -> None:
        """Raise ``Unavailable`` if the store is not held now."""
        if self._reached is None or not self._reached.done():
            raise Unavailable("the store was held for too long before it was cut")

    def end(self) -> None:
        """Let groups begin again; harmless to repeat."""
        reached, self._reached = self._reached, None
        if reached is None:
            return
        assert self._timer is not None, "a hold has an end"
        self._timer.cancel()
        if not reached.done():
            reached.set_exception(Unavailable("the store could not be held in time"))
        self._go_on()
