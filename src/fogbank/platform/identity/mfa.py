"""A second factor: the codes of virtual devices, each taken once.

Rule: a code is looked at and spent in one transaction of its account, so that of two calls with one
code one is refused. Failures are counted in the same way: who knows a key and not the device tries
five codes in five minutes and no more.

Source: RFC 6238, section 5.2 ("The verifier MUST NOT accept the second attempt of the OTP"); IAM User
Guide, "Resynchronize virtual and hardware MFA devices". Messages as recorded from STS (aws/aws-cli
issues 6325 and 2279).
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.base.arn import find_arn, global_arn
from fogbank.platform.identity.principal import Principal
from fogbank.platform.identity.records import MFA_DEVICES, MfaDeviceRecord
from fogbank.platform.identity.totp import find_step, step_of
from fogbank.platform.store.engine import Transaction

WINDOW_STEPS: Final = 1
"""How far the clock of a device may go wrong, before and after."""
FAILURES_MAX: Final = 5
FAILURE_STEPS: Final = 10
"""So many failures in so many steps, and then none is looked at any more."""
UNKNOWN: Final = (
    "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial "
    "number is valid and associated with this user."
)
WRONG: Final = "MultiFactorAuthentication failed with invalid MFA one time pass code. "


def serial_of(partition: str, account: str, device: MfaDeviceRecord) -> str:
    """Return the serial number of a virtual device: its ARN."""
    return global_arn(partition, "iam", account, f"mfa{device.path}{device.name}")


async def find_device(tr: Transaction, account: str, serial: str) -> MfaDeviceRecord | None:
    """Return the device of an account that has a serial number, or None."""
    arn = find_arn(serial)
    if arn is None or arn.service != "iam" or arn.account != account:
        return None
    kind, _, rest = arn.resource.partition("/")
    name = rest.rpartition("/")[2]
    if kind != "mfa" or not name:
        return None
    found = await MFA_DEVICES.find(tr, name.lower())
    if found is None or serial_of(arn.partition, account, found) != serial:
        return None
    return found


async def spend(tr: Transaction, principal: Principal, serial: str, code: str, now_ms: int) -> str:
    """Take a code of a device of a principal, once, and return nothing; if it is none, say so."""
    device = await find_device(tr, principal.account, serial)
    if device is None or not device.holder or device.holder != principal.unique_id:
        return UNKNOWN
    step = step_of(now_ms)
    period = step // FAILURE_STEPS
    failures = device.failures if device.failing == period else 0
    if failures >= FAILURES_MAX:
        return WRONG
    middle = step + device.skew
    fresh = range(max(middle - WINDOW_STEPS, device.spent + 1), middle + WINDOW_STEPS + 1)
    found = find_step(device.seed, code, fresh)
    if found is None:
        put(tr, msgspec.structs.replace(device, failures=failures + 1, failing=period))
        return WRONG
    put(tr, msgspec.structs.replace(device, spent=found, skew=found - step, failures=0))
    return ""


def put(tr: Transaction, device: MfaDeviceRecord) -> None:
    """Write a device."""
    MFA_DEVICES.put(tr, device, device.name.lower())
