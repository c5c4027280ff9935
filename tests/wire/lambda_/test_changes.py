from __future__ import annotations

from typing import Any

from fogbank.testing.cloud import Cloud

INVALID = "InvalidParameterValueException"


def blobs_of(cloud: Cloud) -> int:
    """Return how many large values there are."""
    return len(cloud.run(cloud.engine.blobs.list(None, 1_000)))


def test_a_changed_role_must_trust_lambda_too(
    functions: Any, create: Any, make_role: Any, refusal: Any, role: str
) -> None:
    create()
    other = make_role("other", trusted="ec2.amazonaws.com")
    words = "The role defined for the function cannot be assumed by Lambda."
    changed = functions.update_function_configuration
    assert refusal(changed, FunctionName="f", Role=other) == (INVALID, words)
    assert functions.get_function_configuration(FunctionName="f")["Role"] == role


def test_a_deleted_function_leaves_no_environment(
    cloud: Cloud, functions: Any, create: Any, invoke: Any
) -> None:
    create()
    invoke({})
    placement: Any = cloud.app.parts.functions
    assert placement.environments == 1
    functions.delete_function(FunctionName="f")
    cloud.settle()
    assert placement.environments == 0


def test_the_code_of_a_refused_function_is_not_kept(
    cloud: Cloud, create: Any, refusal: Any
) -> None:
    create()
    cloud.settle()
    before = blobs_of(cloud)
    assert refusal(create)[0] == "ResourceConflictException"
    cloud.settle()
    assert blobs_of(cloud) == before
