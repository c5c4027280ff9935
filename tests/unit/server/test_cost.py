"""``fogbank cost``: what was noted of functions, added up by month and priced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fogbank.platform.runtime import figures
from fogbank.server import asking
from fogbank.server.cli import cost, main
from fogbank.server.control import ControlError
from fogbank.server.costs import HOUR_MS, CostArguments, Costs
from fogbank.testing.cloud import Cloud

NOVEMBER = cost.month_of("2026-11", 0)
DECEMBER = cost.month_of("2026-12", 0)
COUNTS = ("function", "version", "region", "requests", "billed_ms", "mb_ms", "storage_mb_ms")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as made:
        yield made


def note(cloud: Cloud, at_ms: int, version: str, region: str = "us-east-1", mb: int = 128) -> None:
    """Note what is billed of 100 ms of the function ``f``, as ``Figures`` does."""
    series = figures.billed_series("f", version, "x86_64")
    domain = figures.domain_of(cloud.account.principal.account, region)
    board = cloud.app.facilities.metrics.board(domain, series, at_ms=at_ms)
    board.note(figures.BILLED_MS, 100)
    board.note(figures.MEMORY, 100 * mb)
    board.note(figures.STORAGE, 100 * 512)


def usage(cloud: Cloud, month: cost.Month, **more: Any) -> list[dict[str, Any]]:
    """Return the rows that a command hears."""
    app = cloud.app
    costs = Costs(app.trail_stores, app.identity, app.parts.placement, app.flush_all)
    (control,) = costs.controls()
    assert control.name == "lambda.usage"
    rows: list[dict[str, Any]] = []

    async def send(row: Any) -> None:
        rows.append(dict(row))

    asked = {"from_ms": month.from_ms, "until_ms": month.until_ms, **more}
    cloud.run(costs.usage(msgspec.convert(asked, CostArguments), send))
    return rows


def test_what_is_billed_is_added_up_by_version_and_region_within_the_month(cloud: Cloud) -> None:
    for at_ms in (DECEMBER.from_ms, DECEMBER.from_ms + 1, DECEMBER.until_ms - 1):
        note(cloud, at_ms, "$LATEST")
    note(cloud, DECEMBER.from_ms - 1, "$LATEST", mb=256)
    note(cloud, DECEMBER.until_ms, "$LATEST", mb=512)
    note(cloud, DECEMBER.from_ms, "1", "eu-west-1")
    found = [tuple(row[name] for name in COUNTS) for row in usage(cloud, DECEMBER)]
    assert found == [
        ("f", "1", "eu-west-1", 1, 100, 12_800, 51_200),
        ("f", "$LATEST", "us-east-1", 3, 300, 38_400, 153_600),
    ]
    (row,) = usage(cloud, NOVEMBER)
    assert (row["requests"], row["mb_ms"]) == (1, 25_600)


def test_the_usage_of_one_account_is_told_alone(cloud: Cloud) -> None:
    note(cloud, DECEMBER.from_ms, "1")
    cloud.run(cloud.app.identity.create_account("other"))
    assert usage(cloud, DECEMBER, account="other") == []
    assert len(usage(cloud, DECEMBER, account="default")) == 1
    with pytest.raises(ControlError, match="there is no account nobody"):
        usage(cloud, DECEMBER, account="nobody")


@pytest.mark.parametrize(("begin", "hours"), [(0, 0), (0, 745), (1, 1), (0, -1)])
def test_a_span_that_is_no_month_is_refused(cloud: Cloud, begin: int, hours: int) -> None:
    month = cost.Month("", begin, begin + hours * HOUR_MS)
    with pytest.raises(ControlError, match="a span"):
        usage(cloud, month)


# The command.


ROW = {"account": "1" * 12, "region": "us-east-1", "function": "f", "version": "$LATEST"}
ROWS = [
    {
        **ROW,
        "architecture": "x86_64",
        "requests": 3_000_000,
        "billed_ms": 360_000_000,
        "mb_ms": 1536 * 360_000_000,
        "storage_mb_ms": 0,
    },
    {
        **ROW,
        "account": "2" * 12,
        "architecture": "arm64",
        "requests": 1,
        "billed_ms": 1,
        "mb_ms": 128,
        "storage_mb_ms": 0,
    },
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Return what a server was asked that tells ``ROWS``."""
    seen: list[dict[str, Any]] = []

    def told(_data: str | None, request: str, arguments: dict[str, Any], on_row: Any) -> int:
        assert request == "lambda.usage"
        seen.append(arguments)
        for row in ROWS:
            on_row(row)
        return 0

    monkeypatch.setattr(asking, "told", told)
    monkeypatch.setenv("FOGBANK_DATA", str(tmp_path))
    return seen


def test_a_month_is_told_by_version_and_by_account(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", "--month", "2026-12", "--account", "a"]) == 0
    assert asked == [{"from_ms": 1_796_083_200_000, "until_ms": 1_798_761_600_000, "account": "a"}]
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("\t")[-3:] == ["gb_seconds", "storage_gb_seconds", "cost"]
    assert [line.split("\t")[0][:1] for line in lines] == ["1", "1", "#", "2", "2", "#", "#"]
    assert lines[0].split("\t")[3:] == [
        *("$LATEST", "x86_64", "3000000", "360000000", "540000.000", "0.000", "2.73333800")
    ]
    assert lines[1].split("\t")[1:6] == ["-", "-", "-", "-", "3000000"]
    assert "1000000 requests and 400000.000 GB-seconds are free" in lines[2]
    assert lines[3].endswith("\t0.00000000")
    assert "US East (N. Virginia) of 2026-08-21" in lines[-1]


def test_a_list_of_prices_that_is_named_takes_the_place_of_ours(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = cost.SHIPPED.read_text()
    (tmp_path / "mine.toml").write_text(text.replace('"0.20"', '"1"').replace("USD", "EUR"))
    (tmp_path / "theirs.toml").write_text(text.replace('"0.20"', '"2"'))
    (tmp_path / "fogbank.toml").write_text('[functions]\nprices_file = "mine.toml"\n')
    for more, paid, currency in (
        ([], "3.00000000", "EUR"),
        (["--prices", str(tmp_path / "theirs.toml")], "6.00000000", "USD"),
    ):
        assert main(["cost", "--format", "json", "--no-free-tier", *more]) == 0
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        assert (first["requests_cost"], first["prices"]["currency"]) == (paid, currency)
        assert first["versions"][0]["requests_cost"] == paid
        assert second["free_requests"] == 0
    assert len(asked) == 2


def test_no_month_and_no_list_of_prices_are_refused(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text("x = 1")
    for words, why in (
        (["--month", "2026-13"], "2026-13 is no month"),
        (["--prices", str(tmp_path / "bad.toml")], "bad.toml: Object"),
        (["--prices", str(tmp_path / "none.toml")], "No such file"),
    ):
        assert main(["cost", *words]) == 1
        assert why in capsys.readouterr().err
    assert asked == []
