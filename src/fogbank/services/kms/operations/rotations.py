"""Operations on the rotation of a key's material: old material is kept for what it has encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import LimitExceededException
from fogbank.services.kms.rules import access, materials, names, states, views
from fogbank.services.kms.schema import MaterialRecord
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes

_ALL: Final = "ALL_KEY_MATERIAL"


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def enable_key_rotation(call: Call, request: shapes.EnableKeyRotationRequest) -> Wire:
    """Let a key have new material every so many days, from now on."""
    days = request.get("RotationPeriodInDays", quotas.ROTATION_DAYS)
    found = await permitted(call, request["KeyId"], access.rotation_keys(days))
    states.check_rotates(found.arn, found.key)
    next_ms = call.clock.now_ms() + days * quotas.DAY_MS

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        if key.rotation_days:
            call.timers.delete(tr, keys.timer_of(tr, keys.ROTATE, key.id, key.rotation_ms))
        after = msgspec.structs.replace(key, rotation_days=days, rotation_ms=next_ms)
        keys.put_key(tr, after)
        call.timers.put(tr, keys.timer_of(tr, keys.ROTATE, key.id, next_ms))

    await call.store.transact(body)
    return {}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def disable_key_rotation(call: Call, request: shapes.DisableKeyRotationRequest) -> Wire:
    """Let a key keep its material."""
    found = await permitted(call, request["KeyId"])
    states.check_rotates(found.arn, found.key)

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        if key.rotation_days:
            call.timers.delete(tr, keys.timer_of(tr, keys.ROTATE, key.id, key.rotation_ms))
        keys.put_key(tr, msgspec.structs.replace(key, rotation_days=0, rotation_ms=0))

    await call.store.transact(body)
    return {}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def get_key_rotation_status(
    call: Call, request: shapes.GetKeyRotationStatusRequest
) -> shapes.GetKeyRotationStatusResponse:
    """Return whether and when a key has new material by itself."""
    found = await permitted(call, request["KeyId"], foreign=True)
    states.check_rotates(found.arn, found.key)
    key = found.key
    reply: shapes.GetKeyRotationStatusResponse = {
        "KeyId": key.id,
        "KeyRotationEnabled": bool(key.rotation_days) and not key.deletion_ms,
    }
    if reply["KeyRotationEnabled"]:
        reply["RotationPeriodInDays"] = key.rotation_days
        reply["NextRotationDate"] = key.rotation_ms
    return reply


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def rotate_key_on_demand(
    call: Call, request: shapes.RotateKeyOnDemandRequest
) -> shapes.RotateKeyOnDemandResponse:
    """Give a key new material now; when it has some by itself does not change."""
    found = await permitted(call, request["KeyId"])
    states.check_rotates(found.arn, found.key)
    now_ms = call.clock.now_ms()
    material = materials.fresh(found.key.spec, call.ids.random_bytes, now_ms, materials.ON_DEMAND)
    limit = call.limit(quotas.ON_DEMAND_ROTATIONS)

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        if key.on_demand >= limit:
            raise LimitExceededException(f"{found.arn} was rotated on demand {limit} times.")
        await keys.rotate(tr, key, material, on_demand=key.on_demand + 1)

    await call.store.transact(body)
    return {"KeyId": found.key.id}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def list_key_rotations(
    call: Call, request: shapes.ListKeyRotationsRequest
) -> shapes.ListKeyRotationsResponse:
    """List the rotations of a key, or all versions of its material, the oldest first."""
    found = await permitted(call, request["KeyId"])
    states.check_rotates(found.arn, found.key)
    limit = min(request.get("Limit", quotas.KEYS_PAGE), quotas.PAGE_MAX)
    marker = request.get("Marker")
    # The first version came with the key, and by no rotation.
    first = 0 if request.get("IncludeKeyMaterial") == _ALL else 1
    after = int(marker) if marker else first

    async def body(tr: Transaction) -> list[tuple[int, MaterialRecord]]:
        return await keys.list_materials(tr, found.key, after, limit + 1)

    listed = await call.store.read(body)
    reply: shapes.ListKeyRotationsResponse = {
        "Rotations": [
            views.rotation_view(found.key, number, material) for number, material in listed[:limit]
        ],
        "Truncated": len(listed) > limit,
    }
    if len(listed) > limit:
        reply["NextMarker"] = str(listed[limit - 1][0])
    return reply
