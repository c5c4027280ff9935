"""Settings: one ``fogbank.toml`` and ``FOGBANK_*`` variables, typed; an unknown key is an error.

A setting's variable follows from its place: ``limits.requests_max`` is
``FOGBANK_LIMITS_REQUESTS_MAX``. Fields are declared here, each with its meaning below it; all else
about settings is derived (``settings``). Order, the later wins: defaults, the file, the
environment, the command line. The file is the one named on the command line, else
``$FOGBANK_CONFIG``, else ``fogbank.toml`` in the data directory.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, cast

import msgspec

from fogbank.server import settings
from fogbank.server.choices import DynamoDBSettings, FunctionSettings, S3Settings
from fogbank.server.settings import SECRET, Setting


class ConfigError(Exception):
    """The settings cannot be used; the message names the key."""


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account that the first start makes; what is empty is drawn at random."""

    id: str = ""
    """Twelve digits."""
    access_key_id: str = ""
    """The access key id of its root, 16 to 128 characters; given with the secret or not at all."""
    secret_access_key: Annotated[str, SECRET] = ""
    """The secret of its root."""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds the memory and time that clients can take."""

    connections_max: int = 4_096
    """Connections at once; further ones are told to slow down and closed."""
    refusals_max: int = 256
    """Further connections that are read as far as their first head, to be refused in the protocol
    of their client; beyond, and always over TLS, they are refused unread."""
    requests_max: int = 1_024
    """Requests in work at once, over all connections."""
    connections_per_address_max: int = 2_048
    """Connections of one address, one IPv6 network of 64 bits, or one sandbox."""
    requests_per_address_max: int = 768
    """Requests in work at once of one such origin."""
    target_bytes_max: int = 16 << 10
    """The longest path and query of a request."""
    head_bytes_max: int = 64 << 10
    """The longest head of a request: its first line and its headers."""
    header_count_max: int = 200
    """Headers of a request."""
    body_bytes_max: int = (5 << 30) + (64 << 20)
    """The longest body of any request, with its framing; services have limits of their own."""
    whole_bodies_bytes_max: int = 256 << 20
    """Memory of all bodies together that are read whole."""
    whole_replies_bytes_max: int = 256 << 20
    """Memory of all replies together that are held whole until their clients have taken them;
    beyond, clients are told to slow down."""
    work_bytes_max: int = 512 << 20
    """Memory of the requests in work that become many times their bytes once they are decoded, or
    whose replies are long; others wait their turn. This and the two above are of the whole server:
    each process that listens has its equal share."""
    packed_reply_bytes_min: int = 4 << 10
    """The shortest reply that is compressed for clients that take it so (``Accept-Encoding``), by
    DynamoDB."""
    stream_buffer_bytes_max: int = 256 << 10
    """What a streamed body holds in memory before its client must wait; over HTTP/2 its window."""
    pipelined_bytes_max: int = 64 << 10
    """What a client may send behind a running request before its socket is left alone."""
    write_buffer_bytes_max: int = 256 << 10
    """What a reply may have unsent before it waits for its client."""
    discard_bytes_max: int = 8 << 20
    """How much of a body that nobody reads is thrown away to keep or to end a connection well."""
    streams_max: int = 100
    """Requests in work at once on one connection of HTTP/2."""
    connection_window_bytes: int = 1 << 20
    """What the bodies on one connection of HTTP/2 may have unread together; at least 65,535."""
    control_frames_max: int = 1_000
    """Frames of HTTP/2 that move nothing on (resets, pings, settings) that may come at once."""
    control_frames_per_second: int = 100
    """How fast that allowance refills."""
    head_timeout_ms: int = 20_000
    """How long a client may take to send the head of a request."""
    whole_body_timeout_ms: int = 60_000
    """How long a body of up to 256 KiB may take in all."""
    body_timeout_ms: int = 60_000
    """How long a client may send nothing in the middle of a body, or take nothing of a reply."""
    body_rate_bytes_min: int = 240
    """Bytes per second that a client must send of a large body, or take of a reply."""
    body_rate_grace_ms: int = 30_000
    """How far a client may fall behind that pace."""
    idle_timeout_ms: int = 75_000
    """How long a connection without a request is kept."""
    linger_timeout_ms: int = 5_000
    """How long a connection that ends may take to say so."""
    sweep_ms: int = 1_000
    """How often late clients are looked for; the times above are exact to this."""
    backlog: int = 1_024
    """Connections that the system holds for us until they are accepted."""
    failed_proofs_burst: int = 100
    """How often one address may fail to prove one access key before it must slow down."""
    failed_proofs_per_second: int = 1
    """How many of these failures are forgiven in a second."""
    address_failed_proofs_burst: int = 1_000
    """How often one address may fail, with whatever keys, before it hears no more why. This and the
    three above are of the whole server: each process that listens has its equal share of them."""
    address_failed_proofs_per_second: int = 10
    """How many of these failures are forgiven in a second."""
    drain_ms: int = 10_000
    """How long running requests may take to finish when the server is told to end."""


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether and with what certificate the server speaks HTTPS; see ``docs/operating/tls.md``."""

    enabled: bool = False
    """Whether the port speaks HTTPS, and nothing else."""
    certificate: str = ""
    """PEM file of the server's certificate and its chain; empty: the local authority signs one."""
    key: str = ""
    """PEM file of the certificate's key, not encrypted."""
    authority: str = ""
    """PEM file of what clients and functions must trust for ``tls.certificate``; empty: they do."""
    names: tuple[str, ...] = ()
    """Further names and addresses in the certificate that the local authority signs."""


