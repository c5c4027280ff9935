"""Background work: what was consumed of provisioned tables and indexes, written down minute by minute.

The meters of this process know it; once a minute what has come to them is written in the domain of each
table, for whoever scales it (``platform/metering/consumption``). A minute is cut a second after its end. What
was consumed since the last cut is lost if the process dies: at most a minute's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from fogbank.contract.call import Facilities
from fogbank.contract.job import Rest, reconciler
from fogbank.platform.metering import consumption
from fogbank.platform.metering.throughput import Meter, Name, Owner
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.schema import PROVISIONED, IndexRecord, TableRecord

PERIOD_MS: Final = 1_000
SETTLE_MS: Final = 1_000
"""A minute is written so long after its end."""
METERS_PER_STEP: Final = 50
"""Written in one transaction."""
_STALE_MINUTES: Final = 24 * 60
"""A part of a table of which nothing was heard for so long is forgotten."""
_MEASURES: Final = {False: "ReadCapacityUnits", True: "WriteCapacityUnits"}


class _Taken(NamedTuple):
    """What has come to a meter since it was written down last."""

    owner: Owner
    name: Name
    meter: Meter
    until: float
    """What the meter says."""


@reconciler(period_ms=PERIOD_MS)
async def record_consumption(facilities: Facilities) -> Rest:
    """Write down what was consumed in the minute that is over."""
    past = (facilities.clock.now_ms() - SETTLE_MS) // consumption.MINUTE_MS
    by_domain: dict[Domain, list[_Taken]] = {}
    for name, meter in list(facilities.meters):
        if meter.owner is not None and meter.taken != meter.told:
            taken = _Taken(meter.owner, name, meter, meter.taken)
            by_domain.setdefault(meter.owner.domain, []).append(taken)
    for domain, found in by_domain.items():
        for begin in range(0, len(found), METERS_PER_STEP):
            some = found[begin : begin + METERS_PER_STEP]
            await facilities.holding(domain).transact(partial(_write, some, past - 1))
            for each in some:
                each.meter.told = each.until
    return Rest((past + 1) * consumption.MINUTE_MS + SETTLE_MS)


async def _write(found: Sequence[_Taken], minute: int, tr: Transaction) -> None:
    """Write what was consumed of some tables of a domain in a minute."""
    for table_name in {each.owner.resource for each in found}:
        await consumption.forget_older(tr, table_name, minute - _STALE_MINUTES)
    for each in found:
        table = await state.tables.find_table(tr, each.owner.resource)
        provisioned = 0 if table is None else _provisioned(table, each)
        if provisioned:
            await consumption.add(
                tr,
                (each.owner.resource, each.owner.part),
                _MEASURES[each.name.writes],
                minute,
                each.until - each.meter.told,
                provisioned,
            )


def _provisioned(table: TableRecord, taken: _Taken) -> int:
    """Return what a table or an index may consume a second; 0: nothing is said of it."""
    if table.id != taken.name.resource or table.billing_mode != PROVISIONED:
        return 0
    owner: TableRecord | IndexRecord | None = table
    if taken.owner.part:
        owner = next((each for each in table.indexes if each.name == taken.owner.part), None)
    if owner is None:
        return 0
    return owner.write_units if taken.name.writes else owner.read_units
