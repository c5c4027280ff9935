"""Vector indexes of tables that are restored."""

from __future__ import annotations

from typing import Any

from tests.wire.dynamodb.searching import keys_of, put, search, table, vector_index

from fogbank.testing.cloud import Cloud


def test_a_vector_index_is_backed_up_restored_and_searched(cloud: Cloud, dynamodb: Any) -> None:
    dynamodb.create_table(**table(vector_index(by="t")))
    for name, vector in (("a", "1 0 0"), ("b", "0 1 0")):
        put(dynamodb, name, vector, t="t")
    arn = dynamodb.create_backup(TableName="tab", BackupName="saved")["BackupDetails"]["BackupArn"]
    cloud.settle()
    features = dynamodb.describe_backup(BackupArn=arn)["BackupDescription"][
        "SourceTableFeatureDetails"
    ]
    assert features["VectorIndexes"] == [vector_index(by="t")]
    dynamodb.delete_table(TableName="tab")
    dynamodb.restore_table_from_backup(TargetTableName="tab", BackupArn=arn)
    cloud.settle()
    found = search(dynamodb, condition="t = :t", values={"t": "t"})
    assert sorted(keys_of(found)) == ["a", "b"]


def restored(dynamodb: Any, cloud: Cloud, **overrides: Any) -> list[str]:
    """Restore a backup of a table with two vector indexes; return the names of those of the new one."""
    [backup] = dynamodb.list_backups(TableName="tab")["BackupSummaries"]
    name = f"tab-{len(dynamodb.list_tables()['TableNames'])}"
    arn = backup["BackupArn"]
    dynamodb.restore_table_from_backup(TargetTableName=name, BackupArn=arn, **overrides)
    cloud.settle()
    told = dynamodb.describe_table(TableName=name)["Table"]
    return [each["IndexName"] for each in told.get("VectorIndexes", ())]


def test_a_restore_takes_the_vector_indexes_that_it_is_given(
    cloud: Cloud, dynamodb: Any, refusal: Any
) -> None:
    """API Reference, RestoreTableFromBackup, VectorIndexOverride: some or all may be excluded."""
    near, far = vector_index(by="t"), vector_index("far", distance="EUCLIDEAN")
    dynamodb.create_table(**table(near, far))
    put(dynamodb, "a", "1 0 0", t="t")
    dynamodb.create_backup(TableName="tab", BackupName="saved")
    cloud.settle()
    assert restored(dynamodb, cloud) == ["vix", "far"]
    assert restored(dynamodb, cloud, VectorIndexOverride=[]) == []
    given = [{**far, "IndexName": "renamed"}]
    assert restored(dynamodb, cloud, VectorIndexOverride=given) == ["renamed"]
    given[0]["Dimensions"] = 4
    [backup] = dynamodb.list_backups(TableName="tab")["BackupSummaries"]
    request = {"TargetTableName": "other", "BackupArn": backup["BackupArn"]}
    for override in (given, [near, near], [{**near, "DistanceFunction": "DOT_PRODUCT"}]):
        status, code, message = refusal(
            dynamodb.restore_table_from_backup, **request, VectorIndexOverride=override
        )
        assert (status, code) == (400, "ValidationException")
        assert "does not match a secondary index that existed in the source table" in message
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    provisioned = {"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": units}
    refused = refusal(dynamodb.restore_table_from_backup, **request, **provisioned)
    assert "only supported for PAY_PER_REQUEST" in refused[2]
    assert restored(dynamodb, cloud, **provisioned, VectorIndexOverride=[]) == []
