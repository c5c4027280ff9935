from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.server.config import Config, ConfigError, data_dir_of, load


def test_the_data_directory_follows_argument_then_variable_then_data_home(tmp_path: Path) -> None:
    environment = {"FOGBANK_DATA": "/from/variable", "XDG_DATA_HOME": "/home/data"}
    assert data_dir_of("/argument", environment) == Path("/argument")
    assert data_dir_of(None, environment) == Path("/from/variable")
    assert data_dir_of(None, {"XDG_DATA_HOME": "/home/data"}) == Path("/home/data/fogbank")
    assert data_dir_of(None, {}) == Path.home() / ".local" / "share" / "fogbank"


def test_the_command_line_wins_over_variables_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "fogbank.toml").write_text('port = 1\nhost = "::1"\nregion = "eu-west-1"\n')
    environment = {"FOGBANK_PORT": "2", "FOGBANK_HOST": "127.0.0.2"}
    config = load(tmp_path, overrides={"port": 3, "host": None}, environment=environment)
    assert (config.port, config.host, config.region) == (3, "127.0.0.2", "eu-west-1")


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path, environment={}) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot"),
        ("[account]\nname = 'x'", "name"),
        ("port = 'many'", "port"),
        ("port = 70000", "port"),
        ("[account]\nid = '12'", "account.id"),
        ("[account]\naccess_key_id = 'ABCDEFGHIJKLMNOP'", "account.secret_access_key"),
        ("[functions]\nisolation = 'none'", "isolation"),
        ("log_level = 'loud'", "log_level"),
        ("port = ", "fogbank.toml"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "fogbank.toml").write_text(text)
    with pytest.raises(ConfigError, match=named):
        load(tmp_path, environment={})


def test_an_unknown_variable_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FOGBANK_PROT"):
        load(tmp_path, environment={"FOGBANK_PROT": "1"})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"other\.toml"):
        load(tmp_path, str(tmp_path / "other.toml"), environment={})
