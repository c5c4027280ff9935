"""Which zygote forks for whom: one per account and interpreter, a warm spare, timely renewal.

Theory: a zygote holds nothing of an account until it has forked for it, so a spare may be warmed
before anybody knows for whom; forks of one zygote share address layout and hash seed, so no two
accounts share one and each is replaced after so many forks and seconds. A replaced zygote stays
until its last sandbox has ended, because it is the first process of their pid namespace.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fogbank.engines.sandbox.daemon import cgroups, messages, zygotes
from fogbank.engines.sandbox.daemon.cells import read_only_trees
from fogbank.engines.sandbox.daemon.config import LANDLOCK, Config
from fogbank.engines.sandbox.daemon.stems import paths_behind
from fogbank.engines.sandbox.daemon.steps import Steps

WARM_UP_SECONDS_MAX = 120
SPARE_AFTER_S = 0.01
"""How long after a start a zygote forks ahead: the sandbox that was asked for goes first."""
SPARES_LOST_MAX = 3
"""Spares that may end by themselves before a zygote makes no more: the next start tells why."""
_SPARE_DELAY_S = 1.0
_FAILURES_MAX = 5


@dataclass(slots=True, eq=False)
class Zygote:
    """One zygote and what it has forked."""

    runtime: str
    account: str
    """Whose it is; empty for a spare."""
    born: zygotes.Born
    block: int
    started: float
    ready: bool = False
    ending: bool = False
    forks: int = 0
    last_fork: float = 0.0
    cells: set[int] = field(default_factory=set[int])
    spares: dict[int, cgroups.Group | None] = field(default_factory=dict[int, cgroups.Group | None])
    """What it forked ahead, the oldest first, with the control groups they are in."""
    spares_lost: int = 0

    def attach(self, number: int, fds: Sequence[int]) -> None:
        """Have code and layers mounted in a sandbox without any; raises ``OSError``."""
        trees = read_only_trees(paths_behind(fds), fds)
        try:
            messages.send(self.born.control, messages.encode("attach", id=number), trees)
        finally:
            messages.close_all(trees)

    def spare_at(self, wanted: int) -> float:
        """Return when one more spare is due, by the monotonic clock, or infinity."""
        if not self.ready or self.ending or self.spares_lost >= SPARES_LOST_MAX:
            return math.inf
        return math.inf if len(self.spares) >= wanted else self.last_fork + SPARE_AFTER_S


@dataclass(slots=True)
class Nursery:
    """All zygotes of this daemon."""

    config: Config
    identity: zygotes.Identity
    interpreters: dict[str, zygotes.Interpreter]
    level: int
    steps: Steps
    adopt: Callable[[Zygote], None]
    """Told of every new zygote, so that its socket is listened to."""
    all: list[Zygote] = field(default_factory=list[Zygote])
    _serving: dict[tuple[str, str], Zygote] = field(default_factory=dict[tuple[str, str], Zygote])
    _expected: str = ""
    """The runtime of which one warm zygote is kept for the next new account; empty: of none yet."""
    _spare_at: float = 0.0
    _failures: int = 0

    def zygote_for(self, runtime: str, account: str) -> Zygote:
        """Return the zygote that forks an account's next sandbox; raises ``OSError``."""
        key = (runtime, account)
        current = self._serving.get(key)
        now = time.monotonic()
        if current is not None and not self._worn(current, now):
            return self._used(current, now)
        chosen = self._spare(runtime) or self._start(runtime)
        if current is not None and not chosen.ready and not self._spent(current):
            return self._used(current, now)  # worn, but better than waiting
        chosen.account = account
        chosen.started = now
        self._serving[key] = chosen
        self._spare_at = now + _SPARE_DELAY_S
        return self._used(chosen, now)

    def slot_of(self, zygote: Zygote) -> int:
        """Return the uid that the zygote's child takes, as the zygote numbers uids; 0 keeps it."""
        if not self.identity.privileged:
            return 0
        if self.level >= LANDLOCK:
            return self.identity.host_uid(zygote.block, zygote.forks)
        return zygote.forks

    def owner_of(self, zygote: Zygote, slot: int) -> int:
        """Return the host's uid of a sandbox that has one of its own, else -1."""
        if not slot or self.level >= LANDLOCK:
            return slot or -1
        return self.identity.host_uid(zygote.block, slot)

    def _used(self, zygote: Zygote, now: float) -> Zygote:
        zygote.forks += 1
        zygote.last_fork = now
        return zygote

    def _worn(self, zygote: Zygote, now: float) -> bool:
        """Return whether a zygote should be replaced when a successor is warm."""
        old = now - zygote.started > self.config.zygote_seconds_max
        return zygote.forks >= self.config.forks_max or old

    def _spent(self, zygote: Zygote) -> bool:
        """Return whether a zygote may not fork once more: its uids are used up."""
        return zygote.forks >= min(2 * self.config.forks_max, zygotes.BLOCK_IDS - 1)

    def _spare(self, runtime: str) -> Zygote | None:
        spares = [z for z in self.all if not (z.account or z.ending) and z.runtime == runtime]
        return spares[0] if spares else None

    def _start(self, runtime: str) -> Zygote:
        """Start a zygote; it takes requests at once and answers when it is warm."""
        if not self._has_room():
            self._end_idlest()
        taken = {zygote.block for zygote in self.all}
        block = next((b for b in range(zygotes.BLOCKS_MAX) if b not in taken), -1)
        if block < 0 or not self._has_room():
            raise OSError("too many zygotes")
        interpreter = self.interpreters[runtime]
        wanted = zygotes.Wanted(self.config.port, self.config.spares)
        if self.level >= LANDLOCK:
            born = zygotes.start_bare(interpreter, wanted, self.level, self.steps)
        else:
            born = zygotes.start(interpreter, self.identity, block, wanted, self.steps)
        zygote = Zygote(runtime, "", born, block, time.monotonic())
        self.all.append(zygote)
        self.adopt(zygote)
        return zygote

    def _has_room(self) -> bool:
        return sum(not zygote.ending for zygote in self.all) < self.config.zygotes_max

    def _end_idlest(self) -> None:
        idle = [zygote for zygote in self.all if not (zygote.cells or zygote.ending)]
        if idle:
            self.end(min(idle, key=lambda zygote: zygote.last_fork))

    def end(self, zygote: Zygote) -> None:
        """Kill a zygote and with it every sandbox that it forked; they are gone on return.

        Its socket stays open: the loop hears the end there and calls ``forget``.
        """
        zygote.ending = True
        for key, serving in list(self._serving.items()):
            if serving is zygote:
                del self._serving[key]
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(zygote.born.pidfd, signal.SIGKILL)

    def forget(self, zygote: Zygote) -> None:
        """Collect a zygote that has ended, in whatever way, and free what it held."""
        self.end(zygote)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(zygote.born.pid, 0)
        os.close(zygote.born.pidfd)
        zygote.born.control.close()
        self.all.remove(zygote)
        if not zygote.ready:
            self._failures += 1
            self._spare_at = time.monotonic() + 2.0**self._failures

    def warmed(self, zygote: Zygote) -> None:
        """Note that a zygote is ready."""
        with self.steps("warm zygote"):
            zygote.ready = True
        self._failures = 0

    def lacking(self, now: float) -> list[Zygote]:
        """Return the zygotes that should fork ahead now."""
        return [z for z in self.all if z.spare_at(self.config.spares) <= now]

    def fork_ahead_at(self) -> float:
        """Return when the next zygote should fork ahead, or infinity."""
        return min((z.spare_at(self.config.spares) for z in self.all), default=math.inf)

    def expect(self, runtime: str) -> None:
        """Keep a warm zygote for the next function of a runtime, from now on."""
        self._expected = self.config.runtimes[runtime].zygote or runtime

    def due(self) -> float:
        """Return when a spare is wanted, by the monotonic clock; infinity if there is one."""
        wanted = self._expected
        if not wanted or self._failures >= _FAILURES_MAX or self._spare(wanted) is not None:
            return math.inf
        return self._spare_at

    def tick(self, now: float) -> None:
        """Keep a spare, end what is retired, stuck or long unused."""
        serving = set(map(id, self._serving.values()))
        for zygote in list(self.all):
            retired = zygote.account and id(zygote) not in serving and not zygote.cells
            stuck = not zygote.ready and now - zygote.started > WARM_UP_SECONDS_MAX
            unused = zygote.account and not zygote.cells and self._unused(zygote, now)
            if retired or stuck or unused:
                self.end(zygote)
        if now >= self.due() and self._has_room():
            self._start(self._expected)

    def _unused(self, zygote: Zygote, now: float) -> bool:
        return now - zygote.last_fork > self.config.zygote_seconds_max
