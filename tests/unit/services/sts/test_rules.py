from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.principals import ACCOUNT, session, user

from fogbank.base.errors import NotBuilt
from fogbank.platform.identity.principal import root_principal
from fogbank.platform.identity.records import RoleRecord
from fogbank.services.sts import rules
from fogbank.services.sts.errors import (
    InvalidParameterValue,
    MalformedPolicyDocument,
    PackedPolicyTooLarge,
    ValidationError,
)

USER = user()
SESSION = session(
    tags=(("Team", "red"), ("own", "x")),
    transitive_tags=("team",),
    issued_ms=1,
)
ROLE = RoleRecord("r", "/", "AROA", 0, "{}", session_s_max=7_200)
ALLOW = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'


def tags(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs]


@pytest.mark.parametrize(
    ("arn", "found"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/r", ("aws", ACCOUNT, "/", "r")),
        (f"arn:aws:iam::{ACCOUNT}:role/a/b/r", ("aws", ACCOUNT, "/a/b/", "r")),
    ],
)
def test_the_arn_of_a_role_says_account_path_and_name(arn: str, found: Any) -> None:
    assert rules.role_name_of(arn) == found


@pytest.mark.parametrize("arn", ["x", f"arn:aws:iam::{ACCOUNT}:user/r", "arn:aws:s3:::role/r"])
def test_the_arn_of_something_else_is_invalid(arn: str) -> None:
    with pytest.raises(ValidationError, match="is invalid"):
        rules.role_name_of(arn)


def test_a_session_lasts_an_hour_unless_asked_and_allowed_longer() -> None:
    assert rules.duration_s_of({}, ROLE, USER) == 3_600
    assert rules.duration_s_of({"DurationSeconds": 7_200}, ROLE, USER) == 7_200
    with pytest.raises(ValidationError, match="MaxSessionDuration"):
        rules.duration_s_of({"DurationSeconds": 7_201}, ROLE, USER)
    with pytest.raises(ValidationError, match="role chaining"):
        rules.duration_s_of({"DurationSeconds": 3_601}, ROLE, SESSION)
    assert rules.token_duration_s_of({}, USER) == 43_200
    assert rules.token_duration_s_of({}, root_principal(ACCOUNT)) == 3_600


def test_transitive_tags_go_on_and_others_do_not() -> None:
    found = rules.tags_of({"Tags": tags(("cost", "1")), "TransitiveTagKeys": ["cost"]}, SESSION)
    assert found.tags == (("Team", "red"), ("cost", "1"))
    assert found.transitive == ("team", "cost")
    for request in (
        {"Tags": tags(("TEAM", "blue"))},
        {"Tags": tags(("a", ""), ("A", ""))},
        {"TransitiveTagKeys": ["absent"]},
    ):
        with pytest.raises(InvalidParameterValue):
            rules.tags_of(request, SESSION)


def test_a_source_identity_stays_for_the_chain() -> None:
    assert rules.source_identity_of({"SourceIdentity": "me"}, USER) == "me"
    chained = msgspec.structs.replace(SESSION, source_identity="me")
    assert rules.source_identity_of({}, chained) == "me"
    assert rules.source_identity_of({"SourceIdentity": "me"}, chained) == "me"
    with pytest.raises(InvalidParameterValue):
        rules.source_identity_of({"SourceIdentity": "you"}, chained)


def test_session_policies_are_checked_and_bounded() -> None:
    arns = [{"arn": "arn:aws:iam::aws:policy/AdministratorAccess"}]
    assert rules.session_policies_of({}, "aws") == ()
    found = rules.session_policies_of({"Policy": ALLOW, "PolicyArns": arns}, "aws")
    assert found == (arns[0]["arn"], ALLOW)
    with pytest.raises(PackedPolicyTooLarge):
        rules.session_policies_of({"Policy": ALLOW + " " * 2_048}, "aws")
    for bad in ("", "{}"):
        with pytest.raises(MalformedPolicyDocument):
            rules.session_policies_of({"Policy": bad}, "aws")
    strange = ALLOW.replace('"*"}}', '"*","Condition":{"Bool":{"aws:NoSuchKey":"true"}}}}')
    with pytest.raises(NotBuilt):
        rules.session_policies_of({"Policy": strange}, "aws")


def test_the_packed_size_is_a_share_rounded_up() -> None:
    assert rules.packed_percent((), ()) == 0
    assert rules.packed_percent(("x",), ()) == 1
    assert rules.packed_percent(("x" * 2_048,), (("k" * 1_024, "v" * 1_024),)) == 100


def test_what_a_request_asks_for_decides_which_actions_are_needed() -> None:
    none = rules.SessionTags((), ())
    assert rules.actions_of({}, none, "") == ["sts:AssumeRole"]
    tagged = rules.SessionTags((("a", "b"),), ())
    assert rules.actions_of({}, tagged, "me") == [
        "sts:AssumeRole",
        "sts:TagSession",
        "sts:SetSourceIdentity",
    ]


def test_the_condition_keys_of_assuming_a_role_are_those_of_the_request() -> None:
    request = {
        "RoleSessionName": "s",
        "ExternalId": "x",
        "Tags": tags(("a", "b")),
        "TransitiveTagKeys": ["a"],
    }
    role = msgspec.structs.replace(ROLE, tags=(("team", "red"),))
    assert rules.context_of(request, role, "me") == {
        "sts:RoleSessionName": "s",
        "sts:ExternalId": "x",
        "sts:SourceIdentity": "me",
        "sts:TransitiveTagKeys": ("a",),
        "aws:TagKeys": ("a",),
        "aws:RequestTag/a": "b",
        "aws:ResourceTag/team": "red",
        "iam:ResourceTag/team": "red",
    }
