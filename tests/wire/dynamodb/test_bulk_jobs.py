"""Bulk puts: their throughput, their ends, whose rights they have, and when one may begin.

Source: Amazon DynamoDB API Reference, StartBulkPutItems, CancelBulkOperation and ListBulkOperations;
Developer Guide, "Bulk put items considerations, quotas, and permissions".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from tests.wire.dynamodb.bulks import (
    OUT,
    Run,
    asked,
    bulk_cloud,
    described,
    found,
    line,
    put_source,
    run_bulk,
    told,
)
from tests.wire.dynamodb.test_imports import user_who_may

from fogbank.services.dynamodb.rules import bulks
from fogbank.services.dynamodb.rules import transfers as names
from fogbank.services.dynamodb.state import bulking, reading, transfers
from fogbank.testing.cloud import Cloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud for bulk puts; a parameter gives its quotas."""
    with bulk_cloud(getattr(request, "param", {})) as made:
        yield made


@pytest.fixture
def put(cloud: Cloud) -> Callable[[str, bytes], None]:
    return partial(put_source, cloud)


@pytest.fixture
def run(cloud: Cloud) -> Run:
    return partial(run_bulk, cloud)


def holding(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, name: str, free: int = 0
) -> Callable[[], None]:
    """Hold bulk puts at a step, after so many that go on; return what lets them go on."""
    may_go_on, step = asyncio.Event(), getattr(bulking._Work, name)
    begun: list[Any] = []

    async def held(work: Any, *given: Any) -> None:
        begun.append(work)
        if len(begun) > free:
            await may_go_on.wait()
        await step(work, *given)

    async def let_go() -> None:
        may_go_on.set()

    monkeypatch.setattr(bulking._Work, name, held)

    def release_all() -> None:
        cloud.run(let_go())
        cloud.settle()

    return release_all


# Throughput.


@pytest.mark.parametrize("cloud", [{"dynamodb.burst_s": 1}], indirect=True)
def test_a_bulk_put_waits_for_the_throughput_of_its_table(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any
) -> None:
    dynamodb.create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 5},
    )
    put("in/1", b"".join(line({"p": {"S": str(at)}}) for at in range(12)))
    begun = dynamodb.start_bulk_put_items(**asked())["BulkOperationDescription"]
    counts = []
    for _ in range(3):
        cloud.settle()
        counts.append(described(dynamodb, begun["BulkOperationArn"])["ProcessedItemCount"])
        cloud.advance(1_000)
    assert counts == [5, 10, 12]


