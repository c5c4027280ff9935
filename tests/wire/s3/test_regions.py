"""Buckets have one name in all regions, and each lies in one (S3 User Guide, "Buckets overview")."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud
from fogbank.wire.regions import regions

EU = {"LocationConstraint": "eu-west-1"}


@pytest.fixture
def s3(client: Any) -> Any:
    """Make a bucket in eu-west-1 and one in us-east-1; return the function that makes clients."""
    client("s3", region="eu-west-1").create_bucket(Bucket="in-europe", CreateBucketConfiguration=EU)
    client("s3").create_bucket(Bucket="in-america")
    return client


def refused(call: Any, **arguments: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response


def without_redirects(client: Any) -> Any:
    """Return the client, deaf to what the reply says about the region."""
    client.meta.events.unregister("needs-retry.s3", _redirector_of(client))
    return client


def _redirector_of(client: Any) -> Any:
    emitter = client.meta.events._emitter
    for handler in emitter._handlers.prefix_search("needs-retry.s3"):
        if getattr(handler, "__name__", "") == "redirect_from_error":
            return handler
    raise AssertionError("boto3 has no redirector")


def test_boto3_follows_to_the_region_of_the_bucket_by_itself(s3: Any) -> None:
    america = s3("s3")
    america.put_object(Bucket="in-europe", Key="k", Body=b"hello")
    assert america.get_object(Bucket="in-europe", Key="k")["Body"].read() == b"hello"
    for call in ("head_bucket", "list_objects_v2"):
        fresh = s3("s3")
        getattr(fresh, call)(Bucket="in-europe")
    assert s3("s3").head_object(Bucket="in-europe", Key="k")["ContentLength"] == 5
    assert s3("s3", region="ap-south-1").head_bucket(Bucket="in-america")["BucketRegion"] == (
        "us-east-1"
    )


def test_another_region_is_told_where_the_bucket_is(s3: Any) -> None:
    said = refused(without_redirects(s3("s3")).get_object, Bucket="in-europe", Key="k")
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 301
    assert said["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-1"
    assert said["Error"]["Code"] == "PermanentRedirect"
    assert said["Error"]["Message"] == (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )
    assert said["Error"]["Bucket"] == "in-europe"
    assert said["Error"]["Endpoint"] == "127.0.0.1:4566/in-europe"


def test_a_name_of_a_virtual_host_is_told_with_its_region(s3: Any) -> None:
    virtual = Config(s3={"addressing_style": "virtual"})
    asked = without_redirects(s3("s3", config=virtual, host="localhost:4566"))
    said = refused(asked.list_objects_v2, Bucket="in-europe")
    assert said["Error"]["Endpoint"] == "in-europe.s3.eu-west-1.localhost:4566"


def test_a_head_says_the_region_in_its_headers_alone(s3: Any) -> None:
    said = refused(without_redirects(s3("s3")).head_bucket, Bucket="in-europe")
    assert said["Error"]["Code"] == "301"
    assert said["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-1"


def test_who_may_not_enter_still_hears_the_region(s3: Any, cloud: Any) -> None:
    other = cloud.run(cloud.app.identity.create_account("other"))
    theirs = without_redirects(s3("s3", credential=other))
    said = refused(theirs.head_bucket, Bucket="in-europe")
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert said["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-1"


def test_nothing_is_changed_from_another_region(s3: Any) -> None:
    america = without_redirects(s3("s3"))
    for call, more in (
        ("put_object", {"Key": "k"}),
        ("create_multipart_upload", {"Key": "k"}),
        ("delete_bucket", {}),
    ):
        said = refused(getattr(america, call), Bucket="in-europe", **more)
        assert said["Error"]["Code"] == "PermanentRedirect"
    assert "Contents" not in s3("s3", region="eu-west-1").list_objects_v2(Bucket="in-europe")


def test_the_location_is_told_to_every_region(s3: Any) -> None:
    for region in ("us-east-1", "ap-south-1"):
        said = s3("s3", region=region).get_bucket_location(Bucket="in-europe")
        assert said["LocationConstraint"] == "eu-west-1"


def test_a_copy_reaches_a_source_in_another_region(s3: Any) -> None:
    s3("s3").put_object(Bucket="in-america", Key="k", Body=b"far")
    europe = s3("s3", region="eu-west-1")
    europe.copy_object(Bucket="in-europe", Key="c", CopySource="in-america/k")
    assert europe.get_object(Bucket="in-europe", Key="c")["Body"].read() == b"far"


@pytest.mark.parametrize(
    ("endpoint", "constraint", "code"),
    [
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "us-east-9", "InvalidLocationConstraint"),
        ("us-east-1", "aws-global", "InvalidLocationConstraint"),
        ("eu-west-1", "eu-central-1", "IllegalLocationConstraintException"),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
    ],
)
def test_a_bucket_is_made_where_the_endpoint_may(
    s3: Any, endpoint: str, constraint: str | None, code: str
) -> None:
    where = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    said = refused(s3("s3", region=endpoint).create_bucket, Bucket="some-bucket", **where)
    assert said["Error"]["Code"] == code


def test_us_east_1_makes_buckets_anywhere_and_eu_is_ireland(s3: Any) -> None:
    america = s3("s3")
    made = america.create_bucket(
        Bucket="in-frankfurt", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    assert made["Location"] == "http://127.0.0.1:4566/in-frankfurt/"
    assert america.head_bucket(Bucket="in-frankfurt")["BucketRegion"] == "eu-central-1"
    america.create_bucket(Bucket="old", CreateBucketConfiguration={"LocationConstraint": "EU"})
    assert america.get_bucket_location(Bucket="old")["LocationConstraint"] == "EU"
    assert america.head_bucket(Bucket="old")["BucketRegion"] == "eu-west-1"


def test_creating_ones_own_bucket_again_succeeds_in_us_east_1_alone(s3: Any) -> None:
    s3("s3").create_bucket(Bucket="in-america")
    for region, name in (("eu-west-1", "in-europe"), ("eu-west-1", "in-america")):
        said = refused(
            s3("s3", region=region).create_bucket, Bucket=name, CreateBucketConfiguration=EU
        )
        assert said["Error"]["Code"] == "BucketAlreadyOwnedByYou"
    said = refused(s3("s3").create_bucket, Bucket="in-europe", CreateBucketConfiguration=EU)
    assert said["Error"]["Code"] == "BucketAlreadyOwnedByYou"


def test_buckets_of_all_regions_are_listed_and_can_be_told_apart(s3: Any) -> None:
    every = s3("s3", region="ap-south-1").list_buckets()["Buckets"]
    assert {each["Name"]: each["BucketRegion"] for each in every} == {
        "in-america": "us-east-1",
        "in-europe": "eu-west-1",
    }
    some = s3("s3").list_buckets(BucketRegion="eu-west-1")["Buckets"]
    assert [each["Name"] for each in some] == ["in-europe"]


def test_a_signature_for_another_region_than_the_host_says_is_malformed(s3: Any) -> None:
    client = without_redirects(s3("s3", host="s3.eu-west-1.localhost:4566"))
    said = refused(client.list_objects_v2, Bucket="in-europe")
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert said["Error"]["Code"] == "AuthorizationHeaderMalformed"
    assert said["Error"]["Message"] == (
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting "
        "'eu-west-1'"
    )
    assert said["Error"]["Region"] == "eu-west-1"


def test_boto3_follows_from_a_regions_own_host(s3: Any) -> None:
    s3("s3", host="s3.eu-west-1.localhost:4566").put_object(Bucket="in-europe", Key="k")


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", max(regions())])
def test_every_region_has_buckets(cloud: Cloud, region: str) -> None:
    there = cloud.create_account("there", partition=regions()[region])
    s3 = cloud.client("s3", region=region, credential=there)
    where = {"LocationConstraint": region}
    s3.create_bucket(Bucket="here", CreateBucketConfiguration=where)
    assert s3.head_bucket(Bucket="here")["BucketRegion"] == region
