"""The hunt itself: what it must find is found, and the same run is the same cases."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from tests.fuzz import hunting
from tests.fuzz.hunting import Target, case, hunt
from tests.measured import added

SEEDS = (b'{"a": 1}', b"GET / HTTP/1.1\r\n\r\n")


def target(check: hunting.Check) -> Target:
    return Target("hunted", SEEDS, check)


def test_the_same_seed_makes_the_same_cases_and_another_makes_others() -> None:
    made = [[case(target(bool), seed, number) for number in range(50)] for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert len(set(made[0])) > 40


def test_an_unexpected_error_is_found_and_told_once_with_its_seed() -> None:
    def check(data: bytes) -> bool:
        if b"{" not in data:
            raise KeyError(len(data))
        return True

    outcome = hunt(target(check), 5, 100, soak=False)
    assert len(outcome.findings) == 1
    assert "KeyError at test_hunting.py" in outcome.findings[0]
    assert outcome.cases == 102
    assert 0 < outcome.accepted < 102


def test_memory_beyond_what_the_length_allows_is_found() -> None:
    held: list[bytes] = []

    def check(_data: bytes) -> bool:
        held.append(bytes(hunting.MEMORY_BASE_BYTES * 2))
        held.clear()
        return True

    assert "bytes for" in hunt(target(check), 1, 0, soak=False).findings[0]
    assert not tracemalloc.is_tracing()


def test_what_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_data: bytes) -> bool:
        while True:
            pass

    monkeypatch.setattr(hunting, "CPU_S_MAX", 0.05)
    assert "HangError" in hunt(target(check), 1, 0, soak=False).findings[0]


def test_a_soak_keeps_what_it_finds_and_every_run_tries_it_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hunting, "CASES", tmp_path)

    def check(data: bytes) -> bool:
        if data not in SEEDS:
            raise ValueError(data)
        return True

    first = hunt(target(check), 1, 40, soak=True)
    assert len(first.findings) == 1
    (kept,) = (tmp_path / "hunted").iterdir()
    again = hunt(target(check), 1, 0, soak=False)
    assert f"cases/hunted/{kept.name}" in again.findings[0]


def test_figures_add_up_over_runs_and_the_longest_stays() -> None:
    before, run = {"cases": 3, "gone_ms_max": 9}, {"cases": 4, "lost": 1, "gone_ms_max": 7}
    assert added(before, run) == {"cases": 7, "lost": 1, "gone_ms_max": 9}
