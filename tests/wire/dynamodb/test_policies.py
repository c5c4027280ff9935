"""Policies of tables: put and found, in force inside their account and across accounts.

Source: Amazon DynamoDB Developer Guide, "Using resource-based policies for DynamoDB", "Cross-account
access with resource-based policies" and "DynamoDB API operations supported by resource-based
policies"; moto's tests that were held against AWS (``tests/test_dynamodb/
test_dynamodb_resource_policy.py``); answers of AWS in ack-api-quirks, DDB-TABLE-207 to -214.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.s3.statements import allowing

from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb.schema import POLICIES
from fogbank.testing.cloud import Cloud

INVALID = "One or more parameter values were invalid: "
NOT_FOUND = "Resource-based policy not found for the provided ResourceArn: "
DENIED = "AccessDeniedException"
LOCKED_OUT = (
    "The new resource policy will not allow you to update the resource policy in the future."
)
NOT_THE_OWNER = (
    "This action is only supported by accounts that match the resource owner\u2019s account."
)
KEY = {"p": {"S": "a"}}


@pytest.fixture
def arn(dynamodb: Any, make_table: Any) -> str:
    """Make a table with an item; return its ARN."""
    make_table()
    dynamodb.put_item(TableName="tab", Item=KEY)
    found: str = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
    return found


@pytest.fixture
def theirs(cloud: Cloud, other: Any) -> Any:
    """Return a client of the root of another account."""
    return cloud.client("dynamodb", credential=other)


@pytest.fixture
def user(cloud: Cloud) -> Callable[..., Any]:
    """Make a user of the cloud's account, or of another, with statements; return its client."""

    def made(*statements: Any, credential: Any = None, name: str = "u") -> Any:
        iam = cloud.client("iam", credential=credential)
        iam.create_user(UserName=name)
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return cloud.client(
            "dynamodb", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
        )

    return made


def root_of(credential: Any) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{credential.principal.account}:root"}


def saying(action: Any, principal: Any, effect: str = "Allow", resource: Any = "*") -> Any:
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}


def document(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements], **more})


def put(dynamodb: Any, arn: str, *statements: Any, **more: Any) -> str:
    answer = dynamodb.put_resource_policy(ResourceArn=arn, Policy=document(*statements), **more)
    revision: str = answer["RevisionId"]
    return revision


def test_a_policy_is_put_found_and_deleted(
    dynamodb: Any, arn: str, other: Any, refusal: Any
) -> None:
    missing = (400, "PolicyNotFoundException", f"{NOT_FOUND}{arn}")
    assert refusal(dynamodb.get_resource_policy, ResourceArn=arn) == missing
    revision = put(dynamodb, arn, saying("dynamodb:GetItem", root_of(other)))
    found = dynamodb.get_resource_policy(ResourceArn=arn)
    assert found["RevisionId"] == revision
    assert json.loads(found["Policy"])["Statement"] == [saying("dynamodb:GetItem", root_of(other))]
    assert dynamodb.delete_resource_policy(ResourceArn=arn)["RevisionId"] == revision
    assert refusal(dynamodb.get_resource_policy, ResourceArn=arn) == missing
    assert "RevisionId" not in dynamodb.delete_resource_policy(ResourceArn=arn)


def test_a_revision_changes_with_what_a_policy_says_and_only_then(
    cloud: Cloud, dynamodb: Any, arn: str, other: Any
) -> None:
    """Source: ack-api-quirks, DDB-TABLE-207; moto, test_put_resource_policy_multiple_times."""
    allowed = saying("dynamodb:GetItem", root_of(other))
    first = put(dynamodb, arn, allowed)
    number = {"AWS": [other.principal.account]}
    same = {**allowed, "Action": ["dynamodb:GetItem"], "Principal": number}
    for each in (allowed, dict(reversed(allowed.items())), same):
        text = json.dumps({"Statement": [each], "Version": "2012-10-17"}, indent=4)
        answer = dynamodb.put_resource_policy(ResourceArn=arn, Policy=text)
        assert answer["RevisionId"] == first
    # Time stands still: a revision is later than any before all the same.
    second = put(dynamodb, arn, saying("dynamodb:PutItem", root_of(other)))
    assert int(second) > int(first)
    dynamodb.delete_resource_policy(ResourceArn=arn)
    assert int(put(dynamodb, arn, allowed)) > int(second)
    cloud.advance(60_000)
    assert put(dynamodb, arn, saying("dynamodb:Scan", root_of(other))) == str(cloud.clock.now_ms())


