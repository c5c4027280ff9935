"""What metrics that are kept come to, as tests of services look at them."""

from __future__ import annotations

from typing import Any

from fogbank.platform.metering import points
from fogbank.platform.metering.metrics import Series
from fogbank.platform.store.engine import Domain
from fogbank.testing.cloud import Cloud


def sums_of(cloud: Cloud, domain: Domain, series: Series) -> dict[str, float]:
    """Return the sums of the metrics of a series, over all time."""

    async def body(tr: Any) -> list[points.Point]:
        return await points.list_points(tr, series, 3_600_000, 0, 1 << 60, 1_000)

    async def work() -> list[points.Point]:
        await cloud.app.flush_all()
        return await cloud.engine.store_of(domain).read(body)

    totals: dict[str, float] = {}
    for point in cloud.run(work()):
        for name, value in point.values.items():
            totals[name] = totals.get(name, 0.0) + value.total
    return totals
