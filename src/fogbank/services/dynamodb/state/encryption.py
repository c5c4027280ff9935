"""The keys of tables that KMS has: opened for whoever asks, or for the service itself.

Rule: a caller's operation on items has the key opened on behalf of the caller, whose leave KMS decides
on anew after five minutes, and at once where a policy, a grant or the state of the key has changed.
Background work has it opened for the service, by the grant that whoever chose the key made. A table
whose key is not to be had is left as it is: work on it waits.

Source: AWS KMS Developer Guide, "How Amazon DynamoDB uses AWS KMS"; Amazon DynamoDB Developer Guide,
"Encryption at rest: How it works".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from fogbank.base.errors import ServiceError, Unavailable
from fogbank.contract.call import Call
from fogbank.platform.blobs.held import held_of
from fogbank.platform.crypto.locked import LockedKey, Opener, Unopened
from fogbank.platform.crypto.sealer import BodySealer
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.rules import encryption, sealing
from fogbank.services.dynamodb.schema import TABLES, StreamRecord, TableRecord
from fogbank.services.dynamodb.schema.encryption import EncryptionRecord

S = TypeVar("S", TableRecord, StreamRecord)
_Keys = Callable[[LockedKey], bytes]


def locked_key(domain: Domain, table: str, owner: str, wrapped: bytes) -> LockedKey:
    """Return what it takes to have the key of a table decrypted."""
    _, account, region = domain.name
    context = tuple(encryption.context_of(account, table).items())
    return LockedKey(arns.SERVICE, account, region, owner, wrapped, context)


def locked_keys(domain: Domain, table: TableRecord) -> list[LockedKey]:
    """Return the keys of a table that KMS has, the one for what is written last."""
    assert table.sse is not None, "only what is sealed has keys"
    return [
        locked_key(domain, table.name, each.kms_key, each.wrapped)
        for each in table.sse.keys
        if each.kms_key
    ]


def opened(tr: Transaction, call: Call, table: TableRecord) -> TableRecord:
    """Return a table whose key KMS has with that key, for an operation on its items.

    Raises:
        AccessDeniedException: KMS does not let the caller use it.
        ValidationException: The key is disabled, or to be deleted.
        Unopened: It is asked for first.
    """
    assert table.sse is not None, "only what is sealed is opened"
    return _with(table, _opened(tr.domain, table.name, table.id, table.sse, _for_caller(tr, call)))


def opened_stream(tr: Transaction, call: Call, stream: StreamRecord) -> StreamRecord:
    """Return a stream likewise, whose table may be gone."""
    assert stream.sse is not None, "only what is sealed is opened"
    keys = _for_caller(tr, call)
    return _with(stream, _opened(tr.domain, stream.table, stream.table_id, stream.sse, keys))


def served(tr: Transaction, table: TableRecord) -> TableRecord:
    """Return a table with its key, if it is sealed, for work of the service itself.

    Raises:
        Unavailable: The key cannot be used now: the work waits.
        Unopened: It is asked for first.
    """
    if table.sse is None:
        return table

    def key_of(key: LockedKey) -> bytes:
        try:
            return _held(tr, key)
        except ServiceError as error:
            raise Unavailable(f"the key of the table {table.name}: {error.message}") from error

    return _with(table, _opened(tr.domain, table.name, table.id, table.sse, key_of))


async def opened_by(opener: Opener, domain: Domain, table: TableRecord) -> TableRecord:
    """Return a table with its key, if it is sealed, for who reads it piece by piece.

    Raises:
        Unavailable: The key cannot be used now.
    """
    if table.sse is None:
        return table
    found: dict[LockedKey, bytes] = {}
    for key in locked_keys(domain, table):
        try:
            found[key] = await opener(key)
        except ServiceError as error:
            raise Unavailable(f"the key of the table {table.name}: {error.message}") from error
    return _with(table, _opened(domain, table.name, table.id, table.sse, found.__getitem__))


def put_inaccessible(tr: Transaction, table: TableRecord, now_ms: int) -> None:
    """Write that the key of a table cannot be used, and since when."""
    assert table.sse is not None, "only what is sealed needs a key"
    if not table.sse.inaccessible_ms:
        sse = msgspec.structs.replace(table.sse, inaccessible_ms=now_ms)
        TABLES.put(tr, _with(table, sse), table.name)


def put_accessible(tr: Transaction, table: TableRecord) -> None:
    """Write that the key of a table can be used again."""
    assert table.sse is not None, "only what is sealed needs a key"
    sse = msgspec.structs.replace(table.sse, inaccessible_ms=0)
    TABLES.put(tr, _with(table, sse), table.name)


def _held(tr: Transaction, key: LockedKey) -> bytes:
    """Return a key that this run of a body has at hand, or have it run again."""
    held = held_of(tr)
    if held is None:
        raise Unopened(key)
    return held.key_of(key)


def _for_caller(tr: Transaction, call: Call) -> _Keys:
    """Return what opens keys for who calls."""

    def key_of(key: LockedKey) -> bytes:
        kept = call.find_key(key)
        if kept is not None:
            return kept
        try:
            return _held(tr, key)
        except ServiceError as error:
            raise encryption.shown(error, call.request_id) from error

    return key_of


def _opened(
    domain: Domain, table: str, table_id: str, sse: EncryptionRecord, key_of: _Keys
) -> EncryptionRecord:
    """Return what seals a table, with its keys."""
    found = {
        each.number: key_of(locked_key(domain, table, each.kms_key, each.wrapped))
        if each.kms_key
        else each.wrapped
        for each in sse.keys
    }
    return sse.with_sealer(BodySealer(found, sse.active, sealing.about_of(table_id)))


def _with(record: S, sse: EncryptionRecord) -> S:
    """Return a table or a stream with what seals it."""
    return msgspec.structs.replace(record, sse=sse)
