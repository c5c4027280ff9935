"""Taking cuts: the rows stand still for the moment in which a reader begins its transaction.

Order: start the reader process; have everything that is durable moved into the rows and let them
stand still; have the reader begin; let the rows go on. From then on the reader's transaction is the
cut, and it costs nothing but the old pages that it keeps from being used again: file growth is
watched, and beyond a bound the cut is revoked and its process killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, NamedTuple, TypeVar, cast

from fogbank.base.errors import Corrupt, CutRevoked
from fogbank.engines.bodies import RANGE_ROWS_MAX, Row
from fogbank.engines.cuts import Cuts, Entry, OpenCut
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.backup import Done, Wanted, beside_store
from fogbank.engines.embedded.checkpoint import ROWS
from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.manifest import LAYOUT, Head
from fogbank.engines.embedded.reader import (
    Begin,
    Dump,
    Ordered,
    Page,
    Told,
    decode_told,
    read_frame,
    write_frame,
)
from fogbank.engines.embedded.recover import Opened
from fogbank.engines.embedded.rows import State
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs.rows import decode_deletion
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.store.engine import SYSTEM, Domain, Stamp
from fogbank.platform.store.keyspace import BLOB_DELETIONS, PARTITIONS, system_prefix
from fogbank.platform.store.tuples import after_prefix

T = TypeVar("T")

WATCH_S: Final = 1.0
"""How often age and growth are looked at while there is a cut."""
BACKUP: Final = "backup"
"""The name of the cuts that backups are written of."""
BACKUP_AGE_MS_MAX: Final = 86_400_000
_END_S: Final = 10.0
log = logging.getLogger("fogbank.store")


class ReaderFailed(Exception):
    """The process that holds a cut could not carry out an order; the message says why."""


class CutReader:
    """One reader process. Everything that blocks runs in one thread, which is its parent."""

    def __init__(self, root: Path, keys: DataKeys) -> None:
        self.size = 0
        """Of the file of the rows when the cut was taken."""
        self.state = State()
        """How far the log was applied when the cut was taken."""
        self._root = root
        self._own: dict[bytes, bytes] = {}
        """The engine's own rows, which say what opens the others."""
        self._seals = RowSeals(keys)
        self._thread = ThreadPoolExecutor(1, "fogbank-cut")
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = False

    async def start(self) -> None:
        """Start the process and return when it is ready."""
        await self._run(self._start)

    async def begin(self) -> int:
        """Begin the transaction; return the version that the rows hold."""
        told = await self._run(self._ask, Begin())
        self.size = told.size
        self._own = dict(told.rows)
        self.state = rows.state_of(self._own.get, self._seals)
        return self.state.version

    async def page(self, begin: bytes, end: bytes, limit: int) -> list[Row]:
        """Return some rows from the start of a range, each verified."""

        def page() -> list[Row]:
            try:
                told = self._ask(Page(begin, end, limit))
            except ReaderFailed as error:
                raise Corrupt(f"a cut of the store cannot be read: {error}") from error
            unseal = self._seals.opener(self._own.get)
            return [(key, unseal(key, raw)) for key, raw in told.rows]

        return await self._run(page)

    async def back_up(self, wanted: Wanted) -> Done:
        """Write a backup of the cut.

        Raises:
            ReaderFailed: It cannot be written, or the store is damaged; the message says what.
        """
        return (await self._run(self._ask, Dump(wanted))).done

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in the thread; it runs to its end even if the caller is cancelled."""
        if self._is_over:
            raise CutRevoked("the cut was released")
        job = self._thread.submit(function, *arguments)
        return await asyncio.shield(asyncio.wrap_future(job))

    def _start(self) -> None:
        """Start the process and wait until it has opened the rows."""
        module = "fogbank.engines.embedded.reader"
        self._process = subprocess.Popen(  # noqa: S603 (our own module, no user's words)
            [sys.executable, "-m", module, str(self._root), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self._told()

    def _ask(self, order: Ordered) -> Told:
        """Give the process an order and return its answer."""
        process = self._process
        assert process is not None, "a reader is started first"
        with contextlib.suppress(BrokenPipeError):
            write_frame(cast("IO[bytes]", process.stdin), order)
        return self._told()

    def _told(self) -> Told:
        """Return the process's next answer.

        Raises:
            ReaderFailed: It could not do what it was asked.
            CutRevoked: It is dead.
        """
        process = self._process
        assert process is not None, "a reader is started first"
        raw = read_frame(cast("IO[bytes]", process.stdout))
        if raw is None:
            raise CutRevoked("the process that held a cut of the store has ended")
        told = decode_told(raw)
        if told.error:
            raise ReaderFailed(told.error)
        return told

    def kill(self) -> None:
        """End the process at once, whatever it is busy with; its pages are free from then on."""
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """End the process and the thread; harmless to repeat."""
        if self._is_over:
            return
        self._is_over = True
        self.kill()
        await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown()

    def _close(self) -> None:
        """Collect the process, which was killed."""
        process = self._process
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                cast("IO[bytes]", pipe).close()
        process.wait(_END_S)


class BackupRequest(NamedTuple):
    """What backup to write."""

    target: Path
    """The folder of the backup set."""
    name: str
    beside: tuple[tuple[str, str], ...] = ()
    """Small files of the data directory, and their places under the backup's folder."""
    link: bool = True
    """Where the file system cannot share blocks, blobs may be second names of the store's files."""


