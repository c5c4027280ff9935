"""The declared tree of keys: who owns which prefix.

A key is ``domain prefix + service byte + table byte + packed tuple``; a key of a system subspace
is ``SYSTEM_PREFIX + subspace byte + partition byte + packed tuple``. Numbers are never reused.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.store.engine import SYSTEM_PREFIX, Domain

SERVICES: Final = {
    "platform": 0x01,
    "iam": 0x02,
    "s3": 0x03,
    "dynamodb": 0x04,
    "lambda": 0x05,
    "logs": 0x06,
    "sts": 0x07,
    "kms": 0x08,
    "s3control": 0x09,
    "dynamodbstreams": 0x0A,
    "application-autoscaling": 0x0B,
}
"""One byte per owner, in the order in which they came."""

OUTBOX: Final = 0x01
TIMERS: Final = 0x02
WORK: Final = 0x03
BLOB_DELETIONS: Final = 0x04
SETTINGS: Final = 0x05
BLOB_WATERMARKS: Final = 0x06
TOKENS: Final = 0x07
AUDIT: Final = 0x08
DEAD_LETTERS: Final = 0x09
OUTBOX_LATER: Final = 0x0A
LEASES: Final = 0x0B
TRACES: Final = 0x0C
DECISIONS: Final = 0x0D
DELIVERY_STATE: Final = 0x10
SCRUB: Final = 0x11
WORK_COUNTS: Final = 0x12
OUTBOX_COUNTS: Final = 0x13
CONSUMERS: Final = 0x14
EXPIRIES: Final = 0x15
METRICS: Final = 0x16

PARTITIONS: Final = 16
"""System subspaces are split by domain hash, so that each part has one reader."""


def partition_of(domain: Domain) -> int:
    """Return the partition of the system subspaces that a domain writes to."""
    return domain.prefix[-1] % PARTITIONS


def partition_in(key: bytes) -> int:
    """Return the partition that a key of a system subspace lies in."""
    assert key.startswith(SYSTEM_PREFIX), "a key of a system subspace"
    return key[len(SYSTEM_PREFIX) + 1]


def shard_of(domain: Domain, stores: int) -> int:
    """Return the number of the store that owns a domain, of so many.

    The bytes are others than those of the partition, so that every store uses all partitions.
    """
    return int.from_bytes(domain.prefix[1:9]) % stores


def system_prefix(subspace: int, partition: int) -> bytes:
    """Return the prefix of one partition of a system subspace."""
    assert 0 <= partition < PARTITIONS
    return SYSTEM_PREFIX + bytes((subspace, partition))
