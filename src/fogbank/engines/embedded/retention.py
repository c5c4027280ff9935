"""Removing old backups of a set, with the blobs and the archived log that only they need.

Rule: the newest backup stays, and nothing goes before every file of it has been compared with its
SHA-256. What an older backup shares with one that stays is kept.

A removal that was cut short is gone on with by the next one: a backup that goes loses its name as
one first (its manifest is renamed), then the blobs that are listed there, then the rest.

A *stray* is a file of the pool that neither a backup nor the archived log refers to, or a part of a
file of that log: a backup or an archiver that was cut short left it, and the next one found no use
for it. It goes when it is a day older than the newest backup, because what the archiver brings is
listed only when all of it is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import sync_folder
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.joint import JOINT, joints_in, members_of, set_of
from fogbank.engines.embedded.manifest import (
    ARCHIVED_LOG,
    BLOBS,
    MANIFEST,
    Manifest,
    backups_in,
    read_manifest,
)
from fogbank.engines.embedded.place import PARTIAL
from fogbank.engines.embedded.restore import require_whole
from fogbank.engines.embedded.spool import ABOUT, GROUPS, About, entries
from fogbank.platform.blobs.port import BlobRef

GONE: Final = MANIFEST + ".gone"
"""The manifest of a backup that is being removed."""
STRAY_S: Final = 86_400


def keep_newest(root: Path, stores: int, keep: int, stray_s: int = STRAY_S) -> list[str]:
    """Remove all but the newest backups of a set; return the names of those that went.

    Args:
        root: The backup set.
        stores: Of how many stores its backups are.
        keep: How many stay, at least one.
        stray_s: How much older than the newest backup a file is that has no use.

    Raises:
        Corrupt: The newest one is not whole, or a manifest is damaged; nothing was removed.
    """
    assert keep > 0, "the newest backup stays"
    kept = _kept(root, stores, keep)
    for number, manifests in enumerate(kept):
        require_whole(set_of(root, number, stores), manifests[-1])
    names = {manifest.head.name for manifest in kept[0]}
    if stores > 1:
        for joint in joints_in(root):
            if joint.name not in names:
                (root / joint.name / JOINT).unlink()
                (root / joint.name).rmdir()
        sync_folder(root)
    removed: set[str] = set()
    for number, manifests in enumerate(kept):
        own = set_of(root, number, stores)
        removed |= _remove_before(own, manifests)
        _remove_strays(own, manifests[-1].head.name, stray_s)
    assert not removed & names, "what stays is not removed"
    return sorted(removed)


def _age(manifest: Manifest) -> tuple[int, int, int]:
    """Return what orders backups of one store, whatever clocks said when they were made."""
    head = manifest.head
    return head.incarnation, head.version, head.made_ms


def _kept(root: Path, stores: int, keep: int) -> list[list[Manifest]]:
    """Return the backups that stay, of each store, the oldest first."""
    if stores == 1:
        found = [[manifest] for manifest in backups_in(root)]
    else:
        found = [members_of(root, joint) for joint in joints_in(root)]
    if not found:
        raise Corrupt(f"{root} holds no backup")
    newest = sorted(found, key=lambda members: _age(members[0]))[-keep:]
    return [[members[number] for members in newest] for number in range(stores)]


def _remove_before(root: Path, kept: list[Manifest]) -> set[str]:
    """Remove what is older than the oldest backup that stays, in the set of one store."""
    oldest = kept[0].head
    for manifest in backups_in(root):
        if _age(manifest) < _age(kept[0]):
            folder = root / manifest.head.name
            (folder / MANIFEST).rename(folder / GONE)
            sync_folder(folder)
    gone = [read_manifest(folder, GONE) for folder in root.iterdir() if (folder / GONE).exists()]
    log = root / ARCHIVED_LOG
    archived = entries(log) if log.is_dir() else []
    old = [
        about
        for about in archived
        if (about.incarnation, about.last) <= (oldest.incarnation, oldest.version)
    ]
    needed = _blobs_of(root, kept, [about for about in archived if about not in old])
    for path in _blobs_of(root, gone, old) - needed:
        path.unlink(missing_ok=True)
    for about in old:
        for suffix in (ABOUT, GROUPS):
            (log / (about.name + suffix)).unlink()
    for manifest in gone:
        shutil.rmtree(root / manifest.head.name)
    sync_folder(root)
    return {manifest.head.name for manifest in gone}


def _remove_strays(root: Path, newest: str, stray_s: int) -> None:
    """Remove the files of a set that have no use and are that much older than a backup."""
    # By the times of one file system, whatever the clock of this process says.
    latest = (root / newest / MANIFEST).stat().st_ctime - stray_s
    log = root / ARCHIVED_LOG
    needed = _blobs_of(root, backups_in(root), entries(log) if log.is_dir() else [])
    for path in (*(root / BLOBS).rglob("*"), *log.glob(f"*{PARTIAL}")):
        if path.is_file() and path not in needed and path.stat().st_ctime < latest:
            path.unlink()


def _blobs_of(root: Path, manifests: Iterable[Manifest], archived: Iterable[About]) -> set[Path]:
    """Return the files of the pool that backups and archived log refer to."""
    found = {
        root / path
        for manifest in manifests
        for path in manifest.files
        if path.startswith(f"{BLOBS}/")
    }
    for about in archived:
        found |= {path_of(root / BLOBS, BlobRef(*each)) for each in about.blobs}
    return found
