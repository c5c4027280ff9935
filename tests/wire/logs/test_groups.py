from __future__ import annotations

from typing import Any

import pytest
from tests.wire.logs.conftest import rows_of

DAY_MS = 86_400_000

MISSING = ("ResourceNotFoundException", "The specified log group does not exist.")


def test_a_group_is_told_as_aws_tells_it(logs: Any, account: str, now_ms: int) -> None:
    logs.create_log_group(logGroupName="/app")
    (group,) = logs.describe_log_groups()["logGroups"]
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:/app"
    assert group == {
        "logGroupName": "/app",
        "creationTime": now_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "logGroupArn": arn,
        "deletionProtectionEnabled": False,
    }


def test_a_name_is_given_once_and_can_be_given_again_after_its_end(
    logs: Any, put: Any, stream: Any, refusal: Any, now_ms: int
) -> None:
    put((now_ms, "old"))
    assert refusal(logs.create_log_group, logGroupName="/app") == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    logs.delete_log_group(logGroupName="/app")
    assert refusal(logs.delete_log_group, logGroupName="/app") == MISSING
    assert refusal(logs.describe_log_streams, logGroupName="/app") == MISSING
    logs.create_log_group(logGroupName="/app")
    assert logs.describe_log_streams(logGroupName="/app")["logStreams"] == []
    put((now_ms, "new"))
    events = logs.filter_log_events(logGroupName="/app")["events"]
    assert [event["message"] for event in events] == ["new"]


def test_all_that_lay_under_a_deleted_group_is_removed(
    logs: Any, put: Any, cloud: Any, now_ms: int
) -> None:
    before = rows_of(cloud)
    logs.create_log_group(logGroupName="/app")
    for number in range(20):
        put(*((now_ms - 60_000 * i, "m") for i in range(60, 0, -1)), name=str(number))
    put((now_ms, "x" * 600_000), name="large")
    assert rows_of(cloud) > before + 1_000
    logs.delete_log_group(logGroupName="/app")
    cloud.settle()
    assert rows_of(cloud) == before


def test_groups_are_listed_by_prefix_or_pattern_a_page_at_a_time(logs: Any, refusal: Any) -> None:
    for name in ("/aws/lambda/a", "/aws/lambda/b", "/aws/other", "/zoo"):
        logs.create_log_group(logGroupName=name)
    pages = logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix="/aws/", PaginationConfig={"PageSize": 2}
    )
    names = [[group["logGroupName"] for group in page["logGroups"]] for page in pages]
    assert names == [["/aws/lambda/a", "/aws/lambda/b"], ["/aws/other"]]
    found = logs.describe_log_groups(logGroupNamePattern="o")["logGroups"]
    assert [group["logGroupName"] for group in found] == ["/aws/other", "/zoo"]
    assert logs.describe_log_groups(logGroupNamePrefix="/none")["logGroups"] == []
    assert logs.describe_log_groups(logGroupClass="INFREQUENT_ACCESS")["logGroups"] == []
    both = {"logGroupNamePrefix": "/a", "logGroupNamePattern": "b"}
    assert refusal(logs.describe_log_groups, **both) == (
        "InvalidParameterException",
        "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
    )
    assert refusal(logs.describe_log_groups, nextToken="nonsense")[1] == (
        "The specified nextToken is invalid."
    )


def test_events_past_their_retention_are_hidden_at_once_and_removed(
    logs: Any, put: Any, stream: Any, cloud: Any, now_ms: int
) -> None:
    rows = rows_of(cloud)
    put((now_ms - 3 * DAY_MS, "old"), (now_ms - 3 * DAY_MS + 1, "x" * 600_000))
    put((now_ms - 2 * DAY_MS, "old too"), name="two")
    put((now_ms, "new"))
    logs.put_retention_policy(logGroupName="/app", retentionInDays=1)
    (group,) = logs.describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 1
    events = logs.filter_log_events(logGroupName="/app")["events"]
    assert [event["message"] for event in events] == ["new"]
    assert logs.get_log_events(**{**stream, "logStreamName": "two"})["events"] == []
    cloud.settle()
    (group,) = logs.describe_log_groups()["logGroups"]
    assert group["storedBytes"] == len("new") + 26
    # One row of events, its hour, the count of a shard or two, a second stream with its two
    # places, and the timer.
    assert rows_of(cloud) <= rows + 8
    rejected = put((now_ms - DAY_MS - 1, "late"), (now_ms, "now"))["rejectedLogEventsInfo"]
    assert rejected == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName="/app")
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    put((now_ms - DAY_MS - 1, "late"))


def test_a_retention_is_one_of_those_that_aws_offers(logs: Any, stream: Any, refusal: Any) -> None:
    code, message = refusal(logs.put_retention_policy, logGroupName="/app", retentionInDays=2)
    assert code == "InvalidParameterException"
    assert "Value '2' at 'retentionInDays' failed to satisfy constraint" in message
    assert refusal(logs.put_retention_policy, logGroupName="/none", retentionInDays=1) == MISSING
    assert refusal(logs.delete_retention_policy, logGroupName="/none") == MISSING


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("kmsKeyId", "arn:aws:kms:us-east-1:111122223333:key/k"),
        ("tags", {"a": "b"}),
        ("logGroupClass", "INFREQUENT_ACCESS"),
        ("deletionProtectionEnabled", True),
    ],
)
def test_what_is_not_built_says_so(logs: Any, refusal: Any, member: str, value: Any) -> None:
    assert refusal(logs.create_log_group, logGroupName="/app", **{member: value}) == (
        "NotImplemented",
        f"fogbank has not built the member {member} of logs:CreateLogGroup",
    )


def test_permissions_are_checked_on_groups_and_streams(
    logs: Any, stream: Any, user: Any, refusal: Any, account: str, now_ms: int
) -> None:
    base = f"arn:aws:logs:us-east-1:{account}:log-group"
    events = [{"timestamp": now_ms, "message": "m"}]
    whole = user("whole", "logs:*", f"{base}:/app:*")
    whole.put_log_events(**stream, logEvents=events)
    whole.filter_log_events(logGroupName="/app")
    whole.describe_log_streams(logGroupIdentifier=f"{base}:/app")
    bare = user("bare", "logs:*", f"{base}:/app")
    code, message = refusal(bare.filter_log_events, logGroupName="/app")
    assert code == "AccessDeniedException"
    assert f"logs:FilterLogEvents on resource: {base}:/app:log-stream:" in message
    one = user("one", "logs:*", f"{base}:/app:log-stream:one")
    one.get_log_events(**stream)
    assert refusal(one.put_log_events, **{**stream, "logStreamName": "two"}, logEvents=events)[
        0
    ] == ("AccessDeniedException")
    assert refusal(one.describe_log_groups)[0] == "AccessDeniedException"
