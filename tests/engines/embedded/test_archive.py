"""The log is archived while the store serves, and restores to any version or time since a backup."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engines.embedded.conftest import SEALED, CheckpointerInThread

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import archiver as archiver_module
from fogbank.engines.embedded.archiver import Archiver
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.keys import read_keys, rotate
from fogbank.engines.embedded.restore import (
    begin_store,
    find_backup,
    find_before,
    require_whole,
    restore_store,
)
from fogbank.engines.embedded.rollforward import Until, transactions
from fogbank.engines.embedded.spool import (
    ABOUT,
    GROUPS,
    SPOOL,
    TIMES,
    ArchiveSettings,
    entries,
    note_time,
)
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Body, Domain, Transaction
from fogbank.testing.clock import VirtualClock

DOMAIN, OTHER = Domain("account", "region"), Domain("account", "elsewhere")
P, END = DOMAIN.prefix, DOMAIN.prefix + b"\xff" * 8


def put(number: int, domain: Domain = DOMAIN) -> Body[None]:
    async def body(tr: Transaction) -> None:
        tr.put(domain.prefix + b"%05d" % number, b"v" * 2_000)

    return body


async def add_blob(engine: EmbeddedEngine, data: bytes) -> BlobRef:
    async def once() -> AsyncIterator[bytes]:
        yield data

    async def body(tr: Transaction) -> None:
        blob_rows.attach(tr, ref, len(data))

    ref = await engine.blobs.name()
    await engine.blobs.write(ref, once())
    await engine.store_of(DOMAIN).transact(body)
    return ref


async def release_blob(engine: EmbeddedEngine, ref: BlobRef) -> int:
    async def body(tr: Transaction) -> None:
        await blob_rows.release(tr, ref)

    await engine.store_of(DOMAIN).transact(body)
    return await drained(engine)


async def drained(engine: EmbeddedEngine) -> int:
    system = engine.system_stores()[0]
    before = system.oldest_cut()
    return await blob_rows.drain_deletions(system, engine.blobs, 10, before=before)


class World:
    """A store whose log is archived, with virtual time."""

    def __init__(self, path: Path) -> None:
        self.clock = VirtualClock()
        self.backups = path / "backups"
        self.store = path / "store"
        self.path = path

    async def open(self, path: Path | None = None, **archive: Any) -> EmbeddedEngine:
        settings = Settings(segment_bytes=1 << 16, archive=ArchiveSettings(self.backups, **archive))
        engine = await EmbeddedEngine.open(
            path or self.store, clock=self.clock, settings=settings, encryption=SEALED
        )
        engine._core.turnover._checkpointer = CheckpointerInThread(engine)  # type: ignore[assignment]
        return engine

    def restored(self, until: Until | None = None, name: str = "") -> Path:
        into = self.path / "restored"
        shutil.rmtree(into, ignore_errors=True)
        manifest = find_backup(self.backups, name)
        require_whole(self.backups, manifest)
        begin_store(into)
        restore_store(self.backups, manifest, into, until)
        return into

    async def rows(self, path: Path) -> list[int]:
        engine = await EmbeddedEngine.open(
            path, clock=self.clock, settings=Settings(segment_bytes=1 << 16), encryption=SEALED
        )
        try:

            async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
                return await tr.range(P, END, limit=10_000)

            rows = await engine.store_of(DOMAIN).read(body)
            names = [key[len(P) :] for key, _ in rows]
            return [int(name) for name in names if name.isdigit()]
        finally:
            await engine.close()


async def passed(engine: EmbeddedEngine) -> None:
    """Let the archiver look once, now, and carry what is spooled."""
    archiver = engine._archiver
    assert isinstance(archiver, Archiver)
    core = engine._core
    for _ in range(3):  # what was noted is sealed, what is sealed is spooled, and that is carried
        if archiver._timer is not None:
            archiver._timer.cancel()
        archiver._tick()
        while archiver._is_busy:  # noqa: ASYNC110 (a thread)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)  # a seal that the thread has asked for
        await core.settled()
        while core.turnover.is_busy or core.turnover.has_sealed:  # noqa: ASYNC110 (threads)
            await asyncio.sleep(0.001)


def in_world(work: Callable[[World], Awaitable[None]], tmp_path: Path) -> World:
    world = World(tmp_path)
    asyncio.run(work(world))
    return world


@pytest.mark.slow
def test_a_backup_and_the_log_restore_to_every_version_and_time_between(tmp_path: Path) -> None:
    times: dict[int, int] = {}
    versions: dict[int, int] = {}

    async def work(world: World) -> None:
        engine = await world.open()
        for n in range(5):
            await engine.store_of(DOMAIN).transact(put(n))
        await engine.back_up(BackupRequest(world.backups, "base"))
        for n in range(5, 100):
            await engine.store_of(DOMAIN).transact(put(n))
            versions[n] = engine._core.durable
            if n % 10 == 0:
                world.clock.advance_to(world.clock.now_ms() + 1_000)
                await passed(engine)
                times[n] = world.clock.now_ms()
        await engine.close()
        # The last part of the log was spooled by the stop, and is carried by the next start.
        engine = await world.open()
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    assert asyncio.run(world.rows(world.restored())) == list(range(5))
    assert asyncio.run(world.rows(world.restored(Until()))) == list(range(100))
    for n in (5, 37, 80, 99):
        path = world.restored(Until(version=versions[n]))
        assert asyncio.run(world.rows(path)) == list(range(n + 1))
        assert check(path, SEALED) == []
    for n in (20, 50):
        path = world.restored(Until(time_ms=times[n] + 500))
        assert asyncio.run(world.rows(path)) == list(range(n + 1))
    assert find_before(world.backups, Until(time_ms=times[20])).head.name == "base"
    for until in (
        Until(version=1),
        Until(version=versions[99] + 1_000),
        Until(time_ms=times[20] - 3_600_000),
        Until(time_ms=times[90] + 3_600_000),
    ):
        with pytest.raises(Corrupt, match="backup and log reach from"):
            world.restored(until)


def test_the_log_is_sealed_behind_the_note_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is spooled takes the notes that are there: one that came later would be lost."""
    order: list[str] = []

    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        seal = engine._core.seal

        def noted(*values: Any) -> None:
            order.append("note")
            note_time(*values)

        def sealed() -> None:
            order.append("seal")
            seal()

        monkeypatch.setattr(archiver_module, "note_time", noted)
        engine._core.seal = sealed  # type: ignore[method-assign]
        await engine.store_of(DOMAIN).transact(put(1))
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await passed(engine)
        await engine.close()

    in_world(work, tmp_path)
    assert order[:2] == ["note", "seal"]


