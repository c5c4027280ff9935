"""The server's certificate as the supervisor keeps it: read, checked, and read again when it changes.

Rule: what is handed to the processes that serve has been checked whole; a file that does not hold
together at the start ends the start with the reason, and later leaves the certificate in force.
The files are read with the supervisor's rights and travel as values, so that a key that only root
may read serves from a process that is not root.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fogbank.base.clock import Clock, SystemClock
from fogbank.gateway.tls import server_context
from fogbank.server import authority, datadir, privilege
from fogbank.server.config import Config
from fogbank.server.told import Material, TlsError

PEM_BYTES_MAX: Final = 64 << 10
"""A chain and a key take a tenth; more is no certificate."""
RENEWAL_LOOK_MS: Final = 3_600_000
"""How often the end of our own certificate is looked at."""
SHORTLY: Final = dt.timedelta(days=14)
_WILDCARD: Final = "*."


class Seen(NamedTuple):
    """What tells one state of a file from another without reading it."""

    inode: int
    size: int
    changed_ns: int


class Keeper:
    """Reads the certificate of the settings, or has the local authority make one."""

    def __init__(self, data_dir: Path, config: Config, clock: Clock, hostname: str) -> None:
        self._data_dir = data_dir
        self._config = config
        self._clock = clock
        self._names = names_of(config, hostname)
        self._seen: tuple[Seen | None, ...] = ()
        self._look_ms = 0
        self.note = ""
        """What the operator should know of the certificate that was read last."""

    @property
    def authority_file(self) -> str:
        """Return the path of what clients must trust, or nothing."""
        tls = self._config.tls
        if tls.certificate:
            return str(Path(tls.authority).absolute()) if tls.authority else ""
        return str(datadir.authority_file(self._data_dir))

    def read(self) -> Material:
        """Return the certificate, checked.

        Raises:
            TlsError: A file is missing or damaged, the key is another's, or the time is over.
        """
        # Before the reading: what changes meanwhile is read again at the next look.
        self._seen = self._look()
        self._look_ms = self._clock.now_ms() + RENEWAL_LOOK_MS
        tls = self._config.tls
        if not tls.certificate:
            return self._from_authority()
        material = Material(
            _text(tls.certificate, "tls.certificate"),
            _text(tls.key, "tls.key"),
            _text(tls.authority, "tls.authority") if tls.authority else "",
        )
        self.note = check(material, self._clock.now_ms())
        return material

    def host_of(self, material: Material, numeric: str) -> str:
        """Return under which host a certificate lets clients on this machine reach the server."""
        return host_of(material, numeric, self._config.public_hosts)

    def end_of(self, material: Material) -> str:
        """Return until when a certificate is valid."""
        return f"{certificate_of(material).not_valid_after_utc:%Y-%m-%d %H:%M} UTC"

    def is_due(self) -> bool:
        """Return whether a file has changed since ``read``, or ours may have to be renewed."""
        return self._look() != self._seen or (
            not self._config.tls.certificate and self._clock.now_ms() >= self._look_ms
        )

    def _from_authority(self) -> Material:
        try:
            pair = authority.ensure(self._data_dir, self._names, self._clock.now_ms())
            shown = datadir.authority_file(self._data_dir)
            # Whoever may read the data directory may see what to trust; the keys stay as they are.
            for path in (shown.parent, shown):
                privilege.own_like(path, self._data_dir)
            trusted = shown.read_text()
        except (OSError, ValueError) as error:
            raise TlsError(f"the local authority: {error}") from error
        self._seen = self._look()
        pem = pair.certificate.public_bytes(serialization.Encoding.PEM)
        self.note = ""
        return Material(pem.decode(), pair.key_pem().decode(), trusted)

    def _look(self) -> tuple[Seen | None, ...]:
        tls = self._config.tls
        paths = [Path(path) for path in (tls.certificate, tls.key, tls.authority) if path]
        if not paths:
            paths = [self._data_dir / datadir.TLS / authority.SERVER_FILE]
        return tuple(_seen(path) for path in paths)


def keeper_of(data_dir: Path, config: Config) -> Keeper:
    """Return what keeps the certificate of this machine."""
    return Keeper(data_dir, config, SystemClock(), socket.gethostname())


def _seen(path: Path) -> Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Seen(found.st_ino, found.st_size, found.st_mtime_ns)


def _text(path: str, setting: str) -> str:
    """Return a file of PEM text.

    Raises:
        TlsError: It cannot be read, or is too large to be one.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(PEM_BYTES_MAX + 1)
        text = content.decode("ascii")
    except OSError as error:
        raise TlsError(f"{setting}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TlsError(f"{setting}: {path} is no PEM file") from error
    if len(content) > PEM_BYTES_MAX:
        raise TlsError(f"{setting}: {path} is larger than {PEM_BYTES_MAX} bytes")
    return text


def check(material: Material, now_ms: int) -> str:
    """Check that a certificate can serve now; return what the operator should know, or nothing.

    Raises:
        TlsError: It cannot.
    """
    own = certificate_of(material)
    try:
        key = serialization.load_pem_private_key(material.key.encode(), None)
    except TypeError as error:
        raise TlsError("tls.key is encrypted; the server has no password for it") from error
    except (ValueError, NotImplementedError) as error:
        raise TlsError("tls.key is no private key in PEM form") from error
    if key.public_key() != own.public_key():
        raise TlsError("tls.key is not the key of tls.certificate")
    now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
    begin, end = own.not_valid_before_utc, own.not_valid_after_utc
    if end <= now:
        raise TlsError(f"tls.certificate has expired on {end:%Y-%m-%d %H:%M} UTC")
    if begin > now:
        raise TlsError(f"tls.certificate is valid from {begin:%Y-%m-%d %H:%M} UTC, and not yet")
    if not authority.names_in(own):
        raise TlsError("tls.certificate is for no name: it has no subjectAltName")
    if material.authority:
        _check_authority(material.authority)
    try:
        server_context(material.certificate, material.key)
    except ssl.SSLError as error:
        raise TlsError(f"tls.certificate: OpenSSL refuses it: {error.reason or error}") from error
    return f"tls.certificate expires on {end:%Y-%m-%d}" if end - now < SHORTLY else ""


def _check_authority(pem: str) -> None:
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise TlsError("tls.authority holds no certificate in PEM form") from error


def certificate_of(material: Material) -> x509.Certificate:
    """Return the server's own certificate, the first of the chain.

    Raises:
        TlsError: It is none.
    """
    try:
        return x509.load_pem_x509_certificates(material.certificate.encode())[0]
    except ValueError as error:
        raise TlsError("tls.certificate holds no certificate in PEM form") from error


def names_of(config: Config, hostname: str) -> tuple[str, ...]:
    """Return the names and addresses that the local authority certifies.

    A wildcard stands for one label (RFC 9525, section 6.3), and OpenSSL accepts none directly
    below a top-level name, so that ``bucket.localhost`` needs ``tls.names``; buckets in the path
    and ``bucket.s3.localhost`` do not.
    """
    names = ["localhost", "127.0.0.1", "::1"]
    public = urlsplit(config.public_url).hostname or "localhost"
    for suffix in ("localhost", public, *(n.lower().strip(".") for n in config.public_hosts)):
        labels = ("", "*.", "s3.", "*.s3.", f"*.{config.region}.", f"*.s3.{config.region}.")
        labels += (f"*.lambda-url.{config.region}.",)
        names += [f"{label}{suffix}" for label in labels]
    names += [config.host, *config.tls.names]
    if hostname.isascii():
        names.append(hostname.lower())
    everywhere = ("0.0.0.0", "::", "")  # noqa: S104 (left out)
    return tuple(dict.fromkeys(_canonical(name) for name in names if name not in everywhere))


def _canonical(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def host_of(material: Material, numeric: str, public_hosts: Sequence[str]) -> str:
    """Return under which host a certificate lets clients on this machine reach the server.

    The numeric address where the certificate is for it; else the first public host it is for, else
    the first name in it. The same host leads to the server inside sandboxes.
    """
    names = authority.names_in(certificate_of(material))
    if numeric in names:
        return numeric
    plain = [name for name in names if not name.startswith(_WILDCARD)]
    fitting = [host for host in public_hosts if _is_for(names, host.lower().strip("."))]
    return next(iter([*fitting, *plain]), numeric)


def _is_for(names: Sequence[str], host: str) -> bool:
    parent = host.partition(".")[2]
    return host in names or f"{_WILDCARD}{parent}" in names
