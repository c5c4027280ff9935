"""botocore's own protocol cases, run backwards: see ``cases``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from tests.conformance.cases import Case, cases, verdict

EXCUSED = Path(__file__).with_name("excused.txt")
CASES_LEAST = 732
"""The new cases alone; the old ones come on top."""


@cache
def excused() -> dict[str, str]:
    """Return the reasons of cases that need not hold, by name."""
    lines = EXCUSED.read_text("utf-8").splitlines()
    pairs = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {name: reason for name, _, reason in pairs}


def _held() -> list[Case]:
    return [each for each in cases() if each.name not in excused()]


@pytest.mark.parametrize("case", _held(), ids=lambda case: case.name)
def test_a_case_of_botocore_holds_for_a_server(case: Case) -> None:
    assert verdict(case) == ""


def test_all_cases_are_there() -> None:
    found = [each.name for each in cases() if not each.name.startswith("legacy/")]
    assert len(found) >= CASES_LEAST
    assert {each.protocol for each in cases()} == {
        "ec2",
        "json",
        "query",
        "rest-json",
        "rest-xml",
        "smithy-rpc-v2-cbor",
    }


def test_no_excused_case_passes_and_each_has_a_reason() -> None:
    names = {each.name: each for each in cases()}
    for name, reason in excused().items():
        assert len(reason) > 40, f"no reason for {name}"
        assert verdict(names[name]), f"{name} passes: take it off the list"
