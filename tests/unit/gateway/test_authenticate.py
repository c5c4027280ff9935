"""Whatever is wrong with a signature is refused in the words of the service that was asked."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from typing import Any

import pytest
from tests.unit.gateway.stub import (
    ACCOUNT,
    CALLS,
    KEY_ID,
    REGION,
    SECRET,
    Gate,
    StreamOf,
)

from fogbank.gateway.settings import GatewaySettings
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.wire import sigv4
from fogbank.wire.http import HttpRequest

JSON = ("dynamodb", "logs")
QUERY = ("iam", "sts")
TOKEN_INVALID = "The security token included in the request is invalid."
UNSIGNED_HOST = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
UNSIGNED_HEADERS = "There were headers present in the request which were not signed"


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


def words(service: str, json: str, query: str, s3: str) -> tuple[int, str]:
    """Return the status and code that a service says something with."""
    if service == "s3":
        return 403, s3
    if service in QUERY:
        return 403, query
    return (400 if service in JSON else 403), json


@pytest.mark.parametrize("service", CALLS)
def test_a_signed_request_is_answered(gate: Gate, service: str) -> None:
    reply, _ = gate.handle(gate.request(service))
    assert reply.status == 200
    call, _ = gate.stub.calls[-1]
    assert call.principal.kind is PrincipalKind.ROOT
    assert call.scope.account == ACCOUNT
    assert call.scope.region == REGION
    assert call.principal.access_key_id == KEY_ID


@pytest.mark.parametrize("service", CALLS)
def test_a_wrong_secret_is_refused(gate: Gate, service: str) -> None:
    status, code, message = gate.refusal(gate.request(service, secret="x" * 40))
    expected = words(
        service, "InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"
    )
    assert (status, code) == expected
    assert message.startswith("The request signature we calculated does not match")


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("secret", ["", "test"])
def test_an_unknown_key_is_refused(gate: Gate, service: str, secret: str) -> None:
    # The key and secret ``test``, which other clouds on a desk let in, is unknown like any other.
    key = {"key_id": "test", "secret": secret} if secret else {"key_id": "AKIDUNKNOWN000000000"}
    status, code, message = gate.refusal(gate.request(service, **key))
    assert (status, code) == words(
        service, "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"
    )
    assert message == (
        "The AWS Access Key Id you provided does not exist in our records."
        if service == "s3"
        else TOKEN_INVALID
    )


@pytest.mark.parametrize("service", CALLS)
def test_an_anonymous_request_is_refused(gate: Gate, service: str) -> None:
    # On the bare host, a path without signature is an object's: Lambda's is told by its host.
    request = gate.request(service, endpoint=f"http://{service}.us-east-1.localhost:4566")
    for name in ("authorization", "x-amz-date", "x-amz-content-sha256"):
        request.headers.pop(name, None)
    status, code, _ = gate.refusal(request)
    expected = words(
        service,
        "MissingAuthenticationTokenException",
        "MissingAuthenticationToken",
        "AccessDenied",
    )
    assert (status, code) == expected


@pytest.mark.parametrize("service", CALLS)
def test_an_altered_signed_header_is_refused(gate: Gate, service: str) -> None:
    request = gate.request(service)
    request.headers["host"] = "127.0.0.1:4566"
    _, code, _ = gate.refusal(request)
    assert code in {"InvalidSignatureException", "SignatureDoesNotMatch"}


@pytest.mark.parametrize("service", CALLS)
def test_an_altered_query_is_refused(gate: Gate, service: str) -> None:
    request = gate.request(service)
    request.query = f"{request.query}&MaxItems=1".lstrip("&")
    _, code, _ = gate.refusal(request)
    assert code in {"InvalidSignatureException", "SignatureDoesNotMatch"}


@pytest.mark.parametrize("service", ["dynamodb", "iam", "sts", "logs"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_altered_body_is_refused(gate: Gate, service: str, streamed: bool) -> None:
    request = gate.request(service)
    body = request.body + b" "
    if streamed:
        request.body, request.stream = b"", StreamOf(body, 3)
    else:
        request.body = body
    _, code, _ = gate.refusal(request)
    assert code in {"InvalidSignatureException", "SignatureDoesNotMatch"}
    assert gate.dispatcher._bodies.bytes_held == 0


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_signature_from_another_time_is_refused(gate: Gate, service: str, minutes: int) -> None:
    other = Gate()
    other.clock.advance_to(gate.clock.now_ms() + 60 * 60_000)
    gate = Gate()
    gate.clock.advance_to(other.clock.now_ms() + minutes * 60_000)
    status, code, message = other.refusal(gate.request(service))
    assert (status, code) == words(
        service, "InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"
    )
    if service == "s3":
        assert message == (
            "The difference between the request time and the current time is too large."
        )
    elif minutes < 0:
        assert message == (
            "Signature expired: 20260101T004400Z is now earlier than 20260101T004500Z "
            "(20260101T010000Z - 15 min.)"
        )
    else:
        assert message == (
            "Signature not yet current: 20260101T011600Z is still later than "
            "20260101T011500Z (20260101T010000Z + 15 min.)"
        )


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("minutes", [-14, 14])
def test_clocks_may_differ_a_little(service: str, minutes: int) -> None:
    gate, signer = Gate(), Gate()
    gate.clock.advance_to(gate.clock.now_ms() + 60 * 60_000)
    signer.clock.advance_to(gate.clock.now_ms() + minutes * 60_000)
    assert gate.handle(signer.request(service))[0].status == 200


@pytest.mark.parametrize("service", CALLS)
def test_a_scope_of_another_day_is_refused(gate: Gate, service: str) -> None:
    request = gate.request(service)
    authorization = request.headers["authorization"]
    request.headers["authorization"] = authorization.replace("/20260101/", "/20251231/")
    _, code, message = gate.refusal(request)
    if service == "s3":
        assert code == "AuthorizationHeaderMalformed"
        assert "This date is not the same as X-Amz-Date" in message
    else:
        assert "Date in Credential scope does not match YYYYMMDD" in message


def test_a_region_that_the_host_contradicts_is_refused(gate: Gate) -> None:
    request = gate.request("s3", endpoint="http://s3.eu-west-1.localhost:4566")
    status, code, message = gate.refusal(request)
    assert (status, code) == (400, "AuthorizationHeaderMalformed")
    assert message == (
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting "
        "'eu-west-1'"
    )
    request = gate.request("dynamodb", endpoint="http://dynamodb.eu-west-1.localhost:4566")
    _, code, message = gate.refusal(request)
    assert code == "InvalidSignatureException"
    assert message == "Credential should be scoped to a valid region, not 'us-east-1'. "


def test_a_region_that_is_none_is_refused(gate: Gate) -> None:
    request = gate.request("dynamodb")
    header = request.headers["authorization"]
    request.headers["authorization"] = header.replace("/us-east-1/", "/../../x/", 1)
    assert gate.refusal(request)[0] == 400
    request.headers["authorization"] = header.replace("/us-east-1/", "/US EAST/", 1)
    assert gate.refusal(request)[1] == "InvalidSignatureException"


def test_a_service_that_the_host_contradicts_is_refused(gate: Gate) -> None:
    request = gate.request("dynamodb", endpoint="http://logs.us-east-1.localhost:4566")
    _, code, message = gate.refusal(request)
    assert code == "InvalidSignatureException"
    assert message == "Credential should be scoped to correct service: 'logs'. "


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host",
        "AWS AKID:signature",
        "Basic dXNlcjpwYXNz",
        "Bearer token",
        "",
    ],
)
def test_a_header_that_cannot_be_read_is_refused(gate: Gate, service: str, header: str) -> None:
    request = gate.request(service)
    request.headers["authorization"] = header
    before = len(gate.stub.calls)
    assert gate.refusal(request)[0] in {400, 403}
    assert len(gate.stub.calls) == before


def test_a_missing_or_malformed_date_is_refused(gate: Gate) -> None:
    for date in (None, "", "20260101", "20261301T000000Z", "\uff12\uff10260101T000000Z"):
        request = gate.request("dynamodb")
        if date is None:
            del request.headers["x-amz-date"]
        else:
            request.headers["x-amz-date"] = date
        assert gate.refusal(request)[0] == 400


# Sessions.


def session(gate: Gate, seconds: int = 3_600) -> Any:
    return asyncio.run(_session(gate, seconds))


async def _session(gate: Gate, seconds: int) -> Any:
    made = gate.identity.new_session(
        account=ACCOUNT,
        kind=PrincipalKind.ROOT,
        unique_id=ACCOUNT,
        name="",
        duration_s=seconds,
    )
    return await gate.identity.session(made)


@pytest.mark.parametrize("service", CALLS)
def test_a_session_signs_with_its_token_until_it_ends(service: str) -> None:
    gate = Gate()
    made = session(gate)
    options = {"key_id": made.access_key_id, "secret": made.secret_access_key}
    request = gate.request(service, token=made.session_token, **options)
    # AWS: a session of GetSessionToken may not call IAM, nor STS but for two operations (whose
    # access the stub does not know), without MFA.
    assert gate.handle(request)[0].status == (403 if service in QUERY else 200)
    status, code, message = gate.refusal(gate.request(service, **options))
    assert (status, code) == words(
        service, "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"
    )
    _, code, _ = gate.refusal(gate.request(service, token="bm9uZQ==", **options))
    assert code in {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken"}
    gate.clock.advance_to(gate.clock.now_ms() + 3_600_000)
    status, code, message = gate.refusal(gate.request(service, token=made.session_token, **options))
    assert (code, message) == (
        ("ExpiredToken", "The provided token has expired.")
        if service == "s3"
        else (
            "ExpiredToken" if service in QUERY else "ExpiredTokenException",
            "The security token included in the request is expired",
        )
    )


def test_a_token_beside_a_long_term_key_is_refused(gate: Gate) -> None:
    request = gate.request("s3", token="bm9uZQ==")
    assert gate.refusal(request)[:2] == (400, "InvalidToken")


def test_a_key_that_was_made_anew_does_not_sign_with_the_old_secret() -> None:
    gate = Gate()
    assert gate.handle(gate.request("dynamodb"))[0].status == 200
    keys = gate.dispatcher._authenticator._keys
    (name,) = keys._entries
    keys._entries[name] = keys._entries[name]._replace(secret="old", key=b"old")
    assert gate.handle(gate.request("dynamodb"))[0].status == 200


# S3: presigned.

URL = "http://localhost:4566/bucket/key%20with%2Fmore?versionId=1"


def test_a_presigned_request_is_answered_until_it_expires() -> None:
    gate = Gate()
    request = gate.presigned("GET", URL, expires=60)
    reply, body = gate.handle(request)
    assert (reply.status, body) == (200, b"hello")
    call, asked = gate.stub.calls[-1]
    assert asked["Key"] == "key with/more"
    assert call.access_context["s3:authType"] == "REST-QUERY-STRING"
    gate.clock.advance_to(gate.clock.now_ms() + 60_000)
    assert call.access_context["s3:signatureAge"] == "0"
    assert gate.handle(gate.presigned("GET", URL))[0].status == 200
    gate.clock.advance_to(gate.clock.now_ms() + 1_000)
    status, code, message = gate.refusal(request)
    assert (status, code, message) == (403, "AccessDenied", "Request has expired")


def test_a_presigned_request_from_the_future_is_not_valid_yet() -> None:
    signer = Gate()
    signer.clock.advance_to(signer.clock.now_ms() + 16 * 60_000)
    status, code, message = Gate().refusal(signer.presigned("GET", URL))
    assert (status, code, message) == (403, "AccessDenied", "Request is not valid yet")


@pytest.mark.parametrize("expires", [604_801, -1, "x"])
def test_the_life_of_a_presigned_request_is_bounded(gate: Gate, expires: Any) -> None:
    request = gate.presigned("GET", URL, expires=expires)
    assert gate.refusal(request)[:2] == (400, "AuthorizationQueryParametersError")


def test_a_presigned_request_of_s3_says_how_long_it_lives(gate: Gate) -> None:
    request = gate.presigned("GET", URL)
    request.query = request.query.replace("X-Amz-Expires=60&", "")
    assert "X-Amz-Expires" not in request.query
    assert gate.refusal(request)[:2] == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("key%20", "kez%20"), "SignatureDoesNotMatch"),
        (("versionId=1", "versionId=2"), "SignatureDoesNotMatch"),
        (("X-Amz-Expires=60", "X-Amz-Expires=61"), "SignatureDoesNotMatch"),
        (("%2Fs3%2F", "%2Fsts%2F"), "MissingAuthentication"),
    ],
)
def test_an_altered_presigned_request_is_refused(
    gate: Gate, change: tuple[str, str], code: str
) -> None:
    request = gate.presigned("GET", URL)
    request.path = request.path.replace(*change)
    request.query = request.query.replace(*change)
    status, found, _ = gate.refusal(request)
    assert status in {400, 403}
    assert code in (found, "MissingAuthentication")


def test_an_unknown_key_presigns_nothing(gate: Gate) -> None:
    request = gate.presigned("GET", URL, key_id="AKIDUNKNOWN000000000")
    assert gate.refusal(request)[:2] == (403, "InvalidAccessKeyId")
    request = gate.presigned("GET", URL, secret="x" * 40)
    assert gate.refusal(request)[:2] == (403, "SignatureDoesNotMatch")


def test_a_presigned_request_of_a_session_carries_its_token(gate: Gate) -> None:
    made = session(gate)
    request = gate.presigned(
        "GET",
        URL,
        key_id=made.access_key_id,
        secret=made.secret_access_key,
        token=made.session_token,
    )
    assert gate.handle(request)[0].status == 200
    request = gate.presigned("GET", URL, key_id=made.access_key_id, secret=made.secret_access_key)
    assert gate.refusal(request)[:2] == (403, "InvalidAccessKeyId")


def test_two_mechanisms_at_once_are_refused(gate: Gate) -> None:
    request = gate.presigned("GET", URL)
    request.headers["authorization"] = gate.request("s3").headers["authorization"]
    assert gate.refusal(request)[:2] == (400, "InvalidArgument")


def test_headers_that_s3_heeds_must_be_signed(gate: Gate) -> None:
    request = gate.presigned("GET", URL)
    request.headers["x-amz-acl"] = "public-read"
    status, code, message = gate.refusal(request)
    assert (status, code) == (403, "AccessDenied")
    assert message == UNSIGNED_HEADERS


def test_an_unsigned_target_is_refused(gate: Gate) -> None:
    request = gate.request("dynamodb")
    target = request.headers.pop("x-amz-target")
    sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region=REGION,
        service="dynamodb",
        timestamp="20260101T000000Z",
    )
    request.headers["x-amz-target"] = target
    assert gate.refusal(request)[1] == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("s3", (403, "AccessDenied", UNSIGNED_HEADERS)),
        ("dynamodb", (400, "InvalidSignatureException", UNSIGNED_HOST)),
        ("iam", (403, "SignatureDoesNotMatch", UNSIGNED_HOST)),
    ],
)
def test_a_request_whose_host_is_unsigned_is_refused(
    gate: Gate, service: str, said: tuple[int, str, str]
) -> None:
    request = gate.request(service)
    host = request.headers.pop("host")
    sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region="us-east-1" if service == "iam" else REGION,
        service=service,
        timestamp="20260101T000000Z",
    )
    request.headers["host"] = host
    assert gate.refusal(request) == said


# S3: bodies.


def put(gate: Gate, body: bytes, payload: str, **headers: str) -> HttpRequest:
    """Return a signed PutObject whose payload header says something."""
    request = HttpRequest(
        "PUT", "/bucket/key", "", {"host": "localhost:4566", **headers}, body, peer="10.1.2.3"
    )
    request.headers["content-length"] = str(len(body))
    sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region=REGION,
        service="s3",
        timestamp="20260101T000000Z",
        payload_hash=payload,
    )
    return request


@pytest.mark.parametrize("streamed", [False, True])
def test_a_signed_body_is_checked_before_the_operation_ends(streamed: bool) -> None:
    gate = Gate()
    body = b"x" * 10_000
    digest = hashlib.sha256(body).hexdigest()
    for sent, status in ((body, 200), (body[:-1] + b"y", 400)):
        request = put(gate, sent, digest)
        if streamed:
            request.body, request.stream = b"", StreamOf(sent)
        reply, text = gate.handle(request)
        assert reply.status == status
        if status == 400:
            assert b"<Code>XAmzContentSHA256Mismatch</Code>" in text
            assert digest.encode() in text
    assert len(gate.stub.calls) == 1
    assert gate.stub.calls[0][1]["Body"] == body


def test_an_unsigned_body_is_taken_as_it_is(gate: Gate) -> None:
    assert gate.handle(put(gate, b"abc", "UNSIGNED-PAYLOAD"))[0].status == 200
    assert gate.stub.calls[-1][1]["Body"] == b"abc"


@pytest.mark.parametrize("payload", ["", "x", "A" * 64, "STREAMING-NOTHING", "g" * 64])
def test_a_payload_header_that_means_nothing_is_refused(gate: Gate, payload: str) -> None:
    request = put(gate, b"abc", payload or "UNSIGNED-PAYLOAD")
    if not payload:
        del request.headers["x-amz-content-sha256"]
    assert gate.refusal(request)[0] in {400, 403}


def test_a_missing_payload_header_is_refused(gate: Gate) -> None:
    request = gate.request("s3")
    del request.headers["x-amz-content-sha256"]
    status, code, message = gate.refusal(request)
    assert (status, code) == (400, "InvalidRequest")
    assert message == "Missing required header for this request: x-amz-content-sha256"


def chunked(body: bytes, checksum: str | None = None) -> bytes:
    """Return a body in unsigned aws-chunked."""
    half = len(body) // 2
    out = b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]) if piece
    )
    trailer = f"x-amz-checksum-crc32:{checksum}\r\n" if checksum else ""
    return out + b"0\r\n" + trailer.encode() + b"\r\n"


def crc32_of(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_trailing_checksums_come_with_the_end_of_the_stream(piece: int) -> None:
    gate = Gate()
    body = bytes(range(256)) * 10
    framed = chunked(body, crc32_of(body))
    request = put(
        gate,
        framed,
        sigv4.STREAMING_UNSIGNED_TRAILER,
        **{
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": str(len(body)),
            "content-encoding": "aws-chunked,gzip",
        },
    )
    request.body, request.stream = b"", StreamOf(framed, piece)
    reply, text = gate.handle(request)
    assert reply.status == 200, text
    asked = gate.stub.calls[-1][1]
    assert asked["Body"] == body
    assert asked["Trailers"] == {"x-amz-checksum-crc32": crc32_of(body)}
    assert asked["ContentLength"] == len(body)
    assert asked["ContentEncoding"] == "gzip"


def signed_chunks(request: HttpRequest, pieces: list[bytes], forge: int = -1) -> bytes:
    """Return a body in signed aws-chunked for a request that is signed."""
    signed = sigv4.parse_authorization(request.headers["authorization"])
    key = sigv4.signing_key(SECRET, signed.date, signed.region, signed.service)
    previous, out = signed.signature, b""
    for at, piece in enumerate([*pieces, b""]):
        when, digest = ("20260101T000000Z", signed.scope), hashlib.sha256(piece).hexdigest()
        text = sigv4.chunk_text(sigv4.ALGORITHM, previous, when, digest)
        previous = sigv4.signature(key, text)
        shown = "0" * 64 if at == forge else previous
        out += b"%x;chunk-signature=%s\r\n%s" % (len(piece), shown.encode(), piece)
        out += b"\r\n"
    return out


@pytest.mark.parametrize("forge", [-1, 0, 1, 2])
def test_signed_chunks_are_checked_one_by_one(forge: int) -> None:
    gate = Gate()
    pieces = [b"a" * 9_000, b"b" * 1_000]
    request = put(
        gate,
        b"",
        sigv4.STREAMING_SIGNED,
        **{"x-amz-decoded-content-length": "10000", "content-encoding": "aws-chunked"},
    )
    framed = signed_chunks(request, pieces, forge)
    request.stream = StreamOf(framed, 999)
    reply, text = gate.handle(request)
    if forge < 0:
        assert reply.status == 200, text
        asked = gate.stub.calls[-1][1]
        assert asked["Body"] == b"".join(pieces)
        assert "ContentEncoding" not in asked
    else:
        assert reply.status == 403
        assert b"SignatureDoesNotMatch" in text
        assert not gate.stub.calls


def test_a_stream_that_breaks_off_early_is_incomplete() -> None:
    gate = Gate()
    body = b"x" * 5_000
    request = put(
        gate,
        b"",
        sigv4.STREAMING_UNSIGNED_TRAILER,
        **{"x-amz-decoded-content-length": "5000"},
    )
    request.stream = StreamOf(chunked(body)[:-5])
    assert gate.refusal(request)[:2] == (400, "IncompleteBody")
    assert not gate.stub.calls


def test_an_anonymous_stream_cannot_be_signed(gate: Gate) -> None:
    request = HttpRequest(
        "PUT",
        "/bucket/key",
        "",
        {
            "host": "localhost",
            "x-amz-content-sha256": sigv4.STREAMING_SIGNED,
            "x-amz-decoded-content-length": "3",
        },
        b"abc",
    )
    assert gate.refusal(request)[:2] == (400, "InvalidRequest")


# Bodies that must be whole.


def test_a_large_signed_body_is_gathered_within_its_bound() -> None:
    gate = Gate(GatewaySettings(body_bytes_max=100_000, whole_bodies_bytes_max=150_000))
    request = gate.request("dynamodb", parameters={"Limit": 7})
    body = request.body + b" " * 90_000
    request.body, request.stream = b"", None
    request.body = body
    resign(request)
    request.body, request.stream = b"", StreamOf(body)
    assert gate.handle(request)[0].status == 200
    assert gate.stub.calls[-1][1] == {"Limit": 7}
    assert gate.dispatcher._bodies.bytes_held == 0


def resign(request: HttpRequest) -> None:
    request.headers.pop("authorization")
    sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region=REGION,
        service="dynamodb",
        timestamp="20260101T000000Z",
    )


@pytest.mark.parametrize("promised", [True, False])
def test_a_body_beyond_every_operation_is_refused(promised: bool) -> None:
    gate = Gate(GatewaySettings(body_bytes_max=10_000))
    request = gate.request("dynamodb")
    stream = StreamOf(b" " * 20_000)
    if not promised:
        stream.length = None
    request.body, request.stream = b"", stream
    assert gate.refusal(request)[1] == "RequestEntityTooLargeException"
    assert stream.at <= 11_000
    assert gate.dispatcher._bodies.bytes_held == 0


def test_bodies_share_their_bound() -> None:
    gate = Gate(GatewaySettings(body_bytes_max=10_000, whole_bodies_bytes_max=5_000))
    request = gate.request("dynamodb")
    request.body, request.stream = b"", StreamOf(b" " * 9_000)
    assert gate.refusal(request)[1] == "ThrottlingException"
    assert gate.dispatcher._bodies.bytes_held == 0
