"""S3's condition keys in policies, where the request or its operation says them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.fixture
def as_user(client: Any) -> Callable[..., Any]:
    """Make a user that may do everything but what statements deny; return its client."""
    iam = client("iam")

    def made(*denied: dict[str, Any]) -> Any:
        iam.create_user(UserName="u")
        statements = [ALLOW, *({**ALLOW, "Effect": "Deny", **each} for each in denied)]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName="u")["AccessKey"]
        return client("s3", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])

    return made


def denied(call: Callable[..., Any], **given: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        call(**given)


def test_writes_must_be_conditional_and_the_steps_of_uploads_are_spared(
    client: Any, as_user: Any
) -> None:
    """The example of Amazon S3 User Guide, "Enforce conditional writes on Amazon S3 buckets"."""
    client("s3").create_bucket(Bucket="photos")
    client("s3").put_object(Bucket="photos", Key="source", Body=b"x" * (5 << 20))
    s3 = as_user(
        {
            "Action": "s3:PutObject",
            "Condition": {
                "Null": {"s3:if-none-match": "true"},
                "Bool": {"s3:ObjectCreationOperation": "true"},
            },
        }
    )
    at = {"Bucket": "photos", "Key": "k"}
    denied(s3.put_object, **at, Body=b"x")
    denied(s3.copy_object, **at, CopySource="photos/source")
    s3.put_object(Bucket="photos", Key="other", Body=b"x", IfNoneMatch="*")
    upload = {**at, "UploadId": s3.create_multipart_upload(**at)["UploadId"]}
    copied = s3.upload_part_copy(**upload, PartNumber=1, CopySource="photos/source")
    tags = [copied["CopyPartResult"]["ETag"]]
    tags.append(s3.upload_part(**upload, PartNumber=2, Body=b"end")["ETag"])
    parts = [{"PartNumber": at, "ETag": tag} for at, tag in enumerate(tags, start=1)]
    whole = {**upload, "MultipartUpload": {"Parts": parts}}
    denied(s3.complete_multipart_upload, **whole)
    s3.complete_multipart_upload(**whole, IfNoneMatch="*")


def test_removals_may_have_to_be_conditional(client: Any, as_user: Any) -> None:
    client("s3").create_bucket(Bucket="photos")
    tag = client("s3").put_object(Bucket="photos", Key="k", Body=b"x")["ETag"]
    s3 = as_user({"Action": "s3:DeleteObject", "Condition": {"Null": {"s3:if-match": "true"}}})
    denied(s3.delete_object, Bucket="photos", Key="k")
    for given in ({"Key": "k"}, {"Key": "k", "ETag": tag}):
        told = s3.delete_objects(Bucket="photos", Delete={"Objects": [given]})
        assert ("Errors" in told) is ("ETag" not in given)
    tag = client("s3").put_object(Bucket="photos", Key="k", Body=b"x")["ETag"]
    s3.delete_object(Bucket="photos", Key="k", IfMatch=tag)


def test_what_a_new_bucket_or_object_carries_is_a_condition(client: Any, as_user: Any) -> None:
    client("s3").create_bucket(Bucket="photos")
    s3 = as_user(
        {"Condition": {"StringEquals": {"s3:object-lock-legal-hold": "OFF"}}},
        {"Condition": {"StringEquals": {"s3:x-amz-bucket-namespace": "global"}}},
    )
    at = {"Bucket": "photos", "Key": "k", "Body": b"x"}
    denied(s3.put_object, **at, ObjectLockLegalHoldStatus="OFF")
    s3.put_object(**at)
    denied(s3.create_bucket, Bucket="other", BucketNamespace="global")
    s3.create_bucket(Bucket="other")
