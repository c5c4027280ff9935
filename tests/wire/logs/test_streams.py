from __future__ import annotations

from typing import Any

from tests.wire.logs.conftest import rows_of

MISSING = ("ResourceNotFoundException", "The specified log stream does not exist.")


def names_of(reply: Any) -> list[str]:
    return [stream["logStreamName"] for stream in reply["logStreams"]]


def test_a_stream_is_told_as_aws_tells_it(
    logs: Any, stream: Any, put: Any, account: str, now_ms: int
) -> None:
    (found,) = logs.describe_log_streams(logGroupName="/app")["logStreams"]
    fresh = {
        "logStreamName": "one",
        "creationTime": now_ms,
        "arn": f"arn:aws:logs:us-east-1:{account}:log-group:/app:log-stream:one",
        "storedBytes": 0,
    }
    assert found == fresh
    put((now_ms - 5, "a"), (now_ms - 3, "b"))
    put((now_ms - 4, "c"))
    (found,) = logs.describe_log_streams(logGroupName="/app")["logStreams"]
    assert (found["firstEventTimestamp"], found["lastEventTimestamp"]) == (now_ms - 5, now_ms - 3)
    assert found["lastIngestionTime"] == now_ms


def test_a_name_is_given_once_in_a_group(logs: Any, stream: Any, refusal: Any) -> None:
    assert refusal(logs.create_log_stream, **stream) == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    other = {**stream, "logGroupName": "/none"}
    assert refusal(logs.create_log_stream, **other) == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )


def test_a_deleted_stream_is_gone_and_its_name_is_free(
    logs: Any, stream: Any, put: Any, refusal: Any, cloud: Any, now_ms: int
) -> None:
    rows = rows_of(cloud)
    put((now_ms - 5, "a"), (now_ms - 4, "x" * 600_000))
    logs.delete_log_stream(**stream)
    assert refusal(logs.get_log_events, **stream) == MISSING
    assert refusal(logs.delete_log_stream, **stream) == MISSING
    assert logs.filter_log_events(logGroupName="/app")["events"] == []
    logs.create_log_stream(**stream)
    assert logs.get_log_events(**stream)["events"] == []
    cloud.settle()
    assert rows_of(cloud) == rows + 1  # the count of a shard, now 0
    assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == 0


def test_streams_are_listed_by_name_or_by_their_last_events(
    logs: Any, stream: Any, put: Any, refusal: Any, now_ms: int
) -> None:
    put((now_ms - 1, "m"), name="b/1")
    put((now_ms - 3, "m"), name="b/2")
    put((now_ms - 2, "m"), name="c")
    by_name = {"logGroupName": "/app"}
    by_time = {**by_name, "orderBy": "LastEventTime"}
    assert names_of(logs.describe_log_streams(**by_name)) == ["b/1", "b/2", "c", "one"]
    assert names_of(logs.describe_log_streams(**by_name, descending=True))[0] == "one"
    prefixed = logs.describe_log_streams(**by_name, logStreamNamePrefix="b/")
    assert names_of(prefixed) == ["b/1", "b/2"]
    assert names_of(logs.describe_log_streams(**by_time)) == ["one", "b/2", "c", "b/1"]
    latest = logs.describe_log_streams(**by_time, descending=True, limit=1)
    assert names_of(latest) == ["b/1"]
    put((now_ms, "m"), name="c")
    latest = logs.describe_log_streams(**by_time, descending=True, limit=1)
    assert names_of(latest) == ["c"]
    for request in (
        by_name,
        by_time,
        {**by_name, "descending": True},
        {**by_time, "descending": True},
    ):
        whole = names_of(logs.describe_log_streams(**request))
        pages = logs.get_paginator("describe_log_streams").paginate(
            **request, PaginationConfig={"PageSize": 3}
        )
        assert [name for page in pages for name in names_of(page)] == whole
    assert refusal(logs.describe_log_streams, **by_time, logStreamNamePrefix="b") == (
        "InvalidParameterException",
        "Cannot order by LastEventTime with a logStreamNamePrefix.",
    )
    for token in ("nonsense", "bi9ub25zZW5zZQ=="):
        assert refusal(logs.describe_log_streams, **by_time, nextToken=token)[1] == (
            "The specified nextToken is invalid."
        )


def test_a_group_is_named_by_name_or_identifier_and_not_by_both(
    logs: Any, stream: Any, refusal: Any, account: str
) -> None:
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:/app"
    for identifier in ("/app", arn):
        assert names_of(logs.describe_log_streams(logGroupIdentifier=identifier)) == ["one"]
    both = {"logGroupName": "/app", "logGroupIdentifier": "/app"}
    words = "LogGroup name and LogGroup ARN are mutually exclusive parameters."
    assert refusal(logs.describe_log_streams, **both) == ("InvalidParameterException", words)
    assert refusal(logs.describe_log_streams)[0] == "InvalidParameterException"
    foreign = arn.replace("us-east-1", "eu-west-1")
    assert refusal(logs.describe_log_streams, logGroupIdentifier=foreign)[0] in {
        "ResourceNotFoundException",
        "AccessDeniedException",
    }


def test_a_stream_name_must_fit_into_a_key(logs: Any, stream: Any, refusal: Any) -> None:
    logs.create_log_stream(logGroupName="/app", logStreamName="é" * 512)
    heavy = {"logGroupName": "/app", "logStreamName": "𝄞" * 512}
    assert refusal(logs.create_log_stream, **heavy)[0] == "InvalidParameterException"