def test_a_revision_that_is_expected_is_the_one_that_is_changed(
    dynamodb: Any, arn: str, other: Any, refusal: Any
) -> None:
    """Source: moto's tests against AWS, whose messages these are."""
    reads, writes = (saying(f"dynamodb:{one}", root_of(other)) for one in ("GetItem", "PutItem"))

    def refused(call: Any, expected: str, said: str, **more: Any) -> None:
        error = (400, "PolicyNotFoundException", NOT_FOUND + said)
        assert refusal(call, ResourceArn=arn, ExpectedRevisionId=expected, **more) == error

    wrong = "Requested update for policy with revision id"
    absent = f"{wrong} 1, but no policy is associated to target table tab."
    change, remove = dynamodb.put_resource_policy, dynamodb.delete_resource_policy
    refused(change, "1", absent, Policy=document(reads))
    refused(remove, "1", absent)
    first = put(dynamodb, arn, reads, ExpectedRevisionId="NO_POLICY")
    second = put(dynamodb, arn, writes, ExpectedRevisionId=first)
    stale = (
        f"{wrong} {first}, but the policy associated to target table tab has revision id {second}."
    )
    refused(change, first, stale, Policy=document(reads))
    refused(remove, first, stale)
    there = (
        "Requested policy update expecting none to be present for table tab, but a policy exists"
        f" with revision id {second}."
    )
    refused(change, "NO_POLICY", there, Policy=document(reads))
    assert dynamodb.get_resource_policy(ResourceArn=arn)["RevisionId"] == second
    remove(ResourceArn=arn, ExpectedRevisionId=second)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{not json", f"{INVALID}Invalid policy document: This policy contains invalid Json"),
        ("[]", f"{INVALID}Invalid policy document: This policy contains invalid Json"),
        ("", f"{INVALID}Invalid policy document: This policy contains invalid Json"),
        (
            document(),
            f"{INVALID}Invalid policy document: Could not parse the policy: Statement is empty!",
        ),
        (" " * 20_481, f"{INVALID}Maximum policy size of 20480 bytes exceeded"),
        (
            document({"Effect": "Deny", "Principal": "*", "Action": "dynamodb:Scan"}),
            f"{INVALID}Invalid policy document: Missing required field Resource",
        ),
        (
            document(*({**saying("dynamodb:Scan", "*", "Deny"), "Sid": "a"} for _ in "12")),
            f"{INVALID}Invalid policy document: The Statement Ids in the policy are not unique",
        ),
        (
            document(saying(["dynamodb:GetRecords", "dynamodb:ListStreams"], "*", "Deny")),
            (f"{INVALID}Invalid policy document: The following action names are invalid:"
            ' "dynamodb:GetRecords", "dynamodb:ListStreams"'),
        ),
        (
            document(saying("s3:GetObject", "*", "Deny")),
            (f"{INVALID}Invalid policy document: The following action names are invalid:"
            ' "s3:GetObject"'),
        ),
        (
            document(saying("dynamodb:Scan", {"AWS": "arn:aws:iam::000000000000:user"}, "Deny")),
            f"{INVALID}Invalid principal in policy document.",
        ),
    ],
)  # fmt: skip
def test_what_is_no_policy_of_a_table_is_refused_and_leaves_what_there_is(
    dynamodb: Any, arn: str, refusal: Any, text: str, said: str
) -> None:
    """Source: ack-api-quirks, DDB-TABLE-211 and -356."""
    revision = put(dynamodb, arn, saying("dynamodb:Scan", "*", "Deny"))
    refused = refusal(dynamodb.put_resource_policy, ResourceArn=arn, Policy=text)
    assert refused == (400, "ValidationException", said)
    assert dynamodb.get_resource_policy(ResourceArn=arn)["RevisionId"] == revision


