"""Access keys: what users and the root user sign with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.credentials import SECRET_CHARACTERS
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.identity.records import (
    ACCESS_KEYS,
    ACCOUNTS,
    AccessKeyRecord,
    AccountRecord,
    UserRecord,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.errors import LimitExceeded, NoSuchEntity, ValidationError
from fogbank.services.iam.quotas import ACCESS_KEYS_PER_USER

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


async def _owner(call: Call, request: Request) -> UserRecord | None:
    """Return the user whose keys are meant, or None for the root user itself.

    Without a name it is the caller.
    """
    name = request.get("UserName")
    principal = call.principal
    if name is None and principal.kind is PrincipalKind.ROOT:
        return None
    if name is None:
        if principal.kind is not PrincipalKind.USER:
            raise ValidationError("Must specify userName when calling with non-User credentials")
        name = principal.name
    return cast("UserRecord", await state.permitted(call, "user", name))


async def _holder(tr: Transaction, seen: UserRecord | None) -> UserRecord | AccountRecord:
    """Return the record that lists the keys, as it is now."""
    if seen is not None:
        return await state.again(tr, "user", seen)
    account = await ACCOUNTS.find(tr)
    assert account is not None, "the caller's account stands"
    return account


def _keys_of(holder: UserRecord | AccountRecord) -> tuple[str, ...]:
    """Return the ids of a holder's keys."""
    return holder.access_keys if isinstance(holder, UserRecord) else holder.root_keys


def _put_keys(tr: Transaction, holder: UserRecord | AccountRecord, keys: tuple[str, ...]) -> None:
    """Write the ids of a holder's keys."""
    if isinstance(holder, UserRecord):
        state.changed(tr, "user", holder, access_keys=keys)
    else:
        ACCOUNTS.put(tr, msgspec.structs.replace(holder, root_keys=keys))


async def _require_key(
    tr: Transaction, seen: UserRecord | None, key_id: str
) -> tuple[UserRecord | AccountRecord, AccessKeyRecord]:
    """Return a key of a holder, and the holder, or refuse the call."""
    holder = await _holder(tr, seen)
    key = await ACCESS_KEYS.find(tr, key_id) if key_id in _keys_of(holder) else None
    if key is None:
        raise NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")
    return holder, key


@operation(access=rules.in_operation)
async def create_access_key(
    call: Call, request: shapes.CreateAccessKeyRequest
) -> shapes.CreateAccessKeyResponse:
    """Create an access key; its secret is told this once."""
    seen = await _owner(call, request)
    key = AccessKeyRecord(
        key_id=call.identity.mint_key_id(call.account, call.ids),
        secret=call.ids.base62(SECRET_CHARACTERS),
        user="" if seen is None else seen.name,
        user_id="" if seen is None else seen.unique_id,
        created_ms=call.clock.now_ms(),
    )
    keys_max = call.limit(ACCESS_KEYS_PER_USER)

    async def body(tr: Transaction) -> None:
        holder = await _holder(tr, seen)
        keys = _keys_of(holder)
        if len(keys) >= keys_max:
            raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {keys_max}")
        assert await ACCESS_KEYS.find(tr, key.key_id) is None, "a minted key id is fresh"
        _put_keys(tr, holder, (*keys, key.key_id))
        ACCESS_KEYS.put(tr, key, key.key_id)

    await call.identity.change(call.account, body)
    return {"AccessKey": {**rules.key_view(key), "SecretAccessKey": key.secret}}


@operation(access=rules.in_operation)
async def list_access_keys(
    call: Call, request: shapes.ListAccessKeysRequest
) -> shapes.ListAccessKeysResponse:
    """List the access keys of a user, without their secrets."""
    seen = await _owner(call, request)

    async def body(tr: Transaction) -> list[tuple[str, shapes.AccessKeyMetadata]]:
        views: list[tuple[str, shapes.AccessKeyMetadata]] = []
        for key_id in sorted(_keys_of(await _holder(tr, seen))):
            key = await ACCESS_KEYS.find(tr, key_id)
            assert key is not None, "a key that is listed stands"
            views.append((key_id, rules.key_view(key)))
        return views

    shown, paging = rules.page(request, await call.store.read(body))
    return {"AccessKeyMetadata": shown, **paging}


@operation(access=rules.in_operation)
async def update_access_key(call: Call, request: shapes.UpdateAccessKeyRequest) -> Wire:
    """Make an access key active or inactive; in force when this returns."""
    seen = await _owner(call, request)
    if request["Status"] not in ("Active", "Inactive"):
        raise ValidationError("Status must be Active or Inactive")
    active = request["Status"] == "Active"

    async def body(tr: Transaction) -> None:
        _, key = await _require_key(tr, seen, request["AccessKeyId"])
        ACCESS_KEYS.put(tr, msgspec.structs.replace(key, active=active), key.key_id)

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def delete_access_key(call: Call, request: shapes.DeleteAccessKeyRequest) -> Wire:
    """Delete an access key; in force when this returns."""
    seen = await _owner(call, request)

    async def body(tr: Transaction) -> None:
        holder, key = await _require_key(tr, seen, request["AccessKeyId"])
        keys = tuple(one for one in _keys_of(holder) if one != key.key_id)
        _put_keys(tr, holder, keys)
        ACCESS_KEYS.delete(tr, key.key_id)

    await call.identity.change(call.account, body)
    return {}
