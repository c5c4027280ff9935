"""When garbage is collected: at rest, and at so many MB of growth, but never for nothing."""

from __future__ import annotations

import asyncio
import gc
import mmap
import weakref
from pathlib import Path

from fogbank.platform.link.caller import Line
from fogbank.platform.link.port import Answer, Asked
from fogbank.platform.metering.exposition import text_of
from fogbank.server import kernel
from fogbank.server.garbage import LOOK_MS, REST_MS, Garbage, Work
from fogbank.server.links import Meeting, dial_of
from fogbank.testing.clock import VirtualClock

MB = 1 << 20


class Collecting:
    """A collector that frees nothing and counts."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.did: list[str] = []

    def collect(self) -> int:
        self.did.append("collect")
        self.clock.advance_to(self.clock.now_ms() + 4)
        return 7

    def freeze(self) -> None:
        self.did.append("freeze")

    def disable(self) -> None:
        self.did.append("disable")


class Process:
    """A process of 100 MB that rests and may grow by 10."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.collecting = Collecting(self.clock)
        self.memory = 100 * MB
        self.work = Work(0, 5)
        self.garbage = Garbage(
            self.clock, lambda: self.memory, lambda: self.work, 10 * MB, self.collecting
        )
        self.garbage.begin()
        self.collecting.did.clear()

    def looked(self) -> int:
        """Return how many collections one look caused."""
        before = len(self.collecting.did)
        self.garbage.look()
        return len(self.collecting.did) - before


def test_what_was_there_at_the_start_is_collected_and_frozen_and_automatic_collections_end() -> (
    None
):
    clock = VirtualClock()
    collecting = Collecting(clock)
    Garbage(clock, lambda: 0, lambda: Work(0, 0), MB, collecting).begin()
    assert collecting.did == ["collect", "freeze", "disable"]


def test_a_process_that_has_done_nothing_collects_nothing() -> None:
    process = Process()
    assert [process.looked() for _ in range(3)] == [0, 0, 0]


def test_the_first_look_without_work_after_some_collects_once() -> None:
    process = Process()
    process.work = Work(0, 6)
    assert process.looked() == 0, "something came since the last look"
    assert [process.looked() for _ in range(3)] == [1, 0, 0]
    process.work = Work(0, 7)
    assert [process.looked() for _ in range(3)] == [0, 1, 0]
    assert process.garbage.runs == {"idle": 2}


def test_a_request_under_way_is_not_held_up() -> None:
    process = Process()
    process.work = Work(1, 6)
    assert [process.looked() for _ in range(3)] == [0, 0, 0]
    process.work = Work(0, 6)
    assert process.looked() == 1


def test_a_process_that_never_rests_collects_at_each_growth() -> None:
    process = Process()
    collections = []
    for second in range(1, 31):
        process.work = Work(3, 5 + second)
        process.memory = 100 * MB + second * MB
        collections.append(process.looked())
    assert [second for second, ran in enumerate(collections, 1) if ran] == [10, 20, 30]
    assert process.garbage.runs == {"growth": 3}


def test_memory_that_comes_and_goes_is_no_growth_beyond_what_it_was() -> None:
    process = Process()
    process.work, process.memory = Work(1, 6), 110 * MB
    assert process.looked() == 1
    looked = []
    for second in range(20):
        process.memory = (90 if second % 2 else 115) * MB
        looked.append(process.looked())
    assert not any(looked)


def test_the_figures_tell_causes_pauses_and_what_was_found() -> None:
    process = Process()
    process.memory += 10 * MB
    process.looked()
    lines = text_of(process.garbage.families()).splitlines()
    assert 'fogbank_garbage_collections_total{cause="growth"} 1' in lines
    assert 'fogbank_garbage_collections_total{cause="idle"} 0' in lines
    assert "fogbank_garbage_objects_total 7" in lines
    assert "fogbank_garbage_pause_seconds_count 1" in lines
    assert 3_999 <= process.garbage.pauses.sum_us <= 4_000


def test_a_process_that_did_nothing_and_has_nothing_to_collect_is_left_alone() -> None:
    async def scene() -> None:
        process = Process()
        process.work = Work(0, 6)
        task = asyncio.get_running_loop().create_task(process.garbage.run())
        pauses = []
        for so_far in (6, 6, 6, 7, 7):
            await asyncio.sleep(0)
            due_ms = process.clock.next_ms()
            assert due_ms is not None
            pauses.append(due_ms - process.clock.now_ms())
            process.work = Work(0, so_far)
            process.clock.advance_to(due_ms)
            await asyncio.sleep(0)
        # Work came, and then none; the second look of the last pair collects.
        assert pauses == [LOOK_MS, LOOK_MS, REST_MS, REST_MS, LOOK_MS]
        assert process.collecting.did == ["collect", "collect"]
        task.cancel()

    asyncio.run(scene())


def test_it_looks_once_a_second() -> None:
    async def scene() -> None:
        process = Process()
        task = asyncio.get_running_loop().create_task(process.garbage.run())
        process.memory += 10 * MB
        await asyncio.sleep(0)
        assert process.collecting.did == []
        process.clock.advance_to(process.clock.now_ms() + LOOK_MS)
        for _ in range(3):
            await asyncio.sleep(0)
        assert process.collecting.did == ["collect"]
        task.cancel()

    asyncio.run(scene())


class Node:
    """Refers to itself: only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_a_cycle_in_the_oldest_generation_is_freed() -> None:
    """A look once collected the young generations only, and what had grown old leaked."""
    node = Node()
    gone = weakref.ref(node)
    gc.collect()  # it has survived: it is in the oldest generation
    work = Work(0, 0)
    garbage = Garbage(VirtualClock(), lambda: 0, lambda: work, MB)
    del node
    work = Work(0, 1)
    garbage.look()
    assert gone() is not None
    garbage.look()
    assert gone() is None


def test_calls_of_other_processes_are_work(tmp_path: Path) -> None:
    async def scene() -> None:
        go_on = asyncio.Event()

        async def wait(_: Asked) -> Answer:
            await go_on.wait()
            return Answer(None)

        async with asyncio.TaskGroup() as group:
            meeting = Meeting(tmp_path / "it.sock", {"wait": wait}, group)
            await meeting.open()
            assert (meeting.under_way, meeting.begun) == (0, 0)
            for number in (1, 2):  # the second on a connection of its own
                go_on.clear()
                line = Line(dial_of(tmp_path / "it.sock"), VirtualClock())
                call = group.create_task(line.call("wait", None))
                while meeting.begun < number:  # noqa: ASYNC110 (a turn of the loop is what it takes)
                    await asyncio.sleep(0)
                assert meeting.under_way == 1
                go_on.set()
                await call
                assert (meeting.under_way, meeting.begun) == (0, number)
                line.close()
            meeting.close()

    asyncio.run(scene())


def test_a_processs_own_memory_is_without_the_pages_of_files(tmp_path: Path) -> None:
    """Mapped by hand: what malloc gives may be memory that a test before left resident."""
    pages = b"x" * (64 * MB)
    (tmp_path / "file").write_bytes(pages)
    before = kernel.own_memory_bytes()
    with mmap.mmap(-1, len(pages), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        own[:] = pages
        assert 56 * MB < kernel.own_memory_bytes() - before < 72 * MB
    with (tmp_path / "file").open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        assert shared.find(b"y") == -1  # reads every page
        assert kernel.own_memory_bytes() - before < 8 * MB
