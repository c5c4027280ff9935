"""Making a store of a backup.

Rule: nothing is written before every file of the backup has been compared with its SHA-256, and the
store that was made is read back and its content compared with that of the manifest. The note of the
store says from the start that a restore is under way, and only in the end what store it is: one
whose restore was cut short is refused.

The new store has the next incarnation, so that what it appends is behind everything that the old
one ever appended, and the names of its blobs are new. No key is needed: values and blobs are taken
over as they lie, sealed or not, with the keyring beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.blobs import NOTE as BLOBS_NOTE
from fogbank.engines.embedded.checkpoint import LOG, ROWS
from fogbank.engines.embedded.dump import load_rows, read_dump
from fogbank.engines.embedded.files import sync_folder
from fogbank.engines.embedded.manifest import (
    BLOBS,
    ROWS_DUMP,
    Manifest,
    backups_in,
    damage_of,
    read_manifest,
)
from fogbank.engines.embedded.migrate import (
    FORMAT,
    NOTE,
    Identity,
    mark_restoring,
    write_identity,
)
from fogbank.engines.embedded.place import make_folders, place, sync_folders
from fogbank.engines.embedded.rollforward import Until, roll_forward
from fogbank.engines.embedded.segment import make_ready, segment_path

_SEGMENT_BYTES: Final = 1 << 16
"""Of the empty segment that the log begins with; the first start makes full ones."""
_STORE: Final = "store/"
DAMAGE_MAX: Final = 20


class Restored(NamedTuple):
    """What was made."""

    rows: int
    blobs: int
    content: str
    incarnation: int
    version: int


def find_backup(root: Path, name: str = "") -> Manifest:
    """Return the manifest of a backup of a set: by name, or the newest.

    Raises:
        Corrupt: There is no such backup, or its manifest is damaged.
    """
    if name:
        return read_manifest(root / name)
    found = backups_in(root)
    if not found:
        raise Corrupt(f"{root} holds no backup")
    return found[-1]


def find_before(root: Path, until: Until) -> Manifest:
    """Return the newest backup of a set that can be rolled forward to a version or a time.

    Raises:
        Corrupt: There is none, or a manifest is damaged.
    """
    found = [
        each
        for each in backups_in(root)
        if (until.version is None or each.head.version <= until.version)
        and (until.time_ms is None or each.head.made_ms <= until.time_ms)
    ]
    if not found:
        raise Corrupt(f"{root} holds no backup from before that")
    return found[-1]


def require_whole(root: Path, manifest: Manifest) -> None:
    """Compare every file of a backup with what was written.

    Raises:
        Corrupt: One is missing or another; the message names it.
    """
    if manifest.head.format > FORMAT:
        raise Corrupt(
            f"the backup {manifest.head.name} is of a store of format {manifest.head.format}; "
            f"this program knows formats up to {FORMAT}: start a newer one"
        )
    damage: list[str] = []
    for finding in damage_of(root, manifest):
        damage.append(finding)
        if len(damage) == DAMAGE_MAX:
            break
    if damage:
        raise Corrupt("; ".join(damage))


def begin_store(store: Path) -> None:
    """Say durably that a store is being made in a directory that is not there.

    Raises:
        FileExistsError: There is such a directory.
    """
    store.mkdir(mode=0o700)
    mark_restoring(store)
    sync_folder(store.parent)


def restore_store(
    root: Path,
    manifest: Manifest,
    store: Path,
    until: Until | None = None,
    *,
    blobs: bool = True,
) -> Restored:
    """Make a store of a backup that is whole, where ``begin_store`` has begun one.

    Args:
        root: The backup set.
        manifest: Of the backup.
        store: Where to make it.
        until: How far to roll it forward over the archived log; None: not at all.
        blobs: With its blobs; without them it is only good for reading rows.

    Raises:
        Corrupt: What was made is not what the manifest says.
    """
    head = manifest.head
    for name in (ROWS, LOG, BLOBS):
        (store / name).mkdir(mode=0o700)
    loaded = load_rows(store / ROWS, read_dump(root / head.name / ROWS_DUMP))
    (store / ROWS / rows.LOCK).unlink(missing_ok=True)
    if (loaded.rows, loaded.content) != (manifest.tail.rows, manifest.tail.content):
        raise Corrupt(f"the rows of {store} are not those of the backup {head.name}")
    count = _copy_blobs(root, manifest, store) if blobs else 0
    make_ready(store / LOG, segment_path(store / LOG, head.segment).name, _SEGMENT_BYTES)
    _copy_beside(root, manifest, store)
    version = head.version
    if until is not None:
        rolled = roll_forward(root, manifest, store, until, blobs=blobs)
        version, count = rolled.version, count + rolled.blobs
    sync_folders(store, {store / ROWS})
    identity = Identity(head.format, head.incarnation + 1)
    write_identity(store, identity)
    return Restored(loaded.rows, count, loaded.content, identity.incarnation, version)


def _copy_blobs(root: Path, manifest: Manifest, store: Path) -> int:
    """Copy the blobs of a backup, apart from the pool; return how many."""
    changed: set[Path] = set()
    count = 0
    for path in manifest.files:
        if path.startswith(f"{BLOBS}/"):
            target = store / path
            make_folders(store, target.parent)
            place(root / path, target, link=False)
            changed.add(target.parent)
            count += 1
    sync_folders(store, changed)
    return count


def _copy_beside(root: Path, manifest: Manifest, store: Path) -> None:
    """Copy the small files of the store but its note, which has the old incarnation."""
    for relative in files_under(manifest, _STORE):
        if relative != NOTE:
            place(root / manifest.head.name / _STORE / relative, store / relative, link=False)
    # The numbers of blobs begin anew, as their incarnation is new.
    (store / BLOBS / BLOBS_NOTE).unlink(missing_ok=True)


def files_under(manifest: Manifest, folder: str) -> list[str]:
    """Return the files of a backup below a folder of its own, relative to it."""
    prefix = f"{manifest.head.name}/{folder}"
    return [path.removeprefix(prefix) for path in manifest.files if path.startswith(prefix)]


def copy_data_files(root: Path, manifest: Manifest, data_dir: Path) -> None:
    """Copy the small files of the data directory."""
    changed = {data_dir}
    for relative in files_under(manifest, "data/"):
        target = data_dir / relative
        make_folders(data_dir, target.parent)
        place(root / manifest.head.name / "data" / relative, target, link=False)
        changed.add(target.parent)
    sync_folders(data_dir, changed)
