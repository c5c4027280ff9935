"""Configurations that no bucket has answer what AWS answers of a new bucket, and are refused when put.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json and
test_s3_api.snapshot.json: website, replication, logging).
"""

from __future__ import annotations

from typing import Any

import pytest

NONE_SUCH = ("NoSuchConfiguration", "The specified configuration does not exist.")


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def test_reads_of_what_no_bucket_has_are_answered(s3: Any, refusal: Any) -> None:
    assert refusal(s3.get_bucket_website, Bucket="photos") == (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    )
    assert refusal(s3.get_bucket_replication, Bucket="photos") == (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    )
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket="photos")


def test_there_is_no_configuration_of_any_id(s3: Any, refusal: Any) -> None:
    named = {"Bucket": "photos", "Id": "one"}
    for call in (
        s3.get_bucket_analytics_configuration,
        s3.get_bucket_intelligent_tiering_configuration,
        s3.get_bucket_inventory_configuration,
        s3.delete_bucket_analytics_configuration,
        s3.delete_bucket_intelligent_tiering_configuration,
        s3.delete_bucket_inventory_configuration,
    ):
        assert refusal(call, **named) == NONE_SUCH
    for listed in (
        s3.list_bucket_analytics_configurations(Bucket="photos"),
        s3.list_bucket_intelligent_tiering_configurations(Bucket="photos"),
        s3.list_bucket_inventory_configurations(Bucket="photos"),
    ):
        assert listed["IsTruncated"] is False
        assert not [member for member in listed if member.endswith("List")]


def test_removing_what_is_not_there_is_no_error(s3: Any) -> None:
    for call in (s3.delete_bucket_website, s3.delete_bucket_replication):
        assert call(Bucket="photos")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_putting_them_is_refused_unless_it_asks_for_nothing(s3: Any, refusal: Any) -> None:
    website = {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}}
    accelerate = {"AccelerateConfiguration": {"Status": "Enabled"}}
    for call, given in (
        (s3.put_bucket_website, website),
        (s3.put_bucket_accelerate_configuration, accelerate),
    ):
        assert refusal(call, Bucket="photos", **given)[0] == "NotImplemented"


def test_a_bucket_that_is_not_there_has_no_defaults(s3: Any, refusal: Any) -> None:
    for call in (
        s3.get_bucket_website,
        s3.get_bucket_abac,
        s3.delete_bucket_replication,
        s3.list_bucket_inventory_configurations,
        s3.get_bucket_accelerate_configuration,
    ):
        assert refusal(call, Bucket="nobody")[0] == "NoSuchBucket"
        wrong = {"Bucket": "photos", "ExpectedBucketOwner": "111122223333"}
        assert refusal(call, **wrong)[0] == "AccessDenied"
