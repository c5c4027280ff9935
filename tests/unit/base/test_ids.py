"""Identifiers: what they look like, and that a seed repeats them."""

from __future__ import annotations

import uuid
from functools import reduce
from operator import and_, or_

from fogbank.base.ids import Ids

MANY = 300


def test_uuids_are_of_version_4_and_no_two_are_the_same() -> None:
    ids = Ids()
    drawn = [ids.uuid() for _ in range(MANY)]
    assert len(set(drawn)) == MANY
    for text in drawn:
        read = uuid.UUID(text)
        assert (read.version, read.variant, str(read)) == (4, uuid.RFC_4122, text)


def test_all_bits_of_a_uuid_are_drawn_but_those_that_say_what_it_is() -> None:
    ids = Ids.seeded(1)
    drawn = [uuid.UUID(ids.uuid()).int for _ in range(MANY)]
    fixed = uuid.UUID("00000000-0000-f000-c000-000000000000").int
    assert reduce(or_, drawn) == uuid.UUID("ffffffff-ffff-4fff-bfff-ffffffffffff").int
    assert reduce(and_, drawn) == uuid.UUID("00000000-0000-4000-8000-000000000000").int & fixed


def test_ids_of_one_seed_repeat() -> None:
    one, other = Ids.seeded(7), Ids.seeded(7)
    assert [one.uuid() for _ in range(MANY)] == [other.uuid() for _ in range(MANY)]
    assert one.base32(16) == other.base32(16)
    assert Ids.seeded(8).uuid() != Ids.seeded(7).uuid()
