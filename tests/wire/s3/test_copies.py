from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.create_bucket(Bucket="copies")
    made.put_object(
        Bucket="photos", Key="a b/ü", Body=b"hello", Metadata={"x": "1"}, ContentType="t/x"
    )
    return made


@pytest.mark.parametrize("bucket", ["photos", "copies"])
def test_a_copy_is_like_its_source(s3: Any, bucket: str) -> None:
    reply = s3.copy_object(Bucket=bucket, Key="l", CopySource={"Bucket": "photos", "Key": "a b/ü"})
    got = s3.get_object(Bucket=bucket, Key="l")
    assert got["Body"].read() == b"hello"
    assert got["Metadata"] == {"x": "1"}
    assert got["ContentType"] == "t/x"
    assert reply["CopyObjectResult"]["ETag"] == got["ETag"]
    assert reply["CopyObjectResult"]["LastModified"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_copy_can_replace_the_metadata(s3: Any) -> None:
    source = {"Bucket": "photos", "Key": "a b/ü"}
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="a b/ü", CopySource=source)
    assert code_of(error) == (400, "InvalidRequest")
    s3.copy_object(
        Bucket="photos",
        Key="a b/ü",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"y": "2"},
        ChecksumAlgorithm="SHA1",
    )
    head = s3.head_object(Bucket="photos", Key="a b/ü", ChecksumMode="ENABLED")
    assert head["Metadata"] == {"y": "2"}
    assert head["ContentType"] == "binary/octet-stream"
    assert head["ChecksumSHA1"] == "qvTGHdzF6KLavt4PO0gs2a6pQ00="


def test_copies_are_conditional(s3: Any) -> None:
    source = {"Bucket": "photos", "Key": "a b/ü"}
    stored = datetime(2026, 1, 1, tzinfo=UTC)
    for condition in (
        {"CopySourceIfMatch": '"x"'},
        {"CopySourceIfNoneMatch": "*"},
        {"CopySourceIfUnmodifiedSince": stored - timedelta(days=1)},
        {"CopySourceIfModifiedSince": stored},
        {"IfNoneMatch": "*"},
    ):
        with pytest.raises(ClientError) as error:
            s3.copy_object(
                Bucket="photos",
                Key="a b/ü",
                CopySource=source,
                MetadataDirective="REPLACE",
                **condition,
            )
        assert code_of(error) == (412, "PreconditionFailed")


def test_a_copy_of_nothing_is_no_such_key(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="l", CopySource="photos/nothing")
    assert code_of(error) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="l", CopySource="nowhere/nothing")
    assert code_of(error) == (404, "NoSuchBucket")
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="l", CopySource="nonsense")
    assert code_of(error) == (400, "InvalidArgument")


def test_a_part_can_be_a_copy(s3: Any) -> None:
    begun = s3.create_multipart_upload(Bucket="copies", Key="l")
    place = {"Bucket": "copies", "Key": "l", "UploadId": begun["UploadId"]}
    source = {"Bucket": "photos", "Key": "a b/ü"}
    part = s3.upload_part_copy(
        **place, PartNumber=1, CopySource=source, CopySourceRange="bytes=1-3"
    )
    listed = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": listed})
    assert s3.get_object(Bucket="copies", Key="l")["Body"].read() == b"ell"
    with pytest.raises(ClientError) as error:
        s3.upload_part_copy(**place, PartNumber=2, CopySource=source)
    assert code_of(error) == (404, "NoSuchUpload")
