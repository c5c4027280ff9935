"""Every operation of 34 services against botocore: what its client sends we read, and back.

botocore is the peer of our codecs: its serializers send to us, its parsers read from us. Values
are random but valid by the model, drawn from a few seeds and the operation's name, so that a
failure names its seed and repeats. Our values have ints of milliseconds where botocore has datetimes.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import string
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import botocore.awsrequest
import botocore.exceptions
import botocore.model
import botocore.parsers
import botocore.serialize
import pytest
from botocore.loaders import Loader

from fogbank.base.errors import ServiceError
from fogbank.wire.compile import ServiceCodec
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.integrity import document_check_of
from fogbank.wire.model import OperationModel, Ref, ServiceModel, load
from fogbank.wire.published import EXTENSIONS
from fogbank.wire.route import Router

SERVICES = (
    *("s3", "s3control", "lambda", "dynamodb", "dynamodbstreams", "iam", "sts", "kms", "logs"),
    *("cloudwatch", "sns", "sqs", "events", "scheduler", "kinesis", "firehose", "apigateway"),
    *("apigatewayv2", "cognito-idp", "cognito-identity", "ecs", "ecr", "ec2", "rds", "redshift"),
    *("redshift-data", "emr", "glacier", "backup", "cloudfront", "iot", "secretsmanager", "ssm"),
    "cloudformation",
)
LIST = """S3, S3 Control, Lambda, DynamoDB, DynamoDB Streams, IAM, STS, KMS, CloudWatch Logs, CloudWatch,
SNS, SQS, EventBridge, Scheduler, Kinesis, Firehose, API Gateway, ApiGatewayV2,
Cognito Identity Provider, Cognito Identity, ECS, ECR, EC2, RDS, Redshift, Redshift Data, EMR,
Glacier, Backup, CloudFront, IoT, Secrets Manager, SSM, CloudFormation"""
"""The services that the wire is promised for, by their ``serviceId``."""
SEEDS = range(3)
SEEDS_SOAK = range(100)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEPTH_MAX = 5
BLOB_BYTES = (0, 1, 2, 3, 12, 57, 300, 5_000)
"""Nothing, every rest of a base64 group, and more than a line of it."""
_WIDE = string.ascii_letters + string.digits + " -_./:&<>\"'éß漢😀"
_NARROW = string.ascii_letters + string.digits + "-_"


@cache
def unconstrained(service: str, protocol: str) -> ServiceCodec:
    """Return a codec that checks types and leaves constraints alone."""
    model: ServiceModel = load.__wrapped__(service)
    model.settings = replace(model.settings, constraints=(), required_texts={})
    return ServiceCodec(model, protocol)


@cache
def peer_model(service: str) -> botocore.model.ServiceModel:
    # Operations of our own are merged in by botocore itself, as with AWS_DATA_PATH.
    loader = Loader(extra_search_paths=[str(EXTENSIONS)])
    return botocore.model.ServiceModel(loader.load_service_model(service, "service-2"), service)


def spoken() -> list[tuple[str, str]]:
    """Return every service with each of its protocols."""
    return [(service, protocol) for service in SERVICES for protocol in load(service).protocols]


def twins(members: Mapping[str, Ref]) -> dict[str, set[str]]:
    """Return, by member, the others that are the same element on the wire.

    AWS: the deprecated ``Event`` of S3's notifications is one element with the flattened list
    ``Events`` (botocore, s3/2006-03-01/service-2.json, TopicConfigurationDeprecated): a sender
    writes one of them, a reader finds it under both names.
    """
    body = {name: ref.wire_name for name, ref in members.items() if not ref.location}
    found = {
        name: {other for other, wire in body.items() if wire == body[name] and other != name}
        for name in body
    }
    return {name: others for name, others in found.items() if others}


def without_twins(ref: Ref, got: Any, meant: Any) -> Any:
    """Return what was read without what stands there under another name of its element."""
    shape = ref.shape
    if isinstance(got, list) and isinstance(meant, list):
        return [without_twins(shape.member, *pair) for pair in zip(got, meant, strict=False)]
    if shape.type != "structure" or not isinstance(got, dict) or not isinstance(meant, dict):
        return got
    double = twins(shape.members)
    return {
        name: without_twins(shape.members[name], item, meant.get(name))
        for name, item in got.items()
        if name in meant or not double.get(name, set()) & meant.keys()
    }


class Draw:
    """Draws valid values of a model's shapes."""

    def __init__(self, operation: OperationModel, seed: int, salt: str = "") -> None:
        self._random = random.Random(f"{operation.service.name}:{operation.name}:{salt}:{seed}")

    def members(self, members: dict[str, Ref], required: tuple[str, ...]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, ref in members.items():
            if ref.shape.is_event_stream:
                continue
            if name in required or self._random.random() < 0.7:
                out[name] = self.value(ref, 0)
        return out

    def value(self, ref: Ref, depth: int) -> Any:
        shape = ref.shape
        if shape.type == "structure":
            return self._structure(ref, depth)
        if shape.type == "list":
            return [self.value(shape.member, depth + 1) for _ in range(self._random.randint(1, 3))]
        if shape.type == "map":
            return self._map(ref, depth)
        return self._scalar(ref)

    def _structure(self, ref: Ref, depth: int) -> dict[str, Any]:
        shape = ref.shape
        wanted = list(shape.members)
        if shape.raw.get("union"):
            name = self._random.choice(wanted)
            return {name: self.value(shape.members[name], depth + 1)}
        if shape.recursive or depth >= DEPTH_MAX:
            flat = [n for n in wanted if not shape.members[n].shape.parts]
            wanted = flat if depth >= DEPTH_MAX and flat else wanted
            wanted = self._random.sample(wanted, min(1, len(wanted)))
        chosen = [n for n in wanted if self._random.random() < 0.6 or n in shape.required]
        chosen += [n for n in shape.required if n not in chosen]
        if not chosen and wanted:
            chosen = wanted[:1]
        taken = twins(shape.members)
        chosen = [
            n for n in chosen if n not in taken or not taken[n] & {*chosen[: chosen.index(n)]}
        ]
        return {name: self.value(shape.members[name], depth + 1) for name in chosen}

    def _map(self, ref: Ref, depth: int) -> dict[str, Any]:
        shape = ref.shape
        if ref.location == "headers":
            return {self._text(_NARROW).lower(): self._text(_NARROW) for _ in range(2)}
        enum = shape.key.shape.enum
        keys = [enum[0]] if enum else [self._text(_WIDE) for _ in range(self._random.randint(1, 2))]
        return {key: self.value(shape.value, depth + 1) for key in keys}

    def _text(self, letters: str) -> str:
        inner = "".join(self._random.choices(letters, k=self._random.randint(0, 12)))
        return f"a{inner}z"

    def _scalar(self, ref: Ref) -> Any:
        shape, draw = ref.shape, self._random
        if shape.type == "string":
            if ref.raw.get("hostLabel"):
                return "123456789012"
            plain = ref.location in {"header", "headers"} or ref.xml_attribute
            return (
                draw.choice(shape.enum) if shape.enum else self._text(_NARROW if plain else _WIDE)
            )
        if shape.type == "timestamp":
            whole = ref.location == "header" or ref.timestamp_format == "rfc822"
            seconds = draw.randint(0, 4_000_000_000)
            return seconds * 1000 + (0 if whole else draw.randint(0, 999))
        return {
            "integer": lambda: draw.randint(0, 2**31 - 1),
            "long": lambda: draw.randint(-(2**53), 2**53),
            "boolean": lambda: draw.random() < 0.5,
            "float": lambda: draw.randint(-1000, 1000) / 8,
            "double": lambda: draw.randint(-1000, 1000) / 8,
            "blob": lambda: draw.randbytes(draw.choice(BLOB_BYTES)),
        }[shape.type]()


def for_botocore(ref: Ref, value: Any) -> Any:
    """Return a value as botocore has it: datetimes for milliseconds."""
    shape = ref.shape
    if shape.type == "timestamp":
        return EPOCH + timedelta(milliseconds=value)
    if shape.type == "structure":
        return {name: for_botocore(shape.members[name], item) for name, item in value.items()}
    if shape.type == "list":
        return [for_botocore(shape.member, item) for item in value]
    if shape.type == "map":
        return {key: for_botocore(shape.value, item) for key, item in value.items()}
    return value


def sent(service: str, protocol: str, operation: str, value: dict[str, Any]) -> HttpRequest:
    """Return the request that botocore sends."""
    model = peer_model(service)
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    peer = model.operation_model(operation)
    raw = serializer.serialize_to_request(value, peer)
    botocore.awsrequest.prepare_request_dict(raw, "http://localhost:4566")
    prepared = botocore.awsrequest.create_request_object(raw).prepare()
    url = urlsplit(prepared.url)
    headers = {
        name.lower(): text if isinstance(text, str) else text.decode("utf-8")
        for name, text in prepared.headers.items()
    }
    body = prepared.body or b""
    if isinstance(body, str):
        body = body.encode()
    if hasattr(body, "read"):
        body = body.read()
    return HttpRequest(prepared.method, url.path, url.query, headers, bytes(body))


def read(protocol: str, reply: HttpReply, shape: Any) -> dict[str, Any]:
    """Return what botocore's parser reads from a reply."""
    parser = botocore.parsers.create_parser(protocol)
    headers = botocore.awsrequest.HeadersDict(dict(reply.headers))
    response = {
        "status_code": reply.status,
        "headers": headers,
        "body": reply.body,
        "context": {"operation_name": "X"},
    }
    return parser.parse(response, shape)


def pruned(value: Any) -> Any:
    """Return a value without empty members: forms and headers cannot tell them from absent."""
    if isinstance(value, dict):
        inner = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ({}, [], None)}
    return [pruned(item) for item in value] if isinstance(value, list) else value


