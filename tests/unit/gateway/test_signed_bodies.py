"""Bodies are what was signed: whole, in signed chunks, or with checksums that trail."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from tests.unit.gateway.stub import (
    KEY_ID,
    REGION,
    SECRET,
    Gate,
    StreamOf,
)

from fogbank.gateway.settings import GatewaySettings
from fogbank.wire import sigv4
from fogbank.wire.http import HttpRequest


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


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
