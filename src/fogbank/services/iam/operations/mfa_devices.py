"""Virtual MFA devices: made, given to a user, taken away."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.mfa import put
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.identity.qr import otpauth_uri, qr_png
from fogbank.platform.identity.records import MFA_DEVICES, MfaDeviceRecord, Pairs
from fogbank.platform.identity.totp import step_of
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import mfa_arn
from fogbank.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidAuthenticationCode,
    LimitExceeded,
)
from fogbank.services.iam.quotas import MFA_DEVICES_PER_USER

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes

SEED_BYTES: Final = 40
"""AWS: 64 characters of Base32."""
ENABLE_STEPS: Final = 10
"""Five minutes: how far the clock of a new device may go wrong."""
RESYNC_STEPS: Final = 2_880
"""A day: how far that of a device may be that is brought back."""


@operation(access=rules.creates_mfa_device)
async def create_virtual_mfa_device(
    call: Call, request: shapes.CreateVirtualMFADeviceRequest
) -> shapes.CreateVirtualMFADeviceResponse:
    """Make a device that nobody has yet; its seed is told this once."""
    device = MfaDeviceRecord(
        name=request["VirtualMFADeviceName"],
        path=request.get("Path", "/"),
        seed=call.ids.random_bytes(SEED_BYTES),
        created_ms=call.clock.now_ms(),
        tags=rules.with_tags((), request.get("Tags", [])),
    )

    async def body(tr: Transaction) -> None:
        if await MFA_DEVICES.find(tr, device.name.lower()) is not None:
            raise EntityAlreadyExists("MFADevice entity at the same path and name already exists.")
        put(tr, device)

    await call.identity.change(call.account, body)
    secret = base64.b32encode(device.seed).decode()
    named = call.principal.name if call.principal.kind is PrincipalKind.USER else call.account
    view: shapes.VirtualMFADevice = {
        "SerialNumber": mfa_arn(call.scope, device.path, device.name),
        "Base32StringSeed": secret.encode(),
        "QRCodePNG": qr_png(otpauth_uri(device.name, named, secret)),
    }
    if device.tags:
        view["Tags"] = rules.tags_view(device.tags)
    return {"VirtualMFADevice": view}


@operation(access=rules.in_operation)
async def enable_mfa_device(call: Call, request: shapes.EnableMFADeviceRequest) -> Wire:
    """Give a device to a user who proves, with two codes in a row, to have it."""
    seen = await state.permitted_holder(call, request["UserName"])
    spent = await _prove(call, request, ENABLE_STEPS)
    now_ms, devices_max = call.clock.now_ms(), call.limit(MFA_DEVICES_PER_USER)

    async def body(tr: Transaction) -> None:
        holder = await state.holder_again(tr, seen)
        device = await state.require_device(tr, call.account, request["SerialNumber"])
        if device.holder:
            raise EntityAlreadyExists("MFA Device is already in use.")
        _require_fresh(device, spent)
        if len(holder.mfa) >= devices_max:
            raise LimitExceeded(f"Cannot exceed quota for MFADevicesPerUser: {devices_max}")
        state.put_devices(tr, holder, (*holder.mfa, device.name))
        given = msgspec.structs.replace(
            device,
            user=rules.holder_name(holder),
            holder=rules.holder_id(holder),
            enabled_ms=now_ms,
            spent=spent,
            skew=spent - step_of(now_ms),
            failures=0,
        )
        put(tr, given)

    await call.identity.change(call.account, body)
    return {}


async def _prove(call: Call, request: Request, steps: int) -> int:
    """Return the step of the second of a request's two codes.

    Raises:
        NoSuchEntity: There is no such device.
        InvalidAuthenticationCode: They are no two codes in a row, or were taken before.
    """
    serial, now_ms = request["SerialNumber"], call.clock.now_ms()
    device = await call.store.read(lambda tr: state.require_device(tr, call.account, serial))
    codes = (request["AuthenticationCode1"], request["AuthenticationCode2"])
    spent = rules.second_step(device, codes, step_of(now_ms), steps)
    if spent is None:
        raise InvalidAuthenticationCode("Authentication code for device is not valid.")
    return spent


def _require_fresh(device: MfaDeviceRecord, spent: int) -> None:
    """Refuse codes that another call took meanwhile."""
    if spent <= device.spent:
        raise InvalidAuthenticationCode("Authentication code for device is not valid.")


@operation(access=rules.in_operation)
async def resync_mfa_device(call: Call, request: shapes.ResyncMFADeviceRequest) -> Wire:
    """Learn by two codes in a row how far the clock of a device is off."""
    seen = await state.permitted_holder(call, request["UserName"])
    serial = request["SerialNumber"]
    await call.store.read(lambda tr: state.require_held(tr, call.account, seen, serial))
    spent = await _prove(call, request, RESYNC_STEPS)
    step = step_of(call.clock.now_ms())

    async def body(tr: Transaction) -> None:
        holder = await state.holder_again(tr, seen)
        device = await state.require_held(tr, call.account, holder, serial)
        _require_fresh(device, spent)
        put(tr, msgspec.structs.replace(device, spent=spent, skew=spent - step, failures=0))

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def deactivate_mfa_device(call: Call, request: shapes.DeactivateMFADeviceRequest) -> Wire:
    """Take a device away from its user; it is nobody's then."""
    seen = await state.permitted_holder(call, request.get("UserName"))

    async def body(tr: Transaction) -> None:
        holder = await state.holder_again(tr, seen)
        device = await state.require_held(tr, call.account, holder, request["SerialNumber"])
        state.put_devices(tr, holder, tuple(one for one in holder.mfa if one != device.name))
        put(tr, msgspec.structs.replace(device, user="", holder="", enabled_ms=0))

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.on_mfa_device("iam:DeleteVirtualMFADevice"))
async def delete_virtual_mfa_device(
    call: Call, request: shapes.DeleteVirtualMFADeviceRequest
) -> Wire:
    """Delete a device that nobody has."""

    async def body(tr: Transaction) -> None:
        device = await state.require_device(tr, call.account, request["SerialNumber"])
        if device.holder:
            raise DeleteConflict("Cannot delete entity, must deactivate MFA device first.")
        MFA_DEVICES.delete(tr, device.name.lower())

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def list_mfa_devices(
    call: Call, request: shapes.ListMFADevicesRequest
) -> shapes.ListMFADevicesResponse:
    """List the devices of a user; the caller's own if none is named."""
    seen = await state.permitted_holder(call, request.get("UserName"))

    async def body(tr: Transaction) -> list[tuple[str, shapes.MFADevice]]:
        holder = await state.holder_again(tr, seen)
        found: list[tuple[str, shapes.MFADevice]] = []
        for name in sorted(holder.mfa):
            device = await MFA_DEVICES.find(tr, name.lower())
            assert device is not None, "a device that somebody has stands"
            view: shapes.MFADevice = {
                "UserName": rules.holder_name(holder) or call.account,
                "SerialNumber": mfa_arn(call.scope, device.path, device.name),
                "EnableDate": rules.seconds(device.enabled_ms),
            }
            found.append((name, view))
        return found

    shown, paging = rules.page(request, await call.store.read(body))
    return {"MFADevices": shown, **paging}


