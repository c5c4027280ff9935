"""Exports of some items and some attributes of a table.

Source: Amazon DynamoDB Developer Guide, "Filtering a table export"; API Reference, FilterSpecification.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.s3 import SERVICE as S3
from fogbank.testing.cloud import Cloud

BUCKET = "filtered-target"
Export = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    config = Config(quotas={"dynamodb.export_span_ms_min": 1_000})
    with Cloud(services=[DYNAMODB, IAM, KMS, S3], replay=True, config=config) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


@pytest.fixture
def arn(dynamodb: Any, cloud: Cloud) -> str:
    """Make a table of three partitions with three items each, sealed; return its ARN."""
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    dynamodb.create_table(
        TableName="tab",
        KeySchema=[
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "c", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "c", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    dynamodb.update_continuous_backups(
        TableName="tab", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    for p in "abc":
        for c in (1, 2, 3):
            put(dynamodb, p, c, v=f"{p}{c}")
    return dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]


def put(dynamodb: Any, p: str, c: int, **attributes: str) -> None:
    item = {"p": {"S": p}, "c": {"N": str(c)}, "x": {"M": {"y": {"S": "z"}}}}
    texts = {name: {"S": value} for name, value in attributes.items()}
    dynamodb.put_item(TableName="tab", Item={**item, **texts})


@pytest.fixture
def export(cloud: Cloud, dynamodb: Any, arn: str) -> Export:
    """Export with a filter; return what the lines of all files say."""

    def run(specification: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
        begun = dynamodb.export_table_to_point_in_time(
            TableArn=arn, S3Bucket=BUCKET, FilterSpecification=specification, **members
        )["ExportDescription"]
        cloud.settle()
        ended = dynamodb.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
        assert ended["ExportStatus"] == "COMPLETED", ended
        assert ended["FilterSpecification"] == specification
        s3 = cloud.client("s3")

        def read(key: str) -> bytes:
            return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

        summary = json.loads(read(ended["ExportManifest"]))
        files = [json.loads(each) for each in read(summary["manifestFilesS3Key"]).splitlines()]
        lines = [
            json.loads(line)
            for each in files
            for line in gzip.decompress(read(each["dataFileS3Key"])).splitlines()
        ]
        assert ended["ItemCount"] == len(lines)
        return lines

    return run


def names(lines: list[dict[str, Any]]) -> list[str]:
    return sorted(each["Item"]["v"]["S"] for each in lines)


VALUES = {":p": {"S": "b"}, ":two": {"N": "2"}, ":v": {"S": "b3"}}


def given(*used: str, **expressions: str) -> dict[str, Any]:
    values = {name: VALUES[name] for name in used}
    return {**expressions, **({"ExpressionAttributeValues": values} if used else {})}


@pytest.mark.parametrize(
    ("specification", "found"),
    [
        (given(":p", KeyConditionExpression="p = :p"), ["b1", "b2", "b3"]),
        (
            given(":p", ":two", KeyConditionExpression="p = :p AND c >= :two"),
            ["b2", "b3"],
        ),
        (
            given(":p", ":v", KeyConditionExpression="p = :p", FilterExpression="v <> :v"),
            ["b1", "b2"],
        ),
        (given(":two", FilterExpression="c = :two"), ["a2", "b2", "c2"]),
        (given(":v", FilterExpression="v = :v OR attribute_not_exists(v)"), ["b3"]),
    ],
)
def test_only_what_the_expressions_take_is_exported(
    export: Export, specification: dict[str, Any], found: list[str]
) -> None:
    assert names(export(specification)) == found


def test_a_projection_says_which_attributes_are_exported(export: Export) -> None:
    specification = {
        "KeyConditionExpression": "p = :p",
        "ProjectionExpression": "#x.y, v",
        "ExpressionAttributeNames": {"#x": "x"},
        "ExpressionAttributeValues": {":p": {"S": "b"}},
    }
    items = [each["Item"] for each in export(specification)]
    assert items == [
        {"x": {"M": {"y": {"S": "z"}}}, "v": {"S": f"b{number}"}} for number in (1, 2, 3)
    ]


def test_an_incremental_export_asks_the_latest_image_or_the_old_one_of_what_is_gone(
    export: Export, dynamodb: Any, cloud: Cloud
) -> None:
    cloud.advance(5_000)
    begin_s = cloud.clock.now_ms() // 1_000
    put(dynamodb, "a", 1, v="mine")
    put(dynamodb, "a", 2, v="another")
    for p, c in (("b", 3), ("c", 1)):
        dynamodb.delete_item(TableName="tab", Key={"p": {"S": p}, "c": {"N": str(c)}})
    cloud.advance(5_000)
    lines = export(
        {
            "FilterExpression": "v IN (:new, :old)",
            "ProjectionExpression": "v",
            "ExpressionAttributeValues": {":new": {"S": "mine"}, ":old": {"S": "b3"}},
        },
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={
            "ExportFromTime": begin_s,
            "ExportToTime": cloud.clock.now_ms() // 1_000,
        },
    )
    told = {each["Keys"]["p"]["S"] + each["Keys"]["c"]["N"]: each for each in lines}
    assert sorted(told) == ["a1", "b3"]
    assert told["a1"]["NewImage"] == {"v": {"S": "mine"}}
    assert told["a1"]["OldImage"] == {"v": {"S": "a1"}}
    assert told["b3"]["OldImage"] == {"v": {"S": "b3"}}
    assert "NewImage" not in told["b3"]


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        (
            given(":two", KeyConditionExpression="c = :two"),
            "Query condition missed key schema element: p",
        ),
        (
            given(":p", ":two", KeyConditionExpression="p = :p", FilterExpression="c = :two"),
            (
                "Filter Expression can only contain non-primary key attributes:"
                " Primary key attribute: c"
            ),
        ),
        (
            given(FilterExpression="v = :v"),
            (
                "Invalid FilterExpression: An expression attribute value used in expression is not"
                " defined; attribute value: :v"
            ),
        ),
        (
            {"ExpressionAttributeNames": {"#x": "x"}},
            (
                "Invalid Request: FilterSpecification must have at least one of FilterExpression,"
                " ProjectionExpression and KeyConditionExpression"
            ),
        ),
    ],
)
def test_a_specification_that_cannot_be_is_refused(
    arn: str, dynamodb: Any, refusal: Any, specification: dict[str, Any], message: str
) -> None:
    refused = refusal(
        dynamodb.export_table_to_point_in_time,
        TableArn=arn,
        S3Bucket=BUCKET,
        FilterSpecification=specification,
    )
    assert refused == (400, "ValidationException", message)
    assert dynamodb.list_exports()["ExportSummaries"] == []
