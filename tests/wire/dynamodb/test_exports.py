from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from amazon.ion import simpleion
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    begin,
    described,
    item,
    make,
    put,
    settle,
)
from tests.wire.dynamodb.test_imports import user_who_may

from fogbank.platform.store.engine import Domain
from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodb.schema import TABLES
from fogbank.services.dynamodb.state import exporting
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.testing.cloud import Cloud

BUCKET = "export-target"
Export = Callable[..., dict[str, Any]]
ITEM = {
    "p": {"S": "é"},
    "n": {"N": "12345678901234567890123456789012345678"},
    "b": {"B": b"\0\xff"},
    "bs": {"BS": [b"a", b"\0"]},
    "ns": {"NS": ["1", "2.5"]},
    "ss": {"SS": ["x", "y"]},
    "l": {"L": [{"NULL": True}, {"BOOL": False}, {"M": {"it's": {"S": ""}}}]},
}


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud whose bodies all run twice; a parameter gives its quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[DYNAMODB, IAM, LOGS, S3], replay=True, config=config) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


@pytest.fixture
def arn(dynamodb: Any, make_table: Any) -> str:
    """Make a table with recovery; return its ARN."""
    make_table()
    dynamodb.update_continuous_backups(
        TableName="tab",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    return dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]


@pytest.fixture
def export(cloud: Cloud, dynamodb: Any, arn: str) -> Export:
    def run(**members: Any) -> dict[str, Any]:
        given = {"TableArn": arn, "S3Bucket": BUCKET, **members}
        begun = dynamodb.export_table_to_point_in_time(**given)["ExportDescription"]
        cloud.settle()
        return dynamodb.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]

    return run


def read(cloud: Cloud, key: str) -> bytes:
    return cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()


def lines(cloud: Cloud, ended: dict[str, Any]) -> list[bytes]:
    """Return the lines of all files of an export, by its manifests, whose checksums are compared."""
    assert ended["ExportStatus"] == "COMPLETED", ended
    found: list[bytes] = []
    summary = json.loads(read(cloud, ended["ExportManifest"]))
    for line in read(cloud, summary["manifestFilesS3Key"]).splitlines():
        told = json.loads(line)
        content = read(cloud, told["dataFileS3Key"])
        assert told["md5Checksum"] == b64encode(hashlib.md5(content).digest()).decode()
        assert told["etag"] == hashlib.md5(content).hexdigest()
        in_file = gzip.decompress(content).splitlines()
        assert told["itemCount"] == len(in_file)
        found += in_file
    assert summary["itemCount"] == ended["ItemCount"] == len(found)
    return found


def test_an_export_has_the_files_that_the_guide_shows(
    cloud: Cloud, dynamodb: Any, export: Export
) -> None:
    """Developer Guide, "DynamoDB table export output format: Full export output"."""
    dynamodb.put_item(TableName="tab", Item=ITEM)
    ended = export(S3Prefix="2020-Nov")
    folder = f"2020-Nov/AWSDynamoDB/{ended['ExportArn'].rpartition('/')[2]}/"
    keys = [each["Key"] for each in cloud.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    data = [key for key in keys if key.startswith(f"{folder}data/")]
    assert len(data) == 1
    assert data[0].endswith(".json.gz")
    names = (
        "_started",
        "manifest-files.json",
        "manifest-files.md5",
        "manifest-summary.json",
        "manifest-summary.md5",
    )
    assert sorted(keys) == sorted([*data, *(folder + name for name in names)])
    for name in ("manifest-files", "manifest-summary"):
        digest = hashlib.md5(read(cloud, f"{folder}{name}.json")).digest()
        assert read(cloud, f"{folder}{name}.md5") == b64encode(digest)
    summary = json.loads(read(cloud, f"{folder}manifest-summary.json"))
    assert summary.keys() == {
        "version", "exportArn", "startTime", "endTime", "tableArn", "tableId", "exportTime",
        "s3Bucket", "s3Prefix", "s3SseAlgorithm", "s3SseKmsKeyId", "manifestFilesS3Key",
        "billedSizeBytes", "itemCount", "outputFormat",
    }  # fmt: skip
    [line] = lines(cloud, ended)
    assert json.loads(line)["Item"]["n"] == ITEM["n"]


@pytest.mark.parametrize("export_format", ["DYNAMODB_JSON", "ION"])
@pytest.mark.parametrize("cloud", [{"dynamodb.export_file_bytes_max": 300}], indirect=True)
def test_an_export_that_is_imported_again_gives_an_equal_table(
    cloud: Cloud, dynamodb: Any, export: Export, monkeypatch: pytest.MonkeyPatch, export_format: str
) -> None:
    monkeypatch.setattr(exporting, "LINES_PER_READ", 3)
    for number in range(10):
        dynamodb.put_item(TableName="tab", Item={**ITEM, "p": {"S": f"{number}"}})
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "large"}, "x": {"S": "x" * 300_000}})
    ended = export(ExportFormat=export_format)
    assert len(lines(cloud, ended)) == 11
    folder = ended["ExportManifest"].rpartition("/")[0]
    dynamodb.import_table(
        S3BucketSource={"S3Bucket": BUCKET, "S3KeyPrefix": f"{folder}/data/"},
        InputFormat=export_format,
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": "again",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    cloud.settle()

    def held(table: str) -> dict[str, Any]:
        return {item["p"]["S"]: item for item in dynamodb.scan(TableName=table)["Items"]}

    assert held("again") == held("tab")


def test_the_reference_reader_of_ion_reads_an_export(
    cloud: Cloud, dynamodb: Any, export: Export
) -> None:
    dynamodb.put_item(TableName="tab", Item=ITEM)
    [line] = lines(cloud, export(ExportFormat="ION"))
    item = simpleion.loads(line.decode())["Item"]
    assert str(item["n"]) == ITEM["n"]["N"]
    assert [bytes(each) for each in item["bs"]] == [b"a", b"\0"]
    assert item["bs"].ion_annotations[0].text == "$dynamodb_BS"


def test_an_export_is_of_the_second_that_is_asked_for(
    cloud: Cloud, dynamodb: Any, export: Export
) -> None:
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "n": {"N": "1"}})
    cloud.advance(10_000)
    at_s = cloud.clock.now_ms() // 1_000 - 5
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "n": {"N": "2"}})
    [line] = lines(cloud, export(ExportTime=at_s))
    assert json.loads(line)["Item"]["n"] == {"N": "1"}


