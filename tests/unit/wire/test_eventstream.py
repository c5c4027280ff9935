from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import botocore.eventstream
import botocore.model
import botocore.parsers
import pytest
from botocore.awsrequest import HeadersDict
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.cbor import CborBodies, CborDocuments
from fogbank.wire.codec.eventstream import EventReader, Events, EventWriter
from fogbank.wire.codec.json import Documents, JsonBodies
from fogbank.wire.codec.rest_xml import XmlBodies
from fogbank.wire.codec.xml import XmlDocuments
from fogbank.wire.compile import ServiceCodec, codec_of
from fogbank.wire.errors import EventStreamError, MalformedXML, SerializationException
from fogbank.wire.eventstream import (
    HEADERS_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    BrokenFrame,
    Frames,
    Message,
    Time,
    encoded,
)
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import ServiceModel
from fogbank.wire.settings import Settings

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=64),
    st.text(max_size=64),
    st.uuids(),
    st.integers(-(2**63), 2**63 - 1).map(Time),
)
MESSAGES = st.builds(
    Message,
    st.dictionaries(st.text(min_size=1, max_size=12), VALUES, max_size=6),
    st.binary(max_size=200),
)


def frame(total: int, headers: bytes, payload: bytes, length: int | None = None) -> bytes:
    """Return a frame with true checksums around lengths that may lie."""
    prelude = struct.pack(">II", total, len(headers) if length is None else length)
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def fed(data: bytes, step: int = 0) -> list[Message]:
    frames = Frames()
    step = step or max(len(data), 1)
    return [m for at in range(0, len(data), step) for m in frames.feed(data[at : at + step])]


class TestFrames:
    @given(st.lists(MESSAGES, max_size=4), st.integers(1, 40))
    def test_messages_come_back_however_their_bytes_are_cut(
        self, messages: list[Message], step: int
    ) -> None:
        data = b"".join(map(encoded, messages))
        found = fed(data, step)
        assert found == messages
        for ours, theirs in zip(found, messages, strict=True):
            for name, value in theirs.headers.items():
                assert type(ours.headers[name]) is type(value)

    @given(MESSAGES)
    def test_botocore_reads_what_we_write(self, message: Message) -> None:
        buffer = botocore.eventstream.EventStreamBuffer()
        buffer.add_data(encoded(message))
        (found,) = list(buffer)
        theirs = {n: v.bytes if isinstance(v, UUID) else v for n, v in message.headers.items()}
        assert dict(found.headers) == theirs
        assert found.payload == message.payload

    def test_a_known_frame_has_the_bytes_of_the_specification(self) -> None:
        # "Amazon Event Stream Specification", an empty message and one header with a payload
        assert encoded(Message({}, b"")).hex() == "000000100000000005c248eb7d98c8ff"
        assert encoded(Message({}, b"{'foo':'bar'}")).hex() == (
            "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936"
        )

    def test_small_numbers_of_other_writers_are_read(self) -> None:
        headers = b"\x01b\x02\xff\x01s\x03\xff\xfe"
        (message,) = fed(frame(16 + len(headers), headers, b""))
        assert message.headers == {"b": -1, "s": -2}

    @pytest.mark.parametrize(
        "headers",
        [
            b"\x00\x00",  # a name of no letters
            b"\x01a\x0b\x00",  # an unknown type
            b"\x01a\x07\x00\x09x",  # a text that is cut off
            b"\x01a\x06\x00",  # a length that is cut off
            b"\x01a\x08\x00\x00",  # a time that is cut off
            b"\x01a\x09\x00\x00",  # a UUID that is cut off
            b"\x01a\x00\x01a\x00",  # one name twice
            b"\x05a",  # a name that is cut off
            b"\x01a",  # no type
            b"\x01a\x07\x00\x01\xff",  # a text that is not UTF-8
            b"".join(bytes((3,)) + b"%03d" % n + b"\x00" for n in range(300)),
        ],
    )
    def test_headers_that_lie_are_refused(self, headers: bytes) -> None:
        with pytest.raises(BrokenFrame):
            fed(frame(16 + len(headers), headers, b""))

    @pytest.mark.parametrize(
        ("total", "headers"),
        [
            (16 + PAYLOAD_BYTES_MAX + 1, 0),
            (2**32 - 1, 0),
            (HEADERS_BYTES_MAX + 17, HEADERS_BYTES_MAX + 1),
            (15, 0),
            (20, 5),
        ],
    )
    def test_lengths_out_of_bounds_are_refused_before_anything_is_held(
        self, total: int, headers: int
    ) -> None:
        with pytest.raises(BrokenFrame):
            fed(frame(total, b"", b"", headers)[:12])

    @pytest.mark.parametrize("at", [3, 9, 14, 20, -1])
    def test_a_flipped_bit_is_found(self, at: int) -> None:
        data = bytearray(encoded(Message({"name": "value"}, b"payload")))
        data[at] ^= 1
        with pytest.raises(BrokenFrame):
            fed(bytes(data))

    def test_what_is_too_large_is_not_written(self) -> None:
        for message in (
            Message({}, bytes(PAYLOAD_BYTES_MAX + 1)),
            Message({"a": "x" * 40_000}, b""),
            Message({"": "x"}, b""),
            Message({"a": 2**63}, b""),
            Message({f"a{n}": "x" * 30_000 for n in range(5)}, b""),
        ):
            with pytest.raises(BrokenFrame):
                encoded(message)


