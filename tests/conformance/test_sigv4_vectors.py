"""AWS's published test suite of Signature Version 4, held against our verifier.

Each case is a request, its canonical form, the string to sign and the signature. The suite comes
with botocore's source package and is fetched by ``make env``.

Source: IAM User Guide, "Signature Version 4 test suite".
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from pathlib import Path

import botocore
import pytest

from fogbank.gateway.head import read_head
from fogbank.gateway.settings import ListenerSettings
from fogbank.wire import sigv4
from fogbank.wire.canonical import canonical_form, canonical_path, canonical_query
from fogbank.wire.http import HttpRequest

SUITE = Path(sys.prefix) / "cases" / f"botocore-{botocore.__version__}" / "aws4_testsuite"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CASES_MIN = 34
"""How many cases the suite has; fewer would mean that it was not read."""


def cases() -> list[Path]:
    """Return the case files without their suffix."""
    return [path.with_suffix("") for path in sorted(SUITE.rglob("*.req"))]


def read(case: Path, suffix: str) -> bytes:
    return case.with_name(f"{case.name}.{suffix}").read_bytes().replace(b"\r\n", b"\n")


def request_of(case: Path) -> HttpRequest:
    """Return the request as our listener reads it."""
    head, _, body = read(case, "req").partition(b"\n\n")
    lines: list[bytes] = []
    for line in head.split(b"\n"):
        if line.startswith(b" ") and lines:
            # RFC 9112, 5.2: folded lines are refused by servers; a proxy before us unfolds them.
            lines[-1] += b" " + line.strip()
        else:
            lines.append(line)
    method, *rest, version = lines[0].split(b" ")
    target = b" ".join(rest).decode("latin-1")
    # No listener takes the blanks and the raw UTF-8 of some of the suite's targets (RFC 9112, 3.2);
    # they are held against the verifier as they stand, and the headers as the listener reads them.
    lines[0] = b" ".join((method, b"/", version))
    told = read_head(b"\r\n".join([*lines, b"", b""]), ListenerSettings().head)
    headers = dict(told.headers)
    token = re.search(rb"x-amz-security-token:(.*)", read(case, "creq"))
    if token is not None:
        # The suite names it beside the request: it is the signer's.
        headers.setdefault("x-amz-security-token", token[1].decode())
    path, _, query = target.partition("?")
    return HttpRequest(told.method, path, query, headers, body)


@pytest.fixture(params=cases() or [SUITE], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Path:
    assert SUITE.is_dir(), f"{SUITE} is missing: run `make env`"
    found: Path = request.param
    return found


def test_the_suite_is_whole() -> None:
    assert len(cases()) >= CASES_MIN


def test_a_published_signature_holds(case: Path) -> None:
    asked = request_of(case)
    signed = sigv4.parse_authorization(read(case, "authz").decode())
    key = sigv4.signing_key(SECRET, signed.date, signed.region, signed.service)
    digest = sha256(asked.body).hexdigest()
    assert sigv4.check(asked, signed, key, digest)
    # And what it was made of is what we make of it.
    path = canonical_path(asked.path, signed.service)
    query = canonical_query(asked.query)
    made = list(canonical_form(asked, signed.signed_headers, path, query, digest))
    wanted = read(case, "creq")
    assert wanted in made
    text = sigv4.string_to_sign(asked.headers["x-amz-date"], signed.scope, wanted)
    assert text == read(case, "sts").decode()


@pytest.mark.parametrize("change", ["method", "path", "query", "header", "date", "body", "secret"])
def test_nothing_that_was_signed_can_be_changed(case: Path, change: str) -> None:
    asked = request_of(case)
    signed = sigv4.parse_authorization(read(case, "authz").decode())
    secret = SECRET
    match change:
        case "method":
            asked.method = "PUT"
        case "path":
            asked.path += "x"
        case "query":
            asked.query = f"{asked.query}&x=y" if asked.query else "x=y"
        case "header":
            asked.headers["host"] += ".evil"
        case "date":
            asked.headers["x-amz-date"] = "20150830T123601Z"
        case "body":
            asked.body += b"x"
        case _:
            secret = SECRET[:-1]
    key = sigv4.signing_key(secret, signed.date, signed.region, signed.service)
    assert not sigv4.check(asked, signed, key, sha256(asked.body).hexdigest())
