from __future__ import annotations

import copy
from typing import Any

import pytest

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import paths
from fogbank.services.dynamodb.rules.expressions import updates
from fogbank.services.dynamodb.rules.requests import UPDATE, expressions_of

KEY: dict[str, Any] = {"p": {"S": "key"}}


def bound(text: str, values: dict[str, Any] | None = None) -> updates.BoundUpdate:
    request: dict[str, Any] = {"UpdateExpression": text}
    if values:
        request["ExpressionAttributeValues"] = values
    update = expressions_of(request, UPDATE).update
    assert update is not None
    return update


def apply(text: str, old: dict[str, Any] | None, **values: Any) -> Any:
    """Apply an update and check that the old item stayed as it was."""
    given = {f":{name}": value for name, value in values.items()}
    item = None if old is None else KEY | old
    before = copy.deepcopy(item)
    new = updates.applied(bound(text, given), item, KEY)
    assert item == before
    return None if new is None else {name: new[name] for name in new if name != "p"}


def n(number: int) -> dict[str, str]:
    return {"N": str(number)}


def numbers(*members: int) -> dict[str, Any]:
    return {"L": [n(member) for member in members]}


def test_sources_are_read_before_anything_changes() -> None:
    old = {"a": n(1), "b": n(2)}
    assert apply("REMOVE a SET b = a, c = b", old) == {"b": n(1), "c": n(2)}


def test_numbers_are_added_and_subtracted() -> None:
    assert apply("SET a = a + :x, b = :x - a", {"a": n(1)}, x=n(5)) == {"a": n(6), "b": n(4)}


def test_if_not_exists_and_list_append() -> None:
    text = "SET a = list_append(if_not_exists(a, :none), :more), n = if_not_exists(n, :one) + :one"
    more = {"none": {"L": []}, "more": numbers(1), "one": n(1)}
    assert apply(text, None, **more) == {"a": numbers(1), "n": n(2)}
    assert apply(text, {"a": numbers(7), "n": n(5)}, **more) == {"a": numbers(7, 1), "n": n(6)}


def test_indexes_count_in_the_list_as_it_was() -> None:
    old = {"a": numbers(2, 3, 4, 5, 6, 7)}
    expected = {"a": numbers(2, 4, 17, 6, 7)}
    assert apply("REMOVE a[1] SET a[3] = :v", old, v=n(17)) == expected
    assert apply("SET a[3] = :v REMOVE a[1]", old, v=n(17)) == expected
    assert apply("REMOVE a[0], a[5], a[9]", old) == {"a": numbers(3, 4, 5, 6)}


def test_members_behind_the_end_are_appended_in_order() -> None:
    old = {"a": numbers(1)}
    new = apply("SET a[84] = :a, a[37] = :b REMOVE a[0]", old, a=n(3), b=n(2))
    assert new == {"a": numbers(2, 3)}


def test_nested_changes_leave_the_rest_alone() -> None:
    old = {"a": {"M": {"b": n(1), "c": {"L": [{"M": {"x": n(2), "y": n(3)}}]}}}}
    new = apply("SET a.c[0].x = :v, a.d = a.b REMOVE a.c[0].y", old, v=n(9))
    assert new == {"a": {"M": {"b": n(1), "c": {"L": [{"M": {"x": n(9)}}]}, "d": n(1)}}}


def test_add_sums_and_unites_and_creates() -> None:
    old = {"n": n(3), "s": {"SS": ["a"]}}
    new = apply("ADD n :n, s :s, m :n", old, n=n(-1), s={"SS": ["b", "a"]})
    assert new == {"n": n(2), "s": {"SS": ["a", "b"]}, "m": n(-1)}


def test_delete_takes_members_and_then_the_attribute() -> None:
    old = {"s": {"SS": ["a", "b"]}}
    assert apply("DELETE s :s", old, s={"SS": ["a", "x"]}) == {"s": {"SS": ["b"]}}
    assert apply("DELETE s :s", old, s={"SS": ["a", "b"]}) == {}
    assert apply("DELETE gone :s", old, s={"SS": ["a"]}) == old


def test_only_set_and_add_make_an_item() -> None:
    assert apply("SET a = :v", None, v=n(1)) == {"a": n(1)}
    assert apply("ADD a :v", None, v=n(1)) == {"a": n(1)}
    assert apply("REMOVE a, b.c[1]", None) is None
    assert apply("DELETE a :v", None, v={"NS": ["1"]}) is None
    assert updates.applied(None, None, KEY) == KEY


