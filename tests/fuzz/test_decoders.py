"""Documents from strangers: read as another reader does, or refused with the modelled error."""

from __future__ import annotations

import base64
import json
import math
import random
import re
import struct
import urllib.parse
import zlib
from typing import Any
from uuid import UUID
from xml.parsers import expat

import botocore.eventstream
import botocore.parsers
import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target, json_changed, value_changed

from fogbank.base.errors import ServiceError
from fogbank.wire import cbor, query_string, xml
from fogbank.wire.compile import codec_of
from fogbank.wire.errors import MalformedXML
from fogbank.wire.eventstream import BrokenFrame, Frames, Message, Time, encoded
from fogbank.wire.http import HttpRequest

pytestmark = pytest.mark.slow

PATH = {"Bucket": "b", "Key": "k", "FunctionName": "f", "UploadId": "u"}


def decode(service: str, operation: str, body: bytes, **headers: str) -> dict[str, Any] | None:
    """Return what an operation would be given, or None where its caller is told why not."""
    request = HttpRequest("POST", "/", "", headers, body)
    try:
        return codec_of(service).decode(operation, request, PATH)
    except ServiceError as error:
        reply = codec_of(service).encode_error(operation, error, "R")
        assert 400 <= reply.status < 500, reply.status
        return None


# XML.

DOCUMENTS = {
    "PutBucketTagging": b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
    "CompleteMultipartUpload": b'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUpload xmlns='
    b'"http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber><ETag>"a"</ETag></Part>'
    b"<Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag></Part></CompleteMultipartUpload>",
    "DeleteObjects": b"<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>"
    b"<![CDATA[<c>]]></Key></Object><!-- no --></Delete>",
    "PutBucketCors": b"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*"
    b"</AllowedOrigin><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule></CORSConfiguration>",
    "PutBucketNotificationConfiguration": b"<NotificationConfiguration><CloudFunctionConfiguration><Id>i"
    b"</Id><CloudFunction>arn:aws:lambda:us-east-1:123456789012:function:f</CloudFunction><Event>"
    b"s3:ObjectCreated:*</Event></CloudFunctionConfiguration></NotificationConfiguration>",
    "PutBucketAcl": b'<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org'
    b'/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>a</ID></Grantee><Permission>READ'
    b"</Permission></Grant></AccessControlList></AccessControlPolicy>",
}
XML_WORDS = (
    *(b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"&#0;", b"&#x10FFFF;", b"&#xD800;", b"<![CDATA["),
    *(
        b"]]>",
        b"<?xml version='1.1'?>",
        b"<?xml version='1.0' encoding='utf-16'?>",
        b"<?p ?>",
        b"<!--",
    ),
    *(
        b"-->",
        b"xmlns='x'",
        b"xmlns:a='b'",
        b"<a:b/>",
        b"<Tag>",
        b"</Tag>",
        b"<Part/>",
        b"<a>" * 99,
    ),
    *(
        b"</a>",
        b"<!ENTITY",
        b"<!doctype x>",
        b"\xef\xbb\xbf",
        b"\xfe\xff",
        b"<Key xml:space='preserve'>",
    ),
)


def events_of(body: bytes) -> list[str]:
    """Return a document as expat tells it in small pieces; raise if it is none to expat."""
    parser = expat.ParserCreate(namespace_separator="}")
    told: list[str] = []
    parser.StartElementHandler = lambda name, _: told.append(f"<{xml.local(name_of(name))}>")
    parser.EndElementHandler = lambda name: told.append(f"</{xml.local(name_of(name))}>")
    parser.CharacterDataHandler = told.append
    for at in range(0, len(body), 7):  # as we never give it
        parser.Parse(body[at : at + 7], False)
    parser.Parse(b"", True)
    return told


def name_of(name: str) -> str:
    """Return a name with its namespace as ElementTree has it."""
    return f"{{{name}" if "}" in name else name


def told_of(element: Any) -> list[str]:
    """Return our elements in the words of ``events_of``."""
    name = xml.local(element.tag)
    parts = [element.text or ""]
    for child in element:
        parts += [*told_of(child), child.tail or ""]
    return [f"<{name}>", *parts, f"</{name}>"]


