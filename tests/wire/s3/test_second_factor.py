"""Versions that go by a second factor only: MFA delete.

Source: Amazon S3 User Guide, "Configuring MFA delete", "Deleting an object from an MFA delete-enabled
bucket"; API Reference, PutBucketVersioning, DeleteObject, DeleteObjects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.codes import Phone

from fogbank.testing.cloud import Cloud

NEEDED = ("AccessDenied", "Mfa Authentication must be used for this request")
OWNER = ("AccessDenied", "This operation may only be performed by the bucket owner")
ON = {"Status": "Enabled", "MFADelete": "Enabled"}
OFF = {"Status": "Enabled", "MFADelete": "Disabled"}
CAT = {"Bucket": "vault", "Key": "cat"}


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="vault")
    return made


@pytest.fixture
def phone(cloud: Cloud, client: Any, account: str) -> Phone:
    """Return the root user's phone."""
    made = Phone(cloud, client("iam"), "root")
    made.enable(client("iam"), account)
    return made


@pytest.fixture
def header(phone: Phone) -> Callable[[], dict[str, str]]:
    """Return a way to have the header with the next code."""
    return lambda: {"MFA": f"{phone.serial} {phone.next_code()}"}


@pytest.fixture
def guarded(s3: Any, header: Any) -> Any:
    s3.put_bucket_versioning(Bucket="vault", VersioningConfiguration=ON, **header())
    return s3


def versioning(s3: Any) -> dict[str, str]:
    reply = s3.get_bucket_versioning(Bucket="vault")
    return {name: reply[name] for name in ("Status", "MFADelete") if name in reply}


def put(s3: Any, body: bytes = b"x") -> dict[str, str]:
    return {**CAT, "VersionId": s3.put_object(**CAT, Body=body)["VersionId"]}


def test_the_root_user_turns_it_on_and_off_with_a_code(s3: Any, header: Any, refusal: Any) -> None:
    turn_on = {"Bucket": "vault", "VersioningConfiguration": ON}
    turn_off = {"Bucket": "vault", "VersioningConfiguration": OFF}
    s3.put_bucket_versioning(**turn_off)
    assert versioning(s3) == {"Status": "Enabled"}
    assert refusal(s3.put_bucket_versioning, **turn_on) == NEEDED
    s3.put_bucket_versioning(**turn_on, **header())
    assert versioning(s3) == ON
    suspend = {"Bucket": "vault", "VersioningConfiguration": {"Status": "Suspended"}}
    assert refusal(s3.put_bucket_versioning, **suspend) == NEEDED
    s3.put_bucket_versioning(**suspend, **header())
    assert versioning(s3) == {"Status": "Suspended", "MFADelete": "Enabled"}
    assert refusal(s3.put_bucket_versioning, **turn_off) == NEEDED
    s3.put_bucket_versioning(**turn_off, **header())
    assert versioning(s3) == OFF