@operation()
async def list_virtual_mfa_devices(
    call: Call, request: shapes.ListVirtualMFADevicesRequest
) -> shapes.ListVirtualMFADevicesResponse:
    """List the devices of the account, of somebody or nobody, in order of name."""
    status = request.get("AssignmentStatus", "Any")
    after, limit = rules.after_of(request), rules.limit_of(request)

    async def body(tr: Transaction) -> tuple[list[shapes.VirtualMFADevice], str | None]:
        found, last = await state.page_of_devices(tr, status, after, limit)
        return [await state.device_view(tr, call.scope, device) for device in found], last

    views, last = await call.store.read(body)
    return {"VirtualMFADevices": views, **rules.paging(last)}


@operation(access=rules.in_operation)
async def get_mfa_device(
    call: Call, request: shapes.GetMFADeviceRequest
) -> shapes.GetMFADeviceResponse:
    """Describe a device of a user; the caller's own if none is named."""
    seen = await state.permitted_holder(call, request.get("UserName"))
    serial = request["SerialNumber"]
    device = await call.store.read(lambda tr: state.require_held(tr, call.account, seen, serial))
    return {
        "UserName": device.user or call.account,
        "SerialNumber": serial,
        "EnableDate": rules.seconds(device.enabled_ms),
    }


# Tags.


async def _change_tags(call: Call, serial: str, tags: Callable[[Pairs], Pairs]) -> Wire:
    """Write the tags of a device, as a function of what they were."""

    async def body(tr: Transaction) -> None:
        device = await state.require_device(tr, call.account, serial)
        put(tr, msgspec.structs.replace(device, tags=tags(device.tags)))

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.on_mfa_device("iam:TagMFADevice"))
async def tag_mfa_device(call: Call, request: shapes.TagMFADeviceRequest) -> Wire:
    """Put tags on a device."""
    given = request["Tags"]
    return await _change_tags(
        call, request["SerialNumber"], lambda tags: rules.with_tags(tags, given)
    )


@operation(access=rules.on_mfa_device("iam:UntagMFADevice"))
async def untag_mfa_device(call: Call, request: shapes.UntagMFADeviceRequest) -> Wire:
    """Remove tags from a device."""
    keys = request["TagKeys"]
    return await _change_tags(
        call, request["SerialNumber"], lambda tags: rules.without_tags(tags, keys)
    )


@operation(access=rules.on_mfa_device("iam:ListMFADeviceTags"))
async def list_mfa_device_tags(
    call: Call, request: shapes.ListMFADeviceTagsRequest
) -> shapes.ListMFADeviceTagsResponse:
    """List the tags of a device."""
    serial = request["SerialNumber"]
    device = await call.store.read(lambda tr: state.require_device(tr, call.account, serial))
    shown, paging = rules.page(request, rules.numbered(rules.tags_view(device.tags)))
    return {"Tags": shown, **paging}
