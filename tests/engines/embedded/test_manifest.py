"""A manifest appears under its name when all of it is on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fogbank.engines.embedded.manifest import LAYOUT, MANIFEST, Head, Writing, read_manifest


def test_a_manifest_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        synced.append((name, (tmp_path / MANIFEST).exists()))
        fsync(fd)

    head = Head(
        layout=LAYOUT, name="first", made_ms=1, format=2, incarnation=1, version=7, segment=1
    )
    writing = Writing(tmp_path, head)
    writing.add("first/rows.dump", 3, "0" * 64)
    monkeypatch.setattr(os, "fsync", noted)
    writing.finish(1, "1" * 64)
    assert synced == [(f"{MANIFEST}.new", False), (tmp_path.name, True)]
    assert read_manifest(tmp_path).head == head
