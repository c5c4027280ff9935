"""What ``fogbank check`` says of replicas: nothing at any moment of their life, and what was spoilt."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.unit.services.dynamodb.replicating import REGIONS, World, domain_of
from tests.unit.services.dynamodb.test_agreement import Rows

from fogbank.platform.metering.lags import Way
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.schema import ITEMS
from fogbank.services.dynamodb.schema.replicas import PAIRS, TOMBSTONES, VERSIONS

SOUTH, WEST, EAST = REGIONS


def findings(world: World) -> list[str]:
    stored: Any = SimpleNamespace(engine=world.engine, blobs=world.engine.blobs)
    return list(state.agreement.damage_of(Rows(stored)))


def rows_of(world: World, region: str, kind: Any) -> list[bytes]:
    prefix = domain_of(region).prefix + kind.subspace
    rows: Any = world.engine.rows
    return sorted(key for key in rows if key.startswith(prefix))


@pytest.fixture
def world() -> World:
    """Return replicas that have written, deleted and brought everything."""
    made = World()
    for number, region in enumerate(REGIONS):
        made.write(region, f"key-{number}", region)
    made.catch_up()
    made.write(WEST, "key-0", None)
    made.catch_up()
    return made


@pytest.mark.parametrize("seed", range(6))
def test_at_no_moment_of_their_life_is_anything_wrong_with_replicas(seed: int) -> None:
    draw, world = random.Random(seed), World()
    for _ in range(60):
        region = draw.choice(REGIONS)
        world.pass_ms(draw.choice((0, 1, 5)))
        if draw.random() < 0.5:
            value = None if draw.random() < 0.3 else str(draw.random())
            world.write(region, f"key-{draw.randrange(4)}", value)
        else:
            world.step(draw.choice(world.links()))
        if draw.random() < 0.1:
            world.sweep(region)
        assert findings(world) == [], f"seed {seed}"
    world.catch_up()
    assert findings(world) == [], f"seed {seed}"


def spoil_item(world: World) -> None:
    """Give one replica another item than the others have."""
    rows: Any = world.engine.rows
    mine, *_ = rows_of(world, WEST, ITEMS)
    record = ITEMS.decode(rows[mine])
    rows[mine] = encode(msgspec.structs.replace(record, attributes=msgspec.Raw(b"\x80")))


def drop(kind: Any) -> Callable[[World], None]:
    def dropped(world: World) -> None:
        del world.engine.rows[rows_of(world, WEST, kind)[0]]  # type: ignore[attr-defined]

    return dropped


def drop_versions(world: World) -> None:
    for key in rows_of(world, WEST, VERSIONS):
        del world.engine.rows[key]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_item, "differ in the item at"),
        (drop(ITEMS), "says that the item at"),
        (drop(TOMBSTONES), "has tombstones of 0"),
        (drop(PAIRS), "has pairs with 1 of 2 others"),
        (drop_versions, "that is later than its version"),
    ],
)
def test_what_was_spoilt_of_replicas_is_found(
    world: World, spoil: Callable[[World], None], words: str
) -> None:
    assert findings(world) == []
    spoil(world)
    assert any(words in each for each in findings(world))


def test_replicas_that_have_not_brought_everything_may_differ(world: World) -> None:
    world.write(EAST, "key-9", "new")
    assert world.held(EAST) != world.held(WEST)
    assert findings(world) == []


def test_a_log_without_a_version_is_found(world: World) -> None:
    world.write(WEST, "key-9", "new")
    drop_versions(world)
    assert any("that has no version" in each for each in findings(world))


def test_how_long_the_last_write_took_to_come_is_known_of_each_way() -> None:
    world = World()
    world.write(WEST, "a", "x")
    world.pass_ms(1_250)
    world.catch_up()
    lags = dict(world.facilities.lags)
    ways = [Way("111122223333", "tab", WEST, receiving) for receiving in (SOUTH, EAST)]
    assert lags == dict.fromkeys(ways, 1_250)
