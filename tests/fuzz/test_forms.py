"""Forms that browsers post: however their bytes are cut, they are read in one way, or refused."""

from __future__ import annotations

import base64
import json
import random

import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target, json_changed

from fogbank.base.errors import ServiceError
from fogbank.gateway.post_policy import policy_of
from fogbank.wire.forms import FormParser, FormTooLong, MalformedForm

pytestmark = pytest.mark.slow

FORMS = [
    (
        b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk/${filename}\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nbytes\r\n--\r\n--b--\r\n"
    ),
    (
        b"--b\r\ncontent-disposition: form-data; name=key\r\n\r\n\r\n--b\r\n"
        b'Content-Disposition: form-data; name="file"\r\n\r\n\r\n--b--'
    ),
    b'preamble\r\n--b \t\r\nContent-Disposition: form-data; name="a\\"b"\r\n\r\nx\r\n--b--\r\n',
]
WORDS = (
    *(b"\r\n--b\r\n", b"\r\n--b--", b"--b", b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"--", b"\0"),
    *(b'name="file"', b'; name="file"', b'filename="../x"', b"Content-Disposition:", b"\xff"),
)
Read = tuple[list[tuple[str, str]], str, bytes, bool]


def read(raw: bytes, pieces: list[bytes]) -> Read | str:
    """Return what a parser makes of a form in pieces, or why it refuses it."""
    parser, file = FormParser(b"b", 2_000), b""
    try:
        for piece in pieces:
            file += parser.feed(piece)
        parser.finish()
    except (MalformedForm, FormTooLong) as error:
        return type(error).__name__
    assert file in raw, "the file is a stretch of what was sent"
    assert b"\r\n--b" not in file
    assert all(value.encode() in raw for _, value in parser.fields)
    return parser.fields, parser.filename, file, parser.has_file


def test_a_form_is_read_in_one_way_however_it_comes(hunted: Hunted) -> None:
    def check(raw: bytes) -> bool:
        whole = read(raw, [raw])
        draw = random.Random(raw)
        at = sorted(draw.randrange(len(raw) + 1) for _ in range(5))
        cuts = [raw[begin:end] for begin, end in zip([0, *at], [*at, len(raw)], strict=True)]
        for pieces in (cuts, [raw[i : i + 1] for i in range(len(raw))]):
            found = read(raw, pieces)
            # Where the fields end decides whether they are too long, which pieces may tell sooner.
            if "FormTooLong" not in (whole, found):
                assert found == whole
        return not isinstance(whole, str)

    outcome = hunted(Target("forms", FORMS, check, WORDS, count=400))
    assert outcome.findings == []
    assert outcome.accepted


POLICY = {
    "expiration": "2099-01-01T00:00:00Z",
    "conditions": [{"bucket": "b"}, ["starts-with", "$key", "k"], ["content-length-range", 1, 2]],
}


def test_what_is_no_policy_is_refused_as_that(hunted: Hunted) -> None:
    def check(raw: bytes) -> bool:
        refused = ""
        try:
            policy = policy_of(base64.b64encode(raw).decode())
            refused = "checked"
            policy.check({"key": "k", "bucket": "b"}, 0)
        except ServiceError as error:
            refused = f"{refused} {error.code}"
        assert refused in (" InvalidPolicyDocument", "checked", "checked AccessDenied")
        return refused == "checked"

    seeds = [json.dumps(POLICY).encode()]
    outcome = hunted(Target("post_policies", seeds, check, mutate=json_changed, count=400))
    assert outcome.findings == []
    assert outcome.accepted
