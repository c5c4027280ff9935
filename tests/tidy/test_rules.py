"""The rules that hold the house are themselves held: who loosens one sees a test fail."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from tests.tidy.trees import FILES, ROOT, SOURCE

TOOLS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
CONTRACTS: list[dict[str, Any]] = TOOLS["importlinter"]["contracts"]
IGNORED_MAX = 18
"""Rules of ruff that are left out for the whole tree; the list may only shrink."""
STEPS = (
    'ruff" format --check .',
    'ruff" check .',
    "lint-imports",
    'basedpyright" --level error',
    "for each in shapes ledger specification settings",
    "-m pytest -q -n auto",
)


def contract(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in CONTRACTS if one["type"] == kind and name in one["name"]]
    return found


def test_ruff_has_every_rule_but_those_with_a_reason() -> None:
    lint = TOOLS["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    assert len(lint["ignore"]) <= IGNORED_MAX
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    begin = lines.index("ignore = [") + 1
    rows = lines[begin : lines.index("]", begin)]
    assert [row for row in rows if not re.fullmatch(r'  "[A-Z0-9]+", +# .+', row)] == []
    banned = lint["flake8-tidy-imports"]["banned-api"]
    assert {"time.time", "random", "os.urandom", "asyncio.sleep", "asyncio.create_task"} <= set(
        banned
    )
    shipped = {name for name in lint["per-file-ignores"] if name.startswith("src/")}
    assert shipped == {
        "src/fogbank/base/clock.py",
        "src/fogbank/base/ids.py",
        "src/fogbank/server/asking.py",
        "src/fogbank/server/cli/**",
        "src/fogbank/testing/**",
    }


def test_sizes_are_those_of_the_style() -> None:
    pylint = TOOLS["ruff"]["lint"]["pylint"]
    assert (pylint["max-args"], TOOLS["ruff"]["line-length"]) == (6, 100)
    assert TOOLS["ruff"]["lint"]["mccabe"]["max-complexity"] == 10


def test_all_that_we_ship_is_typed_strictly() -> None:
    settings = TOOLS["basedpyright"]
    assert (settings["include"], settings["typeCheckingMode"]) == (["src"], "strict")
    assert {name for name, value in settings.items() if value is False} == {
        "reportMissingModuleSource",
        "reportMissingTypeStubs",
    }
    loose = [
        path.relative_to(SOURCE).as_posix()
        for path in FILES
        if re.search(r"^# pyright: (?!strict)", path.read_text(), re.MULTILINE)
    ]
    # botocore has no types: where the model is read, and where boto3 is doubled for tests.
    assert [name for name in loose if not name.startswith(("testing/", "wire/model.py"))] == []


def test_the_floors_name_every_package_and_go_down_only() -> None:
    floors = contract("layers", "floors")
    assert floors["exhaustive"] is True
    named = [re.findall(r"\((\w+)\)", row) for row in floors["layers"]]
    assert named == [
        ["testing"],
        ["__main__"],
        ["server"],
        ["gateway", "services", "engines"],
        ["contract"],
        ["platform", "wire"],
        ["base"],
    ]
    packages = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert packages == {name for row in named for name in row} - {"__main__"}


def test_the_rooms_of_a_service_and_the_walls_between_services_stand() -> None:
    rooms = contract("layers", "Rooms")
    assert (rooms["containers"], rooms["exhaustive"]) == (["fogbank.services.*"], True)
    assert contract("independence", "another service")["modules"] == ["fogbank.services.*"]
    for name, source in (
        ("Engines", "fogbank.engines"),
        ("privileged daemon", "fogbank.engines.sandbox.daemon"),
        ("HTTP or AWS clients", "fogbank.services"),
        ("botocore", "fogbank"),
    ):
        assert source in contract("forbidden", name)["source_modules"]
    assert contract("acyclic_siblings", "cycles")["ancestors"] == ["fogbank", "fogbank.**"]
    # What a contract lets through are the second APIs of services, and botocore, where it is read and
    # where it is doubled.
    excused = [row for each in CONTRACTS for row in each.get("ignore_imports", ())]
    assert excused == [
        "fogbank.services.dynamodbstreams -> fogbank.services.dynamodb.**",
        "fogbank.services.s3control -> fogbank.services.s3.**",
        "fogbank.wire.published -> botocore",
        "fogbank.testing.* -> botocore",
    ]


@pytest.mark.parametrize("step", STEPS)
def test_the_check_before_a_commit_takes_every_step(step: str) -> None:
    lines = (ROOT / "tools" / "check").read_text().splitlines()
    assert [line for line in lines if step in line and not line.startswith("#")]


def test_ci_checks_the_house_and_runs_the_suite_twice() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert "\ntools/check --still\n" in text
    assert text.count("make ") >= 2
    assert "PYTHON=/usr/bin/python3" in text
