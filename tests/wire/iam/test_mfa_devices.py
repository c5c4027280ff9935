"""Virtual MFA devices.

Source: IAM API Reference, "CreateVirtualMFADevice" and its kin; IAM User Guide, "Assign a virtual MFA
device", "Resynchronize virtual and hardware MFA devices"; RFC 6238.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zxingcpp
from botocore.exceptions import ClientError
from PIL import Image
from tests.wire.codes import Phone

from fogbank.testing.cloud import Cloud

CALLS = 8
WRONG = ("InvalidAuthenticationCode", "Authentication code for device is not valid.")


@pytest.fixture
def phone(cloud: Cloud, iam: Any) -> Callable[..., Phone]:
    def made(name: str = "alice", **more: Any) -> Phone:
        return Phone(cloud, iam, name, **more)

    return made


@pytest.fixture
def alice(iam: Any) -> str:
    iam.create_user(UserName="alice", Path="/staff/")
    return "alice"


def test_a_device_comes_with_a_seed_and_a_code_that_a_phone_reads(
    phone: Any, iam: Any, account: str
) -> None:
    made = phone("alice", Path="/phones/", Tags=[{"Key": "of", "Value": "alice"}]).device
    assert made["SerialNumber"] == f"arn:aws:iam::{account}:mfa/phones/alice"
    seed = made["Base32StringSeed"].decode()
    assert len(seed) == 64
    assert len(base64.b32decode(seed)) == 40
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(made["QRCodePNG"])))
    assert read.text == f"otpauth://totp/alice@{account}?secret={seed}"
    (listed,) = iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert listed == {"SerialNumber": made["SerialNumber"]}
    assert phone("bob").device["Base32StringSeed"].decode() != seed


def test_two_codes_in_a_row_give_a_device_to_a_user(
    phone: Any, iam: Any, alice: str, refusal: Any
) -> None:
    device = phone()
    enable = {"UserName": alice, "SerialNumber": device.serial}
    codes = device.codes()
    same = {**codes, "AuthenticationCode1": codes["AuthenticationCode2"]}
    assert refusal(iam.enable_mfa_device, **enable, **same) == WRONG
    turned = dict(zip(codes, reversed(codes.values()), strict=True))
    assert refusal(iam.enable_mfa_device, **enable, **turned) == WRONG
    assert iam.list_mfa_devices(UserName=alice)["MFADevices"] == []
    iam.enable_mfa_device(**enable, **codes)
    (listed,) = iam.list_mfa_devices(UserName=alice)["MFADevices"]
    assert (listed["UserName"], listed["SerialNumber"]) == (alice, device.serial)
    found = iam.get_mfa_device(SerialNumber=device.serial, UserName=alice)
    assert (found["UserName"], found["EnableDate"]) == (alice, listed["EnableDate"])
    (virtual,) = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert virtual["User"]["Arn"].endswith("user/staff/alice")
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"] == []
    taken = ("EntityAlreadyExists", "MFA Device is already in use.")
    device.cloud.advance(60_000)
    assert refusal(iam.enable_mfa_device, **enable, **device.codes()) == taken


def test_codes_that_enabled_a_device_are_spent(phone: Any, iam: Any, alice: str) -> None:
    device = phone()
    codes = device.codes()
    named = {"UserName": alice, "SerialNumber": device.serial}
    iam.enable_mfa_device(**named, **codes)
    iam.deactivate_mfa_device(**named)
    with pytest.raises(ClientError, match="Authentication code for device is not valid"):
        iam.enable_mfa_device(**named, **codes)
    device.cloud.advance(60_000)
    iam.enable_mfa_device(**named, **device.codes())


def test_a_user_with_a_device_is_not_deleted_and_no_device_of_somebody(
    phone: Any, iam: Any, alice: str, refusal: Any
) -> None:
    device = phone()
    device.enable(iam, alice)
    held = ("DeleteConflict", "Cannot delete entity, must delete MFA device first.")
    assert refusal(iam.delete_user, UserName=alice) == held
    serial = {"SerialNumber": device.serial}
    code, _ = refusal(iam.delete_virtual_mfa_device, **serial)
    assert code == "DeleteConflict"
    iam.deactivate_mfa_device(UserName=alice, **serial)
    absent = refusal(iam.deactivate_mfa_device, UserName=alice, **serial)
    assert absent[0] == "NoSuchEntity"
    assert refusal(iam.get_mfa_device, UserName=alice, **serial)[0] == "NoSuchEntity"
    iam.delete_virtual_mfa_device(**serial)
    gone = ("NoSuchEntity", f"VirtualMFADevice with serial number {device.serial} does not exist.")
    assert refusal(iam.delete_virtual_mfa_device, **serial) == gone
    iam.delete_user(UserName=alice)


def test_a_device_follows_its_user_to_another_name(phone: Any, iam: Any, alice: str) -> None:
    device = phone()
    device.enable(iam, alice)
    iam.update_user(UserName=alice, NewUserName="alicia")
    assert iam.get_mfa_device(SerialNumber=device.serial, UserName="alicia")["UserName"] == "alicia"
    iam.deactivate_mfa_device(UserName="alicia", SerialNumber=device.serial)


def test_names_of_devices_are_taken_without_regard_to_case(
    phone: Any, iam: Any, refusal: Any
) -> None:
    phone("Alice")
    code, _ = refusal(iam.create_virtual_mfa_device, VirtualMFADeviceName="alice")
    assert code == "EntityAlreadyExists"


def test_a_user_has_eight_devices_at_most(phone: Any, iam: Any, alice: str, refusal: Any) -> None:
    for number in range(8):
        phone(f"phone{number}").enable(iam, alice)
    ninth = phone("phone8")
    enable = {"UserName": alice, "SerialNumber": ninth.serial, **ninth.codes()}
    limit = ("LimitExceeded", "Cannot exceed quota for MFADevicesPerUser: 8")
    assert refusal(iam.enable_mfa_device, **enable) == limit


def test_a_clock_that_goes_wrong_is_brought_back(
    phone: Any, iam: Any, alice: str, user: Any, document: Any, refusal: Any
) -> None:
    device = phone()
    sts = user("bob", document("sts:*"))("sts")
    device.enable(iam, "bob")
    device.fast_ms = 3_600_000
    device.cloud.advance(60_000)
    named = {"UserName": "bob", "SerialNumber": device.serial}
    ask = {"SerialNumber": device.serial}
    assert refusal(sts.get_session_token, **ask, TokenCode=device.code())[0] == "AccessDenied"
    other = {**named, "UserName": alice}
    assert refusal(iam.resync_mfa_device, **other, **device.codes())[0] == "NoSuchEntity"
    wrong = {"AuthenticationCode1": device.code(), "AuthenticationCode2": device.code()}
    assert refusal(iam.resync_mfa_device, **named, **wrong) == WRONG
    iam.resync_mfa_device(**named, **device.codes())
    assert refusal(iam.resync_mfa_device, **named, **device.codes()) == WRONG
    sts.get_session_token(**ask, TokenCode=device.next_code())


def test_of_calls_that_come_together_with_the_same_codes_one_is_taken(
    phone: Any, iam: Any, alice: str
) -> None:
    device = phone()
    device.enable(iam, alice)
    device.cloud.advance(60_000)
    named = {"UserName": alice, "SerialNumber": device.serial, **device.codes()}

    def taken(_: int) -> bool:
        try:
            iam.resync_mfa_device(**named)
        except ClientError as error:
            assert error.response["Error"]["Code"] == WRONG[0]  # noqa: PT017 (one does not raise)
            return False
        return True

    with ThreadPoolExecutor(CALLS) as threads:
        assert sum(threads.map(taken, range(CALLS))) == 1


def test_the_root_user_has_devices_under_the_number_of_its_account(
    phone: Any, iam: Any, account: str
) -> None:
    device = phone("root")
    device.enable(iam, account)
    (listed,) = iam.list_mfa_devices()["MFADevices"]
    assert (listed["UserName"], listed["SerialNumber"]) == (account, device.serial)
    (virtual,) = iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert virtual["User"]["Arn"] == f"arn:aws:iam::{account}:root"
    assert iam.get_mfa_device(SerialNumber=device.serial)["UserName"] == account
    iam.deactivate_mfa_device(SerialNumber=device.serial)
    assert iam.list_mfa_devices()["MFADevices"] == []


def test_users_manage_the_devices_that_a_policy_gives_them(
    phone: Any, iam: Any, alice: str, user: Any, account: str, document: Any, refusal: Any
) -> None:
    own = f"arn:aws:iam::{account}:user/carol"
    device = f"arn:aws:iam::{account}:mfa/carol"
    actions = ["iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:ListMFADevices"]
    theirs = user("carol", document(actions, Resource=[own, device]))("iam")
    carol = Phone(phone("other").cloud, theirs, "carol")
    carol.enable(theirs, "carol")
    assert len(theirs.list_mfa_devices()["MFADevices"]) == 1
    assert refusal(theirs.list_mfa_devices, UserName=alice)[0] == "AccessDenied"
    denied = refusal(theirs.create_virtual_mfa_device, VirtualMFADeviceName="more")
    assert denied[0] == "AccessDenied"
    serial = {"SerialNumber": carol.serial}
    assert refusal(theirs.deactivate_mfa_device, UserName="carol", **serial)[0] == "AccessDenied"


def test_devices_have_tags(phone: Any, iam: Any, user: Any, document: Any, refusal: Any) -> None:
    device = phone(Tags=[{"Key": "team", "Value": "red"}])
    serial = {"SerialNumber": device.serial}
    condition = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    theirs = user("carol", document("iam:*", Condition=condition))("iam")
    theirs.tag_mfa_device(**serial, Tags=[{"Key": "floor", "Value": "2"}])
    listed = iam.list_mfa_device_tags(**serial)["Tags"]
    assert {each["Key"]: each["Value"] for each in listed} == {"team": "red", "floor": "2"}
    iam.untag_mfa_device(**serial, TagKeys=["team"])
    assert refusal(theirs.delete_virtual_mfa_device, **serial)[0] == "AccessDenied"
