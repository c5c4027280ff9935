"""Environments that stand ready before anybody asks.

Words as recorded by LocalStack's validated ``TestLambdaProvisionedConcurrency``.
"""

from __future__ import annotations

from typing import Any

import pytest

INVALID = "InvalidParameterValueException"
GONE = "ResourceNotFoundException"
CONFLICT = "ResourceConflictException"
TYPE = """
import os
def handler(event, context):
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.function_version]
"""
TRIES_MAX = 500
KEYS = tuple(
    f"{each}ProvisionedConcurrentExecutions" for each in ("Requested", "Available", "Allocated")
)


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:lambda:us-east-1:{account}:function:f"


@pytest.fixture
def provision(functions: Any) -> Any:
    def provision(*, count: int = 1, qualifier: str = "1", name: str = "f") -> Any:
        return functions.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
        )

    return provision


@pytest.fixture
def stands(functions: Any, cloud: Any) -> Any:
    """Return what tells the status of a configuration once it had time."""

    def stands(qualifier: str = "1") -> Any:
        named = {"FunctionName": "f", "Qualifier": qualifier}
        cloud.advance(2_000)
        found = {}
        # Starts run in threads, of which virtual time knows nothing.
        for _ in range(TRIES_MAX):
            cloud.settle()
            found = functions.get_provisioned_concurrency_config(**named)
            if found["Status"] != "IN_PROGRESS":
                break
        return (found["Status"], *(found[key] for key in KEYS))

    return stands


def test_environments_stand_ready_and_are_used_first(
    create: Any, provision: Any, stands: Any, invoke: Any, cloud: Any, functions: Any
) -> None:
    create(TYPE, Publish=True)
    told = provision(count=2)
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (told["Status"], *(told[key] for key in KEYS)) == ("IN_PROGRESS", 2, 0, 0)
    assert stands() == ("READY", 2, 2, 2)
    placement = cloud.app.parts.functions
    assert (placement.environments, placement.cold_starts) == (2, 2)
    reply = invoke({}, Qualifier="1", LogType="Tail")
    assert reply["Payload"] == ["provisioned-concurrency", "1"]
    assert invoke({})["Payload"] == ["on-demand", "$LATEST"]
    assert placement.cold_starts == 3
    cloud.advance(600_000)  # idle ones end, those that are to stand ready do not
    assert placement.environments == 2
    assert stands() == ("READY", 2, 2, 2)


def test_one_that_ends_is_replaced(create: Any, provision: Any, stands: Any, cloud: Any) -> None:
    create(TYPE, Publish=True)
    provision()
    assert stands() == ("READY", 1, 1, 1)
    (stack,) = cloud.app.parts.functions._pool._ready.values()
    cloud.run(stack[0].sandbox.close())
    assert stands() == ("READY", 1, 1, 1)
    assert cloud.app.parts.functions.cold_starts == 2
    cloud.advance(3_600_000)  # the credentials of the role end
    assert stands() == ("READY", 1, 1, 1)
    assert cloud.app.parts.functions.cold_starts == 3


def test_more_and_fewer_are_wanted_and_none(
    create: Any, provision: Any, stands: Any, functions: Any, cloud: Any, refusal: Any
) -> None:
    create(TYPE, Publish=True)
    for count in (3, 1):
        provision(count=count)
        assert stands() == ("READY", count, count, count)
        assert cloud.app.parts.functions.environments == count
    named = {"FunctionName": "f", "Qualifier": "1"}
    functions.delete_provisioned_concurrency_config(**named)
    cloud.advance(5_000)
    assert cloud.app.parts.functions.environments == 0
    assert refusal(functions.get_provisioned_concurrency_config, **named) == (
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    )
    functions.delete_provisioned_concurrency_config(**named)
    listed = functions.list_provisioned_concurrency_configs(FunctionName="f")
    assert listed["ProvisionedConcurrencyConfigs"] == []


