"""Transactions: what they may hold, what they cost, and why one was cancelled.

Rules: every part names another item; a transaction fails whole, with a reason for each of its
parts, in their order; it consumes twice what its parts would by themselves, and so does one that is
repeated with its token, which consumes what reading its items does.

What is wrong with the form of a part, such as an expression that cannot be read, fails the request
as it fails an operation on one item. What only the table or the item shows is a reason.

Source: Amazon DynamoDB API Reference, TransactWriteItems, TransactGetItems and CancellationReason;
Developer Guide, "Amazon DynamoDB Transactions: How it works".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    ItemCollectionSizeLimitExceededException,
    ProvisionedThroughputExceededException,
    ThrottlingException,
    TransactionCanceledException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import keys, names, requests, sizes, values
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.requests import Expressions
from fogbank.services.dynamodb.rules.values import Item

READS: Final = {"Get": "GetItem"}
WRITES: Final = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
"""The kinds of parts, and the operation that a policy allows each by."""
TOKEN_WINDOW_MS: Final = 600_000
COST: Final = 2
"""A transaction reads or writes every item twice: to prepare, and to commit."""
_PARAMETERS: Final = {
    "Get": requests.GET,
    "ConditionCheck": requests.WRITE,
    "Delete": requests.WRITE,
    "Put": requests.WRITE,
    "Update": requests.UPDATE,
}
_NONE: Final = "None"
FAULTS: Final[dict[type[ServiceError], str]] = {
    ConditionalCheckFailedException: "ConditionalCheckFailed",
    DuplicateItemException: "DuplicateItem",
    ItemCollectionSizeLimitExceededException: "ItemCollectionSizeLimitExceeded",
    ProvisionedThroughputExceededException: "ProvisionedThroughputExceeded",
    ThrottlingException: "ThrottlingError",
    ValidationException: "ValidationError",
}
"""What cancels a transaction, with a reason for the part that it is of; and the reason's code."""
THROTTLED: Final = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})
"""The codes of reasons that time alone removes."""

Reason: TypeAlias = Wire
"""A ``CancellationReason``."""


class Part(NamedTuple):
    """One item that a transaction reads or writes."""

    kind: str
    """A name of ``READS`` or ``WRITES``."""
    name: str
    """The table."""
    given: Item
    """The item of a ``Put``, the key of any other."""
    size: int
    """What the request gives of it: its item or key, and the values of its expressions, in bytes."""
    expressions: Expressions
    request: Request
    """What the request says of it."""
    inserts: bool = False
    """Whether there must be no such item: an INSERT is a ``Put`` of which that is said."""


def kind_of(part: Wire) -> str:
    """Return what a part of a TransactWriteItems request does.

    Raises:
        ValidationException: It does nothing, or several things.
    """
    if len(part) != 1:
        raise ValidationException(
            "TransactItems can only contain one of Check, Put, Update or Delete"
        )
    [kind] = part
    return kind


def part_of(scope: Scope, domain: Domain, listed: Wire) -> Part:
    """Return a part, read and checked as far as it can be without its table.

    Raises:
        ValidationException: It cannot be read.
        ResourceNotFoundException: It names a table elsewhere.
    """
    kind = kind_of(listed)
    request = listed[kind]
    name = names.shared_name_of(scope, domain, request)
    given = values.admit_item(request["Item" if kind == "Put" else "Key"])
    expressions = requests.expressions_of(request, _PARAMETERS[kind])
    placed: Item = request.get("ExpressionAttributeValues", {})
    size = sizes.item_size(given) + sum(map(sizes.value_size, placed.values()))
    return Part(kind, name, given, size, expressions, request)


def require_distinct(named: Iterable[tuple[str, ItemKey]]) -> None:
    """Refuse a transaction that has two parts on one item of a table."""
    keys.require_distinct(
        named, "Transaction request cannot include multiple operations on one item"
    )


def require_size(size: int, bytes_max: int) -> None:
    """Refuse a transaction that gives, or reads, more than one may hold.

    AWS: of writes what the request gives counts, and not what it replaces or removes (ScyllaDB,
    test/alternator/test_transact.py, whose tests run on AWS too; the words from its accounts).
    """
    if size > bytes_max:
        raise ValidationException(f"Transaction payload size cannot exceed {bytes_max} bytes")


def reason_of(error: ServiceError) -> Reason:
    """Return the reason that an error of one part, one of ``FAULTS``, is."""
    return {"Code": FAULTS[type(error)], "Message": error.message, **item_of(error)}


def item_of(error: ServiceError) -> Wire:
    """Return the one member of an error that a reason has too: the item, if it was asked for."""
    return {name: value for name, value in error.members.items() if name == "Item"}


def require_no_reason(reasons: Sequence[Reason | None]) -> None:
    """Cancel a transaction if any of its parts has a reason for it."""
    if not any(reasons):
        return
    listed = [reason or {"Code": _NONE} for reason in reasons]
    codes = ", ".join(each["Code"] for each in listed)
    raise TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=listed,
    )
