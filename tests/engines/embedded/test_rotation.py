"""The keys of a store are rotated while it serves, and a crash at any point leaves all readable."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.engines.embedded.conftest import SEALED, opened
from tests.engines.embedded.test_backup import DOMAIN, add_blob, content, put
from tests.engines.embedded.test_encryption import copied

from fogbank.base.errors import Unavailable
from fogbank.engines.embedded import rotation
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.keys import read_keys
from fogbank.engines.embedded.segment import (
    find_group,
    first_offset,
    numbered,
    read_segment,
    segment_path,
)
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.crypto.secret import KeyRefused

pytestmark = pytest.mark.slow


async def write(engine: EmbeddedEngine, name: str, value: bytes = b"v") -> None:
    await engine.store_of(DOMAIN).transact(put(name.encode(), value))


def key_of_last_group(root: Path) -> int:
    """Return which data key the newest group of the log is sealed with."""
    number = max(numbered(root / "log"))
    data = read_segment(segment_path(root / "log", number))
    at, last = first_offset(len(data)), None
    while (group := find_group(data, at)) is not None:
        at, last = group.end, group
    assert last is not None
    return int.from_bytes(last.payload[:4])


def test_what_is_written_after_a_rotation_has_the_new_key_and_all_is_read(
    open_engine: Any, tmp_path: Path
) -> None:
    root = tmp_path / "store"

    async def run() -> None:
        async with open_engine(process=True) as engine:
            await write(engine, "first")
            assert key_of_last_group(root) == 1
            made = await engine.keyring.rotate()
            assert [key.id for key in await engine.keyring.keys()] == [1, made.id] == [1, 2]
            await write(engine, "second")
            assert key_of_last_group(root) == 2
            ref = await add_blob(engine, b"b" * 200_000)
            # Through the checkpointer, which is a process of its own.
            for n in range(40):
                await write(engine, f"{n}", bytes(4_000))
            cut = await engine.store_of(DOMAIN).checkpoint("all")
            await cut.release()
            assert len(await content(engine)) == 44  # and the rows of the blob
            body = b"".join([part async for part in engine.blobs.read(ref)])
            assert body == b"b" * 200_000
        assert check(root, SEALED) == []
        only_new = read_keys(root, SEALED)
        assert only_new.active == 2

    asyncio.run(run())


def test_writers_go_on_through_rotations_and_a_crash_at_any_point_leaves_all_readable(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes: list[tuple[Path, set[bytes]]] = []
    written: set[bytes] = set()
    rotate = rotation.rotate

    async def crash(engine: EmbeddedEngine) -> None:
        acknowledged = set(written)
        crashes.append((tmp_path / f"crash-{len(crashes)}", acknowledged))
        await copied(engine, crashes[-1][0])

    async def writer(engine: EmbeddedEngine, lane: int) -> None:
        for number in range(150):
            await write(engine, f"{lane}-{number}", bytes(500))
            written.add(f"{lane}-{number}".encode())

    async def rotated(engine: EmbeddedEngine) -> None:
        loop = asyncio.get_running_loop()

        def crashing(*arguments: Any) -> Any:
            made = rotate(*arguments)
            # The new key is durable, and nobody uses it yet.
            asyncio.run_coroutine_threadsafe(crash(engine), loop).result()
            return made

        monkeypatch.setattr(rotation, "rotate", crashing)
        for _ in range(3):
            await engine.keyring.rotate()
            await write(engine, "between")
            await crash(engine)
        written.add(b"between")

    async def run() -> None:
        # No checkpoint runs while a directory is copied: the log is not filled.
        async with open_engine(segment_bytes=1 << 22) as engine:
            async with asyncio.TaskGroup() as group:
                for lane in range(3):
                    group.create_task(writer(engine, lane))
                group.create_task(rotated(engine))
            assert written == set(await content(engine))
        for folder, acknowledged in crashes:
            async with opened(folder) as engine:
                assert acknowledged <= set(await content(engine))
            assert check(folder, SEALED) == []

    asyncio.run(run())
    assert len(crashes) == 6


def test_no_key_is_used_that_could_not_be_kept(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        async with open_engine() as engine:
            monkeypatch.setattr(rotation, "rotate", full)
            with pytest.raises(OSError, match="No space"):
                await engine.keyring.rotate()
            await write(engine, "after")
            assert key_of_last_group(tmp_path / "store") == 1
        with pytest.raises(Unavailable):
            await engine.keyring.rotate()

    asyncio.run(run())


def test_where_nothing_new_is_sealed_there_is_nothing_to_rotate(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_engine():
            pass
        off = Encryption(SEALED.secret, SEALED.draw, enabled=False)
        async with opened(tmp_path / "store", encryption=off) as engine:
            with pytest.raises(KeyRefused, match="nothing new is sealed"):
                await engine.keyring.rotate()

    asyncio.run(run())
