"""The reader: a process that holds one read transaction over the settled rows, for one cut.

Run as ``python -m fogbank.engines.embedded.reader ROOT PARENT_PID`` by ``cut.py``. It says when it
is ready, begins its transaction on the order to (while the rows stand still), and then answers
orders; each frame is four bytes of length and MessagePack. It ends with its input or its parent.

Theory: a process and not a thread, because a cut that is revoked must give its pages back at once,
and killing a process does that whatever it is busy with. Rows leave as they are stored, sealed: the
reader has no keys.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import IO, Final

import lmdb
import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.backup import Done, Wanted, back_up
from fogbank.engines.embedded.checkpoint import ROWS, die_with

PAGE_BYTES_MAX: Final = 1 << 20
"""A page ends with the row that passes this."""
_NICENESS: Final = 5
_LENGTH_BYTES: Final = 4


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Begin the transaction."""


class Page(msgspec.Struct, frozen=True, tag=True):
    """Read some rows."""

    begin: bytes
    end: bytes
    limit: int


class Dump(msgspec.Struct, frozen=True, tag=True):
    """Write a backup of the cut."""

    wanted: Wanted


class Told(msgspec.Struct, frozen=True):
    """An answer: an error, or what the order asks for."""

    error: str = ""
    rows: list[tuple[bytes, bytes]] = []
    size: int = 0
    """Of the file of the rows, in bytes."""
    done: Done = Done()


Ordered = Begin | Page | Dump
decode_order: Final = msgspec.msgpack.Decoder(Ordered).decode
decode_told: Final = msgspec.msgpack.Decoder(Told).decode


def write_frame(file: IO[bytes], value: object) -> None:
    """Write a value as one frame."""
    raw = msgspec.msgpack.encode(value)
    file.write(len(raw).to_bytes(_LENGTH_BYTES) + raw)
    file.flush()


def read_frame(file: IO[bytes]) -> bytes | None:
    """Read a frame; None at the end of the input."""
    head = file.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    raw = file.read(int.from_bytes(head))
    return raw if len(raw) == int.from_bytes(head) else None


def page_of(txn: rows.Reader, order: Page) -> list[tuple[bytes, bytes]]:
    """Return the first stored rows of a range, as many as a page holds."""
    out: list[tuple[bytes, bytes]] = []
    size = 0
    with txn.cursor() as cursor:
        if not cursor.set_range(order.begin):
            return out
        for key, raw in cursor.iternext(keys=True, values=True):
            if key >= order.end:
                break
            out.append((key, raw))
            size += len(key) + len(raw)
            if len(out) >= order.limit or size >= PAGE_BYTES_MAX:
                break
    return out


def _answers(root: Path) -> Callable[[Ordered], Told]:
    """Return what answers orders, over an environment that is open from now on."""
    env = rows.open_rows(root / ROWS, readonly=True)
    begun: list[rows.Reader] = []

    def answer(order: Ordered) -> Told:
        if isinstance(order, Begin):
            begun.append(env.begin())
            size = (root / ROWS / rows.DATA).stat().st_size
            own = takewhile(lambda row: rows.is_own(row[0]), rows.walk_rows(begun[0]))
            return Told(rows=list(own), size=size)
        if isinstance(order, Dump):
            return Told(done=back_up(root, begun[0], order.wanted))
        return Told(rows=page_of(begun[0], order))

    return answer


def main(arguments: list[str]) -> None:
    """Answer orders until the input ends."""
    root, parent = Path(arguments[0]), int(arguments[1])
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    os.umask(0o077)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    try:
        answer = _answers(root)
        write_frame(target, Told())
    except (Corrupt, lmdb.Error, OSError) as error:
        write_frame(target, Told(error=str(error) or repr(error)))
        return
    while (raw := read_frame(source)) is not None:
        try:
            told = answer(decode_order(raw))
        except (Corrupt, lmdb.Error, OSError) as error:
            told = Told(error=str(error) or repr(error))
        write_frame(target, told)


if __name__ == "__main__":
    main(sys.argv[1:])
