"""``fogbank cost``: what functions did in a month, and what AWS would ask for it.

A line for each version of each function, then one for each account with what is free taken off; or one
JSON object for each account (``--format json``). Whether a server runs or not.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from fogbank.base.clock import SystemClock
from fogbank.platform.metering.billing import (
    SHIPPED,
    Bill,
    Cost,
    Prices,
    PricesError,
    Usage,
    Used,
    bill_of,
    prices_of,
)
from fogbank.server import asking, config

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_DECEMBER: Final = 12
_COLUMNS: Final = (
    *("account", "region", "function", "version", "architecture", "requests", "billed_ms"),
    *("gb_seconds", "storage_gb_seconds", "cost"),
)
_ALL: Final = "-"
"""What stands in the columns of an account's own line."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--month", metavar="YYYY-MM", help="of UTC; the present one by default")
    parser.add_argument("--account", metavar="NAME", default="", help="only this one's; or its id")
    parser.add_argument("--prices", metavar="FILE", help="another list of prices")
    parser.add_argument("--no-free-tier", action="store_true", help="take nothing off")
    parser.add_argument("--format", choices=("text", "json"), default="text")


class Month(NamedTuple):
    """A month of UTC."""

    name: str
    from_ms: int
    until_ms: int


def month_of(text: str | None, now_ms: int) -> Month:
    """Return a month that is named, or the present one.

    Raises:
        ValueError: There is no such month.
    """
    if text is None:
        text = f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m}"
    found = _MONTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no month: write it as 2026-01")
    year, month = int(found[1]), int(found[2])
    begin = datetime(year, month, 1, tzinfo=UTC)
    end = datetime(year + month // _DECEMBER, month % _DECEMBER + 1, 1, tzinfo=UTC)
    return Month(text, int(begin.timestamp() * 1000), int(end.timestamp() * 1000))


def run(given: argparse.Namespace) -> int:
    """Print what was used and what it costs; status 1 with the reason if refused."""
    try:
        month = month_of(given.month, SystemClock().now_ms())
        prices = _prices(given)
    except (ValueError, PricesError, OSError, config.ConfigError) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    rows: list[dict[str, Any]] = []
    asked = {"from_ms": month.from_ms, "until_ms": month.until_ms, "account": given.account}
    status = asking.told(given.data, "lambda.usage", asked, rows.append)
    if status:
        return status
    bills = list(bills_of(rows, prices, free_tier=not given.no_free_tier))
    lines = _json(bills, month, prices) if given.format == "json" else _text(bills, month, prices)
    for line in lines:
        print(line)
    return 0


def _prices(given: argparse.Namespace) -> Prices:
    """Return the list of prices that is asked for, else that of the settings, else ours.

    Raises:
        PricesError: It is none.
        OSError: It cannot be read.
        ConfigError: The settings cannot be used.
    """
    data_dir = config.data_dir_of(given.data)
    named = config.load(data_dir).functions.prices_file
    if given.prices:
        file = Path(given.prices)
    elif named:
        file = data_dir / named
    else:
        file = SHIPPED
    try:
        return prices_of(file.read_text())
    except (PricesError, UnicodeDecodeError) as error:
        raise PricesError(f"{file}: {error}") from error


class AccountBill(NamedTuple):
    """What an account used, and pays."""

    account: str
    used: list[Used]
    bill: Bill


def bills_of(
    rows: Iterable[dict[str, Any]], prices: Prices, *, free_tier: bool
) -> Iterator[AccountBill]:
    """Yield the bill of each account; rows come in order of accounts."""
    for account, found in groupby(rows, key=lambda row: str(row["account"])):
        used = [
            Used(
                row["region"],
                row["function"],
                row["version"],
                row["architecture"],
                Usage(*(row[name] for name in Usage._fields)),
            )
            for row in found
        ]
        yield AccountBill(account, used, bill_of(used, prices, free_tier=free_tier))


def _text(bills: Iterable[AccountBill], month: Month, prices: Prices) -> Iterator[str]:
    """Yield lines to read: columns with tabs between them, then what the figures mean."""
    yield "\t".join(_COLUMNS)
    for account, used, bill in bills:
        for each, cost in zip(used, bill.costs, strict=True):
            yield "\t".join((account, *each[:4], *_figures(each.usage, cost)))
        yield "\t".join((account, *(_ALL,) * 4, *_figures(bill.usage, bill.total)))
        yield (
            f"# of account {account} {bill.free_requests} requests and "
            f"{bill.free_gb_seconds:.3f} GB-seconds are free"
        )
    yield (
        f"# {month.name}, in {prices.currency}, by the prices of {prices.place} of {prices.date}; "
        "provisioned concurrency, streamed answers and transfer are not in it"
    )


def _figures(usage: Usage, cost: Cost) -> Iterator[str]:
    """Yield the columns of figures."""
    yield str(usage.requests)
    yield str(usage.billed_ms)
    yield f"{usage.gb_seconds:.3f}"
    yield f"{usage.storage_gb_seconds:.3f}"
    yield money(cost.total)


def money(amount: Decimal) -> str:
    """Return an amount with as many digits as prices have: a request costs 0.0000002."""
    return f"{amount:.8f}"


def _json(bills: Iterable[AccountBill], month: Month, prices: Prices) -> Iterator[str]:
    """Yield an object for each account."""
    for account, used, bill in bills:
        versions = [
            {**each._asdict(), **_fields(each.usage, cost)}
            for each, cost in zip(used, bill.costs, strict=True)
        ]
        for each in versions:
            del each["usage"]
        whole: dict[str, Any] = {
            "account": account,
            "month": month.name,
            **_fields(bill.usage, bill.total),
            "free_requests": bill.free_requests,
            "free_gb_seconds": float(bill.free_gb_seconds),
            "prices": {
                "date": prices.date.isoformat(),
                "place": prices.place,
                "currency": prices.currency,
            },
            "versions": versions,
        }
        yield json.dumps(whole)


def _fields(usage: Usage, cost: Cost) -> dict[str, Any]:
    """Return usage and cost as JSON has them; amounts are text, for they are exact."""
    return {
        "requests": usage.requests,
        "billed_ms": usage.billed_ms,
        "gb_seconds": float(usage.gb_seconds),
        "storage_gb_seconds": float(usage.storage_gb_seconds),
        "requests_cost": money(cost.requests),
        "compute_cost": money(cost.compute),
        "storage_cost": money(cost.storage),
        "cost": money(cost.total),
    }
