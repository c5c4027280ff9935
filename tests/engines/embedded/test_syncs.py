"""The order of syncs that a recorded power cut cannot tell apart (``tests/crash/disk/sites.py``)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engines.embedded.conftest import opened

from fogbank.engines.embedded import frames
from fogbank.engines.embedded.archiver import set_up
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.frames import Writer
from fogbank.engines.embedded.joint import JOINT, set_of, write_joint
from fogbank.engines.embedded.manifest import MANIFEST
from fogbank.engines.embedded.retention import GONE, keep_newest
from fogbank.engines.embedded.spool import SPOOL
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.server.backups import _make_folders

Entries = dict[Path, set[str]]


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> Entries:
    """The entries of each folder when it was last synced."""
    found: Entries = {}
    fsync = os.fsync

    def noted(fd: int) -> None:
        fsync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_dir():
            found[path] = set(os.listdir(path))

    monkeypatch.setattr(os, "fsync", noted)
    return found


def before(
    monkeypatch: pytest.MonkeyPatch, method: str, name: str, look: Callable[[], object]
) -> list[object]:
    """Have ``look`` called before a file gets a name, and keep what it returns."""
    seen: list[object] = []
    really = getattr(Path, method)

    def call(path: Path, target: Path) -> Any:
        if Path(target).name == name:
            seen.append(look())
        return really(path, target)

    monkeypatch.setattr(Path, method, call)
    return seen


async def back_up(tmp_path: Path, target: Path, *names: str) -> None:
    async with opened(tmp_path / "store") as engine:
        for name in names:
            for number in range(2):
                await engine.back_up(BackupRequest(set_of(target, number, 2), name))


def test_a_joint_backup_has_a_durable_folder_before_its_manifest(
    tmp_path: Path, lasting: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "disk" / "backups"
    _make_folders(target, "one")
    assert lasting[tmp_path] >= {"disk"}
    assert lasting[target.parent] == {"backups"}
    asyncio.run(back_up(tmp_path, target, "one"))
    seen = before(monkeypatch, "replace", JOINT, lambda: "one" in lasting.get(target, ()))
    write_joint(target, "one", 1, 2)
    assert seen == [True]


def test_a_joint_backup_is_none_any_more_before_a_member_goes(
    tmp_path: Path, lasting: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backups"
    asyncio.run(back_up(tmp_path, target, "one", "two"))
    for made_ms, name in enumerate(("one", "two")):
        _make_folders(target, name)
        write_joint(target, name, made_ms, 2)
    seen = before(monkeypatch, "rename", GONE, lambda: "one" in lasting[target])
    assert keep_newest(target, 2, 1) == ["one"]
    assert seen == [False, False]


def test_a_backup_has_lost_its_name_durably_before_its_files_go(
    tmp_path: Path, lasting: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backups"
    asyncio.run(back_up(tmp_path, target, "one", "two"))
    own = set_of(target, 0, 2)
    unlink = Path.unlink
    lost: list[bool] = []

    def call(path: Path, *, missing_ok: bool = False) -> None:
        lost.append(MANIFEST not in lasting[own / "one"])
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", call)
    monkeypatch.setattr("shutil.rmtree", lambda path: lost.append(True))
    keep_newest(own, 1, 1)
    assert lost
    assert all(lost)
    assert GONE in lasting[own / "one"]


def test_a_spool_that_is_given_up_is_gone_as_a_whole(tmp_path: Path, lasting: Entries) -> None:
    (tmp_path / SPOOL).mkdir()
    set_up(tmp_path, None)
    assert lasting == {tmp_path: set()}


def test_a_writer_of_a_large_blob_waits_for_the_disk_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "SYNC_EVERY_BYTES", 2 * FRAME_BYTES)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    writer = Writer(tmp_path, BlobRef(1, 1), None)
    writer.feed(bytes(5 * FRAME_BYTES))
    writer.finish()
    assert synced == [2 * FRAME_BYTES, 4 * FRAME_BYTES]
