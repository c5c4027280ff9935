"""Tags of buckets by S3 Control, and requests that they decide: attribute-based access control.

Source: Amazon S3 User Guide, "Using tags with S3 general purpose buckets", "Enabling ABAC in general
purpose buckets"; API Reference, PutBucketAbac, TagResource, UntagResource, ListTagsForResource.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.s3control.test_through_points import allow, document

PHOTOS = "arn:aws:s3:::photos"
OBJECT = {"Bucket": "photos", "Key": "k"}


def enable(s3: Any, status: str = "Enabled") -> None:
    s3.put_bucket_abac(Bucket="photos", AbacStatus={"Status": status})


def tag(control: Any, account: str, **given: str) -> None:
    tags = [{"Key": key, "Value": value} for key, value in given.items()]
    control.tag_resource(AccountId=account, ResourceArn=PHOTOS, Tags=tags)


def tags_of(control: Any, account: str) -> dict[str, str]:
    found = control.list_tags_for_resource(AccountId=account, ResourceArn=PHOTOS)["Tags"]
    return {each["Key"]: each["Value"] for each in found}


def test_tags_are_given_changed_and_taken_a_key_at_a_time(
    s3: Any, control: Any, account: str
) -> None:
    assert tags_of(control, account) == {}
    tag(control, account, team="blue", stage="test")
    tag(control, account, stage="live", b="")
    assert tags_of(control, account) == {"b": "", "stage": "live", "team": "blue"}
    said = s3.get_bucket_tagging(Bucket="photos")["TagSet"]
    assert {each["Key"]: each["Value"] for each in said} == tags_of(control, account)
    control.untag_resource(AccountId=account, ResourceArn=PHOTOS, TagKeys=["stage", "none"])
    assert tags_of(control, account) == {"b": "", "team": "blue"}
    control.untag_resource(AccountId=account, ResourceArn=PHOTOS, TagKeys=["b", "team"])
    assert tags_of(control, account) == {}
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket="photos")


def test_tags_that_cannot_be_are_refused_and_none_is_given(
    s3: Any, control: Any, account: str, refusal: Any
) -> None:
    tag(control, account, **{f"k{at}": "" for at in range(49)})
    for given, code in (({"aws:x": ""}, "InvalidTag"), ({"a": "", "b": ""}, "BadRequest")):
        tags = [{"Key": key, "Value": value} for key, value in given.items()]
        named = {"AccountId": account, "ResourceArn": PHOTOS, "Tags": tags}
        assert refusal(control.tag_resource, **named)[0] == code
    assert len(tags_of(control, account)) == 49
    there = {"AccountId": account, "Tags": [{"Key": "a", "Value": ""}]}
    code = refusal(control.tag_resource, ResourceArn="arn:aws:s3:::nowhere", **there)[0]
    assert code == "NoSuchBucket"
    point = f"arn:aws:s3:us-east-1:{account}:accesspoint/front"
    assert refusal(control.tag_resource, ResourceArn=point, **there)[0] == "NotImplemented"
    foreign = {"AccountId": "1" * 12, "ResourceArn": PHOTOS}
    assert refusal(control.list_tags_for_resource, **foreign)[0] == "AccessDenied"


def test_where_tags_are_condition_keys_they_are_not_replaced(
    s3: Any, control: Any, account: str, refusal: Any
) -> None:
    tag(control, account, team="blue")
    assert s3.get_bucket_abac(Bucket="photos")["AbacStatus"] == {"Status": "Disabled"}
    enable(s3)
    assert s3.get_bucket_abac(Bucket="photos")["AbacStatus"] == {"Status": "Enabled"}
    tagging = {"TagSet": [{"Key": "team", "Value": "red"}]}
    assert refusal(s3.put_bucket_tagging, Bucket="photos", Tagging=tagging)[0] == "InvalidRequest"
    assert refusal(s3.delete_bucket_tagging, Bucket="photos")[0] == "InvalidRequest"
    tag(control, account, stage="live")
    assert tags_of(control, account) == {"stage": "live", "team": "blue"}
    enable(s3, "Disabled")
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging)
    assert tags_of(control, account) == {"team": "red"}
    wrong = {"Bucket": "photos", "AbacStatus": {"Status": "On"}}
    assert refusal(s3.put_bucket_abac, **wrong)[0] == "MalformedXML"


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "s3:BucketTag/team"])
def test_a_policy_lets_in_by_the_tags_of_the_bucket_once_they_count(
    key: str, s3: Any, control: Any, account: str, limited: Any, refusal: Any
) -> None:
    tag(control, account, team="blue")
    equals = {"StringEquals": {key: "blue"}}
    blue = limited(allow(["s3:GetObject", "s3:PutObject", "s3:ListBucket"], Condition=equals))
    assert refusal(blue.get_object, **OBJECT)[0] == "AccessDenied"
    enable(s3)
    assert blue.get_object(**OBJECT)["Body"].read() == b"x"
    blue.put_object(Bucket="photos", Key="new", Body=b"y")
    assert blue.list_objects_v2(Bucket="photos")["KeyCount"] == 2
    tag(control, account, team="red")
    for call in (blue.get_object, blue.put_object):
        assert refusal(call, **OBJECT)[0] == "AccessDenied"
    tag(control, account, team="blue")
    blue.get_object(**OBJECT)
    enable(s3, "Disabled")
    assert refusal(blue.get_object, **OBJECT)[0] == "AccessDenied"


def test_a_bucket_policy_denies_by_the_bucket_s_tags(
    s3: Any, control: Any, account: str, limited: Any, refusal: Any
) -> None:
    equals = {"StringEquals": {"aws:ResourceTag/state": "frozen"}}
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{PHOTOS}/*",
    }
    s3.put_bucket_policy(Bucket="photos", Policy=document({**denied, "Condition": equals}))
    user = limited(allow("s3:*"))
    enable(s3)
    user.put_object(**OBJECT, Body=b"y")
    tag(control, account, state="frozen")
    for caller in (user, s3):
        assert refusal(caller.put_object, **OBJECT, Body=b"z")[0] == "AccessDenied"
    assert user.get_object(**OBJECT)["Body"].read() == b"y"


def test_who_may_tag_is_told_by_the_tags_of_the_request_and_of_the_bucket(
    s3: Any, control: Any, account: str, client: Any, limited: Any, refusal: Any
) -> None:
    enable(s3)
    tag(control, account, team="blue")
    only = {"ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]}}
    own = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    stages = {"aws:RequestTag/stage": ["test", "live"], **own["StringEquals"]}
    made = limited(
        allow("s3:TagResource", PHOTOS, Condition={**only, "StringEquals": stages}),
        allow("s3:UntagResource", PHOTOS, Condition={**only, **own}),
    )
    keys = made._request_signer._credentials
    theirs = client("s3control", access_key=keys.access_key, secret_key=keys.secret_key)
    tag(theirs, account, stage="live")
    for given in ({"stage": "other"}, {"team": "red"}, {"stage": "live", "team": "red"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            tag(theirs, account, **given)
    named = {"AccountId": account, "ResourceArn": PHOTOS}
    assert refusal(theirs.untag_resource, **named, TagKeys=["team"])[0] == "AccessDenied"
    theirs.untag_resource(**named, TagKeys=["stage"])
    assert refusal(theirs.list_tags_for_resource, **named)[0] == "AccessDenied"
    tag(control, account, team="red")
    with pytest.raises(ClientError, match="AccessDenied"):
        tag(theirs, account, stage="live")
    assert tags_of(control, account) == {"team": "red"}


@pytest.mark.parametrize(
    ("key", "lets_in"),
    [
        ("s3:BucketTag/team", True),
        ("s3:ExistingObjectTag/team", True),
        # The point's own tags are meant at the point, and it has none.
        ("aws:ResourceTag/team", False),
    ],
)
def test_tags_of_bucket_and_object_count_through_an_access_point(
    key: str,
    point: Any,
    s3: Any,
    control: Any,
    account: str,
    limited: Any,
    refusal: Any,
    *,
    lets_in: bool,
) -> None:
    tag(control, account, team="blue")
    enable(s3)
    s3.put_object_tagging(**OBJECT, Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
    named = {"Bucket": point["AccessPointArn"], "Key": "k"}
    for value, may in (("blue", lets_in), ("red", False)):
        user = limited(allow("s3:GetObject", Condition={"StringEquals": {key: value}}))
        if may:
            assert user.get_object(**named)["Body"].read() == b"x"
        else:
            assert refusal(user.get_object, **named)[0] == "AccessDenied"
