from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.platform.store import tuples
from fogbank.platform.store.tuples import Element

awkward_bytes = st.one_of(
    st.binary(max_size=20),
    st.lists(st.sampled_from([b"\0", b"\xff", b"\x08", b"a" * 8]), max_size=4).map(b"".join),
)
texts = st.text(max_size=20)
integers = st.integers(-(1 << 63), (1 << 63) - 1)
elements = st.one_of(st.none(), awkward_bytes, texts, integers)
RANKS: dict[type, int] = {type(None): 1, bytes: 2, str: 3, int: 4}


def rank(element: Element) -> tuple[int, Any]:
    """Order as the module promises: by type, then by value; texts by their UTF-8."""
    value = element.encode() if isinstance(element, str) else element
    return RANKS[type(element)], 0 if value is None else value


@given(st.lists(elements, max_size=4), st.lists(elements, max_size=4))
@settings(max_examples=300, deadline=None)
def test_packed_bytes_order_as_the_tuples_do(one: list[Element], other: list[Element]) -> None:
    packed = tuples.pack(*one), tuples.pack(*other)
    ranked = [rank(e) for e in one], [rank(e) for e in other]
    assert (packed[0] < packed[1]) == (ranked[0] < ranked[1])
    assert (packed[0] == packed[1]) == (ranked[0] == ranked[1])


@given(st.lists(elements, max_size=5))
def test_unpack_gives_back_what_was_packed(values: list[Element]) -> None:
    assert tuples.unpack(tuples.pack(*values)) == tuple(values)


@given(texts, texts)
def test_a_text_prefix_begins_the_keys_of_all_texts_that_start_so(head: str, tail: str) -> None:
    assert tuples.pack(head + tail, 7).startswith(tuples.text_prefix(head))


@given(st.lists(elements, max_size=2), st.lists(elements, max_size=2))
def test_a_tuple_s_key_is_a_prefix_of_the_keys_of_longer_ones(
    head: list[Element], tail: list[Element]
) -> None:
    key = tuples.pack(*head, *tail)
    prefix = tuples.pack(*head)
    assert key.startswith(prefix)
    assert not prefix or prefix <= key < tuples.after_prefix(prefix)


@given(st.binary(min_size=1, max_size=5), st.binary(max_size=5))
def test_the_key_after_a_prefix_is_above_all_that_begin_with_it(prefix: bytes, tail: bytes) -> None:
    if not prefix.strip(b"\xff"):
        with pytest.raises(AssertionError):
            tuples.after_prefix(prefix)
        return
    edge = tuples.after_prefix(prefix)
    assert prefix + tail < edge
    # And nothing smaller would do.
    assert edge[:-1] + bytes([edge[-1] - 1]) == prefix[: len(edge)]


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_refused_or_are_a_tuple(raw: bytes) -> None:
    try:
        values = tuples.unpack(raw)
    except ValueError:
        return
    assert len(tuples.pack(*values)) == len(raw)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 1_000])
def test_bytes_take_nine_for_every_eight_that_are_begun(size: int) -> None:
    assert len(tuples.pack(b"x" * size)) == 1 + 9 * max(1, -(-size // 8))


@pytest.mark.parametrize("value", [True, 1.5, bytearray(b"x"), (1,), 1 << 63, -(1 << 63) - 1])
def test_other_values_are_no_elements(value: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        tuples.pack(value)


@pytest.mark.parametrize("raw", [b"\x04\x80", b"\x02abc", b"\x02" + b"x" * 8 + b"\x09", b"\x09"])
def test_keys_that_end_inside_an_element_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends inside|no group|no tuple"):
        tuples.unpack(raw)
