"""Versions of objects: what is kept, what is current, what is listed.

Sources: Amazon S3 User Guide, "Using versioning in S3 buckets", "Working with delete markers",
"Deleting object versions from a versioning-enabled bucket", "Working with objects in a
versioning-suspended bucket"; API Reference, GetObject (delete markers) and ListObjectVersions.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

LARGE = bytes(range(256)) * 4_096
"""1 MiB: a blob."""
CONTENTS = [b"one", LARGE, b"", b"four"]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def turn(s3: Any, status: str, bucket: str = "photos") -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, content: bytes, key: str = "k") -> str:
    """Return the id of the version that was put: ``null`` where the answer names none."""
    reply = s3.put_object(Bucket="photos", Key=key, Body=content)
    return reply.get("VersionId", "null")


def read(s3: Any, version_id: str | None = None, key: str = "k") -> bytes:
    named = {} if version_id is None else {"VersionId": version_id}
    return s3.get_object(Bucket="photos", Key=key, **named)["Body"].read()


def listed(s3: Any, **options: Any) -> list[tuple[str, str, bool, bool]]:
    """Return (key, version, is latest, is a marker), in the order of keys and newest first."""
    found: list[tuple[Any, tuple[str, str, bool, bool]]] = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket="photos", **options):
        for member, marker in (("Versions", False), ("DeleteMarkers", True)):
            for each in page.get(member, []):
                entry = (each["Key"], each["VersionId"], each["IsLatest"], marker)
                found.append(((each["Key"].encode(), not each["IsLatest"]), entry))
    return [entry for _, entry in sorted(found, key=lambda each: each[0])]


def test_versioning_is_said_once_it_was_enabled(s3: Any) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket="photos")
    turn(s3, "Enabled")
    assert s3.get_bucket_versioning(Bucket="photos")["Status"] == "Enabled"
    turn(s3, "Suspended")
    assert s3.get_bucket_versioning(Bucket="photos")["Status"] == "Suspended"
    with pytest.raises(ClientError) as error:
        s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={})
    assert code_of(error) == (400, "IllegalVersioningConfigurationException")


def test_every_version_stays_as_it_was_and_has_an_id_of_32_characters(s3: Any) -> None:
    turn(s3, "Enabled")
    ids = [put(s3, content) for content in CONTENTS]
    assert len(set(ids)) == 4
    assert all(len(each) == 32 and each.isascii() and each.isalnum() for each in ids)
    assert [read(s3, each) for each in ids] == CONTENTS
    assert read(s3) == CONTENTS[-1]
    for each, content in zip(ids, CONTENTS, strict=True):
        head = s3.head_object(Bucket="photos", Key="k", VersionId=each)
        assert (head["VersionId"], head["ContentLength"]) == (each, len(content))
        said = s3.get_object_attributes(
            Bucket="photos", Key="k", VersionId=each, ObjectAttributes=["ObjectSize"]
        )
        assert (said["VersionId"], said["ObjectSize"]) == (each, len(content))
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 1


def test_a_deletion_puts_a_marker_that_hides_the_key_until_it_is_removed(s3: Any) -> None:
    turn(s3, "Enabled")
    first = put(s3, LARGE)
    deleted = s3.delete_object(Bucket="photos", Key="k")
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True
    with pytest.raises(ClientError) as error:
        read(s3)
    assert code_of(error) == (404, "NoSuchKey")
    headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="photos", Key="k", VersionId=marker)
    assert code_of(error)[0] == 405
    headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["allow"]) == ("true", "DELETE")
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 0
    assert listed(s3) == [("k", marker, True, True), ("k", first, False, False)]
    assert read(s3, first) == LARGE
    removed = s3.delete_object(Bucket="photos", Key="k", VersionId=marker)
    assert (removed["VersionId"], removed["DeleteMarker"]) == (marker, True)
    assert read(s3) == LARGE
    assert listed(s3) == [("k", first, True, False)]


def test_a_key_that_never_was_gets_a_marker_too(s3: Any) -> None:
    turn(s3, "Enabled")
    marker = s3.delete_object(Bucket="photos", Key="none")["VersionId"]
    assert listed(s3) == [("none", marker, True, True)]


def test_the_newest_that_is_left_becomes_current(s3: Any) -> None:
    turn(s3, "Enabled")
    ids = [put(s3, content) for content in CONTENTS]
    assert s3.delete_object(Bucket="photos", Key="k", VersionId=ids[3])["VersionId"] == ids[3]
    assert read(s3) == CONTENTS[2]
    s3.delete_object(Bucket="photos", Key="k", VersionId=ids[1])
    assert read(s3) == CONTENTS[2]
    s3.delete_object(Bucket="photos", Key="k", VersionId=ids[2])
    assert read(s3) == CONTENTS[0]
    with pytest.raises(ClientError) as error:
        read(s3, ids[1])
    assert code_of(error) == (404, "NoSuchVersion")
    s3.delete_object(Bucket="photos", Key="k", VersionId=ids[0])
    assert listed(s3) == []
    # AWS: that there is no such version is no error.
    s3.delete_object(Bucket="photos", Key="k", VersionId=ids[0])


def test_a_marker_that_becomes_the_newest_again_hides_the_key(s3: Any) -> None:
    turn(s3, "Enabled")
    first = put(s3, b"1")
    marker = s3.delete_object(Bucket="photos", Key="k")["VersionId"]
    s3.delete_object(Bucket="photos", Key="k", VersionId=put(s3, b"2"))
    with pytest.raises(ClientError) as error:
        read(s3)
    assert code_of(error) == (404, "NoSuchKey")
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 0
    assert listed(s3) == [("k", marker, True, True), ("k", first, False, False)]


def test_what_was_there_before_is_the_null_version_and_the_oldest(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="k", Body=b"before")
    assert "VersionId" not in s3.head_object(Bucket="photos", Key="k")
    turn(s3, "Enabled")
    assert s3.head_object(Bucket="photos", Key="k")["VersionId"] == "null"
    newer = put(s3, LARGE)
    assert listed(s3) == [("k", newer, True, False), ("k", "null", False, False)]
    assert read(s3, "null") == b"before"
    s3.delete_object(Bucket="photos", Key="k", VersionId=newer)
    assert (read(s3), read(s3, "null")) == (b"before", b"before")


def test_while_versioning_is_suspended_one_null_version_takes_the_place_of_the_other(
    s3: Any,
) -> None:
    turn(s3, "Enabled")
    kept = put(s3, b"kept")
    turn(s3, "Suspended")
    assert put(s3, b"first") == "null"
    assert put(s3, LARGE) == "null"
    assert listed(s3) == [("k", "null", True, False), ("k", kept, False, False)]
    assert (read(s3), read(s3, kept)) == (LARGE, b"kept")
    turn(s3, "Enabled")
    newest = put(s3, b"newest")
    turn(s3, "Suspended")
    # The null version lies below the newest now, and goes when another is written.
    assert put(s3, b"null again") == "null"
    assert listed(s3)[0] == ("k", "null", True, False)
    assert [each[1] for each in listed(s3)] == ["null", newest, kept]
    deleted = s3.delete_object(Bucket="photos", Key="k")
    assert (deleted["VersionId"], deleted["DeleteMarker"]) == ("null", True)
    assert [each[1] for each in listed(s3)] == ["null", newest, kept]
    with pytest.raises(ClientError) as error:
        read(s3)
    assert code_of(error) == (404, "NoSuchKey")
    s3.delete_object(Bucket="photos", Key="k", VersionId="null")
    assert read(s3) == b"newest"


def test_what_is_written_while_versioning_is_suspended_is_answered_without_an_id(s3: Any) -> None:
    """Recorded on AWS by LocalStack: test_put_object_on_suspended_bucket, and of copies
    test_s3_copy_object_in_place_suspended_only."""
    turn(s3, "Suspended")
    assert "VersionId" not in s3.put_object(Bucket="photos", Key="k", Body=b"short")
    assert "VersionId" not in s3.put_object(Bucket="photos", Key="k", Body=LARGE)
    named = {"Bucket": "photos", "Key": "k"}
    named["UploadId"] = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    for _ in range(2):  # completing twice is answered alike
        assert "VersionId" not in s3.complete_multipart_upload(**named, MultipartUpload=parts)
    copied = s3.copy_object(Bucket="photos", Key="copy", CopySource="photos/k")
    assert (copied["VersionId"], copied["CopySourceVersionId"]) == ("null", "null")
    assert s3.head_object(Bucket="photos", Key="k")["VersionId"] == "null"


def test_ids_that_cannot_be_are_refused(s3: Any) -> None:
    put_reply = s3.put_object(Bucket="photos", Key="k", Body=b"x")
    assert "VersionId" not in put_reply
    for version in ("v", "0" * 31, "0" * 33, "z" * 32, "0" * 31 + "-"):
        with pytest.raises(ClientError) as error:
            read(s3, version)
        assert code_of(error) in ((400, "InvalidArgument"), (404, "NoSuchVersion"))
    with pytest.raises(ClientError) as error:
        read(s3, "z" * 32)
    assert code_of(error) == (400, "InvalidArgument")
    with pytest.raises(ClientError) as error:
        read(s3, "0" * 32)
    assert code_of(error) == (404, "NoSuchVersion")
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket="photos", Key="k", VersionId="0" * 32)
    assert code_of(error) == (400, "InvalidArgument")
    assert read(s3, "null") == b"x"
    s3.delete_object(Bucket="photos", Key="k", VersionId="null")
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 0


def test_many_versions_are_removed_at_once_and_markers_told(s3: Any) -> None:
    turn(s3, "Enabled")
    first, second = put(s3, b"1"), put(s3, b"2")
    reply = s3.delete_objects(
        Bucket="photos", Delete={"Objects": [{"Key": "k", "VersionId": first}, {"Key": "k"}]}
    )
    plain, marked = reply["Deleted"]
    assert plain == {"Key": "k", "VersionId": first}
    assert marked["DeleteMarker"] is True
    marker = marked["DeleteMarkerVersionId"]
    assert listed(s3) == [("k", marker, True, True), ("k", second, False, False)]
    reply = s3.delete_objects(
        Bucket="photos", Delete={"Objects": [{"Key": "k", "VersionId": marker}]}
    )
    assert reply["Deleted"] == [
        {
            "Key": "k",
            "VersionId": marker,
            "DeleteMarker": True,
            "DeleteMarkerVersionId": marker,
        }
    ]
    assert read(s3) == b"2"


def test_a_version_is_copied_onto_its_own_key_to_bring_it_back(s3: Any) -> None:
    """User Guide, "Restoring previous versions": copy the version into the same bucket."""
    turn(s3, "Enabled")
    first = put(s3, LARGE)
    put(s3, b"second")
    source = {"Bucket": "photos", "Key": "k", "VersionId": first}
    copied = s3.copy_object(Bucket="photos", Key="k", CopySource=source)
    assert copied["CopySourceVersionId"] == first
    assert read(s3) == read(s3, copied["VersionId"]) == LARGE
    s3.delete_object(Bucket="photos", Key="k", VersionId=first)
    assert read(s3) == LARGE
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="other", CopySource=source)
    assert code_of(error) == (404, "NoSuchVersion")
    marker = s3.delete_object(Bucket="photos", Key="k")["VersionId"]
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="other", CopySource={**source, "VersionId": marker})
    assert code_of(error) == (400, "InvalidRequest")
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="photos", Key="other", CopySource={"Bucket": "photos", "Key": "k"})
    assert code_of(error) == (404, "NoSuchKey")


def test_an_upload_in_parts_becomes_a_version_and_so_do_parts_of_versions(s3: Any) -> None:
    turn(s3, "Enabled")
    first = put(s3, LARGE)
    upload = s3.create_multipart_upload(Bucket="photos", Key="k")["UploadId"]
    named = {"Bucket": "photos", "Key": "k", "UploadId": upload}
    source = {"Bucket": "photos", "Key": "k", "VersionId": first}
    part = s3.upload_part_copy(**named, PartNumber=1, CopySource=source)
    assert part["CopySourceVersionId"] == first
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    done = s3.complete_multipart_upload(**named, MultipartUpload=parts)
    again = s3.complete_multipart_upload(**named, MultipartUpload=parts)
    assert done["VersionId"] == again["VersionId"] == listed(s3)[0][1]
    assert read(s3, done["VersionId"]) == LARGE
    s3.delete_object(Bucket="photos", Key="k", VersionId=first)
    assert read(s3) == LARGE


def test_a_write_is_conditional_on_the_object_and_not_on_a_marker(s3: Any) -> None:
    turn(s3, "Enabled")
    put(s3, b"1")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(error) == (412, "PreconditionFailed")
    s3.delete_object(Bucket="photos", Key="k")
    s3.put_object(Bucket="photos", Key="k", Body=b"2", IfNoneMatch="*")
    assert read(s3) == b"2"


def test_a_bucket_with_a_version_or_a_marker_is_not_empty(s3: Any) -> None:
    turn(s3, "Enabled")
    version = put(s3, b"1")
    marker = s3.delete_object(Bucket="photos", Key="k")["VersionId"]
    for left in (version, marker):
        with pytest.raises(ClientError) as error:
            s3.delete_bucket(Bucket="photos")
        assert code_of(error) == (409, "BucketNotEmpty")
        s3.delete_object(Bucket="photos", Key="k", VersionId=left)
    s3.delete_bucket(Bucket="photos")


def test_listings_of_versions_have_pages_prefixes_and_markers(s3: Any) -> None:
    turn(s3, "Enabled")
    wanted: list[str] = []
    for key in ("a", "b/1", "b/2", "c"):
        ids = [put(s3, content, key) for content in (b"1", b"2", b"3")]
        ids.append(s3.delete_object(Bucket="photos", Key=key)["VersionId"])
        wanted += [f"{key} {each}" for each in reversed(ids)]
    wanted += [f"{key} {put(s3, b'1', key)}" for key in ("d", "e")]
    for size in (1, 2, 3, 5, 16, 1000):
        found: list[str] = []
        places: dict[str, str] = {}
        while True:
            page = s3.list_object_versions(Bucket="photos", MaxKeys=size, **places)
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            assert len(entries) <= size
            ids = {f"{each['Key']} {each['VersionId']}" for each in entries}
            found += [each for each in wanted if each in ids]
            assert all(each["IsLatest"] for each in page.get("DeleteMarkers", []))
            if not page["IsTruncated"]:
                break
            places = {
                "KeyMarker": page["NextKeyMarker"],
                "VersionIdMarker": page["NextVersionIdMarker"],
            }
            assert found[-1] == " ".join(places.values())
        assert found == wanted, size
    page = s3.list_object_versions(Bucket="photos", Delimiter="/")
    assert [each["Prefix"] for each in page["CommonPrefixes"]] == ["b/"]
    assert {each["Key"] for each in page["Versions"]} == {"a", "c", "d", "e"}
    page = s3.list_object_versions(Bucket="photos", Delimiter="/", KeyMarker="b/")
    assert {each["Key"] for each in page["Versions"]} == {"c", "d", "e"}
    assert {each[0] for each in listed(s3, Prefix="b/")} == {"b/1", "b/2"}
    page = s3.list_object_versions(Bucket="photos", KeyMarker="b/2")
    assert {each["Key"] for each in page["Versions"]} == {"c", "d", "e"}
    for wrong in ({"VersionIdMarker": "0" * 32}, {"KeyMarker": "a", "VersionIdMarker": ""}):
        with pytest.raises(ClientError) as error:
            s3.list_object_versions(Bucket="photos", **wrong)
        assert code_of(error) == (400, "InvalidArgument")


def test_a_key_of_very_many_versions_does_not_hide_those_behind_it(s3: Any) -> None:
    turn(s3, "Enabled")
    for _ in range(70):
        put(s3, b"", "a")
    for key in ("b", "c"):
        put(s3, b"", key)
        put(s3, b"", key)
    found = listed(s3, PaginationConfig={"PageSize": 1000})
    assert [each[0] for each in found] == ["a"] * 70 + ["b"] * 2 + ["c"] * 2


def test_a_prefix_that_ends_in_nuls_ends_a_listing_of_many_versions(s3: Any) -> None:
    """The store compares whole groups of bytes: a shorter key looks as if it had the prefix."""
    turn(s3, "Enabled")
    for _ in range(70):
        put(s3, b"", "ab")
    assert "Versions" not in s3.list_object_versions(Bucket="photos", Prefix="ab\0")
