"""A blob that was written with a key of its own: whoever has only the store's keys has no byte of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from tests.engines.embedded.conftest import Opener
from tests.engines.embedded.test_encryption import (
    DOMAIN,
    OFF,
    PLANTED,
    SEALED,
    files_with,
    once,
    run,
)
from tests.engines.embedded.test_keeping import Source

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import sealing
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.frames import Reader, path_of
from fogbank.engines.embedded.keeping import BlobKeeper
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.rewriting import Rewriting
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef, Wanted
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.platform.store.engine import Transaction
from fogbank.wire.checksums import hasher_of

pytestmark = pytest.mark.slow

LOCK, OTHER = bytes(range(32)), bytes(range(1, 33))
BODY = PLANTED * (2 * FRAME_BYTES // len(PLANTED) + 2)


async def kept(engine: EmbeddedEngine, body: bytes = BODY, lock: bytes | None = LOCK) -> BlobRef:
    """Write a blob with a key, and its row."""
    ref = await engine.blobs.name()
    size = await engine.blobs.write(ref, once(body), lock=lock)

    async def attach(tr: Transaction) -> None:
        blob_rows.attach(tr, ref, size)

    await engine.store_of(DOMAIN).transact(attach)
    return ref


async def read(
    engine: EmbeddedEngine, ref: BlobRef, begin: int = 0, end: int | None = None, **named: Any
) -> bytes:
    return b"".join([chunk async for chunk in engine.blobs.read(ref, begin, end, **named)])


@pytest.mark.parametrize("encryption", [SEALED, OFF])
def test_only_the_key_that_wrote_a_blob_reads_it(
    open_engine: Any, tmp_path: Path, encryption: Encryption
) -> None:
    """Where nothing else is encrypted too."""

    async def work(engine: EmbeddedEngine) -> None:
        ref = await kept(engine)
        assert await read(engine, ref, lock=LOCK) == BODY
        assert await read(engine, ref, 1_000_000, 1_100_000, lock=LOCK) == BODY[1_000_000:1_100_000]
        for wrong, error in ((OTHER, Corrupt), (None, KeyRefused)):
            with pytest.raises(error):
                await read(engine, ref, lock=wrong)
        plain = await kept(engine, b"plain" * 100_000, lock=None)
        with pytest.raises(Corrupt):
            await read(engine, plain, lock=LOCK)

    run(open_engine, work, encryption)
    assert files_with(tmp_path / "store" / "blobs", PLANTED) == []
    assert files_with(tmp_path / "store", LOCK) == []
    assert check(tmp_path / "store", encryption) == []


def test_frames_that_changed_their_places_are_damage(open_engine: Any) -> None:
    """With their entries, and with checks that are right for their new places."""

    async def work(engine: EmbeddedEngine) -> None:
        ref = await kept(engine)
        path = path_of(engine.blobs._root, ref)
        with Reader(engine.blobs._root, ref, None) as reader:
            checks = [reader.check(index) for index in (0, 1)]
            table = reader.size
        raw = bytearray(path.read_bytes())
        first, second = raw[:FRAME_BYTES], raw[FRAME_BYTES : 2 * FRAME_BYTES]
        raw[: 2 * FRAME_BYTES] = second + first
        length = sealing.ENTRY_BYTES
        one, two = raw[table : table + length], raw[table + length : table + 2 * length]
        two[:4] = (checks[1] ^ sealing.mask_of(ref, 0)).to_bytes(4)
        one[:4] = (checks[0] ^ sealing.mask_of(ref, 1)).to_bytes(4)
        raw[table : table + 2 * length] = two + one
        path.write_bytes(raw)
        # Who has no key sees nothing wrong; who has it does.
        await engine.blobs.verify(ref)
        with pytest.raises(Corrupt):
            await read(engine, ref, lock=LOCK)

    run(open_engine, work)


def test_damage_is_found_without_the_key(open_engine: Any) -> None:
    async def work(engine: EmbeddedEngine) -> None:
        ref = await kept(engine)
        assert await engine.blobs.verify(ref) == len(BODY)
        path = path_of(engine.blobs._root, ref)
        raw = bytearray(path.read_bytes())
        raw[FRAME_BYTES + 5] ^= 1
        path.write_bytes(raw)
        with pytest.raises(Corrupt):
            await engine.blobs.verify(ref)

    run(open_engine, work)


def test_no_rotation_concerns_a_locked_blob(open_engine: Any) -> None:
    async def work(engine: EmbeddedEngine) -> None:
        ref = await kept(engine)
        root, keys = engine.blobs._root, engine.blobs._keys
        assert Rewriting.find(root, ref, keys) is None
        with Reader(root, ref, None) as reader:
            assert reader.named_keys() == set()

    run(open_engine, work)


def test_another_process_writes_and_reads_with_subkeys_of_the_one_blob(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine() as engine:
            ref, body = await engine.blobs.name(), os.urandom(2 * FRAME_BYTES + 9)
            keeper = BlobKeeper(hasher_of)
            permit = engine.blobs.permit(ref, LOCK)
            await keeper.keep(permit, Wanted(ref, (), 10, 64 << 20), Source(body))
            await engine.blobs.adopt(ref, len(body))
            assert await read(engine, ref, lock=LOCK) == body
            loan = await engine.blobs.lend(ref, 5, FRAME_BYTES + 7, LOCK)
            assert b"".join([each async for each in keeper.read(loan)]) == body[5 : FRAME_BYTES + 7]
            for lent in (permit.sealed_by, *loan.sealed_by):
                assert lent is not None
                assert LOCK not in lent
            with pytest.raises(Corrupt):
                await engine.blobs.lend(ref, 0, None, OTHER)

    asyncio.run(scene())
