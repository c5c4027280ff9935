"""Several things are wrong with a request at once: S3 tells of one of them, always the same.

Each row has its source: a page of the Amazon S3 API Reference, or a test of LocalStack that AWS
answered (tests/aws/services/s3/test_s3.snapshot.json and test_s3_api.snapshot.json). ``HERE`` is
what is chosen where neither says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

HERE = "here"
NAMED = {"Bucket": "photos", "Key": "cat"}
ABSENT = {"Bucket": "photos", "Key": "none"}
NOWHERE = {"Bucket": "nowhere", "Key": "cat"}
BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
AFTER = datetime(2100, 1, 1, tzinfo=UTC)
OTHER_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
NO_ALGORITHM = {"SSECustomerAlgorithm": "KMS", "SSECustomerKey": "k" * 32}


class Row(NamedTuple):
    """A call, what its code is, and who says so."""

    call: Callable[[Any], Any]
    code: str
    source: str


def _incomplete(*parts: dict[str, Any]) -> Callable[[Any], Any]:
    """Return a way to complete an upload of one short part with a list that is wrong."""

    def call(s3: Any) -> Any:
        named = {**NAMED, "UploadId": s3.create_multipart_upload(**NAMED)["UploadId"]}
        for number in (1, 2):
            s3.upload_part(**named, PartNumber=number, Body=b"short")
        return s3.complete_multipart_upload(**named, MultipartUpload={"Parts": list(parts)})

    return call


ROWS = {
    "no bucket, no key": Row(
        lambda s3: s3.get_object(**NOWHERE), "NoSuchBucket", "test_get_object_no_such_bucket"
    ),
    "no bucket, and a condition": Row(
        lambda s3: s3.get_object(**NOWHERE, IfMatch="x"), "NoSuchBucket", "GetObject"
    ),
    "no bucket, no upload": Row(
        lambda s3: s3.list_parts(**NOWHERE, UploadId="none"), "NoSuchBucket", "ListParts"
    ),
    "no key, and a condition of a read": Row(
        lambda s3: s3.get_object(**ABSENT, IfMatch="x"), "NoSuchKey", "GetObject"
    ),
    "no key, and a condition of a write": Row(
        lambda s3: s3.put_object(**ABSENT, Body=b"", IfMatch='"x"'),
        "NoSuchKey",
        "test_put_object_if_match",
    ),
    "no key, and a range": Row(
        lambda s3: s3.get_object(**ABSENT, Range="bytes=10-"),
        "NoSuchKey",
        "test_range_key_not_exists",
    ),
    "a condition, and a range that is not there": Row(
        lambda s3: s3.get_object(**NAMED, IfMatch='"x"', Range="bytes=10-"),
        "PreconditionFailed",
        "GetObject (RFC 9110, 13.2.2)",
    ),
    "a range, and a part that is not there": Row(
        lambda s3: s3.get_object(**NAMED, Range="bytes=0-0", PartNumber=2),
        "InvalidRequest",
        HERE,
    ),
    "both conditions of which one fails": Row(
        lambda s3: s3.get_object(**NAMED, IfNoneMatch=s3.etag, IfModifiedSince=BEFORE),
        "304",
        "GetObject: If-None-Match is false and If-Modified-Since true",
    ),
    "an entity tag, and a time that does not hold": Row(
        lambda s3: s3.get_object(**NAMED, IfMatch='"x"', IfUnmodifiedSince=AFTER),
        "PreconditionFailed",
        "GetObject",
    ),
    "no algorithm of a client's key, and no key": Row(
        lambda s3: s3.get_object(**ABSENT, **NO_ALGORITHM),
        "InvalidEncryptionAlgorithmError",
        HERE,
    ),
    "no key, and a client's key": Row(
        lambda s3: s3.get_object(**ABSENT, **OTHER_KEY), "NoSuchKey", "GetObject"
    ),
    "an owner that is no account, and no bucket": Row(
        lambda s3: s3.get_bucket_policy(Bucket="nowhere", ExpectedBucketOwner="abcd"),
        "InvalidBucketOwnerAWSAccountID",
        HERE,
    ),
    "parts out of order, one unknown and one too short": Row(
        _incomplete({"PartNumber": 3, "ETag": '"x"'}, {"PartNumber": 1, "ETag": '"x"'}),
        "InvalidPartOrder",
        "CompleteMultipartUpload",
    ),
    "a part that is unknown, and one too short": Row(
        _incomplete({"PartNumber": 1, "ETag": '"x"'}, {"PartNumber": 2, "ETag": '"x"'}),
        "InvalidPart",
        "CompleteMultipartUpload",
    ),
    "a document that is none, and no bucket": Row(
        lambda s3: s3.put_bucket_versioning(
            Bucket="nowhere", VersioningConfiguration={"Status": "None"}
        ),
        "MalformedXML",
        HERE,
    ),
}


@pytest.fixture
def s3(client: Any) -> Any:
    """Return a client with a bucket and an object, which knows the object's entity tag."""
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.etag = made.put_object(**NAMED, Body=b"x")["ETag"]
    return made


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_of_several_faults_the_first_is_told(s3: Any, row: Row) -> None:
    with pytest.raises(ClientError) as caught:
        row.call(s3)
    assert caught.value.response["Error"]["Code"] == row.code, row.source


def test_who_may_not_hears_of_a_bucket_that_is_not_there_and_of_nothing_in_it(
    s3: Any, limited: Any, anonymous: Any
) -> None:
    """API Reference, GetObject: 404 for a key only with s3:ListBucket, else 403."""
    stranger = limited()
    for caller in (stranger, anonymous):
        for named, code in ((NOWHERE, "NoSuchBucket"), (ABSENT, "AccessDenied")):
            with pytest.raises(ClientError) as caught:
                caller.get_object(**named, Range="bytes=10-", IfMatch='"x"')
            assert caught.value.response["Error"]["Code"] == code
    reader = limited({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    with pytest.raises(ClientError) as caught:
        reader.get_object(**ABSENT)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert s3.get_object(**NAMED, IfMatch=s3.etag, IfUnmodifiedSince=BEFORE)["Body"].read() == b"x"
