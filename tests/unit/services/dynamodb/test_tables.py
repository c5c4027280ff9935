from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from fogbank.base.errors import ServiceError
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from fogbank.services.dynamodb.schema import CREATING

INVALID = "One or more parameter values were invalid: "


def request(*keys: tuple[str, str, str], **members: Any) -> dict[str, Any]:
    return {
        "TableName": "tab",
        "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role, _ in keys],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, _, kind in keys if kind
        ],
        "BillingMode": "PAY_PER_REQUEST",
        **members,
    }


P, C = ("p", "HASH", "S"), ("c", "RANGE", "N")
PROVISIONED = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}


def test_a_table_is_created_described_listed_and_deleted(run: Any, call: Any) -> None:
    created = run("create_table", **request(P, C))["TableDescription"]
    assert created["TableStatus"] == "CREATING"
    described = run("describe_table", TableName="tab")["Table"]
    warm = created["WarmThroughput"] | {"Status": "ACTIVE"}
    assert described == created | {"TableStatus": "ACTIVE", "WarmThroughput": warm}
    assert described["TableArn"] == "arn:aws:dynamodb:us-east-1:111122223333:table/tab"
    assert described["CreationDateTime"] == call.now_ms
    assert described["KeySchema"] == [
        {"AttributeName": "p", "KeyType": "HASH"},
        {"AttributeName": "c", "KeyType": "RANGE"},
    ]
    assert run("list_tables") == {"TableNames": ["tab"]}
    deleted = run("delete_table", TableName=described["TableArn"])["TableDescription"]
    assert deleted["TableStatus"] == "DELETING"
    assert "KeySchema" not in deleted
    assert run("list_tables") == {"TableNames": []}
    for operation in ("describe_table", "delete_table"):
        with pytest.raises(ResourceNotFoundException) as caught:
            run(operation, TableName="tab")
        assert caught.value.message == "Requested resource not found: Table: tab not found"


def test_a_name_is_taken_once(run: Any) -> None:
    run("create_table", **request(P))
    with pytest.raises(ResourceInUseException, match="Table already exists: tab"):
        run("create_table", **request(P))


def test_there_is_a_limit_to_tables(run: Any, call: Any) -> None:
    call.quotas[quotas.TABLES.name] = 2
    run("create_table", **request(P, TableName="one"))
    run("create_table", **request(P, TableName="two"))
    with pytest.raises(LimitExceededException, match="limit of 2 tables"):
        run("create_table", **request(P, TableName="three"))


def test_names_are_listed_in_pages(run: Any) -> None:
    for name in ("tab-b", "tab-a", "tab-c"):
        run("create_table", **request(P, TableName=name))
    first = run("list_tables", Limit=2)
    assert first == {"TableNames": ["tab-a", "tab-b"], "LastEvaluatedTableName": "tab-b"}
    assert run("list_tables", ExclusiveStartTableName="tab-b") == {"TableNames": ["tab-c"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            request(P, TableName="a!"),
            ("2 validation errors detected: Value 'a!' at 'tableName' failed to satisfy"
            " constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value"
            " 'a!' at 'tableName' failed to satisfy constraint: Member must have length greater"
            " than or equal to 3"),
        ),
        (
            request(P, TableName="n" * 256),
            (f"1 validation error detected: Value '{'n' * 256}' at 'tableName' failed to satisfy"
            " constraint: Member must have length less than or equal to 255"),
        ),
        (
            request(P, BillingMode="PROVISIONED"),
            (f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when"
            " BillingMode is PROVISIONED"),
        ),
        (
            request(P, ProvisionedThroughput=PROVISIONED),
            (f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when"
            " BillingMode is PAY_PER_REQUEST"),
        ),
        (
            request(P, C, ("d", "RANGE", "S")),
            ("1 validation error detected: Value '[KeySchemaElement(attributeName=p,"
            " keyType=HASH), KeySchemaElement(attributeName=c, keyType=RANGE),"
            " KeySchemaElement(attributeName=d, keyType=RANGE)]' at 'keySchema' failed to satisfy"
            " constraint: Member must have length less than or equal to 2"),
        ),
        (
            request(P, ("p", "RANGE", "")),
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            request(("p", "HASH", ""), AttributeDefinitions=[
                {"AttributeName": "q", "AttributeType": "S"}
            ]),
            (f"{INVALID}Some index key attributes are not defined in AttributeDefinitions."
            " Keys: [p], AttributeDefinitions: [q]"),
        ),
        (
            request(("p", "RANGE", "S")),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            request(P, ("c", "HASH", "S")),
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (request(P, P), f"{INVALID}Duplicate attribute name: p"),
        (
            {**request(P), "AttributeDefinitions": request(P, C)["AttributeDefinitions"]},
            (f"{INVALID}Number of attributes in KeySchema does not exactly match number of"
            " attributes defined in AttributeDefinitions"),
        ),
    ],
)  # fmt: skip
def test_tables_that_cannot_be(run: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        run("create_table", **given)
    assert caught.value.message == message


def test_a_table_without_schema_is_refused(run: Any) -> None:
    given = request(P)
    del given["AttributeDefinitions"]
    with pytest.raises(ValidationException, match="Value null at 'attributeDefinitions'"):
        run("create_table", **given)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:dynamodb:us-east-1:999999999999:table/tab",
        "arn:aws:dynamodb:eu-west-1:111122223333:table/tab",
        "arn:aws:s3:us-east-1:111122223333:table/tab",
        "arn:aws:dynamodb:us-east-1:111122223333:tab",
    ],
)
def test_an_arn_of_elsewhere_reaches_no_table_of_ours(run: Any, arn: str) -> None:
    run("create_table", **request(P))
    with pytest.raises(ServiceError):
        run("get_item", TableName=arn, Key={"p": {"S": "x"}})


