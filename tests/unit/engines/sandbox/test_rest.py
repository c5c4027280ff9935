"""How long sandboxd sleeps: not at all while there is something to do, and long when there is not."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fogbank.engines.sandbox.daemon.loop import (
    REST_SECONDS,
    SWEEP_SECONDS,
    TICK_SECONDS,
    Sandboxd,
)

NOW = 1_000.0


class Cells(SimpleNamespace):
    """What the daemon looks at of its sandboxes."""

    def __init__(self) -> None:
        super().__init__(living={}, bare=False, removers=[], emptied=[], groups=1, steps=None)
        self.sweeps = 0

    def tidy(self) -> None:
        """Nothing is to be removed."""

    def sweep(self) -> None:
        self.sweeps += 1


@pytest.fixture
def daemon() -> Iterator[Any]:
    """A daemon without a sandbox, with every zygote that is wanted."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made: Any = Sandboxd(ours, cast("Any", None), cast("Any", None), cast("Any", Cells()))
        made.nursery = SimpleNamespace(due=lambda: math.inf, tick=lambda now: None, all=[])
        made._sweep_at = math.inf
        yield made


def test_a_daemon_without_sandboxes_sleeps_for_a_minute(daemon: Any) -> None:
    assert daemon._pause(NOW) == REST_SECONDS


def test_left_overs_are_looked_for_soon_after_the_start_and_then_ever_less_often(
    daemon: Any,
) -> None:
    daemon._sweep_at, now, pauses = NOW, NOW, []
    for _ in range(8):
        daemon._tick(now)
        pauses.append(daemon._pause(now))
        now += pauses[-1]
    assert pauses == [SWEEP_SECONDS, 4.0, 8.0, 16.0, 32.0, *[REST_SECONDS] * 3]
    assert daemon._cells.sweeps == 8


def test_what_is_wanted_wakes_it(daemon: Any) -> None:
    daemon.nursery.due = lambda: NOW + 3
    assert daemon._pause(NOW) == 3
    daemon.nursery.due = lambda: NOW - 3
    assert daemon._pause(NOW) == TICK_SECONDS


@pytest.mark.parametrize("why", ["bare", "removers", "emptied"])
def test_it_comes_back_soon_while_something_may_be_left_over(daemon: Any, why: str) -> None:
    setattr(daemon._cells, why, [1])
    assert daemon._pause(NOW) == SWEEP_SECONDS


def test_living_sandboxes_are_looked_after(daemon: Any) -> None:
    daemon._cells.living = {1: object()}
    assert daemon._pause(NOW) == TICK_SECONDS
