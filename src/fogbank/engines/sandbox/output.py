"""What a sandbox prints: a pipe, handed on as it comes and never kept.

Theory: what the handler printed before it answered is in the pipe when the answer arrives, so one
read that does not wait brings every line in before the invocation returns.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from fogbank.platform.runtime.port import LogSink

OUTPUT_BYTES_PER_READ = 65_536
_READS_PER_TURN_MAX = 4


class Output:
    """The reading end of one sandbox's standard output and error."""

    def __init__(self, log: LogSink, also: Callable[[bytes], None] | None = None) -> None:
        """Take whom to give what comes; ``also``: extensions that have subscribed to it."""
        self._log = log
        self._also = also
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        self.request_id = ""
        """Whose what is read now is."""

    def open(self) -> int:
        """Make the pipe; return its writing end, which is the caller's."""
        self._fd, written = os.pipe()
        os.set_blocking(self._fd, False)
        return written

    def adopt(self, fd: int) -> None:
        """Take the reading end of another's pipe."""
        self._fd = fd

    def watch(self) -> None:
        """Read whenever something comes; nothing will where the sandbox has ended since."""
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self.read)

    def read(self) -> None:
        """Hand on what was printed so far."""
        for _ in range(_READS_PER_TURN_MAX):
            if self._fd < 0:
                return
            try:
                piece = os.read(self._fd, OUTPUT_BYTES_PER_READ)
            except BlockingIOError:
                return
            if not piece:
                self.close()
                return
            self._log(self.request_id, piece)
            if self._also is not None:
                self._also(piece)

    def say(self, words: str) -> None:
        """Add a line of ours, if there is one."""
        if words:
            self._log(self.request_id, words.encode())

    def close(self) -> None:
        """Read no more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
