"""Moments of tables whose items lie in another region's domain: kept there, read there in pieces.

Rule: the moment is taken at home first, and lent to a reader that is named with it; then the reader's
record is written in its own region. Whoever has lent a moment asks after the reader from time to time and
takes it back once nobody reads, so that a crash between the two leaves nothing behind.

Theory: the items of a replica of a strongly consistent table, and the history of all its replicas, lie at
its home. A backup or a restore in another region reads them as of one moment, as it would read its own;
what is large gets a place of its own where it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import Unavailable
from fogbank.contract.call import Facilities
from fogbank.platform.blobs.chunks import BodyRef
from fogbank.platform.blobs.port import BlobPlacement
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Placement, Transaction
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.dynamodb.errors import LimitExceededException
from fogbank.services.dynamodb.quotas import CLIENT_CUTS_MAX
from fogbank.services.dynamodb.rules import replicas
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import CREATING, TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.backups import BACKUPS, RESTORES
from fogbank.services.dynamodb.schema.exports import EXPORTS, IN_PROGRESS
from fogbank.services.dynamodb.schema.replicas import LentCutRecord
from fogbank.services.dynamodb.state import backups, bodies, groups, history, tables
from fogbank.services.dynamodb.state.history import Piece

LENT_CUTS: Final = "dynamodb.lent_cuts"
"""The work list of moments that other regions read, each due when its reader is asked after."""
LENT_MS: Final = 60_000
"""How long after that; a record of the reader is written sooner, or not at all."""
_WRITTEN_MS: Final = LENT_MS // 2
BACKUP: Final = "backup"
RESTORE: Final = "restore"
EXPORT: Final = "export"
_decode: Final = RecordDecoder(LentCutRecord).decode


class Origin(NamedTuple):
    """A moment that was taken at home."""

    home: str
    """The region."""
    table: TableRecord
    """As the cut is of it."""
    until_ms: int
    """Whoever is to read it has said so by then."""

    def require_fresh(self, now_ms: int) -> None:
        """Refuse to begin to read what may have been taken back.

        Raises:
            Unavailable: It may.
        """
        if now_ms >= self.until_ms:
            raise Unavailable("what was asked for took too long to begin")


async def take(
    placement: Placement,
    domain: Domain,
    member: TableRecord,
    reader: tuple[str, ...],
    cuts: Mapping[str, int | None],
    now_ms: int,
) -> Origin:
    """Take moments of a table at home, for a reader in another region.

    Args:
        placement: Where domains are.
        domain: The reader's.
        member: The table of its region.
        reader: The kind, and the key of its record.
        cuts: The names of the moments, each with its second, as of ``history.take_cut``.
        now_ms: The time.

    Raises:
        LimitExceededException: Too many moments of the table are read.
        ResourceInUseException: It is no replica any more.
    """
    assert member.strong is not None, "the items of others lie in their own region"
    known, region = member.strong, domain.name[-1]

    async def body(tr: Transaction) -> TableRecord:
        found = await TABLES.find(tr, member.name)
        if found is None or found.id != known.id:
            raise replicas.in_use()
        if await history.count_cuts(tr, found.id, CLIENT_CUTS_MAX) == CLIENT_CUTS_MAX:
            raise LimitExceededException(
                f"Only {CLIENT_CUTS_MAX} moments of a table can be read at a time"
            )
        for cut, second in cuts.items():
            found = await history.take_cut(tr, found, cut, now_ms, second=second)
            lent = LentCutRecord(table=encode(found), region=region, reader=reader, cut=cut)
            tables.queue(tr, LENT_CUTS, found, now_ms + LENT_MS, part=cut, payload=encode(lent))
        return found

    home = groups.domain_in(domain, known.home)
    return Origin(known.home, await placement.store_of(home).transact(body), now_ms + _WRITTEN_MS)


async def read(
    facilities: Facilities,
    domain: Domain,
    origin: TableRecord,
    cut: str,
    keys: KeyRange,
    limit: int,
) -> Piece:
    """Return the next items of a range as they were at a moment, whole, to be written elsewhere.

    Args:
        facilities: Where domains and their blobs are.
        domain: The one in which the moment was taken.
        origin: The table as the cut is of it.
        cut: Its name.
        keys: The range; where it was read in part, what is left of it.
        limit: As of ``history.list_items_as_of``.
    """
    placement = facilities.placement
    assert isinstance(placement, BlobPlacement), "who places domains places their blobs"

    async def body(tr: Transaction) -> Piece:
        moment = await history.require_cut(tr, origin, cut)
        return await history.list_items_as_of(tr, origin, moment, keys, limit=limit)

    piece = await placement.store_of(domain).read(body)
    blobs, found = placement.blobs_of(domain), list[tuple[bytes, ItemRecord]]()
    for place, record in piece.items:
        whole = record if bodies.is_open(record) else await bodies.fetched_item(blobs, record)
        found.append((place, _loose(whole)))
    return piece._replace(items=found).first(keys, backups.STEP_BYTES)


def _loose(record: ItemRecord) -> ItemRecord:
    """Return a record whose body has no place yet, if it is large."""
    if record.body is None:
        return record
    return msgspec.structs.replace(record, body=BodyRef(len(bytes(record.attributes))))


async def release(
    placement: Placement, domain: Domain, origin: TableRecord, cut: str, now_ms: int
) -> None:
    """Let a moment go that is read no more; harmless to repeat."""

    async def body(tr: Transaction) -> None:
        await history.release_cut(tr, origin, cut, now_ms)

    await placement.store_of(domain).transact(body)


async def ask_after(placement: Placement, entry: WorkEntry, now_ms: int) -> bool:
    """Take a moment back if nobody reads it any more; return whether that is so."""
    lent, domain = _decode(entry.payload), Domain(*entry.domain)
    kind, *key = lent.reader

    async def look(tr: Transaction) -> bool:
        if kind == RESTORE:
            return await RESTORES.find(tr, *key) is not None
        if kind == EXPORT:
            export = await EXPORTS.find(tr, *key)
            return export is not None and export.status == IN_PROGRESS
        backup = await BACKUPS.find(tr, *key)
        return backup is not None and backup.status == CREATING

    if await placement.store_of(groups.domain_in(domain, lent.region)).read(look):
        return False
    await release(placement, domain, TABLES.decode(lent.table), lent.cut, now_ms)
    return True