def test_a_stream_is_no_resource_of_the_policy_of_a_table(
    dynamodb: Any, arn: str, refusal: Any
) -> None:
    stream = f"{arn}/stream/2026-01-01T00:00:00.000"
    said = saying("dynamodb:Scan", "*", "Deny", [arn, f"{arn}/index/*", stream])
    _, code, text = refusal(dynamodb.put_resource_policy, ResourceArn=arn, Policy=document(said))
    path = stream.split(":", 5)[5]
    assert code == "ValidationException"
    assert text == (
        f'{INVALID}Invalid policy document: The relative-id "{path}" is invalid for ARN "{stream}"'
    )


def test_whoever_comes_is_not_let_in(dynamodb: Any, arn: str, refusal: Any) -> None:
    """Source: "Blocking public access with resource-based policies in DynamoDB"."""
    unbounded = (
        400,
        "ValidationException",
        (
            "Resource-based policy grants unbounded access in one or more elements. Please revise the"
            " policy to ensure least-privilege form of access"
        ),
    )
    for principal in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
        text = document(saying("dynamodb:GetItem", principal))
        assert refusal(dynamodb.put_resource_policy, ResourceArn=arn, Policy=text) == unbounded
    bound = {
        **saying("dynamodb:GetItem", "*"),
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}},
    }
    put(dynamodb, arn, bound)
    loose = {**bound, "Condition": {"StringLike": {"aws:PrincipalAccount": "1111*"}}}
    text = document(loose)
    assert refusal(dynamodb.put_resource_policy, ResourceArn=arn, Policy=text) == unbounded


def test_another_account_needs_the_policy_and_its_users_their_own_too(
    dynamodb: Any, arn: str, other: Any, theirs: Any, user: Any, refusal: Any
) -> None:
    """Source: "Cross-account access with resource-based policies in DynamoDB"."""
    found = {"TableName": arn, "Key": KEY}
    status, code, _ = refusal(theirs.get_item, **found)
    assert (status, code) == (400, DENIED)
    put(dynamodb, arn, saying("dynamodb:GetItem", root_of(other)))
    assert theirs.get_item(**found)["Item"] == KEY
    assert refusal(theirs.put_item, TableName=arn, Item=KEY)[1] == DENIED
    nobody = user(credential=other)
    assert refusal(nobody.get_item, **found)[1] == DENIED
    somebody = user(allowing("dynamodb:GetItem"), credential=other, name="s")
    assert somebody.get_item(**found)["Item"] == KEY
    dynamodb.delete_resource_policy(ResourceArn=arn)
    for each in (somebody, theirs):
        assert refusal(each.get_item, **found)[1] == DENIED


