"""Encrypting and decrypting: AWS KMS API Reference; LocalStack's validated ``TestKMS``."""

from __future__ import annotations

from typing import Any

import pytest

CONTEXT = {"purpose": "tests", "Ünicode": "wert"}


def test_what_was_encrypted_is_decrypted_without_naming_the_key(kms: Any, key: str) -> None:
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x" * 4096, EncryptionContext=CONTEXT)
    assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == b"x" * 4096
    assert (opened["KeyId"], opened["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
    assert (
        opened["KeyMaterialId"]
        == kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    )


def test_no_two_ciphertexts_of_a_plaintext_are_alike(kms: Any, key: str) -> None:
    blobs = {kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"] for _ in range(4)}
    assert len(blobs) == 4
    assert all(b"x" * 4 not in blob for blob in blobs)


@pytest.mark.parametrize(
    "context",
    [{}, {"purpose": "tests"}, {**CONTEXT, "more": "x"}, {"Purpose": "tests", "Ünicode": "wert"}],
)
def test_another_encryption_context_is_refused(
    kms: Any, key: str, refusal: Any, context: dict[str, str]
) -> None:
    """Source: test_encrypt_decrypt_encryption_context, recorded: the message is empty."""
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    said = refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext=context)
    assert said == ("InvalidCiphertextException", "")


def test_the_order_of_an_encryption_context_does_not_matter(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    turned = dict(reversed(CONTEXT.items()))
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=turned)["Plaintext"] == b"x"


@pytest.mark.parametrize("at", [0, -1])
def test_a_damaged_ciphertext_is_refused(kms: Any, key: str, refusal: Any, at: int) -> None:
    blob = bytearray(kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"])
    blob[at] ^= 1
    said = refusal(kms.decrypt, CiphertextBlob=bytes(blob))
    assert said == ("InvalidCiphertextException", "")


@pytest.mark.parametrize("blob", [b"x", b"\x01" + b"x" * 80, b"\xff" * 100])
def test_what_is_no_ciphertext_is_refused(kms: Any, refusal: Any, blob: bytes) -> None:
    code, _ = refusal(kms.decrypt, CiphertextBlob=blob)
    assert code in {"InvalidCiphertextException", "AccessDeniedException"}


def test_a_ciphertext_of_another_key_than_the_named_is_refused(
    kms: Any, key: str, refusal: Any
) -> None:
    """Source: API Reference, Decrypt, ``KeyId``; test_error_messaging_for_invalid_keys, recorded."""
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    said = refusal(kms.decrypt, CiphertextBlob=blob, KeyId=other)
    assert said == (
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
    assert kms.decrypt(CiphertextBlob=blob, KeyId=key)["Plaintext"] == b"x"


def test_a_ciphertext_is_worth_nothing_in_another_region(
    cloud: Any, kms: Any, key: str, refusal: Any
) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    far = cloud.client("kms", region="eu-west-1")
    assert refusal(far.decrypt, CiphertextBlob=blob) == (
        "AccessDeniedException",
        (
            "The ciphertext refers to a customer master key that does not exist, does not exist in this "
            "region, or you are not allowed to access."
        ),
    )


def test_a_plaintext_has_at_most_4096_bytes(kms: Any, key: str, refusal: Any) -> None:
    """Source: test_plaintext_size_for_encrypt, recorded."""
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x" * 4097) == (
        "ValidationException",
        (
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must "
            "have length less than or equal to 4096"
        ),
    )


@pytest.mark.parametrize(
    ("given", "size"),
    [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024)],
)
def test_a_data_key_comes_plain_and_encrypted(
    kms: Any, key: str, given: dict[str, Any], size: int
) -> None:
    made = kms.generate_data_key(KeyId=key, EncryptionContext=CONTEXT, **given)
    assert (made["KeyId"], len(made["Plaintext"])) == (key, size)
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    assert opened["KeyMaterialId"] == made["KeyMaterialId"]
    blind = kms.generate_data_key_without_plaintext(KeyId=key, EncryptionContext=CONTEXT, **given)
    assert "Plaintext" not in blind
    opened = kms.decrypt(CiphertextBlob=blind["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert len(opened["Plaintext"]) == size
    assert opened["Plaintext"] != made["Plaintext"]


@pytest.mark.parametrize("given", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 16}])
def test_the_length_of_a_data_key_is_said_once(
    kms: Any, key: str, refusal: Any, given: dict[str, Any]
) -> None:
    assert refusal(kms.generate_data_key, KeyId=key, **given) == (
        "ValidationException",
        "Please specify either number of bytes or key spec.",
    )


def test_reencrypting_moves_a_ciphertext_to_another_key_and_context(
    kms: Any, key: str, refusal: Any
) -> None:
    other = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other,
        DestinationEncryptionContext={"now": "here"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, other)
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"now": "here"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", other)
    said = refusal(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other)
    assert said[0] == "InvalidCiphertextException"
    said = refusal(kms.re_encrypt, CiphertextBlob=blob, SourceKeyId=other, DestinationKeyId=other)
    assert said[0] == "IncorrectKeyException"


@pytest.mark.parametrize("size", [1, 12, 1024])
def test_random_bytes_are_as_many_as_were_asked_for(kms: Any, size: int) -> None:
    assert len(kms.generate_random(NumberOfBytes=size)["Plaintext"]) == size


def test_random_bytes_need_a_number(kms: Any, refusal: Any) -> None:
    """Source: test_generate_random_invalid_number_of_bytes, recorded."""
    said = refusal(kms.generate_random)
    assert said == ("ValidationException", "NumberOfBytes is required.")


def test_a_dry_run_says_what_would_be_and_does_nothing(
    kms: Any, key: str, refusal: Any, user: Any
) -> None:
    """Source: Developer Guide, "Testing your permissions" (DryRun)."""
    would = (
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun option is set.",
    )
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x", DryRun=True) == would
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256", DryRun=True) == would
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(kms.decrypt, CiphertextBlob=blob, DryRun=True) == would
    assert refusal(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=key, DryRun=True) == would
    said = refusal(user("nobody").encrypt, KeyId=key, Plaintext=b"x", DryRun=True)
    assert said[0] == "AccessDeniedException"


def test_an_algorithm_of_other_keys_is_refused(kms: Any, key: str, refusal: Any) -> None:
    said = refusal(kms.encrypt, KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert said == (
        "InvalidKeyUsageException",
        "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.",
    )


def test_a_long_encryption_context_is_refused(kms: Any, key: str, refusal: Any) -> None:
    context = {"a": "x" * 8192}
    said = refusal(kms.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=context)
    assert said[0] == "ValidationException"
