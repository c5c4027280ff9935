from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.ids import Ids
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.identity.cache import EPOCH_SLOTS, Lru, OwnEpochs, SharedEpochs, page_bytes
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
    epochs = OwnEpochs(1)
    first = epochs.of("a")
    assert epochs.of("a") == first
    epochs.of("b")
    assert epochs.of("a") != first
    second = epochs.of("a")
    epochs.end("a")
    assert epochs.of("a") not in (first, second)


def test_an_epoch_that_one_process_ends_is_over_for_all_and_never_comes_back() -> None:
    page = memoryview(bytearray(page_bytes(2)))
    one, other, front = SharedEpochs(page, 0), SharedEpochs(page, 1), SharedEpochs(page, None)
    seen = {front.of("a")}
    for ender in (one, other, one, one, other):
        ender.end("a")
        assert one.of("a") == other.of("a") == front.of("a")
        assert front.of("a") not in seen
        seen.add(front.of("a"))
    with pytest.raises(AssertionError):
        front.end("a")


def test_a_process_that_starts_ends_what_its_former_run_may_not_have_told() -> None:
    page = memoryview(bytearray(page_bytes(2)))
    SharedEpochs(page, 0)
    front = SharedEpochs(page, None)
    accounts = [f"{n:012d}" for n in range(EPOCH_SLOTS)]
    before = [front.of(account) for account in accounts]
    SharedEpochs(page, 1)
    assert all(front.of(a) != epoch for a, epoch in zip(accounts, before, strict=True))


def test_every_managed_policy_is_evaluated() -> None:
    for arn, policy in managed_policies("aws").items():
        assert compile_policy(policy.document, kind="identity").version == "2012-10-17"
        assert policy.arn == arn
        assert len(policy.unique_id) == 21
