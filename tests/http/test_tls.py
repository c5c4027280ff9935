"""``fogbank serve --tls``: unmodified clients, functions inside sandboxes, new certificates."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.httpsession
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.http.making import document, make_function, make_role, zipped

from fogbank.base.clock import SystemClock
from fogbank.server import authority, datadir
from fogbank.testing.server import Server, StartFailed

pytestmark = [pytest.mark.http, pytest.mark.slow]

WAIT_S = 20
CODE = """
import boto3, os, ssl, urllib.request
from botocore.config import Config
s3 = boto3.client("s3", config=Config(signature_version="s3v4"))

def handler(event, context):
    s3.put_object(Bucket="inside", Key="written", Body=b"from inside")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "inside", "Key": "page"})
    with urllib.request.urlopen(url) as got:
        page = got.read().decode()
    return {"endpoint": os.environ["AWS_ENDPOINT_URL"], "url": url, "page": page}
"""


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    with Server(folder / "data", settings="[tls]\nenabled = true\n") as server:
        yield server


def context_of(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.environment()["AWS_CA_BUNDLE"])


def test_env_names_the_endpoint_and_what_to_trust(secure: Server) -> None:
    said = secure.environment()
    assert secure.endpoint == said["AWS_ENDPOINT_URL"]
    assert secure.endpoint.startswith("https://127.0.0.1:")
    bundle = Path(said["AWS_CA_BUNDLE"])
    assert bundle == datadir.authority_file(secure.data_dir)
    assert said["NODE_EXTRA_CA_CERTS"] == str(bundle)
    assert b"PRIVATE" not in bundle.read_bytes()
    assert f"export AWS_CA_BUNDLE={bundle}" in secure.run("env").stdout


def test_the_command_line_of_aws_trusts_what_env_says(secure: Server, tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    body = os.urandom(9_000_000)
    (tmp_path / "file").write_bytes(body)
    secure.client("s3").create_bucket(Bucket="by-cli")

    def aws(*words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(Path(sys.executable).with_name("aws")), *words]
        env = {**clean, **secure.environment(), **more}
        return subprocess.run(command, env=env, capture_output=True, check=False)

    done = aws("s3", "cp", str(tmp_path / "file"), "s3://by-cli/file")
    assert done.returncode == 0, done.stderr
    assert aws("s3", "cp", "s3://by-cli/file", "-").stdout == body
    distrusting = aws("s3", "ls", AWS_CA_BUNDLE=ssl.get_default_verify_paths().cafile or os.devnull)
    assert b"SSL" in distrusting.stderr


def test_health_and_plain_http_on_the_tls_port(secure: Server) -> None:
    with urllib.request.urlopen(f"{secure.endpoint}/health", context=context_of(secure)) as got:
        assert json.load(got) == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(secure.endpoint.replace("https:", "http:") + "/health")
    assert caught.value.code == 400
    assert caught.value.read() == b"This port speaks HTTPS.\n"


@pytest.mark.parametrize(("transport", "allowed"), [("true", True), ("false", False)])
def test_policies_see_that_the_transport_is_secure(
    secure: Server, transport: str, allowed: bool
) -> None:
    iam = secure.client("iam")
    name = f"transport-{transport}"
    iam.create_user(UserName=name)
    statement = {
        "Effect": "Allow",
        "Action": "dynamodb:ListTables",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": transport}},
    }
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(statement))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    tables = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=secure.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        verify=secure.environment()["AWS_CA_BUNDLE"],
    )
    if allowed:
        assert "TableNames" in tables.list_tables()
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            tables.list_tables()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_policies_see_the_version_of_tls(
    secure: Server, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example of "Bucket policy examples using condition keys": old versions are denied."""
    s3, iam, name = secure.client("s3"), secure.client("iam"), version.name.lower().replace("_", "")
    s3.create_bucket(Bucket=name)
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    old = {"NumericLessThan": {"s3:TlsVersion": "1.3"}}
    denied = {**allowed, "Effect": "Deny", "Condition": old}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(allowed, denied))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    real = botocore.httpsession.create_urllib3_context

    def limited(*given: Any, **more: Any) -> ssl.SSLContext:
        context = real(*given, **more)
        context.minimum_version = context.maximum_version = version
        return context

    monkeypatch.setattr(botocore.httpsession, "create_urllib3_context", limited)
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=secure.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        verify=secure.environment()["AWS_CA_BUNDLE"],
    )
    if version is ssl.TLSVersion.TLSv1_3:
        client.put_object(Bucket=name, Key="k", Body=b"x")
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=name, Key="k", Body=b"x")


