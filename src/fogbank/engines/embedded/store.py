"""The embedded engine as the platform sees it: placement, stores, blobs, open and close.

One process, one data directory, one store for all domains. ``core.py`` has the heart of it,
``recover.py`` start and stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.engines import bodies
from fogbank.engines.cuts import OpenCut
from fogbank.engines.embedded.anew import Anew
from fogbank.engines.embedded.archiver import Archiver, ArchiveState, set_up
from fogbank.engines.embedded.backup import Done
from fogbank.engines.embedded.blobs import FileBlobs
from fogbank.engines.embedded.checkpoint import ROWS
from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.cut import BackupRequest, CutTaker, HeldCut
from fogbank.engines.embedded.dropping import Needs, still_needed
from fogbank.engines.embedded.figures import StoreFigures
from fogbank.engines.embedded.keyfile import PLAIN, Encryption
from fogbank.engines.embedded.marks import LogMarks
from fogbank.engines.embedded.recover import BLOBS, Opened, close_directory, open_directory
from fogbank.engines.embedded.rotation import OpenKeyring
from fogbank.engines.embedded.rows import DATA
from fogbank.engines.embedded.spool import ArchiveSettings
from fogbank.engines.embedded.transaction import EmbeddedReading, EmbeddedTransaction
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import (
    SYSTEM,
    Body,
    Domain,
    OwnStore,
    Passengers,
    RowsVerified,
    Stamp,
    Store,
    Token,
)

T = TypeVar("T")


class EmbeddedStore(bodies.BodyStore):
    """The keys of one domain in an embedded engine."""

    __slots__ = ("_core", "_domain", "_on_commit", "_taker")

    def __init__(
        self,
        core: Core,
        domain: Domain,
        taker: CutTaker,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        self._core = core
        self._domain = domain
        self._taker = taker
        self._on_commit = on_commit

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote; return only when that is durable.

        Raises:
            BodySuspendedError: The body awaited something other than its transaction.
            TransactionTooLarge: The writes pass the limits.
            TokenReused: The token came before with another request.
            Throttled: The disk does not keep up.
            Full: There is no space, and the transaction does not remove.
            Unavailable: The store is closed.
        """
        core = self._core
        if token is not None:
            body = tokens.once(body, token)
        if core.warming.is_on:
            await core.warming.first_run(body, EmbeddedTransaction, self._domain)
        if core.is_gated:
            await core.admit()
        tr = EmbeddedTransaction(core.layers, self._domain)
        try:
            result = bodies.drive(body(tr))
            waiter = None
            if tr.writes or tr.entries is not None:
                waiter = core.commit(tr, result)
                if self._on_commit is not None:
                    self._on_commit()
        except Exception:
            await self._release(tr)
            raise
        finally:
            tr.close()
        if waiter is not None:
            return await waiter
        await self._release(tr)
        return result

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; writing raises.

        Raises:
            BodySuspendedError: The body awaited something other than its transaction.
            Unavailable: The store is closed.
        """
        core = self._core
        if core.warming.is_on:
            await core.warming.first_run(body, EmbeddedReading, self._domain)
        if core.refuses:
            core.require_open()
        tr = EmbeddedReading(core.layers, self._domain)
        try:
            return bodies.drive(body(tr))
        finally:
            tr.close()
            if core.durable != core.version:
                await self._release(tr)

    async def _release(self, tr: EmbeddedTransaction) -> None:
        """Return when what a body that wrote nothing has seen is durable."""
        core = self._core
        newest = core.version if tr.touched_system else core.written
        if tr.touched and core.durable < newest:
            await core.settled()

    async def checkpoint(self, name: str) -> OpenCut:
        """Take a consistent cut of this domain; of everything, on the store of ``SYSTEM``.

        Raises:
            Conflict: A cut of that name is live.
            Throttled: There are too many.
            Unavailable: The store is closed.
        """
        return await self._taker.take(name, self._domain)

    async def verify_rows(self, after: bytes, limit: int) -> RowsVerified:
        """Verify the checks of up to ``limit`` stored rows of every domain behind a key.

        Raises:
            Unavailable: The store is closed.
        """
        return await self._core.verifier.verify(after, limit)

    def oldest_cut(self) -> Stamp | None:
        """Return the first stamp that is not in the oldest live cut of the store, or None."""
        return self._taker.oldest()

    def riding(self, on_commit: Callable[[], None]) -> EmbeddedStore:
        """Return this store, which tells of every commit; see ``Carrier``."""
        return EmbeddedStore(self._core, self._domain, self._taker, on_commit)

    def watch(self, prefix: bytes) -> AsyncIterator[None]:
        """Yield after durable commits under the prefix; hints are coalesced."""
        return self._core.watchers.add(prefix)


class EmbeddedEngine:
    """One store and one blob store for every domain, in one data directory."""

    def __init__(
        self, opened: Opened, core: Core, blobs: FileBlobs, taker: CutTaker, keyring: OpenKeyring
    ) -> None:
        self.blobs = blobs
        self.keyring = keyring
        self.anew = Anew(opened, core, taker, blobs)
        """Seals with the newest data key what an older one sealed."""
        self._opened = opened
        self._core = core
        self._taker = taker
        self._archiver: Archiver | None = None
        self.marks: LogMarks | None = None
        """Notes moments for the archive of the log, if there is one."""

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        clock: Clock,
        settings: Settings | None = None,
        encryption: Encryption = PLAIN,
    ) -> Self:
        """Open a data directory, recover it and start the log; ``close`` it in the end.

        Raises:
            DirectoryInUse: Another server uses it.
            Corrupt: It is damaged, or of a newer format.
            KeyRefused: It is encrypted, and the secret is not the one.
            Full: There is no space to recover it.
        """
        settings = settings or Settings()
        opened = await asyncio.to_thread(
            open_directory, data_dir, settings.segment_bytes, encryption, clock, Ids()
        )
        try:
            folder = data_dir / BLOBS
            incarnation = opened.identity.incarnation
            blobs = await asyncio.to_thread(
                FileBlobs, folder, incarnation, opened.keys, settings.on_fatal
            )
            core = Core(opened, asyncio.get_running_loop(), settings, clock)
        except BaseException:
            opened.release()
            raise
        taker = CutTaker(opened, core, settings, clock.now_ms)
        engine = cls(opened, core, blobs, taker, OpenKeyring(opened, core, encryption, clock))
        core.start()
        blobs.begin_counting()
        if settings.archive is not None or not settings.keeps_spool:
            await asyncio.to_thread(set_up, data_dir, settings.archive)
        if settings.archive is not None:
            engine.archive_into(settings.archive, clock.now_ms)
        return engine

    def archive_into(self, settings: ArchiveSettings, now_ms: Callable[[], int]) -> None:
        """Carry the log into an archive from now on."""
        archiver = Archiver(self._opened.root, self._core, settings, now_ms)
        self._archiver = archiver
        self._taker.archived = archiver.floor
        self.marks = LogMarks(self._core, archiver, self._taker.turn)
        archiver.start()

    @property
    def archive_state(self) -> ArchiveState | None:
        """Return how the archive of the log stands, if there is one."""
        return None if self._archiver is None else self._archiver.state

    @property
    def damaged_reads(self) -> int:
        """Return how often since the start a reader met damage instead of bytes."""
        return self.blobs.damaged_reads + self._opened.seals.damaged_reads

    async def drop_keys(self) -> list[int]:
        """Remove every data key that nothing is sealed with any more; return their ids.

        Raises:
            KeyRefused: One of them is needed; the message says by what.
            Corrupt: The archived log is damaged.
            Unavailable: The store is closed.
        """
        archive = None if self._archiver is None else self._archiver.target
        needs = Needs(self._opened.root, self.anew.state, len(self._taker.cuts), archive)
        return await self.keyring.drop(partial(still_needed, needs))

    async def close(self) -> None:
        """Take nothing more, make everything durable, apply the log, and let the directory go."""
        if self._archiver is not None:
            self._archiver.stop()
        await self.anew.close()
        await self._taker.close()
        await self._core.stop()
        if self._archiver is not None:
            await asyncio.to_thread(self._archiver.end)
        await self.blobs.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        """End threads and processes and release the directory."""
        try:
            if self._core.close():
                close_directory(self._opened)
        finally:
            self._opened.release()

    async def back_up(self, request: BackupRequest) -> Done:
        """Write a backup of everything while the store serves.

        Raises:
            Conflict: A backup is being written.
            CutRevoked: It took too long, or the file of the rows grew too much meanwhile.
            ReaderFailed: It cannot be written, or the store is damaged; the message says what.
        """
        return await self._taker.back_up(request)

    async def hold(self) -> HeldCut:
        """Make nothing durable for a moment, so that several stores can be cut at once.

        Raises:
            Conflict: A backup is being written.
            Throttled: There are too many cuts.
            Unavailable: The store is closed, or cannot be held in time.
        """
        return await self._taker.hold()

    def store_of(self, domain: Domain) -> Store:
        """Return the store of a domain."""
        return EmbeddedStore(self._core, domain, self._taker)

    def figures(self) -> StoreFigures:
        """Return what operators are told of the store."""
        return self._core.figures(self._opened.root / ROWS / DATA)

    def carry(self, passengers: Passengers) -> None:
        """Ask for rows to append whenever a group of commits begins; see ``Carrier``."""
        self._core.passengers = passengers

    def is_ours(self, domain: Domain) -> bool:
        """Return that every domain lives here."""
        del domain
        return True

    def blobs_of(self, domain: Domain) -> FileBlobs:
        """Return the one blob store."""
        del domain
        return self.blobs

    def riding(self, store: Store, on_commit: Callable[[], None]) -> Store:
        """Return a store that tells of every commit, in the step that makes it."""
        assert isinstance(store, EmbeddedStore), "a store of this engine"
        return store.riding(on_commit)

    def system_stores(self) -> tuple[OwnStore, ...]:
        """Return the one store, seen through its system subspaces."""
        return (EmbeddedStore(self._core, SYSTEM, self._taker),)
