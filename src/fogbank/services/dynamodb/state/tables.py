"""Tables by their names, and the work that waits on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fogbank.contract.action import Access, ContextValue
from fogbank.contract.call import Call, Elsewhere
from fogbank.platform.metering import consumption
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    TableNotFoundException,
)
from fogbank.services.dynamodb.rules import names, owners, provisioning, strong
from fogbank.services.dynamodb.rules.access import RequestKeys, decided_on, name_of
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    DELETING,
    MEASURES,
    TABLES,
    TAGS,
    MeasureRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import encryption, policies

DROPPED_TABLES = "dynamodb.dropped_tables"
"""The work list of tables whose items are still to be removed."""
KEYED_TABLES = "dynamodb.keyed_tables"
"""The work list of tables whose key KMS has, each due when it is to be tried next."""
RETIRED_GRANTS = "dynamodb.retired_grants"
"""The work list of grants of tables that are gone, or have another key."""
MEASURED_TABLES = "dynamodb.measured_tables"
"""The work list of tables, each due when it is to be counted next."""


STRONG_TABLES = "dynamodb.strong_tables"
"""The work list of strongly consistent tables at home, whose other replicas are to hear of it."""


async def require_table(
    tr: Transaction, call: Call, name: str, *, transactional: bool = False
) -> TableRecord:
    """Return the table that an operation on items needs.

    Args:
        tr: The transaction.
        call: The call.
        name: That of the table.
        transactional: Whether it is for a transaction over several items.

    Raises:
        Elsewhere: Its items lie in another region's domain.
        ResourceNotFoundException: There is none, it is still being filled, or it is not the one
            whose key the caller's policies were held against: another has taken its name since.
        AccessDeniedException: KMS does not let the caller use what its items are sealed with.
        ValidationException: That cannot be used by anybody; or the table is strongly consistent, and
            takes no part in transactions.
    """
    table = await TABLES.find(tr, name)
    if table is None or table.status != ACTIVE:
        raise ResourceNotFoundException("Requested resource not found")
    if transactional:
        strong.require_transactional(table)
    if not call.moved:
        require_here(tr, table)
        if not decided_on(call.accesses, table):
            raise ResourceNotFoundException("Requested resource not found")
        policies.confirm(tr, call, table, name)
    elif call.region != tr.domain.name[-1]:
        strong.require_replica(table, call.region)
        table = strong.watched_in(table, call.region)
    return table if table.sse is None else encryption.opened(tr, call, table)


class SeveralHomes(Exception):
    """The items of the tables of a batch lie in several regions.

    Args:
        tables: The tables of the region that was asked, by name.
        own: That region.
    """

    def __init__(self, tables: Mapping[str, TableRecord], own: str) -> None:
        super().__init__("the items of a batch lie in several regions")
        self.tables = tables
        self.homes = {
            name: own if table.strong is None else table.strong.home
            for name, table in tables.items()
        }


async def require_tables(
    tr: Transaction, call: Call, names: Sequence[str]
) -> dict[str, TableRecord]:
    """Return the tables of a batch by name.

    Raises:
        Elsewhere: The items of all of them lie in another region's domain.
        SeveralHomes: They lie in several.
        ServiceError: As ``require_table`` tells it.
    """
    try:
        return {name: await require_table(tr, call, name) for name in names}
    except Elsewhere:
        several = SeveralHomes(await _seen_here(tr, names), tr.domain.name[-1])
        if len(set(several.homes.values())) > 1:
            raise several from None
        raise


async def _seen_here(tr: Transaction, names: Sequence[str]) -> dict[str, TableRecord]:
    """Return the tables of some names as this region has them."""
    found: dict[str, TableRecord] = {}
    for name in names:
        table = await TABLES.find(tr, name)
        if table is None or table.status != ACTIVE:
            raise ResourceNotFoundException("Requested resource not found")
        found[name] = table
    return found


def require_here(tr: Transaction, table: TableRecord) -> None:
    """Have an operation run where the items of a table lie.

    Raises:
        Elsewhere: They lie in another region's domain.
    """
    if table.strong is not None and table.strong.home != tr.domain.name[-1]:
        _, account, _ = tr.domain.name
        raise Elsewhere(owners.domain_of(account, table.strong.home))


async def homes_of(tr: Transaction, names: Iterable[str]) -> dict[str, str]:
    """Return the region in which the items of each table lie; of one that is not there, this one."""
    found: dict[str, str] = {}
    for name in names:
        table, own = await TABLES.find(tr, name), tr.domain.name[-1]
        found[name] = own if table is None or table.strong is None else table.strong.home
    return found


async def require_together(tr: Transaction, names: Iterable[str]) -> None:
    """Have what reads several tables at one moment run where their items lie.

    Raises:
        Elsewhere: They lie in another region's domain, all of them.
        NotBuilt: They lie in several.
    """
    homes = set((await homes_of(tr, names)).values())
    if len(homes) > 1:
        raise strong.several()
    for home in homes - {tr.domain.name[-1]}:
        _, account, _ = tr.domain.name
        raise Elsewhere(owners.domain_of(account, home))


async def find_table(tr: Transaction, name: str) -> TableRecord | None:
    """Return the table with a name, whatever its status, or None."""
    return await TABLES.find(tr, name)


async def require_named_table(tr: Transaction, name: str) -> TableRecord:
    """Return the table that an operation on tables needs; the error names it."""
    table = await TABLES.find(tr, name)
    if table is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    return table


async def require_settled_table(tr: Transaction, name: str) -> TableRecord:
    """Return the table that an operation is to change; the error names it.

    Raises:
        ResourceInUseException: Background work still fills it.
    """
    table = await require_named_table(tr, name)
    if table.status == DELETING:
        raise ResourceInUseException("The resource which you are attempting to change is in use.")
    if table.status != ACTIVE:
        # AWS: in these words to DeleteTable (architect/dynalite, actions/deleteTable.js).
        raise ResourceInUseException(
            "Attempt to change a resource which is still in use: Table is being created: "
            f"{table.name}"
        )
    return table


async def require_backed_table(tr: Transaction, name: str) -> TableRecord:
    """Return the table that an operation on backups needs: these have an error of their own.

    AWS: a table that is being filled is not found either (recorded by the maintainers of its
    controllers for Kubernetes, October 2026).
    """
    table = await TABLES.find(tr, name)
    if table is None or table.status != ACTIVE:
        raise TableNotFoundException(f"Table not found: {name}")
    return table


async def find_leading_keys(tr: Transaction, access: Access) -> Mapping[str, ContextValue]:
    """Return the condition keys that take the key of a table beside the request."""
    table = await TABLES.find(tr, name_of(access.resource))
    if table is None or not isinstance(access.context, RequestKeys):
        return {}
    return access.context.leading(table)


async def require_none(tr: Transaction, name: str) -> None:
    """Refuse a new table where there is one of its name."""
    if await TABLES.find(tr, name) is not None:
        raise ResourceInUseException(f"Table already exists: {name}")


async def create_table(
    tr: Transaction, table: TableRecord, tables_max: int, measure_at_ms: int
) -> None:
    """Write a new table, unless there is one of that name or there are too many."""
    await require_none(tr, table.name)
    prefix = TABLES.prefix(tr.domain)
    if len(await tr.range(prefix, after_prefix(prefix), limit=tables_max)) == tables_max:
        raise LimitExceededException(
            f"Subscriber limit exceeded: There is a limit of {tables_max} tables per subscriber"
        )
    TABLES.put(tr, table, table.name)
    queue(tr, MEASURED_TABLES, table, measure_at_ms)
    if table.sse is not None:
        queue(tr, KEYED_TABLES, table, table.created_ms)


async def require_units(
    tr: Transaction, call: Call, table: TableRecord, before: TableRecord | None
) -> None:
    """Refuse more throughput of a table than it, or its account, may have.

    Args:
        tr: The transaction.
        call: The call.
        table: The table as the request wants it.
        before: The table as it is; None: it is new.

    Raises:
        LimitExceededException: It is more.
    """
    provisioning.require_table_limits(table, before, call.region, call.limit)
    asked = provisioning.units_of_all([table])
    had = (0, 0) if before is None else provisioning.units_of_all([before])
    if asked[0] <= had[0] and asked[1] <= had[1]:
        return
    prefix = TABLES.prefix(tr.domain)
    rows = await tr.range(prefix, after_prefix(prefix), limit=call.limit(quotas.TABLES))
    tables = [TABLES.decode(value) for _, value in rows]
    others = provisioning.units_of_all(each for each in tables if each.name != table.name)
    provisioning.require_account_limits(asked, had, others, call.region, call.limit)


def put_table(tr: Transaction, table: TableRecord) -> TableRecord:
    """Write a table that was changed, and return it; replicas with a copy of it hear of that."""
    if table.strong is not None and table.strong.home == tr.domain.name[-1]:
        later = msgspec.structs.replace(table.strong, revision=table.strong.revision + 1)
        table = msgspec.structs.replace(table, strong=later)
        queue(tr, STRONG_TABLES, table, 0)
    TABLES.put(tr, table, table.name)
    return table


async def drop_table(tr: Transaction, table: TableRecord, now_ms: int, *, is_read: bool) -> None:
    """Unlink a table from its name and queue the removal of its items.

    Args:
        tr: The transaction.
        table: The table.
        now_ms: The time.
        is_read: Somebody reads a moment of it (``history``): it is removed when that is over.
    """
    TABLES.delete(tr, table.name)
    MEASURES.delete(tr, table.id)
    TAGS.delete(tr, table.id)
    policies.drop_policy(tr, table)
    await consumption.forget(tr, table.name)
    queue_retirement(tr, table, now_ms)
    if not is_read:
        queue_removal(tr, table, now_ms)


def queue_retirement(tr: Transaction, table: TableRecord, now_ms: int) -> None:
    """Have the grant of a table's key retired, once nobody needs it any more.

    Args:
        tr: The transaction in which the table goes, or a backup of it, or it gets another key.
        table: The table, or what it was when the backup was made.
        now_ms: The time.
    """
    if table.sse is None or not table.sse.grant:
        return
    part, payload = table.sse.grant, encode(table)
    queue(tr, RETIRED_GRANTS, table, now_ms, part=part, payload=payload)


def queue_removal(tr: Transaction, table: TableRecord, now_ms: int) -> None:
    """Queue the removal of everything that lies under the id of a table that was dropped."""
    queue(tr, DROPPED_TABLES, table, now_ms, payload=encode(table))


def queue_rows_removal(tr: Transaction, rows: str, table: str, now_ms: int) -> None:
    """Queue the removal of everything that lies under an id other than a table's.

    Args:
        tr: The transaction.
        rows: The id, a UUID.
        table: The name of the table to which it belonged.
        now_ms: The time.
    """
    worklist.put(
        tr,
        WorkEntry(
            list=DROPPED_TABLES,
            id=rows,
            domain=tr.domain.name,
            payload=table.encode(),
            created_ms=now_ms,
            visible_ms=now_ms,
        ),
    )


def queue(
    tr: Transaction,
    work: str,
    table: TableRecord,
    due_ms: int,
    *,
    part: str = "",
    payload: bytes = b"",
) -> None:
    """Put a table, or a part of it, on a work list, with its name unless given anything else."""
    worklist.put(
        tr,
        WorkEntry(
            list=work,
            id=f"{table.id}/{part}" if part else table.id,
            domain=tr.domain.name,
            payload=payload or table.name.encode(),
            created_ms=table.created_ms,
            visible_ms=due_ms,
        ),
    )


def find_dropped_table(entry: WorkEntry) -> TableRecord | None:
    """Return a table as it was when it was dropped; None: all that is known is its id.

    Entries of earlier versions hold its name, as do those of the rows of backups.
    """
    return None if names.is_name(entry.payload) else TABLES.decode(entry.payload)


async def find_queued_table(tr: Transaction, entry: WorkEntry) -> TableRecord | None:
    """Return the table of a work entry, or None if it has been deleted since."""
    table = await TABLES.find(tr, entry.payload.decode())
    return table if table is not None and table.id == entry.id else None


async def measure_of(tr: Transaction, table: TableRecord) -> MeasureRecord:
    """Return what a table held when it was last counted; nothing if it never was."""
    return await MEASURES.find(tr, table.id) or MeasureRecord()


def put_measure(tr: Transaction, table: TableRecord, measure: MeasureRecord) -> None:
    """Write how far the counting of a table has got."""
    MEASURES.put(tr, measure, table.id)


async def list_tables_from(tr: Transaction, name: str, limit: int) -> list[TableRecord]:
    """Return up to ``limit`` tables in the order of their names, from a name on."""
    first = await TABLES.find(tr, name) if name else None
    after = (name,) if name else None
    found = [table for _, table in await TABLES.list(tr, limit=limit, after=after)]
    return found if first is None else [first, *found]


async def list_table_names(tr: Transaction, after: str | None, limit: int) -> list[str]:
    """Return up to ``limit`` names of tables in order, those behind a name."""
    start = None if after is None else (after,)
    return [table.name for _, table in await TABLES.list(tr, limit=limit, after=start)]
