"""The steps at which tests kill this daemon, to prove that nothing is left over.

Rule: a step changes nothing; only a daemon whose configuration names one (no setting does) dies
there, as by ``kill -9``, the first time it comes by.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator

STEPS = (
    "make directory",
    "find level",
    "clone zygote",
    "map zygote",
    "open zygote's gate",
    "warm zygote",
    "make cell",
    "limit cell",
    "open trees",
    "ask for fork",
    "hear of fork",
    "settle",
    "kill",
    "hear of end",
    "remove cell",
    "close",
)


class Steps:
    """Marks steps; the one named in the configuration is deadly."""

    def __init__(self, deadly: str = "") -> None:
        name, _, side = deadly.partition(":")
        assert not deadly or (name in STEPS and side in {"before", "after"}), deadly
        self._deadly = deadly

    @contextlib.contextmanager
    def __call__(self, name: str) -> Generator[None]:
        """Die before or after what is done within, if that is asked."""
        assert name in STEPS, name
        self._pass(f"{name}:before")
        yield
        self._pass(f"{name}:after")

    def _pass(self, point: str) -> None:
        if point == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)


NO_STEPS = Steps()
"""For whoever is not to be killed."""
