"""The archiver: carries the spool of the log into the archive, with the blobs that belong to it.

The archive lies in a backup set (``manifest.py``): ``SET/log`` beside the backups, its blobs in the
pool that they share. A backup and the log behind it restore to any version or time since.

Rule: writers never wait for the archive. A part of the log stays in the spool until the archive has
it, however long that takes, and each failure is said; beyond ``backlog_bytes_max`` the oldest part
is dropped, with an error for each, because a full disk would stop everything: what lies before such
a gap can then not be rolled forward over it, and a restore that would have to says so. Deletions of
blobs wait for the archive as they wait for a cut.

Everything that touches the archive runs in one thread of its own, which ends with the process: an
archive that hangs holds up nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from asyncio import TimerHandle
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.cloud import claim_set, cloud_of
from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.files import make_folder, replace_file, sync_folder
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.keyfile import KEYRING, find_keyring
from fogbank.engines.embedded.manifest import ARCHIVED_LOG, BLOBS
from fogbank.engines.embedded.place import make_folders, place, sync_folders
from fogbank.engines.embedded.spool import (
    ABOUT,
    GROUPS,
    SPOOL,
    About,
    ArchiveSettings,
    entries,
    first_time,
    forget_times,
    note_time,
)
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Stamp

TICK_S: Final = 1.0
END_WAIT_S: Final = 1.0
SAY_MS: Final = 60_000
"""A failure that lasts is said again so often."""
log = logging.getLogger("fogbank.store")


class _Turn(NamedTuple):
    """What the archiver's thread shall do next, before it carries what is spooled."""

    version: int = 0
    """A version to be noted; 0: none is."""
    time_ms: int = 0
    """When that was durable."""
    seals: bool = False
    """Have the log sealed behind the note."""
    is_tick: bool = False


class ArchiveState(msgspec.Struct):
    """How the archive stands."""

    upto: int
    """The last version that it has, or has given up."""
    backlog_bytes: int = 0
    oldest_ms: int = 0
    """When the first version was durable that it has not got; 0: it has everything."""
    error: str = ""
    """Why the last try failed; empty if it did not."""
    dropped: int = 0
    """Parts of the log that were dropped because the backlog was full."""


def set_up(store: Path, settings: ArchiveSettings | None) -> None:
    """Make the spool if the log is archived; else remove it, and say what that gives up."""
    folder = store / SPOOL
    if settings is not None:
        make_folder(folder)
        known = {about.name for about in entries(folder)}
        for path in folder.glob(f"*{GROUPS}"):
            if path.stem not in known:
                path.unlink()  # a crash came before its line, or behind the removal of that
        # A crash may also have left half of a mark, behind which no other could be read.
        forget_times(folder, 0)
    elif folder.is_dir():
        waiting = entries(folder)
        shutil.rmtree(folder)
        sync_folder(store)
        if waiting:
            log.error(
                "the log is not archived any more: versions %d to %d are lost to the archive",
                waiting[0].first,
                waiting[-1].last,
            )


def carry(store: Path, settings: ArchiveSettings, about: About) -> None:
    """Bring one entry of the spool into the archive, its line last, and remove it from the spool.

    Raises:
        OSError: The archive cannot be written.
        AnotherClouds: The set is another cloud's.
        Corrupt: A blob of the entry is missing.
    """
    folder, target = store / SPOOL, settings.target / ARCHIVED_LOG
    make_folder(settings.target)
    claim_set(settings.target, cloud_of(store))
    changed = {target, settings.target / BLOBS}
    for each in changed:
        each.mkdir(mode=0o700, exist_ok=True)
    for ref in (BlobRef(*each) for each in about.blobs):
        source, copy = path_of(store / BLOBS, ref), path_of(settings.target / BLOBS, ref)
        # Also where it was there: who brought it may have been killed before it was durable.
        changed.add(copy.parent)
        if not copy.exists():
            make_folders(settings.target, copy.parent)
            try:
                place(source, copy, link=True)
            except FileNotFoundError:
                raise Corrupt(f"{source} is missing, and the log refers to it") from None
    _carry_keyring(store, target)
    place(folder / (about.name + GROUPS), target / (about.name + GROUPS), link=False)
    sync_folders(settings.target, changed)
    place(folder / (about.name + ABOUT), target / (about.name + ABOUT), link=False)
    sync_folder(target)
    drop(folder, about)


def _carry_keyring(store: Path, target: Path) -> None:
    """Bring the sealed keyring along, as it is now: the log may be sealed with its newest key."""
    raw = find_keyring(store)
    if raw is not None and find_keyring(target) != raw:
        replace_file(target / KEYRING, raw)


def drop(folder: Path, about: About) -> None:
    """Remove an entry from the spool, its line first: groups without one are none."""
    (folder / (about.name + ABOUT)).unlink(missing_ok=True)
    sync_folder(folder)
    (folder / (about.name + GROUPS)).unlink(missing_ok=True)


