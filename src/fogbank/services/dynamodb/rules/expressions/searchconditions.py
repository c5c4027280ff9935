"""Search conditions: what a search of vectors requires of the attributes of the search schema.

Rule: the language is that of conditions, of which only equality of one attribute with a value is
left, joined by AND.

Source: Amazon DynamoDB API Reference, SearchVectors, ``SearchConditionExpression``; Developer Guide,
"Creating and searching vector indexes" ("Filtering with SearchConditionExpression"). The message of
another operator was measured on AWS (nubo-db/dynamodb-conformance,
tests/tier3/error-messages/searchVectors.test.ts); that of nested attributes is that of key conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions import conditions
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.reader import invalid
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Comparison,
    Condition,
    Junction,
    Path,
    ValueRef,
)
from fogbank.services.dynamodb.rules.values import Value

KIND: Final = "SearchConditionExpression"


class SearchTerm(NamedTuple):
    """What a search requires of one attribute: that it equals a value."""

    name: str
    value: Value


def bind(condition: Condition, placeholders: Placeholders) -> tuple[SearchTerm, ...]:
    """Return the terms of a search condition, in order.

    Raises:
        ValidationException: It is no condition, or none that a search can have.
    """
    conditions.bind(condition, placeholders, KIND)
    return tuple(_term_of(leaf, placeholders) for leaf in _leaves_of(condition))


def _leaves_of(condition: Condition) -> Iterator[Comparison]:
    """Yield the comparisons joined by AND, and refuse everything else."""
    match condition:
        case Junction("AND", parts):
            for part in parts:
                yield from _leaves_of(part)
        case Comparison("=", _, _):
            yield condition
        case _:
            raise invalid(KIND, f"Invalid comparator used in {KIND}")


def _term_of(leaf: Comparison, placeholders: Placeholders) -> SearchTerm:
    """Return the attribute of a comparison and the value that it is to equal."""
    match leaf.left, leaf.right:
        case (Path() as path, ValueRef() as ref) | (ValueRef() as ref, Path() as path):
            found = placeholders.path(path, KIND)
        case _:
            raise invalid(KIND, "A condition must compare one attribute with one value")
    [name, *deeper] = found
    if deeper:
        raise ValidationException(f"{KIND} cannot have conditions on nested attributes")
    return SearchTerm(str(name), placeholders.value(ref, KIND))
