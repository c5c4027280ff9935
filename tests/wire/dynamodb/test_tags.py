"""Tags of tables: Developer Guide, "Adding tags and labels to resources in DynamoDB".

Messages as AWS gives them to its own controllers for Kubernetes (see ``rules/resources``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.schema import TAGS
from fogbank.testing.cloud import Cloud

Refusal = tuple[int, str, str]
INVALID = "One or more parameter values were invalid: "
TOO_MANY = "Number of Tags exceed the current limit for the provided ResourceArn"
KEYS: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def numbered(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"Key": f"k{number:03}", "Value": ""} for number in range(first, first + count)]


@pytest.fixture
def arn(cloud: Cloud, make_table: Callable[..., None]) -> str:
    """Return the ARN of a table."""
    make_table()
    return arn_of(cloud)


def arn_of(cloud: Cloud, resource: str = "table/tab", region: str = "us-east-1") -> str:
    return f"arn:aws:dynamodb:{region}:{cloud.account.principal.account}:{resource}"


@pytest.fixture
def unchecked(cloud: Cloud) -> Any:
    """Return a client that sends what its model forbids."""
    return cloud.client("dynamodb", config=Config(parameter_validation=False))


@pytest.fixture
def user(cloud: Cloud) -> Callable[..., Any]:
    """Return a client of a new user who may do what one statement says."""

    def made(name: str, actions: list[str], **condition: Any) -> Any:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition}
        keys = cloud.create_user(name, {"Version": "2012-10-17", "Statement": statement})
        return cloud.client("dynamodb", credential=keys)

    return made


def test_tags_are_put_replaced_listed_and_taken_away(dynamodb: Any, arn: str) -> None:
    dynamodb.tag_resource(ResourceArn=arn, Tags=pairs(team="red", cost="1"))
    dynamodb.tag_resource(ResourceArn=arn, Tags=pairs(team="blue", more=""))
    listed = dynamodb.list_tags_of_resource(ResourceArn=arn)
    assert listed["Tags"] == pairs(cost="1", more="", team="blue")
    assert "NextToken" not in listed
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["more", "none"])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == pairs(cost="1", team="blue")


def test_a_table_is_created_with_tags_and_takes_them_with_it(cloud: Cloud, dynamodb: Any) -> None:
    arn = arn_of(cloud)
    dynamodb.create_table(TableName="tab", Tags=pairs(team="red"), **KEYS)
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == pairs(team="red")
    dynamodb.delete_table(TableName="tab")
    prefix = TAGS.prefix(Domain("dynamodb", cloud.account.principal.account, "us-east-1"))
    assert not any(key.startswith(prefix) for key in cloud.engine.rows.irange())
    dynamodb.create_table(TableName="tab", Tags=[], **KEYS)
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == []


def test_a_table_whose_tags_are_refused_is_not_created(dynamodb: Any, refusal: Any) -> None:
    said = refusal(dynamodb.create_table, TableName="tab", Tags=numbered(51), **KEYS)
    assert said == (400, "ValidationException", TOO_MANY)
    assert dynamodb.list_tables()["TableNames"] == []


@pytest.mark.parametrize("cloud", [{"dynamodb.tags_max": 120}], indirect=True)
def test_more_tags_than_a_page_has_are_listed_in_pages(dynamodb: Any, arn: str) -> None:
    dynamodb.tag_resource(ResourceArn=arn, Tags=numbered(60))
    dynamodb.tag_resource(ResourceArn=arn, Tags=numbered(60, first=60))
    pages = list(dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn))
    assert [len(page["Tags"]) for page in pages] == [50, 50, 20]
    assert [tag for page in pages for tag in page["Tags"]] == numbered(120)


def test_a_table_has_fifty_tags_at_the_most(dynamodb: Any, arn: str, refusal: Any) -> None:
    dynamodb.tag_resource(ResourceArn=arn, Tags=numbered(50))
    dynamodb.tag_resource(ResourceArn=arn, Tags=numbered(30))
    said = refusal(dynamodb.tag_resource, ResourceArn=arn, Tags=numbered(1, first=50))
    assert said == (400, "ValidationException", TOO_MANY)
    keys = [tag["Key"] for tag in numbered(51)]
    said = refusal(dynamodb.untag_resource, ResourceArn=arn, TagKeys=keys)
    assert said == (400, "ValidationException", TOO_MANY)
    assert len(dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]) == 50


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ({"Key": "k" * 129, "Value": "x"}, "The Tag Key provided is invalid, Key: " + "k" * 129),
        ({"Key": "", "Value": "x"}, "The Tag Key provided is invalid, Key: "),
        ({"Value": "x"}, "The Tag Key provided is invalid, Key: null"),
        ({"Key": "a,b", "Value": "x"}, "The Tag Key provided is invalid, Key: a,b"),
        (
            {"Key": "k", "Value": "v" * 257},
            "The Tag Value provided is invalid, Value: " + "v" * 257,
        ),
        ({"Key": "k", "Value": "100%"}, "The Tag Value provided is invalid, Value: 100%"),
        ({"Key": "k"}, "The Tag Value provided is invalid, Value: null"),
        ({"Key": "aws:k", "Value": "x"}, "Tag Key cannot be prefixed with aws:, Key: aws:k"),
        (
            {"Key": "good", "Value": "again"},
            "Duplicate Tag Keys provided as input: Duplicate Tag Key found good",
        ),
    ],
)
def test_one_tag_that_cannot_be_refuses_them_all(
    unchecked: Any, arn: str, refusal: Any, tag: Any, words: str
) -> None:
    said = refusal(unchecked.tag_resource, ResourceArn=arn, Tags=[*pairs(good="x"), tag])
    assert said == (400, "ValidationException", words)
    assert unchecked.list_tags_of_resource(ResourceArn=arn)["Tags"] == []


def test_tags_have_the_letters_and_spaces_of_every_script(dynamodb: Any, arn: str) -> None:
    tags = pairs(**{"ключ": "café 表", "k" * 128: "א" * 256, " ": "a+b-c=d.e_f:g/h@i\u3000"})
    dynamodb.tag_resource(ResourceArn=arn, Tags=tags)
    listed = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert sorted(listed, key=str) == sorted(tags, key=str)


def test_nothing_is_no_change(dynamodb: Any, arn: str, refusal: Any) -> None:
    said = refusal(dynamodb.tag_resource, ResourceArn=arn, Tags=[])
    assert said[2] == "Atleast one Tag needs to be provided as Input."
    said = refusal(dynamodb.untag_resource, ResourceArn=arn, TagKeys=[])
    assert said[2] == "Atleast one Tag Key needs to be provided as Input."


@pytest.mark.parametrize(
    ("form", "code", "words"),
    [
        ("tab", "ValidationException", INVALID + "ARNs must start with 'arn:': {}"),
        ("arn:x", "ValidationException", INVALID + "Second colon partition not found: {}"),
        ("arn:x:y", "ValidationException", INVALID + "Third colon vendor not found: {}"),
        (
            "arn:aws:dynamodb:us-east-1:1",
            "ValidationException",
            INVALID + "Fifth colon (namespace/relative-id delimiter) not found: {}",
        ),
        (
            "arn:aws:s3:::tab",
            "ValidationException",
            INVALID + "Provided Arn is not a DynamoDB resource arn: {}",
        ),
        (
            "{other}",
            "ValidationException",
            "Invalid TableArn: Invalid ResourceArn provided as input {}",
        ),
        (
            "{table}/index/some",
            "ValidationException",
            INVALID
            + "Invalid resource arn provided, only table or stream is accepted."
            + " Provided resource arn: {}",
        ),
        (
            "{table}/stream/2026-10-09T00:29:04.041",
            "ResourceNotFoundException",
            "Requested resource not found: ResourceArn: {} not found",
        ),
        (
            "{table}x",
            "ResourceNotFoundException",
            "Requested resource not found: ResourceArn: {} not found",
        ),
    ],
)
def test_only_a_table_of_here_has_tags(
    cloud: Cloud, dynamodb: Any, arn: str, refusal: Any, form: str, code: str, words: str
) -> None:
    named = form.format(table=arn, other=arn_of(cloud, region="eu-central-1"))
    expected = (400, code, words.format(named))
    assert refusal(dynamodb.list_tags_of_resource, ResourceArn=named) == expected
    assert refusal(dynamodb.tag_resource, ResourceArn=named, Tags=pairs(a="1")) == expected
    assert refusal(dynamodb.untag_resource, ResourceArn=named, TagKeys=["a"]) == expected


def test_policies_may_speak_of_the_tags_of_a_table(
    dynamodb: Any, arn: str, make_table: Any, user: Any, refusal: Any
) -> None:
    """Source: Developer Guide, "Attribute-based access control with DynamoDB"."""
    make_table("other")
    dynamodb.tag_resource(ResourceArn=arn, Tags=pairs(team="red"))
    red = user("red", ["dynamodb:PutItem"], StringEquals={"aws:ResourceTag/team": "red"})
    red.put_item(TableName="tab", Item={"p": {"S": "x"}})
    said = refusal(red.put_item, TableName="other", Item={"p": {"S": "x"}})
    assert said[1] == "AccessDeniedException"
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"])
    said = refusal(red.put_item, TableName="tab", Item={"p": {"S": "x"}})
    assert said[1] == "AccessDeniedException"


def test_policies_may_speak_of_the_tags_that_a_request_gives_or_takes(
    arn: str, user: Any, refusal: Any
) -> None:
    actions = ["dynamodb:CreateTable", "dynamodb:TagResource"]
    red = user("red", actions, StringEquals={"aws:RequestTag/team": "red"})
    red.create_table(TableName="own", Tags=pairs(team="red"), **KEYS)
    red.tag_resource(ResourceArn=arn, Tags=pairs(team="red"))
    for call, given in (
        (red.create_table, {"TableName": "more", "Tags": pairs(team="blue"), **KEYS}),
        (red.create_table, {"TableName": "more", **KEYS}),
        (red.tag_resource, {"ResourceArn": arn, "Tags": pairs(team="blue")}),
    ):
        assert refusal(call, **given)[1] == "AccessDeniedException"
    taker = user(
        "taker",
        ["dynamodb:UntagResource"],
        **{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}},
    )
    said = refusal(taker.untag_resource, ResourceArn=arn, TagKeys=["team", "cost"])
    assert said[1] == "AccessDeniedException"
    taker.untag_resource(ResourceArn=arn, TagKeys=["team"])


def test_tags_at_birth_need_leave_to_tag(user: Any, refusal: Any) -> None:
    maker = user("half", ["dynamodb:CreateTable"])
    said = refusal(maker.create_table, TableName="tab", Tags=pairs(a="1"), **KEYS)
    assert said[1] == "AccessDeniedException"
    assert "dynamodb:TagResource" in said[2]
    maker.create_table(TableName="tab", **KEYS)
