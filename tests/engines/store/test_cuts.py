"""A consistent cut holds what was committed before it, and nothing behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.store.conftest import ENGINES, Opener

from fogbank.base.errors import Conflict, CutRevoked, Throttled
from fogbank.engines.cuts import AGE_MS_MAX, CUTS_MAX
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import SYSTEM, Body, Cut, Domain, Transaction
from fogbank.platform.store.keyspace import OUTBOX, system_prefix
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("account", "region")
OTHER = Domain("account", "elsewhere")
P, END = DOMAIN.prefix, DOMAIN.prefix + b"\xff" * 8
BOX = system_prefix(OUTBOX, 3)


HOME = [name for name in ENGINES if "remote" not in name]
"""Only the owner of a store takes cuts of it."""


@pytest.fixture(params=HOME)
def engine(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Opener:
    return lambda: ENGINES[request.param](tmp_path / "store", clock)


def putting(rows: dict[bytes, bytes | None], prefix: bytes = P) -> Body[None]:
    async def body(tr: Transaction) -> None:
        for key, value in rows.items():
            if value is None:
                tr.delete(prefix + key)
            else:
                tr.put(prefix + key, value)

    return body


async def content(cut: Cut, begin: bytes = P, end: bytes = END) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    while page := await cut.page(begin, end, limit=7):
        assert len(page) <= 7
        rows.update(page)
        begin = page[-1][0] + b"\0"
    assert list(rows) == sorted(rows)
    return {key.removeprefix(P): value for key, value in rows.items()}


async def test_what_is_written_after_the_cut_is_not_in_it(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(putting({b"%03d" % n: b"before" for n in range(40)}))
    cut = await store.checkpoint("export")
    expected = {b"%03d" % n: b"before" for n in range(40)}
    await store.transact(putting({b"000": b"after", b"001": None, b"new": b"after"}))
    assert await content(cut) == expected
    again = await store.checkpoint("again")
    assert await content(cut) == expected
    del expected[b"001"]
    assert await content(again) == {**expected, b"000": b"after", b"new": b"after"}
    assert cut.stamp < again.stamp
    await cut.release()
    await again.release()


@pytest.mark.slow
async def test_a_transaction_is_in_a_cut_wholly_or_not_at_all(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    stop = asyncio.Event()

    async def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            await store.transact(putting({b"%02d" % k: b"%d" % n for k in range(20)}))

    writing = asyncio.ensure_future(write())
    try:
        seen: list[int] = []
        for turn in range(3):
            cut = await store.checkpoint(f"cut {turn}")
            found = set((await content(cut)).values())
            assert len(found) <= 1
            seen.append(int(found.pop()) if found else 0)
            await cut.release()
    finally:
        stop.set()
        await writing
    assert seen == sorted(seen)
    assert seen[-1] > 0


async def test_a_cut_of_a_domain_is_that_domain_and_one_of_the_system_is_everything(
    engine: Any,
) -> None:
    await engine.store_of(DOMAIN).transact(putting({b"a": b"1"}))
    await engine.store_of(OTHER).transact(putting({b"b": b"2"}, OTHER.prefix))

    async def append(tr: Transaction) -> None:
        tr.append(BOX, b"entry")

    await engine.store_of(DOMAIN).transact(append)
    one = await engine.store_of(DOMAIN).checkpoint("one")
    assert await content(one) == {b"a": b"1"}
    with pytest.raises(AssertionError, match="leaves what was cut"):
        await one.page(OTHER.prefix, OTHER.prefix + b"\xff", limit=1)
    whole = await engine.store_of(SYSTEM).checkpoint("whole")
    rows = await content(whole, b"\x01", b"\xff")
    assert sorted(rows.values()) == [b"1", b"2", b"entry"]
    await one.release()
    await whole.release()


async def test_the_stamp_of_a_cut_lies_between_what_is_in_it_and_what_is_not(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    async def append(tr: Transaction) -> Any:
        return tr.append(BOX, b"entry")

    before = (await store.transact(append)).stamp
    cut = await store.checkpoint("stamped")
    after = (await store.transact(append)).stamp
    assert before < cut.stamp <= after
    await cut.release()


async def test_names_are_taken_once_and_cuts_are_few(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    cuts = [await store.checkpoint(f"cut {n}") for n in range(CUTS_MAX - 1)]
    with pytest.raises(Conflict, match="cut 0 is live"):
        await store.checkpoint("cut 0")
    cuts.append(await store.checkpoint("last"))
    with pytest.raises(Throttled):
        await store.checkpoint("one more")
    for cut in cuts:
        await cut.release()
        await cut.release()
    assert store.oldest_cut() is None
    await (await store.checkpoint("cut 0")).release()


async def test_a_cut_that_is_too_old_is_revoked(engine: Any, clock: VirtualClock) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(putting({b"a": b"1"}))
    cut = await store.checkpoint("slow")
    clock.advance_to(clock.now_ms() + AGE_MS_MAX)
    assert await content(cut) == {b"a": b"1"}
    clock.advance_to(clock.now_ms() + 1)
    with pytest.raises(CutRevoked, match="slow was revoked: it is older than"):
        await content(cut)
    assert store.oldest_cut() is None
    again = await store.checkpoint("slow")
    assert await content(again) == {b"a": b"1"}
    await cut.release()
    assert await content(again) == {b"a": b"1"}
    await again.release()


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_the_blobs_of_a_live_cut_are_not_deleted(engine: Any) -> None:
    store, system = engine.store_of(DOMAIN), engine.system_stores()[0]
    refs: list[BlobRef] = [await engine.blobs.name() for _ in range(2)]
    for ref in refs:
        await engine.blobs.write(ref, once(b"bytes"))

    def attaching(ref: BlobRef) -> Body[None]:
        async def body(tr: Transaction) -> None:
            blob_rows.attach(tr, ref, 5)

        return body

    def releasing(ref: BlobRef) -> Body[None]:
        async def body(tr: Transaction) -> None:
            await blob_rows.release(tr, ref)

        return body

    for ref in refs:
        await store.transact(attaching(ref))
    await store.transact(releasing(refs[0]))
    cut = await store.checkpoint("backup")
    await store.transact(releasing(refs[1]))

    async def drain() -> int:
        before = system.oldest_cut()
        return await blob_rows.drain_deletions(system, engine.blobs, 100, before=before)

    assert system.oldest_cut() == cut.stamp
    assert await drain() == 1
    assert [ref for ref, _ in await engine.blobs.list(None, 10)] == [refs[1]]
    await cut.release()
    assert system.oldest_cut() is None
    assert await drain() == 1
    assert await engine.blobs.list(None, 10) == []
