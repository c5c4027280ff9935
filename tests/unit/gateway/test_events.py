"""What ends a stream of events early is told inside of it, and logged if it is our fault."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.gateway.stub import Gate, module_of

from fogbank.base.errors import ServiceError, Throttled
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.contract.service import Service
from fogbank.wire.eventstream import Frames

TAIL = {"logGroupIdentifiers": ["arn:aws:logs:us-east-1:123456789012:log-group:g"]}
SUBSCRIBE = {
    "ConsumerARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1",
    "ShardId": "s-0",
    "StartingPosition": {"Type": "LATEST"},
}
EVENT = {
    "SubscribeToShardEvent": {
        "Records": [],
        "ContinuationSequenceNumber": "2",
        "MillisBehindLatest": 0,
    }
}


def messages_after(fault: Exception, model: str) -> tuple[list[Any], list[str], str]:
    """Return the messages of a stream that fails, whether it was closed, and its request's id."""
    closed: list[str] = []

    async def events() -> AsyncIterator[dict[str, Any]]:
        try:
            if model == "kinesis":
                yield EVENT
            raise fault
        finally:
            closed.append("closed")

    @operation()
    async def subscribe_to_shard(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"EventStream": events()}

    @operation()
    async def start_live_tail(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"responseStream": events()}

    function = subscribe_to_shard if model == "kinesis" else start_live_tail
    name = "subscribe_to_shard" if model == "kinesis" else "start_live_tail"
    made = Service(model=model, operations=(module_of(model, **{name: function}),))
    gate = Gate(services=[made])
    client_request = gate.request(model, name, SUBSCRIBE if model == "kinesis" else TAIL)
    reply, body = gate.handle(client_request)
    assert reply.status == 200
    request_id = next(value for key, value in reply.headers if key.lower() == "x-amzn-requestid")
    return list(Frames().feed(body)), closed, request_id


def test_a_bug_ends_a_stream_as_its_own_internal_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        found, closed, request_id = messages_after(KeyError("secret"), "kinesis")
    last = found[-1]
    assert last.headers[":message-type"] == "exception"
    assert last.headers[":exception-type"] == "InternalFailureException"
    assert b"secret" not in last.payload
    assert b"unknown error" in last.payload
    assert [each.headers.get(":event-type") for each in found[:-1]][-1] == "SubscribeToShardEvent"
    assert closed == ["closed"]
    (line,) = [record for record in caplog.records if request_id in record.getMessage()]
    assert line.exc_info is not None
    assert line.exc_info[0] is KeyError


def test_a_bug_of_a_stream_without_such_an_exception_is_an_error_message() -> None:
    found, _, _ = messages_after(AssertionError("no"), "logs")
    assert found[-1].headers[":message-type"] == "error"
    assert found[-1].headers[":error-code"] == "InternalFailure"


def test_weather_ends_a_stream_in_the_words_of_its_service() -> None:
    found, _, _ = messages_after(Throttled("full"), "kinesis")
    assert found[-1].headers[":error-code"] == "ThrottlingException"


def test_an_error_of_the_service_goes_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    gone = type("ResourceNotFoundException", (ServiceError,), {})("gone")
    found, _, request_id = messages_after(gone, "kinesis")
    assert found[-1].headers[":exception-type"] == "ResourceNotFoundException"
    assert not [record for record in caplog.records if request_id in record.getMessage()]
