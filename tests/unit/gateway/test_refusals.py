"""AWS's error for each way in which a signature fails, in the words of each family of services.

Every request is signed and serialised by botocore, changed as a row says, and refused by the
gateway; what the client would read is compared whole: status, code, message.

Source: IAM User Guide, "Troubleshoot Signature Version 4 signing for AWS API requests"; Amazon S3
API Reference, "Error responses"; "Common Errors" of each service's API Reference.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import pytest
from tests.unit.gateway.stub import CALLS, KEY_ID, Gate

from fogbank.wire import sigv4
from fogbank.wire.http import HttpRequest

NOW = "20260101T000000Z"
MINUTE = 60_000


class Words(NamedTuple):
    """What the services of a family call the same."""

    mismatch: tuple[int, str]
    unknown: tuple[int, str]
    token: tuple[int, str]
    incomplete: tuple[int, str]
    missing: tuple[int, str, str]


JSON = Words(
    (400, "InvalidSignatureException"),
    (400, "UnrecognizedClientException"),
    (400, "UnrecognizedClientException"),
    (400, "IncompleteSignatureException"),
    (400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
)
REST_JSON = Words(
    (403, "InvalidSignatureException"),
    (403, "UnrecognizedClientException"),
    (403, "UnrecognizedClientException"),
    (403, "IncompleteSignatureException"),
    (403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
)
QUERY = Words(
    (403, "SignatureDoesNotMatch"),
    (403, "InvalidClientTokenId"),
    (403, "InvalidClientTokenId"),
    (400, "IncompleteSignature"),
    (403, "MissingAuthenticationToken", "Request is missing Authentication Token"),
)
FAMILIES = {
    "dynamodb": JSON,
    "logs": JSON._replace(
        missing=(
            400,
            "MissingAuthenticationTokenException",
            "Request is missing Authentication Token",
        )
    ),
    "lambda": REST_JSON,
    "sts": QUERY,
    "iam": QUERY,
}
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "key and signing method."
)
INVALID = "The security token included in the request is invalid."


@pytest.fixture
def gate() -> Gate:
    return Gate()


def authorization(request: HttpRequest, pattern: str, text: str) -> None:
    """Replace a part of the Authorization header, which must be there."""
    header = request.headers["authorization"]
    request.headers["authorization"], count = re.subn(pattern, text, header)
    assert count == 1, header


def altered(request: HttpRequest) -> None:
    request.headers["host"] = "elsewhere"


def body(request: HttpRequest) -> None:
    request.body += b" "


def unsigned(request: HttpRequest) -> None:
    authorization(request, r"SignedHeaders=.*?host;", "SignedHeaders=host;extra;")


def replayed(request: HttpRequest) -> None:
    """Send an old signature under a new date."""
    request.headers["x-amz-date"] = "20260101T000100Z"


def other_day(request: HttpRequest) -> None:
    request.headers["x-amz-date"] = "20260102T000000Z"


def other_scope(request: HttpRequest) -> None:
    signed = request.headers["authorization"]
    request.headers["authorization"] = signed.replace("/20260101/", "/20260102/")


def other_service(request: HttpRequest) -> None:
    request.headers["host"] = "logs.us-east-1.localhost"


def other_region(request: HttpRequest) -> None:
    request.headers["host"] = _host(request, "eu-west-1")


def _host(request: HttpRequest, region: str) -> str:
    service = request.headers["authorization"].split("/")[3]
    return f"{service}.{region}.localhost"


def no_signature(request: HttpRequest) -> None:
    authorization(request, r",? *Signature=[0-9a-f]+", "")


def no_date(request: HttpRequest) -> None:
    del request.headers["x-amz-date"]


def bad_credential(request: HttpRequest) -> None:
    authorization(request, r"/aws4_request", "")


def bare(request: HttpRequest) -> None:
    request.headers["host"] = _host(request, "us-east-1")
    for name in ("authorization", "x-amz-date", "x-amz-content-sha256"):
        request.headers.pop(name, None)


Change = Callable[[HttpRequest], None]
NOTHING: Change = lambda _request: None  # noqa: E731 (a row of a table)

CASES: dict[str, tuple[Change, dict[str, Any], Callable[[Words], tuple[int, str, str]]]] = {
    "an altered header": (altered, {}, lambda w: (*w.mismatch, MISMATCH)),
    "an altered body": (body, {}, lambda w: (*w.mismatch, MISMATCH)),
    "a header that is said to be signed and is not": (
        unsigned,
        {},
        lambda w: (*w.mismatch, MISMATCH),
    ),
    "a wrong secret": (NOTHING, {"secret": "x" * 40}, lambda w: (*w.mismatch, MISMATCH)),
    "a replayed date": (replayed, {}, lambda w: (*w.mismatch, MISMATCH)),
    "another day than the scope's": (
        other_scope,
        {},
        lambda w: (
            *w.mismatch,
            (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
                "HTTP: '20260102' != '20260101', from '20260101T000000Z'."
            ),
        ),
    ),
    # AWS: the time is told first (ScyllaDB, test/alternator/test_authorization.py).
    "another day than the scope's, which is not yet": (
        other_day,
        {},
        lambda w: (
            *w.mismatch,
            (
                "Signature not yet current: 20260102T000000Z is still later than 20260101T001500Z "
                "(20260101T000000Z + 15 min.)"
            ),
        ),
    ),
    "another region than the host's": (
        other_region,
        {},
        lambda w: (
            *w.mismatch,
            "Credential should be scoped to a valid region, not 'us-east-1'. ",
        ),
    ),
    "a region that there is not": (
        NOTHING,
        {"region": "us-east-9"},
        lambda w: (
            *w.mismatch,
            "Credential should be scoped to a valid region, not 'us-east-9'. ",
        ),
    ),
    "an unknown key": (
        NOTHING,
        {"key_id": "AKIDEXAMPLEOTHER0001"},
        lambda w: (*w.unknown, INVALID),
    ),
    "a token that proves nothing": (NOTHING, {"token": "none"}, lambda w: (*w.token, INVALID)),
    "no signature in the header": (
        no_signature,
        {},
        lambda w: (
            *w.incomplete,
            "Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256",
        ),
    ),
    "no date": (
        no_date,
        {},
        lambda w: (
            *w.incomplete,
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ),
    ),
    "a credential that cannot be read": (
        bad_credential,
        {},
        lambda w: (
            *w.incomplete,
            (
                "Credential must have exactly 5 slash-delimited elements, e.g. "
                "keyid/date/region/service/term, and Signature must be hexadecimal"
            ),
        ),
    ),
    "nothing signed": (bare, {}, lambda w: w.missing),
}


@pytest.mark.parametrize("service", FAMILIES)
@pytest.mark.parametrize("case", CASES)
def test_what_a_service_says(gate: Gate, service: str, case: str) -> None:
    change, options, said = CASES[case]
    request = gate.request(service, **options)
    change(request)
    assert gate.refusal(request) == said(FAMILIES[service])
    assert not gate.stub.calls


@pytest.mark.parametrize("service", FAMILIES)
def test_what_a_service_says_of_nothing_signed_at_a_host_that_names_none(
    gate: Gate, service: str
) -> None:
    request = gate.request(service)
    bare(request)
    request.headers["host"] = "localhost:4566"
    assert gate.refusal(request) == FAMILIES[service].missing
    assert not gate.stub.calls


JSON_1_0 = {"content-type": "application/x-amz-json-1.0"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
STRANGERS: list[tuple[str, str, dict[str, str], bytes, tuple[int, str, str]]] = [
    ("POST", "/", {"x-amz-target": "DynamoDB_20120810.Nope"}, b"{}", JSON.missing),
    ("POST", "/", {"x-amz-target": "Nope_20000101.Nope"}, b"{}", JSON.missing),
    ("POST", "/", JSON_1_0, b"{}", JSON.missing),
    ("POST", "/", FORM, b"Action=Nope&Version=2011-06-15", QUERY.missing),
    ("POST", "/", FORM, b"Action=Nope&Version=1999-01-01", QUERY.missing),
    ("DELETE", "/2015-03-31/functions/f", {}, b"", REST_JSON.missing),
    # What is none of these means a bucket, also one that is called as a version or a path is.
    ("PUT", "/2015-03-31/nothing", JSON_1_0, b"{}", (403, "AccessDenied", "Access Denied")),
    ("GET", "/functions/f", {}, b"", (403, "AccessDenied", "Access Denied")),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "said"), STRANGERS)
def test_what_is_not_signed_is_answered_in_the_protocol_that_it_is_asked_in(
    gate: Gate,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    said: tuple[int, str, str],
) -> None:
    request = HttpRequest(method, path, "", {"host": "localhost:4566", **headers}, body)
    assert gate.refusal(request) == said
    assert not gate.stub.calls


def test_a_host_that_names_a_bucket_means_nothing_else(gate: Gate) -> None:
    headers = {"host": "photos.localhost:4566", **FORM}
    request = HttpRequest("GET", "/2015-03-31/functions", "", headers, b"")
    assert gate.refusal(request) == (403, "AccessDenied", "Access Denied")
    assert gate.dispatcher.busy(request).status == 503


@pytest.mark.parametrize("service", FAMILIES)
@pytest.mark.parametrize(
    ("moved", "message"),
    [
        (
            16 * MINUTE,
            (
                f"Signature expired: {NOW} is now earlier than 20260101T000100Z "
                "(20260101T001600Z - 15 min.)"
            ),
        ),
        (
            -16 * MINUTE,
            (
                "Signature not yet current: 20260101T000000Z is still later than 20251231T235900Z "
                "(20251231T234400Z + 15 min.)"
            ),
        ),
    ],
)
def test_what_a_service_says_of_a_clock_that_is_off(
    gate: Gate, service: str, moved: int, message: str
) -> None:
    request = gate.request(service)
    gate.clock._now_ms += moved
    assert gate.refusal(request) == (*FAMILIES[service].mismatch, message)
    assert not gate.stub.calls


@pytest.mark.parametrize("service", ["dynamodb", "lambda", "sts", "iam"])
def test_what_a_service_says_of_another_service(gate: Gate, service: str) -> None:
    request = gate.request(service)
    other_service(request)
    assert gate.refusal(request) == (
        *FAMILIES[service].mismatch,
        "Credential should be scoped to correct service: 'logs'. ",
    )


@pytest.mark.parametrize("service", FAMILIES)
def test_the_edges_of_the_clocks_are_let_in(gate: Gate, service: str) -> None:
    request = gate.request(service)
    gate.clock._now_ms += 15 * MINUTE
    assert gate.handle(request)[0].status == 200
    gate.clock._now_ms -= 30 * MINUTE
    assert gate.handle(request)[0].status == 200


# S3 has words of its own.

MALFORMED = "The authorization header is malformed; "
S3_CASES: dict[str, tuple[Change, dict[str, Any], tuple[int, str, str]]] = {
    "an altered header": (altered, {}, (403, "SignatureDoesNotMatch", S3_MISMATCH)),
    "a header that is said to be signed and is not": (
        unsigned,
        {},
        (403, "SignatureDoesNotMatch", S3_MISMATCH),
    ),
    "a wrong secret": (NOTHING, {"secret": "x"}, (403, "SignatureDoesNotMatch", S3_MISMATCH)),
    "a replayed date": (replayed, {}, (403, "SignatureDoesNotMatch", S3_MISMATCH)),
    "another day than the scope's": (
        other_day,
        {},
        (
            400,
            "AuthorizationHeaderMalformed",
            (
                f'{MALFORMED}Invalid credential date "20260101". This date is not the same as '
                'X-Amz-Date: "20260102".'
            ),
        ),
    ),
    "another region than the host's": (
        other_region,
        {},
        (
            400,
            "AuthorizationHeaderMalformed",
            f"{MALFORMED}the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        ),
    ),
    "a region that there is not": (
        NOTHING,
        {"region": "us-east-9"},
        (
            400,
            "AuthorizationHeaderMalformed",
            f"{MALFORMED}the region 'us-east-9' is wrong; expecting 'us-east-1'",
        ),
    ),
    "another service than the host's": (
        other_service,
        {},
        (400, "AuthorizationHeaderMalformed", f'{MALFORMED}incorrect service "s3".'),
    ),
    "an unknown key": (
        NOTHING,
        {"key_id": "AKIDEXAMPLEOTHER0001"},
        (
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
    ),
    "a token that proves nothing": (
        NOTHING,
        {"token": "none"},
        (400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
    ),
    "a body that is another": (
        body,
        {},
        (
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
    ),
    "nothing signed": (bare, {}, (403, "AccessDenied", "Access Denied")),
}


@pytest.mark.parametrize("case", S3_CASES)
def test_what_s3_says(gate: Gate, case: str) -> None:
    change, options, said = S3_CASES[case]
    request = gate.request("s3", **options)
    change(request)
    assert gate.refusal(request) == said
    assert not gate.stub.calls


def told(text: bytes, member: str) -> str:
    found = ET.fromstring(text).findtext(member)
    assert found is not None
    return found


@pytest.mark.parametrize("form", ["header", "query"])
def test_s3_says_what_the_signature_should_have_been_made_of(gate: Gate, form: str) -> None:
    secret = "x" * 40
    if form == "header":
        request = gate.request("s3", secret=secret)
    else:
        request = gate.presigned("GET", PRESIGNED, secret=secret)
    _, text = gate.handle(request)
    wanted = told(text, "StringToSign")
    key = sigv4.signing_key(secret, NOW[:8], "us-east-1", "s3")
    assert sigv4.signature(key, wanted) == told(text, "SignatureProvided")
    assert sha256(told(text, "CanonicalRequest").encode()).hexdigest() in wanted
    for member in ("StringToSign", "CanonicalRequest"):
        assert bytes.fromhex(told(text, f"{member}Bytes")).decode() == told(text, member)
    assert told(text, "AWSAccessKeyId") == KEY_ID


def test_what_s3_says_of_a_header_that_ought_to_be_signed(gate: Gate) -> None:
    request = gate.request("s3")
    request.headers["x-amz-acl"] = "public-read"
    assert gate.refusal(request) == (
        403,
        "AccessDenied",
        "There were headers present in the request which were not signed",
    )


@pytest.mark.parametrize("moved", [16 * MINUTE, -16 * MINUTE])
def test_what_s3_says_of_a_clock_that_is_off(gate: Gate, moved: int) -> None:
    request = gate.request("s3")
    gate.clock._now_ms += moved
    assert gate.refusal(request) == (
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    )


PRESIGNED = "http://localhost:4566/bucket/key"


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (61_000, (403, "AccessDenied", "Request has expired")),
        (-16 * MINUTE, (403, "AccessDenied", "Request is not valid yet")),
    ],
)
def test_what_s3_says_of_a_presigned_request_outside_of_its_life(
    gate: Gate, moved: int, said: tuple[int, str, str]
) -> None:
    request = gate.presigned("GET", PRESIGNED, expires=60)
    gate.clock._now_ms += moved
    assert gate.refusal(request) == said
    gate.clock._now_ms -= moved
    assert gate.handle(request)[0].status == 200


PARAMETERS = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
    "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


@pytest.mark.parametrize(
    ("pattern", "text", "message"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", "X-Amz-Expires must be less than a week"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1", "X-Amz-Expires must be non-negative"),
        ("X-Amz-Expires=60", "X-Amz-Expires=soon", "X-Amz-Expires should be a number"),
        ("&X-Amz-Expires=60", "", PARAMETERS),
        ("&X-Amz-SignedHeaders=host", "", PARAMETERS),
        ("Algorithm=AWS4-HMAC-SHA256", "Algorithm=AWS3", "X-Amz-Algorithm only supports"),
        ("%2Fs3%2F", "%2F", "Error parsing the X-Amz-Credential parameter"),
        ("Date=20260101T000000Z", "Date=2026", "X-Amz-Date must be in the ISO8601 Long Format"),
    ],
)
def test_what_s3_says_of_a_query_that_cannot_be_read(
    gate: Gate, pattern: str, text: str, message: str
) -> None:
    request = gate.presigned("GET", PRESIGNED)
    request.query, count = re.subn(pattern, text, request.query)
    assert count == 1
    status, code, said = gate.refusal(request)
    assert (status, code) == (400, "AuthorizationQueryParametersError")
    assert said.startswith(message)


def test_every_family_of_services_is_in_the_tables() -> None:
    assert {*FAMILIES, "s3"} == set(CALLS)
    assert KEY_ID.isalnum()
