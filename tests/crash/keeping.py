"""What an operator does with a store, recorded by ``test_power_cut.py``.

Run as ``python keeping.py ROOT``: backups of which one is killed, a rotation of keys, a restore
that rolls forward, the removal of an old backup. What is done goes to the standard output, a line
each: ``row COUNT``, ``plain COUNT``, ``alone COUNT``, ``key COUNT``, ``backup NAME COUNT``,
``kept NAME``, ``restored COUNT``.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.crash import cutting
from tests.crash.disk.labels.sitecustomize import DIE_AT

from fogbank.base.clock import SystemClock
from fogbank.base.errors import CutRevoked
from fogbank.engines.embedded.cut import BackupRequest
from fogbank.engines.embedded.keys import rotate
from fogbank.engines.embedded.manifest import MANIFEST
from fogbank.engines.embedded.restore import (
    begin_store,
    copy_data_files,
    find_backup,
    require_whole,
    restore_store,
)
from fogbank.engines.embedded.retention import keep_newest
from fogbank.engines.embedded.rollforward import Until
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.server.datadir import make_data_dir

PLACED = "files.sync_folder<place.sync_folders<backup._Writer.finish"
ALONE = "alone"
"""The set of the store that has no archive."""
SECRET = "what stands beside the store"


async def opened(root: Path, folder: Path) -> EmbeddedEngine:
    return await EmbeddedEngine.open(
        folder, clock=SystemClock(), settings=cutting.settings(root), encryption=cutting.SEALED
    )


async def add(engine: EmbeddedEngine, rows: int) -> int:
    count = 0
    for _ in range(rows):
        count = await cutting.write_row(engine, 0)
        cutting.say(f"row {count}")
    await cutting.write_blob(engine, f"{count}")
    return count


async def back_up(engine: EmbeddedEngine, root: Path, name: str, rows: int) -> None:
    beside = ((str(root / "beside"), "data/tls/beside"),)
    await engine.back_up(BackupRequest(root / "set", name, beside, link=name != "one"))
    cutting.say(f"backup {name} {rows}")


async def first_life(root: Path) -> None:
    plain = await EmbeddedEngine.open(root / "plain", clock=SystemClock())
    count = await cutting.write_row(plain, 0)
    cutting.say(f"plain {count}")
    # A set that no archiver has made before.
    await plain.back_up(BackupRequest(root / ALONE, "alone"))
    cutting.say(f"alone {count}")
    await plain.close()
    engine = await opened(root, root / "store")
    await back_up(engine, root, "one", await add(engine, 20))
    await back_up(engine, root, "two", await add(engine, 20))
    await engine.close()
    rotate(root / "store", cutting.SEALED, SystemClock())
    cutting.say("key 2")


async def second_life(root: Path) -> None:
    """Begin a backup whose writer is killed when the blobs are in their places, not yet durably."""
    engine = await opened(root, root / "store")
    await add(engine, 20)
    with suppress(CutRevoked):
        await engine.back_up(BackupRequest(root / "set", "killed"))
    assert not (root / "set" / "killed" / MANIFEST).exists()
    await engine.close()


async def third_life(root: Path) -> None:
    engine = await opened(root, root / "store")
    rows = await add(engine, 20)
    await back_up(engine, root, "three", rows)
    rows = await add(engine, 20)
    await engine.close()
    engine = await opened(root, root / "store")  # what was closed is carried into the archive
    while list((root / "store" / "archive").glob("*.json")):  # noqa: ASYNC110 (a thread)
        await asyncio.sleep(0.01)
    await engine.close()
    make_data_dir(root / "copy")
    manifest = find_backup(root / "set", "two")
    require_whole(root / "set", manifest)
    begin_store(root / "copy" / "store")
    cutting.say(f"begun {rows}")
    restore_store(root / "set", manifest, root / "copy" / "store", Until())
    copy_data_files(root / "set", manifest, root / "copy")
    cutting.say(f"restored {rows}")
    keep_newest(root / "set", 1, 1)
    cutting.say("kept three")


LIVES = (first_life, second_life, third_life)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if len(sys.argv) == 3:
        asyncio.run(LIVES[int(sys.argv[2])](folder))
    else:
        (folder / "beside").write_text(SECRET)
        for number in range(len(LIVES)):
            subprocess.run(
                [*sys.orig_argv, str(number)],
                check=True,
                env={**os.environ, DIE_AT: PLACED if number == 1 else ""},
            )
