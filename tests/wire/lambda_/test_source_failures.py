"""What becomes of records of a stream that a function does not take.

Source: Lambda Developer Guide, "Processing DynamoDB records with Lambda" and the pages below it.
Functions are not run here: what they are given is noted, and a test says what they answer.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

SECOND_MS = 1_000


def _key_of(record: Any) -> Any:
    return record["dynamodb"]["Keys"]["c"]["N"]


def test_a_batch_that_fails_comes_again_as_it_was_until_it_is_given_up(
    cloud: Cloud, function: Any, source: Any, put: Any, told: Any
) -> None:
    def answer(event: Any) -> None:
        if _key_of(event["Records"][0]) == "1":
            raise RuntimeError("no")

    function.answer = answer
    uuid = source(MaximumRetryAttempts=2)
    put(1, 2)
    cloud.advance(500)
    put(3)
    assert told(uuid)["LastProcessingResult"] == "PROBLEM: Function call failed"
    cloud.advance(10 * SECOND_MS)
    assert function.batches == [["1", "2"]] * 3 + [["3"]]
    assert told(uuid)["LastProcessingResult"] == "OK"


def test_a_batch_that_fails_is_cut_in_two_until_the_bad_record_is_alone(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    def answer(event: Any) -> None:
        if "5" in [_key_of(each) for each in event["Records"]]:
            raise RuntimeError("no")

    function.answer = answer
    source(BisectBatchOnFunctionError=True, MaximumRetryAttempts=1)
    put(*range(8))
    cloud.advance(500)
    put(8)
    cloud.advance(10 * SECOND_MS)
    assert function.batches == [
        list("01234567"),
        list("0123"),
        list("4567"),
        list("45"),
        ["4"],
        ["5"],
        ["5"],
        list("67"),
        ["8"],
    ]


def test_a_function_says_from_which_record_on_it_has_failed(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    """Developer Guide, "Configuring partial batch response": the lowest number counts."""
    failing = {"2", "4"}

    def answer(event: Any) -> Any:
        failures = [
            {"itemIdentifier": each["dynamodb"]["SequenceNumber"]}
            for each in reversed(event["Records"])
            if _key_of(each) in failing
        ]
        failing.clear()
        return {"batchItemFailures": failures}

    function.answer = answer
    source(FunctionResponseTypes=["ReportBatchItemFailures"])
    put(*range(6))
    cloud.advance(5 * SECOND_MS)
    assert function.batches == [list("012345"), list("2345")]


@pytest.mark.parametrize(
    "said", ["x", {"batchItemFailures": [{"itemIdentifier": "9"}]}, {"batchItemFailures": [{}]}]
)
def test_an_answer_about_records_that_were_not_sent_fails_the_batch(
    cloud: Cloud, function: Any, source: Any, put: Any, told: Any, said: Any
) -> None:
    answers = [said, {"batchItemFailures": []}]
    function.answer = lambda _event: answers.pop(0)
    uuid = source(FunctionResponseTypes=["ReportBatchItemFailures"])
    put(1)
    cloud.advance(500)
    failed = not isinstance(said, str)
    assert ("Sequence number" in told(uuid)["LastProcessingResult"]) == failed
    cloud.advance(5 * SECOND_MS)
    assert function.batches == [["1"]] * (2 if failed else 1)


def test_a_record_that_is_too_old_is_given_up_before_a_run(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    put(1)
    cloud.advance(50 * SECOND_MS)
    put(2)
    cloud.advance(11 * SECOND_MS)
    source(MaximumRecordAgeInSeconds=60)
    cloud.advance(SECOND_MS)
    assert function.batches == [["2"]]


def test_what_is_given_up_is_told_to_a_bucket_with_the_event(
    cloud: Cloud, function: Any, source: Any, put: Any, stream: str, account: str
) -> None:
    """Developer Guide, "Retain discarded batch records for a DynamoDB event source"."""

    def answer(event: Any) -> None:
        raise RuntimeError("no")

    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="given-up")
    function.answer = answer
    failure = {"OnFailure": {"Destination": "arn:aws:s3:::given-up"}}
    uuid = source(MaximumRetryAttempts=0, DestinationConfig=failure)
    put(1, 2)
    cloud.advance(SECOND_MS)
    [found] = s3.list_objects_v2(Bucket="given-up")["Contents"]
    shard = found["Key"].split("/")[3]
    assert found["Key"].startswith(f"aws/lambda/{uuid}/shardId-")
    told = json.loads(s3.get_object(Bucket="given-up", Key=found["Key"])["Body"].read())
    numbers = [each["dynamodb"]["SequenceNumber"] for each in function.events[0]["Records"]]
    info = told["DDBStreamBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == tuple(numbers)
    assert (info["shardId"], info["batchSize"], info["streamArn"]) == (shard, 2, stream)
    context = told["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == (
        "RetryAttemptsExhausted",
        1,
    )
    assert context["functionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:f"
    assert told["payload"] == function.events[0]


def test_what_is_given_up_is_told_to_a_function_without_the_event(
    cloud: Cloud, function: Any, source: Any, put: Any, create: Any
) -> None:
    def answer(event: Any) -> None:
        if "Records" in event:
            raise RuntimeError("no")

    function.answer = answer
    arn = create(FunctionName="g")["FunctionArn"]
    failure = {"OnFailure": {"Destination": arn}}
    source(MaximumRetryAttempts=0, DestinationConfig=failure)
    put(1)
    cloud.advance(SECOND_MS)
    batch, heard = function.events
    assert heard["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert "payload" not in heard
    assert batch["Records"]
