"""The local authority and what is checked of a certificate before it serves."""

from __future__ import annotations

import datetime as dt
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fogbank.server import authority, datadir, sandboxes
from fogbank.server.config import Config, ConfigError, TlsSettings, load
from fogbank.server.tls import Keeper, check, host_of, names_of
from fogbank.server.told import Material, TlsError
from fogbank.testing.clock import VirtualClock

NOW_MS = 1_767_225_600_000
DAY_MS = 86_400_000
NAMES = ("localhost", "127.0.0.1", "::1", "*.s3.localhost")


def test_the_authority_is_made_once_and_signs_for_all_names(tmp_path: Path) -> None:
    first = authority.ensure(tmp_path, NAMES, NOW_MS)
    shown = datadir.authority_file(tmp_path)
    trusted = x509.load_pem_x509_certificate(shown.read_bytes())
    first.certificate.verify_directly_issued_by(trusted)
    assert sorted(authority.names_in(first.certificate)) == sorted(NAMES)
    assert authority.ensure(tmp_path, NAMES, NOW_MS + DAY_MS).certificate == first.certificate
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in shown.parent.iterdir()}
    assert modes == {"authority.key": 0o600, "authority.pem": 0o600, "server.pem": 0o600}


def test_what_it_signed_is_made_again_before_its_end_and_for_other_names(tmp_path: Path) -> None:
    first = authority.ensure(tmp_path, NAMES, NOW_MS)
    shown = datadir.authority_file(tmp_path).read_bytes()
    later = authority.ensure(tmp_path, NAMES, NOW_MS + 61 * DAY_MS)
    assert later.certificate != first.certificate
    renamed = authority.ensure(tmp_path, (*NAMES, "cloud.example"), NOW_MS + 61 * DAY_MS)
    assert "cloud.example" in authority.names_in(renamed.certificate)
    earlier = authority.ensure(tmp_path, NAMES, NOW_MS - 9 * DAY_MS)  # a clock that was set back
    assert earlier.certificate.not_valid_before_utc.timestamp() * 1000 < NOW_MS - 9 * DAY_MS
    assert datadir.authority_file(tmp_path).read_bytes() == shown


def test_the_authority_is_signed_anew_by_its_own_key_in_its_last_year(tmp_path: Path) -> None:
    authority.ensure(tmp_path, NAMES, NOW_MS)
    shown = datadir.authority_file(tmp_path)
    before = x509.load_pem_x509_certificate(shown.read_bytes())
    pair = authority.ensure(tmp_path, NAMES, NOW_MS + 3_300 * DAY_MS)
    after = x509.load_pem_x509_certificate(shown.read_bytes())
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert (after.subject, after.public_key()) == (before.subject, before.public_key())
    pair.certificate.verify_directly_issued_by(before)


def test_a_damaged_authority_is_not_replaced_and_a_damaged_certificate_is(tmp_path: Path) -> None:
    first = authority.ensure(tmp_path, NAMES, NOW_MS)
    folder = datadir.authority_file(tmp_path).parent
    (folder / authority.SERVER_FILE).write_bytes(first.key_pem())
    assert authority.ensure(tmp_path, NAMES, NOW_MS).certificate != first.certificate
    key_file = folder / authority.KEY_FILE
    kept = key_file.read_bytes()
    for content in (b"", kept[: len(kept) // 2], first.to_pem()[:250] + kept[250:]):
        key_file.write_bytes(content)
        with pytest.raises(ValueError, match=r"authority\.key"):
            authority.ensure(tmp_path, NAMES, NOW_MS)
        assert key_file.read_bytes() == content


def test_two_authorities_do_not_pass_for_each_other(tmp_path: Path) -> None:
    one = authority.ensure(_folder(tmp_path / "one"), NAMES, NOW_MS)
    authority.ensure(_folder(tmp_path / "two"), NAMES, NOW_MS)
    (tmp_path / "two" / "tls" / authority.SERVER_FILE).write_bytes(one.to_pem())
    mended = authority.ensure(tmp_path / "two", NAMES, NOW_MS)
    assert mended.certificate != one.certificate


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


class Own:
    """A certificate as a user would bring it."""

    def __init__(self, *, names: tuple[str, ...] = ("cloud.example",), days: int = 90) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        begin = dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cloud.example")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(7)
            .not_valid_before(begin)
            .not_valid_after(begin + dt.timedelta(days=days))
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            made = made.add_extension(alternative, critical=False)
        self.certificate = made.sign(self.key, hashes.SHA256())

    def chain_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self, password: bytes | None = None) -> str:
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            how = serialization.BestAvailableEncryption(password)
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, how).decode()

    def material(self) -> Material:
        return Material(self.chain_pem(), self.key_pem(), "")


def test_a_certificate_that_holds_together_is_taken_and_its_near_end_told() -> None:
    assert check(Own().material(), NOW_MS) == ""
    assert "expires on 2026-01-11" in check(Own(days=10).material(), NOW_MS)


@pytest.mark.parametrize(
    ("make", "at_ms", "reason"),
    [
        (lambda own: Material(own.chain_pem(), Own().key_pem(), ""), NOW_MS, "not the key of"),
        (lambda own: own.material(), NOW_MS + 91 * DAY_MS, "has expired on 2026-04-01"),
        (lambda own: own.material(), NOW_MS - DAY_MS, "is valid from 2026-01-01"),
        (lambda own: Material(own.chain_pem(), own.key_pem(b"secret"), ""), NOW_MS, "encrypted"),
        (lambda own: Material(own.chain_pem(), "no key", ""), NOW_MS, "no private key"),
        (lambda own: Material("no certificate", own.key_pem(), ""), NOW_MS, "no certificate"),
        (lambda own: Material("", own.key_pem(), ""), NOW_MS, "no certificate"),
        (lambda own: Own(names=()).material(), NOW_MS, "no subjectAltName"),
        (lambda own: Material(own.chain_pem(), own.key_pem(), "x"), NOW_MS, "tls.authority"),
    ],
)
def test_a_certificate_that_cannot_serve_is_refused_with_the_reason(make, at_ms, reason) -> None:
    with pytest.raises(TlsError, match=reason):
        check(make(Own()), at_ms)


