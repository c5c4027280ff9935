"""A service that several protocols lead to is answered in the one that its client speaks."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from typing import Any

import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import HeadersDict
from tests.unit.gateway.stub import ACCOUNT, Gate, _Caught, http_request, module_of, session_of

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.contract.service import Service
from fogbank.platform.identity.records import USERS, UserRecord
from fogbank.platform.store.engine import Transaction
from fogbank.wire.http import HttpReply, HttpRequest

PROTOCOLS = {
    "smithy-rpc-v2-cbor": "application/cbor",
    "json": "application/x-amz-json-1.0",
    "query": "text/xml",
}


class MetricsGate(Gate):
    """A gateway with a CloudWatch that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        asked = self.asked

        @operation()
        async def put_metric_data(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            asked.append(request)
            return {}

        @operation()
        async def list_metrics(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            asked.append(request)
            return {"Metrics": [{"Namespace": "n", "MetricName": "m"}]}

        @operation()
        async def delete_alarms(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            raise type("ResourceNotFound", (ServiceError,), {})("no such alarm")

        module = module_of(
            "cloudwatch",
            put_metric_data=put_metric_data,
            list_metrics=list_metrics,
            delete_alarms=delete_alarms,
        )
        metrics = Service(model="cloudwatch", operations=(module,), access_denied="AccessDenied")
        super().__init__(services=[metrics])

    def spoken(
        self, protocol: str, call: str, parameters: dict[str, Any], **options: Any
    ) -> HttpRequest:
        """Return what a client that speaks a protocol sends, signed."""
        client = self.client("cloudwatch", **options)
        client._serializer = botocore.serialize.create_serializer(protocol)
        sent: list[Any] = []

        def catch(request: Any, **_: object) -> None:
            sent.append(request)
            raise _Caught

        client.meta.events.register("before-send", catch)
        with self._time(), suppress(_Caught):
            getattr(client, call)(**parameters)
        return http_request(sent[0])

    def parsed(self, protocol: str, name: str, reply: HttpReply, body: bytes) -> dict[str, Any]:
        model = self.client("cloudwatch").meta.service_model.operation_model(name)
        response = {
            "status_code": reply.status,
            "headers": HeadersDict(dict(reply.headers)),
            "body": body,
            "context": {"operation_name": name},
        }
        found = botocore.parsers.create_parser(protocol).parse(response, model.output_shape)
        found.pop("ResponseMetadata")
        return found


@pytest.fixture(scope="module")
def gate() -> MetricsGate:
    return MetricsGate()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_is_in_the_protocol_of_its_request(gate: MetricsGate, protocol: str) -> None:
    reply, body = gate.handle(gate.spoken(protocol, "list_metrics", {"Namespace": "n"}))
    assert reply.status == 200
    assert ("content-type", PROTOCOLS[protocol]) in reply.headers
    assert gate.asked[-1] == {"Namespace": "n"}
    assert gate.parsed(protocol, "ListMetrics", reply, body) == {
        "Metrics": [{"Namespace": "n", "MetricName": "m"}],
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_is_in_the_protocol_of_its_request(gate: MetricsGate, protocol: str) -> None:
    reply, body = gate.handle(gate.spoken(protocol, "delete_alarms", {"AlarmNames": ["a"]}))
    assert ("content-type", PROTOCOLS[protocol]) in reply.headers
    error = gate.parsed(protocol, "DeleteAlarms", reply, body)["Error"]
    assert (error["Code"], error["Message"]) == ("ResourceNotFound", "no such alarm")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_has_no_key_is_refused_in_the_protocol_of_the_request(
    gate: MetricsGate, protocol: str
) -> None:
    request = gate.spoken(protocol, "list_metrics", {})
    request.headers = {n: v for n, v in request.headers.items() if n != "authorization"}
    reply, body = gate.handle(request)
    assert ("content-type", PROTOCOLS[protocol]) in reply.headers
    error = gate.parsed(protocol, "ListMetrics", reply, body)["Error"]
    assert error["Code"].startswith("MissingAuthenticationToken")


@pytest.mark.parametrize(
    ("protocol", "status"), [("smithy-rpc-v2-cbor", 400), ("json", 400), ("query", 403)]
)
def test_a_denial_has_the_status_of_the_protocol_of_its_request(
    gate: MetricsGate, protocol: str, status: int
) -> None:
    async def body(tr: Transaction) -> None:
        USERS.put(tr, UserRecord(name="ann", path="/", unique_id="AIDAANN", created_ms=0), "ann")

    asyncio.run(gate.identity.change(ACCOUNT, body))
    options = session_of(gate, "AIDAANN", "ann")
    reply, content = gate.handle(gate.spoken(protocol, "list_metrics", {}, **options))
    assert reply.status == status
    error = gate.parsed(protocol, "ListMetrics", reply, content)["Error"]
    assert error["Code"] == "AccessDenied"
    assert "is not authorized to perform: cloudwatch:ListMetrics" in error["Message"]


@pytest.mark.parametrize(
    ("protocol", "code"),
    [
        ("smithy-rpc-v2-cbor", "ThrottlingException"),
        ("json", "ThrottlingException"),
        ("query", "Throttling"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_a_request_there_is_no_room_for_is_refused_in_its_protocol(
    gate: MetricsGate, protocol: str, code: str, *, signed: bool
) -> None:
    request = gate.spoken(protocol, "list_metrics", {})
    head = HttpRequest(request.method, request.path, request.query, request.headers)
    if not signed:
        del head.headers["authorization"]
    asked = len(gate.asked)
    reply = gate.dispatcher.busy(head)
    assert ("content-type", PROTOCOLS[protocol]) in reply.headers
    assert isinstance(reply.body, bytes)
    error = gate.parsed(protocol, "ListMetrics", reply, reply.body)["Error"]
    assert (error["Code"], error["Message"]) == (code, "Rate exceeded")
    assert len(gate.asked) == asked


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_that_its_client_compressed_is_read(gate: MetricsGate, protocol: str) -> None:
    data = [{"MetricName": f"metric-{n}", "Value": float(n)} for n in range(400)]
    request = gate.spoken(protocol, "put_metric_data", {"Namespace": "n", "MetricData": data})
    assert request.headers["content-encoding"] == "gzip"
    assert gzip.decompress(request.body)
    assert gate.handle(request)[0].status == 200
    assert gate.asked[-1] == {"Namespace": "n", "MetricData": data}


def test_an_unknown_operation_is_refused_in_each_protocol(gate: MetricsGate) -> None:
    asked = {
        "smithy-rpc-v2-cbor": HttpRequest(
            "POST",
            "/service/GraniteServiceVersion20100801/operation/Frobnicate",
            "",
            {"smithy-protocol": "rpc-v2-cbor", "host": "localhost"},
        ),
        "json": HttpRequest(
            "POST",
            "/",
            "",
            {"x-amz-target": "GraniteServiceVersion20100801.Frobnicate", "host": "localhost"},
        ),
    }
    for protocol, request in asked.items():
        reply, body = gate.handle(request)
        assert ("content-type", PROTOCOLS[protocol]) in reply.headers
        assert "Error" in gate.parsed(protocol, "ListMetrics", reply, body)
