"""Published versions: what they keep, what a qualifier means, what goes with a function.

Answers and words as recorded by LocalStack's validated ``TestLambdaVersions`` and
``TestLambdaPermissions``; what deleting answers as told in pull request 2824 of floci.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.platform.store.keyspace import SERVICES

INVALID = "InvalidParameterValueException"
GONE = "ResourceNotFoundException"
STALE = "The Revision Id provided does not match the latest Revision Id. Call the "
WHO = """
import os
def handler(event, context):
    print("ran")
    return ["%s", context.function_version, context.invoked_function_arn,
            os.environ["AWS_LAMBDA_FUNCTION_VERSION"]]
"""


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:lambda:us-east-1:{account}:function:f"


@pytest.fixture
def change(functions: Any, zipped: Any) -> Any:
    """Return what gives the function other code."""

    def change(*, word: str, **more: Any) -> Any:
        return functions.update_function_code(FunctionName="f", ZipFile=zipped(WHO % word), **more)

    return change


def test_a_version_keeps_code_and_configuration(
    create: Any, functions: Any, change: Any, invoke: Any, arn: str, logs: Any, cloud: Any
) -> None:
    create(WHO % "one", Description="d", Tags={"team": "fog"})
    published = functions.publish_version(FunctionName="f", Description="first")
    assert published["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (published["Version"], published["FunctionArn"]) == ("1", f"{arn}:1")
    assert (published["Description"], published["State"]) == ("first", "Active")
    functions.get_waiter("published_version_active").wait(FunctionName="f", Qualifier="1")
    change(word="two")
    functions.update_function_configuration(FunctionName="f", Timeout=9)
    found = functions.get_function(FunctionName="f", Qualifier="1")
    assert (found["Configuration"]["Timeout"], found["Configuration"]["Version"]) == (3, "1")
    assert found["Tags"] == {"team": "fog"}
    reply = invoke({}, Qualifier="1")
    assert reply["ExecutedVersion"] == "1"
    assert reply["Payload"] == ["one", "1", f"{arn}:1", "1"]
    assert invoke({})["Payload"] == ["two", "$LATEST", arn, "$LATEST"]
    assert invoke({}, FunctionName="f:1")["ExecutedVersion"] == "1"
    cloud.advance(200)
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]
    assert {each["logStreamName"].split("[")[1].split("]")[0] for each in streams} == {
        *("$LATEST", "1"),
    }


def test_nothing_new_is_published_of_what_has_not_changed(
    create: Any, functions: Any, change: Any
) -> None:
    create(WHO % "one")
    first = functions.publish_version(FunctionName="f", Description="first")
    again = functions.publish_version(FunctionName="f", Description="again")
    for each in (first, again):
        del each["ResponseMetadata"]
    assert again == first
    functions.update_function_configuration(FunctionName="f", Description="changed")
    second = functions.publish_version(FunctionName="f")
    assert (second["Version"], second["Description"]) == ("2", "changed")
    functions.delete_function(FunctionName="f", Qualifier="2")
    assert functions.publish_version(FunctionName="f")["Version"] == "3"
    listed = functions.list_versions_by_function(FunctionName="f")["Versions"]
    assert [each["Version"] for each in listed] == ["$LATEST", "1", "3"]
    assert [each["FunctionArn"].rpartition(":")[2] for each in listed] == ["$LATEST", "1", "3"]


def test_a_version_is_published_with_creation_and_with_code(
    create: Any, functions: Any, change: Any, arn: str
) -> None:
    made = create(WHO % "one", Publish=True)
    assert (made["Version"], made["FunctionArn"], made["State"]) == ("1", arn, "Pending")
    told = change(word="two", Publish=True)
    assert (told["Version"], told["FunctionArn"], told["State"]) == ("2", f"{arn}:2", "Pending")
    first, second = (
        functions.get_function_configuration(FunctionName="f", Qualifier=each) for each in "12"
    )
    latest = functions.get_function_configuration(FunctionName="f")
    assert first["CodeSha256"] != second["CodeSha256"] == latest["CodeSha256"]
    assert latest["Version"] == "$LATEST"
    every = functions.list_functions(FunctionVersion="ALL")["Functions"]
    assert [each["Version"] for each in every] == ["$LATEST", "1", "2"]
    assert [each["Version"] for each in functions.list_functions()["Functions"]] == ["$LATEST"]
    usage = functions.get_account_settings()["AccountUsage"]
    sizes = [each["CodeSize"] for each in every]
    assert (usage["FunctionCount"], usage["TotalCodeSize"]) == (1, sum(sizes))


def test_publishing_can_name_the_code_and_the_revision(
    create: Any, functions: Any, refusal: Any
) -> None:
    made = create()
    sha256 = made["CodeSha256"]
    differs = "is different from current CodeSHA256 in $LATEST"
    again = "Please try again with the CodeSHA256 in $LATEST."
    assert refusal(functions.publish_version, FunctionName="f", CodeSha256="other") == (
        INVALID,
        f"CodeSHA256 (other) {differs} ({sha256}). {again}",
    )
    code, message = refusal(functions.publish_version, FunctionName="f", RevisionId="other")
    assert code == "PreconditionFailedException"
    assert message == f"{STALE}GetFunction/GetAlias API to retrieve the latest Revision Id"
    published = functions.publish_version(
        FunctionName="f", CodeSha256=sha256, RevisionId=made["RevisionId"]
    )
    assert published["RevisionId"] != made["RevisionId"]


def test_a_version_is_deleted_alone_unless_an_alias_points_to_it(
    create: Any, functions: Any, change: Any, refusal: Any, arn: str, cloud: Any
) -> None:
    create(WHO % "one", Publish=True)
    change(word="two", Publish=True)
    functions.create_alias(
        FunctionName="f",
        Name="live",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}},
    )
    for version in ("1", "2"):
        assert refusal(functions.delete_function, FunctionName="f", Qualifier=version) == (
            "ResourceConflictException",
            "Unable to delete version because the following aliases reference it: [live]",
        )
    assert refusal(functions.delete_function, FunctionName="f", Qualifier="live") == (
        INVALID,
        "Deletion of aliases is not currently supported.",
    )
    functions.delete_function(FunctionName="f", Qualifier="99")
    functions.delete_alias(FunctionName="f", Name="live")
    functions.delete_function(FunctionName=f"{arn}:1")
    assert refusal(functions.get_function, FunctionName="f", Qualifier="1") == (
        GONE,
        f"Function not found: {arn}:1",
    )
    assert refusal(functions.invoke, FunctionName="f", Qualifier="1")[0] == GONE
    assert functions.get_function(FunctionName="f", Qualifier="2")
    cloud.advance(60_000)
    assert len(cloud.engine.blobs._blobs) == 1  # version 2 and $LATEST have one package


def test_all_that_belongs_to_a_function_goes_with_it(
    create: Any, functions: Any, change: Any, refusal: Any, cloud: Any
) -> None:
    create(WHO % "0", Publish=True)
    for number in range(3):
        change(word=str(number + 1), Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    let_in = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    for qualifier in ("live", "2"):
        functions.add_permission(FunctionName="f", Qualifier=qualifier, StatementId="s3", **let_in)
    functions.delete_function(FunctionName="f")
    create(WHO % "other")
    assert refusal(functions.get_function, FunctionName="f", Qualifier="1")[0] == GONE
    assert functions.list_aliases(FunctionName="f")["Aliases"] == []
    assert functions.publish_version(FunctionName="f")["Version"] == "1"
    functions.delete_function(FunctionName="f")
    cloud.advance(60_000)
    assert len(cloud.engine.blobs._blobs) == 0
    rows = [key for key in cloud.engine.rows if bytes((SERVICES["lambda"],)) in key[:1]]
    assert not rows


@pytest.mark.parametrize("cloud", [{"lambda.versions_max": 2}], indirect=True)
def test_versions_are_bounded(create: Any, change: Any, functions: Any, refusal: Any) -> None:
    create(Publish=True)
    change(word="two", Publish=True)
    before = functions.get_function_configuration(FunctionName="f")
    assert refusal(change, word="three", Publish=True)[0] == "CodeStorageExceededException"
    del before["ResponseMetadata"]
    after = functions.get_function_configuration(FunctionName="f")
    assert before.items() <= after.items()
    functions.delete_function(FunctionName="f", Qualifier="1")
    assert change(word="three", Publish=True)["Version"] == "3"


def test_a_warm_version_outlives_a_change_of_the_function(
    create: Any, change: Any, functions: Any, invoke: Any, cloud: Any
) -> None:
    create(WHO % "one", Publish=True)
    invoke({}, Qualifier="1")
    started = cloud.app.parts.functions.cold_starts
    change(word="two")
    invoke({}, Qualifier="1")
    assert cloud.app.parts.functions.cold_starts == started
    functions.delete_function(FunctionName="f", Qualifier="1")
    assert cloud.app.parts.functions.environments == 0


def test_each_version_and_alias_has_a_policy_of_its_own(
    create: Any, functions: Any, refusal: Any, arn: str
) -> None:
    create(Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    let_in = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}

    def add(*, qualifier: str, **more: Any) -> Any:
        return functions.add_permission(
            FunctionName="f", Qualifier=qualifier, StatementId="s3", **let_in, **more
        )

    def revision(qualifier: str) -> Any:
        return functions.get_policy(FunctionName="f", Qualifier=qualifier)["RevisionId"]

    for qualifier in ("1", "live"):
        resource = json.loads(add(qualifier=qualifier)["Statement"])["Resource"]
        assert resource == f"{arn}:{qualifier}"
    assert refusal(functions.get_policy, FunctionName="f") == (
        GONE,
        "The resource you requested does not exist.",
    )
    assert refusal(functions.get_policy, FunctionName="none") == (
        GONE,
        "The resource you requested does not exist.",
    )
    alias = functions.get_alias(FunctionName="f", Name="live")
    version = functions.get_function_configuration(FunctionName="f", Qualifier="1")
    assert revision("live") == alias["RevisionId"]
    assert revision("1") == version["RevisionId"]
    for qualifier, words in (("live", "GetPolicy"), ("1", "GetFunction/GetAlias")):
        assert refusal(add, qualifier=qualifier, RevisionId="other") == (
            "PreconditionFailedException",
            f"{STALE}{words} API to retrieve the latest Revision Id",
        )
    assert refusal(add, qualifier="42") == (GONE, f"Function not found: {arn}:42")
    assert refusal(add, qualifier="none") == (GONE, f"Cannot find alias arn: {arn}:none")
    functions.remove_permission(FunctionName="f", Qualifier="live", StatementId="s3")
    assert refusal(functions.get_policy, FunctionName="f", Qualifier="live")[0] == GONE
    assert functions.get_policy(FunctionName="f", Qualifier="1")


def test_who_may_invoke_an_alias_may_not_invoke_the_function(
    create: Any, functions: Any, cloud: Any, refusal: Any, arn: str
) -> None:
    create(Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    stranger = cloud.run(cloud.app.identity.create_account("stranger"))
    functions.add_permission(
        FunctionName="f",
        Qualifier="live",
        StatementId="other",
        Action="lambda:InvokeFunction",
        Principal=stranger.principal.account,
    )
    client = cloud.client("lambda", credential=stranger)
    assert client.invoke(FunctionName=f"{arn}:live")["ExecutedVersion"] == "1"
    for ending in ("", ":1", ":$LATEST"):
        code, _ = refusal(client.invoke, FunctionName=arn + ending)
        assert code == "AccessDeniedException"
