"""Streams of events, typed by the model: what an operation yields as frames, and frames as events.

Rule: an event is a dict with one member of the stream's union, ``{"Records": {"Payload": b".."}}``.
Members marked ``eventheader`` are headers of its message, the one marked ``eventpayload`` is the
payload, and without one the rest is a document in the operation's protocol. An error that ends a
stream is an event too: ``exception`` if the union has it, ``error`` if not. In RPC protocols the
members beside the stream go ahead in an ``initial-response`` or ``initial-request``.

Source: Smithy, "Event streams" and "Amazon Event Stream Specification"; Amazon S3 API Reference,
"SelectObjectContent" (content types).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, cast

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.plan import Decode, Encode, Headers, without_nones
from fogbank.wire.errors import EventStreamError, SerializationException
from fogbank.wire.eventstream import BrokenFrame, Frames, Message, Time, Value, encoded
from fogbank.wire.http import BodyStream, HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, Ref, Shape
from fogbank.wire.timestamps import ms_of_datetime

MEDIA_TYPE: Final = "application/vnd.amazon.eventstream"
READ_BYTES_MAX: Final = 64 << 10
"""How much of a request's stream is read at once."""
_INITIAL_RESPONSE: Final = "initial-response"
_INITIAL_REQUEST: Final = "initial-request"


class Bodies(Protocol):
    """Documents of events in one protocol."""

    media_type: str

    def dump(self, shape: Shape, value: Mapping[str, Any]) -> bytes:
        """Return the document of a structure."""
        ...

    def load(self, shape: Shape, body: bytes) -> dict[str, Any]:
        """Return the structure of a document.

        Raises:
            WireError: It is none.
        """
        ...


def _payload_member(shape: Shape) -> Ref | None:
    """Return the member that is an event's whole payload, or None."""
    return next((ref for ref in shape.members.values() if ref.raw.get("eventpayload")), None)


class EventWriter:
    """Writes the events of one stream.

    Args:
        union: The stream's shape.
        bodies: The documents of the operation's protocol.
    """

    def __init__(self, union: Shape, bodies: Bodies) -> None:
        self._union = union
        self._bodies = bodies

    def event(self, event: Mapping[str, Any]) -> bytes:
        """Return the frame of an event."""
        (name,) = event
        shape = self._union.members[name].shape
        headers: dict[str, Value] = {":message-type": "event", ":event-type": name}
        return self._frame(headers, shape, event[name])

    def initial(self, shape: Shape, members: Mapping[str, Any]) -> bytes:
        """Return the frame of the members beside the stream."""
        payload = self._bodies.dump(shape, members)
        headers = {
            ":message-type": "event",
            ":event-type": _INITIAL_RESPONSE,
            ":content-type": self._bodies.media_type,
        }
        return encoded(Message(headers, payload))

    def error(self, error: ServiceError) -> bytes:
        """Return the frame of the error that ends a stream."""
        for name, ref in self._union.members.items():
            declared = ref.shape.raw.get("error", {}).get("code", name)
            if ref.shape.is_error and error.code in {name, declared, ref.shape.name}:
                headers: dict[str, Value] = {":message-type": "exception", ":exception-type": name}
                members = {n: v for n, v in error.members.items() if n in ref.shape.members}
                key = next((n for n in ref.shape.members if n.lower() == "message"), None)
                if key:
                    members[key] = error.message
                return self._frame(headers, ref.shape, members)
        headers = {
            ":message-type": "error",
            ":error-code": error.code,
            ":error-message": error.message,
        }
        return encoded(Message(headers, b""))

    def _frame(self, headers: dict[str, Value], shape: Shape, value: Mapping[str, Any]) -> bytes:
        value = without_nones(value)
        assert value.keys() <= shape.members.keys(), f"{shape}: not in the model: {value.keys()}"
        payload_ref = _payload_member(shape)
        rest: dict[str, Any] = {}
        for name, item in value.items():
            ref = shape.members[name]
            if ref.raw.get("eventheader"):
                headers[name] = _header(ref.shape, item)
            elif payload_ref is None or name != payload_ref.name:
                rest[name] = item
        if payload_ref is None:
            payload = self._document(headers, shape, rest)
        else:
            payload = self._payload(headers, payload_ref, value.get(payload_ref.name))
        return encoded(Message(headers, payload))

    def _document(self, headers: dict[str, Value], shape: Shape, value: Mapping[str, Any]) -> bytes:
        if all(ref.raw.get("eventheader") for ref in shape.members.values()):
            return b""
        headers[":content-type"] = self._bodies.media_type
        return self._bodies.dump(shape, value)

    def _payload(self, headers: dict[str, Value], ref: Ref, value: Any) -> bytes:
        if ref.shape.type == "blob":
            headers[":content-type"] = "application/octet-stream"
            return bytes(value or b"")
        if ref.shape.type == "string":
            headers[":content-type"] = "text/plain"
            return (value or "").encode()
        return self._document(headers, ref.shape, value or {})

    async def frames(
        self, events: AsyncIterator[Mapping[str, Any]], initial: bytes = b""
    ) -> AsyncIterator[bytes]:
        """Yield the frames of events as they are made; an error of the service ends them."""
        try:
            if initial:
                yield initial
            async for event in events:
                yield self.event(event)
        except ServiceError as error:
            yield self.error(error)
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()


