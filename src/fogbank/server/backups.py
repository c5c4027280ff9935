"""Backup and restore of a data directory, as an operator asks for them.

A backup is taken by whoever holds the store: the server, asked over the control socket, or this
process where none runs. A restore makes a new data directory and wants no server.

Rule: the backup holds what the directory needs (the store with its blobs and its sealed keyring,
credentials, settings, certificates) and never the root key that opens the keyring, so the backup
alone opens nothing. ``docs/operating/backup.md`` says what must be kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import restore
from fogbank.engines.embedded.cut import BackupRequest, ReaderFailed
from fogbank.engines.embedded.manifest import require_name
from fogbank.engines.embedded.restore import Restored
from fogbank.engines.embedded.rollforward import Until
from fogbank.engines.embedded.spool import ArchiveSettings
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.server import datadir
from fogbank.server.config import Config
from fogbank.server.control import Control, ControlError, Send

REQUEST: Final = "backup"
_FILES: Final = (datadir.CREDENTIALS_FILE, "fogbank.toml")
_FOLDERS: Final = (datadir.TLS,)


class BackupArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What backup an operator wants."""

    target: str
    """The folder of the backup set, absolute."""
    name: str = ""
    """Of the backup; empty: the time of its making."""
    copy: bool = False
    """Copy every blob, even where a second name of the same file would do."""


class RestoreRefused(Exception):
    """A backup cannot be restored as it was asked for; the message says why."""


def files_beside(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield the small files of a data directory that a backup holds, and their places in it."""
    found = [data_dir / name for name in _FILES]
    for folder in _FOLDERS:
        found += sorted((data_dir / folder).glob("*"))
    for path in found:
        if path.is_file() and not path.name.endswith(".new"):
            yield str(path), f"data/{path.relative_to(data_dir).as_posix()}"


class Backups:
    """Takes backups of an open store.

    Args:
        data_dir: The data directory.
        engine: Its store.
        clock: What names backups.
    """

    def __init__(self, data_dir: Path, engine: EmbeddedEngine, clock: Clock) -> None:
        self._data_dir = data_dir
        self._engine = engine
        self._clock = clock

    def controls(self) -> list[Control]:
        """Return the request of operators."""
        return [Control(REQUEST, BackupArguments, self.create)]

    async def create(self, arguments: BackupArguments, _send: Send) -> Mapping[str, Any]:
        """Write a backup and return what it holds.

        Raises:
            ControlError: It cannot be written.
        """
        if (datadir.stores_of(self._data_dir) or 1) > 1:
            raise ControlError(
                "NotImplemented", "fogbank has not built backups of several stores at one cut"
            )
        target = Path(arguments.target)
        made = datetime.fromtimestamp(self._clock.now_ms() / 1_000, UTC)
        if not target.is_absolute():
            raise ControlError("BadTarget", f"{target} is no absolute path")
        if target.is_relative_to(self._data_dir):
            raise ControlError("BadTarget", f"{target} would be lost with {self._data_dir}")
        try:
            name = require_name(arguments.name or f"{made:%Y%m%dT%H%M%SZ}")
            beside = tuple(files_beside(self._data_dir))
            request = BackupRequest(target, name, beside, link=not arguments.copy)
            done = await self._engine.back_up(request)
        except ValueError as error:
            raise ControlError("BadName", str(error)) from error
        except ReaderFailed as error:
            raise ControlError("BackupFailed", str(error)) from error
        return {"name": name, **msgspec.to_builtins(done)}


def store_settings(config: Config, data_dir: Path, *, keeps_spool: bool = False) -> Settings:
    """Return what the settings say to the store.

    Args:
        config: The settings in force.
        data_dir: Where a relative folder begins.
        keeps_spool: Only the server gives up an archive that the settings do not name.
    """
    archive = config.archive
    if not archive.folder:
        return Settings(keeps_spool=keeps_spool)
    return Settings(
        archive=ArchiveSettings(
            data_dir / archive.folder,
            backlog_bytes_max=archive.backlog_mb_max << 20,
            interval_ms=archive.interval_ms,
        )
    )


def until_of(words: str) -> Until | None:
    """Return how far to roll forward: a version, a time in ISO 8601, ``latest``, or not at all.

    Raises:
        RestoreRefused: The words say none of these.
    """
    if not words:
        return None
    if words == "latest":
        return Until()
    if words.isdecimal():
        return Until(version=int(words))
    try:
        when = datetime.fromisoformat(words)
    except ValueError:
        raise RestoreRefused(
            f"{words} is no version, no time such as 2026-01-31T12:00:00Z, and not latest"
        ) from None
    if when.tzinfo is None:
        raise RestoreRefused(f"{words} names no time zone: write 2026-01-31T12:00:00Z")
    return Until(time_ms=int(when.timestamp() * 1_000))


def restore_into(backups: Path, name: str, data_dir: Path, until: Until | None = None) -> Restored:
    """Make a data directory of a backup.

    Args:
        backups: The folder of the backup set.
        name: Of the backup; empty: the newest, or the newest before ``until``.
        data_dir: An empty directory, or none.
        until: How far to roll it forward over the archived log; None: not at all.

    Raises:
        RestoreRefused: The directory is not empty, or the backup is not whole.
    """
    try:
        if name or until is None:
            manifest = restore.find_backup(backups, name)
        else:
            manifest = restore.find_before(backups, until)
        if any(data_dir.iterdir()):
            raise RestoreRefused(f"{data_dir} is not empty")
        restore.require_whole(backups, manifest)
        restored = restore.restore_store(backups, manifest, data_dir / datadir.STORE, until)
        restore.copy_data_files(backups, manifest, data_dir)
    except Corrupt as error:
        raise RestoreRefused(str(error)) from error
    return restored
