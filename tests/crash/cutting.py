"""A load on an embedded store with blobs and an archive, recorded by ``test_power_cut.py``.

Run as ``python cutting.py ROOT``: four lives of a store below ROOT, all but the last killed. Every
acknowledgement goes to the standard output as a line: ``row WRITER COUNT``, ``blob KEY``,
``gone KEY``.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.crash.disk.labels.sitecustomize import DIE_AT

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Throttled
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.spool import ArchiveSettings
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Body, Domain, Transaction

T = TypeVar("T")
NAMED = "files.sync_folder<files.replace_file"
DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
WRITERS = 4
DROPPED = "-25"
"""How the names of blobs end that are removed again."""
COUNT = 45
"""What each writer writes in a life."""
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)


def settings(root: Path) -> Settings:
    archive = ArchiveSettings(root / "set")
    return Settings(segment_bytes=1 << 16, chunk_keys=20, archive=archive)


def value(writer: int, count: int) -> bytes:
    return b"%d" % count + b"v" * (count * 37 % 900 + writer)


def body_of(name: str) -> bytes:
    draw = random.Random(name)
    return draw.randbytes(draw.choice((70_000, 200_000, 1_100_000)))


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def transact(engine: EmbeddedEngine, body: Body[T]) -> T:
    """Run a body; on a disk that does not keep up, as often as it takes."""
    while True:
        with suppress(Throttled):
            return await engine.store_of(DOMAIN).transact(body)


async def write_row(engine: EmbeddedEngine, writer: int) -> int:
    one, other = P + b"a%d" % writer, P + b"z%d" % writer

    async def body(tr: Transaction) -> int:
        count = int((await tr.get(one) or b"0").rstrip(b"v")) + 1
        tr.put(one, value(writer, count))
        tr.put(other, value(writer, count))
        return count

    return await transact(engine, body)


async def write_blob(engine: EmbeddedEngine, name: str) -> None:
    data = body_of(name)
    ref = await engine.blobs.name()
    await engine.blobs.write(ref, once(data))

    async def body(tr: Transaction) -> None:
        blob_rows.attach(tr, ref, len(data))
        tr.put(P + b"blob" + name.encode(), b"%d %d" % ref)

    await transact(engine, body)
    say(f"blob {name}")


async def drop_blob(engine: EmbeddedEngine, name: str) -> None:
    key = P + b"blob" + name.encode()

    async def body(tr: Transaction) -> None:
        raw = await tr.get(key)
        assert raw is not None
        await blob_rows.release(tr, BlobRef(*map(int, raw.split())))
        tr.delete(key)

    await transact(engine, body)
    say(f"gone {name}")
    system = engine.system_stores()[0]
    await blob_rows.drain_deletions(system, engine.blobs, 10, before=system.oldest_cut())


async def write(engine: EmbeddedEngine, life: int, writer: int) -> None:
    for turn in range(COUNT):
        say(f"row {writer} {await write_row(engine, writer)}")
        if turn % 10 == 5:
            await write_blob(engine, f"{life}-{writer}-{turn}")
        if turn % 40 == 30:
            await drop_blob(engine, f"{life}-{writer}{DROPPED}")


async def live(root: Path, life: int) -> None:
    engine = await EmbeddedEngine.open(
        root / "store", clock=SystemClock(), settings=settings(root), encryption=SEALED
    )
    archive = engine.archive_state
    assert archive is not None
    before = archive.upto
    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(engine, life, writer))
    while archive.upto == before:  # noqa: ASYNC110 (nothing says so; each life drops from the spool)
        await asyncio.sleep(0.01)
    if life < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    await engine.close()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2])))
    else:
        for number in range(4):
            # The first dies in its first start, with everything in place and not durable yet.
            ended = subprocess.run(
                [*sys.orig_argv, str(number)],
                check=False,
                env={**os.environ, DIE_AT: NAMED if number == 0 else ""},
            ).returncode
            assert ended == (0 if number == 3 else -signal.SIGKILL), ended