EVERY = spoken()


@cache
def router() -> Router:
    return Router(SERVICES)


def _meant(service: str, name: str) -> str:
    """Return the operation that a request means: a deprecated one may share its route."""
    return {
        "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
        "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
        "GetBucketNotification": "GetBucketNotificationConfiguration",
        "PutBucketNotification": "PutBucketNotificationConfiguration",
        "ListDirectoryBuckets": "ListBuckets",
    }.get(name, name)


def _drawn(service: str, name: str, seed: int) -> dict[str, Any]:
    operation = load(service).operations[name]
    if operation.input is None:
        return {}
    drawn = Draw(operation, seed).members(dict(operation.input.members), operation.required)
    if service == "s3":
        # What tells S3's operations apart must not be drawn for the one that lacks it.
        for member in ("PartNumber", "UploadId", "CopySource"):
            if member not in operation.required:
                drawn.pop(member, None)
    return drawn


def _vouch_for(request: HttpRequest, operation: OperationModel, value: dict[str, Any]) -> None:
    """Send the true Content-MD5 of a document, as botocore does in a step after serializing."""
    assert operation.input is not None
    text = b64encode(hashlib.md5(request.body).digest()).decode()
    request.headers["content-md5"] = text
    if "ContentMD5" in operation.input.members:
        value["ContentMD5"] = text


