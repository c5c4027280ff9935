"""Several stores are held and cut at one moment, and none is held for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.engines.embedded.conftest import opened
from tests.engines.embedded.test_backup import DOMAIN, content, put, restored

from fogbank.base.errors import Conflict, Corrupt, Unavailable
from fogbank.engines.embedded import hold as holding
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.joint import (
    JOINT,
    joints_in,
    members_of,
    read_joint,
    set_of,
    write_joint,
)
from fogbank.engines.embedded.store import EmbeddedEngine

pytestmark = pytest.mark.slow


async def written(engine: EmbeddedEngine, name: bytes) -> None:
    await engine.store_of(DOMAIN).transact(put(name, b"v"))


async def names_in(path: Path) -> set[bytes]:
    async with opened(path) as engine:
        return set(await content(engine))


def test_what_follows_a_write_that_one_cut_lacks_is_in_no_other_cut(tmp_path: Path) -> None:
    """A client writes to the first store after its cut, and then to the second before its cut."""
    target = tmp_path / "backups"
    (target / "one").mkdir(parents=True)

    async def run() -> None:
        async with opened(tmp_path / "a") as first, opened(tmp_path / "b") as second:
            for engine in (first, second):
                await written(engine, b"before")
            held = [await engine.hold() for engine in (first, second)]

            async def client() -> None:
                await written(first, b"cause")
                await written(second, b"effect")

            async with asyncio.TaskGroup() as group:
                asking = group.create_task(client())
                # The first is cut and goes on: its writer is answered, and asks the second.
                await held[0].back_up(BackupRequest(set_of(target, 0, 2), "one"))
                await written(first, b"later")
                assert not asking.done()
                await held[1].back_up(BackupRequest(set_of(target, 1, 2), "one"))
            for engine, wanted in ((first, {b"before", b"cause", b"later"}), (second, {b"effect"})):
                assert wanted <= set(await content(engine))
        write_joint(target, "one", 1, 2)
        for number, name in ((0, "c"), (1, "d")):
            restored(set_of(target, number, 2), tmp_path / name, "one")
            assert await names_in(tmp_path / name) == {b"before"}

    asyncio.run(run())


def test_a_hold_ends_by_itself_and_then_nothing_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "HOLD_S_MAX", 0.05)

    async def run() -> None:
        async with opened(tmp_path / "a") as engine:
            held = await engine.hold()
            with pytest.raises(Conflict, match="the cut backup is live"):
                await engine.hold()
            await written(engine, b"waits for the end of the hold")
            with pytest.raises(Unavailable, match="held for too long"):
                await held.back_up(BackupRequest(tmp_path / "backups", "one"))
            again = await engine.hold()
            await again.let_go()
            await again.let_go()
            await written(engine, b"goes on")
            cut = await engine.store_of(DOMAIN).checkpoint("other")
            await cut.release()

    asyncio.run(run())
    assert not (tmp_path / "backups").exists()


def test_a_joint_backup_is_one_only_with_all_its_stores(tmp_path: Path) -> None:
    target = tmp_path / "backups"
    (target / "one").mkdir(parents=True)

    async def run() -> None:
        async with opened(tmp_path / "a") as engine:
            await written(engine, b"v")
            for number in range(2):
                await engine.back_up(BackupRequest(set_of(target, number, 2), "one"))

    asyncio.run(run())
    assert joints_in(target) == []
    with pytest.raises(Corrupt, match="no backup, or one that was cut short"):
        read_joint(target / "one")
    joint = write_joint(target, "one", 7, 2)
    assert joints_in(target) == [joint]
    assert [each.head.name for each in members_of(target, joint)] == ["one", "one"]
    note = target / "one" / JOINT
    raw = note.read_bytes()
    note.write_bytes(raw.replace(b'"made_ms":7', b'"made_ms":8'))
    with pytest.raises(Corrupt, match="it has another SHA-256"):
        read_joint(target / "one")
    note.write_bytes(b"{")
    with pytest.raises(Corrupt, match="is not what was written"):
        joints_in(target)
    note.write_bytes(raw)
    manifest = set_of(target, 1, 2) / "one" / "manifest.jsonl"
    manifest.write_bytes((set_of(target, 0, 2) / "one" / "manifest.jsonl").read_bytes())
    with pytest.raises(Corrupt, match="is not the backup that belongs to"):
        members_of(target, joint)
    manifest.unlink()
    with pytest.raises(Corrupt, match="cut short"):
        members_of(target, joint)
