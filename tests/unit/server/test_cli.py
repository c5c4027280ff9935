"""What the command line prints without a server."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fogbank.server.cli import COMMANDS, main, parser
from fogbank.server.cli.completion import commands_of
from fogbank.server.config import load, tree
from fogbank.server.settings import quotas


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOGBANK_DATA", str(tmp_path))


def test_config_prints_a_settings_file_that_says_what_is_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fogbank.toml").write_text("port = 1234\n[limits]\nrequests_max = 7\n")
    before = load(tmp_path, environment={})
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    assert f"port = 1234  # from {tmp_path / 'fogbank.toml'}" in printed
    assert 'host = "127.0.0.1"  # from default' in printed
    (tmp_path / "fogbank.toml").write_text(printed)
    after = load(tmp_path, environment={})
    assert after.quotas == {name: quota.default for name, quota in quotas().items()}
    tomllib.loads(printed)
    assert (after.port, after.limits, after.functions) == (1234, before.limits, before.functions)


def test_config_in_json_has_every_setting_with_value_origin_and_meaning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOGBANK_LIMITS_DRAIN_MS", "5")
    assert main(["config", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {setting.name for setting in tree().values()} < set(rows)
    assert rows["limits.drain_ms"]["value"] == 5
    assert rows["limits.drain_ms"]["origin"] == "FOGBANK_LIMITS_DRAIN_MS"
    assert rows["limits.drain_ms"]["default"] == 10_000
    assert all(row["meaning"] for row in rows.values())


def test_config_with_an_unknown_key_fails_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fogbank.toml").write_text("prot = 1\n")
    assert main(["config"]) == 1
    assert "prot is no setting; did you mean port?" in capsys.readouterr().err


def completed(script: str, *words: str) -> list[str]:
    """Return what bash itself offers for the last word."""
    line = " ".join(shlex.quote(word) for word in words)
    asked = (
        f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
        '_fogbank; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture(scope="module")
def script() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fogbank", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_bash_completes_commands_options_and_their_words(script: str) -> None:
    assert set(completed(script, "fogbank", "")) >= set(COMMANDS)
    assert completed(script, "fogbank", "ser") == ["serve"]
    assert completed(script, "fogbank", "serve", "--po") == ["--port"]
    assert completed(script, "fogbank", "env", "--format", "j") == ["json"]
    assert completed(script, "fogbank", "completion", "f") == ["fish"]
    assert completed(script, "fogbank", "env", "--account", "") == []


@pytest.mark.slow
def test_bash_completes_paths_for_files(script: str, tmp_path: Path) -> None:
    (tmp_path / "some-data").mkdir()
    begun = str(tmp_path / "some")
    assert completed(script, "fogbank", "serve", "--data", begun) == [str(tmp_path / "some-data")]


@pytest.mark.slow
def test_bash_offers_what_every_parser_takes(script: str) -> None:
    for command in commands_of(parser(COMMANDS), ()):
        offered = completed(script, "fogbank", *command.words, "")
        assert set(offered) == set(command.candidates()), command.words


def test_zsh_and_fish_know_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert "bashcompinit" in capsys.readouterr().out
    assert main(["completion", "fish"]) == 0
    printed = capsys.readouterr().out
    for command in COMMANDS:
        assert f"-a {command}" in printed
    assert "-l format" in printed
