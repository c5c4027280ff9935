"""The house rules that linters cannot say (DESIGN sections 3, 8, 9 and 10)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.tidy.trees import FILES, PYTHON, ROOT, SOURCE, defined, lines_of, tree_of, where

from fogbank.server import settings
from fogbank.server.config import SHORT_NAMES, Config
from fogbank.server.roster import ROSTER

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
CLASS_LINES_MAX = 300
MANIFEST_LINES_MAX = 60
SANDBOXD_LINES_MAX = 2_950
"""Of the privileged part, whole, with docstrings: an hour at 46 lines a minute."""
FORBIDDEN_ROOMS = {"utils", "util", "helpers", "helper", "common", "misc", "base_classes"}
FORBIDDEN_NAME = re.compile(r"(Manager|Helper|Util|Utils)$|^Base[A-Z]|^_?(do|handle|process)_")
MUTABLE_CALLS = {"dict", "list", "set", "defaultdict", "deque", "OrderedDict", "Counter"}


def test_no_file_is_longer_than_600_lines() -> None:
    long = [path for path in PYTHON if path.read_text().count("\n") > FILE_LINES_MAX]
    assert [str(path.relative_to(ROOT)) for path in long] == []


def longer_than(lines_max: int, *kinds: type[ast.AST]) -> list[str]:
    return [
        where(path, node)
        for path in PYTHON
        for node in defined(path)
        if isinstance(node, kinds) and lines_of(node) > lines_max
    ]


def test_no_function_is_longer_than_70_lines() -> None:
    assert longer_than(FUNCTION_LINES_MAX, ast.FunctionDef, ast.AsyncFunctionDef) == []


def test_no_class_is_longer_than_300_lines() -> None:
    assert longer_than(CLASS_LINES_MAX, ast.ClassDef) == []


def test_sandboxd_can_be_read_in_an_hour() -> None:
    folder = SOURCE / "engines/sandbox/daemon"
    files = sorted(folder.glob("**/*.py"))
    assert sum(len(path.read_text().splitlines()) for path in files) <= SANDBOXD_LINES_MAX
    order = (folder / "__init__.py").read_text()
    named = [path.stem for path in files if not path.stem.startswith("__")]
    assert [name for name in named if f"``{name}``" not in order] == []


def test_sandboxd_imports_the_standard_library_and_base_only() -> None:
    ours = ("fogbank.base", "fogbank.engines.sandbox.daemon")
    foreign: list[str] = []
    for path in sorted((SOURCE / "engines/sandbox/daemon").glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            foreign += [
                f"{path.name}: {name}"
                for name in names
                if not name.startswith(ours) and name.split(".")[0] not in sys.stdlib_module_names
            ]
    assert foreign == []


def test_names_say_what_they_are() -> None:
    named = [(path, node) for path in FILES for node in defined(path)]
    assert [f"{where(p, n)} {n.name}" for p, n in named if FORBIDDEN_NAME.search(n.name)] == []


def test_no_room_is_called_utils() -> None:
    assert [str(path) for path in SOURCE.rglob("*") if path.stem in FORBIDDEN_ROOMS] == []


def test_modules_of_services_and_platform_hold_no_mutable_state() -> None:
    found = []
    for path in FILES:
        if not {"services", "platform", "contract"} & set(path.relative_to(SOURCE).parts):
            continue
        for node in tree_of(path).body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            target = (
                node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            )
            if value is None or not isinstance(target, ast.Name):
                continue
            called = (
                isinstance(value, ast.Call)
                and isinstance(value.func, ast.Name)
                and value.func.id in MUTABLE_CALLS
            )
            literal = (
                isinstance(value, ast.List | ast.Dict | ast.Set)
                and not target.id.strip("_").isupper()
            )
            if (called or literal) and target.id != "__all__":
                found.append(f"{where(path, node)} {target.id}")
    assert found == []


def test_the_roster_names_every_service_package() -> None:
    packages = {path.parent.name for path in (SOURCE / "services").glob("*/__init__.py")}
    assert packages == set(ROSTER)
    assert list(ROSTER) == sorted(ROSTER)


@pytest.mark.parametrize("service", ROSTER)
def test_a_service_has_a_short_manifest_documentation_and_wire_tests(service: str) -> None:
    manifest = SOURCE / "services" / service / "__init__.py"
    assert manifest.read_text().count("\n") <= MANIFEST_LINES_MAX
    name = service.strip("_")
    assert (ROOT / "docs" / "services" / f"{name}.md").is_file()
    model = re.search(r'model="([\w-]+)"', manifest.read_text())
    assert model is not None
    assert (ROOT / "docs" / "coverage" / f"{model[1]}.md").is_file()
    assert list((ROOT / "tests" / "wire" / service).glob("test_*.py"))


def runtime_distributions() -> set[str]:
    """Return the names of everything that an installation brings along."""
    wanted, seen = ["fogbank"], set()
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        for text in metadata.distribution(name).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return seen - {"fogbank"}


def test_no_dependency_is_under_gpl_or_agpl() -> None:
    copyleft = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)
    found = {}
    for name in runtime_distributions():
        about = metadata.metadata(name)
        words = [about.get("License-Expression") or "", (about.get("License") or "")[:200]]
        words += [row for row in about.get_all("Classifier") or [] if row.startswith("License")]
        assert any(words), f"{name} does not say its licence"
        if any(copyleft.search(text) for text in words):
            found[name] = words
    assert found == {}


def committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_committed_file_names_a_registry_or_a_path_of_some_machine() -> None:
    hosts = [
        "pypi." + "org",
        "files.python" + "hosted",
        "registry." + "npmjs",
        "/work/" + "main",
        "/root/" + ".pyenv",
    ]
    found = []
    for path in committed_files():
        if not path.is_file() or path.is_symlink():
            continue
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.relative_to(ROOT)}: {host}" for host in hosts if host in text]
    assert found == []


def test_the_page_of_settings_says_what_the_code_says() -> None:
    page = ROOT / "docs" / "operating" / "settings.md"
    assert page.read_text() == settings.page(Config(), SHORT_NAMES), "run tools/settings.py"
