"""A body that does more than touch its transaction is found by running it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from fogbank.engines.bodies import BodySuspendedError
from fogbank.engines.memory import MemoryEngine
from fogbank.engines.replay import BodyImpureError
from fogbank.platform.store.engine import Domain, Pending, Transaction

HOME = Domain("test", "home")
KEY = HOME.prefix + b"k"
LOG = HOME.prefix + b"log"


class Row(msgspec.Struct):
    number: int


@dataclass
class Sum:
    number: int


class Outside:
    """What a body has no business with."""

    def __init__(self) -> None:
        self.count = 0
        self.seen: list[int] = []
        self.by_name: dict[str, int] = {}

    def next(self) -> int:
        self.count += 1
        return self.count

    async def draws_a_value(self, tr: Transaction) -> None:
        tr.put(KEY, b"%d" % self.next())

    async def draws_a_key(self, tr: Transaction) -> None:
        tr.put(KEY + b"%d" % self.next(), b"")

    async def deletes_another(self, tr: Transaction) -> None:
        tr.delete(KEY + b"%d" % self.next())

    async def appends_another(self, tr: Transaction) -> None:
        tr.append(LOG, b"%d" % self.next())

    async def appends_once_more(self, tr: Transaction) -> None:
        for _ in range(self.next()):
            tr.append(LOG, b"entry")

    async def answers_another(self, _tr: Transaction) -> int:
        return self.next()

    async def gathers_into_a_list(self, _tr: Transaction) -> list[int]:
        self.seen.append(1)
        return self.seen

    async def gathers_into_a_map(self, _tr: Transaction) -> dict[str, int]:
        self.by_name[str(self.next())] = 1
        return self.by_name

    async def answers_another_record(self, _tr: Transaction) -> Row:
        return Row(self.next())

    async def answers_another_deep_down(self, _tr: Transaction) -> dict[str, list[tuple[Sum]]]:
        return {"sums": [(Sum(self.next()),)]}

    async def appends_and_answers_another(self, tr: Transaction) -> Pending:
        return tr.append(LOG, b"%d" % self.next())

    async def raises_another(self, _tr: Transaction) -> None:
        raise KeyError(self.next())

    async def raises_now_and_then(self, _tr: Transaction) -> None:
        if self.next() == 2:
            raise KeyError


IMPURE = [name for name in vars(Outside) if "_" in name.strip("_")]


def transact(engine: MemoryEngine, body: Callable[[Transaction], Awaitable[Any]]) -> Any:
    return asyncio.run(engine.store_of(HOME).transact(body))


def raw(engine: MemoryEngine) -> dict[bytes, bytes]:
    return {key: value for key in engine.rows if (value := engine.rows.get(key)) is not None}


@pytest.mark.parametrize("name", IMPURE)
def test_a_body_that_does_not_do_the_same_again_is_caught_and_writes_nothing(name: str) -> None:
    engine = MemoryEngine(replay=True)
    with pytest.raises(BodyImpureError, match=name):
        transact(engine, getattr(Outside(), name))
    assert raw(engine) == {}


@pytest.mark.parametrize("name", IMPURE)
def test_without_replay_a_body_runs_once(name: str) -> None:
    outside, engine = Outside(), MemoryEngine()
    try:
        transact(engine, getattr(outside, name))
    except KeyError:
        assert name.startswith("raises")
    assert max(outside.count, len(outside.seen)) == 1


def test_the_first_of_three_runs_sees_an_older_snapshot_and_leaves_nothing() -> None:
    engine = MemoryEngine(replay=True, seed=0)
    seen: list[bytes | None] = []

    async def put(tr: Transaction) -> None:
        tr.put(KEY, b"old" if await tr.get(KEY) is None else b"new")

    async def look(tr: Transaction) -> bytes | None:
        seen.append(await tr.get(KEY))
        return seen[-1]

    for _ in range(2):
        transact(engine, put)
    assert transact(engine, look) == b"new"
    assert seen == [None, b"new", b"new"]


def test_what_an_older_snapshot_made_a_body_raise_is_forgotten() -> None:
    engine = MemoryEngine(replay=True, seed=0)

    async def put(tr: Transaction) -> None:
        tr.put(KEY, b"there")

    async def require(tr: Transaction) -> None:
        if await tr.get(KEY) is None:
            raise LookupError
        tr.put(KEY, b"found")

    transact(engine, put)
    transact(engine, require)
    assert raw(engine) == {KEY: b"found"}


def test_a_pure_body_that_raises_raises_its_own_error() -> None:
    async def refuse(tr: Transaction) -> None:
        tr.put(KEY, b"")
        raise LookupError(KEY)

    engine = MemoryEngine(replay=True)
    with pytest.raises(LookupError):
        transact(engine, refuse)
    assert raw(engine) == {}


def test_a_body_that_suspends_says_so_whichever_run_it_is() -> None:
    async def wait(_tr: Transaction) -> None:
        await asyncio.sleep(0)

    with pytest.raises(BodySuspendedError, match="wait"):
        transact(MemoryEngine(replay=True), wait)


def test_a_read_is_held_to_the_same() -> None:
    engine = MemoryEngine(replay=True)
    with pytest.raises(BodyImpureError, match="answers_another"):
        asyncio.run(engine.store_of(HOME).read(Outside().answers_another))
