"""Long replies are written in steps, and are the same bytes as those that are written at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.wire.codec.json import PIECE_BYTES, PIECE_GROWTH, dumps, pieces_of
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpReply

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ITEM = {"p": {"S": "x"}, "n": {"N": "1"}, "b": {"B": b"bytes"}, "d": {"M": {}}, "l": {"L": []}}
REPLIES: list[tuple[str, str, dict[str, Any]]] = [
    ("dynamodb", "BatchGetItem", {"Responses": {"a": [ITEM] * 9, "b": []}, "UnprocessedKeys": {}}),
    (
        "dynamodb",
        "Query",
        {"Items": [ITEM], "Count": 1, "ConsumedCapacity": {"CapacityUnits": 0.5}},
    ),
    ("dynamodb", "Scan", {"Items": [], "Count": 0, "LastEvaluatedKey": None}),
    ("logs", "GetLogEvents", {"events": [{"timestamp": 5, "message": "m"}] * 3}),
]


def steps_of(work: Generator[None, None, HttpReply]) -> tuple[int, HttpReply]:
    """Return how many steps something took, and what it came to."""
    steps = 1
    while True:
        try:
            next(work)
        except StopIteration as end:
            return steps, end.value
        steps += 1


@given(VALUES)
def test_the_pieces_of_a_value_are_its_json(value: Any) -> None:
    assert b"".join(pieces_of(value)) == dumps(value)


def test_a_piece_is_as_long_as_a_step_may_work_on_or_one_member() -> None:
    small, large = "s" * 100, "l" * PIECE_BYTES
    pieces = [len(piece) for piece in pieces_of([small] * 50_000)]
    assert max(pieces) <= 1.1 * PIECE_BYTES
    assert len(pieces) < 60
    pieces = [len(piece) for piece in pieces_of([large] * 10)]
    assert max(pieces) < 1.1 * PIECE_BYTES
    mixed = [len(piece) for piece in pieces_of([small] * 5 + [large] * 20)]
    assert max(mixed) < (4 * PIECE_GROWTH + 1) * PIECE_BYTES


@pytest.mark.parametrize(("service", "operation", "reply"), REPLIES)
def test_a_reply_in_steps_is_the_same_as_at_once(
    service: str, operation: str, reply: dict[str, Any]
) -> None:
    codec = codec_of(service)
    steps, made = steps_of(codec.encode_in_steps(operation, reply, "id"))
    whole = codec.encode(operation, reply, "id")
    assert (made.status, made.headers, made.body) == (whole.status, whole.headers, whole.body)
    assert steps == 1


def test_a_long_reply_takes_a_step_for_each_large_member_and_has_its_check() -> None:
    reply = {"Items": [{"v": {"S": "x" * PIECE_BYTES}}] * 30, "Count": 30}
    codec = codec_of("dynamodb")
    steps, made = steps_of(codec.encode_in_steps("Scan", reply, "id"))
    whole = codec.encode("Scan", reply, "id")
    assert (made.headers, made.body) == (whole.headers, whole.body)
    assert steps == 31


def test_a_codec_without_steps_writes_the_same_at_once() -> None:
    codec = codec_of("iam")
    steps, made = steps_of(codec.encode_in_steps("ListUsers", {"Users": []}, "id"))
    assert steps == 1
    assert made.body == codec.encode("ListUsers", {"Users": []}, "id").body