@pytest.mark.parametrize(
    ("text", "old", "message"),
    [
        ("SET a = b", {}, ("The provided expression refers to an attribute that does not exist in"
         " the item")),
        ("SET x = :v, y = x", {}, ("The provided expression refers to an attribute that does not"
         " exist in the item")),
        ("SET a = b + :v", {"b": {"S": "x"}}, ("An operand in the update expression has an"
         " incorrect data type")),
        ("ADD a :v", {"a": {"S": "x"}}, ("An operand in the update expression has an incorrect"
         " data type")),
        ("SET a.b = :v", {}, ("The document path provided in the update expression is invalid for"
         " update")),
        ("SET a.b = :v", {"a": {"L": []}}, ("The document path provided in the update expression"
         " is invalid for update")),
        ("REMOVE a[0], b.c", {"a": {"L": []}}, ("The document path provided in the update"
         " expression is invalid for update")),
    ],
)  # fmt: skip
def test_updates_that_do_not_fit_the_item(text: str, old: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        apply(text, old, **({"v": n(1)} if ":v" in text else {}))
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("SET a = #x, b = :x", {}, ("An expression attribute name used in the document path is not"
         " defined; attribute name: #x")),
        ("SET a = :x, a.b = :x", {}, ("An expression attribute value used in expression is not"
         " defined; attribute value: :x")),
        ("SET a = b, a.b[1] = c", {}, ("Two document paths overlap with each other; must remove or"
         " rewrite one of these paths; path one: [a], path two: [a, b, [1]]")),
        ("SET a.b.c = d REMOVE a.b", {}, ("Two document paths overlap with each other; must remove"
         " or rewrite one of these paths; path one: [a, b, c], path two: [a, b]")),
        ("SET d[1] = a, d.b = a, c = a, c = b", {}, ("Two document paths overlap with each other;"
         " must remove or rewrite one of these paths; path one: [c], path two: [c]")),
        ("SET a.b = c, a[1] = c", {}, ("Two document paths conflict with each other; must remove"
         " or rewrite one of these paths; path one: [a, b], path two: [a, [1]]")),
        ("ADD a :x SET b = list_append(:x, c)", {":x": {"S": "a"}}, ("Incorrect operand type for"
         " operator or function; operator: ADD, operand type: STRING")),
        ("DELETE a :x", {":x": {"N": "1"}}, ("Incorrect operand type for operator or function;"
         " operator: DELETE, operand type: NUMBER")),
        ("SET a = list_append(b, :x)", {":x": {"S": "a"}}, ("Incorrect operand type for operator"
         " or function; operator or function: list_append, operand type: S")),
        ("SET a = :x - b", {":x": {"S": "a"}}, ("Incorrect operand type for operator or function;"
         " operator or function: -, operand type: S")),
        ("SET a = if_not_exists(:x, b)", {":x": {"S": "a"}}, ("Operator or function requires a"
         " document path; operator or function: if_not_exists")),
        ("SET a = list_append(b)", {}, ("Incorrect number of operands for operator or function;"
         " operator or function: list_append, number of operands: 1")),
    ],
)  # fmt: skip
def test_updates_that_can_never_be_right(text: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        bound(text, values)
    assert caught.value.message == f"Invalid UpdateExpression: {message}"


def test_an_update_cannot_make_a_document_too_deep() -> None:
    deep: Any = {"S": "leaf"}
    for _ in range(30):
        deep = {"M": {"x": deep}}
    update = bound("SET a.b = :v", {":v": deep})
    assert updates.applied(update, KEY | {"a": {"M": {}}}, KEY)
    update = bound("SET a.b.c = :v", {":v": deep})
    with pytest.raises(ValidationException, match="Nesting Levels"):
        updates.applied(update, KEY | {"a": {"M": {"b": {"M": {}}}}}, KEY)


def test_a_projection_cuts_out_what_its_paths_reach() -> None:
    item = {"a": {"M": {"b": numbers(2, 4, 6), "c": n(5)}}, "b": {"S": "hi"}}
    tree = paths.tree_of([("a", "b", 2), ("a", "b", 0), ("a", "x"), ("b",), ("b2", 0)])
    assert paths.cut(item, tree) == {"a": {"M": {"b": numbers(2, 6)}}, "b": {"S": "hi"}}
    assert paths.cut(item, paths.tree_of([("a", "b", 9), ("b", "x"), ("a", "c", 0)])) == {}
