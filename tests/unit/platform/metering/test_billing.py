from __future__ import annotations

import re
from decimal import Decimal

import pytest

from fogbank.platform.metering.billing import (
    SHIPPED,
    PricesError,
    Usage,
    Used,
    bill_of,
    prices_of,
    usage_of,
)
from fogbank.platform.metering.report import (
    Report,
    billed_ms_of,
    find_report,
    init_report_line,
    report_line,
)


@pytest.mark.parametrize(
    ("duration_ms", "init_ms", "billed_ms"),
    [(0.0, None, 1), (1.0, None, 1), (1.01, None, 2), (250.06, 100.77, 351), (0.1 + 0.2, 0.7, 1)],
)
def test_begun_milliseconds_are_billed_and_so_is_the_start(
    duration_ms: float, init_ms: float | None, billed_ms: int
) -> None:
    assert billed_ms_of(duration_ms, init_ms) == billed_ms


@pytest.mark.parametrize(
    "report",
    [
        Report("a-1", 1.23, 2, 128, 34),
        Report("a-1", 1.23, 5, 128, 34, 3.21),
        Report("a-1", 3000.0, 3000, 128, 34, 3.21, "timeout"),
        Report("a-1", 1.0, 1, 10240, 34, None, "error", "Runtime.ExitError"),
    ],
)
def test_a_report_line_reads_back(report: Report) -> None:
    line = report_line(report)
    assert line.endswith("\t\n")
    assert find_report(line) == report


def test_other_lines_are_no_reports() -> None:
    assert find_report("hello") is None
    assert find_report(init_report_line(1.0, "error", "X")) is None


SHIPPED_PRICES = prices_of(SHIPPED.read_text())
MB_MS = 1_024_000


def used(usage: Usage, region: str = "us-east-1", architecture: str = "x86_64") -> Used:
    return Used(region, "f", "$LATEST", architecture, usage)


def test_a_month_costs_what_the_price_list_says() -> None:
    # The example of aws.amazon.com/lambda/pricing: 1536 MB, 120 ms, 3 million requests a month.
    usage = Usage(3_000_000, 360_000_000, 1536 * 360_000_000)
    assert usage.gb_seconds == 540_000
    bill = bill_of([used(usage)], SHIPPED_PRICES)
    assert (bill.free_requests, bill.free_gb_seconds) == (1_000_000, 400_000)
    assert round(bill.total.requests, 9) == Decimal("0.40")
    assert round(bill.total.compute, 2) == Decimal("2.33")
    assert round(bill.total.total, 2) == Decimal("2.73")
    whole = bill_of([used(usage)], SHIPPED_PRICES, free_tier=False)
    assert (whole.free_requests, whole.free_gb_seconds) == (0, 0)
    assert round(whole.total.total, 2) == Decimal("9.60")


@pytest.mark.parametrize(
    ("architecture", "gb_seconds", "cost"),
    [
        ("x86_64", 16_000_000_000, "248333.6"),  # 100000.2 + 135000 + 13333.4
        ("arm64", 7_500_000_000, "100000.5"),
        ("arm64", 20_000_000_000, "248335"),  # 100000.5 + 135001.125 + 13333.375
    ],
)
def test_large_months_fall_into_cheaper_tiers(
    architecture: str, gb_seconds: int, cost: str
) -> None:
    usage = Usage(0, 0, gb_seconds * MB_MS)
    bill = bill_of([used(usage, architecture=architecture)], SHIPPED_PRICES, free_tier=False)
    assert bill.total.compute == Decimal(cost)


def test_what_is_free_and_the_tiers_are_shared_by_use_among_the_versions_of_an_account() -> None:
    # Tiers count by region and instruction set, what is free over all of them.
    many = [
        used(Usage(1_500_000, 1, 6_000_000_000 * MB_MS)),
        used(Usage(500_000, 1, 2_000_000_000 * MB_MS)),
        used(Usage(0, 1, 2_000_000_000 * MB_MS), region="eu-west-1"),
    ]
    bill = bill_of(many, SHIPPED_PRICES)
    assert [round(each.requests, 9) for each in bill.costs] == [Decimal("0.15"), Decimal("0.05"), 0]
    left = Decimal(9_999_600_000) / 10_000_000_000
    here = 6_000_000_000 * Decimal("0.0000166667")
    here += (8_000_000_000 * left - 6_000_000_000) * Decimal("0.000015")
    there = 2_000_000_000 * left * Decimal("0.0000166667")
    expected = [here * 3 / 4, here / 4, there]
    assert [round(each.compute, 9) for each in bill.costs] == [round(each, 9) for each in expected]
    assert round(bill.total.compute, 9) == round(here + there, 9)
    assert bill.usage == Usage(2_000_000, 3, 10_000_000_000 * MB_MS)


def test_storage_beyond_what_is_free_has_its_price() -> None:
    bill = bill_of([used(Usage(1, 1, 0, 1_000 * MB_MS))], SHIPPED_PRICES)
    assert bill.total.total == bill.costs[0].storage == Decimal("0.0000309")


def test_nothing_costs_nothing() -> None:
    assert bill_of([], SHIPPED_PRICES).total.total == 0
    assert bill_of([used(Usage())], SHIPPED_PRICES).total.total == 0


def test_a_region_has_prices_of_its_own_where_the_list_says_so() -> None:
    text = SHIPPED.read_text() + '\n[regions.af-south-1]\nmillion_requests = "0.28"\n'
    prices = prices_of(text)
    many = [used(Usage(1_000_000), region=region) for region in ("af-south-1", "us-east-1")]
    costs = bill_of(many, prices, free_tier=False).costs
    assert [each.requests for each in costs] == [Decimal("0.28"), Decimal("0.20")]
    assert prices.of("af-south-1").arm64 == prices.prices.arm64


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('million_requests = "0.20"', 'million_requests = "x"', "prices: x is no price"),
        ('million_requests = "0.20"', 'million_requests = "-1"', "prices: -1 is no price"),
        ('million_requests = "0.20"', 'million_requests = "nan"', "prices: nan is no price"),
        ('million_requests = "0.20"', "", "million_requests"),
        ("gb_seconds = 6_000_000_000", "", "prices.x86_64: the last tier, and no other"),
        ("[free]", "[fre]", "fre"),
        ("date = 2026-08-21", "date = 1", "date"),
        ("\n[prices]\n", "\n[prices\n", "at line"),
    ],
)
def test_a_file_that_is_no_list_of_prices_is_refused(before: str, after: str, why: str) -> None:
    with pytest.raises(PricesError, match=re.escape(why)):
        prices_of(SHIPPED.read_text().replace(before, after, 1))


def test_reports_add_up_exactly() -> None:
    reports = [Report("r", 0.1, 1, 128, 1)] * 1_000
    assert usage_of(reports) == Usage(1_000, 1_000, 128_000)
    assert usage_of(reports).gb_seconds == Decimal("0.125")
