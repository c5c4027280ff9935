"""aws-chunked against the two examples that AWS publishes, and against damage."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.base.errors import ServiceError
from fogbank.wire.checksums import digest_of, text_of
from fogbank.wire.chunked import LINE_BYTES_MAX, Chain, ChunkedDecoder
from fogbank.wire.errors import (
    IncompleteBody,
    InvalidChunkSizeError,
    MalformedTrailerError,
    SignatureDoesNotMatch,
)
from fogbank.wire.sigv4 import ASYMMETRIC, chunk_text, signing_key, trailer_text

KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
SCOPE = "20130524/us-east-1/s3/aws4_request"
PAYLOAD = b"a" * 66560
CHUNKS = (PAYLOAD[:65536], PAYLOAD[65536:], b"")
PLAIN_SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
PLAIN_SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER = (
    b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
)


def _chain(seed: str) -> Chain:
    return Chain(KEY, seed, "20130524T000000Z", SCOPE)


def _signed(signatures: tuple[str, ...], trailer: bytes = b"") -> bytes:
    out = b""
    for data, signature in zip(CHUNKS, signatures, strict=True):
        out += f"{len(data):x};chunk-signature={signature}\r\n".encode()
        out += data + b"\r\n" if data else trailer + b"\r\n"
    return out


def _unsigned(data: bytes, trailer: bytes = b"") -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("piece", [7, 1000, 65536, 1 << 20])
def test_the_published_signed_stream_decodes_in_any_pieces(piece: int) -> None:
    decoder = ChunkedDecoder(_chain(PLAIN_SEED), decoded_length=66560)
    sent = _signed(PLAIN_SIGNATURES)
    got = b"".join(decoder.feed(sent[at : at + piece]) for at in range(0, len(sent), piece))
    assert decoder.done
    decoder.finish()
    assert got == PAYLOAD


def test_the_published_signed_trailer_holds() -> None:
    decoder = ChunkedDecoder(_chain(TRAILER_SEED), ["x-amz-checksum-crc32c"], 66560)
    assert decoder.feed(_signed(TRAILER_SIGNATURES, TRAILER)) == PAYLOAD
    decoder.finish()
    assert decoder.trailers == {"x-amz-checksum-crc32c": text_of(digest_of("CRC32C", PAYLOAD))}


ASYMMETRIC_WHEN = ("20130524T000000Z", "20130524/s3/aws4_request")
DIGESTS = [
    "bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a",
    "2edc986847e209b4016e141a6dc8716d3207350f416969382d431539bf292e4a",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
]


def test_what_is_signed_of_chunks_by_version_4a_is_what_the_common_runtime_signs() -> None:
    """The texts of aws-c-auth, ``tests/test_chunked_signing.c``, around a signature that varies."""
    assert [sha256(data).hexdigest() for data in CHUNKS] == DIGESTS
    for digest in DIGESTS:
        assert chunk_text(ASYMMETRIC, "<previous>", ASYMMETRIC_WHEN, digest) == (
            "AWS4-ECDSA-P256-SHA256-PAYLOAD\n20130524T000000Z\n20130524/s3/aws4_request\n"
            "<previous>\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
            + digest
        )
    trailer = b"first:1st\nsecond:2nd\nthird:3rd\n"
    assert trailer_text(ASYMMETRIC, "<previous>", ASYMMETRIC_WHEN, trailer) == (
        "AWS4-ECDSA-P256-SHA256-TRAILER\n20130524T000000Z\n20130524/s3/aws4_request\n<previous>\n"
        "83d8f190334fb741bc8daf73c891689d320bd8017756bc730c540021ed48001f"
    )


def test_a_changed_trailer_or_a_missing_trailer_signature_is_refused() -> None:
    changed = TRAILER.replace(b"sOO8", b"sOO9")
    unsigned = TRAILER.split(b"\r\n")[0] + b"\r\n"
    for trailer in (changed, unsigned):
        decoder = ChunkedDecoder(_chain(TRAILER_SEED), ["x-amz-checksum-crc32c"])
        with pytest.raises(SignatureDoesNotMatch):
            decoder.feed(_signed(TRAILER_SIGNATURES, trailer))


def test_no_byte_of_a_damaged_chunk_leaves() -> None:
    sent = bytearray(_signed(PLAIN_SIGNATURES))
    sent[70000 - 4000] ^= 1
    decoder = ChunkedDecoder(_chain(PLAIN_SEED))
    got = decoder.feed(bytes(sent[:65000]))
    assert got == b""
    with pytest.raises(SignatureDoesNotMatch):
        decoder.feed(bytes(sent[65000:]))


def test_chunks_in_another_order_are_refused() -> None:
    first = f"400;chunk-signature={PLAIN_SIGNATURES[1]}\r\n".encode() + CHUNKS[1] + b"\r\n"
    with pytest.raises(SignatureDoesNotMatch):
        ChunkedDecoder(_chain(PLAIN_SEED)).feed(first)


def test_an_unsigned_chunk_in_a_signed_stream_is_refused() -> None:
    with pytest.raises(SignatureDoesNotMatch):
        ChunkedDecoder(_chain(PLAIN_SEED)).feed(b"5\r\nhello\r\n")


def test_an_unsigned_stream_with_a_trailer_decodes() -> None:
    decoder = ChunkedDecoder(None, ["x-amz-checksum-crc32"], 5)
    sent = _unsigned(b"hello", b"x-amz-checksum-crc32:NhCmhg==\r\n")
    got = b"".join(decoder.feed(sent[at : at + 1]) for at in range(len(sent)))
    decoder.finish()
    assert got == b"hello"
    assert decoder.trailers == {"x-amz-checksum-crc32": "NhCmhg=="}


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"zz\r\nhello", InvalidChunkSizeError),
        (b"-5\r\nhello", InvalidChunkSizeError),
        (b"5" * LINE_BYTES_MAX, InvalidChunkSizeError),
        (b"ffffffffffffffff\r\n", InvalidChunkSizeError),
        (b"5\r\nhelloXX", InvalidChunkSizeError),
        (b"6\r\nhello!\r\n0\r\n\r\n", IncompleteBody),
        (b"5\r\nhello\r\n0\r\n\r\nmore", IncompleteBody),
        (b"5\r\nhello\r\n0\r\nx-other:1\r\n\r\n", MalformedTrailerError),
        (b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n", MalformedTrailerError),
    ],
)
def test_a_malformed_stream_is_refused(sent: bytes, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        ChunkedDecoder(None, (), 5).feed(sent)


@pytest.mark.parametrize("sent", [b"", b"5\r\nhel", b"5\r\nhello\r\n", b"3\r\nhel\r\n0\r\n\r\n"])
def test_a_stream_that_ends_early_is_incomplete(sent: bytes) -> None:
    decoder = ChunkedDecoder(None, (), 5)
    decoder.feed(sent)
    with pytest.raises(IncompleteBody):
        decoder.finish()


def test_an_announced_trailer_that_does_not_come_is_refused() -> None:
    with pytest.raises(MalformedTrailerError):
        ChunkedDecoder(None, ["x-amz-checksum-crc32"]).feed(_unsigned(b"hello"))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=20))
def test_any_payload_in_any_pieces_comes_out_as_it_went_in(data: bytes, cuts: list[int]) -> None:
    sent = _unsigned(data) if data else b"0\r\n\r\n"
    decoder = ChunkedDecoder()
    got = b""
    for cut in cuts:
        got += decoder.feed(sent[:cut])
        sent = sent[cut:]
    got += decoder.feed(sent)
    assert decoder.done
    assert got == data


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    decoder = ChunkedDecoder(None, ["a"])
    try:
        decoder.feed(data)
        decoder.finish()
    except ServiceError:
        pass
