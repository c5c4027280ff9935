"""What the command line prints without a server."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fogbank.server import datadir
from fogbank.server.cli import COMMANDS, doctor, main, parser, serve
from fogbank.server.cli.completion import commands_of
from fogbank.server.config import load, tree
from fogbank.server.datadir import AccountCredentials
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


def test_check_prints_what_is_wrong_a_line_each_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / datadir.CREDENTIALS_FILE).write_text("none")
    assert main(["check"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert "1 findings" in said.err
    assert main(["check", "--data", str(tmp_path / "none")]) == 1
    assert "is no data directory" in capsys.readouterr().err


def test_doctor_warns_of_a_file_system_that_forgets() -> None:
    shared_memory = Path("/dev/shm/fogbank/not-yet-made")
    assert "NOTHING IS DURABLE" in doctor._file_system(shared_memory)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("data", "tmpfs"), ("data/deeper", "tmpfs"), ("data2", "ext4"), ("data3", "xfs")],
)
def test_doctor_finds_the_file_system_that_a_folder_lies_on(
    name: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir(parents=True)
    table = ("/ ext4", f"{tmp_path}/data tmpfs", f"{tmp_path}/data3 tmpfs", f"{tmp_path}/data3 xfs")
    mounts = tmp_path / "mounts"
    mounts.write_text("".join(f"device {line} rw 0 0\n" for line in table))
    assert doctor._file_system(tmp_path / name, mounts).startswith(f"{kind}, ")


def test_serving_a_region_that_there_is_not_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "Supervisor", lambda *_: pytest.fail("a server was made"))
    monkeypatch.setenv("FOGBANK_REGION", "mars-north-1")
    assert main(["serve", "--data", str(tmp_path / "new")]) == 1
    assert "there is no region mars-north-1" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


SECRET = "it's a $HOME `secret` of 40 characters"


def make_account(data_dir: Path) -> None:
    datadir.write_credentials(data_dir, [AccountCredentials("default", "1" * 12, "A" * 20, SECRET)])


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ("", "http://127.0.0.1:4566"),
        ('host = "0.0.0.0"\nport = 80\n', "http://127.0.0.1:80"),
        ('host = "::1"\n', "http://[::1]:4566"),
        ("[tls]\nenabled = true\n", "https://127.0.0.1:4566"),
        ('public_url = "http://cloud.example:8080/"\n', "http://cloud.example:8080"),
        ('public_url = "https://a.b"\n[tls]\nenabled = true\n', "https://a.b"),
        # Whoever takes TLS off in front of us has a certificate that is not ours to name.
        ('public_url = "http://a.b"\n[tls]\nenabled = true\n', "http://a.b"),
    ],
)
def test_env_without_a_server_names_where_one_would_serve_and_says_that_none_does(
    settings: str, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_account(tmp_path)
    (tmp_path / "fogbank.toml").write_text(settings)
    assert main(["env", "--format", "json"]) == 0
    said = capsys.readouterr()
    variables = json.loads(said.out)
    assert variables["AWS_ENDPOINT_URL"] == endpoint
    ours = endpoint.startswith("https:")
    authority = str(tmp_path / "tls" / "authority.pem") if ours else None
    assert variables.get("AWS_CA_BUNDLE") == authority
    assert "no server runs" in said.err


def test_env_for_a_shell_holds_whatever_is_in_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_account(tmp_path)
    assert main(["env"]) == 0
    script = f'{capsys.readouterr().out}\nprintf %s "$AWS_SECRET_ACCESS_KEY"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == SECRET


def test_env_of_an_account_that_there_is_not_fails_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_account(tmp_path)
    assert main(["env", "--account", "other"]) == 1
    said = capsys.readouterr()
    assert "there is no account named other" in said.err
    assert said.out == ""


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


ZSH = """
words=({line}); CURRENT={place}; current={current}
compadd() {{ shift; print -rl -- ${{(M)@:#${{current}}*}} }}
_files() {{ print -r -- FILES }}
compdef() {{ }}
source {script}
_fogbank
"""
OFFERED = {
    ("fogbank", "ser"): ["serve"],
    ("fogbank", "serve", "--po"): ["--port"],
    ("fogbank", "env", "--format", "j"): ["json"],
    ("fogbank", "completion", "f"): ["fish"],
    ("fogbank", "key", "sea"): ["seal"],
    ("fogbank", "key", "seal", "--by", "p"): ["passphrase"],
    ("fogbank", "env", "--account", ""): [],
}
"""What every shell offers for the last word."""


def offered_by(shell: str, script: Path, words: tuple[str, ...]) -> list[str]:
    """Return what a shell itself offers for the last word; of fish without its meanings."""
    if shell == "fish":
        asked = f"source {script}; complete -C {shlex.quote(' '.join(words))}"
        command = ["fish", "--no-config", "-c", asked]
    else:
        line, current = " ".join(shlex.quote(word) for word in words), shlex.quote(words[-1])
        asked = ZSH.format(line=line, place=len(words), current=current, script=script)
        command = ["zsh", "-f", "-c", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    return [row.partition("\t")[0] for row in done.stdout.splitlines() if row]


@pytest.mark.slow
def test_zsh_and_fish_offer_the_same_where_they_are_installed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """CI installs both (.ci/run); without one, what it would execute is only generated."""
    for shell in ("zsh", "fish"):
        assert main(["completion", shell]) == 0
        printed = capsys.readouterr().out
        for command in COMMANDS:
            assert command in printed
        script = tmp_path / f"completion.{shell}"
        script.write_text(printed)
        if shutil.which(shell) is not None:
            assert set(offered_by(shell, script, ("fogbank", ""))) >= set(COMMANDS)
            for words, wanted in OFFERED.items():
                assert offered_by(shell, script, words) == wanted, (shell, words)
