"""Fine-grained access: rows and attributes of a table by who asks.

The policies are those of Amazon DynamoDB Developer Guide, "Using IAM policy conditions for
fine-grained access control", with the cloud's own account, and with the user variables of IAM where
the page has those of web identities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest
from botocore.exceptions import ClientError

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.gateway.authorize import Authorization
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb.rules.access import RequestKeys
from fogbank.services.dynamodb.schema import TABLES, TableRecord
from fogbank.testing.cloud import Cloud

ITEM_ACTIONS = [
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
]
OWN_ROWS = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
ALICE, BOB = {"S": "alice"}, {"S": "bob"}
DENIED = "AccessDeniedException"


@pytest.fixture
def games(make_table: Any, dynamodb: Any) -> None:
    """Make a table whose rows belong to users, with a row of each."""
    make_table("games", sort="S")
    for owner in (ALICE, BOB):
        dynamodb.put_item(TableName="games", Item={"p": owner, "c": {"S": "g"}, "w": {"N": "1"}})


def key(owner: dict[str, str]) -> dict[str, Any]:
    return {"p": owner, "c": {"S": "g"}}


CALLS: list[tuple[str, Callable[[Any], dict[str, Any]]]] = [
    ("get_item", lambda owner: {"TableName": "games", "Key": key(owner)}),
    ("put_item", lambda owner: {"TableName": "games", "Item": key(owner)}),
    ("delete_item", lambda owner: {"TableName": "games", "Key": key(owner)}),
    (
        "update_item",
        lambda owner: {
            "TableName": "games",
            "Key": key(owner),
            "UpdateExpression": "ADD w :p",
            "ExpressionAttributeValues": {":p": {"N": "1"}},
        },
    ),
    (
        "query",
        lambda owner: {
            "TableName": "games",
            "KeyConditionExpression": ":p = #p AND c > :c",
            "ExpressionAttributeNames": {"#p": "p"},
            "ExpressionAttributeValues": {":p": owner, ":c": {"S": "a"}},
        },
    ),
    (
        "query",
        lambda owner: {
            "TableName": "games",
            "KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [owner]}},
        },
    ),
    ("batch_get_item", lambda owner: {"RequestItems": {"games": {"Keys": [key(owner)]}}}),
    (
        "batch_write_item",
        lambda owner: {"RequestItems": {"games": [{"PutRequest": {"Item": key(owner)}}]}},
    ),
    (
        "batch_write_item",
        lambda owner: {"RequestItems": {"games": [{"DeleteRequest": {"Key": key(owner)}}]}},
    ),
]


@pytest.mark.usefixtures("games")
def test_users_have_the_rows_under_their_own_name_only(as_user: Any, refusal: Any) -> None:
    alice = as_user({"Action": ITEM_ACTIONS, "Condition": OWN_ROWS})
    for name, request in CALLS:
        operation = getattr(alice, name)
        operation(**request(ALICE))
        assert refusal(operation, **request(BOB))[:2] == (400, DENIED), name
    assert refusal(alice.scan, TableName="games")[1] == DENIED


@pytest.mark.usefixtures("games")
def test_a_batch_with_one_row_of_another_is_refused_whole(as_user: Any, refusal: Any) -> None:
    alice = as_user({"Action": ITEM_ACTIONS, "Condition": OWN_ROWS})
    keys = {"games": {"Keys": [key(ALICE), key(BOB)]}}
    assert refusal(alice.batch_get_item, RequestItems=keys)[1] == DENIED
    writes = [{"DeleteRequest": {"Key": key(ALICE)}}, {"PutRequest": {"Item": key(BOB)}}]
    assert refusal(alice.batch_write_item, RequestItems={"games": writes})[1] == DENIED
    assert "Item" in alice.get_item(TableName="games", Key=key(ALICE))


@pytest.mark.usefixtures("games")
def test_rows_may_go_by_the_id_of_a_user(cloud: Cloud, as_user: Any, refusal: Any) -> None:
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:userid}"]}}
    alice = as_user({"Action": ITEM_ACTIONS, "Condition": own})
    user_id = cloud.client("iam").get_user(UserName="alice")["User"]["UserId"]
    item = key({"S": user_id})
    alice.put_item(TableName="games", Item=item)
    assert alice.get_item(TableName="games", Key=item)["Item"] == item
    assert refusal(alice.get_item, TableName="games", Key=key(ALICE))[1] == DENIED


def test_the_leading_key_is_the_one_that_the_table_has(
    make_table: Any, as_user: Any, refusal: Any
) -> None:
    make_table("numbers", partition="N")
    make_table("bytes", partition="B")
    wanted = {"dynamodb:LeadingKeys": ["10", "AAE="]}
    alice = as_user(
        {"Action": "dynamodb:*", "Condition": {"ForAllValues:StringEquals": wanted}},
    )
    # The value is compared as it is stored: 1E1 is 10. Another attribute of that value is none.
    alice.put_item(TableName="numbers", Item={"p": {"N": "1E1"}, "q": {"N": "11"}})
    alice.put_item(TableName="bytes", Item={"p": {"B": b"\x00\x01"}})
    other = {"p": {"N": "11"}, "q": {"N": "10"}}
    assert refusal(alice.put_item, TableName="numbers", Item=other)[1] == DENIED
    assert refusal(alice.get_item, TableName="bytes", Key={"p": {"B": b"\x00"}})[1] == DENIED


@pytest.mark.usefixtures("games")
def test_the_table_is_read_for_those_alone_whose_policies_ask(
    as_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = RequestKeys.leading

    def noted(keys: RequestKeys, table: TableRecord) -> Any:
        asked.append(table.name)
        return real(keys, table)

    monkeypatch.setattr(RequestKeys, "leading", noted)
    plain = as_user({"Action": "dynamodb:*"}, name="plain")
    plain.get_item(TableName="games", Key=key(ALICE))
    assert asked == []
    alice = as_user({"Action": "dynamodb:*", "Condition": OWN_ROWS})
    alice.get_item(TableName="games", Key=key(ALICE))
    assert set(asked) == {"games"}  # bodies run twice here


@pytest.mark.usefixtures("games")
def test_a_deny_holds_for_some_rows(as_user: Any, refusal: Any) -> None:
    alice = as_user(
        {"Action": "dynamodb:*"},
        {
            "Effect": "Deny",
            "Action": "dynamodb:*",
            "Condition": {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["b*"]}},
        },
    )
    alice.get_item(TableName="games", Key=key(ALICE))
    keys = {"games": {"Keys": [key(ALICE), key(BOB)]}}
    assert refusal(alice.batch_get_item, RequestItems=keys)[1] == DENIED
    # AWS: a scan names no key, so that policies about keys leave scans out.
    assert alice.scan(TableName="games")["Count"] == 2


def test_tables_that_nobody_made_are_not_found_and_have_no_keys(as_user: Any, refusal: Any) -> None:
    alice = as_user({"Action": "dynamodb:*", "Condition": OWN_ROWS})
    given = {"TableName": "none", "Key": key(BOB)}
    assert refusal(alice.get_item, **given)[1] == "ResourceNotFoundException"


@pytest.mark.usefixtures("games")
def test_only_some_attributes_may_be_named(as_user: Any, refusal: Any) -> None:
    """The page's example with ``dynamodb:Attributes``, ``Select`` and ``ReturnValues``."""
    condition = {
        **OWN_ROWS,
        "StringEqualsIfExists": {
            "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
            "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"],
        },
    }
    condition["ForAllValues:StringEquals"] = {
        **OWN_ROWS["ForAllValues:StringEquals"],
        "dynamodb:Attributes": ["p", "c", "w"],
    }
    alice = as_user({"Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"], "Condition": condition})
    row = {"TableName": "games", "Key": key(ALICE)}
    assert alice.get_item(**row, ProjectionExpression="w")["Item"] == {"w": {"N": "1"}}
    assert refusal(alice.get_item, **row)[1] == DENIED
    assert refusal(alice.get_item, **row, ProjectionExpression="x")[1] == DENIED
    update = {**row, "ExpressionAttributeValues": {":v": {"N": "1"}}}
    alice.update_item(**update, UpdateExpression="SET w = :v", ReturnValues="UPDATED_NEW")
    alice.update_item(**update, UpdateExpression="SET w = :v")
    set_w = {**update, "UpdateExpression": "SET w = :v"}
    assert refusal(alice.update_item, **set_w, ReturnValues="ALL_OLD")[1] == DENIED
    assert refusal(alice.update_item, **update, UpdateExpression="SET x = :v")[1] == DENIED


