"""The rpc-v2-cbor protocol: one CBOR map each way, at ``/service/NAME/operation/NAME``.

Rule: the tree is read whole by ``wire.cbor``, which bounds it, and then walked by the shapes;
members go by their own names, whatever names other protocols give them. A value of another type
than the model's is refused in the same words as in JSON. Answers are canonical.

Source: Smithy, "RPC v2 CBOR protocol" and "AWS query compatible".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from fogbank.base.errors import ServiceError
from fogbank.wire import cbor
from fogbank.wire.codec.eventstream import events_decoder, events_encoder
from fogbank.wire.codec.plan import (
    Decode,
    Encode,
    Headers,
    query_compatible,
    told_of,
    without_nones,
)
from fogbank.wire.errors import SerializationException, UnsupportedMediaType
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, ServiceModel, Shape
from fogbank.wire.timestamps import ms_of_datetime, ms_of_seconds
from fogbank.wire.validate import Validator

MEDIA_TYPE = "application/cbor"
PROTOCOL_HEADER = ("smithy-protocol", "rpc-v2-cbor")

Read = Callable[[Any], Any]
Write = Callable[[Any], bytes]

_KINDS: Mapping[str, type] = {"string": str, "boolean": bool, "blob": bytes}
_WORDS = {"string": "String", "boolean": "Boolean", "blob": "ByteBuffer", "timestamp": "Date"}
_INT64_MAX = 2**63 - 1


def _refusal(shape: Shape) -> SerializationException:
    word = _WORDS.get(shape.type, shape.type.capitalize())
    return SerializationException(f"Unexpected value type for {shape.name}: {word} expected")


class CborDocuments:
    """CBOR maps of one service's shapes, both ways."""

    def __init__(self) -> None:
        self._readers: dict[str, Read] = {}
        self._writers: dict[str, Write] = {}

    # Reading

    def reader(self, shape: Shape) -> Read:
        """Return what turns a data item into a value of a shape.

        It raises SerializationException for a value of another type.
        """
        found = self._readers.get(shape.name)
        if found is None:
            # Recursive shapes find themselves through the table when they run.
            self._readers[shape.name] = lambda value: self._readers[shape.name](value)
            found = self._readers[shape.name] = self._reader_of(shape)
        return found

    def _reader_of(self, shape: Shape) -> Read:
        if shape.is_document:
            return _document
        if shape.type == "structure":
            return self._structure_reader(shape)
        if shape.type == "list":
            return self._list_reader(shape)
        if shape.type == "map":
            return self._map_reader(shape)
        return _scalar_reader(shape)

    def _structure_reader(self, shape: Shape) -> Read:
        table = {name: ref.shape for name, ref in shape.members.items()}
        for inner in table.values():
            self.reader(inner)
        readers = self._readers

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _refusal(shape)
            out: dict[str, Any] = {}
            for name, item in cast("dict[str, Any]", value).items():
                inner = table.get(name)
                if inner is not None and item is not None:
                    out[name] = readers[inner.name](item)
            return out

        return read

    def _list_reader(self, shape: Shape) -> Read:
        inner = self.reader(shape.member.shape)

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise _refusal(shape)
            items = cast("list[Any]", value)
            return [None if item is None else inner(item) for item in items]

        return read

    def _map_reader(self, shape: Shape) -> Read:
        inner = self.reader(shape.value.shape)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _refusal(shape)
            entries = cast("dict[str, Any]", value)
            return {key: None if item is None else inner(item) for key, item in entries.items()}

        return read

    # Writing

    def writer(self, shape: Shape) -> Write:
        """Return what turns a value of a shape into a data item."""
        found = self._writers.get(shape.name)
        if found is None:
            self._writers[shape.name] = lambda value: self._writers[shape.name](value)
            found = self._writers[shape.name] = self._writer_of(shape)
        return found

    def _writer_of(self, shape: Shape) -> Write:
        if shape.is_document:
            return cbor.dumps
        if shape.type == "structure":
            return self._structure_writer(shape)
        if shape.type == "list":
            inner = self.writer(shape.member.shape)
            return lambda value: (
                cbor.array_head(len(value))
                + b"".join(cbor.NULL if item is None else inner(item) for item in value)
            )
        if shape.type == "map":
            return self._map_writer(shape)
        return _SCALARS[shape.type]

    def _structure_writer(self, shape: Shape) -> Write:
        table = sorted((cbor.text(name), name, ref) for name, ref in shape.members.items())
        entries = [(key, name, self.writer(ref.shape)) for key, name, ref in table]

        def write(value: Mapping[str, Any]) -> bytes:
            parts: list[bytes] = []
            for key, name, inner in entries:
                item = value.get(name)
                if item is not None:
                    parts.append(key)
                    parts.append(inner(item))
            return cbor.map_head(len(parts) // 2) + b"".join(parts)

        return write

    def _map_writer(self, shape: Shape) -> Write:
        inner = self.writer(shape.value.shape)

        def write(value: Mapping[str, Any]) -> bytes:
            parts = sorted(
                (cbor.text(key), cbor.NULL if item is None else inner(item))
                for key, item in value.items()
            )
            return cbor.map_head(len(parts)) + b"".join(key + item for key, item in parts)

        return write


def _document(value: Any) -> Any:
    if type(value) is cbor.Epoch:
        return value.seconds
    if type(value) is list:
        return [_document(item) for item in cast("list[Any]", value)]
    if type(value) is dict:
        return {key: _document(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _scalar_reader(shape: Shape) -> Read:
    kind = _KINDS.get(shape.type)
    if kind is not None:

        def read(value: Any) -> Any:
            if type(value) is not kind:
                raise _refusal(shape)
            return value

        return read
    if shape.type == "timestamp":
        return lambda value: _moment(shape, value)
    if shape.type in {"integer", "long"}:
        return lambda value: _whole(shape, value)
    return lambda value: _real(shape, value)


def _moment(shape: Shape, value: Any) -> int:
    if type(value) is not cbor.Epoch:
        raise _refusal(shape)
    try:
        return ms_of_seconds(value.seconds)
    except ValueError:
        raise _refusal(shape) from None


def _whole(shape: Shape, value: Any) -> int:
    if type(value) is float and math.isfinite(value) and value.is_integer():
        value = int(value)
    if type(value) is not int or not -_INT64_MAX - 1 <= value <= _INT64_MAX:
        raise _refusal(shape)
    return value


def _real(shape: Shape, value: Any) -> float:
    if type(value) is not int and type(value) is not float:
        raise _refusal(shape)
    return float(value)


def _epoch(value: int | datetime) -> bytes:
    return cbor.epoch(ms_of_datetime(value) if isinstance(value, datetime) else value)


_SCALARS: Mapping[str, Write] = {
    "string": cbor.text,
    "boolean": cbor.truth,
    "blob": cbor.blob,
    "integer": cbor.whole,
    "long": cbor.whole,
    "float": cbor.real,
    "double": cbor.real,
    "timestamp": _epoch,
}


class CborBodies:
    """CBOR documents of events."""

    media_type = MEDIA_TYPE

    def __init__(self, documents: CborDocuments) -> None:
        self._documents = documents

    def dump(self, shape: Shape, value: Mapping[str, Any]) -> bytes:
        """Return the document of a structure."""
        return self._documents.writer(shape)(value)

    def load(self, shape: Shape, body: bytes) -> dict[str, Any]:
        """Return the structure of a document.

        Raises:
            SerializationException: It is none.
        """
        return self._documents.reader(shape)(_item(body)) if body else {}


class CborCodec:
    """The codec of a service that speaks rpc-v2-cbor."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._settings = service.settings
        self._documents = CborDocuments()
        self._validator = Validator(service.settings, "ValidationException")

    def decoder(self, operation: OperationModel) -> Decode:
        """Return the decoder of an operation's requests."""
        if operation.event_stream_input:
            return events_decoder(operation, CborBodies(self._documents))
        shape = operation.input
        read = self._documents.reader(shape) if shape else None
        check = self._validator.check_of(shape) if shape else None

        def decode(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            del path_params
            value: dict[str, Any] = {}
            if read is not None and request.body:
                value = read(_parsed(request))
            if check is not None and not check(value):
                refused = self._validator.refusal(operation, value)
                if refused is not None:
                    raise refused
            return value

        return decode

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the encoder of an operation's replies."""
        if operation.event_stream_output:
            return events_encoder(operation, CborBodies(self._documents), PROTOCOL_HEADER)
        shape = operation.output
        write = self._documents.writer(shape) if shape else None
        names = frozenset(shape.members if shape else ())

        def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
            assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
            body = write(without_nones(reply)) if write else b""
            return _reply(200, body, request_id)

        return encode

    def encode_error(
        self,
        operation: OperationModel | None,
        error: ServiceError,
        request_id: str,
    ) -> HttpReply:
        """Return the HTTP reply that tells an error: ``__type``, message, modelled members."""
        told = told_of(self._service, operation, error)
        name, found = told.name, told.found
        namespace = self._settings.error_namespace
        members: dict[bytes, bytes] = {}
        key = self._settings.message_keys.get(told.code, "message")
        for member, ref in found.shape.members.items() if found else ():
            if member.lower() == "message":
                key = member
            elif error.members.get(member) is not None:
                inside = self._documents.writer(ref.shape)(error.members[member])
                members[cbor.text(member)] = inside
        members[cbor.text("__type")] = cbor.text(f"{namespace}#{name}" if namespace else name)
        members[cbor.text(key)] = cbor.text(error.message)
        body = cbor.map_head(len(members)) + b"".join(k + members[k] for k in sorted(members))
        reply = _reply(told.status, body, request_id)
        reply.headers.extend(query_compatible(self._service, told))
        return reply


def _parsed(request: HttpRequest) -> Any:
    """Return the data item of a body.

    Raises:
        UnsupportedMediaType: The body is said to be something else.
        SerializationException: It is no data item.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise UnsupportedMediaType(f"The request's body must be {MEDIA_TYPE}")
    return _item(request.body)


def _item(body: bytes) -> Any:
    try:
        return cbor.loads(body)
    except cbor.Unreadable as error:
        raise SerializationException(f"The body is not CBOR: {error}") from None


def _reply(status: int, body: bytes, request_id: str) -> HttpReply:
    headers: Headers = [PROTOCOL_HEADER, ("x-amzn-RequestId", request_id)]
    if body:
        headers.insert(0, ("content-type", MEDIA_TYPE))
    return HttpReply(status, headers, body)