async def events(*given_events: dict[str, Any] | Exception) -> AsyncIterator[dict[str, Any]]:
    for event in given_events:
        if isinstance(event, Exception):
            raise event
        yield event


def whole(reply: HttpReply) -> bytes:
    async def gather() -> bytes:
        assert not isinstance(reply.body, bytes)
        return b"".join([piece async for piece in reply.body])

    return asyncio.run(gather())


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Any:
        yield self._body

    def close(self) -> None:
        return None


def as_botocore_reads(service: str, operation: str, reply: HttpReply) -> dict[str, Any]:
    raw = Loader().load_service_model(service, "service-2")
    model = botocore.model.ServiceModel(raw, service)
    shape = model.operation_model(operation).output_shape
    response = {
        "status_code": reply.status,
        "headers": HeadersDict(dict(reply.headers)),
        "body": _Raw(whole(reply)),
        "context": {"operation_name": operation},
    }
    return botocore.parsers.create_parser(model.metadata["protocol"]).parse(response, shape)


class TestAnswers:
    def test_s3_select_is_read_by_botocore(self) -> None:
        stats = {"BytesScanned": 5, "BytesProcessed": 5, "BytesReturned": 2}
        sent = [
            {"Records": {"Payload": b"a,b\n"}},
            {"Cont": {}},
            {"Stats": {"Details": stats}},
            {"End": {}},
        ]
        reply = codec_of("s3").encode("SelectObjectContent", {"Payload": events(*sent)}, "R")
        assert ("content-type", "application/vnd.amazon.eventstream") in reply.headers
        found = as_botocore_reads("s3", "SelectObjectContent", reply)
        assert list(found["Payload"]) == sent

    def test_lambda_streams_with_members_in_headers(self) -> None:
        sent = [{"PayloadChunk": {"Payload": b"x"}}, {"InvokeComplete": {"LogResult": "bG9n"}}]
        answer = {
            "StatusCode": 200,
            "ExecutedVersion": "$LATEST",
            "ResponseStreamContentType": "text/html",
            "EventStream": events(*sent),
        }
        reply = codec_of("lambda").encode("InvokeWithResponseStream", answer, "R")
        found = as_botocore_reads("lambda", "InvokeWithResponseStream", reply)
        assert (found["StatusCode"], found["ExecutedVersion"]) == (200, "$LATEST")
        assert found["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
        assert list(found["EventStream"]) == sent

    def test_kinesis_begins_with_an_initial_response_and_carries_times(self) -> None:
        record = {
            "SequenceNumber": "1",
            "Data": b"\x00\xff",
            "PartitionKey": "p",
            "ApproximateArrivalTimestamp": 1_500,
        }
        event = {
            "SubscribeToShardEvent": {
                "Records": [record],
                "ContinuationSequenceNumber": "2",
                "MillisBehindLatest": 0,
            }
        }
        reply = codec_of("kinesis").encode("SubscribeToShard", {"EventStream": events(event)}, "R")
        found = as_botocore_reads("kinesis", "SubscribeToShard", reply)
        (got,) = list(found["EventStream"])
        (read,) = got["SubscribeToShardEvent"]["Records"]
        assert read["Data"] == b"\x00\xff"
        assert read["ApproximateArrivalTimestamp"].timestamp() == 1.5

    def test_a_modelled_error_ends_a_stream_as_an_exception(self) -> None:
        gone = type("ResourceNotFoundException", (ServiceError,), {})("it is gone")
        reply = codec_of("kinesis").encode("SubscribeToShard", {"EventStream": events(gone)}, "R")
        found = as_botocore_reads("kinesis", "SubscribeToShard", reply)
        with pytest.raises(Exception, match=r"ResourceNotFoundException.*it is gone"):
            list(found["EventStream"])

    def test_another_error_ends_a_stream_as_an_error(self) -> None:
        broken = type("SlowDown", (ServiceError,), {})("later")
        sent = events({"Cont": {}}, broken)
        reply = codec_of("s3").encode("SelectObjectContent", {"Payload": sent}, "R")
        found = iter(as_botocore_reads("s3", "SelectObjectContent", reply)["Payload"])
        assert next(found) == {"Cont": {}}
        with pytest.raises(Exception, match=r"SlowDown.*later"):
            next(found)

    def test_a_reader_that_leaves_ends_the_events(self) -> None:
        ended: list[str] = []

        async def endless() -> AsyncIterator[dict[str, Any]]:
            try:
                while True:
                    yield {"Cont": {}}
            finally:
                ended.append("yes")

        async def read_one() -> None:
            reply = codec_of("s3").encode("SelectObjectContent", {"Payload": endless()}, "R")
            assert not isinstance(reply.body, bytes)
            await anext(reply.body)
            await reply.body.aclose()  # type: ignore[attr-defined]

        asyncio.run(read_one())
        assert ended == ["yes"]


SPEECH: dict[str, Any] = {
    "metadata": {
        "protocol": "json",
        "apiVersion": "1",
        "endpointPrefix": "speech",
        "targetPrefix": "Speech",
        "jsonVersion": "1.1",
    },
    "operations": {
        "Speak": {
            "name": "Speak",
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": "SpeakInput"},
        }
    },
    "shapes": {
        "SpeakInput": {
            "type": "structure",
            "members": {"Language": {"shape": "Text"}, "Audio": {"shape": "AudioStream"}},
        },
        "AudioStream": {
            "type": "structure",
            "eventstream": True,
            "members": {
                "Chunk": {"shape": "Chunk"},
                "Note": {"shape": "Note"},
                "Mark": {"shape": "Mark"},
                "Said": {"shape": "Said"},
            },
        },
        "Chunk": {
            "type": "structure",
            "event": True,
            "members": {
                "Sound": {"shape": "Bytes", "eventpayload": True},
                "At": {"shape": "Moment", "eventheader": True},
                "Last": {"shape": "Truth", "eventheader": True},
            },
        },
        "Note": {
            "type": "structure",
            "event": True,
            "members": {"Words": {"shape": "Text"}, "When": {"shape": "Moment"}},
        },
        "Mark": {"type": "structure", "event": True, "members": {}},
        "Said": {
            "type": "structure",
            "event": True,
            "members": {"Words": {"shape": "Text", "eventpayload": True}},
        },
        "Text": {"type": "string"},
        "Bytes": {"type": "blob"},
        "Truth": {"type": "boolean"},
        "Moment": {"type": "timestamp"},
    },
}


def speech(protocol: str = "json") -> ServiceModel:
    raw = SPEECH | {"metadata": SPEECH["metadata"] | {"protocol": protocol}}
    return ServiceModel("speech", raw, {}, Settings())


class _Stream:
    """A request's stream that comes in pieces."""

    length = None

    def __init__(self, data: bytes, step: int) -> None:
        self._pieces = [data[at : at + step] for at in range(0, len(data), step)]

    async def read(self, limit: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def message(kind: str, payload: bytes = b"", **headers: Any) -> bytes:
    return encoded(Message({":message-type": "event", ":event-type": kind, **headers}, payload))


def spoken(data: bytes, step: int = 7, protocol: str = "json") -> tuple[dict[str, Any], list[Any]]:
    """Return what an operation would read: members beside the stream, and the events."""
    request = HttpRequest("POST", "/", "", {}, b"")
    request.stream = _Stream(data, step)
    decoded = ServiceCodec(speech(protocol)).decode("Speak", request, {})

    async def read() -> tuple[dict[str, Any], list[Any]]:
        found = decoded["Audio"]
        assert isinstance(found, Events)
        return await found.initial(), [event async for event in found]

    return asyncio.run(read())


class TestRequests:
    def test_events_of_a_client_are_read_as_they_come(self) -> None:
        data = (
            message("initial-request", b'{"Language":"de"}')
            + message("Chunk", b"\x01\x02", At=Time(1_500), Last=True)
            + message("Note", b'{"Words":"hi","When":2}')
            + message("Mark")
            + message("Said", "é".encode())
            + message("Unknown", b"ignored")
        )
        assert spoken(data) == (
            {"Language": "de"},
            [
                {"Chunk": {"Sound": b"\x01\x02", "At": 1_500, "Last": True}},
                {"Note": {"Words": "hi", "When": 2_000}},
                {"Mark": {}},
                {"Said": {"Words": "é"}},
            ],
        )

    def test_a_stream_without_an_initial_request_loses_no_event(self) -> None:
        assert spoken(message("Mark") + message("Mark")) == ({}, [{"Mark": {}}, {"Mark": {}}])

    def test_rest_protocols_have_their_members_elsewhere(self) -> None:
        assert spoken(message("Mark"), protocol="rest-json") == ({}, [{"Mark": {}}])
        assert spoken(message("Note", b"<Note/>"), protocol="rest-xml") == ({}, [{"Note": {}}])

    @pytest.mark.parametrize(
        "data",
        [
            message("Mark")[:-1],
            message("Mark") + b"\0" * 12,
            message("Note", b"{"),
            message("Chunk", b"", At=5),
            message("Chunk", b"", Last="true"),
            message("Said", b"\xff"),
            encoded(Message({}, b"")),
        ],
    )
    def test_what_cannot_be_read_is_said_so(self, data: bytes) -> None:
        with pytest.raises(SerializationException):
            spoken(data)

    def test_an_error_of_the_client_ends_the_stream(self) -> None:
        told = {":message-type": "error", ":error-code": "Gone", ":error-message": "tired"}
        with pytest.raises(EventStreamError, match="Gone: tired"):
            spoken(message("Mark") + encoded(Message(told, b"")))

    @pytest.mark.parametrize("protocol", ["json", "xml", "cbor"])
    def test_what_is_written_in_each_protocol_is_read_again(self, protocol: str) -> None:
        model = speech()
        union = model.shape("AudioStream")
        bodies = {
            "json": JsonBodies(Documents(model)),
            "xml": XmlBodies(XmlDocuments(model)),
            "cbor": CborBodies(CborDocuments()),
        }[protocol]
        writer, reader = EventWriter(union, bodies), EventReader(union, bodies)
        for event in (
            {"Chunk": {"Sound": b"x", "At": 5, "Last": False}},
            {"Note": {"Words": "hi", "When": 1_000}},
            {"Said": {"Words": "é"}},
            {"Mark": {}},
        ):
            (found,) = fed(writer.event(event))
            assert reader.event(found) == event

    def test_a_broken_document_is_the_protocols_error(self) -> None:
        model = speech("rest-xml")
        reader = EventReader(model.shape("AudioStream"), XmlBodies(XmlDocuments(model)))
        (found,) = fed(message("Note", b"<Note><When>never</When></Note>"))
        with pytest.raises(MalformedXML):
            reader.event(found)
