"""Requests that come through access points: both the point and the bucket must allow them.

Source: Amazon S3 User Guide, "Configuring IAM policies for using access points", "Access point
compatibility", "Referencing access points", "Creating access points restricted to a virtual private
cloud", "Managing public access to access points".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.config import Config
from tests.wire.s3control.asking import ask, get

from fogbank.testing.cloud import Cloud

DENIED = ("AccessDenied", "Access Denied")
BUCKET = ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]


def allow(action: Any, *resources: str, **more: Any) -> dict[str, Any]:
    said = {"Effect": "Allow", "Action": action, "Resource": list(resources) or "*"}
    return {**said, **more}


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def delegate(s3: Any, **condition: Any) -> None:
    """Let a bucket's points decide, as AWS's page has it."""
    said = allow("*", *BUCKET, Principal={"AWS": "*"}, Condition={"StringEquals": condition})
    s3.put_bucket_policy(Bucket="photos", Policy=document(said))


@pytest.fixture(params=["arn", "alias"])
def name(request: pytest.FixtureRequest, point: Any) -> str:
    """Return the point as requests may name it."""
    return point["AccessPointArn"] if request.param == "arn" else point["Alias"]


def test_objects_are_read_written_listed_copied_and_removed(name: str, s3: Any) -> None:
    s3.put_object(Bucket=name, Key="a/b c", Body=b"y")
    assert s3.get_object(Bucket="photos", Key="a/b c")["Body"].read() == b"y"
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"x"
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert keys == ["a/b c", "k"]
    s3.copy_object(Bucket=name, Key="n", CopySource={"Bucket": name, "Key": "a/b c"})
    s3.copy_object(Bucket="photos", Key="m", CopySource={"Bucket": name, "Key": "a/b c"})
    s3.put_object_tagging(Bucket=name, Key="m", Tagging={"TagSet": [{"Key": "t", "Value": "1"}]})
    assert s3.get_object_tagging(Bucket="photos", Key="m")["TagSet"] == [{"Key": "t", "Value": "1"}]
    gone = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "n"}, {"Key": "m"}]})
    assert [each["Key"] for each in gone["Deleted"]] == ["n", "m"]
    s3.delete_object(Bucket=name, Key="a/b c")
    assert [each["Key"] for each in s3.list_objects(Bucket="photos")["Contents"]] == ["k"]


def test_uploads_in_parts_answer_the_bucket_and_never_the_point(name: str, s3: Any) -> None:
    begun = s3.create_multipart_upload(Bucket=name, Key="big")
    assert begun["Bucket"] == "photos"
    at = {"Bucket": name, "Key": "big", "UploadId": begun["UploadId"]}
    part = s3.upload_part(**at, PartNumber=1, Body=b"1")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    done = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts})
    assert done["Bucket"] == "photos"
    assert s3.head_object(Bucket="photos", Key="big")["ContentLength"] == 1


def test_the_head_of_a_bucket_says_whether_it_was_asked_by_an_alias(point: Any, s3: Any) -> None:
    said = [
        s3.head_bucket(Bucket=each)["AccessPointAlias"]
        for each in ("photos", point["AccessPointArn"], point["Alias"])
    ]
    assert said == [False, False, True]


def test_a_presigned_url_leads_through_a_point(
    name: str, s3: Any, client: Any, cloud: Cloud
) -> None:
    signing = client("s3", config=Config(signature_version="s3v4"))
    url = signing.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"})
    assert get(cloud, url) == (200, b"x")


def test_what_is_of_the_bucket_itself_is_not_served(point: Any, s3: Any, refusal: Any) -> None:
    told = ("MethodNotAllowed", "The specified method is not allowed against this resource.")
    for call in (s3.get_bucket_versioning, s3.get_bucket_tagging, s3.delete_bucket):
        assert refusal(call, Bucket=point["Alias"]) == told
    s3.get_bucket_location(Bucket=point["Alias"])
    s3.get_bucket_acl(Bucket=point["AccessPointArn"])


def test_a_user_needs_leave_at_the_point_and_at_the_bucket(
    name: str, point: Any, limited: Any, refusal: Any
) -> None:
    arn = f"{point['AccessPointArn']}/object/k"
    at = {"Bucket": name, "Key": "k"}
    for resources in ([arn], ["arn:aws:s3:::photos/k"]):
        assert refusal(limited(allow("s3:GetObject", *resources)).get_object, **at)[0] == (
            "AccessDenied"
        )
    both = limited(allow("s3:GetObject", arn, "arn:aws:s3:::photos/k"))
    assert both.get_object(**at)["Body"].read() == b"x"
    assert refusal(both.get_object, Bucket=name, Key="l")[0] == "AccessDenied"
    assert refusal(both.list_objects_v2, Bucket=name)[0] == "AccessDenied"
    lists = limited(allow("s3:ListBucket", point["AccessPointArn"], "arn:aws:s3:::photos"))
    assert lists.list_objects_v2(Bucket=name)["KeyCount"] == 1


def test_who_was_let_in_at_the_bucket_before_needs_leave_at_the_point_all_the_same(
    name: str, limited: Any, refusal: Any
) -> None:
    jane = limited(allow("s3:GetObject", "arn:aws:s3:::photos/k"))
    for _ in range(2):  # what was decided is remembered
        assert jane.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"
    assert refusal(jane.get_object, Bucket=name, Key="k")[0] == "AccessDenied"


def test_a_bucket_leaves_it_to_the_points_of_an_account(
    name: str, point: Any, s3: Any, control: Any, account: str, limited: Any, refusal: Any
) -> None:
    jane = limited()
    user = {"AWS": f"arn:aws:iam::{account}:user/user0"}
    said = allow("s3:GetObject", f"{point['AccessPointArn']}/object/*", Principal=user)
    control.put_access_point_policy(AccountId=account, Name="front", Policy=document(said))
    at = {"Bucket": name, "Key": "k"}
    assert refusal(jane.get_object, **at)[0] == "AccessDenied"
    delegate(s3, **{"s3:DataAccessPointAccount": account})
    assert jane.get_object(**at)["Body"].read() == b"x"
    assert refusal(jane.get_object, Bucket="photos", Key="k")[0] == "AccessDenied"
    assert refusal(jane.put_object, **at, Body=b"")[0] == "AccessDenied"
    control.delete_access_point_policy(AccountId=account, Name="front")
    assert refusal(jane.get_object, **at)[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("s3:DataAccessPointArn", "arn:aws:s3:us-east-1:{account}:accesspoint/front"),
        ("s3:DataAccessPointAccount", "{account}"),
        ("s3:AccessPointNetworkOrigin", "Internet"),
    ],
)
def test_policies_read_through_which_point_a_request_comes(
    key: str, value: str, point: Any, s3: Any, account: str, refusal: Any
) -> None:
    said = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::photos/*",
        "Condition": {"StringNotEquals": {key: value.format(account=account)}},
    }
    s3.put_bucket_policy(Bucket="photos", Policy=document(said))
    assert refusal(s3.get_object, Bucket="photos", Key="k")[0] == "AccessDenied"
    assert s3.get_object(Bucket=point["AccessPointArn"], Key="k")["Body"].read() == b"x"
    said["Condition"] = {"StringEquals": {key: value.format(account=account)}}
    s3.put_bucket_policy(Bucket="photos", Policy=document(said))
    assert refusal(s3.get_object, Bucket=point["AccessPointArn"], Key="k")[0] == "AccessDenied"
    assert s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"


def test_a_policy_of_a_point_may_take_away(
    name: str, point: Any, s3: Any, control: Any, account: str, refusal: Any
) -> None:
    said = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{point['AccessPointArn']}/object/*",
    }
    control.put_access_point_policy(AccountId=account, Name="front", Policy=document(said))
    assert refusal(s3.get_object, Bucket=name, Key="k")[0] == "AccessDenied"
    assert s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"
    copy = {"Bucket": "photos", "Key": "c", "CopySource": {"Bucket": name, "Key": "k"}}
    assert refusal(s3.copy_object, **copy)[0] == "AccessDenied"


def test_a_point_of_another_account_is_let_in_by_the_bucket(
    s3: Any, account: str, other: Any, cloud: Cloud, refusal: Any
) -> None:
    stranger = other.principal.account
    theirs = cloud.client("s3control", credential=other)
    arn = theirs.create_access_point(
        AccountId=stranger, Name="back", Bucket="photos", BucketAccountId=account
    )["AccessPointArn"]
    mine = cloud.client("s3", credential=other)
    assert refusal(mine.get_object, Bucket=arn, Key="k") == DENIED
    delegate(s3, **{"s3:DataAccessPointAccount": stranger})
    assert mine.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"
    assert refusal(mine.get_object, Bucket="photos", Key="k") == DENIED
    assert refusal(s3.get_object, Bucket=arn, Key="k") == DENIED  # it is not the bucket's account's


def test_nobody_comes_through_a_point_for_a_vpc_from_elsewhere(
    s3: Any, control: Any, account: str, refusal: Any
) -> None:
    arn = control.create_access_point(
        AccountId=account, Name="inner", Bucket="photos", VpcConfiguration={"VpcId": "vpc-1"}
    )["AccessPointArn"]
    assert refusal(s3.get_object, Bucket=arn, Key="k")[0] == "AccessDenied"
    assert s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"


def open_point(control: Any, account: str, **block: bool) -> str:
    """Make a point that lets everybody read; return its ARN."""
    at = {"AccountId": account, "Name": "open"}
    nothing = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
        False,
    )
    arn: str = control.create_access_point(
        **at, Bucket="photos", PublicAccessBlockConfiguration={**nothing, **block}
    )["AccessPointArn"]
    said = allow("s3:GetObject", f"{arn}/object/*", Principal="*")
    control.put_access_point_policy(**at, Policy=document(said))
    return arn


def test_the_public_comes_through_where_point_bucket_and_account_let_it(
    s3: Any, control: Any, account: str, anonymous: Any, refusal: Any
) -> None:
    s3.delete_public_access_block(Bucket="photos")
    delegate(s3, **{"s3:DataAccessPointAccount": account})
    arn = open_point(control, account)
    status = control.get_access_point_policy_status(AccountId=account, Name="open")
    assert status["PolicyStatus"] == {"IsPublic": True}
    assert anonymous.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"
    assert refusal(anonymous.get_object, Bucket="photos", Key="k") == DENIED
    control.put_public_access_block(
        AccountId=account, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    assert refusal(anonymous.get_object, Bucket=arn, Key="k") == DENIED
    assert s3.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"


def test_a_point_restricts_its_own_policy_too(
    s3: Any, control: Any, account: str, anonymous: Any, refusal: Any
) -> None:
    s3.delete_public_access_block(Bucket="photos")
    delegate(s3, **{"s3:DataAccessPointAccount": account})
    arn = open_point(control, account, RestrictPublicBuckets=True)
    assert refusal(anonymous.get_object, Bucket=arn, Key="k") == DENIED


def test_a_point_blocks_lists_that_let_the_public_in_and_ignores_those_there_are(
    client: Any, s3: Any, control: Any, account: str, anonymous: Any, refusal: Any
) -> None:
    s3.delete_public_access_block(Bucket="photos")
    ownership = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket="photos", OwnershipControls=ownership)
    s3.put_object_acl(Bucket="photos", Key="k", ACL="public-read")
    assert anonymous.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"
    heeding = open_point(control, account, BlockPublicAcls=True)
    assert anonymous.get_object(Bucket=heeding, Key="k")["Body"].read() == b"x"
    code, _ = refusal(s3.put_object_acl, Bucket=heeding, Key="k", ACL="public-read")
    assert code == "AccessDenied"
    code, _ = refusal(s3.put_object, Bucket=heeding, Key="l", Body=b"", ACL="public-read")
    assert code == "AccessDenied"
    control.delete_access_point(AccountId=account, Name="open")
    deaf = open_point(control, account, IgnorePublicAcls=True)
    assert refusal(anonymous.get_object, Bucket=deaf, Key="k") == DENIED
    assert anonymous.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"


def test_an_endpoint_of_our_own_takes_points_by_arn(
    point: Any, client: Any, s3: Any, account: str, other: Any, cloud: Cloud, refusal: Any
) -> None:
    """An SDK puts ``front-ACCOUNT.`` before the endpoint that it was told, whatever that is."""
    arn = point["AccessPointArn"]
    for host in ("localhost:4566", "127.0.0.1:4566"):
        through = client("s3", host=host)
        assert through.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"
    rival = f"front-{account}"
    # A bucket of the same name in another account draws nothing to itself.
    theirs = cloud.client("s3", credential=other)
    theirs.create_bucket(Bucket=rival)
    local = client("s3", host="localhost:4566")
    assert local.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"
    theirs.delete_bucket(Bucket=rival)
    # One of the account itself is the older meaning of such a host.
    s3.create_bucket(Bucket=rival)
    s3.put_object(Bucket=rival, Key="k", Body=b"bucket")
    style = Config(s3={"addressing_style": "virtual"})
    virtual = client("s3", host="localhost:4566", config=style)
    assert virtual.get_object(Bucket=rival, Key="k")["Body"].read() == b"bucket"
    elsewhere = client("s3", host="s3-accesspoint.us-east-1.localhost:4566")
    assert elsewhere.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"


def test_s3_control_is_asked_under_any_endpoint(client: Any, point: Any, account: str) -> None:
    for host in (
        "localhost:4566",
        "127.0.0.1:4566",
        "s3-control.us-east-1.localhost:4566",
        "s3-control.us-east-1.amazonaws.com",
        "balancer.example",
    ):
        control = client("s3control", host=host)
        assert control.get_access_point(AccountId=account, Name="front")["Bucket"] == "photos"


def test_rules_about_web_pages_are_the_buckets(point: Any, s3: Any, cloud: Cloud) -> None:
    rule = {"AllowedOrigins": ["https://a.example"], "AllowedMethods": ["GET"]}
    s3.put_bucket_cors(Bucket="photos", CORSConfiguration={"CORSRules": [rule]})
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    host = point["AccessPointArn"].split(":")[4]
    for url in (
        f"https://front-{host}.s3-accesspoint.us-east-1.amazonaws.com/k",
        f"https://{point['Alias']}.s3.us-east-1.amazonaws.com/k",
    ):
        assert ask(cloud, "OPTIONS", url, headers)[0] == 200
