"""No secret reaches the audit trail: planted in every member that may hold one, never found."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from tests.contracts.made_up import TRUST, package
from tests.contracts.registry import OPERATIONS, SERVICES, Built

from fogbank.gateway.bound import Bound
from fogbank.platform.metering.trail import packed
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM_PREFIX, Transaction
from fogbank.platform.store.keyspace import AUDIT, DECISIONS
from fogbank.wire.compile import codec_of
from fogbank.wire.model import Shape

PLANTED = "planted-secret-7f3a"
DEEP_MAX = 6
KNOWN = re.compile(
    r"secret(access|string|binary|key)|password|passphrase|session_?token|privatekey", re.IGNORECASE
)
"""Members that hold a secret in any service, found without asking the code under test."""
CONTENTS = {
    # What CloudTrail leaves out of records although no model marks it.
    ("dynamodb", "AttributeValue"),
    ("dynamodbstreams", "AttributeValue"),
    ("logs", "EventMessage"),
    ("lambda", "EnvironmentVariables"),
}


def planted(shape: Shape, name: str = "", *, secret: bool = False, depth: int = 0) -> Any:
    """Return a value of a shape in which all that may be secret is planted."""
    secret = (
        secret
        or shape.sensitive
        or shape.type == "blob"
        or bool(KNOWN.search(name))
        or (shape.service.name, shape.name) in CONTENTS
    )
    if depth > DEEP_MAX:
        return None
    if (shape.service.name, shape.name) == ("dynamodb", "Key"):
        return {"id": {"S": "keys are in CloudTrail's records too"}}
    if shape.type == "structure":
        return {
            member: planted(ref.shape, member, secret=secret, depth=depth + 1)
            for member, ref in shape.members.items()
        }
    if shape.type == "list":
        return [planted(shape.member.shape, name, secret=secret, depth=depth + 1)] * 2
    if shape.type == "map":
        key = planted(shape.key.shape, "", depth=depth + 1)
        return {str(key): planted(shape.value.shape, name, secret=secret, depth=depth + 1)}
    if shape.type == "blob":
        return PLANTED.encode()
    if shape.type == "string":
        return PLANTED if secret else "open"
    return {"boolean": True, "timestamp": 1_700_000_000}.get(shape.type, 1)


def holds_secret(raw: bytes) -> bool:
    """Return whether bytes hold the planted text, plainly or as base64 of any phase."""
    coded = [base64.b64encode(b"x" * at + PLANTED.encode())[4:20] for at in range(3)]
    return any(each in raw for each in (PLANTED.encode(), *coded))


@pytest.mark.parametrize("built", OPERATIONS, ids=str)
def test_what_is_kept_of_requests_and_answers_holds_no_secret(built: Built) -> None:
    bound = Bound(built.service, codec_of(built.service.model), built.model.name)
    for ref, kept in (
        (built.model.input_ref, bound.audited.parameters),
        (built.model.output_ref, bound.audited.response),
    ):
        if ref is None:
            continue
        value = planted(ref.shape)
        raw = packed(kept(value))
        assert not holds_secret(raw)


def test_the_planting_finds_secrets_where_nothing_is_left_out() -> None:
    marked = 0
    for built in OPERATIONS:
        for ref in (built.model.input_ref, built.model.output_ref):
            marked += ref is not None and holds_secret(packed(planted(ref.shape)))
    assert marked >= len(SERVICES)


SECRETS = ("SecretAccessKey", "SessionToken")


def test_no_secret_of_a_real_call_is_in_the_store(own: Any, own_clients: Any) -> None:
    iam, lambda_ = own_clients("iam"), own_clients("lambda")
    iam.create_user(UserName="planted")
    secrets = [iam.create_access_key(UserName="planted")["AccessKey"]["SecretAccessKey"]]
    role = iam.create_role(RoleName="planted", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    key = iam.create_access_key(UserName="planted")["AccessKey"]
    iam.put_user_policy(
        UserName="planted",
        PolicyName="all",
        PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    )
    sts = own_clients("sts", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    session = sts.assume_role(RoleArn=role, RoleSessionName="planted")["Credentials"]
    secrets += [key["SecretAccessKey"], *(session[name] for name in SECRETS)]
    lambda_.create_function(
        FunctionName="planted",
        Role=role,
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": package()},
        Environment={"Variables": {"PLANTED": PLANTED}},
    )
    secrets.append(PLANTED)
    own.run(own.app.trail.flush())
    rows = own.run(_audit_rows(own))
    assert len(rows) > 5
    everything = b"\n".join(rows)
    assert b"CreateFunction" in everything
    assert b"AssumeRole" in everything
    assert [secret for secret in secrets if secret.encode() in everything] == []


def test_no_error_carries_a_secret_that_it_quotes_into_the_store(
    own: Any, own_clients: Any
) -> None:
    dynamodb = own_clients("dynamodb")
    dynamodb.create_table(
        TableName="planted",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(dynamodb.exceptions.ClientError, match=PLANTED):
        dynamodb.put_item(TableName="planted", Item={"id": {"S": "a"}, "n": {"N": PLANTED}})
    own.run(own.app.trail.flush())
    everything = b"\n".join(own.run(_audit_rows(own)))
    assert b"PutItem" in everything
    assert PLANTED.encode() not in everything


async def _audit_rows(cloud: Any) -> list[bytes]:
    """Return the bytes of everything in the subspaces of the trail."""
    rows: list[bytes] = []
    for subspace in (AUDIT, DECISIONS):
        prefix = SYSTEM_PREFIX + bytes((subspace,))
        store = cloud.app.parts.placement.system_stores()[0]
        end = tuples.after_prefix(prefix)

        async def body(tr: Transaction, prefix: bytes = prefix, end: bytes = end) -> list[bytes]:
            return [value for _, value in await tr.range(prefix, end, limit=10_000)]

        rows += await store.read(body)
    return rows