def _drop_named_fields(operation: OperationModel, got: dict[str, Any]) -> None:
    """Drop named members from the map of the whole query string, in which servers have them too."""
    members = operation.input.members if operation.input else {}
    named = {ref.wire_name for ref in members.values() if ref.location == "querystring"}
    for name, ref in members.items():
        if ref.location == "querystring" and ref.shape.type == "map" and name in got:
            got[name] = {key: text for key, text in got[name].items() if key not in named}


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    return SEEDS_SOAK if request.config.getoption("--soak") else SEEDS


def every_operation(
    service: str, seeds: range, check: Callable[[OperationModel, int], None]
) -> None:
    """Hold a check against every operation of a service, and tell all that fail with their seed."""
    failed: list[str] = []
    operations = load(service).operations
    for name, seed in itertools.product(operations, seeds):
        try:
            check(operations[name], seed)
        except (AssertionError, ServiceError, ValueError, botocore.exceptions.BotoCoreError) as why:
            failed.append(f"{name}, seed {seed}: {type(why).__name__} {why}"[:1_000])
    assert not failed, "\n".join(failed)


def test_every_service_of_the_list_is_held_to_it() -> None:
    known = [peer_model(service).metadata["serviceId"] for service in SERVICES]
    assert known == " ".join(LIST.split()).split(", ")


@pytest.mark.slow
@pytest.mark.parametrize(("service", "protocol"), EVERY)
def test_what_botocore_sends_is_routed_and_read_as_it_was_meant(
    service: str, protocol: str, seeds: range
) -> None:
    def check(operation: OperationModel, seed: int) -> None:
        name = operation.name
        value = _drawn(service, name, seed)
        if operation.event_stream_input:
            raise AssertionError("a stream of events from clients: draw one")
        theirs = for_botocore(operation.input_ref, value) if operation.input_ref else {}
        request = sent(service, protocol, name, theirs)
        model = load(service)
        if model.settings.told_by:
            route = router().resolve_told(service, request)
        else:
            route = router().resolve(request, model.signing_name)
        assert (route.service, route.operation) == (service, _meant(service, name))
        if service == "s3" and document_check_of(operation) is not None:
            _vouch_for(request, operation, value)
        got = unconstrained(service, protocol).decode(name, request, route.path_params)
        raw = operation.input.payload if operation.input else None
        if raw and not value.get(raw) and not got.get(raw):
            got.pop(raw, None)  # no body and an empty one are alike
            value.pop(raw, None)
        got.pop("ContentLength", None)  # HTTP's own: the client set it to the length of the body
        value.pop("ContentLength", None)
        _drop_named_fields(operation, got)
        if operation.input_ref is not None:
            got = without_twins(operation.input_ref, got, value)
        assert pruned(got) == pruned(value)

    every_operation(service, seeds, check)


