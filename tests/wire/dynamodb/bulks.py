"""Bulk puts: how tests ask for them, and what they read of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.s3 import SERVICE as S3
from fogbank.testing.cloud import Cloud

IN, OUT = "bulk-source", "bulk-reports"
BOTH = ["ERROR", "CONDITION_CHECK_FAILURE"]
Run = Callable[..., dict[str, Any]]


@contextmanager
def bulk_cloud(quotas: dict[str, int]) -> Generator[Cloud]:
    """Return a cloud whose bodies all run twice, with a bucket to read and one to write."""
    config = Config(quotas=quotas)
    with Cloud(services=[DYNAMODB, IAM, KMS, S3], replay=True, config=config) as made:
        for name in (IN, OUT):
            made.client("s3").create_bucket(Bucket=name)
        yield made


def put_source(cloud: Cloud, key: str, content: bytes) -> None:
    cloud.client("s3").put_object(Bucket=IN, Key=key, Body=content)


def run_bulk(cloud: Cloud, *types: str, **members: Any) -> dict[str, Any]:
    """Put in bulk, wait until that has ended, and return what it is then."""
    dynamodb = cloud.client("dynamodb")
    begun = dynamodb.start_bulk_put_items(**asked(*types, **members))["BulkOperationDescription"]
    assert begun["BulkOperationStatus"] == "IN_PROGRESS"
    cloud.settle()
    return described(dynamodb, begun["BulkOperationArn"])


def asked(*types: str, **members: Any) -> dict[str, Any]:
    """Return a request; members named as those of a configuration stand in the first that has it."""
    source = {"S3Bucket": IN, "S3KeyPrefix": "in/", "InputFormat": "DYNAMODB_JSON"}
    source |= {key: members.pop(key) for key in [*members] if key.startswith("Input")}
    output = {"S3Bucket": OUT, "S3KeyPrefix": "told", "OutputType": [*(types or BOTH)]}
    output |= {key: members.pop(key) for key in [*members] if key.startswith("S3")}
    given = {"InputS3Configuration": source, "OutputS3Configuration": output, "TableName": "tab"}
    return {**given, **members}


def described(dynamodb: Any, arn: str) -> dict[str, Any]:
    reply = dynamodb.describe_bulk_operation(BulkOperationArn=arn)
    return dict(reply["BulkOperationDescription"])


def line(item: dict[str, Any], **condition: Any) -> bytes:
    return json.dumps({"Item": item, **condition}).encode() + b"\n"


def found(dynamodb: Any) -> dict[str, Any]:
    return {item["p"]["S"]: item for item in dynamodb.scan(TableName="tab")["Items"]}


def told(cloud: Cloud, ended: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of the reports of a bulk put by the folder of each, as its manifests say."""
    s3, bulk_id = cloud.client("s3"), ended["BulkOperationArn"].rpartition("/")[2]

    def read(key: str) -> bytes:
        return bytes(s3.get_object(Bucket=OUT, Key=key)["Body"].read())

    folder = f"told/AWSDynamoDB/{bulk_id}/"
    summary = json.loads(read(f"{folder}manifest-summary.json"))
    assert summary["processedItemCount"] == ended["ProcessedItemCount"]
    lines: dict[str, list[dict[str, Any]]] = {}
    for each in read(summary["manifestFilesS3Key"]).splitlines():
        file = json.loads(each)
        content = gzip.decompress(read(file["dataFileS3Key"])).splitlines()
        assert len(content) == file["itemCount"]
        kind = file["dataFileS3Key"].removeprefix(folder).partition("/")[0]
        lines.setdefault(kind, []).extend(json.loads(each) for each in content)
    return lines
