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
from fogbank.server.config import Config, EventSettings

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


@pytest.mark.parametrize(
    "cloud",
    [Config(quotas={"lambda.async_queued_max": 1}, events=EventSettings(deliveries_max=2))],
    indirect=True,
)
def test_a_bucket_whose_events_find_no_room_any_more_is_told_to_slow_down_and_nothing_is_lost(
    create: Any, told_of_photos: Any, room: Any, cloud: Any, lines: Any
) -> None:
    """S3 API Reference, error responses: ``SlowDown`` (503), "Please reduce your request rate"."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="photos")
    code = "def handler(event, context): print(event['Records'][0]['s3']['object']['key'])"
    told_of_photos(create(code)["FunctionArn"])
    for name in ("p0", "p1", "p2"):
        s3.put_object(Bucket="photos", Key=name, Body=b"x")
        cloud.settle()  # one waits in the function's queue, two in the outbox
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="photos", Key="p3", Body=b"x")
    assert refused.value.response["Error"]["Code"] == "SlowDown"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="photos")["Contents"]] == [
        *("p0", "p1", "p2"),
    ]
    room.undo()
    cloud.advance(3_600_000)
    s3.put_object(Bucket="photos", Key="p3", Body=b"x")
    cloud.settle()
    assert sorted(line.strip() for line in lines() if line[0] == "p") == ["p0", "p1", "p2", "p3"]
