"""The checkpointer: the process that moves sealed segments of the log into the settled rows.

Run as ``python -m fogbank.engines.embedded.checkpoint ROOT LOCK_FD PARENT_PID`` by ``child.py``.
It reads from its standard input one line of JSON with the data keys, before it opens anything, then
orders, a line each, and answers every order with one line. Keys come by no other way: a command
line and an environment can be read by others. It is the only writer of the rows while it lives, holds its own lock for life, and ends when its input ends
or its parent dies.

Theory: a process and not a thread, because LMDB's writes take and drop the interpreter lock for
every row and would fight the store's loop for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
from pathlib import Path
from typing import Final, NamedTuple

import lmdb
import msgspec

from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.files import NO_SPACE
from fogbank.engines.embedded.reseal import PAGE_ROWS, Place, reseal_page
from fogbank.engines.embedded.rows import State
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.segment import (
    Group,
    Writes,
    drop_leftovers,
    make_ready,
    read_log_of,
    segment_path,
)
from fogbank.engines.embedded.spool import spool
from fogbank.platform.crypto.keys import DataKeys

ROWS: Final = "rows"
LOG: Final = "log"
SUMS_BYTES_MAX: Final = 64 << 20
"""Page sums are kept up by checkpoints while the data file is not larger."""
_NICENESS: Final = 5
_PR_SET_PDEATHSIG: Final = 1


class Order(msgspec.Struct, frozen=True, tag="settle"):
    """A sealed segment to apply and make ready again."""

    number: int
    floor: int
    """The version before its first transaction."""
    last: int
    """The version of its last transaction."""
    ready: str
    """The name that the segment gets when it is empty again."""
    size: int
    chunk_keys: int = rows.CHUNK_KEYS


class Reseal(msgspec.Struct, frozen=True, tag="reseal"):
    """The next rows of a pass are to be sealed anew with the newest data key (``reseal.py``)."""

    page_rows: int = PAGE_ROWS


class Hello(msgspec.Struct, frozen=True):
    """The data keys, and which of them seals new rows."""

    keys: dict[int, bytes]
    active: int | None

    def __repr__(self) -> str:
        """Return nothing of the keys."""
        return "Hello()"


class Answer(msgspec.Struct, frozen=True):
    """How an order went: ``error`` is empty, ``full``, ``corrupt`` or ``broken``."""

    error: str = ""
    message: str = ""
    place: Place | None = None
    """How far the pass is that seals rows anew."""
    read_bytes: int = 0
    """What it has read."""


decode_hello = msgspec.json.Decoder(Hello).decode
decode_order = msgspec.json.Decoder(Order | Reseal).decode
decode_answer = msgspec.json.Decoder(Answer).decode


class Target(NamedTuple):
    """The rows to write to, and what opens the log and seals the rows."""

    env: rows.Environment
    keys: DataKeys
    seals: RowSeals


def merged(groups: list[Group], keys: DataKeys) -> Writes:
    """Return the last write to each key of the groups.

    Raises:
        Corrupt: A group is not what was written.
    """
    out: Writes = {}
    for group in groups:
        for writes in group.writes(keys):
            out.update(writes)
    return out


def settle(root: Path, target: Target, order: Order) -> None:
    """Apply a sealed segment to the rows and make it ready for the next use.

    Running it again is harmless, whatever a first run got done.

    Raises:
        Corrupt: The segment does not hold what the order says.
    """
    path = segment_path(root / LOG, order.number)
    env, keys, seals = target
    # A reader that was killed leaves its slot, and with it the pages that it read.
    env.reader_check()
    with env.begin() as txn:
        applied = rows.read_state(txn, seals).segment > order.number
    if not applied:
        _data, (groups, _end) = read_log_of(path, order.floor)
        last = groups[-1].last if groups else order.floor
        if last != order.last:
            raise Corrupt(f"{path} ends at version {last}; version {order.last} was written")
        spool(root, groups, keys)
        rows.drop_sums(root / ROWS)
        state = State(order.last, order.number + 1, closed=False)
        rows.apply_writes(env, seals, merged(groups, keys), state, order.chunk_keys)
        rows.write_sums(root / ROWS, SUMS_BYTES_MAX)
    drop_leftovers(root / LOG)
    if path.exists():
        make_ready(root / LOG, order.ready, order.size, path)
    elif not (root / LOG / order.ready).exists():
        make_ready(root / LOG, order.ready, order.size)


def reseal(root: Path, target: Target, order: Reseal) -> Answer:
    """Seal some rows anew and return how far the pass is.

    Raises:
        Corrupt: The engine's own rows are not what was written.
    """
    env, keys, seals = target
    assert keys.active is not None, "rows are sealed anew where new ones are sealed"
    env.reader_check()
    rows.drop_sums(root / ROWS)
    page = reseal_page(env, seals, keys.active, order.page_rows)
    if page.place.is_done:
        rows.write_sums(root / ROWS, SUMS_BYTES_MAX)
    return Answer(place=page.place, read_bytes=page.read_bytes)


def answer_to(root: Path, target: Target, order: Order | Reseal) -> Answer:
    """Carry an order out and return how it went."""
    try:
        if isinstance(order, Reseal):
            return reseal(root, target, order)
        settle(root, target, order)
    except Corrupt as error:
        return Answer("corrupt", str(error))
    except lmdb.Error as error:
        return Answer("full" if rows.no_room(error) else "broken", str(error))
    except OSError as error:
        return Answer("full" if error.errno in NO_SPACE else "broken", str(error))
    return Answer()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; it may be dead already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if os.getppid() != parent:
        sys.exit(errno.EOWNERDEAD)


def main(arguments: list[str]) -> None:
    """Answer orders until the input ends."""
    root, lock_fd, parent = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    die_with(parent)
    os.set_inheritable(lock_fd, False)  # noqa: FBT003 (the standard library's signature)
    # Stops come to the store process, which then closes this one's input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    hello = decode_hello(sys.stdin.buffer.readline())
    keys = DataKeys(hello.keys, active=hello.active, draw=Ids().random_bytes)
    env = rows.open_rows(root / ROWS)
    target = Target(env, keys, RowSeals(keys))
    try:
        while line := sys.stdin.buffer.readline():
            answer = answer_to(root, target, decode_order(line))
            os.write(1, msgspec.json.encode(answer) + b"\n")
            if answer.error == "broken":
                return
    finally:
        env.close()


if __name__ == "__main__":
    main(sys.argv[1:])
