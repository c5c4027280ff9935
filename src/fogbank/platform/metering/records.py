"""What the audit trail keeps: rows of entries, and why callers were refused.

Keys, all in system subspaces, in the partition of the account:

    AUDIT      account, time of the row (ms) + stamp of the commit      -> a row of entries
    AUDIT      mark 1, account                                          -> how much is kept
    DECISIONS  account, 0                                               -> the next slot
    DECISIONS  account, 1, slot                                         -> a refusal

Refusals lie in a ring of slots, so that no flood of them grows the store. An entry's time is that
of its end; its row is written at most ``flush_ms`` later.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM_PREFIX, Domain
from fogbank.platform.store.keyspace import (
    AUDIT,
    DECISIONS,
    PARTITIONS,
    partition_of,
    system_prefix,
)
from fogbank.platform.store.records import Record, RecordDecoder

STRANGERS: Final = "anonymous"
"""The account of calls by nobody that we know: a flood of them pushes out nothing else."""
_KEPT: Final = 1
_NEXT: Final = 0
_SLOT: Final = 1


class Caller(msgspec.Struct, frozen=True, array_like=True):
    """Who calls what from where: what many entries of a row share."""

    service: str
    operation: str
    region: str
    kind: str
    """A ``PrincipalKind``."""
    account: str = ""
    arn: str = ""
    unique_id: str = ""
    name: str = ""
    path: str = "/"
    session_name: str = ""
    access_key_id: str = ""
    issued_ms: int = 0
    source_identity: str = ""
    source_arn: str = ""
    source_account: str = ""
    source_ip: str = ""
    user_agent: str = ""
    host: str = ""
    secure: bool = False
    mfa_ms: int = 0
    """When it proved a second factor; 0: it did not."""


class Entry(msgspec.Struct, array_like=True):
    """One call, as it ended. Secrets are out of it before it is made.

    Its caller's place is known when the entry joins a row, and no sooner: so it is not frozen.
    """

    time_ms: int
    request_id: str
    caller: int
    """Its place in the row's callers."""
    resources: tuple[str, ...] = ()
    parameters: bytes = b""
    """What was asked, by wire names, as MessagePack; empty: nothing."""
    response: bytes = b""
    """What was answered, where a call changed something; empty: nothing."""
    error_code: str = ""
    error_message: str = ""
    additional: dict[str, str] | None = None


class BatchRecord(Record, frozen=True, array_like=True, tag="audit.batch/1"):
    """A row of entries of one account."""

    callers: tuple[Caller, ...]
    entries: tuple[Entry, ...]


class KeptRecord(Record, frozen=True, array_like=True, tag="audit.kept/1"):
    """How many bytes of rows stand from the first to ``counted``; what is behind is not counted."""

    kept_bytes: int
    counted: bytes
    """The key of the last row that was counted."""


class NextRecord(Record, frozen=True, array_like=True, tag="audit.next/1"):
    """The slot of the next refusal."""

    slot: int


class LookedAt(msgspec.Struct, frozen=True, array_like=True):
    """A policy that was looked at."""

    kind: str
    policy: str = ""
    holder: str = ""


class DenialRecord(Record, frozen=True, array_like=True, tag="audit.denial/1"):
    """Why a caller was refused; true after the policies are gone."""

    time_ms: int
    request_id: str
    caller: Caller
    action: str
    resource: str
    reason: str
    """The name of a ``Reason`` of ``platform/iam/decision``."""
    explanation: str
    """One sentence."""
    policy_kind: str = ""
    policy: str = ""
    holder: str = ""
    sid: str = ""
    statement: int = -1
    """The place of the statement that decided in its document, from 0; -1: none spoke."""
    text: str = ""
    """The statement that decided, as JSON."""
    keys: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    """The condition keys of the request: texts, or lists of texts."""
    looked_at: tuple[LookedAt, ...] = ()


decode_batch: Final = RecordDecoder(BatchRecord).decode
decode_kept: Final = RecordDecoder(KeptRecord).decode
decode_next: Final = RecordDecoder(NextRecord).decode
decode_denial: Final = RecordDecoder(DenialRecord).decode


def _prefix(subspace: int, account: str) -> bytes:
    return system_prefix(subspace, partition_of(Domain("account", account)))


@lru_cache(maxsize=1_024)
def account_prefix(account: str) -> bytes:
    """Return the prefix of all rows of entries of an account."""
    return _prefix(AUDIT, account) + tuples.pack(account)


def row_prefix(account: str, time_ms: int) -> bytes:
    """Return the key of a row, but for the stamp of its commit."""
    return account_prefix(account) + tuples.pack(time_ms)


def row_time_ms(key: bytes) -> int:
    """Return when a row was written."""
    account, time_ms = tuples.unpack(key[len(SYSTEM_PREFIX) + 2 : -12])
    assert isinstance(account, str)
    assert isinstance(time_ms, int)
    return time_ms


def account_of(key: bytes) -> str | None:
    """Return whose row of entries or refusal a key is; None for other keys."""
    raw = key[len(SYSTEM_PREFIX) + 2 :]
    cut = raw[:-12] if key.startswith(SYSTEM_PREFIX + bytes((AUDIT,))) else raw
    try:
        first = tuples.unpack(cut)[0]
    except (ValueError, IndexError):
        return None
    return first if isinstance(first, str) else None


def kept_key(account: str) -> bytes:
    """Return the key of how much of an account is kept."""
    return _prefix(AUDIT, account) + tuples.pack(_KEPT, account)


def next_key(account: str) -> bytes:
    """Return the key of the next slot of an account's refusals."""
    return _prefix(DECISIONS, account) + tuples.pack(account, _NEXT)


def slots_prefix(account: str) -> bytes:
    """Return the prefix of an account's refusals."""
    return _prefix(DECISIONS, account) + tuples.pack(account, _SLOT)


def slot_key(account: str, slot: int) -> bytes:
    """Return the key of one refusal."""
    return slots_prefix(account) + tuples.pack(slot)


def partitions(subspace: int) -> list[bytes]:
    """Return the prefixes of all partitions of a subspace."""
    return [system_prefix(subspace, number) for number in range(PARTITIONS)]
