from __future__ import annotations

from typing import Any

import pytest

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions import updates
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm
from fogbank.services.dynamodb.rules.requests import GET, QUERY, SCAN, UPDATE, expressions_of

INVALID = "One or more parameter values were invalid: "
ITEM: dict[str, Any] = {"n": {"N": "5"}, "s": {"S": "hello"}, "l": {"L": [{"N": "5"}]}}


def n(number: int) -> dict[str, str]:
    return {"N": str(number)}


def holds(conditions: dict[str, Any], joined: str | None = None) -> bool:
    request: dict[str, Any] = {"ScanFilter": conditions}
    if joined:
        request["ConditionalOperator"] = joined
    condition = expressions_of(request, SCAN).filter
    assert condition is not None
    return condition.holds(ITEM)


@pytest.mark.parametrize(
    ("name", "operator", "values", "answer"),
    [
        ("n", "EQ", [n(5)], True),
        ("n", "NE", [n(5)], False),
        ("absent", "NE", [n(5)], True),
        ("n", "LT", [n(6)], True),
        ("n", "LE", [n(4)], False),
        ("n", "GT", [n(4)], True),
        ("n", "GE", [n(5)], True),
        ("n", "BETWEEN", [n(5), n(7)], True),
        ("n", "IN", [n(1), n(5)], True),
        ("n", "NULL", [], False),
        ("absent", "NULL", [], True),
        ("n", "NOT_NULL", [], True),
        ("s", "BEGINS_WITH", [{"S": "he"}], True),
        ("s", "CONTAINS", [{"S": "ell"}], True),
        ("l", "CONTAINS", [n(5)], True),
        ("l", "NOT_CONTAINS", [n(6)], True),
        ("absent", "NOT_CONTAINS", [n(6)], False),
        ("a.b #:", "NULL", [], True),
    ],
)
def test_an_operator_compares_as_documented(
    name: str, operator: str, values: list[Any], answer: bool
) -> None:
    condition = {"ComparisonOperator": operator, "AttributeValueList": values}
    assert holds({name: condition}) is answer


def test_conditions_are_joined_by_and_unless_told_otherwise() -> None:
    both = {
        "n": {"ComparisonOperator": "EQ", "AttributeValueList": [n(5)]},
        "s": {"ComparisonOperator": "NULL"},
    }
    assert not holds(both)
    assert not holds(both, "AND")
    assert holds(both, "OR")


@pytest.mark.parametrize(
    ("operator", "values", "message"),
    [
        ("EQ", [], f"{INVALID}Invalid number of argument(s) for the EQ ComparisonOperator"),
        ("NULL", [n(1)], (f"{INVALID}Invalid number of argument(s) for the NULL"
         " ComparisonOperator")),
        ("BETWEEN", [n(1)], (f"{INVALID}Invalid number of argument(s) for the BETWEEN"
         " ComparisonOperator")),
        ("IN", [n(1), {"S": "a"}], (f"{INVALID}AttributeValues inside AttributeValueList must be"
         " of same type")),
        ("LT", [{"L": []}], (f"{INVALID}ComparisonOperator LT is not valid for L AttributeValue"
         " type")),
        ("BEGINS_WITH", [n(1)], (f"{INVALID}ComparisonOperator BEGINS_WITH is not valid for N"
         " AttributeValue type")),
        ("BETWEEN", [n(10), n(9)], ("The BETWEEN condition was provided a range where the lower"
         " bound is greater than the upper bound")),
    ],
)  # fmt: skip
def test_operators_that_do_not_fit_their_values(
    operator: str, values: list[Any], message: str
) -> None:
    with pytest.raises(ValidationException) as caught:
        holds({"n": {"ComparisonOperator": operator, "AttributeValueList": values}})
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"Value": n(1), "AttributeValueList": [n(1)]}, ("Value and AttributeValueList cannot be"
         " used together for Attribute: a")),
        ({"Exists": True, "ComparisonOperator": "EQ"}, ("Exists and ComparisonOperator cannot be"
         " used together for Attribute: a")),
        ({"ComparisonOperator": "EQ"}, ("Value or AttributeValueList must be used with"
         " ComparisonOperator: EQ for Attribute: a")),
        ({"AttributeValueList": [n(1)]}, ("AttributeValueList can only be used with a"
         " ComparisonOperator for Attribute: a")),
        ({}, "Value must be provided when Exists is null for Attribute: a"),
        ({"Exists": True}, "Value must be provided when Exists is true for Attribute: a"),
        ({"Exists": False, "Value": n(1)}, ("Value cannot be used when Exists is false for"
         " Attribute: a")),
    ],
)  # fmt: skip
def test_expectations_that_contradict_themselves(expected: Any, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        expressions_of({"Expected": {"a": expected}}, UPDATE)
    assert caught.value.message == f"{INVALID}{message}"


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ({"n": {"Value": n(5)}}, True),
        ({"n": {"Exists": True, "Value": n(6)}}, False),
        ({"n": {"Exists": False}}, False),
        ({"absent": {"Exists": False}}, True),
        ({"n": {"ComparisonOperator": "GT", "Value": n(4)}}, True),
    ],
)
def test_an_expectation_holds_or_not(expected: Any, answer: bool) -> None:
    condition = expressions_of({"Expected": expected}, UPDATE).condition
    assert condition is not None
    assert condition.holds(ITEM) is answer


