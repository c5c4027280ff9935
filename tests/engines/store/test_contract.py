"""What every engine keeps of the store's port, one property a test."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from fogbank.base.errors import ServiceError, TransactionTooLarge
from fogbank.platform.store.engine import (
    SYSTEM,
    Body,
    Domain,
    Pending,
    Stamp,
    Transaction,
)
from fogbank.platform.store.keyspace import OUTBOX, WORK, system_prefix

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
END = P[:-1] + bytes([P[-1] + 1]) if P[-1] < 255 else P + b"\xff" * 64
QUEUE = system_prefix(WORK, 3)
BOX = system_prefix(OUTBOX, 3)
AWKWARD = [
    b"", b"\0", b"\0\0", b"\0\xff", b"\x01", b"a", b"a\0", b"a\0b", b"a\xff", b"aa", b"b",
    b"\x7f", b"\x80", b"\xfe\xff", b"\xff", b"\xff\0", b"\xff\xff", b"z" * 1_000,
]  # fmt: skip


def putting(rows: dict[bytes, bytes | None]) -> Body[None]:
    async def body(tr: Transaction) -> None:
        for key, value in rows.items():
            if value is None:
                tr.delete(key)
            else:
                tr.put(key, value)

    return body


def getting(key: bytes) -> Body[bytes | None]:
    async def body(tr: Transaction) -> bytes | None:
        return await tr.get(key)

    return body


def ranging(
    begin: bytes, end: bytes, limit: int = 1_000, *, reverse: bool = False
) -> Body[list[tuple[bytes, bytes]]]:
    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(begin, end, limit=limit, reverse=reverse)

    return body


async def test_rows_come_in_byte_order_whatever_the_keys(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    for key in sorted(AWKWARD, key=lambda key: key[::-1]):
        await store.transact(putting({P + key: key + b"!"}))
    rows = await store.read(ranging(P, END))
    assert rows == [(P + key, key + b"!") for key in sorted(AWKWARD)]
    assert await store.read(ranging(P, END, reverse=True)) == rows[::-1]


async def test_a_range_holds_its_begin_and_not_its_end(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(putting({P + b"%d" % n: b"" for n in range(10)}))
    for low, high in itertools.product(range(10), repeat=2):
        for reverse in (False, True):
            rows = await store.read(ranging(P + b"%d" % low, P + b"%d" % high, reverse=reverse))
            expected = [P + b"%d" % n for n in range(low, high)]
            assert [key for key, _ in rows] == (expected[::-1] if reverse else expected)


async def test_a_limit_cuts_the_first_rows_of_the_direction(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    keys = [P + b"%02d" % n for n in range(20)]
    await store.transact(putting(dict.fromkeys(keys, b"x")))
    for limit in (0, 1, 7, 20, 100):
        forward = await store.read(ranging(P, END, limit))
        backward = await store.read(ranging(P, END, limit, reverse=True))
        assert [key for key, _ in forward] == keys[:limit]
        assert [key for key, _ in backward] == keys[::-1][:limit]


async def test_a_body_reads_its_own_writes_through_get_and_range(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(putting({P + b"a": b"1", P + b"c": b"1", P + b"e": b"1"}))

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        tr.put(P + b"b", b"2")
        tr.put(P + b"c", b"2")
        tr.delete(P + b"e")
        assert await tr.get(P + b"c") == b"2"
        assert await tr.get(P + b"e") is None
        assert await tr.get_many([P + b"a", P + b"b", P + b"e", P + b"x"]) == {
            P + b"a": b"1",
            P + b"b": b"2",
        }
        rows = await tr.range(P, END, limit=10)
        assert await tr.range(P, END, limit=10, reverse=True) == rows[::-1]
        assert await tr.range(P, END, limit=2) == rows[:2]
        return rows

    rows = await store.transact(body)
    assert rows == [(P + b"a", b"1"), (P + b"b", b"2"), (P + b"c", b"2")]
    assert await store.read(ranging(P, END)) == rows


async def test_a_body_that_raises_leaves_nothing(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    class NoSuchThing(ServiceError):
        pass

    async def body(tr: Transaction) -> None:
        tr.put(P + b"a", b"1")
        tr.append(BOX, b"entry")
        raise NoSuchThing("there is no such thing")

    with pytest.raises(NoSuchThing):
        await store.transact(body)
    assert await store.read(ranging(P, END)) == []
    assert await store.tail(BOX, None, 10) == []


async def test_keys_and_values_up_to_the_limits_are_kept_and_beyond_refused(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    limits = store.limits
    key = P + b"k" * (limits.key_bytes_max - len(P))
    await store.transact(putting({key: b"v" * limits.value_bytes_max}))
    assert await store.read(getting(key)) == b"v" * limits.value_bytes_max
    assert len(await store.read(ranging(P, END))) == 1
    for refused in (
        {key + b"k": b""},
        {P: b"v" * (limits.value_bytes_max + 1)},
        {key + b"k": None},
    ):
        with pytest.raises(TransactionTooLarge):
            await store.transact(putting(refused))
    assert await store.read(getting(key + b"k" * 500)) is None
    assert await store.read(ranging(key + b"k" * 500, END)) == []
    assert len(await store.read(ranging(P, key + b"k" * 500))) == 1


async def test_a_transaction_that_is_too_large_leaves_nothing(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    half = store.limits.value_bytes_max
    count = store.limits.transaction_bytes_max // half + 1
    with pytest.raises(TransactionTooLarge):
        await store.transact(putting({P + b"%03d" % n: b"v" * half for n in range(count)}))
    assert await store.read(ranging(P, END)) == []


async def test_keys_outside_the_domain_are_refused(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    other = Domain("another")
    for key in (other.prefix + b"k", b"", b"\0state", b"\xff"):
        with pytest.raises(AssertionError):
            await store.transact(putting({key: b"v"}))
        with pytest.raises(AssertionError):
            await store.transact(putting({key: None}))
    await store.transact(putting({BOX + b"k": b"v"}))
    assert await engine.store_of(SYSTEM).read(getting(BOX + b"k")) == b"v"
    with pytest.raises(AssertionError):
        await engine.store_of(SYSTEM).transact(putting({P + b"k": b"v"}))


async def test_values_that_are_not_bytes_are_refused(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    for value in (bytearray(b"v"), "v", memoryview(b"v")):
        with pytest.raises(AssertionError):
            await store.transact(putting({P: value}))  # type: ignore[dict-item]


async def test_two_hundred_increments_at_once_count_two_hundred(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    async def body(tr: Transaction) -> int:
        count = int(await tr.get(P + b"n") or b"0") + 1
        tr.put(P + b"n", b"%d" % count)
        return count

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.transact(body)) for _ in range(200)]
    assert sorted(task.result() for task in tasks) == list(range(1, 201))
    assert await store.read(getting(P + b"n")) == b"200"


async def test_two_that_each_read_what_the_other_writes_do_not_both_pass(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(putting({P + b"a": b"on", P + b"b": b"on"}))

    def leave(mine: bytes) -> Body[bool]:
        async def body(tr: Transaction) -> bool:
            on = [key for key, value in await tr.range(P, END, limit=9) if value == b"on"]
            if len(on) < 2:
                return False
            tr.put(mine, b"off")
            return True

        return body

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.transact(leave(P + key))) for key in (b"a", b"b")]
    assert sorted(task.result() for task in tasks) == [False, True]


async def test_a_row_that_must_be_the_only_one_is_written_once(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    def claim_name(number: int) -> Body[bool]:
        async def body(tr: Transaction) -> bool:
            if await tr.range(P + b"name", P + b"namf", limit=1):
                return False
            tr.put(P + b"name%d" % number, b"")
            return True

        return body

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.transact(claim_name(n))) for n in range(20)]
    assert sum(task.result() for task in tasks) == 1


async def test_a_reading_sees_one_state_of_rows_that_change_together(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(putting({P + b"a": b"0", P + b"b": b"0"}))

    async def write() -> None:
        for n in range(100):
            await store.transact(putting({P + b"a": b"%d" % n, P + b"b": b"%d" % n}))

    async def read() -> None:
        for _ in range(100):
            rows = await store.read(ranging(P, END))
            assert rows[0][1] == rows[1][1]

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())


async def test_a_reading_may_not_write(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    async def append(tr: Transaction) -> None:
        tr.append(BOX, b"entry")

    for body in (putting({P: b"v"}), putting({P: None}), append):
        with pytest.raises(AssertionError):
            await store.read(body)


async def test_appended_entries_are_tailed_in_commit_order_and_none_is_skipped(
    engine: Any,
) -> None:
    store = engine.store_of(DOMAIN)
    order: list[tuple[Stamp, bytes]] = []

    async def write(writer: int) -> None:
        for n in range(20):

            async def body(tr: Transaction, n: int = n) -> tuple[Pending, Pending]:
                one = tr.append(BOX, b"%d-%d-0" % (writer, n))
                return one, tr.append(BOX, b"%d-%d-1" % (writer, n))

            one, other = await store.transact(body)
            assert one.stamp < other.stamp
            order.extend([(one.stamp, b"%d-%d-0" % (writer, n))])
            order.extend([(other.stamp, b"%d-%d-1" % (writer, n))])

    async def tail() -> list[tuple[Stamp, bytes]]:
        seen: list[tuple[Stamp, bytes]] = []
        while len(seen) < 320:
            page = await store.tail(BOX, seen[-1][0] if seen else None, 7)
            seen += page
            await asyncio.sleep(0)
        return seen

    async with asyncio.TaskGroup() as group:
        tailing = group.create_task(tail())
        for writer in range(8):
            group.create_task(write(writer))
    assert tailing.result() == sorted(order)
    assert len({stamp for stamp, _ in order}) == 320


async def test_a_stamp_does_not_exist_before_the_commit(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    async def body(tr: Transaction) -> Pending:
        pending = tr.append(BOX, b"entry")
        with pytest.raises(RuntimeError):
            _ = pending.stamp
        # The entry is invisible to its own body.
        assert await tr.range(BOX, BOX + b"\xff" * 12, limit=5) == []
        return pending

    pending = await store.transact(body)
    assert await store.tail(BOX, None, 5) == [(pending.stamp, b"entry")]
    assert Stamp.unpack(pending.stamp.pack()) == pending.stamp


async def test_each_entry_of_a_work_list_goes_to_one_claimer(engine: Any) -> None:
    system = engine.store_of(SYSTEM)
    ready, taken = QUEUE + b"r", QUEUE + b"t"
    await system.transact(putting({ready + b"%03d" % n: b"job%d" % n for n in range(100)}))

    async def work() -> list[bytes]:
        mine: list[bytes] = []
        while moved := await system.claim(
            ready, QUEUE + b"s", 3, lambda key, value: (taken + key[-3:], value + b"!")
        ):
            assert len(moved) <= 3
            mine += [value for _, value in moved]
        return mine

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(5)]
    claimed = [value for task in tasks for value in task.result()]
    assert sorted(claimed) == sorted(b"job%d!" % n for n in range(100))
    assert len(await system.read(ranging(QUEUE, QUEUE + b"\xff"))) == 100


async def test_a_claim_may_leave_the_entry_where_it_is(engine: Any) -> None:
    system = engine.store_of(SYSTEM)
    await system.transact(putting({QUEUE + b"1": b"a"}))
    moved = await system.claim(QUEUE, QUEUE + b"\xff", 5, lambda key, value: (key, value + b"b"))
    assert moved == [(QUEUE + b"1", b"ab")]
    assert await system.read(getting(QUEUE + b"1")) == b"ab"


async def test_a_watcher_is_woken_by_commits_under_its_prefix_and_hints_are_coalesced(
    engine: Any,
) -> None:
    store = engine.store_of(DOMAIN)
    mine, others = store.watch(BOX), store.watch(QUEUE)

    async def append(tr: Transaction) -> None:
        tr.append(BOX, b"entry")

    for _ in range(5):
        await store.transact(append)
    await anext(mine)
    for watcher in (mine, others):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(watcher)
    waiting = asyncio.ensure_future(anext(mine))
    await asyncio.sleep(0)
    await store.transact(append)
    await waiting


async def test_a_body_that_waits_for_something_else_raises_and_leaves_nothing(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    async def sleeping(tr: Transaction) -> None:
        tr.put(P + b"a", b"1")
        await asyncio.sleep(0)

    async def waiting(tr: Transaction) -> None:
        await tr.get(P + b"a")
        await asyncio.get_running_loop().create_future()

    for call, body in (
        (store.transact, sleeping),
        (store.transact, waiting),
        (store.read, waiting),
    ):
        with pytest.raises(RuntimeError, match="awaited something other than its transaction"):
            await call(body)
    assert await store.read(getting(P + b"a")) is None


async def test_a_transaction_is_of_no_use_when_it_is_over(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    kept: list[Transaction] = []

    async def body(tr: Transaction) -> None:
        tr.put(P + b"a", b"1")
        kept.append(tr)

    await store.transact(body)
    for use in (lambda tr: tr.put(P + b"b", b"2"), lambda tr: tr.append(BOX, b"")):
        with pytest.raises((RuntimeError, AssertionError)):
            use(kept[-1])
    with pytest.raises((RuntimeError, AssertionError)):
        await kept[-1].get(P + b"a")
    assert await store.read(getting(P + b"b")) is None


async def test_a_cancelled_call_leaves_everything_or_nothing(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    for n in range(20):
        call = asyncio.ensure_future(
            store.transact(putting({P + b"a%d" % n: b"1", P + b"b%d" % n: b"1"}))
        )
        for _ in range(n % 4):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        pair = [await store.read(getting(P + name + b"%d" % n)) for name in (b"a", b"b")]
        assert pair in ([b"1", b"1"], [None, None])


async def test_rows_removed_at_the_head_of_a_long_list_stay_removed(engine: Any) -> None:
    system = engine.store_of(SYSTEM)
    keys = [QUEUE + b"%04d" % n for n in range(300)]
    await system.transact(putting(dict.fromkeys(keys, b"x")))
    for n in range(0, 250, 10):
        await system.transact(putting(dict.fromkeys(keys[n : n + 10])))
        head = await system.read(ranging(QUEUE, QUEUE + b"\xff", 1))
        assert head == [(keys[n + 10], b"x")]
    # A row that comes back before the head is seen again.
    await system.transact(putting({keys[17]: b"back"}))
    assert (await system.read(ranging(QUEUE, QUEUE + b"\xff", 2)))[0] == (keys[17], b"back")
    await system.transact(putting({keys[17]: None, keys[3] + b"new": b"new"}))
    assert (await system.read(ranging(QUEUE, QUEUE + b"\xff", 2)))[0] == (keys[3] + b"new", b"new")


async def test_the_domains_of_one_engine_do_not_see_each_other(engine: Any) -> None:
    one, other = Domain("one"), Domain("other")
    await engine.store_of(one).transact(putting({one.prefix + b"k": b"1"}))
    await engine.store_of(other).transact(putting({other.prefix + b"k": b"2"}))
    assert await engine.store_of(one).read(getting(one.prefix + b"k")) == b"1"
    (system,) = engine.system_stores()
    assert await system.read(ranging(b"\x01", b"\x02")) == []
