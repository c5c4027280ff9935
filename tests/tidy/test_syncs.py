"""No file or folder is synced without a test that fails when it is not (``tests/crash/disk/sites.py``)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.crash.disk.labels.sitecustomize import SHARED
from tests.crash.disk.sites import CUT_LABELS, ELSEWHERE

ROOT = Path(__file__).parents[2]
CALLS = {"fsync", "fdatasync", *SHARED}


def is_sync(node: ast.AST) -> str:
    """Return what is called, if the node syncs something: by name, or as a method of ``os``, ``env``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id == "os" and node.attr in CALLS | {"sync"}:
            return node.attr
        if node.value.id == "env" and node.attr == "sync":
            return "sync"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        return node.func.id
    return ""


def sites(node: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
    """Yield every sync below a node as ``module.function:call``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from sites(child, (*names, child.name))
            continue
        if call := is_sync(child):
            yield f"{'.'.join(names)}:{call}"
        yield from sites(child, names)


def found() -> set[str]:
    out: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        out |= set(sites(ast.parse(path.read_text()), (path.stem,)))
    return out


def labels_of(site: str) -> set[str]:
    """Return the labels of a power cut's record that a site may have."""
    where, call = site.split(":")
    if where == "log.RedoLog.__init__":  # kept in a field, and called by the log's thread
        where = "log.RedoLog._run"
    if call in {"fsync", "fdatasync"}:
        return {where}
    return {label for label in CUT_LABELS if f"{call}<{where}" in label}


def is_inner(site: str) -> bool:
    """Return whether a site lies in a function that syncs for others, whose callers are looked at."""
    return site.split(":", maxsplit=1)[0].rpartition(".")[2] in SHARED


def test_every_sync_has_a_proof() -> None:
    unproved = {
        site
        for site in found()
        if not is_inner(site) and site not in ELSEWHERE and not labels_of(site) & CUT_LABELS.keys()
    }
    assert not unproved, "see tests/crash/disk/sites.py"


def test_every_proof_is_of_a_sync_that_is_there() -> None:
    program = found()
    assert ELSEWHERE.keys() <= program
    proved = {label for site in program for label in labels_of(site)} | {"lmdb"}
    assert CUT_LABELS.keys() <= proved


def test_every_proof_elsewhere_is_a_test() -> None:
    for test in ELSEWHERE.values():
        path, name = test.split("::")
        assert f"def {name}(" in (ROOT / path).read_text(), test


def test_a_sync_is_seen_whatever_its_form() -> None:
    source = "class A:\n def f(self):\n  self.sync = os.fdatasync\n  g(sync_folder(x))\n"
    assert set(sites(ast.parse(source), ("m",))) == {"m.A.f:fdatasync", "m.A.f:sync_folder"}
