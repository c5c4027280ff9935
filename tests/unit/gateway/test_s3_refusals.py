"""What S3 says of a signature that fails: exactly its members, and the first of several faults.

Source: Amazon S3 API Reference, "Error responses"; answers of AWS as issues cite them
(siderolabs/omni 98: no region; cakephp-amazon-s3 15 and deb-s3 157: malformed; versitygw 1514 and
1498: members); answers recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json,
SignatureDoesNotMatch). The order is that of versity/versitygw, which is held against AWS
(s3api/middlewares/authentication.go), where it says one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import pytest
from tests.unit.gateway.stub import SECRET, Gate
from tests.unit.gateway.test_refusals import (
    MALFORMED,
    MINUTE,
    NOTHING,
    PRESIGNED,
    Change,
    authorization,
    bad_credential,
    body,
    no_date,
    no_signature,
    other_region,
)

from fogbank.wire import sigv4
from fogbank.wire.http import HttpRequest

OTHER_KEY = "AKIDEXAMPLEOTHER0001"
EMPTY_DIGEST = sha256(b"").hexdigest()
EXPLAINED = {
    *("AWSAccessKeyId", "SignatureProvided", "StringToSign", "StringToSignBytes"),
    *("CanonicalRequest", "CanonicalRequestBytes"),
}


@pytest.fixture
def gate() -> Gate:
    return Gate()


def no_region(request: HttpRequest) -> None:
    authorization(request, "/us-east-1/", "//")


def misnamed(request: HttpRequest) -> None:
    authorization(request, "Credential=", "Credentials=")


def no_hash(request: HttpRequest) -> None:
    del request.headers["x-amz-content-sha256"]


def bad_hash(request: HttpRequest) -> None:
    request.headers["x-amz-content-sha256"] = "none"


def bad_date(request: HttpRequest) -> None:
    request.headers["x-amz-date"] = "yesterday"


def unsigned_header(request: HttpRequest) -> None:
    request.headers["x-amz-acl"] = "private"


def late(gate: Gate) -> None:
    gate.clock._now_ms += 16 * MINUTE


def said(gate: Gate, request: HttpRequest) -> tuple[int, dict[str, str]]:
    """Return the status and all members of a refusal but those that every answer has."""
    reply, text = gate.handle(request)
    members = {each.tag: each.text or "" for each in ET.fromstring(text)}
    for name in ("RequestId", "HostId"):
        assert members.pop(name)
    assert not gate.stub.calls
    return reply.status, members


WORDS: dict[str, tuple[Change, int, str, str]] = {
    "two components": (
        no_signature,
        400,
        "AuthorizationHeaderMalformed",
        (
            f"{MALFORMED}the authorization header requires three components: Credential, "
            "SignedHeaders, and Signature."
        ),
    ),
    "a component of another name": (
        misnamed,
        400,
        "AuthorizationHeaderMalformed",
        f"{MALFORMED}missing Credential.",
    ),
    "a credential that cannot be read": (
        bad_credential,
        400,
        "AuthorizationHeaderMalformed",
        (
            f"{MALFORMED}the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        ),
    ),
    "no region": (
        no_region,
        400,
        "AuthorizationHeaderMalformed",
        f"{MALFORMED}a non-empty region must be provided in the credential.",
    ),
    "no date": (
        no_date,
        403,
        "AccessDenied",
        "AWS authentication requires a valid Date or x-amz-date header",
    ),
    "a date that is none": (
        bad_date,
        403,
        "AccessDenied",
        "AWS authentication requires a valid Date or x-amz-date header",
    ),
    "no hash": (
        no_hash,
        400,
        "InvalidRequest",
        "Missing required header for this request: x-amz-content-sha256",
    ),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_header_that_cannot_be_read_is_named_and_nothing_else_said(gate: Gate, case: str) -> None:
    change, status, code, message = WORDS[case]
    request = gate.request("s3")
    change(request)
    assert said(gate, request) == (status, {"Code": code, "Message": message})


MEMBERS: dict[str, tuple[Callable[[Gate], HttpRequest], str, dict[str, str]]] = {
    "an unknown key": (
        lambda gate: gate.request("s3", key_id=OTHER_KEY),
        "InvalidAccessKeyId",
        {"AWSAccessKeyId": OTHER_KEY},
    ),
    "a clock that is off": (
        lambda gate: _then(gate.request("s3"), lambda _: late(gate)),
        "RequestTimeTooSkewed",
        {
            "RequestTime": "20260101T000000Z",
            "ServerTime": "2026-01-01T00:16:00Z",
            "MaxAllowedSkewMilliseconds": "900000",
        },
    ),
    "a presigned request that is over": (
        lambda gate: _then(gate.presigned("GET", PRESIGNED, expires=60), lambda _: late(gate)),
        "AccessDenied",
        {
            "X-Amz-Expires": "60",
            "Expires": "2026-01-01T00:01:00Z",
            "ServerTime": "2026-01-01T00:16:00Z",
        },
    ),
    "a presigned request of a malformed credential": (
        lambda gate: _then(
            gate.presigned("GET", PRESIGNED),
            lambda request: setattr(request, "query", request.query.replace("aws4_", "aws5_")),
        ),
        "AuthorizationQueryParametersError",
        {},
    ),
    "another region than the host's": (
        lambda gate: _then(gate.request("s3"), other_region),
        "AuthorizationHeaderMalformed",
        {"Region": "eu-west-1"},
    ),
    "another body": (
        lambda gate: _then(gate.request("s3"), body),
        "XAmzContentSHA256Mismatch",
        {
            "ClientComputedContentSHA256": EMPTY_DIGEST,
            "S3ComputedContentSHA256": sha256(b" ").hexdigest(),
        },
    ),
    "a header that is not signed": (
        lambda gate: _then(gate.request("s3"), unsigned_header),
        "AccessDenied",
        {"HeadersNotSigned": "x-amz-acl"},
    ),
}


def _then(request: HttpRequest, change: Callable[[HttpRequest], None]) -> HttpRequest:
    change(request)
    return request


@pytest.mark.parametrize("case", MEMBERS)
def test_a_refusal_says_what_belongs_to_it_and_nothing_else(gate: Gate, case: str) -> None:
    make, code, members = MEMBERS[case]
    _, found = said(gate, make(gate))
    assert found.pop("Message")
    assert found == {"Code": code, **members}


@pytest.mark.parametrize("form", ["header", "query"])
def test_what_the_signature_should_have_been_made_of_gives_no_secret_away(
    gate: Gate, form: str
) -> None:
    """Nor a key that is derived from one: with it every request of the day could be signed."""
    if form == "header":
        request = gate.request("s3", secret="x" * 40)
    else:
        request = gate.presigned("GET", PRESIGNED, secret="x" * 40)
    status, found = said(gate, request)
    assert (status, found.pop("Code")) == (403, "SignatureDoesNotMatch")
    assert found.pop("Message")
    assert found.keys() == EXPLAINED
    key = sigv4.signing_key(SECRET, "20260101", "us-east-1", "s3")
    right = sigv4.signature(key, found["StringToSign"])
    for text in found.values():
        shown = text.replace(" ", "")
        assert not any(each in shown for each in (SECRET, SECRET.encode().hex(), key.hex(), right))


# Several things are wrong at once: a row names them, and what is told.

ORDER: tuple[tuple[Sequence[Change], dict[str, Any], str], ...] = (
    ((no_date, bad_hash), {"key_id": OTHER_KEY}, "AccessDenied"),
    ((no_region, bad_hash), {"key_id": OTHER_KEY}, "AuthorizationHeaderMalformed"),
    ((other_region, bad_hash), {"key_id": OTHER_KEY}, "AuthorizationHeaderMalformed"),
    ((bad_hash, unsigned_header), {"key_id": OTHER_KEY}, "InvalidAccessKeyId"),
    ((no_hash, unsigned_header), {"secret": "x" * 40}, "InvalidRequest"),
    ((bad_hash, unsigned_header), {"secret": "x" * 40}, "InvalidArgument"),
    ((body, unsigned_header), {"secret": "x" * 40}, "SignatureDoesNotMatch"),
    ((body, unsigned_header), {}, "AccessDenied"),
    ((body,), {}, "XAmzContentSHA256Mismatch"),
    ((NOTHING,), {"secret": "x" * 40}, "SignatureDoesNotMatch"),
)


@pytest.mark.parametrize(("changes", "options", "code"), ORDER)
def test_of_several_faults_of_a_signature_the_first_is_told(
    gate: Gate, changes: Sequence[Change], options: dict[str, Any], code: str
) -> None:
    request = gate.request("s3", **options)
    for change in changes:
        change(request)
    assert said(gate, request)[1]["Code"] == code


def test_a_clock_that_is_off_is_told_before_an_unknown_key(gate: Gate) -> None:
    request = gate.request("s3", key_id=OTHER_KEY)
    late(gate)
    assert said(gate, request)[1]["Code"] == "RequestTimeTooSkewed"


def test_a_signature_is_told_before_what_its_caller_may_not(gate: Gate) -> None:
    gate.stub.bucket_policy = '{"Version": "2012-10-17", "Statement": []}'
    asked = {"Bucket": "bucket", "Key": "k"}
    request = gate.request("s3", "get_object", asked, secret="x" * 40)
    assert said(gate, request)[1]["Code"] == "SignatureDoesNotMatch"
