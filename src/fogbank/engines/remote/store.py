"""``RemoteStore``: one domain of another process's store, behind the port of every store.

Rule: a transaction reads over the link, keeps its writes, and lets the owner decide: everything it
read must still hold. If it does not, the body runs again, a bounded number of times, and now alone:
while one transaction of this process and domain does so, the others wait for their turn, so that
they do not undo each other. A body that read once and wrote nothing needs no decision.

A link that breaks in a decision leaves it open whether it came about: with a token the transaction
is tried again, because its row answers a repeat; without one the caller is told (``CommitUnknown``).
Values that come over the link are durable: their owner let them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from types import CoroutineType
from typing import Any, Final, TypeVar, cast
from weakref import WeakValueDictionary

from fogbank.base.clock import Clock
from fogbank.base.errors import CommitUnknown, Conflict
from fogbank.engines import bodies
from fogbank.engines.remote import words
from fogbank.engines.remote.blobs import RemoteBlobs
from fogbank.engines.remote.hints import follow
from fogbank.engines.remote.transaction import Question, RemoteTransaction
from fogbank.engines.watch import Watcher, Watchers
from fogbank.platform.link.port import LinkLost, Peer
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import Body, Domain, Stamp, Token

T = TypeVar("T")

TRIES_MAX: Final = 16
"""How often a body runs before its caller is told of a conflict."""


class Remote:
    """Another process's store: the way to it, and whose turn it is.

    Args:
        peer: The way.
        clock: What a lost link is tried again by.
        group: Where the followers of watched prefixes live.
    """

    def __init__(self, peer: Peer, clock: Clock, group: asyncio.TaskGroup) -> None:
        self.peer = peer
        self._clock = clock
        self._group = group
        self.watchers = Watchers()
        self._followers: set[asyncio.Task[None]] = set()
        self._turns: WeakValueDictionary[Domain, asyncio.Lock] = WeakValueDictionary()

    def turn(self, domain: Domain) -> asyncio.Lock:
        """Return what lets one transaction of a domain that met a conflict run at a time."""
        return self._turns.setdefault(domain, asyncio.Lock())

    def follow(self, named: words.Named, prefix: bytes, watcher: Watcher) -> None:
        """Pass the owner's hints on to a watcher."""
        following = follow(self.peer, (named, prefix), watcher, self._clock)
        task = self._group.create_task(following)
        self._followers.add(task)
        task.add_done_callback(self._followers.discard)

    def close(self) -> None:
        """Follow nothing more."""
        for task in self._followers:
            task.cancel()

    def blobs_of(self, domain: Domain) -> RemoteBlobs:
        """Return where the blobs of a domain are read."""
        del domain
        return RemoteBlobs(self.peer)

    def store_of(self, domain: Domain) -> RemoteStore:
        """Return the store of a domain."""
        return RemoteStore(self, domain)


class RemoteStore(bodies.BodyStore):
    """The keys of one domain in another process's store."""

    __slots__ = ("_domain", "_remote")

    def __init__(self, remote: Remote, domain: Domain) -> None:
        self._remote = remote
        self._domain = domain

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and let the owner commit what it wrote.

        Raises:
            BodySuspendedError: The body awaited something other than its transaction.
            TransactionTooLarge: The writes pass the limits.
            TokenReused: The token came before with another request.
            Conflict: What it read changed all the time.
            CommitUnknown: The link broke in the decision, and there was no token.
            Unavailable: The owner cannot be reached.
        """
        if token is None:
            return await self._transact(body)
        once = tokens.once(body, token)
        try:
            return await self._transact(once)
        except CommitUnknown:
            return await self._transact(once)

    async def read(self, body: Body[T]) -> T:
        """Run the body over one state; writing raises."""
        return await self._run(body, writable=False)

    async def _transact(self, body: Body[T]) -> T:
        return await self._run(body, writable=True)

    async def _run(self, body: Body[T], *, writable: bool) -> T:
        """Run a body until the owner says that what it read holds."""
        turn = self._remote.turn(self._domain)
        if not turn.locked():
            tried = await self._try(body, writable=writable)
            if tried is not None:
                return tried()
        async with turn:
            for _ in range(TRIES_MAX):
                tried = await self._try(body, writable=writable)
                if tried is not None:
                    return tried()
        raise Conflict(f"a transaction in another store met {TRIES_MAX} conflicts")

    async def _try(self, body: Body[T], *, writable: bool) -> Callable[[], T] | None:
        """Run a body once; return what gives its result or error, or None after a conflict."""
        tr = RemoteTransaction(self._domain, writable=writable)
        result: T | None = None
        raised: Exception | None = None
        try:
            result = await self._drive(body, tr)
            bodies.check_size(tr.writes | {entry.prefix: entry.value for entry in tr.entries})
        except (LinkLost, bodies.BodySuspendedError):
            raise
        except Exception as error:  # noqa: BLE001 (raised below, if what it rests on holds)
            raised = error
        finally:
            tr.close()
        if not await self._decided(tr, failed=raised is not None):
            return None

        def outcome() -> T:
            if raised is not None:
                raise raised
            return cast("T", result)

        return outcome

    async def _drive(self, body: Body[T], tr: RemoteTransaction) -> T:
        """Run a body to its end, taking its questions to the owner."""
        awaitable = body(tr)
        steps = cast(
            "Generator[object, Any, T]",
            awaitable if type(awaitable) is CoroutineType else awaitable.__await__(),
        )
        answer: Any = None
        while True:
            try:
                asked = steps.send(answer)
            except StopIteration as stop:
                return cast("T", stop.value)
            if type(asked) is not Question:
                raise bodies.suspended(steps, asked)
            try:
                answer = (await self._remote.peer.call(asked.method, asked.value)).value
            except BaseException:
                steps.close()
                raise

    async def _decided(self, tr: RemoteTransaction, *, failed: bool) -> bool:
        """Let the owner decide; return False after a conflict."""
        gets, ranges = tr.gets, tr.ranges
        writes = [] if failed else list(tr.writes.items())
        entries = [] if failed else tr.entries
        if not writes and not entries and len(gets) + len(ranges) <= 1:
            return True
        appends = [(entry.prefix, entry.value) for entry in entries]
        asked = (words.named_of(self._domain), gets, ranges, writes, appends)
        try:
            stamp: bytes | None = (await self._remote.peer.call(words.DECIDE, asked)).value
        except LinkLost as error:
            if writes or entries:
                raise CommitUnknown(str(error)) from error
            raise
        if stamp is None:
            return False
        if entries:
            bodies.resolve_entries(entries, Stamp.unpack(stamp))
        return True

    def watch(self, prefix: bytes) -> AsyncIterator[None]:
        """Yield after commits under the prefix, as the owner hears of them."""
        remote = self._remote
        watcher = remote.watchers.add(prefix)
        remote.follow(words.named_of(self._domain), prefix, watcher)
        return watcher
