"""Bytes that frame other bytes: whatever is taken is read in one way, or nothing of it is taken."""

from __future__ import annotations

import asyncio
import json
import random
import re
from hashlib import sha256

import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target, json_changed
from tests.unit.gateway.test_intake import Driven, cut

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import Head, Refused, head_of_fields, read_head
from fogbank.gateway.settings import ListenerSettings
from fogbank.wire.chunked import Chain, ChunkedDecoder
from fogbank.wire.sigv4 import ALGORITHM, chunk_text, signature, signing_key, trailer_text

pytestmark = pytest.mark.slow

# HTTP/1.1.

REQUESTS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nall\r\n0\r\n\r\n",
    (
        b"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n"
        b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    ),
    b"GET http://h/x?y HTTP/1.1\r\nHost: other\r\n\r\nHEAD /z HTTP/1.0\r\n\r\n",
    (
        b"\r\nDELETE /a%20b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
    ),
]
HTTP_WORDS = (
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
    ),
    *(
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"5 \r\n",
        b"0x5\r\n",
    ),
    *(
        b"Content-Length: 5, 5\r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length:\r\n 5\r\n",
        b"Connection: close\r\n",
    ),
    *(
        b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        b" HTTP/1.1\r\n",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"Host: x\r\n",
    ),
    *(
        b"Connection: keep-alive\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(
        b"\r\n\r\n",
        b"\n\n",
        b"\r\r\n",
        b"\x0b",
        b"\x0c",
        b"\x85",
        b"0000000000000005\r\n",
        b"+5\r\n",
        b"5;\n\r\n",
    ),
)
LINE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FIRST = re.compile(rb"([A-Z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
Request = tuple[str, str, bytes]


class _Strict:
    """The plainest reader of RFC 9112 there can be: it has all bytes, and ends at the first doubt."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def line(self) -> bytes:
        end = self.raw.index(b"\r\n", self.at)
        line, self.at = self.raw[self.at : end], end + 2
        if not LINE.fullmatch(line):
            raise ValueError(line)
        return line

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.raw):
            raise ValueError("too short")
        self.at += count
        return self.raw[self.at - count : self.at]

    def fields(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        while line := self.line():
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.fullmatch(name):
                raise ValueError(line)
            name = name.lower()
            if name in found and name in {b"content-length", b"transfer-encoding", b"host"}:
                raise ValueError(line)
            found[name] = value.strip(b" \t")
        return found

    def body(self, fields: dict[bytes, bytes]) -> bytes:
        if b"transfer-encoding" not in fields:
            length = fields.get(b"content-length", b"0")
            if not re.fullmatch(rb"[0-9]+", length):
                raise ValueError(length)
            return self.take(int(length))
        if b"content-length" in fields or fields[b"transfer-encoding"].lower() != b"chunked":
            raise ValueError("two lengths")
        out = b""
        while True:
            size = CHUNK.fullmatch(self.line())
            if size is None:
                raise ValueError("no size")
            if int(size[1], 16) == 0:
                break
            out += self.take(int(size[1], 16))
            if self.take(2) != b"\r\n":
                raise ValueError("no end of a chunk")
        while self.raw[self.at : self.at + 2] != b"\r\n":  # trailers, whatever they are
            self.at = self.raw.index(b"\r\n", self.at) + 2
        self.at += 2
        return out

    def request(self) -> tuple[Request, bool]:
        """Return a request, and whether another may follow it."""
        if self.raw[self.at : self.at + 2] == b"\r\n":
            self.at += 2
        first = FIRST.fullmatch(self.line())
        if first is None:
            raise ValueError("no request line")
        method, target, minor = first.groups()
        fields = self.fields()
        body = self.body(fields)
        options = {each.strip() for each in fields.get(b"connection", b"").lower().split(b",")}
        kept = minor == b"1" or b"keep-alive" in options
        path = re.sub(rb"(?i)^https?://[^/?]*", b"", target).partition(b"?")[0] or b"/"
        return (method.decode(), path.decode(), body), kept and b"close" not in options


def strictly(raw: bytes) -> list[Request]:
    """Return the requests before the first doubt."""
    reader, found = _Strict(raw), []
    try:
        while reader.at < len(raw):
            request, more = reader.request()
            found.append(request)
            if not more:
                break
    except ValueError:
        pass
    return found


def seen_in(pieces: list[bytes]) -> Driven:
    intake = Driven()
    asyncio.run(intake.play(pieces))
    return intake


def check_requests(raw: bytes) -> bool:
    raw = raw[:20_000]
    draw = random.Random(sha256(raw).digest())
    whole = seen_in([raw])
    parts = seen_in(cut(raw, [draw.randrange(len(raw) + 1) for _ in range(draw.randrange(12))]))
    assert parts.seen == whole.seen
    assert whole._house.whole_bytes in {0, whole._reserved}
    taken = [each for each in whole.seen if each[2] != b"?"]  # the others' readers were told
    assert taken == strictly(raw)[: len(taken)]
    assert len(whole.transport.written) < 4_000
    return bool(taken)


def test_requests_of_http_1_are_read_as_the_strictest_reader_reads_them(hunted: Hunted) -> None:
    outcome = hunted(Target("http1", REQUESTS, check_requests, HTTP_WORDS, count=200))
    assert outcome.findings == []
    assert outcome.accepted >= len(REQUESTS)


# Signed and unsigned chunks.

KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
CHAIN = Chain(KEY, "4f" * 32, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request")
PAYLOAD = bytes(range(256)) * 3
TRAILER = "x-amz-checksum-crc32c"


def stream_of(sizes: tuple[int, ...], *, signed: bool, trailer: bool) -> bytes:
    """Return the payload in chunks of some sizes."""
    out, previous, at = b"", CHAIN.seed, 0
    for size in (*sizes, 0):
        data = PAYLOAD[at : at + size]
        at += size
        digest = sha256(data).hexdigest()
        previous = signature(KEY, chunk_text(ALGORITHM, previous, CHAIN.when, digest))
        mark = f";chunk-signature={previous}" if signed else ""
        out += f"{len(data):x}{mark}\r\n".encode() + data + (b"\r\n" if data else b"")
    if trailer:
        line = f"{TRAILER}:sOO8/Q=="
        out += f"{line}\r\n".encode()
        if signed:
            text = trailer_text(ALGORITHM, previous, CHAIN.when, f"{line}\n".encode())
            out += f"x-amz-trailer-signature:{signature(KEY, text)}\r\n".encode()
    return out + b"\r\n"


SIGNED = [
    stream_of(sizes, signed=True, trailer=trailer)
    for sizes in ((768,), (256, 512), (1, 2, 765))
    for trailer in (False, True)
]
UNSIGNED = [stream_of((700, 68), signed=False, trailer=trailer) for trailer in (False, True)]
CHUNK_WORDS = (
    *(
        b"0\r\n\r\n",
        b";chunk-signature=",
        b"\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
        b"5\r\nhello\r\n",
    ),
    *(
        b"x-amz-trailer-signature:",
        f"{TRAILER}:AAAAAA==\r\n".encode(),
        b"300",
        b"100000000",
        b"-1",
        b"\r",
    ),
)


def decoded(
    raw: bytes, step: int, *, signed: bool, trailer: bool
) -> tuple[bytes, str, dict[str, str]]:
    """Return what left a decoder, its refusal, and the trailers of a body that is complete."""
    announced = [TRAILER] if trailer else []
    decoder = ChunkedDecoder(CHAIN if signed else None, announced, len(PAYLOAD))
    out = b""
    try:
        for at in range(0, len(raw), step):
            out += decoder.feed(raw[at : at + step])
        decoder.finish()
    except ServiceError as error:
        return out, error.code, {}
    return out, "", decoder.trailers


def check_chunks(data: bytes) -> bool:
    kind, raw = (data or b"\0")[0] % 4, data[1:]
    signed, trailer = bool(kind & 1), bool(kind & 2)
    out, refused, trailers = decoded(raw, max(1, len(raw)), signed=signed, trailer=trailer)
    pieces = decoded(raw, 3, signed=signed, trailer=trailer)
    assert (pieces[1] == "") == (refused == "")
    if signed:
        # Not a byte leaves that its key's holder did not sign, in the order in which it was.
        assert PAYLOAD.startswith(out)
        assert PAYLOAD.startswith(pieces[0])
    if refused:
        return False
    assert (pieces[0], pieces[2]) == (out, trailers)
    if signed:
        assert (out, trailers) == (PAYLOAD, {TRAILER: "sOO8/Q=="} if trailer else {})
    else:
        assert out == plainly(raw)
    return True


def plainly(raw: bytes) -> bytes:
    """Return the bytes of unsigned chunks, as the plainest reader reads them."""
    out, at = b"", 0
    while True:
        end = raw.index(b"\n", at)
        size = int(raw[at:end].split(b";")[0].strip(), 16)
        if size == 0:
            return out
        out += raw[end + 1 : end + 1 + size]
        at = end + 1 + size + 2


def test_chunks_are_read_in_one_way_and_none_leaves_that_was_not_signed(hunted: Hunted) -> None:
    seeds = [bytes((1 + 2 * (at % 2),)) + raw for at, raw in enumerate(SIGNED)]
    seeds += [bytes((2 * at,)) + raw for at, raw in enumerate(UNSIGNED)]
    outcome = hunted(Target("chunks", seeds, check_chunks, CHUNK_WORDS, count=300))
    assert outcome.findings == []
    assert outcome.accepted >= len(seeds)


# One request under HTTP/1.1 and HTTP/2.

HEADS = [
    json.dumps([method, target, fields]).encode()
    for method, target, fields in (
        ("GET", "/a?b=c%20d&e", [["host", "h"], ["x-a", "1"], ["x-a", "2"]]),
        ("PUT", "/b/k", [["host", "h"], ["content-length", "5"], ["expect", "100-continue"]]),
        (
            "POST",
            "/",
            [["host", "h"], ["authorization", "AWS4"], ["x-amz-date", "20260101T000000Z"]],
        ),
        ("OPTIONS", "*", [["host", "h:4566"], ["origin", "https://a"], ["cookie", "a=b"]]),
        ("HEAD", "/%C3%A9//./..", [["host", "h"], ["x-amz-meta-\u00e9", " two  blanks "]]),
    )
]
HEAD_WORDS = (b'["content-length", "0"],', b'["host", "other"],', b'["te", "trailers"],', b"\\u00e9",
              b"\\u000a", b"\\u0000", b'["range", ""],', b'["X-Upper", "1"],', b"\\t", b"http://h/")  # fmt: skip
LIMITS = ListenerSettings().head
OF_ONE_CONNECTION = {
    *("connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection", "te"),
    *("http2-settings", "content-length", "cookie"),
}
"""Fields that mean other things under the two, or that only one of them frames."""


def head_1(method: str, target: str, fields: list[tuple[str, str]]) -> Head | None:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    try:
        return read_head("\r\n".join([*lines, "", ""]).encode("latin-1"), LIMITS)
    except Refused:
        return None


def head_2(method: str, target: str, fields: list[tuple[str, str]]) -> Head | None:
    pairs = [(":method", method), (":scheme", "http"), (":path", target)]
    pairs += [(":authority", value) for name, value in fields if name == "host"][:1]
    pairs += [pair for pair in fields if pair[0] != "host"]
    try:
        return head_of_fields(
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs], LIMITS
        )
    except Refused:
        return None


def check_heads(data: bytes) -> bool:
    try:
        method, target, fields = json.loads(data)
        asked = [(name.lower(), value.strip(" \t")) for name, value in fields]
        "".join([method, target, *(part for pair in asked for part in pair)]).encode("latin-1")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
    if sum(name == "host" for name, _ in asked) != 1 or "\n" in f"{method}{target}{asked}":
        return False
    if any(name in OF_ONE_CONNECTION or ":" in name for name, _ in asked):
        return False
    one, two = head_1(method, target, asked), head_2(method, target, asked)
    if one is None or two is None:
        assert (one is None) == (two is None) or target.lower().startswith("http")
        return False
    assert (one.method, one.path, one.query) == (two.method, two.path, two.query)
    assert one.headers == two.headers
    return True


def test_a_request_is_the_same_under_http_1_and_http_2_or_refused_by_both(hunted: Hunted) -> None:
    outcome = hunted(
        Target("heads", HEADS, check_heads, HEAD_WORDS, count=300, mutate=json_changed)
    )
    assert outcome.findings == []
    assert outcome.accepted >= 2
