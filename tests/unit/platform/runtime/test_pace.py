from __future__ import annotations

from fogbank.platform.runtime.pace import PRESS_MS, Pace, ProcessorTimes


class Machine:
    """Processors that tell what they are made to have done."""

    def __init__(self) -> None:
        self.idle = self.total = 1_000

    def read(self) -> ProcessorTimes:
        return ProcessorTimes(self.idle, self.total)

    def spend(self, *, idle: int, busy: int) -> None:
        self.idle += idle
        self.total += idle + busy


def filled(pace: Pace) -> int:
    """Let as many begin as may; return how many run."""
    while not pace.holds_back:
        pace.enter()
    return pace.running


def test_more_run_while_the_processors_have_time_left_and_fewer_while_they_have_not() -> None:
    machine = Machine()
    pace = Pace(machine.read, 4)
    pace.begin()
    assert filled(pace) == 4
    counts: list[int] = []
    for _ in range(5):
        machine.spend(idle=11, busy=89)
        pace.look(0)
        counts.append(filled(pace))
    assert counts == [5, 6, 7, 8, 10]
    for _ in range(5):
        machine.spend(idle=10, busy=90)
        pace.look(0)
        counts.append(pace.running_max)
    assert counts[5:] == [8, 6, 5, 4, 4]
    assert pace.holds_back
    for _ in range(6):
        pace.leave()
    assert pace.holds_back
    pace.leave()
    assert not pace.holds_back


def test_what_is_not_used_does_not_grow_and_what_was_before_does_not_count() -> None:
    machine = Machine()
    pace = Pace(machine.read, 2)
    machine.spend(idle=1_000, busy=0)
    pace.begin()
    pace.enter()
    machine.spend(idle=50, busy=50)
    pace.look(0)
    assert pace.running_max == 2
    assert filled(pace) == 2
    pace.begin()
    machine.spend(idle=0, busy=100)
    pace.look(0)
    assert pace.running_max == 2


def test_who_has_waited_for_long_goes_on_although_the_processors_are_busy() -> None:
    machine = Machine()
    pace = Pace(machine.read, 2)
    pace.begin()
    assert filled(pace) == 2
    machine.spend(idle=0, busy=100)
    pace.look(PRESS_MS - 1)
    assert pace.holds_back
    machine.spend(idle=0, busy=100)
    pace.look(PRESS_MS)
    assert filled(pace) == 3


def test_without_processors_to_look_at_nothing_is_held_back() -> None:
    pace = Pace(None)
    for _ in range(1_000):
        pace.enter()
    pace.look(0)
    assert not pace.holds_back
