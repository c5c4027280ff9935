"""What a request is weighed at holds what decoding it takes, in every format, and not many times that.

Measured are the shapes that take most for their bytes: small values, short texts, nested maps.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from fogbank.base.errors import ServiceError
from fogbank.gateway.room import DENSITIES, SMALL_BYTES, weight_of
from fogbank.wire import cbor
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpRequest

pytestmark = pytest.mark.slow

N = 3_000
TIMES_MAX = 4
"""So many times what it takes a request may be weighed at."""


def nested(width: int, depth: int) -> dict[str, Any]:
    """Return an attribute value of maps in maps."""
    if not depth:
        return {"S": "x"}
    return {"M": {f"k{number}": nested(width, depth - 1) for number in range(width)}}


VALUES: dict[str, Any] = {
    "nulls": {"L": [{"NULL": True}] * N},
    "numbers": {"L": [{"N": str(number)} for number in range(N)]},
    "sets of numbers": {"NS": [str(number) for number in range(N)]},
    "short strings": {"L": [{"S": f"s{number}"} for number in range(N)]},
    "sets of short strings": {"SS": [f"s{number}" for number in range(N)]},
    "wide maps": {"M": {f"attribute-{number}": {"BOOL": True} for number in range(N)}},
    "nested maps": nested(5, 5),
    "deep maps": {"L": [nested(1, 8) for _ in range(N // 16)]},
    "empty lists": {"L": [{"L": []}] * N},
    "empty maps": {"L": [{"M": {}}] * N},
    "binary": {"L": [{"B": "AAAA"}] * N},
}


def items(value: Any) -> bytes:
    puts = [{"PutRequest": {"Item": {"k": {"S": "1"}, "v": value}}}]
    return json.dumps({"RequestItems": {"t": puts}}, separators=(",", ":")).encode()


def document(root: str, element: bytes, count: int) -> bytes:
    return f"<{root}>".encode() + element * count + f"</{root}>".encode()


def form(*fields: str) -> bytes:
    head = "Action=SimulateCustomPolicy&Version=2010-05-08&PolicyInputList.member.1={}&"
    every = [field.format(number) for number in range(1, 1_500) for field in fields]
    return (head + "ActionNames.member.1=s3:x&" + "&".join(every)).encode()


def metrics(**more: Any) -> bytes:
    return cbor.dumps({"Namespace": "n", **more})


RULE = (
    b"<Rule><ID>i</ID><Status>Enabled</Status><Filter><Prefix>a</Prefix></Filter>"
    b"<Expiration><Days>1</Days></Expiration></Rule>"
)
PART = b"<Part><ETag>e</ETag><PartNumber>1</PartNumber></Part>"
VALUE = "ContextEntries.member.{0}.ContextKeyValues.member.1=v"
Body = Callable[[], bytes]
XML: dict[str, tuple[str, Body]] = {
    "objects": (
        "DeleteObjects",
        lambda: document("Delete", b"<Object><Key>k</Key></Object>", 999),
    ),
    "rules": (
        "PutBucketLifecycleConfiguration",
        lambda: document("LifecycleConfiguration", RULE, 500),
    ),
    "parts": (
        "CompleteMultipartUpload",
        lambda: document("CompleteMultipartUpload", PART, 1_500),
    ),
    "what nobody knows": ("DeleteObjects", lambda: document("Delete", b"<x/>", 8_000)),
    "attributes": ("DeleteObjects", lambda: document("Delete", b'<x y="z"/>', 4_000)),
}
FORMS: dict[str, Body] = {
    "names": lambda: form("ActionNames.member.{0}=s3:x"),
    "structures": lambda: form("ContextEntries.member.{0}.ContextKeyName=aws:k{0}", VALUE),
    "what nobody knows": lambda: form("a{0}=", "b{0}=", "c{0}="),
}
MAPS: dict[str, Body] = {
    "dimensions": lambda: metrics(
        MetricData=[
            {"MetricName": "m", "Dimensions": [{"Name": "a", "Value": "b"}] * 5} for _ in range(600)
        ]
    ),
    "numbers": lambda: metrics(
        MetricData=[{"MetricName": "m", "Values": [float(n) for n in range(150)]}] * 40
    ),
    "small numbers": lambda: metrics(x=[0] * 20_000),
    "short texts": lambda: metrics(x=["ab"] * 8_000),
    "empty lists": lambda: metrics(x=[[]] * 20_000),
    "empty maps": lambda: metrics(x=[{}] * 20_000),
    "maps of one": lambda: metrics(x=[{"a": 0}] * 6_000),
}


def taken(service: str, operation: str, body: bytes, protocol: str) -> int:
    """Return what decoding a body takes at most, its bytes aside."""
    codec = codec_of(service, protocol)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    headers = {"content-type": "application/cbor", "content-md5": md5}
    request = HttpRequest("POST", "/", "uploadId=u", headers, body)
    codec.prepare(operation)
    with suppress(ServiceError):  # what is refused took its room all the same
        codec.decode(operation, HttpRequest("POST", "/", "", headers, b""), {"Bucket": "b"})
    tracemalloc.start()
    try:
        with suppress(ServiceError):
            codec.decode(operation, request, {"Bucket": "b", "Key": "k"})
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_weighed(service: str, operation: str, body: bytes, protocol: str) -> None:
    assert len(body) > SMALL_BYTES
    weight = weight_of(body, protocol, 0)
    least = len(body) + taken(service, operation, body, protocol)
    assert least <= weight <= TIMES_MAX * least, f"{weight / least:.2f} times what it takes"


@pytest.mark.parametrize("name", VALUES)
def test_json_is_weighed_at_what_its_values_take(name: str) -> None:
    check_weighed("dynamodb", "BatchWriteItem", items(VALUES[name]), "json")


@pytest.mark.parametrize("name", XML)
def test_xml_is_weighed_at_what_its_elements_take(name: str) -> None:
    operation, body = XML[name]
    check_weighed("s3", operation, body(), "rest-xml")


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_weighed_at_what_its_fields_take(name: str) -> None:
    check_weighed("iam", "SimulateCustomPolicy", FORMS[name](), "query")


@pytest.mark.parametrize("name", MAPS)
def test_cbor_is_weighed_at_what_its_items_take(name: str) -> None:
    check_weighed("cloudwatch", "PutMetricData", MAPS[name](), "smithy-rpc-v2-cbor")


def test_a_long_text_is_weighed_at_its_copies() -> None:
    assert weight_of(items({"S": "x" * 1_000_000}), "json", 0) == pytest.approx(3_000_000, rel=0.01)


def test_every_protocol_is_weighed_and_small_requests_of_short_replies_weigh_nothing() -> None:
    for protocol in DENSITIES:
        assert weight_of(b"[" * SMALL_BYTES, protocol, 0) == 0
        assert weight_of(b"", protocol, 1_000) == 2_000
        assert weight_of(b"x" * 100_000, protocol, 1_000) >= 2_000 + 100_000
