"""When a sandbox stands still: from a moment after its answer until the next invocation.

AWS: an environment is frozen when it has answered. Rule: here a little later, with one timer that
is never cancelled, so that a function that is called again and again pays nothing for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.link import Link

FREEZE_AFTER_S = 0.1


class Rest:
    """The rest of one sandbox."""

    def __init__(self, link: Link, number: int, busy: Callable[[], bool]) -> None:
        """Take whom to tell about which sandbox, and whether it works or is gone."""
        self._link = link
        self._number = number
        self._busy = busy
        self._loop = asyncio.get_running_loop()
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._frozen = False
        self.awake = asyncio.Event()
        """Whether what is inside runs."""
        self.awake.set()

    def begin(self) -> None:
        """Have everything inside frozen soon, unless there is more to do before."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(FREEZE_AFTER_S, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._busy():
            return  # it rests again when it has answered
        left_s = self._since + FREEZE_AFTER_S - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self.freeze()

    def freeze(self) -> None:
        """Have everything inside stand still now."""
        self._frozen = True
        self.awake.clear()
        self._tell("freeze")

    def end(self) -> None:
        """Let what is inside run again; it finds what was sent to it waiting."""
        if self._frozen:
            self._frozen = False
            self._tell("thaw")
            self.awake.set()

    def _tell(self, op: str) -> None:
        with contextlib.suppress(Unavailable):  # then it is ending
            self._link.send(op, id=self._number)
