"""Keys that a caller may act on: found, decided on, and checked.

Rule: a key is found first, for an alias may stand for it and its kind is in condition keys; then
the access is decided, on the key's own policy; then the operation looks at its state. Who may not
act on a key hears so whether or not it stands.
"""

from __future__ import annotations

from typing import NamedTuple

from fogbank.base.types import Request
from fogbank.contract.action import ContextValue
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Body, Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import AccessDeniedException, DryRunOperationException
from fogbank.services.kms.rules import access, materials, names, policies
from fogbank.services.kms.rules.names import AWS_ALIAS, KeyName
from fogbank.services.kms.rules.specs import SPECS, SYMMETRIC
from fogbank.services.kms.schema import AWS, AliasRecord, KeyRecord
from fogbank.services.kms.state import grants, keys


class Found(NamedTuple):
    """A key that the caller may act on."""

    name: KeyName
    key: KeyRecord

    @property
    def arn(self) -> str:
        """Return the ARN of the key."""
        return self.name.arn_of(self.key.id)


async def permitted(
    call: Call,
    text: str,
    context: dict[str, ContextValue] | None = None,
    *,
    action: str = "",
    aliases: bool = False,
    foreign: bool = False,
) -> Found:
    """Return a key that the caller may act on.

    Args:
        call: The call.
        text: What the request calls the key.
        context: The condition keys of the operation.
        action: What is done, where the operation does not say.
        aliases: Whether the operation takes aliases.
        foreign: Whether it takes keys of other accounts.

    Raises:
        NotFoundException: There is no such key.
        ServiceError: The caller may not.
    """
    name = names.key_name_of(call.scope, text, aliases=aliases)
    needed = f"kms:{action or call.operation}"
    key = await call.read(name.domain, lambda tr: keys.find_key(tr, name))
    if key is None and name.alias:
        key = await _managed(call, name)
    arn = name.arn_of(name.key_id if key is None else key.id)
    if not foreign and name.account != call.account:
        raise AccessDeniedException(
            f"User: {call.principal.arn} is not authorized to perform: {needed} on resource: {arn} "
            f"because no resource-based policy allows the {needed} action"
        )
    own = access.key_keys(call.scope, call.http.via, name, key)
    merged = context if context is not None else {}
    for each, value in own.items():
        merged.setdefault(each, value)
    await call.require(needed, arn, merged)
    if key is None:
        raise name.missing
    return Found(name, key)


async def change(call: Call, account: str, body: Body[None]) -> None:
    """Change who may use keys of an account, or which; what others keep of them ends with that.

    Services keep keys that KMS has made for them for a while (``platform/identity/kept.py``), under the
    epoch of the key's account.
    """
    try:
        await call.store.transact(body)
    finally:
        # Whatever the outcome: a commit that is unknown may have happened.
        call.identity.end_epoch(account)


async def check_tokens(call: Call, name: KeyName, request: Request) -> None:
    """Refuse grant tokens that prove nothing."""
    if request.get("GrantTokens"):
        await call.read(name.domain, lambda tr: grants.check_tokens(tr, request))


def end_dry_run(*, asked: bool) -> None:
    """End a request that only asks whether it would succeed: it would."""
    if asked:
        raise DryRunOperationException(
            "The request would have succeeded, but the DryRun option is set."
        )


async def _managed(call: Call, name: KeyName) -> KeyRecord:
    """Return the key of a service in the caller's account, made now if there is none.

    AWS: it is made when the service first needs it, and by DescribeKey with its alias (API
    Reference, DescribeKey).
    """
    service = name.alias.removeprefix(AWS_ALIAS)
    asked = service in policies.SERVICES and name.alias == f"{AWS_ALIAS}{service}"
    if not asked or name.account != call.account:
        raise name.missing
    if call.http.via != service and call.operation != "DescribeKey":
        raise name.missing
    now_ms = call.clock.now_ms()
    material = materials.fresh(SYMMETRIC, call.ids.random_bytes, now_ms)
    fresh = KeyRecord(
        id=call.ids.uuid(),
        created_ms=now_ms,
        description=f"Default key that protects my {service} data when no other key is defined",
        spec=SYMMETRIC,
        usage=SPECS[SYMMETRIC].usage,
        manager=AWS,
        policy=policies.managed_policy(call.scope, service),
        material=1,
        rotation_days=quotas.ROTATION_DAYS,
        rotation_ms=now_ms + quotas.ROTATION_DAYS * quotas.DAY_MS,
    )
    alias = AliasRecord(name=name.alias, key_id=fresh.id, created_ms=now_ms, updated_ms=now_ms)

    async def body(tr: Transaction) -> KeyRecord:
        standing = await keys.find_key(tr, name)
        if standing is not None:
            return standing
        await keys.create_key(tr, fresh, material, call.limit(quotas.KEYS))
        await keys.create_alias(tr, alias, name.alias)
        call.timers.put(tr, keys.timer_of(tr, keys.ROTATE, fresh.id, fresh.rotation_ms))
        return fresh

    return await call.store_of(name.domain).transact(body)
