"""Random operations give the same answers on the embedded engine as on the model."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.check import examine
from fogbank.engines.embedded.checkpoint import Answer, Order, Target, answer_to
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import SYSTEM, Domain, Transaction
from fogbank.platform.store.keyspace import OUTBOX, WORK, system_prefix

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
BOX = system_prefix(OUTBOX, 1)
QUEUE = system_prefix(WORK, 1)
TINY = Settings(segment_bytes=16 << 10, generation_keys_max=6, chunk_keys=3)

names = st.lists(st.sampled_from([b"a", b"b", b"\0", b"\xff"]), max_size=3).map(b"".join)
keys = names.map(lambda name: P + name)
values = st.one_of(st.binary(max_size=3), st.integers(1, 2_500).map(lambda n: b"v" * n))
limits = st.integers(0, 9)
writes = st.one_of(
    st.tuples(st.just("put"), keys, values),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("append"), st.just(BOX), values),
    st.tuples(st.just("put"), names.map(lambda name: QUEUE + b"r" + name), values),
)
reads = st.one_of(
    st.tuples(st.just("get"), keys),
    st.tuples(st.just("range"), keys, keys, limits, st.booleans()),
)
transactions = st.tuples(
    st.just("transact"), st.lists(st.one_of(writes, writes, reads), max_size=8), st.booleans()
)
steps = st.one_of(
    transactions,
    transactions,
    st.tuples(st.just("at once"), st.lists(transactions, max_size=5)),
    st.tuples(st.just("read"), st.lists(reads, max_size=5)),
    st.tuples(st.just("claim"), limits),
    st.tuples(st.just("tail"), limits),
    st.just(("pause",)),
    st.just(("reopen",)),
)


SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)


class Refused(Exception):
    """What a body raises to leave nothing."""


class Same:
    """A checkpointer in the store's own thread."""

    pid = None

    def __init__(self, engine: EmbeddedEngine) -> None:
        opened = engine._opened
        self._root = opened.root
        self._target = Target(opened.env, opened.keys, RowSeals(opened.keys))

    def settle(self, order: Order) -> Answer:
        return answer_to(self._root, self._target, order)

    def close(self) -> None:
        pass


async def open_tiny(path: Path) -> EmbeddedEngine:
    engine = await EmbeddedEngine.open(path, clock=SystemClock(), settings=TINY, encryption=SEALED)
    engine._core.turnover._checkpointer = Same(engine)  # type: ignore[assignment]
    return engine


def body_of(operations: list[tuple[Any, ...]], *, refuse: bool) -> Any:
    async def body(tr: Transaction) -> list[Any]:
        answers: list[Any] = []
        for name, *arguments in operations:
            if name == "ran":
                arguments[0].append(arguments[1])
            elif name == "put":
                tr.put(*arguments)
            elif name == "delete":
                tr.delete(*arguments)
            elif name == "append":
                answers.append(tr.append(*arguments))
            elif name == "get":
                answers.append(await tr.get(*arguments))
            else:
                begin, end, limit, reverse = arguments
                answers.append(await tr.range(begin, end, limit=limit, reverse=reverse))
        if refuse:
            raise Refused(repr(answers))
        return answers

    return body


async def transact(engine: Any, operations: list[tuple[Any, ...]], refuse: bool) -> Any:
    if refuse:
        operations = [operation for operation in operations if operation[0] != "append"]
    try:
        answers = await engine.store_of(DOMAIN).transact(body_of(operations, refuse=refuse))
    except Refused as refused:
        return str(refused)
    return [getattr(answer, "stamp", answer) for answer in answers]


async def at_once(engine: Any, several: list[tuple[Any, ...]]) -> tuple[list[int], list[Any]]:
    """Return in which order the bodies of concurrent transactions ran, and their answers."""
    order: list[int] = []

    async def one(number: int, operations: list[tuple[Any, ...]], refuse: bool) -> Any:
        return await transact(engine, [("ran", order, number), *operations], refuse)

    return order, await asyncio.gather(*(one(n, *each[1:]) for n, each in enumerate(several)))


async def answer(engine: Any, step: tuple[Any, ...]) -> Any:
    name, *arguments = step
    if name == "transact":
        return await transact(engine, *arguments)
    if name == "read":
        return await engine.store_of(DOMAIN).read(body_of(*arguments, refuse=False))
    if name == "claim":
        system = engine.store_of(SYSTEM)
        moving = lambda key, value: (QUEUE + b"t" + key, value[:5])  # noqa: E731 (one of two functions that go together)
        return await system.claim(QUEUE + b"r", QUEUE + b"s", arguments[0], moving)
    return await engine.store_of(SYSTEM).tail(BOX, None, arguments[0])


async def everything(engine: Any) -> list[tuple[bytes, bytes]]:
    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        rows = await tr.range(P, P + b"\xff" * 9, limit=5_000)
        assert rows == (await tr.range(P, P + b"\xff" * 9, limit=5_000, reverse=True))[::-1]
        return rows + await tr.range(b"\x01", b"\x02", limit=5_000)

    return await engine.store_of(DOMAIN).read(body)


async def run(path: Path, script: list[tuple[Any, ...]], *, checked: bool) -> None:
    model = MemoryEngine()
    engine = await open_tiny(path)
    try:
        for step in script:
            if step[0] == "reopen":
                await engine.close()
                if checked:
                    assert examine(path).damage == []
                engine = await open_tiny(path)
            elif step[0] == "pause":
                await asyncio.sleep(0.002)
            elif step[0] == "at once":
                # A gate may let them through in another order than they came in.
                order, answers = await at_once(engine, step[1])
                for number in order:
                    assert answers[number] == await answer(model, step[1][number])
            else:
                assert await answer(engine, step) == await answer(model, step)
        assert await everything(engine) == await everything(model)
    finally:
        await engine.close()


@pytest.mark.slow
def test_random_operations_answer_as_on_the_memory_engine(pytestconfig: pytest.Config) -> None:
    soak = bool(pytestconfig.getoption("--soak"))

    @settings(
        max_examples=2_000 if soak else 40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=True,
        derandomize=not soak,
    )
    @given(st.lists(steps, min_size=5, max_size=60))
    def check(script: list[tuple[Any, ...]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder) / "store", script, checked=soak))

    check()