def test_a_restore_goes_up_to_a_stop_in_order(tmp_path: Path) -> None:
    """Also where no tick came between the last write and the stop."""
    stopped: list[int] = []

    async def work(world: World) -> None:
        engine = await world.open()
        await engine.back_up(BackupRequest(world.backups, "base"))
        await engine.store_of(DOMAIN).transact(put(1))
        world.clock.advance_to(world.clock.now_ms() + 500)
        stopped.append(world.clock.now_ms())
        await engine.close()
        engine = await world.open()
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    assert asyncio.run(world.rows(world.restored(Until(time_ms=stopped[0])))) == [1]


@pytest.mark.slow
def test_a_restore_to_a_time_goes_to_the_mark_before_one_that_rotted(tmp_path: Path) -> None:
    times: dict[int, int] = {}
    damage: list[str] = []

    async def work(world: World) -> None:
        engine = await world.open(interval_ms=600_000)
        await engine.back_up(BackupRequest(world.backups, "base"))
        for n in (1, 2, 3):
            await engine.store_of(DOMAIN).transact(put(n))
            world.clock.advance_to(world.clock.now_ms() + 1_000)
            await passed(engine)
            times[n] = world.clock.now_ms()
        path = world.store / SPOOL / TIMES
        raw = bytearray(path.read_bytes())
        assert len(raw) == 60
        raw[35] ^= 1  # the second mark's time
        path.write_bytes(raw)
        await engine.close()
        damage.extend(check(world.store, SEALED))
        engine = await world.open()
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    assert [TIMES in each for each in damage] == [True]
    for time_ms, found in ((times[2] + 500, [1]), (times[3], [1, 2, 3])):
        assert asyncio.run(world.rows(world.restored(Until(time_ms=time_ms)))) == found
    assert check(world.store, SEALED) == []


