"""Keys, their material and their aliases.

Functions take the transaction first and compose. Material is read by who encrypts, decrypts or
describes, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from fogbank.contract.action import Access, ContextValue
from fogbank.contract.facet import Standing
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.request import Caller
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.tags import borne
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import AlreadyExistsException, LimitExceededException
from fogbank.services.kms.rules import names
from fogbank.services.kms.rules.names import KeyName
from fogbank.services.kms.schema import (
    ALIASES,
    BY_GRANTEE,
    BY_RETIRING,
    COUNTS,
    GRANTS,
    KEY_ALIASES,
    KEYS,
    MATERIALS,
    AliasRecord,
    CountRecord,
    KeyRecord,
    MarkRecord,
    MaterialRecord,
)

DELETE: Final = "kms.delete"
"""The kind of the timers that delete keys."""
ROTATE: Final = "kms.rotate"
"""The kind of the timers that change the material of keys."""
ROTATIONS: Final = "kms.rotations"
"""The work list of keys that are due for new material."""
_MARK: Final = MarkRecord()
_ROWS_PER_STEP: Final = 200


async def find_key(tr: Transaction, name: KeyName) -> KeyRecord | None:
    """Return the key that a name stands for, or None."""
    key_id = name.key_id
    if name.alias:
        alias = await ALIASES.find(tr, name.alias)
        if alias is None:
            return None
        key_id = alias.key_id
    return await KEYS.find(tr, key_id)


async def require_key(tr: Transaction, name: KeyName, key_id: str) -> KeyRecord:
    """Return a key that was found before, as it is now, or refuse the call."""
    key = await KEYS.find(tr, key_id)
    if key is None:
        raise names.no_key(name.arn_of(key_id))
    return key


async def create_key(tr: Transaction, key: KeyRecord, material: MaterialRecord, limit: int) -> None:
    """Write a new key and its first material.

    Raises:
        LimitExceededException: There are as many keys as there may be.
    """
    count = await COUNTS.find(tr)
    standing = 0 if count is None else count.keys
    if standing >= limit:
        raise LimitExceededException(f"There are {limit} keys in this account and region.")
    COUNTS.put(tr, CountRecord(standing + 1))
    KEYS.put(tr, key, key.id)
    MATERIALS.put(tr, material, key.id, key.material)


def put_key(tr: Transaction, key: KeyRecord) -> None:
    """Write a key whose material is the same."""
    KEYS.put(tr, key, key.id)


async def require_material(tr: Transaction, key: KeyRecord) -> MaterialRecord:
    """Return the material that encrypts."""
    material = await MATERIALS.find(tr, key.id, key.material)
    assert material is not None, "a key that stands has its material"
    return material


async def find_material(tr: Transaction, key: KeyRecord, number: int) -> MaterialRecord | None:
    """Return a version of a key's material, or None if it never had it."""
    return await MATERIALS.find(tr, key.id, number)


async def list_keys(tr: Transaction, after: str | None, limit: int) -> list[KeyRecord]:
    """Return up to ``limit`` keys in order of their ids."""
    behind = None if after is None else (after,)
    return [key for _, key in await KEYS.list(tr, limit=limit, after=behind)]


async def list_materials(
    tr: Transaction, key: KeyRecord, after: int | None, limit: int
) -> list[tuple[int, MaterialRecord]]:
    """Return up to ``limit`` versions of a key's material with their numbers, the oldest first."""
    behind = None if after is None else (after,)
    rows = await MATERIALS.list(tr, key.id, limit=limit, after=behind)
    return [(int(rest[0] or 0), material) for rest, material in rows]


# What the gateway asks.


async def find_standing(tr: Transaction, access: Access, _caller: Caller) -> Standing | None:
    """Return what a key says of who may reach it, or None."""
    key = await KEYS.find(tr, names.key_id_in(access.resource))
    return None if key is None else Standing(BoundPolicy(key.policy, key.bound))


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the condition keys of the tags of a key's ARN; none if it does not stand."""
    key = await KEYS.find(tr, names.key_id_in(arn))
    return {} if key is None else borne(key.tags)


async def find_stored_keys(tr: Transaction, access: Access) -> Mapping[str, ContextValue]:
    """Return the condition key of the aliases of a key."""
    found = await KEY_ALIASES.list(tr, names.key_id_in(access.resource), limit=_ROWS_PER_STEP)
    aliases = tuple(str(rest[0]) for rest, _ in found)
    return {"kms:ResourceAliases": aliases} if aliases else {}


# Aliases.


async def find_alias(tr: Transaction, name: str) -> AliasRecord | None:
    """Return an alias, or None."""
    return await ALIASES.find(tr, name)


async def create_alias(tr: Transaction, alias: AliasRecord, arn: str) -> None:
    """Write a new alias.

    Raises:
        AlreadyExistsException: There is one of that name.
    """
    if await ALIASES.find(tr, alias.name) is not None:
        raise AlreadyExistsException(f"An alias with the name {arn} already exists")
    ALIASES.put(tr, alias, alias.name)
    KEY_ALIASES.put(tr, _MARK, alias.key_id, alias.name)


