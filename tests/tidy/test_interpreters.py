"""What runs inside of functions runs on each CPython that is a runtime, whatever CI's machine has."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.tidy.trees import SOURCE, tree_of

OLDEST = "3.9"
"""The oldest CPython that is a runtime."""
INSIDE = SOURCE / "engines" / "sandbox" / "inside"


def file_of(module: str) -> Path | None:
    path = SOURCE.parent / module.replace(".", "/")
    found = [each for each in (path.with_suffix(".py"), path / "__init__.py") if each.exists()]
    return found[0] if found else None


def imported(path: Path) -> set[Path]:
    """Return the files that a file imports from this house, wherever in it."""
    names = [
        f"{node.module}.{alias.name}" if file_of(f"{node.module}.{alias.name}") else node.module
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fogbank")
        for alias in node.names
    ]
    return {found for name in names if (found := file_of(name))}


def everything_inside() -> set[Path]:
    seen: set[Path] = set()
    ahead = set(INSIDE.glob("*.py"))
    while ahead:
        seen |= ahead
        ahead = {found for path in ahead for found in imported(path)} - seen
    return seen


def versions(files: set[Path]) -> subprocess.CompletedProcess[str]:
    vermin = [str(Path(sys.executable).with_name("vermin")), f"--target={OLDEST}-"]
    command = [*vermin, "--violations", "--no-tips", *sorted(map(str, files))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_runs_inside_asks_for_no_newer_python() -> None:
    files = everything_inside()
    assert {"build.py", "bootstrap.py", "syscalls.py"} <= {path.name for path in files}
    found = versions(files)
    assert found.returncode == 0, found.stdout


def test_a_newer_python_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "newer.py"
    file.write_text("pairs = zip((1,), (2,), strict=True)\n")
    found = versions({file})
    assert found.returncode == 1
    assert "'zip(strict)' requires !2, 3.10" in found.stdout
