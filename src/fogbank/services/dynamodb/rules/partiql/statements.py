"""Statements as requests send them: one, in a batch, or in a transaction.

Source: Amazon DynamoDB API Reference, ExecuteStatement, BatchExecuteStatement and ExecuteTransaction.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Scope
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.rules import names, sizes, transactions
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.partiql import plans
from fogbank.services.dynamodb.rules.partiql.parser import parse
from fogbank.services.dynamodb.rules.partiql.plans import placeholders_of
from fogbank.services.dynamodb.rules.partiql.syntax import Statement
from fogbank.services.dynamodb.rules.requests import Expressions
from fogbank.services.dynamodb.rules.transactions import Part
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import TableRecord

_PARTS: Final = {
    "Select": "Get",
    "Insert": "Put",
    "Update": "Update",
    "Delete": "Delete",
    "Exists": "ConditionCheck",
}
"""The part of a transaction that each kind of statement is."""
_ERROR_CODES: Final = {
    **{error.__name__: code for error, code in transactions.FAULTS.items()},
    ResourceNotFoundException.__name__: "ResourceNotFound",
}
"""``BatchStatementErrorCodeEnum``."""


class Asked(NamedTuple):
    """A statement with its values, as a request asks for it."""

    statement: Statement
    placeholders: Placeholders
    name: str
    """The table."""
    request: Request
    """With ``ReturnValuesOnConditionCheckFailure``."""


def asked_of(scope: Scope, request: Request) -> Asked:
    """Return the statement of a request, read and checked as far as it can be without its table.

    Raises:
        ValidationException: It cannot be read.
        ResourceNotFoundException: It names a table elsewhere.
    """
    statement = parse(request["Statement"])
    placeholders = placeholders_of(statement, request.get("Parameters", ()))
    return Asked(statement, placeholders, names.own_name(scope, statement.table), request)


def alone(scope: Scope, request: Request) -> Asked:
    """Return the statement of a request that executes one."""
    asked = asked_of(scope, request)
    if asked.statement.kind == "Exists":
        raise ValidationException("EXISTS() is supported in ExecuteTransaction only")
    return asked


def transaction_of(scope: Scope, listed: Sequence[Request]) -> list[Asked]:
    """Return the statements of a transaction: all of them read, or none does."""
    asked = [asked_of(scope, each) for each in listed]
    if len({each.statement.kind == "Select" for each in asked}) > 1:
        raise ValidationException(
            "Transaction statements must be either all reads, or all writes and EXISTS() checks"
        )
    return asked


def is_read(asked: Sequence[Asked]) -> bool:
    """Return whether statements read: those of one request all do, or none does."""
    return asked[0].statement.kind == "Select"


def part_in_transaction(asked: Asked, table: TableRecord, number: int) -> Part:
    """Return the part of a transaction that one of its statements is.

    Raises:
        ValidationException: The statement is not about one item of the table.
    """
    kind, where = asked.statement.kind, f"Validation failed in TransactStatements[{number}]: "
    if kind == "Select":
        return read_part(asked, table, "ExecuteTransaction", where)
    if kind == "Exists":
        key = plans.key_of(asked.statement, table, asked.placeholders)
        if key is None or not plans.has_further_condition(asked.statement, table):
            raise ValidationException(
                f"{where}EXISTS() must contain a single item read with additional condition"
            )
    return part_of(asked, table)


def part_of(asked: Asked, table: TableRecord) -> Part:
    """Return the part of a transaction that a statement which writes or checks is like.

    Raises:
        ValidationException: The statement is not about one item of the table.
    """
    statement, placeholders = asked.statement, asked.placeholders
    if statement.index:
        raise ValidationException(f"An index cannot be written: {statement.index}")
    inserts = statement.kind == "Insert"
    if inserts:
        given = plans.item_of(statement, placeholders)
    else:
        given = plans.require_key(statement, table, placeholders)
    return Part(
        _PARTS[statement.kind],
        asked.name,
        given,
        sum(map(sizes.value_size, placeholders.given)),
        plans.expressions_of(statement, placeholders),
        asked.request,
        inserts,
    )


def read_part(asked: Asked, table: TableRecord, operation: str, where: str = "") -> Part:
    """Return the part of a transaction that a SELECT of one item is.

    Args:
        asked: The statement.
        table: Its table.
        operation: What it stands in, for the message.
        where: What the message begins with.

    Raises:
        ValidationException: It asks for anything but the item with a key.
    """
    statement, placeholders = asked.statement, asked.placeholders
    key = plans.key_of(statement, table, placeholders)
    if key is None or statement.index or plans.has_further_condition(statement, table):
        raise ValidationException(
            f"{where}Select statements within {operation} must specify the primary key in the where"
            " clause."
        )
    columns = plans.columns_of(statement, placeholders)
    return Part("Get", asked.name, key, 0, Expressions(projection=columns), asked.request)


def error_of(error: ServiceError) -> Wire | None:
    """Return the ``Error`` of a statement of a batch, or None: then the whole batch fails."""
    code = _ERROR_CODES.get(type(error).__name__)
    if code is None:
        return None
    return {"Code": code, "Message": error.message, **transactions.item_of(error)}


def token_of(number: int, last: Item | None) -> str:
    """Return where a SELECT goes on.

    Args:
        number: The range of keys that it stopped in.
        last: The key of the item looked at last; None: the range begins.
    """
    return json.dumps([number, last], default=_shown, separators=(",", ":"))


def _shown(content: bytes) -> dict[str, str]:
    """Return bytes as the text of a token holds them."""
    return {"bytes": b64encode(content).decode()}


def place_of(token: str | None) -> tuple[int, Item | None]:
    """Return the range and the key that a token names; without one the first range begins."""
    if token is None:
        return 0, None
    number, last = json.loads(token, object_hook=_content)
    return number, last


def _content(members: dict[str, Any]) -> Any:
    """Return what a text of a token holds: bytes, where they were."""
    return b64decode(members["bytes"]) if members.keys() == {"bytes"} else members
