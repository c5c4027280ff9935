"""Object Lock; tests/unit/services/s3/test_retention_rules.py has which changes may be.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json and
test_s3_api.snapshot.json, TestS3ObjectLock*).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.wire.s3.statements import allowing

from fogbank.testing.cloud import Cloud

PROTECTED = ("AccessDenied", "Access Denied because object protected by object lock.")
NO_LOCK = ("InvalidRequest", "Bucket is missing Object Lock Configuration")
NEVER = (
    "NoSuchObjectLockConfiguration",
    "The specified object does not have a ObjectLock configuration",
)
MINUTE = 1 / (24 * 60)
CAT = {"Bucket": "vault", "Key": "cat"}


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="vault", ObjectLockEnabledForBucket=True)
    return made


@pytest.fixture
def later(cloud: Cloud) -> Callable[[float], datetime]:
    """Return a way to name a moment so many days ahead, in whole seconds."""

    def at(days: float) -> datetime:
        now = datetime.fromtimestamp(cloud.clock.now_ms() // 1000, UTC)
        return now + timedelta(days=days)

    return at


def put(s3: Any, **more: Any) -> dict[str, Any]:
    """Put an object; return what names its version."""
    return {**CAT, "VersionId": s3.put_object(**CAT, Body=b"x", **more)["VersionId"]}


def governed(until: datetime, mode: str = "GOVERNANCE") -> dict[str, Any]:
    return {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}


def retain(s3: Any, version: Any, until: datetime, mode: str = "GOVERNANCE", **more: Any) -> Any:
    retention = {"Mode": mode, "RetainUntilDate": until}
    return s3.put_object_retention(**version, Retention=retention, **more)


def test_a_bucket_made_with_object_lock_keeps_versions_for_good(s3: Any, refusal: Any) -> None:
    lock = {"ObjectLockEnabled": "Enabled"}
    assert s3.get_object_lock_configuration(Bucket="vault")["ObjectLockConfiguration"] == lock
    assert s3.get_bucket_versioning(Bucket="vault")["Status"] == "Enabled"
    suspend = {"Bucket": "vault", "VersioningConfiguration": {"Status": "Suspended"}}
    code, message = refusal(s3.put_bucket_versioning, **suspend)
    assert code == "InvalidBucketState"
    assert message.startswith("An Object Lock configuration is present on this bucket, so the")
    s3.put_bucket_versioning(Bucket="vault", VersioningConfiguration={"Status": "Enabled"})


def test_object_lock_is_enabled_later_for_a_bucket_with_versions(s3: Any, refusal: Any) -> None:
    s3.create_bucket(Bucket="late")
    lock = {"ObjectLockEnabled": "Enabled"}
    enable = {"Bucket": "late", "ObjectLockConfiguration": lock}
    absent = (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    )
    assert refusal(s3.get_object_lock_configuration, Bucket="late") == absent
    versions = (
        "InvalidBucketState",
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    )
    assert refusal(s3.put_object_lock_configuration, **enable) == versions
    for status in ("Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket="late", VersioningConfiguration={"Status": status})
        if status == "Suspended":
            assert refusal(s3.put_object_lock_configuration, **enable) == versions
    s3.put_object_lock_configuration(**enable)
    assert s3.get_object_lock_configuration(Bucket="late")["ObjectLockConfiguration"] == lock
    malformed = refusal(s3.put_object_lock_configuration, Bucket="late")
    assert malformed[0] == "MalformedXML"


def test_a_protected_version_is_removed_when_its_time_is_over(
    s3: Any, cloud: Cloud, refusal: Any, later: Any
) -> None:
    version = put(s3, **governed(later(MINUTE), "COMPLIANCE"))
    assert refusal(s3.delete_object, **version) == PROTECTED
    assert refusal(s3.delete_object, **version, BypassGovernanceRetention=True) == PROTECTED
    marker = s3.delete_object(**CAT)
    assert marker["DeleteMarker"]
    s3.delete_object(**CAT, VersionId=marker["VersionId"])
    shorter = refusal(lambda: retain(s3, version, later(MINUTE / 2), "COMPLIANCE"))
    assert shorter == PROTECTED
    weaker = {"BypassGovernanceRetention": True}
    assert refusal(lambda: retain(s3, version, later(2), **weaker)) == PROTECTED
    cloud.advance(59_000)
    assert refusal(s3.delete_object, **version) == PROTECTED
    assert s3.get_object(**version)["Body"].read() == b"x"
    cloud.advance(1_000)
    assert s3.delete_object(**version)["VersionId"] == version["VersionId"]


def test_a_governed_version_yields_to_who_bypasses(s3: Any, refusal: Any, later: Any) -> None:
    version, other = (put(s3, **governed(later(1))) for _ in range(2))
    entry = {"Key": "cat", "VersionId": version["VersionId"]}
    some = {"Bucket": "vault", "Delete": {"Objects": [entry]}}
    refused = s3.delete_objects(**some)["Errors"]
    assert refused == [{**entry, "Code": PROTECTED[0], "Message": PROTECTED[1]}]
    assert refusal(s3.delete_object, **other) == PROTECTED
    deleted = s3.delete_objects(**some, BypassGovernanceRetention=True)
    assert [each["VersionId"] for each in deleted["Deleted"]] == [version["VersionId"]]
    s3.delete_object(**other, BypassGovernanceRetention=True)
    assert "Versions" not in s3.list_object_versions(Bucket="vault")


def test_a_legal_hold_is_put_and_taken_off(s3: Any, refusal: Any) -> None:
    version = put(s3)
    assert refusal(s3.get_object_legal_hold, **version) == NEVER
    for status in ("ON", "OFF", "ON"):
        s3.put_object_legal_hold(**version, LegalHold={"Status": status})
        assert s3.get_object_legal_hold(**version)["LegalHold"] == {"Status": status}
        assert s3.head_object(**version)["ObjectLockLegalHoldStatus"] == status
    assert refusal(s3.delete_object, **version, BypassGovernanceRetention=True) == PROTECTED
    assert refusal(s3.put_object_legal_hold, **version, LegalHold={})[0] == "MalformedXML"
    s3.put_object_legal_hold(**CAT, LegalHold={"Status": "OFF"})
    s3.delete_object(**version)


def test_the_default_of_a_bucket_is_for_new_versions(s3: Any, refusal: Any, later: Any) -> None:
    before = put(s3)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket="vault", ObjectLockConfiguration=lock)
    assert s3.get_object_lock_configuration(Bucket="vault")["ObjectLockConfiguration"] == lock
    assert refusal(s3.get_object_retention, **before) == NEVER
    default = {"Mode": "GOVERNANCE", "RetainUntilDate": later(1)}
    assert s3.get_object_retention(**put(s3))["Retention"] == default
    own = put(s3, **governed(later(9), "COMPLIANCE"))
    head = s3.head_object(**own)
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", later(9))
    s3.copy_object(**CAT, CopySource=own)
    assert s3.get_object_retention(**CAT)["Retention"] == default
    s3.copy_object(**CAT, CopySource=own, **governed(later(2)), ObjectLockLegalHoldStatus="ON")
    copied = s3.get_object(**CAT)
    assert copied["ObjectLockRetainUntilDate"] == later(2)
    assert copied["ObjectLockLegalHoldStatus"] == "ON"
    upload = s3.create_multipart_upload(**CAT, ObjectLockLegalHoldStatus="ON")["UploadId"]
    part = s3.upload_part(**CAT, UploadId=upload, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**CAT, UploadId=upload, MultipartUpload={"Parts": parts})
    made = s3.head_object(**CAT)
    assert made["ObjectLockLegalHoldStatus"] == "ON"
    assert made["ObjectLockRetainUntilDate"] == later(1)


def test_a_retention_is_changed_within_what_it_allows(s3: Any, refusal: Any, later: Any) -> None:
    version = put(s3)
    assert refusal(s3.get_object_retention, **version) == NEVER
    retain(s3, version, later(2))
    retain(s3, version, later(3))
    assert refusal(lambda: retain(s3, version, later(1))) == PROTECTED
    assert refusal(s3.put_object_retention, **version, Retention={}) == PROTECTED
    retain(s3, version, later(1), BypassGovernanceRetention=True)
    assert s3.get_object_retention(**version)["Retention"]["RetainUntilDate"] == later(1)
    s3.put_object_retention(**version, Retention={}, BypassGovernanceRetention=True)
    assert refusal(s3.get_object_retention, **version) == NEVER
    assert refusal(s3.put_object_retention, **version)[0] == "MalformedXML"
    past = refusal(lambda: retain(s3, version, later(-1)))
    assert past == ("InvalidArgument", "The retain until date must be in the future!")
    marker = s3.delete_object(**CAT)["VersionId"]
    for call in (s3.get_object_retention, s3.get_object_legal_hold):
        assert refusal(call, **CAT, VersionId=marker)[0] == "MethodNotAllowed"


def test_a_bucket_without_object_lock_takes_no_protection(
    s3: Any, refusal: Any, later: Any
) -> None:
    s3.create_bucket(Bucket="plain")
    named = {"Bucket": "plain", "Key": "cat"}
    s3.put_object(**named, Body=b"x")
    assert refusal(s3.put_object, **named, Body=b"x", **governed(later(1))) == NO_LOCK
    assert refusal(s3.create_multipart_upload, **named, **governed(later(1))) == NO_LOCK
    assert refusal(s3.copy_object, **named, CopySource=named, **governed(later(1)))[0] == (
        "InvalidRequest"
    )
    assert refusal(lambda: retain(s3, named, later(1))) == NO_LOCK
    assert refusal(s3.get_object_retention, **named) == NO_LOCK
    assert refusal(s3.get_object_legal_hold, **named) == NO_LOCK
    held = {"LegalHold": {"Status": "ON"}}
    assert refusal(s3.put_object_legal_hold, **named, **held) == NO_LOCK
    not_applicable = (
        "InvalidArgument",
        "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.",
    )
    objects = {"Bucket": "plain", "Delete": {"Objects": [{"Key": "cat"}]}}
    for bypass in ({"BypassGovernanceRetention": True}, {"BypassGovernanceRetention": False}):
        assert refusal(s3.delete_object, **named, **bypass) == not_applicable
        # Of many at once the header is taken everywhere: clients empty their buckets with it.
        assert "Errors" not in s3.delete_objects(**objects, **bypass)


# Who may.


def test_protecting_and_bypassing_need_permissions_of_their_own(
    s3: Any, limited: Any, refusal: Any, later: Any
) -> None:
    hold = {"ObjectLockLegalHoldStatus": "ON"}
    writer = limited(allowing(["s3:PutObject", "s3:DeleteObjectVersion", "s3:GetObject"]))
    version = put(writer)
    for more in (governed(later(1)), hold):
        assert refusal(lambda more=more: put(writer, **more))[0] == "AccessDenied"
    may_retain = limited(allowing(["s3:PutObject", "s3:PutObjectRetention"]))
    put(may_retain, **governed(later(1)))
    retain(may_retain, version, later(1))
    bypass = {"BypassGovernanceRetention": True}
    assert refusal(lambda: retain(may_retain, version, later(0.5), **bypass))[0] == "AccessDenied"
    put(limited(allowing(["s3:PutObject", "s3:PutObjectLegalHold"])), **hold)
    assert refusal(writer.delete_object, **version, **bypass)[0] == "AccessDenied"
    entry = {"Key": "cat", "VersionId": version["VersionId"]}
    some = {"Bucket": "vault", "Delete": {"Objects": [entry]}}
    assert writer.delete_objects(**some, **bypass)["Errors"][0]["Code"] == "AccessDenied"
    head = writer.head_object(**CAT)
    assert "ObjectLockLegalHoldStatus" not in head
    assert "ObjectLockMode" not in head
    actions = ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
    limited(allowing(actions)).delete_object(**version, **bypass)
    maker = limited(allowing("s3:CreateBucket"))
    maker.create_bucket(Bucket="mine")
    made = {"Bucket": "made", "ObjectLockEnabledForBucket": True}
    assert refusal(maker.create_bucket, **made)[0] == "AccessDenied"


def test_policies_bound_retentions(s3: Any, limited: Any, refusal: Any, later: Any) -> None:
    """Source: Amazon S3 User Guide, "Setting limits on retention periods with a bucket policy"."""
    days = {"NumericLessThanEquals": {"s3:object-lock-remaining-retention-days": "10"}}
    bounded = limited(allowing(["s3:PutObject", "s3:PutObjectRetention"], **days))
    version = put(bounded, **governed(later(10)))
    assert refusal(lambda: put(bounded, **governed(later(11))))[0] == "AccessDenied"
    assert refusal(lambda: retain(bounded, version, later(11)))[0] == "AccessDenied"
    mode = {"StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}}
    governing = limited(allowing("s3:PutObjectRetention", **mode))
    retain(governing, version, later(11))
    refused = refusal(lambda: retain(governing, version, later(12), "COMPLIANCE"))
    assert refused[0] == "AccessDenied"
    on = {"StringEquals": {"s3:object-lock-legal-hold": "ON"}}
    holder = limited(allowing("s3:PutObjectLegalHold", **on))
    holder.put_object_legal_hold(**version, LegalHold={"Status": "ON"})
    off = {"LegalHold": {"Status": "OFF"}}
    assert refusal(holder.put_object_legal_hold, **version, **off)[0] == "AccessDenied"
