"""What the work of functions would cost at AWS: usage, and a list of prices.

Rule: pure. Usage is counted in whole requests and megabyte-milliseconds, so that sums are exact;
money appears only at the end, in decimals. Prices are data (``prices.toml`` beside this, or another file
of its form).

Source: aws.amazon.com/lambda/pricing: "Lambda on-demand duration pricing tiers are applied to aggregate
monthly duration of your functions running on the same architecture, in the same region, within the
account"; the free tier is an account's, of both architectures and all regions together; 512 MB of
ephemeral storage cost nothing.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.platform.metering.report import Report

MB_MS_PER_GB_S: Final = 1_024 * 1_000
SHIPPED: Final = Path(__file__).with_name("prices.toml")
_MILLION: Final = 1_000_000


class PricesError(Exception):
    """A file is no list of prices; the message says why."""


class Free(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What costs an account nothing, each month."""

    requests: int = 0
    gb_seconds: int = 0


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some GB-seconds of a month, and the price of one."""

    price: str
    gb_seconds: int | None = None
    """How many; None: all that are left."""


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What things cost in a region."""

    million_requests: str
    storage_gb_second: str
    x86_64: tuple[Tier, ...]
    arm64: tuple[Tier, ...]

    def tiers(self, architecture: str) -> tuple[Tier, ...]:
        """Return what compute costs on an instruction set."""
        return self.arm64 if architecture == "arm64" else self.x86_64


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list of prices."""

    date: dt.date
    """When they were in force."""
    place: str
    """Where."""
    currency: str
    prices: Rates
    free: Free = Free()
    regions: dict[str, Rates] = {}
    """What differs in a region, by its name."""

    def of(self, region: str) -> Rates:
        """Return what things cost in a region."""
        return self.regions.get(region, self.prices)


class Usage(NamedTuple):
    """How much functions did."""

    requests: int = 0
    billed_ms: int = 0
    mb_ms: int = 0
    """Megabytes of configured memory times billed milliseconds."""
    storage_mb_ms: int = 0
    """Megabytes of storage beyond what costs nothing, times billed milliseconds."""

    @property
    def gb_seconds(self) -> Decimal:
        """Return the usage in the unit of the price list."""
        return Decimal(self.mb_ms) / MB_MS_PER_GB_S

    @property
    def storage_gb_seconds(self) -> Decimal:
        """Return the usage of storage in the unit of the price list."""
        return Decimal(self.storage_mb_ms) / MB_MS_PER_GB_S


class Used(NamedTuple):
    """What one version of a function did in a month."""

    region: str
    function: str
    version: str
    architecture: str
    usage: Usage


class Cost(NamedTuple):
    """What usage costs, in the currency of the list."""

    requests: Decimal = Decimal(0)
    compute: Decimal = Decimal(0)
    storage: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """Return the whole."""
        return self.requests + self.compute + self.storage


class Bill(NamedTuple):
    """What an account pays for a month."""

    costs: list[Cost]
    """The part of each of the versions, in their order: each has its share of what is free, and of the
    tiers of its region and instruction set, by what it used."""
    total: Cost
    usage: Usage
    """Of all of them."""
    free_requests: int
    """Requests that cost nothing."""
    free_gb_seconds: Decimal


def usage_of(reports: Iterable[Report]) -> Usage:
    """Return the usage that reports add up to."""
    requests = billed_ms = mb_ms = 0
    for report in reports:
        requests += 1
        billed_ms += report.billed_ms
        mb_ms += report.memory_mb * report.billed_ms
    return Usage(requests, billed_ms, mb_ms)


def sum_of(usages: Iterable[Usage]) -> Usage:
    """Return usages together."""
    total = Usage()
    for each in usages:
        total = Usage(*(a + b for a, b in zip(total, each, strict=True)))
    return total


def bill_of(used: Sequence[Used], prices: Prices, *, free_tier: bool = True) -> Bill:
    """Return what an account pays for a month.

    Args:
        used: All that it used, each version once.
        prices: The list.
        free_tier: Whether what costs nothing is taken off.
    """
    usage = sum_of(each.usage for each in used)
    free = prices.free if free_tier else Free()
    free_requests = min(usage.requests, free.requests)
    free_gb_seconds = min(usage.gb_seconds, Decimal(free.gb_seconds))
    requests_part = _part(usage.requests - free_requests, usage.requests)
    compute_part = _part(usage.gb_seconds - free_gb_seconds, usage.gb_seconds)
    groups: dict[tuple[str, str], Decimal] = {}
    for each in used:
        group = (each.region, each.architecture)
        groups[group] = groups.get(group, Decimal(0)) + each.usage.gb_seconds
    costs: list[Cost] = []
    for each in used:
        rates, together = prices.of(each.region), groups[each.region, each.architecture]
        compute = compute_cost(together * compute_part, rates.tiers(each.architecture))
        price = Decimal(rates.million_requests) / _MILLION
        costs.append(
            Cost(
                each.usage.requests * requests_part * price,
                compute * _part(each.usage.gb_seconds, together),
                each.usage.storage_gb_seconds * Decimal(rates.storage_gb_second),
            )
        )
    total = Cost(*(sum(each, Decimal(0)) for each in zip(*costs, strict=True))) if costs else Cost()
    return Bill(costs, total, usage, free_requests, free_gb_seconds)


def compute_cost(gb_seconds: Decimal, tiers: Sequence[Tier]) -> Decimal:
    """Return what a month's GB-seconds of one region and instruction set cost."""
    cost = Decimal(0)
    for tier in tiers:
        used = gb_seconds if tier.gb_seconds is None else min(gb_seconds, Decimal(tier.gb_seconds))
        cost += used * Decimal(tier.price)
        gb_seconds -= used
    return cost


def _part(of: Decimal | int, whole: Decimal | int) -> Decimal:
    """Return which part something is of the whole; 0 where there is nothing."""
    return Decimal(of) / Decimal(whole) if whole else Decimal(0)


def prices_of(text: str) -> Prices:
    """Return the list of prices that a file has.

    Raises:
        PricesError: It is none.
    """
    try:
        tree = tomllib.loads(text)
        base = tree.get("prices", {})
        regions: Mapping[str, Any] = tree.get("regions", {})
        tree["regions"] = {name: {**base, **rates} for name, rates in regions.items()}
        prices = msgspec.convert(tree, Prices)
    except (
        msgspec.ValidationError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # of TOML, and of our form
        raise PricesError(str(error)) from error
    for region, rates in {"": prices.prices, **prices.regions}.items():
        _check(f"regions.{region}" if region else "prices", rates)
    return prices


def _check(place: str, rates: Rates) -> None:
    """Refuse rates that are no numbers, and tiers that leave something without a price.

    Raises:
        PricesError: They are.
    """
    tiers = {"x86_64": rates.x86_64, "arm64": rates.arm64}
    texts = [rates.million_requests, rates.storage_gb_second]
    texts += [tier.price for each in tiers.values() for tier in each]
    for text in texts:
        try:
            is_price = Decimal(text).is_finite() and Decimal(text) >= 0
        except InvalidOperation:
            is_price = False
        if not is_price:
            raise PricesError(f"{place}: {text} is no price")
    for name, each in tiers.items():
        if [tier.gb_seconds is None for tier in each] != [False] * (len(each) - 1) + [True]:
            raise PricesError(f"{place}.{name}: the last tier, and no other, has no gb_seconds")
