"""Tables restored to points in time, and what a table that could be leaves when it is deleted.

Messages: recorded from DynamoDB by the maintainers of its controllers for Kubernetes ("Table
restores", October 2026).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.dynamodb.history_world import World, Written
from tests.unit.services.dynamodb.test_backups import (
    DAY_MS,
    enable,
    finish,
    recall,
    refused,
    restore,
    scanned,
)

from fogbank.services.dynamodb.jobs import backups as jobs
from fogbank.services.dynamodb.jobs import tables
from fogbank.services.dynamodb.schema import BACKUP_ITEMS, CUTS, HISTORY, ITEMS
from fogbank.services.dynamodb.schema.backups import BACKUPS


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a table of five items, whose jobs take small steps."""
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)
    monkeypatch.setattr(jobs, "ITEMS_PER_STEP", 2)
    made = World()
    for number in range(5):
        made.write("put", {"p": {"S": f"{number}"}}, number + 1)
    return made


def test_a_table_is_restored_to_any_second_of_its_window() -> None:
    world = World("S")
    enable(world)
    world.commits.append(Written(world.second, {}))
    first = world.second
    for number, kind in enumerate(["put", "put", "update", "delete", "transact", "put"]):
        world.call.now_ms += 700
        world.write(kind, world.key({"S": f"{number % 2}"}, {"S": "c"}), number)
    last = world.second
    world.call.now_ms += 1_000
    for second in range(first, last + 1):
        described = recall(world, second, target=f"at-{second}")
        assert described["RestoreSummary"] == {
            "SourceTableArn": "arn:aws:dynamodb:us-east-1:111122223333:table/tab",
            "RestoreDateTime": second * 1_000,
            "RestoreInProgress": True,
        }
        world.call.run("put_item", TableName="tab", Item=world.key({"S": "0"}, {"S": "c"}))
        finish(world, jobs.fill_table)
        expected = sorted(world.held_at(second).values(), key=repr)
        assert scanned(world.call, f"at-{second}") == expected
    assert world.rows(CUTS) == 0


def test_the_latest_moment_is_now(world: World) -> None:
    enable(world)
    world.write("put", {"p": {"S": "new"}}, 1)
    expected = scanned(world.call, "tab")
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/tab"
    request = {"SourceTableArn": arn, "TargetTableName": "new", "UseLatestRestorableTime": True}
    world.call.run("restore_table_to_point_in_time", **request)
    recall(world, world.second, target="same")
    world.write("delete", {"p": {"S": "new"}}, 1)
    finish(world, jobs.fill_table)
    assert scanned(world.call, "new") == scanned(world.call, "same") == expected


def test_a_source_may_go_while_a_table_is_filled_from_its_past(world: World) -> None:
    enable(world)
    expected = scanned(world.call, "tab")
    recall(world, None)
    world.call.run("delete_table", TableName="tab")
    finish(world, jobs.copy_backup)
    assert finish(world, tables.remove_items) == 0
    finish(world, jobs.fill_table)
    finish(world, tables.remove_items)
    assert scanned(world.call, "new") == expected
    assert [world.rows(kind) for kind in (HISTORY, CUTS, ITEMS)] == [0, 0, 5]


