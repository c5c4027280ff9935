from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import keys, numbers, pages
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm
from fogbank.services.dynamodb.schema import KeyAttribute, TableRecord


def table(partition: str = "S", sort: str | None = "S") -> TableRecord:
    return TableRecord(
        name="tab",
        id="00000000-0000-4000-8000-000000000001",
        digest_key=b"k" * 16,
        partition=KeyAttribute("p", partition),
        sort=KeyAttribute("c", sort) if sort else None,
        billing_mode="PAY_PER_REQUEST",
        read_units=0,
        write_units=0,
        deletion_protected=False,
        created_ms=0,
    )


texts = st.text(min_size=1, max_size=12)
decimals = st.decimals(
    allow_nan=False, allow_infinity=False, places=3, min_value=-999, max_value=999
)
COMPARE: dict[str, Any] = {
    "=": lambda value, low, _: value == low,
    "<": lambda value, low, _: value < low,
    "<=": lambda value, low, _: value <= low,
    ">": lambda value, low, _: value > low,
    ">=": lambda value, low, _: value >= low,
    "BETWEEN": lambda value, low, high: low <= value <= high,
}


@given(texts, texts)
def test_texts_lie_in_the_order_of_their_utf8(left: str, right: str) -> None:
    attribute = KeyAttribute("c", "S")
    one = keys.sort_bytes(attribute, {"S": left})
    other = keys.sort_bytes(attribute, {"S": right})
    assert (one < other) == (left.encode() < right.encode())


@given(st.sampled_from(sorted(COMPARE)), texts, texts, texts)
def test_a_range_of_texts_holds_what_the_condition_means(
    operator: str, value: str, low: str, high: str
) -> None:
    low, high = sorted((low, high))
    _check_range("S", operator, (value, low, high), (value, low, high))


@given(st.sampled_from(sorted(COMPARE)), decimals, decimals, decimals)
def test_a_range_of_numbers_holds_what_the_condition_means(
    operator: str, value: Decimal, low: Decimal, high: Decimal
) -> None:
    low, high = sorted((low, high))
    spelled = tuple(numbers.canonical(str(number)) for number in (value, low, high))
    _check_range("N", operator, spelled, (value, low, high))


def _check_range(kind: str, operator: str, spelled: Any, order: Any) -> None:
    digest, attribute = b"d" * 16, KeyAttribute("c", kind)
    value, low, high = spelled
    bounds = (low, high) if operator == "BETWEEN" else (low,)
    term = KeyTerm(operator, tuple({kind: bound} for bound in bounds))
    found = pages.sort_range(digest, attribute, term)
    place = digest + keys.sort_bytes(attribute, {kind: value})
    assert found.holds(place) == COMPARE[operator](*order)
    assert not found.holds(b"e" * 16 + place[16:])


@given(st.binary(min_size=1, max_size=4), st.binary(min_size=1, max_size=3))
def test_a_prefix_is_a_range(value: bytes, start: bytes) -> None:
    attribute = KeyAttribute("c", "B")
    term = KeyTerm("begins_with", ({"B": start},))
    found = pages.sort_range(b"\xff" * 16, attribute, term)
    assert found.holds(b"\xff" * 16 + value) == value.startswith(start)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 1_000_000))
def test_segments_share_the_table_among_them(digest: bytes, total: int) -> None:
    guess = int.from_bytes(digest) * total >> 128
    near = [n for n in (guess - 1, guess, guess + 1) if 0 <= n < total]
    assert sum(pages.segment_range(n, total).holds(digest + b"x") for n in near) == 1
    assert pages.segment_range(total - 1, total).end is None
    assert pages.segment_range(0, total).begin == b""


@given(texts, texts)
def test_a_range_goes_on_behind_the_last_key(last: str, other: str) -> None:
    whole = pages.partition_range(b"d" * 16)
    place, elsewhere = b"d" * 16 + last.encode(), b"d" * 16 + other.encode()
    assert whole.behind(place, forward=True).holds(elsewhere) == (elsewhere > place)
    assert whole.behind(place, forward=False).holds(elsewhere) == (elsewhere < place)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"c": {"S": "x"}}, ("One or more parameter values were invalid: Missing the key p in the"
         " item")),
        ({"p": {"N": "1"}, "c": {"S": "x"}}, ("One or more parameter values were invalid: Type"
         " mismatch for key p expected: S actual: N")),
        ({"p": {"S": ""}, "c": {"S": "x"}}, ("One or more parameter values are not valid. The"
         " AttributeValue for a key attribute cannot contain an empty string value. Key: p")),
        ({"p": {"S": "x" * 2_049}, "c": {"S": "x"}}, ("One or more parameter values were invalid:"
         " Size of hashkey has exceeded the maximum size limit of2048 bytes")),
        ({"p": {"S": "x"}, "c": {"S": "x" * 1_025}}, ("One or more parameter values were invalid:"
         " Aggregated size of all range keys has exceeded the size limit of 1024 bytes")),
    ],
)  # fmt: skip
def test_items_whose_key_does_not_fit_are_refused(item: Any, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        keys.key_of_item(table(), item)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"p": {"S": "x"}},
        {"p": {"S": "x"}, "c": {"N": "1"}},
        {"p": {"S": "x"}, "d": {"S": "x"}},
        {"p": {"S": "x"}, "c": {"S": "x"}, "d": {"S": "x"}},
    ],
)
def test_keys_that_do_not_fit_the_table_are_refused(key: Any) -> None:
    with pytest.raises(ValidationException) as caught:
        keys.key_of(table(), key)
    assert caught.value.message == "The provided key element does not match the schema"


def test_the_longest_key_fits_the_store() -> None:
    key = keys.key_of(table(), {"p": {"S": "x" * 2_048}, "c": {"S": "x" * 1_024}})
    assert len(key.place) == 16 + 1_024


def test_a_digest_depends_on_the_table() -> None:
    one, other = table(), table()
    other = TableRecord(
        **{name: getattr(other, name) for name in other.__struct_fields__} | {"digest_key": b"x"}
    )
    assert keys.digest_of(one, b"a") != keys.digest_of(other, b"a")
