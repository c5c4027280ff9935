"""What each error says beside its code and message, and that it says nothing else.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json and
test_s3_api.snapshot.json); Amazon S3 API Reference, "Error responses", "REST error responses".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

EVERY = {"Code", "Message"}
PUT = {"Bucket": "photos", "Key": "cat"}
HIDDEN = object()
"""A value that is another each time."""


class Case(NamedTuple):
    """A call that fails, and how."""

    call: Callable[[Any, dict[str, str]], Any]
    code: str
    members: dict[str, Any]


def upload(s3: Any, seen: dict[str, str], *sizes: int) -> dict[str, Any]:
    """Begin an upload with parts; return what completes it."""
    named = {**PUT, "UploadId": s3.create_multipart_upload(**PUT)["UploadId"]}
    seen["UploadId"] = named["UploadId"]
    parts = []
    for number, size in enumerate(sizes, 1):
        sent = s3.upload_part(**named, PartNumber=number, Body=b"x" * size)
        seen[f"ETag{number}"] = sent["ETag"].strip('"')
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    return {**named, "MultipartUpload": {"Parts": parts}}


def small_part(s3: Any, seen: dict[str, str]) -> Any:
    return s3.complete_multipart_upload(**upload(s3, seen, 10, 10))


def other_part(s3: Any, seen: dict[str, str]) -> Any:
    asked = upload(s3, seen, 10)
    asked["MultipartUpload"]["Parts"][0]["ETag"] = '"0"'
    return s3.complete_multipart_upload(**asked)


def marker(s3: Any, seen: dict[str, str]) -> Any:
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration=enabled)
    seen["VersionId"] = s3.delete_object(**PUT)["VersionId"]
    return s3.get_object(**PUT, VersionId=seen["VersionId"])


def absent_version(s3: Any, seen: dict[str, str]) -> Any:
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration=enabled)
    made = s3.put_object(**PUT, Body=b"x")
    seen["VersionId"] = made["VersionId"]
    s3.delete_object(**PUT, VersionId=made["VersionId"])
    return s3.get_object(**PUT, VersionId=made["VersionId"])


def absent_upload(s3: Any, seen: dict[str, str]) -> Any:
    asked = upload(s3, seen)
    named = {name: asked[name] for name in ("Bucket", "Key", "UploadId")}
    s3.abort_multipart_upload(**named)
    return s3.list_parts(**named)


CASES = {
    "no bucket": Case(
        lambda s3, _: s3.list_objects_v2(Bucket="nowhere"),
        "NoSuchBucket",
        {"BucketName": "nowhere"},
    ),
    "no key": Case(
        lambda s3, _: s3.get_object(Bucket="photos", Key="dog"), "NoSuchKey", {"Key": "dog"}
    ),
    "no version": Case(absent_version, "NoSuchVersion", {"Key": "cat", "VersionId": HIDDEN}),
    "a delete marker": Case(
        marker, "MethodNotAllowed", {"Method": "GET", "ResourceType": "DeleteMarker"}
    ),
    "no upload": Case(absent_upload, "NoSuchUpload", {"UploadId": HIDDEN}),
    "another part": Case(
        other_part, "InvalidPart", {"UploadId": HIDDEN, "PartNumber": "1", "ETag": "0"}
    ),
    "a small part": Case(
        small_part,
        "EntityTooSmall",
        {
            "ProposedSize": "10",
            "MinSizeAllowed": "5242880",
            "PartNumber": "1",
            "ETag": "336311a016184326ddbdd61edd4eeb52",
        },
    ),
    "a range behind the end": Case(
        lambda s3, _: s3.get_object(**PUT, Range="bytes=10-20"),
        "InvalidRange",
        {"RangeRequested": "bytes=10-20", "ActualObjectSize": "3"},
    ),
    "a condition": Case(
        lambda s3, _: s3.put_object(**PUT, IfNoneMatch="*"),
        "PreconditionFailed",
        {"Condition": "If-None-Match"},
    ),
    "a condition of a read": Case(
        lambda s3, _: s3.get_object(**PUT, IfMatch="x"),
        "PreconditionFailed",
        {"Condition": "If-Match"},
    ),
    "a bucket that holds something": Case(
        lambda s3, _: s3.delete_bucket(Bucket="photos"), "BucketNotEmpty", {"BucketName": "photos"}
    ),
    "a bucket that stands": Case(
        lambda s3, _: s3.create_bucket(
            Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        ),
        "BucketAlreadyOwnedByYou",
        {"BucketName": "abroad"},
    ),
    "a bad number": Case(
        lambda s3, _: s3.list_objects_v2(Bucket="photos", MaxKeys=-1),
        "InvalidArgument",
        {"ArgumentName": "maxKeys", "ArgumentValue": "-1"},
    ),
    "a part number": Case(
        lambda s3, seen: s3.upload_part(
            **PUT, UploadId=upload(s3, seen)["UploadId"], PartNumber=10_001, Body=b""
        ),
        "InvalidArgument",
        {"ArgumentName": "partNumber", "ArgumentValue": "10001"},
    ),
    "a part that is not there": Case(
        lambda s3, _: s3.get_object(**PUT, PartNumber=3),
        "InvalidPartNumber",
        {"PartNumberRequested": "3", "ActualPartCount": "1"},
    ),
    "no tags": Case(
        lambda s3, _: s3.get_bucket_tagging(Bucket="photos"),
        "NoSuchTagSet",
        {"BucketName": "photos"},
    ),
    "a tag twice": Case(
        lambda s3, _: s3.put_bucket_tagging(
            Bucket="photos", Tagging={"TagSet": [{"Key": "a", "Value": "b"}] * 2}
        ),
        "InvalidTag",
        {"TagKey": "a"},
    ),
    "no policy": Case(
        lambda s3, _: s3.get_bucket_policy(Bucket="photos"),
        "NoSuchBucketPolicy",
        {"BucketName": "photos"},
    ),
    "no rules": Case(
        lambda s3, _: s3.get_bucket_lifecycle_configuration(Bucket="photos"),
        "NoSuchLifecycleConfiguration",
        {"BucketName": "photos"},
    ),
    "no origins": Case(
        lambda s3, _: s3.get_bucket_cors(Bucket="photos"),
        "NoSuchCORSConfiguration",
        {"BucketName": "photos"},
    ),
    "no lock": Case(
        lambda s3, _: s3.get_object_lock_configuration(Bucket="photos"),
        "ObjectLockConfigurationNotFoundError",
        {"BucketName": "photos"},
    ),
    "a long key": Case(
        lambda s3, _: s3.put_object(Bucket="photos", Key="k" * 1_025),
        "KeyTooLongError",
        {"Size": "1025", "MaxSizeAllowed": "1024"},
    ),
    "a digest": Case(
        lambda s3, _: s3.put_object(**PUT, Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="),
        "BadDigest",
        {
            "ExpectedDigest": "d41d8cd98f00b204e9800998ecf8427e",
            "CalculatedDigest": "ndTkYSaMgDT1yFZOFVxnpg==",
        },
    ),
    "a malformed digest": Case(
        lambda s3, _: s3.put_object(**PUT, Body=b"x", ContentMD5="x"),
        "InvalidDigest",
        {"Content-MD5": "x"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_error_says_what_belongs_to_it_and_nothing_else(client: Any, case: Case) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(**PUT, Body=b"cat")
    seen: dict[str, str] = {}
    with pytest.raises(ClientError) as caught:
        case.call(s3, seen)
    error, about = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert error["Code"] == case.code
    members = {name: value for name, value in error.items() if name not in EVERY}
    wanted = {
        name: seen[name] if value is HIDDEN else value for name, value in case.members.items()
    }
    assert members == wanted
    assert about["RequestId"]
    assert about["HostId"]
