"""Concurrency that is reserved for functions, and what is left for the others.

Words and numbers as recorded by LocalStack's validated ``TestLambdaReservedConcurrency``; the reason
of a refusal from the API Reference, Invoke, ``TooManyRequestsException``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

INVALID = "InvalidParameterValueException"
GONE = "ResourceNotFoundException"
ONE = "def handler(event, context): return 1"
LEAST = "decreases account's UnreservedConcurrentExecution below its minimum value of [100]."


@pytest.fixture
def reserve(functions: Any) -> Any:
    def reserve(*, count: int, name: str = "f") -> Any:
        return functions.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=count
        )

    return reserve


@pytest.fixture
def left(functions: Any) -> Any:
    """Return what tells how much functions without a reservation have."""

    def left() -> Any:
        limits = functions.get_account_settings()["AccountLimit"]
        assert limits["ConcurrentExecutions"] == 1_000
        return limits["UnreservedConcurrentExecutions"]

    return left


def reason_of(functions: Any, **request: Any) -> str:
    """Return why an invocation is throttled; '' if it is not."""
    try:
        functions.invoke(**{"FunctionName": "f", **request})
    except ClientError as error:
        refused: Any = error.response
    else:
        return ""
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert refused["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    return str(refused["Reason"])


def test_what_is_reserved_is_told_and_taken_from_what_all_share(
    create: Any, functions: Any, reserve: Any, left: Any
) -> None:
    for name in "fg":
        create(ONE, FunctionName=name)
    assert functions.get_function_concurrency(FunctionName="f").keys() == {"ResponseMetadata"}
    assert reserve(count=0)["ReservedConcurrentExecutions"] == 0
    assert reserve(count=30)["ReservedConcurrentExecutions"] == 30
    assert reserve(count=50, name="g")
    assert left() == 920
    found = functions.get_function_concurrency(FunctionName="f")
    assert found["ReservedConcurrentExecutions"] == 30
    told = functions.get_function(FunctionName="f")["Concurrency"]
    assert told == {"ReservedConcurrentExecutions": 30}
    functions.delete_function_concurrency(FunctionName="f")
    functions.delete_function_concurrency(FunctionName="f")
    assert "Concurrency" not in functions.get_function(FunctionName="f")
    assert left() == 950
    functions.delete_function(FunctionName="g")
    assert left() == 1_000


def test_a_hundred_stay_for_the_others(
    create: Any, functions: Any, reserve: Any, refusal: Any
) -> None:
    for name in "fg":
        create(ONE, FunctionName=name)
    words = f"Specified ReservedConcurrentExecutions for function {LEAST}"
    assert refusal(reserve, count=901) == (INVALID, words)
    reserve(count=900)
    reserve(count=900)  # what it had is given back first
    assert refusal(reserve, count=1, name="g") == (INVALID, words)
    reserve(count=0, name="g")


def test_only_functions_have_reservations(
    create: Any, functions: Any, reserve: Any, refusal: Any, account: str
) -> None:
    create(ONE, Publish=True)
    code, words = refusal(reserve, count=1, name="f:1")
    assert code == INVALID
    assert words.startswith("This operation is permitted on Lambda functions only.")
    arn = f"arn:aws:lambda:us-east-1:{account}:function:none"
    assert refusal(reserve, count=1, name="none") == (GONE, f"Function not found: {arn}:$LATEST")
    functions.update_function_configuration(FunctionName="f", Timeout=9)
    reserve(count=5)
    functions.publish_version(FunctionName="f")
    assert functions.get_function(FunctionName="f", Qualifier="2")["Concurrency"]


def test_nothing_reserved_means_nothing_runs(
    create: Any, functions: Any, reserve: Any, cloud: Any, lines: Any
) -> None:
    create("def handler(event, context): print('ran')", Publish=True)
    reserve(count=0)
    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert reason_of(functions) == reason
    assert reason_of(functions, Qualifier="1") == reason
    functions.delete_function_concurrency(FunctionName="f")
    assert reason_of(functions) == ""
    assert "ran\n" in lines()


@pytest.mark.slow
def test_a_reservation_bounds_all_versions_together_and_leaves_the_others_alone(
    create: Any, functions: Any, reserve: Any, cloud: Any
) -> None:
    """One invocation of a version is held until the others were refused."""
    create(
        "import time\ndef handler(event, context):\n    time.sleep(event)",
        Publish=True,
        Timeout=60,
    )
    create(ONE, FunctionName="g")
    reserve(count=1)
    placement = cloud.app.parts.functions
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(functions.invoke, FunctionName="f", Qualifier="1", Payload=b"2")
        while not placement.outcomes.total() and not placement._pool._running:
            pass
        assert reason_of(functions, Payload=b"0") == (
            "ReservedFunctionConcurrentInvocationLimitExceeded"
        )
        assert reason_of(functions, FunctionName="g") == ""
        assert held.result(30)["StatusCode"] == 200
    assert reason_of(functions, Payload=b"0") == ""
    assert not placement._pool._running
    assert not placement._pool._busy


@pytest.mark.parametrize("cloud", [{"lambda.concurrent_executions_max": 10}], indirect=True)
def test_what_is_reserved_is_missing_where_all_share(
    create: Any, functions: Any, cloud: Any, account: str
) -> None:
    create(ONE)
    pool = cloud.app.parts.functions._pool
    pool._busy[account, "us-east-1"] = 10
    assert reason_of(functions) == "ConcurrentInvocationLimitExceeded"
    pool._busy[account, "us-east-1"] = 9
    assert reason_of(functions) == ""
    del pool._busy[account, "us-east-1"]
