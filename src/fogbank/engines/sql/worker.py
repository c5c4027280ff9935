"""The child that runs one statement: it reads frames, says its answer and ends.

Rule: it has the rights of the store process and needs none of them, so it gives up what it can before
the statement is parsed: it writes no file and, where the kernel has Landlock, reads none beside the
libraries and connects to nobody; it has no more memory and processor time than the statement's bounds say.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import BinaryIO, Final

from fogbank.engines.sandbox.daemon import landlock, syscalls
from fogbank.engines.sql import frames
from fogbank.engines.sql.frames import LENGTH_BYTES, Add, Answered, Begin, Opening, Refused, Tables
from fogbank.platform.sql import SqlBounds, SqlRefused

_NICE: Final = 10
_FILES: Final = 32
_OWN_BYTES: Final = 1 << 30
"""Of address space: the interpreter, DuckDB, and what a table takes before DuckDB has it."""
_READABLE: Final = ("/sys/fs/cgroup", "/proc/self", "/proc/meminfo")
"""What DuckDB measures itself by."""
_OWN_S: Final = 60
"""Of processor time: to fill the tables."""


def main() -> int:
    """Run the statement that standard input brings."""
    os.nice(_NICE)
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    try:
        _run(asked, told)
    except SqlRefused as refused:
        _tell(told, Refused(str(refused)))
    except MemoryError:
        _tell(told, Refused("there is not enough memory for the tables"))
    except (EOFError, BrokenPipeError):
        return 1
    return 0


def _run(asked: BinaryIO, told: BinaryIO) -> None:
    opening = frames.asked_of(_frame(asked))
    assert isinstance(opening, Opening), "the statement comes first"
    try:
        # Loaded here, so that a child without it can say so; before the limits, which it would meet.
        from fogbank.engines.sql.session import Session  # noqa: PLC0415 (it brings DuckDB)
    except ImportError:
        _tell(told, Refused("DuckDB is not installed", is_absent=True))
        return
    _confine(opening.bounds)
    session = Session(opening.text, opening.bounds)
    _tell(told, Tables(list(session.tables)))
    while True:
        each = frames.asked_of(_frame(asked))
        if isinstance(each, Begin):
            session.begin(each.key)
        elif isinstance(each, Add):
            session.add(each.item)
        else:
            answer = session.answer()
            _tell(told, Answered(list(answer.columns), answer.rows))
            return


def _confine(bounds: SqlBounds) -> None:
    """Give up what a statement does not need."""
    seconds = _OWN_S + bounds.compute_ms // 1_000
    for kind, most in (
        (resource.RLIMIT_AS, _OWN_BYTES + 2 * bounds.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        resource.setrlimit(kind, (most, most))
    syscalls.no_new_privileges()
    if landlock.abi():
        readable = {sys.prefix, sys.base_prefix, *_READABLE}
        landlock.restrict(landlock.Walls(tuple(readable), (), (), ()))


def _frame(asked: BinaryIO) -> bytes:
    """Return the next frame.

    Raises:
        EOFError: The other end is gone.
    """
    length = asked.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        raise EOFError
    return asked.read(int.from_bytes(length))


def _tell(told: BinaryIO, value: frames.Told) -> None:
    told.write(frames.frame_of(value))
    told.flush()


if __name__ == "__main__":
    sys.exit(main())
