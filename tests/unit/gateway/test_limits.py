"""A request that is longer than its operation takes is refused before its bytes are kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.gateway.stub import CALLS, Gate, StreamOf, module_of

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.contract.quota import Quota, Quotas
from fogbank.contract.service import Service
from fogbank.server.roster import services
from fogbank.wire.http import HttpRequest

USUAL = Quota("made.request_bytes_max", 1_000)
LONG = Quota("made.long_request_bytes_max", 5_000)


class PayloadTooLong(ServiceError):
    status = 413


def too_long(size: int, bytes_max: int) -> ServiceError:
    return PayloadTooLong(f"{size} of {bytes_max}")


def made(model: str, usual: str, long: str, refusal: Any = None) -> Service:
    """Return a service with one operation that takes more than the other."""

    @operation()
    async def short(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    @operation(body=BodyLimit(LONG, refusal))
    async def lengthy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    module = module_of(model, **{usual: short, long: lengthy})
    return Service(model=model, operations=(module,), body=BodyLimit(USUAL))


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate(
        services=[
            made("s3", "put_bucket_policy", "delete_objects"),
            made("dynamodb", "list_tables", "batch_write_item"),
            made("iam", "list_users", "create_policy"),
            made("lambda", "list_functions", "invoke", too_long),
        ]
    )


def lengthened(request: HttpRequest, size: int, *, promised: bool = True) -> StreamOf:
    """Let a request's body be a stream of another size."""
    stream = StreamOf(b" " * size)
    if not promised:
        stream.length = None
    request.body, request.stream = b"", stream
    return stream


POLICY = {"PolicyName": "p", "PolicyDocument": "{}"}
WRITES = {"RequestItems": {"t": [{"DeleteRequest": {"Key": {"k": {"S": "a"}}}}]}}


@pytest.mark.parametrize(
    ("service", "call", "parameters", "bytes_max", "refusal"),
    [
        (
            *("dynamodb", "list_tables", {}, 1_000),
            (
                413,
                "RequestEntityTooLargeException",
                "Request must be smaller than 1000 bytes for the ListTables operation",
            ),
        ),
        (
            *("dynamodb", "batch_write_item", WRITES, 5_000),
            (
                413,
                "RequestEntityTooLargeException",
                "Request must be smaller than 5000 bytes for the BatchWriteItem operation",
            ),
        ),
        (
            # What a form asks for is known once it is read.
            *("iam", "list_users", {}, 5_000),
            (413, "RequestEntityTooLarge", "Request must be smaller than 5000 bytes"),
        ),
        (
            *("lambda", "invoke", {"FunctionName": "f", "Payload": b"{}"}, 5_000),
            (413, "PayloadTooLong", "5001 of 5000"),
        ),
        (
            *("s3", "put_bucket_policy", {"Bucket": "bucket", "Policy": "{}"}, 1_000),
            (400, "MaxMessageLengthExceeded", "Your request was too big."),
        ),
    ],
)
def test_a_promised_length_is_enough_to_refuse(
    gate: Gate,
    service: str,
    call: str,
    parameters: dict[str, Any],
    bytes_max: int,
    refusal: tuple[int, str, str],
) -> None:
    request = gate.request(service, call, parameters)
    stream = lengthened(request, bytes_max + 1)
    assert gate.refusal(request) == refusal
    assert stream.at == 0
    request = gate.request(service, call, parameters)
    lengthened(request, bytes_max)
    assert gate.refusal(request)[1] != refusal[1]
    assert gate.dispatcher._bodies.bytes_held == 0


def test_a_body_of_unknown_length_is_read_up_to_the_limit_and_no_further(gate: Gate) -> None:
    request = gate.request("dynamodb")
    stream = lengthened(request, 100_000, promised=False)
    assert gate.refusal(request)[1] == "RequestEntityTooLargeException"
    assert stream.at <= 1_000 + stream.piece
    assert gate.dispatcher._bodies.bytes_held == 0


@pytest.mark.parametrize(("service", "refusal"), [("dynamodb", 413), ("iam", 413), ("lambda", 413)])
def test_a_body_that_came_whole_is_held_to_its_operations_limit(
    gate: Gate, service: str, refusal: int
) -> None:
    calls = {
        "dynamodb": ("list_tables", {"ExclusiveStartTableName": "t" * 1_100}),
        "iam": ("list_users", {"PathPrefix": "/" + "p" * 1_100 + "/"}),
        "lambda": ("invoke", {"FunctionName": "f", "Payload": b" " * 5_001}),
    }
    request = gate.request(service, *calls[service], parameter_validation=False)
    assert request.stream is None
    assert gate.refusal(request)[0] == refusal


def test_a_setting_moves_a_limit() -> None:
    gate = Gate(services=[made("dynamodb", "list_tables", "batch_write_item")])
    gate.facilities.quotas._values[USUAL.name] = 10
    assert isinstance(gate.facilities.quotas, Quotas)
    request = gate.request("dynamodb", "list_tables", {"Limit": 1})
    assert len(request.body) > 10 - 1
    gate.facilities.quotas._values[USUAL.name] = len(request.body) - 1
    assert gate.refusal(request)[0] == 413
    gate.facilities.quotas._values[USUAL.name] = len(request.body)
    assert asyncio.run(gate.dispatcher.handle(request)).status == 200


def test_every_service_says_how_long_its_requests_may_be() -> None:
    for service in services():
        assert service.body is not None, service.model
        assert service.body.quota.name.startswith(f"{service.model}.")
    assert set(CALLS) <= {service.model for service in services()}
