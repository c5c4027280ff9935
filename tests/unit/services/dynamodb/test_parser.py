from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions import parser, syntax
from fogbank.services.dynamodb.rules.expressions.reserved import RESERVED_WORDS

KIND = "ConditionExpression"
word = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True)
name = word.filter(lambda text: text.upper() not in RESERVED_WORDS)
ref = st.from_regex(r"#[a-z0-9_]{1,4}", fullmatch=True).map(syntax.NameRef)
steps = st.lists(name | ref | st.integers(0, 99), max_size=3)
path = st.builds(lambda first, rest: syntax.Path((first, *rest)), name | ref, steps)
value = st.from_regex(r":[a-z0-9_]{1,4}", fullmatch=True).map(syntax.ValueRef)
sized = (path | value).map(lambda operand: syntax.Call("size", (operand,)))
operand = path | value | sized
test = st.builds(
    lambda function, one: syntax.Call(function, (one,)),
    st.sampled_from(["attribute_exists", "attribute_not_exists"]),
    path,
) | st.builds(
    lambda function, one, other: syntax.Call(function, (one, other)),
    st.sampled_from(["attribute_type", "begins_with", "contains"]),
    path,
    value,
)
leaf = (
    st.builds(
        syntax.Comparison, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), operand, operand
    )
    | st.builds(syntax.Between, operand, operand, operand)
    | st.builds(syntax.In, operand, st.lists(operand, min_size=1, max_size=3).map(tuple))
    | test
)


def _junction(operator: str, parts: list[Any]) -> syntax.Condition:
    """Return a junction as the parser builds it: a chain of one operator is one junction."""
    first = parts[0]
    if isinstance(first, syntax.Junction) and first.operator == operator:
        return syntax.Junction(operator, (*first.conditions, *parts[1:]))
    return syntax.Junction(operator, tuple(parts))


condition = st.recursive(
    leaf,
    lambda inner: (
        st.builds(syntax.Not, inner)
        | st.builds(
            _junction, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)
        )
    ),
    max_leaves=6,
)
source = (
    path
    | value
    | st.builds(syntax.Arithmetic, st.sampled_from(["+", "-"]), path | value, path | value)
)
action = (
    st.builds(lambda at, what: syntax.Action("SET", at, what), path, source)
    | st.builds(lambda at: syntax.Action("REMOVE", at), path)
    | st.builds(lambda at, what: syntax.Action("ADD", at, what), path, value)
    | st.builds(lambda at, what: syntax.Action("DELETE", at, what), path, value)
)
update = st.lists(action, min_size=1, max_size=5).map(
    lambda actions: syntax.Update(tuple(sorted(actions, key=lambda one: one.clause)))
)


@pytest.mark.slow
@given(condition)
def test_a_condition_reads_back_as_it_was_written(tree: syntax.Condition) -> None:
    assert parser.parse_condition(syntax.condition_text(tree), KIND) == tree


@pytest.mark.slow
@given(update)
def test_an_update_reads_back_as_it_was_written(tree: syntax.Update) -> None:
    assert parser.parse_update(syntax.update_text(tree)) == tree


@given(st.lists(path, min_size=1, max_size=4))
def test_a_projection_reads_back_as_it_was_written(paths: list[syntax.Path]) -> None:
    tree = syntax.Projection(tuple(paths))
    assert parser.parse_projection(syntax.projection_text(tree)) == tree


