"""The offline check: whether every byte of a data directory is what was written.

What is looked at: the notes; every segment of the log, its groups and what lies behind them; every
page of the rows (by page sums, and by walking the tree without LMDB's own code); every row's seal
and the digests that say whether one is missing; every frame of every blob, and whether rows and
files of blobs agree; and what services say of rows that must agree (``Service.agreement``).

Rule: nothing is changed, and nothing that a crash may leave is called damage: a torn last group, a
segment that was being made ready, a blob above the low-water mark without a row (the next start
sweeps it). The rows are read in a process of their own, because LMDB may crash on a damaged file;
a crash there is a finding.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

import lmdb
import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import agree, rows
from fogbank.engines.embedded.blobs import NOTE as BLOBS_NOTE
from fogbank.engines.embedded.blobs import blob_files, low_water_of
from fogbank.engines.embedded.checkpoint import LOG, ROWS, merged
from fogbank.engines.embedded.cloud import CLOUD
from fogbank.engines.embedded.frames import Reader, is_beside
from fogbank.engines.embedded.keyfile import PLAIN, Encryption, find_kind
from fogbank.engines.embedded.keys import read_keys
from fogbank.engines.embedded.migrate import find_identity
from fogbank.engines.embedded.notes import find_note
from fogbank.engines.embedded.offline import OfflineRows
from fogbank.engines.embedded.recover import BLOBS, read_log, take_locks
from fogbank.engines.embedded.rewriting import ANEW_NOTE
from fogbank.engines.embedded.rows import State
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.segment import (
    RESERVE,
    SPARE,
    Writes,
    behind,
    find_group,
    first_offset,
    is_readying,
    numbered,
    read_segment,
    segment_path,
    stray_pages,
)
from fogbank.engines.embedded.spool import (
    ABOUT,
    GROUPS,
    OLD_TIMES,
    SPOOL,
    TIMES,
    read_groups_of,
    times_damage,
)
from fogbank.engines.embedded.spool import entries as entries_of
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.blobs.scrub import damage_key_is, decode_damage
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.crypto.secret import no_draw
from fogbank.platform.store.engine import Agreement

FINDINGS_MAX: Final = 1_000
"""After so many findings of one kind the rest is only counted."""


class Report(msgspec.Struct):
    """What a check found."""

    damage: list[str] = msgspec.field(default_factory=list)
    reported: list[str] = msgspec.field(default_factory=list)
    """What a scrub found damaged, as it said then."""
    unseen: list[str] = msgspec.field(default_factory=list)
    """What could not be looked at."""
    torn: list[str] = msgspec.field(default_factory=list)
    """Pages behind the end of the log that a power cut may leave, and damage may too: the page that
    would say which is as it was before, and nothing there can have been acknowledged."""
    sweepable: list[str] = msgspec.field(default_factory=list)
    """Files that nothing refers to and that the next start removes."""

    def add(self, findings: Iterable[str]) -> None:
        """Note damage, with a limit."""
        more = 0
        for count, finding in enumerate(findings):
            if count < FINDINGS_MAX:
                self.damage.append(finding)
            else:
                more += 1
        if more:
            self.damage.append(f"and {more} more like the last one")


class RowsSeen(msgspec.Struct):
    """What the walk over the rows found."""

    damage: list[str] = msgspec.field(default_factory=list)
    state: State | None = None
    reported: list[bytes] = msgspec.field(default_factory=list)
    """The reports of a scrub."""
    entries: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    """The rows that are compared with each other and with files (``agree.py``)."""


def check(data_dir: Path, encryption: Encryption = PLAIN) -> list[str]:
    """Return what is damaged in a data directory that no server uses; nothing, if all is well.

    Raises:
        DirectoryInUse: A server uses it.
        KeyRefused: The secret does not open it.
    """
    report = examine(data_dir, encryption)
    return report.damage + report.unseen


def examine(
    data_dir: Path, encryption: Encryption = PLAIN, agreements: Sequence[Agreement] = ()
) -> Report:
    """Return everything that a check can say about a data directory.

    What rows say of each other is looked at last, and only where nothing else is wrong: then they
    are read here, without a process of their own.

    Without a secret an encrypted directory is checked as far as checks go that need none, and the
    report says what that leaves.

    Raises:
        DirectoryInUse: A server uses it.
        KeyRefused: There is a secret, and it does not open the directory.
    """
    report = Report()
    if not data_dir.is_dir():
        report.add([f"{data_dir} is no data directory"])
        return report
    store_lock, checkpointer_lock = take_locks(data_dir)
    try:
        incarnation = _checked_incarnation(data_dir, report)
        if incarnation is None:
            return report
        keys = _checked_keys(data_dir, encryption, report)
        report.add(_note_damage(data_dir))
        report.add(rows.sums_damage(data_dir / ROWS))
        seen = _seen_rows(data_dir, keys)
        report.add(seen.damage)
        report.reported = [decode_damage(raw).message for raw in seen.reported]
        laid = _check_log(data_dir, seen.state, report, keys)
        entries: Writes = {**seen.entries}
        entries.update((key, value) for key, value in laid.items() if agree.is_looked_at(key))
        report.add(agree.damage_of(entries))
        report.add(_spool_damage(data_dir / SPOOL))
        _check_blobs(data_dir / BLOBS, incarnation, entries, report, keys)
        if keys is not None and not report.damage:
            report.add(_disagreement(data_dir, keys, laid, agreements))
    finally:
        checkpointer_lock.release()
        store_lock.release()
    return report


def _checked_incarnation(data_dir: Path, report: Report) -> int | None:
    """Return the incarnation of the store, 0 if its note is damaged; None if there is no store."""
    try:
        identity = find_identity(data_dir)
    except Corrupt as error:
        report.add([str(error)])
        return 0 if (data_dir / ROWS / rows.DATA).exists() else None
    if identity is None:
        report.add([f"{data_dir} holds no store"])
        return None
    return identity.incarnation


def _note_damage(data_dir: Path) -> Iterator[str]:
    """Yield what is wrong with the notes beside the store's own."""
    for name in (ANEW_NOTE, CLOUD):
        try:
            find_note(data_dir / name)
        except Corrupt as error:
            yield str(error)


