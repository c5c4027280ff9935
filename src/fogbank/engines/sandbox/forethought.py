"""Which runtime the next function is likely to have, so that a zygote of it is warm by then.

Theory: warming a zygote takes as much of the processor as the rest of a server's start, and most of its
memory, so a server that never had a function warms none. What was expected last is kept over restarts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.link import Link

FILE: Final = "expected"
"""In the work directory; a hint: without it the first start after a restart is slower."""
_NAME_BYTES_MAX: Final = 64


class Forethought:
    """Tells daemons what to expect.

    Args:
        work_dir: The engine's.
        real: The runtime that runs in the place of another, as the daemon names it.
    """

    def __init__(self, work_dir: Path, real: Callable[[str], str]) -> None:
        self._file = work_dir / FILE
        self._real = real
        self._link: Link | None = None
        self._runtime = ""
        with contextlib.suppress(OSError, UnicodeDecodeError), self._file.open("rb") as file:
            self._runtime = file.read(_NAME_BYTES_MAX).decode("ascii")

    def serve(self, link: Link) -> None:
        """Tell a new daemon."""
        self._link = link
        self._tell()

    def expect(self, runtime: str) -> None:
        """Note that a function of a runtime is about to be started."""
        runtime = self._real(runtime)
        if runtime in ("", self._runtime):
            return
        self._runtime = runtime
        with contextlib.suppress(OSError):
            self._file.write_bytes(runtime.encode("ascii"))
        self._tell()

    def _tell(self) -> None:
        if self._link is not None and self._runtime:
            with contextlib.suppress(Unavailable):  # the next daemon is told
                self._link.send("expect", runtime=self._runtime)
