from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Self

import pytest

from fogbank.base.errors import Corrupt
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.store import keyspace
from fogbank.platform.store.engine import DIRECTORY, SYSTEM, Domain, Stamp, Transaction
from fogbank.platform.store.records import Record, RecordDecoder, Table, encode

DOMAIN = Domain("account", "region")


class ThingOne(Record, frozen=True, array_like=True, tag="test.thing/1"):
    name: str


class ThingTwo(Record, frozen=True, array_like=True, tag="test.thing/2"):
    PREVIOUS: ClassVar[type[Record] | None] = ThingOne
    name: str
    size: int = 0

    @classmethod
    def migrate(cls, old: Any) -> Self:
        return cls(old.name, len(old.name))


class Other(Record, frozen=True, array_like=True, tag="test.other/1"):
    name: str


THINGS = Table("platform", 0xFE, ThingTwo)


def run(body: Any, engine: MemoryEngine | None = None) -> Any:
    return asyncio.run((engine or MemoryEngine()).store_of(DOMAIN).transact(body))


def test_domains_of_different_names_have_different_prefixes() -> None:
    names = [("a", "b"), ("ab",), ("a", "b", ""), ("", "ab"), ("b", "a"), ("directory",)]
    domains = [Domain(*name) for name in names]
    assert len({domain.prefix for domain in domains}) == len(names)
    assert Domain("directory") == DIRECTORY
    assert {len(domain.prefix) for domain in domains} == {13}
    assert all(domain.prefix > SYSTEM.prefix for domain in domains)
    with pytest.raises(AssertionError):
        Domain()


def test_stamps_pack_in_order() -> None:
    stamps = [
        Stamp(incarnation, version, index)
        for incarnation in (0, 1, 65_535)
        for version in (0, 255, 256, (1 << 64) - 1)
        for index in (0, 255, 256, 65_535)
    ]
    assert [Stamp.unpack(raw) for raw in sorted(stamp.pack() for stamp in stamps)] == stamps


def test_a_domain_always_writes_to_the_same_partition() -> None:
    partitions = {keyspace.partition_of(Domain(str(n))) for n in range(1_000)}
    assert partitions == set(range(keyspace.PARTITIONS))
    prefixes = {keyspace.system_prefix(1, partition) for partition in partitions}
    assert len(prefixes) == keyspace.PARTITIONS


def test_no_two_owners_share_a_byte() -> None:
    assert len(set(keyspace.SERVICES.values())) == len(keyspace.SERVICES)


def test_a_record_of_an_older_version_decodes_into_the_newest() -> None:
    decode = RecordDecoder(ThingTwo).decode
    assert decode(encode(ThingTwo("a", 9))) == ThingTwo("a", 9)
    assert decode(encode(ThingOne("abc"))) == ThingTwo("abc", 3)
    for raw in (encode(Other("a")), b"", b"\xc1", encode(ThingOne("a"))[:-1]):
        with pytest.raises(Corrupt):
            decode(raw)


def test_a_table_finds_lists_and_deletes_its_records() -> None:
    async def body(tr: Transaction) -> None:
        for bucket in ("a", "b"):
            for n in range(5):
                THINGS.put(tr, ThingTwo(bucket, n), bucket, n)
        assert await THINGS.find(tr, "a", 3) == ThingTwo("a", 3)
        assert await THINGS.find(tr, "a", 9) is None
        rows = await THINGS.list(tr, "a", limit=10)
        assert rows == [((n,), ThingTwo("a", n)) for n in range(5)]
        assert await THINGS.list(tr, "a", limit=2, after=(2,)) == rows[3:]
        assert await THINGS.list(tr, "a", limit=9, after=(2,), reverse=True) == rows[1::-1]
        assert len(await THINGS.list(tr, limit=99)) == 10
        THINGS.delete(tr, "a", 3)
        assert await THINGS.find(tr, "a", 3) is None
        with pytest.raises(AssertionError):
            THINGS.put(tr, Other("a"), "a", 1)  # type: ignore[arg-type]

    run(body)


def test_a_remembered_record_is_decoded_once_and_never_stale() -> None:
    table = Table("platform", 0xFD, ThingTwo, remembered=8)

    async def body(tr: Transaction) -> None:
        table.put(tr, ThingTwo("a", 1), 1)
        first = await table.find(tr, 1)
        assert first == ThingTwo("a", 1)
        assert await table.find(tr, 1) is first
        assert await table.find(tr, "1") is None
        table.put(tr, ThingTwo("a", 2), 1)
        assert await table.find(tr, 1) == ThingTwo("a", 2)
        table.delete(tr, 1)
        assert await table.find(tr, 1) is None

    run(body)
