from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.ids import Ids
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.identity.cache import Epochs, Lru
from fogbank.platform.identity.credentials import find_minted_account, mint_key_id
from fogbank.platform.identity.managed import managed_policies

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


def test_every_managed_policy_is_evaluated() -> None:
    for arn, policy in managed_policies().items():
        assert compile_policy(policy.document, kind="identity").version == "2012-10-17"
        assert policy.arn == arn
        assert len(policy.unique_id) == 21
