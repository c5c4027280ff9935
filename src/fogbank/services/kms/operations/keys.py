"""Operations on keys: making, describing, listing, enabling, disabling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.arns import key_arn
from fogbank.services.kms.errors import ValidationException
from fogbank.services.kms.rules import access, materials, names, policies, states, tags, views
from fogbank.services.kms.rules.specs import BUILT, SPECS, SYMMETRIC
from fogbank.services.kms.schema import CUSTOMER, DISABLED, ENABLED, KeyRecord, MaterialRecord
from fogbank.services.kms.state import keys, putting
from fogbank.services.kms.state.permitted import change, check_tokens, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes


@operation(
    access=access.create_key,
    unhonoured={
        "KeySpec": BUILT,
        "CustomerMasterKeySpec": BUILT,
        "Origin": "AWS_KMS",
        "CustomKeyStoreId": None,
        "MultiRegion": False,
        "XksKeyId": None,
    },
)
async def create_key(call: Call, request: shapes.CreateKeyRequest) -> shapes.CreateKeyResponse:
    """Make a key with material of its own."""
    spec = request.get("KeySpec") or request.get("CustomerMasterKeySpec") or SYMMETRIC
    usage = request.get("KeyUsage")
    if usage is None and spec != SYMMETRIC:
        raise ValidationException(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption "
            "keys."
        )
    if usage not in (None, SPECS[spec].usage):
        raise ValidationException(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    given = tags.given(request.get("Tags") or [])
    tags.check(given)
    key_id, now_ms = call.ids.uuid(), call.clock.now_ms()
    policy = await putting.policy_of(
        call,
        key_arn(call.region, call.account, key_id),
        request.get("Policy") or policies.default_policy(call.scope),
        access.create_key(call.scope, request)[0].context,
        bypass=request.get("BypassPolicyLockoutSafetyCheck", False) or "Policy" not in request,
    )
    key = KeyRecord(
        id=key_id,
        created_ms=now_ms,
        description=request.get("Description", ""),
        spec=spec,
        usage=SPECS[spec].usage,
        manager=CUSTOMER,
        policy=policy.document,
        bound=policy.bound,
        material=1,
        tags=given,
    )
    material = materials.fresh(spec, call.ids.random_bytes, now_ms)

    async def body(tr: Transaction) -> None:
        await keys.create_key(tr, key, material, call.limit(quotas.KEYS))

    await call.store.transact(body)
    return {"KeyMetadata": views.key_metadata(call.account, call.region, key, material)}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def describe_key(
    call: Call, request: shapes.DescribeKeyRequest
) -> shapes.DescribeKeyResponse:
    """Return all about a key but its material."""
    name, key = await permitted(call, request["KeyId"], aliases=True, foreign=True)
    await check_tokens(call, name, request)

    async def body(tr: Transaction) -> tuple[KeyRecord, MaterialRecord]:
        now = await keys.require_key(tr, name, key.id)
        return now, await keys.require_material(tr, now)

    now, material = await call.read(name.domain, body)
    return {"KeyMetadata": views.key_metadata(name.account, name.region, now, material)}


@operation(access=access.of_account("ListKeys"), unhonoured={"ResourceOwners": None})
async def list_keys(call: Call, request: shapes.ListKeysRequest) -> shapes.ListKeysResponse:
    """List the keys of the account in the region, in order of their ids."""
    limit = min(request.get("Limit", quotas.KEYS_PAGE), quotas.PAGE_MAX)

    async def body(tr: Transaction) -> list[KeyRecord]:
        return await keys.list_keys(tr, request.get("Marker"), limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListKeysResponse = {
        "Keys": [
            {"KeyId": key.id, "KeyArn": key_arn(call.region, call.account, key.id)}
            for key in found[:limit]
        ],
        "Truncated": len(found) > limit,
    }
    if len(found) > limit:
        reply["NextMarker"] = found[limit - 1].id
    return reply


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def update_key_description(call: Call, request: shapes.UpdateKeyDescriptionRequest) -> Wire:
    """Give a key another description."""
    found = await permitted(call, request["KeyId"])

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        keys.put_key(tr, msgspec.structs.replace(key, description=request["Description"]))

    await call.store.transact(body)
    return {}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def disable_key(call: Call, request: shapes.DisableKeyRequest) -> Wire:
    """Make a key unusable until it is enabled again."""
    found = await permitted(call, request["KeyId"])

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        keys.put_key(tr, msgspec.structs.replace(key, state=DISABLED))

    await change(call, found.name.account, body)
    return {}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def enable_key(call: Call, request: shapes.EnableKeyRequest) -> Wire:
    """Make a disabled key usable; a rotation that it missed is made up for at once."""
    found = await permitted(call, request["KeyId"])
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        after = msgspec.structs.replace(key, state=ENABLED)
        if key.rotation_days and key.rotation_ms <= now_ms:
            after = msgspec.structs.replace(after, rotation_ms=now_ms)
            call.timers.put(tr, keys.timer_of(tr, keys.ROTATE, key.id, now_ms))
        keys.put_key(tr, after)

    await call.store.transact(body)
    return {}
