"""The way to what sandboxes with users of their own use: opened where it is ours, else named."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.engines.sandbox import passage


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders that everybody may pass, from the root of the machine on as far as they are ours."""
    top = tmp_path / "top"
    (top / "data" / "functions").mkdir(parents=True)
    for path in (top, top / "data", top / "data" / "functions"):
        path.chmod(0o711)
    return top


def above(path: Path) -> list[str]:
    """Return the folders above a tree, which pytest keeps closed: they count as opened here."""
    return [str(folder) for folder in path.parents]


def test_folders_of_ours_are_opened_for_passing_and_for_nothing_else(tree: Path) -> None:
    data = tree / "data"
    for before, after in ((0o700, 0o711), (0o750, 0o751), (0o755, 0o755)):
        data.chmod(before)
        passage.open_way([str(data)])
        assert data.stat().st_mode & 0o777 == after


def test_the_first_folder_that_bars_the_way_is_named(tree: Path) -> None:
    wanted = [str(tree / "data" / "functions")]
    assert passage.barred(wanted, above(tree)) == ""
    tree.chmod(0o750)
    (tree / "data").chmod(0o700)
    assert f"may not pass {tree}: let others pass it (chmod o+x {tree})" in passage.barred(
        wanted, above(tree)
    )
    assert f"may not pass {tree}/data:" in passage.barred(wanted, [*above(tree), str(tree)])
    assert passage.barred(wanted, [*above(tree), str(tree), str(tree / "data")]) == ""


def test_a_file_must_be_readable_and_what_is_not_there_bars_nobody(tree: Path) -> None:
    file = tree / "python"
    assert passage.barred([str(file)], above(tree)) == ""
    file.touch(0o711)
    assert f"may not pass {file}:" in passage.barred([str(file)], above(tree))
    file.chmod(0o744)
    assert passage.barred([str(file)], above(tree)) == ""


def test_links_are_followed_to_what_bars_the_way(tree: Path) -> None:
    closed = tree / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").touch(0o755)
    (tree / "python").symlink_to(closed / "python")
    assert f"may not pass {closed}:" in passage.barred([str(tree / "python")], above(tree))
