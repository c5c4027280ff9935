"""Names of access points, where requests have them, and what their policies may speak of.

Source: Amazon S3 User Guide, "Access points restrictions and limitations", "Referencing access points".
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.base.errors import NotBuilt
from fogbank.contract.action import Access, through
from fogbank.services.s3.errors import InvalidURI
from fogbank.services.s3.rules.points import (
    PointName,
    alias_of,
    check_name,
    is_of,
    name_of,
    named,
    point_of,
    put_resource,
)
from fogbank.services.s3.schema import AccessBlock, PointRecord

ARN = "arn:aws:s3:eu-west-1:111122223333:accesspoint/front"
FRONT = PointName("111122223333", "eu-west-1", "front")
RECORD = PointRecord(
    bucket="photos",
    bucket_id=b"\1",
    bucket_account="444455556666",
    created_ms=0,
    alias="front-a-s3alias",
)


@pytest.mark.parametrize("name", ["abc", "a-1", "0" * 50, "xn" + "a"])
def test_names_of_lower_case_letters_digits_and_hyphens_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 51, "Abc", "a_c", "a.c", "-ab", "ab-", "abc-s3alias", "abc--ol-s3", "abc--xa-s3"],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidURI):
        check_name(name)


def test_an_alias_is_a_name_that_a_bucket_could_have() -> None:
    assert alias_of("front", "r" * 34) == f"front-{'r' * 34}-s3alias"
    long = alias_of("a" * 19 + "-" + "b" * 30, "r" * 34)
    assert long == f"{'a' * 19}-{'r' * 34}-s3alias"
    assert len(alias_of("a" * 50, "r" * 34)) == 63


def test_requests_name_points_by_arn_by_alias_and_by_host() -> None:
    assert named({"Bucket": "photos", "CopySource": "photos/a:b@c-s3alias"}) == {}
    assert named({"Bucket": "x-s3alias"}) == {"Bucket": "x-s3alias"}
    assert named({"Bucket": "front-111122223333@eu-west-1"}).keys() == {"Bucket"}
    quoted = ARN.replace(":", "%3A")
    for source in (f"{ARN}/object/a%20b", f"/{quoted}/object/a%20b"):
        assert named({"Bucket": "photos", "CopySource": source}) == {"CopySource": ARN}
    assert named({"CopySource": "x-s3alias/k"}) == {"CopySource": "x-s3alias"}


def test_a_request_names_the_bucket_in_the_end() -> None:
    point = point_of(FRONT, RECORD, None, by_alias=False)
    wire = {"Bucket": ARN, "CopySource": f"{ARN}/object/a%20b/object/c?versionId=null"}
    put_resource(wire, "Bucket", point)
    put_resource(wire, "CopySource", point)
    assert wire == {"Bucket": "photos", "CopySource": "photos/a%20b/object/c?versionId=null"}
    wire = {"Bucket": "front-111122223333@eu-west-1", "CopySource": "x-s3alias/a"}
    put_resource(wire, "Bucket", None)
    put_resource(wire, "CopySource", point)
    assert wire == {"Bucket": "front-111122223333", "CopySource": "photos/a"}


def test_a_point_goes_by_its_arn_in_both_spellings_and_by_its_host() -> None:
    assert name_of(ARN) == name_of(ARN.replace("/", ":")) == FRONT
    hosted = name_of("front-111122223333@eu-west-1")
    assert hosted == FRONT._replace(bucket="front-111122223333")
    assert name_of("front-a-s3alias") is None


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap",
        "arn:aws:s3-outposts:us-east-1:111122223333:outpost/op-1/accesspoint/front",
        "arn:aws:s3:us-east-1:111122223333:bucket/photos",
    ],
)
def test_arns_of_other_kinds_are_not_built(arn: str) -> None:
    with pytest.raises(NotBuilt):
        name_of(arn)


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (ARN, True),
        (f"{ARN}/object/*", True),
        (f"{ARN}/object/a/b", True),
        ("arn:aws:s3:*:111122223333:accesspoint/fr*/object/k", True),
        ("*", True),
        ("arn:aws:s3:::photos/*", False),
        (f"{ARN}2/object/*", False),
        ("arn:aws:s3:eu-west-1:444455556666:accesspoint/front", False),
    ],
)
def test_a_policy_speaks_of_its_own_point(resource: str, said: bool) -> None:
    assert is_of(resource, FRONT) is said


def statements(**changes: Any) -> list[dict[str, Any]]:
    """Return what a point says, by the names of its statements."""
    account = changes.pop("account", None)
    values = {name: getattr(RECORD, name) for name in RECORD.__struct_fields__} | changes
    said = point_of(FRONT, PointRecord(**values), account, by_alias=False).said
    return json.loads(said)["Statement"] if said else []


def test_a_public_policy_lets_in_the_account_and_services_alone_where_that_is_restricted() -> None:
    policy = '{"Version":"2012-10-17","Statement":{"Effect":"Allow"}}'
    nothing = AccessBlock(block_acls=False, ignore_acls=False, block_policy=False, restrict=False)
    assert statements() == []
    assert len(statements(policy=policy)) == 2 - 1
    assert len(statements(policy=policy, policy_public=True, block=nothing)) == 1
    for more in ({"block": AccessBlock()}, {"block": nothing, "account": AccessBlock()}):
        public = statements(policy=policy, policy_public=True, **more)
        assert [each.get("Sid") for each in public] == [None, "RestrictPublicBuckets"]


def test_a_point_for_a_vpc_says_so() -> None:
    (said,) = statements(vpc="vpc-1")
    assert said["Effect"] == "Deny"
    assert said["Condition"] == {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}


def test_what_goes_through_a_point_is_decided_there_and_at_the_bucket() -> None:
    point = point_of(FRONT, RECORD, None, by_alias=False)
    inside = Access("s3:GetObject", "arn:aws:s3:::photos/a")
    at_point, at_bucket = through([point], inside)
    assert at_point == inside._replace(resource=f"{ARN}/object/a", point=point)
    assert at_bucket == inside._replace(point=point)
    bucket = Access("s3:ListBucket", "arn:aws:s3:::photos")
    assert [each.resource for each in through([point], bucket)] == [ARN, bucket.resource]
    for elsewhere in ("arn:aws:s3:::photos2/a", "*"):
        asked = inside._replace(resource=elsewhere)
        assert through([point], asked) == [asked]
