"""What the runs of public suites share: an environment of the suite's own, and what became of each test.

A suite is brought by whoever runs it; nothing of it is kept here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

OUTCOMES = """
import json, os

outcomes = {}
chosen = json.loads(os.environ["CHOSEN"])


def pytest_configure(config):
    for name in chosen["markers"]:
        config.addinivalue_line("markers", name)


def pytest_collection_modifyitems(items):
    items[:] = [
        item for item in items
        if not any(item.get_closest_marker(name) for name in chosen["without_markers"])
        and not set(chosen["without_fixtures"]) & set(item.fixturenames)
        and not any(words in item.nodeid for words in chosen["without_ids"])
    ]


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        return
    if report.when == "call" or report.outcome != "passed":
        why = str(getattr(report.longrepr, "reprcrash", "") or report.longrepr or "")
        outcomes[report.nodeid] = [report.outcome, why[-600:]]


def pytest_sessionfinish(session):
    with open(os.environ["OUTCOMES"], "w") as file:
        json.dump(outcomes, file)
"""
"""A plugin of pytest: what became of each test, without its clean-up."""


def python_of(name: str, packages: Sequence[str]) -> Path:
    """Return the interpreter of a suite's own environment, made once.

    Args:
        name: The environment's folder, beside the project's own.
        packages: What the suite imports.
    """
    folder = Path(sys.prefix) / name
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / ".ready").touch()
    return python


def outcomes(  # noqa: PLR0913 (a run has these parts)
    python: Path,
    given: Sequence[str],
    *,
    suite: Path,
    scratch: Path,
    environment: Mapping[str, str],
    chosen: Mapping[str, Sequence[str]],
    shims: str = "",
) -> dict[str, tuple[str, str]]:
    """Run a suite and return what became of each test, and the end of what it said.

    Args:
        python: The interpreter of the suite's environment.
        given: Arguments of pytest: the files among them.
        suite: The checkout.
        scratch: An empty folder.
        environment: What the suite finds its server and keys by.
        chosen: ``markers`` to declare; tests with one of ``without_markers``,
            ``without_fixtures`` or, in their ids, ``without_ids`` are left out.
        shims: What the plugin does besides, before the suite's files are read.
    """
    (scratch / "outcomes_of_tests.py").write_text(OUTCOMES + shims)
    every = {
        "markers": [],
        "without_markers": [],
        "without_fixtures": [],
        "without_ids": [],
        **chosen,
    }
    subprocess.run(
        [
            *(str(python), "-m", "pytest", "-q", "-p", "outcomes_of_tests"),
            *("-p", "no:cacheprovider", "--tb=line", *given),
        ],
        cwd=suite,
        check=False,
        stdout=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": str(scratch),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OUTCOMES": str(scratch / "outcomes.json"),
            "CHOSEN": json.dumps(every),
            **environment,
        },
    )
    return json.loads((scratch / "outcomes.json").read_text())


def why_of(runner: Path, kind: str, test: str) -> str:
    """Return why a test fails as it should: what AWS has instead; empty if nobody said.

    Args:
        runner: The script that runs the suite; its reasons lie beside it.
        kind: The section of its reasons.
        test: The test's name.
    """
    reasons = tomllib.loads(runner.with_suffix(".toml").read_text())
    return reasons.get(kind, {}).get(test, "")
