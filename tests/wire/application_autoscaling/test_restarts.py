"""A process that ends at any point: what was to be done is done by the next, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.wire.application_autoscaling.conftest import OF_TABLE, TRACKED

from fogbank.base.errors import Unavailable
from fogbank.server.app import App
from fogbank.server.config import Config
from fogbank.services.application_autoscaling.jobs.orders import carry_out
from fogbank.testing.cloud import Cloud

MINUTE_MS = 60_000
Units = Callable[..., tuple[int, int]]
Activities = Callable[..., list[Any]]


@pytest.fixture
def restart(cloud: Cloud) -> Callable[[], None]:
    """End all background work and what is in memory, and begin anew on the same store."""

    async def again() -> None:
        jobs: list[asyncio.Task[None]] = vars(cloud)["_jobs"]
        for task in jobs:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        cloud.app = App(Config(), cloud.app.parts, cloud.faults.services)
        await cloud.app.identity.open()
        vars(cloud)["_jobs"] = [
            asyncio.create_task(cloud.app.driver.run()),
            asyncio.create_task(cloud.app.trail.run()),
            asyncio.create_task(cloud.app.dispatcher.refusals.run()),
        ]

    return lambda: cloud.run(again())


def test_a_scheduled_action_is_due_after_a_restart(
    cloud: Cloud, scaling: Any, table: str, register: Callable[..., str],
    restart: Callable[[], None], units: Units, activities: Activities,
) -> None:  # fmt: skip
    assert table == "tab"
    register(1, 9)
    due = datetime.fromtimestamp(cloud.clock.now_ms() / 1000, UTC) + timedelta(minutes=10)
    scaling.put_scheduled_action(
        **OF_TABLE,
        ScheduledActionName="act",
        Schedule=f"at({due:%Y-%m-%dT%H:%M:%S})",
        ScalableTargetAction={"MinCapacity": 8},
    )
    restart()
    cloud.advance(11 * MINUTE_MS)
    assert units() == (5, 8)
    restart()
    cloud.advance(11 * MINUTE_MS)
    assert len([each for each in activities() if "scheduled" in each["Cause"]]) == 1


@pytest.mark.slow
def test_a_policy_goes_on_after_a_restart_and_counts_from_there(
    cloud: Cloud, scaling: Any, table: str, register: Callable[..., str],
    restart: Callable[[], None], units: Units,
) -> None:  # fmt: skip
    assert table == "tab"
    register(1, 9)
    scaling.put_scaling_policy(**OF_TABLE, **TRACKED)
    cloud.advance(14 * MINUTE_MS)
    restart()
    cloud.advance(14 * MINUTE_MS)
    assert units() == (5, 5)
    cloud.advance(3 * MINUTE_MS)
    assert units() == (5, 1)


def test_an_order_that_was_cut_short_is_carried_out_once(
    cloud: Cloud, dynamodb: Any, table: str, register: Callable[..., str], units: Units,
    activities: Activities, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The table has the capacity, and nobody has written down that it was set."""
    assert table == "tab"
    order_type = carry_out.attempt.__globals__["_Order"]
    end, ends = order_type._end, [False]

    async def cut_short(self: Any, *given: Any) -> None:
        if not ends[0]:
            raise Unavailable("the store is gone")
        await end(self, *given)

    monkeypatch.setattr(order_type, "_end", cut_short)
    register(8, 9)
    cloud.settle()
    assert units() == (5, 8)
    assert [each["StatusCode"] for each in activities()] == ["Pending"]
    ends[0] = True
    cloud.advance(2 * MINUTE_MS)
    [told] = activities()
    assert told["StatusCode"] == "Successful"
    assert told["EndTime"] - told["StartTime"] >= timedelta(minutes=1)
    found = dynamodb.describe_table(TableName="tab")["Table"]["ProvisionedThroughput"]
    assert found["WriteCapacityUnits"] == 8
