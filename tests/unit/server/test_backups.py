"""How far a restore rolls forward, in the words of the command line; what a backup takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.engines.embedded.rollforward import Until
from fogbank.server.backups import files_beside, store_settings
from fogbank.server.config import ArchiveSettings, Config
from fogbank.server.restores import RestoreRefused, until_of


def test_until_is_a_version_a_time_or_latest() -> None:
    assert until_of("") is None
    assert until_of("latest") == Until()
    assert until_of("42") == Until(version=42)
    assert until_of("2026-01-01T00:00:00Z") == Until(time_ms=1_767_225_600_000)
    assert until_of("2026-01-01T02:00:00.5+02:00") == Until(time_ms=1_767_225_600_500)
    for words in ("yesterday", "-1", "2026-01-01T00:00:00"):
        with pytest.raises(RestoreRefused, match=words):
            until_of(words)


def test_a_backup_takes_credentials_settings_and_certificates_and_no_key(tmp_path: Path) -> None:
    for name in ("credentials.json", "fogbank.toml", "tls/a.pem", "tls/a.pem.new", "root.key"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [place for _, place in files_beside(tmp_path)] == [
        "data/credentials.json",
        "data/fogbank.toml",
        "data/tls/a.pem",
    ]


def test_the_archive_is_off_unless_a_folder_is_named(tmp_path: Path) -> None:
    assert store_settings(Config(), tmp_path).archive is None
    for folder, wanted in (("/backups", Path("/backups")), ("near", tmp_path / "near")):
        named = Config(archive=ArchiveSettings(folder=folder, backlog_mb_max=2))
        archive = store_settings(named, tmp_path).archive
        assert archive is not None
        assert (archive.target, archive.backlog_bytes_max) == (wanted, 2 << 20)
