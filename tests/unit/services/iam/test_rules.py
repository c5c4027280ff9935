from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import NotBuilt
from fogbank.contract.action import Access, Scope
from fogbank.platform.identity.records import UserRecord
from fogbank.services.iam import rules
from fogbank.services.iam.errors import (
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
)

SCOPE = Scope("111122223333", "us-east-1")
KEYS = st.text(alphabet="abcAB", min_size=1, max_size=3)


def tag(key: str, value: str = "") -> dict[str, str]:
    return {"Key": key, "Value": value}


@given(st.lists(st.text(min_size=1, max_size=8), unique=True), st.integers(1, 5))
def test_pages_concatenate_to_the_whole(names: list[str], size: int) -> None:
    items = [(name, name) for name in sorted(names)]
    found: list[str] = []
    request: dict[str, Any] = {"MaxItems": size}
    while True:
        shown, paging = rules.page(request, items)
        assert len(shown) <= size
        found += shown
        if not paging["IsTruncated"]:
            break
        request["Marker"] = paging["Marker"]
    assert found == sorted(names)


@given(st.dictionaries(KEYS, st.text(max_size=2)), KEYS)
def test_tags_are_the_same_without_regard_to_case(before: dict[str, str], key: str) -> None:
    start = rules.with_tags(
        (), [tag(k, v) for k, v in {k.lower(): v for k, v in before.items()}.items()]
    )
    after = rules.with_tags(start, [tag(key, "new")])
    assert [value for name, value in after if name.lower() == key.lower()] == ["new"]
    assert rules.without_tags(after, [key.swapcase()]) == rules.without_tags(start, [key])


def test_tags_have_bounds() -> None:
    with pytest.raises(InvalidInput, match="Duplicate"):
        rules.with_tags((), [tag("a"), tag("A")])
    with pytest.raises(InvalidInput, match="aws:"):
        rules.with_tags((), [tag("AWS:x")])
    full = rules.with_tags((), [tag(str(number)) for number in range(50)])
    assert rules.with_tags(full, [tag("7", "again")])
    with pytest.raises(LimitExceeded):
        rules.with_tags(full, [tag("one more")])


def test_the_size_of_a_policy_does_not_count_white_space() -> None:
    assert rules.characters_of('{ "a":\n\t"b c" }') == len('{"a":"bc"}')


def test_inline_policies_are_kept_in_order_and_counted_together() -> None:
    user = UserRecord("a", "/", "AIDA", 0, inline=(("b", "x" * 2_000),))
    assert rules.with_inline(user, "user", "a", "y" * 48)[0] == ("a", "y" * 48)
    assert rules.with_inline(user, "user", "b", "y" * 2_048) == (("b", "y" * 2_048),)
    with pytest.raises(LimitExceeded, match="2048 bytes exceeded for user a"):
        rules.with_inline(user, "user", "a", "y" * 49)


def test_what_cannot_be_evaluated_is_not_built_and_the_rest_malformed() -> None:
    strange = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",'
        '"Condition":{"StringEquals":{"aws:NoSuchKey":"x"}}}}'
    )
    with pytest.raises(NotBuilt, match="aws:NoSuchKey"):
        rules.checked(strange, "identity", "aws")
    with pytest.raises(MalformedPolicyDocument, match="Syntax errors"):
        rules.checked("{}", "identity", "aws")


def test_creating_is_decided_on_the_arn_to_be() -> None:
    access = rules.creates("user", "UserName")
    request = {"UserName": "a", "Path": "/x/", "Tags": [tag("team", "red")]}
    assert access(SCOPE, request) == [
        Access(
            "iam:CreateUser",
            "arn:aws:iam::111122223333:user/x/a",
            {
                "aws:RequestTag/team": "red",
                "aws:ResourceTag/team": "red",
                "iam:ResourceTag/team": "red",
                "aws:TagKeys": ("team",),
            },
        )
    ]


def test_listing_is_decided_on_the_path_prefix() -> None:
    access = rules.lists("ListRoles", "role")
    assert access(SCOPE, {})[0].resource == "arn:aws:iam::111122223333:role/"
    assert access(SCOPE, {"PathPrefix": "/a"})[0].resource == "arn:aws:iam::111122223333:role/a"


def test_attached_policies_are_filtered_by_their_own_path() -> None:
    arns = ["arn:aws:iam::aws:policy/B", "arn:aws:iam::1:policy/team/x/A"]
    assert [name for name, _ in rules.attached_view(arns, "/")] == ["A", "B"]
    assert [name for name, _ in rules.attached_view(arns, "/team/")] == ["A"]


def test_a_document_is_answered_percent_encoded() -> None:
    assert rules.encoded('{"a": "b/c"}') == "%7B%22a%22%3A%20%22b%2Fc%22%7D"
