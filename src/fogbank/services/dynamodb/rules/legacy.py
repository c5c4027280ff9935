"""The parameters from before there were expressions, translated into the expression language.

Rule: an old parameter is checked in its own words, written as the tree of an expression, and from
then on is one. ``{"a": {"ComparisonOperator": "GT", "AttributeValueList": [v]}}`` becomes
``a > :v``.

Source: Amazon DynamoDB Developer Guide, "Legacy DynamoDB conditional parameters"; the messages
are those that architect/dynalite (validations/index.js) measured against AWS.
"""

from __future__ import annotations

from typing import Any, Final

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import numbers, values
from fogbank.services.dynamodb.rules.expressions import conditions, projections, updates
from fogbank.services.dynamodb.rules.expressions.conditions import BoundCondition
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm, KeyTerms
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.projections import BoundProjection
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Action,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Junction,
    Not,
    Path,
    Update,
    ValueRef,
)
from fogbank.services.dynamodb.rules.expressions.updates import BoundUpdate
from fogbank.services.dynamodb.rules.values import SCALAR_TYPES, SET_TYPES, Value, type_of

_INVALID: Final = "One or more parameter values were invalid: "
_COMPARATORS: Final = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_TERMS: Final = {"EQ", "LT", "LE", "GT", "GE", "BETWEEN", "BEGINS_WITH"}
_OPERANDS: Final = {"NULL": (0, 0), "NOT_NULL": (0, 0), "BETWEEN": (2, 2), "IN": (1, 100)}
"""How many values an operator takes, at least and at most; all others take one."""
_TYPES: Final = {
    "EQ": frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M"}) | SET_TYPES,
    "NE": frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M"}) | SET_TYPES,
    "BEGINS_WITH": frozenset({"S", "B"}),
}
"""Types an operator takes; all others take scalars."""


