"""What a phone shows: the codes of a virtual MFA device, reckoned apart from the program (RFC 6238)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import Any

from fogbank.testing.cloud import Cloud

STEP_MS = 30_000


def code_at(secret: bytes, at_ms: int) -> str:
    """Return the code of a Base32 seed at a time."""
    counter = struct.pack(">Q", at_ms // STEP_MS)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    (number,) = struct.unpack_from(">I", digest, digest[19] % 16)
    return str(number % 2**31).rjust(10, "0")[-6:]


class Phone:
    """A virtual MFA device in somebody's pocket."""

    def __init__(self, cloud: Cloud, iam: Any, name: str, fast_ms: int = 0, **more: Any) -> None:
        made = iam.create_virtual_mfa_device(VirtualMFADeviceName=name, **more)
        self.device = made["VirtualMFADevice"]
        self.serial: str = self.device["SerialNumber"]
        self.secret: bytes = self.device["Base32StringSeed"]
        self.cloud = cloud
        self.fast_ms = fast_ms
        """How far its clock is ahead."""

    def code(self, steps: int = 0) -> str:
        """Return the code it shows, or one of so many steps later."""
        return code_at(self.secret, self.cloud.clock.now_ms() + self.fast_ms + steps * STEP_MS)

    def codes(self) -> dict[str, str]:
        """Return the code it shows and the one before, which enable it."""
        return {"AuthenticationCode1": self.code(-1), "AuthenticationCode2": self.code()}

    def next_code(self) -> str:
        """Wait for another code, and return it."""
        self.cloud.advance(STEP_MS)
        return self.code()

    def enable(self, iam: Any, user: str) -> None:
        iam.enable_mfa_device(UserName=user, SerialNumber=self.serial, **self.codes())
