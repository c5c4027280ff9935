from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

KEYS = ["a/1", "a/2", "asdf+b", "b", "quux ab/thud", "z"]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    for key in reversed(KEYS):
        made.put_object(Bucket="photos", Key=key, Body=b"x")
    return made


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_concatenate_to_the_whole(s3: Any, operation: str, size: int, delimiter: str) -> None:
    pages = list(
        s3.get_paginator(operation).paginate(
            Bucket="photos", Delimiter=delimiter, PaginationConfig={"PageSize": size}
        )
    )
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    if delimiter:
        assert keys == ["asdf+b", "b", "z"]
        assert prefixes == ["a/", "quux ab/"]
    else:
        assert keys == KEYS
        assert prefixes == []


def test_an_entry_says_what_it_is(s3: Any) -> None:
    entry = s3.list_objects_v2(Bucket="photos", Prefix="b", FetchOwner=True)["Contents"][0]
    assert entry["Size"] == 1
    assert entry["StorageClass"] == "STANDARD"
    assert entry["ETag"] == '"9dd4e461268c8034f5c8564e155c67a6"'
    assert entry["ChecksumAlgorithm"] == ["CRC32"]
    owner = s3.list_buckets()["Owner"]["ID"]
    assert entry["Owner"]["ID"] == owner
    assert s3.list_objects(Bucket="photos")["Contents"][0]["Owner"]["ID"] == owner
    assert "Owner" not in s3.list_objects_v2(Bucket="photos")["Contents"][0]


def test_names_can_be_url_encoded(s3: Any) -> None:
    page = s3.list_objects(Bucket="photos", Delimiter="/", EncodingType="url")
    assert [entry["Key"] for entry in page["Contents"]] == ["asdf%2Bb", "b", "z"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["a/", "quux%20ab/"]
    with pytest.raises(ClientError) as error:
        s3.list_objects(Bucket="photos", EncodingType="rot13")
    assert code_of(error) == (400, "InvalidArgument")


def test_start_after_and_markers_begin_behind_a_key(s3: Any) -> None:
    page = s3.list_objects_v2(Bucket="photos", StartAfter="b")
    assert page["StartAfter"] == "b"
    assert [entry["Key"] for entry in page["Contents"]] == KEYS[4:]
    page = s3.list_objects(Bucket="photos", Marker="b")
    assert page["Marker"] == "b"
    assert [entry["Key"] for entry in page["Contents"]] == KEYS[4:]


def test_max_keys_of_zero_is_an_empty_page(s3: Any) -> None:
    page = s3.list_objects_v2(Bucket="photos", MaxKeys=0)
    assert page["KeyCount"] == 0
    assert page["IsTruncated"] is False
    assert "Contents" not in page


def test_a_token_that_was_not_given_out_is_refused(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="photos", ContinuationToken="nonsense")
    assert code_of(error) == (400, "InvalidArgument")
