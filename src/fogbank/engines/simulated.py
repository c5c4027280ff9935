"""The simulated engine: a machine whose disk syncs late, whose store fails, and that dies and returns.

Rule: it keeps what the embedded engine promises and nothing more. A commit is seen at once by those
that follow, and is durable only with the sync of its group; whatever ``transact`` and ``read`` let
out (values, errors, hints) leaves behind that sync. A death takes what no sync has kept, and what
was kept though nobody heard of it stands after the return. Every choice is drawn from the chance it
is handed, so that a run repeats.

Theory: deterministic simulation as of FoundationDB ("Testing Distributed Systems w/ Deterministic
Simulation", Wilson 2014) and TigerBeetle's VOPR: the code above runs unchanged in one process under
virtual time; time, entropy and faults come from one seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple, TypeVar

from fogbank.base.clock import Clock
from fogbank.base.errors import Conflict, Unavailable
from fogbank.engines.cuts import Cuts
from fogbank.engines.memory import MemoryBlobs, MemoryEngine, MemoryStore, Overlay
from fogbank.engines.watch import Watchers
from fogbank.platform.blobs.port import BlobRef, Chunk
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import SYSTEM, Body, Domain, OwnStore, Store, Token

T = TypeVar("T")


class Faults(NamedTuple):
    """How a machine fails: shares of 1, drawn each time."""

    weather: float = 0.0
    """Of transactions that the store refuses for the moment, before they ran."""
    death: float = 0.0
    """Of syncs in which the process dies: half of them before the disk has kept the group."""
    turns_max: int = 0
    """So many turns of the loop a sync takes at most."""


QUIET: Final = Faults()
"""A machine that does not fail."""


class _Change(NamedTuple):
    """Something that no sync has kept yet."""

    undo: Callable[[], None]
    tell: Callable[[], None]
    """Gives the hints that leave when it is durable."""


class SimulatedStore(MemoryStore):
    """The keys of one domain of a simulated machine."""

    __slots__ = ("_machine",)

    def __init__(self, engine: SimulatedEngine, domain: Domain) -> None:
        super().__init__(engine, domain)
        self._machine = engine

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body; return when the group of its commit is durable."""
        once = body if token is None else tokens.once(body, token)
        return await self._machine.released(self._domain, once, writable=True)

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; return when what it saw is durable."""
        return await self._machine.released(self._domain, body, writable=False)


class SimulatedEngine(MemoryEngine):
    """One store and its blobs on one simulated machine.

    Args:
        clock: The engine's time.
        chance: Draws from [0, 1).
        replay: Run every body again and compare, as the memory engine does.
    """

    def __init__(self, *, clock: Clock, chance: Callable[[], float], replay: bool = False) -> None:
        super().__init__(check=True, replay=replay, clock=clock)
        self.blobs = SimulatedBlobs(self)
        self.faults = QUIET
        self.deaths = 0
        self.syncs = 0
        self._chance = chance
        self._is_alive = True
        self._is_syncing = False
        self._journal: list[_Change] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._dead: asyncio.Event = asyncio.Event()

    def store_of(self, domain: Domain) -> Store:
        """Return the store of a domain."""
        return SimulatedStore(self, domain)

    def system_stores(self) -> tuple[OwnStore, ...]:
        """Return the one store, seen through its system subspaces."""
        return (SimulatedStore(self, SYSTEM),)

    async def released(self, domain: Domain, body: Body[T], *, writable: bool) -> T:
        """Run a body, and let out what came of it when all that it may have seen is durable.

        Raises:
            Weather: The store refuses for the moment; nothing ran.
        """
        self._require_weather()
        try:
            return self.run(domain, body, writable=writable)
        finally:
            await self.synced()

    def _require_weather(self) -> None:
        """Raise where the machine is dead, or the store has a bad moment."""
        if not self._is_alive:
            raise Unavailable("the process is dead")
        if self._chance() < self.faults.weather:
            raise Conflict("simulated") if self._chance() < 0.5 else Unavailable("simulated")  # noqa: PLR2004 (a coin)

    def noted(self, replaced: Overlay, version: int) -> None:
        """Keep what a commit replaced, until a sync has kept the commit."""
        super().noted(replaced, version)

        def undo() -> None:
            for key, value in replaced.items():
                if value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = value
            self._version = version - 1

        self.journal(undo, lambda: self.watchers.committed(replaced))

    def hint(self, keys: Overlay) -> None:
        """Give no hint yet: it leaves with the sync."""

    # The disk.

    def journal(self, undo: Callable[[], None], tell: Callable[[], None] = lambda: None) -> None:
        """Note a change that a death takes back unless a sync has kept it."""
        self._journal.append(_Change(undo, tell))

    async def synced(self) -> None:
        """Wait until everything that is written now is durable; for ever, if the process dies."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._is_alive:
            raise Unavailable("the process is dead")
        self._waiters.append(waiter)
        if not self._is_syncing:
            self._begin()
        await waiter

    def _begin(self) -> None:
        """Begin the sync of all that waits."""
        group, self._waiters = self._waiters, []
        self._is_syncing = True
        count, life = len(self._journal), self.deaths

        def end() -> None:
            if life == self.deaths:
                self._end(group, count)

        self._later(int(self._chance() * (self.faults.turns_max + 1)), end)

    def _later(self, turns: int, work: Callable[[], None]) -> None:
        """Work after some turns of the loop."""
        again = work if turns == 0 else lambda: self._later(turns - 1, work)
        asyncio.get_running_loop().call_soon(again)

    def _end(self, group: list[asyncio.Future[None]], count: int) -> None:
        """End a sync: its group is durable, and its waiters hear of it, unless the process dies."""
        drawn = self._chance()
        if drawn < self.faults.death / 2:
            self.die()
            return
        kept, self._journal = self._journal[:count], self._journal[count:]
        self.syncs += 1
        if drawn < self.faults.death:
            self.die()
            return
        for change in kept:
            change.tell()
        for waiter in group:
            if not waiter.done():
                waiter.set_result(None)
        self._is_syncing = False
        if self._waiters:
            self._begin()

    # Death and return.

    def die(self) -> None:
        """Take back all that no sync has kept; nobody who waits hears anything."""
        assert self._is_alive, "a process dies once"
        self._is_alive = False
        self.deaths += 1
        for change in reversed(self._journal):
            change.undo()
        self._journal.clear()
        self._waiters.clear()
        self.forget_past()
        self._dead.set()

    @property
    def is_dead(self) -> bool:
        """Return whether the process is dead."""
        return not self._is_alive

    async def died(self) -> None:
        """Return when the process is dead."""
        await self._dead.wait()

    def reopen(self) -> None:
        """Return to life with what the disk has kept."""
        assert not self._is_alive, "only the dead return"
        self._dead = asyncio.Event()
        self.watchers = Watchers()
        self.cuts = Cuts(self.now_ms)
        self.blobs.reopen()
        self._is_syncing = False
        self._is_alive = True


class SimulatedBlobs(MemoryBlobs):
    """Blobs on the disk of a simulated machine: one that no sync has kept is gone with a death."""

    def __init__(self, engine: SimulatedEngine) -> None:
        super().__init__()
        self._engine = engine
        self._before = BlobRef(1, 0)

    async def write(
        self, ref: BlobRef, chunks: AsyncIterator[Chunk], *, lock: bytes | None = None
    ) -> int:
        """Store the chunks under a fresh name; return when they are durable."""
        size = await super().write(ref, chunks, lock=lock)
        await self._kept(ref)
        return size

    async def concat(self, ref: BlobRef, parts: list[BlobRef]) -> int:
        """Store the bytes of other blobs; return when they are durable."""
        size = await super().concat(ref, parts)
        await self._kept(ref)
        return size

    async def _kept(self, ref: BlobRef) -> None:
        self._engine.journal(lambda: self.forget(ref))
        await self._engine.synced()

    def before_start(self) -> BlobRef:
        """Return the last name that was given before this start."""
        return self._before

    def reopen(self) -> None:
        """Begin a life: who wrote under the names that were given is dead."""
        self._before = self.newest()
