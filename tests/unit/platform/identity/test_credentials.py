from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.ids import Ids
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.identity.cache import Epochs, Lru
from fogbank.platform.identity.context import context_of
from fogbank.platform.identity.credentials import find_minted_account, mint_key_id
from fogbank.platform.identity.managed import managed_policies
from fogbank.platform.identity.principal import (
    ANONYMOUS,
    Principal,
    PrincipalKind,
    root_principal,
    service_principal,
)

ACCOUNTS = st.integers(0, 999_999_999_999).map(lambda number: f"{number:012d}")


@given(ACCOUNTS, st.integers(0, 1 << 30))
def test_a_key_id_holds_its_account(account: str, seed: int) -> None:
    key_id = mint_key_id("AKIA", account, Ids.seeded(seed))
    assert len(key_id) == 20
    assert find_minted_account(key_id) == account


@given(st.text(max_size=24))
def test_any_text_may_be_asked_for_its_account(text: str) -> None:
    account = find_minted_account(text)
    assert account is None or len(account) == 12


def test_ids_of_aws_are_decoded_as_their_finders_do() -> None:
    # "AWS Access Key ID formats" (Aidan Steele, 2020): a public example and its account.
    assert find_minted_account("ASIAQNZGKIQY56JQ7WML") == "029608264753"
    assert find_minted_account("AKIAIOSFODNN7EXAMPLE") is None


def test_a_cache_forgets_what_was_used_longest_ago() -> None:
    cache: Lru[str, int] = Lru(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.find("a") == 1
    cache.put("c", 3)
    assert [cache.find(key) for key in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_an_epoch_that_ended_never_comes_back() -> None:
    epochs = Epochs(1)
    first = epochs.of("a")
    assert epochs.of("a") is first
    epochs.of("b")
    assert epochs.of("a") is not first
    second = epochs.of("a")
    epochs.end("a")
    assert epochs.of("a") is not second


def test_a_callers_keys_are_those_of_its_kind() -> None:
    user = Principal(
        kind=PrincipalKind.USER,
        account="1" * 12,
        arn="arn:aws:iam::111111111111:user/a",
        unique_id="AIDA",
        name="a",
        tags=(("team", "red"),),
    )
    assert context_of(user) == {
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": "User",
        "aws:PrincipalAccount": "1" * 12,
        "aws:PrincipalArn": user.arn,
        "aws:userid": "AIDA",
        "aws:username": "a",
        "aws:PrincipalTag/team": "red",
    }
    session = Principal(
        kind=PrincipalKind.SESSION,
        account="1" * 12,
        arn="arn:aws:sts::111111111111:assumed-role/r/s",
        unique_id="AROA",
        name="r",
        path="/x/",
        session_name="s",
        issued_ms=1_767_225_600_999,
        source_identity="me",
    )
    keys = context_of(session)
    assert keys["aws:PrincipalArn"] == "arn:aws:iam::111111111111:role/x/r"
    assert keys["aws:userid"] == "AROA:s"
    assert keys["aws:TokenIssueTime"] == "2026-01-01T00:00:00Z"
    assert keys["aws:SourceIdentity"] == "me"
    assert keys["aws:MultiFactorAuthPresent"] == "false"
    assert "aws:username" not in keys
    assert context_of(root_principal("1" * 12))["aws:PrincipalType"] == "Account"
    assert "aws:PrincipalArn" not in context_of(ANONYMOUS)
    assert context_of(service_principal("s3.amazonaws.com", source_arn="arn:x")) == {
        "aws:PrincipalIsAWSService": "true",
        "aws:PrincipalServiceName": "s3.amazonaws.com",
        "aws:SourceArn": "arn:x",
    }


def test_every_managed_policy_is_evaluated() -> None:
    for arn, policy in managed_policies().items():
        assert compile_policy(policy.document, kind="identity").version == "2012-10-17"
        assert policy.arn == arn
        assert len(policy.unique_id) == 21
