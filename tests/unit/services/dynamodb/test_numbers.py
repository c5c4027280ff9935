from __future__ import annotations

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import numbers

EXACT = Context(prec=600)


def _number(negative: bool, digits: int, exponent: int) -> Decimal:
    """Return a storable number: the exponent is that of the first digit."""
    shown = str(digits)
    return Decimal(f"{'-' if negative else ''}{shown[0]}.{shown[1:] or '0'}E{exponent}")


storable = st.builds(
    _number,
    st.booleans(),
    st.integers(min_value=1, max_value=10**38 - 1),
    st.integers(min_value=-130, max_value=125),
) | st.just(Decimal(0))
near = st.integers(min_value=-200, max_value=200).map(lambda n: Decimal(n) / 8)


@given(storable)
def test_a_number_keeps_its_value_and_gets_one_spelling(number: Decimal) -> None:
    spelling = numbers.canonical(str(number))
    assert Decimal(spelling) == number
    assert numbers.canonical(spelling) == spelling
    assert numbers.canonical(f"{number:f}") == spelling
    assert numbers.canonical(f"+{number.copy_abs()}") == spelling.lstrip("-")


@given(storable | near, storable | near)
def test_sort_bytes_order_as_the_numbers_do(left: Decimal, right: Decimal) -> None:
    one, other = numbers.canonical(str(left)), numbers.canonical(str(right))
    a, b = numbers.sort_bytes(one), numbers.sort_bytes(other)
    assert (a < b) == (left < right)
    assert (a == b) == (left == right)
    assert max(len(a), len(b)) <= 23


@given(storable | near)
def test_sort_bytes_say_what_they_are_of(number: Decimal) -> None:
    spelling = numbers.canonical(str(number))
    assert numbers.text_of(numbers.sort_bytes(spelling)) == spelling


@given(near, near)
def test_sums_and_differences_are_exact(left: Decimal, right: Decimal) -> None:
    one, other = numbers.canonical(str(left)), numbers.canonical(str(right))
    assert Decimal(numbers.add(one, other)) == EXACT.add(left, right)
    assert Decimal(numbers.subtract(one, other)) == EXACT.subtract(left, right)


@pytest.mark.parametrize(
    ("given", "spelling"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("00", "0"),
        ("0e500", "0"),
        ("007", "7"),
        ("+3", "3"),
        ("100.000", "100"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1.5e2", "150"),
        ("1E-3", "0.001"),
        ("123e-2", "1.23"),
        ("1e125", "1" + "0" * 125),
        ("9.9e10", "99000000000"),
    ],
)
def test_a_number_has_one_spelling(given: str, spelling: str) -> None:
    assert numbers.canonical(given) == spelling


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("dog", "The parameter cannot be converted to a numeric value: dog"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("1 ", "The parameter cannot be converted to a numeric value: 1 "),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("٣", "The parameter cannot be converted to a numeric value: ٣"),
        (".", "The parameter cannot be converted to a numeric value: ."),
        ("1e", "The parameter cannot be converted to a numeric value: 1e"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_what_is_no_number_is_refused(given: str, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        numbers.canonical(given)
    assert caught.value.message == message


@pytest.mark.parametrize("given", ["1e126", "-11e125", "1e100000000000000000000"])
def test_numbers_that_are_too_large_are_refused(given: str) -> None:
    with pytest.raises(ValidationException, match="overflow"):
        numbers.canonical(given)


@pytest.mark.parametrize("given", ["1e-131", "0.9e-130", "-1e-99999999999"])
def test_numbers_that_are_too_small_are_refused(given: str) -> None:
    with pytest.raises(ValidationException, match="underflow"):
        numbers.canonical(given)


@pytest.mark.parametrize(("one", "other"), [("9" + "0" * 125,) * 2, ("1" + "0" * 50, "1")])
def test_a_sum_that_cannot_be_stored_is_an_overflow(one: str, other: str) -> None:
    with pytest.raises(ValidationException, match="Number overflow"):
        numbers.add(one, other)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 1), ("1", 2), ("12", 2), ("123", 3), ("-1", 3), ("1.2", 3), ("10", 2), ("0.12", 2)],
)
def test_sizes_follow_pairs_of_digits(text: str, size: int) -> None:
    assert numbers.size(text) == size
