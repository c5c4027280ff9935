"""The log moves on to its next segment in an order that a power cut cannot turn round."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fogbank.engines.embedded import log
from fogbank.engines.embedded.log import RedoLog
from fogbank.engines.embedded.segment import make_ready, segment_path

SIZE = 1 << 16


def test_a_segment_has_its_name_on_disk_before_anything_is_written_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    second = segment_path(tmp_path, 2)
    make_ready(tmp_path, segment_path(tmp_path, 1).name, SIZE)
    make_ready(tmp_path, "ready", SIZE)
    sync_folder = log.sync_folder

    def synced(folder: Path) -> None:
        steps.append(f"folder with {second.name}" if second.exists() else "folder")
        sync_folder(folder)

    monkeypatch.setattr(log, "sync_folder", synced)

    async def work() -> None:
        durable = asyncio.Event()
        redo = RedoLog(tmp_path, 1, SIZE, asyncio.get_running_loop())
        write, sync = redo.write, redo.sync

        def written(fd: int, data: bytes, offset: int) -> None:
            steps.append("write")
            write(fd, data, offset)

        def settled(fd: int) -> None:
            steps.append("sync")
            sync(fd)

        redo.write, redo.sync = written, settled
        redo.start(durable.set, durable.set)
        redo.rotate("ready")
        redo.append(1, [b"a transaction"], 13)
        await durable.wait()
        redo.close()

    asyncio.run(work())
    assert steps == [f"folder with {second.name}", "write", "sync"]
