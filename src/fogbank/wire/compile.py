"""From a model to functions: decoders, encoders and checks, compiled when first used.

Rule: callers know services and operations by their names in the model and nothing of protocols.
Decoded requests and replies are plain dicts by wire names: absent members are absent, blobs are
bytes, **timestamps are ints of milliseconds since the Unix epoch** (encoders take aware datetimes
too), a streamed member is ``request.stream`` or, for a small body, its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import cache
from typing import Any

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.cbor import CborCodec
from fogbank.wire.codec.ec2 import Ec2Codec
from fogbank.wire.codec.json import JsonCodec
from fogbank.wire.codec.plan import Codec, Decode, Encode, EncodeSteps, SteppedCodec
from fogbank.wire.codec.query import QueryCodec
from fogbank.wire.codec.rest_json import RestJsonCodec
from fogbank.wire.codec.rest_xml import RestXmlCodec
from fogbank.wire.compression import inflate, is_inflated
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import ServiceModel, load

_CODECS: Mapping[str, Callable[[ServiceModel], Codec]] = {
    "ec2": Ec2Codec,
    "json": JsonCodec,
    "query": QueryCodec,
    "rest-json": RestJsonCodec,
    "rest-xml": RestXmlCodec,
    "smithy-rpc-v2-cbor": CborCodec,
}


class UnsupportedProtocol(LookupError):
    """A service speaks a protocol for which no codec is built."""


class ServiceCodec:
    """Bytes to values and back for one service in one protocol.

    Args:
        model: The service.
        protocol: One of its protocols; the one we prefer unless given.

    Raises:
        UnsupportedProtocol: The service does not speak it, or there is no codec for it.
    """

    __slots__ = ("_codec", "_decoders", "_encoders", "_stepped", "model", "protocol")

    def __init__(self, model: ServiceModel, protocol: str = "") -> None:
        protocol = protocol or model.protocol
        build = _CODECS.get(protocol) if protocol in model.protocols else None
        if build is None:
            raise UnsupportedProtocol(f"no codec for {protocol} of {model.name}")
        self.model = model
        self.protocol = protocol
        self._codec = build(model)
        self._decoders: dict[str, Decode] = {}
        self._encoders: dict[str, Encode] = {}
        self._stepped: dict[str, EncodeSteps] = {}

    def prepare(self, operation: str) -> Decode:
        """Compile the decoder of an operation; not for two threads at once, as ``decode`` is then."""
        decode = self._decoders.get(operation)
        if decode is None:
            decode = self._codec.decoder(self.model.operations[operation])
            self._decoders[operation] = decode
        return decode

    def inflates(self, operation: str) -> bool:
        """Return whether a compressed body of an operation is inflated before it is decoded."""
        return is_inflated(self.model.operations[operation], self.protocol)

    def decode(
        self, operation: str, request: HttpRequest, path_params: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return a request by wire names, types and constraints checked.

        Args:
            operation: The operation's name in the model.
            request: Its body must be whole unless the operation's input is streamed.
            path_params: The labels of the path by their names in the template, decoded; as
                ``Router.resolve`` gives them.

        Raises:
            ServiceError: The request is malformed or breaks a constraint; in AWS's words.
        """
        decode = self._decoders.get(operation) or self.prepare(operation)
        if "content-encoding" in request.headers and self.inflates(operation):
            inflate(request, self.model.settings.unread_encoding)
        return decode(request, path_params)

    def encode(self, operation: str, reply: Mapping[str, Any], request_id: str) -> HttpReply:
        """Return the HTTP reply for an operation's answer by wire names.

        A streamed member may be bytes or an asynchronous iterator of them; a ``ContentLength``
        beside it is the reply's length. Members that are None are absent.

        A stream of events is an asynchronous iterator of dicts with one member of its union; it
        may raise a ServiceError, which the client is told inside of the stream.
        """
        encode = self._encoders.get(operation)
        if encode is None:
            encode = self._codec.encoder(self.model.operations[operation])
            self._encoders[operation] = encode
        return encode(reply, request_id)

    def encode_in_steps(
        self, operation: str, reply: Mapping[str, Any], request_id: str
    ) -> Generator[None, None, HttpReply]:
        """Return the same as ``encode``, and yield between two steps of it where it is long."""
        codec = self._codec
        if not isinstance(codec, SteppedCodec):
            return self.encode(operation, reply, request_id)
        encode = self._stepped.get(operation)
        if encode is None:
            encode = codec.stepped_encoder(self.model.operations[operation])
            self._stepped[operation] = encode
        return (yield from encode(reply, request_id))

    def encode_error(
        self, operation: str | None, error: ServiceError, request_id: str
    ) -> HttpReply:
        """Return the HTTP reply for an error in the form of the service's protocol.

        Args:
            operation: The operation's name, or None if it is not known; names that are not in
                the model count as not known.
            error: Its status, or else the model's, or else 400.
            request_id: The id under which the request is logged.
        """
        known = operation is not None and operation in self.model.operations
        found = self.model.operations[operation] if known and operation else None
        return self._codec.encode_error(found, error, request_id)


@cache
def codec_of(service: str, protocol: str = "") -> ServiceCodec:
    """Return the codec of a service by its botocore name, in its preferred protocol or another.

    Raises:
        UnknownService: There is no published model of this name.
        UnsupportedProtocol: The service does not speak the protocol.
    """
    return ServiceCodec(load(service), protocol)
