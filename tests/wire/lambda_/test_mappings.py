"""Event source mappings: made, shown, stopped, changed and deleted, and who may.

Source: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
Functions are not run here: what they are given is noted, and a test says what they answer.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.base.errors import Throttled
from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

SECOND_MS = 1_000


def test_a_mapping_is_stopped_and_goes_on_where_it_was(
    cloud: Cloud, function: Any, source: Any, put: Any, functions: Any, told: Any
) -> None:
    uuid = source()
    put(1)
    cloud.advance(SECOND_MS)
    assert functions.update_event_source_mapping(UUID=uuid, Enabled=False)["State"] == "Disabling"
    assert told(uuid)["State"] == "Disabled"
    put(2)
    cloud.advance(5 * SECOND_MS)
    assert function.batches == [["1"]]
    assert functions.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    cloud.advance(SECOND_MS)
    assert function.batches == [["1"], ["2"]]


def test_a_mapping_is_deleted_with_all_that_stands_of_it(
    cloud: Cloud, function: Any, source: Any, put: Any, functions: Any, refusal: Any
) -> None:
    uuid = source(TumblingWindowInSeconds=60, ParallelizationFactor=2)
    function.answer = lambda _event: {"state": {"x": 1}}
    put(1)
    cloud.advance(SECOND_MS)
    assert functions.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    code, _ = refusal(functions.get_event_source_mapping, UUID=uuid)
    assert code == "ResourceNotFoundException"
    count = len(function.events)
    put(2)
    cloud.advance(120 * SECOND_MS)
    assert len(function.events) == count
    assert functions.list_event_source_mappings()["EventSourceMappings"] == []


def test_a_full_house_delays_and_loses_nothing(
    cloud: Cloud, function: Any, source: Any, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise Throttled("no room")

    source()
    with monkeypatch.context() as patch:
        patch.setattr(cloud.app.parts.functions, "run", full)
        put(1)
        cloud.advance(3 * SECOND_MS)
    cloud.advance(2 * SECOND_MS)
    assert function.batches == [["1"]]


def test_a_role_that_may_not_read_makes_no_mapping(
    functions: Any, create: Any, function: Any, stream: str, make_role: Any, refusal: Any
) -> None:
    create(Role=make_role("blind", "dynamodb:DescribeStream", "dynamodb:GetRecords"))
    asked = {"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST"}
    told = refusal(functions.create_event_source_mapping, **asked)
    assert told[0] == "InvalidParameterValueException"
    assert told[1] == (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords,"
        " GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM."
    )


def test_a_role_that_may_not_read_any_more_reads_nothing_until_it_may(
    cloud: Cloud, function: Any, source: Any, put: Any, told: Any
) -> None:
    uuid = source()
    iam = cloud.client("iam")
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "dynamodb:GetRecords", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="reader", PolicyName="no", PolicyDocument=json.dumps(deny))
    put(1)
    cloud.advance(2 * SECOND_MS)
    assert function.batches == []
    assert "dynamodb:GetRecords" in told(uuid)["LastProcessingResult"]
    iam.delete_role_policy(RoleName="reader", PolicyName="no")
    cloud.advance(6 * SECOND_MS)
    assert function.batches == [["1"]]


def test_mappings_are_listed_by_source_and_by_function(
    functions: Any, source: Any, create: Any, stream: str, account: str
) -> None:
    first = source(BatchSize=7, Enabled=False)
    other = {"FunctionName": "g", "EventSourceArn": stream, "StartingPosition": "LATEST"}
    create(FunctionName="g", Role=f"arn:aws:iam::{account}:role/reader")
    second = functions.create_event_source_mapping(**other)["UUID"]

    def listed(**asked: Any) -> set[str]:
        found = functions.list_event_source_mappings(**asked)["EventSourceMappings"]
        return {each["UUID"] for each in found}

    assert listed() == listed(EventSourceArn=stream) == {first, second}
    assert listed(FunctionName="f") == listed(FunctionName="f", EventSourceArn=stream) == {first}
    assert listed(EventSourceArn=stream.replace("tab", "other")) == set()
    shown = functions.get_event_source_mapping(UUID=first)
    shown.pop("ResponseMetadata")
    shown.pop("LastModified")
    assert shown == {
        "UUID": first,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 7,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "EventSourceArn": stream,
        "FunctionArn": f"arn:aws:lambda:us-east-1:{account}:function:f",
        "LastProcessingResult": "No records processed",
        "State": "Disabled",
        "StateTransitionReason": "User action",
        "DestinationConfig": {"OnFailure": {}},
        "MaximumRecordAgeInSeconds": -1,
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:{account}:event-source-mapping:{first}",
    }


def test_a_mapping_invokes_another_function_from_where_it_was(
    cloud: Cloud, functions: Any, source: Any, create: Any, put: Any, function: Any, account: str
) -> None:
    uuid = source()
    create(FunctionName="g", Role=f"arn:aws:iam::{account}:role/reader")
    put(1)
    cloud.advance(SECOND_MS)
    changed = functions.update_event_source_mapping(UUID=uuid, FunctionName="g", BatchSize=1)
    assert (changed["State"], changed["BatchSize"]) == ("Updating", 1)
    assert changed["FunctionArn"].endswith(":function:g")
    put(2, 3)
    cloud.advance(SECOND_MS)
    assert function.batches == [["1"], ["2"], ["3"]]


STREAM = "arn:aws:dynamodb:us-east-1:{account}:table/tab/stream/2026-01-01T00:00:00.000"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:{account}:q"}, "NotImplemented", "sqs"),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:{account}:s"}, "NotImplemented", "kinesis"),
        ({"EventSourceArn": "arn:aws:s3:::b"}, "InvalidParameterValueException", "Unrecognized"),
        ({"StartingPosition": None}, "InvalidParameterValueException", "startingPosition"),
        (
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
            "InvalidParameterValueException",
            "Unsupported starting position for arn type",
        ),
        (
            {"StartingPositionTimestamp": 1},
            "InvalidParameterValueException",
            "StartingPositionTimestamp",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}},
            "InvalidParameterValueException",
            "Invalid filter pattern definition.",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": "{}"}] * 11}},
            "InvalidParameterValueException",
            "10 filters",
        ),
        (
            {"MaximumRecordAgeInSeconds": 59},
            "InvalidParameterValueException",
            "greater than or equal to 60",
        ),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:s3:::b"}}},
            "InvalidParameterValueException",
            "Unsupported DestinationConfig",
        ),
        (
            {
                "DestinationConfig": {
                    "OnFailure": {"Destination": "arn:aws:iam::123456789012:role/x"}
                }
            },
            "InvalidParameterValueException",
            "is invalid",
        ),
        (
            {
                "DestinationConfig": {
                    "OnFailure": {"Destination": "arn:aws:sns:us-east-1:{account}:t"}
                }
            },
            "NotImplemented",
            "sns",
        ),
        ({"FunctionName": "none"}, "ResourceNotFoundException", "none"),
    ],
)
def test_what_a_mapping_cannot_be_is_refused(
    functions: Any,
    stream: str,
    create: Any,
    refusal: Any,
    account: str,
    changes: Any,
    code: str,
    words: str,
) -> None:
    create()
    asked = {"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST", **changes}
    text = json.dumps({name: value for name, value in asked.items() if value is not None})
    told = refusal(
        functions.create_event_source_mapping, **json.loads(text.replace("{account}", account))
    )
    assert (told[0], words in told[1]) == (code, True), told


def test_a_source_is_mapped_to_a_function_once(
    functions: Any, source: Any, stream: str, refusal: Any
) -> None:
    uuid = source()
    again = {"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST"}
    code, message = refusal(functions.create_event_source_mapping, **again)
    assert (code, uuid in message) == ("ResourceConflictException", True)


def test_policies_speak_of_the_function_of_a_mapping(
    source: Any, user: Any, account: str, refusal: Any
) -> None:
    """Service Authorization Reference, "Condition keys for AWS Lambda": ``lambda:FunctionArn``."""
    uuid = source()
    for name, allowed in (("f", True), ("g", False)):
        arn = f"arn:aws:lambda:us-east-1:{account}:function:{name}"
        client = user(
            f"of-{name}",
            {
                "Effect": "Allow",
                "Action": "lambda:GetEventSourceMapping",
                "Resource": "*",
                "Condition": {"StringEquals": {"lambda:FunctionArn": arn}},
            },
        )
        if allowed:
            assert client.get_event_source_mapping(UUID=uuid)["UUID"] == uuid
        else:
            told = refusal(client.get_event_source_mapping, UUID=uuid)
            assert told[0] == "AccessDeniedException"


def test_a_real_function_is_run_with_what_a_table_tells(
    cloud: Cloud,
    functions: Any,
    create: Any,
    make_role: Any,
    dynamodb: Any,
    stream: str,
    lines: Any,
) -> None:
    code = "def handler(event, context): print('saw', [r['eventName'] for r in event['Records']])"
    reads = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
    create(code, Role=make_role("reader", *reads, "dynamodb:ListStreams", "logs:*"))
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=stream, StartingPosition="LATEST"
    )
    cloud.settle()
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "p"}, "c": {"N": "1"}})
    cloud.advance(SECOND_MS)
    assert "saw ['INSERT']\n" in lines()
