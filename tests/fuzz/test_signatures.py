"""Signed requests that were changed on their way: what passes means what was signed."""

from __future__ import annotations

import json
import posixpath
import random
import re
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import unquote_to_bytes

import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target, changed
from tests.unit.gateway.stub import Gate, error_in

from fogbank.gateway.settings import GatewaySettings
from fogbank.server.bounds import PROOF_LIMITS
from fogbank.testing.signing import close_signers, open_signers
from fogbank.wire.http import HttpRequest

pytestmark = pytest.mark.slow

WORDS = (
    *(
        b"%2F",
        b"%2f",
        b"%20",
        b"+",
        b"%2B",
        b"&",
        b"=",
        b"//",
        b"/./",
        b"/../",
        b";",
        b",",
        b"host",
        b"x-amz-date",
    ),
    *(
        b"X-Amz-Expires=900",
        b"X-Amz-SignedHeaders=host",
        b"AWS4-HMAC-SHA256",
        b"AWS4-ECDSA-P256-SHA256",
        b"/s3/",
    ),
    *(
        b"UNSIGNED-PAYLOAD",
        b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        b"  ",
        b"\t",
        b"us-east-1",
        b"%C3%A9",
        b"\xe9",
    ),
)
TARGET = re.compile(r"[\x21-\x7e]*")
FIELD = re.compile("[^\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]*")
SIGNED_IN = re.compile("SignedHeaders=([^,&]*)")


class Changing:
    """Changes parts of a request of the gate, kept as JSON."""

    def __init__(self, seeds: list[bytes]) -> None:
        self.plain = Target("", [b"", *seeds], lambda _: True, WORDS)

    def __call__(self, draw: random.Random, data: bytes) -> bytes:
        request = json.loads(data)
        part = draw.choice(
            ("path", "query", "query", "headers", "headers", "headers", "body", "method")
        )
        if part == "headers":
            headers = request["headers"]
            name = draw.choice(
                (*headers, "authorization", "x-amz-meta-new", "x-amz-security-token", "te")
            )
            kind = draw.randrange(6)
            if kind == 0:
                headers.pop(name, None)
            elif kind == 1:
                headers[draw.choice((*headers, "x-other"))] = headers.get(name, "")
            else:
                headers[name] = self.text(draw, headers.get(name, ""))
        else:
            request[part] = self.text(draw, request[part])
        return json.dumps(request).encode()

    def text(self, draw: random.Random, text: str) -> str:
        kind = draw.randrange(4)
        if kind == 0:  # the same in another spelling
            escapes = re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)
            return draw.choice(
                (escapes, text.replace("/", "%2F"), text.replace("%20", "+"), f" {text} ")
            )
        if kind == 1 and "&" in text:
            fields = text.split("&")
            draw.shuffle(fields)
            return "&".join(fields)
        return changed(draw, text.encode("latin-1", "replace"), self.plain).decode("latin-1")[
            :3_000
        ]


class Checked:
    """A gate, and what each of its seeds meant when it was signed."""

    def __init__(self) -> None:
        bounds = dict.fromkeys(PROOF_LIMITS, 1 << 30)
        self.gate = Gate(GatewaySettings()._replace(**bounds))
        gate = self.gate
        put = {"Bucket": "b", "Key": "a b/c+d", "Body": b"hello", "Metadata": {"m": "v  w"}}
        requests = [
            gate.request("s3", "put_object", put),
            gate.request("s3", "get_object", {"Bucket": "b", "Key": "k", "Range": "bytes=0-1"}),
            gate.request("dynamodb"),
            gate.request("lambda"),
            gate.request("iam"),
            gate.request("sts"),
            gate.presigned("GET", "http://localhost:4566/b/k?versionId=a%20b", expires=600),
        ]
        self.seeds = [kept(request) for request in requests]
        self.meant = {meaning(request) for request in requests}

    def check(self, data: bytes) -> bool:
        try:
            request = request_of(json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        signed = meaning(request)
        self.gate.stub.calls.clear()
        reply, body = self.gate.handle(request)
        assert reply.status < 500 or reply.status == 501, (reply.status, body[:300])
        if not self.gate.stub.calls:
            assert reply.status >= 300 or request.method == "OPTIONS" or reply.status == 200
            if reply.status >= 400 and body:
                assert error_in(reply, body)[0]
            return False
        assert signed in self.meant, "what was let in is not what was signed"
        return True


def kept(request: HttpRequest) -> bytes:
    body = request.body.decode("latin-1")
    parts = {"method": request.method, "path": request.path, "query": request.query}
    return json.dumps({**parts, "headers": request.headers, "body": body}).encode()


def request_of(parts: dict[str, object]) -> HttpRequest:
    headers = parts["headers"]
    assert isinstance(headers, dict)
    texts = [parts[name] for name in ("method", "path", "query", "body")]
    if not all(isinstance(each, str) for each in (*texts, *headers.values())):
        raise TypeError("no request")
    if not all(map(TARGET.fullmatch, map(str, texts[:3]))) or not str(texts[1]).startswith("/"):
        raise ValueError("the listener lets no such target pass")
    if not all(map(FIELD.fullmatch, headers.values())):
        raise ValueError("the listener lets no such header pass")
    method, path, query, body = map(str, texts)
    lowered = {name.lower(): value for name, value in headers.items()}
    return HttpRequest(method, path, query, lowered, body.encode("latin-1"), peer="10.1.2.3")


def meaning(request: HttpRequest) -> tuple[object, ...]:
    """Return what the signature of a request says, in no one's canonical form."""
    headers = request.headers
    found = SIGNED_IN.findall(headers.get("authorization", "") or request.query)
    names = unquote(found[-1] if found else "").split(";")
    values = sorted((name, " ".join(headers.get(name, "").split())) for name in names)
    fields = sorted(
        (unquote(name.replace("+", " ")), unquote(value.replace("+", " ")))
        for name, _, value in (part.partition("=") for part in request.query.split("&") if part)
    )
    body = sha256(request.body).hexdigest()
    if "UNSIGNED" in headers.get("x-amz-content-sha256", "") or "X-Amz-Signature" in request.query:
        body = ""
    # RFC 3986, 5.2.4, as another library reads it; S3 takes a path as it is.
    path = posixpath.normpath("/" + unquote(request.path).lstrip("/"))
    if "/s3/" in unquote(headers.get("authorization", "") + request.query):
        path = unquote(request.path)
    return request.method, path, tuple(fields), tuple(values), body


def unquote(text: str) -> str:
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        data = text.encode()
    return unquote_to_bytes(data).decode("latin-1")


@pytest.fixture(scope="module")
def checked() -> Iterator[Checked]:
    open_signers()
    yield Checked()
    close_signers()


def test_what_passes_means_what_was_signed(hunted: Hunted, checked: Checked) -> None:
    outcome = hunted(
        Target(
            "signature",
            checked.seeds,
            checked.check,
            WORDS,
            count=300,
            mutate=Changing(checked.seeds),
        )
    )
    assert outcome.findings == []
    assert outcome.accepted > len(checked.seeds)
