from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import sizes, values

INVALID = "One or more parameter values were invalid: "
scalars = (
    st.fixed_dictionaries({"S": st.text(max_size=5)})
    | st.fixed_dictionaries({"N": st.integers().filter(lambda n: abs(n) < 10**30).map(str)})
    | st.fixed_dictionaries({"B": st.binary(max_size=5)})
    | st.fixed_dictionaries({"BOOL": st.booleans()})
    | st.just({"NULL": True})
    | st.fixed_dictionaries({"SS": st.lists(st.text(max_size=3), min_size=1, unique=True)})
    | st.fixed_dictionaries({"BS": st.lists(st.binary(max_size=3), min_size=1, unique=True)})
)
admitted = st.recursive(
    scalars,
    lambda inner: (
        st.fixed_dictionaries({"L": st.lists(inner, max_size=4)})
        | st.fixed_dictionaries(
            {"M": st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=4)}
        )
    ),
    max_leaves=8,
)


@given(admitted)
def test_admitting_again_changes_nothing(value: Any) -> None:
    once = values.admit(value)
    assert values.admit(once) == once
    assert values.equal(once, values.copy_of(once))


@given(admitted)
def test_a_copy_shares_no_list_or_map(value: Any) -> None:
    before = repr(value)
    copied = values.copy_of(value)
    for inner in (copied.get("L"), copied.get("M")):
        if inner is not None:
            inner.clear()
    assert repr(value) == before


@given(admitted)
def test_every_value_has_a_size_and_levels(value: Any) -> None:
    assert sizes.value_size(value) >= 0
    assert values.levels_of(value) >= 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {},
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            {"S": "a", "N": "1"},
            (
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of"
                " the supported datatypes"
            ),
        ),
        ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
        ({"SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"NS": []}, f"{INVALID}An number set  may not be empty"),
        ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, f"{INVALID}Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        (
            {"BS": [b"a", b"a"]},
            f"{INVALID}Input collection [YQ==, YQ==]of type BS contains duplicates.",
        ),
        ({"L": [{"M": {"a": {"SS": []}}}]}, f"{INVALID}An string set  may not be empty"),
        ({"M": {"": {"S": "a"}}}, f"{INVALID}Empty attribute name"),
    ],
)
def test_what_cannot_be_stored_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        values.admit(value)
    assert caught.value.message == message


def _nested(levels: int) -> Any:
    value: Any = {"S": "leaf"}
    for _ in range(levels - 1):
        value = {"L": [value]}
    return value


def test_a_document_has_thirty_two_levels_at_most() -> None:
    assert values.levels_of(values.admit(_nested(32))) == 32
    with pytest.raises(ValidationException, match="Nesting Levels have exceeded"):
        values.admit(_nested(33))


def test_numbers_are_brought_to_one_spelling_everywhere() -> None:
    given = {"L": [{"N": "1.0"}, {"M": {"a": {"NS": ["2e1", "+3"]}}}]}
    assert values.admit(given) == {"L": [{"N": "1"}, {"M": {"a": {"NS": ["20", "3"]}}}]}
    assert given["L"][0] == {"N": "1.0"}


def test_names_are_limited_in_bytes() -> None:
    assert values.require_name("é" * 32_767)
    with pytest.raises(ValidationException, match="65536"):
        values.require_name("é" * 32_768)


@given(st.dictionaries(st.text(min_size=1, max_size=3), admitted, max_size=4))
def test_an_item_is_admitted_as_its_values_are_and_not_changed(item: Any) -> None:
    before = {name: values.copy_of(value) for name, value in item.items()}
    once = values.admit_item(item)
    assert once == {name: values.admit(value) for name, value in item.items()}
    assert once is not item
    assert item == before


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"": {"S": "x"}}, "Empty attribute name"),
        ({"a": {"S": "x"}, "b" * 65_536: {"S": "x"}}, "too large"),
        ({"a": {}}, "Supplied AttributeValue is empty"),
        ({"a": {"S": "x", "N": "1"}}, "more than one datatypes"),
        ({"a": {"S": "x"}, "b": {"SS": []}}, "may not be empty"),
    ],
)
def test_an_item_is_refused_for_any_of_its_attributes(item: Any, message: str) -> None:
    with pytest.raises(ValidationException, match=message):
        values.admit_item(item)


@given(st.dictionaries(st.text(min_size=1, max_size=3), admitted, max_size=4))
def test_the_size_of_an_item_is_that_of_its_names_and_values(item: Any) -> None:
    parts = [len(name.encode()) + sizes.value_size(value) for name, value in item.items()]
    assert sizes.item_size(item) == sum(parts)


def test_equality_ignores_the_order_of_sets_and_nothing_else() -> None:
    one, other = {"L": [{"SS": ["a", "b"]}]}, {"L": [{"SS": ["b", "a"]}]}
    assert values.equal(one, other)
    assert not values.equal({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]})
    assert not values.equal({"S": "1"}, {"N": "1"})
    assert not values.equal({"M": {"a": {"S": "1"}}}, {"M": {}})


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"a": {"S": "é"}}, 3),
        ({"é": {"B": b"12"}}, 4),
        ({"a": {"NULL": True}, "b": {"BOOL": False}}, 4),
        ({"a": {"L": []}}, 4),
        ({"a": {"L": [{"S": "x"}, {"N": "12"}]}}, 1 + 3 + 2 + 1 + 2),
        ({"a": {"M": {"b": {"S": "x"}}}}, 1 + 3 + 1 + 2),
        ({"a": {"SS": ["x", "yz"]}}, 4),
        ({"a": {"NS": ["1", "123"]}}, 1 + 2 + 3),
        ({"a": {"BS": [b"x"]}}, 2),
    ],
)
def test_an_item_has_the_documented_size(item: Any, size: int) -> None:
    assert sizes.item_size(item) == size


def test_units_are_counted_in_blocks() -> None:
    assert sizes.read_units(0, consistent=True) == 1.0
    assert sizes.read_units(4_096, consistent=False) == 0.5
    assert sizes.read_units(4_097, consistent=True) == 2.0
    assert sizes.write_units(0, 0) == 1.0
    assert sizes.write_units(2_049, 10) == 3.0
