"""Old backups go with what only they need; the newest stays, and a backup is durable before it is one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from tests.engines.embedded.test_archive import World, drained, in_world, passed
from tests.engines.embedded.test_archive import put as put_number
from tests.engines.embedded.test_backup import (
    DOMAIN,
    a_backup,
    add_blob,
    drop_blob,
    put,
    reading,
    restored,
)

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import retention, rows
from fogbank.engines.embedded.backup import Wanted, back_up, beside_store
from fogbank.engines.embedded.cloud import CLOUD
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.joint import JOINT, joints_in, set_of, write_joint
from fogbank.engines.embedded.manifest import (
    ARCHIVED_LOG,
    BLOBS,
    MANIFEST,
    backups_in,
    read_manifest,
)
from fogbank.engines.embedded.place import PARTIAL
from fogbank.engines.embedded.restore import require_whole
from fogbank.engines.embedded.retention import keep_newest
from fogbank.engines.embedded.rollforward import Until
from fogbank.platform.blobs.port import BlobRef

pytestmark = pytest.mark.slow


def three_backups(open_engine: Any, target: Path) -> list[BlobRef]:
    """Make three backups; the first blob is in all, the second in the first alone."""

    async def run() -> list[BlobRef]:
        async with open_engine() as engine:
            refs = [await add_blob(engine, bytes(300_000)) for _ in range(2)]
            await engine.back_up(BackupRequest(target, "one"))
            await drop_blob(engine, refs[1])
            assert await drained(engine) == 1
            refs.append(await add_blob(engine, bytes(300_000)))
            await engine.back_up(BackupRequest(target, "two"))
            await engine.store_of(DOMAIN).transact(put(b"more", b"v"))
            await engine.back_up(BackupRequest(target, "three"))
            return refs

    return asyncio.run(run())


def names(target: Path) -> list[str]:
    return [manifest.head.name for manifest in backups_in(target)]


def pool(target: Path) -> set[Path]:
    return set((target / BLOBS).rglob("*.blob"))


def test_all_but_the_newest_go_with_the_blobs_that_only_they_need(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    refs = three_backups(open_engine, target)
    assert keep_newest(target, 1, 3) == []
    assert keep_newest(target, 1, 2) == ["one"]
    assert names(target) == ["two", "three"]
    assert pool(target) == {path_of(target / BLOBS, ref) for ref in (refs[0], refs[2])}
    assert keep_newest(target, 1, 1) == ["two"]
    assert keep_newest(target, 1, 1) == []
    assert sorted(path.name for path in target.iterdir()) == [BLOBS, CLOUD, "three"]
    store = restored(target, tmp_path / "new")
    assert reading(store, refs[0], refs[2])[1] == [bytes(300_000)] * 2


def test_what_a_cut_short_backup_left_in_the_pool_is_used_by_the_next_or_goes(
    open_engine: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backups"

    async def run() -> tuple[list[BlobRef], int]:
        async with open_engine() as engine:
            refs = [await add_blob(engine, bytes(300_000)) for _ in range(2)]
            await engine.back_up(BackupRequest(target, "cut"))
            (target / "cut" / MANIFEST).unlink()
            await drop_blob(engine, refs[1])
            assert await drained(engine) == 1
            done = await engine.back_up(BackupRequest(target, "whole"))
            return refs, done.blobs_new

    refs, copied = asyncio.run(run())
    assert copied == 0
    stray = path_of(target / BLOBS, refs[1])
    log = target / ARCHIVED_LOG
    log.mkdir(exist_ok=True)
    partials = [stray.with_name(stray.name + PARTIAL), log / f"1.groups.7{PARTIAL}"]
    for partial in partials:
        partial.write_bytes(b"half")
    assert keep_newest(target, 1, 1) == []
    assert stray.exists()  # the archiver might be bringing it
    assert all(partial.exists() for partial in partials)
    assert keep_newest(target, 1, 1, stray_s=-3_600) == []
    assert pool(target) == {path_of(target / BLOBS, refs[0])}
    assert not any(partial.exists() for partial in partials)
    assert reading(restored(target, tmp_path / "new"), refs[0])[1] == [bytes(300_000)]


def test_no_file_that_the_archived_log_alone_refers_to_is_a_stray(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        engine = await world.open(interval_ms=1)
        try:
            await engine.back_up(BackupRequest(world.backups, "one"))
            ref = await add_blob(engine, bytes(300_000))
            world.clock.advance_to(world.clock.now_ms() + 60_000)
            await passed(engine)
        finally:
            await engine.close()
        assert keep_newest(world.backups, 1, 1, stray_s=-3_600) == []
        assert pool(world.backups) == {path_of(world.backups / BLOBS, ref)}

    in_world(work, tmp_path)


def test_nothing_goes_while_the_newest_is_not_whole(open_engine: Any, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    refs = three_backups(open_engine, target)
    damaged = path_of(target / BLOBS, refs[2])
    raw = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(raw[:-1] + b"?")
    with pytest.raises(Corrupt, match=str(damaged)):
        keep_newest(target, 1, 1)
    assert names(target) == ["one", "two", "three"]
    assert len(pool(target)) == 3
    with pytest.raises(Corrupt, match="holds no backup"):
        keep_newest(tmp_path / "other", 1, 1)


@pytest.mark.parametrize("step", ["unlink", "rmtree"])
def test_a_removal_that_was_cut_short_is_gone_on_with(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "backups"
    refs = three_backups(open_engine, target)

    def cut(*_: object, **__: object) -> None:
        raise InterruptedError("killed")

    owner = Path if step == "unlink" else retention.shutil
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, cut)
        with pytest.raises(InterruptedError):
            keep_newest(target, 1, 2)
    assert names(target) == ["two", "three"]
    for manifest in backups_in(target):
        require_whole(target, manifest)
    assert keep_newest(target, 1, 2) == ["one"]
    assert pool(target) == {path_of(target / BLOBS, ref) for ref in (refs[0], refs[2])}
    assert not (target / "one").exists()


def test_the_archived_log_goes_up_to_the_oldest_backup_that_stays(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        engine = await world.open()
        try:
            for number, name in ((1, "one"), (2, "two")):
                await engine.store_of(DOMAIN).transact(put_number(number))
                await passed(engine)
                await engine.back_up(BackupRequest(world.backups, name))
                await passed(engine)
            await engine.store_of(DOMAIN).transact(put_number(3))
            world.clock.advance_to(world.clock.now_ms() + 120_000)
            await passed(engine)
        finally:
            await engine.close()
        before = len(list((world.backups / "log").glob("*.json")))
        assert keep_newest(world.backups, 1, 1) == ["one"]
        assert 0 < len(list((world.backups / "log").glob("*.json"))) < before
        assert await world.rows(world.restored(Until())) == [1, 2, 3]

    in_world(work, tmp_path)


def test_old_backups_of_several_stores_go_together(open_engine: Any, tmp_path: Path) -> None:
    target = tmp_path / "backups"

    async def run() -> None:
        async with open_engine() as engine:
            for made_ms, name in ((2, "one"), (1, "two")):  # a clock that was set back
                await engine.store_of(DOMAIN).transact(put(name.encode(), b"v"))
                for number in range(2):
                    await engine.back_up(BackupRequest(set_of(target, number, 2), name))
                (target / name).mkdir()
                write_joint(target, name, made_ms, 2)

    asyncio.run(run())
    assert keep_newest(target, 2, 1) == ["one"]
    assert [joint.name for joint in joints_in(target)] == ["two"]
    assert (target / "two" / JOINT).exists()
    assert [names(set_of(target, number, 2)) for number in range(2)] == [["two"], ["two"]]
    assert not (target / "one").exists()


class Syncs:
    """Notes what is synced, and looks at a manifest's company at the moment it gets its name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[tuple[int, int], int] = {}
        """Device and inode of each file that was synced -> its size then."""
        self.folders: dict[Path, set[str]] = {}
        """Each folder that was synced -> what was in it then."""
        self.at_the_name: tuple[dict[tuple[int, int], int], dict[Path, set[str]]] | None = None
        self._fsync, self._replace = os.fsync, Path.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(Path, "replace", lambda path, target: self.replace(path, target))

    def fsync(self, fd: int) -> None:
        self._fsync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_dir():
            self.folders[path] = set(os.listdir(path))
        else:
            found = os.fstat(fd)
            self.files[found.st_dev, found.st_ino] = found.st_size

    def replace(self, path: Path, target: Path) -> Path:
        if target.name == MANIFEST:
            self.at_the_name = dict(self.files), dict(self.folders)
        return self._replace(path, target)