def check_xml(data: bytes) -> bool:
    operation, body = list(DOCUMENTS)[(data or b"\0")[0] % len(DOCUMENTS)], data[1:]
    try:
        root = xml.parse(body)
    except MalformedXML:
        assert decode("s3", operation, body) is None or not body
        return False
    assert "".join(events_of(body)) == "".join(told_of(root))
    return decode("s3", operation, body) is not None


def test_documents_of_xml_are_read_as_expat_reads_them_or_refused(hunted: Hunted) -> None:
    seeds = [bytes((at,)) + body for at, body in enumerate(DOCUMENTS.values())]
    outcome = hunted(Target("xml", seeds, check_xml, XML_WORDS))
    assert outcome.findings == []
    assert outcome.accepted >= len(seeds)


# JSON.

ITEM = {
    "p": {"S": "key"},
    "n": {"N": "-1.5E3"},
    "b": {"B": "aGVsbG8="},
    "s": {"SS": ["a", "b"]},
    "l": {"L": [{"NULL": True}, {"M": {"x": {"BOOL": False}}}]},
}
CALLS: list[tuple[str, str, Any]] = [
    ("dynamodb", "PutItem", {"TableName": "rows", "Item": ITEM, "ReturnValues": "ALL_OLD"}),
    ("dynamodb", "Query", {"TableName": "rows", "Limit": 7, "ScanIndexForward": False}),
    ("dynamodb", "BatchWriteItem", {"RequestItems": {"rows": [{"PutRequest": {"Item": ITEM}}]}}),
    (
        "logs",
        "PutLogEvents",
        {
            "logGroupName": "g",
            "logStreamName": "s",
            "logEvents": [{"timestamp": 1_700_000_000_000, "message": "one"}],
        },
    ),
    (
        "lambda",
        "CreateFunction",
        {
            "FunctionName": "f",
            "Role": "arn:aws:iam::123456789012:role/r",
            "Code": {"ZipFile": "UEsFBgAAAAA="},
            "Timeout": 3,
            "Environment": {"Variables": {"A": "b"}},
        },
    ),
]


def body_of(at: int, value: Any) -> bytes:
    return bytes((at,)) + b"\n" + json.dumps(value).encode()


def json_call_changed(draw: random.Random, data: bytes) -> bytes:
    return data[:2] + json_changed(draw, data[2:])


def texts_in(value: Any) -> set[str]:
    """Return every text, number and name in a value, whatever it was made of."""
    if isinstance(value, dict):
        return {part for pair in value.items() for each in pair for part in texts_in(each)}
    if isinstance(value, list):
        return {part for each in value for part in texts_in(each)}
    if isinstance(value, bytes):
        return {base64.b64encode(value).decode()}
    return {str(value)}


def check_json(data: bytes) -> bool:
    at, body = (data or b"\0")[0] % len(CALLS), data[2:]
    service, operation, _ = CALLS[at]
    got = decode(service, operation, body)
    if got is None:
        return False
    # What is read stands in the body, as any reader of JSON says, and nothing else is.
    told = json.loads(body or b"{}")
    known = texts_in(told) | set(PATH) | set(PATH.values())
    strange = {text for text in texts_in(got) - known if not convertible(text, known)}
    assert not strange, strange
    return True


def convertible(text: str, known: set[str]) -> bool:
    """Return whether a value stands in a body in another spelling."""
    if text in {"True", "False"} or text.strip("-").isdigit():
        return True  # texts of booleans and numbers, and times in milliseconds
    bare = {each.replace("\n", "").replace("\r", "").rstrip("=") for each in known}
    return text.rstrip("=") in bare


def test_documents_of_json_are_read_as_another_reader_reads_them_or_refused(hunted: Hunted) -> None:
    seeds = [body_of(at, value) for at, (_, _, value) in enumerate(CALLS)]
    words = (b'"S":', b'{"N":"1"}', b'"M":{', b"\\u0041", b'"\\ud83d\\ude00"', b"null", b"[" * 300)
    outcome = hunted(Target("json", seeds, check_json, words, mutate=json_call_changed))
    assert outcome.findings == []
    assert outcome.accepted >= len(seeds)


