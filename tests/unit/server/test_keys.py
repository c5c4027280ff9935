"""Where the secret of a data directory is found, and how it is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keys import ensure_keys
from fogbank.platform.crypto.secret import KeyRefused, Scrypt, Secret
from fogbank.server import keys
from fogbank.server.config import EncryptionSettings
from fogbank.server.keys import Finder

DRAW = Ids.seeded(1).random_bytes
WORDS = "correct horse battery"


def finder(
    data_dir: Path,
    environment: dict[str, str] | None = None,
    prompt: keys.Prompt | None = None,
    **settings: object,
) -> Finder:
    (data_dir / "store").mkdir(exist_ok=True)
    found = EncryptionSettings(**settings)  # type: ignore[arg-type]
    return Finder(data_dir, found, DRAW, environment if environment is not None else {}, prompt)


def start(data_dir: Path, found: Finder) -> None:
    """Make the keyring as a first start does."""
    encryption = found.encryption(found.find_or_make())
    cheap = type(encryption)(
        encryption.secret, encryption.draw, encryption.enabled, scrypt=Scrypt(cost=4)
    )
    ensure_keys(data_dir / "store", cheap, SystemClock(), is_sealed=False)


def test_the_first_start_makes_a_root_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    secret = finder(tmp_path).find_or_make()
    path = tmp_path / "root.key"
    assert secret is not None
    assert secret.kind == "file"
    assert path.read_text() == secret.value.hex() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert finder(tmp_path).find_or_make() == secret
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".new")] == []


def test_a_root_key_is_durable_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting: list[set[str]] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        fsync(fd)
        lasting.append(set(os.listdir(tmp_path)))

    monkeypatch.setattr(os, "fsync", noted)
    keys.make_root_key(tmp_path / "root.key", DRAW)
    assert lasting[-1] == {"root.key"}


def test_the_second_of_two_first_starts_uses_the_key_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    first = keys.make_root_key(path, DRAW)
    assert keys.make_root_key(path, DRAW) == first


def test_a_root_key_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "other disk"
    elsewhere.mkdir()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    secret = finder(data_dir, root_key_file=str(elsewhere / "key")).find_or_make()
    assert secret == keys.read_root_key(elsewhere / "key")
    assert not (data_dir / "root.key").exists()


def test_a_lost_root_key_is_not_replaced(tmp_path: Path) -> None:
    start(tmp_path, finder(tmp_path))
    (tmp_path / "root.key").unlink()
    with pytest.raises(KeyRefused, match=r"root\.key cannot be read"):
        finder(tmp_path).find_or_make()
    assert not (tmp_path / "root.key").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    finder(tmp_path).find_or_make()
    (tmp_path / "root.key").chmod(mode)
    with pytest.raises(KeyRefused, match="can be read by others: chmod 600"):
        finder(tmp_path).find_or_make()
    words = tmp_path / "words"
    words.write_text(WORDS)
    words.chmod(mode)
    with pytest.raises(KeyRefused, match="can be read by others"):
        finder(tmp_path, sealed_by="passphrase", passphrase_file=str(words)).find_or_make()


@pytest.mark.parametrize("content", ["", "00" * 31, "00" * 33, "zz" * 32, "é" * 32])
def test_a_file_that_holds_no_root_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "root.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyRefused, match="holds no root key"):
        finder(tmp_path).find_or_make()


def test_a_passphrase_comes_from_the_environment_and_is_gone_from_there(tmp_path: Path) -> None:
    environment = {"FOGBANK_PASSPHRASE": WORDS, "OTHER": "stays"}
    secret = finder(tmp_path, environment, sealed_by="passphrase").find_or_make()
    assert secret == Secret("passphrase", WORDS.encode())
    assert environment == {"OTHER": "stays"}
    assert not (tmp_path / "root.key").exists()


def test_a_passphrase_comes_from_a_file(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text(WORDS + "\n")
    words.chmod(0o600)
    found = finder(tmp_path, sealed_by="passphrase", passphrase_file=str(words))
    assert found.find_or_make() == Secret("passphrase", WORDS.encode())


def test_a_passphrase_is_asked_twice_at_first_and_once_later(tmp_path: Path) -> None:
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return WORDS

    start(tmp_path, finder(tmp_path, None, prompt, sealed_by="passphrase"))
    assert len(asked) == 2
    # What the keyring says counts, not what a setting says of new directories.
    assert finder(tmp_path, None, prompt).find() == Secret("passphrase", WORDS.encode())
    assert len(asked) == 3
    answers = iter(["one passphrase", "another passphrase"])
    (tmp_path / "store" / "keyring").unlink()
    with pytest.raises(KeyRefused, match="differ"):
        finder(tmp_path, None, lambda _: next(answers), sealed_by="passphrase").find_or_make()


def test_without_anybody_to_ask_a_passphrase_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match=r"FOGBANK_PASSPHRASE, or encryption\.passphrase_file"):
        finder(tmp_path, sealed_by="passphrase").find_or_make()


def test_a_plain_directory_with_encryption_off_needs_no_secret(tmp_path: Path) -> None:
    assert finder(tmp_path, enabled=False).find_or_make() is None
    assert not (tmp_path / "root.key").exists()
    assert finder(tmp_path).find() is None


def test_an_encrypted_directory_with_encryption_off_still_needs_its_secret(tmp_path: Path) -> None:
    start(tmp_path, finder(tmp_path))
    found = finder(tmp_path, enabled=False)
    assert found.find_or_make() == keys.read_root_key(tmp_path / "root.key")
    assert not found.encryption(None).enabled
