"""Key conditions: the conditions of a query, one for each attribute of the key.

Rule: the language is that of conditions, of which only comparisons of one attribute with values
are left, joined by AND. What is left out is refused by name, as AWS does.

Source: Amazon DynamoDB Developer Guide, "Key condition expressions for the Query operation".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, NoReturn

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions import conditions
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Junction,
    Not,
    Operand,
    Path,
    ValueRef,
)
from fogbank.services.dynamodb.rules.values import Value

KIND: Final = "KeyConditionExpression"
_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class KeyTerm(NamedTuple):
    """What a query requires of one attribute of the key.

    ``operator`` is a comparator, ``BETWEEN`` with two values, or ``begins_with``.
    """

    operator: str
    values: tuple[Value, ...]


KeyTerms = dict[str, KeyTerm]


def bind(condition: Condition, placeholders: Placeholders) -> KeyTerms:
    """Return the terms of a key condition by attribute.

    Raises:
        ValidationException: It is no condition, or none that a query can have.
    """
    conditions.bind(condition, placeholders, KIND)
    terms: KeyTerms = {}
    for leaf in _leaves_of(condition):
        name, term = _term_of(leaf, placeholders)
        if name in terms:
            raise ValidationException(
                "KeyConditionExpressions must only contain one condition per key"
            )
        terms[name] = term
    return terms


def _leaves_of(condition: Condition) -> Iterator[Comparison | Between | Call]:
    """Yield the conditions joined by AND, and refuse every other junction."""
    match condition:
        case Junction("AND", parts):
            for part in parts:
                yield from _leaves_of(part)
        case Junction(operator, _):
            _refuse_operator(operator)
        case Not():
            _refuse_operator("NOT")
        case In():
            _refuse_operator("IN")
        case Comparison("<>", _, _):
            _refuse_operator("<>")
        case Comparison() | Between() | Call("begins_with", _):
            yield condition
        case Call(function, _):
            _refuse_operator(function)


def _refuse_operator(operator: str) -> NoReturn:
    """Raise the error for an operator that key conditions do not have."""
    raise ValidationException(f"Invalid operator used in KeyConditionExpression: {operator}")


def _term_of(leaf: Comparison | Between | Call, placeholders: Placeholders) -> tuple[str, KeyTerm]:
    """Return the attribute of a condition and what is required of it."""
    match leaf:
        case Comparison(operator, left, right):
            operands: tuple[Operand, ...] = (left, right)
        case Between(operand, low, high):
            operator, operands = "BETWEEN", (operand, low, high)
        case Call(operator, operands):
            pass
    if operator not in _MIRRORED and not isinstance(operands[0], Path):
        _refuse(f"{operator} operator must have the key attribute as its first operand")
    name = _attribute_of(operands, placeholders)
    if not isinstance(operands[0], Path):
        operator = _MIRRORED[operator]
    given = [operand for operand in operands if isinstance(operand, ValueRef)]
    return name, KeyTerm(operator, tuple(placeholders.value(ref, KIND) for ref in given))


def _attribute_of(operands: tuple[Operand, ...], placeholders: Placeholders) -> str:
    """Return the one attribute among the operands of a condition."""
    names: list[str | int] = []
    for operand in operands:
        if isinstance(operand, Call):
            raise ValidationException("KeyConditionExpressions cannot contain nested operations")
        if isinstance(operand, Path):
            if names:
                _refuse("Multiple attribute names used in one condition")
            path = placeholders.path(operand, KIND)
            names.extend(path[:1])
            if len(path) > 1:
                raise ValidationException(
                    "KeyConditionExpressions cannot have conditions on nested attributes"
                )
    if not names:
        _refuse("No key attribute specified")
    return str(names[0])


def _refuse(message: str) -> NoReturn:
    """Raise the error for a condition whose operands are not one attribute and values."""
    raise ValidationException(f"Invalid condition in KeyConditionExpression: {message}")