# Forms.

FORMS = [
    (
        b"Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=%7B%22Version%22%3A%22"
        b"2012-10-17%22%7D&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.2.Key=l&Tags.member.2.Value="
    ),
    (
        b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr&"
        b"RoleSessionName=s&DurationSeconds=900&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2Fp"
    ),
]
FORM_WORDS = (
    *(
        b"&Tags.member.",
        b".member.1",
        b".entry.1.key",
        b"%00",
        b"+",
        b"%2B",
        b"&&",
        b"==",
        b"%f0%9f%98%80",
    ),
    *(
        b"&Tags.member.99999999999.Key=k",
        b"&Tags.member.-1.Key=k",
        b"&Tags.member.1.1.1=k",
        b"%",
        b"&a=b",
    ),
)


def check_form(data: bytes) -> bool:
    try:
        text = data.decode("latin-1")
        ours: list[tuple[str, str]] | None = query_string.fields_of(text)
    except ValueError:
        ours = None
    if ours is not None:
        plain = re.sub(rb"[^\x21-\x7e]", lambda found: b"%%%02X" % found[0][0], data).decode()
        assert ours == urllib.parse.parse_qsl(plain, keep_blank_values=True, errors="strict")
    service, operation = ("sts", "AssumeRole") if b"RoleArn" in data else ("iam", "CreateRole")
    kind = "application/x-www-form-urlencoded"
    return decode(service, operation, data, **{"content-type": kind}) is not None


def test_forms_are_read_as_another_reader_reads_them_or_refused(hunted: Hunted) -> None:
    outcome = hunted(Target("form", FORMS, check_form, FORM_WORDS))
    assert outcome.findings == []
    assert outcome.accepted >= len(FORMS)


# CBOR.

VALUES: list[Any] = [
    {"TableName": "rows", "Limit": 5, "Flag": True, "None": None, "Blob": b"\x00\xff"},
    {"a": [1, -1, 2**32, -(2**64), 1.5, 1e300, cbor.Epoch(1_700_000_000)], "b": {"c": {"d": []}}},
    [[], {}, "", b"", 0],
]
CBOR_WORDS = (
    *(
        b"\x9f",
        b"\xbf",
        b"\xff",
        b"\x5f",
        b"\x7f",
        b"\x9b" + b"\xff" * 8,
        b"\xbb\0\0\0\1\0\0\0\0",
        b"\xc1",
    ),
    *(
        b"\xc2\x41\x01",
        b"\xf9\x7e\x00",
        b"\xf9\x7c\x00",
        b"\xfb" + b"\xff" * 8,
        b"\xf7",
        b"\xf8\x20",
        b"\x81",
    ),
    *(b"\x81" * 99, b"\x81" * 200, b"\x80" * 300, b"\xd9\xff\xff", b"\x1c", b"\x3b" + b"\xff" * 8),
)


def as_json(value: Any) -> Any:
    """Return a value of CBOR as JSON has it, so that its parts can be changed."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value


def cbor_changed(draw: random.Random, data: bytes) -> bytes:
    value = as_json(cbor.loads(data))
    try:
        return cbor.dumps(value_changed(draw, value))
    except (UnicodeEncodeError, ValueError, KeyError):
        return data + cbor.dumps(draw.choice((0, "", [])))


class _Reader(botocore.parsers.BaseCBORParser):
    """botocore's reader, with times as we have them."""

    def _parse_datetime(self, value: Any) -> Any:
        return cbor.Epoch(value)


def same(ours: Any, theirs: Any) -> bool:
    """Return whether two readers read the same; botocore leaves out members that are null."""
    if isinstance(ours, dict):
        here = {name: each for name, each in ours.items() if each is not None}
        return (
            isinstance(theirs, dict)
            and here.keys() == theirs.keys()
            and all(same(here[name], theirs[name]) for name in here)
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
        )
    if isinstance(ours, cbor.Epoch) and isinstance(theirs, cbor.Epoch):
        return same(ours.seconds, theirs.seconds)
    if isinstance(ours, float) and math.isnan(ours):
        return isinstance(theirs, float) and math.isnan(theirs)
    return type(ours) is type(theirs) and ours == theirs


