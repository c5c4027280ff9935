"""Whether rows agree that speak of each other: what ``fogbank check`` asks of a store at rest.

Rule: indexes are held against the items, each of which says what it must have in every index. An
index that is being made need only have what its pieces have passed; one on its way out may have
anything. Bodies are held against the records that refer to them: each is counted as often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from fogbank.platform.blobs import chunks
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.chunks import BodyRef
from fogbank.platform.store.engine import DIRECTORY, StoredRows
from fogbank.platform.store.keyspace import SERVICES
from fogbank.platform.store.records import Table
from fogbank.platform.store.tuples import after_prefix, pack
from fogbank.services.dynamodb.rules import indexes
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES
from fogbank.services.dynamodb.schema import (
    BUILDS,
    COLLECTIONS,
    CREATING,
    ENTRIES,
    ITEMS,
    TABLES,
    VECTORS,
    IndexRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import bodies, copies, pasts

_DOMAIN_BYTES: Final = len(DIRECTORY.prefix)
_DOMAINS: Final = DIRECTORY.prefix[:1]
_OWNERS: Final = frozenset(bytes((SERVICES[name],)) for name in ("platform", "dynamodb"))
"""The owners of what lies in a domain of ours."""


def damage_of(stored: StoredRows) -> Iterator[str]:
    """Yield where indexes, collections, histories, backups or replicas are not what they say.

    Raises:
        Corrupt: A row is not what was written.
    """
    for domain in _domains_of(stored):
        tables = domain + TABLES.subspace
        for _, raw in stored.rows(tables, after_prefix(tables)):
            table = TABLES.decode(raw)
            # What KMS has the key of is sealed here: it is proved when it is read.
            if table.indexes and table.sse is None:
                yield from _Checked(stored, domain, table).damage()
            yield from pasts.history_damage(stored, domain, table)
            yield from copies.replica_damage(stored, domain, table)
        yield from pasts.backup_damage(stored, domain)
        yield from _reference_damage(stored, domain)
    yield from copies.copy_damage(stored)


def _reference_damage(stored: StoredRows, domain: bytes) -> Iterator[str]:
    """Yield which bodies are referred to more or less often than they are counted."""
    if not _is_ours(stored, domain):
        return
    found: Counter[BodyRef] = Counter()
    for kind, refs_of in bodies.REFERRING.items():
        prefix = domain + kind.subspace
        for _, raw in stored.rows(prefix, after_prefix(prefix)):
            found.update(ref for ref in refs_of(raw) if ref is not None)
    for ref, count in found.items():
        counted = _counted(stored, domain, ref)
        if counted != count:
            yield f"{_body_name(ref)} is referred to by {count} records and counted {counted} times"
    known = {_key_of(domain, ref) for ref in found}
    for prefix in (domain + chunks.COUNTS.subspace, domain + blob_rows.ROWS.subspace):
        for key, _ in stored.rows(prefix, after_prefix(prefix)):
            if key not in known:
                yield f"the body that is counted at {key.hex()} is referred to by no record"


def _is_ours(stored: StoredRows, domain: bytes) -> bool:
    """Return whether no other service has rows in a domain, and so nobody else bodies.

    A domain that has bodies and nothing else is one of ours as well: nobody refers to them.
    """
    begin, end = domain, after_prefix(domain)
    while (first := next(iter(stored.rows(begin, end)), None)) is not None:
        owner = first[0][_DOMAIN_BYTES : _DOMAIN_BYTES + 1]
        if owner not in _OWNERS:
            return False
        begin = after_prefix(domain + owner)
    return True


def _body_name(ref: BodyRef) -> str:
    """Return a body as findings name it."""
    return f"the blob {ref.blob[0]}-{ref.blob[1]}" if ref.blob else f"the chunk {ref.chunk.hex()}"


def _counted(stored: StoredRows, domain: bytes, ref: BodyRef) -> int:
    """Return how many records a body is counted to be referred to by."""
    raw = stored.get(_key_of(domain, ref))
    if raw is None:
        return 0
    kind = chunks.COUNTS if ref.blob is None else blob_rows.ROWS
    return kind.decode(raw).references


def _key_of(domain: bytes, ref: BodyRef) -> bytes:
    """Return where it is counted how often a body is referred to."""
    if ref.blob is not None:
        return domain + blob_rows.ROWS.subspace + pack(*ref.blob)
    return domain + chunks.COUNTS.subspace + pack(ref.chunk)


def _domains_of(stored: StoredRows) -> Iterator[bytes]:
    """Yield the prefixes of all domains that have rows, of whatever service."""
    begin, end = _DOMAINS, after_prefix(_DOMAINS)
    while (first := next(iter(stored.rows(begin, end)), None)) is not None:
        domain = first[0][:_DOMAIN_BYTES]
        yield domain
        begin = after_prefix(domain)


class _Checked:
    """A table while it is held against its indexes."""

    def __init__(self, stored: StoredRows, domain: bytes, table: TableRecord) -> None:
        self._stored = stored
        self._domain = domain
        self._table = table
        self._found = {index.number: 0 for index in indexes.kept_indexes(table)}
        self._passed = {index.number: self._passed_by(index) for index in table.indexes}

    def _prefix(self, kind: Table[Any]) -> bytes:
        """Return what the keys of a kind of rows of the table begin with."""
        table_id = bytes.fromhex(self._table.id.replace("-", ""))
        return self._domain + kind.subspace + table_id

    def _entries_prefix(self, index: IndexRecord) -> bytes:
        """Return what the keys of an index's entries begin with."""
        kind = ENTRIES if index.vector is None else VECTORS
        return self._prefix(kind) + index.number.to_bytes(indexes.NUMBER_BYTES)

    def _passed_by(self, index: IndexRecord) -> bytes | None:
        """Return up to where items must have their entries in an index; None: all of them."""
        if index.status != CREATING:
            return None
        raw = self._stored.get(self._domain + BUILDS.subspace + pack(self._table.id, index.number))
        return b"" if raw is None else BUILDS.decode(raw).next_place

    def damage(self) -> Iterator[str]:
        """Yield what is wrong, each with the table and the index."""
        prefix = self._prefix(ITEMS)
        sizes: dict[bytes, int] = {}
        for key, raw in self._stored.rows(prefix, after_prefix(prefix)):
            place = key[len(prefix) :]
            record = bodies.stored_record(self._stored, self._domain, ITEMS.decode(raw))
            digest = place[:DIGEST_BYTES]
            if digest not in sizes:
                yield from self._collection_damage(sizes)
                sizes = {digest: 0}
            sizes[digest] += record.size
            for index, entry in indexes.entries_of(self._table, place, record):
                if index.is_local:
                    sizes[digest] += entry.size
                yield from self._entry_damage(index, place, entry)
        yield from self._collection_damage(sizes)
        for index in indexes.kept_indexes(self._table):
            yield from self._surplus(index)

    def _entry_damage(
        self, index: IndexRecord, place: bytes, entry: indexes.Entry
    ) -> Iterator[str]:
        """Yield whether an item lacks its entry in an index, or has another there."""
        passed = self._passed[index.number]
        raw = self._stored.get(self._entries_prefix(index) + entry.place)
        if raw is None:
            if passed is None or place < passed:
                yield f"{self._named(index)} lacks the entry of the item at {place.hex()}"
            return
        self._found[index.number] += 1
        if raw != indexes.record_of(entry, place):
            yield f"{self._named(index)} has another entry of the item at {place.hex()}"

    def _surplus(self, index: IndexRecord) -> Iterator[str]:
        """Yield whether an index has entries of no item."""
        prefix = self._entries_prefix(index)
        count = sum(1 for _ in self._stored.rows(prefix, after_prefix(prefix)))
        surplus = count - self._found[index.number]
        if surplus:
            yield f"{self._named(index)} has {surplus} entries that no item has"

    def _collection_damage(self, sizes: dict[bytes, int]) -> Iterator[str]:
        """Yield whether a collection, if there is one, has another size than is kept of it."""
        if not indexes.has_collections(self._table):
            return
        for digest, size in sizes.items():
            raw = self._stored.get(self._prefix(COLLECTIONS) + digest)
            kept = 0 if raw is None else COLLECTIONS.decode(raw).size
            if kept != size:
                yield (
                    f"the table {self._table.name} keeps {kept} bytes of the collection"
                    f" {digest.hex()}, which has {size}"
                )

    def _named(self, index: IndexRecord) -> str:
        """Return an index as findings name it."""
        return f"the index {index.name} of the table {self._table.name}"
