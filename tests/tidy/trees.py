"""The sources of the house, each parsed once for all rules that read them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fogbank"
FILES = sorted(SOURCE.rglob("*.py"))
"""What we ship."""
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PYTHON = sorted(
    path
    for folder in ("src", "tests", "tools", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
"""Everything that a person reads."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the tree of a file."""
    return ast.parse(path.read_text(), str(path))


@cache
def defined(path: Path) -> tuple[Function | ast.ClassDef, ...]:
    """Return the functions and classes of a file, at every depth."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return tuple(node for node in ast.walk(tree_of(path)) if isinstance(node, kinds))


def where(path: Path, node: ast.stmt | ast.expr) -> str:
    """Return file and line."""
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def lines_of(node: Function | ast.ClassDef) -> int:
    """Return the length of a function or class."""
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1