def _checked_keys(data_dir: Path, encryption: Encryption, report: Report) -> DataKeys | None:
    """Return the data keys of the directory; None if it is encrypted and they cannot be had."""
    try:
        if encryption.secret is None and find_kind(data_dir) is not None:
            report.unseen.append(
                f"{data_dir} is encrypted, and no key was given: not checked are what is in the "
                "rows, whether rows are missing, and which blobs should be there"
            )
            return None
        return read_keys(data_dir, encryption)
    except Corrupt as error:
        report.add([str(error)])
        return None


# The log.


def _check_log(
    data_dir: Path, state: State | None, report: Report, keys: DataKeys | None
) -> Writes:
    """Check every segment; return the writes that are not in the rows yet."""
    folder = data_dir / LOG
    waiting = [folder / name for name in (SPARE, RESERVE)]
    known = [segment_path(folder, number) for number in numbered(folder)]
    for path in sorted(folder.iterdir()):
        if path in known:
            report.add(_segment_damage(path, report, is_last=path == known[-1]))
        elif path in waiting:
            report.add(_waiting_damage(path))
        elif not is_readying(path):
            report.add([f"{path} does not belong to a log"])
    if state is None or keys is None:
        return {}
    try:
        groups, _numbers = read_log(data_dir, state)
        return merged(groups, keys)
    except (Corrupt, OSError) as error:
        report.add([str(error)])
        return {}


def _waiting_damage(path: Path) -> list[str]:
    """Return what is wrong with a segment that waits for its use."""
    try:
        data = read_segment(path)
    except Corrupt as error:
        return [str(error)]
    stray = list(stray_pages(data, first_offset(len(data))))
    return [f"page {page} of {path} is not what was written" for page in stray]


