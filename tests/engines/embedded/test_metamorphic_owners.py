"""Random tokens, leases, cuts, hints and kills go on the embedded engine as on the model.

Stamps are compared by order alone here: a cut of the embedded engine may use up a version.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.embedded.conftest import SEALED, CheckpointerInThread

from fogbank.base.errors import Conflict, CutRevoked, Fenced, TokenReused
from fogbank.engines.embedded.check import examine
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import SYSTEM, Domain, Token, Transaction
from fogbank.platform.store.keyspace import OUTBOX, TOKENS, system_prefix
from fogbank.platform.store.lease import Lease, acquire
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("account", "region")
P, END = DOMAIN.prefix, DOMAIN.prefix + b"\xff" * 9
BOX = system_prefix(OUTBOX, 1)
WINDOW_MS, TTL_MS, CUT_MS = 5_000, 3_000, 8_000
TINY = Settings(segment_bytes=16 << 10, generation_keys_max=6, chunk_keys=3, cut_age_ms_max=CUT_MS)

keys = st.integers(0, 5).map(lambda n: b"k%d" % n)
holders = st.sampled_from(["one", "two"])
steps = st.one_of(
    st.tuples(st.just("write"), keys, st.integers(1, 2_500)),
    st.tuples(st.just("write"), keys, st.integers(1, 2_500)),
    st.tuples(st.just("token"), st.integers(0, 2), st.integers(0, 1)),
    st.tuples(st.just("sweep"), st.integers(1, 3)),
    st.tuples(st.just("acquire"), holders),
    st.tuples(st.just("renew"), holders),
    st.tuples(st.just("release"), holders),
    st.tuples(st.just("guarded"), holders, keys),
    st.tuples(st.just("cut"), st.integers(0, 1)),
    st.tuples(st.just("page"), st.integers(0, 1), keys),
    st.tuples(st.just("uncut"), st.integers(0, 1)),
    st.tuples(st.just("pass"), st.integers(1, 4_000)),
    st.just(("reopen",)),
    st.just(("kill",)),
)


class Side:
    """One engine and what a script holds of it."""

    def __init__(self, engine: Any) -> None:
        self.leases: dict[str, Lease] = {}
        self.start(engine)

    def start(self, engine: Any) -> None:
        """Go on with an engine that was opened again: its cuts and watchers are gone."""
        self.engine = engine
        self.store = engine.store_of(DOMAIN)
        self.system = engine.system_stores()[0]
        self.cuts: dict[int, Any] = {}
        self.watcher: Any = self.store.watch(P)

    def hinted(self) -> bool:
        """Return whether the watcher was hinted since this was asked."""
        hinted, self.watcher._hinted = self.watcher._hinted, False
        return bool(hinted)

    async def stop(self) -> None:
        for cut in self.cuts.values():
            await cut.release()

    async def do(self, name: str, *words: Any) -> Any:
        return await getattr(self, f"_{name}")(*words)

    async def _write(self, key: bytes, size: int) -> None:
        async def body(tr: Transaction) -> None:
            tr.put(P + key, b"v" * size)
            tr.append(BOX, key)

        await self.store.transact(body)

    async def _token(self, number: int, request: int) -> Any:
        async def body(tr: Transaction) -> int:
            count = len(await tr.get(P + b"count") or b"") + 1
            tr.put(P + b"count", b"x" * count)
            return count

        digest = tokens.digest_of({"Request": request})
        token = Token("1" * 12, "dynamodb", "Transact", f"t{number}", digest, WINDOW_MS)
        try:
            return await self.store.transact(body, token=token)
        except TokenReused:
            return "reused"

    async def _sweep(self, limit: int) -> int:
        return await tokens.sweep(self.system, limit)

    async def _acquire(self, holder: str) -> Any:
        lease = await acquire(self.system, "shard", holder, TTL_MS)
        if lease is not None:
            self.leases[holder] = lease
        return lease

    async def _renew(self, holder: str) -> Any:
        try:
            if holder in self.leases:
                await self.leases[holder].renew(self.system, TTL_MS)
        except Fenced as error:
            return str(error)
        return None

    async def _release(self, holder: str) -> None:
        if holder in self.leases:
            await self.leases[holder].release(self.system)

    async def _guarded(self, holder: str, key: bytes) -> Any:
        if holder not in self.leases:
            return None

        async def body(tr: Transaction) -> None:
            tr.put(P + key, holder.encode())
            await self.leases[holder].guard(tr)

        try:
            await self.store.transact(body)
        except Fenced as error:
            return str(error)
        return None

    async def _cut(self, number: int) -> Any:
        try:
            cut = await self.store.checkpoint(f"cut {number}")
        except Conflict as error:
            return str(error)
        self.cuts[number] = cut
        return cut.taken_ms

    async def _page(self, number: int, key: bytes) -> Any:
        if number not in self.cuts:
            return None
        rows: list[Any] = []
        begin = P + key
        with suppress(CutRevoked):
            while page := await self.cuts[number].page(begin, END, limit=3):
                rows += page
                begin = page[-1][0] + b"\0"
            return rows
        return "revoked"

    async def _uncut(self, number: int) -> Any:
        if number in self.cuts:
            await self.cuts.pop(number).release()
        return self.system.oldest_cut() is None

    async def everything(self) -> Any:
        async def body(tr: Transaction) -> Any:
            rows = await tr.range(P, END, limit=5_000)
            subspace = b"\x01" + bytes([TOKENS])
            return rows, await tr.range(subspace, subspace + b"\xff", limit=5_000)

        entries = await self.engine.store_of(SYSTEM).tail(BOX, None, 5_000)
        return await self.store.read(body), [value for _, value in entries]


async def opened(path: Path, clock: VirtualClock) -> EmbeddedEngine:
    engine = await EmbeddedEngine.open(path, clock=clock, settings=TINY, encryption=SEALED)
    engine._core.turnover._checkpointer = CheckpointerInThread(engine)  # type: ignore[assignment]
    return engine


async def ended(side: Side, path: Path, *, kill: bool) -> Path:
    """End an engine; killed, it goes on in a copy of its directory as it was when it ran."""
    if kill:
        engine = side.engine
        await asyncio.wrap_future(engine._core.turnover._thread.submit(lambda: None))
        copy = path.with_name(path.name + "x")
        await asyncio.to_thread(shutil.copytree, path, copy)
        path = copy
    await side.stop()
    await side.engine.close()
    return path


async def run(path: Path, script: list[tuple[Any, ...]]) -> None:
    clock = VirtualClock()
    memory = MemoryEngine(clock=clock)
    memory.cuts._age_ms_max = CUT_MS
    model, ours = Side(memory), Side(await opened(path, clock))
    try:
        for name, *words in script:
            if name == "pass":
                clock.advance_to(clock.now_ms() + words[0])
            elif name in {"reopen", "kill"}:
                path = await ended(ours, path, kill=name == "kill")
                ours.start(await opened(path, clock))
                await model.stop()
                model.start(memory)
            else:
                assert await ours.do(name, *words) == await model.do(name, *words)
                hinted = ours.hinted()
                assert hinted or not model.hinted()
                model.hinted()
        assert await ours.everything() == await model.everything()
    finally:
        await ours.stop()
        await ours.engine.close()
    assert examine(path, SEALED).damage == []


@pytest.mark.slow
def test_random_owners_tokens_and_cuts_go_as_on_the_memory_engine(
    pytestconfig: pytest.Config,
) -> None:
    soak = bool(pytestconfig.getoption("--soak"))

    @settings(
        max_examples=500 if soak else 15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=True,
        derandomize=not soak,
    )
    @given(st.lists(steps, min_size=5, max_size=40))
    def check(script: list[tuple[Any, ...]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder) / "store", script))

    check()