@pytest.mark.slow
def test_blobs_that_came_with_the_log_are_restored_though_the_store_deleted_them(
    tmp_path: Path,
) -> None:
    refs: list[BlobRef] = []
    versions: list[int] = []

    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        await engine.back_up(BackupRequest(world.backups, "base"))
        refs.append(await add_blob(engine, b"short-lived" * 10_000))
        versions.append(engine._core.durable)
        assert await release_blob(engine, refs[0]) == 0, "the archive has not got it yet"
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await passed(engine)
        assert await drained(engine) == 1
        versions.append(engine._core.durable)
        await engine.close()
        engine = await world.open()
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    after = world.restored(Until(version=versions[1]))
    assert asyncio.run(world.rows(after)) == []
    assert check(after, SEALED) == []

    async def body_of(path: Path) -> bytes:
        engine = await EmbeddedEngine.open(path, clock=world.clock, encryption=SEALED)
        try:
            return b"".join([part async for part in engine.blobs.read(refs[0])])
        finally:
            await engine.close()

    before = world.restored(Until(version=versions[0]))
    assert asyncio.run(body_of(before)) == b"short-lived" * 10_000
    assert check(before, SEALED) == []


@pytest.mark.slow
def test_an_archive_that_fails_holds_the_log_to_a_bound_and_then_says_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "fogbank.store")

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(5, "the archive is on fire")

    async def work(world: World) -> None:
        engine = await world.open(backlog_bytes_max=200_000)
        await engine.back_up(BackupRequest(world.backups, "base"))
        with monkeypatch.context() as patch:
            patch.setattr(archiver_module, "place", failing)
            for n in range(60):
                await engine.store_of(DOMAIN).transact(put(n))
            await passed(engine)
            state = engine.archive_state
            assert state is not None
            assert "on fire" in state.error
            assert 0 < state.backlog_bytes <= 200_000
            assert state.dropped == 0
            assert len(entries(world.store / SPOOL)) > 0
            for n in range(60, 200):
                await engine.store_of(DOMAIN).transact(put(n))
            await passed(engine)
            assert state.backlog_bytes <= 200_000
            assert state.dropped > 0
        await passed(engine)
        assert (state.error, state.backlog_bytes) == ("", 0)
        await engine.close()

    world = in_world(work, tmp_path)
    assert "bytes wait: [Errno 5] the archive is on fire" in caplog.text
    assert "are lost to it; take a new backup" in caplog.text
    with pytest.raises(Corrupt, match="the archive of the log lacks the versions"):
        world.restored(Until())
    assert asyncio.run(world.rows(world.restored())) == []


@pytest.mark.slow
def test_the_age_of_what_waits_for_the_archive_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(5, "the archive is on fire")

    async def work(world: World) -> None:
        clock = world.clock
        engine = await world.open(interval_ms=60_000, backlog_bytes_max=200_000)
        state = engine.archive_state
        assert state is not None
        assert state.oldest_ms == 0
        began = clock.now_ms()
        for n in range(5):
            await engine.store_of(DOMAIN).transact(put(n))
        await passed(engine)
        clock.advance_to(began + 30_000)
        await passed(engine)
        assert state.oldest_ms == began
        clock.advance_to(began + 70_000)
        await passed(engine)
        assert state.oldest_ms == 0
        with monkeypatch.context() as patch:
            patch.setattr(archiver_module, "place", failing)
            began = clock.now_ms()
            for n in range(60):
                await engine.store_of(DOMAIN).transact(put(n))
            await passed(engine)
            clock.advance_to(began + 1_000)
            await passed(engine)
            assert state.oldest_ms == began
            for n in range(60, 200):
                await engine.store_of(DOMAIN).transact(put(n))
            await passed(engine)
            assert state.dropped > 0
            # What was given up does not wait any more.
            assert state.oldest_ms == clock.now_ms()
        await engine.close()

    in_world(work, tmp_path)


@pytest.mark.slow
def test_one_lone_transaction_is_archived_within_the_interval_and_silence_archives_nothing(
    tmp_path: Path,
) -> None:
    async def work(world: World) -> None:
        engine = await world.open(interval_ms=60_000)
        log = world.backups / "log"
        clock, state = world.clock, engine.archive_state
        assert state is not None
        for n in range(3):
            written_ms = clock.now_ms()
            await engine.store_of(DOMAIN).transact(put(n))
            await passed(engine)
            clock.advance_to(written_ms + 30_000)
            await passed(engine)
            assert state.oldest_ms == written_ms
            clock.advance_to(written_ms + 60_000)
            await passed(engine)
            assert state.oldest_ms == 0
            archived = entries(log)
            assert archived[-1].last >= engine._core.filled
            for _ in range(3):  # nothing is written: what moved the log on is no reason to seal
                clock.advance_to(clock.now_ms() + 60_000)
                await passed(engine)
            assert entries(log) == archived
            assert state.oldest_ms == 0
        await engine.close()

    in_world(work, tmp_path)