def test_an_alias_takes_what_stands_ready_along(
    create: Any, provision: Any, stands: Any, functions: Any, invoke: Any, cloud: Any, arn: str
) -> None:
    create(TYPE, Publish=True)
    functions.update_function_configuration(FunctionName="f", Timeout=9)
    functions.publish_version(FunctionName="f")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    provision(qualifier="live")
    assert stands("live") == ("READY", 1, 1, 1)
    functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert stands("live") == ("READY", 1, 1, 1)
    assert cloud.app.parts.functions.environments == 1
    assert invoke({}, Qualifier="live")["Payload"] == ["provisioned-concurrency", "2"]
    (listed,) = functions.list_provisioned_concurrency_configs(FunctionName="f")[
        "ProvisionedConcurrencyConfigs"
    ]
    assert (listed["FunctionArn"], listed["Status"]) == (f"{arn}:live", "READY")
    functions.delete_alias(FunctionName="f", Name="live")
    cloud.advance(5_000)
    assert cloud.app.parts.functions.environments == 0


def test_a_version_that_cannot_start_says_so(
    create: Any, provision: Any, functions: Any, cloud: Any
) -> None:
    create("raise ValueError('as told')", Publish=True)
    provision()
    cloud.advance(2_000)
    cloud.settle()
    found = functions.get_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    assert found["Status"] == "FAILED"
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE: ValueError"


def test_what_is_provisioned_is_taken_from_what_all_share_or_from_what_is_reserved(
    create: Any, provision: Any, functions: Any, refusal: Any, cloud: Any
) -> None:
    def left() -> Any:
        limits = functions.get_account_settings()["AccountLimit"]
        return limits["UnreservedConcurrentExecutions"]

    create(TYPE, Publish=True)
    code, words = refusal(provision, count=1_001)
    assert (code, words) == (
        INVALID,
        (
            "Specified ConcurrentExecutions for function is greater than account's unreserved "
            "concurrency [1000]."
        ),
    )
    code, words = refusal(provision, count=901)
    assert words == (
        "Specified ConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [100]."
    )
    provision(count=2)
    assert left() == 998
    reserve = functions.put_function_concurrency
    code, words = refusal(reserve, FunctionName="f", ReservedConcurrentExecutions=1)
    assert (code, words) == (
        INVALID,
        (
            " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned "
            "concurrency [2]."
        ),
    )
    reserve(FunctionName="f", ReservedConcurrentExecutions=5)
    assert left() == 995
    code, words = refusal(provision, count=6)
    assert (code, words) == (
        INVALID,
        (
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function"
        ),
    )
    functions.delete_function_concurrency(FunctionName="f")
    assert left() == 998
    functions.delete_function(FunctionName="f")
    assert left() == 1_000
    cloud.advance(5_000)
    assert cloud.app.parts.functions.environments == 0


def test_what_cannot_be_provisioned_is_refused(
    create: Any, provision: Any, functions: Any, refusal: Any, arn: str
) -> None:
    create(TYPE, Publish=True)
    unpublished = (
        INVALID,
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
    )
    assert refusal(provision, qualifier="$LATEST") == unpublished
    assert refusal(provision, qualifier="10") == (GONE, f"Function not found: {arn}:10")
    assert refusal(provision, qualifier="no") == (GONE, f"Cannot find alias arn: {arn}:no")
    none = arn.removesuffix("f") + "none"
    assert refusal(provision, name="none") == (GONE, f"Function not found: {none}:1")
    assert refusal(provision, name="none", qualifier="no") == (
        GONE,
        f"Cannot find alias arn: {none}:no",
    )
    for call in ("get", "delete"):
        function = getattr(functions, f"{call}_provisioned_concurrency_config")
        assert refusal(function, FunctionName="f", Qualifier="$LATEST") == (
            INVALID,
            "The function resource provided must be an alias or a published version.",
        )
    functions.create_alias(FunctionName="f", Name="last", FunctionVersion="$LATEST")
    assert refusal(provision, qualifier="last") == unpublished


def test_no_version_is_provisioned_twice(
    create: Any, provision: Any, functions: Any, refusal: Any
) -> None:
    create(TYPE, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    twice = (
        CONFLICT,
        (
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
            "version"
        ),
    )
    provision()
    assert refusal(provision, qualifier="live") == twice
    functions.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    provision(qualifier="live")
    assert refusal(provision) == (
        CONFLICT,
        "Version is pointed by a Provisioned Concurrency alias",
    )
    functions.update_function_configuration(FunctionName="f", Timeout=9)
    functions.publish_version(FunctionName="f")
    provision(qualifier="2")
    update = {"FunctionName": "f", "Name": "live"}
    assert refusal(functions.update_alias, **update, FunctionVersion="2") == twice
    assert refusal(functions.update_alias, **update, FunctionVersion="$LATEST")[0] == INVALID
