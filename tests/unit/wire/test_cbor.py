from __future__ import annotations

import math
import struct
from typing import Any

import botocore.parsers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import ServiceError
from fogbank.wire import cbor
from fogbank.wire.compile import ServiceCodec, codec_of
from fogbank.wire.errors import SerializationException, UnsupportedMediaType
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import ServiceModel
from fogbank.wire.settings import Settings

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.integers(-(2**40), 2**40).map(cbor.Epoch)
)
ITEMS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=30,
)


def bytes_of(text: str) -> bytes:
    return bytes.fromhex(text)


def without_nulls(value: Any) -> Any:
    """Return an item as botocore has it, which leaves nulls out of maps."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


class TestItems:
    @pytest.mark.slow
    @given(ITEMS)
    def test_what_is_written_is_read_again(self, value: Any) -> None:
        assert cbor.loads(cbor.dumps(value)) == value

    @given(ITEMS)
    def test_botocore_reads_what_we_write(self, value: Any) -> None:
        parser = botocore.parsers.RpcV2CBORParser(timestamp_parser=cbor.Epoch)
        stream = parser.get_peekable_stream_from_bytes(cbor.dumps(value))
        assert parser.parse_data_item(stream) == without_nulls(value)

    # RFC 8949, appendix A.
    @pytest.mark.parametrize(
        ("data", "value"),
        [
            ("00", 0),
            ("17", 23),
            ("1818", 24),
            ("1903e8", 1000),
            ("1a000f4240", 1000000),
            ("1bffffffffffffffff", 18446744073709551615),
            ("3bffffffffffffffff", -18446744073709551616),
            ("3903e7", -1000),
            ("f90000", 0.0),
            ("f93c00", 1.0),
            ("fb3ff199999999999a", 1.1),
            ("f97bff", 65504.0),
            ("fa47c35000", 100000.0),
            ("fb7e37e43c8800759c", 1.0e300),
            ("f90001", 5.960464477539063e-8),
            ("f97c00", math.inf),
            ("f9fc00", -math.inf),
            ("f4", False),
            ("f5", True),
            ("f6", None),
            ("40", b""),
            ("4401020304", b"\x01\x02\x03\x04"),
            ("62c3bc", "ü"),
            ("8301820203820405", [1, [2, 3], [4, 5]]),
            ("a26161016162820203", {"a": 1, "b": [2, 3]}),
            ("c11a514b67b0", cbor.Epoch(1363896240)),
            ("c1fb41d452d9ec200000", cbor.Epoch(1363896240.5)),
        ],
    )
    def test_the_examples_of_the_standard_are_canonical(self, data: str, value: Any) -> None:
        assert cbor.loads(bytes_of(data)) == value
        assert cbor.dumps(value) == bytes_of(data)

    @pytest.mark.parametrize(
        ("data", "value"),
        [
            ("f7", None),
            ("fb3ff0000000000000", 1.0),
            ("190001", 1),
            ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
            ("7f657374726561646d696e67ff", "streaming"),
            ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
            ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ],
    )
    def test_longer_spellings_are_read(self, data: str, value: Any) -> None:
        assert cbor.loads(bytes_of(data)) == value

    def test_nan_is_read_and_written(self) -> None:
        assert math.isnan(cbor.loads(b"\xfb" + struct.pack(">d", math.nan)))
        assert cbor.dumps(math.nan) == bytes_of("f97e00")

    def test_keys_are_sorted(self) -> None:
        assert list(cbor.loads(cbor.dumps({"bb": 1, "c": 2, "a": 3}))) == ["a", "c", "bb"]

    @pytest.mark.parametrize(
        "data",
        [
            "",
            "18",  # a head that is cut off
            "1c",  # reserved heads
            "fc",
            "1f",  # an indefinite number
            "df",  # an indefinite tag
            "ff",  # a break alone
            "81ff",  # a break in a definite list
            "a161",
            "a1616101ff",  # bytes behind the item
            "0000",
            "a10101",  # a key that is a number
            "a2616101616102",  # one key twice
            "bf6161ff",  # a break where a value belongs
            "62c328",  # a text that is not UTF-8
            "5f6161ff",  # a text in bytes
            "5fff00",
            "c074323031332d30332d32315432303a30343a30305a",  # a time as text
            "c249010000000000000000",  # a big number
            "c16161",  # a time of letters
            "c1c100",
            "f818",  # a simple value
            "f0",
        ],
    )
    def test_what_is_no_item_is_refused(self, data: str) -> None:
        with pytest.raises(cbor.Unreadable):
            cbor.loads(bytes_of(data))

    @given(st.binary(max_size=60))
    def test_no_bytes_bring_another_error(self, data: bytes) -> None:
        try:
            cbor.loads(data)
        except cbor.Unreadable:
            return


class TestBombs:
    @pytest.mark.parametrize(
        "data",
        [
            b"\x9b" + b"\xff" * 8,  # a list of 2**64 items
            b"\xbb" + b"\xff" * 8,
            b"\x5b" + b"\xff" * 8,
            b"\x7a\x7f\xff\xff\xff",
            b"\x81" * 100_000 + b"\x00",
            b"\x9f" * 100_000,
            b"\xa1\x61a" * 100_000 + b"\x00",
            b"\xc1" * 100_000,
            b"\x5f" * 100_000,
            pytest.param(b"\x9a\x00\x20\x00\x00" + b"\x80" * (2 << 20), marks=pytest.mark.slow),
        ],
    )
    def test_bombs_are_refused(self, data: bytes) -> None:
        with pytest.raises(cbor.Unreadable):
            cbor.loads(data)

    def test_the_deepest_item_is_read(self) -> None:
        assert cbor.loads(b"\x81" * cbor.DEPTH_MAX + b"\x80")
        with pytest.raises(cbor.Unreadable):
            cbor.loads(b"\x81" * (cbor.DEPTH_MAX + 1) + b"\x80")


def decoded(body: Any, content_type: str = "application/cbor") -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else cbor.dumps(body)
    request = HttpRequest("POST", "/", "", {"content-type": content_type}, raw)
    codec = codec_of("cloudwatch", "smithy-rpc-v2-cbor")
    return codec.decode("PutMetricData", request, {})


def time_of(seconds: str) -> bytes:
    """Return a body with a time of these bytes, which ``dumps`` would not write."""
    known = cbor.dumps({"MetricData": [{"Timestamp": cbor.Epoch(0)}]})
    assert known.endswith(b"\xc1\x00")
    return known[:-1] + bytes_of(seconds)


class TestCodec:
    def test_values_have_the_types_of_the_model(self) -> None:
        datum = {
            "MetricName": "m",
            "Timestamp": cbor.Epoch(1.5),
            "Value": 2,
            "StorageResolution": 60.0,
        }
        got = decoded(
            {"Namespace": "n", "MetricData": [datum], "Unknown": 1, "StrictEntityValidation": None}
        )
        assert got == {
            "Namespace": "n",
            "MetricData": [
                {"MetricName": "m", "Timestamp": 1_500, "Value": 2.0, "StorageResolution": 60}
            ],
        }
        assert type(got["MetricData"][0]["Value"]) is float

    @pytest.mark.parametrize(
        "body",
        [
            b"\xff",
            [],
            {"Namespace": 1},
            {"Namespace": b"n"},
            {"MetricData": {}},
            {"MetricData": [1]},
            {"MetricData": [{"Timestamp": 5}]},
            {"MetricData": [{"Value": "1"}]},
            {"MetricData": [{"StorageResolution": 1.5}]},
            {"MetricData": [{"StorageResolution": True}]},
            {"MetricData": [{"StorageResolution": 2**63}]},
            time_of("fb46293e5939a08cea"),  # 1e30 seconds
            time_of("f97e00"),
            time_of("f97c00"),
        ],
    )
    def test_another_type_is_refused(self, body: Any) -> None:
        with pytest.raises(SerializationException):
            decoded(body)

    def test_another_media_type_is_refused(self) -> None:
        with pytest.raises(UnsupportedMediaType):
            decoded({"Namespace": "n"}, "application/json")

    def test_constraints_are_those_of_the_model(self) -> None:
        with pytest.raises(ServiceError, match="validation errors detected"):
            decoded({"Namespace": ""})

    def test_an_error_has_its_type_and_members(self) -> None:
        error = type("ResourceNotFoundException", (ServiceError,), {})(
            "gone", ResourceType="t", ResourceId="i"
        )
        codec = codec_of("cloudwatch", "smithy-rpc-v2-cbor")
        reply = codec.encode_error("GetDashboard", error, "R")
        assert isinstance(reply.body, bytes)
        assert reply.status == 404
        assert ("smithy-protocol", "rpc-v2-cbor") in reply.headers
        assert ("x-amzn-query-error", "ResourceNotFoundException;Sender") in reply.headers
        assert cbor.loads(reply.body) == {
            "__type": "ResourceNotFoundException",
            "message": "gone",
            "ResourceType": "t",
            "ResourceId": "i",
        }

    def test_shapes_that_hold_themselves_are_read_and_written(self) -> None:
        raw: dict[str, Any] = {
            "metadata": {
                "protocol": "smithy-rpc-v2-cbor",
                "apiVersion": "1",
                "endpointPrefix": "t",
                "targetPrefix": "T",
            },
            "operations": {
                "Grow": {
                    "name": "Grow",
                    "http": {"method": "POST", "requestUri": "/"},
                    "input": {"shape": "Tree"},
                    "output": {"shape": "Tree"},
                }
            },
            "shapes": {
                "Tree": {
                    "type": "structure",
                    "members": {
                        "Leaf": {"shape": "Bytes"},
                        "Twigs": {"shape": "Trees"},
                        "Named": {"shape": "Named"},
                    },
                },
                "Trees": {"type": "list", "member": {"shape": "Tree"}},
                "Named": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Trees"}},
                "Text": {"type": "string"},
                "Bytes": {"type": "blob"},
            },
        }
        codec = ServiceCodec(ServiceModel("t", raw, {}, Settings()))
        tree = {"Twigs": [{"Leaf": b"x"}, {"Named": {"a": [{"Twigs": []}]}}]}
        reply = codec.encode("Grow", tree, "R")
        assert isinstance(reply.body, bytes)
        request = HttpRequest("POST", "/", "", {"content-type": "application/cbor"}, reply.body)
        assert codec.decode("Grow", request, {}) == tree
