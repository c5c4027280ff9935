"""Operations on aliases: names of keys, which lie in the account and region of the keys.

An alias is a resource of its own: making, moving and removing one takes leave for the alias, by
policies of identities, and for each key that it names, by the key's policy too. Source: AWS KMS
Developer Guide, "Controlling access to aliases".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.arns import alias_arn
from fogbank.services.kms.errors import LimitExceededException, ValidationException
from fogbank.services.kms.rules import access, names, states, views
from fogbank.services.kms.rules.names import KeyName
from fogbank.services.kms.schema import AliasRecord
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import change, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes


@operation(access=access.on_alias("CreateAlias"))
async def create_alias(call: Call, request: shapes.CreateAliasRequest) -> Wire:
    """Give a key a name."""
    alias_name = request["AliasName"]
    names.check_alias(alias_name)
    found = await permitted(call, request["TargetKeyId"])
    now_ms = call.clock.now_ms()
    alias = AliasRecord(name=alias_name, key_id=found.key.id, created_ms=now_ms, updated_ms=now_ms)
    limit = call.limit(quotas.ALIASES)

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        if await keys.count_aliases(tr, key.id, limit) >= limit:
            raise LimitExceededException(f"The key has {limit} aliases.")
        await keys.create_alias(tr, alias, alias_arn(call.region, call.account, alias_name))

    await call.store.transact(body)
    return {}


@operation(access=access.on_alias("UpdateAlias"))
async def update_alias(call: Call, request: shapes.UpdateAliasRequest) -> Wire:
    """Let a name stand for another key of the same usage."""
    before = await _require(call, request["AliasName"])
    await permitted(call, before.key_id)
    found = await permitted(call, request["TargetKeyId"])
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        alias = await keys.find_alias(tr, request["AliasName"])
        if alias is None or alias.key_id != before.key_id:
            raise _missing(call, request["AliasName"])
        old = await keys.require_key(tr, found.name, alias.key_id)
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        if (old.spec, old.usage) != (key.spec, key.usage):
            raise ValidationException(
                f"Alias {alias.name} cannot be changed to a key of another type or usage."
            )
        keys.move_alias(tr, alias, key.id, now_ms)

    await change(call, call.account, body)
    return {}


@operation(access=access.on_alias("DeleteAlias"))
async def delete_alias(call: Call, request: shapes.DeleteAliasRequest) -> Wire:
    """Remove a name; its key stays."""
    before = await _require(call, request["AliasName"])
    await permitted(call, before.key_id)

    async def body(tr: Transaction) -> None:
        alias = await keys.find_alias(tr, request["AliasName"])
        if alias is None or alias.key_id != before.key_id:
            raise _missing(call, request["AliasName"])
        keys.delete_alias(tr, alias)

    await change(call, call.account, body)
    return {}


async def _require(call: Call, name: str) -> AliasRecord:
    """Return an alias of the caller's account and region, or refuse the call."""
    names.check_alias(name)
    alias = await call.store.read(lambda tr: keys.find_alias(tr, name))
    if alias is None:
        raise _missing(call, name)
    return alias


def _missing(call: Call, name: str) -> Exception:
    """Return the error for an alias that does not stand."""
    return KeyName(call.account, call.region, "", name).missing


@operation(access=access.of_account("ListAliases"))
async def list_aliases(
    call: Call, request: shapes.ListAliasesRequest
) -> shapes.ListAliasesResponse:
    """List the aliases of the account in the region, or of one key, in order of name."""
    limit = min(request.get("Limit", quotas.PAGE), quotas.LISTED_MAX)
    after = request.get("Marker")
    text = request.get("KeyId")
    name = None if text is None else names.key_name_of(call.scope, text, aliases=False)

    async def body(tr: Transaction) -> list[AliasRecord]:
        if name is None:
            return await keys.list_aliases(tr, after, limit + 1)
        if name.account != call.account:
            raise name.missing
        key = await keys.require_key(tr, name, name.key_id)
        return await keys.list_key_aliases(tr, key.id, after, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListAliasesResponse = {
        "Aliases": [views.alias_view(call.scope, alias) for alias in found[:limit]],
        "Truncated": len(found) > limit,
    }
    if len(found) > limit:
        reply["NextMarker"] = found[limit - 1].name
    return reply
