"""Tags of buckets and access points by S3 Control, and requests that they decide: attribute-based access control.

Source: Amazon S3 User Guide, "Using tags with S3 general purpose buckets", "Enabling ABAC in general
purpose buckets", "Using tags with S3 Access Points for general purpose buckets"; API Reference, PutBucketAbac, TagResource, UntagResource, ListTagsForResource.
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
    assert refusal(control.tag_resource, ResourceArn=point, **there)[0] == "NoSuchAccessPoint"
    group = f"arn:aws:s3:us-east-1:{account}:storage-lens-group/x"
    assert refusal(control.tag_resource, ResourceArn=group, **there)[0] == "NotImplemented"
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
        # The point's own tags are meant at the point, and this one has none.
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


def test_an_access_point_has_tags_from_its_making_on(
    s3: Any, control: Any, account: str, refusal: Any
) -> None:
    named = {"AccountId": account, "Name": "front", "Bucket": "photos"}
    given = [{"Key": "team", "Value": "blue"}]
    code = refusal(control.create_access_point, **named, Tags=[*given, *given])[0]
    assert code == "InvalidTag"
    arn = control.create_access_point(**named, Tags=given)["AccessPointArn"]
    tagged = {"AccountId": account, "ResourceArn": arn}
    assert control.list_tags_for_resource(**tagged)["Tags"] == given
    more = [{"Key": "stage", "Value": "live"}, {"Key": "team", "Value": "red"}]
    control.tag_resource(**tagged, Tags=more)
    assert control.list_tags_for_resource(**tagged)["Tags"] == more
    control.untag_resource(**tagged, TagKeys=["team", "none"])
    assert control.list_tags_for_resource(**tagged)["Tags"] == more[:1]
    many = [{"Key": f"k{at}", "Value": ""} for at in range(50)]
    assert refusal(control.tag_resource, **tagged, Tags=many)[0] == "BadRequest"
    theirs = arn.replace(account, "1" * 12)
    for other in ({"ResourceArn": theirs}, {"AccountId": "1" * 12}):
        code = refusal(control.list_tags_for_resource, **{**tagged, **other})[0]
        assert code == "AccessDenied"
    assert tags_of(control, account) == {}


def test_tags_of_an_access_point_decide_at_the_point_and_behind_it(
    s3: Any, control: Any, point: Any, account: str, limited: Any, refusal: Any
) -> None:
    arn = point["AccessPointArn"]
    named = {"AccountId": account, "Name": "front"}
    control.tag_resource(
        AccountId=account, ResourceArn=arn, Tags=[{"Key": "team", "Value": "blue"}]
    )
    for value, may in (("blue", True), ("red", False)):
        at_point = {"StringEquals": {"aws:ResourceTag/team": value}}
        through = {"StringEquals": {"s3:AccessPointTag/team": value}}
        readers = (
            # Of the bucket "aws:ResourceTag" is the bucket's: what is behind needs leave by itself.
            limited(
                allow("s3:*", f"{arn}/object/*", arn, Condition=at_point),
                allow("s3:*", PHOTOS, f"{PHOTOS}/*"),
            ),
            limited(allow("s3:*", Condition=through)),
        )
        for reader in readers:
            if may:
                assert reader.get_object(Bucket=arn, Key="k")["Body"].read() == b"x"
            else:
                assert refusal(reader.get_object, Bucket=arn, Key="k")[0] == "AccessDenied"
        for condition in (at_point, through):
            of_control = limited(allow("s3:GetAccessPoint", Condition=condition), api="s3control")
            if may:
                assert of_control.get_access_point(**named)["Name"] == "front"
            else:
                assert refusal(of_control.get_access_point, **named)[0] == "AccessDenied"
    only = limited(allow("s3:*", Condition={"StringEquals": {"s3:AccessPointTag/team": "blue"}}))
    assert refusal(only.get_object, **OBJECT)[0] == "AccessDenied"


def test_who_makes_a_point_with_tags_may_tag_and_policies_hear_of_the_tags(
    s3: Any, account: str, limited: Any, refusal: Any
) -> None:
    named = {"AccountId": account, "Name": "front", "Bucket": "photos"}
    given = {"Tags": [{"Key": "team", "Value": "blue"}]}
    maker = limited(allow("s3:CreateAccessPoint"), api="s3control")
    assert refusal(maker.create_access_point, **named, **given)[0] == "AccessDenied"
    both = ["s3:CreateAccessPoint", "s3:TagResource"]
    for value, may in (("red", False), ("blue", True)):
        condition = {"StringEquals": {"aws:RequestTag/team": value}}
        maker = limited(allow(both, Condition=condition), api="s3control")
        if may:
            assert maker.create_access_point(**named, **given)["AccessPointArn"]
        else:
            assert refusal(maker.create_access_point, **named, **given)[0] == "AccessDenied"