def _header(shape: Shape, value: Any) -> Value:
    """Return the value of a header by its member's type."""
    if shape.type == "timestamp":
        return Time(ms_of_datetime(value) if isinstance(value, datetime) else value)
    return cast("Value", value)


_KINDS: Final[Mapping[str, type]] = {
    "timestamp": Time,
    "string": str,
    "blob": bytes,
    "boolean": bool,
    "integer": int,
    "long": int,
}


class EventReader:
    """Reads the events of one stream."""

    def __init__(self, union: Shape, bodies: Bodies) -> None:
        self._union = union
        self._bodies = bodies

    def event(self, message: Message) -> dict[str, Any] | None:
        """Return the event of a message, or None for one that the model does not know.

        Raises:
            ServiceError: The message is an error, or cannot be read.
        """
        headers = message.headers
        kind = headers.get(":message-type")
        if kind == "error":
            code, text = headers.get(":error-code", ""), headers.get(":error-message", "")
            raise EventStreamError(f"{code}: {text}")
        name = str(headers.get(":exception-type" if kind == "exception" else ":event-type", ""))
        ref = self._union.members.get(name)
        if kind not in {"event", "exception"}:
            raise SerializationException("An event without a type")
        if ref is None:
            return None
        return {name: self._members(ref.shape, message)}

    def initial(self, shape: Shape, message: Message) -> dict[str, Any] | None:
        """Return the members of an ``initial-request``, or None if the message is another."""
        if message.headers.get(":event-type") != _INITIAL_REQUEST:
            return None
        return self._bodies.load(shape, message.payload)

    def _members(self, shape: Shape, message: Message) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, ref in shape.members.items():
            if ref.raw.get("eventheader") and name in message.headers:
                out[name] = _checked(ref.shape, message.headers[name])
        payload = _payload_member(shape)
        if payload is None:
            if any(not ref.raw.get("eventheader") for ref in shape.members.values()):
                out |= self._bodies.load(shape, message.payload)
        elif payload.shape.type == "blob":
            out[payload.name] = message.payload
        elif payload.shape.type == "string":
            out[payload.name] = _text(message.payload)
        else:
            out[payload.name] = self._bodies.load(payload.shape, message.payload)
        return out


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise SerializationException("An event's payload is not UTF-8") from None


def _checked(shape: Shape, value: Value) -> Any:
    if type(value) is not _KINDS.get(shape.type):
        raise SerializationException(f"A header of an event is not of type {shape.type}")
    return int(value) if isinstance(value, Time) else value


