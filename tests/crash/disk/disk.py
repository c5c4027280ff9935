"""A disk under a folder: what a power cut leaves of it is what was synced and a random part of the rest.

Rule, as strict as POSIX allows: a file's bytes last once a sync of that file began after they were
written and ended; an entry of a folder lasts once a sync of that folder did, whatever became of the
file. Of what was not synced each sector and each change of a folder is there or not, independent of
its neighbours and of their order; a rename is one change.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.crash.disk.events import (
    Event,
    Link,
    Make,
    MakeFolder,
    Remove,
    Rename,
    Said,
    SyncBegin,
    SyncEnd,
    Truncate,
    Write,
)


class File:
    """The bytes of a file: what lasts, and the changes since."""

    def __init__(self) -> None:
        self.lasting = bytearray()
        self.changes: list[Write | Truncate] = []
        self.synced = 0
        """How many changes last."""

    def sync(self, upto: int) -> None:
        count = max(upto - self.synced, 0)
        for change in self.changes[:count]:
            apply(self.lasting, change)
        del self.changes[:count]
        self.synced += count


class Folder:
    """The entries of a folder: what lasts, and the changes since, each of several entries."""

    def __init__(self) -> None:
        self.lasting: dict[str, File | Folder] = {}
        self.now: dict[str, File | Folder] = {}
        self.changes: list[dict[str, File | Folder | None]] = []
        self.synced = 0
        """How many changes last."""

    def change(self, entries: dict[str, File | Folder | None]) -> None:
        self.changes.append(entries)
        put(self.now, entries)

    def sync(self, upto: int) -> None:
        count = max(upto - self.synced, 0)
        for change in self.changes[:count]:
            put(self.lasting, change)
        del self.changes[:count]
        self.synced += count


def put(entries: dict[str, File | Folder], change: dict[str, File | Folder | None]) -> None:
    for name, found in change.items():
        if found is None:
            entries.pop(name, None)
        else:
            entries[name] = found


def apply(data: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del data[change.size :]
        data.extend(bytes(change.size - len(data)))
        return
    end = change.offset + len(change.data)
    if len(data) < change.offset:
        data.extend(bytes(change.offset - len(data)))
    data[change.offset : end] = change.data


class Disk:
    """Follows events; ``cut`` makes what a power cut at this point leaves.

    Args:
        ignored: Labels of syncs that do nothing: what would be without them?
    """

    def __init__(self, ignored: Collection[str] = ()) -> None:
        self.root = Folder()
        self.said = b""
        self._files: dict[int, File] = {}
        self._ignored = ignored
        self._begun: dict[int, tuple[File | Folder, int]] = {}
        self._missed: dict[int, tuple[File | Folder, int]] = {}
        self._owed: list[tuple[File | Folder, int]] = []
        self._index = -1

    def follow(self, events: Sequence[Event]) -> None:
        for event in events:
            self._index += 1
            _FOLLOW[type(event)](self, event)

    # What happens.

    def _parent(self, path: str) -> tuple[Folder, str]:
        *parents, name = Path(path).parts
        folder = self.root
        for each in parents:
            below = folder.now[each]
            assert isinstance(below, Folder)
            folder = below
        return folder, name

    def _make(self, event: Make) -> None:
        folder, name = self._parent(event.path)
        found = folder.now.get(name)
        if found is None:
            found = File()
            folder.change({name: found})
        elif isinstance(found, File) and event.empties:
            found.changes.append(Truncate(event.inode, 0))
        assert isinstance(found, File)
        self._files[event.inode] = found

    def _write(self, event: Write) -> None:
        file = self._files[event.inode]
        if event.is_synced and "lmdb" not in self._ignored:
            apply(file.lasting, event)
        file.changes.append(event)
        if event.is_synced and "lmdb" in self._ignored:
            self._owed.append((file, file.synced + len(file.changes)))

    def _truncate(self, event: Truncate) -> None:
        self._files[event.inode].changes.append(event)

    def _make_folder(self, event: MakeFolder) -> None:
        folder, name = self._parent(event.path)
        folder.change({name: Folder()})

    def _remove(self, event: Remove) -> None:
        folder, name = self._parent(event.path)
        folder.change({name: None})

    def _rename(self, event: Rename) -> None:
        (old, name), (new, other) = self._parent(event.old), self._parent(event.new)
        found = old.now[name]
        if old is new:
            old.change({name: None, other: found})
        else:
            new.change({other: found})
            old.change({name: None})

    def _link(self, event: Link) -> None:
        (old, name), (new, other) = self._parent(event.old), self._parent(event.new)
        new.change({other: old.now[name]})

    def _sync_begin(self, event: SyncBegin) -> None:
        target: File | Folder = self.root
        if event.inode is not None:
            target = self._files[event.inode]
        elif event.path != ".":
            folder, name = self._parent(event.path)
            target = folder.now[name]
            assert isinstance(target, Folder), event
        syncs = self._missed if event.label in self._ignored else self._begun
        syncs[self._index] = target, target.synced + len(target.changes)

    def _sync_end(self, event: SyncEnd) -> None:
        if event.begun in self._begun:
            target, upto = self._begun.pop(event.begun)
            target.sync(upto)
        elif event.begun in self._missed:
            self._owed.append(self._missed.pop(event.begun))

    def _said(self, event: Said) -> None:
        self.said += event.data

    # What is left.

    def owes(self) -> bool:
        """Return whether a sync that did nothing is not made up for by a later one."""
        self._owed = [(target, upto) for target, upto in self._owed if target.synced < upto]
        return bool(self._owed)

    def cut(self, into: Path, draw: random.Random, sector: int, odds: float) -> None:
        """Make a folder that holds what a power cut leaves: each change with these odds."""
        Left(lambda: draw.random() < odds, sector).make(self.root, into)

    def cut_short(self, into: Path) -> None:
        """Make a folder that holds what was synced and nothing else."""
        Left(lambda: False).make(self.root, into)

    def cut_out_of_order(self, into: Path) -> None:
        """Make a folder that holds every change but those that a missing sync was for."""
        missed = {id(target): upto - target.synced for target, upto in self._owed}
        Left(lambda: True, missed=missed).make(self.root, into)


_FOLLOW: dict[type, Callable[[Disk, Any], None]] = {
    Make: Disk._make,
    Write: Disk._write,
    Truncate: Disk._truncate,
    MakeFolder: Disk._make_folder,
    Remove: Disk._remove,
    Rename: Disk._rename,
    Link: Disk._link,
    SyncBegin: Disk._sync_begin,
    SyncEnd: Disk._sync_end,
    Said: Disk._said,
}


class Left:
    """Makes what is left.

    Args:
        is_there: Says of each change that was not synced whether it is there.
        sector: So many bytes are a change of their own.
        missed: How many of the first changes of a file or folder are surely lost, by its identity.
    """

    def __init__(
        self,
        is_there: Callable[[], bool],
        sector: int = 4_096,
        missed: Mapping[int, int] | None = None,
    ) -> None:
        self._is_there = is_there
        self._sector = sector
        self._missed = missed or {}
        self._made: dict[int, Path] = {}

    def make(self, folder: Folder, path: Path) -> None:
        path.mkdir(mode=0o700)
        entries = dict(folder.lasting)
        for change in folder.changes[self._missed.get(id(folder), 0) :]:
            if self._is_there():
                put(entries, change)
        for name, found in entries.items():
            if isinstance(found, Folder):
                self.make(found, path / name)
            elif id(found) in self._made:
                (path / name).hardlink_to(self._made[id(found)])
            else:
                (path / name).write_bytes(self._bytes(found))
                (path / name).chmod(0o600)
                self._made[id(found)] = path / name

    def _bytes(self, file: File) -> bytes:
        data = bytearray(file.lasting)
        for change in file.changes[self._missed.get(id(file), 0) :]:
            if isinstance(change, Write):
                for part in self._sectors(change):
                    if self._is_there():
                        apply(data, part)
            elif self._is_there():
                apply(data, change)
        return bytes(data)

    def _sectors(self, write: Write) -> list[Write]:
        offset, end = write.offset, write.offset + len(write.data)
        edges = [offset, *range(offset - offset % self._sector + self._sector, end, self._sector)]
        return [
            write._replace(offset=begin, data=write.data[begin - offset : stop - offset])
            for begin, stop in zip(edges, [*edges[1:], end], strict=True)
        ]
