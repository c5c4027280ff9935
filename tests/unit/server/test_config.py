from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fogbank.server.config import (
    SHORT_NAMES,
    Config,
    ConfigError,
    data_dir_of,
    load,
    resolve,
    tree,
)
from fogbank.server.settings import MASK, Setting, quotas, rows, variable_of


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
        ("public_url = 'cloud.example'", "public_url"),
        (
            "[limits]\nfailed_proofs_burst = 3\n[processes]\nfronts = 4",
            "failed_proofs_burst must be at least 4",
        ),
        (
            "[limits]\naddress_failed_proofs_burst = 1\n[processes]\nstores = 2",
            "address_failed_proofs_burst must be at least 2",
        ),
        ("public_url = 'https://cloud.example/path'", "public_url"),
        ("[account]\naccess_key_id = 'ABCDEFGHIJKLMNOP'", "account.secret_access_key"),
        ("[functions]\nsandbox_level = '5'", "sandbox_level"),
        ("[functions]\nspares = 65", "functions.spares must lie between 0 and 64"),
        ("[functions]\nstems_memory_mb = -1", "functions.stems_memory_mb must be at least 0"),
        ("[functions]\nstem_idle_ms = 0", "functions.stem_idle_ms must be at least 1"),
        ("[processes]\nwarm_above_percent = -1", "processes.warm_above_percent must be at least 0"),
        ("[processes]\ngarbage_growth_mb = 0", "processes.garbage_growth_mb must be at least 1"),
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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "[limits]\nconections_max = 1",
            r"limits\.conections_max is no setting.*limits\.connections_max",
        ),
        ("[limit]\nrequests_max = 1", r"limit is no setting"),
        (
            "[quotas.dynamodb]\ntable_max = 1",
            r"quotas\.dynamodb\.table_max.*quotas\.dynamodb\.tables_max",
        ),
        ('[quotas]\n"s3.nothing" = 1', r"quotas\.s3\.nothing is no setting"),
    ],
)
def test_an_unknown_key_is_named_whole_with_the_file_and_the_nearest(
    tmp_path: Path, text: str, named: str
) -> None:
    (tmp_path / "fogbank.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"fogbank\.toml: {named}"):
        load(tmp_path, environment={})


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean FOGBANK_LIMITS_DRAIN_MS"):
        load(tmp_path, environment={"FOGBANK_LIMIT_DRAIN_MS": "1"})
    with pytest.raises(ConfigError, match="did you mean FOGBANK_QUOTAS_DYNAMODB_TABLES_MAX"):
        load(tmp_path, environment={"FOGBANK_QUOTAS_DYNAMODB_TABLE_MAX": "1"})


OTHER = {str: "other", int: 7, bool: True, tuple: ("one", "two")}
VALID = {
    "port": 7,
    "log_level": "debug",
    "account.id": "111122223333",
    "account.access_key_id": "ABCDEFGHIJKLMNOP",
    "account.secret_access_key": "ABCDEFGHIJKLMNOPQRST",
    "dynamodb.enforce_throughput": False,
    "encryption.enabled": False,
    "limits.connection_window_bytes": 70_000,
    "public_url": "https://cloud.example:8443",
}
"""Settings of which not every value of their type makes sense."""
TOGETHER = {"FOGBANK_ACCESS_KEY_ID": "A" * 16, "FOGBANK_SECRET_ACCESS_KEY": "A" * 16}
"""What has to be said beside any variable of the account's credentials."""


OWN_CERTIFICATE = {
    "FOGBANK_TLS_ENABLED": "true",
    "FOGBANK_TLS_CERTIFICATE": "c.pem",
    "FOGBANK_TLS_KEY": "k.pem",
}
"""What has to be said beside any part of the user's own certificate."""


@pytest.mark.parametrize("setting", tree().values(), ids=lambda setting: setting.name)
def test_every_setting_has_a_variable_that_sets_it_and_a_meaning(
    tmp_path: Path, setting: Setting
) -> None:
    value = VALID.get(setting.name, OTHER.get(type(setting.default)))
    if " | " in setting.type:
        value = next(word for word in setting.type.split(" | ") if word != setting.default)
    assert value is not None, f"add a value of {setting.name} to VALID"
    text = ",".join(value) if isinstance(value, tuple) else str(value).lower()
    text = value if isinstance(value, str) else text
    environment = {
        short: text if name == setting.name else TOGETHER[short]
        for short, name in SHORT_NAMES.items()
        if short in TOGETHER
    } | {setting.variable: text}
    if setting.path[0] == "tls":
        environment = OWN_CERTIFICATE | environment
    resolved = resolve(tmp_path, environment=environment)
    found = resolved.config
    for key in setting.path:
        found = getattr(found, key)
    assert found == value != setting.default
    assert resolved.origins[setting.name] in {setting.variable, *SHORT_NAMES}
    assert setting.meaning, f"say below {setting.name} what it means"


def test_no_two_settings_share_a_variable() -> None:
    names = [setting.variable for setting in tree().values()]
    names += [variable_of(("quotas", name)) for name in quotas()]
    names += [
        name for name in SHORT_NAMES if name != variable_of(tuple(SHORT_NAMES[name].split(".")))
    ]
    assert len(names) == len(set(names))
    assert {setting.name for setting in tree().values()} >= set(SHORT_NAMES.values())


def test_two_variables_of_one_setting_must_agree(tmp_path: Path) -> None:
    same = {"FOGBANK_SANDBOX_LEVEL": "4", "FOGBANK_FUNCTIONS_SANDBOX_LEVEL": "4"}
    assert load(tmp_path, environment=same).functions.sandbox_level == "4"
    with pytest.raises(
        ConfigError, match="FOGBANK_FUNCTIONS_SANDBOX_LEVEL and FOGBANK_SANDBOX_LEVEL"
    ):
        load(tmp_path, environment={**same, "FOGBANK_SANDBOX_LEVEL": "auto"})


def test_limits_of_services_are_settings(tmp_path: Path) -> None:
    (tmp_path / "fogbank.toml").write_text(
        '[quotas]\n"s3.buckets_per_account_max" = 3\n[quotas.dynamodb]\ntables_max = 4\n'
    )
    environment = {"FOGBANK_QUOTAS_DYNAMODB_TABLES_MAX": "5"}
    resolved = resolve(tmp_path, environment=environment)
    assert resolved.config.quotas == {"s3.buckets_per_account_max": 3, "dynamodb.tables_max": 5}
    assert resolved.origins["quotas.dynamodb.tables_max"] == "FOGBANK_QUOTAS_DYNAMODB_TABLES_MAX"
    assert resolved.origins["quotas.s3.buckets_per_account_max"].endswith("fogbank.toml")


def test_origins_name_the_file_the_variable_and_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "fogbank.toml").write_text('host = "::1"\nregion = "eu-west-1"\n')
    resolved = resolve(tmp_path, overrides={"port": 3}, environment={"FOGBANK_REGION": "eu-west-2"})
    assert resolved.origins == {
        "host": str(tmp_path / "fogbank.toml"),
        "region": "FOGBANK_REGION",
        "port": "command line",
    }


def test_what_sounds_like_a_secret_is_masked(tmp_path: Path) -> None:
    # The name of a file is no secret; what it holds is.
    sounding = re.compile("(secret|password|passphrase|token|credential)(?!.*_file$)")
    for setting in tree().values():
        assert setting.secret or not sounding.search(setting.path[-1]), setting.name
    environment = dict(TOGETHER, FOGBANK_SECRET_ACCESS_KEY="nobody-may-read-this")
    resolved = resolve(tmp_path, environment=environment)
    printed = json.dumps(list(rows(resolved.config, resolved.origins)))
    assert "nobody-may-read-this" not in printed
    assert MASK in printed
