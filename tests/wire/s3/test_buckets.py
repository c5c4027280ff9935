from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_bucket_lives_from_create_to_delete(client: Any) -> None:
    s3 = client("s3")
    made = s3.create_bucket(Bucket="photos")
    assert made["Location"] == "/photos"
    assert made["BucketArn"] == "arn:aws:s3:::photos"
    head = s3.head_bucket(Bucket="photos")
    assert head["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="photos")["LocationConstraint"] is None
    (bucket,) = s3.list_buckets()["Buckets"]
    assert bucket["Name"] == "photos"
    assert bucket["BucketRegion"] == "us-east-1"
    s3.delete_bucket(Bucket="photos")
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket="photos")
    assert code_of(error) == (404, "404")


def test_creating_a_bucket_again_succeeds_in_us_east_1(client: Any) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="photos")


def test_a_bucket_lies_in_the_region_of_its_location_constraint(client: Any) -> None:
    s3 = client("s3", region="eu-west-1")
    where = {"LocationConstraint": "eu-west-1"}
    made = s3.create_bucket(Bucket="photos", CreateBucketConfiguration=where)
    assert made["Location"] == "http://127.0.0.1:4566/photos/"
    assert s3.get_bucket_location(Bucket="photos")["LocationConstraint"] == "eu-west-1"
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="photos", CreateBucketConfiguration=where)
    assert code_of(error) == (409, "BucketAlreadyOwnedByYou")
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="other")
    assert code_of(error) == (400, "IllegalLocationConstraintException")


@pytest.mark.parametrize("name", ["foo_bar", "foo..bar", "Foo-Bar", "192.168.5.4"])
def test_a_name_that_breaks_the_rules_is_refused(client: Any, name: str) -> None:
    s3 = client("s3")
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket=name)
    assert code_of(error) == (400, "InvalidBucketName")
    assert error.value.response["Error"]["BucketName"] == name


def test_a_bucket_with_objects_is_not_deleted(client: Any) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="k")
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket="photos")
    assert code_of(error) == (409, "BucketNotEmpty")


def test_what_is_not_there_is_no_such_bucket(client: Any) -> None:
    s3 = client("s3")
    for call in (
        lambda: s3.list_objects_v2(Bucket="nowhere"),
        lambda: s3.put_object(Bucket="nowhere", Key="k"),
        lambda: s3.get_bucket_location(Bucket="nowhere"),
        lambda: s3.delete_bucket(Bucket="nowhere"),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error) == (404, "NoSuchBucket")
        assert error.value.response["Error"]["BucketName"] == "nowhere"


def test_an_expected_owner_must_be_the_owner(client: Any, cloud: Any) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="photos")
    s3.list_objects_v2(Bucket="photos", ExpectedBucketOwner=cloud.account.principal.account)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="photos", ExpectedBucketOwner="999999999999")
    assert code_of(error) == (403, "AccessDenied")


def test_buckets_are_paged(client: Any) -> None:
    s3 = client("s3")
    names = [f"bucket-{index}" for index in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})
    assert [bucket["Name"] for page in pages for bucket in page["Buckets"]] == names


def test_what_is_not_built_of_buckets_says_so(client: Any) -> None:
    express = {"Bucket": {"Type": "Directory"}}
    with pytest.raises(ClientError) as error:
        client("s3").create_bucket(Bucket="photos", CreateBucketConfiguration=express)
    assert code_of(error) == (501, "NotImplemented")


def test_values_that_ask_for_nothing_are_taken(client: Any) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="photos", ACL="private", ObjectOwnership="BucketOwnerEnforced")
    s3.put_object(
        Bucket="photos", Key="k", ACL="bucket-owner-full-control", StorageClass="STANDARD"
    )


def test_a_bucket_of_another_account_is_closed(client: Any, cloud: Any) -> None:
    client("s3").create_bucket(Bucket="photos")
    other = cloud.run(cloud.app.identity.create_account("other"))
    theirs = client("s3", credential=other)
    for call in (
        lambda: theirs.put_object(Bucket="photos", Key="k"),
        lambda: theirs.list_objects_v2(Bucket="photos"),
        lambda: theirs.delete_bucket(Bucket="photos"),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error) == (403, "AccessDenied")
    with pytest.raises(ClientError) as error:
        theirs.create_bucket(Bucket="photos")
    assert code_of(error) == (409, "BucketAlreadyExists")