def events_encoder(operation: OperationModel, bodies: Bodies, *extra: tuple[str, str]) -> Encode:
    """Return the encoder of an RPC operation whose answer is a stream of events.

    Args:
        operation: The operation.
        bodies: The documents of its protocol.
        extra: Headers that the protocol adds.
    """
    shape, member = operation.output, operation.event_stream_output
    assert shape is not None, "a stream is a member of an output"
    assert member is not None, "only for operations that answer a stream"
    writer = EventWriter(shape.members[member].shape, bodies)
    names = frozenset(shape.members)

    def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
        assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
        beside = {n: v for n, v in reply.items() if n != member and v is not None}
        headers = [*extra, ("content-type", MEDIA_TYPE), ("x-amzn-RequestId", request_id)]
        body = writer.frames(reply[member], writer.initial(shape, beside))
        return HttpReply(200, headers, body)

    return encode


def events_decoder(operation: OperationModel, bodies: Bodies) -> Decode:
    """Return the decoder of an RPC operation whose request is a stream of events.

    The members beside the stream come with its first message: ``await events.initial()``.
    """
    shape, member = operation.input, operation.event_stream_input
    assert shape is not None, "a stream is a member of an input"
    assert member is not None, "only for operations that take a stream"
    reader = EventReader(shape.members[member].shape, bodies)

    def decode(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
        del path_params
        return {member: Events(request, reader, shape)}

    return decode


def events_writer(
    shape: Shape, member: str, bodies: Bodies
) -> Callable[[Mapping[str, Any], Headers], AsyncIterator[bytes]]:
    """Return what makes the body of a REST operation's answer; other members are headers."""
    writer = EventWriter(shape.members[member].shape, bodies)

    def write(reply: Mapping[str, Any], headers: Headers) -> AsyncIterator[bytes]:
        # A Content-Type that the model binds (Lambda's InvokeWithResponseStream) is the frames'.
        headers[:] = [each for each in headers if each[0].lower() != "content-type"]
        headers.append(("content-type", MEDIA_TYPE))
        return writer.frames(reply[member])

    return write


def events_reader(
    shape: Shape, member: str, bodies: Bodies
) -> Callable[[HttpRequest, dict[str, Any]], bool]:
    """Return what takes the body of a REST operation's request as a stream of events."""
    reader = EventReader(shape.members[member].shape, bodies)

    def read(request: HttpRequest, out: dict[str, Any]) -> bool:
        out[member] = Events(request, reader, shape)
        return False

    return read


class Events:
    """The events that a client sends: an asynchronous iterator over the request's stream.

    Args:
        request: Its body or stream.
        reader: Reads messages.
        shape: The operation's input.
    """

    def __init__(self, request: HttpRequest, reader: EventReader, shape: Shape) -> None:
        self._stream: BodyStream | None = request.stream
        self._first = request.body
        self._reader = reader
        self._shape = shape
        self._frames = Frames()
        self._waiting: Iterator[Message] = iter(())
        self._held: Message | None = None

    async def initial(self) -> dict[str, Any]:
        """Return the members beside the stream, which RPC protocols send ahead; maybe none.

        Raises:
            ServiceError: The stream cannot be read.
        """
        message = await self._next()
        found = self._reader.initial(self._shape, message) if message else None
        if found is None:
            self._held = message
        return found or {}

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._events()

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        while (message := await self._next()) is not None:
            event = self._reader.event(message)
            if event is not None:
                yield event

    async def _next(self) -> Message | None:
        """Return the next message, or None at the end of the stream."""
        held, self._held = self._held, None
        if held is not None:
            return held
        try:
            while True:
                found = next(self._waiting, None)
                if found is not None:
                    return found
                data = await self._read()
                if not data:
                    if not self._frames.is_between:
                        raise SerializationException("The stream ends in the middle of an event")
                    return None
                self._waiting = self._frames.feed(data)
        except BrokenFrame as error:
            raise SerializationException(f"The stream cannot be read: {error}") from None

    async def _read(self) -> bytes:
        first, self._first = self._first, b""
        if first or self._stream is None:
            return first
        return await self._stream.read(READ_BYTES_MAX)
