"""Version 4A, signed by AWS's own runtime (awscrt) as botocore uses it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from unittest import mock

import awscrt.auth
import awscrt.http
import botocore.auth
import botocore.crt.auth
import pytest
from botocore.awsrequest import AWSRequest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.gateway.stub import ACCOUNT, KEY_ID, SECRET, Gate, StreamOf, http_request

from fogbank.gateway.authenticate import Authenticator
from fogbank.wire import sigv4, sigv4a
from fogbank.wire.checksums import digest_of, text_of
from fogbank.wire.http import HttpRequest

FORMS = {
    "s3": botocore.crt.auth.CrtS3SigV4AsymAuth,
    "s3 query": botocore.crt.auth.CrtS3SigV4AsymQueryAuth,
    "dynamodb": botocore.crt.auth.CrtSigV4AsymAuth,
    "sts": botocore.crt.auth.CrtSigV4AsymAuth,
}


@pytest.fixture
def gate() -> Gate:
    return Gate()


def signed(
    gate: Gate, form: str = "s3", regions: str = "*", host: str = "localhost:4566", **changes: Any
) -> HttpRequest:
    """Return a request that the runtime has signed for a set of regions."""
    service = form.partition(" ")[0]
    request = {
        "s3": AWSRequest("GET", f"http://{host}/bucket/a%20key%28"),
        "dynamodb": AWSRequest(
            "POST",
            f"http://{host}/",
            {
                "X-Amz-Target": "DynamoDB_20120810.ListTables",
                "Content-Type": "application/x-amz-json-1.0",
            },
            b"{}",
        ),
        "sts": AWSRequest(
            "POST",
            f"http://{host}/",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"Action=GetCallerIdentity&Version=2011-06-15",
        ),
    }[service]
    credentials = mock.Mock(
        access_key=KEY_ID, secret_key=changes.get("secret", SECRET), token=changes.get("token")
    )
    with gate._time():
        FORMS[form](credentials, service, regions).add_auth(request)
    return http_request(request.prepare())


@pytest.mark.parametrize("form", FORMS)
def test_a_signature_of_the_runtime_holds(gate: Gate, form: str) -> None:
    reply, text = gate.handle(signed(gate, form))
    assert reply.status == 200, text
    call = gate.stub.calls[-1][0]
    assert call.principal.account == ACCOUNT
    assert call.region == "us-east-1"
    assert call.scope.region_set == ("*",)


def test_a_client_of_boto3_signs_by_version_4a(gate: Gate) -> None:
    for service, version in (("s3", "s3v4a"), ("dynamodb", "v4a")):
        request = gate.request(service, signature_version=version)
        assert request.headers["authorization"].startswith("AWS4-ECDSA-P256-SHA256 ")
        assert gate.handle(request)[0].status == 200


def test_the_condition_key_says_the_version(gate: Gate) -> None:
    gate.handle(signed(gate))
    keys = gate.stub.calls[-1][0].access_context
    assert keys["s3:signatureversion"] == "AWS4-ECDSA-P256-SHA256"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", ["path", "header", "regions", "secret", "signature", "body"])
def test_what_was_not_signed_does_not_hold(gate: Gate, form: str, change: str) -> None:
    request = signed(gate, form, secret=SECRET[:-1] if change == "secret" else SECRET)
    match change:
        case "path":
            request.path += "x"
        case "header":
            request.headers["host"] = "evil.example"
        case "regions" if "x-amz-region-set" in request.headers:
            request.headers["x-amz-region-set"] = "us-east-1"
        case "regions":
            request.query = request.query.replace("Region-Set=%2A", "Region-Set=us-east-1")
        case "signature" if "authorization" in request.headers:
            request.headers["authorization"] = request.headers["authorization"][:-4] + "0000"
        case "signature":
            request.query = request.query[:-4] + "0000"
        case "body" if request.method == "POST":
            request.body += b" "
        case _:
            request.method = "PUT"
    status, code, _ = gate.refusal(request)
    assert code in {"SignatureDoesNotMatch", "InvalidSignatureException"}
    assert status in {400, 403}
    assert not gate.stub.calls


@pytest.mark.parametrize(
    ("regions", "host", "region"),
    [
        ("eu-west-1", "localhost", "eu-west-1"),
        ("eu-west-1,us-east-1", "localhost", "us-east-1"),
        ("eu-*", "s3.eu-central-1.localhost", "eu-central-1"),
        ("*", "s3.ap-south-1.localhost", "ap-south-1"),
    ],
)
def test_a_request_is_for_the_region_of_its_host_or_one_of_its_set(
    gate: Gate, regions: str, host: str, region: str
) -> None:
    reply, text = gate.handle(signed(gate, regions=regions, host=host))
    assert reply.status == 200, text
    assert gate.stub.calls[-1][0].region == region


@pytest.mark.parametrize(
    ("form", "regions", "host", "code"),
    [
        ("s3", "us-*", "s3.eu-west-1.localhost", "AuthorizationHeaderMalformed"),
        ("s3", "us-east-9", "localhost", "AuthorizationHeaderMalformed"),
        ("dynamodb", "mars-*", "localhost", "InvalidSignatureException"),
        ("dynamodb", "us-*", "dynamodb.eu-west-1.localhost", "InvalidSignatureException"),
    ],
)
def test_a_set_that_does_not_hold_the_region_is_refused(
    gate: Gate, form: str, regions: str, host: str, code: str
) -> None:
    assert gate.refusal(signed(gate, form, regions, host))[1] == code
    assert not gate.stub.calls


def test_the_region_set_must_be_there_and_signed(gate: Gate) -> None:
    request = signed(gate, "dynamodb")
    del request.headers["x-amz-region-set"]
    assert gate.refusal(request)[1] == "IncompleteSignatureException"
    request = signed(gate, "dynamodb")
    header = request.headers["authorization"]
    request.headers["authorization"] = header.replace(";x-amz-region-set", "")
    assert gate.refusal(request)[1] == "IncompleteSignatureException"
    request = signed(gate, "s3 query")
    request.query = request.query.replace("X-Amz-Region-Set=%2A&", "")
    assert gate.refusal(request)[1] == "AuthorizationQueryParametersError"


def test_a_presigned_request_of_version_4a_expires(gate: Gate) -> None:
    request = signed(gate, "s3 query")
    gate.clock.advance_to(gate.clock.now_ms() + 3_601_000)
    assert gate.refusal(request) == (403, "AccessDenied", "Request has expired")


def test_the_public_key_is_derived_once_and_dies_with_its_secret(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived: list[str] = []
    real = sigv4a.verifying_key

    def noted(key_id: str, secret: str) -> sigv4a.VerifyingKey:
        derived.append(key_id)
        return real(key_id, secret)

    monkeypatch.setattr("fogbank.gateway.signing_keys.verifying_key", noted)
    for form in FORMS:
        assert gate.handle(signed(gate, form))[0].status == 200
    assert derived == [KEY_ID]
    authenticator: Authenticator = gate.dispatcher._authenticator
    keys: Any = authenticator._keys._keys
    (name,) = keys._entries
    keys.put(name, keys.find(name)._replace(secret="other"))
    assert gate.handle(signed(gate))[0].status == 200
    assert derived == [KEY_ID, KEY_ID]


PRIVATE = ec.derive_private_key(sigv4a._private_value(KEY_ID, SECRET), ec.SECP256R1())
PIECES = [b"a" * 9_000, b"b" * 1_000, b""]
CHECKSUM = b"x-amz-checksum-crc32:" + text_of(digest_of("CRC32", b"".join(PIECES))).encode()


def sign(text: str, padding: str) -> str:
    """Return a signature as clients send it: in hexadecimal, padded to the longest there is."""
    made = PRIVATE.sign(text.encode(), ec.ECDSA(hashes.SHA256())).hex()
    return made.ljust(144, padding) if padding else made


def in_chunks(
    gate: Gate, *, trailer: bool, padding: str = "*", forge: int = -1, payload: str = ""
) -> HttpRequest:
    """Return an upload whose head the runtime has signed, and its chunks we as it does.

    The runtime's Python has no function for chunks; their texts are held against its own in
    ``tests/unit/wire/test_chunked.py``.
    """
    headers = {"x-amz-decoded-content-length": "10000", "content-encoding": "aws-chunked"}
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    name = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    request = _with_payload(
        gate, AWSRequest("PUT", "http://localhost/bucket/key", headers), payload or name
    )
    when = (request.headers["x-amz-date"], "20260101/s3/aws4_request")
    seed = request.headers["authorization"].rpartition("Signature=")[2]
    previous, out = seed, b""
    for at, piece in enumerate(PIECES):
        digest = sha256(piece).hexdigest()
        made = sign(sigv4.chunk_text(sigv4a.ALGORITHM, previous, when, digest), padding)
        previous = made.rstrip("*")
        shown = sign("another text", padding) if at == forge else made
        out += b"%x;chunk-signature=%s\r\n%s" % (len(piece), shown.encode(), piece)
        out += b"\r\n" if piece else b""
    if trailer:
        text = sigv4.trailer_text(sigv4a.ALGORITHM, previous, when, CHECKSUM + b"\n")
        made = sign("another text" if forge == len(PIECES) else text, padding)
        out += CHECKSUM + b"\r\nx-amz-trailer-signature:" + made.encode() + b"\r\n"
    request.stream = StreamOf(out + b"\r\n", 999)
    request.body = b""
    return request


@pytest.mark.parametrize("trailer", [False, True])
@pytest.mark.parametrize("padding", ["*", ""])
def test_signed_chunks_of_version_4a_are_taken(gate: Gate, trailer: bool, padding: str) -> None:
    reply, text = gate.handle(in_chunks(gate, trailer=trailer, padding=padding))
    assert reply.status == 200, text
    asked = gate.stub.calls[-1][1]
    assert asked["Body"] == b"".join(PIECES)
    assert bool(asked["Trailers"]) is trailer


@pytest.mark.parametrize("forge", range(4))
def test_every_chunk_and_the_trailer_of_version_4a_must_be_signed(gate: Gate, forge: int) -> None:
    request = in_chunks(gate, trailer=True, forge=forge)
    assert gate.refusal(request)[:2] == (403, "SignatureDoesNotMatch")
    assert not gate.stub.calls


def test_chunks_are_signed_by_the_version_of_their_request(gate: Gate) -> None:
    for payload in (sigv4.STREAMING_SIGNED, sigv4.STREAMING_SIGNED_TRAILER):
        request = in_chunks(gate, trailer=False, payload=payload)
        assert gate.refusal(request)[:2] == (400, "InvalidRequest")
    assert not gate.stub.calls


def test_unsigned_chunks_of_version_4a_are_taken(gate: Gate) -> None:
    body = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n"
    headers = {
        "x-amz-decoded-content-length": "3",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "content-encoding": "aws-chunked",
    }
    request = AWSRequest("PUT", "http://localhost/bucket/key", headers, body)
    reply, text = gate.handle(_with_payload(gate, request, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
    assert reply.status == 200, text
    assert gate.stub.calls[-1][1]["Body"] == b"abc"


def _with_payload(gate: Gate, request: AWSRequest, payload: str) -> HttpRequest:
    """Return a request that the runtime has signed with a payload of this name."""
    made = awscrt.http.HttpRequest(
        request.method,
        "/bucket/key",
        awscrt.http.HttpHeaders([("host", "localhost"), *request.headers.items()]),
    )
    config = awscrt.auth.AwsSigningConfig(
        algorithm=awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=awscrt.auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(KEY_ID, SECRET),
        region="*",
        service="s3",
        date=gate._now(remove_tzinfo=False),
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=payload,
        signed_body_header_type=awscrt.auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
    )
    awscrt.auth.aws_sign_request(made, config).result()
    headers = {name.lower(): value for name, value in made.headers}
    return HttpRequest(request.method, "/bucket/key", "", headers, request.body or b"")


@settings(max_examples=50, deadline=None)
@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=128), st.text(min_size=1))
def test_a_key_follows_from_id_and_secret_alone(key_id: str, secret: str) -> None:
    one, again = (sigv4a.verifying_key(key_id, secret) for _ in range(2))
    assert one.point == again.point
    assert one.point != sigv4a.verifying_key(key_id, secret + "x").point
    assert not one.verifies("text", "00" * 70)
    assert not one.verifies("text", "no hexadecimal")
