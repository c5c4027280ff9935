"""Access points: made, found, listed, deleted, and their policies.

Source: Amazon S3 API Reference, the operations of S3 Control; answers recorded by LocalStack
(tests/aws/services/s3control/test_s3control.snapshot.json).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud

ABSENT = ("NoSuchAccessPoint", "The specified accesspoint does not exist")
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def policy(arn: str, principal: Any = "*", action: str = "s3:GetObject") -> str:
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": f"{arn}/object/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_point_is_made_found_and_deleted(
    point: Any, control: Any, s3: Any, account: str, refusal: Any
) -> None:
    arn = f"arn:aws:s3:us-east-1:{account}:accesspoint/front"
    assert point["AccessPointArn"] == arn
    assert len(point["Alias"]) == len("front") + 1 + 34 + len("-s3alias")
    found = control.get_access_point(AccountId=account, Name="front")
    created = found.pop("CreationDate")
    found.pop("ResponseMetadata")
    assert created is not None
    assert found == {
        "Name": "front",
        "Bucket": "photos",
        "NetworkOrigin": "Internet",
        "PublicAccessBlockConfiguration": dict.fromkeys(BLOCKS, True),
        "Alias": point["Alias"],
        "AccessPointArn": arn,
        "Endpoints": {
            "ipv4": "s3-accesspoint.us-east-1.amazonaws.com",
            "fips": "s3-accesspoint-fips.us-east-1.amazonaws.com",
            "fips_dualstack": "s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com",
            "dualstack": "s3-accesspoint.dualstack.us-east-1.amazonaws.com",
        },
        "BucketAccountId": account,
    }
    gone = control.delete_access_point(AccountId=account, Name="front")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call in (control.get_access_point, control.delete_access_point):
        assert refusal(call, AccountId=account, Name="front") == ABSENT
    assert refusal(s3.get_object, Bucket=arn, Key="k") == ABSENT
    assert refusal(s3.get_object, Bucket=point["Alias"], Key="k")[0] == "NoSuchBucket"
    assert control.list_access_points(AccountId=account)["AccessPointList"] == []


def test_a_point_of_a_name_is_made_once_and_of_a_bucket_that_stands(
    point: Any, control: Any, s3: Any, account: str, other: Any, cloud: Cloud, refusal: Any
) -> None:
    make = control.create_access_point
    again = refusal(make, AccountId=account, Name="front", Bucket="photos")
    assert again[0] == "AccessPointAlreadyOwnedByYou"
    told = (
        "InvalidRequest",
        "Amazon S3 AccessPoint can only be created for existing bucket",
    )
    assert refusal(make, AccountId=account, Name="back", Bucket="nothing") == told
    elsewhere = cloud.client("s3control", region="eu-west-1")
    assert (
        refusal(elsewhere.create_access_point, AccountId=account, Name="back", Bucket="photos")
        == told
    )
    theirs = cloud.client("s3control", credential=other)
    stranger = other.principal.account
    assert (
        refusal(theirs.create_access_point, AccountId=stranger, Name="back", Bucket="photos")
        == told
    )
    theirs.create_access_point(
        AccountId=stranger, Name="back", Bucket="photos", BucketAccountId=account
    )


@pytest.mark.parametrize("name", ["xn-_test-alias", "Abc", "abc-"])
def test_a_name_that_breaks_the_rules_is_refused(
    name: str, s3: Any, client: Any, account: str
) -> None:
    unchecked = client("s3control", config=Config(parameter_validation=False))
    with pytest.raises(ClientError) as caught:
        unchecked.create_access_point(AccountId=account, Name=name, Bucket="photos")
    error = caught.value.response["Error"]
    assert (error["Code"], error["URI"]) == ("InvalidURI", f"accesspoint/{name}")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_what_is_not_blocked_is_said_when_the_point_is_made(
    s3: Any, control: Any, account: str
) -> None:
    control.create_access_point(
        AccountId=account,
        Name="open",
        Bucket="photos",
        PublicAccessBlockConfiguration={"BlockPublicAcls": True},
    )
    found = control.get_access_point(AccountId=account, Name="open")
    said = found["PublicAccessBlockConfiguration"]
    assert said == dict.fromkeys(BLOCKS, False) | {"BlockPublicAcls": True}


def test_points_are_listed_by_name_of_one_bucket_or_all_a_page_at_a_time(
    s3: Any, control: Any, account: str
) -> None:
    s3.create_bucket(Bucket="films")
    names = ["alpha", "beta1", "gamma", "delta"]
    for at, name in enumerate(names):
        bucket = ("photos", "films")[at % 2]
        control.create_access_point(AccountId=account, Name=name, Bucket=bucket)

    def listed(**more: Any) -> list[list[str]]:
        pages, token = [], {}
        while True:
            page = control.list_access_points(AccountId=account, **more, **token)
            pages.append([each["Name"] for each in page["AccessPointList"]])
            if "NextToken" not in page:
                return pages
            token = {"NextToken": page["NextToken"]}

    assert listed() == [sorted(names)]
    assert listed(MaxResults=3) == [["alpha", "beta1", "delta"], ["gamma"]]
    assert listed(Bucket="films", MaxResults=1) == [["beta1"], ["delta"]]
    assert listed(Bucket="nothing") == [[]]


def test_a_policy_is_put_found_and_deleted(
    point: Any, control: Any, account: str, refusal: Any
) -> None:
    at = {"AccountId": account, "Name": "front"}
    assert refusal(control.get_access_point_policy, **at)[0] == "NoSuchAccessPointPolicy"
    text = policy(point["AccessPointArn"], {"AWS": f"arn:aws:iam::{account}:root"})
    control.put_access_point_policy(**at, Policy=text)
    assert json.loads(control.get_access_point_policy(**at)["Policy"]) == json.loads(text)
    assert control.get_access_point_policy_status(**at)["PolicyStatus"] == {"IsPublic": False}
    for _ in range(2):
        control.delete_access_point_policy(**at)
    assert refusal(control.get_access_point_policy, **at)[0] == "NoSuchAccessPointPolicy"


def test_a_policy_speaks_of_its_point_alone(
    point: Any, control: Any, account: str, refusal: Any
) -> None:
    for arn in (f"{point['AccessPointArn']}2", "arn:aws:s3:::photos"):
        said = refusal(
            control.put_access_point_policy, AccountId=account, Name="front", Policy=policy(arn)
        )
        assert said == ("MalformedPolicy", "Policy has invalid resource")


def test_a_policy_that_lets_the_public_in_is_refused_where_that_is_blocked(
    point: Any, control: Any, account: str, refusal: Any
) -> None:
    code, text = refusal(
        control.put_access_point_policy,
        AccountId=account,
        Name="front",
        Policy=policy(point["AccessPointArn"]),
    )
    assert code == "AccessDenied"
    assert "BlockPublicPolicy" in text


def test_a_point_for_a_vpc_is_never_public(s3: Any, control: Any, account: str) -> None:
    at = {"AccountId": account, "Name": "inner"}
    made = control.create_access_point(**at, Bucket="photos", VpcConfiguration={"VpcId": "vpc-1"})
    control.put_access_point_policy(**at, Policy=policy(made["AccessPointArn"]))
    assert control.get_access_point_policy_status(**at)["PolicyStatus"] == {"IsPublic": False}
    found = control.get_access_point(**at)
    assert (found["NetworkOrigin"], found["VpcConfiguration"]) == ("VPC", {"VpcId": "vpc-1"})


def test_a_bucket_with_points_of_its_own_account_is_not_deleted(
    point: Any, control: Any, s3: Any, account: str, refusal: Any, limited: Any
) -> None:
    s3.delete_object(Bucket="photos", Key="k")
    assert refusal(s3.delete_bucket, Bucket="photos")[0] == "BucketHasAccessPointsAttached"
    assert refusal(limited().delete_bucket, Bucket="photos")[0] == "AccessDenied"
    control.delete_access_point(AccountId=account, Name="front")
    s3.delete_bucket(Bucket="photos")


def test_a_point_does_not_lead_to_a_later_bucket_of_the_same_name(
    s3: Any, account: str, other: Any, cloud: Cloud, refusal: Any
) -> None:
    theirs = cloud.client("s3control", credential=other)
    arn = theirs.create_access_point(
        AccountId=other.principal.account, Name="back", Bucket="photos", BucketAccountId=account
    )["AccessPointArn"]
    s3.delete_object(Bucket="photos", Key="k")
    s3.delete_bucket(Bucket="photos")
    mine = cloud.client("s3", credential=other)
    mine.create_bucket(Bucket="photos")
    assert refusal(mine.put_object, Bucket=arn, Key="k", Body=b"y")[0] == "NoSuchBucket"
    mine.put_object(Bucket="photos", Key="k", Body=b"y")


def test_nobody_acts_for_another_account(
    point: Any, control: Any, other: Any, cloud: Cloud, account: str, refusal: Any
) -> None:
    theirs = cloud.client("s3control", credential=other)
    for call in (theirs.get_access_point, theirs.delete_access_point):
        assert refusal(call, AccountId=account, Name="front") == ("AccessDenied", "Access Denied")
    assert refusal(theirs.list_access_points, AccountId=account)[0] == "AccessDenied"


@pytest.mark.parametrize("cloud", [{"s3.access_points_max": 1}], indirect=True)
def test_there_are_no_more_points_than_there_may_be(
    point: Any, control: Any, account: str, refusal: Any
) -> None:
    make = control.create_access_point
    more = {"AccountId": account, "Name": "back", "Bucket": "photos"}
    assert refusal(make, **more)[0] == "TooManyAccessPoints"
    control.delete_access_point(AccountId=account, Name="front")
    make(**more)


def test_a_bucket_may_have_the_name_that_paths_of_s3_control_begin_with(s3: Any) -> None:
    s3.create_bucket(Bucket="v20180820")
    s3.put_object(Bucket="v20180820", Key="accesspoint/front", Body=b"z")
    assert s3.get_object(Bucket="v20180820", Key="accesspoint/front")["Body"].read() == b"z"
    listed = s3.list_objects_v2(Bucket="v20180820")
    assert [each["Key"] for each in listed["Contents"]] == ["accesspoint/front"]
