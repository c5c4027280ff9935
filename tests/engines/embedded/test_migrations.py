"""Data directories of every format that there ever was open with today's code, or are refused.

``tests/golden/stores`` holds directories as the programs of their time left them: one stopped in
order, one killed with a log that was not applied. ``filled`` says what was put into them.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.keyfile import PLAIN, Encryption, find_kind
from fogbank.engines.embedded.migrate import FORMAT, STEPS, Identity, Step, find_identity, migrated
from fogbank.engines.embedded.notes import find_note, write_note
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import SYSTEM, Domain, Transaction
from fogbank.platform.store.keyspace import OUTBOX, system_prefix

GOLDEN = Path(__file__).parents[2] / "golden" / "stores"
DOMAIN = Domain("111122223333", "us-east-1")
P = DOMAIN.prefix
BOX = system_prefix(OUTBOX, 3)
TINY = Settings(segment_bytes=1 << 16)
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
HOW_FAR = {"stopped": 60, "killed": 100}
NAMES = sorted(path.name.removesuffix(".tar.xz") for path in GOLDEN.glob("*.tar.xz"))


class Content(NamedTuple):
    rows: dict[bytes, bytes]
    entries: list[bytes]
    blobs: dict[BlobRef, bytes]


def filled(upto: int) -> Content:
    """Return what the golden directories hold: transaction n wrote what stands here."""
    rows: dict[bytes, bytes] = {}
    blobs: dict[BlobRef, bytes] = {}
    for n in range(upto):
        rows[P + b"row %03d" % n] = b"value %d " % n * (n % 50)
        if n % 7 == 0 and n:
            del rows[P + b"row %03d" % (n - 3)]
        if n % 20 == 0:
            # The second start numbered its blobs behind the block of the first.
            number = n // 20 + 1 if n < 60 else 4_097 + (n - 60) // 20
            blobs[BlobRef(1, number)] = b"%d " % n * 40_000
    return Content(rows, [b"entry %d" % n for n in range(upto)], blobs)


async def opened(root: Path, encryption: Encryption = SEALED) -> EmbeddedEngine:
    return await EmbeddedEngine.open(
        root, clock=SystemClock(), settings=TINY, encryption=encryption
    )


async def content_of(root: Path, refs: list[BlobRef], encryption: Encryption = SEALED) -> Content:
    engine = await opened(root, encryption)
    try:

        async def rows(tr: Transaction) -> list[tuple[bytes, bytes]]:
            return await tr.range(P + b"row", P + b"rox", limit=1_000)

        async def sizes(tr: Transaction) -> list[int]:
            found = [await blob_rows.find(tr, ref) for ref in refs]
            return [row.size for row in found if row is not None]

        store = engine.store_of(DOMAIN)
        blobs = {ref: b"".join([part async for part in engine.blobs.read(ref)]) for ref in refs}
        assert await store.read(sizes) == [len(body) for body in blobs.values()]
        entries = await engine.store_of(SYSTEM).tail(BOX, None, 1_000)
        return Content(dict(await store.read(rows)), [value for _, value in entries], blobs)
    finally:
        await engine.close()


def unpacked(name: str, into: Path) -> Path:
    with tarfile.open(GOLDEN / f"{name}.tar.xz") as tar:
        for member in tar:
            path = into / member.name
            if member.isdir():
                path.mkdir(parents=True)
            else:
                content = tar.extractfile(member)
                assert content is not None
                path.write_bytes(content.read())
    return into


async def fill(engine: EmbeddedEngine, begin: int, end: int) -> None:
    """Run the transactions of ``filled``."""
    for n in range(begin, end):
        ref = await engine.blobs.name() if n % 20 == 0 else None

        async def bytes_of(n: int = n) -> AsyncIterator[bytes]:
            yield b"%d " % n * 40_000

        async def body(tr: Transaction, n: int = n, ref: BlobRef | None = ref) -> None:
            tr.put(P + b"row %03d" % n, b"value %d " % n * (n % 50))
            tr.append(BOX, b"entry %d" % n)
            if n % 7 == 0 and n:
                tr.delete(P + b"row %03d" % (n - 3))
            if ref is not None:
                blob_rows.attach(tr, ref, len(b"%d " % n * 40_000))

        if ref is not None:
            await engine.blobs.write(ref, bytes_of())
        await engine.store_of(DOMAIN).transact(body)


def packed(root: Path, how: str) -> None:
    with tarfile.open(GOLDEN / f"format-{FORMAT}-{how}.tar.xz", "w:xz") as tar:
        for path in sorted(root.rglob("*")):
            if not path.name.endswith((".lock", "lock.mdb")):
                info = tar.gettarinfo(path, path.relative_to(root).as_posix())
                info.uid = info.gid = info.mtime = 0
                info.uname = info.gname = ""
                tar.addfile(info, io.BytesIO(path.read_bytes()) if path.is_file() else None)


async def rewrite(root: Path) -> None:
    """Make the golden directories of today's format."""
    engine = await opened(root)
    await fill(engine, 0, HOW_FAR["stopped"])
    await engine.close()
    packed(root, "stopped")
    engine = await opened(root)
    await fill(engine, HOW_FAR["stopped"], HOW_FAR["killed"])
    await asyncio.wrap_future(engine._core.turnover._thread.submit(lambda: None))
    packed(root, "killed")
    await engine.close()


