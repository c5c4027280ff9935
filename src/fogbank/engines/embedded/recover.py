"""Start and clean stop: locks, format, recovery of the log, and the last checkpoint.

Rule: nothing is read before both locks are held, and nothing is served from a damaged store: a
later group behind a bad one, a missing segment, a page that is not what was written and a newer
format are all refused. Everything here blocks and runs in a thread.

Order of a start: apply what the log holds and say "nothing newer"; make the segments ready again;
only then say that the new active segment may hold newer groups. A crash at any point leaves a state
from which the same steps work.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import lmdb
import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt, Full
from fogbank.base.ids import Ids
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.checkpoint import LOG, ROWS, SUMS_BYTES_MAX, Target, merged
from fogbank.engines.embedded.cloud import ensure_cloud
from fogbank.engines.embedded.files import NO_SPACE, sync_folder
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.keys import ensure_keys
from fogbank.engines.embedded.lock import LockFile
from fogbank.engines.embedded.migrate import (
    FORMAT,
    NOTE,
    Identity,
    find_identity,
    is_making,
    mark_making,
    migrated,
    write_identity,
)
from fogbank.engines.embedded.rows import State
from fogbank.engines.embedded.seal import RowSeals, has_row_keys
from fogbank.engines.embedded.segment import (
    RESERVE,
    SPARE,
    Group,
    behind,
    drop_leftovers,
    make_ready,
    numbered,
    read_log_of,
    segment_path,
)
from fogbank.engines.embedded.spool import spool
from fogbank.platform.crypto.keys import DataKeys

BLOBS: Final = "blobs"
log = logging.getLogger("fogbank.store")
_CLOSE_SUMS_BYTES_MAX: Final = 1 << 30
"""A clean stop makes page sums of a data file up to this size."""


class Opened(msgspec.Struct):
    """An open data directory."""

    root: Path
    identity: Identity
    store_lock: LockFile
    checkpointer_lock: LockFile
    env: rows.Environment
    keys: DataKeys
    seals: RowSeals
    version: int
    """The last transaction before this start."""
    segment: int
    """The number of the active, empty segment."""
    segment_bytes: int

    def release(self) -> None:
        """Close the rows and let the locks go, the store's own last."""
        self.env.close()
        self.checkpointer_lock.release()
        self.store_lock.release()


def _require_identity(root: Path) -> Identity:
    """Return the store's identity; a new directory becomes a store, an older one is migrated."""
    identity = find_identity(root)
    return _made(root) if identity is None else migrated(root, identity)


def _made(root: Path) -> Identity:
    """Make a store: what a first start that was cut short has left is not looked at."""
    data = root / ROWS / rows.DATA
    if is_making(root):
        data.unlink(missing_ok=True)
    elif data.exists():
        raise Corrupt(f"{root} holds rows and no {NOTE}")
    mark_making(root)
    for folder in (root / ROWS, root / LOG, root / BLOBS):
        folder.mkdir(mode=0o700, exist_ok=True)
    rows.make_rows(root / ROWS)
    identity = Identity(FORMAT, incarnation=1)
    write_identity(root, identity)
    return identity


def _check_pages(root: Path) -> None:
    """Refuse rows whose pages are not what was written, as far as that is known and cheap."""
    if damage := rows.sums_damage(root / ROWS, SUMS_BYTES_MAX):
        raise Corrupt("; ".join(damage[:5]))


def take_locks(root: Path) -> tuple[LockFile, LockFile]:
    """Take the locks of the store and of its checkpointer.

    Raises:
        DirectoryInUse: Another server has them.
    """
    store, checkpointer = LockFile(root / "store.lock"), LockFile(root / "checkpointer.lock")
    store.take()
    try:
        checkpointer.take()
    except BaseException:
        store.release()
        raise
    return store, checkpointer