def build_function(server: Server) -> Any:
    """Make a function that calls back; return a client that invokes it."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="inside")
    s3.put_object(Bucket="inside", Key="page", Body=b"hello")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::inside/*"}
    role = make_role(server, allowed)
    make_function(server, role, {"ZipFile": zipped(CODE)}, FunctionName="inside")
    return server.client("lambda", config=Config(read_timeout=60))


def check_function(server: Server, context: ssl.SSLContext) -> None:
    """Prove that a function calls the same endpoint, and that its URLs work outside."""
    reply = build_function(server).invoke(FunctionName="inside")
    said = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, said
    assert (said["endpoint"], said["page"]) == (server.endpoint, "hello")
    assert said["url"].startswith(server.endpoint)
    with urllib.request.urlopen(said["url"], context=context) as got:
        assert got.read() == b"hello"
    got = server.client("s3").get_object(Bucket="inside", Key="written")
    assert got["Body"].read() == b"from inside"


def test_a_function_calls_over_tls_and_its_urls_work_outside(secure: Server) -> None:
    check_function(secure, context_of(secure))


def test_a_restart_keeps_the_authority(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", variables={"FOGBANK_TLS_ENABLED": "true"})
    with server:
        trusted = Path(server.environment()["AWS_CA_BUNDLE"]).read_bytes()
    with server:
        assert Path(server.environment()["AWS_CA_BUNDLE"]).read_bytes() == trusted
        assert server.client("sts").get_caller_identity()["Account"]


class Owned:
    """A server with a certificate of the user's, for a name, from an authority of their own."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        (folder / "office").mkdir()
        self.issue()
        settings = (
            f'[tls]\nenabled = true\ncertificate = "{folder / "c.pem"}"\n'
            f'key = "{folder / "k.pem"}"\nauthority = "{folder / "a.pem"}"\n{more}'
        )
        self.server = Server(folder / "data", settings=settings)

    def issue(self) -> None:
        office = self.folder / "office"
        (office / "tls" / authority.SERVER_FILE).unlink(missing_ok=True)
        pair = authority.ensure(office, ("localhost",), SystemClock().now_ms())
        pem = pair.certificate.public_bytes(serialization.Encoding.PEM)
        # Key first: whoever looks between the two writes finds two that do not match.
        (self.folder / "k.pem").write_bytes(pair.key_pem())
        (self.folder / "c.pem").write_bytes(pem)
        (self.folder / "a.pem").write_bytes(datadir.authority_file(office).read_bytes())

    def serial(self) -> int:
        own = x509.load_pem_x509_certificate((self.folder / "c.pem").read_bytes())
        return own.serial_number

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.folder / "a.pem"))
        raw = socket.create_connection(("127.0.0.1", self.server.port), timeout=WAIT_S)
        return context.wrap_socket(raw, server_hostname="localhost")

    def served(self) -> int:
        with self.connect() as connection:
            der = connection.getpeercert(binary_form=True)
            assert der is not None
            return x509.load_der_x509_certificate(der).serial_number

    def said(self) -> str:
        return (self.folder / "server.log").read_text()

    def hang_up(self) -> None:
        os.kill(self.server.pid, signal.SIGHUP)


