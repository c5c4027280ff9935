"""Backups and recovery as boto3 has them: Developer Guide, "Backup and restore for DynamoDB"."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud

ITEM_ACTIONS = (
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "UpdateItem",
)


@pytest.fixture
def filled(dynamodb: Any, make_table: Callable[..., None]) -> list[dict[str, Any]]:
    """Make a table of three items; return them."""
    make_table()
    items = [{"p": {"S": f"{number}"}, "v": {"N": f"{number}"}} for number in range(3)]
    for item in items:
        dynamodb.put_item(TableName="tab", Item=item)
    return items


def back_up(cloud: Cloud, dynamodb: Any) -> str:
    made = dynamodb.create_backup(TableName="tab", BackupName="saved")["BackupDetails"]
    assert made["BackupStatus"] == "CREATING"
    cloud.settle()
    shown = dynamodb.describe_backup(BackupArn=made["BackupArn"])["BackupDescription"]
    assert shown["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    assert shown["SourceTableDetails"]["ItemCount"] == 3
    arn: str = made["BackupArn"]
    return arn


def scanned(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    found = dynamodb.scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: item["p"]["S"])


def enable(dynamodb: Any) -> Any:
    on = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    reply = dynamodb.update_continuous_backups(TableName="tab", PointInTimeRecoverySpecification=on)
    return reply["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]


def test_a_table_is_backed_up_deleted_and_restored(
    cloud: Cloud, dynamodb: Any, filled: list[dict[str, Any]]
) -> None:
    arn = back_up(cloud, dynamodb)
    dynamodb.delete_table(TableName="tab")
    dynamodb.get_waiter("table_not_exists").wait(TableName="tab")
    reply = dynamodb.restore_table_from_backup(TargetTableName="tab", BackupArn=arn)
    description = reply["TableDescription"]
    assert description["TableStatus"] == "CREATING"
    assert description["RestoreSummary"]["SourceBackupArn"] == arn
    cloud.settle()
    dynamodb.get_waiter("table_exists").wait(TableName="tab")
    assert scanned(dynamodb, "tab") == filled
    deleted = dynamodb.delete_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]
    assert deleted["BackupStatus"] == "DELETED"
    with pytest.raises(dynamodb.exceptions.BackupNotFoundException):
        dynamodb.describe_backup(BackupArn=arn)


def test_a_table_is_restored_to_a_second_that_is_past(
    cloud: Cloud, dynamodb: Any, filled: list[dict[str, Any]]
) -> None:
    window = enable(dynamodb)
    assert window["RecoveryPeriodInDays"] == 7
    cloud.advance(2_000)
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "0"}})
    cloud.advance(2_000)
    described = dynamodb.describe_continuous_backups(TableName="tab")
    window = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    then = window["LatestRestorableDateTime"] - timedelta(seconds=3)
    assert then > window["EarliestRestorableDateTime"]
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="tab", TargetTableName="then", RestoreDateTime=then
    )
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="tab", TargetTableName="latest", UseLatestRestorableTime=True
    )
    cloud.settle()
    assert scanned(dynamodb, "then") == filled
    assert scanned(dynamodb, "latest") == filled[1:]


def test_a_table_says_that_it_cannot_be_restored_to_a_point_in_time(
    dynamodb: Any, make_table: Any
) -> None:
    make_table()
    said = dynamodb.describe_continuous_backups(TableName="tab")["ContinuousBackupsDescription"]
    assert said == {
        "ContinuousBackupsStatus": "DISABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }


def test_a_table_that_is_not_there_has_an_error_of_its_own(dynamodb: Any, refusal: Any) -> None:
    missing = (400, "TableNotFoundException", "Table not found: none")
    assert refusal(dynamodb.describe_continuous_backups, TableName="none") == missing
    assert refusal(dynamodb.create_backup, TableName="none", BackupName="saved") == missing


def test_a_deleted_table_that_could_be_restored_leaves_a_system_backup(
    cloud: Cloud, dynamodb: Any, filled: list[dict[str, Any]]
) -> None:
    enable(dynamodb)
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    assert dynamodb.list_backups()["BackupSummaries"] == []
    [summary] = dynamodb.list_backups(BackupType="SYSTEM")["BackupSummaries"]
    lifetime = summary["BackupExpiryDateTime"] - summary["BackupCreationDateTime"]
    assert (summary["BackupName"], lifetime.days) == ("tab$DeletedTableBackup", 35)
    dynamodb.restore_table_from_backup(TargetTableName="tab", BackupArn=summary["BackupArn"])
    cloud.settle()
    assert scanned(dynamodb, "tab") == filled


@pytest.mark.parametrize("kind", ["backup", "past"])
def test_a_restore_needs_its_source_and_to_read_and_write_its_target(
    cloud: Cloud, dynamodb: Any, filled: list[dict[str, Any]], kind: str
) -> None:
    """Developer Guide, "Using IAM with DynamoDB backup and restore"."""
    enable(dynamodb)
    arn = back_up(cloud, dynamodb)
    table = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
    target = table.removesuffix("tab") + "new"
    source = {
        "backup": ("RestoreTableFromBackup", arn),
        "past": ("RestoreTableToPointInTime", table),
    }
    needed = [source[kind], *((each, target) for each in ITEM_ACTIONS)]
    iam = cloud.client("iam")
    iam.create_user(UserName="alice")
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    alice = cloud.client(
        "dynamodb", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
    )

    def allow(pairs: list[tuple[str, str]]) -> None:
        statement = [
            {"Effect": "Allow", "Action": f"dynamodb:{each}", "Resource": on} for each, on in pairs
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document)

    def restore() -> None:
        if kind == "backup":
            alice.restore_table_from_backup(TargetTableName="new", BackupArn=arn)
            return
        alice.restore_table_to_point_in_time(
            SourceTableName="tab", TargetTableName="new", UseLatestRestorableTime=True
        )

    for missing in needed:
        allow([each for each in needed if each != missing])
        with pytest.raises(ClientError, match=f"dynamodb:{missing[0]} on resource: {missing[1]}"):
            restore()
    allow(needed)
    restore()
    cloud.settle()
    assert scanned(dynamodb, "new") == filled
