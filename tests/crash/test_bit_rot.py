"""Bit rot in every kind of file that a data directory and a backup set hold: it is found and named.

The table below is compared with what a populated directory really contains, so that no new kind of
file comes without an entry. Rows, frames and groups that rotted are never served
(``tests/engines/embedded``); here each file is found by ``fogbank check`` or refused by ``fogbank
restore``, by name, wherever a bit of it turned.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import pytest
from tests.crash.test_main_job import build

from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.engines.embedded.check import examine
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.restore import find_backup
from fogbank.engines.embedded.rollforward import Until
from fogbank.engines.embedded.spool import ABOUT, GROUPS, entries
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.server.keys import read_root_key
from fogbank.server.restores import RestoreRefused, restore_into
from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

SETTLE_S = 60
SETTINGS = '[archive]\nfolder = "../set"\ninterval_ms = 100\n'


class World:
    """A data directory whose server was killed, with the backup set of its archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.trials = 0

    def files(self) -> list[str]:
        found = [
            path.relative_to(self.root)
            for folder in (self.data, self.root / "set")
            for path in folder.rglob("*")
            if path.is_file()
        ]
        return sorted(path.as_posix() for path in found)

    def has_line(self, groups: str) -> bool:
        """Return whether groups are an entry, and not what a crash left of one."""
        return (self.root / groups).with_suffix(ABOUT).exists()

    def check(self) -> list[str]:
        """Return what ``fogbank check`` finds."""
        encryption = Encryption(read_root_key(self.data / "root.key"), Ids().random_bytes)
        report = examine(self.data / "store", encryption)
        return report.damage + report.torn

    def restore(self) -> list[str]:
        """Return why ``fogbank restore --until latest`` refuses."""
        self.trials += 1
        into = self.root / f"restored-{self.trials}"
        into.mkdir()
        try:
            restore_into(self.root / "set", "", into, Until())
        finally:
            shutil.rmtree(into)
        return []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("rot"))
    server = Server(world.data, settings=SETTINGS)
    server.start()
    build(server)
    s3 = server.client("s3")
    s3.put_object(Bucket="photos", Key="inline", Body=b"inline")
    s3.put_object(Bucket="photos", Key="blob", Body=bytes(300_000))
    done = server.run("backup", str(world.root / "set"))
    assert done.returncode == 0, done.stderr
    s3.put_object(Bucket="photos", Key="later", Body=bytes(300_000))
    newest = find_backup(world.root / "set").head.version
    deadline = time.monotonic() + SETTLE_S
    while all(about.last <= newest for about in entries(world.root / "set" / "log")):
        assert time.monotonic() < deadline, "the archive gets nothing behind the backup"
        time.sleep(0.05)
    # From here on the archive takes nothing, so that the spool keeps what the log gets.
    (world.root / "set").rename(world.root / "kept")
    (world.root / "set").write_bytes(b"")
    s3.put_object(Bucket="photos", Key="last", Body=b"last")
    while not list((world.data / "store" / "archive").glob("*.json")):
        assert time.monotonic() < deadline, "the spool gets nothing"
        time.sleep(0.05)
    server.client("lambda").invoke(FunctionName="job", Payload=b'{"Records": []}')
    server.kill()
    (world.root / "set").unlink()
    (world.root / "kept").rename(world.root / "set")
    return world


@contextmanager
def rotted(path: Path, offset: int) -> Iterator[None]:
    """Turn one bit of a file for a while."""
    with path.open("r+b") as file:
        for _ in range(2):
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x04]))
            file.flush()
            if _ == 0:
                yield


Finder = Callable[[World], list[str]]
CHECK, RESTORE = World.check, World.restore
KINDS: dict[str, Finder] = {
    "data/store/store.note": CHECK,
    "data/store/anew.note": CHECK,
    "data/store/cloud.note": CHECK,
    "data/store/keyring": CHECK,
    "data/store/log/*.log": CHECK,
    "data/store/rows/data.mdb": CHECK,
    "data/store/rows/pages.sums": CHECK,
    "data/store/blobs/numbers.note": CHECK,
    "data/store/blobs/*/*/*/*.blob": CHECK,
    "data/store/archive/*.groups": CHECK,
    "data/store/archive/*.json": CHECK,
    "data/store/archive/moments": CHECK,
    "set/*/manifest.jsonl": RESTORE,
    "set/*/rows.dump": RESTORE,
    "set/*/store/*": RESTORE,
    "set/*/data/*": RESTORE,
    "set/blobs/*/*/*/*.blob": RESTORE,
    "set/log/*.groups": RESTORE,
    "set/log/*.json": RESTORE,
    "set/log/keyring": RESTORE,
}
NEITHER = {
    "data/store/*.lock": "empty",
    "data/store/rows/lock.mdb": "made anew at each start",
    "set/cloud.note": "the next backup or archived part is refused, and names it",
    "data/root.key": "a start, check and backup refuse a key that did not seal the store",
    "data/credentials.json": "the text that fogbank env prints; the store has the keys themselves",
    "data/server.json": "made anew at each start",
    "data/control.sock": "a socket",
    "data/functions/code/**": "checked against its manifest at its first use, and made anew",
    "data/functions/expected": "a hint; a runtime that there is not is not expected",
}
"""What neither a check nor a restore looks at, and why."""


def kind_of(file: str) -> list[str]:
    path = PurePath(file)
    found = [pattern for pattern in (*KINDS, *NEITHER) if matches(path, pattern)]
    assert len(found) <= 1, (file, found)
    return found


def matches(path: PurePath, pattern: str) -> bool:
    """Return whether a path has as many parts as a pattern and each fits; ``**``: any below."""
    if pattern.endswith("/**"):
        return path.as_posix().startswith(pattern.removesuffix("**"))
    parts = PurePath(pattern).parts
    return len(parts) == len(path.parts) and path.match(pattern)


def test_every_file_is_of_a_kind_that_is_known(world: World) -> None:
    kinds = {file: kind_of(file) for file in world.files()}
    assert [file for file, kind in kinds.items() if not kind] == []
    there = {kind for found in kinds.values() for kind in found}
    assert KINDS.keys() - there == set()
    assert world.check() == []
    assert world.restore() == []


@pytest.mark.parametrize("pattern", KINDS)
def test_a_bit_that_turned_is_found_and_its_file_is_named(world: World, pattern: str) -> None:
    # The last one: what the archive has from before a backup is not read with it.
    files = [file for file in world.files() if kind_of(file) == [pattern]]
    file = [file for file in files if not file.endswith(GROUPS) or world.has_line(file)][-1]
    path = world.root / file
    size = path.stat().st_size
    for offset in sorted({0, size // 3, size // 2, size * 4 // 5, size - 1}):
        with rotted(path, offset):
            try:
                found = KINDS[pattern](world)
            except (Corrupt, KeyRefused, RestoreRefused) as error:
                found = [str(error)]
        assert any(path.name in finding for finding in found), (offset, found)
    assert world.check() == []


def test_a_restore_makes_anew_what_rotted(world: World) -> None:
    """What was acknowledged is there, though every byte of the store was lost."""
    into = Server(world.root / "again")
    into.data_dir.mkdir()
    restore_into(world.root / "set", "", into.data_dir, Until())
    shutil.copy(world.data / "root.key", into.data_dir / "root.key")
    with into:
        s3 = into.client("s3")
        for key, body in (("inline", b"inline"), ("blob", bytes(300_000))):  # of the backup
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body
