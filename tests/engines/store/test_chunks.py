"""Bodies that many records refer to are there as long as one does, and no longer."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.store.conftest import ENGINES

from fogbank.base.errors import Corrupt, Unavailable
from fogbank.platform.blobs import chunks
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.chunks import CHUNK_BYTES_MAX, INLINE_BYTES_MAX, BodyRef
from fogbank.platform.blobs.held import HoldingStore
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.passing import PassingStore
from fogbank.platform.store.records import Record, Table
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("account", "region")
SECRET = b"whose bodies these are"
SIZES = (0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1)


class Entry(Record, frozen=True, array_like=True, tag="test.entry/1"):
    body: BodyRef


ENTRIES = Table("platform", 0xFD, Entry)

steps = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 3), st.sampled_from(SIZES)),
    st.tuples(st.just("copy"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("delete"), st.integers(0, 3)),
    st.tuples(st.just("refused"), st.integers(0, 3), st.sampled_from(SIZES)),
)


async def read_blob(engine: Any, ref: BodyRef) -> bytes:
    return b"".join([part async for part in engine.blobs.read(BlobRef(*ref.blob))])


class Refused(Exception):
    pass


class World:
    """Four records with bodies, as a store has them and as they should be."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.store = HoldingStore(engine.store_of(DOMAIN), engine.blobs)
        self.draw = random.Random(7)
        self.bodies: dict[int, bytes] = {}

    async def step(self, name: str, key: int, other: int = 0) -> None:
        if name in {"put", "refused"}:
            body = self.draw.randbytes(other)

            async def put(tr: Transaction) -> None:
                ref = await chunks.place(tr, body, SECRET)
                await self._drop(tr, key)
                ENTRIES.put(tr, Entry(ref), key)
                if name == "refused":
                    raise Refused

            if name == "put":
                await self.store.transact(put)
                self.bodies[key] = body
            else:
                with pytest.raises(Refused):
                    await self.store.transact(put)
        elif name == "copy" and other in self.bodies and key != other:

            async def copy(tr: Transaction) -> None:
                await self._drop(tr, key)
                entry = await ENTRIES.find(tr, other)
                assert entry is not None
                await chunks.retain(tr, entry.body)
                ENTRIES.put(tr, entry, key)

            await self.store.transact(copy)
            self.bodies[key] = self.bodies[other]
        elif name == "delete":

            async def delete(tr: Transaction) -> None:
                await self._drop(tr, key)
                ENTRIES.delete(tr, key)

            await self.store.transact(delete)
            self.bodies.pop(key, None)

    async def _drop(self, tr: Transaction, key: int) -> None:
        old = await ENTRIES.find(tr, key)
        if old is not None:
            await chunks.release(tr, old.body)

    async def verify(self) -> None:
        """Compare every record, every count and every blob with what should be there."""

        async def look(tr: Transaction) -> tuple[Any, ...]:
            entries = await ENTRIES.list(tr, limit=10)
            found = [(place[0], entry.body) for place, entry in entries]
            inside = [await chunks.find(tr, ref) for _, ref in found]
            counts = await chunks.COUNTS.list(tr, limit=100)
            stored = await chunks.BODIES.list(tr, limit=100)
            blobs = await blob_rows.ROWS.list(tr, limit=100)
            return found, inside, counts, stored, blobs

        found, inside, counts, stored, blobs = await self.store.read(look)
        got: dict[int, bytes] = {}
        expected_chunks: dict[bytes, int] = {}
        expected_blobs: dict[tuple[int, int], int] = {}
        for (key, ref), body in zip(found, inside, strict=True):
            if ref.blob is None:
                got[key] = body
            else:
                got[key] = await read_blob(self.engine, ref)
                expected_blobs[ref.blob] = expected_blobs.get(ref.blob, 0) + 1
            if ref.chunk:
                expected_chunks[ref.chunk] = expected_chunks.get(ref.chunk, 0) + 1
        assert got == self.bodies
        assert {place[0]: count.references for place, count in counts} == expected_chunks
        assert {place[0] for place, _ in stored} == expected_chunks.keys()
        assert {place: row.references for place, row in blobs} == expected_blobs


