"""The scrub finds damage before a reader does, remembers its place, and lets users go first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import rows as settled
from fogbank.engines.embedded.check import examine
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.blobs.scrub import (
    BUSY_S,
    FRAMES_MAX,
    PUT_OFF_MAX,
    SAVE_MS,
    Pace,
    Scrubber,
    ScrubReport,
    scrub_report,
)
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.testing.clock import VirtualClock

pytestmark = pytest.mark.slow

DOMAIN = Domain("bucket")
P = DOMAIN.prefix
HOUR_MS = 3_600_000


class Clock(VirtualClock):
    """A clock whose monotonic time is moved by turns of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.turn_s = 0.0
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    async def turn(self) -> None:
        self.passed += self.turn_s

    def go_on(self, milliseconds: int) -> None:
        self.advance_to(self.now_ms() + milliseconds)


def scrubber(engine: Any, clock: Clock, slice_bytes: int = 1 << 30) -> Scrubber:
    (store,) = engine.system_stores()
    return Scrubber(store, engine.blobs, clock, Pace(slice_bytes, HOUR_MS), clock.turn)


async def round_of(one: Scrubber, steps_max: int = 10_000) -> int:
    """Scrub to the end of a round; return how many steps it took."""
    for steps in range(1, steps_max):
        if not await one.step():
            return steps
    raise AssertionError("the round does not end")


async def report_of(engine: Any) -> ScrubReport:
    return await scrub_report(engine.system_stores()[0])


async def kept(engine: Any, size: int) -> BlobRef:
    async def body() -> AsyncIterator[bytes]:
        yield b"b" * size

    ref = await engine.blobs.name()
    await engine.blobs.write(ref, body())

    async def attach(tr: Transaction) -> None:
        rows.attach(tr, ref, size)

    await engine.store_of(DOMAIN).transact(attach)
    return ref


async def put(engine: Any, name: str, value: bytes = b"v" * 100) -> None:
    async def body(tr: Transaction) -> None:
        tr.put(P + name.encode(), value)

    await engine.store_of(DOMAIN).transact(body)