STORES_MAX: Final = 16
SPARES_MAX: Final = 64
FRONTS_MAX: Final = 64
SWEEP_MINUTES_MAX: Final = 10_080


class ProcessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many processes share the work; see ``docs/operating/processes.md``."""

    stores: int = 1
    """Store processes, 1 to 16; domains are shared out among them when the data directory is made,
    so that the number never changes."""
    fronts: int = 0
    """Processes for sockets, TLS, HTTP, signatures and codecs, 0 to 64; 0: store processes listen."""
    warm_above_percent: int = 50
    """The part of the machine's memory that the rows of all stores may take, in percent, before
    transactions are first run in a thread, which reads what they need from the disk while the
    event loop serves others; from then on each costs a hop to a thread."""
    garbage_growth_mb: int = 64
    """How far a process that never rests may grow before it collects garbage, whoever waits; one
    that rests collects then."""
    hang_ms: int = 30_000
    """A process whose loop has not turned for so long is killed and started again; 0: none is."""


class AuditSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the audit trail keeps, and for how long."""

    data_events: Literal["all", "writes", "none"] = "all"
    """Which calls that touch data (objects, items, messages) are recorded: all, those that change
    something, or none. All other calls, and refusals of access, always are."""
    flush_ms: int = 200
    """How long records of reads may wait in memory before they are written."""
    retention_days: int = 90
    """How long records are kept."""
    account_mb_max: int = 1_024
    """How much is kept of an account; the oldest goes first."""
    denials_days: int = 14
    """How long ``fogbank why-denied`` knows why a request was refused, of the last 1,000 of an
    account."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures for Prometheus, served on an address of their own without credentials."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = -1
    """The port of ``/metrics``; -1: not served; 0: a free one, which ``fogbank status`` names."""


class ArchiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log of the store is archived; see ``docs/operating/backup.md``."""

    folder: str = ""
    """The folder of a set of backups; empty: the log is not archived. A relative path begins at the
    data directory."""
    interval_ms: int = 60_000
    """How long the log waits to be archived if little is written."""
    backlog_mb_max: int = 1_024
    """How much of the log waits for an archive that fails; beyond, the oldest is given up, loudly."""


class EncryptionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How what is stored is encrypted."""

    enabled: bool = True
    """Encrypt what is written; what was encrypted before is read either way."""
    sealed_by: Literal["file", "passphrase"] = "file"
    """What opens the keys of a new data directory: ``file`` (a root key) or ``passphrase``."""
    root_key_file: str = ""
    """The file of the root key, of mode 0600; empty: ``root.key`` in the data directory."""
    passphrase_file: str = ""
    """A file of mode 0600 with the passphrase; empty: ``$FOGBANK_PASSPHRASE``, or it is asked."""
    anew_mb_per_s: int = 16
    """So many MiB a second are sealed anew after ``fogbank key rotate``, or when encryption is
    turned on, until nothing needs an older key; 0: none."""


class ScrubSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How what is stored is read again and again, to find damage before users do."""

    mb_per_s: int = 16
    """So many MiB a second are read while the server is not busy; 0: none."""
    period_hours: int = 168
    """How long after the begin of a round the next one begins."""


class SweepSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How blobs are found that a cancelled request or a crash left without a reference."""

    period_minutes: int = 60
    """So often is looked, and a blob is removed when nothing has referred to it for as long."""


class EventSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds the events that wait for their targets."""

    deliveries_max: int = 100_000
    """Of one account, in one of the sixteen parts of the outbox; beyond, what would cause another is
    told to slow down."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a server."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 4566
    """The port to listen on; 0: a free one."""
    region: str = "us-east-1"
    """The region that ``fogbank env`` names; every region is served. Its partition (``aws``,
    ``aws-cn``, ``aws-us-gov``) is that of the account that the first start makes."""
    public_hosts: tuple[str, ...] = ()
    """Further host names under which clients reach the server: ``BUCKET.NAME``,
    ``SERVICE.REGION.NAME`` and ``BUCKET.s3.REGION.NAME`` are read as on AWS."""
    public_url: str = ""
    """What URLs in answers begin with, and what ``fogbank env`` names, such as
    ``https://cloud.example``, where clients reach the server by another name than it listens on;
    its host is a public host. Empty: the host that the client asked."""
    allowed_origins: tuple[str, ...] = ("*",)
    """The origins of web pages, such as ``https://app.example``, that may call the services which
    pages may call on AWS (CORS); ``*``: every page, as there; empty: none. Buckets have rules of
    their own."""
    service_user: str = "fogbank"
    """The user that the store process becomes when the server is started as root."""
    log_level: str = "warning"
    """What is logged: ``debug``, ``info``, ``warning`` or ``error`` and worse."""
    log_format: Literal["text", "json"] = "text"
    """How lines are written to the standard error: for people, or one JSON object a line. Lines
    written during a call carry its request id, account and operation."""
    account: AccountSettings = AccountSettings()
    tls: TlsSettings = TlsSettings()
    limits: LimitSettings = LimitSettings()
    functions: FunctionSettings = FunctionSettings()
    processes: ProcessSettings = ProcessSettings()
    audit: AuditSettings = AuditSettings()
    metrics: MetricsSettings = MetricsSettings()
    archive: ArchiveSettings = ArchiveSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    scrub: ScrubSettings = ScrubSettings()
    sweep: SweepSettings = SweepSettings()
    events: EventSettings = EventSettings()
    s3: S3Settings = S3Settings()
    dynamodb: DynamoDBSettings = DynamoDBSettings()
    quotas: dict[str, int] = {}
    """Limits of services by name, such as ``"dynamodb.item_bytes_max" = 1000000``."""


SHORT_NAMES: Final = {
    "FOGBANK_ACCESS_KEY_ID": "account.access_key_id",
    "FOGBANK_SECRET_ACCESS_KEY": "account.secret_access_key",
    "FOGBANK_MEMORY_BUDGET_MB": "functions.memory_budget_mb",
    "FOGBANK_SANDBOX_LEVEL": "functions.sandbox_level",
}
"""Variables beside the ones that follow from a setting's place (``variable_of``)."""
_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)
# AWS: an AccessKeyId is 16 to 128 characters of the pattern [\w]+ (IAM API Reference, AccessKey).
_ACCESS_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)
_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?", re.ASCII)
_SECRET = re.compile(r"[ -~]{16,1024}")
_NOT_SETTINGS: Final = {
    "FOGBANK_DATA",
    "FOGBANK_CONFIG",
    "FOGBANK_PASSPHRASE",
    "FOGBANK_NEW_PASSPHRASE",
}
"""Variables that say where settings and data are, or are secrets that no setting may hold."""
_LIMITS_MIN: Final = {
    "refusals_max": 0,
    "pipelined_bytes_max": 0,
    "discard_bytes_max": 0,
    "body_rate_bytes_min": 0,
    "body_rate_grace_ms": 0,
    "drain_ms": 0,
    # RFC 9113, 6.9.2: where every connection's window begins, and it only opens further.
    "connection_window_bytes": 65_535,
}
"""The least that a limit can be, where that is not 1."""
DEFAULT: Final = "default"
COMMAND_LINE: Final = "command line"


class Resolved(NamedTuple):
    """The settings in force and where each that was given comes from."""

    config: Config
    origins: Mapping[str, str]
    """The name of a setting -> the file, variable or command line; what is missing is default."""


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
    return resolve(data_dir, config_file, overrides, environment).config


