"""What is kept of tables to be restored: answers of AWS as its own controllers have them."""

from __future__ import annotations

from typing import Any


def test_a_table_says_that_it_cannot_be_restored_to_a_point_in_time(
    dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table()
    said = dynamodb.describe_continuous_backups(TableName="tab")["ContinuousBackupsDescription"]
    assert said == {
        "ContinuousBackupsStatus": "DISABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
    on = {"PointInTimeRecoveryEnabled": True}
    refused = refusal(
        dynamodb.update_continuous_backups, TableName="tab", PointInTimeRecoverySpecification=on
    )
    assert refused[:2] == (501, "NotImplemented")


def test_a_table_that_is_not_there_has_an_error_of_its_own(dynamodb: Any, refusal: Any) -> None:
    said = refusal(dynamodb.describe_continuous_backups, TableName="none")
    assert said == (400, "TableNotFoundException", "Table not found: none")
