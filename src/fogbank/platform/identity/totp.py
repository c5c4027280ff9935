"""One-time passwords that follow from a seed and the time.

Source: RFC 4226 (HOTP), RFC 6238 (TOTP); IAM User Guide, "Assign a virtual MFA device": SHA-1, six
digits, a new code every 30 seconds.
"""

from __future__ import annotations

import hmac
from typing import Final

STEP_MS: Final = 30_000
DIGITS: Final = 6
_OFFSET_MASK: Final = 0xF
_SIGN_MASK: Final = 0x7FFFFFFF


def step_of(now_ms: int) -> int:
    """Return the number of the code of a time: of the 30 seconds it lies in."""
    return now_ms // STEP_MS


def code_of(seed: bytes, step: int) -> str:
    """Return the code of a step, of six digits."""
    mac = hmac.digest(seed, step.to_bytes(8), "sha1")
    at = mac[-1] & _OFFSET_MASK
    number = int.from_bytes(mac[at : at + 4]) & _SIGN_MASK
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def find_step(seed: bytes, code: str, steps: range) -> int | None:
    """Return the first of some steps that has a code, or None."""
    for step in steps:
        if step >= 0 and hmac.compare_digest(code_of(seed, step), code):
            return step
    return None


def find_consecutive(seed: bytes, codes: tuple[str, str], steps: range) -> int | None:
    """Return the second of two steps, one behind the other, that have two codes, or None."""
    for step in steps:
        if step >= 0 and code_of(seed, step) == codes[0] and code_of(seed, step + 1) == codes[1]:
            return step + 1
    return None
