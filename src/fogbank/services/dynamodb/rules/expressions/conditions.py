"""Conditions: bound to the placeholders of a request, and then asked of items.

Rule: what a request gets wrong is an error when the condition is bound; what an item lacks, or
holds in another type, only makes the condition not hold. Binding turns the tree into functions
of an item, because a filter is asked of every item of a page.

Source: Amazon DynamoDB Developer Guide, "Condition and filter expressions, operators, and
functions in DynamoDB".
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from fogbank.services.dynamodb.rules import paths
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.reader import invalid
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
from fogbank.services.dynamodb.rules.values import SCALAR_TYPES, Item, Value, equal, type_of

Holds = Callable[[Item], bool]
Get = Callable[[Item], Value | None]
T = TypeVar("T")

_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERANDS: Final = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
_SIZELESS_TYPES: Final = frozenset({"N", "BOOL", "NULL"})
_SET_OF: Final = {"S": "SS", "N": "NS", "B": "BS"}
_TYPES: Final = ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M")


class BoundCondition(NamedTuple):
    """A condition that can be asked of items."""

    holds: Holds
    paths: tuple[paths.Path, ...]
    """Every path that it looks at."""


class _Bound(NamedTuple):
    """An operand with what is known of it before there is an item."""

    get: Get
    path: paths.Path | None = None
    type: str | None = None
    """The type of its answer, where the request fixes it."""
    value: Value | None = None


def bind(condition: Condition, placeholders: Placeholders, kind: str) -> BoundCondition:
    """Return a condition that can be asked of items.

    Args:
        condition: The tree.
        placeholders: What the names and values in it stand for.
        kind: The parameter it was sent in; errors name it.

    Raises:
        ValidationException: A placeholder is not defined, or an operand can never be right.
    """
    binder = _Binder(placeholders, kind)
    return BoundCondition(binder.condition(condition), tuple(binder.paths))


class _Binder:
    """Binds one condition; its leaves are checked from left to right, as AWS does."""

    __slots__ = ("_kind", "_placeholders", "paths")

    def __init__(self, placeholders: Placeholders, kind: str) -> None:
        self._placeholders = placeholders
        self._kind = kind
        self.paths: list[paths.Path] = []

    def condition(self, tree: Condition) -> Holds:
        """Return the function of a condition."""
        match tree:
            case Junction(word, conditions):
                parts = tuple(map(self.condition, conditions))
                return _all_of(parts) if word == "AND" else _any_of(parts)
            case Not(inner):
                holds = self.condition(inner)
                return lambda item: not holds(item)
            case Comparison(word, left, right):
                return self._comparison(word, self._bind(left), self._bind(right))
            case Between(operand, low, high):
                return self._between(self._bind(operand), self._bind(low), self._bind(high))
            case In(operand, choices):
                return self._in(self._bind(operand), tuple(map(self._bind, choices)))
            case Call(function, operands):
                return self._test(function, tuple(map(self._bind, operands)))

    def _bind(self, operand: Operand) -> _Bound:
        """Return an operand with what is known of it."""
        if isinstance(operand, ValueRef):
            value = self._placeholders.value(operand, self._kind)
            return _Bound(_constant(value), type=type_of(value), value=value)
        if isinstance(operand, Path):
            path = self._placeholders.path(operand, self._kind)
            self.paths.append(path)
            return _Bound(_getter(path), path=path)
        bound = tuple(map(self._bind, operand.operands))
        self._require_count(operand.function, bound)
        return self._size(bound[0])

    def _require_count(self, function: str, operands: tuple[_Bound, ...]) -> None:
        """Refuse a function with too few or too many operands."""
        if len(operands) != _OPERANDS[function]:
            raise self._invalid(
                "Incorrect number of operands for operator or function;"
                f" operator or function: {function}, number of operands: {len(operands)}"
            )

    def _require_type(self, word: str, operand: _Bound, types: frozenset[str]) -> None:
        """Refuse an operand whose type is known and is none of those that can be right."""
        if operand.type is not None and operand.type not in types:
            raise self._wrong_type(word, operand.type)

    def _wrong_type(self, word: str, shown: str) -> Exception:
        """Return the error for an operand of a type that an operator does not take."""
        return self._invalid(
            "Incorrect operand type for operator or function;"
            f" operator or function: {word}, operand type: {shown}"
        )

    def _require_distinct(self, word: str, left: _Bound, right: _Bound) -> None:
        """Refuse to compare a path with itself."""
        if left.path is not None and left.path == right.path:
            raise self._invalid(
                "The first operand must be distinct from the remaining operands for this operator"
                f" or function; operator: {word}, first operand: {paths.path_text(left.path)}"
            )

    def _invalid(self, message: str) -> Exception:
        """Return the error for this expression."""
        return invalid(self._kind, message)

    def _size(self, operand: _Bound) -> _Bound:
        """Return ``size(operand)``: a number."""
        if operand.type in _SIZELESS_TYPES:
            raise self._wrong_type("size", operand.type or "")
        get = operand.get

        def size(item: Item) -> Value | None:
            value = get(item)
            if value is None or type_of(value) in _SIZELESS_TYPES:
                return None
            [content] = value.values()
            length = len(content.encode() if isinstance(content, str) else content)
            return {"N": str(length)}

        return _Bound(size, type="N")

    def _comparison(self, word: str, left: _Bound, right: _Bound) -> Holds:
        """Return the function of a comparison."""
        self._require_distinct(word, left, right)
        get_left, get_right = left.get, right.get
        if word in _ORDERINGS:
            for operand in (left, right):
                self._require_type(word, operand, SCALAR_TYPES)
            ordered = _ORDERINGS[word]
            return lambda item: _in_order(get_left(item), get_right(item), ordered)

        def same(item: Item) -> bool:
            one, other = get_left(item), get_right(item)
            return one is not None and other is not None and equal(one, other)

        # AWS: what is missing equals nothing, not even what is missing too, and so differs from
        # everything (scylladb test/alternator, test_update_condition_ne_two_unset).
        return same if word == "=" else lambda item: not same(item)

    def _between(self, operand: _Bound, low: _Bound, high: _Bound) -> Holds:
        """Return the function of a BETWEEN."""
        for bound in (operand, low, high):
            self._require_type("BETWEEN", bound, SCALAR_TYPES)
        if low.value is not None and high.value is not None:
            self._require_bounds(low.value, high.value)
        get, get_low, get_high = operand.get, low.get, high.get

        def between(item: Item) -> bool:
            value = get(item)
            return _in_order(get_low(item), value, operator.le) and _in_order(
                value, get_high(item), operator.le
            )

        return between

    def _require_bounds(self, low: Value, high: Value) -> None:
        """Refuse bounds between which nothing can lie."""
        fault = ""
        if type_of(low) != type_of(high):
            fault = "same data type for lower and upper bounds"
        elif not _in_order(low, high, operator.le):
            fault = "upper bound to be greater than or equal to lower bound"
        if fault:
            raise self._invalid(
                f"The BETWEEN operator requires {fault};"
                f" lower bound operand: {_shown(low)}, upper bound operand: {_shown(high)}"
            )

    def _in(self, operand: _Bound, choices: tuple[_Bound, ...]) -> Holds:
        """Return the function of an IN."""
        for choice in choices:
            self._require_distinct("IN", operand, choice)
        get, gets = operand.get, tuple(choice.get for choice in choices)

        def among(item: Item) -> bool:
            value = get(item)
            if value is None:
                return False
            found = (get_choice(item) for get_choice in gets)
            return any(choice is not None and equal(value, choice) for choice in found)

        return among

    def _test(self, function: str, operands: tuple[_Bound, ...]) -> Holds:
        """Return the function of a call that answers a truth value."""
        self._require_count(function, operands)
        first, second = operands[0], operands[-1]
        if len(operands) > 1:
            self._require_distinct(function, first, second)
        if function in ("attribute_exists", "attribute_not_exists"):
            return self._existence(function, first)
        if function == "attribute_type":
            return self._attribute_type(first, second)
        get, get_part = first.get, second.get
        if function == "contains":
            return lambda item: _contains(get(item), get_part(item))
        for operand in operands:
            self._require_type(function, operand, frozenset({"S", "B"}))
        return lambda item: begins_with(get(item), get_part(item))

    def _existence(self, function: str, operand: _Bound) -> Holds:
        """Return the function of ``attribute_exists`` and its opposite."""
        if operand.path is None:
            raise self._invalid(
                f"Operator or function requires a document path; operator or function: {function}"
            )
        get = operand.get
        if function == "attribute_exists":
            return lambda item: get(item) is not None
        return lambda item: get(item) is None

    def _attribute_type(self, operand: _Bound, wanted: _Bound) -> Holds:
        """Return the function of ``attribute_type``; the type must come from the request."""
        if wanted.type is None:
            raise self._wrong_type("attribute_type", f"{{{','.join(_TYPES)}}}")
        self._require_type("attribute_type", wanted, frozenset({"S"}))
        assert wanted.value is not None, "only a placeholder has the type S before there is an item"
        name = wanted.value["S"]
        if name not in _TYPES:
            raise self._invalid(
                f"Invalid attribute type name found; type: {name},"
                f" valid types: {{{','.join(_TYPES)}}}"
            )
        get = operand.get
        return lambda item: name in (get(item) or {})


def _constant(value: Value) -> Get:
    """Return what finds the same value in every item."""
    return lambda _item: value


def _getter(path: paths.Path) -> Get:
    """Return what finds the value at a path; most paths are one name."""
    match path:
        case (str(name),):
            return lambda item: item.get(name)
        case _:
            return lambda item: paths.find(item, path)


def _all_of(parts: tuple[Holds, ...]) -> Holds:
    """Return the conjunction of conditions."""
    return lambda item: all(holds(item) for holds in parts)


def _any_of(parts: tuple[Holds, ...]) -> Holds:
    """Return the disjunction of conditions."""
    return lambda item: any(holds(item) for holds in parts)


def _in_order(left: Value | None, right: Value | None, ordered: Callable[[Any, Any], bool]) -> bool:
    """Return whether two values of one scalar type stand in an order; texts as their UTF-8."""
    if left is None or right is None:
        return False
    [(kind, content)] = left.items()
    if kind not in SCALAR_TYPES or kind not in right:
        return False
    if kind == "N":
        return ordered(Decimal(content), Decimal(right[kind]))
    return ordered(content, right[kind])


def begins_with(value: Value | None, start: Value | None) -> bool:
    """Return whether a text or binary begins with another."""
    if value is None or start is None:
        return False
    [(kind, content)] = value.items()
    return kind in ("S", "B") and kind in start and content.startswith(start[kind])


def _contains(value: Value | None, part: Value | None) -> bool:
    """Return whether a text has a part, or a set or list a member."""
    if value is None or part is None:
        return False
    [(kind, content)] = value.items()
    if kind == "L":
        return any(equal(member, part) for member in content)
    [(part_kind, part_content)] = part.items()
    if kind in ("S", "B") and kind == part_kind:
        return part_content in content
    return _SET_OF.get(part_kind) == kind and part_content in content


def _shown(value: Value) -> str:
    """Return a value as AWS's messages show it."""
    [(kind, content)] = value.items()
    return f"AttributeValue: {{{kind}:{content}}}"
