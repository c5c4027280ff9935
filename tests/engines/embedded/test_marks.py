"""The archived logs of several stores have moments in common, at which no part lacks its cause."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.engines.embedded.conftest import opened
from tests.engines.embedded.test_archive import passed
from tests.engines.embedded.test_backup import DOMAIN, content, put

from fogbank.base.errors import Corrupt, Unavailable
from fogbank.engines.embedded import marks as marking
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.joint import joints_in, members_of, set_of, write_joint
from fogbank.engines.embedded.restore import begin_store, restore_store
from fogbank.engines.embedded.rollforward import Until, common_versions
from fogbank.engines.embedded.spool import ArchiveSettings
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.server.marking import OwnMarks, mark_together

pytestmark = pytest.mark.slow
MADE_MS = 1_000


async def write(engine: EmbeddedEngine, number: int) -> None:
    await engine.store_of(DOMAIN).transact(put(b"%04d" % number, b"v"))


def archive(target: Path, number: int) -> ArchiveSettings:
    return ArchiveSettings(set_of(target, number, 2), is_joint=True)


async def marked(engines: list[EmbeddedEngine], time_ms: int) -> bool:
    """Note a moment, and see that it is in the archive."""
    stores = [OwnMarks(engine.marks) for engine in engines if engine.marks is not None]
    done = await mark_together(stores, time_ms)
    for engine in engines:
        await passed(engine)
    return done


def restored_at(target: Path, into: Path, until_ms: int | None) -> list[Path]:
    joint = joints_in(target)[0]
    manifests = members_of(target, joint)
    sets = [set_of(target, number, 2) for number in range(2)]
    versions = common_versions(sets, manifests, joint.made_ms, until_ms)
    folders = [into / f"{number}" for number in range(2)]
    into.mkdir()
    for number, folder in enumerate(folders):
        begin_store(folder)
        restore_store(sets[number], manifests[number], folder, Until(version=versions[number]))
    return folders


async def count_in(folder: Path) -> int:
    async with opened(folder) as engine:
        return len(await content(engine))


def test_stores_are_rolled_forward_to_a_moment_at_which_no_part_lacks_its_cause(
    tmp_path: Path,
) -> None:
    target = tmp_path / "set"
    (target / "base").mkdir(parents=True)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            engines = [
                await stack.enter_async_context(
                    opened(tmp_path / f"store-{number}", archive=archive(target, number))
                )
                for number in range(2)
            ]
            for number, engine in enumerate(engines):
                await engine.back_up(BackupRequest(set_of(target, number, 2), "base"))
            write_joint(target, "base", MADE_MS, 2)
            stop = asyncio.Event()

            async def client() -> None:
                number = 0
                while not stop.is_set():
                    for engine in engines:
                        await write(engine, number)
                    number += 1

            async with asyncio.TaskGroup() as group:
                group.create_task(client())
                for moment in range(1, 6):
                    assert await marked(engines, MADE_MS + moment)
                stop.set()
            assert await marked(engines, MADE_MS + 6)
            # Where nothing was written there is no new moment; one store that was written to is one.
            assert not await marked(engines, MADE_MS + 7)
            await write(engines[0], 9_999)
            assert await marked(engines, MADE_MS + 8)
            counts = [len(await content(engine)) for engine in engines]
        last = restored_at(target, tmp_path / "last", None)
        assert [await count_in(folder) for folder in last] == counts
        reached = 0
        for moment in range(7):
            folders = restored_at(target, tmp_path / f"at-{moment}", MADE_MS + moment)
            first, second = [await count_in(folder) for folder in folders]
            assert first - second in {0, 1}
            assert second >= reached
            reached = second
        assert reached > 0
        with pytest.raises(Corrupt, match="and not to"):
            restored_at(target, tmp_path / "late", MADE_MS + 9)

    asyncio.run(run())


def test_a_moment_that_a_store_was_not_held_for_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "HOLD_S_MAX", 0.05)

    async def run() -> None:
        async with opened(tmp_path / "a", archive=archive(tmp_path / "set", 0)) as engine:
            marks = engine.marks
            assert marks is not None
            await marks.hold()
            await write(engine, 1)  # waits for the end of the hold
            with pytest.raises(Unavailable, match="held for too long"):
                marks.mark(MADE_MS)
            assert marks.has_changed()
            await marks.hold()
            marks.mark(MADE_MS)
            assert not marks.has_changed()

    asyncio.run(run())