def decode_rpc(data: bytes) -> None:
    """Let an operation of a service that speaks CBOR read it, or say why not."""
    headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    codec = codec_of("cloudwatch", "smithy-rpc-v2-cbor")
    try:
        codec.decode("PutMetricData", HttpRequest("POST", "/", "", headers, data), {})
    except ServiceError as error:
        reply = codec.encode_error("PutMetricData", error, "R")
    else:
        return
    assert 400 <= reply.status < 500, reply.status


def check_cbor(data: bytes) -> bool:
    decode_rpc(data)
    try:
        ours = cbor.loads(data)
    except cbor.Unreadable:
        return False
    reader = _Reader()
    theirs = reader.parse_data_item(reader.get_peekable_stream_from_bytes(data))
    assert same(ours, theirs), (ours, theirs)
    again = cbor.dumps(ours)
    assert len(again) <= 2 * len(data) + 9
    assert cbor.dumps(cbor.loads(again)) == again
    return True


def test_items_of_cbor_are_read_as_botocore_reads_them_or_refused(hunted: Hunted) -> None:
    seeds = [cbor.dumps(value) for value in VALUES]
    outcome = hunted(Target("cbor", seeds, check_cbor, CBOR_WORDS, mutate=cbor_changed))
    assert outcome.findings == []
    assert outcome.accepted >= len(seeds)


# Event streams.

MESSAGES = [
    Message({":message-type": "event", ":event-type": "Records"}, b"a,b\n"),
    Message({"yes": True, "n": -5, "long": 2**40, "t": Time(1_700_000_000_000)}, b""),
    Message({"bytes": b"\0\xff", "id": UUID(int=7), ":content-type": "text/plain"}, b"x" * 300),
]
FRAME_WORDS = (
    b"\0\0\0\x10\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff",
    b"\x08\0\0",
    b"\x0a",
    b"\x00\x07",
)


def frame_changed(draw: random.Random, data: bytes) -> bytes:
    """Change headers, payload or lengths of a frame, and make its checksums anew."""
    total, length = struct.unpack_from(">II", data)
    headers, payload = bytearray(data[12 : 12 + length]), data[12 + length : total - 4]
    for _ in range(draw.choice((1, 2, 4))):
        if headers:
            headers[draw.randrange(len(headers))] = draw.choice((0, 1, 6, 7, 8, 9, 10, 127, 255))
    if draw.random() < 0.3:
        headers += headers * draw.choice((1, 40))
    sizes = [16 + len(headers) + len(payload), len(headers)]
    if draw.random() < 0.2:
        sizes[draw.randrange(2)] = draw.choice((0, 15, 16, 2**31, 2**32 - 1, len(headers) + 1))
    prelude = struct.pack(">II", *sizes)
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + bytes(headers) + payload
    return body + struct.pack(">I", zlib.crc32(body)) + data[total:]


def messages_of(data: bytes, step: int) -> tuple[list[Message], bool]:
    """Return the messages before a fault, and whether there is one."""
    frames, found = Frames(), []
    try:
        for at in range(0, len(data), step):
            found += frames.feed(data[at : at + step])
    except BrokenFrame:
        return found, True
    return found, False


def check_frames(data: bytes) -> bool:
    found, broken = messages_of(data, len(data) or 1)
    in_pieces = messages_of(data, 5)
    assert in_pieces == (found, broken)
    buffer = botocore.eventstream.EventStreamBuffer()
    buffer.add_data(data)
    for message in found:
        theirs = next(buffer)
        assert theirs.payload == message.payload
        told = {
            name: value.bytes if isinstance(value, UUID) else value
            for name, value in message.headers.items()
        }
        assert dict(theirs.headers.items()) == told
    return bool(found) and not broken


def test_frames_of_events_are_read_as_botocore_reads_them_or_refused(hunted: Hunted) -> None:
    seeds = [encoded(message) for message in MESSAGES]
    seeds.append(b"".join(seeds))
    outcome = hunted(Target("events", seeds, check_frames, FRAME_WORDS, mutate=frame_changed))
    assert outcome.findings == []
    assert outcome.accepted >= len(seeds)
