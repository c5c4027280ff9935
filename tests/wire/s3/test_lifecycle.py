"""Lifecycle configurations over the wire; tests/unit/services/s3/test_lifecycle.py applies them.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json,
TestS3BucketLifecycle).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fogbank.server.config import Config
from fogbank.testing.cloud import Cloud

NONE = ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
RULE = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 1}}
LOG = {"Bucket": "photos", "Key": "log/1"}


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def put(s3: Any, *rules: Any, **more: Any) -> Any:
    configuration = {"Rules": list(rules)}
    return s3.put_bucket_lifecycle_configuration(
        Bucket="photos", LifecycleConfiguration=configuration, **more
    )


def test_a_configuration_is_put_found_and_deleted(s3: Any, refusal: Any) -> None:
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket="photos") == NONE
    dated = {**RULE, "ID": "dated", "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}}
    reply = put(s3, RULE, dated)
    assert reply["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    found = s3.get_bucket_lifecycle_configuration(Bucket="photos")
    assert found["Rules"] == [RULE, dated]
    assert found["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    put(s3, dated, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    found = s3.get_bucket_lifecycle_configuration(Bucket="photos")
    assert found["Rules"] == [dated]
    assert found["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    for _ in range(2):
        deleted = s3.delete_bucket_lifecycle(Bucket="photos")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket="photos") == NONE


def test_rules_with_transitions_are_not_built(s3: Any, refusal: Any) -> None:
    moves = {**RULE, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}
    assert refusal(lambda: put(s3, moves))[0] == "NotImplemented"
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket="photos") == NONE
    assert refusal(lambda: put(s3, {**RULE, "Status": "On"}))[0] == "MalformedXML"


def test_writes_and_reads_say_when_an_object_expires(s3: Any) -> None:
    put(s3, RULE)
    assert "Expiration" not in s3.put_object(Bucket="photos", Key="cat", Body=b"x")
    reply = s3.put_object(**LOG, Body=b"x")
    head = s3.head_object(**LOG)
    day = head["LastModified"].replace(hour=0, minute=0, second=0, microsecond=0)
    expiry = datetime.fromtimestamp(day.timestamp() + 2 * 86_400, UTC)
    said = f'expiry-date="{expiry:%a, %d %b %Y 00:00:00 GMT}", rule-id="logs"'
    assert reply["Expiration"] == head["Expiration"] == said
    assert s3.get_object(**LOG)["Expiration"] == said
    target = {"Bucket": "photos", "Key": "log/2"}
    assert s3.copy_object(**target, CopySource="photos/cat")["Expiration"] == said
    upload = s3.create_multipart_upload(**target)["UploadId"]
    part = s3.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    done = s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["Expiration"] == said
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(**LOG, Body=b"x")["VersionId"]
    assert "Expiration" not in s3.head_object(**LOG, VersionId=version)
    s3.delete_bucket_lifecycle(Bucket="photos")
    assert "Expiration" not in s3.head_object(**LOG)


@pytest.fixture
def hasty() -> Iterator[Cloud]:
    """Return a cloud whose days have ten seconds."""
    with Cloud(replay=True, config=Config(quotas={"s3.lifecycle_day_s": 10})) as made:
        yield made


def test_a_deployment_may_have_shorter_days(hasty: Cloud) -> None:
    s3 = hasty.client("s3")
    s3.create_bucket(Bucket="photos")
    put(s3, RULE)
    s3.put_object(**LOG, Body=b"x")
    s3.put_object(Bucket="photos", Key="cat", Body=b"x")
    hasty.advance(20_000)
    listed = s3.list_objects_v2(Bucket="photos")
    assert [entry["Key"] for entry in listed["Contents"]] == ["cat"]
