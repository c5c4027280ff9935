"""Requests that carry their signature in the query."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.gateway.stub import (
    UNSIGNED_HEADERS,
    Gate,
    root_session_of,
)


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


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
    made = root_session_of(gate)
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
