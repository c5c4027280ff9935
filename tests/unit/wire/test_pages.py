from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.wire.model import load
from fogbank.wire.pages import TOKEN_CHARACTERS_MAX, BadToken, PageTokens, token_members

TOKENS = PageTokens(bytes(range(64)))
PLACES = st.text(min_size=1, max_size=200)


@given(PLACES, st.text(max_size=40))
def test_a_token_brings_back_its_place(place: str, context: str) -> None:
    token = TOKENS.seal(place, context)
    assert TOKENS.open(token, context) == place
    assert token == TOKENS.seal(place, context)
    assert token.isascii()
    assert not set(token) & set("+/=&?#% ")


@given(PLACES, PLACES)
def test_places_differ_as_their_tokens_do(one: str, other: str) -> None:
    assert (TOKENS.seal(one, "c") == TOKENS.seal(other, "c")) == (one == other)


@given(PLACES, st.integers(0), st.integers(1, 63))
def test_an_altered_token_does_not_open(place: str, at: int, by: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = TOKENS.seal(place, "c")
    # The last letter may hold bits of no byte, which any decoder drops.
    at %= len(token) - 1
    other = letters[(letters.index(token[at]) + by) % 64]
    with pytest.raises(BadToken):
        TOKENS.open(token[:at] + other + token[at + 1 :], "c")


def test_another_context_or_key_does_not_open() -> None:
    token = TOKENS.seal("place", "1/eu/iam:ListUsers")
    for context in ("2/eu/iam:ListUsers", "1/us/iam:ListUsers", "1/eu/iam:ListRoles", ""):
        with pytest.raises(BadToken):
            TOKENS.open(token, context)
    with pytest.raises(BadToken):
        PageTokens(bytes(64)).open(token, "1/eu/iam:ListUsers")


@given(st.text(max_size=60))
def test_what_is_no_token_does_not_open(text: str) -> None:
    with pytest.raises(BadToken):
        TOKENS.open(text, "c")


def test_a_token_of_another_version_or_length_does_not_open() -> None:
    for text in ("Ag" + TOKENS.seal("place", "c")[2:], "A" * (TOKEN_CHARACTERS_MAX + 1), "", "AQ"):
        with pytest.raises(BadToken):
            TOKENS.open(text, "c")


def test_a_key_is_never_shown() -> None:
    assert repr(TOKENS) == "PageTokens()"


@pytest.mark.parametrize(
    ("service", "operation", "asked", "told", "echoed"),
    [
        ("iam", "ListUsers", {"Marker"}, {"Marker"}, set()),
        ("lambda", "ListFunctions", {"Marker"}, {"NextMarker"}, set()),
        (
            "s3",
            "ListObjectsV2",
            {"ContinuationToken"},
            {"NextContinuationToken"},
            {"ContinuationToken"},
        ),
        ("logs", "GetLogEvents", {"nextToken"}, {"nextForwardToken", "nextBackwardToken"}, set()),
        ("ssm", "DescribeParameters", {"NextToken"}, {"NextToken"}, set()),
        ("kms", "ListKeys", {"Marker"}, {"NextMarker"}, set()),
    ],
)
def test_tokens_are_found_in_the_models(
    service: str, operation: str, asked: set[str], told: set[str], echoed: set[str]
) -> None:
    found = token_members(load(service).operations[operation])
    assert found is not None
    assert (found.asked, found.told, found.echoed) == (asked, told, echoed)


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("s3", "ListObjects"),
        ("s3", "ListParts"),
        ("s3", "ListMultipartUploads"),
        ("dynamodb", "Query"),
        ("dynamodb", "ListTables"),
        ("kinesis", "ListTagsForStream"),
        ("sts", "GetSessionToken"),
        ("lambda", "Invoke"),
    ],
)
def test_keys_names_and_numbers_stay_plain(service: str, operation: str) -> None:
    assert token_members(load(service).operations[operation]) is None
