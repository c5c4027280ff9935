"""Requests whose headers no SDK sends so: proofs that are missing, empty or no proofs, and no length.

They are what ten tests of ``test_headers.py`` of ceph/s3-tests mean (named below) and do not send,
because botocore signs again after they took a header away or put another in its place.

Source: Amazon S3 API Reference, "Error responses"; "Signing and authenticating REST requests".
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.wire.s3control.asking import ask

from fogbank.server.config import Config, S3Settings
from fogbank.testing.cloud import Cloud

UNKNOWN = "AWS AKIAIGR7ZNNBHC5BKSUB:FWeDfwojDSdS2Ztmpfeubhd9isU="
URL = "http://s3.us-east-1.localhost"
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
CASES: tuple[tuple[str, dict[str, str], int, str], ...] = (
    # test_bucket_create_bad_authorization_none, test_object_create_bad_authorization_none
    ("none", {}, 403, "AccessDenied"),
    # test_bucket_create_bad_authorization_empty, test_object_create_bad_authorization_empty
    ("empty", {"Authorization": ""}, 403, "AccessDenied"),
    # test_bucket_create_bad_authorization_invalid_aws2, test_object_create_bad_authorization_invalid_aws2
    ("invalid", {"Authorization": "AWS HAHAHA"}, 400, "InvalidArgument"),
    # test_object_create_bad_authorization_incorrect_aws2; it wants InvalidDigest.
    # AWS: a key that is not in its records is InvalidAccessKeyId, which is 403 too.
    ("incorrect", {"Authorization": UNKNOWN, "Date": DATE}, 403, "InvalidAccessKeyId"),
    # test_bucket_create_bad_date_none_aws2, test_object_create_bad_date_none_aws2
    ("undated", {"Authorization": UNKNOWN}, 403, "AccessDenied"),
)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(config=Config(s3=S3Settings(signature_v2=True)), replay=True) as made:
        yield made


def test_what_proves_nothing_makes_neither_bucket_nor_object(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="photos")
    for name, headers, status, code in CASES:
        for path in ("/new-bucket", "/photos/k"):
            answered, body = ask(cloud, "PUT", URL + path, {**headers, "Content-Length": "0"})
            assert (answered, f"<Code>{code}</Code>".encode() in body) == (status, True), name
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["photos"]
    assert "Contents" not in s3.list_objects_v2(Bucket="photos")


def test_an_object_without_a_length_is_refused(cloud: Cloud) -> None:
    # test_object_create_bad_contentlength_none
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="photos")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "photos", "Key": "k"})
    status, body = ask(cloud, "PUT", url)
    assert (status, b"<Code>MissingContentLength</Code>" in body) == (411, True)
    status, _ = ask(cloud, "PUT", url, {"Content-Length": "0"})
    assert status == 200
