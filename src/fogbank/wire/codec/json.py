"""The JSON protocols (``awsJson1.0`` and ``1.1``), and JSON documents for rest-json.

Rule: a body is read once by orjson, and what it gives is used in place; the compiled decoder of a
shape only checks types, drops unknown members and nulls, and turns base64 and timestamps into
bytes and milliseconds. What is not plainly right is read again by ``coerce.Law``, which accepts
it or says in AWS's words what is wrong. Encoders touch only shapes that hold timestamps, floats
or renamed members; everything else goes to orjson as it is, and bytes become base64 in its hook.

Source: Smithy, "AWS JSON 1.0 protocol"; for DynamoDB's namespaces dynalite's tests.
"""

from __future__ import annotations

import math
from binascii import b2a_base64
from collections.abc import Callable, Generator, Mapping
from typing import Any, cast
from zlib import crc32

import orjson

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.eventstream import events_decoder, events_encoder
from fogbank.wire.codec.plan import (
    Decode,
    Encode,
    EncodeSteps,
    Told,
    query_compatible,
    told_of,
    without_nones,
)
from fogbank.wire.coerce import DEPTH_MAX, RUNTIME, Law, Malformed
from fogbank.wire.errors import SerializationException
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, Ref, ServiceModel, Shape
from fogbank.wire.source import Functions, Source
from fogbank.wire.timestamps import epoch_seconds, http_date, iso_seconds
from fogbank.wire.validate import Validator

NODES_MAX = 2_000_000
"""Commas and opening brackets of one body: its values, about 100 bytes of memory each."""
PIECE_BYTES = 128 << 10
"""What of a long reply is written in one step: a fraction of a millisecond."""
PIECE_GROWTH = 4
"""So many times as many members as the last piece has a piece at most: they may be longer."""
_PLAIN_BYTES_MAX = 1 << 20
"""Below this no body can hold so many."""
_STRUCTURE = (b",", b"[", b"{")
_CHECKED = {"string": "str", "integer": "int", "long": "int", "boolean": "bool"}
"""Types that orjson gives as they are: one comparison is the whole decoder."""
_CONVERTED = {"blob": "blob", "timestamp": "moment", "float": "number", "double": "number"}


def _base64_of(value: Any) -> str:
    """Return base64 for what orjson cannot write by itself: bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        return b2a_base64(cast("bytes", value), newline=False).decode("ascii")
    raise TypeError(f"no JSON for {type(value).__name__}: timestamps are ints of milliseconds")


def dumps(value: Any) -> bytes:
    """Return JSON; bytes become base64."""
    return orjson.dumps(value, _base64_of, orjson.OPT_PASSTHROUGH_DATETIME)


def _float_out(value: float) -> float | str:
    """Return a number, or the text that stands for one that JSON does not have."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _kept_in_place(shape: Shape) -> bool:
    """Return whether decoding a structure changes the dictionary it was given."""
    return (
        shape.type == "structure"
        and not shape.is_document
        and all(ref.wire_name == name for name, ref in shape.members.items())
        and shape.recursive
    )


