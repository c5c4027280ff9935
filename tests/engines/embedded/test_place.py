"""Bringing a file to its place: whole under its name, whoever else brings the same file meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fogbank.engines.embedded import place as module
from fogbank.engines.embedded.place import PARTIAL, place

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def source(tmp_path: Path) -> Path:
    found = tmp_path / "source"
    found.write_bytes(CONTENT)
    return found


def place_elsewhere(source: Path, target: Path, *, link: bool) -> None:
    """Place the same file in another process, to the end."""
    code = "from fogbank.engines.embedded.place import place; from pathlib import Path; import sys"
    call = f"{code}; place(Path(sys.argv[1]), Path(sys.argv[2]), link={link})"
    subprocess.run([sys.executable, "-c", call, str(source), str(target)], check=True)


def test_two_processes_that_copy_the_same_file_leave_it_whole(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    monkeypatch.setattr(module, "_shared", lambda *_: False)
    copy = module._copy

    def halting(reading: int, writing: int) -> None:
        os.write(writing, CONTENT[:100])
        place_elsewhere(source, target, link=False)
        assert target.read_bytes() == CONTENT
        os.ftruncate(writing, 0)
        os.lseek(writing, 0, os.SEEK_SET)
        copy(reading, writing)

    monkeypatch.setattr(module, "_copy", halting)
    place(source, target, link=False)
    assert target.read_bytes() == CONTENT
    assert not list(tmp_path.glob(f"*{PARTIAL}"))


def test_a_file_that_another_process_linked_meanwhile_is_no_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"

    def late(*_: Any) -> bool:
        place_elsewhere(source, target, link=True)
        return False

    monkeypatch.setattr(module, "_shared", late)
    place(source, target, link=True)
    assert target.read_bytes() == CONTENT
    assert not list(tmp_path.glob(f"*{PARTIAL}"))


def test_a_file_of_that_name_that_is_not_whole_is_replaced(source: Path, tmp_path: Path) -> None:
    for link in (False, True):
        target = tmp_path / f"target-{link}"
        target.write_bytes(CONTENT[:100])
        place(source, target, link=link)
        assert target.read_bytes() == CONTENT
    assert not list(tmp_path.glob(f"*{PARTIAL}"))
