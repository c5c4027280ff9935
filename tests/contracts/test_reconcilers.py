"""Background work comes to rest: once settled it writes nothing, and what is deleted is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.contracts.activity import ACTIVITIES
from tests.contracts.conftest import clients_of
from tests.contracts.registry import RECONCILERS, SERVICES

from fogbank.contract.job import Progress, Reconciler, Rest
from fogbank.testing.cloud import Cloud

DAY_MS = 24 * 3_600_000
LEAPS_MS = (1_000, 60_000, 600_000, 3_600_000, 21_600_000, 4 * DAY_MS, 60_000, 3_600_000)
"""Together longer than what is kept for a while: completed uploads, events that wait, traces."""
LEFT_BEHIND = {
    # AWS: the metrics of what is gone stay until their retention is over (CloudWatch User Guide).
    "platform.metric_point/1",
    "platform.metric_series/1",
    # That it was deleted is remembered: the trail goes by age and size.
    "audit.batch/1",
    "audit.denial/1",
    "audit.kept/1",
    "audit.next/1",
    # Counters of an account, which stay when what they count is gone.
    "iam.epoch/1",
    "s3.account/1",
    "s3.measured/1",
    # When everything was last read.
    "platform.scrub_place/1",
}
ACTIVE = [service.model for service in SERVICES.values() if service.model in ACTIVITIES]


def state_of(cloud: Cloud) -> tuple[int, dict[bytes, bytes], list[Any]]:
    """Return how often was committed, every row, and every blob."""
    engine: Any = cloud.engine
    return engine._version, dict(engine.rows), cloud.run(engine.blobs.list(None, 1_000))


def leap(cloud: Cloud) -> None:
    """Move time on in leaps, as for a machine that slept: not every period in between is lived."""

    async def move(milliseconds: int) -> None:
        clock = cloud.clock
        clock._now_ms += milliseconds
        clock.advance_to(clock._now_ms)

    cloud.settle()
    for milliseconds in LEAPS_MS:
        cloud.run(move(milliseconds))
        cloud.settle()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a cloud after activity of every service, settled, with half of it still there."""
    with Cloud(replay=True, work_dir=tmp_path_factory.mktemp("busy")) as cloud:
        clients, account = clients_of(cloud), cloud.account.principal.account
        for service in ACTIVE:
            ACTIVITIES[service](clients, account)()
        leap(cloud)
        for service in ACTIVE:
            ACTIVITIES[service](clients, account)
        leap(cloud)
        yield cloud


@pytest.mark.parametrize("job", RECONCILERS, ids=lambda job: job.name)
def test_a_settled_reconciler_writes_nothing(job: Reconciler, busy: Cloud) -> None:
    before = state_of(busy)
    rested = busy.run(job.step(busy.app.facilities))
    assert isinstance(rested, Rest) or rested in {Progress.IDLE, Progress.DONE}
    assert state_of(busy) == before


def test_a_settled_cloud_writes_nothing_when_everyone_is_woken(busy: Cloud) -> None:
    before = state_of(busy)
    busy.app.driver.wake()
    busy.settle()
    assert state_of(busy) == before


@pytest.mark.parametrize("service", ACTIVE)
def test_what_is_deleted_leaves_nothing_behind(service: str, tmp_path: Any) -> None:
    with Cloud(replay=True, work_dir=tmp_path) as cloud:
        _, rows_before, blobs_before = state_of(cloud)
        remove = ACTIVITIES[service](clients_of(cloud), cloud.account.principal.account)
        assert len(state_of(cloud)[1]) > len(rows_before)
        cloud.settle()
        remove()
        leap(cloud)
        _, rows, blobs = state_of(cloud)
    left = {key: value for key, value in rows.items() if key not in rows_before}
    strange = {
        key: value
        for key, value in left.items()
        if not any(tag.encode() in value for tag in LEFT_BEHIND)
    }
    assert strange == {}
    assert blobs == blobs_before
