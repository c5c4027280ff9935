"""Bodies sealed under keys that follow one another."""

from __future__ import annotations

import pytest

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.sealer import SEALER_BYTES, BodySealer

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BODY = b"what is sealed"


def sealer(active: int = 1, about: bytes = b"table") -> BodySealer:
    return BodySealer({1: OLD, 2: NEW}, active, about)


def test_what_was_sealed_is_opened_by_whatever_key_sealed_it() -> None:
    sealed = [sealer(each).seal(b"item", BODY, b"here") for each in (1, 2)]
    assert [sealer(2).open(b"item", each) for each in sealed] == [BODY, BODY]
    assert [sealer(2).is_current(each) for each in sealed] == [False, True]
    assert all(BODY not in each for each in sealed)
    assert {len(each) for each in sealed} == {len(BODY) + SEALER_BYTES}


def test_the_same_body_in_the_same_place_is_the_same_and_no_other_is() -> None:
    first = sealer().seal(b"item", BODY, b"here")
    assert sealer().seal(b"item", BODY, b"here") == first
    others = [
        sealer().seal(b"item", BODY, b"there"),
        sealer().seal(b"item", BODY + b".", b"here"),
        sealer().seal(b"item", b"e" + BODY, b"her"),
        sealer().seal(b"entry", BODY, b"here"),
        sealer(2).seal(b"item", BODY, b"here"),
    ]
    salts = {each[4:20] for each in (first, *others)}
    assert len(salts) == 1 + len(others), "no two have one subkey"


@pytest.mark.parametrize("name", ["about", "purpose", "damaged", "short", "empty", "key"])
def test_what_is_another_s_or_damaged_is_never_opened(name: str) -> None:
    sealed = sealer().seal(b"item", BODY, b"here")
    by = {"about": sealer(about=b"another"), "key": BodySealer({2: NEW}, 2, b"table")}
    given = {
        "damaged": sealed[:-1] + bytes([sealed[-1] ^ 1]),
        "short": sealed[:10],
        "empty": b"",
    }
    purpose = b"entry" if name == "purpose" else b"item"
    with pytest.raises(Corrupt):
        by.get(name, sealer()).open(purpose, given.get(name, sealed))


def test_a_sealer_tells_nothing_of_its_keys() -> None:
    assert repr(sealer(2)) == "BodySealer([1, 2], active=2)"
