"""What KMS is asked for when a table gets a key, or goes: outside of transactions.

Rule: whoever chooses a KMS key for a table makes a grant in his own name, by which the service makes the
table's key and uses it later; the grant is named after the table's id, so that no two tables share one.
It is retired when the table is gone, unless a backup or a moment of it still needs the key.

Source: AWS KMS Developer Guide, "How Amazon DynamoDB uses AWS KMS", "Authorizing use of the KMS key".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from fogbank.base.errors import ServiceError, TokenReused
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Facilities, service_principal_in
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.rules import backups, encryption
from fogbank.services.dynamodb.rules.encryption import Asked
from fogbank.services.dynamodb.schema import TABLES, TableRecord
from fogbank.services.dynamodb.schema.backups import BACKUPS
from fogbank.services.dynamodb.schema.encryption import UPDATING, EncryptionRecord, TableKey
from fogbank.services.dynamodb.state import bulks, history
from fogbank.services.dynamodb.state.encryption import locked_key, locked_keys

_AWS: Final = "AWS"
_PAGE: Final = 100
_GONE: Final = frozenset(
    {
        *("NotFoundException", "InvalidGrantIdException", "KMSInvalidStateException"),
        *("AccessDenied", "AccessDeniedException", "DisabledException"),
    }
)
"""What KMS says of a grant that is gone, or whose key is, or is about to be."""


async def new_key(
    call: Call, asked: Asked | None, table: str, table_id: str
) -> EncryptionRecord | None:
    """Return what is to seal a new table of this call's domain; None: nothing but the store does.

    Args:
        call: Of who makes the table, in whose name the grant is made.
        asked: What is asked for.
        table: The name of the table.
        table_id: Its id.

    Raises:
        AccessDeniedException: KMS does not let the caller.
        InternalServerError: Nothing can be sealed with such a key.
        ValidationException: There is no such key, or it cannot be used.
    """
    if asked is None or not asked.enabled:
        return None
    sse = await _granted(call, asked, table, table_id)
    return await _with_fresh_key(call, sse, table)


async def _granted(call: Call, asked: Asked, table: str, grant: str) -> EncryptionRecord:
    """Return what seals a table under a KMS key that the service may use, still without keys."""
    _, account, region = call.domain.name
    described = await _ask(call, "DescribeKey", {"KeyId": asked.key})
    arn: str = described["KeyMetadata"]["Arn"]
    request = encryption.grant_request(arn, account, region, table)
    made = await _ask(call, "CreateGrant", {**request, "Name": grant})
    return EncryptionRecord(
        kms_key=arn,
        grant=made["GrantId"],
        is_managed=described["KeyMetadata"]["KeyManager"] == _AWS,
    )


async def _with_fresh_key(call: Call, sse: EncryptionRecord, table: str) -> EncryptionRecord:
    """Return what seals a table with a new key for what is written from now on."""
    _, account, _ = call.domain.name
    made = await _ask(
        call,
        "GenerateDataKey",
        {
            "KeyId": sse.kms_key,
            "KeySpec": "AES_256",
            "EncryptionContext": encryption.context_of(account, table),
        },
        by_service=locked_key(call.domain, table, sse.kms_key, b""),
    )
    number = max((each.number for each in sse.keys), default=0) + 1
    key = TableKey(number=number, wrapped=made["CiphertextBlob"], kms_key=sse.kms_key)
    return msgspec.structs.replace(sse, keys=(*sse.keys, key), active=number)


async def changed_key(
    call: Call, asked: Asked, table: TableRecord, now_ms: int
) -> EncryptionRecord:
    """Return what is to seal a table whose encryption is changed.

    Another KMS key encrypts the same key of the table, so that nothing is sealed anew. With AWS's own
    key the table's lies in its record as it is. A table that has none of KMS gets a fresh one, with
    which a job seals what is there.

    Raises:
        AccessDeniedException: KMS does not let the caller.
        InternalServerError: Nothing can be sealed with such a key.
        LimitExceededException: It was changed too often.
        ResourceInUseException: An earlier change is under way.
        ValidationException: It is no change, or a key cannot be used, be it the present one.
    """
    before = table.sse or EncryptionRecord()
    encryption.require_change(table.sse, asked, now_ms)
    opened = await _opened_keys(call, table)
    changes_ms = (*encryption.recent_changes(table.sse, now_ms), now_ms)
    if not asked.enabled:
        after = encryption.without_kms(before, opened)
        return msgspec.structs.replace(after, changes_ms=changes_ms)
    grant = f"{table.id}/{call.request_id}"
    after = await _granted(call, asked, table.name, grant)
    after = msgspec.structs.replace(after, changes_ms=changes_ms)
    try:
        if not before.kms_key:
            after = msgspec.structs.replace(after, keys=before.keys, status=UPDATING)
            return await _with_fresh_key(call, after, table.name)
        keys = [await _wrapped(call, after, table, each, opened) for each in before.keys]
    except ServiceError:
        await retire(call.facilities, call.domain, after)
        raise
    return msgspec.structs.replace(after, keys=tuple(keys), active=before.active)


async def _opened_keys(call: Call, table: TableRecord) -> dict[int, bytes]:
    """Return the keys of a table by their numbers, opened for the service."""
    found: dict[int, bytes] = {}
    for each in () if table.sse is None else table.sse.keys:
        found[each.number] = each.wrapped
        if each.kms_key:
            locked = locked_key(call.domain, table.name, each.kms_key, each.wrapped)
            try:
                found[each.number] = await call.facilities.open_key(locked)
            except ServiceError as error:
                raise encryption.shown(error, call.request_id) from error
    return found


async def _wrapped(
    call: Call,
    sse: EncryptionRecord,
    table: TableRecord,
    key: TableKey,
    opened: Mapping[int, bytes],
) -> TableKey:
    """Return a key of a table as the KMS key that it is to have encrypts it."""
    if not key.kms_key:
        return key
    _, account, _ = call.domain.name
    made = await _ask(
        call,
        "Encrypt",
        {
            "KeyId": sse.kms_key,
            "Plaintext": opened[key.number],
            "EncryptionContext": encryption.context_of(account, table.name),
        },
        by_service=locked_key(call.domain, table.name, sse.kms_key, b""),
    )
    return msgspec.structs.replace(key, wrapped=made["CiphertextBlob"], kms_key=sse.kms_key)


async def _ask(
    call: Call, operation: str, request: Request, by_service: LockedKey | None = None
) -> Wire:
    """Ask KMS on behalf of the caller, or for the service; its refusals become DynamoDB's."""
    principal = call.principal if by_service is None else service_principal_in(by_service)
    try:
        return await call.calls.call(
            "kms",
            operation,
            dict(request),
            principal=principal,
            region=call.region,
            account="" if by_service is None else by_service.account,
            via=arns.SERVICE if by_service is None else "",
        )
    except ServiceError as error:
        raise encryption.shown(error, call.request_id) from error


