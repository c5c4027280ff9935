from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress, Verdict, reconciler, schedule, timer, worklist
from fogbank.engines.memory import MemoryEngine
from fogbank.engines.simulated import QUIET, Faults, SimulatedEngine
from fogbank.platform.scheduler import schedules
from fogbank.platform.scheduler import worklist as entries
from fogbank.platform.scheduler.schedules import Occurrence, Schedule
from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.scheduler.worklist import Head, WorkEntry
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.platform.store.keyspace import PARTITIONS, partition_of
from fogbank.server.driver import Driver
from fogbank.server.hints import POLL_MS
from fogbank.testing.clock import START_MS, VirtualClock

DOMAIN = Domain("test", "jobs")


class Shared:
    """As much of the facilities as background work touches."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.placement: MemoryEngine = MemoryEngine(replay=True)
        self.timers = Timers()
        self.ids = Ids.seeded(1)


async def while_driving(
    shared: Shared,
    jobs: list[Any],
    script: Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]],
) -> None:
    """Run a driver beside a script that is handed ``advance(ms)``."""
    driver = Driver(cast("Facilities", shared), jobs, [], holder="this-run")
    task = asyncio.ensure_future(driver.run())

    async def settle() -> None:
        for _ in range(60):
            await asyncio.sleep(0)

    async def advance(milliseconds: int) -> None:
        await settle()
        until = shared.clock.now_ms() + milliseconds
        while shared.clock.now_ms() < until:
            shared.clock.advance_to(until)
            await settle()

    try:
        await script(advance)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def put(shared: Shared, *ids: str, holder: str = "", visible_ms: int = START_MS) -> None:
    async def body(tr: Transaction) -> None:
        for each in ids:
            entry = WorkEntry("work", each, DOMAIN.name, b"", START_MS, visible_ms, 0, holder)
            entries.put(tr, entry)

    await shared.placement.store_of(DOMAIN).transact(body)


async def silent(_self: MemoryEngine, _prefix: bytes) -> AsyncIterator[None]:
    """A watch whose hints are all lost."""
    await asyncio.Event().wait()
    yield


async def put_counted(shared: Shared, word: str, count: int) -> None:
    """Add so many entries of one group."""

    async def body(tr: Transaction) -> None:
        now_ms = shared.clock.now_ms()
        for number in range(count):
            name = f"{word}-{number}"
            entry = WorkEntry("work", name, DOMAIN.name, b"", now_ms, now_ms, word=word)
            before = await entries.counts(tr, entry.list, word)
            entries.put_counted(tr, entry, before)

    await shared.placement.store_of(DOMAIN).transact(body)


def test_a_reconciler_runs_at_start_then_by_period_and_survives_its_bugs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs: list[int] = []
    shared = Shared()

    @reconciler(period_ms=10_000)
    async def tidy(facilities: Facilities) -> Progress:
        runs.append(facilities.clock.now_ms() - START_MS)
        if len(runs) == 1:
            return Progress.BUSY
        if len(runs) == 3:
            raise ZeroDivisionError
        return Progress.IDLE

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(25_000)

    asyncio.run(while_driving(shared, [tidy], script))
    assert runs == [0, 0, 10_000, 10_500, 20_500]
    assert "failed" in caplog.text


def test_weather_in_its_own_looks_costs_a_loop_a_pause_and_never_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk refuses claims: what is due waits, and is done when there is room again."""
    shared, done = Shared(), []
    machine = SimulatedEngine(clock=shared.clock, chance=lambda: 0.0)
    shared.placement = machine

    @worklist("work", concurrency_max=3, hold_ms=60_000)
    async def attempt(entry: WorkEntry, _facilities: Facilities) -> Verdict:
        done.append(entry.id)
        return Verdict()

    @timer("bell")
    async def bell(tr: Transaction, _timer: Timer, _facilities: Facilities) -> None:
        tr.put(DOMAIN.prefix + b"rung", b"")

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(5_000)
        assert done == []
        machine.faults = QUIET
        await put(shared, "behind")

        async def body(tr: Transaction) -> None:
            shared.timers.put(tr, Timer("bell", DOMAIN.name, b"", shared.clock.now_ms()))

        await machine.store_of(DOMAIN).transact(body)
        await advance(POLL_MS + 5_000)

    asyncio.run(put(shared, "before", holder="dead"))
    machine.faults = Faults(weather=1.0)
    asyncio.run(while_driving(shared, [attempt, bell], script))
    assert sorted(done) == ["before", "behind"]
    assert machine.rows.get(DOMAIN.prefix + b"rung") is not None
    assert "timers waits" in caplog.text


