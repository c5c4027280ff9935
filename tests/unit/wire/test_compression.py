"""Codings of bodies: which a client prefers, and replies in one of them.

The preferences are DynamoDB's, as ScyllaDB's tests, which run on AWS too, hold them down
(test/alternator/test_compressed_response.py).
"""

from __future__ import annotations

import gzip
import zlib

import pytest

from fogbank.base.errors import ServiceError
from fogbank.wire.compile import codec_of
from fogbank.wire.compression import accepted_coding, pack
from fogbank.wire.http import HttpReply, HttpRequest

BODY = b'{"TableName":"tab"}'


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("br, x-gzip, compress", ""),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("GZIP, identity", "gzip"),
        ("gzip, deflate", "gzip"),
        ("br, identity, deflate, gzip", "deflate"),
        ("dog, gzip ,, cat", "gzip"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("br, gzip;q=0, deflate; q = 0.5 , identity;q=0", "deflate"),
        ("*", "gzip"),
        ("*, deflate;q=0.5", "gzip"),
        ("*, deflate", "deflate"),
        ("*, gzip;q=0.5", "deflate"),
        ("*;q=0", ""),
        ("*;q=0.5,identity", "gzip"),
        ("gzip;q=0.5,identity;q=0.8", "gzip"),
        ("br;q=0.8,identity;q=0.5,*;q=0", ""),
        ('"gzip"', ""),
        ("gzip br", ""),
        ("gzip:q=1", ""),
        ("gzip;q=31,deflate;q=51", "gzip"),
        ("deflate;q=0.5, gzip;q=1;q=0.2", "gzip"),
        ("deflate;q=0.5,gzip;q=0.", "deflate"),
        ("deflate;q=0.5,gzip;q=0.x", "gzip"),
        ("deflate;q=-0.5,gzip;q=0.2", "gzip"),
        ("deflate;q=0.5,gzip;q=nan", "gzip"),
        ("gzip;q= 0;q=1", ""),
        ("gzip;q =0;q=1", "gzip"),
        ("gzip;nq=0;q=1", ""),
        ("gzip;q=0, gzip;q=1, gzip;q=0", "gzip"),
        ("br,identity;q=0.5,gzip;q=0.0001", "gzip"),
    ],
)
def test_a_client_is_answered_in_the_coding_that_dynamodb_would_choose(
    header: str, coding: str
) -> None:
    assert accepted_coding(header) == coding


@pytest.mark.parametrize(
    ("coding", "open_"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_a_packed_reply_says_so_and_its_checksum_is_of_the_bytes_that_are_sent(
    coding: str, open_: object
) -> None:
    plain = HttpReply(200, [("content-type", "x"), ("x-amz-crc32", "1")], BODY * 400)
    reply = pack(plain, coding)
    assert isinstance(reply.body, bytes)
    assert callable(open_)
    assert open_(reply.body) == plain.body
    assert reply.length == len(reply.body) < 400
    assert reply.headers == [
        ("content-type", "x"),
        ("x-amz-crc32", str(zlib.crc32(reply.body))),
        ("Content-Encoding", coding),
    ]


def read(body: bytes, coding: str, service: str = "dynamodb") -> object:
    request = HttpRequest("POST", "/", "", {"content-encoding": coding}, body)
    name = {"dynamodb": "DescribeTable", "logs": "DescribeLogGroups"}[service]
    return codec_of(service).decode(name, request, {})


def test_a_body_may_be_in_zlibs_format_too() -> None:
    """RFC 9110, section 8.4.1.2: that is what deflate means."""
    assert read(zlib.compress(BODY), "deflate") == {"TableName": "tab"}
    assert read(zlib.compress(b"{}"), "deflate", "logs") == {}
    assert read(BODY, "identity") == {"TableName": "tab"}


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (BODY, "garbage"),
        (BODY, "gzip"),
        (b"", "gzip"),
        (gzip.compress(BODY, mtime=0)[:-1], "gzip"),
        (BODY, "deflate"),
        (b"", "deflate"),
        (zlib.compress(BODY) + zlib.compress(BODY), "deflate"),
    ],
)
def test_what_dynamodb_cannot_inflate_is_an_internal_error(body: bytes, coding: str) -> None:
    """Source: ScyllaDB, test/alternator/test_compressed_request.py, whose tests run on AWS too."""
    with pytest.raises(ServiceError) as caught:
        read(body, coding)
    assert (caught.value.code, caught.value.status) == ("InternalServerError", 500)
