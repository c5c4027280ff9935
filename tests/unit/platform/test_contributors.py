from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fogbank.platform.metering import contributors
from fogbank.platform.metering.contributors import Rule, Tallies, Tally

NAMES = st.lists(st.integers(0, 600).map(str), max_size=2_000)


@given(NAMES)
def test_counts_are_never_too_low_and_their_error_is_told(names: list[str]) -> None:
    tally, truth = Tally(), Counter(names)
    for name in names:
        tally.add(name)
    told = tally.top(contributors.NAMES_MAX)
    assert len(told) <= contributors.NAMES_MAX
    assert sum(each.times for each in told) == len(names)
    for each in told:
        assert each.times - each.over_max <= truth[each.name] <= each.times
    known = {each.name for each in told}
    for name, count in truth.items():
        assert name in known or count <= len(names) / contributors.NAMES_MAX


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