@pytest.mark.parametrize("cloud", [{"dynamodb.bulk_standard_units_max": 60}], indirect=True)
def test_a_bulk_put_keeps_to_the_rate_of_its_tier(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    put("in/1", b"".join(line({"p": {"S": str(at)}}) for at in range(250)))
    begun = dynamodb.start_bulk_put_items(**asked())["BulkOperationDescription"]
    counts = []
    for _ in range(5):
        cloud.settle()
        counts.append(described(dynamodb, begun["BulkOperationArn"])["ProcessedItemCount"])
        cloud.advance(1_000)
    assert counts == [100, 150, 200, 250, 250]


def test_the_rates_of_a_tier_and_of_a_request_hold_both() -> None:
    """API Reference, StartBulkPutItems, MaxWriteRequestUnits: it limits the bulk operation only."""
    assert bulks.rate_of({}, 8_192, 0) == 8_192
    assert bulks.rate_of({"MaxWriteRequestUnits": 1_024}, 8_192, 0) == 1_024
    accelerated = {"PerformanceTier": "ACCELERATED"}
    assert bulks.rate_of(accelerated, 8_192, 0) == 0
    assert bulks.rate_of({**accelerated, "MaxWriteRequestUnits": 2_000}, 8_192, 0) == 2_000


# Ends.


def test_a_bulk_put_that_is_cancelled_keeps_what_it_has_written(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any, refusal: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    release = holding(cloud, monkeypatch, "_write_piece", free=1)
    make_table()
    put("in/1", b"".join(line({"p": {"S": str(at)}}) for at in range(60)) + b"no\n" * 60)
    begun = dynamodb.start_bulk_put_items(**asked())["BulkOperationDescription"]
    arn = begun["BulkOperationArn"]
    cancelled = dynamodb.cancel_bulk_operation(BulkOperationArn=arn)
    assert cancelled["BulkOperationStatus"] == "CANCELLING"
    release()
    ended = described(dynamodb, arn)
    assert (ended["BulkOperationStatus"], ended["FailureCode"]) == ("CANCELLED", "Cancelled")
    assert ended["ProcessedItemCount"] == len(found(dynamodb)) < 60
    assert told(cloud, ended) == {}
    assert refusal(dynamodb.cancel_bulk_operation, BulkOperationArn=arn)[1] == "ValidationException"


def meanwhile(patch: pytest.MonkeyPatch, operation: str, **request: Any) -> None:
    """Have an operation asked for whenever a window of an object is to be read."""
    window = reading.Reading._window

    async def asking(work: Any, place: Any, at: int) -> bytes:
        asker = work._asker
        named = {"principal": asker._principal, "region": asker._region}
        await asker._facilities.calls.call("dynamodb", operation, request, **named)
        return await window(work, place, at)

    patch.setattr(reading.Reading, "_window", asking)


def known_id(*_: object) -> str:
    return f"{0:014}-{0:08}"


def test_a_bulk_put_hears_that_it_is_cancelled_while_it_reads(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table()
    put("in/1", line({"p": {"S": "a"}}))
    monkeypatch.setattr(names, "new_id", known_id)
    arn = f"arn:aws:dynamodb:us-east-1:{cloud.account.principal.account}:table/tab/bulk-operation/"
    arn += known_id()
    meanwhile(monkeypatch, "CancelBulkOperation", BulkOperationArn=arn)
    dynamodb.start_bulk_put_items(**asked())
    cloud.settle()
    ended = described(dynamodb, arn)
    assert (ended["BulkOperationStatus"], ended["ProcessedItemCount"]) == ("CANCELLED", 0)
    assert found(dynamodb) == {}


def test_a_table_that_is_deleted_ends_its_bulk_put(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table()
    put("in/1", b"no\n" + line({"p": {"S": "a"}}))
    meanwhile(monkeypatch, "DeleteTable", TableName="tab")
    begun = dynamodb.start_bulk_put_items(**asked())["BulkOperationDescription"]
    cloud.settle()
    ended = described(dynamodb, begun["BulkOperationArn"])
    assert (ended["BulkOperationStatus"], ended["FailureCode"]) == ("FAILED", "TableNotFound")


NEEDED = {
    "dynamodb:StartBulkPutItems": "",
    "s3:ListBucket": "S3AccessDenied",
    "s3:GetObject": "S3AccessDenied",
    "s3:PutObject": "S3AccessDenied",
    "s3:PutObjectAcl": "S3AccessDenied",
}
"""What its caller must be allowed, and how a bulk put fails that is begun without."""


@pytest.mark.parametrize("denied", [*NEEDED, ""])
def test_a_bulk_put_reads_and_writes_objects_with_the_rights_of_its_caller(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any, refusal: Any, denied: str
) -> None:
    make_table()
    put("in/1", line({"p": {"S": "a"}}))
    user = user_who_may(cloud, [action for action in NEEDED if action != denied])
    client = cloud.client("dynamodb", credential=user)
    if not NEEDED.get(denied, "begun"):
        assert refusal(client.start_bulk_put_items, **asked())[1] == "AccessDeniedException"
        return
    begun = client.start_bulk_put_items(**asked())["BulkOperationDescription"]
    cloud.settle()
    ended = described(dynamodb, begun["BulkOperationArn"])
    expected = ("FAILED", NEEDED[denied]) if denied else ("COMPLETED", None)
    assert (ended["BulkOperationStatus"], ended.get("FailureCode")) == expected


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"S3Bucket": "no-such-reports"}, "S3NoSuchBucket"),
        ({"S3BucketOwner": "999999999999"}, "S3AccessDenied"),
    ],
)
def test_reports_that_cannot_be_written_fail_it_before_anything_is_put(
    put: Any, run: Run, dynamodb: Any, make_table: Any, members: dict[str, Any], code: str
) -> None:
    make_table()
    put("in/1", line({"p": {"S": "a"}}))
    ended = run(**members)
    assert (ended["BulkOperationStatus"], ended["FailureCode"]) == ("FAILED", code)
    assert found(dynamodb) == {}


def test_reports_are_encrypted_as_is_asked_for(
    put: Any, run: Run, cloud: Cloud, make_table: Any
) -> None:
    make_table()
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    put("in/1", b"no\n")
    ended = run(S3SseAlgorithm="KMS", S3SseKmsKeyId=key)
    assert len(told(cloud, ended)["error"]) == 1
    s3 = cloud.client("s3")
    for each in s3.list_objects_v2(Bucket=OUT)["Contents"]:
        head = s3.head_object(Bucket=OUT, Key=each["Key"])
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.parametrize(
    ("cloud", "code"),
    [
        ({"dynamodb.bulk_objects_max": 1}, "BulkOperationLimitExceeded"),
        ({"dynamodb.bulk_bytes_max": 40}, "BulkOperationLimitExceeded"),
        ({"dynamodb.bulk_object_bytes_max": 20}, "BulkOperationLimitExceeded"),
    ],
    indirect=["cloud"],
)
def test_a_bulk_put_may_have_so_many_objects_and_bytes(
    put: Any, run: Run, dynamodb: Any, make_table: Any, code: str
) -> None:
    make_table()
    for name in "ab":
        put(f"in/{name}", line({"p": {"S": name}}))
    ended = run()
    assert (ended["BulkOperationStatus"], ended["FailureCode"]) == ("FAILED", code)
    assert found(dynamodb) == {}