@pytest.mark.slow
def test_what_a_killed_store_had_not_archived_is_archived_by_the_next_start(
    tmp_path: Path,
) -> None:
    async def work(world: World) -> None:
        engine = await world.open()
        await engine.back_up(BackupRequest(world.backups, "base"))
        for n in range(70):
            await engine.store_of(DOMAIN).transact(put(n))
        killed = world.path / "killed"
        await asyncio.wrap_future(engine._core.turnover._thread.submit(lambda: None))
        shutil.copytree(world.store, killed)
        await engine.close()
        engine = await world.open(killed)
        await passed(engine)
        await engine.close()
        engine = await world.open(killed)
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    assert asyncio.run(world.rows(world.restored(Until()))) == list(range(70))


@pytest.mark.slow
def test_the_archived_log_can_be_read_by_domain_and_a_damaged_entry_is_refused(
    tmp_path: Path,
) -> None:
    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        await engine.back_up(BackupRequest(world.backups, "base"))
        for n in range(20):
            domain = DOMAIN if n % 2 else OTHER
            await engine.store_of(domain).transact(put(n, domain))
        world.clock.advance_to(world.clock.now_ms() + 10)
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    manifest = find_backup(world.backups)
    keys = read_keys(world.store, SEALED)
    every = list(transactions(world.backups, manifest, keys))
    ours = list(transactions(world.backups, manifest, keys, OTHER))
    assert [key for _, writes in ours for key in writes] == [
        OTHER.prefix + b"%05d" % n for n in range(0, 20, 2)
    ]
    assert len(every) >= 20
    assert {version for version, _ in ours} < {version for version, _ in every}
    about = entries(world.backups / "log")[0]
    path = world.backups / "log" / f"{about.name}.groups"
    assert b"vvvvvvvv" not in path.read_bytes()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Corrupt, match=path.name):
        world.restored(Until())
    path.unlink()
    with pytest.raises(Corrupt, match=path.name):
        world.restored(Until())


@pytest.mark.slow
def test_an_idle_store_archives_nothing_and_one_that_stops_archiving_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        await engine.store_of(DOMAIN).transact(put(1))
        for _ in range(5):
            world.clock.advance_to(world.clock.now_ms() + 10)
            await passed(engine)
        assert len(entries(world.backups / "log")) <= 1
        await engine.store_of(DOMAIN).transact(put(2))
        await engine.close()
        assert len(entries(world.store / SPOOL)) == 1
        beside = Settings(segment_bytes=1 << 16, keeps_spool=True)
        engine = await EmbeddedEngine.open(
            world.store, clock=world.clock, settings=beside, encryption=SEALED
        )
        await engine.close()
        assert len(entries(world.store / SPOOL)) == 1
        await world.rows(world.store)
        assert not (world.store / SPOOL).exists()

    in_world(work, tmp_path)
    assert "the log is not archived any more" in caplog.text


@pytest.mark.slow
def test_what_was_sealed_with_a_key_that_came_after_the_backup_is_restored(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        engine = await world.open()
        await engine.store_of(DOMAIN).transact(put(0))
        await engine.back_up(BackupRequest(world.backups, "base"))
        await engine.close()
        assert rotate(world.store, SEALED, world.clock).id == 2
        engine = await world.open()
        await engine.store_of(DOMAIN).transact(put(1))
        await engine.close()
        engine = await world.open()
        await passed(engine)
        await engine.close()

    world = in_world(work, tmp_path)
    assert asyncio.run(world.rows(world.restored(Until()))) == [0, 1]


@pytest.mark.slow
def test_an_entry_gets_its_line_when_all_else_of_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    place, sync_folders = archiver_module.place, archiver_module.sync_folders

    def placed(source: Path, target: Path, *, link: bool) -> None:
        steps.append(target.suffix)
        place(source, target, link=link)

    def synced(root: Path, folders: set[Path]) -> None:
        steps.append("sync")
        sync_folders(root, folders)

    monkeypatch.setattr(archiver_module, "place", placed)
    monkeypatch.setattr(archiver_module, "sync_folders", synced)

    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        for n in range(3):
            await engine.store_of(DOMAIN).transact(put(n))
        world.clock.advance_to(world.clock.now_ms() + 1_000)
        await passed(engine)
        await engine.close()

    in_world(work, tmp_path)
    assert steps[:3] == [GROUPS, "sync", ABOUT]
