"""What a phone scans to have a seed.

Source: IAM API Reference, "VirtualMFADevice": ``otpauth://totp/$virtualMFADeviceName@$AccountName?
secret=$Base32String``; the form is that of Google Authenticator's "Key Uri Format".
"""

from __future__ import annotations

import io
from typing import Final
from urllib.parse import quote

PIXELS_PER_MODULE: Final = 6


def otpauth_uri(device: str, account: str, secret: str) -> str:
    """Return the address that says a seed: its device, its account, itself in Base32."""
    return f"otpauth://totp/{quote(device)}@{quote(account)}?secret={secret}"


def qr_png(text: str) -> bytes:
    """Return a QR code of a text as a PNG."""
    import segno  # noqa: PLC0415 (only who makes a device needs it: no start waits for it)

    out = io.BytesIO()
    segno.make(text, micro=False).save(out, kind="png", scale=PIXELS_PER_MODULE)
    return out.getvalue()