# What may be asked for, and when.


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"OutputS3Configuration": {"OutputType": ["ERROR"]}}, "must specify an S3Bucket"),
        (
            {"OutputS3Configuration": {"S3Bucket": OUT, "OutputType": []}},
            "must specify at least one OutputType",
        ),
        ({"S3SseKmsKeyId": "key"}, "S3SseKmsKeyId is only for S3SseAlgorithm KMS"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(
    dynamodb: Any, make_table: Any, refusal: Any, members: dict[str, Any], message: str
) -> None:
    make_table()
    status, code, said = refusal(dynamodb.start_bulk_put_items, **asked(**members))
    assert (status, code) == (400, "ValidationException")
    assert message in said


def test_a_table_that_is_not_there_is_not_put_into(dynamodb: Any, refusal: Any) -> None:
    assert refusal(dynamodb.start_bulk_put_items, **asked())[1] == "ResourceNotFoundException"


@pytest.fixture
def release(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Hold bulk puts before they read anything; return what lets them go on."""
    return holding(cloud, monkeypatch, "go_on")


def test_bulk_puts_and_replicas_keep_out_of_each_others_way(
    put: Any, dynamodb: Any, make_table: Any, refusal: Any, release: Callable[[], None]
) -> None:
    """Developer Guide, "Bulk put items considerations: Global tables"."""
    make_table()
    put("in/1", line({"p": {"S": "a"}}))
    replica = {"TableName": "tab", "ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}
    dynamodb.start_bulk_put_items(**asked())
    assert refusal(dynamodb.update_table, **replica)[1] == "ResourceInUseException"
    release()
    dynamodb.update_table(**replica)
    assert refusal(dynamodb.start_bulk_put_items, **asked()) == (
        400,
        "ValidationException",
        "Bulk put items does not support global tables",
    )


def test_a_token_makes_one_bulk_put_of_many_requests(
    put: Any, cloud: Cloud, dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    """API Reference, StartBulkPutItems, ClientToken: for eight hours."""
    make_table()
    put("in/1", line({"p": {"S": "a"}}))
    given = asked(ClientToken="token")
    arns = {
        dynamodb.start_bulk_put_items(**given)["BulkOperationDescription"]["BulkOperationArn"]
        for _ in range(2)
    }
    assert len(arns) == 1
    other = asked(ClientToken="token", MaxWriteRequestUnits=2_000)
    refused = refusal(dynamodb.start_bulk_put_items, **other)
    assert refused[1] == "IdempotentParameterMismatchException"
    cloud.advance(8 * 3_600_000 + 1)
    again = dynamodb.start_bulk_put_items(**other)["BulkOperationDescription"]
    assert again["BulkOperationArn"] not in arns


@pytest.mark.parametrize("cloud", [{"dynamodb.bulk_operations_max": 2}], indirect=True)
def test_so_many_bulk_puts_of_a_table_and_of_an_account_run_at_once(
    dynamodb: Any, make_table: Any, refusal: Any, release: Callable[[], None]
) -> None:
    for name in ("one", "two", "three"):
        make_table(name)
    start = dynamodb.start_bulk_put_items
    start(**asked(TableName="one"))
    assert refusal(start, **asked(TableName="one"))[1:] == (
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of 1 concurrent bulk operations for a table",
    )
    start(**asked(TableName="two"))
    assert refusal(start, **asked(TableName="three"))[1:] == (
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of 2 concurrent bulk operations",
    )
    release()
    start(**asked(TableName="one"))


def test_bulk_puts_are_listed_for_ninety_days_the_latest_first_in_pages(
    cloud: Cloud, dynamodb: Any, make_table: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API Reference, ListBulkOperations; in ninety days of virtual time too much else would happen."""
    assert transfers.TRANSFER_KEPT_MS == 90 * 86_400_000
    monkeypatch.setattr(transfers, "TRANSFER_KEPT_MS", 60_000)
    arns = []
    for name in ("tab-2", "tab-1", "tab-3"):
        make_table(name)
        begun = dynamodb.start_bulk_put_items(**asked(TableName=name))
        arns.append(begun["BulkOperationDescription"]["BulkOperationArn"])
        cloud.advance(1_000)
    listed = dynamodb.list_bulk_operations()["BulkOperationsSummaryList"]
    assert [each["BulkOperationArn"] for each in listed] == arns[::-1]
    assert {*listed[0]} == {"BulkOperationArn", "BulkOperationStatus", "StartTime", "EndTime"}
    assert listed[0]["BulkOperationStatus"] == "FAILED", "there was nothing to read"
    pages = dynamodb.get_paginator("list_bulk_operations").paginate(
        PaginationConfig={"PageSize": 2}
    )
    assert [len(page["BulkOperationsSummaryList"]) for page in pages] == [2, 1]
    cloud.advance(60_000)
    assert dynamodb.list_bulk_operations()["BulkOperationsSummaryList"] == []
    for ask in (dynamodb.describe_bulk_operation, dynamodb.cancel_bulk_operation):
        assert refusal(ask, BulkOperationArn=arns[0])[1] == "ResourceNotFoundException"
        assert refusal(ask, BulkOperationArn="x" * 40)[1] == "ResourceNotFoundException"