def wait_until(what: str, done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_users_certificate_is_served_renewed_and_kept_when_the_new_one_is_bad(
    tmp_path: Path,
) -> None:
    owned = Owned(tmp_path)
    with owned.server:
        assert urlsplit(owned.server.endpoint).hostname == "localhost"
        assert owned.server.environment()["AWS_CA_BUNDLE"] == str(tmp_path / "a.pem")
        assert owned.server.client("sts").get_caller_identity()["Account"]
        first = owned.served()
        assert first == owned.serial()
        with owned.connect() as old:
            (tmp_path / "c.pem").write_text("no certificate")
            owned.hang_up()
            wait_until("the complaint", lambda: "stays the one in force" in owned.said())
            assert owned.served() == first
            owned.issue()
            owned.hang_up()
            wait_until("the new certificate", lambda: owned.served() == owned.serial() != first)
            old.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert old.recv(100).startswith(b"HTTP/1.1 200 OK")
        # Without a signal, the files are looked at every few seconds.
        second = owned.served()
        owned.issue()
        wait_until("the newer certificate", lambda: owned.served() == owned.serial() != second)
        # A store process that dies is started again with the certificate in force.
        store = [pid for pid, name in owned.server.processes().items() if "server.process" in name]
        os.kill(store[0], signal.SIGKILL)
        wait_until("the restart", lambda: "restarting" in owned.said())
        wait_until("service", lambda: owned.served() == owned.serial())


@pytest.mark.parametrize(("stores", "fronts"), [(2, 0), (2, 2)])
def test_every_process_that_listens_serves_the_certificate_that_was_read_again(
    tmp_path: Path, stores: int, fronts: int
) -> None:
    owned = Owned(tmp_path, f"[processes]\nstores = {stores}\nfronts = {fronts}\n")

    with owned.server, ExitStack() as stack:
        kind = "server.front" if fronts else "server.process"
        listeners = [pid for pid, name in owned.server.processes().items() if kind in name]
        assert len(listeners) == (fronts or stores)

        def each() -> list[int]:
            """Return what each process serves while the others stand still."""
            served = []
            for pid in listeners:
                others = [other for other in listeners if other != pid]
                for other in others:
                    os.kill(other, signal.SIGSTOP)
                served.append(owned.served())
                for other in others:
                    os.kill(other, signal.SIGCONT)
            return served

        first = owned.serial()
        assert each() == [first] * len(listeners)
        before = [stack.enter_context(owned.connect()) for _ in range(8)]
        owned.issue()
        owned.hang_up()
        wait_until("the new certificate", lambda: "in force is valid until" in owned.said())
        second = owned.serial()
        wait_until("everywhere", lambda: each() == [second] * len(listeners))
        assert second != first
        for old in before:
            old.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert old.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_function_calls_the_name_of_a_users_certificate(tmp_path: Path) -> None:
    owned = Owned(tmp_path)
    with owned.server:
        context = ssl.create_default_context(cafile=str(tmp_path / "a.pem"))
        check_function(owned.server, context)


def test_a_certificate_that_cannot_be_used_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    owned = Owned(tmp_path)
    other = authority.ensure(tmp_path / "office", ("other",), SystemClock().now_ms())
    (tmp_path / "k.pem").write_bytes(other.key_pem())
    with pytest.raises(StartFailed, match=r"tls\.key is not the key of tls\.certificate"):
        owned.server.start()
    (tmp_path / "k.pem").unlink()
    with pytest.raises(StartFailed, match=r"tls\.key: cannot read"):
        owned.server.start()


def test_a_hangup_without_tls_is_said_and_ends_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        os.kill(server.pid, signal.SIGHUP)
        log = tmp_path / "server.log"
        wait_until("the word", lambda: "no certificate to read again" in log.read_text())
        assert server.client("sts").get_caller_identity()["Account"]
