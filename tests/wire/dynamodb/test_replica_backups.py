"""Backups and recovery of replicas: each is its own region's, and restores a table of its own.

Source: Amazon DynamoDB Developer Guide, "How DynamoDB global tables work", "Settings" (backups and
point-in-time recovery are not shared), and "Backup and restore": what is restored is a new table.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    Regions,
    described,
    drop,
    held,
    item,
    make,
    put,
    settle,
)

from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

GLOBAL = {"Replicas", "GlobalTableVersion", "MultiRegionConsistency", "GlobalTableWitnesses"}


def enable(client: Any) -> None:
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="tab", PointInTimeRecoverySpecification=on)


def restored(cloud: Cloud, client: Any, arn: str, name: str = "back") -> list[Any]:
    client.restore_table_from_backup(TargetTableName=name, BackupArn=arn)
    settle(cloud)
    assert GLOBAL.isdisjoint(described_as(client, name))
    assert described_as(client, name)["TableStatus"] == "ACTIVE"
    return client.scan(TableName=name)["Items"]


def described_as(client: Any, name: str) -> Any:
    return client.describe_table(TableName=name)["Table"]


def test_a_backup_of_a_replica_restores_a_table_of_its_own(cloud: Cloud, two: Regions) -> None:
    put(two[WEST], "a", 1)
    settle(cloud)
    arn = two[EAST].create_backup(TableName="tab", BackupName="saved")["BackupDetails"]["BackupArn"]
    put(two[WEST], "a", 2)
    settle(cloud)
    assert restored(cloud, two[EAST], arn) == [item("a", 1)]
    two[EAST].put_item(TableName="back", Item=item("b", 1))
    settle(cloud)
    assert "back" not in two[WEST].list_tables()["TableNames"]
    assert held(two[WEST]) == [item("a", 1), item("a", 2)]
    assert two[WEST].list_backups()["BackupSummaries"] == []


def test_a_replica_is_restored_to_a_second_before_a_write_came_from_afar(
    cloud: Cloud, two: Regions
) -> None:
    enable(two[EAST])
    put(two[WEST], "a", 1)
    settle(cloud)
    put(two[WEST], "a", 1, new="x")
    put(two[EAST], "a", 2)
    settle(cloud)
    told = two[EAST].describe_continuous_backups(TableName="tab")["ContinuousBackupsDescription"]
    window = told["PointInTimeRecoveryDescription"]
    for name, ago in (("then", 7), ("now", 0)):
        two[EAST].restore_table_to_point_in_time(
            SourceTableName="tab",
            TargetTableName=name,
            RestoreDateTime=window["LatestRestorableDateTime"] - timedelta(seconds=ago),
        )
    settle(cloud)
    assert two[EAST].scan(TableName="then")["Items"] == [item("a", 1)]
    assert len(two[EAST].scan(TableName="now")["Items"]) == 2
    assert GLOBAL.isdisjoint(described_as(two[EAST], "then"))
    off = two[WEST].describe_continuous_backups(TableName="tab")["ContinuousBackupsDescription"]
    status = off["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert status == "DISABLED"


def test_backups_of_a_replica_outlive_it_and_one_is_made_as_it_goes(
    cloud: Cloud, two: Regions
) -> None:
    """Developer Guide, "Point-in-time recovery": a table that is deleted leaves a system backup."""
    enable(two[EAST])
    put(two[WEST], "a", 1)
    settle(cloud)
    made = two[EAST].create_backup(TableName="tab", BackupName="saved")["BackupDetails"]
    put(two[WEST], "a", 2)
    settle(cloud)
    drop(two[WEST], EAST)
    settle(cloud, 10)
    assert two[EAST].list_tables()["TableNames"] == []
    assert restored(cloud, two[EAST], made["BackupArn"]) == [item("a", 1)]
    [kept] = two[EAST].list_backups(BackupType="SYSTEM")["BackupSummaries"]
    assert kept["BackupName"] == "tab$DeletedTableBackup"
    assert len(restored(cloud, two[EAST], kept["BackupArn"], "last")) == 2


def test_a_backup_of_a_strongly_consistent_table_restores_a_table_of_its_own(
    cloud: Cloud, at: Regions
) -> None:
    make(at[WEST])
    create = [{"Create": {"RegionName": region}} for region in (EAST, SOUTH)]
    given = {"TableName": "tab", "ReplicaUpdates": create}
    at[WEST].update_table(**given, MultiRegionConsistency="STRONG")
    settle(cloud)
    enable(at[WEST])
    put(at[EAST], "a", 1)
    arn = at[WEST].create_backup(TableName="tab", BackupName="saved")["BackupDetails"]["BackupArn"]
    settle(cloud)
    put(at[SOUTH], "a", 2)
    settle(cloud)
    assert restored(cloud, at[WEST], arn) == [item("a", 1)]
    at[WEST].restore_table_to_point_in_time(
        SourceTableName="tab", TargetTableName="latest", UseLatestRestorableTime=True
    )
    settle(cloud)
    assert len(at[WEST].scan(TableName="latest")["Items"]) == 2
    assert GLOBAL.isdisjoint(described_as(at[WEST], "latest"))
    assert "latest" not in at[EAST].list_tables()["TableNames"]
    assert described(at[WEST])["MultiRegionConsistency"] == "STRONG"
