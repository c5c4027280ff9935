"""Makes a server's disk slow, broken or full on order: found first in its ``PYTHONPATH``.

The file that ``CRASH_FAULTS`` names says what happens to calls on paths with certain words in them, in
JSON: ``sync_ms`` (how long a sync takes), ``sync_errno`` and ``write_errno`` (how it fails). It is
looked at before every call, so that a test can begin and end a fault while the server runs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FAULTS = "CRASH_FAULTS"


def fault(kind: str, path: str) -> int:
    """Return what happens to a call on a path now; 0: nothing."""
    faults: dict[str, dict[str, int]] = {}
    with suppress(FileNotFoundError), open(os.environ[FAULTS], encoding="ascii") as file:
        faults = json.load(file)
    return next((value for words, value in faults.get(kind, {}).items() if words in path), 0)


def path_of(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


def fail(kind: str, path: str) -> None:
    if number := fault(kind, path):
        raise OSError(number, os.strerror(number))


def failing_sync(sync: Callable[[int], None]) -> Callable[[int], None]:
    def call(fd: int) -> None:
        path = path_of(fd)
        fail("sync_errno", path)
        time.sleep(fault("sync_ms", path) / 1_000)
        sync(fd)

    return call


def failing_write(write: Callable[..., int]) -> Callable[..., int]:
    def call(fd: int, *rest: Any) -> int:
        fail("write_errno", path_of(fd))
        return write(fd, *rest)

    return call


if __name__ == "sitecustomize" and FAULTS in os.environ:
    os.fsync = failing_sync(os.fsync)
    os.fdatasync = failing_sync(os.fdatasync)
    os.pwrite = failing_write(os.pwrite)
