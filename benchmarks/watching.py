"""What the processes of a server hold in memory at most, while something is done to it.

``rss`` is the kernel's own high-water mark (``VmHWM``), reset at the beginning, so that no peak is
missed; it counts pages of files too, which the kernel takes back when it wants. ``own`` is what is
a process's alone and can only be swapped (``Pss_Anon``, what zygotes and sandboxes share counted
once), sampled: that is what limits bound.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from fogbank.testing.server import Server

EVERY_S = 0.1
RESET_PEAK = "5"
"""What resets ``VmHWM`` (proc(5), ``clear_refs``)."""


class Peaks:
    """Watches a server in a thread of its own; use it as a context manager."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._rss: dict[int, tuple[str, float]] = {}
        self.own_mb: defaultdict[str, float] = defaultdict(float)
        """By kind of process: the most that one of them held."""
        self.together_mb = 0.0
        """The most that all processes held at one time, shared pages counted once (PSS)."""
        self.count: defaultdict[str, int] = defaultdict(int)
        """By kind: the most processes that there were at once."""

    @property
    def rss_mb(self) -> dict[str, float]:
        """Return by kind of process the highest peak of one of them."""
        found: dict[str, float] = {}
        for kind, peak in self._rss.values():
            found[kind] = max(peak, found.get(kind, 0.0))
        return found

    def __enter__(self) -> Self:
        for pids in self._server.kinds().values():
            for pid in pids:
                with suppress(OSError):
                    Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._end.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        together = 0.0
        for kind, pids in self._server.kinds().items():
            self.count[kind] = max(self.count[kind], len(pids))
            for pid in pids:
                with suppress(OSError):  # it has ended
                    together += self._look_at(kind, pid)
        self.together_mb = max(self.together_mb, together)

    def _look_at(self, kind: str, pid: int) -> float:
        self._rss[pid] = kind, sizes_in(f"/proc/{pid}/status")["VmHWM"]
        found = sizes_in(f"/proc/{pid}/smaps_rollup")
        self.own_mb[kind] = max(self.own_mb[kind], found["Pss_Anon"])
        return found["Pss"]


def sizes_in(path: str) -> defaultdict[str, float]:
    """Return the sizes that a file of proc(5) tells, in MiB by name; 0 for what it does not."""
    found: defaultdict[str, float] = defaultdict(float)
    for line in Path(path).read_text().splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            found[name] = int(rest.split()[0]) / 1024
    return found
