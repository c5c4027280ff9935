from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.s3.errors import InvalidArgument
from fogbank.services.s3.rules.listings import (
    Place,
    Row,
    Walk,
    limit_of,
    place_of,
    token_of,
    walk_from_marker,
)

TEXTS = st.text(st.sampled_from("ab/é\0\U0001f600"), max_size=5)
KEYS = st.sets(st.text(st.sampled_from("ab/é\0\U0001f600"), min_size=1, max_size=6), max_size=25)


def order(key: str) -> bytes:
    return key.encode()


def naive(keys: set[str], prefix: str, delimiter: str) -> list[str]:
    """Every entry of a listing in order: keys, and common prefixes once each."""
    entries: list[str] = []
    for key in sorted(keys, key=order):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if at < 0 else key[: at + len(delimiter)]
        if entry not in entries:
            entries.append(entry)
    return entries


def seek(keys: set[str], place: Place) -> list[str]:
    """The keys that the store finds at a place."""
    found = sorted(keys, key=order)
    if not place.after:
        return found
    edge = order(place.after[0])
    behind = [key for key in found if order(key) > edge]
    if place.past:
        behind = [key for key in behind if not key.startswith(place.after[0])]
    return behind


def taken(keys: set[str], walk: Walk, batch: int) -> Walk:
    while not walk.done:
        found = seek(keys, walk.place)
        rows = [Row(key, "", b"") for key in found[:batch]]
        before = walk.place
        walk = walk.clone()
        walk.feed(rows, last=len(found) <= batch)
        if not walk.done and walk.place == before:
            # Nothing under the prefix in this batch: the store's range would begin behind it.
            keys = keys - set(found[:batch])
    return walk


def entries_of(walk: Walk) -> list[str]:
    return sorted([row.key for row in walk.rows] + walk.prefixes, key=order)


@given(KEYS, TEXTS, st.sampled_from(["", "/", "a", "é/"]), st.integers(1, 4), st.integers(1, 5))
def test_pages_by_token_concatenate_to_the_naive_listing(
    keys: set[str], prefix: str, delimiter: str, limit: int, batch: int
) -> None:
    pages: list[str] = []
    place = Place()
    while True:
        walk = taken(keys, Walk(prefix, delimiter, limit, place), batch)
        page = entries_of(walk)
        assert len(page) <= limit
        pages += page
        if not walk.truncated:
            break
        assert len(page) == limit
        place = place_of(token_of(walk.place))
    assert pages == naive(keys, prefix, delimiter)


@given(KEYS, TEXTS, st.sampled_from(["", "/", "a"]), st.integers(1, 4), st.integers(1, 5))
def test_pages_by_marker_concatenate_to_the_naive_listing(
    keys: set[str], prefix: str, delimiter: str, limit: int, batch: int
) -> None:
    pages: list[str] = []
    marker = ""
    while True:
        walk = taken(keys, walk_from_marker(prefix, delimiter, limit, marker), batch)
        pages += entries_of(walk)
        if not walk.truncated:
            break
        marker = walk.place.after[0]
    assert pages == naive(keys, prefix, delimiter)


@given(KEYS, TEXTS)
def test_start_after_leaves_out_keys_up_to_it_and_keeps_their_common_prefix(
    keys: set[str], start_after: str
) -> None:
    place = Place((start_after,) if start_after else ())
    walk = taken(keys, Walk("", "/", 1_000, place), 3)
    rest = {key for key in keys if order(key) > order(start_after)} if start_after else keys
    assert entries_of(walk) == naive(rest, "", "/")


def test_a_marker_inside_a_common_prefix_passes_over_all_of_it() -> None:
    keys = {"a/1", "a/2", "b"}
    walk = taken(keys, walk_from_marker("", "/", 10, "a/1"), 10)
    assert entries_of(walk) == ["b"]


def test_a_limit_of_zero_finds_nothing_and_is_not_truncated() -> None:
    walk = Walk("", "", 0, Place())
    assert walk.done
    assert not walk.truncated


@pytest.mark.parametrize("token", ["", "x", "bm9ib2R5", "Kg==", "é"])
def test_a_token_that_was_not_given_out_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match="continuation token"):
        place_of(token)


@pytest.mark.parametrize(("asked", "given"), [(None, 1000), (0, 0), (7, 7), (5000, 1000)])
def test_a_page_holds_what_is_asked_and_a_thousand_at_most(asked: int | None, given: int) -> None:
    request = {} if asked is None else {"MaxKeys": asked}
    assert limit_of(request, "MaxKeys", "maxKeys") == given


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        limit_of({"MaxKeys": -1}, "MaxKeys", "maxKeys")
