"""Rules for tests (DESIGN section 10), and for the lists that may only shrink."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.tidy.trees import PYTHON, ROOT, TESTS, Function, defined, tree_of, where

WORDS_MIN = 3
"""Fewer words are a label, not a sentence."""
WAITING_MARKS = {"http", "crash", "slow"}
"""Tests that watch other processes, and so may wait for them."""
PROVEN_BY_THEIR_END = [
    # What these say is that nothing is raised, by whatever is given; the list may only shrink.
    "test_any_pattern_is_taken_or_refused_in_the_service_s_words",
    "test_any_text_is_read_or_refused",
    "test_boto3_follows_from_a_regions_own_host",
    "test_creating_a_bucket_again_succeeds_in_us_east_1",
    "test_entries_that_share_no_event_and_no_key_stand_together",
    "test_neutral_values_of_what_is_not_built_are_accepted",
    "test_no_bytes_break_the_decoder",
    "test_no_bytes_break_the_reader",
    "test_no_bytes_bring_another_error",
    "test_no_bytes_raise_anything_but_a_modelled_error",
    "test_no_json_raises_anything_but_a_modelled_error",
    "test_no_request_breaks_the_router",
    "test_no_text_raises_anything_but_a_value_error",
    "test_the_longest_names_of_functions_fit",
    "test_values_that_ask_for_nothing_are_taken",
]
SLEEPS = {"time.sleep", "asyncio.sleep"}
LINES_MAX = {
    # Every list that may only shrink, with its length: lower the number with the list.
    "contracts/uncovered.txt": 0,
    "contracts/ignored.txt": 1,
    "contracts/unpaged.txt": 0,
    "skips.txt": 3,
}


def all_tests() -> Iterator[tuple[Path, ast.Module, Function]]:
    for path in TESTS:
        for node in defined(path):
            if isinstance(node, Function) and node.name.startswith("test_"):
                yield path, tree_of(path), node


def marks_of(tree: ast.Module, test: Function) -> set[str]:
    """Return the marks of a test and of its module."""
    marked: list[ast.AST] = list(test.decorator_list)
    marked += [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    return set(re.findall(r"mark\.(\w+)", " ".join(ast.unparse(node) for node in marked)))


def test_the_name_of_a_test_is_a_sentence() -> None:
    labels = [
        f"{where(path, test)} {test.name}"
        for path, _, test in all_tests()
        if len(test.name.removeprefix("test_").split("_")) < WORDS_MIN
    ]
    assert labels == []


def proves(node: ast.AST) -> bool:
    """Return whether a piece of a test can fail on what it sees."""
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func).rpartition(".")[2]
    return called in {"raises", "fail", "wait", "fnmatch_lines"} or called.startswith(
        ("assert_", "check_", "require_", "prove_", "expect_", "refuse_")
    )


@cache
def functions_of(path: Path) -> dict[str, Function]:
    return {node.name: node for node in defined(path) if isinstance(node, Function)}


def asserts(test: Function, functions: dict[str, Function], seen: frozenset[str]) -> bool:
    """Return whether a test, or a function of its module that it names, asserts something."""
    for node in ast.walk(test):
        if proves(node):
            return True
        name = node.id if isinstance(node, ast.Name) else ""
        told = functions.get(name) if name not in seen else None
        if told is not None and asserts(told, functions, seen | {name}):
            return True
    return False


def test_every_test_asserts_something() -> None:
    idle = [
        test.name
        for path, _, test in all_tests()
        if not asserts(test, functions_of(path), frozenset({test.name}))
    ]
    assert sorted(idle) == sorted(PROVEN_BY_THEIR_END)


def test_a_test_sleeps_only_to_watch_processes_or_for_a_reason_beside_it() -> None:
    sleeping = []
    for path, tree, test in all_tests():
        if "http" in path.parts or "crash" in path.parts or marks_of(tree, test) & WAITING_MARKS:
            continue
        calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
        slept = [node for node in calls if ast.unparse(node.func) in SLEEPS]
        lines = path.read_text().splitlines()
        sleeping += [
            where(path, node)
            for node in slept
            if ast.unparse(node.args[0]) != "0" and "  # " not in lines[node.lineno - 1]
        ]
    assert sleeping == []


def test_every_suppression_has_its_reason() -> None:
    bare = re.compile(r"# noqa(?!: [A-Z0-9, ]+ \(.+\))")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PYTHON
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line) and path != Path(__file__)
    ]
    assert found == []


def test_what_is_expected_to_fail_must_fail() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["xfail_strict"] is True
    assert settings["filterwarnings"][0] == "error"
    lenient = [
        path.name for path in TESTS if re.search(r"xfail\(.*strict=" + "False", path.read_text())
    ]
    assert lenient == []


def test_every_cloud_of_wire_and_contract_tests_runs_bodies_again() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["fogbank_replay"] is True, "the plugin's cloud"
    made = [
        (path, node)
        for path in TESTS
        if {"wire", "contracts"} & set(path.relative_to(ROOT / "tests").parts[:1])
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Cloud"
    ]
    assert made
    once = [where(path, node) for path, node in made if "replay=True" not in ast.unparse(node)]
    assert once == []


@pytest.mark.parametrize("name", LINES_MAX)
def test_a_list_of_exceptions_only_shrinks(name: str) -> None:
    lines = (ROOT / "tests" / name).read_text().splitlines()
    count = sum(bool(line.strip()) and not line.startswith("#") for line in lines)
    assert count == LINES_MAX[name], (
        "a shorter list needs a lower number; a longer one needs mending"
    )
