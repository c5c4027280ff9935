"""Tables with vector indexes: how tests ask for them, write to them and search them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

AXES = {"a": "1 0 0", "b": "0 1 0", "c": "-1 0 0", "d": "0.6 0.8 0"}
"""Vectors of one length: of ``a`` itself, across it, against it, and between."""


def numbers(text: str) -> list[dict[str, str]]:
    return [{"N": each} for each in text.split()]


def vector_index(
    name: str = "vix",
    *,
    by: str = "",
    filters: Iterable[str] = (),
    dimensions: int = 3,
    distance: str = "COSINE",
    include: Sequence[str] | None = None,
    attribute: str = "v",
) -> dict[str, Any]:
    """Return a vector index of ``v`` that shows everything, or the keys and what is named."""
    shown: dict[str, Any] = {"ProjectionType": "ALL" if include is None else "KEYS_ONLY"}
    if include:
        shown = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [*include]}
    made: dict[str, Any] = {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": attribute},
        "Dimensions": dimensions,
        "DistanceFunction": distance,
        "Projection": shown,
    }
    schema = [{"AttributeName": by, "SearchSchemaElementType": "HASH"}] if by else []
    schema += [
        {"AttributeName": each, "SearchSchemaElementType": "INLINE_FILTER"} for each in filters
    ]
    return made | ({"SearchSchema": schema} if schema else {})


def table(*indexes: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return what makes a table of key ``p`` with vector indexes; ``n`` and ``m`` are numbers."""
    schemas = [each.get("SearchSchema", ()) for each in indexes]
    names = {each["AttributeName"] for schema in schemas for each in schema} | {"p"}
    made: dict[str, Any] = {
        "TableName": "tab",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "N" if name in "nm" else "S"}
            for name in sorted(names)
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return {**made, **({"VectorIndexes": [*indexes]} if indexes else {}), **members}


def item(p: str, vector: str = "", **attributes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"p": {"S": p}}
    if vector:
        made["v"] = {"L": numbers(vector)}
    return made | {
        name: {"S": value} if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def put(dynamodb: Any, p: str, vector: str = "", **attributes: Any) -> Any:
    given = item(p, vector, **attributes)
    return dynamodb.put_item(TableName="tab", Item=given, ReturnConsumedCapacity="INDEXES")


def search(
    dynamodb: Any, vector: str = "1 0 0", condition: str = "", name: str = "vix", **members: Any
) -> Any:
    """Return what a search answers; what a condition compares with stands in ``values``."""
    values = members.pop("values", {})
    if condition:
        members["SearchConditionExpression"] = condition
    if values:
        members["ExpressionAttributeValues"] = {
            f":{key}": {"S": value} if isinstance(value, str) else value
            for key, value in values.items()
        }
    asked = {"TableName": "tab", "IndexName": name, "TopK": 10, **members}
    return dynamodb.search_vectors(SearchVector=numbers(vector), **asked)


def keys_of(reply: Any) -> list[str]:
    return [each["Item"]["p"]["S"] for each in reply["SearchResults"]]


def scores_of(reply: Any) -> list[float]:
    return [each["Score"] for each in reply["SearchResults"]]
