from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fogbank.base.errors import Unavailable
from fogbank.platform.metering.journal import (
    BATCH_EVENTS_MAX,
    EVENT_BYTES_MAX,
    EVENTS_MAX,
    Journal,
    LogEvent,
)
from fogbank.testing.clock import VirtualClock


class Shipped:
    def __init__(self) -> None:
        self.batches: list[list[LogEvent]] = []
        self.failures = 0

    async def ship(self, events: Sequence[LogEvent]) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise Unavailable("no disk")
        self.batches.append(list(events))

    def messages(self) -> list[str]:
        return [event.message for batch in self.batches for event in batch]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def advance(clock: VirtualClock, milliseconds: int) -> None:
    until = clock.now_ms() + milliseconds
    await settle()
    while clock.now_ms() < until:
        clock.advance_to(until)
        await settle()


def test_lines_leave_together_a_moment_after_the_first() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks, flush_ms=100)
            journal.sink("", b"one\n")
            await advance(clock, 60)
            journal.sink("", b"two\n")
            await advance(clock, 39)
            assert shipped.batches == []
            await advance(clock, 1)
            start = clock.now_ms() - 100
            assert shipped.batches == [[LogEvent(start, "one\n"), LogEvent(start + 60, "two\n")]]
            journal.sink("", b"three")
            await journal.close()
            assert shipped.messages() == ["one\n", "two\n", "three"]

    asyncio.run(story())


def test_what_an_invocation_shipped_at_its_end_does_not_hurry_the_next_ones_lines() -> None:
    """One shipment for each: otherwise the first lines of the next went by themselves."""

    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks, flush_ms=100)
            journal.line("START 1\n")
            await advance(clock, 60)
            await journal.flush()
            journal.line("START 2\n")
            await advance(clock, 99)
            assert shipped.messages() == ["START 1\n"]
            journal.line("END 2\n")
            await advance(clock, 1)
            assert [len(batch) for batch in shipped.batches] == [1, 2]
            await journal.close()
            assert shipped.messages() == ["START 1\n", "START 2\n", "END 2\n"]

    asyncio.run(story())


def test_what_comes_faster_than_it_goes_is_dropped_and_counted() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks, bytes_max=100)
            journal.sink("", b"0123456789\n" * 10)
            await journal.flush()
            assert shipped.messages() == ["0123456789\n"] * 2 + [
                "fogbank dropped 8 log lines: they came faster than they went\n"
            ]
            journal.sink("", b"again\n")
            await journal.close()
            assert shipped.messages()[-1] == "again\n"

    asyncio.run(story())


def test_a_flood_of_short_lines_waits_as_so_many_events_at_most_and_is_counted_whole() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks)
            for _ in range(4):
                journal.sink("", b"\n" * 10_000)
            journal.sink("", b"begin")
            journal.sink("", b" of a line\nand ")
            assert journal.tail().endswith(b"begin of a line\n")
            await journal.flush()
            journal.sink("", b"end\n")
            await journal.close()
            assert shipped.messages() == [
                *["\n"] * EVENTS_MAX,
                f"fogbank dropped {40_001 - EVENTS_MAX} log lines: they came faster than they went\n",
                "and end\n",
            ]
            assert max(len(batch) for batch in shipped.batches) == BATCH_EVENTS_MAX

    asyncio.run(story())


def test_a_flush_takes_what_lies_there_when_it_begins_and_no_more() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks, flush_ms=100)

            async def ship(events: Sequence[LogEvent]) -> None:
                await Shipped.ship(shipped, events)
                journal.sink("", b"more\n")  # a function that never stops

            journal._ship = ship
            journal.sink("", b"first\n")
            await journal.flush()
            assert shipped.messages() == ["first\n"]
            for round_number in range(1, 4):
                await advance(clock, 100)
                assert len(shipped.batches) == 1 + round_number
            journal._ship = shipped.ship
            await journal.close()

    asyncio.run(story())


def test_a_long_line_becomes_several_events_cut_between_characters() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks, bytes_max=10 << 20)
            text = "é" * EVENT_BYTES_MAX
            raw = b"x" + text.encode() + b"\n"
            for at in range(0, len(raw), 65_521):
                journal.sink("", raw[at : at + 65_521])
            await journal.close()
            messages = shipped.messages()
            assert len(messages) == 3
            assert "".join(messages) == f"x{text}\n"
            assert max(len(message.encode()) for message in messages) <= EVENT_BYTES_MAX
            assert all(
                sum(len(e.message.encode()) + 26 for e in b) <= 1 << 20 for b in shipped.batches
            )

    asyncio.run(story())


def test_bad_weather_delays_lines_and_loses_none() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks)
            shipped.failures = 3
            journal.sink("", b"one\n")
            flushing = tasks.create_task(journal.flush())
            await advance(clock, 250)
            journal.sink("", b"two\n")
            await advance(clock, 500 + 1_000)
            await flushing
            assert shipped.messages() == ["one\n", "two\n"]

    asyncio.run(story())


def test_lines_that_can_never_be_stored_are_given_up_and_told() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks)
            shipped.failures = 6
            journal.sink("", b"one\n")
            await advance(clock, 100 + 250 * 31)
            journal.sink("", b"two\n")
            await advance(clock, 100)
            assert shipped.messages() == [
                "two\n",
                "fogbank dropped 1 log lines: they came faster than they went\n",
            ]
            shipped.failures = 6
            journal.sink("", b"three\n")
            flushing = asyncio.ensure_future(journal.flush())
            await advance(clock, 250 * 31)
            with pytest.raises(Unavailable):
                await flushing
            await journal.close()
            assert "three\n" in shipped.messages()

    asyncio.run(story())


def test_the_tail_is_the_last_four_kilobytes_of_an_invocation() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks)
            journal.sink("", b"before\n")
            journal.begin()
            journal.line("START\n")
            journal.sink("", b"x" * 9_999 + b"\n")
            journal.line("END\n")
            assert len(journal.tail()) == 4_096
            assert journal.tail().endswith(b"x\nEND\n")
            journal.begin()
            journal.line("START\n")
            assert journal.tail() == b"START\n"
            await journal.close()

    asyncio.run(story())


def test_a_break_inside_an_event_is_a_line_feed_again() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks)
            journal.sink("", b"[ERROR] one\rtwo\r\nthree\r\n")
            await journal.close()
            assert shipped.messages() == ["[ERROR] one\ntwo\n", "three\n"]

    asyncio.run(story())


def test_those_who_wait_for_their_lines_within_one_tick_have_them_written_in_one_batch() -> None:
    async def story() -> None:
        clock, shipped = VirtualClock(), Shipped()
        async with asyncio.TaskGroup() as tasks:
            journal = Journal(shipped.ship, clock, tasks, flush_ms=1_000)
            waiting = []
            for number in range(5):
                journal.line(f"{number}\n")
                waiting.append(tasks.create_task(journal.flush_together(10)))
                await advance(clock, 2)
            await asyncio.gather(*waiting)
            assert [len(batch) for batch in shipped.batches] == [5]
            journal.line("6\n")
            later = tasks.create_task(journal.flush_together(10))
            await advance(clock, 9)
            assert not later.done()
            await advance(clock, 1)
            await later
            assert [len(batch) for batch in shipped.batches] == [5, 1]
            await journal.close()

    asyncio.run(story())