def test_an_empty_table_has_an_empty_file(cloud: Cloud, export: Export) -> None:
    assert lines(cloud, export()) == []


@pytest.mark.parametrize("view", ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"])
def test_an_incremental_export_tells_what_became_of_items(
    cloud: Cloud, dynamodb: Any, export: Export, view: str
) -> None:
    """Developer Guide, "DynamoDB table export output format: Incremental export output"."""
    for name in ("same", "changed", "gone"):
        dynamodb.put_item(TableName="tab", Item={"p": {"S": name}, "n": {"N": "1"}})
    cloud.advance(1_000)
    since_s = cloud.clock.now_ms() // 1_000
    for name in ("changed", "new", "passing"):
        dynamodb.put_item(TableName="tab", Item={"p": {"S": name}, "n": {"N": "2"}})
    for name in ("gone", "passing"):
        dynamodb.delete_item(TableName="tab", Key={"p": {"S": name}})
    written_us = cloud.clock.now_ms() * 1_000
    cloud.advance(15 * 60_000)
    ended = export(
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={"ExportFromTime": since_s, "ExportViewType": view},
    )
    found = {line["Keys"]["p"]["S"]: line for line in map(json.loads, lines(cloud, ended))}
    assert {line["Metadata"]["WriteTimestampMicros"]["N"] for line in found.values()} == {
        str(written_us)
    }
    old = {"OldImage"} if view == "NEW_AND_OLD_IMAGES" else set()
    assert {name: line.keys() - {"Metadata", "Keys"} for name, line in found.items()} == {
        "changed": {"NewImage"} | old,
        "new": {"NewImage"},
        "gone": old,
    }
    summary = json.loads(read(cloud, ended["ExportManifest"]))
    assert (summary["exportType"], summary["outputView"]) == ("INCREMENTAL_EXPORT", view)


def test_what_cannot_be_exported_is_refused(
    dynamodb: Any, cloud: Cloud, arn: str, make_table: Any, refusal: Any
) -> None:
    make_table("other")
    given = {"TableArn": arn.replace("table/tab", "table/other"), "S3Bucket": BUCKET}
    call = dynamodb.export_table_to_point_in_time
    assert refusal(call, **given)[1] == "PointInTimeRecoveryUnavailableException"
    given["TableArn"] = arn
    ahead = cloud.clock.now_ms() // 1_000 + 60
    assert refusal(call, **given, ExportTime=ahead)[1] == "InvalidExportTimeException"
    assert refusal(call, **{**given, "TableArn": f"{arn}-none"})[1] == "TableNotFoundException"
    call(**given, ClientToken="token")
    other = {**given, "ExportFormat": "ION", "ClientToken": "token"}
    assert refusal(call, **other)[1] == "ExportConflictException"
    none = f"{arn}/export/{'0' * 14}-{'0' * 8}"
    assert refusal(dynamodb.describe_export, ExportArn=none)[1] == "ExportNotFoundException"


def test_a_bucket_that_is_not_there_fails_the_export(export: Export) -> None:
    ended = export(S3Bucket="no-such-bucket")
    assert (ended["ExportStatus"], ended["FailureCode"]) == ("FAILED", "S3NoSuchBucket")


def test_exports_are_listed(dynamodb: Any, export: Export, arn: str) -> None:
    arns = [export()["ExportArn"] for _ in range(2)]
    first = dynamodb.list_exports(TableArn=arn, MaxResults=1)
    second = dynamodb.list_exports(TableArn=arn, MaxResults=1, NextToken=first["NextToken"])
    found = [each["ExportArn"] for page in (first, second) for each in page["ExportSummaries"]]
    assert found == sorted(arns, reverse=True)


NEEDED = {
    "dynamodb:ExportTableToPointInTime": "",
    "s3:PutObject": "S3AccessDenied",
    "s3:PutObjectAcl": "S3AccessDenied",
}
"""What its caller must be allowed, and how an export fails that is begun without."""


@pytest.mark.parametrize("denied", [*NEEDED, ""])
def test_an_export_writes_with_the_rights_of_its_caller(
    cloud: Cloud, dynamodb: Any, arn: str, refusal: Any, denied: str
) -> None:
    """Developer Guide, "Requesting a table export in DynamoDB: Setting up an S3 bucket"."""
    allowed = [action for action in NEEDED if action != denied]
    client = cloud.client("dynamodb", credential=user_who_may(cloud, allowed))
    given = {"TableArn": arn, "S3Bucket": BUCKET}
    if not NEEDED.get(denied, "begun"):
        refused = refusal(client.export_table_to_point_in_time, **given)
        assert refused[1] == "AccessDeniedException"
        return
    begun = client.export_table_to_point_in_time(**given)["ExportDescription"]
    cloud.settle()
    ended = dynamodb.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
    failed = ("FAILED", NEEDED.get(denied))
    expected = failed if denied else ("COMPLETED", None)
    assert (ended["ExportStatus"], ended.get("FailureCode")) == expected


def test_a_replica_of_a_strongly_consistent_table_is_exported_in_its_region(
    cloud: Cloud, refusal: Any
) -> None:
    """Point-in-time recovery is each region's own, and so are exports; the items lie in another."""
    at = {region: cloud.client("dynamodb", region=region) for region in (WEST, EAST, SOUTH)}
    make(at[WEST])
    begin(at[WEST], EAST, SOUTH)
    settle(cloud)
    arns = {region: described(at[region])["TableArn"] for region in at}
    asked = {"TableArn": arns[EAST], "S3Bucket": BUCKET}
    told = refusal(at[EAST].export_table_to_point_in_time, **asked)
    assert told[1] == "PointInTimeRecoveryUnavailableException"
    at[EAST].update_continuous_backups(
        TableName="tab",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    items = [item("a", number, text=text) for number, text in enumerate(("x", "y" * 380_000))]
    for client, each in zip((at[WEST], at[SOUTH]), items, strict=True):
        client.put_item(TableName="tab", Item=each)
    given = {**asked, "ClientToken": "once"}
    begun = at[EAST].export_table_to_point_in_time(**given)["ExportDescription"]
    put(at[WEST], "a", 2, text="later")
    again = at[EAST].export_table_to_point_in_time(**given)["ExportDescription"]
    assert again["ExportArn"] == begun["ExportArn"]
    cloud.settle()
    ended = at[EAST].describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
    found = [json.loads(line)["Item"] for line in lines(cloud, ended)]
    assert sorted(found, key=lambda each: each["c"]["N"])[:2] == items
    assert (ended["TableArn"], ended["ExportArn"].split(":")[3]) == (arns[EAST], EAST)
    assert at[WEST].list_exports()["ExportSummaries"] == []
    told = refusal(at[WEST].export_table_to_point_in_time, **{**asked, "TableArn": arns[WEST]})
    assert told[1] == "PointInTimeRecoveryUnavailableException"
    cloud.advance(70_000)
    at[EAST].update_continuous_backups(
        TableName="tab",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    domain = Domain("dynamodb", arns[WEST].split(":")[4], WEST)
    table = cloud.run(
        cloud.app.facilities.placement.store_of(domain).read(lambda tr: TABLES.find(tr, "tab"))
    )
    assert table is not None
    assert not table.history_ms, "no moment is kept that nobody reads"