def test_nobody_but_the_root_user_turns_it_on(
    s3: Any, cloud: Cloud, client: Any, limited: Any, refusal: Any
) -> None:
    theirs = limited({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    (user,) = client("iam").list_users()["Users"]
    phone = Phone(cloud, client("iam"), "user")
    phone.enable(client("iam"), user["UserName"])
    mfa = {"MFA": f"{phone.serial} {phone.next_code()}"}
    turn_on = {"Bucket": "vault", "VersioningConfiguration": ON}
    assert refusal(theirs.put_bucket_versioning, **turn_on, **mfa) == OWNER
    assert versioning(s3) == {}


def test_a_version_goes_with_a_code_that_was_not_used(
    guarded: Any, phone: Phone, header: Any, refusal: Any
) -> None:
    first, second = put(guarded), put(guarded)
    assert refusal(guarded.delete_object, **first) == NEEDED
    used = header()
    guarded.delete_object(**first, **used)
    code, _ = refusal(guarded.delete_object, **second, **used)
    assert code == "AccessDenied"
    wrong = {"MFA": f"{phone.serial} 000000"}
    assert refusal(guarded.delete_object, **second, **wrong)[0] == "AccessDenied"
    assert guarded.get_object(**second)["Body"].read() == b"x"
    marker = guarded.delete_object(**CAT)
    assert marker["DeleteMarker"]
    named = {**CAT, "VersionId": marker["VersionId"]}
    assert refusal(guarded.delete_object, **named) == NEEDED
    guarded.delete_object(**named, **header())
    assert guarded.get_object(**CAT)["Body"].read() == b"x"


def test_a_header_without_its_form_is_refused(guarded: Any, phone: Phone) -> None:
    version = put(guarded)
    for value in (phone.serial, f"{phone.serial} code", " 123456"):
        with pytest.raises(ClientError) as caught:
            guarded.delete_object(**version, MFA=value)
        error = caught.value.response["Error"]
        assert error["Code"] == "InvalidArgument"
        assert error["Message"].startswith("Mfa header is invalid -- the header should be")
        assert (error["ArgumentName"], error["ArgumentValue"]) == ("x-amz-mfa", value.strip())


def test_many_objects_go_only_if_the_whole_request_may(
    guarded: Any, phone: Phone, header: Any, refusal: Any
) -> None:
    first, second = put(guarded), put(guarded)
    guarded.put_object(Bucket="vault", Key="dog", Body=b"x")
    versions = [{"Key": "cat", "VersionId": each["VersionId"]} for each in (first, second)]
    many = {"Bucket": "vault", "Delete": {"Objects": [{"Key": "dog"}, *versions]}}
    assert refusal(guarded.delete_objects, **many) == NEEDED
    wrong = {"MFA": f"{phone.serial} 000000"}
    assert refusal(guarded.delete_objects, **many, **wrong)[0] == "AccessDenied"
    plain = {"Bucket": "vault", "Delete": {"Objects": [{"Key": "dog"}]}}
    assert refusal(guarded.delete_objects, **plain, **wrong)[0] == "AccessDenied"
    assert guarded.head_object(Bucket="vault", Key="dog")
    assert guarded.delete_objects(**plain)["Deleted"][0]["DeleteMarker"]
    reply = guarded.delete_objects(**many, **header())
    assert len(reply["Deleted"]) == 3
    assert "Errors" not in reply


def test_lifecycle_rules_and_a_second_factor_do_not_go_together(
    s3: Any, header: Any, refusal: Any
) -> None:
    rule = {"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    rules = {"Bucket": "vault", "LifecycleConfiguration": {"Rules": [rule]}}
    turn_on = {"Bucket": "vault", "VersioningConfiguration": ON}
    s3.put_bucket_lifecycle_configuration(**rules)
    assert refusal(s3.put_bucket_versioning, **turn_on, **header())[0] == "InvalidBucketState"
    s3.delete_bucket_lifecycle(Bucket="vault")
    s3.put_bucket_versioning(**turn_on, **header())
    code, message = refusal(s3.put_bucket_lifecycle_configuration, **rules)
    assert code == "InvalidBucketState"
    assert message == "Lifecycle configuration is not supported on MFA-enabled buckets."


def test_a_policy_asks_for_a_session_with_a_second_factor(
    s3: Any, cloud: Cloud, client: Any, limited: Any, refusal: Any
) -> None:
    theirs = limited({"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": "*"})
    name = client("iam").list_users()["Users"][0]["UserName"]
    condition = {"Null": {"aws:MultiFactorAuthAge": "true"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Condition": condition}
    statement = {**deny, "Resource": "arn:aws:s3:::vault/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_object(**CAT, Body=b"x")
    s3.put_bucket_policy(Bucket="vault", Policy=policy)
    assert refusal(theirs.get_object, **CAT)[0] == "AccessDenied"
    phone = Phone(cloud, client("iam"), "user")
    phone.enable(client("iam"), name)
    keys = client("iam").create_access_key(UserName=name)["AccessKey"]
    own = {"access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"]}
    given = client("sts", **own).get_session_token(
        SerialNumber=phone.serial, TokenCode=phone.next_code()
    )["Credentials"]
    proved = client(
        "s3",
        access_key=given["AccessKeyId"],
        secret_key=given["SecretAccessKey"],
        token=given["SessionToken"],
    )
    assert proved.get_object(**CAT)["Body"].read() == b"x"
