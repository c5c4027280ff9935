"""The loop of one work list: claims what is visible, attempts it side by side, settles it.

Rule: what a group may have under way depends on what is free (``hints.Slots``); a look costs a read of
each group's first entry, and is taken of the parts of the list in which something was committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from fogbank.base.errors import Weather
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, WorkList
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import Head, WorkEntry
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.platform.store.keyspace import PARTITIONS
from fogbank.server.hints import PAUSE_MS, Heads, Slots

log = logging.getLogger("fogbank.jobs")


class ListLoop:
    """Runs one work list of one store; a bug in an attempt costs that attempt a pause.

    Args:
        facilities: What attempts may touch.
        store: Where the list lies.
        work: The list.
        heads: What is known of its parts.
        holder: The name of this run of the server, under which entries are claimed.
        group: Owns the attempts, and what hears of commits.
    """

    def __init__(
        self,
        facilities: Facilities,
        store: Store,
        work: WorkList,
        heads: Heads,
        holder: str,
        group: asyncio.TaskGroup,
    ) -> None:
        self._facilities = facilities
        self._store = store
        self._work = work
        self._holder = holder
        self._group = group
        self.heads = heads
        self._slots = Slots(work.concurrency_max, self.heads)
        self._unreleased = set(range(PARTITIONS))
        """Where an earlier run of the server may still hold entries."""
        self._under_way: dict[tuple[tuple[str, ...], str], WorkEntry] = {}
        """The entries of attempts, as they were claimed last."""
        self.running = 0
        """Attempts that are under way."""
        for partition in range(PARTITIONS):
            watch = store.watch(worklist.watched(work.name, partition))
            name = f"watch {work.name}.{partition}"
            group.create_task(_touch(watch, self.heads, partition), name=name)

    async def turn(self) -> None:
        """Claim what is visible in the parts of which nothing is known, or wait for more."""
        while self._unreleased:
            await self._release(min(self._unreleased))
            self._unreleased.remove(min(self._unreleased))
        looked = self.heads.take_unknown() if self._slots.free else []
        try:
            for partition in looked:
                await self._take(partition)
        except BaseException:
            self.heads.give()
            raise
        if not looked:
            now_ms = self._facilities.clock.now_ms()
            until_ms = self.heads.next_ms() if self._slots.free else now_ms + self.heads.trusted_ms
            await self.heads.wait(until_ms)

    async def _take(self, partition: int) -> None:
        """Claim what is visible in one part of a list, of each group its share."""
        last: Head | None = None
        while True:
            found = await worklist.heads(self._store, self._work.name, partition, last)
            for head in found:
                if head.visible_ms > self._facilities.clock.now_ms():
                    self.heads.know(partition, head.visible_ms)
                elif share := self._slots.share(head.group):
                    await self._begin(partition, head.group, share)
                    self.heads.touch(partition)
                else:
                    self._slots.want(partition)
            if len(found) < worklist.HEADS_MAX:
                return
            last = found[-1]

    async def _begin(self, partition: int, group: bytes, share: int) -> None:
        """Claim entries of one group, and begin an attempt at each."""
        for entry in await self._claim(partition, group, share):
            is_new = (entry.domain, entry.id) not in self._under_way
            self._under_way[entry.domain, entry.id] = entry
            if not is_new:
                continue  # An attempt took longer than a claim hides: it goes on, and so does that.
            self._slots.take(group)
            self.running += 1
            attempt = self._attempt(entry)
            self._group.create_task(attempt, name=self._work.name)

    async def _claim(self, partition: int, group: bytes, limit: int) -> list[WorkEntry]:
        """Claim up to ``limit`` entries of one group."""
        return await worklist.claim(
            self._store,
            self._work.name,
            partition,
            group,
            now_ms=self._facilities.clock.now_ms(),
            hold_ms=self._work.hold_ms,
            holder=self._holder,
            limit=limit,
        )

    async def _release(self, partition: int) -> None:
        """Give back what an earlier run of the server had claimed in one partition."""
        now_ms = self._facilities.clock.now_ms()
        released = await worklist.release(
            self._store, self._work.name, partition, holder=self._holder, now_ms=now_ms
        )
        if released:
            log.warning("%s: %d attempts that were cut short go on", self._work.name, released)

    async def _attempt(self, entry: WorkEntry) -> None:
        """Attempt one entry and settle it."""
        try:
            verdict = await self._verdict(entry)
            await self._settle(entry, verdict)
        except Weather as error:
            log.warning(
                "%s %s comes back when its claim ends: %s", self._work.name, entry.id, error
            )
        finally:
            del self._under_way[entry.domain, entry.id]
            self.running -= 1
            self._slots.give(worklist.group_of(entry))

    async def _verdict(self, entry: WorkEntry) -> Verdict:
        """Return what an attempt says; after a bug or weather: again, after a pause."""
        try:
            return await self._work.attempt(entry, self._facilities)
        except Weather as error:
            log.warning("%s %s waits: %s", self._work.name, entry.id, error)
        except Exception:
            log.exception("%s %s failed", self._work.name, entry.id)
        again_ms = self._facilities.clock.now_ms() + PAUSE_MS
        return Verdict(retry_at_ms=again_ms, uncounted=True)

    async def _settle(self, entry: WorkEntry, verdict: Verdict) -> None:
        """Remove an entry or put it back, with what the attempt wants in the same commit."""

        async def body(tr: Transaction) -> None:
            if verdict.settle is not None:
                await verdict.settle(tr)
            held = self._under_way[entry.domain, entry.id]
            if verdict.retry_at_ms is None:
                await worklist.remove(tr, held)
            else:
                worklist.put_back(tr, held, verdict.retry_at_ms, counted=not verdict.uncounted)

        await self._facilities.placement.store_of(Domain(*entry.domain)).transact(body)


async def _touch(watch: AsyncIterator[None], heads: Heads, partition: int) -> None:
    """Pass hints of one part of a list on."""
    async for _ in watch:
        heads.touch(partition)
