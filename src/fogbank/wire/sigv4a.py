"""Signature Version 4A: one ECDSA key pair per access key, good for a set of regions.

Rule: computation only, as in ``sigv4``. The private key follows from the access key id and the
secret, so whoever holds the secret can derive the public key that signatures are checked with;
nobody but a signer needs the private one, and it is forgotten as soon as the public one is known.
A signature is DER, in hexadecimal, and another one each time.

Theory: the private key is the output of a counter-mode KDF over HMAC-SHA-256 (NIST SP 800-108),
taken again with the next counter until it lies below the order of the curve (FIPS 186-5, A.2.2).

Source: IAM User Guide, "AWS Signature Version 4 for API requests", "AWS Signature Version 4A";
AWS Common Runtime, aws-c-auth, ``key_derivation.c``.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ALGORITHM: Final = "AWS4-ECDSA-P256-SHA256"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256 (FIPS 186-5; SP 800-186, 3.2.1.3)."""
_COUNTERS_MAX: Final = 254
_ECDSA: Final = ec.ECDSA(hashes.SHA256())


class VerifyingKey:
    """What the signatures of an access key are checked with, in every region."""

    __slots__ = ("_public",)

    def __init__(self, public: ec.EllipticCurvePublicKey) -> None:
        self._public = public

    @property
    def point(self) -> tuple[int, int]:
        """Return the coordinates of the public key."""
        numbers = self._public.public_numbers()
        return numbers.x, numbers.y

    def verifies(self, text: str, signature: str) -> bool:
        """Return whether a signature, DER in hexadecimal, is one of a text."""
        try:
            self._public.verify(bytes.fromhex(signature), text.encode(), _ECDSA)
        except (InvalidSignature, ValueError):
            return False
        return True


def verifying_key(access_key_id: str, secret: str) -> VerifyingKey:
    """Return the key that belongs to an access key."""
    private = ec.derive_private_key(_private_value(access_key_id, secret), ec.SECP256R1())
    return VerifyingKey(private.public_key())


def _private_value(access_key_id: str, secret: str) -> int:
    """Return the private key of an access key, as a number."""
    key = f"AWS4A{secret}".encode()
    label = ALGORITHM.encode() + b"\0" + access_key_id.encode()
    for counter in range(1, _COUNTERS_MAX + 1):
        fixed = b"\0\0\0\1" + label + bytes((counter,)) + (256).to_bytes(4)
        candidate = int.from_bytes(hmac.digest(key, fixed, "sha256"))
        if candidate <= _ORDER - 2:
            return candidate + 1
    raise AssertionError("each counter fails with a chance of 2^-32")
