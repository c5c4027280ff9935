"""What happens to a folder on a disk, in the order in which it is seen. Paths are relative to it."""

from __future__ import annotations

from typing import NamedTuple


class Make(NamedTuple):
    """A file was opened that may be new."""

    path: str
    inode: int
    empties: bool


class Write(NamedTuple):
    inode: int
    offset: int
    data: bytes
    is_synced: bool
    """The descriptor is one that syncs each write."""


class Truncate(NamedTuple):
    inode: int
    size: int


class MakeFolder(NamedTuple):
    path: str


class Remove(NamedTuple):
    path: str


class Rename(NamedTuple):
    old: str
    new: str


class Link(NamedTuple):
    old: str
    new: str


class SyncBegin(NamedTuple):
    path: str
    inode: int | None
    """Of a file; a folder has none."""
    label: str
    """Where in the program the sync stands (``labels/sitecustomize.py``)."""


class SyncEnd(NamedTuple):
    begun: int
    """The index of the event that began it."""


class Said(NamedTuple):
    """Something was written to the standard output: an acknowledgement."""

    data: bytes


Event = Make | Write | Truncate | MakeFolder | Remove | Rename | Link | SyncBegin | SyncEnd | Said
