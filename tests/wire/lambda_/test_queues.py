"""Queues of asynchronous invocations are bounded: who asks is told, who tells waits.

Source: AWS Lambda API Reference, Invoke, ``TooManyRequestsException`` (HTTP 429, ``Reason``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.base.errors import Throttled
from fogbank.server.backlogs import waiting_in

pytestmark = pytest.mark.slow
SOME = {"lambda.async_queued_max": 3, "lambda.account_async_queued_max": 5}
PRINT = "def handler(event, context): print('ran', event)"


@pytest.fixture
def room(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Take the room for invocations away; ``undo`` gives it back."""

    async def full(*_: Any, **__: Any) -> None:
        raise Throttled("no room")

    with monkeypatch.context() as patch:
        patch.setattr(cloud.app.parts.functions, "run", full)
        yield patch


@pytest.fixture
def send(functions: Any) -> Any:
    """Return what sends an event; it answers ``ThrottleReason``, or None for an event taken."""

    def send(name: str) -> str | None:
        try:
            functions.invoke(FunctionName=name, InvocationType="Event", Payload=b"1")
        except ClientError as error:
            refused = error.response
        else:
            return None
        assert refused["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429
        return str(refused["Reason"])

    return send


@pytest.mark.parametrize("cloud", [SOME], indirect=True)
def test_events_beyond_what_may_wait_of_a_function_or_an_account_are_throttled(
    create: Any, send: Any, room: Any, cloud: Any, lines: Any
) -> None:
    for name in ("f", "g", "h"):
        create(PRINT, FunctionName=name)
    function, account = "FunctionInvocationRateLimitExceeded", "CallerRateLimitExceeded"
    assert [send("f") for _ in range(4)] == [None, None, None, function]
    assert [send("g") for _ in range(3)] == [None, None, account]
    assert send("h") == account
    room.undo()
    cloud.advance(400_000)
    assert sum(line.startswith("ran") for line in lines()) == 3
    assert [send(name) for name in "ffghh"] == [None] * 5
    cloud.settle()


@pytest.mark.parametrize("cloud", [SOME], indirect=True)
def test_events_of_services_wait_in_the_outbox_until_there_is_room_and_none_is_lost(
    create: Any, told_of_photos: Any, room: Any, cloud: Any, lines: Any, send: Any
) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="photos")
    arn = create("def handler(event, context): print(event['Records'][0]['s3']['object']['key'])")[
        "FunctionArn"
    ]
    told_of_photos(arn)
    for number in range(10):
        s3.put_object(Bucket="photos", Key=f"p{number}", Body=b"x")
    cloud.settle()
    waiting = cloud.run(waiting_in(cloud.app.parts.placement.system_stores(), 0)).entries
    assert (waiting["outbox"], waiting["outbox_later"]) == (0, 7)
    assert send("f") == "FunctionInvocationRateLimitExceeded"
    cloud.advance(60_000)
    room.undo()
    cloud.advance(3_600_000)
    assert sorted(line.strip() for line in lines() if line[0] == "p") == [
        f"p{number}" for number in range(10)
    ]