def run(name: str, folder: Path, script: list[tuple[Any, ...]]) -> None:
    async def work() -> None:
        async with ENGINES[name](folder / "store", VirtualClock()) as engine:
            world = World(engine)
            for step in script:
                await world.step(*step)
            await world.verify()
            for key in range(4):
                await world.step("delete", key)
            await world.verify()
            system = engine.system_stores()[0]
            await blob_rows.drain_deletions(system, engine.blobs, 1_000)
            assert await engine.blobs.list(None, 1_000) == []

    asyncio.run(work())


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(script=st.lists(steps, max_size=25))
@pytest.mark.slow
def test_counts_are_right_whatever_is_written_copied_and_removed(
    script: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run("memory-replaying", tmp_path_factory.mktemp("chunks"), script)


@pytest.mark.slow
def test_counts_are_right_on_the_embedded_engine_too(tmp_path: Path) -> None:
    draw = random.Random(3)
    names = ("put", "copy", "copy", "delete", "refused")
    script: list[tuple[Any, ...]] = []
    for _ in range(120):
        name = draw.choice(names)
        last = {"copy": [draw.randrange(4)], "delete": []}.get(name, [draw.choice(SIZES)])
        script.append((name, draw.randrange(4), *last))
    run("embedded", tmp_path, script)


async def place(engine: Any, body: bytes) -> BodyRef:
    async def put(tr: Transaction) -> BodyRef:
        return await chunks.place(tr, body, SECRET)

    return await HoldingStore(engine.store_of(DOMAIN), engine.blobs).transact(put)


async def test_a_body_lies_where_its_size_says(engine: Any) -> None:
    places = []
    for size in SIZES:
        ref = await place(engine, bytes(size))
        assert ref.size == size
        places.append("blob" if ref.blob else "chunk" if ref.chunk else "inline")
    assert places == ["inline"] * 3 + ["chunk"] * 2 + ["blob"]


async def test_equal_bodies_are_kept_once_for_each_secret(engine: Any) -> None:
    """Who cannot name a body of another owner cannot meet its chunk either."""
    first, second = await place(engine, bytes(20_000)), await place(engine, bytes(20_000))
    assert first == second

    async def put(tr: Transaction) -> BodyRef:
        return await chunks.place(tr, bytes(20_000), b"another secret")

    async def counts(tr: Transaction) -> list[int]:
        return sorted([each.references for _, each in await chunks.COUNTS.list(tr, limit=9)])

    store = engine.store_of(DOMAIN)
    assert (await store.transact(put)).chunk != first.chunk
    assert await store.read(counts) == [1, 2]


async def test_a_missing_or_shortened_chunk_is_damage(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    ref = await place(engine, bytes(20_000))

    async def read(tr: Transaction) -> bytes | None:
        return await chunks.find(tr, ref)

    async def shorten(tr: Transaction) -> None:
        chunks.BODIES.put(tr, chunks.ChunkBody(b"short"), ref.chunk)

    async def lose(tr: Transaction) -> None:
        chunks.BODIES.delete(tr, ref.chunk)
        chunks.COUNTS.delete(tr, ref.chunk)

    async def retain(tr: Transaction) -> None:
        await chunks.retain(tr, ref)

    async def release(tr: Transaction) -> None:
        await chunks.release(tr, ref)

    assert await store.read(read) == bytes(20_000)
    await store.transact(shorten)
    with pytest.raises(Corrupt, match="has 5 bytes"):
        await store.read(read)
    await store.transact(lose)
    with pytest.raises(Corrupt, match="is missing"):
        await store.read(read)
    for body in (retain, release):
        with pytest.raises(Corrupt, match="has no count"):
            await store.transact(body)


class Parting(PassingStore):
    """A store that commits and then cannot say so."""

    async def transact(self, body: Any, *, token: Any = None) -> Any:
        await super().transact(body, token=token)
        raise Unavailable("the store is closed")


async def test_a_blob_stays_where_it_is_not_known_whether_it_is_referred_to(engine: Any) -> None:
    """A commit may have happened though the answer was lost: bytes too many, never too few."""
    inner = engine.store_of(DOMAIN)
    body = bytes(CHUNK_BYTES_MAX + 1)

    async def put(tr: Transaction) -> None:
        ENTRIES.put(tr, Entry(await chunks.place(tr, body, SECRET)), 1)

    async def look(tr: Transaction) -> Entry | None:
        return await ENTRIES.find(tr, 1)

    with pytest.raises(Unavailable):
        await HoldingStore(Parting(inner), engine.blobs).transact(put)
    found = await inner.read(look)
    assert await read_blob(engine, found.body) == body


async def test_a_blob_of_a_body_that_fails_afterwards_goes(engine: Any) -> None:
    async def put(tr: Transaction) -> None:
        await chunks.place(tr, bytes(CHUNK_BYTES_MAX + 1), SECRET)
        raise Refused

    with pytest.raises(Refused):
        await HoldingStore(engine.store_of(DOMAIN), engine.blobs).transact(put)
    assert await engine.blobs.list(None, 10) == []
