"""Who may do what: identities' and resources' policies, circumstances, and the words of a no."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.unit.gateway.stub import ACCOUNT, REGION, Gate, session_of
from tests.unit.principals import session

from fogbank.base.errors import ServiceError
from fogbank.contract.call import HttpFacts
from fogbank.gateway.authorize import Circumstances
from fogbank.platform.iam.evaluate import document_of
from fogbank.platform.iam.keys import keys_set
from fogbank.platform.identity.principal import (
    ANONYMOUS,
    Principal,
    PrincipalKind,
    root_principal,
    service_principal,
)
from fogbank.platform.identity.records import USERS, UserRecord
from fogbank.platform.store.engine import Transaction

ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
USER = Principal(kind=PrincipalKind.USER, account=ACCOUNT, arn=ARN, unique_id="AIDAANN", name="ann")
OTHER = "210987654321"
PUT = {"Bucket": "bucket", "Key": "key"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps(document_of(*statements))


def policy(effect: str, action: str, resource: str = "*", **more: Any) -> str:
    return document({"Effect": effect, "Action": action, "Resource": resource, **more})


def gate_with(*documents: str) -> Gate:
    """Return a gate whose user ann has these inline policies."""
    gate = Gate()
    user = UserRecord(
        name="ann",
        path="/",
        unique_id="AIDAANN",
        created_ms=0,
        inline=tuple((f"p{at}", document) for at, document in enumerate(documents)),
    )

    async def body(tr: Transaction) -> None:
        USERS.put(tr, user, "ann")

    asyncio.run(gate.identity.change(ACCOUNT, body))
    return gate


def run(
    gate: Gate,
    principal: Principal = USER,
    service: str = "dynamodb",
    operation: str = "ListTables",
    request: dict[str, Any] | None = None,
    account: str = ACCOUNT,
) -> Any:
    return asyncio.run(
        gate.dispatcher.call(
            service, operation, request or {}, principal=principal, region=REGION, account=account
        )
    )


def refusal(gate: Gate, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        run(gate, **options)
    return caught.value


def test_a_user_without_policies_may_do_nothing() -> None:
    error = refusal(gate_with())
    assert error.code == "AccessDeniedException"
    assert error.status is None, "what a client sees goes by its protocol"
    assert error.message == (
        f"User: {ARN} is not authorized to perform: dynamodb:ListTables on resource: * because "
        "no identity-based policy allows the dynamodb:ListTables action"
    )


def test_a_policy_allows_and_a_denial_wins() -> None:
    assert run(gate_with(policy("Allow", "dynamodb:List*"))) == {"TableNames": []}
    denied = refusal(gate_with(policy("Allow", "*"), policy("Deny", "dynamodb:ListTables")))
    assert denied.message.endswith("with an explicit deny in an identity-based policy")


def test_a_change_counts_at_once() -> None:
    gate = gate_with(policy("Allow", "*"))
    run(gate)

    async def revoke(tr: Transaction) -> None:
        USERS.put(tr, UserRecord(name="ann", path="/", unique_id="AIDAANN", created_ms=0), "ann")

    asyncio.run(gate.identity.change(ACCOUNT, revoke))
    assert refusal(gate).code == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("iam", "AccessDenied", 403),
        ("lambda", "AccessDeniedException", 403),
        ("logs", "AccessDeniedException", 400),
        ("dynamodb", "AccessDeniedException", 400),
        ("s3", "AccessDenied", 403),
    ],
)
def test_a_denial_is_said_as_the_service_says_it(service: str, code: str, status: int) -> None:
    gate = gate_with()
    request = gate.request(service, **session_of(gate, "AIDAANN", "ann"))
    assert gate.refusal(request)[:2] == (status, code)


def test_the_owners_root_may_do_everything_but_what_the_resource_denies() -> None:
    gate = gate_with()
    options: Any = {
        "service": "s3",
        "operation": "PutObject",
        "request": PUT,
        "principal": root_principal(ACCOUNT),
    }
    run(gate, **options)
    gate.stub.bucket_policy = policy("Deny", "s3:PutObject", "arn:aws:s3:::bucket/*", Principal="*")
    error = refusal(gate, **options)
    assert error.message.endswith("with an explicit deny in a resource-based policy")


def test_a_bucket_policy_lets_in_anonymous_callers_and_no_one_else_does() -> None:
    gate = gate_with()
    options: Any = {
        "service": "s3",
        "operation": "PutObject",
        "request": PUT,
        "principal": ANONYMOUS,
    }
    assert refusal(gate, **options).message == "Access Denied"
    gate.stub.bucket_policy = policy(
        "Allow", "s3:PutObject", "arn:aws:s3:::bucket/*", Principal="*"
    )
    run(gate, **options)
    gate.stub.bucket_policy = policy(
        "Allow", "s3:PutObject", "arn:aws:s3:::bucket/other", Principal="*"
    )
    assert refusal(gate, **options).code == "AccessDenied"


def test_another_accounts_bucket_needs_both_sides() -> None:
    options: Any = {"service": "s3", "operation": "PutObject", "request": PUT}
    grant = policy(
        "Allow",
        "s3:PutObject",
        "arn:aws:s3:::bucket/*",
        Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    )
    for documents, bucket_policy, allowed in (
        ((policy("Allow", "s3:*"),), None, False),
        ((), grant, False),
        ((policy("Allow", "s3:*"),), grant, True),
    ):
        gate = gate_with(*documents)
        gate.stub.bucket_owner = OTHER
        gate.stub.bucket_policy = bucket_policy
        if allowed:
            run(gate, **options)
        else:
            assert refusal(gate, **options).message == "Access Denied"
    root = root_principal(ACCOUNT)
    gate = gate_with()
    gate.stub.bucket_owner = OTHER
    assert refusal(gate, **options, principal=root).message == "Access Denied"


def test_a_service_needs_a_grant_of_the_resource() -> None:
    gate = gate_with()
    options: Any = {
        "service": "s3",
        "operation": "PutObject",
        "request": PUT,
        "principal": service_principal(
            "logging.s3.amazonaws.com", source_arn="arn:aws:s3:::src", source_account=ACCOUNT
        ),
    }
    assert refusal(gate, **options).code == "AccessDenied"
    gate.stub.bucket_policy = policy(
        "Allow",
        "s3:PutObject",
        "arn:aws:s3:::bucket/*",
        Principal={"Service": "logging.s3.amazonaws.com"},
        Condition={
            "ArnLike": {"aws:SourceArn": "arn:aws:s3:::src"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    )
    run(gate, **options)
    gate.stub.bucket_policy = gate.stub.bucket_policy.replace(":::src", ":::other")
    assert refusal(gate, **options).code == "AccessDenied"


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.2.0.0/16"}}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:root"}}, True),
        ({"StringEquals": {"aws:PrincipalType": "Account"}}, True),
        ({"StringEquals": {"aws:userid": ACCOUNT}}, True),
        ({"StringEquals": {"aws:ResourceAccount": ACCOUNT}}, True),
        ({"StringEquals": {"s3:ResourceAccount": ACCOUNT}}, True),
        ({"StringEquals": {"s3:ResourceAccount": OTHER}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, False),
        ({"DateGreaterThanEquals": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, True),
        ({"NumericEquals": {"aws:EpochTime": "1767225600"}}, True),
        ({"StringLike": {"aws:UserAgent": "Boto3*"}}, True),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, True),
        ({"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, True),
        ({"StringLike": {"s3:x-amz-content-sha256": "*"}}, True),
        ({"Null": {"aws:Referer": "true"}}, True),
    ],
)
def test_conditions_see_the_circumstances_of_the_request(
    condition: dict[str, Any], allowed: bool
) -> None:
    gate = Gate()
    # Whoever the condition does not hold for is denied: so root feels it too.
    document = json.loads(
        policy("Deny", "s3:PutObject", "arn:aws:s3:::bucket/*", Principal="*", Condition=condition)
    )
    gate.stub.bucket_policy = json.dumps(document)
    reply, _ = gate.handle(gate.request("s3", "put_object", PUT))
    assert (reply.status == 403) is allowed


def test_require_decides_what_is_learnt_later_the_same_way() -> None:
    gate = gate_with(policy("Allow", "dynamodb:ListTables"), policy("Allow", "s3:GetObject"))
    run(gate)
    call, _ = gate.stub.calls[0]
    asyncio.run(call.require("s3:GetObject", "arn:aws:s3:::bucket/key"))
    with pytest.raises(ServiceError) as caught:
        asyncio.run(call.require("s3:DeleteObject", "arn:aws:s3:::bucket/key"))
    # The words are those of the service whose operation asks.
    assert caught.value.code == "AccessDeniedException"


def test_the_policy_of_a_resource_is_no_matter_of_another_services_actions() -> None:
    gate = gate_with(policy("Allow", "dynamodb:ListTables"))
    gate.stub.bucket_policy = policy("Allow", "s3:*", "arn:aws:s3:::bucket/*", Principal="*")
    run(gate)
    call, _ = gate.stub.calls[0]
    with pytest.raises(ServiceError):
        asyncio.run(call.require("iam:PassRole", "arn:aws:s3:::bucket/key"))


def test_a_call_from_service_to_service_does_not_travel_in_the_clear() -> None:
    gate = gate_with(policy("Allow", "s3:*"))
    in_the_clear = {"Bool": {"aws:SecureTransport": "false"}}
    gate.stub.bucket_policy = policy(
        "Deny", "s3:*", "arn:aws:s3:::bucket/*", Principal="*", Condition=in_the_clear
    )
    run(gate, service="s3", operation="PutObject", request=PUT)
    reply, _ = gate.handle(gate.request("s3", "put_object", PUT))
    assert reply.status == 403


def test_a_remembered_decision_takes_no_condition_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gate_with(policy("Allow", "dynamodb:ListTables"))
    run(gate)

    def refused(*_: object) -> None:
        raise AssertionError("nobody asks for keys")

    monkeypatch.setattr("fogbank.gateway.authorize._AccessKeys.__init__", refused)
    run(gate)
    monkeypatch.undo()
    # A refusal is decided with all of its keys each time, so that its reasons can be told.
    for _ in range(2):
        assert (
            "lambda:ListFunctions"
            in refusal(gate, service="lambda", operation="ListFunctions").message
        )


CALLERS = (
    USER,
    ANONYMOUS,
    root_principal(ACCOUNT, issued_ms=1_767_225_600_000),
    service_principal("sns.amazonaws.com", source_arn="arn:aws:sns:us-east-1:1:t"),
    session(
        issued_ms=1_767_225_600_000,
        provider="accounts.google.com",
        source_identity="ann",
        source_function_arn="arn:aws:lambda:us-east-1:1:function:f",
        tags=(("Team", "red"), ("empty", "")),
    ),
)


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.kind.value)
def test_a_condition_key_that_is_found_is_the_one_among_all_keys(caller: Principal) -> None:
    http = HttpFacts("10.0.0.1", "agent", secure=True, headers={"referer": "http://r"})
    keys = Circumstances(caller, REGION, http, 1_767_225_600_000, {"s3:authType": "POST"})
    names = keys_set() | {"aws:principaltag/team", "aws:principaltag/empty"}
    found = {name: keys.find(name) for name in names}
    assert keys._gathered is None, "nothing is put together for a few keys"
    assert {name: value for name, value in found.items() if value is not None} == {
        name.lower(): value for name, value in keys.items()
    }


def test_no_key_is_found_that_no_condition_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    find = Circumstances.find

    def noted(keys: Circumstances, key: str) -> Any:
        asked.append(key)
        return find(keys, key)

    monkeypatch.setattr(Circumstances, "find", noted)
    conditions = {
        "StringEquals": {"aws:username": "ann", "aws:SourceIp": "", "lambda:SourceFunctionArn": "f"}
    }
    twice = {"StringEquals": {"aws:username": ["${aws:username}", "bob"]}}
    gate = gate_with(
        document(
            {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*", "Condition": conditions},
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": twice},
        )
    )
    run(gate)
    # The first condition that fails is the last that is read, and what was read is known.
    assert asked == ["aws:username", "aws:sourceip"]


def test_circumstances_are_put_together_when_all_are_read() -> None:
    http = HttpFacts("10.0.0.1", "agent", secure=True, headers={"referer": "http://r"})
    keys = Circumstances(USER, REGION, http, 1_767_225_600_000, {"s3:authType": "POST"})
    assert keys._gathered is None
    assert keys["aws:SourceIp"] == "10.0.0.1"
    assert keys["aws:username"] == "ann"
    assert keys["aws:Referer"] == "http://r"
    assert keys["aws:SecureTransport"] == "true"
    assert keys["s3:authType"] == "POST"
    assert len(keys) == len(list(keys)) == len(keys.items())
    for facts, secure in ((HttpFacts("10.0.0.1"), "false"), (HttpFacts(in_process=True), "true")):
        assert Circumstances(USER, REGION, facts, 0, {})["aws:SecureTransport"] == secure
    assert "aws:SourceArn" not in keys
