"""The AWS Encryption SDK for Python, a client that no one here wrote, with keys of this cloud.

Source: AWS Encryption SDK Developer Guide, "AWS KMS master key providers"; its messages hold data
keys of GenerateDataKey and Encrypt, and what it decrypts it has checked with Decrypt.
"""

from __future__ import annotations

from typing import Any

import aws_encryption_sdk
import pytest
from aws_encryption_sdk.exceptions import DecryptKeyError
from aws_encryption_sdk.key_providers.kms import StrictAwsKmsMasterKeyProvider

CONTEXT = {"purpose": "tests"}
SOURCE = b"a long message " * 1_000


def provider(kms: Any, *keys: str) -> Any:
    """Return the SDK's provider of keys, whose client reaches this cloud."""

    class Provider(StrictAwsKmsMasterKeyProvider):
        def _client(self, key_id: str) -> Any:
            assert key_id in keys
            return kms

    return Provider(key_ids=keys)


def test_the_encryption_sdk_encrypts_and_decrypts_with_a_key(kms: Any, key: str) -> None:
    client = aws_encryption_sdk.EncryptionSDKClient()
    sealed, header = client.encrypt(
        source=SOURCE, key_provider=provider(kms, key), encryption_context=CONTEXT
    )
    assert header.encryption_context["purpose"] == "tests"
    assert SOURCE[:40] not in sealed
    opened, header = client.decrypt(source=sealed, key_provider=provider(kms, key))
    assert (opened, header.encryption_context["purpose"]) == (SOURCE, "tests")


def test_the_encryption_sdk_wraps_a_data_key_for_several_keys(
    kms: Any, key: str, refusal: Any
) -> None:
    second = kms.create_key()["KeyMetadata"]["Arn"]
    client = aws_encryption_sdk.EncryptionSDKClient()
    sealed, _ = client.encrypt(
        source=SOURCE, key_provider=provider(kms, key, second), encryption_context=CONTEXT
    )
    for each in (key, second):
        opened, _ = client.decrypt(source=sealed, key_provider=provider(kms, each))
        assert opened == SOURCE
    kms.disable_key(KeyId=key)
    with pytest.raises(DecryptKeyError):
        client.decrypt(source=sealed, key_provider=provider(kms, key))
    assert client.decrypt(source=sealed, key_provider=provider(kms, second))[0] == SOURCE
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "DisabledException"


def test_the_encryption_sdk_refuses_a_message_whose_data_key_was_changed(
    kms: Any, key: str
) -> None:
    client = aws_encryption_sdk.EncryptionSDKClient()
    sealed, header = client.encrypt(source=SOURCE, key_provider=provider(kms, key))
    [data_key] = header.encrypted_data_keys
    blob = data_key.encrypted_data_key
    at = sealed.index(blob) + len(blob) - 1
    damaged = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
    with pytest.raises(DecryptKeyError):
        client.decrypt(source=damaged, key_provider=provider(kms, key))
