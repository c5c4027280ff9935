from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.fuzz.hunting import CASES_SOAK, Outcome, Target, hunt, seed_of
from tests.measured import add_up

Hunted = Callable[[Target], Outcome]
"""Tries the cases of a target."""


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Iterator[Counter[str]]:
    """Count what a soak tries, and add it to what the soaks before it tried."""
    counted: Counter[str] = Counter()
    yield counted
    if pytestconfig.getoption("--soak") and counted:
        add_up("fuzz", counted, promises={"findings": "<= 0"})


@pytest.fixture
def hunted(pytestconfig: pytest.Config, tally: Counter[str]) -> Hunted:
    """Return what tries a target as often as the run wants."""
    soak = bool(pytestconfig.getoption("--soak"))
    seed = seed_of(soak=soak)

    def run(target: Target) -> Outcome:
        count = int(os.environ.get("CASES", CASES_SOAK)) if soak else target.count
        sys.stdout.write(f"{target.name}: seed {seed}, {count} cases\n")
        outcome = hunt(target, seed, count, soak=soak)
        tally["cases"] += outcome.cases
        tally[f"cases_{target.name}"] += outcome.cases
        tally[f"accepted_{target.name}"] += outcome.accepted
        tally["findings"] += len(outcome.findings)
        return outcome

    return run
