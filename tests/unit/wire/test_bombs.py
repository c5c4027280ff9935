"""Hostile bodies: refused with the modelled error, in bounded memory and before any harm."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fogbank.base.errors import ServiceError
from fogbank.wire import compression, query_string, xml
from fogbank.wire.codec import json as json_codec
from fogbank.wire.codec import query
from fogbank.wire.compile import codec_of
from fogbank.wire.errors import (
    MalformedInput,
    MalformedXML,
    RequestEntityTooLarge,
    SerializationException,
)
from fogbank.wire.http import HttpRequest


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Hold the peak of what the block allocates below a limit."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


def read(
    service: str, operation: str, body: bytes, headers: dict[str, str] | None = None
) -> dict[str, object]:
    params = {"Bucket": "b", "Key": "k"} if service == "s3" else {}
    request = HttpRequest("POST", "/", "", headers or {}, body)
    return codec_of(service).decode(operation, request, params)


LAUGHS = b"<!DOCTYPE x [" + b"".join(
    b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(9)
)


class TestXml:
    @pytest.mark.parametrize(
        "body",
        [
            b'<?xml version="1.0"?>' + LAUGHS + b"]><x>&l9;</x>",
            b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
            b"<!DOCTYPE x><x/>",
            '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16"),
            '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16-le"),
            b'<?xml version="1.0" encoding="utf-7"?>+ADw-!DOCTYPE x+AD4-<x/>',
            b"<Tagging>&undefined;</Tagging>",
            b"<a>" * 600_000,
            b"<a " + b'a="" ' * 600_000 + b"/>",
            b"x" * (xml.BYTES_MAX + 1),
            b"<Tagging",
            b"",
        ],
        ids=lambda body: body[:24].decode("latin-1"),
    )
    def test_bombs_are_malformed(self, body: bytes) -> None:
        with memory_below(100 << 20), pytest.raises(MalformedXML):
            xml.parse(body)

    def test_a_deep_document_is_malformed(self) -> None:
        with memory_below(100 << 20), pytest.raises(MalformedXML):
            xml.parse(b"<a>" * 100_000 + b"</a>" * 100_000)

    def test_the_deepest_document_is_read(self) -> None:
        assert xml.parse(b"<a>" * xml.DEPTH_MAX + b"</a>" * xml.DEPTH_MAX) is not None

    def test_many_attributes_are_malformed(self) -> None:
        many = b" ".join(b'a%d=""' % n for n in range(xml.ATTRIBUTES_MAX + 1))
        with pytest.raises(MalformedXML):
            xml.parse(b"<a " + many + b"/>")
        with pytest.raises(MalformedXML):
            xml.parse(b"<a>" + b"<b/>" * 5 + b"<b " + many + b"/></a>")

    def test_the_service_says_so_in_its_own_words(self) -> None:
        body = b"<!DOCTYPE x><Tagging><TagSet/></Tagging>"
        with pytest.raises(MalformedXML) as caught:
            read("s3", "PutObjectTagging", body, {"content-md5": md5(body)})
        assert (caught.value.code, caught.value.status) == ("MalformedXML", 400)


def md5(body: bytes) -> str:
    import base64  # noqa: PLC0415 (only here)
    import hashlib  # noqa: PLC0415 (only here)

    return base64.b64encode(hashlib.md5(body).digest()).decode()


class TestJson:
    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"TableName":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
            b'{"Item":{"x":' + b'{"M":{"a":' * 120 + b'{"S":""}' + b"}}" * 120 + b"}}",
            b"[" + b"[]," * 3_000_000 + b"[]]",
            b'{"a":[' + b"{}," * 2_000_000 + b"{}]}",
            b"\xff\xfe",
            b'{"TableName":"\xed\xa0\x80"}',
            b'{"TableName":1e999999}',
        ],
        ids=lambda body: body[:16].decode("latin-1"),
    )
    def test_bombs_are_refused(self, body: bytes) -> None:
        with memory_below(100 << 20), pytest.raises(SerializationException):
            read("dynamodb", "PutItem", body)

    def test_a_large_plain_body_is_none(self) -> None:
        text = b'{"FunctionName":"f","ZipFile":"' + b"AAAA" * 2_000_000 + b'"}'
        request = HttpRequest("PUT", "/", "", {}, text)
        found = codec_of("lambda").decode("UpdateFunctionCode", request, {"FunctionName": "f"})
        assert len(found["ZipFile"]) == 6_000_000

    def test_as_many_values_as_allowed_are_read(self) -> None:
        count = json_codec.NODES_MAX - 4
        assert len(json_codec.parsed(b"[" + b"1," * count + b"1]")) == count + 1
        with pytest.raises(SerializationException):
            json_codec.parsed(b"[" + b"1," * (count + 4) + b"1]")


class TestForms:
    @pytest.mark.parametrize(
        "body",
        [
            b"&".join(b"a%d=1" % n for n in range(query_string.FIELDS_MAX + 1)),
            b"Tags" + b".member" * query.DEPTH_MAX + b"=1",
            b"Tags.member.9999999=1",
            b"a=%ff",
            b"\xff=1",
        ],
        ids=lambda body: body[:16].decode("latin-1"),
    )
    def test_bombs_are_refused(self, body: bytes) -> None:
        with memory_below(100 << 20), pytest.raises(MalformedInput):
            read("iam", "TagRole", body)

    def test_ec2_is_bounded_as_well(self) -> None:
        with pytest.raises(MalformedInput):
            read("ec2", "RunInstances", b"Filter" + b".1" * query.DEPTH_MAX + b"=1")


GZIP = {"content-encoding": "gzip"}


class TestCompressed:
    def test_a_message_is_inflated_and_the_encoding_taken_off(self) -> None:
        headers = dict(GZIP)
        body = gzip.compress(b'{"logGroupName":"g"}')
        assert read("logs", "CreateLogGroup", body, headers) == {"logGroupName": "g"}
        assert headers == {}

    def test_several_members_are_one_body(self) -> None:
        body = gzip.compress(b'{"logGroup') + gzip.compress(b'Name":"g"}')
        assert read("logs", "CreateLogGroup", body, dict(GZIP)) == {"logGroupName": "g"}

    def test_another_encoding_stays(self) -> None:
        headers = {"content-encoding": "amz-1.0"}
        assert read("logs", "CreateLogGroup", b'{"logGroupName":"g"}', headers)
        assert headers == {"content-encoding": "amz-1.0"}

    def test_a_form_is_inflated(self) -> None:
        body = gzip.compress(b"Action=CreateUser&UserName=u")
        assert read("iam", "CreateUser", body, dict(GZIP)) == {"UserName": "u"}

    def test_an_object_is_left_as_it_is(self) -> None:
        body = gzip.compress(b"an object that is compressed")
        headers = GZIP | {"content-length": "1"}
        request = HttpRequest("PUT", "/b/k", "", headers, body)
        found = codec_of("s3").decode("PutObject", request, {"Bucket": "b", "Key": "k"})
        assert (found["Body"], found["ContentEncoding"]) == (body, "gzip")

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (
                lambda: gzip.compress(bytes(compression.INFLATED_BYTES_MAX + 1)),
                RequestEntityTooLarge,
            ),
            (lambda: gzip.compress(bytes(9 << 20)) * 2, RequestEntityTooLarge),
            (lambda: gzip.compress(b"{}")[:-4], SerializationException),
            (lambda: gzip.compress(b"{}") + b"more", SerializationException),
            (lambda: b"{}", SerializationException),
            (lambda: b"", SerializationException),
            (lambda: zlib.compress(b"{}"), SerializationException),
            (lambda: gzip.compress(b"") * 100, SerializationException),
        ],
    )
    def test_bombs_are_refused(self, make: Callable[[], bytes], error: type[ServiceError]) -> None:
        body = make()
        with memory_below(64 << 20), pytest.raises(error):
            read("logs", "CreateLogGroup", body, dict(GZIP))
