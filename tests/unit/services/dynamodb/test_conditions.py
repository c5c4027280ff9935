from __future__ import annotations

import re
from typing import Any

import pytest

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.requests import SCAN, WRITE, expressions_of

ITEM: dict[str, Any] = {
    "p": {"S": "key"},
    "n": {"N": "5"},
    "s": {"S": "hello"},
    "b": {"B": b"\x80here"},
    "ns": {"NS": ["2", "4"]},
    "l": {"L": [{"N": "2"}, {"M": {"x": {"S": "deep"}}}]},
    "m": {"M": {"x": {"N": "1"}, "y": {"L": [{"N": "-1"}]}}},
    "t": {"BOOL": True},
    "z": {"NULL": True},
}
VALUES: dict[str, Any] = {
    ":5": {"N": "5.0"},
    ":6": {"N": "6"},
    ":hello": {"S": "hello"},
    ":he": {"S": "he"},
    ":here": {"B": b"here"},
    ":7f": {"B": b"\x7f"},
    ":set": {"NS": ["4", "2"]},
    ":2": {"N": "2"},
    ":map": {"M": {"x": {"S": "deep"}}},
    ":N": {"S": "N"},
    ":true": {"BOOL": True},
}


def condition(text: str, values: dict[str, Any] | None = None, **names: str) -> Any:
    given = VALUES if values is None else values
    used = {name: given[name] for name in re.findall(r":\w+", text) if name in given}
    request: dict[str, Any] = {"ConditionExpression": text}
    if used:
        request["ExpressionAttributeValues"] = used
    if names:
        request["ExpressionAttributeNames"] = {f"#{name}": real for name, real in names.items()}
    return expressions_of(request, WRITE).condition


@pytest.mark.parametrize(
    "text",
    [
        "n = :5",
        "n <> :6",
        "n < :6 AND n <= :5 AND n > :2 AND n >= :5",
        ":6 > n",
        "b > :7f",
        "n BETWEEN :2 AND :6",
        "n BETWEEN n2 AND :6 OR n = :5",
        "n IN (:hello, :5)",
        "ns = :set",
        "absent <> :5",
        "absent <> gone",
        "NOT absent = gone",
        "NOT absent < :5",
        "attribute_exists(m.y[0])",
        "attribute_not_exists(m.y[1])",
        "attribute_not_exists(s.x)",
        "attribute_type(n, :N)",
        "attribute_type(:5, :N)",
        "begins_with(s, :he)",
        "contains(s, :he)",
        "contains(b, :here)",
        "contains(ns, :2)",
        "contains(l, :2)",
        "contains(l, :map)",
        "size(s) = :5",
        "size(l) = :2",
        "size(m) = :2",
        "size(ns) = :2",
        "size(s) = n",
        "NOT size(n) = :5",
        "m.x < n AND m.y[0] < m.x",
        "t = :true",
        "n = :6 OR s = :hello",
        "NOT (n = :6 OR s = :he)",
    ],
)
def test_conditions_that_hold(text: str) -> None:
    assert condition(text).holds(ITEM)


