"""The Condition element: operators, sets and ``IfExists``, compiled to closures.

Rule: every key of every operator must hold; of a key's values one must match, and none for a
negated operator. A key that is absent fails, but for negated operators, ``IfExists``, ``Null`` and
``ForAllValues``. An operator, a form of value or a variable that is not evaluated is refused when
the policy is compiled. Source: IAM User Guide, "IAM JSON policy elements: Condition operators"
and "Set operators for multivalued context keys".
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from fogbank.platform.iam import values as kinds
from fogbank.platform.iam.keys import require_evaluated
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.request import AccessRequest, ContextValue, reader_of
from fogbank.platform.iam.values import Hit, HitOf


class SetOperator(enum.Enum):
    """How the values of a multivalued key are quantified."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


class Operator(NamedTuple):
    """One family of operators over one type of value."""

    hit_of: HitOf
    negated: bool = False


_OPERATORS: Final = {
    "StringEquals": Operator(kinds.text_equals),
    "StringNotEquals": Operator(kinds.text_equals, negated=True),
    "StringEqualsIgnoreCase": Operator(kinds.text_equals_ignoring_case),
    "StringNotEqualsIgnoreCase": Operator(kinds.text_equals_ignoring_case, negated=True),
    "StringLike": Operator(kinds.text_like),
    "StringNotLike": Operator(kinds.text_like, negated=True),
    "NumericEquals": Operator(kinds.number_is("==")),
    "NumericNotEquals": Operator(kinds.number_is("=="), negated=True),
    "NumericLessThan": Operator(kinds.number_is("<")),
    "NumericLessThanEquals": Operator(kinds.number_is("<=")),
    "NumericGreaterThan": Operator(kinds.number_is(">")),
    "NumericGreaterThanEquals": Operator(kinds.number_is(">=")),
    "DateEquals": Operator(kinds.instant_is("==")),
    "DateNotEquals": Operator(kinds.instant_is("=="), negated=True),
    "DateLessThan": Operator(kinds.instant_is("<")),
    "DateLessThanEquals": Operator(kinds.instant_is("<=")),
    "DateGreaterThan": Operator(kinds.instant_is(">")),
    "DateGreaterThanEquals": Operator(kinds.instant_is(">=")),
    "Bool": Operator(kinds.truth_is),
    "BinaryEquals": Operator(kinds.binary_equals),
    "IpAddress": Operator(kinds.address_in),
    "NotIpAddress": Operator(kinds.address_in, negated=True),
    # AWS: ArnEquals and ArnLike behave identically (Condition operators, "ARN").
    "ArnEquals": Operator(kinds.arn_like),
    "ArnLike": Operator(kinds.arn_like),
    "ArnNotEquals": Operator(kinds.arn_like, negated=True),
    "ArnNotLike": Operator(kinds.arn_like, negated=True),
}
_IF_EXISTS: Final = "IfExists"
_TRUTHS: Final = {"true": True, "false": False}

Condition = Callable[[AccessRequest], bool]


def _plain(key: str, hit: Hit, *, negated: bool, absent: bool) -> Condition:
    """Return an operator without quantifier on one key."""
    read = reader_of(key)

    def holds(request: AccessRequest) -> bool:
        value = read(request, key)
        if value is None:
            return absent
        if isinstance(value, str):
            return hit(value, request) != negated
        if not value:
            return absent
        return any(hit(one, request) for one in value) != negated

    return holds


def _for_all(key: str, hit: Hit, *, negated: bool) -> Condition:
    """Return an operator that every value of a key must meet; none at all do."""
    read = reader_of(key)

    def holds(request: AccessRequest) -> bool:
        for value in _values(read(request, key)):  # noqa: SIM110 (a loop is twice as fast as all() here)
            if hit(value, request) == negated:
                return False
        return True

    return holds


def _for_any(key: str, hit: Hit, *, negated: bool, absent: bool) -> Condition:
    """Return an operator that some value of a key must meet."""
    read = reader_of(key)

    def holds(request: AccessRequest) -> bool:
        given = read(request, key)
        if given is None or (not given and not isinstance(given, str)):
            return absent
        return any(hit(value, request) != negated for value in _values(given))

    return holds


def _values(given: ContextValue | None) -> Sequence[str]:
    """Return the values that a quantifier ranges over.

    AWS: a text without characters is none ("resolves to a null dataset, such as an empty string").
    """
    if isinstance(given, str):
        return (given,) if given else ()
    return given or ()


def _presence(key: str, wanted: frozenset[bool]) -> Condition:
    """Return ``Null``: whether a key is absent."""
    read = reader_of(key)

    def holds(request: AccessRequest) -> bool:
        value = read(request, key)
        return (value is None or (not value and not isinstance(value, str))) in wanted

    return holds


def conditions_of(
    element: dict[str, dict[str, list[str]]], *, variables: bool
) -> tuple[Condition, ...]:
    """Return the compiled Condition element of a statement; all must hold.

    Args:
        element: Operator to key to values, as the syntax check left it.
        variables: Whether the policy's version knows variables.

    Raises:
        MalformedPolicy: An operator does not exist or a value is none of its type.
        NotEvaluated: A key or a form is not evaluated yet.
    """
    compiled: list[Condition] = []
    for name, keys in element.items():
        for key, wanted in keys.items():
            require_evaluated(key)
            if name == "Null":
                compiled.append(_presence_of(key, wanted))
            else:
                compiled.append(_test_of(name, key, wanted, variables=variables))
    return tuple(compiled)


def is_operator(name: str) -> bool:
    """Tell whether an operator of this name exists, with its set and ``IfExists`` parts."""
    return name == "Null" or _split(name) is not None


def _split(name: str) -> tuple[SetOperator | None, Operator, bool] | None:
    """Return set operator, operator and whether ``IfExists`` was asked; None if unknown."""
    over = None
    for candidate in SetOperator:
        if name.startswith(candidate.value + ":"):
            over = candidate
            name = name.removeprefix(candidate.value + ":")
    if_exists = name.endswith(_IF_EXISTS)
    operator = _OPERATORS.get(name.removesuffix(_IF_EXISTS))
    return None if operator is None else (over, operator, if_exists)


def _test_of(name: str, key: str, wanted: list[str], *, variables: bool) -> Condition:
    """Return one compiled operator on one key."""
    split = _split(name)
    if split is None:
        raise MalformedPolicy("Syntax errors in policy.")
    over, operator, if_exists = split
    hit, lowered = operator.hit_of(wanted, variables), key.lower()
    negated = operator.negated
    if over is SetOperator.ALL:
        return _for_all(lowered, hit, negated=negated)
    if over is SetOperator.ANY:
        return _for_any(lowered, hit, negated=negated, absent=if_exists)
    return _plain(lowered, hit, negated=negated, absent=if_exists or negated)


def _presence_of(key: str, wanted: list[str]) -> Condition:
    """Return the compiled ``Null`` on one key."""
    if any(value.lower() not in _TRUTHS for value in wanted):
        raise MalformedPolicy("Syntax errors in policy.")
    return _presence(key.lower(), frozenset(_TRUTHS[value.lower()] for value in wanted))
