"""The page about testing is true: its examples are a project, and its tests pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
BLOCK = re.compile(r"^```(?:python|ini)\n# (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SERVED = {"test_server.py"}
"""Examples that start a server."""


def examples() -> dict[str, str]:
    """Return the files that the page shows."""
    return dict(BLOCK.findall(PAGE.read_text()))


def run_examples(pytester: pytest.Pytester, *names: str) -> pytest.RunResult:
    """Run examples as the project of someone who installed Fogbank."""
    for name, text in examples().items():
        if not name.startswith("test_") or name in names:
            (pytester.path / name).write_text(text)
    return pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:cacheprovider")


@pytest.mark.slow
def test_the_examples_of_the_page_pass(pytester: pytest.Pytester) -> None:
    names = sorted(name for name in examples() if name.startswith("test_") and name not in SERVED)
    assert len(names) >= 4
    tests = sum(len(re.findall(r"^def test_", examples()[name], re.MULTILINE)) for name in names)
    run_examples(pytester, *names).assert_outcomes(passed=tests)


@pytest.mark.http
@pytest.mark.slow
def test_the_examples_with_a_server_pass(pytester: pytest.Pytester) -> None:
    run_examples(pytester, *SERVED).assert_outcomes(passed=1)


def test_every_python_block_of_the_page_is_an_example() -> None:
    assert PAGE.read_text().count("```python\n") == sum(name.endswith(".py") for name in examples())
