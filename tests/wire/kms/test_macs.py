"""HMAC keys: AWS KMS Developer Guide, "HMAC keys in AWS KMS"; LocalStack's validated ``TestKMS``."""

from __future__ import annotations

from typing import Any

import pytest

KINDS = [
    ("HMAC_224", "HMAC_SHA_224", 28),
    ("HMAC_256", "HMAC_SHA_256", 32),
    ("HMAC_384", "HMAC_SHA_384", 48),
    ("HMAC_512", "HMAC_SHA_512", 64),
]


def mac_key(kms: Any, spec: str = "HMAC_256") -> str:
    made: str = kms.create_key(KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    return made


@pytest.mark.parametrize(("spec", "algorithm", "size"), KINDS)
def test_a_mac_is_verified_with_its_key_and_message(
    kms: Any, refusal: Any, spec: str, algorithm: str, size: int
) -> None:
    """Source: test_generate_and_verify_mac and test_invalid_verify_mac, recorded."""
    key = mac_key(kms, spec)
    asked = {"KeyId": key, "MacAlgorithm": algorithm, "Message": b"important"}
    made = kms.generate_mac(**asked)
    assert (made["KeyId"], made["MacAlgorithm"], len(made["Mac"])) == (key, algorithm, size)
    told = kms.verify_mac(**asked, Mac=made["Mac"])
    assert (told["MacValid"], told["KeyId"]) == (True, key)
    invalid = ("KMSInvalidMacException", "")
    assert refusal(kms.verify_mac, **{**asked, "Message": b"other"}, Mac=made["Mac"]) == invalid
    other = {**asked, "KeyId": mac_key(kms, spec)}
    assert refusal(kms.verify_mac, **other, Mac=made["Mac"]) == invalid
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["MacAlgorithms"] == [algorithm]
    assert "EncryptionAlgorithms" not in metadata


def test_a_key_has_one_algorithm_for_macs(kms: Any, refusal: Any) -> None:
    """Source: test_invalid_generate_mac, recorded."""
    key = mac_key(kms, "HMAC_224")
    said = refusal(kms.generate_mac, KeyId=key, MacAlgorithm="HMAC_SHA_256", Message=b"x")
    assert said == (
        "InvalidKeyUsageException",
        "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.",
    )


def test_a_key_is_for_one_use(kms: Any, key: str, refusal: Any) -> None:
    """Source: test_error_messaging_for_invalid_keys, recorded."""
    said = refusal(kms.generate_mac, KeyId=key, MacAlgorithm="HMAC_SHA_256", Message=b"x")
    assert said == (
        "InvalidKeyUsageException",
        f"{key} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.",
    )
    mac = mac_key(kms)
    assert refusal(kms.encrypt, KeyId=mac, Plaintext=b"x") == (
        "InvalidKeyUsageException",
        f"{mac} key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt.",
    )


def test_a_disabled_key_makes_no_macs(kms: Any, refusal: Any) -> None:
    key = mac_key(kms)
    asked = {"KeyId": key, "MacAlgorithm": "HMAC_SHA_256", "Message": b"x"}
    would = refusal(kms.generate_mac, **asked, DryRun=True)
    assert would[0] == "DryRunOperationException"
    kms.disable_key(KeyId=key)
    assert refusal(kms.generate_mac, **asked) == ("DisabledException", f"{key} is disabled.")
