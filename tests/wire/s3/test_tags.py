"""Tags of buckets.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3_api.snapshot.json,
TestS3BucketObjectTagging).
"""

from __future__ import annotations

from typing import Any

import pytest

NONE = ("NoSuchTagSet", "The TagSet does not exist")


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def tagging(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def test_tags_of_a_bucket_are_put_replaced_and_removed(s3: Any, refusal: Any) -> None:
    assert refusal(s3.get_bucket_tagging, Bucket="photos") == NONE
    put = s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(tag2="", tag1="tag1"))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    found = s3.get_bucket_tagging(Bucket="photos")
    assert found["TagSet"] == tagging(tag1="tag1", tag2="")["TagSet"]
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(tag3="tag3"))
    assert s3.get_bucket_tagging(Bucket="photos")["TagSet"] == tagging(tag3="tag3")["TagSet"]
    for _ in range(2):
        deleted = s3.delete_bucket_tagging(Bucket="photos")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_tagging, Bucket="photos") == NONE
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(a="b"))
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging())
    assert refusal(s3.get_bucket_tagging, Bucket="photos") == NONE
    assert refusal(s3.get_bucket_tagging, Bucket="nobody")[0] == "NoSuchBucket"


def test_a_bucket_has_at_most_fifty_tags(s3: Any, refusal: Any) -> None:
    fifty = {f"key{number:02}": "x" for number in range(50)}
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(**fifty))
    assert len(s3.get_bucket_tagging(Bucket="photos")["TagSet"]) == 50
    refused = refusal(
        s3.put_bucket_tagging, Bucket="photos", Tagging=tagging(**fifty, one_more="x")
    )
    assert refused == ("BadRequest", "Bucket tag count cannot be greater than 50")
