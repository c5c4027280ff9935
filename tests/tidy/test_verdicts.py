"""What benchmarks say of their figures: ratios within a round, promises, and who failed."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def imported(name: str) -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def verdict() -> ModuleType:
    return imported("verdict")


@pytest.fixture(scope="module")
def metrics() -> ModuleType:
    return imported("metrics")


@pytest.fixture(scope="module")
def line(verdict: ModuleType) -> Any:
    def made(*rates: float, cpu_us: float | None = 50.0, failure: str = "") -> Any:
        rounds = {
            number: verdict.Taken(rate, cpu_us, 1.0, 2.0) for number, rate in enumerate(rates)
        }
        return verdict.Line(rounds, failure)

    return made


def test_a_ratio_is_taken_within_each_round_and_of_the_rounds_the_median(
    verdict: ModuleType, line: Any
) -> None:
    # The machine's pace halves from round to round; the ratio of the medians would be 2.
    assert verdict.rate_ratio(line(400, 300, 200), line(100, 100, 100)) == 3
    assert verdict.rate_ratio(line(400, 200, 100), line(100, 50, 25)) == 4


def test_a_round_that_one_of_both_lacks_says_nothing(verdict: ModuleType) -> None:
    assert verdict.median_ratio({0: 10.0, 1: 30.0, 2: 8.0}, {1: 10.0, 3: 1.0}) == 3
    assert verdict.median_ratio({0: 10.0}, {1: 10.0}) is None
    assert verdict.median_ratio({0: 10.0}, {0: 0.0}) is None


def test_who_failed_once_is_compared_with_nobody(verdict: ModuleType, line: Any) -> None:
    failed = line(100, failure="HTTP/1.1 500")
    assert verdict.rate_ratio(line(400), failed) is None
    assert verdict.rate_ratio(failed, line(400)) is None
    assert verdict.cpu_ratio(line(400), failed) is None


def test_processor_time_is_compared_by_requests_for_a_second_of_it(
    verdict: ModuleType, line: Any
) -> None:
    assert verdict.cpu_ratio(line(1, 1, cpu_us=50), line(9, 9, cpu_us=200)) == 4
    assert verdict.cpu_ratio(line(1, cpu_us=50), line(1, cpu_us=None)) is None


@pytest.mark.parametrize(
    ("promise", "value", "kept"),
    [
        (">= 3", 3.0, True),
        (">= 3", 2.99, False),
        ("<= 60", 60.0, True),
        ("<= 60", 60.1, False),
        ("", 1e9, True),
    ],
)
def test_a_promise_holds_or_not(
    verdict: ModuleType, promise: str, value: float, kept: bool
) -> None:
    assert verdict.Verdict("figure", value, promise).kept is kept


def test_a_promise_without_a_figure_is_not_kept(verdict: ModuleType) -> None:
    promises = {"slow": "<= 1", "fast": "<= 1", "absent": "<= 1"}
    judged = verdict.verdicts({"slow": 2.0, "fast": 0.5, "free": 9.0}, promises)
    assert verdict.not_kept(judged, promises) == ["absent", "slow"]
    assert [each.text().split()[-1] for each in judged] == ["KEPT", "kept", "9"]


def test_the_table_names_who_failed_and_leaves_blank_who_was_not_asked(
    verdict: ModuleType, line: Any
) -> None:
    rows = {
        "get_c1": {
            "ours": line(300),
            "peer": line(100, cpu_us=None),
            "other": line(1, failure="no"),
        },
        "put_c1": {"ours": line(1234.5)},
    }
    columns, cells = verdict.table_of(["ours", "peer", "other"], rows, "workload")
    assert columns[:5] == ["workload", "ours/s", "CPU us", "p50 ms", "p99 ms"]
    assert cells[0] == ["get_c1", "300", "50", "1", "2", "100", "", "3", "failed", "", ""]
    assert cells[1] == ["put_c1", "1,234", "50", "1", "2", "", "", "", "", "", ""]
    assert {len(row) for row in cells} == {len(columns)}


def test_a_table_for_a_terminal_is_aligned(verdict: ModuleType) -> None:
    text = verdict.aligned(["a", "number"], [["one", "1"], ["three", "1,000"]])
    assert text.splitlines() == ["a      number", "one         1", "three   1,000"]


def test_a_histogram_is_read_over_all_its_labels(metrics: ModuleType) -> None:
    figures = {
        'late_bucket{process="store 0",le="0.004"}': 5.0,
        'late_bucket{process="store 1",le="0.004"}': 2.0,
        'late_bucket{process="store 0",le="+Inf"}': 6.0,
        'later_bucket{process="store 0",le="0.004"}': 100.0,
        'late_count{process="store 0"}': 6.0,
    }
    assert metrics.buckets(figures, "late") == {0.004: 7.0, float("inf"): 6.0}
    assert metrics.total(figures, "late_count") == 6.0


def test_a_quantile_of_a_histogram_is_of_what_came_between_and_never_too_low(
    metrics: ModuleType,
) -> None:
    before = {1.0: 1000.0, 2.0: 1000.0, 4.0: 1000.0, float("inf"): 1000.0}
    after = {1.0: 1090.0, 2.0: 1098.0, 4.0: 1099.0, float("inf"): 1100.0}
    assert metrics.quantile_edge(before, after, 0.9) == 1.0
    assert metrics.quantile_edge(before, after, 0.95) == 2.0
    assert metrics.quantile_edge(before, after, 0.99) == 4.0
    assert metrics.quantile_edge(before, after, 0.995) is None
    assert metrics.quantile_edge(before, before, 0.5) is None


def test_what_is_spent_between_two_seams_is_of_the_inner_part_and_waiting_is_nobodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anatomy = imported("anatomy")
    spent_ns = 0
    monkeypatch.setattr(anatomy.time, "thread_time_ns", lambda: spent_ns)

    def spend(ns: int) -> None:
        nonlocal spent_ns
        spent_ns += ns

    watch = anatomy.Watch()
    inner = watch.around("inner", lambda: spend(5))

    async def whole(waited: asyncio.Future[None]) -> str:
        spend(1)
        inner()
        await waited
        spend(2)
        return "answer"

    async def asked() -> str:
        waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(watch.around("outer", whole)(waited))
        await asyncio.sleep(0)
        spend(100)
        waited.set_result(None)
        return await asking

    assert asyncio.run(asked()) == "answer"
    watch.turn()
    assert watch.spent == {"outer": 3, "inner": 5, anatomy.REST: 100}
    assert watch.inner["outer"] == 1
