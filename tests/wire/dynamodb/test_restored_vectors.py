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
