"""What a statement does to a table: the item that it is about, or the keys that it reads.

Theory: the condition of a SELECT is asked of every item that is read, so the keys that are read need
only hold all answers: they are the alternatives of the condition, each with what it requires of the
attributes of the key. Where an alternative does not fix the partition key, everything is read, as AWS
does. Alternatives of one partition are read as one, so that no item is answered twice.

A write is about one item, whose key its condition fixes; the whole condition is asked of that item
again, and so an item that is missing fails an UPDATE, as AWS says, by lacking its key.

Source: Amazon DynamoDB Developer Guide, "PartiQL select statements for DynamoDB" and the pages of
INSERT, UPDATE and DELETE; the words of the errors were recorded from DynamoDB by the parity project's
conformance suite (October 2026).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import paths, values
from fogbank.services.dynamodb.rules.expressions import conditions, updates
from fogbank.services.dynamodb.rules.expressions.conditions import BoundCondition, Holds
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm, KeyTerms
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Junction,
    Operand,
    Path,
    ValueRef,
)
from fogbank.services.dynamodb.rules.partiql.parser import no_set
from fogbank.services.dynamodb.rules.partiql.syntax import (
    Column,
    Constant,
    Document,
    Parameter,
    Statement,
    Template,
)
from fogbank.services.dynamodb.rules.requests import NOTHING, Expressions
from fogbank.services.dynamodb.rules.values import SCALAR_TYPES, SET_TYPES, Item, Value, type_of
from fogbank.services.dynamodb.schema import TableRecord

_KIND: Final = ""
"""Statements are of no kind: their errors stand for themselves."""
_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
ALTERNATIVES_MAX: Final = 100
"""AWS: so many values has an IN of the partition key; a condition with more reads everything."""


def placeholders_of(statement: Statement, parameters: Sequence[Value]) -> Placeholders:
    """Return the values of a statement with its parameters in their places.

    Raises:
        ValidationException: There are too many or too few, or DynamoDB cannot store one.
    """
    admitted = [values.admit(parameter) for parameter in parameters]
    if len(admitted) != statement.parameters:
        raise ValidationException("Number of parameters in request and statement don't match.")
    named = {
        name: values.admit(_filled(template, admitted))
        for name, template in statement.values.items()
    }
    return Placeholders({}, named)


def _filled(template: Template, parameters: Sequence[Value]) -> Value:
    """Return a value with the parameters in it."""
    match template:
        case Parameter(number):
            return parameters[number]
        case Constant(kind, content):
            return {kind: content}
        case Document("M", members):
            return {"M": {name: _filled(member, parameters) for name, member in members}}
        case Document("L", members):
            return {"L": [_filled(member, parameters) for _, member in members]}
        case Document(_, members):
            return _set_of([_filled(member, parameters) for _, member in members])


def _set_of(members: list[Value]) -> Value:
    """Return the set of some values, which are texts, numbers or binaries, all of one sort."""
    kinds = {type_of(member) for member in members}
    if len(kinds) > 1 or not kinds <= SCALAR_TYPES:
        raise ValidationException("Sets hold strings, numbers or binaries, and one sort of them")
    [kind] = kinds
    return {f"{kind}S": [member[kind] for member in members]}


def item_of(statement: Statement, placeholders: Placeholders) -> Item:
    """Return the item of an INSERT."""
    value = placeholders.value(ValueRef(statement.item), _KIND)
    if "M" not in value:
        raise ValidationException("The value of an INSERT must be a map")
    content: Item = value["M"]
    return values.admit_item(content)


def expressions_of(statement: Statement, placeholders: Placeholders) -> Expressions:
    """Return what a write asks for beside its key.

    AWS: a DELETE of an item that is not there does nothing and is no error, whatever its condition
    says; an INSERT of one that is there fails.
    """
    if statement.kind == "Insert":
        return Expressions(condition=BoundCondition(_is_missing, ()))
    condition = bound_condition(statement, placeholders)
    assert condition is not None, "a key has been found in it"
    if statement.kind == "Delete":
        condition = condition._replace(holds=_unless_missing(condition.holds))
    if statement.update is None:
        return NOTHING._replace(condition=condition)
    _require_sets(statement, placeholders)
    return Expressions(update=updates.bind(statement.update, placeholders), condition=condition)


def _is_missing(item: Item) -> bool:
    """Return whether there is no item: a condition is asked of nothing then."""
    return not item


def _unless_missing(holds: Holds) -> Holds:
    """Return a condition that an item which is not there does not break."""

    def held(item: Item) -> bool:
        return not item or holds(item)

    return held


def bound_condition(statement: Statement, placeholders: Placeholders) -> BoundCondition | None:
    """Return the condition of a statement, or None if it has none."""
    if statement.where is None:
        return None
    return conditions.bind(statement.where, placeholders, _KIND)


def _require_sets(statement: Statement, placeholders: Placeholders) -> None:
    """Refuse to add to a set, or to take from it, what is none."""
    for operand in statement.sets:
        if type_of(placeholders.value(ValueRef(operand.value), _KIND)) not in SET_TYPES:
            raise no_set(operand.function, operand.place)


def key_of(statement: Statement, table: TableRecord, placeholders: Placeholders) -> Item | None:
    """Return the whole key that a condition fixes, or None if it does not."""
    found = dict(_equalities(statement.where, placeholders))
    names = [attribute.name for attribute in table.key_attributes]
    if not all(name in found for name in names):
        return None
    return {name: found[name] for name in names}


def require_key(statement: Statement, table: TableRecord, placeholders: Placeholders) -> Item:
    """Return the key of the item that a write is about, or refuse the statement."""
    key = key_of(statement, table, placeholders)
    if key is None:
        raise ValidationException(
            "Where clause does not contain a mandatory equality on all key attributes"
        )
    return key


def has_further_condition(statement: Statement, table: TableRecord) -> bool:
    """Return whether a condition asks for more than that the attributes of the key have values."""
    leaves = list(_conjuncts(statement.where))
    return len(leaves) > len(table.key_attributes)


def _conjuncts(where: Condition | None) -> Iterable[Condition]:
    """Yield the conditions that all must hold."""
    match where:
        case None:
            return
        case Junction("AND", parts):
            for part in parts:
                yield from _conjuncts(part)
        case _:
            yield where


def _equalities(where: Condition | None, placeholders: Placeholders) -> Iterable[tuple[str, Value]]:
    """Yield the attributes that a condition fixes, and their values."""
    for leaf in _conjuncts(where):
        if isinstance(leaf, Comparison):
            for name, term in term_of(leaf, placeholders):
                if term.operator == "=":
                    yield name, term.values[0]


def term_of(leaf: Condition, placeholders: Placeholders) -> Iterable[tuple[str, KeyTerm]]:
    """Yield the one attribute that a condition compares with values, if it does."""
    match leaf:
        case Comparison(operator, left, right) if operator in _MIRRORED:
            operands: tuple[Operand, ...] = (left, right)
            if isinstance(right, Path):
                operator, operands = _MIRRORED[operator], (right, left)
        case Between(operand, low, high):
            operator, operands = "BETWEEN", (operand, low, high)
        case Call("begins_with", operands):
            operator = "begins_with"
        case _:
            return
    first, *rest = operands
    if isinstance(first, Path) and len(first.elements) == 1:
        given = [operand for operand in rest if isinstance(operand, ValueRef)]
        if len(given) == len(rest):
            found = tuple(placeholders.value(ref, _KIND) for ref in given)
            yield str(first.elements[0]), KeyTerm(operator, found)


class Reading(NamedTuple):
    """What a SELECT reads."""

    ranges: list[KeyTerms] | None
    """One after the other, no item being in two of them; None: everything."""
    filter: BoundCondition | None
    columns: ColumnProjection | None
    forward: bool


class ColumnProjection(NamedTuple):
    """What a SELECT asks for of an item, each under the last name of its path."""

    columns: tuple[Column, ...]
    paths: tuple[paths.Path, ...]

    def of(self, item: Item) -> Item:
        """Return what of these an item has."""
        found = (paths.find(item, path) for path in self.paths)
        return {
            column.name: value
            for column, value in zip(self.columns, found, strict=True)
            if value is not None
        }


def reading_of(
    statement: Statement,
    placeholders: Placeholders,
    partition: Sequence[str],
    sort: Sequence[str],
) -> Reading:
    """Return what a SELECT reads of a table or an index.

    Args:
        statement: The statement.
        placeholders: Its values.
        partition: The attributes of the partition key.
        sort: Those of the sort key, in their order.

    Raises:
        ValidationException: A condition can never be right, or the order is none of the keys'.
    """
    where = bound_condition(statement, placeholders)
    ranges = ranges_of(statement, placeholders, partition, sort)
    return Reading(
        ranges,
        where,
        columns_of(statement, placeholders),
        _is_forward(statement, ranges, {*partition, *sort[:1]}),
    )


def columns_of(statement: Statement, placeholders: Placeholders) -> ColumnProjection | None:
    """Return what a SELECT asks for of an item, or None: of everything."""
    resolved = tuple(placeholders.path(column.path, _KIND) for column in statement.columns)
    return ColumnProjection(statement.columns, resolved) if resolved else None


def ranges_of(
    statement: Statement,
    placeholders: Placeholders,
    partition: Sequence[str],
    sort: Sequence[str],
) -> list[KeyTerms] | None:
    """Return the ranges of keys that hold all answers, or None if only everything does."""
    if statement.where is None:
        return None
    return _ranges(statement.where, placeholders, tuple(partition), tuple(sort))


def _is_forward(statement: Statement, ranges: list[KeyTerms] | None, ordered: set[str]) -> bool:
    """Return whether answers rise; refuse an order that reading by key does not give."""
    if statement.order is None:
        return True
    name, falls = statement.order
    if statement.where is None:
        raise ValidationException(
            "Must have WHERE clause in the statement when using ORDER BY clause."
        )
    if ranges is None:
        raise ValidationException(
            "Must have at least one non-optional hash key condition in WHERE clause when using"
            " ORDER BY clause."
        )
    if name not in ordered:
        raise ValidationException(
            f"Variable reference {name} in ORDER BY clause must be part of the primary key"
        )
    return not falls


_Alternative = dict[str, tuple[KeyTerm, ...]]


def _ranges(
    where: Condition,
    placeholders: Placeholders,
    partition: tuple[str, ...],
    sort: tuple[str, ...],
) -> list[KeyTerms] | None:
    """Return the ranges of keys that hold all answers, or None if only everything does."""
    wanted = {*partition, *sort}

    def alternatives(tree: Condition) -> list[_Alternative]:
        match tree:
            case Junction("OR", parts):
                return [one for part in parts for one in alternatives(part)]
            case Junction(_, parts):
                return _products([alternatives(part) for part in parts])
            case In(Path((str(name),)), choices) if name in partition:
                given = [choice for choice in choices if isinstance(choice, ValueRef)]
                if len(given) < len(choices):
                    return [{}]
                found = (placeholders.value(ref, _KIND) for ref in given)
                return [{name: (KeyTerm("=", (value,)),)} for value in found]
            case _:
                terms = {name: (term,) for name, term in term_of(tree, placeholders)}
                return [{name: term for name, term in terms.items() if name in wanted}]

    merged: dict[tuple[Any, ...], list[KeyTerms]] = {}
    found = alternatives(where)
    if len(found) > ALTERNATIVES_MAX:
        return None
    for one in found:
        fixed = [_equal_term(one.get(name, ())) for name in partition]
        if None in fixed:
            return None
        terms: KeyTerms = {
            name: term for name, term in zip(partition, fixed, strict=True) if term is not None
        }
        place = tuple(repr(term.values[0]) for term in terms.values())
        merged.setdefault(place, []).append({**terms, **_sort_terms(one, sort)})
    return [
        some[0] if len(some) == 1 else {name: some[0][name] for name in partition}
        for some in merged.values()
    ]


def _products(parts: list[list[_Alternative]]) -> list[_Alternative]:
    """Return the alternatives of a conjunction; far too many are none that narrow anything."""
    count = 1
    for part in parts:
        count *= len(part)
    if count > ALTERNATIVES_MAX:
        return [{}]
    found: list[_Alternative] = []
    for chosen in product(*parts):
        one: _Alternative = {}
        for alternative in chosen:
            for name, terms in alternative.items():
                one[name] = (*one.get(name, ()), *terms)
        found.append(one)
    return found


def _equal_term(terms: tuple[KeyTerm, ...]) -> KeyTerm | None:
    """Return the term that fixes an attribute, or None if none does."""
    return next((term for term in terms if term.operator == "="), None)


def _sort_terms(one: _Alternative, sort: tuple[str, ...]) -> KeyTerms:
    """Return what narrows the sort key: attributes that are fixed, and one more behind them."""
    found: KeyTerms = {}
    for name in sort:
        terms = one.get(name, ())
        if not terms:
            break
        equal = _equal_term(terms)
        found[name] = equal or terms[0]
        if equal is None:
            break
    return found
