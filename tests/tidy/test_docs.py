"""The pages are whole: what they name exists, and every command has its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fogbank.server.cli import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.rglob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
]
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
NAMED = re.compile(r"`((?:docs|src|tests|tools|examples|benchmarks|\.ci)/[^\s`:(,]*)`")
SHORT = re.compile(
    r"`((?:base|wire|platform|contract|gateway|engines|server|testing)/[\w/]+(?:\.py)?)`"
)
PLACEHOLDER = re.compile(r"[<>*{]|NNNN|NAME")
DECISION_LINES_MAX = 30


def strange(page: Path) -> list[str]:
    """Return what a page names that is not there."""
    text = page.read_text()
    links = [
        name for name in LINK.findall(text) if "://" not in name and not name.startswith("mailto:")
    ]
    found = [name for name in links if not (page.parent / name).exists()]
    found += [
        name
        for name in NAMED.findall(text)
        if not PLACEHOLDER.search(name) and not (ROOT / name).exists()
    ]
    places = {name: ROOT / "src" / "fogbank" / name for name in SHORT.findall(text)}
    found += [
        name
        for name, place in places.items()
        if not place.exists() and not place.with_suffix(".py").exists()
    ]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    assert strange(page) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_in_the_readme_and_on_a_page(command: str) -> None:
    words = re.compile(rf"fogbank {command}\b")
    rows = [
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")
    ]
    assert any(words.search(line) for line in rows), "README.md has a table of commands"
    pages = [page for page in (DOCS / "operating").glob("*.md") if words.search(page.read_text())]
    assert pages, "docs/operating says how it is used"


def test_the_index_of_operating_names_every_page() -> None:
    index = (DOCS / "operating" / "README.md").read_text()
    pages = {path.name for path in (DOCS / "operating").glob("*") if path.name != "README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


def test_decisions_are_numbered_and_short() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.count("\n") <= DECISION_LINES_MAX, page.name
        for part in ("Context", "Decision", "Alternatives", "Consequences"):
            assert f"**{part}.**" in text, f"{page.name} lacks {part}"
