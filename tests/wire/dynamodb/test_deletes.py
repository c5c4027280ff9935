from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

KEY = {"p": {"S": "x"}}


def test_a_deleted_item_is_shown_once_and_deleting_it_again_is_no_error(
    dynamodb: Any, make_table: Any
) -> None:
    make_table()
    dynamodb.put_item(TableName="tab", Item={**KEY, "n": {"N": "1"}})
    gone = dynamodb.delete_item(TableName="tab", Key=KEY, ReturnValues="ALL_OLD")
    assert gone["Attributes"] == {**KEY, "n": {"N": "1"}}
    assert "Item" not in dynamodb.get_item(TableName="tab", Key=KEY, ConsistentRead=True)
    again = dynamodb.delete_item(TableName="tab", Key=KEY, ReturnValues="ALL_OLD")
    assert "Attributes" not in again


def test_a_delete_is_refused_unless_its_condition_holds(dynamodb: Any, make_table: Any) -> None:
    make_table()
    dynamodb.put_item(TableName="tab", Item={**KEY, "n": {"N": "1"}})
    condition = {
        "ConditionExpression": "n = :n",
        "ExpressionAttributeValues": {":n": {"N": "2"}},
    }
    with pytest.raises(ClientError, match="The conditional request failed"):
        dynamodb.delete_item(TableName="tab", Key=KEY, **condition)
    assert dynamodb.get_item(TableName="tab", Key=KEY)["Item"]["n"] == {"N": "1"}


def test_the_endpoint_that_is_described_is_the_one_that_was_asked(dynamodb: Any) -> None:
    (endpoint,) = dynamodb.describe_endpoints()["Endpoints"]
    assert endpoint["Address"]
    assert endpoint["CachePeriodInMinutes"] > 0
