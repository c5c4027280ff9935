"""Backups and restores, step by step: what they hold, and what is refused meanwhile.

Messages and what is restored: recorded from DynamoDB by the maintainers of its controllers for
Kubernetes ("Backup resource" and "Table restores", October 2026).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.dynamodb.conftest import FakeCall
from tests.unit.services.dynamodb.history_world import World
from tests.unit.services.dynamodb.test_agreement import Rows
from tests.unit.services.dynamodb.test_index_model import GLOBAL
from tests.unit.services.dynamodb.test_index_model import World as Indexed

from fogbank.base.errors import ServiceError
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.jobs import backups as jobs
from fogbank.services.dynamodb.jobs import histories, tables
from fogbank.services.dynamodb.schema import BACKUP_ITEMS, CUTS, HISTORY
from fogbank.services.dynamodb.schema.backups import BACKUPS, RESTORES

DAY_MS = 86_400_000
ACCOUNTS = 9
TOTAL = 100 * ACCOUNTS


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 1)
    monkeypatch.setattr(jobs, "ITEMS_PER_STEP", 2)


@pytest.fixture
def world() -> World:
    made = World()
    for number in range(5):
        made.write("put", {"p": {"S": f"{number}"}}, number + 1)
    return made


def back_up(world: World, name: str = "saved", table: str = "tab") -> str:
    """Ask for a backup; return its ARN."""
    details = world.call.run("create_backup", TableName=table, BackupName=name)["BackupDetails"]
    assert details["BackupStatus"] == "CREATING"
    arn: str = details["BackupArn"]
    return arn


def finish(world: World, work: Any) -> int:
    """Make attempts at a list until nothing of it is due; return how many it took."""
    attempts = 0
    while world.attempt(work):
        attempts += 1
    return attempts


def backed_up(world: World) -> str:
    arn = back_up(world)
    finish(world, jobs.copy_backup)
    return arn


def described(world: World, arn: str) -> Any:
    return world.call.run("describe_backup", BackupArn=arn)["BackupDescription"]


def restore(world: World, arn: str, target: str = "new", **overrides: Any) -> Any:
    return world.call.run(
        "restore_table_from_backup", BackupArn=arn, TargetTableName=target, **overrides
    )["TableDescription"]


def recall(world: World, second: int | None, target: str = "new", **members: Any) -> Any:
    moment: dict[str, Any] = {"UseLatestRestorableTime": True}
    if second is not None:
        moment = {"RestoreDateTime": second * 1_000}
    given = {"SourceTableName": "tab", "TargetTableName": target} | moment | members
    return world.call.run("restore_table_to_point_in_time", **given)["TableDescription"]


def scanned(call: FakeCall, table: str) -> list[Any]:
    found = call.run("scan", TableName=table)["Items"]
    return sorted(found, key=repr)


def refused(call: FakeCall, operation: str, **request: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        call.run(operation, **request)
    return type(caught.value).__name__, caught.value.message


def enable(world: World, **members: Any) -> Any:
    specification = {"PointInTimeRecoveryEnabled": True} | members
    return world.call.run(
        "update_continuous_backups",
        TableName="tab",
        PointInTimeRecoverySpecification=specification,
    )["ContinuousBackupsDescription"]


# Backups.


def test_a_backup_taken_under_transfers_is_one_cut_of_the_bank() -> None:
    world = World()
    names = [f"{number}" for number in range(ACCOUNTS)]
    call = world.call
    for name in names:
        call.run("put_item", TableName="tab", Item={"p": {"S": name}, "v": {"N": "100"}})

    def transfer(source: str, target: str) -> None:
        parts = [
            {
                "Update": {
                    "TableName": "tab",
                    "Key": {"p": {"S": name}},
                    "UpdateExpression": "ADD v :by",
                    "ExpressionAttributeValues": {":by": {"N": by}},
                }
            }
            for name, by in ((source, "-7"), (target, "7"))
        ]
        call.run("transact_write_items", TransactItems=parts)

    transfer("0", "1")
    expected = scanned(call, "tab")
    arn = back_up(world)
    turns = 0
    while world.attempt(jobs.copy_backup):
        for step in range(ACCOUNTS // 2):
            transfer(names[(turns + step) % ACCOUNTS], names[(turns + step + 4) % ACCOUNTS])
        turns += 1
    assert turns > ACCOUNTS // 2, "it was copied between the transfers"
    restore(world, arn)
    finish(world, jobs.fill_table)
    assert scanned(call, "new") == expected != scanned(call, "tab")
    assert sum(int(item["v"]["N"]) for item in scanned(call, "new")) == TOTAL


def test_a_backup_is_creating_until_it_is_copied_and_the_history_ends_with_it(
    world: World,
) -> None:
    arn = back_up(world)
    assert world.attempt(jobs.copy_backup)
    shown = described(world, arn)
    assert shown["BackupDetails"]["BackupStatus"] == "CREATING"
    assert shown["SourceTableDetails"]["ItemCount"] == 2
    request = {"BackupArn": arn}
    creating = f"Backup is being created: {arn}"
    assert refused(world.call, "delete_backup", **request) == ("BackupInUseException", creating)
    into = {**request, "TargetTableName": "new"}
    assert refused(world.call, "restore_table_from_backup", **into)[0] == "BackupInUseException"
    world.write("put", {"p": {"S": "0"}}, 100)
    finish(world, jobs.copy_backup)
    shown = described(world, arn)
    assert shown["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    assert shown["BackupDetails"]["BackupSizeBytes"] == 5 * 5
    assert shown["SourceTableDetails"]["ItemCount"] == 5
    assert (world.table().history_ms, world.rows(CUTS)) == (0, 0)
    finish(world, histories.trim_history)
    assert world.rows(HISTORY) == 0


def test_a_backup_is_told_as_dynamodb_tells_it(world: World) -> None:
    arn = backed_up(world)
    region, account, now_ms = "us-east-1", "111122223333", world.call.now_ms
    table_arn = f"arn:aws:dynamodb:{region}:{account}:table/tab"
    assert arn.startswith(f"{table_arn}/backup/{now_ms:014}-")
    details = {
        "BackupArn": arn,
        "BackupName": "saved",
        "BackupSizeBytes": 25,
        "BackupStatus": "AVAILABLE",
        "BackupType": "USER",
        "BackupCreationDateTime": now_ms,
    }
    table = world.table()
    assert described(world, arn) == {
        "BackupDetails": details,
        "SourceTableDetails": {
            "TableName": "tab",
            "TableId": table.id,
            "TableArn": table_arn,
            "TableSizeBytes": 25,
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "TableCreationDateTime": table.created_ms,
            "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
            "ItemCount": 5,
            "BillingMode": "PAY_PER_REQUEST",
        },
        "SourceTableFeatureDetails": {},
    }
    [summary] = world.call.run("list_backups")["BackupSummaries"]
    named = {"TableName": "tab", "TableId": table.id, "TableArn": table_arn}
    assert summary == details | named


def test_a_backup_outlives_its_table_and_goes_with_its_items(world: World) -> None:
    expected = scanned(world.call, "tab")
    arn = back_up(world)
    world.call.run("delete_table", TableName="tab")
    finish(world, jobs.copy_backup)
    finish(world, tables.remove_items)
    restore(world, arn, target="tab")
    finish(world, jobs.fill_table)
    assert scanned(world.call, "tab") == expected
    deleted = world.call.run("delete_backup", BackupArn=arn)["BackupDescription"]
    assert deleted["BackupDetails"]["BackupStatus"] == "DELETED"
    gone = ("BackupNotFoundException", f"Backup not found: {arn}")
    for operation in ("describe_backup", "delete_backup"):
        assert refused(world.call, operation, BackupArn=arn) == gone
    assert world.rows(BACKUP_ITEMS) == 5
    finish(world, tables.remove_items)
    assert (world.rows(BACKUP_ITEMS), world.rows(BACKUPS)) == (0, 0)
    assert scanned(world.call, "tab") == expected


def test_bodies_of_large_items_are_shared_and_counted(world: World) -> None:
    large = {"p": {"S": "large"}, "v": {"S": "x" * 100_000}}
    world.call.run("put_item", TableName="tab", Item=large)
    arn = backed_up(world)
    world.call.run("delete_item", TableName="tab", Key={"p": large["p"]})
    restore(world, arn)
    finish(world, jobs.fill_table)
    assert world.call.run("get_item", TableName="new", Key={"p": large["p"]})["Item"] == large
    assert damage(world) == []
    world.call.run("delete_backup", BackupArn=arn)
    finish(world, tables.remove_items)
    assert damage(world) == []


def damage(world: World) -> list[str]:
    """Return what ``fogbank check`` would tell."""
    return list(state.agreement.damage_of(Rows(world.call)))


@pytest.mark.parametrize(
    ("arn", "error", "message"),
    [
        ("arn:aws:dynamodb:us-east-1:111122223333:table/tab", "ValidationException", "Invalid Backup ARN"),
        ("x" * 48, "ValidationException", "Invalid Backup ARN"),
        (
            "arn:aws:dynamodb:xx-fake:111122223333:table/tab/backup/01489602797149-73d8d5bc",
            "ValidationException",
            "Invalid Request: BackupArn is not valid",
        ),
        (
            "arn:aws-cn:dynamodb:us-east-1:111122223333:table/tab/backup/01489602797149-73d8d5bc",
            "ValidationException",
            "Invalid Request: BackupArn is not valid",
        ),
        (
            "arn:aws:dynamodb:us-east-1:444455556666:table/tab/backup/01489602797149-73d8d5bc",
            "AccessDeniedException",
            "Access is denied",
        ),
        (
            "arn:aws:dynamodb:us-west-2:111122223333:table/tab/backup/01489602797149-73d8d5bc",
            "BackupNotFoundException",
            ("Backup not found: arn:aws:dynamodb:us-west-2:111122223333:table/tab/backup/"
            "01489602797149-73d8d5bc"),
        ),
    ],
)  # fmt: skip
def test_what_names_no_backup_of_ours_is_refused(arn: str, error: str, message: str) -> None:
    assert refused(FakeCall(), "describe_backup", BackupArn=arn) == (error, message)


def test_listings_are_of_a_table_a_time_and_a_type(world: World) -> None:
    call, made = world.call, list[str]()
    for _ in range(3):
        made.append(backed_up(world))
        call.now_ms += 1_000

    def listed(**request: Any) -> list[str]:
        return [
            each["BackupArn"] for each in call.run("list_backups", **request)["BackupSummaries"]
        ]

    times = [call.now_ms - 3_000, call.now_ms - 2_000, call.now_ms - 1_000]
    assert listed() == listed(TableName="tab") == listed(BackupType="ALL") == made
    assert listed(TableName="none") == listed(BackupType="SYSTEM") == []
    assert listed(TimeRangeLowerBound=times[1]) == made[1:]
    assert listed(TimeRangeUpperBound=times[1]) == made[:1]
    assert listed(TimeRangeLowerBound=times[1] + 1, TimeRangeUpperBound=times[2] + 1) == made[2:]
    assert refused(call, "list_backups", TimeRangeLowerBound=2, TimeRangeUpperBound=1) == (
        "ValidationException",
        (
            "One or more parameter values were invalid: Time range lower bound must be less than or"
            " equal to upper bound"
        ),
    )
    assert listed(ExclusiveStartBackupArn=made[0]) == made[1:]
    assert listed(ExclusiveStartBackupArn=made[0], TableName="tab", Limit=1) == made[1:2]
    call.run("delete_backup", BackupArn=made[0])
    assert listed(ExclusiveStartBackupArn=made[0]) == made[1:], "a place, and no backup"
    assert call.run("list_backups", Limit=1)["LastEvaluatedBackupArn"] == made[1]
    assert "LastEvaluatedBackupArn" not in call.run("list_backups", Limit=2)
    elsewhere = made[0].replace("us-east-1", "us-west-2")
    assert refused(call, "list_backups", ExclusiveStartBackupArn=elsewhere) == (
        "ValidationException",
        "Invalid Request: The supplied ExclusiveStartBackupArn does not match the region",
    )


# Restores from backups.


def test_a_table_that_is_filled_is_nobodys_until_it_is_active(world: World) -> None:
    arn = backed_up(world)
    made_ms = world.call.now_ms
    world.call.now_ms += 1_000
    summary = {
        "SourceBackupArn": arn,
        "SourceTableArn": "arn:aws:dynamodb:us-east-1:111122223333:table/tab",
        "RestoreDateTime": made_ms,
        "RestoreInProgress": True,
    }
    assert restore(world, arn)["RestoreSummary"] == summary
    assert world.attempt(jobs.fill_table)

    call, named = world.call, {"TableName": "new"}
    shown = call.run("describe_table", **named)["Table"]
    assert (shown["TableStatus"], shown["RestoreSummary"]) == ("CREATING", summary)
    key = {"p": {"S": "0"}}
    assert refused(call, "get_item", **named, Key=key)[0] == "ResourceNotFoundException"
    assert refused(call, "put_item", **named, Item=key)[0] == "ResourceNotFoundException"
    assert refused(call, "delete_table", **named)[0] == "ResourceInUseException"
    missing = ("TableNotFoundException", "Table not found: new")
    assert refused(call, "create_backup", **named, BackupName="saved") == missing
    assert refused(call, "describe_continuous_backups", **named) == missing
    again = f"Backup is being used to restore another table: {arn}"
    other = {"BackupArn": arn, "TargetTableName": "other"}
    assert refused(call, "restore_table_from_backup", **other) == ("BackupInUseException", again)
    using = f"Backup is being used to restore table: {arn}"
    assert refused(call, "delete_backup", BackupArn=arn) == ("BackupInUseException", using)
    twice = {"BackupArn": arn, "TargetTableName": "new"}
    assert refused(call, "restore_table_from_backup", **twice) == (
        "TableInUseException",
        f"Table: new is already being restored from backup: {arn}",
    )

    assert finish(world, jobs.fill_table) == 2
    shown = call.run("describe_table", **named)["Table"]
    assert (shown["TableStatus"], shown["ItemCount"]) == ("ACTIVE", 5)
    assert "RestoreSummary" not in shown
    assert scanned(call, "new") == scanned(call, "tab")
    assert refused(call, "restore_table_from_backup", **twice) == (
        "TableAlreadyExistsException",
        "Table already exists: new",
    )
    restore(world, arn, target="other")


def test_what_a_table_was_beside_its_items_is_not_restored(world: World) -> None:
    call = world.call
    on = {"TableName": "tab"}
    view = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    call.run("update_table", **on, StreamSpecification=view, DeletionProtectionEnabled=True)
    call.run("update_table", **on, TableClass="STANDARD_INFREQUENT_ACCESS")
    ttl = {"AttributeName": "at", "Enabled": True}
    call.run("update_time_to_live", **on, TimeToLiveSpecification=ttl)
    enable(world)
    arn = backed_up(world)
    assert described(world, arn)["SourceTableFeatureDetails"] == {
        "StreamDescription": view,
        "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "at"},
    }
    restore(world, arn)
    finish(world, jobs.fill_table)
    shown = call.run("describe_table", TableName="new")["Table"]
    assert not shown["DeletionProtectionEnabled"]
    assert not shown.keys() & {"StreamSpecification", "LatestStreamArn", "TableClassSummary"}
    assert call.run("describe_time_to_live", TableName="new") == {
        "TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}
    }
    backups = call.run("describe_continuous_backups", TableName="new")
    assert backups["ContinuousBackupsDescription"]["ContinuousBackupsStatus"] == "DISABLED"


def indexed() -> tuple[World, Indexed]:
    """Return a table with local and global indexes and items in them."""
    made = Indexed(*GLOBAL)
    for number in range(6):
        key = {"p": {"S": f"{number % 3}"}, "c": {"N": f"{number}"}}
        attributes = {
            "g": {"S": f"{number % 2}"}, "h": {"N": "1"}, "s": {"S": "s"}, "n": {"N": f"{number}"}
        }  # fmt: skip
        made.write("put", key, attributes)
    around = World.__new__(World)
    around.call = made.call
    return around, made


def test_indexes_are_restored_and_right() -> None:
    world, model = indexed()
    arn = backed_up(world)
    model.call.run("delete_table", TableName="tab")
    restore(world, arn, target="tab")
    finish(world, jobs.fill_table)
    assert model.check() == 6 * 6
    shown = model.call.run("describe_table", TableName="tab")["Table"]
    counts = {
        each["IndexName"]: each["ItemCount"]
        for each in shown["GlobalSecondaryIndexes"] + shown["LocalSecondaryIndexes"]
    }
    assert set(counts.values()) == {6}


def test_indexes_are_left_out_and_renamed() -> None:
    world, model = indexed()
    arn = backed_up(world)
    by_g = GLOBAL[0].request() | {"IndexName": "renamed"}
    restore(world, arn, GlobalSecondaryIndexOverride=[by_g], LocalSecondaryIndexOverride=[])
    finish(world, jobs.fill_table)
    shown = model.call.run("describe_table", TableName="new")["Table"]
    assert [each["IndexName"] for each in shown["GlobalSecondaryIndexes"]] == ["renamed"]
    assert "LocalSecondaryIndexes" not in shown
    assert model.call.run("scan", TableName="new", IndexName="renamed")["Count"] == 6
    other = GLOBAL[1].request() | {"Projection": {"ProjectionType": "ALL"}}
    error = refused(
        model.call,
        "restore_table_from_backup",
        BackupArn=arn,
        TargetTableName="third",
        GlobalSecondaryIndexOverride=[other],
    )
    assert error == (
        "ValidationException",
        (
            "Invalid Request: Index by-g-n does not match a secondary index that existed in the source"
            " table and cannot be created during the restore operation"
        ),
    )


UNITS = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"ProvisionedThroughputOverride": UNITS},
            "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        ),
        (
            {"BillingModeOverride": "PROVISIONED"},
            "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
        ),
        (
            {"BillingModeOverride": "PAY_PER_REQUEST", "ProvisionedThroughputOverride": UNITS},
            "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST",
        ),
        (
            {"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": UNITS},
            "Must specify provisioned throughput for index by-g",
        ),
        (
            {
                "GlobalSecondaryIndexOverride": [
                    GLOBAL[0].request() | {"ProvisionedThroughput": UNITS}
                ]
            },
            (
                "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST"
                " for index by-g"
            ),
        ),
    ],
)
def test_overrides_that_contradict_each_other_are_refused(overrides: Any, message: str) -> None:
    world, model = indexed()
    arn = backed_up(world)
    request = {"BackupArn": arn, "TargetTableName": "new"} | overrides
    said = refused(model.call, "restore_table_from_backup", **request)
    assert said == ("ValidationException", f"Invalid Request: {message}")


def test_a_table_is_restored_with_other_units(world: World) -> None:
    arn = backed_up(world)
    shown = restore(
        world, arn, BillingModeOverride="PROVISIONED", ProvisionedThroughputOverride=UNITS
    )["ProvisionedThroughput"]
    assert (shown["ReadCapacityUnits"], shown["WriteCapacityUnits"]) == (7, 8)


def test_maxima_are_restored_unless_others_are_given(world: World) -> None:
    maxima = {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50}
    world.call.run("update_table", TableName="tab", OnDemandThroughput=maxima)
    arn = backed_up(world)
    assert described(world, arn)["SourceTableDetails"]["OnDemandThroughput"] == maxima
    assert restore(world, arn, target="same")["OnDemandThroughput"] == maxima
    finish(world, jobs.fill_table)
    other = {"MaxReadRequestUnits": 7}
    shown = restore(world, arn, OnDemandThroughputOverride=other)
    assert shown["OnDemandThroughput"] == other
    units = {"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": UNITS}
    request = {"BackupArn": arn, "TargetTableName": "third", "OnDemandThroughputOverride": other}
    assert refused(world.call, "restore_table_from_backup", **request, **units) == (
        "ValidationException",
        (
            "Invalid Request: Cannot override MaxReadRequestUnits for OnDemandThroughput unless"
            " BillingModeOverride is PAY_PER_REQUEST"
        ),
    )


def test_no_more_tables_are_restored_at_once_than_may_be(world: World) -> None:
    first, second = backed_up(world), backed_up(world)
    world.call.quotas[quotas.RESTORES.name] = 1
    restore(world, first)
    request = {"BackupArn": second, "TargetTableName": "other"}
    error, message = refused(world.call, "restore_table_from_backup", **request)
    assert (error, message[:24]) == ("LimitExceededException", "Only 1 restore operation")
    finish(world, jobs.fill_table)
    assert world.rows(RESTORES) == 0
    restore(world, second, target="other")