def test_other_accounts_read_and_write_by_every_operation_on_items(
    cloud: Cloud, dynamodb: Any, arn: str, other: Any, theirs: Any
) -> None:
    put(dynamodb, arn, saying("dynamodb:*", root_of(other), resource=[arn, f"{arn}/index/*"]))
    item, name = {"p": {"S": "b"}, "v": {"N": "1"}}, {"TableName": arn}
    key = {"p": item["p"]}
    theirs.put_item(**name, Item=item)
    assert dynamodb.get_item(TableName="tab", Key=key)["Item"] == item
    theirs.update_item(**name, Key=key, AttributeUpdates={"v": {"Value": {"N": "2"}}})
    theirs.transact_write_items(
        TransactItems=[
            {"Put": {**name, "Item": {"p": {"S": "c"}}}},
            {"ConditionCheck": {**name, "Key": key, "ConditionExpression": "attribute_exists(v)"}},
        ]
    )
    [got] = theirs.transact_get_items(TransactItems=[{"Get": {**name, "Key": key}}])["Responses"]
    assert got["Item"]["v"] == {"N": "2"}
    theirs.batch_write_item(RequestItems={arn: [{"PutRequest": {"Item": {"p": {"S": "d"}}}}]})
    batch = theirs.batch_get_item(RequestItems={arn: {"Keys": [key, {"p": {"S": "d"}}]}})
    assert len(batch["Responses"][arn]) == 2
    assert theirs.scan(**name)["Count"] == 4
    condition = {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [item["p"]]}}
    assert theirs.query(**name, KeyConditions=condition)["Count"] == 1
    theirs.delete_item(**name, Key=key)
    assert "Item" not in dynamodb.get_item(TableName="tab", Key=key)
    theirs.tag_resource(ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    described = theirs.describe_table(**name)["Table"]
    assert described["TableArn"] == arn
    theirs.update_table(**name, DeletionProtectionEnabled=False)
    theirs.delete_table(**name)
    assert dynamodb.list_tables()["TableNames"] == []
    assert theirs.list_tables()["TableNames"] == []


def test_what_other_accounts_never_may_is_refused_whatever_the_policy_says(
    dynamodb: Any, arn: str, other: Any, theirs: Any, refusal: Any
) -> None:
    """Source: "DynamoDB API operations supported by resource-based policies"."""
    put(dynamodb, arn, saying("dynamodb:*", root_of(other)))
    refused = (400, "ValidationException", NOT_THE_OWNER)
    ttl = {"Enabled": True, "AttributeName": "t"}
    for call, given in (
        (theirs.get_resource_policy, {"ResourceArn": arn}),
        (theirs.delete_resource_policy, {"ResourceArn": arn}),
        (theirs.put_resource_policy, {"ResourceArn": arn, "Policy": "{}"}),
        (theirs.update_time_to_live, {"TableName": arn, "TimeToLiveSpecification": ttl}),
        (theirs.describe_time_to_live, {"TableName": arn}),
        (theirs.describe_continuous_backups, {"TableName": arn}),
        (theirs.execute_statement, {"Statement": f'SELECT * FROM "{arn}"'}),
    ):
        assert refusal(call, **given) == refused
    assert dynamodb.describe_time_to_live(TableName="tab")["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }


def test_a_plain_name_beside_an_arn_never_leads_into_the_other_account(
    cloud: Cloud, dynamodb: Any, arn: str, make_table: Any, other: Any, theirs: Any, refusal: Any
) -> None:
    """Whoever names own and foreign tables at once would be decided on one and served another."""
    make_table("secret")
    dynamodb.put_item(TableName="secret", Item=KEY)
    put(dynamodb, arn, saying("dynamodb:GetItem", root_of(other)))
    for first, second in ((arn, "secret"), ("secret", arn)):
        mixed = [{"Get": {"TableName": name, "Key": KEY}} for name in (first, second)]
        _, code, text = refusal(theirs.transact_get_items, TransactItems=mixed)
        assert (code, text) == (
            "ValidationException",
            "All tables of a request must be of one account",
        )
    put(dynamodb, arn, saying("dynamodb:BatchGetItem", root_of(other)))
    for pair in ((arn, "secret"), ("secret", arn)):
        batch = {name: {"Keys": [KEY]} for name in pair}
        assert refusal(theirs.batch_get_item, RequestItems=batch)[1] == "ValidationException"


def test_a_deny_is_in_force_at_once_for_whoever_was_let_in_without_the_policy(
    dynamodb: Any, arn: str, user: Any, refusal: Any
) -> None:
    """Who is let in by its own policies was not looked up: the transaction finds the policy."""
    one = user(allowing("dynamodb:*"))
    one.get_item(TableName="tab", Key=KEY)
    put(dynamodb, arn, saying(["dynamodb:GetItem", "dynamodb:UpdateTimeToLive"], "*", "Deny"))
    ttl = {"Enabled": True, "AttributeName": "t"}
    for _ in range(2):
        refused = refusal(one.get_item, TableName="tab", Key=KEY)
        assert refused[1] == DENIED
        assert refused[2].endswith("with an explicit deny in a resource-based policy")
        reads = [{"Get": {"TableName": "tab", "Key": KEY}}]
        assert refusal(one.transact_get_items, TransactItems=reads)[1] == DENIED
        given = {"TableName": "tab", "TimeToLiveSpecification": ttl}
        assert refusal(one.update_time_to_live, **given)[1] == DENIED
        one.put_item(TableName="tab", Item=KEY)
    dynamodb.delete_resource_policy(ResourceArn=arn)
    for _ in range(2):
        assert one.get_item(TableName="tab", Key=KEY)["Item"] == KEY


def test_an_operation_on_a_table_reads_its_policy_first(
    dynamodb: Any, arn: str, user: Any, refusal: Any
) -> None:
    """Nothing is presumed of what no transaction confirms."""
    one = user(allowing("dynamodb:*"))
    put(dynamodb, arn, saying("dynamodb:UpdateTimeToLive", "*", "Deny"))
    ttl = {"Enabled": True, "AttributeName": "t"}
    given = {"TableName": "tab", "TimeToLiveSpecification": ttl}
    assert refusal(one.update_time_to_live, **given)[1] == DENIED


def test_a_policy_goes_with_its_table(cloud: Cloud, dynamodb: Any, arn: str, account: str) -> None:
    put(dynamodb, arn, saying("dynamodb:Scan", "*", "Deny"))
    store = cloud.engine.store_of(Domain("dynamodb", account, "us-east-1"))

    def kept() -> int:
        async def body(tr: Transaction) -> int:
            return len(await POLICIES.list(tr, limit=10))

        return cloud.run(store.read(body))

    assert kept() == 1
    dynamodb.delete_table(TableName="tab")
    assert kept() == 0


def test_a_policy_lets_a_user_of_its_account_in_and_is_of_one_table_alone(
    dynamodb: Any, arn: str, make_table: Any, user: Any, account: str, refusal: Any
) -> None:
    make_table("tac")
    one = user()
    me = {"AWS": f"arn:aws:iam::{account}:user/u"}
    put(dynamodb, arn, saying("dynamodb:GetItem", me))
    for _ in range(2):
        assert one.get_item(TableName="tab", Key=KEY)["Item"] == KEY
        assert refusal(one.get_item, TableName="tac", Key=KEY)[1] == DENIED
        assert refusal(one.scan, TableName="tab")[1] == DENIED


def test_a_policy_of_a_table_speaks_of_its_indexes(
    dynamodb: Any, make_indexed: Any, user: Any, account: str, refusal: Any
) -> None:
    make_indexed(
        {
            "IndexName": "idx",
            "KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    )
    arn = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
    me, one = {"AWS": f"arn:aws:iam::{account}:user/u"}, user()
    put(dynamodb, arn, saying("dynamodb:Scan", me, resource=f"{arn}/index/idx"))
    assert one.scan(TableName="tab", IndexName="idx")["Count"] == 0
    assert refusal(one.scan, TableName="tab")[1] == DENIED


def test_nobody_locks_itself_out_without_saying_so_and_root_gets_in_again(
    dynamodb: Any, arn: str, user: Any, refusal: Any
) -> None:
    """Source: ack-api-quirks, DDB-TABLE-210; API Reference, DeleteResourcePolicy."""
    one = user(allowing("dynamodb:*"))
    closed = saying(["dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy"], "*", "Deny")
    given = {"ResourceArn": arn, "Policy": document(closed)}
    assert refusal(one.put_resource_policy, **given) == (400, DENIED, LOCKED_OUT)
    assert refusal(dynamodb.put_resource_policy, **given) == (400, DENIED, LOCKED_OUT)
    one.put_resource_policy(**given, ConfirmRemoveSelfResourceAccess=True)
    for each in (one, dynamodb):
        assert refusal(each.put_resource_policy, **given)[1] == DENIED
    assert refusal(one.delete_resource_policy, ResourceArn=arn)[1] == DENIED
    dynamodb.delete_resource_policy(ResourceArn=arn)
    assert one.delete_resource_policy(ResourceArn=arn)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_table_is_created_with_its_policy(
    cloud: Cloud, dynamodb: Any, other: Any, theirs: Any, user: Any, refusal: Any
) -> None:
    given = {
        "TableName": "tab",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    said = saying("dynamodb:GetItem", root_of(other))
    creator = user(allowing("dynamodb:CreateTable"))
    assert refusal(creator.create_table, **given, ResourcePolicy=document(said))[1] == DENIED
    _, code, _ = refusal(dynamodb.create_table, **given, ResourcePolicy="{")
    assert code == "ValidationException"
    assert dynamodb.list_tables()["TableNames"] == []
    made = dynamodb.create_table(**given, ResourcePolicy=document(said))["TableDescription"]
    assert "Item" not in theirs.get_item(TableName=made["TableArn"], Key=KEY)
    found = dynamodb.get_resource_policy(ResourceArn=made["TableArn"])
    assert json.loads(found["Policy"])["Statement"] == [said]
    # A table of the same name has nothing of it.
    dynamodb.delete_table(TableName="tab")
    dynamodb.create_table(**given)
    assert refusal(theirs.get_item, TableName=made["TableArn"], Key=KEY)[1] == DENIED


def test_resources_that_are_none_are_refused(dynamodb: Any, arn: str, refusal: Any) -> None:
    """Source: ack-api-quirks, DDB-TABLE-212."""
    for given, code, said in (
        ("tab", "ValidationException", f"{INVALID}ARNs must start with 'arn:': tab"),
        (
            f"{arn}x",
            "ResourceNotFoundException",
            "Requested resource not found: Table: tabx not found",
        ),
        (
            arn.replace("us-east-1", "eu-west-1"),
            "ValidationException",
            f"{INVALID}Invalid resource Arn: {arn.replace('us-east-1', 'eu-west-1')}",
        ),
        (
            f"{arn}/index/idx",
            "ValidationException",
            (
                f"{INVALID}Invalid resource arn provided, only table or stream is accepted. Provided"
                f" resource arn: {arn}/index/idx"
            ),
        ),
        (
            f"{arn}/stream/2000-01-01T00:00:00.000",
            "ResourceNotFoundException",
            (
                "Requested resource not found: Stream: 2000-01-01T00:00:00.000 not found for Table:"
                " tab"
            ),
        ),
    ):
        assert refusal(dynamodb.get_resource_policy, ResourceArn=given) == (400, code, said)


def test_a_table_without_a_policy_costs_no_read_more(
    cloud: Cloud,
    dynamodb: Any,
    arn: str,
    user: Any,
    other: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = user(allowing("dynamodb:*"))
    one.get_item(TableName="tab", Key=KEY)
    runs: list[bool] = []
    run = cloud.engine.run

    def counted(domain: Any, body: Any, **more: Any) -> Any:
        if domain.name[0] == "dynamodb":
            runs.append(bool(more.get("writable")))
        return run(domain, body, **more)

    monkeypatch.setattr(cloud.engine, "run", counted)
    one.get_item(TableName="tab", Key=KEY)
    assert runs == [False]
    runs.clear()
    one.put_item(TableName="tab", Item=KEY)
    assert runs == [True]
    put(dynamodb, arn, saying("dynamodb:GetItem", root_of(other)))
    runs.clear()
    one.get_item(TableName="tab", Key=KEY)
    assert len(runs) == 3, "presumed in vain, then the policy, then the item"
    runs.clear()
    one.get_item(TableName="tab", Key=KEY)
    assert len(runs) == 2, "the policy, then the item"
