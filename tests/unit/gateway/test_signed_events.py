"""Each event of a signed stream proves itself and its place; the signer here is written anew."""

from __future__ import annotations

import asyncio
import hmac
import struct
import zlib
from hashlib import sha256
from typing import Any

import pytest
from tests.http.h2client import H2Client
from tests.http.listening import listening, run
from tests.unit.gateway.stub import KEY_ID, REGION, SECRET, Gate, StreamOf, module_of

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.contract.service import Service
from fogbank.wire import sigv4
from fogbank.wire.eventstream import Message, encoded
from fogbank.wire.http import HttpRequest

PATH = "/bots/ABCDEFGHIJ/botAliases/ABCDEFGHIJ/botLocales/en_US/sessions/se/conversation"
NOW_S = 1_767_225_600
STAMP = "20260101T000000Z"
HEADERS = {
    "host": "localhost",
    "x-amz-date": STAMP,
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-EVENTS",
    "content-type": "application/vnd.amazon.eventstream",
}


def framed(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), sha256).digest()


class Signer:
    """Signs events as "Event stream encoding" of Amazon Transcribe says."""

    def __init__(self, seed: str) -> None:
        self.prior = bytes.fromhex(seed)

    def envelope(self, payload: bytes, second: int = 0) -> bytes:
        day, clock = "20260101", f"T{second // 3600:02}{second // 60 % 60:02}{second % 60:02}Z"
        date = b"\x05:date\x08" + struct.pack(">q", (NOW_S + second) * 1000)
        scope = f"{day}/{REGION}/lex/aws4_request"
        digests = f"{sha256(date).hexdigest()}\n{sha256(payload).hexdigest()}"
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{day}{clock}\n{scope}\n{self.prior.hex()}\n{digests}"
        key = f"AWS4{SECRET}".encode()
        for part in (day, REGION, "lex", "aws4_request"):
            key = mac(key, part)
        self.prior = mac(key, text)
        signature = b"\x10:chunk-signature\x06" + struct.pack(">H", 32) + self.prior
        return framed(date + signature, payload)


def said(text: str) -> bytes:
    headers = {":message-type": "event", ":event-type": "TextInputEvent"}
    return encoded(Message(headers, b'{"text":"%b"}' % text.encode()))


class Conversation(Gate):
    """A gateway with a Lex that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.ended = 0

        @operation()
        async def start_conversation(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            async for event in request["requestEventStream"]:
                self.heard.append(event["TextInputEvent"]["text"])
            self.ended += 1

            async def nothing() -> Any:
                return
                yield

            return {"responseEventStream": nothing()}

        module = module_of("lex", start_conversation=start_conversation)
        super().__init__(services=[Service(model="lexv2-runtime", operations=(module,))])

    def request(self) -> tuple[HttpRequest, Signer]:  # type: ignore[override]
        request = HttpRequest("POST", PATH, "", dict(HEADERS), peer="10.1.2.3")
        sigv4.sign(
            request,
            access_key_id=KEY_ID,
            secret=SECRET,
            region=REGION,
            service="lex",
            timestamp=STAMP,
            payload_hash=HEADERS["x-amz-content-sha256"],
        )
        return request, Signer(request.headers["authorization"].rpartition("Signature=")[2])


def told(gate: Conversation, request: HttpRequest, body: bytes) -> int:
    request.stream = StreamOf(body, piece=7)
    request.stream.length = None
    return asyncio.run(gate.dispatcher.handle(request)).status


def test_signed_events_are_heard_in_their_order() -> None:
    gate = Conversation()
    request, signer = gate.request()
    body = b"".join(signer.envelope(said(text)) for text in "abc") + signer.envelope(b"", 60)
    assert told(gate, request, body) == 200
    assert (gate.heard, gate.ended) == (["a", "b", "c"], 1)


def spoiled(what: str, signer: Signer) -> bytes:
    first, second, last = (signer.envelope(each) for each in (said("a"), said("b"), b""))
    match what:
        case "left out":
            return first + last
        case "repeated":
            return first + first + second + last
        case "changed places":
            return second + first + last
        case "cut off":
            return first + second
        case "added behind the end":
            return first + second + last + signer.envelope(said("c"))
        case "unsigned":
            return first + said("b") + last
        case "changed":
            at = second.index(b'"b"')
            headers = second[12 : 12 + struct.unpack(">I", second[4:8])[0]]
            payload = second[12 + len(headers) : -4]
            assert at
            return first + framed(headers, payload.replace(b'"b"', b'"x"')) + last
        case _:
            return Signer("0" * 64).envelope(said("a")) + last


@pytest.mark.parametrize(
    ("what", "heard"),
    [
        ("left out", 1),
        ("repeated", 1),
        ("changed places", 0),
        ("cut off", 2),
        ("added behind the end", 2),
        ("unsigned", 1),
        ("changed", 1),
        ("of another seed", 0),
    ],
)
def test_no_event_is_taken_that_was_not_signed_in_its_place(what: str, heard: int) -> None:
    gate = Conversation()
    request, signer = gate.request()
    status = told(gate, request, spoiled(what, signer))
    assert 400 <= status < 500
    assert (gate.heard, gate.ended) == (["a", "b"][:heard], 0)


def test_an_event_of_another_time_is_refused() -> None:
    gate = Conversation()
    request, signer = gate.request()
    late = signer.envelope(said("a"), 3_600)
    assert told(gate, request, late + signer.envelope(b"")) == 403
    assert not gate.heard


def test_the_head_is_checked_before_any_event() -> None:
    gate = Conversation()
    request, signer = gate.request()
    request.headers["x-amz-date"] = "20260101T000001Z"
    assert told(gate, request, signer.envelope(said("a")) + signer.envelope(b"")) == 403
    assert not gate.heard


def test_signed_events_come_over_http_2() -> None:
    gate = Conversation()

    async def work() -> None:
        async with listening(gate.dispatcher.handle) as house:
            request, signer = gate.request()
            client = await H2Client.connect(house)
            fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", PATH),
                *((name, value) for name, value in request.headers.items() if name != "host"),
            ]
            number = client.fields(fields, end=False)
            for envelope in (said("a"), said("b"), b""):
                client.h2.send_data(number, signer.envelope(envelope), end_stream=not envelope)
                client.flush()
            assert (await client.reply(number)).status == 200
        assert (gate.heard, gate.ended) == (["a", "b"], 1)

    run(work())
