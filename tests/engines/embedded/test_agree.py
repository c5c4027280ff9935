"""``check`` finds rows that do not agree, although each of them is what was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import pytest
from tests.engines.embedded.conftest import SEALED

from fogbank.base.clock import SystemClock
from fogbank.engines.embedded.check import check, examine
from fogbank.engines.embedded.offline import OfflineRows
from fogbank.engines.embedded.rows import make_rows, open_rows
from fogbank.engines.embedded.spool import SPOOL, ArchiveSettings, entries
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.blobs import chunks
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import SYSTEM, Domain, StoredRows, Token, Transaction
from fogbank.platform.store.keyspace import BLOB_DELETIONS, LEASES, TOKENS, system_prefix
from fogbank.platform.store.keyspace import partition_of as part
from fogbank.platform.store.lease import LeaseRecord, acquire, lease_key
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix

DOMAIN = Domain("account", "region")
TOKEN = Token("1" * 12, "dynamodb", "TransactWriteItems", "t", b"d", 600_000)
REF = BlobRef(1, 1)
BODY, SECRET = bytes(20_000), b"whose body it is"
CHUNK = blake2b(BODY, digest_size=chunks.ID_BYTES, key=SECRET).digest()


async def once() -> AsyncIterator[bytes]:
    yield b"body"


async def filled(engine: EmbeddedEngine) -> None:
    """Write one of everything that a check compares."""
    ref = await engine.blobs.name()
    assert ref == REF
    await engine.blobs.write(ref, once())

    async def body(tr: Transaction) -> int:
        await chunks.place(tr, BODY, SECRET)
        blob_rows.attach(tr, ref, 4)
        return 1

    await engine.store_of(DOMAIN).transact(body, token=TOKEN)
    assert await acquire(engine.store_of(SYSTEM), "shard", "one", 10_000) is not None


def planted(
    tmp_path: Path, plant: Callable[[Transaction], Awaitable[None]] | None, **settings: Any
) -> list[str]:
    """Return what a check finds in a store into which a transaction planted damage."""

    async def run() -> None:
        engine = await EmbeddedEngine.open(
            tmp_path / "store",
            clock=SystemClock(),
            settings=Settings(segment_bytes=1 << 16, **settings),
            encryption=SEALED,
        )
        await filled(engine)
        if plant is not None:
            await engine.store_of(DOMAIN).transact(plant)
        await engine.close()

    asyncio.run(run())
    return check(tmp_path / "store", SEALED)


def test_what_agrees_is_clean(tmp_path: Path) -> None:
    assert planted(tmp_path, None) == []


async def lose_blob_row(tr: Transaction) -> None:
    blob_rows.ROWS.delete(tr, REF.incarnation, REF.number)


async def lose_file_entry(tr: Transaction) -> None:
    tr.delete(blob_rows.file_key(part(DOMAIN), REF))


async def change_size(tr: Transaction) -> None:
    blob_rows.ROWS.put(tr, blob_rows.BlobRow(5, 1), REF.incarnation, REF.number)


async def count_to_nothing(tr: Transaction) -> None:
    blob_rows.ROWS.put(tr, blob_rows.BlobRow(4, 0), REF.incarnation, REF.number)


async def queue_a_live_one(tr: Transaction) -> None:
    deletion = blob_rows.BlobDeletion(REF.incarnation, REF.number)
    tr.append(system_prefix(BLOB_DELETIONS, part(DOMAIN)), encode(deletion))


async def lose_token_row(tr: Transaction) -> None:
    tr.delete(tokens.row_key(DOMAIN, TOKEN))


async def lose_token_entry(tr: Transaction) -> None:
    prefix = system_prefix(TOKENS, part(DOMAIN))
    rows = await tr.range(prefix, prefix + b"\xff", limit=9)
    tr.delete(next(key for key, _ in rows if key != tokens.row_key(DOMAIN, TOKEN)))


async def spoil_lease(tr: Transaction) -> None:
    tr.put(lease_key("shard"), encode(LeaseRecord("one", 0, 1)))


async def replace_lease(tr: Transaction) -> None:
    tr.put(system_prefix(LEASES, 0) + b"x", b"no lease")


async def lose_chunk_body(tr: Transaction) -> None:
    chunks.BODIES.delete(tr, CHUNK)


async def lose_chunk_count(tr: Transaction) -> None:
    chunks.COUNTS.delete(tr, CHUNK)


async def count_chunk_to_nothing(tr: Transaction) -> None:
    chunks.COUNTS.put(tr, chunks.ChunkCount(0), CHUNK)


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lose_chunk_body, "has no body"),
        (lose_chunk_count, "has no count"),
        (count_chunk_to_nothing, "has a count without references"),
        (lose_blob_row, "the blob 1-1 has a row that says None"),
        (lose_file_entry, "an entry of its file that says None"),
        (change_size, "the blob 1-1 has a row that says"),
        (count_to_nothing, "the blob 1-1 has a row with no reference"),
        (queue_a_live_one, "queued for deletion"),
        (lose_token_row, "the token row for the entry"),
        (lose_token_entry, "of a token row is missing"),
        (spoil_lease, "has no epoch"),
        (replace_lease, "not a LeaseRecord"),
    ],
)
def test_rows_that_do_not_agree_are_found(tmp_path: Path, plant: Any, said: str) -> None:
    findings = planted(tmp_path, plant)
    assert any(said in finding for finding in findings), findings


def test_damage_in_the_spool_of_the_archive_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "store" / SPOOL
    assert planted(tmp_path, None, archive=ArchiveSettings(tmp_path / "backups")) == []
    about = entries(folder)[0]
    groups, line = folder / f"{about.name}.groups", folder / f"{about.name}.json"
    for path in (groups, line):
        raw = path.read_bytes()
        path.write_bytes(raw[:-1] + b"?")
        assert any(str(path) in finding for finding in check(tmp_path / "store", SEALED))
        path.write_bytes(raw)
    raw = groups.read_bytes()
    groups.unlink()
    assert check(tmp_path / "store", SEALED) == [f"{groups} is missing"]
    groups.write_bytes(raw)
    (folder / "stranger").touch()
    assert check(tmp_path / "store", SEALED) == [
        f"{folder / 'stranger'} does not belong to the archive"
    ]


def test_services_are_asked_where_nothing_else_is_wrong(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def agreement(stored: StoredRows) -> Iterator[str]:
        end = after_prefix(DOMAIN.prefix)
        seen.extend(key for key, _ in stored.rows(DOMAIN.prefix, end))
        assert [stored.get(key) is None for key in seen] == [False] * len(seen)
        yield "they disagree"

    assert planted(tmp_path, None) == []
    assert examine(tmp_path / "store", SEALED, [agreement]).damage == ["they disagree"]
    # A chunk's body and count, and the row of a blob.
    assert len(seen) == 3
    assert seen == sorted(seen)


class Plain:
    """Seals that change nothing."""

    def opener(self, _get: object) -> Callable[[bytes, bytes], bytes]:
        return lambda _key, raw: raw


def no_blob(_ref: BlobRef) -> bytes:
    raise AssertionError("no row refers to a blob")


def test_newer_rows_lie_over_those_that_are_settled(tmp_path: Path) -> None:
    """Replaced, removed, between, before and behind them: a range and a get see the same."""
    key = [b"x" + bytes((number,)) for number in range(10)]
    make_rows(tmp_path)
    with open_rows(tmp_path) as env:
        with env.begin(write=True) as txn:
            for number in (1, 2, 4, 6, 7):
                txn.put(key[number], b"old")
        laid = {key[0]: b"new", key[2]: b"new", key[3]: b"new", key[4]: None, key[8]: b"new"}
        laid |= {key[5]: None, key[9]: None}
        with env.begin() as txn:
            stored = OfflineRows(txn, cast("Any", Plain()), laid, no_blob)
            expected = {0: b"new", 1: b"old", 2: b"new", 3: b"new", 6: b"old", 7: b"old", 8: b"new"}
            assert [stored.get(each) for each in key] == [expected.get(n) for n in range(10)]
            for begin in range(10):
                for end in range(begin, 10):
                    found = [*stored.rows(key[begin], key[end])]
                    assert found == [
                        (key[n], value) for n, value in expected.items() if begin <= n < end
                    ]
