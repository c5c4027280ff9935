"""Rotation: AWS KMS Developer Guide, "Rotate AWS KMS keys"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.kms.conftest import DAY_MS

from fogbank.server.backlogs import waiting_in
from fogbank.testing.cloud import Cloud

Leap = Callable[[float], None]


def material(kms: Any, key: str) -> str:
    told: str = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    return told


def test_a_key_does_not_rotate_unless_it_is_told_to(kms: Any, key: str) -> None:
    told = kms.get_key_rotation_status(KeyId=key)
    told.pop("ResponseMetadata")
    assert told == {"KeyId": key.rpartition("/")[2], "KeyRotationEnabled": False}


def test_a_rotation_on_demand_keeps_what_the_old_material_encrypted(kms: Any, key: str) -> None:
    first, blob = material(kms, key), kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == key.rpartition("/")[2]
    second = material(kms, key)
    assert first != second
    opened = kms.decrypt(CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", first)
    fresh = kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"])
    assert (fresh["Plaintext"], fresh["KeyMaterialId"]) == (b"new", second)
    moved = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
    assert (moved["SourceKeyMaterialId"], moved["DestinationKeyMaterialId"]) == (first, second)


def test_a_key_rotates_by_itself_at_the_end_of_each_period(
    kms: Any, key: str, cloud: Cloud, leap: Leap
) -> None:
    """Source: API Reference, EnableKeyRotation, ``RotationPeriodInDays``."""
    blob = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    begin_ms = cloud.clock.now_ms()
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    told = kms.get_key_rotation_status(KeyId=key)
    assert (told["KeyRotationEnabled"], told["RotationPeriodInDays"]) == (True, 90)
    assert told["NextRotationDate"].timestamp() * 1000 == begin_ms + 90 * DAY_MS
    seen = [material(kms, key)]
    leap(89.9)
    assert material(kms, key) == seen[0]
    for days in (0.2, 90, 90):
        leap(days)
        seen.append(material(kms, key))
    assert len(set(seen)) == 4
    rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [each["RotationType"] for each in rotations] == ["AUTOMATIC"] * 3
    assert [each["KeyMaterialId"] for each in rotations] == seen[1:]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"old"


def test_a_period_is_a_year_unless_told_otherwise(kms: Any, key: str) -> None:
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365


def test_a_key_whose_rotation_was_disabled_keeps_its_material(
    kms: Any, key: str, leap: Leap
) -> None:
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    kms.disable_key_rotation(KeyId=key)
    first = material(kms, key)
    leap(100)
    assert material(kms, key) == first
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_another_period_counts_from_when_it_was_set(kms: Any, key: str, leap: Leap) -> None:
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    leap(80)
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=100)
    first = material(kms, key)
    leap(99)
    assert material(kms, key) == first
    leap(1)
    assert material(kms, key) != first


def test_a_key_has_one_timer_however_often_its_period_is_set(
    kms: Any, key: str, cloud: Cloud, leap: Leap
) -> None:
    def timers() -> int:
        stores = cloud.app.parts.placement.system_stores()
        return cloud.run(waiting_in(stores, 0)).entries["timers"]

    before = timers()
    for _ in range(3):
        kms.enable_key_rotation(KeyId=key)
        leap(1)
    assert timers() == before + 1
    kms.disable_key_rotation(KeyId=key)
    assert timers() == before


def test_a_disabled_key_makes_up_for_a_missed_rotation_when_it_is_enabled(
    kms: Any, key: str, cloud: Cloud, leap: Leap
) -> None:
    """Source: "Rotate AWS KMS keys", "Disabled KMS keys"."""
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    first = material(kms, key)
    kms.disable_key(KeyId=key)
    leap(100)
    assert material(kms, key) == first
    kms.enable_key(KeyId=key)
    cloud.settle()
    second = material(kms, key)
    assert second != first
    leap(90)
    assert material(kms, key) != second


def test_rotations_are_listed_page_by_page_with_the_first_material_if_asked(
    kms: Any, key: str
) -> None:
    """Source: API Reference, ListKeyRotations, ``IncludeKeyMaterial``."""
    first = material(kms, key)
    for _ in range(2):
        kms.rotate_key_on_demand(KeyId=key)
    rotated = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [each["RotationType"] for each in rotated] == ["ON_DEMAND", "ON_DEMAND"]
    assert [each["KeyMaterialState"] for each in rotated] == ["NON_CURRENT", "CURRENT"]
    whole = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert whole[1:] == rotated
    assert whole[0]["KeyMaterialId"] == first
    assert "RotationDate" not in whole[0]
    page = kms.list_key_rotations(KeyId=key, Limit=1)
    assert page["Truncated"] is True
    rest = kms.list_key_rotations(KeyId=key, Marker=page["NextMarker"])
    assert page["Rotations"] + rest["Rotations"] == rotated


@pytest.mark.parametrize("cloud", [{"kms.on_demand_rotations_max": 1}], indirect=True)
def test_a_key_is_rotated_on_demand_as_often_as_the_quota_says(
    kms: Any, key: str, refusal: Any
) -> None:
    kms.rotate_key_on_demand(KeyId=key)
    assert refusal(kms.rotate_key_on_demand, KeyId=key)[0] == "LimitExceededException"


def test_a_key_for_macs_does_not_rotate(kms: Any, refusal: Any) -> None:
    key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    for asked in (kms.enable_key_rotation, kms.rotate_key_on_demand, kms.get_key_rotation_status):
        assert refusal(asked, KeyId=key)[0] == "UnsupportedOperationException"
