"""Aliases: what they point to, and what they share between two versions.

Answers and words as recorded by LocalStack's validated ``TestLambdaAlias``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

INVALID = "InvalidParameterValueException"
GONE = "ResourceNotFoundException"
INCLUDED = "is already included in routing configuration."
SAY = "def handler(event, context): print('ran', context.function_version)"


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:lambda:us-east-1:{account}:function:f"


@pytest.fixture
def two(create: Any, functions: Any) -> None:
    """Make a function with two versions."""
    create(SAY, Publish=True)
    functions.update_function_configuration(FunctionName="f", Timeout=5)
    functions.publish_version(FunctionName="f")


@pytest.fixture
def alias(functions: Any, two: None) -> Any:
    """Return what makes an alias of the first version."""

    def make(name: str = "live", weights: Any = None, **changes: Any) -> Any:
        if weights is not None:
            changes["RoutingConfig"] = {"AdditionalVersionWeights": weights}
        return functions.create_alias(
            **{"FunctionName": "f", "Name": name, "FunctionVersion": "1", **changes}
        )

    return make


def test_an_alias_is_told_as_it_was_made_and_changed(alias: Any, functions: Any, arn: str) -> None:
    made = alias(weights={"2": 0.2}, Description="d")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    expected = {
        "AliasArn": f"{arn}:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "d",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
        "RevisionId": made["RevisionId"],
    }
    assert {key: made[key] for key in expected} == expected
    found = functions.get_alias(FunctionName="f", Name="live")
    assert {key: found[key] for key in expected} == expected
    told = functions.get_function(FunctionName="f", Qualifier="live")["Configuration"]
    assert (told["FunctionArn"], told["Version"]) == (f"{arn}:live", "1")
    assert functions.get_function_configuration(FunctionName=f"{arn}:live")["Version"] == "1"
    changed = functions.update_alias(
        FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {}}
    )
    assert "RoutingConfig" not in changed
    assert changed["Description"] == "d"
    again = functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert again["RevisionId"] != changed["RevisionId"] != made["RevisionId"]
    assert functions.get_function(FunctionName="f:live")["Configuration"]["Version"] == "2"


def test_aliases_are_listed_of_a_function_and_of_a_version(alias: Any, functions: Any) -> None:
    for name, version in (("b", "1"), ("a", "2"), ("2026-01-02", "1")):
        alias(name, FunctionVersion=version)
    pages = functions.get_paginator("list_aliases").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 1}
    )
    assert [each["Name"] for page in pages for each in page["Aliases"]] == ["2026-01-02", "a", "b"]
    of_first = functions.list_aliases(FunctionName="f", FunctionVersion="1")["Aliases"]
    assert [each["Name"] for each in of_first] == ["2026-01-02", "b"]
    functions.delete_alias(FunctionName="f", Name="b")
    functions.delete_alias(FunctionName="f", Name="b")  # AWS: no error
    assert len(functions.list_aliases(FunctionName="f")["Aliases"]) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"weights": {"1": 0.8, "2": 0.2}},
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            {"weights": {"1": 0.5}},
            f"Invalid function version 1. Function version 1 {INCLUDED}",
        ),
        (
            {"weights": {"1": 0.5}, "FunctionVersion": "$LATEST"},
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(
    alias: Any, refusal: Any, changes: Any, words: str
) -> None:
    assert refusal(alias, **changes) == (INVALID, words)


def test_a_change_of_the_first_version_is_held_against_the_second(
    alias: Any, functions: Any, refusal: Any
) -> None:
    alias(weights={"2": 0.5})
    update = {"FunctionName": "f", "Name": "live"}
    assert refusal(functions.update_alias, **update, FunctionVersion="2")[0] == INVALID
    assert refusal(functions.update_alias, **update, FunctionVersion="$LATEST")[0] == INVALID
    assert refusal(functions.update_alias, **update, RevisionId="x")[0] == (
        "PreconditionFailedException"
    )


def test_what_is_not_there_is_named(alias: Any, functions: Any, refusal: Any, arn: str) -> None:
    for changes in ({"FunctionVersion": "10"}, {"weights": {"10": 0.5}}):
        assert refusal(alias, **changes) == (GONE, f"Function not found: {arn}:10")
    assert refusal(alias, FunctionName="g") == (
        GONE,
        f"Function not found: {arn[:-1]}g:1",
    )
    of_none = {"FunctionName": "f", "Name": "none"}
    assert refusal(functions.get_alias, **of_none) == (GONE, f"Cannot find alias arn: {arn}:none")
    assert refusal(functions.update_alias, **of_none) == (GONE, f"Alias not found: {arn}:none")
    assert refusal(functions.get_function, FunctionName="f", Qualifier="none") == (
        GONE,
        f"Function not found: {arn}:none",
    )
    alias()
    assert refusal(alias) == ("ResourceConflictException", f"Alias already exists: {arn}:live")


@pytest.mark.parametrize("cloud", [{"lambda.aliases_max": 1}], indirect=True)
def test_aliases_are_bounded(alias: Any, refusal: Any) -> None:
    alias()
    assert refusal(alias, name="other")[0] == "AliasLimitExceededException"


def test_two_versions_share_the_invocations_of_an_alias(
    alias: Any, functions: Any, invoke: Any, arn: str
) -> None:
    alias(weights={"2": 0.3})
    ran = Counter(invoke({}, FunctionName=f"{arn}:live")["ExecutedVersion"] for _ in range(200))
    assert 30 < ran["2"] < 90
    assert ran["1"] == 200 - ran["2"]
    update = {"FunctionName": "f", "Name": "live"}
    for weight, version in ((0.0, "1"), (1.0, "2")):
        functions.update_alias(**update, RoutingConfig={"AdditionalVersionWeights": {"2": weight}})
        assert {invoke({}, Qualifier="live")["ExecutedVersion"] for _ in range(10)} == {version}


def test_an_event_runs_what_the_alias_points_to_by_then(
    alias: Any, functions: Any, cloud: Any, lines: Any, refusal: Any
) -> None:
    alias(weights={"2": 1.0})
    event = {"FunctionName": "f", "Qualifier": "live", "InvocationType": "Event"}
    functions.invoke(**event)
    cloud.settle()
    assert [line for line in lines() if line.startswith("ran")] == ["ran 2\n"]
    assert refusal(functions.invoke, **{**event, "Qualifier": "none"})[0] == GONE


def test_a_service_reaches_an_alias_by_the_policy_of_the_alias(
    alias: Any, functions: Any, cloud: Any, lines: Any, account: str
) -> None:
    arn = alias()["AliasArn"]
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="photos")
    let_in = {
        "StatementId": "photos",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::photos",
        "SourceAccount": account,
    }
    functions.add_permission(FunctionName="f", Qualifier="live", **let_in)
    target = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="photos", NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
    )
    s3.put_object(Bucket="photos", Key="a", Body=b"x")
    cloud.settle()
    assert [line for line in lines() if line.startswith("ran")] == ["ran 1\n"]
    functions.remove_permission(FunctionName="f", Qualifier="live", StatementId="photos")
    functions.add_permission(FunctionName="f", **let_in)
    s3.put_object(Bucket="photos", Key="b", Body=b"x")
    cloud.settle()
    assert len([line for line in lines() if line.startswith("ran")]) == 1


def test_a_mapping_invokes_an_alias(
    functions: Any, create: Any, make_role: Any, function: Any, stream: str, put: Any, cloud: Any
) -> None:
    role = make_role(
        *("reader", "dynamodb:DescribeStream", "dynamodb:GetRecords"),
        *("dynamodb:GetShardIterator", "dynamodb:ListStreams"),
    )
    create(Role=role, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    ran: list[str] = []
    plain = function.run

    async def run(target: Any, *given: Any, **more: Any) -> Any:
        ran.append(target.version)
        return await plain(target, *given, **more)

    cloud.app.parts.functions.run = run
    asked = {"EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON"}
    made = functions.create_event_source_mapping(FunctionName="f:live", **asked)
    assert made["FunctionArn"].endswith(":f:live")
    functions.create_event_source_mapping(FunctionName="f", **asked, Enabled=False)
    of_alias = functions.list_event_source_mappings(FunctionName="f:live")
    assert [each["UUID"] for each in of_alias["EventSourceMappings"]] == [made["UUID"]]
    assert len(functions.list_event_source_mappings(FunctionName="f")["EventSourceMappings"]) == 2
    put(1)
    cloud.advance(2_000)
    assert ran == ["1"]
