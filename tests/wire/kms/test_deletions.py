"""Deletion after a window: AWS KMS Developer Guide, "Delete AWS KMS keys"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.kms.conftest import DAY_MS

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms.rules.names import domain_of
from fogbank.services.kms.schema import TABLES, CountRecord
from fogbank.testing.cloud import Cloud

Leap = Callable[[float], None]


def rows_of(cloud: Cloud, account: str) -> int:
    """Return how many rows of keys stand, in every table but the count's."""
    domain = domain_of(account, "us-east-1")

    async def body(tr: Transaction) -> int:
        found = 0
        for table in TABLES:
            if table.record is CountRecord:
                continue
            prefix = table.prefix(domain)
            found += len(await tr.range(prefix, tuples.after_prefix(prefix), limit=10_000))
        return found

    return cloud.run(cloud.engine.store_of(domain).read(body))


def test_a_key_that_is_to_be_deleted_cannot_be_used(
    kms: Any, key: str, cloud: Cloud, refusal: Any
) -> None:
    """Source: "Key states of AWS KMS keys"; words as the AWS Encryption SDK's tests have them."""
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    told = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    due_ms = told.pop("DeletionDate").timestamp() * 1000
    assert due_ms == cloud.clock.now_ms() + 7 * DAY_MS
    told.pop("ResponseMetadata")
    assert told == {"KeyId": key, "KeyState": "PendingDeletion", "PendingWindowInDays": 7}
    pending = ("KMSInvalidStateException", f"{key} is pending deletion.")
    for refused, given in (
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.disable_key, {"KeyId": key}),
        (kms.enable_key, {"KeyId": key}),
        (kms.enable_key_rotation, {"KeyId": key}),
        (kms.rotate_key_on_demand, {"KeyId": key}),
        (kms.schedule_key_deletion, {"KeyId": key}),
        (kms.update_key_description, {"KeyId": key, "Description": "x"}),
        (kms.create_alias, {"AliasName": "alias/x", "TargetKeyId": key}),
        (kms.tag_resource, {"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ):
        assert refusal(refused, **given) == pending
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("PendingDeletion", False)
    assert metadata["DeletionDate"].timestamp() * 1000 == due_ms


def test_after_the_window_nothing_of_a_key_is_left(
    kms: Any, key: str, cloud: Cloud, account: str, refusal: Any, leap: Leap
) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    root = f"arn:aws:iam::{account}:root"
    for _ in range(3):
        kms.create_grant(
            KeyId=key, GranteePrincipal=root, RetiringPrincipal=root, Operations=["Decrypt"]
        )
    kms.rotate_key_on_demand(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    leap(6.99)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    leap(0.02)
    assert refusal(kms.describe_key, KeyId=key) == (
        "NotFoundException",
        f"Key '{key}' does not exist",
    )
    code, message = refusal(kms.decrypt, CiphertextBlob=blob)
    assert (code, message[:47]) == (
        "AccessDeniedException",
        "The ciphertext refers to a customer master key ",
    )
    assert kms.list_aliases()["Aliases"] == []
    assert rows_of(cloud, account) == 0


def test_a_deletion_can_be_cancelled_while_the_key_stands(
    kms: Any, key: str, refusal: Any, leap: Leap
) -> None:
    """Source: API Reference, CancelKeyDeletion: the key state is Disabled."""
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    leap(8)
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["KeyState"] == "Disabled"
    assert "DeletionDate" not in metadata
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    said = refusal(kms.cancel_key_deletion, KeyId=key)
    assert said == ("KMSInvalidStateException", f"{key} is not pending deletion.")


def test_a_deletion_that_was_cancelled_and_scheduled_again_has_its_new_date(
    kms: Any, key: str, leap: Leap
) -> None:
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
    leap(29)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    leap(1)
    assert kms.list_keys()["Keys"] == []


@pytest.mark.parametrize(
    ("days", "bound"),
    [(6, "greater than or equal to 7"), (31, "less than or equal to 30")],
)
def test_the_window_has_7_to_30_days(
    kms: Any, key: str, refusal: Any, days: int, bound: str
) -> None:
    """Source: API Reference, ScheduleKeyDeletion, ``PendingWindowInDays``."""
    said = refusal(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)
    assert said == (
        "ValidationException",
        (
            f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy "
            f"constraint: Member must have value {bound}"
        ),
    )


def test_the_window_has_30_days_unless_told_otherwise(kms: Any, key: str) -> None:
    assert kms.schedule_key_deletion(KeyId=key)["PendingWindowInDays"] == 30
