"""What a check expects of rows that speak about each other: blobs, chunks, tokens, leases.

Each of these facts lies in two rows that one transaction writes: a blob's row in its domain and the
entry that its file should be there, a chunk's body and its count, a token's row and its entry by
end. One without the other is damage that no checksum sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.segment import Writes
from fogbank.platform.blobs import chunks
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import DIRECTORY, SYSTEM_PREFIX
from fogbank.platform.store.keyspace import LEASES, TOKENS
from fogbank.platform.store.lease import decode_lease
from fogbank.platform.store.tuples import unpack

_DOMAIN_BYTES: Final = len(DIRECTORY.prefix)
_BLOB_ROW: Final = blob_rows.ROWS.subspace
_CHUNK_BODY: Final = chunks.BODIES.subspace
_CHUNK_COUNT: Final = chunks.COUNTS.subspace
_TABLE_END: Final = _DOMAIN_BYTES + len(_BLOB_ROW)
_SUBSPACES: Final = {SYSTEM_PREFIX + bytes([number]): number for number in (TOKENS, LEASES)}
_HEAD_BYTES: Final = 2


def is_about_blobs(key: bytes) -> bool:
    """Return whether a row says that a blob's file should be there, or should go."""
    return blob_rows.file_key_is(key) or blob_rows.deletion_key_is(key)


def is_blob_row(key: bytes) -> bool:
    """Return whether a row is what a domain knows of one of its blobs."""
    return is_in_domain(key) and key[_DOMAIN_BYTES:_TABLE_END] == _BLOB_ROW


def is_looked_at(key: bytes) -> bool:
    """Return whether a check compares the row with others."""
    return (
        is_about_blobs(key)
        or is_blob_row(key)
        or _chunk_of(key) is not None
        or key[:_HEAD_BYTES] in _SUBSPACES
    )


def told_of(key: bytes, value: bytes) -> bytes:
    """Return what a check needs of a row's value: of the body of a chunk, that it is there."""
    return b"" if key[_DOMAIN_BYTES:_TABLE_END] == _CHUNK_BODY and is_in_domain(key) else value


def is_in_domain(key: bytes) -> bool:
    """Return whether a row is a domain's and not the system's."""
    return key[:1] == DIRECTORY.prefix[:1]


def _chunk_of(key: bytes) -> bytes | None:
    """Return domain and id of the chunk that a row belongs to, or None."""
    if not is_in_domain(key) or key[_DOMAIN_BYTES:_TABLE_END] not in (_CHUNK_BODY, _CHUNK_COUNT):
        return None
    return key[:_DOMAIN_BYTES] + key[_TABLE_END:]


def damage_of(entries: Writes) -> Iterator[str]:
    """Yield what is wrong between the rows that ``is_looked_at`` chose."""
    try:
        yield from _blob_damage(entries)
        yield from _chunk_damage(entries)
        yield from tokens.damage_of(_of(entries, TOKENS))
        for key, value in _of(entries, LEASES).items():
            if value is not None and decode_lease(value).epoch < 1:
                yield f"the lease at {key!r} has no epoch"
    except Corrupt as error:
        yield str(error)


def _of(entries: Writes, number: int) -> Writes:
    """Return the rows of a system subspace."""
    return {
        key: value for key, value in entries.items() if _SUBSPACES.get(key[:_HEAD_BYTES]) == number
    }


def _blob_damage(entries: Writes) -> Iterator[str]:
    """Yield where the rows of blobs and the entries of their files do not agree."""
    known: dict[BlobRef, tuple[bytes, int]] = {}
    files: dict[BlobRef, tuple[bytes, int]] = {}
    leaving: set[BlobRef] = set()
    for key, value in entries.items():
        if value is None:
            continue
        if is_blob_row(key):
            row = blob_rows.ROWS.decode(value)
            incarnation, number = unpack(key[_DOMAIN_BYTES + len(_BLOB_ROW) :])
            assert isinstance(incarnation, int)
            assert isinstance(number, int)
            known[BlobRef(incarnation, number)] = (key[:_DOMAIN_BYTES], row.size)
            if row.references < 1:
                yield f"the blob {incarnation}-{number} has a row with no reference"
        elif blob_rows.file_key_is(key):
            file = blob_rows.decode_file(value)
            files[blob_rows.ref_of_file_key(key)] = (file.domain, file.size)
        elif blob_rows.deletion_key_is(key):
            deletion = blob_rows.decode_deletion(value)
            leaving.add(BlobRef(deletion.incarnation, deletion.number))
    for ref in sorted(known.keys() | files.keys() | leaving):
        wanted = None if ref in leaving else files.get(ref)
        if known.get(ref) != wanted:
            yield (
                f"the blob {ref.incarnation}-{ref.number} has a row that says {known.get(ref)}, "
                f"and an entry of its file that says {files.get(ref)}, "
                f"{'queued' if ref in leaving else 'not queued'} for deletion"
            )


def _chunk_damage(entries: Writes) -> Iterator[str]:
    """Yield where the bodies of chunks and their counts do not agree."""
    bodies: set[bytes] = set()
    counts: set[bytes] = set()
    for key, value in entries.items():
        chunk = _chunk_of(key)
        if chunk is None or value is None:
            continue
        if key[_DOMAIN_BYTES:_TABLE_END] == _CHUNK_BODY:
            bodies.add(chunk)
            continue
        counts.add(chunk)
        if chunks.COUNTS.decode(value).references < 1:
            yield f"the chunk {chunk.hex()} has a count without references"
    for chunk in sorted(bodies ^ counts):
        yield f"the chunk {chunk.hex()} has {'no count' if chunk in bodies else 'no body'}"
