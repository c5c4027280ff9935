"""What the work of functions would cost at AWS: usage and list prices.

Rule: pure. Usage is counted in whole requests and megabyte-milliseconds, so that sums are exact;
money appears only at the end, in decimals. The REPORT lines of a log group are the durable record
from which a month is added up (``report.find_report``).

Source: aws.amazon.com/lambda/pricing, US East (N. Virginia), x86, on demand, 2025: 0.20 USD per
million requests; 0.0000166667 USD per GB-second for the first 6 billion a month, 0.0000150000
for the next 9 billion, 0.0000133334 beyond; free: one million requests and 400,000 GB-seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from fogbank.platform.metering.report import Report

REQUEST_USD: Final = Decimal("0.20") / 1_000_000
TIERS_USD: Final = (
    (Decimal(6_000_000_000), Decimal("0.0000166667")),
    (Decimal(9_000_000_000), Decimal("0.0000150000")),
    (Decimal("Infinity"), Decimal("0.0000133334")),
)
"""GB-seconds of a tier and the price of one."""
FREE_REQUESTS: Final = 1_000_000
FREE_GB_SECONDS: Final = 400_000
MB_MS_PER_GB_S: Final = 1_024 * 1_000


class Usage(NamedTuple):
    """How much functions did."""

    requests: int = 0
    billed_ms: int = 0
    mb_ms: int = 0
    """Megabytes of configured memory times billed milliseconds."""

    @property
    def gb_seconds(self) -> Decimal:
        """Return the usage in the unit of the price list."""
        return Decimal(self.mb_ms) / MB_MS_PER_GB_S


class Cost(NamedTuple):
    """What a month's usage costs, in US dollars."""

    requests_usd: Decimal
    compute_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        """Return the whole."""
        return self.requests_usd + self.compute_usd


def usage_of(reports: Iterable[Report]) -> Usage:
    """Return the usage that reports add up to."""
    requests = billed_ms = mb_ms = 0
    for report in reports:
        requests += 1
        billed_ms += report.billed_ms
        mb_ms += report.memory_mb * report.billed_ms
    return Usage(requests, billed_ms, mb_ms)


def cost_of(usage: Usage, *, free_tier: bool = True) -> Cost:
    """Return the list price of one account's usage in one month."""
    requests = usage.requests
    gb_seconds = usage.gb_seconds
    if free_tier:
        requests = max(0, requests - FREE_REQUESTS)
        gb_seconds = max(Decimal(0), gb_seconds - FREE_GB_SECONDS)
    compute = Decimal(0)
    for size, price in TIERS_USD:
        used = min(gb_seconds, size)
        compute += used * price
        gb_seconds -= used
    return Cost(requests * REQUEST_USD, compute)
