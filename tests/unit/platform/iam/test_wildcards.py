from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.platform.iam.wildcards import pattern_matcher

ALPHABET = st.text(alphabet="ab/:*?", max_size=12)


def slow(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(slow(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and slow(pattern[1:], text[1:])


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "", True),
        ("*", "anything", True),
        ("", "", True),
        ("", "a", False),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("ab*ba", "aba", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a?c", "a\nc", True),
        ("?*?", "a", False),
        ("?*?", "ab", True),
        ("a.c", "abc", False),
        ("**", "x", True),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, text: str, matches: object) -> None:
    assert pattern_matcher(pattern)(text) is matches


@given(ALPHABET, ALPHABET)
def test_a_pattern_matches_what_the_definition_says(pattern: str, text: str) -> None:
    assert pattern_matcher(pattern)(text) == slow(pattern, text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_literal_text_matches_itself_only(pattern: str, text: str) -> None:
    plain = re.sub(r"[*?]", "", pattern)
    assert pattern_matcher(plain)(text) == (plain == text)


@pytest.mark.parametrize("star", ["*a", "*a?"])
def test_no_pattern_takes_long(star: str) -> None:
    matches = pattern_matcher(star * 500 + "b")
    # A backtracking matcher would take longer than the universe has stood.
    assert not matches("a" * 20_000 + "c")