def test_work_is_attempted_side_by_side_up_to_its_bound_and_then_gone() -> None:
    shared, now, most, done = Shared(), 0, 0, []

    @worklist("work", concurrency_max=3, hold_ms=60_000)
    async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await facilities.clock.sleep_until(facilities.clock.now_ms() + 100)
        now -= 1
        done.append(entry.id)
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await put(shared, *[str(number) for number in range(8)])
        await advance(1_000)
        store = shared.placement.system_stores()[0]
        assert await entries.heads(store, "work", partition_of(DOMAIN)) == []

    asyncio.run(while_driving(shared, [attempt], script))
    assert sorted(done) == [str(number) for number in range(8)]
    assert most == 3


def test_a_commit_has_one_part_of_a_list_looked_at_and_time_has_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list lies in 16 parts; reading the first entry of each cost more than the work."""
    shared = Shared()
    looks: list[int] = []
    done: list[str] = []
    heads = entries.heads

    async def looked(store: Store, name: str, partition: int, after: Head | None) -> list[Head]:
        looks.append(partition)
        return await heads(store, name, partition, after)

    monkeypatch.setattr(entries, "heads", looked)
    every = list(range(PARTITIONS))

    @worklist("work", concurrency_max=2, hold_ms=60_000)
    async def attempt(entry: WorkEntry, _facilities: Facilities) -> Verdict:
        done.append(entry.id)
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(1_000)
        assert looks == every
        looks.clear()
        await put(shared, "a", "b", "c")
        await advance(1_000)
        assert sorted(done) == ["a", "b", "c"]
        assert set(looks) == {partition_of(DOMAIN)}
        looks.clear()
        await advance(POLL_MS)
        assert looks == every

    asyncio.run(while_driving(shared, [attempt], script))


def test_a_group_of_many_slow_entries_holds_up_no_other() -> None:
    shared = Shared()
    done: list[tuple[str, int]] = []
    slow = Counter[str]()
    most = Counter[str]()

    @worklist("work", concurrency_max=8, hold_ms=600_000)
    async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
        now = facilities.clock.now_ms()
        if entry.word.startswith("slow"):
            slow[entry.word] += 1
            most[entry.word] = max(most[entry.word], slow[entry.word])
            await facilities.clock.sleep_until(now + 100_000)
            slow[entry.word] -= 1
        done.append((entry.word, now - START_MS))
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        for word, count in (("slow", 12), ("slower", 12), ("quick", 12)):
            await put_counted(shared, word, count)
            await advance(100)
        assert most == {"slow": 4, "slower": 2}
        assert [word for word, _ in done] == ["quick"] * 12
        await advance(1_000_000)
        assert Counter(word for word, _ in done) == {"slow": 12, "slower": 12, "quick": 12}

    asyncio.run(while_driving(shared, [attempt], script))


def test_an_attempt_that_takes_longer_than_its_claim_is_made_once_and_its_entry_goes_with_it() -> (
    None
):
    shared = Shared()
    begun: list[int] = []

    @worklist("work", concurrency_max=4, hold_ms=60_000)
    async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
        begun.append(entry.attempt)
        again_ms = facilities.clock.now_ms() + 1_000_000
        await facilities.clock.sleep_until(facilities.clock.now_ms() + 250_000)
        return Verdict(retry_at_ms=again_ms) if len(begun) == 1 else Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await put(shared, "slow")
        await advance(900_000)
        assert begun == [0]
        await advance(900_000)
        assert begun == [0, 1]
        assert await entries.oldest_ms(shared.placement.store_of(DOMAIN)) is None

    asyncio.run(while_driving(shared, [attempt], script))


def test_a_group_that_is_alone_has_a_slot_though_there_is_only_one() -> None:
    shared = Shared()
    done: list[str] = []

    @worklist("work", concurrency_max=1, hold_ms=60_000)
    async def attempt(entry: WorkEntry, _facilities: Facilities) -> Verdict:
        done.append(entry.id)
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await put_counted(shared, "word", 3)
        await put(shared, "in none")
        await advance(1_000)
        assert sorted(done) == ["in none", "word-0", "word-1", "word-2"]

    asyncio.run(while_driving(shared, [attempt], script))


def test_what_waits_for_a_slot_is_looked_at_when_one_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No commit need tell of it: the last one may have done so before the slot was free."""
    shared = Shared()
    done: list[str] = []

    @worklist("work", concurrency_max=2, hold_ms=60_000)
    async def attempt(entry: WorkEntry, _facilities: Facilities) -> Verdict:
        done.append(entry.id)
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(1_000)
        assert sorted(done) == ["word-0", "word-1", "word-2", "word-3"]

    async def main() -> None:
        await put_counted(shared, "word", 4)
        await while_driving(shared, [attempt], script)

    monkeypatch.setattr(type(shared.placement.system_stores()[0]), "watch", silent)
    asyncio.run(main())


