"""Making a data directory of a backup, as an operator asks for it; it wants no server.

Rule: nothing is written before all of the backup was found whole. A directory whose restore was cut
short opens nowhere: every store in it says so until the last moment.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import restore
from fogbank.engines.embedded.joint import (
    JOINT,
    Joint,
    joints_in,
    members_of,
    read_joint,
    set_of,
)
from fogbank.engines.embedded.manifest import Manifest, backups_in
from fogbank.engines.embedded.restore import Restored
from fogbank.engines.embedded.rollforward import Until, common_versions
from fogbank.server import datadir
from fogbank.server.config import Resolved


class RestoreRefused(Exception):
    """A backup cannot be restored as it was asked for; the message says why."""


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


class Chosen:
    """A backup that was found, of one store or of several.

    Args:
        root: The folder of the backup set.
        manifests: Of its stores, by number.
    """

    def __init__(self, root: Path, manifests: list[Manifest]) -> None:
        self._root = root
        self.manifests = manifests
        self.until: list[Until | None] = [None for _ in manifests]
        """How far to roll each store forward over its archived log."""

    @property
    def stores(self) -> int:
        """Return of how many stores it is."""
        return len(self.manifests)

    def set_of(self, number: int) -> Path:
        """Return the backup set of a store."""
        return set_of(self._root, number, self.stores)


def choose(backups: Path, name: str, until: Until | None) -> Chosen:
    """Return a backup of a set by its name, or the newest, or the newest before ``until``.

    Raises:
        Corrupt: There is none, or it is not what was written.
        RestoreRefused: Several stores cannot be rolled forward so.
    """
    joint = _find_joint(backups, name, until)
    if joint is None:
        if name or until is None:
            chosen = Chosen(backups, [restore.find_backup(backups, name)])
        else:
            chosen = Chosen(backups, [restore.find_before(backups, until)])
        chosen.until = [until]
        return chosen
    chosen = Chosen(backups, members_of(backups, joint))
    if until is not None:
        if until.version is not None:
            raise RestoreRefused("several stores have no version in common: name a time, or latest")
        sets = [chosen.set_of(number) for number in range(chosen.stores)]
        versions = common_versions(sets, chosen.manifests, joint.made_ms, until.time_ms)
        chosen.until = [Until(version=version) for version in versions]
    return chosen


def _find_joint(backups: Path, name: str, until: Until | None) -> Joint | None:
    """Return the joint backup of a name, or the newest that is early enough, if the set has any."""
    if name:
        return read_joint(backups / name) if (backups / name / JOINT).exists() else None
    joints = joints_in(backups)
    if not joints:
        return None
    if until is not None and until.time_ms is not None:
        joints = [each for each in joints if each.made_ms <= until.time_ms]
        if not joints:
            raise Corrupt(f"{backups} holds no backup from before that")
    singles = backups_in(backups)
    if singles and singles[-1].head.made_ms > joints[-1].made_ms:
        return None
    return joints[-1]


def restore_into(
    backups: Path, name: str, data_dir: Path, until: Until | None = None, stores: int | None = None
) -> list[Restored]:
    """Make a data directory of a backup; return what each of its stores holds.

    Args:
        backups: The folder of the backup set.
        name: Of the backup; empty: the newest, or the newest before ``until``.
        data_dir: An empty directory, or none.
        until: How far to roll it forward over the archived log; None: not at all.
        stores: How many stores are asked for; None: as many as were backed up.

    Raises:
        RestoreRefused: The directory is not empty, the backup is not whole, or of another number
            of stores.
    """
    try:
        chosen = choose(backups, name, until)
        if any(data_dir.iterdir()):
            raise RestoreRefused(f"{data_dir} is not empty")
        if stores not in {None, chosen.stores}:
            raise RestoreRefused(
                f"the backup is of processes.stores = {chosen.stores}, and {stores} are asked for: "
                "the number of stores of a data directory never changes"
            )
        for number, manifest in enumerate(chosen.manifests):
            restore.require_whole(chosen.set_of(number), manifest)
        return _made(chosen, data_dir)
    except Corrupt as error:
        raise RestoreRefused(str(error)) from error


def _made(chosen: Chosen, data_dir: Path) -> list[Restored]:
    """Make every store, and only when all of them are under way anything of them."""
    folders = datadir.store_dirs(data_dir, chosen.stores)
    for folder in folders:
        restore.begin_store(folder)
    datadir.settle_stores(data_dir, chosen.stores)
    restored = [
        restore.restore_store(chosen.set_of(number), manifest, folder, chosen.until[number])
        for number, (manifest, folder) in enumerate(zip(chosen.manifests, folders, strict=True))
    ]
    restore.copy_data_files(chosen.set_of(0), chosen.manifests[0], data_dir)
    return restored


def stores_asked_for(settings: Resolved) -> int | None:
    """Return the number of stores that the settings name, or None if they name none."""
    named = "processes.stores" in settings.origins
    return settings.config.processes.stores if named else None