def move_alias(tr: Transaction, alias: AliasRecord, key_id: str, now_ms: int) -> None:
    """Let an alias name another key."""
    KEY_ALIASES.delete(tr, alias.key_id, alias.name)
    after = msgspec.structs.replace(alias, key_id=key_id, updated_ms=now_ms)
    ALIASES.put(tr, after, alias.name)
    KEY_ALIASES.put(tr, _MARK, key_id, alias.name)


def delete_alias(tr: Transaction, alias: AliasRecord) -> None:
    """Remove an alias."""
    ALIASES.delete(tr, alias.name)
    KEY_ALIASES.delete(tr, alias.key_id, alias.name)


async def count_aliases(tr: Transaction, key_id: str, limit: int) -> int:
    """Return how many aliases a key has, counted up to a limit."""
    return len(await KEY_ALIASES.list(tr, key_id, limit=limit))


async def list_aliases(tr: Transaction, after: str | None, limit: int) -> list[AliasRecord]:
    """Return up to ``limit`` aliases in order of name."""
    behind = None if after is None else (after,)
    return [alias for _, alias in await ALIASES.list(tr, limit=limit, after=behind)]


async def list_key_aliases(
    tr: Transaction, key_id: str, after: str | None, limit: int
) -> list[AliasRecord]:
    """Return up to ``limit`` aliases of a key in order of name."""
    behind = None if after is None else (after,)
    rows = await KEY_ALIASES.list(tr, key_id, limit=limit, after=behind)
    found = [await ALIASES.find(tr, rest[0]) for rest, _ in rows]
    assert all(alias is not None for alias in found), "a marked alias stands"
    return [alias for alias in found if alias is not None]


# Time.


def timer_of(tr: Transaction, kind: str, key_id: str, due_ms: int) -> Timer:
    """Return a timer of a key."""
    return Timer(kind=kind, domain=tr.domain.name, key=key_id.encode(), due_ms=due_ms)


async def rotate(
    tr: Transaction, key: KeyRecord, material: MaterialRecord, **changes: int
) -> KeyRecord:
    """Give a key new material, keep the old, and return the key; ``changes`` go with it."""
    after = msgspec.structs.replace(key, material=key.material + 1, **changes)
    MATERIALS.put(tr, material, after.id, after.material)
    put_key(tr, after)
    return after


async def queue_rotation(tr: Transaction, timer: Timer, now_ms: int) -> None:
    """Queue the change of a key's material, if it is the time: fresh material takes entropy.

    AWS: what is disabled or to be deleted does not rotate; it does at once when it is enabled again
    ("Rotate AWS KMS keys", "Disabled KMS keys").
    """
    key_id = timer.key.decode()
    if await _find_due(tr, key_id, timer.due_ms) is None:
        return
    entry = WorkEntry(
        list=ROTATIONS,
        id=key_id,
        domain=tr.domain.name,
        payload=str(timer.due_ms).encode(),
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


async def _find_due(tr: Transaction, key_id: str, due_ms: int) -> KeyRecord | None:
    """Return a key whose material is to change at a time, or None if it is not any more."""
    key = await KEYS.find(tr, key_id)
    due = key is not None and key.enabled and key.rotation_days and key.rotation_ms == due_ms
    return key if due else None


async def rotate_due(
    tr: Transaction, entry: WorkEntry, material: MaterialRecord, now_ms: int
) -> Timer | None:
    """Give a key the material that it is due for; return the timer for the next."""
    key = await _find_due(tr, entry.id, int(entry.payload))
    if key is None:
        return None
    next_ms = now_ms + key.rotation_days * quotas.DAY_MS
    await rotate(tr, key, material, rotation_ms=next_ms)
    return timer_of(tr, ROTATE, key.id, next_ms)


async def delete_due(tr: Transaction, timer: Timer, now_ms: int) -> Timer | None:
    """Delete a key if it is the time; return the timer to go on with if there is more to remove.

    The key and all of its material go in the first step, whence nothing decrypts any more.
    """
    key_id = timer.key.decode()
    key = await KEYS.find(tr, key_id)
    if key is not None:
        if key.deletion_ms != timer.due_ms:
            return None
        count = await COUNTS.find(tr)
        assert count is not None, "a key that stands was counted"
        COUNTS.put(tr, CountRecord(count.keys - 1))
        KEYS.delete(tr, key_id)
        for number in range(1, key.material + 1):
            MATERIALS.delete(tr, key_id, number)
    aliases = await KEY_ALIASES.list(tr, key_id, limit=_ROWS_PER_STEP)
    for rest, _ in aliases:
        ALIASES.delete(tr, rest[0])
        KEY_ALIASES.delete(tr, key_id, rest[0])
    grants = await GRANTS.list(tr, key_id, limit=_ROWS_PER_STEP)
    for _, grant in grants:
        GRANTS.delete(tr, key_id, grant.id)
        BY_GRANTEE.delete(tr, key_id, grant.grantee, grant.id)
        if grant.retiring:
            BY_RETIRING.delete(tr, grant.retiring, key_id, grant.id)
    if max(len(aliases), len(grants)) < _ROWS_PER_STEP:
        return None
    return timer_of(tr, DELETE, key_id, now_ms)