def test_a_lost_hint_costs_a_delay_and_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared()
    done: list[str] = []

    @worklist("work", concurrency_max=2, hold_ms=60_000)
    async def attempt(entry: WorkEntry, _facilities: Facilities) -> Verdict:
        done.append(entry.id)
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(1_000)
        await put(shared, "a")
        await advance(1_000)
        assert done == []
        await advance(POLL_MS)
        assert done == ["a"]

    store = type(shared.placement.system_stores()[0])
    monkeypatch.setattr(store, "watch", silent)
    asyncio.run(while_driving(shared, [attempt], script))


def test_a_failed_attempt_comes_back_when_its_verdict_says_and_is_counted() -> None:
    shared = Shared()
    attempts: list[tuple[int, int]] = []

    @worklist("work", concurrency_max=1, hold_ms=60_000)
    async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
        now = facilities.clock.now_ms()
        attempts.append((now - START_MS, entry.attempt))
        if len(attempts) == 1:
            return Verdict(retry_at_ms=now + 60_000)
        if len(attempts) == 2:
            return Verdict(retry_at_ms=now + 500, uncounted=True)
        if len(attempts) == 3:
            raise Unavailable("the sandbox daemon is gone")
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await put(shared, "a")
        await advance(70_000)

    asyncio.run(while_driving(shared, [attempt], script))
    assert attempts == [(0, 0), (60_000, 1), (60_500, 1), (61_500, 1)]


def test_what_a_dead_run_had_claimed_is_attempted_at_once() -> None:
    shared = Shared()
    seen: list[int] = []

    @worklist("work", concurrency_max=1, hold_ms=60_000)
    async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
        seen.append(facilities.clock.now_ms() - START_MS)
        return Verdict()

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(10)

    async def main() -> None:
        await put(shared, "a", holder="dead-run", visible_ms=START_MS + 900_000)
        await while_driving(shared, [attempt], script)

    asyncio.run(main())
    assert seen == [0]


def test_a_timer_runs_once_when_due_in_the_transaction_that_removes_it() -> None:
    shared = Shared()

    @timer("alarm")
    async def ring(tr: Transaction, due: Timer, facilities: Facilities) -> None:
        key = tr.domain.prefix + b"rung" + due.key
        tr.put(key, str(facilities.clock.now_ms() - START_MS).encode())

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        async def body(tr: Transaction) -> None:
            for key, after_ms in ((b"a", 5_000), (b"b", 7_000), (b"c", 6_000)):
                shared.timers.put(tr, Timer("alarm", DOMAIN.name, key, START_MS + after_ms))

        await shared.placement.store_of(DOMAIN).transact(body)

        async def clear(tr: Transaction) -> None:
            shared.timers.delete(tr, Timer("alarm", DOMAIN.name, b"c", START_MS + 6_000))

        await shared.placement.store_of(DOMAIN).transact(clear)
        await advance(8_000)

        async def read(tr: Transaction) -> list[bytes | None]:
            return [await tr.get(DOMAIN.prefix + b"rung" + key) for key in (b"a", b"b", b"c")]

        assert await shared.placement.store_of(DOMAIN).read(read) == [b"5000", b"7000", None]

    asyncio.run(while_driving(shared, [ring], script))


def test_a_schedule_rings_on_time_once_for_each_occurrence_over_restarts_and_bugs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared = Shared()
    failed: list[int] = []

    @schedule("chime")
    async def chime(tr: Transaction, occurrence: Occurrence, facilities: Facilities) -> None:
        scheduled_ms = occurrence.scheduled_ms
        if scheduled_ms == START_MS + 120_000 and not failed:
            failed.append(scheduled_ms)
            raise ZeroDivisionError
        at = f"{scheduled_ms - START_MS}@{facilities.clock.now_ms() - START_MS}"
        tr.append(DOMAIN.prefix + b"rang", at.encode() + occurrence.schedule.payload)

    async def script(advance: Callable[[int], Awaitable[None]]) -> None:
        await advance(130_000)

    async def main() -> list[bytes]:
        made = Schedule("s", "chime", "rate(1 minute)", created_ms=START_MS, payload=b"!")

        async def put_schedule(tr: Transaction) -> None:
            schedules.put(tr, shared.timers, made, START_MS)

        store = shared.placement.store_of(DOMAIN)
        await store.transact(put_schedule)
        await while_driving(shared, [chime], script)
        shared.clock.advance_to(START_MS + 300_500)  # no server runs for a while
        await while_driving(shared, [chime], script)
        return [value for _, value in await store.tail(DOMAIN.prefix + b"rang", None, 100)]

    assert asyncio.run(main()) == [
        b"0@0!",
        b"60000@60000!",
        b"120000@121000!",
        b"300000@300500!",
        b"360000@360000!",
        b"420000@420000!",
    ]
    assert "timer platform.schedule failed" in caplog.text
