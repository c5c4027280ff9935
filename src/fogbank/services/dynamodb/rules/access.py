"""What a request needs to be allowed, with DynamoDB's own condition keys.

Rule: the keys that need the request's expressions are put together only when a policy reads one.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
DynamoDB"; Developer Guide, "Using IAM policy conditions for fine-grained access control".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from fogbank.base.types import Wire
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.rules.expressions import parser, syntax

_PLAIN_KEYS: Final = {
    "ReturnConsumedCapacity": "dynamodb:ReturnConsumedCapacity",
    "ReturnValues": "dynamodb:ReturnValues",
}
_READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan"})
_CONDITIONS: Final = ("ConditionExpression", "FilterExpression", "KeyConditionExpression")
_NAMED_MAPS: Final = (
    "Item",
    "Key",
    "Expected",
    "AttributeUpdates",
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
)


def on_table(operation: str) -> AccessOf:
    """Return the access of an operation on the one table that its request names."""
    action = f"dynamodb:{operation}"

    def access(scope: Scope, request: Wire) -> list[Access]:
        context = RequestKeys(operation, request)
        return [Access(action, _arn_of(scope, request["TableName"]), context)]

    return access


def on_tables(operation: str) -> AccessOf:
    """Return the access of an operation on every table that its ``RequestItems`` name."""
    action = f"dynamodb:{operation}"

    def access(scope: Scope, request: Wire) -> list[Access]:
        return [
            Access(action, _arn_of(scope, table), RequestKeys(operation, request | _part(part)))
            for table, part in request["RequestItems"].items()
        ]

    return access


def _part(part: Any) -> Wire:
    """Return what a batch says of one table in the members of an operation on that table."""
    if isinstance(part, dict):
        return cast("Wire", part)
    writes = cast("list[dict[str, Wire]]", part)
    return {
        "Keys": [given for write in writes for body in write.values() for given in body.values()]
    }


def _arn_of(scope: Scope, table: str) -> str:
    """Return the ARN of a table that a request names plainly or by its ARN."""
    return table if table.startswith("arn:") else arns.table_arn(scope.region, scope.account, table)


class RequestKeys(Mapping[str, ContextValue]):
    """The condition keys of one request on one table, put together when first read."""

    __slots__ = ("_keys", "_operation", "_request")

    def __init__(self, operation: str, request: Wire) -> None:
        self._operation = operation
        self._request = request
        self._keys: dict[str, ContextValue] | None = None

    def _all(self) -> dict[str, ContextValue]:
        if self._keys is None:
            request = self._request
            self._keys = {
                key: request[member] for member, key in _PLAIN_KEYS.items() if member in request
            }
            named = attributes_named(request)
            if named:
                self._keys["dynamodb:Attributes"] = tuple(sorted(named))
            if self._operation in _READS:
                self._keys["dynamodb:Select"] = selection_of(request)
        return self._keys

    def __getitem__(self, key: str) -> ContextValue:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def selection_of(request: Wire) -> str:
    """Return which attributes a read asks for.

    AWS: the key says so even where the operation has no such member; its sample policies count on
    that to stop reads that name no attributes (IAM User Guide, "Allows access to specific
    attributes").
    """
    projected = "ProjectionExpression" in request or "AttributesToGet" in request
    return request.get("Select", "SPECIFIC_ATTRIBUTES" if projected else "ALL_ATTRIBUTES")


def attributes_named(request: Wire) -> set[str]:
    """Return the top-level attributes that a request names anywhere.

    Raises:
        ValidationException: An expression cannot be read.
    """
    named: set[str] = set(request.get("AttributesToGet", ()))
    for member in _NAMED_MAPS:
        named.update(request.get(member, ()))
    for key in request.get("Keys", ()):
        named.update(key)
    names: dict[str, str] = request.get("ExpressionAttributeNames", {})
    for path in _paths_of(request):
        first = path.elements[0]
        named.add(names.get(first.text, "") if isinstance(first, syntax.NameRef) else str(first))
    return named


def _paths_of(request: Wire) -> Iterable[syntax.Path]:
    """Yield the paths of a request's expressions."""
    for kind in _CONDITIONS:
        if kind in request:
            yield from syntax.leaves_in(parser.parse_condition(request[kind], kind), syntax.Path)
    if "UpdateExpression" in request:
        for action in parser.parse_update(request["UpdateExpression"]).actions:
            yield action.path
            yield from syntax.leaves_in(action.source, syntax.Path)
    if "ProjectionExpression" in request:
        yield from parser.parse_projection(request["ProjectionExpression"]).paths