def test_recovery_is_told_and_begins_anew_when_it_is_turned_on_again(world: World) -> None:
    off = {"PointInTimeRecoveryStatus": "DISABLED"}
    named = {"TableName": "tab"}
    said = world.call.run("describe_continuous_backups", **named)["ContinuousBackupsDescription"]
    assert said == {"ContinuousBackupsStatus": "DISABLED", "PointInTimeRecoveryDescription": off}
    begun_ms = world.call.now_ms
    world.call.now_ms += 400
    enable(world)
    world.call.now_ms += 90_000
    assert enable(world) == {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": 35,
            "EarliestRestorableDateTime": begun_ms,
            "LatestRestorableDateTime": world.call.now_ms,
        },
    }
    said = enable(world, PointInTimeRecoveryEnabled=False)
    assert said == {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": off}
    assert world.table().history_ms == 0
    again = enable(world, RecoveryPeriodInDays=3)["PointInTimeRecoveryDescription"]
    assert again["RecoveryPeriodInDays"] == 3
    earliest_ms = world.call.now_ms // 1_000 * 1_000
    assert again["EarliestRestorableDateTime"] == earliest_ms
    disabling = {"PointInTimeRecoveryEnabled": False, "RecoveryPeriodInDays": 3}
    request = {"TableName": "tab", "PointInTimeRecoverySpecification": disabling}
    assert refused(world.call, "update_continuous_backups", **request) == (
        "ValidationException",
        "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
    )


def test_a_longer_window_does_not_bring_back_what_a_shorter_one_let_go(world: World) -> None:
    enable(world, RecoveryPeriodInDays=2)
    world.call.now_ms += 10 * DAY_MS
    said = enable(world, RecoveryPeriodInDays=35)["PointInTimeRecoveryDescription"]
    assert said["EarliestRestorableDateTime"] == world.call.now_ms - 2 * DAY_MS
    world.call.now_ms += DAY_MS
    said = enable(world)["PointInTimeRecoveryDescription"]
    assert said["EarliestRestorableDateTime"] == world.call.now_ms - 3 * DAY_MS


def test_what_cannot_be_restored_is_refused_in_the_order_of_dynamodb(world: World) -> None:
    call, into = world.call, {"TargetTableName": "new"}
    operation, source = "restore_table_to_point_in_time", {"SourceTableName": "tab"}
    latest, arn = {"UseLatestRestorableTime": True}, "arn:aws:dynamodb:us-east-1:111122223333:table"

    def said(**request: Any) -> tuple[str, str]:
        return refused(call, operation, **{**into, **request})

    error, message = said(**source, **latest, RestoreDateTime=1)
    assert error == "ValidationException"
    assert message.startswith(
        "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set"
    )
    neither = (
        "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be"
        " specified, but not both"
    )
    assert said(**source) == ("ValidationException", neither)
    assert said(**source, UseLatestRestorableTime=False) == ("ValidationException", neither)
    assert said(**latest, **source, SourceTableArn=f"{arn}/tab") == (
        "ValidationException",
        "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
    )
    assert said(**latest) == (
        "ValidationException",
        "The parameter 'TableName' is required but was not present in the request",
    )
    assert said(**latest, SourceTableArn="tab")[1].endswith("sourceTableArn is not a valid ARN")
    foreign = f"{arn}/tab".replace("111122223333", "444455556666")
    assert said(**latest, SourceTableArn=foreign)[0] == "ValidationException"
    far = f"{arn}/tab".replace("us-east-1", "us-west-2")
    assert said(**latest, SourceTableArn=far) == (
        "ValidationException",
        "Invalid Request: sseSpecificationOverride must be provided for cross-region restores",
    )
    missing = ("TableNotFoundException", "Table not found: none")
    assert said(**latest, SourceTableName="none", TargetTableName="tab") == missing
    off = "Point in time recovery is not enabled for table 'tab'"
    unavailable = ("PointInTimeRecoveryUnavailableException", off)
    assert said(**latest, **source, TargetTableName="tab") == unavailable
    assert said(**source, RestoreDateTime=1) == unavailable
    enable(world)
    for at_ms in (0, call.now_ms - 1_000, call.now_ms + 1):
        error, message = said(**source, RestoreDateTime=at_ms, TargetTableName="tab")
        assert error == "InvalidRestoreTimeException"
        assert "' must be within EarliestRestorableDateTime '2023-11-14T22:13:20Z' and" in message
    there = ("TableAlreadyExistsException", "Table already exists: tab")
    assert said(**latest, **source, TargetTableName="tab") == there


def test_a_deleted_table_that_could_be_restored_leaves_a_backup_for_35_days(world: World) -> None:
    enable(world)
    expected = scanned(world.call, "tab")
    world.call.run("delete_table", TableName="tab")
    assert finish(world, tables.remove_items) == 0
    finish(world, jobs.copy_backup)
    assert finish(world, tables.remove_items) == 1
    assert world.call.run("list_backups")["BackupSummaries"] == []
    [summary] = world.call.run("list_backups", BackupType="SYSTEM")["BackupSummaries"]
    arn, made_ms = summary["BackupArn"], world.call.now_ms
    assert summary["BackupName"] == "tab$DeletedTableBackup"
    assert arn.endswith(f"table/tab/backup/{made_ms:014}-00000000")
    assert summary["BackupExpiryDateTime"] == made_ms + 35 * DAY_MS
    assert refused(world.call, "delete_backup", BackupArn=arn) == (
        "ValidationException",
        (
            "Invalid Request: User is not allowed to delete the system backup with arn"
            f" {arn}. It will automatically expire on 2023-12-19T22:13:20Z"
        ),
    )
    world.call.now_ms += 35 * DAY_MS - 1
    assert finish(world, jobs.expire_backup) == 0
    restore(world, arn, target="tab")
    world.call.now_ms += 1
    [verdict] = world.attempt(jobs.expire_backup)
    assert verdict.retry_at_ms == world.call.now_ms + jobs.IN_USE_MS
    finish(world, jobs.fill_table)
    assert scanned(world.call, "tab") == expected
    world.call.now_ms += jobs.IN_USE_MS
    finish(world, jobs.expire_backup)
    finish(world, tables.remove_items)
    assert (world.rows(BACKUPS), world.rows(BACKUP_ITEMS)) == (0, 0)


def test_a_deleted_table_that_could_not_be_restored_leaves_none(world: World) -> None:
    enable(world)
    enable(world, PointInTimeRecoveryEnabled=False)
    world.call.run("delete_table", TableName="tab")
    assert world.call.run("list_backups", BackupType="ALL")["BackupSummaries"] == []
