"""Names, tokens, grants, tags and materials of KMS."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from tests.unit.principals import session, user

from fogbank.base.errors import ServiceError
from fogbank.contract.action import Access, Scope
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.store.engine import Domain
from fogbank.services.kms.errors import KMSInvalidStateException, NotFoundException
from fogbank.services.kms.rules import (
    ciphertexts,
    grants,
    materials,
    names,
    policies,
    states,
    tokens,
)
from fogbank.services.kms.rules.access import GrantKeys, create_key, grant_keys, key_keys
from fogbank.services.kms.rules.ciphertexts import Header
from fogbank.services.kms.schema import (
    DISABLED,
    PENDING_DELETION,
    GrantRecord,
    KeyRecord,
    MaterialRecord,
)

ACCOUNT = "111122223333"
OTHER = "444455556666"
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY}"
SCOPE = Scope(ACCOUNT, "us-east-1")
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


def a_key(**given: Any) -> KeyRecord:
    fields: dict[str, Any] = {
        "id": KEY,
        "created_ms": 0,
        "description": "",
        "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT",
        "manager": "CUSTOMER",
        "policy": policies.default_policy(SCOPE),
        "material": 1,
    }
    return KeyRecord(**{**fields, **given})


def a_grant(*operations: str, **given: Any) -> GrantRecord:
    fields: dict[str, Any] = {
        "id": "ab" * 32,
        "key_id": KEY,
        "name": "",
        "created_ms": 0,
        "grantee": ALICE,
        "retiring": "",
        "issuer": ACCOUNT,
        "operations": operations,
        "secret": b"s" * 32,
    }
    return GrantRecord(**{**fields, **given})


def context_of(context: dict[str, str]) -> dict[str, Any]:
    return {f"kms:EncryptionContext:{key}": value for key, value in context.items()}


@pytest.mark.parametrize(
    ("text", "account", "key_id", "alias"),
    [
        (KEY, ACCOUNT, KEY, ""),
        (ARN.replace(ACCOUNT, OTHER), OTHER, KEY, ""),
        ("alias/app", ACCOUNT, "", "alias/app"),
        (f"arn:aws:kms:us-east-1:{OTHER}:alias/a/b", OTHER, "", "alias/a/b"),
    ],
)
def test_a_key_goes_by_four_kinds_of_names(
    text: str, account: str, key_id: str, alias: str
) -> None:
    """Source: Developer Guide, "Key identifiers (KeyId)"."""
    name = names.key_name_of(SCOPE, text)
    assert (name.account, name.key_id, name.alias) == (account, key_id, alias)
    assert name.domain == Domain("kms", account, "us-east-1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key/x",
        KEY.upper(),
        "arn:aws:s3:::bucket",
        f"arn:aws-cn:kms:us-east-1:{ACCOUNT}:key/{KEY}",
        f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY}",
        "arn:aws:kms:us-east-1:me:key/x",
    ],
)
def test_what_can_name_no_key_here_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundException):
        names.key_name_of(SCOPE, text)


def test_a_call_goes_to_where_its_key_lies() -> None:
    by_key, home = names.domain_by("KeyId"), Domain("kms", ACCOUNT, "us-east-1")
    other = Domain("kms", OTHER, "us-east-1")
    assert by_key(SCOPE, {"KeyId": KEY}) == by_key(SCOPE, {}) == home
    assert by_key(SCOPE, {"KeyId": ARN.replace(ACCOUNT, OTHER)}) == other
    blob = ciphertexts.sealed(b"s" * 32, Header(OTHER, KEY, 1), b"x", {}, os.urandom)
    assert names.ciphertext_domain(SCOPE, {"CiphertextBlob": blob}) == other
    assert names.ciphertext_domain(SCOPE, {"CiphertextBlob": b"x"}) == home
    token = tokens.token_of(OTHER, KEY, "ab" * 32, b"s" * 32, os.urandom(16))
    assert names.retired_domain(SCOPE, {"GrantToken": token}) == other
    assert names.retired_domain(SCOPE, {"GrantToken": "x", "KeyId": KEY}) == home


def test_only_the_arn_of_a_key_has_a_policy_of_its_own() -> None:
    assert names.find_arn_domain(ARN) == Domain("kms", ACCOUNT, "us-east-1")
    assert names.key_id_in(ARN) == KEY
    for arn in ("*", "arn:aws:s3:::b", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/key/x"):
        assert names.find_arn_domain(arn) is None


def test_a_token_proves_its_grant_and_no_other() -> None:
    secret, salt = b"s" * 32, os.urandom(16)
    token = tokens.token_of(ACCOUNT, KEY, "ab" * 32, secret, salt)
    named = tokens.find_named(token)
    assert named is not None
    assert named[:3] == (ACCOUNT, KEY, "ab" * 32)
    assert tokens.is_proved(named, secret)
    assert not tokens.is_proved(named, b"t" * 32)
    other = tokens.find_named(tokens.token_of(ACCOUNT, KEY, "cd" * 32, b"t" * 32, salt))
    assert other is not None
    assert not tokens.is_proved(other, secret)
    for wrong in ("", "x", "é", token[:-4]):
        assert tokens.find_named(wrong) is None


@pytest.mark.parametrize(
    ("grant", "action", "context", "allowed"),
    [
        (a_grant("Decrypt"), "kms:Decrypt", {}, True),
        (a_grant("Decrypt"), "kms:Encrypt", {}, False),
        (a_grant("Decrypt", equals={"a": "1"}), "kms:Decrypt", {"a": "1"}, True),
        (a_grant("Decrypt", equals={"a": "1"}), "kms:Decrypt", {"a": "1", "b": ""}, False),
        (a_grant("Decrypt", equals={}), "kms:Decrypt", {}, True),
        (a_grant("Decrypt", equals={}), "kms:Decrypt", {"a": "1"}, False),
        (a_grant("Decrypt", subset={"a": "1"}), "kms:Decrypt", {"a": "1", "b": ""}, True),
        (a_grant("Decrypt", subset={"a": "1"}), "kms:Decrypt", {"A": "1"}, False),
        (a_grant("DescribeKey", subset={"a": "1"}), "kms:DescribeKey", {}, True),
        (a_grant("RetireGrant"), "kms:RetireGrant", {}, False),
    ],
)
def test_a_grant_permits_what_its_constraint_meets(
    grant: GrantRecord, action: str, context: dict[str, str], *, allowed: bool
) -> None:
    """Source: Developer Guide, "Using grant constraints"."""
    assert grants.permits(grant, Access(action, ARN, context_of(context))) is allowed


def test_a_grant_to_retire_is_for_itself_alone() -> None:
    grant = a_grant("RetireGrant")
    assert grants.permits(grant, Access("kms:RetireGrant", ARN, GrantKeys({}, grant.id)))
    assert not grants.permits(grant, Access("kms:RetireGrant", ARN, GrantKeys({}, "cd" * 32)))


PARENT = a_grant("CreateGrant", "Decrypt", subset={"a": "1"})


@pytest.mark.parametrize(
    ("operations", "constraints", "allowed"),
    [
        (["Decrypt"], {"EncryptionContextSubset": {"a": "1", "b": "2"}}, True),
        (["Decrypt"], {"EncryptionContextEquals": {"a": "1"}}, True),
        (["Decrypt"], {"EncryptionContextSubset": {"b": "2"}}, False),
        (["Decrypt"], {}, False),
        (["Encrypt"], {"EncryptionContextEquals": {"a": "1"}}, False),
    ],
)
def test_a_grant_to_grant_gives_no_more_than_itself(
    operations: list[str], constraints: dict[str, Any], *, allowed: bool
) -> None:
    """Source: Developer Guide, "Granting CreateGrant permission"."""
    request = {"Operations": operations, "Constraints": constraints}
    access = Access("kms:CreateGrant", ARN, grant_keys(request, ""))
    assert grants.permits(PARENT, access) is allowed
    strict = a_grant("CreateGrant", "Decrypt", equals={"a": "1"})
    exact = constraints == {"EncryptionContextEquals": {"a": "1"}} and operations == ["Decrypt"]
    assert grants.permits(strict, access) is exact


def test_grants_join_the_policy_of_their_key_as_statements_of_it() -> None:
    grant = a_grant("Decrypt")
    access = Access("kms:Decrypt", ARN, {})
    key = a_key()
    assert grants.joined(key.policy, (), [], access) is None
    assert grants.joined(key.policy, (), [a_grant("Encrypt")], access) is None
    joined = grants.joined(key.policy, (), [grant], access)
    assert joined is not None
    statements = json.loads(joined.document)["Statement"]
    assert statements[0] == json.loads(key.policy)["Statement"][0]
    assert (statements[1]["Principal"], statements[1]["Action"]) == ({"AWS": ALICE}, "kms:Decrypt")
    compile_policy(joined.document, kind="resource", bound=joined.bound)


def test_grants_speak_of_a_caller_by_its_name_its_role_and_its_account() -> None:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    assert grants.names_of(user(), "aws") == (user().arn, root)
    caller = session()
    assert grants.names_of(caller, "aws") == (caller.arn, caller.role_arn, root)


@pytest.mark.parametrize("service", sorted(policies.SERVICES))
def test_the_policies_of_aws_managed_keys_are_policies(service: str) -> None:
    document = policies.managed_policy(SCOPE, service)
    compile_policy(document, kind="resource")
    through, seen = json.loads(document)["Statement"]
    condition = through["Condition"]["StringEquals"]
    assert condition["kms:ViaService"] == f"{service}.us-east-1.amazonaws.com"
    assert condition["kms:CallerAccount"] == ACCOUNT
    assert seen["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_the_default_policy_is_written_as_aws_writes_it() -> None:
    first, second, *_ = policies.default_policy(SCOPE).splitlines()
    assert (first, second) == ("{", '  "Version" : "2012-10-17",')


def test_a_state_says_what_a_key_can_do() -> None:
    states.check_enabled(ARN, a_key())
    for state, code in ((DISABLED, "DisabledException"), (PENDING_DELETION, "KMSInvalidState")):
        with pytest.raises(ServiceError) as caught:
            states.check_enabled(ARN, a_key(state=state))
        assert caught.value.code.startswith(code)
    states.check_kept(ARN, a_key(state=DISABLED))
    with pytest.raises(KMSInvalidStateException, match="is not pending deletion"):
        states.check_pending(ARN, a_key())


def test_condition_keys_say_whose_key_it_is_and_through_whom() -> None:
    name = names.key_name_of(SCOPE, "alias/app")
    keys = key_keys(SCOPE, "s3", name, a_key())
    assert keys["kms:ViaService"] == "s3.us-east-1.amazonaws.com"
    assert (keys["kms:RequestAlias"], keys["kms:KeySpec"]) == ("alias/app", "SYMMETRIC_DEFAULT")
    plain = key_keys(SCOPE, "", names.key_name_of(SCOPE, KEY), None)
    assert plain == {"kms:CallerAccount": ACCOUNT}


def test_tags_at_birth_are_an_access_of_their_own() -> None:
    tagged = create_key(SCOPE, {"Tags": [{"TagKey": "a", "TagValue": "1"}]})
    assert [each.action for each in tagged] == ["kms:CreateKey", "kms:TagResource"]
    assert tagged[0].context["aws:RequestTag/a"] == "1"
    assert [each.action for each in create_key(SCOPE, {})] == ["kms:CreateKey"]


def test_neither_material_nor_what_proves_tokens_is_shown() -> None:
    """A record may end up in a log line or a traceback; its secret may not."""
    material: MaterialRecord = materials.fresh("SYMMETRIC_DEFAULT", os.urandom, 0)
    assert len(material.secret) == 32
    grant = a_grant("Decrypt", secret=b"planted-secret")
    for record, secret in ((material, material.secret), (grant, grant.secret)):
        assert repr(secret)[2:-1] not in f"{record!r} {record} {[record]}"
    assert material.id != material.secret.hex()