@pytest.mark.usefixtures("games")
def test_some_attributes_may_not_be_changed(as_user: Any, refusal: Any) -> None:
    """The page's example that prevents updates of certain attributes."""
    alice = as_user(
        {
            "Action": "dynamodb:UpdateItem",
            "Condition": {
                "ForAllValues:StringNotLike": {"dynamodb:Attributes": ["gift", "boss*"]},
                "StringEquals": {"dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]},
            },
        }
    )
    update = {
        "TableName": "games",
        "Key": key(BOB),
        "ExpressionAttributeValues": {":v": {"N": "1"}},
        "ReturnValues": "UPDATED_NEW",
    }
    told = alice.update_item(**update, UpdateExpression="SET w = w + :v")
    assert told["Attributes"] == {"w": {"N": "2"}}
    # To read an attribute is to name it, wherever in an expression it stands.
    for expression in ("SET gift = :v", "SET w = bosses + :v", "SET a = :v REMOVE boss"):
        assert refusal(alice.update_item, **update, UpdateExpression=expression)[1] == DENIED
    seen = {**update, "UpdateExpression": "SET w = :v", "ReturnValues": "ALL_NEW"}
    assert refusal(alice.update_item, **seen)[1] == DENIED


@pytest.mark.usefixtures("games")
def test_what_no_request_here_has_is_absent(as_user: Any, refusal: Any) -> None:
    """None of these requests is of a transaction or of PartiQL, of which these keys speak."""
    alice = as_user(
        {
            "Action": "dynamodb:GetItem",
            "Condition": {
                "Null": {"dynamodb:EnclosingOperation": "true", "dynamodb:FullTableScan": "true"}
            },
        },
        {
            "Action": "dynamodb:PutItem",
            "Condition": {"StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}},
        },
    )
    assert "Item" in alice.get_item(TableName="games", Key=key(ALICE))
    assert refusal(alice.put_item, TableName="games", Item=key(ALICE))[1] == DENIED


ROW = {"p": ALICE, "c": {"S": "bob"}}


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("get_item", {"TableName": "games", "Key": ROW}),
        ("put_item", {"TableName": "games", "Item": ROW}),
        ("delete_item", {"TableName": "games", "Key": ROW}),
        (
            "query",
            {
                "TableName": "games",
                "KeyConditionExpression": "p = :p",
                "ExpressionAttributeValues": {":p": ALICE},
            },
        ),
        ("batch_get_item", {"RequestItems": {"games": {"Keys": [ROW]}}}),
        ("batch_write_item", {"RequestItems": {"games": [{"PutRequest": {"Item": ROW}}]}}),
    ],
)
def test_what_was_decided_on_the_key_of_a_table_is_not_done_to_another_of_its_name(
    cloud: Cloud,
    account: str,
    games: None,
    as_user: Any,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    request_: dict[str, Any],
) -> None:
    del games
    alice = as_user({"Action": ITEM_ACTIONS, "Condition": OWN_ROWS})
    getattr(alice, call)(**request_)
    decide = Authorization.require
    store = cloud.engine.store_of(Domain("dynamodb", account, "us-east-1"))

    async def replace_table(tr: Transaction) -> None:
        table = await TABLES.find(tr, "games")
        assert table is not None
        assert table.sort is not None
        other = msgspec.structs.replace(
            table, partition=table.sort, sort=table.partition, id=str(UUID(int=7))
        )
        TABLES.put(tr, other, "games")

    async def deciding_slowly(self: Authorization, asked: Call, accesses: list[Access]) -> None:
        await decide(self, asked, accesses)
        await store.transact(replace_table)

    monkeypatch.setattr(Authorization, "require", deciding_slowly)
    with pytest.raises(ClientError) as caught:
        getattr(alice, call)(**request_)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.fixture
