"""A document of S3 is taken only if it is what its client says that it is."""

from __future__ import annotations

import asyncio

import pytest

from fogbank.base.errors import ServiceError
from fogbank.gateway.body import BytesBody, DecodedBody, WholeBodies
from fogbank.gateway.limits import Allowance
from fogbank.gateway.render import Words
from fogbank.wire.checksums import ALGORITHMS, digest_of, header_of, text_of
from fogbank.wire.chunked import ChunkedDecoder
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpRequest

DELETE = b"<Delete><Object><Key>k</Key></Object></Delete>"
COMPLETE = b"<CompleteMultipartUpload/>"
NOTIFICATION = b"<NotificationConfiguration/>"
MISSING = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"


def decode(operation: str, body: bytes, **headers: str) -> dict[str, object]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    request = HttpRequest("POST", "/b", "uploadId=1", named, body)
    return codec_of("s3").decode(operation, request, {"Bucket": "b", "Key": "k"})


def refused(operation: str, body: bytes, **headers: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        decode(operation, body, **headers)
    return caught.value


def md5(body: bytes) -> str:
    return text_of(digest_of("MD5", body))


def test_a_document_that_needs_a_checksum_is_refused_without() -> None:
    error = refused("DeleteObjects", DELETE)
    assert (error.code, error.message) == ("InvalidRequest", MISSING)
    assert refused("PutBucketVersioning", b"", x_amz_checksum_algorithm="CRC32").message == MISSING


def test_documents_that_s3_takes_without_a_checksum_are_taken() -> None:
    assert decode("PutBucketPolicy", b"{}")["Policy"] == "{}"
    assert decode("PutBucketNotificationConfiguration", NOTIFICATION)
    assert decode("CompleteMultipartUpload", COMPLETE, x_amz_checksum_type="FULL_OBJECT")


def test_an_md5_is_enough_and_must_hold() -> None:
    assert decode("DeleteObjects", DELETE, content_md5=md5(DELETE))["Delete"]
    for operation, body in (
        ("DeleteObjects", DELETE),
        ("CompleteMultipartUpload", COMPLETE),
        ("PutBucketNotificationConfiguration", NOTIFICATION),
    ):
        error = refused(operation, body, content_md5=md5(b"other"))
        assert error.code == "BadDigest"
        assert error.members["CalculatedDigest"] == md5(body)
        assert refused(operation, body, content_md5="nonsense").code == "InvalidDigest"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_is_enough_and_must_hold(algorithm: str) -> None:
    name = header_of(algorithm).replace("-", "_")
    assert decode("DeleteObjects", DELETE, **{name: text_of(digest_of(algorithm, DELETE))})
    for operation, body in (
        ("DeleteObjects", DELETE),
        ("PutBucketNotificationConfiguration", NOTIFICATION),
    ):
        error = refused(operation, body, **{name: text_of(digest_of(algorithm, b"other"))})
        assert error.code == "BadDigest"
        assert algorithm in error.message
        error = refused(operation, body, **{name: "nonsense"})
        assert error.message == f"Value for {header_of(algorithm)} header is invalid."


def test_two_checksums_and_unknown_ones_are_refused() -> None:
    two = {"x_amz_checksum_crc32": "AAAAAA==", "x_amz_checksum_crc32c": "AAAAAA=="}
    assert "single" in refused("DeleteObjects", DELETE, **two).message
    error = refused("DeleteObjects", DELETE, x_amz_checksum_crc16="AAAAAA==")
    assert error.code == "InvalidRequest"
    assert "unsupported" in error.message


def test_the_checksum_of_a_completed_upload_is_the_objects() -> None:
    found = decode("CompleteMultipartUpload", COMPLETE, x_amz_checksum_crc32="AAAAAA==")
    assert found["ChecksumCRC32"] == "AAAAAA=="


ALLOWED = Allowance(1 << 20, None, Words(codec_of("s3").model), "DeleteObjects")


def test_a_checksum_may_come_in_the_trailer() -> None:
    def request_of(checksum: str) -> HttpRequest:
        framed = b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (
            len(DELETE),
            DELETE,
            checksum.encode(),
        )
        decoder = ChunkedDecoder(None, ["x-amz-checksum-crc32"], len(DELETE))
        request = HttpRequest("POST", "/b", "", {})
        request.stream = DecodedBody(BytesBody(framed), decoder, len(DELETE))
        asyncio.run(WholeBodies(1 << 20).take(request, ALLOWED))
        return request

    decode_delete = codec_of("s3").decode
    good = request_of(text_of(digest_of("CRC32", DELETE)))
    assert decode_delete("DeleteObjects", good, {"Bucket": "b"})["Delete"]
    with pytest.raises(ServiceError, match="did not match"):
        decode_delete("DeleteObjects", request_of("AAAAAA=="), {"Bucket": "b"})
