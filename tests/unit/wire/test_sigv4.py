"""Signature Version 4 against AWS's published examples and against botocore's signers."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode_sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import read_head
from fogbank.gateway.settings import ListenerSettings
from fogbank.wire.canonical import canonical_headers
from fogbank.wire.errors import AuthorizationQueryParametersError, IncompleteSignature
from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4 import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Authorization,
    SigningKey,
    check,
    check_presigned,
    parse_authorization,
    parse_presigned,
    sign,
    signature,
    signing_key,
    string_to_sign,
)

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
HOST = "examplebucket.s3.amazonaws.com"


def _published(signed: str, signature: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={signed},Signature={signature}"


def _holds(request: HttpRequest, secret: str, payload_hash: str) -> bool:
    found = parse_authorization(request.headers["authorization"])
    key = signing_key(secret, found.date, found.region, found.service)
    return check(request, found, key, payload_hash)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "signature"),
    [
        (
            "GET",
            "/test.txt",
            "",
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "GET",
            "/",
            "lifecycle",
            {},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            "max-keys=2&prefix=J",
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_published_examples_of_s3_hold(
    method: str, path: str, query: str, headers: dict[str, str], signature: str
) -> None:
    request = HttpRequest(
        method,
        path,
        query,
        {
            "host": HOST,
            "x-amz-content-sha256": EMPTY_SHA256,
            "x-amz-date": "20130524T000000Z",
            **headers,
        },
    )
    signed = ";".join(sorted(request.headers))
    request.headers["authorization"] = _published(signed, signature)
    assert _holds(request, SECRET, EMPTY_SHA256)
    assert not _holds(request, SECRET + "x", EMPTY_SHA256)


def test_the_published_put_of_s3_holds() -> None:
    digest = sha256(b"Welcome to Amazon S3.").hexdigest()
    headers = {
        "date": "Fri, 24 May 2013 00:00:00 GMT",
        "host": HOST,
        "x-amz-content-sha256": digest,
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    request = HttpRequest("PUT", "/test%24file.text", "", dict(headers))
    request.headers["authorization"] = _published(
        ";".join(sorted(headers)),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    )
    assert _holds(request, SECRET, digest)
    bare = HttpRequest("PUT", "/test$file.text", "", request.headers)
    assert _holds(bare, SECRET, digest), "S3 encodes by its own rule what came bare"


def test_the_published_example_of_the_test_suite_holds() -> None:
    request = HttpRequest(
        "GET", "/", "", {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    )
    request.headers["authorization"] = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )
    assert _holds(request, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", EMPTY_SHA256)


def test_the_published_presigned_example_holds() -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    found = parse_presigned(query)
    assert found is not None
    assert (found.expires_s, found.timestamp) == (86400, "20130524T000000Z")
    key = signing_key(SECRET, "20130524", "us-east-1", "s3")
    assert check_presigned(HttpRequest("GET", "/test.txt", query, {"host": HOST}), found, key)
    assert not check_presigned(HttpRequest("GET", "/test.tx", query, {"host": HOST}), found, key)


@pytest.mark.parametrize("query", ["=x", "=", "a=1&=x", "=x&a=1"])
def test_a_parameter_without_a_name_is_signed_as_any_other(query: str) -> None:
    asked = HttpRequest("GET", "/k", "a=1" if "a=1" in query else "", {"host": HOST})
    sign(asked, access_key_id="AKIDEXAMPLE", secret="secret", region="us-east-1", service="s3",
         timestamp="20260102T030405Z")  # fmt: skip
    assert _holds(asked, "secret", EMPTY_SHA256)
    asked.query = query
    assert not _holds(asked, "secret", EMPTY_SHA256)


PATHS = [
    "/",
    "/a b/c",
    "/a%20b",
    "/bücket/ключ/鍵",
    "/a//b",
    "/a/./b/../c",
    "/a/b/",
    "/..",
    "//",
    "/a+b",
    "/a%2Bb",
    "/a%2Fb",
    "/(x)!*'~",
    "/key;with=odd,chars@:&$",
]
QUERIES = [
    {},
    {"a": ""},
    {"b": "2", "a": "1"},
    {"q": "x y", "p": "ü"},
    {"list": ["z", "a", "m"]},
    {"x": "a+b", "y": "a/b?c"},
    {"X": "1", "x": "2"},
]


def _signed_by_botocore(signer: type, service: str, path: str, params: Any) -> HttpRequest:
    """Return a request as botocore signs and sends it."""
    query = percent_encode_sequence(params)
    sent = AWSRequest(
        "POST",
        f"http://localhost:4566{path}{'?' if query else ''}{query}",
        headers={"X-Amz-Meta-Odd": "  two   blanks  ", "Content-Type": "text/plain"},
        data=b"body",
    )
    sent.headers["Host"] = "localhost:4566"
    signer(Credentials("AKIDEXAMPLE", "secret", "token"), service, "eu-west-1").add_auth(sent)
    prepared = sent.prepare()
    url = urlsplit(prepared.url)
    headers = {
        name.lower(): text if isinstance(text, str) else text.decode("latin-1")
        for name, text in prepared.headers.items()
    }
    return HttpRequest("POST", url.path, url.query, headers, b"body")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("params", QUERIES)
def test_what_botocore_signs_holds(path: str, params: dict[str, Any]) -> None:
    digest = sha256(b"body").hexdigest()
    request = _signed_by_botocore(botocore.auth.SigV4Auth, "dynamodb", path, params)
    assert _holds(request, "secret", digest)
    request = _signed_by_botocore(botocore.auth.S3SigV4Auth, "s3", path, params)
    assert _holds(request, "secret", request.headers["x-amz-content-sha256"])


@pytest.mark.parametrize(
    "value", ["caf\xe9", "\xe0 la carte", "blank \xa0", "\u043a\u043b\u044e\u0447"]
)
@pytest.mark.parametrize("sent_as", ["utf-8", "latin-1"])
@pytest.mark.parametrize("signed_as", ["utf-8", "latin-1"])
def test_accents_in_a_header_hold_in_the_coding_that_was_signed(
    value: str, sent_as: str, signed_as: str
) -> None:
    if max(value) > "\xff":
        sent_as = signed_as = "utf-8"
    request = HttpRequest("PUT", "/b/k", "", {"host": HOST, "x-amz-date": "20260102T030405Z"})
    request.headers["x-amz-meta-m"] = "placeholder"
    scope = "20260102/us-east-1/s3/aws4_request"
    key = signing_key(SECRET, "20260102", "us-east-1", "s3")
    lines = [
        b"PUT\n/b/k\n",
        f"host:{HOST}".encode(),
        b"x-amz-date:20260102T030405Z",
        b"x-amz-meta-m:" + value.encode(signed_as),
        b"",
        b"host;x-amz-date;x-amz-meta-m",
        EMPTY_SHA256.encode(),
    ]
    made = signature(key, string_to_sign("20260102T030405Z", scope, b"\n".join(lines)))
    names = ("host", "x-amz-date", "x-amz-meta-m")
    claim = Authorization("AKID", "20260102", "us-east-1", "s3", names, made)
    raw = b"PUT /b/k HTTP/1.1\r\nHost: %b\r\nX-Amz-Meta-M: %b\r\n\r\n" % (
        HOST.encode(),
        value.encode(sent_as),
    )
    text = read_head(raw, ListenerSettings().head).headers["x-amz-meta-m"]
    request.headers["x-amz-meta-m"] = text
    assert check(request, claim, key, EMPTY_SHA256)
    request.headers["x-amz-meta-m"] = f"{text}x"
    assert not check(request, claim, key, EMPTY_SHA256)


@pytest.mark.parametrize("path", PATHS)
def test_what_botocore_presigns_holds(path: str) -> None:
    request = AWSRequest("GET", f"http://localhost:4566{path}?versionId=a%20b")
    signer = botocore.auth.S3SigV4QueryAuth(
        Credentials("AKIDEXAMPLE", "secret", "to/ken+"), "s3", "eu-west-1", expires=60
    )
    signer.add_auth(request)
    url = urlsplit(request.prepare().url)
    found = parse_presigned(url.query)
    assert found is not None
    assert found.security_token == "to/ken+"
    key = signing_key("secret", found.authorization.date, "eu-west-1", "s3")
    ours = HttpRequest("GET", url.path, url.query, {"host": "localhost:4566"})
    assert check_presigned(ours, found, key)


def test_what_we_sign_holds() -> None:
    for service in ("s3", "lambda"):
        request = HttpRequest("PUT", "/a/../b%20c", "z=1&a=%20&a", {"host": "here"}, b"some bytes")
        sign(
            request,
            access_key_id="AK",
            secret="secret",
            region="us-east-1",
            service=service,
            timestamp="20260102T030405Z",
            token="session",
        )
        assert (
            "x-amz-security-token"
            in parse_authorization(request.headers["authorization"]).signed_headers
        )
        assert _holds(request, "secret", sha256(b"some bytes").hexdigest())
        request.query = "z=2"
        assert not _holds(request, "secret", sha256(b"some bytes").hexdigest())


def test_a_space_parts_the_parts_as_a_comma_does_and_what_fits_no_request_is_read() -> None:
    """Source: ScyllaDB, test/alternator/test_authorization.py, whose tests run on AWS too."""
    found = parse_authorization(
        "AWS4-HMAC-SHA256 Credential=AK/2/3/4/aws4_request SignedHeaders=x-amz-date;host Signature=1"
    )
    assert (found.access_key_id, found.date, found.signature) == ("AK", "2", "1")
    assert found.signed_headers == ("x-amz-date", "host")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "AWS AKID:sig",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=/20130524/r/s/aws4_request, SignedHeaders=h, Signature="
        + "0" * 64,
    ],
)
def test_a_malformed_header_is_an_incomplete_signature(header: str) -> None:
    with pytest.raises(IncompleteSignature):
        parse_authorization(header)


def test_a_request_without_a_date_is_refused() -> None:
    found = parse_authorization(_published("host", "0" * 64))
    with pytest.raises(IncompleteSignature):
        check(
            HttpRequest("GET", "/", "", {"host": HOST}), found, SigningKey(b"key"), UNSIGNED_PAYLOAD
        )


@pytest.mark.parametrize("expires", ["604801", "-1", "x", "", "9" * 40])
def test_a_presigned_life_beyond_a_week_is_refused(expires: str) -> None:
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE.replace('/', '%2F')}"
        f"&X-Amz-Date=20130524T000000Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host"
        f"&X-Amz-Signature={'0' * 64}"
    )
    with pytest.raises(AuthorizationQueryParametersError):
        parse_presigned(query)


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "Signature"])
def test_a_presigned_query_says_once_how_it_is_signed(name: str) -> None:
    """Found by fuzzing: of two signatures the last counted, and the first could be anything."""
    fields = {
        "Algorithm": "AWS4-HMAC-SHA256",
        "Credential": SCOPE.replace("/", "%2F"),
        "Date": "20130524T000000Z",
        "Expires": "60",
        "SignedHeaders": "host",
        "Signature": "0" * 64,
    }
    query = "&".join(f"X-Amz-{each}={value}" for each, value in fields.items())
    assert parse_presigned(query) is not None
    with pytest.raises(AuthorizationQueryParametersError):
        parse_presigned(f"{query}&X-Amz-{name}={fields[name]}")


def test_a_query_without_a_signature_is_not_presigned() -> None:
    assert parse_presigned("list-type=2&prefix=X-Amz") is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_breaks_the_parsers(header: str, query: str) -> None:
    for parse, text in (
        (parse_authorization, f"AWS4-HMAC-SHA256 {header}"),
        (parse_presigned, f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-{query}"),
    ):
        with pytest.raises(ServiceError):
            parse(text)


@pytest.mark.parametrize("date", ["20260102T030405Z", "Fri, 02 Jan 2026 03:04:05 GMT"])
def test_the_date_header_counts_where_there_is_no_other(date: str) -> None:
    request = HttpRequest("GET", "/", "", {"host": "localhost", "date": date}, b"")
    key = signing_key(SECRET, "20260102", "us-east-1", "sts")
    signed = Authorization("K" * 16, "20260102", "us-east-1", "sts", ("date", "host"), "")
    canonical = f"GET\n/\n\ndate:{date}\nhost:localhost\n\ndate;host\n{EMPTY_SHA256}"
    text = string_to_sign("20260102T030405Z", signed.scope, canonical.encode())
    assert check(request, replace(signed, signature=signature(key, text)), key, EMPTY_SHA256)
    request.headers["x-amz-date"] = "20260102T030406Z"
    assert not check(request, replace(signed, signature=signature(key, text)), key, EMPTY_SHA256)


def test_a_date_of_no_form_is_refused() -> None:
    request = HttpRequest("GET", "/", "", {"date": "yesterday"}, b"")
    signed = Authorization("K" * 16, "20260102", "us-east-1", "sts", ("host",), "0" * 64)
    with pytest.raises(IncompleteSignature, match="yesterday"):
        check(request, signed, SigningKey(b""), EMPTY_SHA256)


_ODD_VALUES = st.text(st.sampled_from("a%é: \t\n{}s"), max_size=12)
_ODD_NAMES = st.text(st.sampled_from("abx-%{}"), min_size=1, max_size=4)


@given(
    st.dictionaries(_ODD_NAMES, _ODD_VALUES, max_size=4),
    st.lists(_ODD_NAMES, min_size=1, max_size=5).map(tuple),
)
@settings(max_examples=300, deadline=None)
def test_plain_headers_are_written_as_all_are(
    headers: dict[str, str], names: tuple[str, ...]
) -> None:
    values = [" ".join(headers.get(name, "").replace("\t", " ").split(" ")) for name in names]
    while any("  " in value for value in values):
        values = [value.replace("  ", " ") for value in values]
    lines = [f"{n}:{v.strip(' ')}\n" for n, v in zip(names, values, strict=True)]
    assert canonical_headers(headers, names)[0] == "".join(lines)
