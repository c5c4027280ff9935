"""Access control lists of buckets and objects, and who owns what other accounts write.

Source: Amazon S3 User Guide, "Access control list (ACL) overview", "Controlling ownership of objects
and disabling ACLs for your bucket"; API Reference, PutBucketAcl and PutObjectAcl; messages recorded by
LocalStack (services/s3/validation.py).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.s3.test_policies import AT, BLOCK, account_of, denied, put, statement

from fogbank.base.arn import canonical_user_id
from fogbank.server.config import Config, S3Settings
from fogbank.services.s3.errors import MalformedACLError
from fogbank.testing.cloud import Cloud

ALL = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
SIGNED = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"}
NOT_SUPPORTED = ("AccessControlListNotSupported", "The bucket does not allow ACLs")


def user(account: str) -> dict[str, str]:
    return {"Type": "CanonicalUser", "ID": canonical_user_id(account)}


def grant(grantee: Any, permission: str) -> dict[str, Any]:
    return {"Grantee": grantee, "Permission": permission}


def document(account: str, *grants: Any) -> dict[str, Any]:
    return {"Owner": {"ID": canonical_user_id(account)}, "Grants": list(grants)}


def full(account: str) -> dict[str, Any]:
    return grant(user(account), "FULL_CONTROL")


@pytest.fixture
def theirs(cloud: Cloud, other: Any) -> Any:
    return cloud.client("s3", credential=other)


def test_where_the_owner_owns_everything_no_list_counts(
    client: Any, refusal: Any, account: str
) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="photos")
    assert s3.get_bucket_ownership_controls(Bucket="photos")["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerEnforced"}
    ]
    s3.put_object(**AT, ACL="bucket-owner-full-control")
    mine = f"id={canonical_user_id(account)}"
    s3.put_object(**AT, GrantFullControl=mine)
    for acl in ("private", "public-read", "bucket-owner-read", "authenticated-read"):
        assert refusal(s3.put_object, **AT, ACL=acl) == NOT_SUPPORTED
        assert refusal(s3.create_multipart_upload, **AT, ACL=acl) == NOT_SUPPORTED
        copy = {"Bucket": "photos", "Key": "l", "CopySource": "photos/k"}
        assert refusal(s3.copy_object, **copy, ACL=acl) == NOT_SUPPORTED
        assert refusal(s3.put_object_acl, **AT, ACL=acl) == NOT_SUPPORTED
    assert refusal(s3.put_object, **AT, GrantRead=mine) == NOT_SUPPORTED
    assert refusal(s3.put_bucket_acl, Bucket="photos", ACL="private") == NOT_SUPPORTED
    for found in (s3.get_bucket_acl(Bucket="photos"), s3.get_object_acl(**AT)):
        assert found["Owner"] == {"ID": canonical_user_id(account)}
        assert found["Grants"] == [full(account)]


@pytest.mark.parametrize(
    ("canned", "grants"),
    [
        ("private", []),
        ("public-read", [grant(ALL, "READ")]),
        ("public-read-write", [grant(ALL, "READ"), grant(ALL, "WRITE")]),
        ("authenticated-read", [grant(SIGNED, "READ")]),
    ],
)
def test_canned_lists_are_what_they_stand_for(
    unblocked: Any, account: str, canned: str, grants: Any
) -> None:
    s3 = unblocked("photos")
    s3.put_bucket_acl(Bucket="photos", ACL=canned)
    s3.put_object(**AT, ACL=canned)
    s3.put_object(Bucket="photos", Key="l")
    s3.put_object_acl(Bucket="photos", Key="l", ACL=canned)
    for found in (
        s3.get_bucket_acl(Bucket="photos"),
        s3.get_object_acl(**AT),
        s3.get_object_acl(Bucket="photos", Key="l"),
    ):
        assert found["Grants"] == [full(account), *grants]


def test_log_delivery_may_be_let_in(unblocked: Any, account: str) -> None:
    s3 = unblocked("photos")
    s3.put_bucket_acl(Bucket="photos", ACL="log-delivery-write")
    group = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
    assert s3.get_bucket_acl(Bucket="photos")["Grants"] == [
        full(account),
        grant(group, "WRITE"),
        grant(group, "READ_ACP"),
    ]


def test_what_lists_of_buckets_grant(
    unblocked: Any, anonymous: Any, theirs: Any, other: Any, account: str
) -> None:
    s3 = unblocked("photos")
    s3.put_object(**AT, Body=b"x")
    it = {"Bucket": "photos"}
    them = other.principal.account

    def may() -> set[str]:
        """Return what the other account may do with the bucket."""
        found = set[str]()
        for name, call, more in (
            ("READ", theirs.list_objects_v2, {}),
            ("READ", theirs.list_object_versions, {}),
            ("READ", theirs.list_multipart_uploads, {}),
            ("WRITE", theirs.put_object, {"Key": "new"}),
            ("READ_ACP", theirs.get_bucket_acl, {}),
        ):
            try:
                call(**it, **more)
                found.add(name)
            except theirs.exceptions.ClientError:
                assert name not in found
        return found

    assert may() == set()
    for permission in ("READ", "WRITE", "READ_ACP"):
        acl = document(account, full(account), grant(user(them), permission))
        s3.put_bucket_acl(**it, AccessControlPolicy=acl)
        assert s3.get_bucket_acl(**it)["Grants"] == acl["Grants"]
        assert may() == {permission}
        denied(theirs.get_object, **AT)
        denied(theirs.put_bucket_acl, **it, ACL="private")
    s3.put_bucket_acl(**it, GrantWriteACP=f"id={canonical_user_id(them)}")
    assert may() == set()
    theirs.put_bucket_acl(**it, GrantFullControl=f"id={canonical_user_id(them)}")
    assert may() == {"READ", "WRITE", "READ_ACP"}
    s3.put_bucket_acl(**it, ACL="authenticated-read")
    assert may() == {"READ"}
    denied(anonymous.list_objects_v2, **it)
    s3.put_bucket_acl(**it, ACL="public-read")
    assert anonymous.list_objects_v2(**it)["KeyCount"] == 2
    s3.put_bucket_acl(**it, AccessControlPolicy=document(account))
    assert s3.get_bucket_acl(**it).get("Grants", []) == []
    s3.list_objects_v2(**it)


def test_what_lists_of_objects_grant(
    unblocked: Any, anonymous: Any, theirs: Any, other: Any, account: str
) -> None:
    s3 = unblocked("photos")
    s3.put_object(**AT, Body=b"x", ACL="public-read")
    assert anonymous.get_object(**AT)["Body"].read() == b"x"
    denied(anonymous.get_object_acl, **AT)
    s3.put_object_acl(**AT, ACL="authenticated-read")
    denied(anonymous.get_object, **AT)
    assert theirs.get_object(**AT)["Body"].read() == b"x"
    them = f'id="{canonical_user_id(other.principal.account)}"'
    s3.put_object_acl(**AT, GrantReadACP=them)
    denied(theirs.get_object, **AT)
    theirs.get_object_acl(**AT)
    denied(theirs.put_object_acl, **AT, ACL="private")
    s3.put_object_acl(**AT, GrantWriteACP=them)
    theirs.put_object_acl(**AT, GrantRead=them, GrantReadACP=them)
    assert theirs.get_object(**AT)["Body"].read() == b"x"
    assert theirs.get_object_acl(**AT)["Owner"] == {"ID": canonical_user_id(account)}
    s3.put_object(**AT, Body=b"y")
    denied(theirs.get_object, **AT)


def test_an_object_of_another_account_is_theirs(
    unblocked: Any, theirs: Any, other: Any, account: str, limited: Any, client: Any
) -> None:
    """User Guide, "How Amazon S3 authorizes a request": the bucket's owner may deny and delete."""
    s3 = unblocked("photos")
    them = other.principal.account
    s3.put_bucket_acl(Bucket="photos", GrantWrite=f"id={canonical_user_id(them)}")
    s3.put_object(Bucket="photos", Key="mine", Body=b"m")
    theirs.put_object(**AT, Body=b"t")
    assert theirs.get_object(**AT)["Body"].read() == b"t"
    for call in (s3.get_object, s3.get_object_acl, s3.head_object):
        denied(call, **AT)
    put(s3, statement("s3:GetObject", {"AWS": f"arn:aws:iam::{account}:root"}))
    denied(s3.get_object, **AT)
    owners = {each["Key"]: each["Owner"] for each in s3.list_objects(Bucket="photos")["Contents"]}
    assert owners == {
        "k": {"ID": canonical_user_id(them)},
        "mine": {"ID": canonical_user_id(account)},
    }
    theirs.put_object_acl(**AT, ACL="bucket-owner-read")
    assert theirs.get_object_acl(**AT)["Grants"] == [
        full(them),
        grant(user(account), "READ"),
    ]
    assert s3.get_object(**AT)["Body"].read() == b"t"
    denied(s3.get_object_acl, **AT)
    put(s3, statement("s3:GetObject", account_of(other), "Deny"))
    denied(theirs.get_object, **AT)
    s3.delete_bucket_policy(Bucket="photos")
    denied(theirs.delete_object, Bucket="photos", Key="mine")
    theirs.delete_object(**AT)
    theirs.put_object(**AT, ACL="bucket-owner-full-control")
    assert s3.get_object_acl(**AT)["Owner"] == {"ID": canonical_user_id(them)}
    s3.delete_object(**AT)
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket="photos", OwnershipControls=controls)
    theirs.put_object(**AT, ACL="bucket-owner-full-control")
    assert s3.get_object_acl(**AT)["Owner"] == {"ID": canonical_user_id(account)}
    theirs.put_object(**AT)
    denied(s3.get_object, **AT)
    s3.put_bucket_acl(Bucket="photos", ACL="private")
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(Bucket="photos", OwnershipControls=controls)
    s3.get_object(**AT)
    denied(theirs.get_object, **AT)


