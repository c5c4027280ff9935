"""Tables with indexes: how tests ask for them, write to them and query them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Made = Callable[..., None]


def schema(*keys: str) -> list[dict[str, str]]:
    """Return a key schema: names, those of the sort key with a ``>``."""
    return [
        {"AttributeName": key.lstrip(">"), "KeyType": "RANGE" if key[0] == ">" else "HASH"}
        for key in keys
    ]


def index(name: str, *keys: str, projection: str = "ALL", include: Iterable[str] = ()) -> Any:
    shown: dict[str, Any] = {"ProjectionType": projection}
    if include:
        shown = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [*include]}
    return {"IndexName": name, "KeySchema": schema(*keys), "Projection": shown}


def put(dynamodb: Any, c: str, p: str = "1", **attributes: Any) -> dict[str, Any]:
    item = {"p": {"S": p}, "c": {"S": c}}
    item |= {
        name: {"S": value} if isinstance(value, str) else value
        for name, value in attributes.items()
    }
    dynamodb.put_item(TableName="tab", Item=item)
    return item


def query(dynamodb: Any, name: str, condition: str, **members: Any) -> Any:
    values = members.pop("values", {})
    return dynamodb.query(
        TableName="tab",
        IndexName=name,
        KeyConditionExpression=condition,
        ExpressionAttributeValues={
            f":{key}": {"S": value} if isinstance(value, str) else value
            for key, value in values.items()
        },
        **members,
    )


def keys_of(reply: Any) -> list[str]:
    return [item["c"]["S"] for item in reply["Items"]]