@given(st.text(alphabet="ab#:()[]=<>,.+-! 01ANDORTINE\t", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (
        lambda: parser.parse_condition(text, KIND),
        lambda: parser.parse_update(text),
        lambda: parser.parse_projection(text),
    ):
        with suppress(ValidationException):
            parse()


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("a=b OR c=d AND NOT e=f", "a=b OR (c=d AND (NOT e=f))"),
        ("NOT a=b AND c=d", "(NOT a=b) AND c=d"),
        ("a between b and c and d=e", "(a BETWEEN b AND c) AND d=e"),
        ("(a) = :v", "a = :v"),
        ("((a) = (:v))", "a = :v"),
        ("(a.b).c = d", "a.b.c = d"),
        ("(size(a)) > :v", "size(a) > :v"),
        ("a IN((b),c)", "a IN (b, c)"),
        ("NOT(a=b)", "NOT a=b"),
        ("((a=b) and c=d)", "a=b and c=d"),
    ],
)
def test_precedence_and_parentheses(text: str, same_as: str) -> None:
    assert parser.parse_condition(text, KIND) == parser.parse_condition(same_as, KIND)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        (" \t", "The expression can not be empty;"),
        ("a", 'Syntax error; token: "<EOF>", near: "a"'),
        ("a AND b=c", 'Syntax error; token: "AND", near: "a AND b"'),
        ("NOT a", 'Syntax error; token: "<EOF>", near: "a"'),
        ("a = :v OR NOT :v", 'Syntax error; token: "<EOF>", near: ":v"'),
        ("a != b", 'Syntax error; token: "!", near: "a !="'),
        ("a IN ()", 'Syntax error; token: ")", near: "()"'),
        ("a=b)", 'Syntax error; token: ")", near: "b)"'),
        ("((a=b))", "The expression has redundant parentheses;"),
        ("a = ((b))", "The expression has redundant parentheses;"),
        ("dog(a)", "Invalid function name; function: dog"),
        ("list_append(a, b) = c", ("The function is not allowed in a condition expression;"
         " function: list_append")),
        ("size(a)", ("The function is not allowed to be used this way in an expression;"
         " function: size")),
        ("attribute_exists(a) = b", ("The function is not allowed to be used this way in an"
         " expression; function: attribute_exists")),
        ("abort = :v", "Attribute name is a reserved keyword; reserved keyword: abort"),
        ("a" * 4_097, ("Expression size has exceeded the maximum allowed size;"
         " expression size: 4097")),
        ("NOT " * 301 + "a=b", "The expression contains too many operators; operator count: 301"),
        ("a IN (" + ",".join(["b"] * 101) + ")", ("The IN operator is provided with too many"
         " operands; number of operands: 101")),
        ("a[99999999999] = b", ("List index is not within the allowable range;"
         " index: [99999999999]")),
        ("a" + ".b" * 32 + " = c", ("The document path has too many nesting levels;"
         " nesting levels: 33")),
    ],
)  # fmt: skip
def test_conditions_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        parser.parse_condition(text, KIND)
    assert caught.value.message == f"Invalid {KIND}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SET _123 = :v", 'Syntax error; token: "_", near: "SET _123"'),
        ("INVALID SYNTAX HERE", 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        ("ADD hits : incr", 'Syntax error; token: ":", near: "hits : incr"'),
        ("SET a = :v,", 'Syntax error; token: "<EOF>", near: ","'),
        ("SET a = b + c + d", 'Syntax error; token: "+", near: "c + d"'),
        ("SET :a = :b", 'Syntax error; token: ":a", near: "SET :a ="'),
        ("SET a = :v SET b = :w", ('The "SET" section can only be used once in an update'
         " expression;")),
        ("SET a = f(b)", "Invalid function name; function: f"),
        ("SET a = size(b)", ("The function is not allowed in an update expression;"
         " function: size")),
        ("SET a = list_append(list_append(a, b), c)", ("The function is not allowed to be used"
         " this way in an expression; function: list_append")),
    ],
)  # fmt: skip
def test_updates_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        parser.parse_update(text)
    assert caught.value.message == f"Invalid UpdateExpression: {message}"


@pytest.mark.parametrize("text", ["(" * 4_096, "a < " + "f(" * 1_355 + "b" + ")" * 1_355])
def test_deep_nesting_is_refused_and_not_recursed_into(text: str) -> None:
    with pytest.raises(ValidationException, match="nested too deeply"):
        parser.parse_condition(text, KIND)


def test_three_hundred_operators_are_read_however_they_nest() -> None:
    tree = parser.parse_condition("a<b " + "or (a<b " * 149 + ")" * 149, KIND)
    assert isinstance(tree, syntax.Junction)
