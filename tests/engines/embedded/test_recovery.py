"""What a crash, a full disk and damage leave, and what the next start makes of it."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb
import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Full
from fogbank.base.ids import Ids
from fogbank.engines.embedded import rows, turnover
from fogbank.engines.embedded.check import check, examine, see_rows
from fogbank.engines.embedded.checkpoint import Answer
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.keys import read_keys
from fogbank.engines.embedded.lock import DirectoryInUse
from fogbank.engines.embedded.migrate import FORMAT, mark_making
from fogbank.engines.embedded.notes import write_note
from fogbank.engines.embedded.segment import (
    PAGE_BYTES,
    Group,
    find_group,
    first_offset,
    numbered,
    segment_path,
)
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Body, Domain, Transaction
from fogbank.platform.store.seal import seal

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
SETTINGS = Settings(segment_bytes=1 << 16)
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)


def put(name: str, value: bytes = b"v") -> Body[None]:
    async def body(tr: Transaction) -> None:
        tr.put(P + name.encode(), value)

    return body


def delete(name: str) -> Body[None]:
    async def body(tr: Transaction) -> None:
        tr.delete(P + name.encode())

    return body


async def everything(engine: EmbeddedEngine) -> dict[str, bytes]:
    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(P, P + b"\xff" * 9, limit=10_000)

    found = await engine.store_of(DOMAIN).read(body)
    return {key[len(P) :].decode(): value for key, value in found}


def crashed(
    open_engine: Any, tmp_path: Path, work: Callable[[Any], Awaitable[None]], **settings: Any
) -> Path:
    """Return a copy of the directory as it was while the store, after the work, still ran."""
    copy = tmp_path / "crashed"

    async def run() -> None:
        async with open_engine(**settings) as engine:
            await work(engine.store_of(DOMAIN))
            await asyncio.wrap_future(engine._core.turnover._thread.submit(lambda: None))
            shutil.copytree(tmp_path / "store", copy)

    asyncio.run(run())
    return copy


def rows_of(path: Path) -> dict[str, bytes]:
    """Return what a store holds after a start."""

    async def run() -> dict[str, bytes]:
        engine = await EmbeddedEngine.open(
            path, clock=SystemClock(), settings=SETTINGS, encryption=SEALED
        )
        try:
            return await everything(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x55]))


def last_segment(path: Path) -> Path:
    return segment_path(path / "log", numbered(path / "log")[-1])


def groups_in(path: Path) -> list[Group]:
    data = path.read_bytes()
    groups: list[Group] = []
    offset = first_offset(len(data))
    while (group := find_group(data, offset)) is not None:
        groups.append(group)
        offset = group.end
    return groups


async def five_rows(store: Any) -> None:
    for n in range(5):
        await store.transact(put(f"row{n}", b"v" * 3_000))


FIVE = {f"row{n}": b"v" * 3_000 for n in range(5)}
FOUR = {f"row{n}": b"v" * 3_000 for n in range(4)}


def test_what_was_acknowledged_is_there_after_a_crash(open_engine: Any, tmp_path: Path) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    assert check(path, SEALED) == []
    assert rows_of(path) == FIVE
    assert rows_of(path) == FIVE
    assert check(path, SEALED) == []


def test_stale_groups_of_recycled_segments_are_not_replayed(
    open_engine: Any, tmp_path: Path
) -> None:
    async def many(store: Any) -> None:
        for n in range(300):
            await store.transact(put(f"row{n % 7}", b"%d" % n + b"v" * 1_500))
            if n % 5 == 0:
                await store.transact(delete(f"row{n % 7}"))

    path = crashed(open_engine, tmp_path, many)
    expected: dict[str, bytes] = {}
    for n in range(300):
        expected[f"row{n % 7}"] = b"%d" % n + b"v" * 1_500
        if n % 5 == 0:
            del expected[f"row{n % 7}"]
    assert numbered(path / "log")[-1] > 5
    assert check(path, SEALED) == []
    assert rows_of(path) == expected


@pytest.mark.parametrize("part", ["header", "payload"])
def test_damage_before_a_valid_group_is_refused(
    open_engine: Any, tmp_path: Path, part: str
) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    group = groups_in(last_segment(path))[2]
    later = groups_in(last_segment(path))[3]
    flip(last_segment(path), group.offset + (9 if part == "header" else 500))
    said = re.escape(
        f"{last_segment(path)}: the log is damaged between version {group.first - 1} and version "
        f"{later.first}: offset {group.offset} holds no group, and offset {later.offset} does"
    )
    with pytest.raises(Corrupt, match=said):
        rows_of(path)
    assert any(str(last_segment(path)) in each for each in check(path, SEALED))


@pytest.mark.parametrize("part", ["header", "payload"])
def test_damage_in_the_last_group_ends_the_log_there_and_is_told_from_a_tear(
    open_engine: Any, tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    group = groups_in(last_segment(path))[4]
    flip(last_segment(path), group.offset + (9 if part == "header" else 500))
    (said,) = check(path, SEALED)
    assert str(last_segment(path)) in said
    assert f"damaged behind offset {group.offset}" in said
    caplog.clear()
    assert rows_of(path) == FOUR
    assert f"{said}: transactions behind version {group.first - 1} are lost" in caplog.text


def test_a_torn_last_group_is_no_damage(
    open_engine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(store: Any) -> None:
        await five_rows(store)
        await store.transact(put("large", b"v" * 20_000))

    path = crashed(open_engine, tmp_path, work)
    last = groups_in(last_segment(path))[5]
    torn = last.end // PAGE_BYTES * PAGE_BYTES - PAGE_BYTES
    with last_segment(path).open("r+b") as file:
        file.seek(torn)
        file.write(bytes(SETTINGS.segment_bytes - torn))
    assert check(path, SEALED) == []
    assert rows_of(path) == FIVE
    assert check(path, SEALED) == []
    assert "damaged" not in caplog.text


def test_a_last_group_of_which_all_but_the_first_page_was_written_is_no_damage(
    open_engine: Any, tmp_path: Path
) -> None:
    async def work(store: Any) -> None:
        await five_rows(store)
        await store.transact(put("large", b"v" * 6_000))

    path = crashed(open_engine, tmp_path, work)
    last = groups_in(last_segment(path))[5]
    page_end = -(-last.offset // PAGE_BYTES) * PAGE_BYTES
    assert last.offset < page_end < last.end
    with last_segment(path).open("r+b") as file:
        file.seek(last.offset)
        file.write(bytes(page_end - last.offset))
    report = examine(path, SEALED)
    assert report.damage == []
    assert [str(last_segment(path)) in finding for finding in report.torn] == [True]
    assert rows_of(path) == FIVE
    assert examine(path, SEALED).torn == []


def test_a_first_start_that_was_cut_short_is_made_again(open_engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "store"
    (path / "rows").mkdir(parents=True)
    mark_making(path)
    (path / "rows/data.mdb").write_bytes(bytes(8_192))

    async def run() -> None:
        async with open_engine() as engine:
            await engine.store_of(DOMAIN).transact(put("a"))

    asyncio.run(run())
    assert rows_of(path) == {"a": b"v"}
    assert check(path, SEALED) == []


def test_every_page_of_the_log_is_watched_even_behind_the_last_group(
    open_engine: Any, tmp_path: Path
) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    for file in (path / "log").iterdir():
        for offset in range(100, SETTINGS.segment_bytes, 3 * PAGE_BYTES):
            flip(file, offset)
            assert any(str(file) in finding for finding in check_log(path)), (file, offset)
            flip(file, offset)
    assert check(path, SEALED) == []


def check_log(path: Path) -> list[str]:
    from fogbank.engines.embedded import check as module  # noqa: PLC0415 (only this test needs it)

    report = module.Report()
    module._check_log(path, None, report, None)
    return report.damage + report.torn


def test_a_missing_segment_is_refused(open_engine: Any, tmp_path: Path) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    number = numbered(path / "log")[-1]
    last_segment(path).unlink()
    with pytest.raises(Corrupt, match=f"the segment {number} of the log is missing"):
        rows_of(path)
    assert any(
        f"the segment {number} of the log is missing" in each for each in check(path, SEALED)
    )


def test_a_newer_format_and_a_damaged_note_are_refused(open_engine: Any, tmp_path: Path) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    write_note(path / "store.note", {"format": FORMAT + 1, "incarnation": 1})
    with pytest.raises(Corrupt, match="start a newer one"):
        rows_of(path)
    flip(path / "store.note", 3)
    with pytest.raises(Corrupt, match="not what was written"):
        rows_of(path)
    (path / "store.note").unlink()
    with pytest.raises(Corrupt, match="holds rows and no"):
        rows_of(path)


def test_a_damaged_page_of_the_rows_is_refused(open_engine: Any, tmp_path: Path) -> None:
    path = crashed(open_engine, tmp_path, five_rows)
    assert rows_of(path) == FIVE
    for page in range((path / "rows/data.mdb").stat().st_size // PAGE_BYTES):
        flip(path / "rows/data.mdb", page * PAGE_BYTES + 100)
        with pytest.raises(Corrupt, match=f"page {page} of {re.escape(str(path))}"):
            rows_of(path)
        flip(path / "rows/data.mdb", page * PAGE_BYTES + 100)
    assert rows_of(path) == FIVE


def settled(open_engine: Any, tmp_path: Path) -> Path:
    """Return a store whose rows are settled and have no page sums."""
    path = crashed(open_engine, tmp_path, five_rows)
    rows_of(path)
    rows.drop_sums(path / "rows")
    return path


def test_a_damaged_value_is_refused_when_it_is_read(open_engine: Any, tmp_path: Path) -> None:
    path = settled(open_engine, tmp_path)
    with rows.open_rows(path / "rows") as env, env.begin(write=True) as txn:
        raw = txn.get(P + b"row2")
        assert raw is not None
        txn.put(P + b"row2", raw[:-1] + bytes([raw[-1] ^ 1]))
    assert any("row2" in finding for finding in check(path, SEALED))
    with pytest.raises(Corrupt, match="row2"):
        rows_of(path)


@pytest.mark.parametrize("change", ["missing", "older", "moved"])
def test_check_finds_rows_that_are_missing_older_or_moved(
    open_engine: Any, tmp_path: Path, change: str
) -> None:
    path = settled(open_engine, tmp_path)
    with rows.open_rows(path / "rows") as env, env.begin(write=True) as txn:
        if change == "missing":
            txn.delete(P + b"row2")
        elif change == "older":
            txn.put(P + b"row2", seal(P + b"row2", b"an older value"))
        else:
            raw = txn.pop(P + b"row2")
            assert raw is not None
            txn.put(P + b"row9", raw)
    said = "\n".join(check(path, SEALED))
    if change == "moved":
        assert "row9" in said  # the value is of another key
    assert f"of {rows.BUCKETS} digests: rows are missing or were changed" in said


def test_a_damaged_tree_is_found_without_trusting_it(open_engine: Any, tmp_path: Path) -> None:
    path = settled(open_engine, tmp_path)
    data = (path / "rows/data.mdb").read_bytes()
    found = 0
    for page in range(2, len(data) // PAGE_BYTES):
        damaged = bytearray(data)
        damaged[page * PAGE_BYTES + 16 : page * PAGE_BYTES + 40] = b"\x5a" * 24
        (path / "rows/data.mdb").write_bytes(damaged)
        found += bool(see_rows(path / "rows", read_keys(path, SEALED).export()).damage)
    # Five rows of a page each and a root; the others are free, and only page sums watch those.
    assert found >= 6


@pytest.mark.slow
def test_a_second_server_is_refused_and_leaves_the_first_alone(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            with pytest.raises(DirectoryInUse, match="another server uses this data directory"):
                await EmbeddedEngine.open(tmp_path / "store", clock=SystemClock())
            await engine.store_of(DOMAIN).transact(put("a"))
            assert await everything(engine) == {"a": b"v"}

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.crash
def test_a_killed_checkpointer_is_replaced(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine(process=True) as engine:
            store = engine.store_of(DOMAIN)
            pids = set()
            for n in range(400):
                await store.transact(put(f"row{n}", b"v" * 1_000))
                pid = engine._core.turnover.checkpointer_pid
                if n % 50 == 49 and pid is not None:
                    pids.add(pid)
                    os.kill(pid, signal.SIGKILL)
            assert await everything(engine) == {f"row{n}": b"v" * 1_000 for n in range(400)}
            assert len(pids) > 1
        async with open_engine() as engine:
            assert await everything(engine) == {f"row{n}": b"v" * 1_000 for n in range(400)}

    asyncio.run(run())


def test_a_checkpointer_that_keeps_failing_ends_the_process(open_engine: Any) -> None:
    told: list[str] = []

    async def run() -> None:
        async with open_engine(on_fatal=told.append) as engine:
            engine._core.turnover._checkpointer.settle = lambda _: Answer("broken", "no luck")
            store = engine.store_of(DOMAIN)
            for n in range(1_000):
                if told:
                    break
                await store.transact(put(f"row{n}", b"v" * 1_000))

    with pytest.raises(Exception, match="the log of the store failed"):
        asyncio.run(run())
    assert told == ["the checkpointer failed: no luck"]


@pytest.mark.slow
def test_without_space_only_removals_pass_until_there_is_some(
    open_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnover, "_RETRY_S", 0.01)
    full = Answer("full", "No space left on device")

    async def run() -> None:
        async with open_engine() as engine:
            checkpointer = engine._core.turnover._checkpointer
            settle = checkpointer.settle
            checkpointer.settle = lambda _: full
            store = engine.store_of(DOMAIN)
            written = 0
            with suppress(Full):
                while written < 100:
                    await store.transact(put(f"row{written}", b"v" * 2_000))
                    written += 1
            with pytest.raises(Full):
                await store.transact(put("more"))
            # More removals than the active segment has room for: the reserved one takes them.
            for _ in range(40):
                for n in range(10):
                    await store.transact(delete(f"row{n}"))
                    await asyncio.sleep(0)
            left = {f"row{n}": b"v" * 2_000 for n in range(10, written)}
            assert await everything(engine) == left
            checkpointer.settle = settle
            for _ in range(2_000):
                await asyncio.sleep(0.01)
                try:
                    await store.transact(put("room again"))
                    break
                except Full:
                    continue
            assert await everything(engine) == {**left, "room again": b"v"}
        async with open_engine() as engine:
            assert await everything(engine) == {**left, "room again": b"v"}

    asyncio.run(run())


def test_a_stop_without_space_keeps_the_log_for_the_next_start(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> dict[str, bytes]:
        async with open_engine() as engine:
            engine._core.turnover._checkpointer.settle = lambda _: Answer("full", "")
            store = engine.store_of(DOMAIN)
            with suppress(Full):
                for n in range(100):
                    await store.transact(put(f"row{n}", b"v" * 2_000))
            return await everything(engine)

    before = asyncio.run(run())
    assert len(before) > 20
    assert rows_of(tmp_path / "store") == before


async def until(happens: Callable[[], object]) -> None:
    """Wait for what a thread does."""
    async with asyncio.timeout(60):
        while not happens():  # noqa: ASYNC110 (a thread says nothing)
            await asyncio.sleep(0.001)


def test_without_a_spare_segment_only_removals_pass(
    open_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnover, "_RETRY_S", 0.01)
    make_ready = turnover.make_ready

    def no_space(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def run() -> None:
        monkeypatch.setattr(turnover, "make_ready", no_space)
        async with open_engine() as engine:
            store, log = engine.store_of(DOMAIN), engine._core.turnover
            await until(lambda: log.full)  # a thread fails to make the segment
            with pytest.raises(Full):
                await store.transact(put("a"))
            await store.transact(delete("b"))
            monkeypatch.setattr(turnover, "make_ready", make_ready)
            await until(lambda: not log.full)  # a thread makes the segment
            await store.transact(put("a"))

    asyncio.run(run())


def test_the_rows_of_an_older_lmdb_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    with lmdb.open(str(folder), lib_version=0) as env, env.begin(write=True) as txn:
        txn.put(b"a", b"b")
    with pytest.raises(Corrupt):
        rows.open_rows(folder)
