"""What statements need to be allowed: actions of their own, on the table or the index they name.

Source: Amazon DynamoDB Developer Guide, "IAM security policies with PartiQL for DynamoDB"; Service
Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import access, indexes
from fogbank.services.dynamodb.rules.access import RequestKeys
from fogbank.services.dynamodb.rules.expressions.syntax import Path, leaves_in
from fogbank.services.dynamodb.rules.partiql import plans
from fogbank.services.dynamodb.rules.partiql.parser import parse
from fogbank.services.dynamodb.rules.partiql.syntax import Document, Statement
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.values import Value
from fogbank.services.dynamodb.schema import TableRecord

_ACTIONS: Final = {
    "Select": "PartiQLSelect",
    "Exists": "PartiQLSelect",
    "Insert": "PartiQLInsert",
    "Update": "PartiQLUpdate",
    "Delete": "PartiQLDelete",
}


def on_statement(scope: Scope, request: Request) -> list[Access]:
    """Return the access of a request that executes one statement."""
    return [_access_of(scope, request, request)]


def on_statements(member: str, enclosing: str = "") -> AccessOf:
    """Return the access of a request that executes several.

    A statement that cannot be read needs nothing: it is refused before anything is done.

    Args:
        member: Where they stand in it.
        enclosing: The transaction that they stand in; empty if it is none.
    """

    def accesses(scope: Scope, request: Request) -> list[Access]:
        found: list[Access] = []
        for each in request[member]:
            with suppress(ValidationException):
                found.append(_access_of(scope, request, each, enclosing))
        return found

    return accesses


def _access_of(scope: Scope, request: Request, each: Request, enclosing: str = "") -> Access:
    """Return the access of one statement."""
    statement = parse(each["Statement"])
    arn = access.arn_of(scope, statement.table)
    if statement.index:
        arn = arns.index_arn(arn, statement.index)
    action = _ACTIONS[statement.kind]
    keys = StatementKeys(statement, {**request, **each}, action, enclosing)
    return Access(f"dynamodb:{action}", arn, keys)


class StatementKeys(RequestKeys):
    """The condition keys of one statement, put together when first read."""

    __slots__ = ("_statement",)

    def __init__(self, statement: Statement, request: Request, action: str, enclosing: str) -> None:
        super().__init__(action, request, enclosing=enclosing)
        self._statement = statement

    def attributes(self) -> set[str]:
        """Return the attributes that the statement names."""
        statement = self._statement
        found = {str(column.path.elements[0]) for column in statement.columns}
        found |= _names_in(leaves_in(statement.where, Path))
        for action in () if statement.update is None else statement.update.actions:
            found |= _names_in((action.path, *leaves_in(action.source, Path)))
        item = statement.values.get(statement.item)
        if isinstance(item, Document):
            found |= {name for name, _ in item.members}
        return found

    def leading(self, table: TableRecord) -> Mapping[str, ContextValue]:
        """Return the values of the partition key that the statement names, and whether it scans.

        Raises:
            ValidationException: A value cannot be read.
        """
        self.table_id = table.id
        statement = self._statement
        placeholders = plans.placeholders_of(statement, self._request.get("Parameters", ()))
        given: list[Value] = []
        scans = False
        if statement.kind == "Insert":
            item = plans.item_of(statement, placeholders)
            given = [item[name] for name in (table.partition.name,) if name in item]
        else:
            target = Target(table, indexes.find_index(table, statement.index))
            partition = [each.name for each in target.partition]
            # A vector index may have no partition key, and no statement reads one.
            ranges = (
                plans.ranges_of(
                    statement, placeholders, partition, [each.name for each in target.sort]
                )
                if partition
                else None
            )
            given = [terms[partition[0]].values[0] for terms in ranges or ()]
            scans = ranges is None and statement.kind == "Select"
        keys: dict[str, ContextValue] = {"dynamodb:FullTableScan": str(scans).lower()}
        if given:
            keys["dynamodb:LeadingKeys"] = access.leading_texts(given)
        return keys


def _names_in(paths: Iterable[Path]) -> set[str]:
    """Return the attributes that paths begin at."""
    return {str(path.elements[0]) for path in paths}
