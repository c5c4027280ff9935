from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fogbank.server import datadir
from fogbank.server.datadir import AccountCredentials

ACCOUNT = AccountCredentials("default", "1" * 12, "A" * 20, "s" * 40)


def test_credentials_come_back_and_are_closed_to_others(tmp_path: Path) -> None:
    assert datadir.read_credentials(tmp_path) == []
    datadir.write_credentials(tmp_path, [ACCOUNT])
    assert datadir.read_credentials(tmp_path) == [ACCOUNT]
    mode = (tmp_path / datadir.CREDENTIALS_FILE).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [datadir.CREDENTIALS_FILE]


def test_a_file_is_on_disk_before_it_has_its_name_and_its_name_when_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        synced.append((Path(f"/proc/self/fd/{fd}").readlink().name, (tmp_path / "a").exists()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    datadir.write_durably(tmp_path / "a", b"content")
    assert synced == [("a.new", False), (tmp_path.name, True)]


def test_a_running_server_is_found_and_a_dead_one_is_not(tmp_path: Path) -> None:
    assert datadir.find_server(tmp_path) is None
    datadir.write_server(tmp_path, "http://127.0.0.1:1", "")
    found = datadir.find_server(tmp_path)
    assert found is not None
    assert (found.pid, found.endpoint) == (os.getpid(), "http://127.0.0.1:1")
    (tmp_path / datadir.SERVER_FILE).write_text('{"pid": 4194304, "endpoint": "http://gone"}')
    assert datadir.find_server(tmp_path) is None
    datadir.remove_server(tmp_path)
    datadir.remove_server(tmp_path)


def test_the_directory_is_made_closed(tmp_path: Path) -> None:
    datadir.make_data_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