def _segment_damage(path: Path, report: Report, *, is_last: bool) -> list[str]:
    """Return what is wrong with a segment that holds, or held, a part of the log."""
    try:
        data = read_segment(path)
    except Corrupt as error:
        return [str(error)]
    end = first_offset(len(data))
    known: int | None = None
    while (group := find_group(data, end)) is not None and known in (None, group.first - 1):
        end, known = group.end, group.last
    found = behind(path, data, end, is_last=is_last)
    report.torn += [found.torn] if found.torn else []
    return [found.damage] if found.damage else []


# The rows.


def _seen_rows(data_dir: Path, keys: DataKeys | None) -> RowsSeen:
    """Walk the rows in a process of their own, which is told the keys over a pipe."""
    command = [sys.executable, "-m", "fogbank.engines.embedded.check", str(data_dir)]
    told = msgspec.json.encode(None if keys is None else keys.export())
    done = subprocess.run(  # noqa: S603 (ourselves)
        command, input=told, stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        where = data_dir / ROWS
        return RowsSeen([f"reading {where} ended the reader with status {done.returncode}"])
    return msgspec.msgpack.decode(done.stdout, type=RowsSeen)


def see_rows(folder: Path, keys: dict[int, bytes] | None) -> RowsSeen:
    """Return what the rows hold and what is wrong with them; without keys, of their tree alone."""
    seen = RowsSeen()
    # Without LMDB's own code first: it trusts what it reads, and may crash or never end.
    from lmdb import verify  # noqa: PLC0415 (only this process needs it)

    try:
        found = cast("list[str]", verify.verify(str(folder)))  # pyright: ignore[reportUnknownMemberType]
        seen.damage = [f"{folder / rows.DATA}: {finding}" for finding in found]
    except (verify.VerifyError, OSError) as error:
        seen.damage = [f"{folder / rows.DATA}: {error}"]
    if seen.damage or keys is None:
        return seen
    seals = RowSeals(DataKeys(keys, active=None, draw=no_draw))
    try:
        env = rows.open_rows(folder, readonly=True, lock=False)
    except Corrupt as error:
        seen.damage.append(str(error))
        return seen
    with env, env.begin() as txn:
        try:
            _walk(txn, seals, seen)
            seen.state = rows.read_state(txn, seals)
        except (Corrupt, lmdb.Error) as error:
            seen.damage.append(str(error))
    return seen


def _walk(txn: rows.Reader, seals: RowSeals, seen: RowsSeen) -> None:
    """Check every row, and the digests over all of them."""
    digests = [0] * rows.BUCKETS
    unseal = seals.opener(txn.get)
    for key, raw in rows.walk_rows(txn):
        try:
            value = unseal(key, raw)
        except Corrupt as error:
            if len(seen.damage) < FINDINGS_MAX:
                seen.damage.append(str(error))
            continue
        if not rows.is_own(key):
            rows.add_to_digests(digests, key, raw)
        if damage_key_is(key):
            seen.reported.append(value)
        if agree.is_looked_at(key):
            seen.entries[key] = agree.told_of(key, value)
    stored = rows.read_digests(txn, seals)
    wrong = sum(one != other for one, other in zip(digests, stored, strict=True))
    if wrong:
        seen.damage.append(f"{wrong} of {rows.BUCKETS} digests: rows are missing or were changed")


def _disagreement(
    data_dir: Path, keys: DataKeys, laid: Writes, agreements: Sequence[Agreement]
) -> Iterator[str]:
    """Yield what services find wrong between their rows."""
    with rows.open_rows(data_dir / ROWS, readonly=True, lock=False) as env, env.begin() as txn:
        read_blob = partial(_read_blob, data_dir / BLOBS, keys)
        stored = OfflineRows(txn, RowSeals(keys), laid, read_blob)
        for agreement in agreements:
            try:
                yield from agreement(stored)
            except Corrupt as error:
                yield str(error)


def _read_blob(folder: Path, keys: DataKeys, ref: BlobRef) -> bytes:
    """Return the content of a blob."""
    reader = Reader(folder, ref, keys)
    try:
        frames = -(-reader.size // FRAME_BYTES)
        return b"".join(reader.frame(index) for index in range(frames))
    finally:
        reader.close()


# The spool of the archive.


def _spool_damage(folder: Path) -> list[str]:
    """Return what is wrong with the parts of the log that wait for the archive."""
    if not folder.is_dir():
        return []
    try:
        waiting = entries_of(folder)
    except Corrupt as error:
        return [str(error)]
    damage = times_damage(folder)
    known = {folder / TIMES, folder / OLD_TIMES}
    for about in waiting:
        known |= {folder / (about.name + suffix) for suffix in (ABOUT, GROUPS)}
        try:
            read_groups_of(folder, about)
        except Corrupt as error:
            damage.append(str(error))
    for before, about in pairwise(waiting):
        if about.incarnation == before.incarnation and about.first != before.last + 1:
            damage.append(f"{folder} lacks the versions {before.last + 1} to {about.first - 1}")
    # A crash may leave groups whose line was not written, and files that were to replace others.
    strangers = sorted(set(folder.iterdir()) - known)
    damage += [
        f"{path} does not belong to the archive"
        for path in strangers
        if path.suffix not in {GROUPS, ".new"}
    ]
    return damage


# The blobs.


def _check_blobs(
    folder: Path, incarnation: int, entries: Writes, report: Report, keys: DataKeys | None
) -> None:
    """Check every file of a blob, and whether the files are those that should be there."""
    wanted: dict[BlobRef, int] = {}
    leaving: set[BlobRef] = set()
    for key, value in entries.items():
        if value is None:
            continue
        if blob_rows.file_key_is(key):
            wanted[blob_rows.ref_of_file_key(key)] = blob_rows.decode_file(value).size
        elif blob_rows.deletion_key_is(key):
            deletion = blob_rows.decode_deletion(value)
            leaving.add(BlobRef(deletion.incarnation, deletion.number))
    try:
        low_water = low_water_of(folder, incarnation)
    except Corrupt as error:
        report.add([str(error)])
        low_water = None
    if keys is None:
        _check_unknown_blobs(folder, low_water, report)
        return
    found: set[BlobRef] = set()
    for path, ref in blob_files(folder):
        found.add(ref)
        if ref in wanted:
            report.add(_blob_damage(folder, ref, wanted[ref], keys))
        elif low_water is not None and ref > low_water:
            report.sweepable.append(f"{path} has no row: its writer did not get that far")
        else:
            report.add([f"{path} has no row, and its number is settled"])
    missing = sorted(wanted.keys() - found - leaving)
    report.add(f"the blob {ref.incarnation}-{ref.number} is missing" for ref in missing)
    report.add(_strangers(folder, found))


def _check_unknown_blobs(folder: Path, low_water: BlobRef | None, report: Report) -> None:
    """Check the files of blobs without knowing which should be there."""
    for path, ref in blob_files(folder):
        damage = _blob_damage(folder, ref, None, None)
        if damage and low_water is not None and ref > low_water:
            report.unseen.append(f"{path} is damaged, or its writer did not get to the end")
        else:
            report.add(damage)


def _blob_damage(folder: Path, ref: BlobRef, size: int | None, keys: DataKeys | None) -> list[str]:
    """Return what is wrong with one blob, whose row says a size."""
    try:
        with Reader(folder, ref, keys) as reader:
            if size is not None and reader.size != size:
                return [f"{reader.path} has {reader.size} bytes; its row says {size}"]
            reader.verify()
    except Corrupt as error:
        return [str(error)]
    return []


def _strangers(folder: Path, found: set[BlobRef]) -> list[str]:
    """Return the files among the blobs that are none."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    if len(files) == len(found) + (folder / BLOBS_NOTE).exists():
        return []
    blobs = {path for path, _ref in blob_files(folder)} | {folder / BLOBS_NOTE}
    blobs.add(folder / (BLOBS_NOTE + ".new"))
    strangers = sorted(set(files) - blobs)
    # A crash may leave a file that was to take the place of a blob's (``anew.py``).
    return [f"{path} is no blob" for path in strangers if not is_beside(path)]


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[int, bytes] | None)
    sys.stdout.buffer.write(msgspec.msgpack.encode(see_rows(Path(sys.argv[1]) / ROWS, told)))