class _Writer:
    """Writes conditions whose values become placeholders."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def ref(self, value: Value) -> ValueRef:
        """Return a placeholder for a value."""
        text = f":{len(self.values)}"
        self.values[text] = value
        return ValueRef(text)

    def condition(self, name: str, operator: str, given: list[Value]) -> Condition:
        """Return what an operator says of an attribute."""
        path, refs = Path((name,)), [self.ref(value) for value in given]
        tree: Condition
        match operator:
            case "NULL":
                tree = Call("attribute_not_exists", (path,))
            case "NOT_NULL":
                tree = Call("attribute_exists", (path,))
            case "IN":
                tree = In(path, tuple(refs))
            case "BETWEEN":
                tree = Between(path, refs[0], refs[1])
            case "CONTAINS" | "BEGINS_WITH":
                tree = Call(operator.lower(), (path, refs[0]))
            case "NOT_CONTAINS":
                # AWS: a missing attribute meets neither CONTAINS nor NOT_CONTAINS (scylladb
                # test/alternator, test_update_expected_1_not_contains).
                exists = Call("attribute_exists", (path,))
                tree = Junction("AND", (exists, Not(Call("contains", (path, refs[0])))))
            case _:
                tree = Comparison(_COMPARATORS[operator], path, refs[0])
        return tree

    def placeholders(self) -> Placeholders:
        """Return the placeholders that were written."""
        return Placeholders({}, self.values)


def condition_of(request: Request, parameter: str) -> BoundCondition | None:
    """Return the condition that ``Expected``, ``QueryFilter`` or ``ScanFilter`` sets, or None."""
    given: dict[str, Wire] = request.get(parameter, {})
    joined: str | None = request.get("ConditionalOperator")
    if joined is not None and len(given) < 2:  # noqa: PLR2004 (there is nothing to join)
        fault = (
            "can only be used when Filter or Expected has two or more elements"
            if given
            else "cannot be used without Filter or Expected"
        )
        raise ValidationException(f"ConditionalOperator {fault}")
    if not given:
        return None
    writer = _Writer()
    read = _expected if parameter == "Expected" else _filtered
    found = [writer.condition(name, *read(name, wanted)) for name, wanted in given.items()]
    tree = found[0] if len(found) == 1 else Junction(joined or "AND", tuple(found))
    return conditions.bind(tree, writer.placeholders(), parameter)


def _filtered(_name: str, wanted: Wire) -> tuple[str, list[Value]]:
    """Return the operator and the values of a ``Condition``."""
    operator: str = wanted["ComparisonOperator"]
    given = [values.admit(value) for value in wanted.get("AttributeValueList", ())]
    _require_operands(operator, given)
    return operator, given


def _expected(name: str, wanted: Wire) -> tuple[str, list[Value]]:
    """Return the operator and the values of an ``ExpectedAttributeValue``."""
    _require_expected(name, wanted)
    given: list[Value] = wanted.get("AttributeValueList", [])
    if "Value" in wanted:
        given = [wanted["Value"]]
    given = [values.admit(value) for value in given]
    operator = wanted.get("ComparisonOperator")
    if operator is None:
        return ("EQ" if wanted.get("Exists", True) else "NULL"), given
    _require_operands(operator, given)
    return operator, given


def _require_expected(name: str, wanted: Wire) -> None:
    """Refuse members of an ``ExpectedAttributeValue`` that contradict each other."""
    fault = ""
    operator = wanted.get("ComparisonOperator")
    listed, single, exists = "AttributeValueList" in wanted, "Value" in wanted, "Exists" in wanted
    if listed and single:
        fault = "Value and AttributeValueList cannot be used together"
    elif operator is not None and exists:
        fault = "Exists and ComparisonOperator cannot be used together"
    elif operator is not None:
        if operator not in ("NULL", "NOT_NULL") and not listed and not single:
            fault = f"Value or AttributeValueList must be used with ComparisonOperator: {operator}"
    elif listed:
        fault = "AttributeValueList can only be used with a ComparisonOperator"
    elif wanted.get("Exists", True) and not single:
        shown = "true" if exists else "null"
        fault = f"Value must be provided when Exists is {shown}"
    elif single and not wanted.get("Exists", True):
        fault = "Value cannot be used when Exists is false"
    if fault:
        raise ValidationException(f"{_INVALID}{fault} for Attribute: {name}")


def _require_operands(operator: str, given: list[Value]) -> None:
    """Refuse too few or too many values of an operator, or values it does not take."""
    least, most = _OPERANDS.get(operator, (1, 1))
    if not least <= len(given) <= most:
        raise ValidationException(
            f"{_INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator"
        )
    if len({type_of(value) for value in given}) > 1:
        raise ValidationException(
            f"{_INVALID}AttributeValues inside AttributeValueList must be of same type"
        )
    for value in given:
        if type_of(value) not in _TYPES.get(operator, SCALAR_TYPES):
            raise ValidationException(
                f"{_INVALID}ComparisonOperator {operator} is not valid for {type_of(value)}"
                " AttributeValue type"
            )
    if operator == "BETWEEN" and _above(given[0], given[1]):
        raise ValidationException(
            "The BETWEEN condition was provided a range where the lower bound is greater than the"
            " upper bound"
        )


def _above(left: Value, right: Value) -> bool:
    """Return whether a scalar is greater than another of its type."""
    [(kind, content)] = left.items()
    if kind == "N":
        return numbers.sort_bytes(content) > numbers.sort_bytes(right[kind])
    return bool(content > right[kind])


def key_terms_of(request: Request) -> KeyTerms | None:
    """Return what ``KeyConditions`` require, or None if they are not there."""
    given: dict[str, Wire] | None = request.get("KeyConditions")
    if given is None:
        return None
    terms: KeyTerms = {}
    for name, wanted in given.items():
        operator, found = _filtered(name, wanted)
        if operator not in _TERMS:
            raise ValidationException(
                "Attempted conditional constraint is not an indexable operation"
            )
        word = "begins_with" if operator == "BEGINS_WITH" else operator
        terms[name] = KeyTerm(_COMPARATORS.get(operator, word), tuple(found))
    return terms


def projection_of(request: Request) -> BoundProjection | None:
    """Return what ``AttributesToGet`` ask for, or None if they are not there."""
    names: list[str] | None = request.get("AttributesToGet")
    if names is None:
        return None
    for name in names:
        values.require_name(name)
        if names.count(name) > 1:
            raise ValidationException(f"{_INVALID}Duplicate value in attribute name: {name}")
    resolved = tuple((name,) for name in names)
    return BoundProjection(projections.tree_of(resolved, "AttributesToGet"), resolved)


def update_of(request: Request) -> BoundUpdate | None:
    """Return what ``AttributeUpdates`` change, or None if they are not there."""
    given: dict[str, Wire] | None = request.get("AttributeUpdates")
    if given is None:
        return None
    writer = _Writer()
    actions = tuple(_action(writer, values.require_name(name), given[name]) for name in given)
    return updates.bind_legacy(Update(actions), writer.placeholders())


def _action(writer: _Writer, name: str, wanted: Wire) -> Action:
    """Return one change of an attribute."""
    word: str = wanted.get("Action", "PUT")
    given: Any = wanted.get("Value")
    if given is None:
        if word != "DELETE":
            raise ValidationException(
                f"{_INVALID}Only DELETE action is allowed when no attribute value is specified"
            )
        return Action("REMOVE", Path((name,)))
    value = values.admit(given)
    kind = type_of(value)
    if word == "DELETE" and kind not in SET_TYPES:
        raise ValidationException(
            f"{_INVALID}DELETE action with value is not supported for the type {kind}"
        )
    if word == "ADD" and kind not in SET_TYPES | {"N", "L"}:
        raise ValidationException(f"{_INVALID}ADD action is not supported for the type {kind}")
    return Action("SET" if word == "PUT" else word, Path((name,)), writer.ref(value))
