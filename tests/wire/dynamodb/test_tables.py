from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from botocore.config import Config as ClientConfig

from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.rules import measures
from fogbank.services.dynamodb.schema import ITEMS
from fogbank.testing.cloud import Cloud

KEYS: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
}


def test_clients_can_wait_for_a_table_and_for_its_end(dynamodb: Any) -> None:
    created = dynamodb.create_table(TableName="tab", BillingMode="PAY_PER_REQUEST", **KEYS)
    assert created["TableDescription"]["TableStatus"] == "CREATING"
    dynamodb.get_waiter("table_exists").wait(TableName="tab")
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert isinstance(table["CreationDateTime"], datetime)
    dynamodb.delete_table(TableName="tab")
    dynamodb.get_waiter("table_not_exists").wait(TableName="tab")


def test_provisioned_units_are_kept_and_changed(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName="tab",
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        **KEYS,
    )
    dynamodb.update_table(
        TableName="tab",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 4},
    )
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert "BillingModeSummary" not in table


def test_tables_are_listed_in_pages(dynamodb: Any, make_table: Any) -> None:
    names = [f"table{number}" for number in range(5)]
    for name in reversed(names):
        make_table(name)
    pages = list(dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2}))
    assert [page["TableNames"] for page in pages] == [names[:2], names[2:4], names[4:]]


def test_tables_belong_to_a_region(cloud: Cloud, dynamodb: Any, make_table: Any) -> None:
    make_table()
    elsewhere = cloud.client("dynamodb", region="eu-central-1")
    assert elsewhere.list_tables()["TableNames"] == []
    assert dynamodb.list_tables()["TableNames"] == ["tab"]


def test_a_table_of_the_same_name_sees_nothing_of_the_old(
    cloud: Cloud, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "x"}})
    dynamodb.delete_table(TableName="tab")
    make_table()
    assert dynamodb.scan(TableName="tab")["Count"] == 0
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "y"}})
    cloud.settle()
    assert dynamodb.scan(TableName="tab")["Items"] == [{"p": {"S": "y"}}]


def test_items_of_deleted_tables_are_removed(cloud: Cloud, dynamodb: Any, make_table: Any) -> None:
    make_table()
    for number in range(120):
        dynamodb.put_item(TableName="tab", Item={"p": {"S": str(number)}})
    assert rows_of_items(cloud) == 120
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    assert rows_of_items(cloud) == 0


def test_tables_are_counted_now_and_then(
    cloud: Cloud, dynamodb: Any, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "PERIOD_MS", 1_000)
    make_table()
    for number in range(60):
        dynamodb.put_item(TableName="tab", Item={"p": {"S": f"{number:02}"}})
    assert dynamodb.describe_table(TableName="tab")["Table"]["ItemCount"] == 0
    cloud.advance(1_000)
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert (table["ItemCount"], table["TableSizeBytes"]) == (60, 60 * 3)


def rows_of_items(cloud: Cloud) -> int:
    """Return how many items the store has, of whatever tables."""
    prefix = ITEMS.prefix(Domain("dynamodb", cloud.account.principal.account, "us-east-1"))
    return sum(key.startswith(prefix) for key in cloud.engine.rows.irange())


def test_a_name_that_cannot_be_is_told_before_a_key_without_attributes(
    cloud: Cloud, make_table: Any, refusal: Any
) -> None:
    """Source: the parity project's dynamodb-conformance, tier3/validation-ordering/createTable."""
    dynamodb = cloud.client("dynamodb", config=ClientConfig(parameter_validation=False))
    given = {**KEYS, "KeySchema": [], "BillingMode": "PAY_PER_REQUEST"}
    _, code, said = refusal(dynamodb.create_table, **given, TableName="x!!")
    assert code == "ValidationException"
    assert "tableName" in said
    assert "keySchema" not in said
    least = "failed to satisfy constraint: Member must have length greater than or equal to 1"
    index = {"IndexName": "idx", "KeySchema": [], "Projection": {"ProjectionType": "ALL"}}
    make_table()
    for call, more, where in (
        (dynamodb.create_table, {**given, "TableName": "tac"}, "keySchema"),
        (
            dynamodb.create_table,
            {**given, **KEYS, "TableName": "tac", "GlobalSecondaryIndexes": [index]},
            "globalSecondaryIndexes.1.member.keySchema",
        ),
        (
            dynamodb.update_table,
            {"TableName": "tab", "GlobalSecondaryIndexUpdates": [{"Create": index}]},
            "globalSecondaryIndexUpdates.1.member.create.keySchema",
        ),
    ):
        expected = f"1 validation error detected: Value '[]' at '{where}' {least}"
        assert refusal(call, **more) == (400, "ValidationException", expected)