def open_directory(
    root: Path, segment_bytes: int, encryption: Encryption, clock: Clock, ids: Ids
) -> Opened:
    """Open a data directory: make, lock and recover it.

    Raises:
        DirectoryInUse: Another server uses it.
        Corrupt: It is damaged, or of a newer format.
        KeyRefused: It is encrypted, and the secret is not the one.
        Full: There is no space to recover it.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    store_lock, checkpointer_lock = take_locks(root)
    env: rows.Environment | None = None
    try:
        # Also what a start that was killed made, and had not synced yet.
        sync_folder(root.parent)
        sync_folder(root)
        identity = _require_identity(root)
        ensure_cloud(root, ids.random_bytes)
        _check_pages(root)
        drop_leftovers(root / LOG)
        # Nobody else lives here now: reader slots of killed processes go with the file.
        (root / ROWS / rows.LOCK).unlink(missing_ok=True)
        env = rows.open_rows(root / ROWS)
        keys = ensure_keys(root, encryption, clock, is_sealed=_has_row_keys(env))
        target = Target(env, keys, RowSeals(keys))
        state = _recover(root, target, segment_bytes)
        return Opened(
            root=root,
            identity=identity,
            store_lock=store_lock,
            checkpointer_lock=checkpointer_lock,
            env=env,
            keys=keys,
            seals=target.seals,
            version=state.version,
            segment=state.segment,
            segment_bytes=segment_bytes,
        )
    except BaseException as error:
        if env is not None:
            env.close()
        checkpointer_lock.release()
        store_lock.release()
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise Full(f"there is no space to start in {root}: {error}") from error
        raise


def read_log(root: Path, state: State) -> tuple[list[Group], list[int]]:
    """Return the groups that are not in the rows yet, and the numbers of all segments.

    Raises:
        Corrupt: The log is damaged or not whole.
    """
    numbers = numbered(root / LOG)
    live = [number for number in numbers if number >= state.segment]
    if live and live != list(range(state.segment, live[-1] + 1)):
        raise Corrupt(f"the log begins at segment {state.segment}, and these are there: {live}")
    if not live and not state.closed:
        raise Corrupt(f"the segment {state.segment} of the log is missing")
    known = state.version
    groups: list[Group] = []
    for number in live:
        path = segment_path(root / LOG, number)
        data, (found, end) = read_log_of(path, known)
        groups += found
        if found:
            known = found[-1].last
        if wrong := behind(path, data, end, is_last=number == live[-1]).damage:
            # Not refused: a disk that tears inside a page leaves the same, and then nothing was
            # acknowledged that is lost. Who must know which it was finds the place here.
            log.error(
                "%s: transactions behind version %d are lost, if there were any", wrong, known
            )
    if groups and state.closed:
        raise Corrupt("the store was stopped in order, and yet its log holds newer transactions")
    return groups, numbers


def _has_row_keys(env: rows.Environment) -> bool:
    """Return whether anything in the directory was ever sealed: every start writes a row first."""
    with env.begin() as txn:
        return has_row_keys(txn)


def _recover(root: Path, target: Target, segment_bytes: int) -> State:
    """Apply the log to the rows and begin an empty segment; return the state of the store."""
    env, keys, seals = target
    with env.begin() as txn:
        state = rows.read_state(txn, seals)
    groups, numbers = read_log(root, state)
    spool(root, groups, keys)
    next_number = max([*numbers, state.segment - 1]) + 1
    rows.drop_sums(root / ROWS)
    version = groups[-1].last if groups else state.version
    _apply_or_make_room(root, target, groups, State(version, next_number, closed=True))
    _reuse_segments(root / LOG, numbers, next_number, segment_bytes)
    state = State(version, next_number, closed=False)
    rows.apply_writes(env, seals, {}, state)
    rows.write_sums(root / ROWS, SUMS_BYTES_MAX)
    return state


def _apply_or_make_room(root: Path, target: Target, groups: list[Group], state: State) -> None:
    """Apply groups to the rows; on a full disk the segments that wait give up their room."""
    env, keys, seals = target
    writes = merged(groups, keys)
    try:
        rows.apply_writes(env, seals, writes, state)
    except lmdb.Error as error:
        if not rows.no_room(error):
            raise
        for name in (SPARE, RESERVE):
            (root / LOG / name).unlink(missing_ok=True)
        try:
            rows.apply_writes(env, seals, writes, state)
        except lmdb.Error as again:
            if rows.no_room(again):
                raise Full(f"there is no space to recover {root}: {again}") from again
            raise


def _reuse_segments(folder: Path, old: list[int], number: int, size: int) -> None:
    """Make the active segment, and the waiting ones as far as old segments are there for it."""
    for name in (SPARE, RESERVE):
        if (folder / name).exists() and (folder / name).stat().st_size != size:
            (folder / name).unlink()
    names = [segment_path(folder, number).name]
    names += [name for name in (SPARE, RESERVE) if not (folder / name).exists()]
    spare = folder / SPARE
    if not old and spare.exists():
        make_ready(folder, names.pop(0), size, spare)
    for path in [segment_path(folder, used) for used in old]:
        if names:
            make_ready(folder, names.pop(0), size, path)
        else:
            path.unlink()
    if names and names[0] == segment_path(folder, number).name:
        make_ready(folder, names.pop(0), size)


def close_directory(opened: Opened) -> None:
    """Apply what the log still holds, make the page sums, and let the directory go."""
    root, env, seals = opened.root, opened.env, opened.seals
    with env.begin() as txn:
        state = rows.read_state(txn, seals)
    groups, numbers = read_log(root, state)
    spool(root, groups, opened.keys)
    rows.drop_sums(root / ROWS)
    version = groups[-1].last if groups else state.version
    state = State(version, numbers[-1] + 1, closed=True)
    rows.apply_writes(env, seals, merged(groups, opened.keys), state)
    folder = root / LOG
    names = [name for name in (SPARE, RESERVE) if not (folder / name).exists()]
    for path in [segment_path(folder, number) for number in numbers]:
        if names:
            make_ready(folder, names.pop(0), opened.segment_bytes, path)
        else:
            path.unlink()
    env.close()
    rows.write_sums(root / ROWS, _CLOSE_SUMS_BYTES_MAX)
    (root / ROWS / rows.LOCK).unlink(missing_ok=True)
