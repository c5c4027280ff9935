"""botocore's protocol cases as cases for a server: read, and each judged by one function.

An input case says what a client sends for some parameters: our decoder must find the parameters in
it. An output case says what a client reads from a reply: our encoder must make one. Many
output cases show what a client must tolerate of a server (nulls, comments, unknown members, other
floats): there a reply is right from which botocore reads the case's result. Some replies botocore
cannot read by its own account (its ignore list): there a reply is right that is the case's, header
by header, its body compared by meaning.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import botocore
import botocore.model
import botocore.parsers
import botocore.serialize
from botocore.awsrequest import HeadersDict
from botocore.eventstream import EventStream

from fogbank.base.errors import ServiceError
from fogbank.wire import cbor
from fogbank.wire.compile import ServiceCodec
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, Ref, ServiceModel
from fogbank.wire.route import Router
from fogbank.wire.settings import Settings

CASES = Path(sys.prefix) / "cases" / f"botocore-{botocore.__version__}"
SPECIAL = {"NaN", "Infinity", "-Infinity"}
_UNCHECKED = Settings(constraints=())


@dataclass(frozen=True)
class Case:
    """One case with the model it belongs to."""

    name: str
    """File, suite and case: ``output/json.json 3:1 AwsJson11DateTimeWithFractionalSeconds``."""
    protocol: str
    suite: dict[str, Any]
    case: dict[str, Any]

    @property
    def operation(self) -> str:
        return str(self.case["given"].get("name", "OperationName"))

    def description(self) -> dict[str, Any]:
        """Return the case's service as botocore's loader would give it."""
        raw = deepcopy(self.suite)
        raw["operations"] = {self.operation: deepcopy(self.case["given"])}
        raw["operations"][self.operation].setdefault("http", {"method": "POST", "requestUri": "/"})
        given = raw["operations"][self.operation]
        for use in (given.get("input"), given.get("output")):
            # Old cases say on the use what every published model says on the shape.
            if use and "payload" in use:
                raw["shapes"][use["shape"]]["payload"] = use.pop("payload")
        raw["metadata"].setdefault("apiVersion", "2014-01-01")
        raw["metadata"].setdefault("endpointPrefix", "cases")
        output = raw["operations"][self.operation].get("output")
        if self.protocol == "query" and output:
            output.setdefault("resultWrapper", f"{self.operation}Result")
        return raw

    def model(self) -> ServiceModel:
        """Return the case's service as we read it, constraints left alone."""
        raw = self.description()
        # The old cases name flattened lists as SimpleDB does, the new ones by Smithy's rule.
        settings = replace(_UNCHECKED, flat_by_element=self.name.startswith("legacy/"))
        return ServiceModel("cases", raw, {}, settings)

    def peer(self) -> botocore.model.ServiceModel:
        """Return the case's service as botocore reads it."""
        return botocore.model.ServiceModel(self.description())


@cache
def cases() -> tuple[Case, ...]:
    """Return every case of the pinned botocore, those on its own ignore list included.

    Raises:
        FileNotFoundError: ``make env`` has not fetched them.
    """
    if not (CASES / ".ready").exists():
        raise FileNotFoundError(f"{CASES} is missing: run `make env`")
    return tuple(_read())


def _read() -> Iterator[Case]:
    for path in sorted(CASES.rglob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, list):
            continue
        where = path.relative_to(CASES)
        for number, suite in enumerate(content):
            found = suite.pop("cases")
            for index, case in enumerate(found):
                name = f"{where} {number}:{index} {case.get('id', '')}".strip()
                yield Case(name, suite["metadata"]["protocol"], suite, case)


def is_input(case: Case) -> bool:
    """Return whether a case is about a request."""
    return "serialized" in case.case


def verdict(case: Case) -> str:
    """Return why our side of a case does not hold, or an empty text."""
    try:
        return _judge_input(case) if is_input(case) else _judge_output(case)
    except Exception as error:  # noqa: BLE001 (whatever fails is the verdict)
        return f"{type(error).__name__}: {error}"


# Requests


def request_of(case: Case) -> HttpRequest:
    """Return the request that a case shows."""
    sent, given = case.case["serialized"], case.case["given"]
    url = urlsplit(sent.get("uri", "/"))
    headers = {name.lower(): text for name, text in sent.get("headers", {}).items()}
    headers.setdefault("host", sent.get("host", "cases.example.com"))
    body = sent.get("body") or ""
    raw = b64decode(body) if case.protocol == "smithy-rpc-v2-cbor" else body.encode()
    if "body" not in sent and "requestcompression" in given:
        # These cases show the header alone: the body is what botocore's client makes.
        raw = gzip.compress(_serialized(case))
    method = sent.get("method") or given.get("http", {}).get("method", "POST")
    return HttpRequest(method, url.path or "/", url.query, headers, raw)


