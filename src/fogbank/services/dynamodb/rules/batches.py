"""Batches: reads and writes of several items, of several tables, in one request.

A batch is no transaction: each item is read or written for itself, and what does not fit comes
back as unprocessed.

Source: Amazon DynamoDB API Reference, BatchGetItem and BatchWriteItem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import BATCH_GET_KEYS_MAX, BATCH_WRITE_REQUESTS_MAX
from fogbank.services.dynamodb.rules import items, keys, names, requests, values
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.requests import Expressions
from fogbank.services.dynamodb.rules.values import Item

GROUP_BYTES_MAX: Final = 256 << 10
"""Writes of one transaction together; a larger item is written alone."""


class TableReads(NamedTuple):
    """What a batch reads of one table."""

    given: str
    """The table as the request names it."""
    name: str
    keys: tuple[Item, ...]
    expressions: Expressions
    consistent: bool


class BatchWrite(NamedTuple):
    """One item that a batch writes, or removes by its key."""

    given: str
    """The table as the request names it."""
    name: str
    item: Item
    """The item, or the key of the item to remove."""
    size: int
    """The size of the item; 0 if it is to be removed."""
    removes: bool
    asked: Wire
    """What the request says of it."""


def reads_of(scope: Scope, domain: Domain, request: Request) -> list[TableReads]:
    """Return what a BatchGetItem request reads, table by table.

    Raises:
        ValidationException: It reads too much, or asks wrongly.
    """
    parts: dict[str, Wire] = request["RequestItems"]
    if sum(len(part["Keys"]) for part in parts.values()) > BATCH_GET_KEYS_MAX:
        raise ValidationException("Too many items requested for the BatchGetItem call")
    return [
        TableReads(
            given=given,
            name=names.shared_name(scope, domain, given),
            keys=tuple(values.admit_item(key) for key in part["Keys"]),
            expressions=requests.expressions_of(part, requests.GET),
            consistent=part.get("ConsistentRead", False),
        )
        for given, part in parts.items()
    ]


def writes_of(
    scope: Scope, domain: Domain, request: Request, item_bytes_max: int
) -> Iterator[BatchWrite]:
    """Yield what a BatchWriteItem request writes, in its order, each when it has been checked.

    Raises:
        ValidationException: It writes too much, or what cannot be stored.
    """
    parts: dict[str, list[Wire]] = request["RequestItems"]
    if sum(map(len, parts.values())) > BATCH_WRITE_REQUESTS_MAX:
        raise ValidationException("Too many items requested for the BatchWriteItem call")
    for given, listed in parts.items():
        for part in listed:
            name = names.shared_name(scope, domain, given)
            yield _write_of(given, name, part, item_bytes_max)


def _write_of(given: str, name: str, part: Wire, item_bytes_max: int) -> BatchWrite:
    """Return one write of a batch."""
    if len(part) != 1:
        # AWS: this text, although it is about requests (architect/dynalite,
        # validations/batchWriteItem.js).
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of"
            " the supported datatypes"
        )
    if "DeleteRequest" in part:
        key = values.admit_item(part["DeleteRequest"]["Key"])
        return BatchWrite(given, name, key, 0, removes=True, asked=part)
    item = values.admit_item(part["PutRequest"]["Item"])
    size = items.require_size(item, item_bytes_max, items.TOO_LARGE)
    return BatchWrite(given, name, item, size, removes=False, asked=part)


def require_distinct(named: Iterable[tuple[str, ItemKey]]) -> None:
    """Refuse a batch that has an item of a table twice."""
    keys.require_distinct(named, "Provided list of item keys contains duplicates")


def groups_of(writes: Sequence[BatchWrite]) -> Iterator[list[BatchWrite]]:
    """Yield the writes of a batch in groups that each fit one short transaction."""
    group: list[BatchWrite] = []
    size = 0
    for write in writes:
        if group and size + write.size > GROUP_BYTES_MAX:
            yield group
            group, size = [], 0
        group.append(write)
        size += write.size
    if group:
        yield group


# Batches over tables whose items lie in several regions.


def split(request: Request, named: Mapping[str, str], homes: Mapping[str, str]) -> dict[str, Wire]:
    """Return the parts of a batch by the regions in which they are to run, in its order.

    Args:
        request: With ``RequestItems``.
        named: The plain names of tables, by what the request names them.
        homes: The regions, by plain names.
    """
    parts: dict[str, Wire] = {}
    for given, asked in request["RequestItems"].items():
        part = parts.setdefault(homes[named[given]], {**request, "RequestItems": {}})
        part["RequestItems"][given] = asked
    return parts


def merged(answers: Sequence[Wire]) -> Wire:
    """Return the answer to a batch, of those to its parts, none of which has a table of another."""
    whole: Wire = {}
    for answer in answers:
        for member, told in answer.items():
            if isinstance(told, dict):
                whole[member] = {**whole.get(member, {}), **told}
            else:
                whole[member] = [*whole.get(member, []), *told]
    return whole


def split_statements(request: Request, homes: Sequence[str]) -> dict[str, tuple[Wire, list[int]]]:
    """Return the parts of a batch of statements by the regions in which they are to run.

    Args:
        request: With ``Statements``.
        homes: The region of each.

    Returns:
        Requests, each with the places that its statements have in the whole one.
    """
    parts: dict[str, tuple[Wire, list[int]]] = {}
    for place, (home, statement) in enumerate(zip(homes, request["Statements"], strict=True)):
        part, places = parts.setdefault(home, ({**request, "Statements": []}, []))
        part["Statements"].append(statement)
        places.append(place)
    return parts


def merged_statements(answers: Sequence[Wire], places: Sequence[list[int]]) -> Wire:
    """Return the answer to a batch of statements: what is told of each stands in its place."""
    told = [
        pair
        for answer, at in zip(answers, places, strict=True)
        for pair in zip(at, answer["Responses"], strict=True)
    ]
    told.sort(key=lambda pair: pair[0])
    return {**merged(answers), "Responses": [response for _, response in told]}
