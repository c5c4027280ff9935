"""Whatever is wrong with a signature is refused in the words of the service that was asked."""

from __future__ import annotations

import pytest
from tests.unit.gateway.stub import (
    ACCOUNT,
    CALLS,
    KEY_ID,
    REGION,
    SECRET,
    UNSIGNED_HEADERS,
    Gate,
    StreamOf,
    root_session_of,
)

from fogbank.platform.identity.principal import PrincipalKind
from fogbank.wire import sigv4

JSON = ("dynamodb", "logs")
QUERY = ("iam", "sts")
TOKEN_INVALID = "The security token included in the request is invalid."
UNSIGNED_HOST = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."


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


@pytest.mark.parametrize("service", CALLS)
def test_a_session_signs_with_its_token_until_it_ends(service: str) -> None:
    gate = Gate()
    made = root_session_of(gate)
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
    keys = gate.dispatcher._authenticator._keys._keys
    (name,) = keys._entries
    keys._entries[name] = keys._entries[name]._replace(secret="old", key=b"old")
    assert gate.handle(gate.request("dynamodb"))[0].status == 200


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
