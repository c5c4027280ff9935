"""What a request needs to be allowed, with DynamoDB's own condition keys.

Rule: the keys that need the request's expressions are put together only when a policy reads one.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
DynamoDB"; Developer Guide, "Using IAM policy conditions for fine-grained access control".
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import indexes, transactions, values
from fogbank.services.dynamodb.rules.expressions import parser, syntax
from fogbank.services.dynamodb.rules.requests import QUERY, expressions_of
from fogbank.services.dynamodb.schema import TableRecord

_TABLE: Final = re.compile(
    r"arn:aws[a-z-]*:dynamodb:(?P<region>[a-z0-9-]{1,32}):(?P<account>[0-9]{12})"
    r":table/(?P<name>[a-zA-Z0-9_.-]{1,255})(/index/(?P<index>[a-zA-Z0-9_.-]{1,255}))?"
)
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

    def access(scope: Scope, request: Request) -> list[Access]:
        context = RequestKeys(operation, request)
        return [Access(action, arn_of(scope, request["TableName"]), context)]

    return access


def on_global_table(operation: str) -> AccessOf:
    """Return the access of an operation on a global table of 2017.

    Source: Service Authorization Reference: those that write need the tables of its regions too.
    """
    action = f"dynamodb:{operation}"

    def access(scope: Scope, request: Request) -> list[Access]:
        name = request["GlobalTableName"]
        asked: list[Request] = [*request.get("ReplicationGroup", ())]
        for update in request.get("ReplicaUpdates", ()):
            asked += update.values()
        asked += request.get("ReplicaSettingsUpdate", ())
        regions = dict.fromkeys(each["RegionName"] for each in asked if each.get("RegionName"))
        return [
            Access(action, arns.global_table_arn(scope.partition, scope.account, name)),
            *(Access(action, arns.table_arn(region, scope.account, name)) for region in regions),
        ]

    return access


def on_index(operation: str) -> AccessOf:
    """Return the access of a read of the table or of the index that its request names.

    AWS: whoever may read a table may not read its indexes for that, nor the other way round
    (Developer Guide, "Using identity-based policies": ``table/Books/index/*``).
    """
    action = f"dynamodb:{operation}"

    def access(scope: Scope, request: Request) -> list[Access]:
        arn = arn_of(scope, request["TableName"])
        if "IndexName" in request:
            arn = arns.index_arn(arn, request["IndexName"])
        return [Access(action, arn, RequestKeys(operation, request))]

    return access


def on_vectors(scope: Scope, request: Request) -> list[Access]:
    """Return the access of SearchVectors, on the index that its request names.

    AWS: none of the keys of fine-grained access (``LeadingKeys``, ``Attributes``, ``Select``) is there,
    so that a statement which asks for one never matches (Developer Guide, vector indexes, "Security
    and access control").
    """
    member = "ReturnConsumedCapacity"
    context = {_PLAIN_KEYS[member]: request[member]} if member in request else {}
    arn = arns.index_arn(arn_of(scope, request["TableName"]), request["IndexName"])
    return [Access("dynamodb:SearchVectors", arn, context)]


def on_tables(operation: str) -> AccessOf:
    """Return the access of an operation on every table that its ``RequestItems`` name."""
    action = f"dynamodb:{operation}"

    def access(scope: Scope, request: Request) -> list[Access]:
        return [
            Access(action, arn_of(scope, table), RequestKeys(operation, {**request, **_part(part)}))
            for table, part in request["RequestItems"].items()
        ]

    return access


def on_parts(operation: str, kinds: Mapping[str, str]) -> AccessOf:
    """Return the access of a transaction: for each part that of the operation which it is like.

    Args:
        operation: The transaction, which the parts are told to stand in.
        kinds: For each kind of part the operation on one item.
    """

    def access(scope: Scope, request: Request) -> list[Access]:
        found: list[Access] = []
        for part in request["TransactItems"]:
            kind = transactions.kind_of(part)
            members = {**request, **part[kind]}
            context = RequestKeys(kinds[kind], members, enclosing=operation)
            found.append(
                Access(f"dynamodb:{kinds[kind]}", arn_of(scope, members["TableName"]), context)
            )
        return found

    return access


def _part(part: Any) -> Wire:
    """Return what a batch says of one table in the members of an operation on that table."""
    if isinstance(part, dict):
        return cast("Wire", part)
    writes = cast("list[dict[str, Wire]]", part)
    return {
        "Keys": [given for write in writes for body in write.values() for given in body.values()]
    }


def arn_of(scope: Scope, table: str) -> str:
    """Return the ARN of a table that a request names plainly or by its ARN."""
    if table.startswith("arn:"):
        return table
    return arns.table_arn(scope.region, scope.account, table)


def find_table_domain(arn: str) -> Domain | None:
    """Return the domain of a table's ARN, or None if it is none."""
    found = _TABLE.fullmatch(arn)
    return None if found is None else Domain("dynamodb", found["account"], found["region"])


def name_of(arn: str) -> str:
    """Return the name of the table in an ARN that has a domain."""
    found = _TABLE.fullmatch(arn)
    assert found is not None, "asked only for what has a domain"
    return found["name"]


class RequestKeys(Mapping[str, ContextValue]):
    """The condition keys of one request on one table, put together when first read."""

    __slots__ = ("_enclosing", "_keys", "_operation", "_request", "table_id")

    def __init__(self, operation: str, request: Request, *, enclosing: str = "") -> None:
        self._operation = operation
        self._enclosing = enclosing
        self._request = request
        self._keys: dict[str, ContextValue] | None = None
        self.table_id = ""
        """The table whose key a decision was made with; empty: no policy has asked for it."""

    def attributes(self) -> set[str]:
        """Return the attributes that the request names.

        Raises:
            ValidationException: An expression cannot be read.
        """
        return attributes_named(self._request)

    def leading(self, table: TableRecord) -> Mapping[str, ContextValue]:
        """Return the values of the table's partition key that the request names; none of a scan.

        AWS: the key is of several values even for operations on one item, whence ``ForAllValues``.

        Raises:
            ValidationException: An expression or a value cannot be read.
        """
        self.table_id = table.id
        request = self._request
        name = self._leading_attribute(table)
        if self._operation == "Query":
            terms = expressions_of(request, QUERY).key_terms or {}
            given = list(terms[name].values) if name in terms else []
        else:
            keys: list[Wire] = [*request.get("Keys", ())]
            keys += [request[member] for member in ("Key", "Item") if member in request]
            given = [values.admit(key[name]) for key in keys if name in key]
        if not given:
            return {}
        return {"dynamodb:LeadingKeys": leading_texts(given)}

    def _leading_attribute(self, table: TableRecord) -> str:
        """Return the first attribute of the key that the request goes by.

        AWS says "the first key attribute of a table"; that of an index is what its items are found
        by, and what else a policy could hold a query of it against.
        """
        named = self._request.get("IndexName", "")
        index = indexes.find_index(table, named)
        if index is None and named and table.strong is not None:
            # The copy of the definitions may be behind those at home: nothing is held against less.
            raise ValidationException(f"The table does not have the specified index: {named}")
        if index is None or index.vector is not None:
            return table.partition.name
        return index.partition[0].name

    def _all(self) -> dict[str, ContextValue]:
        if self._keys is None:
            request = self._request
            self._keys = {
                key: request[member] for member, key in _PLAIN_KEYS.items() if member in request
            }
            named = self.attributes()
            if named:
                self._keys["dynamodb:Attributes"] = tuple(sorted(named))
            if self._operation in _READS:
                self._keys["dynamodb:Select"] = selection_of(request)
            if self._enclosing:
                self._keys["dynamodb:EnclosingOperation"] = self._enclosing
        return self._keys

    def __getitem__(self, key: str) -> ContextValue:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def decided_on(accesses: Iterable[Access], table: TableRecord) -> bool:
    """Return whether what was decided of a table was decided of this one, if its key mattered."""
    for access in accesses:
        keys = access.context
        if (
            isinstance(keys, RequestKeys)
            and keys.table_id not in ("", table.id)
            and name_of(access.resource) == table.name
        ):
            return False
    return True


def leading_texts(given: Iterable[values.Value]) -> tuple[str, ...]:
    """Return values of a partition key as conditions compare them, each once."""
    return tuple(dict.fromkeys(map(_text_of, given)))


def _text_of(value: values.Value) -> str:
    """Return a value of a partition key as conditions compare it; bytes in base64."""
    [content] = value.values()
    return b64encode(content).decode() if isinstance(content, bytes) else str(content)


def selection_of(request: Request) -> str:
    """Return which attributes a read asks for.

    AWS: the key says so even where the operation has no such member; its sample policies count on
    that to stop reads that name no attributes (IAM User Guide, "Allows access to specific
    attributes").
    """
    projected = "ProjectionExpression" in request or "AttributesToGet" in request
    return request.get("Select", "SPECIFIC_ATTRIBUTES" if projected else "ALL_ATTRIBUTES")


def attributes_named(request: Request) -> set[str]:
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


def _paths_of(request: Request) -> Iterable[syntax.Path]:
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