def ranked(dynamodb: Any) -> None:
    """Make a table of games with an index by title."""
    dynamodb.create_table(
        TableName="games",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("p", "title")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-title",
                "KeySchema": [{"AttributeName": "title", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def by_title(title: str) -> dict[str, Any]:
    return {
        "TableName": "games",
        "IndexName": "by-title",
        "KeyConditionExpression": "title = :t",
        "ExpressionAttributeValues": {":t": {"S": title}},
    }


@pytest.mark.usefixtures("ranked")
def test_whoever_may_read_a_table_may_not_read_its_indexes_for_that(
    cloud: Cloud, as_user: Any, refusal: Any
) -> None:
    """Service Authorization Reference, DynamoDB: ``table/${TableName}/index/${IndexName}``."""
    account = cloud.account.principal.account
    table = f"arn:aws:dynamodb:us-east-1:{account}:table/games"
    reads = ["dynamodb:Query", "dynamodb:Scan"]
    of_table = as_user({"Action": reads, "Resource": table})
    of_index = as_user({"Action": reads, "Resource": f"{table}/index/*"}, name="bob")
    for name, request in (("scan", {"TableName": "games"}), ("query", by_title("chess"))):
        on_index = {**request, "IndexName": "by-title"}
        assert getattr(of_index, name)(**on_index)["Count"] == 0
        told = refusal(getattr(of_table, name), **on_index)
        assert told[1] == DENIED
        assert f"on resource: {table}/index/by-title" in told[2]
    assert of_table.scan(TableName="games")["Count"] == 0
    assert refusal(of_index.scan, TableName="games")[1] == DENIED


@pytest.mark.usefixtures("ranked")
def test_the_leading_key_of_a_query_of_an_index_is_that_of_the_index(
    as_user: Any, refusal: Any
) -> None:
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["chess"]}}
    alice = as_user({"Action": ["dynamodb:Query"], "Condition": condition})
    assert alice.query(**by_title("chess"))["Count"] == 0
    assert refusal(alice.query, **by_title("go"))[1] == DENIED