def test_errors_have_codes_and_messages(
    dynamodb: Any, make_table: Any, refusal: Any, cloud: Cloud
) -> None:
    make_table()
    assert refusal(
        dynamodb.create_table, TableName="tab", BillingMode="PAY_PER_REQUEST", **KEYS
    ) == (400, "ResourceInUseException", "Table already exists: tab")
    assert refusal(dynamodb.describe_table, TableName="none") == (
        400,
        "ResourceNotFoundException",
        "Requested resource not found: Table: none not found",
    )
    own, other = cloud.account.principal.account, "000000000001"
    for region, account, code in (
        ("us-west-2", own, "ResourceNotFoundException"),
        ("us-east-1", other, "AccessDeniedException"),
    ):
        arn = f"arn:aws:dynamodb:{region}:{account}:table/tab"
        assert refusal(dynamodb.get_item, TableName=arn, Key={"p": {"S": "x"}})[1] == code


def test_a_table_is_of_a_class(dynamodb: Any) -> None:
    """Nobody speaks of STANDARD, which tables are of, as AWS's own controllers found it."""

    def summary() -> Any:
        return dynamodb.describe_table(TableName="tab")["Table"].get("TableClassSummary")

    dynamodb.create_table(
        TableName="tab", BillingMode="PAY_PER_REQUEST", TableClass="STANDARD", **KEYS
    )
    assert summary() is None
    dynamodb.update_table(TableName="tab", TableClass="STANDARD")
    assert summary() is None
    rare = "STANDARD_INFREQUENT_ACCESS"
    dynamodb.update_table(TableName="tab", TableClass=rare)
    changed = summary()
    assert changed["TableClass"] == rare
    assert isinstance(changed["LastUpdateDateTime"], datetime)
    dynamodb.update_table(TableName="tab", TableClass=rare)
    assert summary() == changed
    dynamodb.update_table(TableName="tab", TableClass="STANDARD")
    assert summary()["TableClass"] == "STANDARD"
    dynamodb.create_table(TableName="rare", BillingMode="PAY_PER_REQUEST", TableClass=rare, **KEYS)
    table = dynamodb.describe_table(TableName="rare")["Table"]
    assert table["TableClassSummary"] == {"TableClass": rare}


def test_what_is_not_built_is_refused(dynamodb: Any, make_table: Any, refusal: Any) -> None:
    make_table()
    status, code, message = refusal(
        dynamodb.create_table,
        TableName="two",
        BillingMode="PAY_PER_REQUEST",
        GlobalTableSourceArn="arn:aws:dynamodb:eu-west-1:123456789012:table/other",
        **KEYS,
    )
    assert (status, code) == (501, "NotImplemented")
    assert "GlobalTableSourceArn" in message
    off = {"StreamEnabled": False}
    dynamodb.create_table(
        TableName="two", BillingMode="PAY_PER_REQUEST", StreamSpecification=off, **KEYS
    )


@pytest.mark.parametrize("cloud", [{"dynamodb.tables_max": 1}], indirect=True)
def test_the_number_of_tables_is_limited(make_table: Any, dynamodb: Any, refusal: Any) -> None:
    make_table()
    assert refusal(
        dynamodb.create_table, TableName="two", BillingMode="PAY_PER_REQUEST", **KEYS
    ) == (
        400,
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of 1 tables per subscriber",
    )


def test_policies_decide_on_tables_and_attributes(
    cloud: Cloud, dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table("open")
    make_table("closed")
    iam = cloud.client("iam")
    iam.create_user(UserName="alice")
    account = cloud.account.principal.account
    statement = {
        "Effect": "Allow",
        "Action": "dynamodb:GetItem",
        "Resource": f"arn:aws:dynamodb:us-east-1:{account}:table/open",
        "Condition": {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["p", "shown"]},
            "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
        },
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    alice = cloud.client(
        "dynamodb", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
    )
    item = {"p": {"S": "x"}}
    dynamodb.put_item(TableName="open", Item=item | {"shown": {"N": "1"}, "secret": {"N": "2"}})
    found = alice.get_item(TableName="open", Key=item, ProjectionExpression="shown")
    assert found["Item"] == {"shown": {"N": "1"}}
    for denied in ({"ProjectionExpression": "secret"}, {}):
        assert refusal(alice.get_item, TableName="open", Key=item, **denied)[1] == (
            "AccessDeniedException"
        )
    assert refusal(alice.get_item, TableName="closed", Key=item)[1] == "AccessDeniedException"
    assert refusal(alice.scan, TableName="open")[:2] == (400, "AccessDeniedException")
