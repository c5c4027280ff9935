"""Vector indexes as requests define them.

Source: Amazon DynamoDB API Reference, ``VectorIndex``, ``SearchSchemaElement`` and
``CreateVectorIndexAction``; Developer Guide, "Quotas in Amazon DynamoDB" ("Vector indexes"). The
messages are those that others measured on AWS (nubo-db/dynamodb-conformance,
tests/tier3/error-messages/vectorIndexes.test.ts; extenddb), but for a schema with too much in it, for
which none are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import (
    VECTOR_DIMENSIONS_MAX,
    VECTOR_FILTERS_MAX,
    VECTOR_PARTITION_ATTRIBUTES_MAX,
)
from fogbank.services.dynamodb.rules import definitions
from fogbank.services.dynamodb.rules.definitions import INVALID
from fogbank.services.dynamodb.schema import (
    PAY_PER_REQUEST,
    PROVISIONED,
    IndexRecord,
    KeyAttribute,
    VectorShape,
)

MEMBER: Final = "VectorIndexes"


def vector_indexes_of(request: Request, most: int) -> tuple[IndexRecord, ...]:
    """Return the vector indexes that a CreateTable request asks for, numbered behind the others.

    Raises:
        ValidationException: They contradict each other, or AWS's rules.
    """
    listed = definitions.indexes_listed(request, MEMBER)
    if not listed:
        return ()
    require_on_demand(request.get("BillingMode", PROVISIONED))
    if len(listed) > most:
        raise ValidationException(
            f"{INVALID}VectorIndex count exceeds the per-table limit of {most}"
        )
    types = definitions.types_of(request.get("AttributeDefinitions", ()))
    first = sum(
        len(request.get(member, ())) for member in ("LocalSecondaryIndexes", definitions.GLOBAL)
    )
    made = tuple(vector_index_of(each, types, number) for number, each in enumerate(listed, first))
    require_agreeing(made)
    return made


def require_on_demand(billing_mode: str) -> None:
    """Refuse vector indexes of a table that is not paid for by request."""
    if billing_mode != PAY_PER_REQUEST:
        raise ValidationException(
            f"{INVALID}Vector indexes are only supported for PAY_PER_REQUEST tables"
        )


def vector_index_of(given: Wire, types: Mapping[str, str], number: int) -> IndexRecord:
    """Return a vector index as a request defines it.

    Args:
        given: The index as the request has it.
        types: The types of attributes.
        number: The number it gets.
    """
    dimensions: int = given["Dimensions"]
    if dimensions > VECTOR_DIMENSIONS_MAX:
        raise ValidationException(
            f"{INVALID}Number of dimensions must be between 1 and {VECTOR_DIMENSIONS_MAX}"
            " inclusive."
        )
    attribute: str = given["VectorAttribute"]["AttributeName"]
    elements: list[Wire] = given.get("SearchSchema", [])
    if any(each["AttributeName"] not in types for each in elements):
        raise ValidationException(
            f"{INVALID}One element in SearchSchema is not defined in attribute definitions"
        )
    if attribute in types:
        raise ValidationException(
            f"{INVALID}Conflicting attribute definition for '{attribute}'. An attribute cannot be"
            " defined in AttributeDefinitions when used as a VectorAttribute."
        )
    _require_schema(elements)
    schema = [
        KeyAttribute(each["AttributeName"], types[each["AttributeName"]]) for each in elements
    ]
    partition = [
        attribute
        for attribute, each in zip(schema, elements, strict=True)
        if each["SearchSchemaElementType"] == "HASH"
    ]
    projection, included = definitions.projection_of(given["Projection"])
    return IndexRecord(
        name=given["IndexName"],
        number=number,
        is_local=False,
        partition=tuple(partition),
        sort=(),
        projection=projection,
        included=included,
        vector=VectorShape(
            attribute=attribute,
            dimensions=dimensions,
            distance=given["DistanceFunction"],
            schema=tuple(schema),
        ),
    )


def _require_schema(elements: Sequence[Wire]) -> None:
    """Refuse a search schema with an attribute twice, or with more of a kind than it may have."""
    names = [each["AttributeName"] for each in elements]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValidationException(f"{INVALID}Duplicate attribute name in SearchSchema: {twice}")
    for kind, most in (
        ("HASH", VECTOR_PARTITION_ATTRIBUTES_MAX),
        ("INLINE_FILTER", VECTOR_FILTERS_MAX),
    ):
        count = sum(each["SearchSchemaElementType"] == kind for each in elements)
        if count > most:
            raise ValidationException(
                f"{INVALID}Number of {kind} elements in SearchSchema exceeds the limit of {most}"
            )


def require_agreeing(indexes: Iterable[IndexRecord]) -> None:
    """Refuse vector indexes that give one attribute different numbers of dimensions."""
    known: dict[str, int] = {}
    for index in indexes:
        shape = index.vector
        if shape is None:
            continue
        if known.setdefault(shape.attribute, shape.dimensions) != shape.dimensions:
            raise ValidationException(
                f"{INVALID}Conflicting attribute definition for '{shape.attribute}'. All"
                " VectorIndexes on the same vector attribute must use the same dimensions."
            )
