"""When the service manager hears that we are well, and when it does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fogbank.server import children, watchdog
from fogbank.server.children import START_S_MAX, Child
from fogbank.server.privilege import Drop
from fogbank.server.watchdog import Watchdog, period_s


class Process:
    """A child that answers when it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_well = True
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        self.is_well = False


class Watching:
    """A watchdog with a period of twenty seconds over two children, at a time that is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, half_s: float = 10.0) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.warned: list[str] = []
        self.processes = [Process("store"), Process("front 0")]
        monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.dog = Watchdog(self.processes, half_s, self.warned.append, self.said.append)


def test_the_service_manager_is_told_when_the_last_process_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watching = Watching(monkeypatch)
    watching.dog.turn()
    assert watching.said == []
    for process in watching.processes:
        assert watching.said == []
        process.is_well = True
        watching.dog.turn()
    assert watching.said == ["WATCHDOG=1"]
    watching.dog.turn()
    assert watching.said == ["WATCHDOG=1"]


def test_each_half_period_begins_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(monkeypatch)
    watching.dog.turn()
    assert watching.dog.wait_s() == 10.0
    watching.now += 9.0
    watching.dog.turn()
    assert [process.asked for process in watching.processes] == [1, 1]
    watching.now += watching.dog.wait_s() or 0.0
    watching.dog.turn()
    assert [process.asked for process in watching.processes] == [2, 2]


def test_one_process_that_does_not_answer_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(monkeypatch)
    for _ in range(5):
        watching.dog.turn()
        watching.processes[0].is_well = True
        watching.dog.turn()
        watching.now += 10.0
    assert watching.said == []
    assert watching.warned == ["front 0 does not answer"]
    watching.processes[0].is_well = watching.processes[1].is_well = True
    watching.now -= 1.0
    watching.dog.turn()
    assert watching.said == ["WATCHDOG=1"]


def test_the_operator_is_told_once_of_each_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(monkeypatch)
    for _ in range(3):
        watching.dog.turn()
        watching.now += 10.0
    assert watching.warned == ["store does not answer", "front 0 does not answer"]
    for process in watching.processes:
        process.is_well = True
    watching.dog.turn()
    watching.now += 10.0
    watching.processes[0].is_well = True
    watching.dog.turn()
    assert watching.warned[2:] == ["front 0 does not answer"]


def test_nobody_is_asked_where_nobody_wants_to_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(monkeypatch, half_s=0.0)
    watching.dog.turn()
    assert watching.dog.wait_s() is None
    assert watching.processes[0].asked == 0
    assert watching.said == []


def test_the_period_is_ours_only_if_the_service_manager_means_us() -> None:
    assert period_s({"WATCHDOG_USEC": "60000000"}, 7) == 60.0
    assert period_s({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 7) == 60.0
    assert period_s({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, 7) == 0.0
    assert period_s({"WATCHDOG_USEC": "soon"}, 7) == 0.0
    assert period_s({}, 7) == 0.0


def test_a_start_counts_as_well_for_as_long_as_one_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(children, "time", SimpleNamespace(monotonic=lambda: now[0]))
    child = Child("fogbank.server.process", "store", Drop(None, ""), None)
    monkeypatch.setattr(Child, "is_starting", property(lambda _: True))
    assert child.is_well
    now[0] = START_S_MAX
    assert not child.is_well