def test_uploads_and_copies_are_of_who_makes_them(
    unblocked: Any, theirs: Any, other: Any, account: str
) -> None:
    s3 = unblocked("photos")
    them, whole = other.principal.account, "bucket-owner-full-control"
    put(s3, statement(["s3:PutObject", "s3:ListBucket*"], account_of(other)))
    upload = theirs.create_multipart_upload(**AT, ACL=whole)["UploadId"]
    part = theirs.upload_part(**AT, UploadId=upload, PartNumber=1, Body=b"x")
    assert theirs.list_parts(**AT, UploadId=upload)["Owner"] == {"ID": canonical_user_id(them)}
    (listed,) = s3.list_multipart_uploads(Bucket="photos")["Uploads"]
    assert listed["Owner"] == listed["Initiator"] == {"ID": canonical_user_id(them)}
    theirs.complete_multipart_upload(
        **AT,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    expected = {"Owner": {"ID": canonical_user_id(them)}, "Grants": [full(them), full(account)]}
    assert {name: s3.get_object_acl(**AT)[name] for name in expected} == expected
    theirs.copy_object(Bucket="photos", Key="copy", CopySource="photos/k")
    denied(s3.get_object, Bucket="photos", Key="copy")
    mine = s3.create_multipart_upload(Bucket="photos", Key="l")["UploadId"]
    denied(theirs.list_parts, Bucket="photos", Key="l", UploadId=mine)
    denied(theirs.abort_multipart_upload, Bucket="photos", Key="l", UploadId=mine)
    again = theirs.create_multipart_upload(**AT)["UploadId"]
    theirs.abort_multipart_upload(**AT, UploadId=again)


def test_versions_have_lists_of_their_own(unblocked: Any, anonymous: Any, refusal: Any) -> None:
    s3 = unblocked("photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(**AT, Body=b"old")["VersionId"]
    new = s3.put_object(**AT, Body=b"new")["VersionId"]
    s3.put_object_acl(**AT, VersionId=old, ACL="public-read")
    assert anonymous.get_object(**AT, VersionId=old)["Body"].read() == b"old"
    denied(anonymous.get_object, **AT)
    s3.put_object_acl(**AT, ACL="public-read")
    assert anonymous.get_object(**AT, VersionId=new)["Body"].read() == b"new"
    marker = s3.delete_object(**AT)["VersionId"]
    assert refusal(s3.get_object_acl, **AT, VersionId=marker)[0] == "MethodNotAllowed"
    assert len(s3.get_object_acl(**AT, VersionId=new)["Grants"]) == 2


def test_who_is_nobody_owns_what_it_writes(unblocked: Any, anonymous: Any) -> None:
    s3 = unblocked("photos")
    s3.put_bucket_acl(Bucket="photos", ACL="public-read-write")
    anonymous.put_object(**AT, Body=b"x", ACL="bucket-owner-full-control")
    found = s3.get_object_acl(**AT)
    assert found["Owner"] == {"ID": "65a011a29cdf8ec533ec3d1ccaae921c"}
    assert anonymous.get_object(**AT)["Body"].read() == b"x"
    anonymous.put_object(Bucket="photos", Key="l")
    denied(s3.get_object, Bucket="photos", Key="l")
    anonymous.delete_object(Bucket="photos", Key="l")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, ("MissingSecurityHeader", "Your request was missing a required header")),
        ({"ACL": "fancy"}, ("InvalidArgument", "Invalid value for x-amz-acl.")),
        (
            {"ACL": "private", "GrantRead": f"id={'0' * 64}"},
            (
                "InvalidRequest",
                "Specifying both Canned ACLs and Header Grants is not allowed",
            ),
        ),
        ({"GrantRead": f"id={'0' * 64}"}, ("InvalidArgument", "Invalid id")),
        ({"GrantRead": "uri=http://x"}, ("InvalidArgument", "Invalid group uri")),
        ({"GrantRead": "who=me"}, ("InvalidArgument", "Argument format not recognized")),
        (
            {"GrantRead": "emailAddress=a@example.com"},
            ("MethodNotAllowed", "The specified method is not allowed against this resource."),
        ),
        (
            {"ACL": "private", "AccessControlPolicy": document("1" * 12)},
            ("UnexpectedContent", "This request does not support content"),
        ),
        (
            {"AccessControlPolicy": document("1" * 12)},
            ("InvalidArgument", "Invalid id"),
        ),
        (
            {"AccessControlPolicy": {"Grants": []}},
            ("MalformedACLError", MalformedACLError.text),
        ),
    ],
)
def test_what_is_no_list_is_refused(
    unblocked: Any, refusal: Any, asked: dict[str, Any], told: Any
) -> None:
    s3 = unblocked("photos")
    s3.put_object(**AT)
    assert refusal(s3.put_bucket_acl, Bucket="photos", **asked) == told
    assert refusal(s3.put_object_acl, **AT, **asked) == told