class Archiver:
    """Carries the log of one open store into its archive."""

    def __init__(
        self, store: Path, core: Core, settings: ArchiveSettings, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._core = core
        self._settings = settings
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        waiting = entries(store / SPOOL)
        self.state = ArchiveState(upto=waiting[0].first - 1 if waiting else core.version)
        self._marked = core.version
        self._sealed = core.version
        self._sealed_ms = now_ms()
        self._said_ms = 0
        self._turns: SimpleQueue[_Turn | None] = SimpleQueue()
        self._is_busy = False
        self._timer: TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="fogbank-archive", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._tick()

    @property
    def target(self) -> Path:
        """Return the backup set that the log is archived in."""
        return self._settings.target

    def floor(self) -> Stamp:
        """Return the first stamp that the archive has not got: what was removed behind it stays."""
        return Stamp(self._core.incarnation, self.state.upto + 1, 0)

    def _tick(self) -> None:
        """Note the time, have the log sealed if it is time, and look at the spool."""
        core, now_ms = self._core, self._now_ms()
        if core.refuses:
            return
        if not self._is_busy:
            self._is_busy = True
            self._turns.put(self._turn(now_ms))
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _turn(self, now_ms: int) -> _Turn:
        """Return what is to be done now; the log is sealed behind the note, which is of its end."""
        core = self._core
        if self._settings.is_joint:
            return _Turn(time_ms=now_ms, is_tick=True)
        is_new, is_unsealed = core.filled > self._marked, core.filled > self._sealed
        is_time = now_ms - self._sealed_ms >= self._settings.interval_ms
        self._marked = core.durable
        if is_time:
            self._sealed, self._sealed_ms = core.durable, now_ms
        version = core.durable if is_new else 0
        return _Turn(version, now_ms, seals=is_time and is_unsealed, is_tick=True)

    def note(self, version: int, time_ms: int) -> None:
        """Note when a version was durable, and then have the log sealed behind it."""
        self._turns.put(_Turn(version, time_ms, seals=True))

    def _run(self) -> None:
        """Do what blocks, until told to end."""
        while (turn := self._turns.get()) is not None:
            try:
                try:
                    if turn.version:
                        note_time(self._store / SPOOL, turn.version, turn.time_ms)
                finally:
                    if turn.seals:
                        self._loop.call_soon_threadsafe(self._core.seal)
                self.step()
            except (OSError, Corrupt) as error:
                self._say(error)
            self._look_at_age()
            if turn.is_tick:
                self._is_busy = False

    def _look_at_age(self) -> None:
        """Note how old the oldest part of the log is that the archive has not got."""
        try:
            self.state.oldest_ms = first_time(self._store / SPOOL, self.state.upto)
        except OSError as error:
            self._say(error)

    def step(self) -> None:
        """Carry everything that is spooled; on failure make room if there is too much.

        Raises:
            OSError: The archive cannot be written.
            Corrupt: The spool is damaged.
        """
        folder = self._store / SPOOL
        waiting = entries(folder)
        self.state.backlog_bytes = sum(about.size for about in waiting)
        carried = False
        try:
            for about in waiting:
                carry(self._store, self._settings, about)
                self.state.backlog_bytes -= about.size
                self.state.upto = about.last
                carried = True
        except (OSError, Corrupt):
            self._make_room(entries(folder))
            raise
        finally:
            if carried:
                forget_times(folder, self.state.upto)
        self.state.error = ""

    def _make_room(self, waiting: list[About]) -> None:
        """Drop the oldest entries of a backlog that is too large, each with an error."""
        size, upto = sum(about.size for about in waiting), self.state.upto
        for about in waiting:
            if size <= self._settings.backlog_bytes_max:
                break
            drop(self._store / SPOOL, about)
            size -= about.size
            self.state.upto = about.last
            self.state.dropped += 1
            log.error(
                "the archive of the log fails and its backlog is full: versions %d to %d are lost "
                "to it; take a new backup",
                about.first,
                about.last,
            )
        self.state.backlog_bytes = size
        if self.state.upto != upto:
            forget_times(self._store / SPOOL, self.state.upto)

    def _say(self, error: Exception) -> None:
        """Say that the archive fails: at once, and again while it does."""
        is_new = not self.state.error
        self.state.error = str(error)
        now_ms = self._now_ms()
        if is_new or now_ms - self._said_ms >= SAY_MS:
            self._said_ms = now_ms
            log.warning(
                "the archive of the log fails, %d bytes wait: %s", self.state.backlog_bytes, error
            )

    def stop(self) -> None:
        """Begin nothing more; what is spooled stays for the next start."""
        if self._timer is not None:
            self._timer.cancel()
        self._turns.put(None)

    def end(self) -> None:
        """Note when the last version was durable, so that a restore goes up to the stop; it blocks.

        Not while a large entry is still being carried: then the restore goes up to the last tick.
        """
        core = self._core
        self._thread.join(END_WAIT_S)
        if self._thread.is_alive() or self._settings.is_joint or core.durable <= self._marked:
            return
        try:
            note_time(self._store / SPOOL, core.durable, self._now_ms())
        except OSError as error:
            self._say(error)
