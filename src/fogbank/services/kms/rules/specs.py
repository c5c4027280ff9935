"""Kinds of keys: what each is for, how long its material is, and which algorithms it has.

Rule: this table is the seam for further kinds. What is not in it is refused as not built.
Source: AWS KMS Developer Guide, "Key spec reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

ENCRYPT: Final = "ENCRYPT_DECRYPT"
MAC: Final = "GENERATE_VERIFY_MAC"
SYMMETRIC: Final = "SYMMETRIC_DEFAULT"


class Spec(NamedTuple):
    """One kind of keys."""

    usage: str
    material_bytes: int
    member: str
    """Where descriptions of a key list its algorithms."""
    algorithm: str
    digest: str = ""
    """The name of the hash of a MAC."""
    operations: frozenset[str] = frozenset()
    """What grants may allow with it, besides what they may with any key."""


_ENCRYPTING: Final = frozenset(
    {
        *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"),
        *("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
        *("GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"),
    }
)
_MACS: Final = frozenset({"GenerateMac", "VerifyMac"})

SPECS: Final[Mapping[str, Spec]] = {
    SYMMETRIC: Spec(ENCRYPT, 32, "EncryptionAlgorithms", SYMMETRIC, operations=_ENCRYPTING),
    "HMAC_224": Spec(MAC, 28, "MacAlgorithms", "HMAC_SHA_224", "sha224", _MACS),
    "HMAC_256": Spec(MAC, 32, "MacAlgorithms", "HMAC_SHA_256", "sha256", _MACS),
    "HMAC_384": Spec(MAC, 48, "MacAlgorithms", "HMAC_SHA_384", "sha384", _MACS),
    "HMAC_512": Spec(MAC, 64, "MacAlgorithms", "HMAC_SHA_512", "sha512", _MACS),
}
BUILT: Final = frozenset(SPECS)
