"""``fogbank top``: what is shown of what a server tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fogbank.server import control, datadir
from fogbank.server.cli import main, top
from fogbank.server.datadir import AccountCredentials

ROW = {
    "account": "1" * 12,
    "region": "us-east-1",
    "function": "f",
    "version": "$LATEST",
    "runtime": "python3.11",
    "state": "busy",
    "pid": 7,
    "memory_mb": 128,
    "memory_bytes": 3 << 20,
    "processor_ms": 500,
    "age_ms": 1_000,
    "idle_ms": 0,
    "invocations": 4,
    "provisioned": False,
}


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def test_the_share_of_a_processor_is_that_since_the_last_look() -> None:
    rows, kept = top.measured([row()], {})
    assert rows[0]["processor_percent"] == 50.0
    rows, kept = top.measured([row(age_ms=3_000, processor_ms=1_000)], kept)
    assert rows[0]["processor_percent"] == 25.0
    # Another environment, whose process has the same number.
    rows, kept = top.measured([row(age_ms=1_000, processor_ms=100)], kept)
    assert rows[0]["processor_percent"] == 10.0
    assert kept == {7: (1_000, 100)}


def test_those_that_work_stand_first_the_busiest_on_top() -> None:
    given = [
        row(pid=1, state="frozen"),
        row(pid=2, state="starting"),
        row(pid=3, processor_ms=10),
        row(pid=4),
        row(pid=-1, state="starting", processor_ms=0),
    ]
    rows, kept = top.measured(given, {})
    assert [each["pid"] for each in rows] == [4, 3, 2, -1, 1]
    assert set(kept) == {1, 2, 3, 4}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Return the looks that a server answers, one after the other; the last ends in Ctrl-C."""
    monkeypatch.setenv("FOGBANK_DATA", str(tmp_path))
    datadir.write_credentials(tmp_path, [AccountCredentials("default", "1" * 12, "A" * 20, "s")])
    looks = [row(), row(state="frozen", provisioned=True, idle_ms=90_000, age_ms=7_200_000)]
    monkeypatch.setattr(top.time, "sleep", lambda _: None)

    def ask(_dir: Path, name: str, _arguments: Any, on_row: Any, _wait_s: float) -> Any:
        assert name == "lambda.environments"
        if not looks:
            raise KeyboardInterrupt
        on_row(looks.pop(0))
        return {"environments": 3, "silent": ["store 1"]}

    monkeypatch.setattr(control, "ask", ask)
    return looks


def test_looks_are_printed_until_they_are_ended(
    server: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top"]) == 0
    first, second = capsys.readouterr().out.split("3 environments ")[1:]
    assert first.startswith("(1 busy, 2 not shown), 3 MiB\nstore 1 does not answer\n")
    assert first.splitlines()[-1].split() == [
        *("7", "busy", "50.0", "3.0", "128", "1000ms", "-", "4"),
        *("$LATEST", "us-east-1", "1" * 12, "f"),
    ]
    assert second.splitlines()[-1].split()[1:7] == ["frozen*", "0.0", "3.0", "128", "2h", "90s"]
    assert server == []


def test_one_look_can_be_had_for_a_script(
    server: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--once", "--format", "json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["environments"], said["silent"]) == (3, ["store 1"])
    assert said["shown"] == [{**ROW, "processor_percent": 50.0}]
    assert len(server) == 1


def test_without_a_server_or_with_no_pause_there_is_nothing_to_see(
    server: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for words in (["--interval", "0"], ["--interval", "nan"]):
        assert main(["top", *words]) == 1
        assert "at least 0.1 seconds" in capsys.readouterr().err
    assert main(["top", "--data", str(tmp_path / "none")]) == 1
    assert "is no data directory" in capsys.readouterr().err
    assert len(server) == 2
