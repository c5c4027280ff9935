"""Grants: by key, by who holds them and by who may retire them."""

from __future__ import annotations

import msgspec

from fogbank.base.types import Request
from fogbank.contract.action import Access
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.request import Caller
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import InvalidGrantTokenException, LimitExceededException
from fogbank.services.kms.rules import grants, names, tokens
from fogbank.services.kms.rules.access import GrantKeys
from fogbank.services.kms.schema import (
    BY_GRANTEE,
    BY_RETIRING,
    GRANTS,
    KEYS,
    GrantRecord,
    MarkRecord,
)

_MARK = MarkRecord()


async def find_further(tr: Transaction, access: Access, caller: Caller) -> BoundPolicy | None:
    """Return the policy of a key with the grants that let a caller in, or None if none does."""
    arn = access.resource
    key = await KEYS.find(tr, names.key_id_in(arn))
    if key is None:
        return None
    if isinstance(access.context, GrantKeys):
        grant = await GRANTS.find(tr, key.id, access.context.grant_id)
        held = [] if grant is None else [grant]
    else:
        held = await _held(tr, key.id, grants.names_of(caller, arn.split(":")[1]))
    return grants.joined(key.policy, key.bound, held, access)


async def _held(tr: Transaction, key_id: str, principals: tuple[str, ...]) -> list[GrantRecord]:
    """Return the grants of a key that some principals hold."""
    held: list[GrantRecord] = []
    for principal in principals:
        held += await list_held(tr, key_id, principal, None, quotas.GRANTEE_GRANTS_MAX)
    return held


async def find_grant(tr: Transaction, key_id: str, grant_id: str) -> GrantRecord | None:
    """Return a grant, or None."""
    return await GRANTS.find(tr, key_id, grant_id)


async def find_same(tr: Transaction, asked: GrantRecord) -> GrantRecord | None:
    """Return the grant of a name that is all that is asked for, or None.

    AWS: who asks again with the same name and parameters gets the same grant (API Reference,
    CreateGrant, ``Name``).
    """
    if not asked.name:
        return None
    held = await list_held(tr, asked.key_id, asked.grantee, None, quotas.GRANTEE_GRANTS_MAX)
    for grant in held:
        if grants.is_same(grant, asked):
            return grant
    return None


async def create_grant(tr: Transaction, grant: GrantRecord, limit: int) -> None:
    """Write a new grant.

    Raises:
        LimitExceededException: The key has, or its grantee holds, as many as there may be.
    """
    key = await KEYS.find(tr, grant.key_id)
    assert key is not None, "a grant is of a key that stands"
    held = await BY_GRANTEE.list(tr, grant.key_id, grant.grantee, limit=quotas.GRANTEE_GRANTS_MAX)
    if key.grants >= limit or len(held) >= quotas.GRANTEE_GRANTS_MAX:
        raise LimitExceededException("The key has as many grants as it may have.")
    KEYS.put(tr, msgspec.structs.replace(key, grants=key.grants + 1), key.id)
    GRANTS.put(tr, grant, grant.key_id, grant.id)
    BY_GRANTEE.put(tr, _MARK, grant.key_id, grant.grantee, grant.id)
    if grant.retiring:
        BY_RETIRING.put(tr, _MARK, grant.retiring, grant.key_id, grant.id)


async def delete_grant(tr: Transaction, grant: GrantRecord) -> None:
    """Remove a grant."""
    key = await KEYS.find(tr, grant.key_id)
    assert key is not None, "a grant that is ended is of a key that stands"
    KEYS.put(tr, msgspec.structs.replace(key, grants=key.grants - 1), key.id)
    GRANTS.delete(tr, grant.key_id, grant.id)
    BY_GRANTEE.delete(tr, grant.key_id, grant.grantee, grant.id)
    if grant.retiring:
        BY_RETIRING.delete(tr, grant.retiring, grant.key_id, grant.id)


async def list_grants(
    tr: Transaction, key_id: str, after: str | None, limit: int
) -> list[GrantRecord]:
    """Return up to ``limit`` grants of a key in order of their ids."""
    behind = None if after is None else (after,)
    return [grant for _, grant in await GRANTS.list(tr, key_id, limit=limit, after=behind)]


async def list_held(
    tr: Transaction, key_id: str, grantee: str, after: str | None, limit: int
) -> list[GrantRecord]:
    """Return up to ``limit`` grants of a key that a principal holds."""
    behind = None if after is None else (after,)
    rows = await BY_GRANTEE.list(tr, key_id, grantee, limit=limit, after=behind)
    return [await _marked(tr, key_id, str(rest[0])) for rest, _ in rows]


async def list_retirable(
    tr: Transaction, retiring: str, after: tuple[str, str] | None, limit: int
) -> list[GrantRecord]:
    """Return up to ``limit`` grants that a principal may retire, in order of key and id."""
    rows = await BY_RETIRING.list(tr, retiring, limit=limit, after=after)
    return [await _marked(tr, str(rest[0]), str(rest[1])) for rest, _ in rows]


async def _marked(tr: Transaction, key_id: str, grant_id: str) -> GrantRecord:
    """Return a grant that a mark speaks of."""
    grant = await GRANTS.find(tr, key_id, grant_id)
    assert grant is not None, "a marked grant stands"
    return grant


async def find_tokened(tr: Transaction, token: str) -> GrantRecord | None:
    """Return the grant that a token of this account proves, or None."""
    named = tokens.find_named(token)
    grant = None if named is None else await GRANTS.find(tr, named.key_id, named.grant_id)
    if named is None or grant is None or not tokens.is_proved(named, grant.secret):
        return None
    return grant


async def check_tokens(tr: Transaction, request: Request) -> None:
    """Refuse grant tokens that prove nothing; those that do change nothing."""
    for token in request.get("GrantTokens") or ():
        if await find_tokened(tr, token) is None:
            raise InvalidGrantTokenException("The grant token is not valid.")
