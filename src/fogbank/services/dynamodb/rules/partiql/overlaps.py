"""Whether the alternatives of a SELECT's condition overlap, which AWS refuses where it reads by key.

Rule: a condition whose every alternative fixes the partition key is read as so many ranges of sort keys.
Two of one partition must not meet; what an alternative asks of other attributes does not keep them
apart. One that negates a condition on the sort key, or has it unlike a value, is left alone.

Source: measured on AWS in October 2026 by nubo-db/dynamodb-conformance
(tests/tier2/partiql, "OR branches with a negated sort-key condition", and
tests/tier3/error-messages/partiqlGrammar.test.ts) and by floci-io/floci. Of sort keys of several
attributes nothing is known: they are let through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import Final, NamedTuple

from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import indexes
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm
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
from fogbank.services.dynamodb.rules.partiql import plans
from fogbank.services.dynamodb.rules.partiql.syntax import Statement
from fogbank.services.dynamodb.rules.values import Value
from fogbank.services.dynamodb.schema import KeyAttribute

_EQUAL: Final = "="
_OVERLAPS: Final = "Overlapping conditions with range keys are not supported in where clause"


class _Branch(NamedTuple):
    """What one alternative asks of the key."""

    terms: tuple[tuple[str, KeyTerm], ...] = ()
    is_negated: bool = False
    """Whether it says what the sort key is not."""

    def joined(self, other: _Branch) -> _Branch:
        """Return what holds where both do."""
        return _Branch(self.terms + other.terms, self.is_negated or other.is_negated)


def require_disjoint(
    statement: Statement,
    placeholders: Placeholders,
    partition: Sequence[KeyAttribute],
    sort: Sequence[KeyAttribute],
) -> None:
    """Refuse a SELECT of which two alternatives read the same of a partition.

    Args:
        statement: The statement.
        placeholders: Its values.
        partition: The attributes of the partition key of what is read.
        sort: Those of the sort key.

    Raises:
        ValidationException: Two overlap.
    """
    if statement.where is None or len(sort) > 1:
        return
    names = [each.name for each in (*partition, *sort)]
    found = _Branches(placeholders, names, sort[0].name if sort else "").of(statement.where)
    if found is None or len(found) == 1:
        return
    ranges: dict[tuple[str, ...], list[tuple[bytes, bytes | None]]] = {}
    for branch in found:
        place = _place_of(branch, partition)
        if place is None:
            return
        reach = None if branch.is_negated else _range_of(branch, sort)
        if reach is not None:
            ranges.setdefault(place, []).append(reach)
    for each in ranges.values():
        if any(
            end is None or begin < end
            for (_, end), (begin, _) in pairwise(sorted(each, key=_begin))
        ):
            raise ValidationException(_OVERLAPS)


def _begin(reach: tuple[bytes, bytes | None]) -> bytes:
    return reach[0]


class _Branches:
    """Takes a condition apart into alternatives."""

    def __init__(self, placeholders: Placeholders, names: Sequence[str], sort: str) -> None:
        self._placeholders = placeholders
        self._names = frozenset(names)
        self._sort = sort

    def of(self, tree: Condition) -> list[_Branch] | None:
        """Return the alternatives of a condition; None: there are too many."""
        if isinstance(tree, Junction) and tree.operator == "AND":
            parts = [self.of(part) for part in tree.conditions]
            count, known = 1, list[list[_Branch]]()
            for part in parts:
                if part is None or (count := count * len(part)) > plans.ALTERNATIVES_MAX:
                    return None
                known.append(part)
            return [_all_of(chosen) for chosen in product(*known)]
        if isinstance(tree, Junction) and self._names_key(tree):
            found: list[_Branch] = []
            for part in tree.conditions:
                if (some := self.of(part)) is None:
                    return None
                found += some
            return found if len(found) <= plans.ALTERNATIVES_MAX else None
        return self._leaf(tree)

    def _leaf(self, tree: Condition) -> list[_Branch]:
        """Return the alternatives of a condition that is not taken apart further."""
        match tree:
            case In(Path((str(name),)), choices) if name in self._names:
                given = [choice for choice in choices if isinstance(choice, ValueRef)]
                if len(given) == len(choices):
                    values = [self._placeholders.value(ref, "") for ref in given]
                    return [_Branch(((name, KeyTerm(_EQUAL, (each,))),)) for each in values]
            case Not(inner) if self._sort in _attributes_in(inner):
                return [_Branch(is_negated=True)]
            case Comparison("<>", left, right) if self._sort in _names_of((left, right)):
                return [_Branch(is_negated=True)]
            case _:
                pass
        terms = [
            (name, term)
            for name, term in plans.term_of(tree, self._placeholders)
            if name in self._names
        ]
        return [_Branch(tuple(terms))]

    def _names_key(self, tree: Condition) -> bool:
        """Return whether a condition has one on the key in it."""
        match tree:
            case Junction(_, parts):
                return any(self._names_key(part) for part in parts)
            case Not(_):
                return False
            case _:
                return any(branch.terms for branch in self._leaf(tree))


def _all_of(branches: Iterable[_Branch]) -> _Branch:
    """Return what holds where several alternatives do."""
    found = _Branch()
    for each in branches:
        found = found.joined(each)
    return found


def _attributes_in(tree: Condition) -> set[str]:
    """Return the attributes that a condition looks at."""
    match tree:
        case Junction(_, parts):
            return {name for part in parts for name in _attributes_in(part)}
        case Not(inner):
            return _attributes_in(inner)
        case Comparison(_, left, right):
            return _names_of((left, right))
        case Between(operand, low, high):
            return _names_of((operand, low, high))
        case In(operand, choices):
            return _names_of((operand, *choices))
        case Call(_, operands):
            return _names_of(operands)


def _names_of(operands: Iterable[Operand]) -> set[str]:
    """Return the attributes that operands are."""
    return {str(each.elements[0]) for each in operands if isinstance(each, Path)}


def _place_of(branch: _Branch, partition: Sequence[KeyAttribute]) -> tuple[str, ...] | None:
    """Return which partition an alternative reads; None: it fixes none."""
    fixed = [
        next(
            (repr(term.values[0]) for name, term in branch.terms if _fixes(name, term, each)), None
        )
        for each in partition
    ]
    return None if None in fixed else tuple(str(each) for each in fixed)


def _fixes(name: str, term: KeyTerm, attribute: KeyAttribute) -> bool:
    return name == attribute.name and term.operator == _EQUAL


def _range_of(branch: _Branch, sort: Sequence[KeyAttribute]) -> tuple[bytes, bytes | None] | None:
    """Return where the sort keys of an alternative begin, and before what they end; None: nowhere."""
    begin, end = b"", None
    for name, term in branch.terms if sort else ():
        if name != sort[0].name:
            continue
        if any(sort[0].type not in value for value in term.values):
            return None
        low, high = _bounds_of(sort[0], term.operator, term.values)
        begin = max(begin, low)
        end = high if end is None else end if high is None else min(end, high)
    return None if end is not None and begin >= end else (begin, end)


def _bounds_of(
    attribute: KeyAttribute, operator: str, values: Sequence[Value]
) -> tuple[bytes, bytes | None]:
    """Return the bounds of a condition on a sort key, in bytes that order as its values do."""
    first, last = (indexes.sort_content(attribute, values[at]) for at in (0, -1))
    behind = last + b"\0"
    match operator:
        case "=" | "BETWEEN":
            return first, behind
        case "<":
            return b"", last
        case "<=":
            return b"", behind
        case ">":
            return behind, None
        case ">=":
            return first, None
        case _:
            assert operator == "begins_with", operator
            return first, after_prefix(first) if first.strip(b"\xff") else None
