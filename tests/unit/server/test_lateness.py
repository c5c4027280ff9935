"""How late a loop is, measured finely and at a rate that follows the work."""

from __future__ import annotations

from collections.abc import Callable

from fogbank.platform.metering.exposition import text_of
from fogbank.server.garbage import Work
from fogbank.server.lateness import BUSY_MS, REST_MS, Lateness


class Loop:
    """Timers that fire when the test says, on a clock that it sets."""

    def __init__(self) -> None:
        self.now_ns = 7_000_400_000  # 0.4 ms into a millisecond
        self.delay_s = 0.0
        self.work = Work(0, 0)
        self.timers = 0
        """Timers that were set and not cancelled."""
        self._callback: Callable[[], None] = lambda: None
        self.lateness = Lateness(lambda: self.now_ns, self.call_later, lambda: self.work)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Loop:
        self.delay_s, self._callback = delay_s, callback
        self.timers += 1
        return self

    def cancel(self) -> None:
        self.timers -= 1

    def fire(self, late_us: int) -> None:
        """Run the timer so long after the millisecond that it was due at."""
        begun_ms = self.now_ns // 1_000_000
        self.now_ns = (begun_ms + round(self.delay_s * 1_000)) * 1_000_000 + late_us * 1_000
        self._callback()

    def edges(self) -> dict[str, str]:
        """Return how many durations lie at or below each edge, as Prometheus reads it."""
        lines = text_of(self.lateness.families()).splitlines()
        found = (line.partition('_bucket{le="')[2] for line in lines if "_bucket" in line)
        return {edge: count for edge, _, count in (each.partition('"} ') for each in found)}


def test_lateness_is_counted_from_the_millisecond_at_which_a_timer_is_due() -> None:
    loop = Loop()
    loop.lateness.begin()
    loop.fire(late_us=4_900)
    loop.fire(late_us=0)
    loop.fire(late_us=5_000)
    loop.fire(late_us=5_001)
    found = loop.edges()
    assert [found[edge] for edge in ("0.00025", "0.0045", "0.005", "0.006")] == ["1", "1", "3", "4"]
    assert loop.lateness.found.sum_us == 14_901


def test_a_timer_that_fires_early_is_not_late() -> None:
    loop = Loop()
    loop.lateness.begin()
    loop.fire(late_us=-900)
    assert (loop.lateness.found.sum_us, loop.lateness.found.count) == (0, 1)


def test_a_loop_at_rest_is_measured_often_from_the_moment_on_when_work_is_said_to_begin() -> None:
    loop = Loop()
    loop.lateness.begin()
    loop.lateness.rouse()  # it does not rest yet
    assert (loop.timers, round(loop.delay_s * 1_000)) == (1, BUSY_MS)
    loop.fire(late_us=0)
    assert (loop.timers, round(loop.delay_s * 1_000)) == (2, REST_MS)
    loop.lateness.rouse()
    loop.lateness.rouse()
    assert (loop.timers, round(loop.delay_s * 1_000)) == (2, BUSY_MS)
    loop.fire(late_us=700)
    assert loop.lateness.found.sum_us == 700


def test_a_loop_with_work_is_measured_often_and_one_at_rest_hardly_ever() -> None:
    loop = Loop()
    loop.work = Work(0, 100)
    waits = []
    loop.lateness.begin()
    for work in (Work(0, 100), Work(1, 100), Work(0, 101), Work(0, 101)):
        loop.work = work
        loop.fire(late_us=0)
        waits.append(round(loop.delay_s * 1_000))
    assert waits == [REST_MS, BUSY_MS, BUSY_MS, REST_MS]
