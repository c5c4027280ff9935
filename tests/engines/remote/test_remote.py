"""What only a store of another process can meet: conflicts, lost answers, wrong owners, pages.

The link is a fake: every call goes through MessagePack and back, and a test may stand in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fogbank.base.errors import CommitUnknown, Conflict, ServiceError, Unavailable
from fogbank.engines.memory import MemoryEngine
from fogbank.engines.remote import store as remote_store
from fogbank.engines.remote import words
from fogbank.engines.remote.owner import StoreOwner
from fogbank.engines.remote.store import Remote
from fogbank.platform.link.port import Answer, Asked, ByteSource, LinkLost
from fogbank.platform.store.engine import Domain, Store, Token, Transaction
from fogbank.platform.store.keyspace import OUTBOX, system_prefix
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("s3", "bucket")
P = DOMAIN.prefix
TOKEN = Token("111122223333", "s3", "CopyObject", "t-1", b"digest", 60_000)


class FakePeer:
    """Calls an owner in this process; ``before`` and ``after`` may raise or change things."""

    def __init__(self, owner: StoreOwner) -> None:
        self.asked: list[str] = []
        self.before: Callable[[str], Any] = lambda method: None
        self.after: Callable[[str], None] = lambda method: None
        self._handlers = owner.handlers()

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        assert stream is None
        self.asked.append(method)
        waited = self.before(method)
        if waited is not None:
            await waited
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
        answer = await self._handlers[method](Asked(packed))
        self.after(method)
        return Answer(msgspec.msgpack.decode(msgspec.msgpack.encode(answer.value)))


class Lab:
    """An engine, and its store as another process sees it."""

    def __init__(self, group: asyncio.TaskGroup, is_ours: Callable[[Domain], bool]) -> None:
        self.engine = MemoryEngine(clock=VirtualClock())
        self.peer = FakePeer(StoreOwner(self.engine, is_ours))
        self.remote: Store = Remote(self.peer, VirtualClock(), group).store_of(DOMAIN)
        self.local = self.engine.store_of(DOMAIN)


def in_lab(test: Any, is_ours: Callable[[Domain], bool] = lambda _: True) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            await test(Lab(group, is_ours))

    asyncio.run(run())


async def count(tr: Transaction) -> int:
    number = int(await tr.get(P + b"n") or b"0") + 1
    tr.put(P + b"n", b"%d" % number)
    return number


async def increment(store: Store) -> int:
    return await store.transact(count)


def test_a_blind_write_is_one_call_and_a_lone_read_is_decided_by_itself() -> None:
    async def test(lab: Lab) -> None:
        async def put(tr: Transaction) -> None:
            tr.put(P + b"a", b"1")

        await lab.remote.transact(put)
        assert lab.peer.asked == [words.DECIDE]
        lab.peer.asked.clear()
        assert await lab.remote.read(lambda tr: tr.get(P + b"a")) == b"1"
        assert lab.peer.asked == [words.GET]

    in_lab(test)


def test_a_value_that_changed_before_the_decision_makes_the_body_run_again() -> None:
    async def test(lab: Lab) -> None:
        def meddle(method: str) -> Any:
            if method == words.DECIDE and lab.peer.asked.count(words.DECIDE) <= 3:
                return increment(lab.local)
            return None

        lab.peer.before = meddle
        assert await increment(lab.remote) == 4
        assert lab.peer.asked.count(words.DECIDE) == 4

    in_lab(test)


def test_a_row_that_came_into_a_range_makes_the_body_run_again() -> None:
    async def test(lab: Lab) -> None:
        async def phantom(tr: Transaction) -> None:
            tr.put(P + b"name7", b"")

        def meddle(method: str) -> Any:
            once = method == words.DECIDE and lab.peer.asked.count(words.DECIDE) == 1
            return lab.local.transact(phantom) if once else None

        async def only_one(tr: Transaction) -> bool:
            if await tr.range(P + b"name", P + b"namf", limit=1):
                return False
            tr.put(P + b"name1", b"")
            return True

        lab.peer.before = meddle
        assert await lab.remote.transact(only_one) is False

    in_lab(test)


def test_an_error_that_rests_on_what_has_changed_is_not_let_out() -> None:
    class Gone(ServiceError):
        pass

    async def test(lab: Lab) -> None:
        async def torn(tr: Transaction) -> bytes | None:
            first = await tr.get(P + b"a")
            second = await tr.get(P + b"b")
            if first != second:
                raise Gone
            return first

        async def both(tr: Transaction) -> None:
            tr.put(P + b"a", b"2")
            tr.put(P + b"b", b"2")

        def meddle(_: str) -> Any:
            return lab.local.transact(both) if len(lab.peer.asked) == 2 else None

        lab.peer.before = meddle
        assert await lab.remote.read(torn) == b"2"

    in_lab(test)


def test_a_transaction_that_meets_a_conflict_every_time_gives_up_in_the_end() -> None:
    async def test(lab: Lab) -> None:
        lab.peer.before = lambda method: increment(lab.local) if method == words.DECIDE else None
        with pytest.raises(Conflict):
            await increment(lab.remote)
        assert lab.peer.asked.count(words.DECIDE) == remote_store.TRIES_MAX + 1

    in_lab(test)


def lose_first_decision(lab: Lab) -> None:
    """Let the first decision come about and its answer be lost."""

    def lose(method: str) -> None:
        if method == words.DECIDE and lab.peer.asked.count(words.DECIDE) == 1:
            raise LinkLost("the owner ended")

    lab.peer.after = lose


def test_a_decision_whose_answer_was_lost_is_said_to_be_unknown() -> None:
    async def test(lab: Lab) -> None:
        lose_first_decision(lab)
        with pytest.raises(CommitUnknown):
            await increment(lab.remote)
        assert await lab.local.read(lambda tr: tr.get(P + b"n")) == b"1"

    in_lab(test)


def test_with_a_token_a_decision_whose_answer_was_lost_is_made_once() -> None:
    async def test(lab: Lab) -> None:
        lose_first_decision(lab)
        assert await lab.remote.transact(count, token=TOKEN) == 1
        assert await lab.local.read(lambda tr: tr.get(P + b"n")) == b"1"

    in_lab(test)


def test_a_reading_whose_answer_was_lost_has_done_nothing() -> None:
    async def test(lab: Lab) -> None:
        def lose(_: str) -> None:
            raise LinkLost("the owner ended")

        lab.peer.after = lose
        with pytest.raises(Unavailable) as caught:
            await lab.remote.read(lambda tr: tr.get(P + b"n"))
        assert not isinstance(caught.value, CommitUnknown)

    in_lab(test)


def test_an_owner_refuses_a_domain_that_is_not_its_own() -> None:
    async def test(lab: Lab) -> None:
        with pytest.raises(Unavailable, match="another store"):
            await increment(lab.remote)
        with pytest.raises(Unavailable, match="another store"):
            await lab.remote.read(lambda tr: tr.get(P))

    in_lab(test, is_ours=lambda domain: domain != DOMAIN)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_range_of_large_rows_comes_in_pages_that_a_frame_can_hold(reverse: bool) -> None:
    async def test(lab: Lab) -> None:
        value = b"v" * 400_000
        for at in range(0, 30, 10):

            async def put(tr: Transaction, at: int = at) -> None:
                for n in range(at, at + 10):
                    tr.put(P + b"%02d" % n, value)

            await lab.local.transact(put)

        async def read(tr: Transaction) -> list[bytes]:
            rows = await tr.range(P, P + b"\xff", limit=28, reverse=reverse)
            assert all(row == value for _, row in rows)
            return [key for key, _ in rows]

        keys = [P + b"%02d" % n for n in range(30)]
        expected = keys[::-1][:28] if reverse else keys[:28]
        assert await lab.remote.read(read) == expected
        assert lab.peer.asked.count(words.RANGE) > 2

    in_lab(test)


def test_own_removals_do_not_shorten_a_range() -> None:
    async def test(lab: Lab) -> None:
        async def put(tr: Transaction) -> None:
            for n in range(10):
                tr.put(P + b"%d" % n, b"")

        async def body(tr: Transaction) -> list[bytes]:
            for n in range(5):
                tr.delete(P + b"%d" % n)
            tr.put(P + b"00", b"")
            return [key for key, _ in await tr.range(P, P + b"\xff", limit=4)]

        await lab.local.transact(put)
        assert await lab.remote.transact(body) == [P + b"00", P + b"5", P + b"6", P + b"7"]

    in_lab(test)


def test_entries_get_the_stamps_of_the_owner_in_order() -> None:
    async def test(lab: Lab) -> None:
        box = system_prefix(OUTBOX, 3)

        async def body(tr: Transaction) -> list[Any]:
            return [tr.append(box, b"%d" % n) for n in range(3)]

        pendings = await lab.remote.transact(body)
        assert await lab.local.tail(box, None, 9) == [
            (pending.stamp, b"%d" % n) for n, pending in enumerate(pendings)
        ]

    in_lab(test)
