"""Loops of functions are seen and stopped.

Source: Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops"; answers as
recorded by LocalStack's validated ``TestLambdaRecursion``.
"""

from __future__ import annotations

from typing import Any

import pytest

SOME = {"lambda.recursive_invocations_max": 3}
TRACE = "import os\ndef handler(event, context): return os.environ.get('_X_AMZN_TRACE_ID')"
PING = "def handler(event, context): print('ran')"


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:lambda:us-east-1:{account}:function:f"


@pytest.fixture
def loop(create: Any, functions: Any, make_role: Any, cloud: Any, arn: str) -> Any:
    """Return what has two functions tell each other of every event, and sends the first."""

    def begin() -> None:
        role = make_role("teller", "logs:*", "lambda:InvokeFunction")
        for name in "fg":
            create(PING, FunctionName=name, Role=role)
        for name, other in ("fg", "gf"):
            functions.put_function_event_invoke_config(
                FunctionName=name,
                DestinationConfig={"OnSuccess": {"Destination": arn[:-1] + other}},
            )
        functions.invoke(FunctionName="f", InvocationType="Event")
        cloud.settle()

    return begin


def test_whether_loops_are_stopped_is_told(create: Any, functions: Any) -> None:
    create(PING)
    assert functions.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == (
        "Terminate"
    )
    for chosen in ("Allow", "Terminate"):
        told = functions.put_function_recursion_config(FunctionName="f", RecursiveLoop=chosen)
        found = functions.get_function_recursion_config(FunctionName="f")
        assert told["RecursiveLoop"] == found["RecursiveLoop"] == chosen


@pytest.mark.parametrize("cloud", [SOME], indirect=True)
def test_functions_that_tell_each_other_are_stopped(loop: Any, lines: Any, cloud: Any) -> None:
    loop()
    cloud.advance(60_000)
    cloud.settle()
    assert [lines(name).count("ran\n") for name in "fg"] == [3, 3]


@pytest.mark.parametrize("cloud", [SOME], indirect=True)
def test_a_caller_is_told_that_its_loop_is_stopped(
    create: Any, functions: Any, refusal: Any, arn: str
) -> None:
    from fogbank.services.lambda_.rules import lineage  # noqa: PLC0415 (only this test needs it)

    create(PING)

    def invoke(times: int) -> Any:
        def add(request: Any, **_: Any) -> None:
            step = f"{lineage.step_of(arn)}:{times}"
            request.headers["X-Amzn-Trace-Id"] = f"Root=1-0-0;Lineage={step}"

        functions.meta.events.register("before-sign.lambda.Invoke", add)
        try:
            return refusal(functions.invoke, FunctionName="f")
        finally:
            functions.meta.events.unregister("before-sign.lambda.Invoke", add)

    code, words = invoke(3)
    assert code == "RecursiveInvocationException"
    assert words.startswith("Lambda has detected your function being invoked in a recursive loop")
    functions.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
    with pytest.raises(BaseException, match="DID NOT RAISE"):
        invoke(3)