def _keeper(tmp_path: Path, own: Own, clock: VirtualClock) -> Keeper:
    (tmp_path / "c.pem").write_text(own.chain_pem())
    (tmp_path / "k.pem").write_text(own.key_pem())
    tls = TlsSettings(True, str(tmp_path / "c.pem"), str(tmp_path / "k.pem"))
    return Keeper(tmp_path, Config(tls=tls), clock, "machine")


def test_a_changed_file_is_due_once_whether_or_not_it_can_be_read(tmp_path: Path) -> None:
    clock = VirtualClock(NOW_MS)
    keeper = _keeper(tmp_path, Own(), clock)
    first = keeper.read()
    assert not keeper.is_due()
    (tmp_path / "c.pem").write_text("broken")
    assert keeper.is_due()
    with pytest.raises(TlsError, match="no certificate"):
        keeper.read()
    assert not keeper.is_due()
    (tmp_path / "c.pem").unlink()
    assert keeper.is_due()
    with pytest.raises(TlsError, match=r"tls.certificate: cannot read .*c\.pem"):
        keeper.read()
    _keeper(tmp_path, Own(), clock)
    assert keeper.is_due()
    assert keeper.read() != first
    os.truncate(tmp_path / "k.pem", 0)
    (tmp_path / "k.pem").write_text("x" * 70_000)
    with pytest.raises(TlsError, match="larger than"):
        keeper.read()


def test_the_local_authoritys_certificate_is_due_every_hour_and_renewed_in_time(
    tmp_path: Path,
) -> None:
    clock = VirtualClock(NOW_MS)
    keeper = Keeper(tmp_path, Config(tls=TlsSettings(True)), clock, "machine")
    first = keeper.read()
    assert not keeper.is_due()
    clock.advance_to(NOW_MS + DAY_MS)
    assert keeper.is_due()
    assert keeper.read() == first
    clock.advance_to(NOW_MS + 61 * DAY_MS)
    renewed = keeper.read()
    assert renewed.certificate != first.certificate
    assert renewed.authority == first.authority


def test_names_are_those_by_which_clients_may_reach_the_server() -> None:
    config = Config(
        host="0.0.0.0",
        region="eu-west-1",
        public_hosts=("Cloud.Example.",),
        public_url="https://Api.Cloud.Example:8443",
        tls=TlsSettings(names=("10.0.0.7", "bucket.localhost")),
    )
    names = names_of(config, "Machine")
    assert len(set(names)) == len(names)
    assert "0.0.0.0" not in names
    assert {"localhost", "127.0.0.1", "::1", "machine", "10.0.0.7", "bucket.localhost"} <= {*names}
    assert {"cloud.example", "*.s3.cloud.example", "*.s3.eu-west-1.cloud.example"} <= {*names}
    assert {"api.cloud.example", "*.s3.api.cloud.example"} <= {*names}
    assert {"*.eu-west-1.localhost", "*.s3.localhost"} <= {*names}


@pytest.mark.parametrize(
    ("names", "public_hosts", "host"),
    [
        (("cloud.example",), (), "cloud.example"),
        (("*.example", "a.b"), (), "a.b"),
        (("*.example", "a.b"), ("far.away", "cloud.example"), "cloud.example"),
        (("*.example",), (), "127.0.0.1"),
    ],
)
def test_the_endpoints_host_is_one_that_the_certificate_is_for(names, public_hosts, host) -> None:
    assert host_of(Own(names=names).material(), "127.0.0.1", public_hosts) == host


def test_the_endpoints_host_is_the_address_where_the_certificate_is_for_it(tmp_path: Path) -> None:
    pair = authority.ensure(tmp_path, NAMES, NOW_MS)
    pem = pair.certificate.public_bytes(serialization.Encoding.PEM).decode()
    material = Material(pem, pair.key_pem().decode(), "")
    assert host_of(material, "127.0.0.1", ("localhost",)) == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('enabled = true\ncertificate = "c"', "tls.key"),
        ('certificate = "c"\nkey = "k"', "tls.enabled"),
        ('enabled = true\nauthority = "a"', "tls.certificate"),
    ],
)
def test_half_a_certificate_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "fogbank.toml").write_text(f"[tls]\n{text}\n")
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        load(tmp_path, environment={})


def test_the_command_line_turns_tls_on_beside_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "fogbank.toml").write_text('[tls]\nnames = ["a.b"]\n')
    config = load(tmp_path, overrides={"tls.enabled": True}, environment={})
    assert config.tls == TlsSettings(enabled=True, names=("a.b",))


def test_the_endpoints_names_lead_home_inside_sandboxes() -> None:
    config = Config(public_hosts=("b.example",))
    named = sandboxes.settings_of("https://a.example:1", config, "PEM")
    assert (named.hosts, named.authority) == (("a.example", "b.example"), "PEM")
    for numeric in ("https://127.0.0.1:1", "https://[::1]:1"):
        assert sandboxes.settings_of(numeric, Config(), "").hosts == ()