def test_every_file_and_its_name_is_durable_before_the_manifest_has_its_own(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_backup(open_engine, tmp_path / "first")
    source, target = tmp_path / "store", tmp_path / "backups"
    (tmp_path / "credentials.json").write_text("[]")
    head = read_manifest(tmp_path / "first" / "first").head
    beside = [*beside_store(source), (str(tmp_path / "credentials.json"), "data/credentials.json")]
    env = rows.open_rows(source / "rows", readonly=True)
    syncs = Syncs(monkeypatch)
    with env.begin() as txn:
        back_up(source, txn, Wanted(str(target), head, leaving=[], beside=beside, link=False))
    env.close()
    assert syncs.at_the_name is not None
    files, folders = syncs.at_the_name
    manifest = read_manifest(target / "first")
    assert len(manifest.files) > 4
    for relative in manifest.files:
        path = target / relative
        found = path.stat()
        assert files.get((found.st_dev, found.st_ino)) == found.st_size, path
        for entry in [path, *path.parents]:
            if entry.is_relative_to(target) and entry != target:
                assert entry.name in folders.get(entry.parent, set()), entry
    named = (target / "first" / MANIFEST).stat()
    assert files.get((named.st_dev, named.st_ino)) == named.st_size
    assert MANIFEST in syncs.folders[target / "first"]
