"""A certificate authority of a data directory's own, and the certificate that it signs.

Rule: the authority is made once and its key never leaves the directory (mode 0600); what it signs
is short-lived, and made again before it expires and whenever the names change. Each private key
lies in one file with its certificate, replaced by renaming, so that no crash parts the two.

Source: RFC 5280 for the extensions, which strict verifiers insist on; RFC 6125 and 9525 for names.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fogbank.server import datadir

KEY_FILE: Final = "authority.key"
SERVER_FILE: Final = "server.pem"
AUTHORITY_DAYS: Final = 3_650
AUTHORITY_LAST_DAYS: Final = 365
SERVER_DAYS: Final = 90
RENEWAL_DAYS: Final = 30
"""A certificate with less than this left is made again."""
_EARLIER: Final = dt.timedelta(hours=1)
"""How far back validity begins, for clients whose clocks are behind."""

Names = tuple[str, ...]


class Pair(NamedTuple):
    """A certificate and its key, as in one PEM file."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def to_pem(self) -> bytes:
        """Return both, the key first."""
        return self.key_pem() + self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """Return the key."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def ensure(data_dir: Path, names: Names, now_ms: int) -> Pair:
    """Return the server's certificate, made or made again where it must be.

    The authority's own certificate is in ``datadir.authority_file(data_dir)`` afterwards.

    Args:
        data_dir: The data directory.
        names: The DNS names and addresses that the certificate is for, the first its subject.
        now_ms: The time.

    Raises:
        ValueError: A file of the authority is damaged; it is not replaced, because clients
            trust it.
    """
    folder = data_dir / datadir.TLS
    folder.mkdir(mode=datadir.DIR_MODE, exist_ok=True)
    now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
    authority = _authority(folder, now)
    public = authority.certificate.public_bytes(serialization.Encoding.PEM)
    shown = datadir.authority_file(data_dir)
    if not shown.exists() or shown.read_bytes() != public:
        datadir.write_durably(shown, public)
    path = folder / SERVER_FILE
    server = _find(path)
    if server is None or not _serves(server, authority, names, now):
        server = _signed(authority, names, now)
        datadir.write_durably(path, server.to_pem())
    return server


def _authority(folder: Path, now: dt.datetime) -> Pair:
    """Return the authority, made at the first start; signed anew by the same key in its last year.

    Clients that trust the old certificate go on until it ends: the name and the key are the same.
    """
    path = folder / KEY_FILE
    kept = _read(path) if path.exists() else None
    if kept and kept.certificate.not_valid_after_utc - now > dt.timedelta(days=AUTHORITY_LAST_DAYS):
        return kept
    key = kept.key if kept else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Fogbank local authority"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, _fingerprint(key)),
        ]
    )
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _begun(name, name, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(own, critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Pair(key, certificate)
    datadir.write_durably(path, made.to_pem())
    return made


def _fingerprint(key: ec.EllipticCurvePrivateKey) -> str:
    """Return what tells this authority's name from that of another data directory."""
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:16]


def _signed(authority: Pair, names: Names, now: dt.datetime) -> Pair:
    """Return a new certificate of the authority for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    certificate = (
        _begun(subject, authority.certificate.subject, key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer.value),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(key, certificate)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    """Return a name as a certificate holds it: an address, or a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def names_in(certificate: x509.Certificate) -> Names:
    """Return the DNS names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    named = found.get_values_for_type(x509.DNSName)
    numeric = found.get_values_for_type(x509.IPAddress)
    return (*named, *(str(address) for address in numeric))


def _serves(server: Pair, authority: Pair, names: Sequence[str], now: dt.datetime) -> bool:
    """Return whether a certificate can go on being used."""
    certificate = server.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    left = certificate.not_valid_after_utc - now
    begun = certificate.not_valid_before_utc <= now
    return (
        begun
        and left > dt.timedelta(days=RENEWAL_DAYS)
        and sorted(names_in(certificate)) == sorted(set(names))
    )


def _find(path: Path) -> Pair | None:
    """Return the pair of a file, or None where there is none that can be read."""
    try:
        return _read(path)
    except (OSError, ValueError):
        return None


def _read(path: Path) -> Pair:
    """Return the pair of a file.

    Raises:
        OSError: There is no such file.
        ValueError: It is damaged.
    """
    content = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no key of ours")  # noqa: TRY004 (a file, not an argument)
    if key.public_key() != certificate.public_key():
        raise ValueError(f"{path} is damaged: key and certificate do not belong together")
    return Pair(key, certificate)
