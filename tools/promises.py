"""Read ``docs/promises.toml``: what we promise, each with the tests or the run that shows it.

A promise without a proof is a claim, and a proof that was renamed away is none: a test that is
named here must exist. Test files are parsed and never imported, so that this costs no fixtures.
"""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MEMBERS = {"area", "says", "tests", "run"}
SAYS_MAX = 200  # characters: one sentence that is read at a glance
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unproved(Exception):
    """A promise that nothing shows, or that names what is not there."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One sentence and what shows that it holds."""

    area: str
    says: str
    tests: tuple[str, ...]
    run: str


@cache
def tests_of(path: Path) -> frozenset[str]:
    """Return the test functions of a file, those of classes as ``Class::test_name``."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(), str(path)).body:
        if isinstance(node, Function):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, Function)}
    return frozenset(name for name in names if name.rpartition("::")[2].startswith("test_"))


def require_test(root: Path, node_id: str) -> None:
    """Raise ``Unproved`` unless the file, and the function if one is named, is there."""
    path, _, name = node_id.partition("::")
    file = root / path
    if not path.startswith("tests/") or not file.is_file() or not Path(path).name[:5] == "test_":
        raise Unproved(f"there is no file of tests {path}")
    found = tests_of(file)
    if not found or (name and name not in found):
        raise Unproved(f"there is no test {name} in {path}" if name else f"{path} has no test")


def require_run(root: Path, run: str) -> None:
    """Raise ``Unproved`` unless the target of make, or the script that is run, is there."""
    words = run.split()
    if words[0] == "make":
        target = next((word for word in words[1:] if "=" not in word), "")
        rule = rf"^{re.escape(target)}:"
        if not target or not re.search(rule, (root / "Makefile").read_text(), re.MULTILINE):
            raise Unproved(f"the Makefile has no target for {run!r}")
    elif not any((root / word).is_file() for word in words[:2]):
        raise Unproved(f"nothing that is here is run by {run!r}")


def promise_of(root: Path, table: dict[str, Any]) -> Promise:
    """Return one promise, checked.

    Raises:
        Unproved: with the sentence and what is wrong with it.
    """
    says = str(table.get("says", ""))
    tests, run = tuple(table.get("tests", ())), str(table.get("run", ""))
    try:
        if unknown := set(table) - MEMBERS:
            raise Unproved(f"unknown members {sorted(unknown)}")  # noqa: TRY301 (one place adds the sentence)
        if not table.get("area") or not says.endswith(".") or len(says) > SAYS_MAX:
            raise Unproved("needs an area and one short sentence")  # noqa: TRY301 (see above)
        if not tests and not run:
            raise Unproved("names neither a test nor a run")  # noqa: TRY301 (see above)
        for node_id in tests:
            require_test(root, node_id)
        if run:
            require_run(root, run)
    except Unproved as error:
        raise Unproved(f"docs/promises.toml: {says!r}: {error}") from None
    return Promise(table["area"], says, tests, run)


def promises(root: Path) -> list[Promise]:
    """Return all promises in the order of the file.

    Raises:
        Unproved: if one is said twice, or nothing shows it.
    """
    tables = tomllib.loads((root / "docs" / "promises.toml").read_text())["promise"]
    found = [promise_of(root, table) for table in tables]
    said = [promise.says for promise in found]
    if twice := {one for one in said if said.count(one) > 1}:
        raise Unproved(f"docs/promises.toml says twice: {sorted(twice)}")
    return found


def proof_of(promise: Promise) -> str:
    """Return the cell that names the proof: sentences of tests under links to their files."""
    by_file: dict[str, list[str]] = {}
    for node_id in promise.tests:
        path, _, name = node_id.partition("::")
        by_file.setdefault(path, []).append(name)
    cells = []
    for path, names in by_file.items():
        link = f"[{path.removeprefix('tests/').removesuffix('.py')}](../{path})"
        said = "; ".join(
            name.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            for name in names
            if name
        )
        cells.append(f"{link}: {said}" if said else link)
    if promise.run:
        cells.append(f"`{promise.run}`")
    return "<br>".join(cells)


def tables_of(found: list[Promise]) -> str:
    """Return a section for each area, in the order in which areas first appear."""
    by_area: dict[str, list[str]] = {}
    for promise in found:
        row = f"| {promise.says} | {proof_of(promise)} |"
        by_area.setdefault(promise.area, []).append(row)
    head = ["| what we promise | the test or run that shows it |", "| --- | --- |"]
    return "".join(
        "\n".join([f"\n### {area}", "", *head, *rows, ""]) for area, rows in by_area.items()
    )
