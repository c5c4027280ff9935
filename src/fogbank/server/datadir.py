"""The data directory as the command line sees it: credentials file, running server, modes.

Rule: everything in the directory is readable by its owner alone. The credentials file is written
and synced before the account is made in the store, and an account that is in the file and not yet
in the store is made at the next start: so no crash leaves an account whose secret nobody knows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fogbank.base.arn import AWS

CREDENTIALS_FILE = "credentials.json"
SERVER_FILE = "server.json"
STORE = "store"
STORES_FILE = "stores.json"
FUNCTIONS = "functions"
TLS = "tls"
DIR_MODE = 0o700
FILE_MODE = 0o600


class AccountCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The root credentials of one account."""

    name: str
    account_id: str
    access_key_id: str
    secret_access_key: str
    partition: str = AWS
    """The one whose regions it has."""


class RunningServer(msgspec.Struct, frozen=True):
    """Where the server of a data directory serves, as it said when it was ready."""

    pid: int
    endpoint: str
    authority: str = ""
    """The file of what clients must trust; empty without TLS, or where they trust it anyway."""
    public_url: str = ""
    """What clients reach the server at, where that is not what it listens on."""

    @property
    def client_url(self) -> str:
        """Return the URL that clients must use."""
        return self.public_url.rstrip("/") or self.endpoint

    @property
    def client_authority(self) -> str:
        """Return the file of what clients must trust for that URL, or '' if there is none."""
        return self.authority if self.client_url.startswith("https:") else ""


def authority_file(data_dir: Path) -> Path:
    """Return where the certificate of the local authority lies."""
    return data_dir / TLS / "authority.pem"


class StoresError(Exception):
    """The settings want another number of stores than the data directory has."""


class StoresNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many stores share the domains of a data directory, for ever."""

    stores: int


def stores_of(data_dir: Path) -> int | None:
    """Return how many stores a data directory has; None if it has none yet.

    Raises:
        StoresError: The note of it cannot be read.
    """
    path = data_dir / STORES_FILE
    if not path.exists():
        return 1 if (data_dir / STORE).exists() else None
    try:
        return msgspec.json.decode(path.read_bytes(), type=StoresNote).stores
    except (OSError, msgspec.MsgspecError) as error:
        raise StoresError(f"{path}: {error}") from error


def settle_stores(data_dir: Path, wanted: int) -> None:
    """Note how many stores a fresh data directory has, before the first of them is made.

    Raises:
        StoresError: It has another number already.
    """
    found = stores_of(data_dir)
    if found is None and wanted > 1:
        owner = data_dir.stat()
        write_durably(data_dir / STORES_FILE, msgspec.json.encode(StoresNote(wanted)))
        os.chown(data_dir / STORES_FILE, owner.st_uid, owner.st_gid)
    elif found is not None and found != wanted:
        raise StoresError(
            f"{data_dir} was made with processes.stores = {found}, and the settings say {wanted}: "
            "the number of stores of a data directory never changes"
        )


def store_dirs(data_dir: Path, stores: int) -> list[Path]:
    """Return the directories of the stores, by number."""
    if stores == 1:
        return [data_dir / STORE]
    return [data_dir / f"{STORE}-{number}" for number in range(stores)]


def functions_dir(data_dir: Path, number: int, stores: int) -> Path:
    """Return where the functions of a store process lie."""
    return data_dir / (FUNCTIONS if stores == 1 else f"{FUNCTIONS}-{number}")


def make_data_dir(path: Path) -> None:
    """Make the directory durably, or check that it is ours and closed to others."""
    missing = [each for each in (path, *path.parents) if not each.is_dir()]
    path.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
    path.chmod(DIR_MODE)
    for each in missing:
        _sync_folder(each.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a small file whole: temporary name, sync, rename, sync of the folder."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make the entries of a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_credentials(data_dir: Path) -> list[AccountCredentials]:
    """Return the accounts of the credentials file, the first the default; none if no file."""
    path = data_dir / CREDENTIALS_FILE
    if not path.exists():
        return []
    return msgspec.json.decode(path.read_bytes(), type=list[AccountCredentials])


def write_credentials(data_dir: Path, accounts: list[AccountCredentials]) -> None:
    """Replace the credentials file."""
    rows = [msgspec.to_builtins(account) for account in accounts]
    write_durably(data_dir / CREDENTIALS_FILE, json.dumps(rows, indent=1).encode() + b"\n")


def reached_at(host: str) -> str:
    """Return the numeric host at which this machine reaches a server that listens on one."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared only)


def endpoint_of(scheme: str, host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on a host and port."""
    host = reached_at(host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def write_server(data_dir: Path, endpoint: str, authority: str, public_url: str = "") -> None:
    """Say where the server serves, and what clients must trust."""
    server = RunningServer(os.getpid(), endpoint, authority, public_url)
    write_durably(data_dir / SERVER_FILE, msgspec.json.encode(server))


def remove_server(data_dir: Path) -> None:
    """Say that the server has ended."""
    (data_dir / SERVER_FILE).unlink(missing_ok=True)


def find_server(data_dir: Path) -> RunningServer | None:
    """Return the running server of a data directory, or None."""
    try:
        server = msgspec.json.decode((data_dir / SERVER_FILE).read_bytes(), type=RunningServer)
        os.kill(server.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None
    return server


def environment_of(
    account: AccountCredentials, endpoint: str, region: str, authority: str
) -> Mapping[str, str]:
    """Return the variables that point any SDK at the server as the account's root."""
    # The SDK for JavaScript trusts what Node does and reads no variable of AWS for it.
    names = ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS") if authority else ()
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": account.access_key_id,
        "AWS_SECRET_ACCESS_KEY": account.secret_access_key,
        **dict.fromkeys(names, authority),
    }
