from __future__ import annotations

from decimal import Decimal

import pytest

from fogbank.platform.metering.billing import Usage, cost_of, usage_of
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


def test_a_month_costs_what_the_price_list_says() -> None:
    # The example of aws.amazon.com/lambda/pricing: 1536 MB, 120 ms, 3 million requests a month.
    usage = Usage(3_000_000, 360_000_000, 1536 * 360_000_000)
    assert usage.gb_seconds == 540_000
    cost = cost_of(usage)
    assert cost.requests_usd == Decimal("0.40")
    assert round(cost.compute_usd, 2) == Decimal("2.33")
    assert round(cost.total_usd, 2) == Decimal("2.73")
    assert round(cost_of(usage, free_tier=False).total_usd, 2) == Decimal("9.60")


def test_large_months_fall_into_cheaper_tiers() -> None:
    usage = Usage(0, 0, 16_000_000_000 * 1_024_000)
    expected = Decimal("100000.2") + Decimal(135_000) + Decimal("13333.4")
    assert cost_of(usage, free_tier=False).compute_usd == expected


def test_reports_add_up_exactly() -> None:
    reports = [Report("r", 0.1, 1, 128, 1)] * 1_000
    assert usage_of(reports) == Usage(1_000, 1_000, 128_000)
    assert usage_of(reports).gb_seconds == Decimal("0.125")
    assert cost_of(Usage()).total_usd == 0
