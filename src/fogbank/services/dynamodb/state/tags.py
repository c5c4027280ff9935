"""The tags of tables: a row beside the table's, which no operation on items reads."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.contract.action import ContextValue
from fogbank.platform.store.engine import Transaction
from fogbank.platform.tags import borne
from fogbank.services.dynamodb.rules import tags
from fogbank.services.dynamodb.rules.resources import find_resource
from fogbank.services.dynamodb.schema import TABLES, TAGS, TableRecord, TagsRecord


async def require_tagged(tr: Transaction, name: str, arn: str) -> TableRecord:
    """Return the table whose tags are asked for; the error names its ARN."""
    table = await TABLES.find(tr, name)
    if table is None:
        raise tags.unfound(arn)
    return table


async def tags_of(tr: Transaction, table: TableRecord) -> dict[str, str]:
    """Return the tags of a table by their keys."""
    found = await TAGS.find(tr, table.id)
    return {} if found is None else found.tags


def put_tags(tr: Transaction, table: TableRecord, given: Mapping[str, str]) -> None:
    """Write the tags of a table, in place of those that it had; without any there is no row."""
    if given:
        TAGS.put(tr, TagsRecord(tags=dict(given)), table.id)
    else:
        TAGS.delete(tr, table.id)


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the condition keys of the tags of an ARN's table; none if it does not stand.

    AWS: the indexes of a table bear its tags; its streams bear none.
    """
    resource = find_resource(arn)
    if resource is None or resource.stream_label:
        return {}
    table = await TABLES.find(tr, resource.table)
    return {} if table is None else borne(await tags_of(tr, table))