def test_there_is_a_golden_directory_of_every_format_stopped_and_killed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    wanted = {f"format-{number}-{how}" for number in range(1, FORMAT + 1) for how in HOW_FAR}
    if request.config.getoption("--rewrite") and wanted != set(NAMES):
        asyncio.run(rewrite(tmp_path / "store"))
    assert wanted == {path.name.removesuffix(".tar.xz") for path in GOLDEN.glob("*.tar.xz")}


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_of_every_format_opens_with_its_content(name: str, tmp_path: Path) -> None:
    root = unpacked(name, tmp_path / "store")
    expected = filled(HOW_FAR[name.rpartition("-")[2]])
    assert asyncio.run(content_of(root, list(expected.blobs))) == expected
    assert find_identity(root) == Identity(FORMAT, 1)
    assert check(root, SEALED) == []
    assert asyncio.run(content_of(root, list(expected.blobs))) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_of_every_format_checks_clean_before_it_was_opened(
    name: str, tmp_path: Path
) -> None:
    assert check(unpacked(name, tmp_path / "store"), SEALED) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("format-1-")])
def test_a_plain_directory_stays_readable_without_a_key_if_encryption_is_off(
    name: str, tmp_path: Path
) -> None:
    root = unpacked(name, tmp_path / "store")
    expected = filled(HOW_FAR[name.rpartition("-")[2]])
    assert asyncio.run(content_of(root, list(expected.blobs), PLAIN)) == expected
    assert find_kind(root) is None
    assert check(root) == []


def test_a_newer_format_is_refused_and_not_touched(tmp_path: Path) -> None:
    root = unpacked(NAMES[0], tmp_path / "store")
    write_note(root / "store.note", {"format": FORMAT + 1, "incarnation": 1})
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(Corrupt, match=rf"format {FORMAT + 1}; .* up to {FORMAT}: start a newer"):
        asyncio.run(content_of(root, []))
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert {path: raw for path, raw in after.items() if path.suffix != ".lock"} == before
    write_note(root / "store.note", {"format": 0, "incarnation": 1})
    with pytest.raises(Corrupt, match="there never was"):
        asyncio.run(content_of(root, []))


def test_every_format_above_the_first_has_one_step() -> None:
    assert [step.format for step in STEPS] == list(range(2, FORMAT + 1))


class Crash(BaseException):
    pass


def writing(name: str, log: list[str], *, crash: bool = False) -> Callable[[Path], None]:
    """Return a step that leaves a file, and may die in its middle."""

    def run(root: Path) -> None:
        log.append(name)
        (root / name).write_text("half")
        if crash:
            raise Crash
        (root / name).write_text("whole")

    return run


def test_a_step_that_was_cut_short_is_run_again_and_those_before_it_are_not(
    tmp_path: Path,
) -> None:
    write_note(tmp_path / "store.note", {"format": 1, "incarnation": 5})
    log: list[str] = []
    first = Step(2, writing("two", log))
    dying = (first, Step(3, writing("three", log, crash=True)), Step(4, writing("four", log)))
    with pytest.raises(Crash):
        migrated(tmp_path, Identity(1, 5), dying)
    assert find_note(tmp_path / "store.note") == {"format": 2, "incarnation": 5}
    whole = (first, Step(3, writing("three", log)), Step(4, writing("four", log)))
    found: Any = find_identity(tmp_path, newest=4)
    assert migrated(tmp_path, found, whole) == Identity(4, 5)
    assert log == ["two", "three", "three", "four"]
    assert find_note(tmp_path / "store.note") == {"format": 4, "incarnation": 5}
    assert {name: (tmp_path / name).read_text() for name in log} == dict.fromkeys(log, "whole")
    assert migrated(tmp_path, Identity(4, 5), whole) == Identity(4, 5)
    assert len(log) == 4
