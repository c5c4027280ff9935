from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def arn(create: Any) -> str:
    return create(Tags={"team": "blue", "stage": "test"})["FunctionArn"]


def test_tags_are_put_replaced_and_removed(functions: Any, arn: str) -> None:
    functions.tag_resource(Resource=arn, Tags={"stage": "live", "cost": "7"})
    tags = functions.list_tags(Resource=arn)["Tags"]
    assert tags == {"team": "blue", "stage": "live", "cost": "7"}
    functions.untag_resource(Resource=arn, TagKeys=["team", "cost", "never"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"stage": "live"}
    assert functions.get_function(FunctionName=arn)["Tags"] == {"stage": "live"}


def test_tags_change_the_revision_and_nothing_else(functions: Any, arn: str) -> None:
    before = functions.get_function_configuration(FunctionName=arn)
    functions.tag_resource(Resource=arn, Tags={"a": "b"})
    after = functions.get_function_configuration(FunctionName=arn)
    assert before.pop("RevisionId") != after.pop("RevisionId")
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert before == after


def test_a_function_has_at_most_fifty_tags(functions: Any, arn: str, refusal: Any) -> None:
    functions.tag_resource(Resource=arn, Tags={f"k{number}": "" for number in range(48)})
    code, message = refusal(functions.tag_resource, Resource=arn, Tags={"one": "more"})
    assert (code, message) == (
        "InvalidParameterValueException",
        "Number of tags exceeds resource tag limit.",
    )
    functions.tag_resource(Resource=arn, Tags={"k1": "replaced"})
    assert len(functions.list_tags(Resource=arn)["Tags"]) == 50


@pytest.mark.parametrize(
    ("arn_ending", "code", "message"),
    [
        (
            "function:missing",
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:{account}:function:missing",
        ),
        (
            "function:f:$LATEST",
            "InvalidParameterValueException",
            (
                "Tags on function aliases and versions are not supported. Please specify a function "
                "ARN."
            ),
        ),
        (
            "event-source-mapping:00000000-0000-0000-0000-000000000000",
            "ResourceNotFoundException",
            (
                "The resource you requested does not exist. (Event source mapping:"
                " 00000000-0000-0000-0000-000000000000)"
            ),
        ),
    ],
)
def test_only_what_stands_has_tags(
    arn_ending: str, code: str, message: str, functions: Any, account: str, refusal: Any
) -> None:
    arn = f"arn:aws:lambda:us-east-1:{account}:{arn_ending}"
    for call, more in (
        (functions.list_tags, {}),
        (functions.tag_resource, {"Tags": {"a": "b"}}),
        (functions.untag_resource, {"TagKeys": ["a"]}),
    ):
        assert refusal(call, Resource=arn, **more) == (code, message.format(account=account))


def test_who_may_tag_can_depend_on_the_keys_and_on_the_tags(
    user: Any, arn: str, refusal: Any
) -> None:
    allowed = {
        "Effect": "Allow",
        "Action": ["lambda:TagResource", "lambda:UntagResource"],
        "Resource": arn,
        "Condition": {
            "ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]},
            "StringEquals": {"aws:ResourceTag/team": "blue"},
        },
    }
    tagger = user("tagger", allowed)
    tagger.tag_resource(Resource=arn, Tags={"stage": "live"})
    tagger.untag_resource(Resource=arn, TagKeys=["stage"])
    for call, more in (
        (tagger.tag_resource, {"Tags": {"team": "red"}}),
        (tagger.untag_resource, {"TagKeys": ["team"]}),
        (tagger.list_tags, {}),
    ):
        assert refusal(call, Resource=arn, **more)[0] == "AccessDeniedException"


@pytest.mark.parametrize("key", ["aws:team", "AWS:x", "Aws:"])
def test_keys_that_aws_keeps_for_itself_are_refused(
    functions: Any, create: Any, arn: str, refusal: Any, key: str
) -> None:
    """Tagging AWS Resources User Guide, "Tag naming limits and requirements"."""
    reserved = (
        "InvalidParameterValueException",
        "aws: prefixed tag key names are not allowed for external use.",
    )
    assert refusal(functions.tag_resource, Resource=arn, Tags={"a": "b", key: "x"}) == reserved
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "blue", "stage": "test"}
    assert refusal(create, FunctionName="g", Tags={key: "x"}) == reserved
    assert refusal(functions.get_function, FunctionName="g")[0] == "ResourceNotFoundException"
    functions.tag_resource(Resource=arn, Tags={"awsome": "x", "my:aws:": "y"})


def test_mappings_bear_tags_by_which_policies_decide(
    source: Any, functions: Any, account: str, user: Any, refusal: Any, function: Any, told: Any
) -> None:
    uuid = source(Tags={"team": "blue"})
    before = told(uuid)
    arn = before["EventSourceMappingArn"]
    functions.tag_resource(Resource=arn, Tags={"stage": "live"})
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "blue", "stage": "live"}
    functions.untag_resource(Resource=arn, TagKeys=["stage", "never"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "blue"}
    del before["ResponseMetadata"]
    assert before.items() <= told(uuid).items(), "tags change nothing of a mapping"
    assert refusal(functions.tag_resource, Resource=arn, Tags={"aws:x": "y"})[0] == (
        "InvalidParameterValueException"
    )

    def tagged(team: str) -> dict[str, Any]:
        some = {"StringEquals": {"aws:ResourceTag/team": team}}
        return {"Effect": "Allow", "Action": "lambda:*", "Resource": "*", "Condition": some}

    assert user("blue", tagged("blue")).get_event_source_mapping(UUID=uuid)["UUID"] == uuid
    red = user("red", tagged("red"))
    assert refusal(red.get_event_source_mapping, UUID=uuid)[0] == "AccessDeniedException"
    gone = f"{arn[:-12]}{'0' * 12}"
    assert refusal(functions.list_tags, Resource=gone)[0] == "ResourceNotFoundException"
    elsewhere = arn.replace("us-east-1", "eu-central-1")
    assert refusal(functions.list_tags, Resource=elsewhere)[0] == "ResourceNotFoundException"
    makes = {"Effect": "Allow", "Action": "lambda:CreateEventSourceMapping", "Resource": "*"}
    asked = {"FunctionName": "f", "EventSourceArn": before["EventSourceArn"]}
    refused = refusal(
        user("maker", makes).create_event_source_mapping,
        **asked,
        StartingPosition="LATEST",
        Tags={"a": "b"},
    )
    assert refused[0] == "AccessDeniedException"
    assert "lambda:TagResource" in refused[1]