class Documents:
    """JSON documents of one service's shapes, both ways."""

    def __init__(self, service: ServiceModel, timestamp: str = "unixTimestamp") -> None:
        self._timestamp = timestamp
        namespace = service.settings.error_namespace or f"com.amazonaws.{service.name}"
        self.law = Law(namespace)
        runtime = RUNTIME | {"DEPTH_MAX": DEPTH_MAX}
        self._decoders = Functions("d", runtime, self._write_decoder)
        encoding: dict[str, Any] = {
            "iso8601": iso_seconds,
            "rfc822": http_date,
            "unixTimestamp": epoch_seconds,
            "real": _float_out,
        }
        self._encoders = Functions("e", encoding, self._write_encoder)
        self._touched: dict[str, bool] = {}

    def decoder(self, shape: Shape) -> Callable[[Any, int], dict[str, Any]]:
        """Return the compiled decoder of a structure; it raises Malformed."""
        return self._decoders.get(shape)

    def body_decoder(self, shape: Shape) -> Callable[[Any, int], dict[str, Any]]:
        """Return the decoder of an input's members that lie in the body."""
        return self._decoders.get(shape, "body")

    def encoder(self, shape: Shape) -> Callable[[Mapping[str, Any]], Any] | None:
        """Return what turns a structure into what orjson writes, or None if nothing must be."""
        return self._encoders.get(shape) if self._is_touched(shape) else None

    # Decoding

    def _write_decoder(self, source: Source, shape: Shape, name: str) -> None:
        body = name.startswith("body_")
        if _kept_in_place(shape) and not body:
            self._write_in_place(source, shape, name)
            return
        with source.block(f"def {name}(v, n)"):
            source.line("if type(v) is not dict or n > DEPTH_MAX: raise Malformed")
            source.lines("n += 1", "out = {}")
            inside = {
                member: ref for member, ref in shape.members.items() if not (body and ref.location)
            }
            needed = [member for member in inside if member in shape.required]
            others = [member for member in inside if member not in shape.required]
            for member in needed:
                self._write_member(source, member, inside[member])
            if needed and len(others) > 1:
                # Most requests have few of many members: nothing is looked for that cannot be there.
                source.line("if len(out) == len(v): return out")
            for member in others:
                self._write_member(source, member, inside[member])
            source.line("return out")

    def _write_member(self, source: Source, member: str, ref: Ref) -> None:
        """Write the decoding of a member, if it is there."""
        source.line(f"x = v.get({ref.wire_name!r})")
        with source.block("if x is not None"):
            self._write_value(source, ref, "x")
            source.line(f"out[{member!r}] = x")

    def _write_in_place(self, source: Source, shape: Shape, name: str) -> None:
        """Write a decoder that keeps the dictionary it was given.

        Trees of one small shape (DynamoDB's AttributeValue) have one member per node: looking at
        what is there costs a tenth of looking for what might be. Unknown members and nulls are
        left to the law.
        """
        with source.block(f"def {name}(v, n)"):
            source.line("if type(v) is not dict or n > DEPTH_MAX: raise Malformed")
            source.line("n += 1")
            with source.block("for k, x in v.items()"):
                word = "if"
                for member, ref in shape.members.items():
                    with source.block(f"{word} k == {member!r}"):
                        self._write_value(source, ref, "x")
                        if not self._is_checked_only(ref.shape):
                            source.line("v[k] = x")
                    word = "elif"
                with source.block("else"):
                    source.line("raise Malformed")
            source.line("return v")

    @staticmethod
    def _is_checked_only(shape: Shape) -> bool:
        """Return whether decoding leaves a value as it is, or changes only inside of it."""
        inner = shape.member.shape if shape.type == "list" else shape
        return shape.type == "map" or inner.type in _CHECKED or _kept_in_place(inner)

    def _write_value(self, source: Source, ref: Ref, var: str) -> None:
        """Write the decoding of a value in a variable."""
        shape = ref.shape
        if shape.is_document:
            source.line(f"{var} = document({var})")
        elif shape.type in _CHECKED:
            source.line(f"if type({var}) is not {_CHECKED[shape.type]}: raise Malformed")
        elif shape.type in _CONVERTED:
            source.line(f"{var} = {_CONVERTED[shape.type]}({var})")
        elif shape.type == "structure":
            source.line(f"{var} = {self._decoders.name(shape)}({var}, n)")
        elif shape.type == "list":
            self._write_list(source, shape.member, var)
        else:
            self._write_map(source, shape.value, var)

    def _write_list(self, source: Source, inner: Ref, var: str) -> None:
        source.line(f"if type({var}) is not list: raise Malformed")
        item = source.fresh("y")
        shape = inner.shape
        if shape.type in _CHECKED:
            with source.block(f"for {item} in {var}"):
                self._write_value(source, inner, item)
        elif _kept_in_place(shape):
            source.line(f"for {item} in {var}: {self._decoders.name(shape)}({item}, n)")
        elif shape.type == "structure" and not shape.is_document:
            call = f"{self._decoders.name(shape)}({item}, n)"
            source.line(f"{var} = [{call} for {item} in {var}]")
        elif shape.type in _CONVERTED:
            source.line(f"{var} = [{_CONVERTED[shape.type]}({item}) for {item} in {var}]")
        else:
            out = source.fresh("z")
            source.line(f"{out} = []")
            with source.block(f"for {item} in {var}"):
                self._write_value(source, inner, item)
                source.line(f"{out}.append({item})")
            source.line(f"{var} = {out}")

    def _write_map(self, source: Source, inner: Ref, var: str) -> None:
        source.line(f"if type({var}) is not dict: raise Malformed")
        key, item = source.fresh("k"), source.fresh("y")
        if inner.shape.type in _CHECKED:
            with source.block(f"for {item} in {var}.values()"):
                self._write_value(source, inner, item)
        elif _kept_in_place(inner.shape):
            call = f"{self._decoders.name(inner.shape)}({item}, n)"
            source.line(f"for {item} in {var}.values(): {call}")
        else:
            with source.block(f"for {key}, {item} in {var}.items()"):
                self._write_value(source, inner, item)
                source.line(f"{var}[{key}] = {item}")

    # Encoding

    def _is_touched(self, shape: Shape) -> bool:
        """Return whether a value must be rewritten before orjson writes it."""
        found = self._touched.get(shape.name)
        if found is None:
            service = shape.service
            beneath = [shape, *(service.shape(name) for name in shape.reachable)]
            found = any(
                each.type in {"timestamp", "float", "double"}
                or any(ref.wire_name != name for name, ref in each.members.items())
                for each in beneath
            )
            self._touched[shape.name] = found
        return found

    def _write_encoder(self, source: Source, shape: Shape, name: str) -> None:
        with source.block(f"def {name}(v)"):
            source.line("out = dict(v)")
            for member, ref in shape.members.items():
                renamed = ref.wire_name != member
                if not renamed and not self._is_touched(ref.shape):
                    continue
                source.line(f"x = out.get({member!r})")
                with source.block("if x is not None"):
                    if renamed:
                        source.line(f"del out[{member!r}]")
                    source.line(f"out[{ref.wire_name!r}] = {self._encoded(source, ref, 'x')}")
            source.line("return out")

    def _encoded(self, source: Source, ref: Ref, var: str) -> str:
        """Return an expression for what orjson writes for a value."""
        shape = ref.shape
        if not self._is_touched(shape) or shape.is_document:
            return var
        if shape.type == "timestamp":
            return f"{ref.timestamp_format or self._timestamp}({var})"
        if shape.type == "structure":
            return f"{self._encoders.name(shape)}({var})"
        item = source.fresh("y")
        if shape.type == "list":
            return f"[{self._encoded(source, shape.member, item)} for {item} in {var}]"
        if shape.type == "map":
            key = source.fresh("k")
            value = self._encoded(source, shape.value, item)
            return "{" + f"{key}: {value} for {key}, {item} in {var}.items()" + "}"
        return f"real({var})"


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body.

    Raises:
        SerializationException: It is not JSON, nested beyond any use (orjson stops at 1,024), or
            holds so many values that they would take many times its bytes.
    """
    if len(body) > _PLAIN_BYTES_MAX and sum(map(body.count, _STRUCTURE)) > NODES_MAX:
        raise SerializationException("The request holds too many values")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # AWS: no message (dynalite, test/connection.js).
        raise SerializationException from None


def pieces_of(value: Any) -> Generator[bytes]:
    """Yield the JSON of a value in pieces: of its lists some members each, as ``dumps`` writes it.

    A piece has about ``PIECE_BYTES``, or is one member of a list.
    """
    kind = type(cast("object", value))
    if kind is dict and value:
        mark = b"{"
        for name, inner in cast("dict[str, Any]", value).items():
            yield mark + dumps(name) + b":"
            yield from pieces_of(inner)
            mark = b","
        yield b"}"
    elif kind is list and value:
        members = cast("list[Any]", value)
        at, count = 0, 1
        while at < len(members):
            piece = dumps(members[at : at + count])
            yield (b"," if at else b"[") + piece[1:-1]
            at += count
            count = max(1, min(PIECE_GROWTH * count, PIECE_BYTES * count // len(piece)))
        yield b"]"
    else:
        yield dumps(value)


def decoder_of(
    documents: Documents, validator: Validator, operation: OperationModel
) -> Callable[[bytes], dict[str, Any]]:
    """Return the decoder of bodies that are one JSON object, constraints included."""
    shape, ref = operation.input, operation.input_ref
    if shape is None or ref is None:
        return lambda _body: {}
    fast = documents.decoder(shape)
    check = validator.check_of(shape)
    law = documents.law

    def decode(body: bytes) -> dict[str, Any]:
        try:
            value = fast(parsed(body) if body else {}, 0)
            if check is None or check(value):
                return value
        except Malformed:
            # The compiled decoder works in place, so the law reads the bytes again.
            value = cast("dict[str, Any]", law.value(ref, parsed(body)))
        refused = validator.refusal(operation, value)
        if refused is not None:
            raise refused
        return value

    return decode


class JsonBodies:
    """JSON documents of events."""

    media_type = "application/json"

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def dump(self, shape: Shape, value: Mapping[str, Any]) -> bytes:
        """Return the document of a structure."""
        rewrite = self._documents.encoder(shape)
        return dumps(rewrite(value) if rewrite else value)

    def load(self, shape: Shape, body: bytes) -> dict[str, Any]:
        """Return the structure of a document.

        Raises:
            SerializationException: It is none.
        """
        return self._documents.law.body(shape, parsed(body or b"{}"))


class JsonCodec:
    """The codec of a service that speaks awsJson."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._settings = service.settings
        self._documents = Documents(service)
        self._validator = Validator(service.settings, "ValidationException")
        self._type_line = f"content-type: application/x-amz-json-{service.json_version}\r\n"
        self._checks = service.settings.crc32

    def decoder(self, operation: OperationModel) -> Decode:
        """Return the compiled decoder of an operation's requests."""
        if operation.event_stream_input:
            return events_decoder(operation, JsonBodies(self._documents))
        decode_body = decoder_of(self._documents, self._validator, operation)

        def decode(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            del path_params
            return decode_body(request.body)

        return decode

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the compiled encoder of an operation's replies."""
        if operation.event_stream_output:
            return events_encoder(operation, JsonBodies(self._documents))
        shape = operation.output
        rewrite = self._documents.encoder(shape) if shape else None
        names = frozenset(shape.members if shape else ())

        def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
            assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
            value = without_nones(reply)
            # AWS: an operation without output answers an empty body, not an empty object.
            body = dumps(rewrite(value) if rewrite else value) if shape else b""
            return self._reply(200, body, request_id)

        return encode

    def stepped_encoder(self, operation: OperationModel) -> EncodeSteps:
        """Return the encoder of an operation's replies, which writes a long one in steps."""
        shape = operation.output
        assert shape is not None, "what is long has an output"
        rewrite = self._documents.encoder(shape)

        def encode(reply: Mapping[str, Any], request_id: str) -> Generator[None, None, HttpReply]:
            assert reply.keys() <= shape.members.keys(), f"{operation}: not in the model"
            value = without_nones(reply)
            pieces: list[bytes] = []
            check = since = 0
            written: Any = rewrite(value) if rewrite else value
            for piece in pieces_of(written):
                pieces.append(piece)
                check = crc32(piece, check)
                since += len(piece)
                if since >= PIECE_BYTES:
                    since = 0
                    yield
            return self._reply(200, b"".join(pieces), request_id, check)

        return encode

    def _reply(
        self, status: int, body: bytes, request_id: str, check: int | None = None
    ) -> HttpReply:
        lines = f"{self._type_line}x-amzn-RequestId: {request_id}\r\n"
        if self._checks:
            lines = f"{lines}x-amz-crc32: {crc32(body) if check is None else check}\r\n"
        return HttpReply(status, None, body, None, lines)

    def encode_error(
        self,
        operation: OperationModel | None,
        error: ServiceError,
        request_id: str,
    ) -> HttpReply:
        """Return the HTTP reply that tells an error: ``__type``, message, modelled members."""
        told = told_of(self._service, operation, error)
        namespace = self._settings.error_namespaces.get(told.name)
        if namespace is None and told.found:
            namespace = self._settings.error_namespace
        kind = f"{namespace}#{told.name}" if namespace else told.name
        body = {"__type": kind, **error_body(self._service, self._documents, error, told)}
        reply = self._reply(told.status, dumps(body), request_id)
        reply.headers.extend(query_compatible(self._service, told))
        return reply


def error_body(
    service: ServiceModel, documents: Documents, error: ServiceError, told: Told
) -> dict[str, Any]:
    """Return the message and the members of an error as orjson writes them."""
    settings = service.settings
    members = dict(error.members)
    key = settings.message_keys.get(told.code, "message")
    if told.found:
        found = told.found
        key = next((name for name in found.shape.members if name.lower() == "message"), key)
        rewrite = documents.encoder(found.shape)
        if rewrite:
            members = rewrite(members)
    if error.message or told.code not in settings.bare_errors:
        members = {key: error.message, **members}
    return members
