from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.platform.store.records import encode
from fogbank.services.lambda_.schema import POLICIES, PolicyRecord, PolicyRecordOne

ACTION = "lambda:InvokeFunction"


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:lambda:us-east-1:{account}:function:f"


def test_a_statement_is_written_as_aws_writes_it(
    create: Any, functions: Any, arn: str, account: str
) -> None:
    create()
    before = functions.get_function_configuration(FunctionName="f")["RevisionId"]
    added = functions.add_permission(
        FunctionName="f",
        StatementId="s3",
        Action=ACTION,
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::photos",
        SourceAccount=account,
    )
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": ACTION,
        "Resource": arn,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": account},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos"},
        },
    }
    assert json.loads(added["Statement"]) == statement
    found = functions.get_policy(FunctionName="f")
    assert json.loads(found["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [statement],
    }
    after = functions.get_function_configuration(FunctionName="f")["RevisionId"]
    assert found["RevisionId"] == after != before


@pytest.mark.parametrize(
    ("principal", "element"),
    [
        ("*", "*"),
        ("111122223333", {"AWS": "arn:aws:iam::111122223333:root"}),
        ("arn:aws:iam::111122223333:user/u", {"AWS": "arn:aws:iam::111122223333:user/u"}),
        ("events.amazonaws.com", {"Service": "events.amazonaws.com"}),
    ],
)
def test_principals_of_all_kinds_are_taken(
    create: Any, functions: Any, principal: str, element: Any
) -> None:
    create()
    added = functions.add_permission(
        FunctionName="f", StatementId="x", Action=ACTION, Principal=principal
    )
    assert json.loads(added["Statement"])["Principal"] == element


def test_statements_come_and_go(create: Any, functions: Any, refusal: Any) -> None:
    create()
    gone = "ResourceNotFoundException"
    add = {"FunctionName": "f", "Action": ACTION, "Principal": "s3.amazonaws.com"}
    assert refusal(functions.remove_permission, FunctionName="f", StatementId="a") == (
        gone,
        "No policy is associated with the given resource.",
    )
    functions.add_permission(StatementId="a", **add)
    functions.add_permission(StatementId="b", **add)
    remedy = "Please provide a new statement id, or remove the existing statement."
    assert refusal(functions.add_permission, StatementId="a", **add) == (
        "ResourceConflictException",
        f"The statement id (a) provided already exists. {remedy}",
    )
    assert refusal(functions.remove_permission, FunctionName="f", StatementId="c") == (
        gone,
        "Statement c is not found in resource policy.",
    )
    functions.remove_permission(FunctionName="f", StatementId="a")
    policy = json.loads(functions.get_policy(FunctionName="f")["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["b"]
    functions.remove_permission(FunctionName="f", StatementId="b")
    assert refusal(functions.get_policy, FunctionName="f") == (
        gone,
        "The resource you requested does not exist.",
    )


def test_what_cannot_be_is_refused(create: Any, functions: Any, refusal: Any, arn: str) -> None:
    create()
    add = {"FunctionName": "f", "StatementId": "x", "Action": ACTION}
    invalid = "InvalidParameterValueException"
    service = {"Principal": "s3.amazonaws.com"}
    assert refusal(functions.add_permission, **add, Principal="nonsense") == (
        invalid,
        "The provided principal was invalid. Please check the principal and try again.",
    )
    assert refusal(functions.add_permission, **add, **service, Qualifier="$LATEST") == (
        invalid,
        "We currently do not support adding policies for $LATEST.",
    )
    assert refusal(functions.add_permission, **add, **service, RevisionId="x")[0] == (
        "PreconditionFailedException"
    )
    assert refusal(functions.add_permission, **{**add, "FunctionName": "g"}, **service) == (
        "ResourceNotFoundException",
        f"Function not found: {arn.removesuffix('f')}g",
    )
    assert refusal(functions.remove_permission, FunctionName="g", StatementId="x") == (
        "ResourceNotFoundException",
        f"No policy found for: {arn.removesuffix('f')}g",
    )
    assert refusal(functions.get_policy, FunctionName="g")[0] == "ResourceNotFoundException"


def test_a_policy_cannot_grow_beyond_its_limit(create: Any, functions: Any, refusal: Any) -> None:
    create()
    code = ""
    for number in range(200):
        request = {
            "FunctionName": "f",
            "StatementId": f"{number:0100d}",
            "Action": ACTION,
            "Principal": "s3.amazonaws.com",
        }
        try:
            functions.add_permission(**request)
        except functions.exceptions.PolicyLengthExceededException as error:
            code = error.response["Error"]["Message"]
            break
    assert "is bigger than the limit (20480)." in code


def test_a_policy_lets_a_user_without_one_in(
    create: Any, functions: Any, user: Any, refusal: Any, account: str
) -> None:
    create("def handler(event, context): return 1")
    alice = user("alice")
    assert refusal(alice.invoke, FunctionName="f")[0] == "AccessDeniedException"
    functions.add_permission(
        FunctionName="f",
        StatementId="alice",
        Action=ACTION,
        Principal=f"arn:aws:iam::{account}:user/alice",
    )
    assert alice.invoke(FunctionName="f")["Payload"].read() == b"1"
    functions.remove_permission(FunctionName="f", StatementId="alice")
    assert refusal(alice.invoke, FunctionName="f")[0] == "AccessDeniedException"


def test_a_policy_lets_another_account_in(
    create: Any, functions: Any, cloud: Any, refusal: Any, arn: str
) -> None:
    create("def handler(event, context): return 1")
    stranger = cloud.run(cloud.app.identity.create_account("stranger"))
    client = cloud.client("lambda", credential=stranger)
    assert refusal(client.invoke, FunctionName=arn)[0] == "AccessDeniedException"
    functions.add_permission(
        FunctionName="f",
        StatementId="them",
        Action=ACTION,
        Principal=stranger.principal.account,
    )
    assert client.invoke(FunctionName=arn)["Payload"].read() == b"1"
    assert refusal(client.get_function, FunctionName=arn)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("member", "key", "value"),
    [
        ("PrincipalOrgID", "aws:PrincipalOrgID", "o-a1b2c3d4e5f"),
        ("EventSourceToken", "lambda:EventSourceToken", "amzn1.ask.skill.1"),
        ("SourceAccount", "AWS:SourceAccount", "111122223333"),
    ],
)
def test_what_nobody_here_has_lets_nobody_in(
    create: Any,
    functions: Any,
    cloud: Any,
    refusal: Any,
    arn: str,
    member: str,
    key: str,
    value: str,
) -> None:
    """Developer Guide, "Granting function access to an organization": a condition with principal ``*``.

    There are no organizations, so nobody is of one.
    """
    create("def handler(event, context): return 1")
    stranger = cloud.run(cloud.app.identity.create_account("stranger"))
    client = cloud.client("lambda", credential=stranger)
    grant = {"FunctionName": "f", "Action": ACTION, "Principal": "*"}
    added = functions.add_permission(**grant, StatementId="some", **{member: value})
    statement = json.loads(added["Statement"])
    assert (statement["Principal"], statement["Condition"]) == ("*", {"StringEquals": {key: value}})
    assert refusal(client.invoke, FunctionName=arn)[0] == "AccessDeniedException"
    functions.add_permission(**grant, StatementId="all")
    assert client.invoke(FunctionName=arn)["Payload"].read() == b"1"


def deliver(cloud: Any, arn: str, source_arn: str, account: str) -> list[str]:
    """Send a delivery as a service would and return the dead letters' reasons."""
    from fogbank.platform.bus.deadletters import decode_dead_letter  # noqa: PLC0415 (only this test needs it)
    from fogbank.platform.bus.entry import Delivery  # noqa: PLC0415 (only this test needs it)
    from fogbank.platform.store.engine import Domain  # noqa: PLC0415 (only this test needs it)
    from fogbank.platform.store.keyspace import DEAD_LETTERS  # noqa: PLC0415 (only this test needs it)

    delivery = Delivery(
        target=arn,
        payload=b'{"Records": [1]}',
        source="s3.amazonaws.com",
        source_arn=source_arn,
        source_account=account,
        created_ms=cloud.clock.now_ms(),
    )

    async def body(tr: Any) -> None:
        await cloud.app.facilities.outbox.put(tr, delivery)

    cloud.run(cloud.engine.store_of(Domain("s3", "photos")).transact(body))
    cloud.settle()
    rows = cloud.engine.rows
    dead = [rows[key] for key in rows if key[:2] == bytes((1, DEAD_LETTERS))]
    return [decode_dead_letter(raw).reason for raw in dead]


def test_a_delivery_runs_the_function_if_its_policy_lets_the_source_in(
    create: Any, functions: Any, cloud: Any, lines: Any, arn: str, account: str
) -> None:
    create()
    photos = "arn:aws:s3:::photos"
    assert "does not let s3.amazonaws.com in" in deliver(cloud, arn, photos, account)[-1]
    functions.add_permission(
        FunctionName="f",
        StatementId="s3",
        Action=ACTION,
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::photos",
        SourceAccount=account,
    )
    deliver(cloud, arn, photos, account)
    assert "event {'Records': [1]}\n" in lines()
    assert len(deliver(cloud, arn, "arn:aws:s3:::other", account)) == 2
    assert len(deliver(cloud, arn, photos, "111122223333")) == 3
    reasons = deliver(cloud, f"{arn}x", photos, account)
    assert reasons[-1] == f"there is no function {arn}x"
    assert lines().count("event {'Records': [1]}\n") == 1


@pytest.mark.parametrize(
    "principal", ["s3.amazonaws.com", "111122223333", "arn:aws:iam::111122223333:user/u", "*"]
)
def test_who_may_be_let_in_and_shut_out_is_a_condition(
    create: Any, functions: Any, user: Any, refusal: Any, principal: str
) -> None:
    create()
    some = {"StringEquals": {"lambda:Principal": principal}}
    actions = ["lambda:AddPermission", "lambda:RemovePermission"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": some}
    alice = user("alice", statement)
    named = {"FunctionName": "f", "Action": ACTION}
    alice.add_permission(**named, StatementId="own", Principal=principal)
    other = {"StatementId": "other", "Principal": "events.amazonaws.com"}
    assert refusal(alice.add_permission, **named, **other)[0] == "AccessDeniedException"
    functions.add_permission(**named, **other)
    for sid in ("other", "none"):
        refused = refusal(alice.remove_permission, FunctionName="f", StatementId=sid)
        assert refused[0] == "AccessDeniedException"
    alice.remove_permission(FunctionName="f", StatementId="own")
    policy = json.loads(functions.get_policy(FunctionName="f")["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["other"]


def forget(cloud: Any, name: str) -> None:
    """Delete a user of the cloud with its keys and its policies."""
    iam = cloud.client("iam")
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    iam.delete_user(UserName=name)


def shown(functions: Any) -> list[Any]:
    """Return the principals of the function's policy as GetPolicy tells them."""
    policy = json.loads(functions.get_policy(FunctionName="f")["Policy"])
    return [each["Principal"] for each in policy["Statement"]]


def test_another_user_of_the_same_name_is_not_let_in(
    create: Any, functions: Any, cloud: Any, user: Any, refusal: Any, account: str
) -> None:
    """IAM User Guide, "Principal": the ARN becomes the user's unique id when the policy is put."""
    create("def handler(event, context): return 1")
    arn = f"arn:aws:iam::{account}:user/alice"
    alice = user("alice")
    add = {"FunctionName": "f", "Action": ACTION, "Principal": arn}
    functions.add_permission(**add, StatementId="first")
    # Twice, so that the decision is a remembered one.
    assert [alice.invoke(FunctionName="f")["Payload"].read() for _ in "12"] == [b"1", b"1"]
    unique_id = cloud.client("iam").get_user(UserName="alice")["User"]["UserId"]
    assert shown(functions) == [{"AWS": arn}]
    forget(cloud, "alice")
    assert shown(functions) == [{"AWS": unique_id}]
    again = user("alice")
    assert refusal(again.invoke, FunctionName="f")[0] == "AccessDeniedException"
    assert shown(functions) == [{"AWS": unique_id}]
    functions.add_permission(**add, StatementId="second")
    assert again.invoke(FunctionName="f")["Payload"].read() == b"1"
    assert shown(functions) == [{"AWS": unique_id}, {"AWS": arn}]
    functions.remove_permission(FunctionName="f", StatementId="second")
    assert refusal(again.invoke, FunctionName="f")[0] == "AccessDeniedException"
    assert shown(functions) == [{"AWS": unique_id}]
    # Word for word the document of before, which means the new alice now.
    functions.remove_permission(FunctionName="f", StatementId="first")
    functions.add_permission(**add, StatementId="first")
    assert again.invoke(FunctionName="f")["Payload"].read() == b"1"


def test_another_role_of_the_same_name_is_not_let_in(
    create: Any, functions: Any, cloud: Any, document: Any, refusal: Any, user: Any, account: str
) -> None:
    create("def handler(event, context): return 1")
    iam = cloud.client("iam")
    user("alice")
    trust = document("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{account}:user/alice"})
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    keys = {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}
    role = f"arn:aws:iam::{account}:role/jobs/worker"
    session = f"arn:aws:sts::{account}:assumed-role/worker/one"

    def worker() -> Any:
        iam.create_role(RoleName="worker", Path="/jobs/", AssumeRolePolicyDocument=trust)
        given = cloud.client("sts", **keys).assume_role(RoleArn=role, RoleSessionName="one")
        it = given["Credentials"]
        return cloud.client(
            "lambda",
            access_key=it["AccessKeyId"],
            secret_key=it["SecretAccessKey"],
            token=it["SessionToken"],
        )

    first = worker()
    unique_id = iam.get_role(RoleName="worker")["Role"]["RoleId"]
    for sid, principal in (("role", role), ("session", session)):
        functions.add_permission(
            FunctionName="f", StatementId=sid, Action=ACTION, Principal=principal
        )
        assert first.invoke(FunctionName="f")["Payload"].read() == b"1"
        iam.delete_role(RoleName="worker")
        second = worker()
        assert refusal(second.invoke, FunctionName="f")[0] == "AccessDeniedException"
        wanted = f"{unique_id}:one" if sid == "session" else unique_id
        assert shown(functions) == [{"AWS": wanted}]
        functions.remove_permission(FunctionName="f", StatementId=sid)
        first, unique_id = second, iam.get_role(RoleName="worker")["Role"]["RoleId"]


def test_a_user_of_another_account_is_bound_too(
    create: Any, functions: Any, cloud: Any, refusal: Any, arn: str
) -> None:
    create("def handler(event, context): return 1")
    stranger = cloud.run(cloud.app.identity.create_account("stranger"))
    iam = cloud.client("iam", credential=stranger)
    bob = f"arn:aws:iam::{stranger.principal.account}:user/bob"
    allow = {"Effect": "Allow", "Action": ACTION, "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})

    def made() -> Any:
        iam.create_user(UserName="bob")
        iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName="bob")["AccessKey"]
        return cloud.client(
            "lambda", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
        )

    client = made()
    functions.add_permission(FunctionName="f", StatementId="b", Action=ACTION, Principal=bob)
    assert [client.invoke(FunctionName=arn)["Payload"].read() for _ in "12"] == [b"1", b"1"]
    (key,) = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
    unique_id = iam.get_user(UserName="bob")["User"]["UserId"]
    iam.delete_access_key(UserName="bob", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="bob", PolicyName="p")
    iam.delete_user(UserName="bob")
    assert refusal(made().invoke, FunctionName=arn)[0] == "AccessDeniedException"
    assert shown(functions) == [{"AWS": unique_id}]


@pytest.mark.parametrize("path", ["user/nobody", "role/nobody", "user/wrong/alice"])
def test_a_principal_that_does_not_stand_is_refused(
    create: Any, functions: Any, user: Any, refusal: Any, account: str, path: str
) -> None:
    """IAM User Guide, "Principal": a policy that names who does not exist cannot be saved."""
    create()
    user("alice")
    request = {"FunctionName": "f", "StatementId": "x", "Action": ACTION}
    assert refusal(
        functions.add_permission, **request, Principal=f"arn:aws:iam::{account}:{path}"
    ) == (
        "InvalidParameterValueException",
        "The provided principal was invalid. Please check the principal and try again.",
    )
    assert refusal(functions.get_policy, FunctionName="f")[0] == "ResourceNotFoundException"


def test_a_policy_of_before_principals_were_bound_means_who_has_the_name() -> None:
    old = encode(PolicyRecordOne('{"Statement":[]}'))
    assert POLICIES.decode(old) == PolicyRecord('{"Statement":[]}', ())


def test_a_caller_whom_its_own_policies_let_in_costs_no_look_at_the_policy_of_a_function(
    create: Any, functions: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    """Lambda API Reference, AddPermission: a statement only ever allows."""
    create()
    functions.add_permission(
        FunctionName="f", StatementId="s", Action=ACTION, Principal="111122223333"
    )
    runs: list[bool] = []
    run = cloud.engine.run

    def counted(domain: Any, body: Any, **more: Any) -> Any:
        if domain.name[:2] == ("lambda", account):
            runs.append(bool(more.get("writable")))
        return run(domain, body, **more)

    monkeypatch.setattr(cloud.engine, "run", counted)
    functions.invoke(FunctionName="f", InvocationType="DryRun")
    assert runs == [False], "the function, and nothing beside it"