def test_a_protected_table_stays(run: Any) -> None:
    run("create_table", **request(P, DeletionProtectionEnabled=True))
    with pytest.raises(ValidationException, match="protected against deletion"):
        run("delete_table", TableName="tab")
    changed = run("update_table", TableName="tab", DeletionProtectionEnabled=False)
    assert changed["TableDescription"]["TableStatus"] == "UPDATING"
    run("delete_table", TableName="tab")


def test_the_billing_mode_can_change(run: Any, call: Any) -> None:
    run(
        "create_table",
        **request(P, BillingMode="PROVISIONED", ProvisionedThroughput=PROVISIONED),
    )
    table = run("describe_table", TableName="tab")["Table"]
    assert "BillingModeSummary" not in table
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    with pytest.raises(ValidationException, match="will not change"):
        run("update_table", TableName="tab", ProvisionedThroughput=PROVISIONED)
    run("update_table", TableName="tab", BillingMode="PAY_PER_REQUEST")
    table = run("describe_table", TableName="tab")["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] == call.now_ms
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 0


def test_an_update_of_nothing_is_refused(run: Any) -> None:
    run("create_table", **request(P))
    with pytest.raises(ValidationException, match="At least one of ProvisionedThroughput"):
        run("update_table", TableName="tab")


def test_a_table_that_is_still_filled_is_described_and_nothing_else(run: Any, call: Any) -> None:
    """AWS: while it is CREATING its items are not found, and it cannot be changed.

    Source: architect/dynalite, ``actions/deleteTable.js`` and ``db/index.js`` (``getTable``).
    """
    run("create_table", **request(P))

    async def fill(tr: Transaction) -> None:
        table = await state.tables.require_named_table(tr, "tab")
        state.tables.put_table(tr, msgspec.structs.replace(table, status=CREATING))

    asyncio.run(call.store.transact(fill))
    assert run("describe_table", TableName="tab")["Table"]["TableStatus"] == "CREATING"
    with pytest.raises(ResourceNotFoundException, match=r"^Requested resource not found$"):
        run("put_item", TableName="tab", Item={"p": {"S": "x"}})
    with pytest.raises(ResourceNotFoundException, match=r"^Requested resource not found$"):
        run("scan", TableName="tab")
    ttl = {"AttributeName": "t", "Enabled": True}
    for operation, members in (
        ("delete_table", {}),
        ("update_table", {"DeletionProtectionEnabled": True}),
        ("update_time_to_live", {"TimeToLiveSpecification": ttl}),
    ):
        with pytest.raises(ResourceInUseException) as caught:
            run(operation, TableName="tab", **members)
        assert caught.value.message == (
            "Attempt to change a resource which is still in use: Table is being created: tab"
        )