def _serialized(case: Case) -> bytes:
    """Return the body that botocore's serializer makes of a case, not yet compressed."""
    serializer = botocore.serialize.create_serializer(case.protocol, include_validation=False)
    peer = case.peer().operation_model(case.operation)
    body = serializer.serialize_to_request(case.case["params"], peer)["body"]
    return urlencode(body).encode() if isinstance(body, dict) else body


def _judge_input(case: Case) -> str:
    model, request = case.model(), request_of(case)
    operation = model.operations[case.operation]
    params = {}
    if case.protocol in {"rest-json", "rest-xml", "smithy-rpc-v2-cbor"}:
        route = Router([model]).resolve(request, model.signing_name)
        if route.operation != case.operation:
            return f"routed to {route.operation}"
        params = dict(route.path_params)
    got = ServiceCodec(model).decode(case.operation, request, params)
    wanted = case.case.get("params", {})
    shown = as_cases_write(operation.input_ref, got) if operation.input_ref else got
    if operation.input:
        _drop_what_only_servers_see(operation, shown, wanted)
    return _difference(_pruned(shown), _pruned(wanted))


def _drop_what_only_servers_see(
    operation: OperationModel, got: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """Drop what is in a request without being among the client's parameters.

    A token that the client filled in by itself; and named members of the query string, which
    Smithy's servers must also have in the map of the whole query string.
    """
    assert operation.input is not None
    members = operation.input.members
    for name, ref in members.items():
        if ref.raw.get("idempotencyToken") and name not in wanted:
            got.pop(name, None)
        if ref.location == "querystring" and ref.shape.type == "map":
            named = {r.wire_name for r in members.values() if r.location == "querystring"}
            for key in named - wanted.get(name, {}).keys():
                got.get(name, {}).pop(key, None)


# Replies


def reply_of(case: Case) -> HttpReply:
    """Return the reply that our encoder makes of a case."""
    model = case.model()
    codec = ServiceCodec(model)
    operation = model.operations[case.operation]
    if "error" not in case.case:
        value = as_we_write(operation.output_ref, case.case["result"]) if operation.output else {}
        return codec.encode(case.operation, value, "request-1")
    code = case.case["errorCode"]
    members = dict(case.case["error"])
    found = operation.errors.get(code) or model.errors.get(code)
    if found:
        use = type("Use", (), {"shape": found.shape, "raw": {}})()
        members = as_we_write(use, members)
    for name in ("message", "Message"):
        members.pop(name, None)
    status = case.case["response"].get("status_code", 400)
    kind = type(code, (ServiceError,), {"code": code, "status": status})
    error = kind(case.case.get("errorMessage", ""), **members)
    return codec.encode_error(case.operation, error, "request-1")


def _judge_output(case: Case) -> str:
    reply = reply_of(case)
    if not isinstance(reply.body, bytes):
        reply.body = asyncio.run(gathered(reply.body))
    response = case.case["response"]
    if reply.status != response.get("status_code", 200):
        return f"status {reply.status}, not {response.get('status_code', 200)}"
    wanted = dict(case.case.get("result", {}))
    if "error" in case.case:
        wanted = {
            "Error": {
                "Code": case.case.get("errorCode", ""),
                "Message": case.case.get("errorMessage", ""),
            },
            **case.case["error"],
        }
    try:
        read = _difference(_pruned(read_by_botocore(case, reply)), _pruned(wanted))
    except Exception as error:  # noqa: BLE001 (botocore cannot read all of its own cases)
        read = f"{type(error).__name__}: {error}"
    if not read:
        return ""
    differs = _on_the_wire(case, reply)
    return f"{differs}; botocore: {read}" if differs else ""


def _on_the_wire(case: Case, reply: HttpReply) -> str:
    """Return how a reply differs from the case's, or an empty text if both mean the same."""
    response = case.case["response"]
    ours = {name.lower(): text for name, text in reply.headers}
    for name, text in response.get("headers", {}).items():
        if name.lower() not in {"content-length", "content-type", "x-amzn-requestid"}:
            found = ours.get(name.lower())
            if found != text:
                return f"header {name} is {found!r}, not {text!r}"
    if "body" not in response:
        return ""
    assert isinstance(reply.body, bytes)
    theirs = response["body"].encode()
    if case.protocol == "smithy-rpc-v2-cbor":
        theirs = b64decode(theirs)
    return _difference(_meaning(case.protocol, reply.body), _meaning(case.protocol, theirs))


def _meaning(protocol: str, body: bytes) -> Any:
    """Return what a body says, without its spelling."""
    if not body:
        return None
    if protocol == "smithy-rpc-v2-cbor":
        return cbor.loads(body)
    return json.loads(body) if "json" in protocol else _element(ET.fromstring(body))


def _element(node: ET.Element) -> Any:
    """Return an element's local name, text and children; the order of members means nothing."""
    name = node.tag.rpartition("}")[2]
    ignored = {"RequestId", "ResponseMetadata", "requestId", "RequestID"}
    children = [_element(child) for child in node]
    children = sorted((c for c in children if c[0] not in ignored), key=lambda c: c[0])
    return (name, (node.text or "").strip(), dict(node.attrib), children)


def read_by_botocore(case: Case, reply: HttpReply) -> dict[str, Any]:
    """Return what botocore reads from a reply, in the form of the cases."""
    peer = case.peer()
    operation = peer.operation_model(case.operation)
    parser = botocore.parsers.create_parser(case.protocol)
    response = {
        "status_code": reply.status,
        "headers": HeadersDict(dict(reply.headers)),
        "body": reply.body,
        "context": {"operation_name": case.operation},
    }
    if operation.has_event_stream_output:
        response["body"] = _RawBody(bytes(reply.body))
    parsed = parser.parse(response, operation.output_shape)
    if "error" in case.case:
        code = parsed.get("Error", {}).get("Code")
        shape = next((each for each in peer.error_shapes if each.error_code == code), None)
        if shape is not None:
            parsed.update(parser.parse(response, shape))
        parsed["Error"] = {k: parsed["Error"].get(k, "") for k in ("Code", "Message")}
    parsed.pop("ResponseMetadata", None)
    for name, value in parsed.items():
        if isinstance(value, EventStream):
            parsed[name] = list(value)
    return _plain(parsed)


class _RawBody:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


# Values as the cases write them


def _plain(value: Any) -> Any:
    """Return what botocore read as JSON has it: texts for bytes, seconds for times."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "timestamp"):
        return value.timestamp()
    return _special(value) if isinstance(value, float) else value


def _special(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def as_cases_write(ref: Ref, value: Any) -> Any:
    """Return a decoded value as the cases have it: seconds, texts for bytes and odd floats."""
    shape = ref.shape
    if value is None or shape.is_document:
        return value
    if shape.type == "structure":
        return {name: as_cases_write(shape.members[name], item) for name, item in value.items()}
    if shape.type == "list":
        return [as_cases_write(shape.member, item) for item in value]
    if shape.type == "map":
        return {key: as_cases_write(shape.value, item) for key, item in value.items()}
    if shape.type == "timestamp":
        return value / 1000
    if shape.type == "blob":
        return value.decode("utf-8")
    return _special(value) if shape.type in {"float", "double"} else value


def as_we_write(ref: Any, value: Any) -> Any:
    """Return a case's value as our operations answer it: milliseconds, bytes, floats."""
    shape = ref.shape
    if value is None or shape.is_document or getattr(ref, "raw", {}).get("jsonvalue"):
        return value
    if shape.is_event_stream:
        return _yielded([as_we_write_event(shape, event) for event in value])
    if shape.type == "structure":
        return {n: as_we_write(shape.members[n], v) for n, v in value.items() if n in shape.members}
    if shape.type == "list":
        return [as_we_write(shape.member, item) for item in value]
    if shape.type == "map":
        return {key: as_we_write(shape.value, item) for key, item in value.items()}
    if shape.type == "timestamp":
        return round(value * 1000)
    if shape.type == "blob":
        return value.encode()
    if shape.type in {"float", "double"}:
        return float(value)
    return value


def as_we_write_event(union: Any, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event; the cases give a header's time in seconds too."""
    ((name, members),) = event.items()
    return {name: as_we_write(union.members[name], members)}


async def _yielded(events: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for event in events:
        yield event


async def gathered(body: AsyncIterator[bytes]) -> bytes:
    """Return the whole of a streamed body."""
    return b"".join([piece async for piece in body])


def _pruned(value: Any) -> Any:
    """Return a value without empty members: most places on the wire cannot tell them apart."""
    if isinstance(value, dict):
        inner = {key: _pruned(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ({}, [], None, "")}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _difference(got: Any, wanted: Any) -> str:
    return "" if got == wanted else f"got {got!r}, wanted {wanted!r}"
