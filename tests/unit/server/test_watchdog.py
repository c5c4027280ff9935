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
        self.is_starting = False
        self.asked = 0
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1

    def ask(self) -> None:
        self.asked += 1
        self.is_well = False


class Watching:
    """A watchdog with a period of twenty seconds over two children, at a time that is set."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, half_s: float = 10.0, hang_s: float = 0.0
    ) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.warned: list[str] = []
        self.processes = [Process("store"), Process("front 0")]
        monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.dog = Watchdog(self.processes, half_s, hang_s, self.warned.append, self.said.append)


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


@pytest.mark.parametrize(("half_s", "round_s"), [(0.0, 5.0), (30.0, 5.0), (4.0, 4.0)])
def test_who_hangs_is_killed_with_a_service_manager_and_without_one(
    monkeypatch: pytest.MonkeyPatch, half_s: float, round_s: float
) -> None:
    watching = Watching(monkeypatch, half_s, hang_s=20.0)
    stuck, other = watching.processes
    begin = watching.now
    while not stuck.aborted:
        watching.dog.turn()
        other.is_well = True
        watching.dog.turn()
        assert watching.dog.wait_s() == round_s
        watching.now += round_s
    assert watching.now - begin == 20.0 + round_s
    assert (stuck.aborted, other.aborted) == (1, 0)
    assert watching.warned == [
        "store does not answer",
        "store has not answered for 20 s; killing it",
    ]
    assert watching.said == []


def test_an_answer_that_came_while_we_stood_still_is_read_before_anybody_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watching = Watching(monkeypatch, half_s=0.0, hang_s=20.0)
    watching.dog.turn()
    watching.now += 3_600.0
    watching.dog.turn()
    for process in watching.processes:
        process.is_well = True
    for _ in range(3):
        watching.now += 5.0
        watching.dog.turn()
    assert [process.aborted for process in watching.processes] == [0, 0]


def test_who_is_starting_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(monkeypatch, half_s=0.0, hang_s=20.0)
    watching.processes[0].is_starting = True
    for _ in range(50):
        watching.dog.turn()
        watching.processes[1].is_well = True
        watching.now += 5.0
    assert watching.processes[0].aborted == 0


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
