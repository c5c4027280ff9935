"""How much a table holds: counted in pieces, now and then.

Items are not counted as they are written: every write to a table would contend for one record.
AWS counts now and then too: ``ItemCount`` and ``TableSizeBytes`` are up to about six hours old
(Amazon DynamoDB API Reference, "TableDescription").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fogbank.services.dynamodb.rules import indexes
from fogbank.services.dynamodb.schema import ItemRecord, MeasureRecord, TableRecord

PERIOD_MS: Final = 6 * 3_600_000
"""How long a table rests between two counts."""


def counted(
    measure: MeasureRecord, table: TableRecord, rows: Sequence[tuple[bytes, ItemRecord]]
) -> MeasureRecord:
    """Return a measure whose count under way has gone on over some items."""
    found = dict(measure.next_indexes)
    for place, record in rows if table.indexes else ():
        for index, entry in indexes.entries_of(table, place, record):
            count, size = found.get(index.number, (0, 0))
            found[index.number] = count + 1, size + entry.size
    return MeasureRecord(
        items=measure.items,
        size=measure.size,
        next_items=measure.next_items + len(rows),
        next_size=measure.next_size + sum(record.size for _, record in rows),
        next_place=rows[-1][0] + b"\0" if rows else measure.next_place,
        indexes=measure.indexes,
        next_indexes=found,
    )


def finished(measure: MeasureRecord) -> MeasureRecord:
    """Return a measure whose count under way has come to the end of the table."""
    return MeasureRecord(
        items=measure.next_items, size=measure.next_size, indexes=measure.next_indexes
    )
