"""Backups of replicas of a strongly consistent global table, and what they are restored to: each region's.

Source: Amazon DynamoDB Developer Guide, "How DynamoDB global tables work", "Settings synchronization":
point-in-time recovery is never synchronised between replicas; backups are made in the region of a replica.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    Regions,
    delete,
    described,
    held,
    item,
    put,
    settle,
)

from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.schema import TABLES
from fogbank.services.dynamodb.state.afar import LENT_MS
from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

NAME = {"TableName": "tab"}
CHUNK, BLOB = "c" * 100_000, "b" * 380_000


def recover(client: Any, *, enabled: bool = True, **more: Any) -> Any:
    given = {"PointInTimeRecoveryEnabled": enabled, **more}
    told = client.update_continuous_backups(**NAME, PointInTimeRecoverySpecification=given)
    return told["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]


def status(client: Any) -> str:
    told = client.describe_continuous_backups(**NAME)["ContinuousBackupsDescription"]
    return told["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


def items_of(client: Any, table: str) -> list[Any]:
    found = client.scan(TableName=table, ConsistentRead=True)["Items"]
    return sorted(found, key=lambda each: int(each["c"]["N"]))


def fill(at: Regions) -> list[Any]:
    """Write items of every size from all regions; return them."""
    for number, (region, text) in enumerate(
        ((WEST, "x"), (EAST, CHUNK), (SOUTH, BLOB), (EAST, "y"))
    ):
        put(at[region], "a", number, text=text)
    return held(at[EAST])


def is_kept(cloud: Cloud, at: Regions) -> bool:
    """Return whether the history of the table is kept at home, of which a moment may be read."""
    account = described(at[WEST])["TableArn"].split(":")[4]
    domain = Domain("dynamodb", account, WEST)

    store = cloud.app.facilities.placement.store_of(domain)
    table = cloud.run(store.read(lambda tr: TABLES.find(tr, "tab")))
    assert table is not None
    return bool(table.history_ms)


def test_a_backup_is_of_its_region_and_of_the_moment_when_it_was_asked_for(
    cloud: Cloud, three: Regions, refusal: Any
) -> None:
    items = fill(three)
    made = three[EAST].create_backup(**NAME, BackupName="back")["BackupDetails"]
    arn = made["BackupArn"]
    assert (made["BackupStatus"], arn.split(":")[3]) == ("CREATING", EAST)
    put(three[SOUTH], "a", 0, text="later")
    three[WEST].delete_item(**NAME, Key=item("a", 2))
    cloud.advance(1_000)
    told = three[EAST].describe_backup(BackupArn=arn)["BackupDescription"]
    assert told["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    assert told["SourceTableDetails"]["ItemCount"] == len(items)
    assert told["SourceTableDetails"]["TableId"] == described(three[EAST])["TableId"]
    assert three[WEST].list_backups()["BackupSummaries"] == []
    assert refusal(three[WEST].describe_backup, BackupArn=arn)[1] == "BackupNotFoundException"
    three[EAST].restore_table_from_backup(TargetTableName="new", BackupArn=arn)
    cloud.advance(1_000)
    assert items_of(three[EAST], "new") == items
    assert "Replicas" not in three[EAST].describe_table(TableName="new")["Table"]
    cloud.advance(2 * LENT_MS)
    assert not is_kept(cloud, three)
    three[EAST].delete_backup(BackupArn=arn)


def test_each_region_is_restored_to_any_second_since_its_recovery_was_turned_on(
    cloud: Cloud, three: Regions, refusal: Any
) -> None:
    recover(three[EAST], RecoveryPeriodInDays=3)
    assert {region: status(three[region]) for region in three} == {
        WEST: "DISABLED",
        EAST: "ENABLED",
        SOUTH: "DISABLED",
    }
    items = fill(three)
    cloud.advance(5_000)
    at = cloud.clock.now_ms() // 1_000 - 1
    put(three[WEST], "a", 2, text="later")
    three[SOUTH].delete_item(**NAME, Key=item("a", 3))
    given = {"SourceTableName": "tab", "TargetTableName": "new"}
    told = refusal(
        three[WEST].restore_table_to_point_in_time, **given, UseLatestRestorableTime=True
    )
    assert told[1] == "PointInTimeRecoveryUnavailableException"
    three[EAST].restore_table_to_point_in_time(**given, RestoreDateTime=at)
    put(three[WEST], "a", 5, text="while it is restored")
    cloud.advance(1_000)
    assert items_of(three[EAST], "new") == items
    recover(three[SOUTH])
    recover(three[EAST], enabled=False)
    assert [status(three[region]) for region in (EAST, SOUTH)] == ["DISABLED", "ENABLED"]
    cloud.advance(2 * LENT_MS)
    assert is_kept(cloud, three)
    recover(three[SOUTH], enabled=False)
    assert not is_kept(cloud, three)


def test_of_a_replica_that_could_be_restored_a_backup_stays_when_it_goes(
    cloud: Cloud, three: Regions
) -> None:
    items = fill(three)
    recover(three[EAST])
    three[WEST].update_table(**NAME, ReplicaUpdates=delete(EAST, SOUTH))
    settle(cloud)
    assert "Replicas" not in described(three[WEST])
    put(three[WEST], "a", 0, text="later")
    cloud.advance(2 * LENT_MS)
    assert not is_kept(cloud, three)
    [told] = three[EAST].list_backups(BackupType="ALL")["BackupSummaries"]
    assert (told["BackupType"], told["BackupStatus"]) == ("SYSTEM", "AVAILABLE")
    assert three[SOUTH].list_backups(BackupType="ALL")["BackupSummaries"] == []
    three[EAST].restore_table_from_backup(TargetTableName="tab", BackupArn=told["BackupArn"])
    cloud.advance(1_000)
    assert items_of(three[EAST], "tab") == items


def test_a_moment_that_was_lent_to_nobody_in_the_end_is_taken_back(
    cloud: Cloud, three: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(three)

    def dead(*_: Any) -> None:
        raise AssertionError("the process died")

    with monkeypatch.context() as patch:
        patch.setattr("fogbank.services.dynamodb.state.backups.begin_afar", dead)
        with pytest.raises(Exception, match="Internal"):
            three[EAST].create_backup(**NAME, BackupName="back")
    assert is_kept(cloud, three)
    cloud.advance(LENT_MS + 1_000)
    assert not is_kept(cloud, three)
    assert three[EAST].list_backups()["BackupSummaries"] == []