def resolve(
    data_dir: Path,
    config_file: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Resolved:
    """Return the settings in force, each with its origin.

    Raises:
        ConfigError: A key is unknown or ill-typed, or the file cannot be read.
    """
    file = config_file or environment.get("FOGBANK_CONFIG")
    path = Path(file) if file else data_dir / "fogbank.toml"
    given = _Given()
    given.take_table(_file_values(path, required=bool(file)), str(path))
    given.take_variables(environment)
    for key, value in (overrides or {}).items():
        if value is not None:
            given.take(tuple(key.split(".")), value, COMMAND_LINE)
    try:
        config = msgspec.convert(given.values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"settings: {error}") from error
    _check(config)
    return Resolved(config, given.origins)


def tree() -> Mapping[tuple[str, ...], Setting]:
    """Return every setting by its place."""
    return settings.tree_of(Config)


class _Given:
    """What file, variables and command line say, the later over the earlier."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self._tree = tree()

    def take(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        """Set one setting."""
        table = self.values
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table[path[-1]] = value
        self.origins[".".join(path)] = origin

    def take_table(
        self, table: Mapping[str, Any], origin: str, above: tuple[str, ...] = ()
    ) -> None:
        """Set what a table of the file says.

        Raises:
            ConfigError: A key is no setting.
        """
        for key, value in table.items():
            path = (*above, key)
            if path == (settings.QUOTAS,) and isinstance(value, dict):
                self._take_quotas(cast("dict[str, Any]", value), origin)
            elif path in self._tree:
                self.take(path, value, origin)
            elif isinstance(value, dict) and any(p[: len(path)] == path for p in self._tree):
                self.take_table(cast("dict[str, Any]", value), origin, path)
            else:
                names = [each.name for each in self._tree.values()]
                raise ConfigError(f"{origin}: {settings.unknown('.'.join(path), names)}")

    def _take_quotas(self, table: Mapping[str, Any], origin: str, above: str = "") -> None:
        """Set limits of services; ``[quotas.s3]`` and ``"s3.buckets_max" = 1`` say the same."""
        for key, value in table.items():
            if isinstance(value, dict):
                self._take_quotas(cast("dict[str, Any]", value), origin, f"{above}{key}.")
            elif above + key in settings.quotas():
                self.take((settings.QUOTAS, above + key), value, origin)
            else:
                names = [f"quotas.{name}" for name in settings.quotas()]
                raise ConfigError(f"{origin}: {settings.unknown(f'quotas.{above}{key}', names)}")

    def take_variables(self, environment: Mapping[str, str]) -> None:
        """Set what the environment says.

        Raises:
            ConfigError: A variable is no setting, or two that say different things are one.
        """
        known = {each.variable: each for each in self._tree.values()}
        names = {each.name: each for each in self._tree.values()}
        known |= {short: names[name] for short, name in SHORT_NAMES.items()}
        seen: dict[str, str] = {}
        for name, text in sorted(environment.items()):
            if not name.startswith(settings.ENVIRONMENT_PREFIX) or name in _NOT_SETTINGS:
                continue
            setting = known.get(name)
            if setting is None:
                self._take_quota_variable(name, text, known)
                continue
            if environment[seen.setdefault(setting.name, name)] != text:
                raise ConfigError(f"{seen[setting.name]} and {name} set {setting.name} differently")
            is_list = isinstance(setting.default, tuple)
            parts = [part for part in text.split(",") if part] if is_list else text
            self.take(setting.path, parts, name)

    def _take_quota_variable(self, name: str, text: str, known: Mapping[str, Setting]) -> None:
        """Set the limit of a service that a variable names."""
        names = list(known)
        if name.startswith(settings.variable_of((settings.QUOTAS, ""))):
            by_variable = {settings.variable_of((settings.QUOTAS, q)): q for q in settings.quotas()}
            if name in by_variable:
                self.take((settings.QUOTAS, by_variable[name]), text, name)
                return
            names += by_variable
        raise ConfigError(settings.unknown(name, names))


def _file_values(path: Path, *, required: bool) -> dict[str, Any]:
    """Return what the file says; a missing default file says nothing."""
    if not required and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def account_problem(account_id: str, access_key_id: str, secret_access_key: str) -> str:
    """Return what is wrong with what is said of a new account's root, or ''; empty is not said."""
    if account_id and not _ACCOUNT_ID.fullmatch(account_id):
        return "id must be 12 digits"
    if bool(access_key_id) != bool(secret_access_key):
        return "secret_access_key and access_key_id go together"
    if access_key_id and not _ACCESS_KEY_ID.fullmatch(access_key_id):
        return "access_key_id must have 16 to 128 letters, digits and underscores"
    if secret_access_key and not _SECRET.fullmatch(secret_access_key):
        return "secret_access_key must have 16 to 1024 visible characters"
    return ""


def _check_functions(config: Config) -> None:
    """Refuse what makes no sense of sandboxes that are started ahead."""
    functions = config.functions
    if not 0 <= functions.spares <= SPARES_MAX:
        raise ConfigError(f"functions.spares must lie between 0 and {SPARES_MAX}")
    if functions.stems_memory_mb < 0:
        raise ConfigError("functions.stems_memory_mb must be at least 0")
    if functions.stem_idle_ms < 1:
        raise ConfigError("functions.stem_idle_ms must be at least 1")


def _check_processes(config: Config) -> None:
    """Refuse numbers of processes that make no sense, and what is not built for several."""
    if not 1 <= config.processes.stores <= STORES_MAX:
        raise ConfigError(f"processes.stores must lie between 1 and {STORES_MAX}")
    if not 0 <= config.processes.fronts <= FRONTS_MAX:
        raise ConfigError(f"processes.fronts must lie between 0 and {FRONTS_MAX}")
    if config.processes.warm_above_percent < 0:
        raise ConfigError("processes.warm_above_percent must be at least 0")
    if config.processes.garbage_growth_mb < 1:
        raise ConfigError("processes.garbage_growth_mb must be at least 1")
    if config.processes.hang_ms < 0:
        raise ConfigError("processes.hang_ms must be at least 0")


def _check(config: Config) -> None:
    """Refuse values that have the right type and make no sense."""
    account = config.account
    problem = account_problem(account.id, account.access_key_id, account.secret_access_key)
    if problem:
        raise ConfigError(f"account.{problem}")
    if not 0 <= config.port <= 65_535:  # noqa: PLR2004 (the highest port)
        raise ConfigError("port must lie between 0 and 65535")
    _check_tls(config.tls)
    _check_limits(config)
    if config.public_url and not _PUBLIC_URL.fullmatch(config.public_url):
        raise ConfigError("public_url must be http:// or https:// with a host, and no path")
    if not -1 <= config.metrics.port <= 65_535:  # noqa: PLR2004 (the highest port)
        raise ConfigError("metrics.port must lie between 0 and 65535, or be -1")
    _check_processes(config)
    _check_functions(config)
    if config.scrub.mb_per_s < 0 or config.scrub.period_hours < 1:
        raise ConfigError("scrub.mb_per_s is at least 0 and scrub.period_hours at least 1")
    if config.encryption.anew_mb_per_s < 0:
        raise ConfigError("encryption.anew_mb_per_s is at least 0")
    if not 1 <= config.sweep.period_minutes <= SWEEP_MINUTES_MAX:
        raise ConfigError(f"sweep.period_minutes lies between 1 and {SWEEP_MINUTES_MAX}")
    if config.events.deliveries_max < 1:
        raise ConfigError("events.deliveries_max is at least 1")
    if config.log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ConfigError("log_level must be debug, info, warning or error")


def _check_limits(config: Config) -> None:
    """Refuse limits under which nothing would be served."""
    limits = config.limits
    for name in LimitSettings.__struct_fields__:
        least = _LIMITS_MIN.get(name, 1)
        if getattr(limits, name) < least:
            raise ConfigError(f"limits.{name} must be at least {least}")
    listening = listening_of(config)
    for name in ("failed_proofs_burst", "address_failed_proofs_burst"):
        if getattr(limits, name) < listening:
            raise ConfigError(
                f"limits.{name} must be at least {listening}, as so many processes share it"
            )


def listening_of(config: Config) -> int:
    """Return how many processes listen."""
    return config.processes.fronts or config.processes.stores


def _check_tls(tls: TlsSettings) -> None:
    """Refuse half a certificate, and one that would not be used."""
    if bool(tls.certificate) != bool(tls.key):
        raise ConfigError("tls.certificate and tls.key go together")
    if tls.authority and not tls.certificate:
        raise ConfigError("tls.authority goes with tls.certificate")
    if tls.certificate and not tls.enabled:
        raise ConfigError("tls.certificate is set and tls.enabled is not: set both or neither")
