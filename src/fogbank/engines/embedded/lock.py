"""Lock files: one store process and one checkpointer per data directory.

Rule: a lock is taken before anything in the directory is read, and held until the process ends.
``flock`` locks die with the last descriptor, so no stale lock outlives a killed process; the
descriptors are close-on-exec, and only the checkpointer inherits its own.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from fogbank.base.errors import Unavailable

WAIT_S: Final = 2.0
"""How long a start waits for the processes of its predecessor to end."""
_STEP_S: Final = 0.02


class DirectoryInUse(Unavailable):
    """Another server uses this data directory."""


class LockFile:
    """An exclusive lock on a file that is empty and never removed."""

    __slots__ = ("fd", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1

    def take(self, wait_s: float = WAIT_S) -> None:
        """Take the lock; blocks, so call it from a thread.

        Raises:
            DirectoryInUse: Somebody else held it all the time.
        """
        assert self.fd < 0, "a lock is taken once"
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(_STEP_S)
                    continue
                os.close(fd)
                raise DirectoryInUse(
                    f"another server uses this data directory: {self.path} is locked"
                ) from None
            except BaseException:
                os.close(fd)
                raise
            self.fd = fd
            return

    def release(self) -> None:
        """Let the lock go; processes that inherited the descriptor still hold it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