async def require_usable(call: Call, name: str) -> None:
    """Refuse what needs the key of a table if the service cannot use it.

    AWS: of the operations on tables, those that make a backup or change the time to live, insights or
    the encryption (ack-api-quirks, DDB-TABLE-333).

    Raises:
        ValidationException: It cannot.
    """
    table = await call.store.read(lambda tr: TABLES.find(tr, name))
    if table is None or table.sse is None:
        return
    for key in locked_keys(call.domain, table):
        try:
            await call.facilities.open_key(key)
        except ServiceError as error:
            raise encryption.shown(error, call.request_id) from error


async def retire(facilities: Facilities, domain: Domain, sse: EncryptionRecord) -> None:
    """Retire the grant of a table that needs its key no more; harmless to repeat."""
    locked = locked_key(domain, "", sse.kms_key, b"")
    try:
        await facilities.calls.call(
            "kms",
            "RetireGrant",
            {"KeyId": locked.owner, "GrantId": sse.grant},
            principal=service_principal_in(locked),
            region=locked.region,
            account=locked.account,
        )
    except ServiceError as error:
        if error.code not in _GONE:
            raise


@asynccontextmanager
async def unless_refused(call: Call, sse: EncryptionRecord | None) -> AsyncGenerator[None]:
    """Retire the grant of a table that is not made after all."""
    try:
        yield
    except (ServiceError, TokenReused):
        if sse is not None:
            await retire(call.facilities, call.domain, sse)
        raise


async def is_needed(tr: Transaction, table: TableRecord) -> bool | None:
    """Return whether the key of a table is needed still; None: for a while.

    Until a moment is read that is kept of it, or the reports of a bulk put are written.
    """
    assert table.sse is not None, "there is a key"
    standing = await TABLES.find(tr, table.name)
    if standing is not None and standing.sse is not None and standing.sse.grant == table.sse.grant:
        return True
    after: tuple[str] | None = None
    while True:
        found = await BACKUPS.list(tr, table.name, limit=_PAGE, after=after)
        for (backup_id,), backup in found:
            after = (str(backup_id),)
            sse = backups.table_of(backup).sse
            if sse is not None and sse.grant == table.sse.grant:
                return True
        if len(found) < _PAGE:
            waits = await history.has_cuts(tr, table.id) or await bulks.is_written(tr, table)
            return None if waits else False
