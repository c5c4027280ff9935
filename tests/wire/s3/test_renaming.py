"""RenameObject: at once, conditional, repeatable, and never over what nobody meant.

Sources: Amazon S3 User Guide, "Renaming objects in directory buckets"; API Reference, RenameObject.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ClientError

LARGE = bytes(range(256)) * 1_024
BEFORE = datetime(2025, 1, 1, tzinfo=UTC)
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = ("ETag", "LastModified", "ContentType", "Metadata", "ChecksumSHA256", "TagCount")


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.put_object(Bucket="photos", Key="a b/ü", Body=b"hello", Metadata={"x": "1"}, Tagging="t=1")
    return made


def keys_of(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="photos").get("Contents", [])]


def test_an_object_has_another_key_and_is_else_what_it_was(s3: Any, cloud: Any) -> None:
    for body, over in product((b"", b"hello", LARGE), (None, b"other", LARGE[::-1])):
        s3.put_object(
            Bucket="photos",
            Key="/a b/ü",
            Body=body,
            Metadata={"x": "1"},
            Tagging="t=1",
            ContentType="t/x",
            ChecksumAlgorithm="SHA256",
        )
        before = s3.head_object(Bucket="photos", Key="/a b/ü", ChecksumMode="ENABLED")
        cloud.advance(2_000)
        s3.delete_object(Bucket="photos", Key="new")
        if over is not None:
            s3.put_object(Bucket="photos", Key="new", Body=over)
        s3.rename_object(Bucket="photos", Key="new", RenameSource="%2Fa%20b%2F%C3%BC")
        assert keys_of(s3) == ["a b/ü", "new"]
        after = s3.get_object(Bucket="photos", Key="new", ChecksumMode="ENABLED")
        assert after["Body"].read() == body
        for member in KEPT:
            assert after[member] == before[member]
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket="photos", Key="/a b/ü")
        assert code_of(error) == (404, "NoSuchKey")


def test_a_part_of_an_upload_and_a_copy_move_too(s3: Any) -> None:
    named = {"Bucket": "photos", "Key": "parts"}
    upload = s3.create_multipart_upload(**named)
    part = s3.upload_part(**named, UploadId=upload["UploadId"], PartNumber=1, Body=LARGE)
    s3.complete_multipart_upload(
        **named,
        UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    s3.copy_object(Bucket="photos", Key="copy", CopySource="photos/parts")
    s3.rename_object(Bucket="photos", Key="moved", RenameSource="parts")
    s3.delete_object(Bucket="photos", Key="copy")
    assert s3.get_object(Bucket="photos", Key="moved")["Body"].read() == LARGE


REFUSED: tuple[tuple[dict[str, Any], tuple[int, str]], ...] = (
    ({"DestinationIfNoneMatch": "*"}, (412, "PreconditionFailed")),
    ({"DestinationIfMatch": '"other"'}, (412, "PreconditionFailed")),
    ({"DestinationIfUnmodifiedSince": BEFORE}, (412, "PreconditionFailed")),
    ({"DestinationIfModifiedSince": WRITTEN}, (412, "PreconditionFailed")),
    ({"SourceIfMatch": '"other"'}, (412, "PreconditionFailed")),
    ({"SourceIfNoneMatch": "*"}, (412, "PreconditionFailed")),
    ({"SourceIfUnmodifiedSince": BEFORE}, (412, "PreconditionFailed")),
    ({"SourceIfModifiedSince": WRITTEN}, (412, "PreconditionFailed")),
    ({"Key": "none", "DestinationIfMatch": '"x"'}, (404, "NoSuchKey")),
    ({"Key": "none", "DestinationIfModifiedSince": BEFORE}, (412, "PreconditionFailed")),
    ({"RenameSource": "none"}, (404, "NoSuchKey")),
    ({"RenameSource": "there"}, (400, "InvalidRequest")),
    ({"RenameSource": "a%20b%2F"}, (400, "InvalidRequest")),
    ({"Key": "a/"}, (400, "InvalidRequest")),
    ({"Key": "k" * 1_025}, (400, "KeyTooLongError")),
    ({"ClientToken": "no token"}, (400, "InvalidArgument")),
)


def test_a_rename_that_is_not_as_it_was_meant_changes_nothing(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="there", Body=b"other")
    given = {"Bucket": "photos", "Key": "there", "RenameSource": "a%20b%2F%C3%BC"}
    for more, expected in REFUSED:
        with pytest.raises(ClientError) as error:
            s3.rename_object(**{**given, **more})
        assert code_of(error) == expected, more
    assert keys_of(s3) == ["a b/ü", "there"]
    assert s3.get_object(Bucket="photos", Key="there")["Body"].read() == b"other"


def test_a_rename_goes_through_where_its_conditions_hold(s3: Any) -> None:
    etag = s3.put_object(Bucket="photos", Key="there", Body=b"other")["ETag"]
    source = s3.head_object(Bucket="photos", Key="a b/ü")["ETag"]
    s3.rename_object(
        Bucket="photos",
        Key="there",
        RenameSource="a%20b%2F%C3%BC",
        DestinationIfMatch=etag,
        DestinationIfModifiedSince=BEFORE,
        SourceIfMatch=source,
        SourceIfUnmodifiedSince=WRITTEN,
    )
    assert s3.get_object(Bucket="photos", Key="there")["Body"].read() == b"hello"
    s3.rename_object(Bucket="photos", Key="again", RenameSource="there", DestinationIfNoneMatch="*")
    assert keys_of(s3) == ["again"]


def test_a_token_makes_a_rename_one_that_can_be_asked_for_again(s3: Any) -> None:
    given = {"Bucket": "photos", "Key": "new", "RenameSource": "a%20b%2F%C3%BC"}
    s3.rename_object(**given, ClientToken="once")
    s3.put_object(Bucket="photos", Key="a b/ü", Body=b"a later one")
    s3.rename_object(**given, ClientToken="once")
    assert s3.get_object(Bucket="photos", Key="new")["Body"].read() == b"hello"
    with pytest.raises(ClientError) as error:
        s3.rename_object(**{**given, "Key": "other"}, ClientToken="once")
    assert code_of(error) == (400, "IdempotencyParameterMismatch")


def test_what_has_versions_or_a_key_of_its_own_is_not_renamed(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="sealed", Body=b"x", ServerSideEncryption="aws:kms")
    with pytest.raises(ClientError) as error:
        s3.rename_object(Bucket="photos", Key="new", RenameSource="sealed")
    assert code_of(error) == (501, "NotImplemented")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(ClientError) as error:
        s3.rename_object(Bucket="photos", Key="new", RenameSource="a%20b%2F%C3%BC")
    assert code_of(error) == (501, "NotImplemented")
    assert keys_of(s3) == ["a b/ü", "sealed"]


def test_who_renames_may_read_and_remove_the_source_and_write_the_target(
    s3: Any, cloud: Any
) -> None:
    given = {"Bucket": "photos", "Key": "new", "RenameSource": "a%20b%2F%C3%BC"}
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    source, target = (f"arn:aws:s3:::photos/{key}" for key in ("a b/ü", "new"))
    for denied, resource in (("Get", source), ("Delete", source), ("Put", target)):
        deny = {"Effect": "Deny", "Action": f"s3:{denied}Object", "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [allow, deny]}
        held = cloud.client("s3", credential=cloud.create_user(f"no-{denied}", policy))
        with pytest.raises(ClientError) as error:
            held.rename_object(**given)
        assert code_of(error) == (403, "AccessDenied")
    assert keys_of(s3) == ["a b/ü"]