def flip(path: Path, offset: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.write_bytes(raw)


def run(open_engine: Any, work: Any) -> Any:
    async def opened() -> Any:
        async with open_engine() as engine:
            return await work(engine, engine._opened.root)

    return asyncio.run(opened())


def test_a_round_reads_every_row_and_every_frame_and_reports_nothing_where_all_is_well(
    open_engine: Any,
) -> None:
    async def fill(engine: Any, _root: Path) -> None:
        for n in range(700):
            await put(engine, f"row{n:03d}")
        await kept(engine, 3 * FRAME_BYTES + 5)

    async def scrub(engine: Any, _root: Path) -> None:
        clock = Clock()
        await round_of(scrubber(engine, clock))
        report = await report_of(engine)
        assert report.damage == []
        assert report.place is not None
        assert report.place.ended_ms == report.place.began_ms == clock.now_ms()
        assert report.place.read_bytes > 700 * 100 + 3 * FRAME_BYTES
        assert report.place.frames == 4

    run(open_engine, fill)
    run(open_engine, scrub)


@pytest.mark.parametrize("change", ["frame", "footer", "missing", "shorter"])
def test_a_damaged_blob_is_reported_durably_and_never_served(
    open_engine: Any, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    async def work(engine: Any, root: Path) -> BlobRef:
        await kept(engine, 10)
        ref = await kept(engine, 2 * FRAME_BYTES)
        other = await kept(engine, 5)
        path = path_of(root / "blobs", ref)
        if change == "missing":
            path.unlink()
        elif change == "shorter":
            # The whole file of another blob under this name.
            path.write_bytes(path_of(root / "blobs", other).read_bytes())
        else:
            flip(path, FRAME_BYTES + 9 if change == "frame" else -3)
        await round_of(scrubber(engine, Clock()))
        report = await report_of(engine)
        assert [(each.kind, each.name) for each in report.damage] == [
            ("blob", f"{ref.incarnation}-{ref.number}")
        ]
        assert report.place is not None
        assert report.place.damaged == 1
        assert "damaged: " in caplog.text
        got: list[bytes] = []
        with pytest.raises(Corrupt):
            got.extend([chunk async for chunk in engine.blobs.read(ref)])
        assert engine.damaged_reads == 1
        return ref

    ref = run(open_engine, work)

    async def later(engine: Any, root: Path) -> None:
        report = await report_of(engine)
        assert [each.name for each in report.damage] == [f"{ref.incarnation}-{ref.number}"]
        found = report.damage[0].message
        assert path_of(root / "blobs", ref).name in found or "missing" in found

    run(open_engine, later)


def test_check_lists_what_a_scrub_reported(open_engine: Any, tmp_path: Path) -> None:
    from fogbank.base.ids import Ids  # noqa: PLC0415 (only this test needs it)
    from fogbank.engines.embedded.keyfile import Encryption  # noqa: PLC0415 (only this test needs it)
    from fogbank.platform.crypto.secret import Secret  # noqa: PLC0415 (only this test needs it)

    async def work(engine: Any, root: Path) -> None:
        ref = await kept(engine, 100)
        flip(path_of(root / "blobs", ref), 5)
        await round_of(scrubber(engine, Clock()))

    run(open_engine, work)
    sealed = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
    report = examine(tmp_path / "store", sealed)
    assert len(report.reported) == len(report.damage) == 1
    assert "frame 0" in report.reported[0]


def test_a_damaged_row_is_reported_and_its_reader_gets_no_bytes(
    open_engine: Any, tmp_path: Path
) -> None:
    async def fill(engine: Any, _root: Path) -> None:
        for n in range(5):
            await put(engine, f"row{n}")

    run(open_engine, fill)
    folder = tmp_path / "store" / "rows"
    settled.drop_sums(folder)
    with settled.open_rows(folder) as env, env.begin(write=True) as txn:
        raw = txn.get(P + b"row3")
        assert raw is not None
        txn.put(P + b"row3", raw[:-1] + bytes([raw[-1] ^ 1]))

    async def scrub(engine: Any, _root: Path) -> None:
        await round_of(scrubber(engine, Clock()))
        (damage,) = (await report_of(engine)).damage
        assert (damage.kind, damage.name) == ("row", (P + b"row3").hex())
        before = engine.damaged_reads

        async def body(tr: Transaction) -> bytes | None:
            return await tr.get(P + b"row3")

        with pytest.raises(Corrupt, match="row3"):
            await engine.store_of(DOMAIN).read(body)
        assert engine.damaged_reads == before + 1

    run(open_engine, scrub)


def test_a_blob_that_was_released_is_no_damage(open_engine: Any) -> None:
    async def work(engine: Any, root: Path) -> None:
        ref = await kept(engine, 100)

        async def release(tr: Transaction) -> None:
            await rows.release(tr, ref)

        await engine.store_of(DOMAIN).transact(release)
        path_of(root / "blobs", ref).unlink()
        await round_of(scrubber(engine, Clock()))
        report = await report_of(engine)
        assert report.damage == []
        assert report.place is not None
        assert report.place.damaged == 0

    run(open_engine, work)


def test_what_a_later_round_finds_whole_is_reported_no_more(open_engine: Any) -> None:
    async def work(engine: Any, root: Path) -> None:
        clock = Clock()
        one = scrubber(engine, clock)
        ref = await kept(engine, 100)
        flip(path_of(root / "blobs", ref), 5)
        await round_of(one)
        assert len((await report_of(engine)).damage) == 1
        flip(path_of(root / "blobs", ref), 5)
        clock.go_on(HOUR_MS)
        await round_of(one)
        assert (await report_of(engine)).damage == []

    run(open_engine, work)


def test_a_slice_is_as_long_as_the_pace_says_and_what_was_read_too_much_is_waited_for(
    open_engine: Any,
) -> None:
    async def work(engine: Any, _root: Path) -> None:
        size = 2 * FRAMES_MAX * FRAME_BYTES
        await kept(engine, size)
        clock = Clock()
        assert await round_of(scrubber(engine, clock, size // 64)) >= 63
        clock.go_on(HOUR_MS)
        assert await round_of(scrubber(engine, clock, 2 * size)) == 1

    run(open_engine, work)


def test_the_next_round_begins_after_the_period(open_engine: Any) -> None:
    async def work(engine: Any, _root: Path) -> None:
        clock = Clock()
        one = scrubber(engine, clock)
        await kept(engine, 100)
        await round_of(one)
        first = (await report_of(engine)).place
        clock.go_on(HOUR_MS - 1)
        assert not await one.step()
        # Also a server that has just started keeps to it.
        assert not await scrubber(engine, clock).step()
        assert (await report_of(engine)).place == first
        clock.go_on(1)
        await round_of(one)
        second = (await report_of(engine)).place
        assert first is not None
        assert second is not None
        assert second.began_ms == first.began_ms + HOUR_MS
        assert second.last_ended_ms == first.ended_ms
        assert second.last_frames == first.frames == 1

    run(open_engine, work)


def test_a_restart_goes_on_where_the_place_was_saved(open_engine: Any) -> None:
    clock = Clock()
    size = 8 * FRAMES_MAX * FRAME_BYTES

    async def half(engine: Any, _root: Path) -> None:
        await kept(engine, size)
        one = scrubber(engine, clock, FRAMES_MAX * FRAME_BYTES)
        for _ in range(4):
            assert await one.step()
            clock.go_on(SAVE_MS)

    async def rest(engine: Any, _root: Path) -> None:
        place = (await report_of(engine)).place
        assert place is not None
        assert place.frame >= 2 * FRAMES_MAX
        assert not place.ended_ms
        steps = await round_of(scrubber(engine, clock, FRAMES_MAX * FRAME_BYTES))
        assert steps <= 7
        after = (await report_of(engine)).place
        assert after is not None
        assert after.began_ms == place.began_ms
        assert size <= after.read_bytes < size + (1 << 20)

    run(open_engine, half)
    run(open_engine, rest)


def test_users_go_first_up_to_a_bound(open_engine: Any) -> None:
    async def work(engine: Any, _root: Path) -> None:
        clock = Clock()
        one = scrubber(engine, clock)
        clock.turn_s = 2 * BUSY_S
        for _ in range(PUT_OFF_MAX):
            assert await one.step()
            assert (await report_of(engine)).place is None
        assert not await one.step()
        assert (await report_of(engine)).place is not None

    run(open_engine, work)


def test_the_memory_engine_keeps_the_same_port() -> None:
    async def work() -> None:
        engine = MemoryEngine(replay=True)
        ref = await kept(engine, 2 * FRAME_BYTES)
        clock = Clock()
        one = scrubber(engine, clock)
        await round_of(one)
        assert (await report_of(engine)).damage == []
        await engine.blobs.delete(ref)
        clock.go_on(HOUR_MS)
        await round_of(one)
        assert [each.kind for each in (await report_of(engine)).damage] == ["blob"]

    asyncio.run(work())