def test_a_list_gives_nothing_to_another_owner(unblocked: Any, other: Any, refusal: Any) -> None:
    s3 = unblocked("photos")
    acl = document(other.principal.account, full(other.principal.account))
    told = refusal(s3.put_bucket_acl, Bucket="photos", AccessControlPolicy=acl)
    assert told == ("AccessDenied", "Access Denied")


def test_public_lists_are_blocked_or_ignored(
    unblocked: Any, anonymous: Any, cloud: Cloud, refusal: Any
) -> None:
    s3 = unblocked("photos")
    it = {"Bucket": "photos"}
    s3.put_bucket_acl(**it, ACL="public-read")
    s3.put_object(**AT, ACL="public-read")
    s3.put_public_access_block(**it, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert s3.get_public_access_block(**it)["PublicAccessBlockConfiguration"] == dict.fromkeys(
        BLOCK, False
    ) | {"IgnorePublicAcls": True}
    denied(anonymous.get_object, **AT)
    denied(anonymous.list_objects_v2, **it)
    s3.put_bucket_acl(**it, ACL="public-read")
    s3.put_public_access_block(**it, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    anonymous.get_object(**AT)
    said = (
        f"User: {cloud.account.principal.arn} is not authorized to perform: s3:PutObjectAcl on "
        'resource: "arn:aws:s3:::photos/k" because public ACLs are prevented by the '
        "BlockPublicAcls setting in S3 Block Public Access."
    )
    assert refusal(s3.put_object_acl, **AT, ACL="public-read") == ("AccessDenied", said)
    for acl in ("public-read", "public-read-write", "authenticated-read"):
        denied(s3.put_bucket_acl, **it, ACL=acl)
        denied(s3.put_object, **AT, ACL=acl)
        denied(s3.create_multipart_upload, **AT, ACL=acl)
        denied(s3.copy_object, Bucket="photos", Key="l", CopySource="photos/k", ACL=acl)
    s3.put_object(**AT, ACL="private")
    s3.put_bucket_acl(**it, ACL="private")


def test_lists_are_conditions_of_policies_and_need_a_right_of_their_own(
    unblocked: Any, limited: Any, theirs: Any, other: Any, account: str
) -> None:
    """User Guide, "Bucket policy examples using condition keys": granting permissions with conditions."""
    s3 = unblocked("photos")
    whole = {"StringEquals": {"s3:x-amz-grant-full-control": f"id={canonical_user_id(account)}"}}
    put(s3, statement("s3:PutObject", account_of(other), **whole))
    denied(theirs.put_object, **AT)
    theirs.put_object(**AT, GrantFullControl=f"id={canonical_user_id(account)}")
    assert s3.get_object(**AT)["Body"].read() == b""
    s3.delete_bucket_policy(Bucket="photos")
    writer = limited({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"})
    writer.put_object(Bucket="photos", Key="l")
    denied(writer.put_object, Bucket="photos", Key="l", ACL="private")


def test_a_new_bucket_is_made_with_its_list_and_its_owner(client: Any, refusal: Any) -> None:
    s3 = client("s3")
    for more, code in (
        ({"ACL": "public-read"}, "InvalidBucketAclWithObjectOwnership"),
        (
            {"ACL": "public-read", "ObjectOwnership": "ObjectWriter"},
            "InvalidBucketAclWithBlockPublicAccessError",
        ),
    ):
        assert refusal(s3.create_bucket, Bucket="photos", **more)[0] == code
    s3.create_bucket(Bucket="photos", ACL="private")
    s3.create_bucket(Bucket="logs", ACL="log-delivery-write", ObjectOwnership="ObjectWriter")
    assert len(s3.get_bucket_acl(Bucket="logs")["Grants"]) == 3
    # AWS: in us-east-1 creating it again resets its list.
    s3.create_bucket(Bucket="logs", ObjectOwnership="ObjectWriter")
    assert len(s3.get_bucket_acl(Bucket="logs")["Grants"]) == 1
    blocked = s3.get_public_access_block(Bucket="photos")["PublicAccessBlockConfiguration"]
    assert blocked == dict.fromkeys(BLOCK, True)


def test_ownership_is_put_and_deleted(client: Any, refusal: Any, unblocked: Any) -> None:
    s3, it = unblocked("photos"), {"Bucket": "photos"}
    s3.put_bucket_acl(**it, ACL="public-read")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    told = refusal(s3.put_bucket_ownership_controls, **it, OwnershipControls=enforced)
    assert told[0] == "InvalidBucketAclWithObjectOwnership"
    s3.put_bucket_acl(**it, ACL="private")
    s3.put_bucket_ownership_controls(**it, OwnershipControls=enforced)
    for _ in range(2):
        s3.delete_bucket_ownership_controls(**it)
    told = refusal(s3.get_bucket_ownership_controls, **it)
    assert told == (
        "OwnershipControlsNotFoundError",
        "The bucket ownership controls were not found",
    )
    s3.put_bucket_acl(**it, ACL="public-read")
    told = refusal(s3.get_public_access_block, **it)
    assert told == (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    )
    assert s3.get_bucket_policy_status(**it)["PolicyStatus"] == {"IsPublic": True}
    s3.put_bucket_acl(**it, ACL="private")
    assert s3.get_bucket_policy_status(**it)["PolicyStatus"] == {"IsPublic": False}


@pytest.mark.slow
def test_a_deployment_may_have_the_defaults_of_before_2023(refusal: Any) -> None:
    """User Guide, "Default settings for new S3 buckets FAQ"."""
    with Cloud(replay=True, config=Config(s3=S3Settings(defaults_before_2023=True))) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="photos", ACL="public-read")
        s3.put_object(**AT, ACL="public-read")
        owner = s3.get_bucket_acl(Bucket="photos")["Owner"]
        assert owner["ID"] == canonical_user_id(cloud.account.principal.account)
        assert owner["DisplayName"]
        assert s3.list_buckets()["Owner"] == owner
        assert s3.list_objects(Bucket="photos")["Contents"][0]["Owner"] == owner
        assert s3.list_object_versions(Bucket="photos")["Versions"][0]["Owner"] == owner
        s3.create_multipart_upload(**AT)
        (upload,) = s3.list_multipart_uploads(Bucket="photos")["Uploads"]
        assert upload["Owner"] == upload["Initiator"] == owner
        told = refusal(s3.get_public_access_block, Bucket="photos")
        assert told[0] == "NoSuchPublicAccessBlockConfiguration"
        told = refusal(s3.get_bucket_ownership_controls, Bucket="photos")
        assert told[0] == "OwnershipControlsNotFoundError"
        told = refusal(s3.put_bucket_acl, Bucket="photos", GrantRead="emailAddress=a@b.example")
        assert told[0] == "UnresolvableGrantByEmailAddress"
