"""Which functions are debugged, where the operator lets them be, and what that changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.platform.runtime.fakes import World, target

from fogbank.platform.runtime.debugging import INVOCATION_MS, debugged, port_of


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("5678", 5_678),
        ("1024", 1_024),
        ("65535", 65_535),
        ("1023", 0),
        ("65536", 0),
        ("", 0),
        ("-1", 0),
        ("x", 0),
        ("\u0665\u0666\u0667\u0668", 0),
        ("9" * 5_000, 0),
    ],
)
def test_a_port_that_there_is_not_is_none(text: str, port: int) -> None:
    assert port_of(target(environment={"FOGBANK_DEBUG_PORT": text})) == port


def test_a_function_without_a_port_stays_as_it_is_and_a_long_timeout_as_long() -> None:
    plain = target()
    assert debugged(plain, INVOCATION_MS) is plain
    wanting = {"FOGBANK_DEBUG_PORT": "5678"}
    assert debugged(target(environment=wanting), INVOCATION_MS).timeout_ms == INVOCATION_MS
    long = target(environment=wanting, timeout_ms=INVOCATION_MS + 1)
    assert debugged(long, INVOCATION_MS).timeout_ms == INVOCATION_MS + 1


@pytest.mark.parametrize("debug_ms", [0, INVOCATION_MS])
def test_only_where_the_operator_lets_it_a_function_has_its_port_and_its_time(
    debug_ms: int, tmp_path: Path
) -> None:
    async def story() -> None:
        async with World(tmp_path, debug_ms=debug_ms) as world:
            wanting = target(environment={"FOGBANK_DEBUG_PORT": "5678"})
            await world.run(wanting)
            await world.run(wanting)
            (sandbox,) = world.runtime.sandboxes
            spec = sandbox.spec
        (start, *_) = [line for line in world.cloud.lines() if line.startswith("START")]
        if debug_ms:
            assert (spec.debug_port, spec.timeout_ms) == (5_678, debug_ms)
            assert spec.environment["_FOGBANK_DEBUG_PORT"] == "5678"
            assert start.endswith("Version: $LATEST Debugger: 127.0.0.1:5678\n")
        else:
            assert (spec.debug_port, spec.timeout_ms) == (0, 3_000)
            assert "_FOGBANK_DEBUG_PORT" not in spec.environment
            assert start.endswith("Version: $LATEST\n")

    asyncio.run(story())