def _after_drop(keys: DataKeys) -> list[int]:
    """Return the data keys of a store that has dropped some; none of another."""
    ids = sorted(keys.export())
    return ids if ids and ids[0] > 1 else []


async def _leaving(cut: OpenCut) -> list[tuple[int, int]]:
    """Return the blobs whose deletion is queued in a cut."""
    out: list[tuple[int, int]] = []
    for partition in range(PARTITIONS):
        begin = system_prefix(BLOB_DELETIONS, partition)
        end = after_prefix(begin)
        while page := await cut.page(begin, end, limit=RANGE_ROWS_MAX):
            entries = [decode_deletion(value) for _key, value in page]
            out += [(entry.incarnation, entry.number) for entry in entries]
            begin = page[-1][0] + b"\0"
    return out


class CutTaker:
    """Takes cuts of one open store and watches what they cost."""

    def __init__(
        self, opened: Opened, core: Core, settings: Settings, now_ms: Callable[[], int]
    ) -> None:
        self.cuts = Cuts(now_ms, settings.cut_age_ms_max, self._revoked)
        self.archived: Callable[[], Stamp | None] = lambda: None
        """Returns the first stamp that the archive of the log has not got."""
        self._opened = opened
        self._root = opened.root
        self._core = core
        self._growth_max = settings.cut_growth_bytes_max
        self._loop = asyncio.get_running_loop()
        self.turn = asyncio.Lock()
        """Taken by whoever holds the store, or lets its rows stand still."""
        self._watching: asyncio.TimerHandle | None = None

    def oldest(self) -> Stamp | None:
        """Return the first stamp that a cut or the archive has not got, or None."""
        floors = [self.cuts.oldest(), self.archived()]
        return min((floor for floor in floors if floor is not None), default=None)

    async def back_up(self, request: BackupRequest) -> Done:
        """Write a backup of everything while the store serves.

        Raises:
            Conflict: A backup is being written.
            CutRevoked: It took too long, or the file of the rows grew too much meanwhile.
            ReaderFailed: It cannot be written, or the store is damaged; the message says what.
        """
        return await self.write(await self.take(BACKUP, SYSTEM, BACKUP_AGE_MS_MAX), request)

    async def write(self, cut: OpenCut, request: BackupRequest) -> Done:
        """Write a backup of a cut of everything, and release the cut; see ``back_up``."""
        try:
            reader = cut.rows()
            assert isinstance(reader, CutReader)
            head = Head(
                layout=LAYOUT,
                name=request.name,
                made_ms=cut.taken_ms,
                format=self._opened.identity.format,
                incarnation=self._opened.identity.incarnation,
                version=reader.state.version,
                segment=reader.state.segment,
            )
            wanted = Wanted(
                target=str(request.target),
                head=head,
                leaving=await _leaving(cut),
                beside=[*beside_store(self._root), *request.beside],
                link=request.link,
                keys=_after_drop(self._opened.keys),
            )
            return await reader.back_up(wanted)
        except CutRevoked:
            # Its process died: the cut knows whether it was killed, and why.
            cut.rows()
            raise
        finally:
            await cut.release()

    async def take(self, name: str, domain: Domain, age_ms_max: int | None = None) -> OpenCut:
        """Take a cut; everything that was answered before the call is in it.

        Raises:
            Conflict: A cut of that name is live.
            Throttled: There are too many.
            Unavailable: The store is closed.
        """
        entry, reader = self._announced(name, age_ms_max)
        try:
            await reader.start()
            async with self.turn:
                version = await self._begin(reader)
        except BaseException:
            await self._abandon(entry, reader)
            raise
        return self._opened_cut(entry, reader, version, domain)

    async def hold(self) -> HeldCut:
        """Hold the store where a cut for a backup can be taken; see ``hold.py``.

        Raises:
            Conflict: A backup is being written.
            Throttled: There are too many cuts.
            Unavailable: The store is closed, or cannot be held in time.
        """
        entry, reader = self._announced(BACKUP, BACKUP_AGE_MS_MAX)
        try:
            await reader.start()
            await self.turn.acquire()
            try:
                await self._core.hold.begin(needs_cut=True)
            except BaseException:
                self._core.hold.end()
                self.turn.release()
                raise
        except BaseException:
            await self._abandon(entry, reader)
            raise
        return HeldCut(self, entry, reader)

    async def take_held(self, entry: Entry, reader: CutReader) -> OpenCut:
        """Take the cut at which the store is held, and let the store go on.

        Raises:
            Unavailable: It is held no more.
        """
        try:
            self._core.hold.require()
            version = await self._begin(reader)
        except BaseException:
            await self._abandon(entry, reader)
            raise
        finally:
            self.turn.release()
        return self._opened_cut(entry, reader, version, SYSTEM)

    async def let_go(self, entry: Entry, reader: CutReader) -> None:
        """Take no cut where the store is held."""
        self._core.hold.end()
        self.turn.release()
        await self._abandon(entry, reader)

    def _announced(self, name: str, age_ms_max: int | None) -> tuple[Entry, CutReader]:
        """Note that a cut is about to be taken."""
        core = self._core
        core.require_open()
        floor = Stamp(core.incarnation, core.durable + 1, 0)
        entry = self.cuts.begin(name, floor, age_ms_max)
        return entry, CutReader(self._root, self._opened.keys)

    async def _abandon(self, entry: Entry, reader: CutReader) -> None:
        """Take no cut after all."""
        self.cuts.end(entry)
        await reader.close()

    def _opened_cut(self, entry: Entry, reader: CutReader, version: int, domain: Domain) -> OpenCut:
        """Note a cut that was taken."""
        entry.taken(Stamp(self._core.incarnation, version + 1, 0), reader)
        self._watch()
        return OpenCut(self.cuts, entry, domain)

    async def _begin(self, reader: CutReader) -> int:
        """Have the reader begin while the rows stand still; return the version that they hold."""
        standing = self._core.stand_still()
        self._core.hold.end()
        try:
            version = await standing
            begun = await reader.begin()
        except asyncio.CancelledError:
            self._core.require_open()
            raise
        finally:
            self._core.turnover.let_go()
        if begun != version:
            raise Corrupt(f"the rows hold version {begun}, and version {version} was to be cut")
        return version

    def _watch(self) -> None:
        """Look at age and growth while there is a cut."""
        if self._watching is not None:
            self._watching.cancel()
        self.cuts.expire()
        for entry in self.cuts.entries():
            reader = entry.rows
            if isinstance(reader, CutReader):
                grown = (self._root / ROWS / rows.DATA).stat().st_size - reader.size
                if grown > self._growth_max:
                    self.cuts.revoke(entry, f"the file of the rows grew by {grown} bytes under it")
        if len(self.cuts) > 0:
            self._watching = self._loop.call_later(WATCH_S, self._watch)

    def _revoked(self, entry: Entry) -> None:
        """Free the pages of a cut that was revoked; its reader learns of it at the next page."""
        log.warning("%s", entry.revoked)
        if isinstance(entry.rows, CutReader):
            entry.rows.kill()

    async def close(self) -> None:
        """End every reader."""
        self._core.hold.end()
        if self._watching is not None:
            self._watching.cancel()
        for entry in self.cuts.entries():
            self.cuts.revoke(entry, "the store is closed")
            if entry.rows is not None:
                await entry.rows.close()


class HeldCut:
    """A cut that can be taken where a store is held; it ends in ``back_up`` or ``let_go``."""

    def __init__(self, taker: CutTaker, entry: Entry, reader: CutReader) -> None:
        self._taker = taker
        self._entry = entry
        self._reader = reader
        self._is_used = False

    async def back_up(self, request: BackupRequest) -> Done:
        """Take the cut, let the store go on, and write a backup of it.

        Raises:
            Unavailable: The store was held for too long.
            CutRevoked: It took too long, or the file of the rows grew too much meanwhile.
            ReaderFailed: It cannot be written, or the store is damaged; the message says what.
        """
        assert not self._is_used, "a cut is taken once"
        self._is_used = True
        taker = self._taker
        return await taker.write(await taker.take_held(self._entry, self._reader), request)

    async def let_go(self) -> None:
        """Take no cut, and let the store go on; harmless behind ``back_up``."""
        if not self._is_used:
            self._is_used = True
            await self._taker.let_go(self._entry, self._reader)