@pytest.mark.parametrize(
    "text",
    [
        "n = :hello",
        "absent = gone",
        "absent IN (:5)",
        "n < :hello",
        "l < :5",
        "begins_with(n, :he)",
        "begins_with(s, n)",
        "contains(s, :5)",
        "contains(n, :5)",
        "size(n) = :5",
        "size(absent) <= :5",
        "n BETWEEN l AND m",
        "attribute_exists(l[9])",
        "attribute_exists(l.x)",
        "attribute_exists(m[0])",
    ],
)
def test_conditions_that_do_not_hold(text: str) -> None:
    assert not condition(text).holds(ITEM)


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        (
            "a = :v",
            None,
            "An expression attribute value used in expression is not defined; attribute value: :v",
        ),
        (
            "#a = b",
            None,
            (
                "An expression attribute name used in the document path is not defined;"
                " attribute name: #a"
            ),
        ),
        (
            "a = a",
            None,
            (
                "The first operand must be distinct from the remaining operands for this operator or"
                " function; operator: =, first operand: [a]"
            ),
        ),
        (
            "contains(a[1].b, a[1].b)",
            None,
            (
                "The first operand must be distinct from the remaining operands for this operator or"
                " function; operator: contains, first operand: [a, [1], b]"
            ),
        ),
        (
            "size(a, a) = b",
            None,
            (
                "Incorrect number of operands for operator or function; operator or function: size,"
                " number of operands: 2"
            ),
        ),
        (
            "begins_with(a)",
            None,
            (
                "Incorrect number of operands for operator or function; operator or function:"
                " begins_with, number of operands: 1"
            ),
        ),
        (
            "attribute_exists(:5)",
            {":5": {"N": "5"}},
            (
                "Operator or function requires a document path; operator or function:"
                " attribute_exists"
            ),
        ),
        (
            "begins_with(a, :5)",
            {":5": {"N": "5"}},
            (
                "Incorrect operand type for operator or function; operator or function: begins_with,"
                " operand type: N"
            ),
        ),
        (
            "a < :l",
            {":l": {"L": []}},
            (
                "Incorrect operand type for operator or function; operator or function: <,"
                " operand type: L"
            ),
        ),
        (
            "size(size(a)) = b",
            None,
            (
                "Incorrect operand type for operator or function; operator or function: size,"
                " operand type: N"
            ),
        ),
        (
            "attribute_type(a, :t)",
            {":t": {"S": "DOG"}},
            (
                "Invalid attribute type name found; type: DOG, valid types:"
                " {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
            ),
        ),
        (
            "a BETWEEN :a AND :b",
            {":a": {"N": "2"}, ":b": {"N": "1"}},
            (
                "The BETWEEN operator requires upper bound to be greater than or equal to lower"
                " bound; lower bound operand: AttributeValue: {N:2}, upper bound operand:"
                " AttributeValue: {N:1}"
            ),
        ),
        (
            "a BETWEEN :a AND :b",
            {":a": {"N": "2"}, ":b": {"S": "x"}},
            (
                "The BETWEEN operator requires same data type for lower and upper bounds; lower bound"
                " operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {S:x}"
            ),
        ),
    ],
)
def test_conditions_that_can_never_be_right_are_refused(
    text: str, values: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(ValidationException) as caught:
        condition(text, values or {})
    assert caught.value.message == f"Invalid ConditionExpression: {message}"


def test_names_stand_for_attributes_of_any_spelling() -> None:
    bound = condition("#a.x = :2", a="a.b c")
    assert bound.holds({"a.b c": {"M": {"x": {"N": "2"}}}})
    assert bound.paths == (("a.b c", "x"),)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ExpressionAttributeValues": {":a": {"S": "a"}}},
            (
                "ExpressionAttributeValues can only be specified when using expressions:"
                " ConditionExpression is null"
            ),
        ),
        (
            {"ConditionExpression": "a = b", "ExpressionAttributeNames": {}},
            "ExpressionAttributeNames must not be empty",
        ),
        (
            {"ConditionExpression": "a = b", "ExpressionAttributeNames": {"a": "b"}},
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
        ),
        (
            {"ConditionExpression": "a = b", "ExpressionAttributeValues": {":a": {"N": "x"}}},
            (
                "ExpressionAttributeValues contains invalid value: The parameter cannot be converted"
                " to a numeric value: x for key :a"
            ),
        ),
        (
            {
                "ConditionExpression": "a = :a",
                "ExpressionAttributeValues": {
                    ":a": {"S": "a"},
                    ":b": {"S": "a"},
                    ":c": {"S": "a"},
                },
            },
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b, :c}",
        ),
        (
            {"ConditionExpression": "a = b", "ExpressionAttributeNames": {"#a": "b"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}",
        ),
        (
            {"ConditionExpression": "a = b", "Expected": {}, "ConditionalOperator": "OR"},
            (
                "Can not use both expression and non-expression parameters in the same request:"
                " Non-expression parameters: {Expected, ConditionalOperator} Expression parameters:"
                " {ConditionExpression}"
            ),
        ),
    ],
)
def test_placeholders_and_expressions_belong_together(
    request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationException) as caught:
        expressions_of(request_, WRITE)
    assert caught.value.message == message


def test_errors_name_the_parameter_of_the_expression() -> None:
    with pytest.raises(ValidationException, match=r"^Invalid FilterExpression: "):
        expressions_of({"FilterExpression": "dog(a)"}, SCAN)
