"""A record that an older program wrote is read in its newest version, and written so."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import pytest

from fogbank.base.errors import Corrupt
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.records import Record, Table, encode

DOMAIN = Domain("account", "region")


class PlaceOne(Record, frozen=True, array_like=True, tag="test.place/1"):
    name: str


class PlaceTwo(Record, frozen=True, array_like=True, tag="test.place/2"):
    """Names of places got a country; those without one are here."""

    PREVIOUS: ClassVar[type[Record] | None] = PlaceOne
    name: str
    country: str

    @classmethod
    def migrate(cls, old: Any) -> Self:
        return cls(old.name, "here")


class PlaceThree(Record, frozen=True, array_like=True, tag="test.place/3"):
    """Name and country became a path; a field came later, with a default."""

    PREVIOUS: ClassVar[type[Record] | None] = PlaceTwo
    path: tuple[str, ...]
    visits: int = 0

    @classmethod
    def migrate(cls, old: Any) -> Self:
        return cls((old.country, old.name))


PLACES = Table("platform", 0xFC, PlaceThree)
# What each version's program wrote: the bytes, not what today's encoder makes of the class.
GOLDEN = {
    1: bytes.fromhex("92ac746573742e706c6163652f31a3756c6d"),
    2: bytes.fromhex("93ac746573742e706c6163652f32a3756c6da26465"),
    3: bytes.fromhex("92ac746573742e706c6163652f3392a26465a3756c6d"),
}
NEWEST = {
    1: PlaceThree(("here", "ulm")),
    2: PlaceThree(("de", "ulm")),
    3: PlaceThree(("de", "ulm")),
}


async def test_every_version_is_read_as_the_newest_and_written_as_it(engine: Any) -> None:
    store = engine.store_of(DOMAIN)

    async def plant(tr: Transaction) -> None:
        for version, raw in GOLDEN.items():
            tr.put(PLACES.key(DOMAIN, version), raw)

    async def visit(tr: Transaction) -> list[PlaceThree | None]:
        found = [await PLACES.find(tr, version) for version in GOLDEN]
        for version, place in zip(GOLDEN, found, strict=True):
            assert place is not None
            PLACES.put(tr, PlaceThree(place.path, place.visits + 1), version)
        return found

    async def look(tr: Transaction) -> Any:
        raw = [await tr.get(PLACES.key(DOMAIN, version)) for version in GOLDEN]
        return raw, [place for _, place in await PLACES.list(tr, limit=9)]

    await store.transact(plant)
    assert await store.transact(visit) == [NEWEST[version] for version in GOLDEN]
    raw, places = await store.read(look)
    assert places == [PlaceThree(NEWEST[version].path, 1) for version in GOLDEN]
    assert raw == [encode(place) for place in places]


async def test_a_version_that_is_not_known_is_refused(engine: Any) -> None:
    async def plant(tr: Transaction) -> None:
        tr.put(PLACES.key(DOMAIN, 4), GOLDEN[3].replace(b"place/3", b"place/4"))

    async def find(tr: Transaction) -> Any:
        return await PLACES.find(tr, 4)

    await engine.store_of(DOMAIN).transact(plant)
    with pytest.raises(Corrupt, match="not a Place"):
        await engine.store_of(DOMAIN).read(find)
