"""What functions did in a span of time, as operators ask for it: the source of ``fogbank cost``.

Rule: usage only. What it costs is worked out by whoever asks, from a list of prices.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from fogbank.platform.identity.identity import Identity
from fogbank.platform.metering import points
from fogbank.platform.metering.billing import Usage
from fogbank.platform.metering.metrics import Series
from fogbank.platform.metering.points import Point, SeriesRecord
from fogbank.platform.runtime import figures
from fogbank.platform.store.engine import Domain, Placement, Store
from fogbank.server.control import Control, ControlError, Send
from fogbank.server.usages import account_ids

HOUR_MS: Final = 3_600_000
HOURS_MAX: Final = 31 * 24
"""Of one request: a month."""
_Place = tuple[str, str, str, str, str]


class CostArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose usage is wanted, and of when; the span lies on hours."""

    from_ms: int
    until_ms: int
    account: str = ""
    """Name or id; empty: all."""


class Costs:
    """Adds up what was billed of functions.

    Args:
        stores: The system subspaces of every store, which list what there is.
        identity: The accounts.
        placement: Where the domains of functions live.
        flush: Writes what was noted and is not written yet; None: nobody notes anything.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        identity: Identity,
        placement: Placement,
        flush: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._stores = stores
        self._identity = identity
        self._placement = placement
        self._flush = flush

    def controls(self) -> list[Control]:
        """Return the requests of operators about what functions did."""
        return [Control("lambda.usage", CostArguments, self.usage)]

    async def usage(self, asked: CostArguments, send: Send) -> Mapping[str, Any]:
        """Send what each version of each function did, in order of account, region and name.

        Raises:
            ControlError: There is no such account, or the span is no span of up to a month.
        """
        span = asked.until_ms - asked.from_ms
        if asked.from_ms % HOUR_MS or span % HOUR_MS or not 0 < span <= HOURS_MAX * HOUR_MS:
            raise ControlError("BadSpan", f"a span is of 1 to {HOURS_MAX} whole hours")
        accounts = set(await account_ids(self._identity, asked.account))
        if self._flush is not None:
            await self._flush()
        found: dict[_Place, SeriesRecord] = {}
        for store in self._stores:
            for record in await points.list_series(store, figures.BILLED):
                place = _place_of(record)
                if place[0] in accounts and record.written_ms + HOUR_MS >= asked.from_ms:
                    found[place] = record
        count = 0
        for place in sorted(found):
            usage = await self._usage(found[place], asked)
            if usage.requests:
                count += 1
                names = ("account", "region", "function", "version", "architecture")
                await send({**dict(zip(names, place, strict=True)), **usage._asdict()})
        return {"versions": count}

    async def _usage(self, record: SeriesRecord, asked: CostArguments) -> Usage:
        """Return what a series says of a span."""
        domain = Domain(*record.domain)
        series = Series(record.namespace, record.dimensions)
        store = self._placement.store_of(domain)
        body = partial(
            points.list_points,
            series=series,
            period_ms=HOUR_MS,
            from_ms=asked.from_ms,
            until_ms=asked.until_ms,
            limit=HOURS_MAX,
        )
        return usage_of(await store.read(body))


def usage_of(hours: Iterable[Point]) -> Usage:
    """Return what points of the series that are billed add up to."""
    requests = 0
    totals = {figures.BILLED_MS: 0, figures.MEMORY: 0, figures.STORAGE: 0}
    for hour in hours:
        for name, value in hour.values.items():
            totals[name] += round(value.total)
            requests += value.count if name == figures.BILLED_MS else 0
    return Usage(requests, *totals.values())


def _place_of(record: SeriesRecord) -> _Place:
    """Return account, region, function, version and architecture of a series that is billed."""
    _, account, region = record.domain
    of = dict(record.dimensions)
    return account, region, of["FunctionName"], of["Version"], of["Architecture"]
