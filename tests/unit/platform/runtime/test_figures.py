"""What placement notes of invocations: the metrics of functions, and what is billed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.platform.runtime.fakes import ARN, World, target

from fogbank.base.errors import Throttled
from fogbank.platform.metering.metrics import Series, by_series
from fogbank.platform.runtime import figures
from fogbank.services.lambda_.metrics import METRICS

Noted = dict[tuple[str, ...], dict[str, tuple[int, float]]]


def noted(world: World, namespace: str = figures.NAMESPACE) -> Noted:
    """Return count and sum of each metric, by the values of its dimensions."""
    found: Noted = {}
    for _, series, _, board in by_series(world.cloud.metrics.take()):
        if series.namespace == namespace:
            values = found.setdefault(tuple(value for _, value in series.dimensions), {})
            values.update({name: (it.count, it.total) for name, it in board.values.items()})
    return found


def test_an_invocation_counts_for_its_function_its_resource_and_the_account(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run()
            found = noted(world)
            of_all = {"Invocations": (1, 1.0), "Errors": (1, 0.0)}
            for place in ((), ("f",), ("f", "f")):
                assert of_all.items() <= found[place].items()
                assert found[place]["InitDuration"][0] == 1
                assert found[place]["Duration"][0] == 1
            assert found["f",]["ConcurrentExecutions"] == (1, 1.0)
            assert found[()]["ConcurrentExecutions"] == (1, 1.0)
            assert found[()]["UnreservedConcurrentExecutions"] == (1, 1.0)
            await world.run()
            assert "InitDuration" not in noted(world)["f",]

    asyncio.run(story())


def test_what_is_billed_is_kept_by_version(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            run = await world.run(target(version="7", memory_mb=256, tmp_mb=1_024))
            found = noted(world, figures.BILLED)
            ((place, values),) = found.items()
            assert place == (world.placement.architecture, "f", "7")
            billed = run.report.billed_ms
            assert values == {
                figures.BILLED_MS: (1, billed),
                figures.MEMORY: (1, billed * 256),
                figures.STORAGE: (1, billed * 512),
            }

    asyncio.run(story())


def test_a_caller_who_goes_away_does_not_take_the_invocation_out_of_the_count(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            world.runtime.gate = asyncio.Event()
            gone = world.begin()
            await world.started(1)
            gone.cancel()
            world.runtime.gate.set()
            await world.settle()
            assert noted(world)["f",]["Invocations"] == (1, 1.0)

    asyncio.run(story())


def test_what_found_no_room_is_a_throttle_and_no_invocation(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            with pytest.raises(Throttled):
                await world.run(target(reserved=0))
            assert noted(world)["f",] == {"Throttles": (1, 1.0)}

    asyncio.run(story())


async def stand_ready(world: World, count: int) -> None:
    """Provision environments and wait until they are ready."""
    provisions = world.placement.provisions
    provisions.provision(target(), count, world.cloud)  # type: ignore[arg-type]
    for _ in range(2_000):
        if provisions.standing(target(), count).ready == count:
            return
        await asyncio.sleep(0.001)  # packages are unpacked in a thread
    raise TimeoutError("no environments are ready")


def test_provisioned_environments_and_what_runs_beside_them_are_told_apart(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await stand_ready(world, 2)
            world.runtime.gate = asyncio.Event()
            running: list[Any] = [world.begin() for _ in range(3)]
            await world.started(3)
            world.runtime.gate.set()
            await asyncio.gather(*running)
            found = noted(world)["f",]
            assert found["ProvisionedConcurrencyInvocations"] == (2, 2.0)
            assert found["ProvisionedConcurrencySpilloverInvocations"] == (1, 1.0)
            assert found["ProvisionedConcurrencyUtilization"][1] > 1.0
            assert found["ConcurrentExecutions"] == (3, 9.0)
            world.placement.provisions.provision(target(), 0, world.cloud)  # type: ignore[arg-type]
            await world.settle()
            await world.run()
            assert "ProvisionedConcurrencySpilloverInvocations" not in noted(world)["f",]

    asyncio.run(story())


def test_provisioned_environments_that_were_retired_stand_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await stand_ready(world, 1)
            await world.placement.retire(ARN)
            await world.run()
            found = noted(world)["f",]
            assert found["Invocations"] == (1, 1.0)
            assert "ProvisionedConcurrencySpilloverInvocations" not in found

    asyncio.run(story())


def test_an_alias_is_told_by_the_version_that_ran_and_a_version_is_not() -> None:
    def names(arn: str, version: str = "3") -> list[Series]:
        return list(figures.series_of("f", arn, version))

    of = (("FunctionName", "f"), ("Resource", "f:live"))
    assert names(f"{ARN}:live")[-1] == Series("AWS/Lambda", (("ExecutedVersion", "3"), *of))
    assert names(f"{ARN}:live", "")[1:] == [Series("AWS/Lambda", of), figures.ACCOUNT]
    for qualifier in ("3", "$LATEST"):
        resource = (("FunctionName", "f"), ("Resource", f"f:{qualifier}"))
        assert names(f"{ARN}:{qualifier}")[1:] == [Series("AWS/Lambda", resource), figures.ACCOUNT]


def test_every_metric_that_placement_notes_is_declared(tmp_path: Path) -> None:
    declared = {(metric.name, metric.dimensions) for metric in METRICS}

    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run()
            for _, series, _, board in by_series(world.cloud.metrics.take()):
                names = tuple(name for name, _ in series.dimensions)
                if series.namespace == figures.NAMESPACE:
                    assert {(name, names) for name in board.values} <= declared

    asyncio.run(story())
