"""Keys: what is recorded of AWS stands in LocalStack's validated ``TestKMS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud

NOBODY = "1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_key_is_described_as_aws_does(kms: Any, account: str) -> None:
    """Source: API Reference, CreateKey; test_create_key of LocalStack's recordings."""
    made = kms.create_key(Description="test key 123")["KeyMetadata"]
    [key_id, material] = [made.pop("KeyId"), made.pop("CurrentKeyMaterialId")]
    assert len(material) == 64
    created = made.pop("CreationDate")
    assert made == {
        "AWSAccountId": account,
        "Arn": f"arn:aws:kms:us-east-1:{account}:key/{key_id}",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "test key 123",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }
    told = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert told == {
        **made,
        "KeyId": key_id,
        "CurrentKeyMaterialId": material,
        "CreationDate": created,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NOBODY, f"Key 'arn:aws:kms:us-east-1:ACCOUNT:key/{NOBODY}' does not exist"),
        (
            f"arn:aws:kms:us-east-1:ACCOUNT:key/{NOBODY}",
            f"Key 'arn:aws:kms:us-east-1:ACCOUNT:key/{NOBODY}' does not exist",
        ),
        (
            "mrk-d3b95762d3b95762d3b95762d3b95762",
            (
                "Key 'arn:aws:kms:us-east-1:ACCOUNT:key/mrk-d3b95762d3b95762d3b95762d3b95762' does not "
                "exist"
            ),
        ),
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        ("mrk-fake-key-id", "Invalid keyId 'mrk-fake-key-id'"),
        ("134f2428cec14b25a1ae9048164dba47", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"),
        (f"arn:aws:kms:eu-west-1:ACCOUNT:key/{NOBODY}", "Invalid arn eu-west-1"),
        ("alias/none", "Alias arn:aws:kms:us-east-1:ACCOUNT:alias/none is not found."),
        (
            "arn:aws:kms:us-east-1:ACCOUNT:thing/x",
            "Invalid arn arn:aws:kms:us-east-1:ACCOUNT:thing/x",
        ),
    ],
)
def test_what_names_no_key_is_not_found(
    kms: Any, account: str, refusal: Any, text: str, message: str
) -> None:
    """Source: test_get_key_does_not_exist, _invalid_uuid and _in_different_region, recorded."""
    said = refusal(kms.describe_key, KeyId=text.replace("ACCOUNT", account))
    assert said == ("NotFoundException", message.replace("ACCOUNT", account))


def test_keys_are_listed_in_order_of_their_ids(kms: Any, key: str, account: str) -> None:
    made = sorted(
        [key.rpartition("/")[2], *(kms.create_key()["KeyMetadata"]["KeyId"] for _ in "ab")]
    )
    listed = kms.list_keys()
    assert [each["KeyId"] for each in listed["Keys"]] == made
    assert listed["Truncated"] is False
    assert listed["Keys"][0]["KeyArn"] == f"arn:aws:kms:us-east-1:{account}:key/{made[0]}"
    page = kms.list_keys(Limit=2)
    assert page["Truncated"] is True
    rest = kms.list_keys(Marker=page["NextMarker"])
    assert [each["KeyId"] for each in (*page["Keys"], *rest["Keys"])] == made


def test_keys_are_of_one_region(cloud: Cloud, key: str, refusal: Any, account: str) -> None:
    far = cloud.client("kms", region="eu-west-1")
    assert far.list_keys()["Keys"] == []
    key_id = key.rpartition("/")[2]
    assert refusal(far.describe_key, KeyId=key_id) == (
        "NotFoundException",
        f"Key 'arn:aws:kms:eu-west-1:{account}:key/{key_id}' does not exist",
    )


def test_a_description_can_be_changed(kms: Any, key: str, metadata: Callable[[str], Any]) -> None:
    kms.update_key_description(KeyId=key, Description="other")
    assert metadata(key)["Description"] == "other"


def test_a_disabled_key_can_be_used_again_when_it_is_enabled(
    kms: Any, key: str, metadata: Callable[[str], Any], refusal: Any
) -> None:
    """Source: Developer Guide, "Key states of AWS KMS keys"."""
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert (metadata(key)["KeyState"], metadata(key)["Enabled"]) == ("Disabled", False)
    disabled = ("DisabledException", f"{key} is disabled.")
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == disabled
    assert refusal(kms.decrypt, CiphertextBlob=blob) == disabled
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == disabled
    assert refusal(kms.enable_key_rotation, KeyId=key) == disabled
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, "KeySpec"),
        (
            {"CustomerMasterKeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
            "CustomerMasterKeySpec",
        ),
        ({"Origin": "EXTERNAL"}, "Origin"),
        ({"MultiRegion": True}, "MultiRegion"),
        ({"CustomKeyStoreId": "cks-1"}, "CustomKeyStoreId"),
    ],
)
def test_keys_that_are_not_built_are_refused(kms: Any, given: Any, member: str) -> None:
    with pytest.raises(ClientError, match=f"has not built the member {member} of kms:CreateKey"):
        kms.create_key(**given)


def test_what_a_key_is_for_must_fit_its_kind(kms: Any, refusal: Any) -> None:
    """Source: test_hmac_create_key_invalid_operations, recorded."""
    assert refusal(kms.create_key, KeySpec="HMAC_256") == (
        "ValidationException",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    )
    code, _ = refusal(kms.create_key, KeySpec="HMAC_256", KeyUsage="ENCRYPT_DECRYPT")
    assert code == "ValidationException"


@pytest.mark.parametrize("cloud", [{"kms.keys_max": 1}], indirect=True)
def test_there_are_as_many_keys_as_the_quota_says(
    kms: Any, key: str, refusal: Any, leap: Callable[[float], None]
) -> None:
    assert refusal(kms.create_key)[0] == "LimitExceededException"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    leap(7)
    kms.create_key()
