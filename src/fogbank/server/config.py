"""Settings: one ``fogbank.toml`` and ``FOGBANK_*`` variables, typed; an unknown key is an error.

Order, the later wins: defaults, the file, the environment, the command line. The file is the one
named on the command line, else ``$FOGBANK_CONFIG``, else ``fogbank.toml`` in the data directory.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

ENVIRONMENT_PREFIX = "FOGBANK_"


class ConfigError(Exception):
    """The settings cannot be used; the message names the key."""


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account that the first start makes; what is empty is drawn at random."""

    id: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds the memory and time that clients can take."""

    connections_max: int = 4_096
    requests_max: int = 1_024
    """Requests in work at once, over all connections."""
    head_timeout_ms: int = 20_000
    body_timeout_ms: int = 60_000
    """How long a client may send nothing in the middle of a body."""
    idle_timeout_ms: int = 75_000
    drain_ms: int = 10_000


class FunctionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how functions run."""

    memory_budget_mb: int = 0
    """Memory of all environments together; 0: half of the machine's."""
    idle_ms: int = 300_000
    """How long an environment is kept warm without work."""
    isolation: str = "auto"
    """``auto``, or ``bare`` to run without namespaces (loudly)."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a server."""

    host: str = "127.0.0.1"
    port: int = 4566
    region: str = "us-east-1"
    """The region that ``fogbank env`` names; every region is served."""
    public_hosts: tuple[str, ...] = ()
    """Further host names under which clients reach the server."""
    service_user: str = "fogbank"
    """The user that the store process becomes when the server is started as root."""
    log_level: str = "warning"
    account: AccountSettings = AccountSettings()
    limits: LimitSettings = LimitSettings()
    functions: FunctionSettings = FunctionSettings()
    quotas: dict[str, int] = {}
    """Limits of services by name, such as ``"dynamodb.item_bytes_max" = 1000000``."""


_VARIABLES = {
    "FOGBANK_HOST": ("host",),
    "FOGBANK_PORT": ("port",),
    "FOGBANK_REGION": ("region",),
    "FOGBANK_LOG_LEVEL": ("log_level",),
    "FOGBANK_SERVICE_USER": ("service_user",),
    "FOGBANK_ACCOUNT_ID": ("account", "id"),
    "FOGBANK_ACCESS_KEY_ID": ("account", "access_key_id"),
    "FOGBANK_SECRET_ACCESS_KEY": ("account", "secret_access_key"),
    "FOGBANK_MEMORY_BUDGET_MB": ("functions", "memory_budget_mb"),
    "FOGBANK_ISOLATION": ("functions", "isolation"),
}
_NOT_SETTINGS = {"FOGBANK_DATA", "FOGBANK_CONFIG"}
"""Variables that say where the settings and the data are."""


def data_dir_of(argument: str | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the data directory: ``--data``, ``$FOGBANK_DATA``, or the user's data home."""
    if argument:
        return Path(argument).absolute()
    if environment.get("FOGBANK_DATA"):
        return Path(environment["FOGBANK_DATA"]).absolute()
    home = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "fogbank"


def load(
    data_dir: Path,
    config_file: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """Return the settings in force.

    Raises:
        ConfigError: A key is unknown or ill-typed, or the file cannot be read.
    """
    values = _file_values(data_dir, config_file or environment.get("FOGBANK_CONFIG"))
    for name, text in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _NOT_SETTINGS:
            continue
        path = _VARIABLES.get(name)
        if path is None:
            raise ConfigError(f"{name} is no setting; known are {', '.join(sorted(_VARIABLES))}")
        _put(values, path, text)
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"settings: {error}") from error
    _check(config)
    return config


def _file_values(data_dir: Path, config_file: str | None) -> dict[str, Any]:
    """Return what the file says; a missing default file says nothing."""
    path = Path(config_file) if config_file else data_dir / "fogbank.toml"
    if not config_file and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _put(values: dict[str, Any], path: tuple[str, ...], text: str) -> None:
    """Set a value at a path of nested tables."""
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = text


def _check(config: Config) -> None:
    """Refuse values that have the right type and make no sense."""
    account = config.account
    if account.id and not (len(account.id) == 12 and account.id.isdigit()):  # noqa: PLR2004
        raise ConfigError("account.id must be 12 digits")
    if bool(account.access_key_id) != bool(account.secret_access_key):
        raise ConfigError("account.access_key_id and account.secret_access_key go together")
    if account.access_key_id and not 16 <= len(account.access_key_id) <= 128:  # noqa: PLR2004
        raise ConfigError("account.access_key_id must have 16 to 128 characters")
    if account.secret_access_key and len(account.secret_access_key) < 16:  # noqa: PLR2004
        raise ConfigError("account.secret_access_key must have at least 16 characters")
    if not 0 <= config.port <= 65_535:  # noqa: PLR2004
        raise ConfigError("port must lie between 0 and 65535")
    if config.functions.isolation not in {"auto", "bare"}:
        raise ConfigError("functions.isolation must be auto or bare")
    if config.log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ConfigError("log_level must be debug, info, warning or error")
