"""Backup and restore of a data directory, as an operator asks for them.

A backup is taken by whoever holds the stores: the server, asked over the control socket, or this
process where none runs. Several stores are held for a moment and cut where they stand, so that the
backup is of one moment of them all. ``restores.py`` makes a new data directory of it.

Rule: the backup holds what the directory needs (the store with its blobs and its sealed keyring,
credentials, settings, certificates) and never the root key that opens the keyring, so the backup
alone opens nothing. ``docs/operating/backup.md`` says what must be kept beside it.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt, CutRevoked, Weather
from fogbank.engines.embedded.backup import Done
from fogbank.engines.embedded.cut import BackupRequest, ReaderFailed
from fogbank.engines.embedded.files import make_folder
from fogbank.engines.embedded.joint import set_of, write_joint
from fogbank.engines.embedded.manifest import require_name
from fogbank.engines.embedded.retention import keep_newest
from fogbank.engines.embedded.spool import ArchiveSettings
from fogbank.engines.embedded.turnover import Settings
from fogbank.server import datadir
from fogbank.server.config import Config
from fogbank.server.control import Control, ControlError, Send
from fogbank.server.kernel import memory_bytes
from fogbank.server.members import Member

T = TypeVar("T")

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
    keep: int = 0
    """Then remove all but so many of the newest backups, once the new one is verified; 0: none."""


def files_beside(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield the small files of a data directory that a backup holds, and their places in it."""
    found = [data_dir / name for name in _FILES]
    for folder in _FOLDERS:
        found += sorted((data_dir / folder).glob("*"))
    for path in found:
        if path.is_file() and not path.name.endswith(".new"):
            yield str(path), f"data/{path.relative_to(data_dir).as_posix()}"


class Backups:
    """Takes backups of an open data directory.

    Args:
        data_dir: The data directory.
        members: Its stores, by number.
        clock: What names backups.
    """

    def __init__(self, data_dir: Path, members: Sequence[Member], clock: Clock) -> None:
        self._data_dir = data_dir
        self._members = members
        self._clock = clock

    def controls(self) -> list[Control]:
        """Return the request of operators."""
        return [Control(REQUEST, BackupArguments, self.create)]

    async def create(self, arguments: BackupArguments, _send: Send) -> Mapping[str, Any]:
        """Write a backup of all stores at one moment and return what it holds.

        Raises:
            ControlError: It cannot be written.
        """
        target = Path(arguments.target)
        made = datetime.fromtimestamp(self._clock.now_ms() / 1_000, UTC)
        if not target.is_absolute():
            raise ControlError("BadTarget", f"{target} is no absolute path")
        if arguments.keep < 0:
            raise ControlError("BadKeep", "at least one backup is kept")
        if target.is_relative_to(self._data_dir):
            raise ControlError("BadTarget", f"{target} would be lost with {self._data_dir}")
        try:
            name = require_name(arguments.name or f"{made:%Y%m%dT%H%M%SZ}")
            request = BackupRequest(target, name, link=not arguments.copy)
            done = await self._written(request)
            removed = await self._removed(target, arguments.keep) if arguments.keep else []
        except ValueError as error:
            raise ControlError("BadName", str(error)) from error
        except (ReaderFailed, CutRevoked, Corrupt, OSError) as error:
            raise ControlError("BackupFailed", str(error)) from error
        return {"name": name, "removed": removed, **msgspec.to_builtins(done)}

    async def _removed(self, target: Path, keep: int) -> list[str]:
        """Remove all but the newest backups; return the names of those that went."""
        stores = len(self._members)
        return await asyncio.to_thread(keep_newest, target, stores, keep)

    async def _written(self, request: BackupRequest) -> Done:
        """Hold every store, cut every one where it stands, write, and say that it is whole."""
        stores = len(self._members)
        beside = tuple(files_beside(self._data_dir))
        if stores > 1:
            await asyncio.to_thread(_make_folders, request.target, request.name)
        requests = [
            request._replace(
                target=set_of(request.target, number, stores), beside=() if number else beside
            )
            for number in range(stores)
        ]
        made_ms = self._clock.now_ms()
        try:
            # One that cannot be held is why the others are let go.
            await together([member.hold() for member in self._members])
            written = [
                member.back_up(each) for member, each in zip(self._members, requests, strict=True)
            ]
            done = await together(written)
        finally:
            await together([member.let_go() for member in self._members])
        if stores == 1:
            return done[0]
        write = functools.partial(write_joint, request.target, request.name, made_ms, stores)
        joint = await asyncio.to_thread(write)
        contents = ",".join(member.content for member in joint.stores)
        return Done(
            rows=sum(each.rows for each in done),
            content=hashlib.sha256(contents.encode()).hexdigest(),
            blobs=sum(each.blobs for each in done),
            blobs_new=sum(each.blobs_new for each in done),
            bytes=sum(each.bytes for each in done),
        )


def _make_folders(root: Path, name: str) -> None:
    """Make the folder of a joint backup; the joint manifest makes it durable.

    Raises:
        FileExistsError: There is one of that name.
    """
    make_folder(root)
    (root / name).mkdir(mode=0o700)


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Do things side by side; when one fails the others are cancelled, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except* (Weather, Corrupt, ReaderFailed, OSError) as errors:
        first = errors.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise first


def store_settings(
    config: Config, data_dir: Path, number: int = 0, *, keeps_spool: bool = False
) -> Settings:
    """Return what the settings say to one of the stores.

    Args:
        config: The settings in force.
        data_dir: Where a relative folder begins.
        number: Of the store.
        keeps_spool: Only the server gives up an archive that the settings do not name.
    """
    archive = config.archive
    warm_above_bytes = config.processes.warm_above_percent * memory_bytes() // 100
    warm_above_bytes //= config.processes.stores
    if not archive.folder:
        return Settings(keeps_spool=keeps_spool, warm_above_bytes=warm_above_bytes)
    return Settings(
        warm_above_bytes=warm_above_bytes,
        archive=ArchiveSettings(
            set_of(data_dir / archive.folder, number, config.processes.stores),
            backlog_bytes_max=archive.backlog_mb_max << 20,
            interval_ms=archive.interval_ms,
            is_joint=config.processes.stores > 1,
        ),
    )
