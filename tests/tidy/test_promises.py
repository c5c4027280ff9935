"""What we promise is shown by tests that exist: the reader of ``docs/promises.toml`` sees to it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("promises_tool", ROOT / "tools" / "promises.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "Makefile").write_text("demo: env\n\ttrue\n")
    (tmp_path / "tests" / "test_a.py").write_text(
        "def test_one(): ...\nclass TestTwo:\n    async def test_three(self): ...\ndef other(): ...\n"
    )
    (tmp_path / "tests" / "test_empty.py").write_text("def other(): ...\n")
    return tmp_path


def written(house: Path, **members: object) -> Path:
    lines = ['[[promise]]\narea = "A"\n', *(f"{k} = {v!r}\n" for k, v in members.items())]
    (house / "docs" / "promises.toml").write_text("".join(lines))
    return house


def test_what_we_promise_is_shown_by_what_is_there(tool: ModuleType) -> None:
    assert tool.promises(ROOT)


def test_a_promise_stands_on_the_page_with_its_tests_and_its_run(
    tool: ModuleType, house: Path
) -> None:
    tests = ["tests/test_a.py::test_one", "tests/test_a.py::TestTwo::test_three"]
    found = tool.promises(written(house, says="It holds.", tests=tests, run="make demo KEEP=1"))
    assert tool.tables_of(found).splitlines()[1:] == [
        "### A",
        "",
        "| what we promise | the test or run that shows it |",
        "| --- | --- |",
        "| It holds. | [test_a](../tests/test_a.py): one; three<br>`make demo KEEP=1` |",
    ]


def test_every_promise_stands_under_the_heading_of_its_area() -> None:
    heading, astray = "", []
    for line in (ROOT / "docs" / "promises.toml").read_text().splitlines():
        if line.startswith("# --- "):
            heading = line.strip("#- ")
        elif line.startswith("area = ") and line != f'area = "{heading}"':
            astray.append(f"{line} under {heading}")
    assert astray == []


@pytest.mark.parametrize(
    "members",
    [
        {"says": "It holds."},
        {"says": "It holds.", "tests": ["tests/test_b.py"]},
        {"says": "It holds.", "tests": ["tests/test_empty.py"]},
        {"says": "It holds.", "tests": ["tests/test_a.py::test_two"]},
        {"says": "It holds.", "tests": ["tests/test_a.py::other"]},
        {"says": "It holds.", "tests": ["tests/test_a.py::test_three"]},
        {"says": "It holds.", "tests": ["docs/promises.toml"]},
        {"says": "It holds.", "run": "make tea"},
        {"says": "It holds.", "run": "tools/nothing"},
        {"says": "It holds", "run": "make demo"},
        {"says": "It holds.", "run": "make demo", "figure": "7"},
    ],
)
def test_a_promise_that_nothing_shows_is_refused(
    tool: ModuleType, house: Path, members: dict[str, object]
) -> None:
    with pytest.raises(tool.Unproved, match=r"docs/promises\.toml"):
        tool.promises(written(house, **members))


def test_nothing_is_promised_twice(tool: ModuleType, house: Path) -> None:
    page = written(house, says="It holds.", run="make demo") / "docs" / "promises.toml"
    page.write_text(page.read_text() * 2)
    with pytest.raises(tool.Unproved, match="twice"):
        tool.promises(house)