def test_an_operator_needs_conditions_to_join() -> None:
    with pytest.raises(ValidationException, match="cannot be used without Filter or Expected"):
        expressions_of({"Expected": {}, "ConditionalOperator": "OR"}, UPDATE)
    with pytest.raises(ValidationException, match="two or more elements"):
        holds({"n": {"ComparisonOperator": "NULL"}}, "OR")


def test_key_conditions_become_terms() -> None:
    given = {
        "p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]},
        "c": {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "y"}]},
    }
    assert expressions_of({"KeyConditions": given}, QUERY).key_terms == {
        "p": KeyTerm("=", ({"S": "x"},)),
        "c": KeyTerm("begins_with", ({"S": "y"},)),
    }
    given["c"]["ComparisonOperator"] = "NE"
    with pytest.raises(ValidationException, match="not an indexable operation"):
        expressions_of({"KeyConditions": given}, QUERY)


def test_key_conditions_alone_may_stand_beside_expressions() -> None:
    given = {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]}}
    request = {"KeyConditions": given, "FilterExpression": "attribute_exists(a)"}
    found = expressions_of(request, QUERY)
    assert found.key_terms
    assert found.filter is not None
    with pytest.raises(ValidationException, match="Can not use both"):
        expressions_of({**request, "AttributesToGet": ["a"]}, QUERY)


def test_attributes_to_get_are_a_projection() -> None:
    projection = expressions_of({"AttributesToGet": ["n", "absent"]}, GET).projection
    assert projection is not None
    assert projection.of(ITEM) == {"n": n(5)}
    with pytest.raises(ValidationException, match="Duplicate value in attribute name: a"):
        expressions_of({"AttributesToGet": ["a", "a"]}, GET)


def updated(changes: dict[str, Any], old: dict[str, Any] | None = ITEM) -> Any:
    update = expressions_of({"AttributeUpdates": changes}, UPDATE).update
    return updates.applied(update, old, {"p": {"S": "key"}})


def test_attribute_updates_are_an_update() -> None:
    changes = {
        "n": {"Action": "ADD", "Value": n(2)},
        "l": {"Action": "ADD", "Value": {"L": [n(5)]}},
        "s": {"Action": "DELETE"},
        "new": {"Value": {"SS": ["a"]}},
    }
    assert updated(changes) == {
        "n": n(7),
        "l": {"L": [n(5), n(5)]},
        "new": {"SS": ["a"]},
    }
    assert updated({}, None) == {"p": {"S": "key"}}
    assert updated({"a": {"Action": "DELETE"}}, None) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Action": "PUT"}, (f"{INVALID}Only DELETE action is allowed when no attribute value is"
         " specified")),
        ({"Action": "DELETE", "Value": n(1)}, (f"{INVALID}DELETE action with value is not"
         " supported for the type N")),
        ({"Action": "ADD", "Value": {"S": "a"}}, (f"{INVALID}ADD action is not supported for the"
         " type S")),
        ({"Action": "ADD", "Value": n(1)}, "Type mismatch for attribute to update"),
    ],
)  # fmt: skip
def test_attribute_updates_that_are_refused(change: Any, message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        updated({"s": change})
    assert caught.value.message == message
