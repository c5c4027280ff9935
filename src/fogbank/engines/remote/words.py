"""What a remote store and its owner say to each other: methods, digests, bounds.

A read is remembered by what was asked and a digest of what was answered, so that the owner can ask
itself again when it decides; a key that was not there has no digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from fogbank.platform.store.engine import SYSTEM, Domain

GET: Final = "store.get"
"""(domain, keys) -> values, None where there is none"""
RANGE: Final = "store.range"
"""(domain, begin, end, limit, reverse) -> (rows, whether there may be more)"""
DECIDE: Final = "store.decide"
"""(domain, gets, ranges, writes, appends) -> the stamp, empty if nothing was written; or None"""
NOW: Final = "store.now"
"""(domain) -> the time of the store"""
WATCH: Final = "store.watch"
"""(domain, prefix) -> a stream of hints"""

RANGE_BYTES_MAX: Final = 4 << 20
"""What one answer to a range holds; more comes in further pages."""
GET_KEYS_MAX: Final = 8
"""Keys of one question: eight of the largest values are as much as a range may answer."""
_DIGEST_BYTES: Final = 16

Row = tuple[bytes, bytes]
Named = Sequence[str] | None


def named_of(domain: Domain) -> Named:
    """Return a domain as plain values; the system subspaces have no name."""
    return None if domain == SYSTEM else domain.name


def domain_of(named: Named) -> Domain:
    """Return the domain whose plain values these are."""
    return SYSTEM if named is None else Domain(*named)


def digest_of(value: bytes | None) -> bytes | None:
    """Return what a value is compared by."""
    return None if value is None else blake2b(value, digest_size=_DIGEST_BYTES).digest()


def rows_digest(rows: Iterable[Sequence[bytes]], *, more: bool) -> bytes:
    """Return what an answer to a range is compared by."""
    hashed = blake2b(b"more" if more else b"all", digest_size=_DIGEST_BYTES)
    for key, value in rows:
        hashed.update(len(key).to_bytes(4) + len(value).to_bytes(4))
        hashed.update(key)
        hashed.update(value)
    return hashed.digest()
