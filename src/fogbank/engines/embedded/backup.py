"""Writing a backup: the rows of a cut, the blobs that they name, the small files beside them.

Runs in the reader process that holds the cut, so it takes nothing from the store's loop, and dies
with the cut. Everything is durable before the manifest is put in its place, and blobs appear in the
pool under their names only whole: a backup that was cut short at any point is none, and spoils none
before it.

Incremental: a blob that the pool has is not copied again, and its hash is taken from the newest
manifest that names it. The pool's file may be sealed with an older key than the store's: the keys
of the backup open both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.cloud import claim_set, cloud_of
from fogbank.engines.embedded.dump import Dumped, DumpWriter
from fogbank.engines.embedded.files import make_folder
from fogbank.engines.embedded.frames import Reader, path_of
from fogbank.engines.embedded.manifest import (
    BLOBS,
    ROWS_DUMP,
    FileLine,
    Head,
    Tail,
    Writing,
    backups_in,
)
from fogbank.engines.embedded.place import digest_of, make_folders, place, sync_folders
from fogbank.engines.embedded.rewriting import ANEW_NOTE
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef


class Wanted(msgspec.Struct, frozen=True):
    """What a backup shall be, and where."""

    target: str
    """The folder of the backup set."""
    head: Head
    leaving: list[tuple[int, int]]
    """Blobs of the cut whose deletion is queued in it: their files may be gone."""
    beside: list[tuple[str, str]]
    """Small files: where each lies, and its place under the backup's folder."""
    link: bool
    """Blobs may be second names of the store's own files."""
    keys: list[int] = []
    """The data keys of the store, if some were dropped: the pool may hold blobs of those."""


class Done(msgspec.Struct, frozen=True):
    """What a backup holds."""

    rows: int = 0
    content: str = ""
    blobs: int = 0
    blobs_new: int = 0
    bytes: int = 0
    """Of all files of the backup."""


def back_up(source: Path, txn: rows.Reader, wanted: Wanted) -> Done:
    """Write a backup of a store's cut.

    Args:
        source: The store's directory.
        txn: The cut.
        wanted: What to write, and where.

    Raises:
        FileExistsError: There is a backup of that name.
        AnotherClouds: The set is another cloud's.
        Corrupt: A blob that the cut names is missing.
    """
    root = Path(wanted.target)
    folder = root / wanted.head.name
    known = _known_hashes(root)
    make_folder(root)
    claim_set(root, cloud_of(source))
    (root / BLOBS).mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    writer = _Writer(root, folder, wanted)
    dump = DumpWriter(folder / ROWS_DUMP)
    refs: list[BlobRef] = []
    for key, raw in rows.walk_rows(txn):
        dump.add(key, raw)
        if blob_rows.file_key_is(key):
            refs.append(blob_rows.ref_of_file_key(key))
    dumped = dump.finish()
    writer.note(folder / ROWS_DUMP)
    writer.copy_blobs(source / BLOBS, sorted(refs), known)
    writer.copy_beside()
    return writer.finish(dumped)


def _known_hashes(root: Path) -> dict[str, FileLine]:
    """Return the lines about blobs of the newest backup of a set."""
    try:
        found = backups_in(root)
    except Corrupt:
        # A damaged manifest speaks for no hash; the restore of that backup is what it fails.
        found = []
    lines = found[-1].files if found else {}
    return {path: line for path, line in lines.items() if path.startswith(f"{BLOBS}/")}


class _Writer:
    """Copies files into a backup set and notes them in the manifest."""

    def __init__(self, root: Path, folder: Path, wanted: Wanted) -> None:
        self._root = root
        self._folder = folder
        self._wanted = wanted
        self._manifest = Writing(folder, wanted.head)
        self._changed: set[Path] = {folder, root / BLOBS}
        self._bytes = 0
        self._blobs = 0
        self._blobs_new = 0

    def note(self, path: Path, sha256: str = "") -> None:
        """Note a file that is durable but for its name."""
        size = path.stat().st_size
        self._bytes += size
        relative = path.relative_to(self._root).as_posix()
        self._manifest.add(relative, size, sha256 or digest_of(path))

    def copy_blobs(self, pool: Path, refs: Iterable[BlobRef], known: dict[str, FileLine]) -> None:
        """Bring the files of blobs into the pool, those that it has not."""
        leaving = set(self._wanted.leaving)
        for ref in refs:
            source = path_of(pool, ref)
            target = path_of(self._root / BLOBS, ref)
            try:
                line = known.get(target.relative_to(self._root).as_posix())
                size = source.stat().st_size
                known_size = size if line is None else line.size
                if self._wanted.keys and target.exists():
                    _require_keys(self._root / BLOBS, ref, self._wanted.keys)
                if not target.exists() or target.stat().st_size not in {size, known_size}:
                    make_folders(self._root, target.parent)
                    place(source, target, link=self._wanted.link)
                    self._blobs_new += 1
            except FileNotFoundError:
                if ref in leaving:
                    continue
                raise Corrupt(f"{source} is missing, and the store refers to it") from None
            # Also of one that was there: who brought it may have been killed before it was durable.
            self._changed.add(target.parent)
            is_known = line is not None and line.size == target.stat().st_size
            self.note(target, line.sha256 if line is not None and is_known else "")
            self._blobs += 1

    def copy_beside(self) -> None:
        """Copy the small files of the store and of the data directory."""
        for source, relative in self._wanted.beside:
            target = self._folder / relative
            make_folders(self._root, target.parent)
            place(Path(source), target, link=False)
            self._changed.add(target.parent)
            self.note(target)

    def finish(self, dumped: Dumped) -> Done:
        """Make everything durable, and only then the manifest."""
        sync_folders(self._root, self._changed)
        tail: Tail = self._manifest.finish(dumped.rows, dumped.content)
        return Done(tail.rows, tail.content, self._blobs, self._blobs_new, self._bytes)


def _require_keys(pool: Path, ref: BlobRef, keys: list[int]) -> None:
    """Refuse a file of the pool that the keys of the store do not open any more.

    Raises:
        Corrupt: It was sealed with a data key that was dropped since, or is damaged.
    """
    with Reader(pool, ref, None) as reader:
        if reader.named_keys() - set(keys):
            raise Corrupt(
                f"{reader.path} is sealed with a data key that was dropped, and an older backup "
                "needs it so: take the next backup into a new folder"
            )


def beside_store(source: Path) -> Iterator[tuple[str, str]]:
    """Yield the small files of a store's directory and their places in a backup."""
    for path in sorted(source.iterdir()):
        # What is noted of the blobs is of their files here, and not of those in the pool.
        is_noted = path.name.endswith(".new") or path.name == ANEW_NOTE
        if path.is_file() and path.suffix != ".lock" and not is_noted:
            yield str(path), f"store/{path.name}"
