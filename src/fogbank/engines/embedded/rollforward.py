"""Rolling a restored store forward over the archived log, to a version or a time.

Nothing is applied here: the groups are laid into segments of the new store's log as they were, and
its first start recovers them as after a crash. So no key is needed, and there is one way in which
the log becomes rows.

Rule: the log must follow the backup without a gap and reach as far as was asked, or nothing is
restored. A version is reached to the group that holds it, which is what one sync made durable; a
time to the last noted version before it, about a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import keys
from fogbank.engines.embedded.blobs import unsettle
from fogbank.engines.embedded.checkpoint import LOG
from fogbank.engines.embedded.files import replace_file
from fogbank.engines.embedded.frames import Reader, path_of
from fogbank.engines.embedded.keyfile import KEYRING, find_keyring
from fogbank.engines.embedded.manifest import ARCHIVED_LOG, BLOBS, Manifest
from fogbank.engines.embedded.place import make_folders, place, sync_folders
from fogbank.engines.embedded.segment import (
    PAGE_BYTES,
    Group,
    Writes,
    find_group,
    first_offset,
    lay_groups,
    make_ready,
    segment_path,
)
from fogbank.engines.embedded.spool import About, entries, read_groups_of
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.store.engine import Domain

_SIZE_STEP: Final = 1 << 16


class Until(NamedTuple):
    """How far to roll forward: to a version, to a time, or with neither as far as the log goes."""

    version: int | None = None
    time_ms: int | None = None


class Rolled(NamedTuple):
    """What was laid into the log."""

    version: int
    segments: int
    blobs: int


def following(root: Path, manifest: Manifest) -> list[About]:
    """Return the entries of a set's archive that follow a backup, without a gap.

    Raises:
        Corrupt: There is a gap.
    """
    head = manifest.head
    chain: list[About] = []
    known = head.version
    for about in entries(root / ARCHIVED_LOG):
        if about.incarnation != head.incarnation or about.last <= head.version:
            continue
        if about.first > known + 1:
            raise Corrupt(
                f"the archive of the log lacks the versions {known + 1} to {about.first - 1}"
            )
        known = about.last
        chain.append(about)
    return chain


def target_of(chain: list[About], manifest: Manifest, until: Until) -> int:
    """Return the version to roll forward to.

    Raises:
        Corrupt: The backup is newer than that, or the log does not reach so far.
    """
    reached = chain[-1].last if chain else manifest.head.version
    if until.version is not None:
        if not manifest.head.version <= until.version <= reached:
            raise Corrupt(
                f"backup and log reach from version {manifest.head.version} to {reached}, "
                f"and not to {until.version}"
            )
        return until.version
    if until.time_ms is None:
        return reached
    marks = [(manifest.head.version, manifest.head.made_ms)]
    marks += [mark for about in chain for mark in about.times]
    if not marks[0][1] <= until.time_ms <= max(time_ms for _version, time_ms in marks):
        raise Corrupt(
            f"backup and log reach from {marks[0][1]} to {max(mark[1] for mark in marks)} "
            f"milliseconds since 1970, and not to {until.time_ms}"
        )
    return max(version for version, time_ms in marks if time_ms <= until.time_ms)


def common_versions(
    roots: list[Path], manifests: list[Manifest], made_ms: int, until_ms: int | None
) -> list[int]:
    """Return the versions of several stores at the last moment that all their logs have.

    Args:
        roots: Their backup sets.
        manifests: Of their parts of one backup.
        made_ms: When that was made.
        until_ms: A time at or behind that moment; None: the last there is.

    Raises:
        Corrupt: A log has a gap, or they do not reach so far.
    """
    marks: list[dict[int, int]] = []
    for root, manifest in zip(roots, manifests, strict=True):
        own = {made_ms: manifest.head.version}
        for about in following(root, manifest):
            own |= {time_ms: version for version, time_ms in about.times}
        marks.append(own)
    common = sorted(set(marks[0]).intersection(*marks[1:]))
    if until_ms is not None and not common[0] <= until_ms <= common[-1]:
        raise Corrupt(
            f"backup and logs of all stores reach from {common[0]} to {common[-1]} milliseconds "
            f"since 1970, and not to {until_ms}"
        )
    chosen = max(time_ms for time_ms in common if until_ms is None or time_ms <= until_ms)
    return [own[chosen] for own in marks]


def groups_of(root: Path, chain: list[About], after: int) -> Iterator[list[Group]]:
    """Yield the groups of each entry behind a version.

    Raises:
        Corrupt: An entry is not what was written.
    """
    known = after
    for about in chain:
        raw = read_groups_of(root / ARCHIVED_LOG, about)
        groups: list[Group] = []
        at = 0
        while (group := find_group(raw, at)) is not None:
            at = group.end
            if group.first > known:
                groups.append(group)
                known = group.last
        if at != len(raw):
            raise Corrupt(f"the archive's entry {about.name} holds more than groups")
        yield groups


def transactions(
    root: Path, manifest: Manifest, keys: DataKeys, domain: Domain | None = None
) -> Iterator[tuple[int, Writes]]:
    """Yield version and writes of the archived transactions behind a backup.

    With a domain only what was written under its keys, and only transactions that did.
    """
    for groups in groups_of(root, following(root, manifest), manifest.head.version):
        for group in groups:
            for version, writes in enumerate(group.writes(keys), group.first):
                if domain is None:
                    yield version, writes
                elif own := {k: v for k, v in writes.items() if k.startswith(domain.prefix)}:
                    yield version, own


def roll_forward(
    root: Path, manifest: Manifest, store: Path, until: Until, *, blobs: bool = True
) -> Rolled:
    """Lay the archived log behind a backup into the log of the store that was made of it.

    Raises:
        Corrupt: The log has a gap, is damaged, or does not reach so far.
    """
    chain = following(root, manifest)
    target = target_of(chain, manifest, until)
    number = manifest.head.segment
    segment_path(store / LOG, number).unlink()
    refs: set[BlobRef] = set()
    version = manifest.head.version
    laid = 0
    for about, groups in zip(chain, groups_of(root, chain, version), strict=True):
        kept = [group for group in groups if group.first <= target]
        if not kept:
            continue
        _lay(store, number + laid, kept)
        laid += 1
        version = kept[-1].last
        if blobs:
            refs.update(BlobRef(*each) for each in about.blobs)
    _lay(store, number + laid, [])
    # What rotted would seal the store that is made: it is looked at, if not opened.
    keys.require_whole(root / ARCHIVED_LOG)
    keyring = find_keyring(root / ARCHIVED_LOG)
    if laid and keyring is not None:
        # It has every key that the backup's has, and those that came later.
        replace_file(store / KEYRING, keyring)
    unsettle(store / BLOBS, manifest.head.incarnation)
    return Rolled(version, laid, _copy_blobs(root, store, refs))


def _lay(store: Path, number: int, groups: list[Group]) -> None:
    """Make a segment of groups."""
    raw = b"".join(group.raw() for group in groups)
    size = _SIZE_STEP
    while size - first_offset(size) < len(raw) + PAGE_BYTES:
        size += _SIZE_STEP
    path = segment_path(store / LOG, number)
    make_ready(store / LOG, path.name, size)
    lay_groups(path, raw)


def _copy_blobs(root: Path, store: Path, refs: set[BlobRef]) -> int:
    """Copy the blobs that came with the log; return how many.

    One that only later transactions refer to is swept at the first start, as after a crash.
    """
    changed: set[Path] = set()
    for ref in sorted(refs):
        source, target = path_of(root / BLOBS, ref), path_of(store / BLOBS, ref)
        if target.exists():
            continue
        make_folders(store, target.parent)
        try:
            # No manifest has the SHA-256 of what came with the log; its own checks need no key.
            with Reader(root / BLOBS, ref, None) as reader:
                reader.verify()
            place(source, target, link=False)
        except FileNotFoundError:
            raise Corrupt(f"{source} is missing, and the archived log refers to it") from None
        changed.add(target.parent)
    sync_folders(store, changed)
    return len(refs)
