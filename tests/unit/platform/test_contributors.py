from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.platform.metering import contributors
from fogbank.platform.metering.contributors import Rule, Tallies, Tally

FEW = 4
NAMES = st.lists(st.sampled_from("abcdefghij"), max_size=60)


@given(NAMES)
def test_counts_are_never_too_low_and_their_error_is_told(names: list[str]) -> None:
    """Of ten names where four have room; held against the bounds of the paper."""
    tally, truth = Tally(), Counter(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contributors, "NAMES_MAX", FEW)
        for name in names:
            tally.add(name)
    told = tally.top(len(names))
    assert len(told) <= FEW
    assert sum(each.times for each in told) == len(names)
    for each in told:
        assert each.times - each.over_max <= truth[each.name] <= each.times
    known = {each.name for each in told}
    for name, count in truth.items():
        assert name in known or count <= len(names) / FEW


def test_the_most_come_first_and_few_are_exact() -> None:
    tally = Tally()
    for name in ["a", "b", "b", "c", "c", "c"]:
        tally.add(name)
    assert tally.top(2) == [("c", 3, 0), ("b", 2, 0)]


def test_tallies_are_bounded() -> None:
    tallies = Tallies()
    for number in range(contributors.TALLIES_MAX + 5):
        tallies.add(Rule(b"owner", str(number)), "name")
    assert len([*tallies]) == contributors.TALLIES_MAX
