"""What lies on the disk is sealed, no nonce comes twice, and only the right secret opens it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.check import check, examine
from fogbank.engines.embedded.frames import path_of
from fogbank.engines.embedded.keyfile import PLAIN, Encryption, find_kind
from fogbank.engines.embedded.keys import read_keys, reseal, rotate
from fogbank.engines.embedded.segment import numbered, segment_path
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.crypto import keyring, keys
from fogbank.platform.crypto.secret import KeyRefused, Scrypt, Secret, no_draw
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.seal import is_sealed

pytestmark = pytest.mark.slow

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
PLANTED = b"the planted plaintext"
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
OFF = Encryption(SEALED.secret, SEALED.draw, enabled=False)
WORDS = Encryption(
    Secret("passphrase", b"correct horse battery"), Ids().random_bytes, scrypt=Scrypt(cost=4)
)


async def put(engine: EmbeddedEngine, name: str, value: bytes) -> None:
    async def body(tr: Transaction) -> None:
        tr.put(P + name.encode(), value)

    await engine.store_of(DOMAIN).transact(body)


async def got(engine: EmbeddedEngine, name: str) -> bytes | None:
    async def body(tr: Transaction) -> bytes | None:
        return await tr.get(P + name.encode())

    return await engine.store_of(DOMAIN).read(body)


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def kept(engine: EmbeddedEngine, body: bytes) -> BlobRef:
    """Write a blob and its row."""
    ref = await engine.blobs.name()
    size = await engine.blobs.write(ref, once(body))

    async def attach(tr: Transaction) -> None:
        blob_rows.attach(tr, ref, size)

    await engine.store_of(DOMAIN).transact(attach)
    return ref


async def body_of(engine: EmbeddedEngine, ref: BlobRef) -> bytes:
    return b"".join([chunk async for chunk in engine.blobs.read(ref)])


async def copied(engine: EmbeddedEngine, to: Path) -> None:
    """Copy the directory as a crash at this moment would leave it."""
    # A file that is renamed while it is copied would be missing, as after no crash.
    await asyncio.wrap_future(engine._core.turnover._thread.submit(lambda: None))
    shutil.copytree(engine._opened.root, to)


def files_with(folder: Path, planted: bytes) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and planted in path.read_bytes()
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def stored(folder: Path) -> dict[bytes, bytes]:
    """Return the rows as they lie in the file."""
    with rows.open_rows(folder / "rows") as env, env.begin() as txn:
        return {key: raw for key, raw in rows.walk_rows(txn) if not rows.is_own(key)}


def run(open_engine: Any, work: Any, encryption: Encryption = SEALED, **settings: Any) -> Any:
    async def opened() -> Any:
        async with open_engine(encryption=encryption, **settings) as engine:
            return await work(engine)

    return asyncio.run(opened())


async def fill(engine: EmbeddedEngine) -> BlobRef:
    """Write planted rows through several segments of the log, and a planted blob."""
    for n in range(60):
        await put(engine, f"row{n % 9}", b"%s %d " % (PLANTED, n) * 40)
    return await kept(engine, PLANTED * (FRAME_BYTES // 10))


def test_nothing_that_was_written_lies_open_in_any_file(open_engine: Any, tmp_path: Path) -> None:
    async def work(engine: EmbeddedEngine) -> None:
        await fill(engine)
        await copied(engine, tmp_path / "crashed")

    run(open_engine, work)
    for folder in (tmp_path / "crashed", tmp_path / "store"):
        assert numbered(folder / "log") or folder.name == "store"
        assert files_with(folder, PLANTED[:12]) == []
        assert check(folder, SEALED) == []


def test_without_encryption_the_same_search_finds_all_three_places(
    open_engine: Any, tmp_path: Path
) -> None:
    async def work(engine: EmbeddedEngine) -> None:
        await fill(engine)
        await copied(engine, tmp_path / "crashed")

    run(open_engine, work, PLAIN)
    found = files_with(tmp_path / "crashed", PLANTED[:12])
    assert {name.split("/")[0] for name in found} == {"rows", "log", "blobs"}


class Collector:
    """Stands for AES-GCM and notes what was sealed with which key and nonce."""

    def __init__(self) -> None:
        self.used: list[tuple[bytes, bytes]] = []

    def __call__(self, key: bytes) -> Any:
        cipher, used = AESGCM(key), self.used

        class Noting:
            decrypt = cipher.decrypt

            def encrypt(self, nonce: bytes, body: Any, about: bytes) -> bytes:
                used.append((key, bytes(nonce)))
                return cipher.encrypt(nonce, body, about)

        return Noting()


def test_no_nonce_is_used_twice_over_crashes_recoveries_copies_and_rotations(
    open_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    for module in (keys, keyring):
        monkeypatch.setattr(module, "AESGCM", collector)

    async def work(engine: EmbeddedEngine) -> None:
        ref = await fill(engine)
        whole = await engine.blobs.name()
        await engine.blobs.concat(whole, [ref, ref])

    async def from_copy(folder: Path, life: int) -> None:
        # Two lives go on from the same bytes: the same versions, numbers of blobs and row keys.
        for name in "ab":
            shutil.copytree(folder, tmp_path / f"{life}{name}")
            engine = await EmbeddedEngine.open(
                tmp_path / f"{life}{name}", clock=SystemClock(), encryption=SEALED
            )
            try:
                await work(engine)
                await copied(engine, tmp_path / f"{life}{name}-crashed")
            finally:
                await engine.close()

    async def first(engine: EmbeddedEngine) -> None:
        await work(engine)
        await copied(engine, tmp_path / "0a-crashed")

    run(open_engine, first)
    for life in range(1, 3):
        asyncio.run(from_copy(tmp_path / f"{life - 1}a-crashed", life))
        rotate(tmp_path / f"{life}a-crashed", SEALED, SystemClock())
    reseal(tmp_path / "2a-crashed", SEALED, WORDS)
    assert len(collector.used) > 400
    assert len(set(collector.used)) == len(collector.used)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (Secret("file", bytes(32)), "not the one"),
        (Secret("passphrase", b"correct horse battery"), "another kind"),
        (None, "is needed"),
    ],
)
def test_another_secret_is_refused_and_nothing_is_touched(
    open_engine: Any, tmp_path: Path, secret: Secret | None, said: str
) -> None:
    async def work(engine: EmbeddedEngine) -> None:
        await fill(engine)
        await copied(engine, tmp_path / "crashed")

    run(open_engine, work)
    wrong = Encryption(secret, SEALED.draw)
    for folder in (tmp_path / "crashed", tmp_path / "store"):
        (folder / "rows" / "lock.mdb").unlink(missing_ok=True)
        before = contents(folder)
        with pytest.raises(KeyRefused, match=said):
            asyncio.run(EmbeddedEngine.open(folder, clock=SystemClock(), encryption=wrong))
        (folder / "rows" / "lock.mdb").unlink(missing_ok=True)
        assert contents(folder) == before
        assert check(folder, SEALED) == []


def test_a_lost_keyring_is_not_replaced_by_one_that_opens_nothing(
    open_engine: Any, tmp_path: Path
) -> None:
    run(open_engine, fill)
    (tmp_path / "store" / "keyring").unlink()
    for encryption in (SEALED, PLAIN):
        with pytest.raises(KeyRefused, match="keyring is missing"):
            run(open_engine, fill, encryption)
    assert not (tmp_path / "store" / "keyring").exists()


def test_a_damaged_keyring_is_refused_and_found(open_engine: Any, tmp_path: Path) -> None:
    run(open_engine, fill)
    path = tmp_path / "store" / "keyring"
    raw = bytearray(path.read_bytes())
    raw[60] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Corrupt, match="keyring"):
        run(open_engine, fill)
    assert any("keyring" in finding for finding in check(tmp_path / "store", SEALED))


def test_after_a_rotation_new_writes_have_the_new_key_and_old_ones_are_read(
    open_engine: Any, tmp_path: Path
) -> None:
    root = tmp_path / "store"

    async def before(engine: EmbeddedEngine) -> BlobRef:
        await put(engine, "old", PLANTED)
        return await kept(engine, PLANTED)

    ref = run(open_engine, before)
    raw = path_of(root / "blobs", ref).read_bytes()
    assert rotate(root, SEALED, SystemClock()).id == 2
    assert read_keys(root, SEALED).active == 2

    async def after(engine: EmbeddedEngine) -> BlobRef:
        assert await got(engine, "old") == PLANTED
        assert await body_of(engine, ref) == PLANTED
        await put(engine, "new", PLANTED)
        whole = await engine.blobs.name()
        await engine.blobs.concat(whole, [ref, ref])
        assert await body_of(engine, whole) == PLANTED * 2
        return await kept(engine, PLANTED)

    newer = run(open_engine, after)
    assert path_of(root / "blobs", ref).read_bytes() == raw
    only_old = keys.DataKeys({1: read_keys(root, SEALED).export()[1]}, active=None, draw=no_draw)
    with pytest.raises(Corrupt, match="data key 2"):
        asyncio.run(verified(root, newer, only_old))
    asyncio.run(verified(root, ref, only_old))
    with rows.open_rows(root / "rows") as env, env.begin() as txn:
        ids = [int.from_bytes(raw[1:5]) for key, raw in rows.walk_rows(txn) if key[:4] == b"\0key"]
    assert set(ids) == {1, 2}


async def verified(root: Path, ref: BlobRef, data_keys: keys.DataKeys) -> None:
    from fogbank.engines.embedded.frames import Reader  # noqa: PLC0415 (only this test needs it)

    with Reader(root / "blobs", ref, data_keys) as reader:
        reader.verify()


def test_another_secret_seals_the_keyring_and_touches_nothing_else(
    open_engine: Any, tmp_path: Path
) -> None:
    ref = run(open_engine, fill)
    root = tmp_path / "store"
    before = contents(root)
    assert reseal(root, SEALED, WORDS) == 1
    assert find_kind(root) == "passphrase"
    after = contents(root)
    assert {name for name in after if after[name] != before.get(name)} == {"keyring"}
    with pytest.raises(KeyRefused):
        run(open_engine, fill)

    async def again(engine: EmbeddedEngine) -> None:
        assert (await got(engine, "row3") or b"").startswith(PLANTED)
        assert (await body_of(engine, ref)).startswith(PLANTED)

    run(open_engine, again, WORDS)
    with pytest.raises(KeyRefused, match="not the one"):
        reseal(root, Encryption(Secret("passphrase", b"something else"), SEALED.draw), SEALED)


def test_a_plain_directory_is_encrypted_as_it_is_written(open_engine: Any, tmp_path: Path) -> None:
    async def plain(engine: EmbeddedEngine) -> BlobRef:
        await put(engine, "kept", PLANTED)
        await put(engine, "rewritten", PLANTED)
        return await kept(engine, PLANTED)

    async def sealed(engine: EmbeddedEngine) -> BlobRef:
        assert await got(engine, "kept") == PLANTED
        assert await body_of(engine, ref) == PLANTED
        await put(engine, "rewritten", PLANTED)
        whole = await engine.blobs.name()
        await engine.blobs.concat(whole, [ref, ref])
        return whole

    ref = run(open_engine, plain, PLAIN)
    root = tmp_path / "store"
    assert find_kind(root) is None
    whole = run(open_engine, sealed)
    assert not is_sealed(stored(root)[P + b"kept"])
    assert is_sealed(stored(root)[P + b"rewritten"])
    assert files_with(root / "blobs", PLANTED) == [
        path_of(root / "blobs", ref).relative_to(root / "blobs").as_posix()
    ]

    async def off(engine: EmbeddedEngine) -> None:
        assert await got(engine, "rewritten") == PLANTED
        assert await body_of(engine, whole) == PLANTED * 2
        await put(engine, "rewritten", PLANTED)
        await put(engine, "new", PLANTED)

    run(open_engine, off, OFF)
    assert not any(is_sealed(raw) for key, raw in stored(root).items() if key.startswith(P))
    assert examine(root, SEALED).damage == []


def test_check_without_a_key_says_what_it_left_out_and_still_finds_damage(
    open_engine: Any, tmp_path: Path
) -> None:
    async def work(engine: EmbeddedEngine) -> BlobRef:
        ref = await fill(engine)
        await copied(engine, tmp_path / "crashed")
        return ref

    ref = run(open_engine, work)
    root = tmp_path / "crashed"
    report = examine(root)
    assert report.damage == []
    assert len(report.unseen) == 1
    assert "no key was given" in report.unseen[0]
    assert check(root) == report.unseen
    blob = path_of(root / "blobs", ref)
    (root / "blobs" / "numbers.note").unlink()
    for path, offset in (
        (blob, 5),
        (segment_path(root / "log", numbered(root / "log")[-1]), 60_000),
    ):
        raw = bytearray(path.read_bytes())
        raw[offset] ^= 1
        path.write_bytes(raw)
        found = examine(root)
        # Behind the last group it may as well be one that a crash tore.
        assert any(str(path) in f for f in [*found.damage, *found.unseen, *found.torn]), path
        raw[offset] ^= 1
        path.write_bytes(raw)


def told_to(pid: int) -> bytes:
    """Return what anybody with the same user can read of a process's start."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


@pytest.mark.slow
@pytest.mark.crash
def test_the_checkpointer_gets_its_keys_over_a_pipe_and_nowhere_else(
    open_engine: Any, tmp_path: Path
) -> None:
    async def work(engine: EmbeddedEngine) -> None:
        for n in range(100):
            await put(engine, f"row{n}", PLANTED * 50)
        pid = engine._core.turnover.checkpointer_pid
        assert pid is not None
        secret = SEALED.secret
        assert secret is not None
        hidden = [secret.value, *engine._opened.keys.export().values()]
        told = told_to(pid)
        for value in hidden:
            for form in (value, value.hex().encode()):
                assert form not in told

    run(open_engine, work, process=True)
    assert files_with(tmp_path / "store", PLANTED) == []
    assert is_sealed(stored(tmp_path / "store")[P + b"row3"])
    assert check(tmp_path / "store", SEALED) == []