def _answer(operation: OperationModel, seed: int) -> dict[str, Any]:
    """Return members of an answer that a client can tell apart on the wire."""
    assert operation.output is not None
    drawn = Draw(operation, seed, "output").members(dict(operation.output.members), ())
    for member, ref in operation.output.members.items():
        if ref.location == "statusCode" and member in drawn:
            drawn[member] = operation.http_status
    if operation.http_status == 204:
        drawn = {n: v for n, v in drawn.items() if operation.output.members[n].location}
    drawn.pop("ContentLength", None)
    raw = operation.output.payload
    if isinstance(drawn.get(raw), bytes):
        drawn[raw] = b"text"  # botocore's parser takes a payload that it does not stream for text
    return drawn


@pytest.mark.slow
@pytest.mark.parametrize(("service", "protocol"), EVERY)
def test_what_we_answer_is_read_by_botocore_as_it_was_meant(
    service: str, protocol: str, seeds: range
) -> None:
    codec = unconstrained(service, protocol)

    def check(operation: OperationModel, seed: int) -> None:
        name = operation.name
        if operation.output is None:
            assert codec.encode(name, {}, "request-1").status in {200, operation.http_status}
            return
        if operation.event_stream_output or name == "GetBucketLocation":
            # Streams have tests of their own (tests/unit/wire/test_eventstream.py); the location
            # is read by a handler of the client, not by the parser.
            return
        drawn, raw = _answer(operation, seed), operation.output.payload
        reply = codec.encode(name, drawn, "request-1")
        shape = peer_model(service).operation_model(name).output_shape
        got = read(protocol, reply, shape)
        got.pop("ResponseMetadata")
        if isinstance(got.get(raw), str):
            got[raw] = got[raw].encode() if raw in drawn and drawn[raw] == b"text" else got[raw]
        if not reply.body:
            got.pop(raw, None)
        for member, ref in operation.output.members.items():
            if ref.location == "statusCode" and member not in drawn:
                got.pop(member, None)  # there is always a status
        meant = for_botocore(operation.output_ref, drawn)
        assert pruned(without_twins(operation.output_ref, got, meant)) == pruned(meant)

    every_operation(service, seeds, check)


@pytest.mark.slow
@pytest.mark.parametrize(("service", "protocol"), EVERY)
def test_every_declared_error_is_read_by_botocore_with_its_members(
    service: str, protocol: str, seeds: range
) -> None:
    codec, peer = unconstrained(service, protocol), peer_model(service)

    def check(operation: OperationModel, seed: int) -> None:
        for ref in operation.raw.get("errors", ()):
            shape = load(service).shape(ref["shape"])
            drawn = Draw(operation, seed, shape.name).members(dict(shape.members), ())
            drawn = {n: v for n, v in drawn.items() if n.lower() not in {"message", "type", "code"}}
            code = shape.raw.get("error", {}).get("code", shape.name)
            error = type(code, (ServiceError,), {"code": code})("It was wrong", **drawn)
            reply = codec.encode_error(operation.name, error, "request-1")
            assert reply.status >= 400
            if operation.http_method == "HEAD" and protocol in {"rest-xml", "rest-json"}:
                assert reply.body == b""
                continue
            got = read(protocol, reply, peer.operation_model(operation.name).output_shape)
            former = load(service).settings.query_codes.get(shape.name, code)
            assert got["Error"]["Code"] == (former if load(service).query_compatible else code)
            assert got["Error"]["Message"] == "It was wrong"
            members = read(protocol, reply, peer.shape_for(shape.name))
            ours = for_botocore(type("Use", (), {"shape": shape})(), drawn)
            assert {n: members.get(n) for n in pruned(ours)} == pruned(ours)

    every_operation(service, seeds, check)
