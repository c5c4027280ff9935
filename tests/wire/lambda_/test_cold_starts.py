"""Cold starts that are asked for: an extension of ours, in the client context of Invoke."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud

SOURCE = """
runs = []
def handler(event, context):
    runs.append(event)
    return [len(runs), context.client_context]
"""


def context_of(asked: Any, **more: Any) -> str:
    return base64.b64encode(json.dumps({"fogbank": asked, **more}).encode()).decode()


COLD = context_of({"coldStart": True})


def test_an_invocation_that_asks_for_it_starts_an_environment_and_those_after_it_are_warm(
    create: Any, functions: Any, invoke: Any, cloud: Cloud
) -> None:
    create(SOURCE)
    functions.publish_version(FunctionName="f")
    counts = [invoke(ClientContext=each)["Payload"][0] for each in ("", "", COLD, "", COLD, COLD)]
    assert counts == [1, 2, 1, 2, 1, 1]
    assert invoke(Qualifier="1")["Payload"][0] == 1
    assert invoke(ClientContext=COLD)["Payload"][0] == 1
    assert invoke(Qualifier="1")["Payload"][0] == 2  # another version keeps its own
    cloud.settle()
    assert cloud.app.parts.functions.environments == 2
    stream = functions.invoke_with_response_stream(FunctionName="f", ClientContext=COLD)
    pieces = [
        each["PayloadChunk"]["Payload"] for each in stream["EventStream"] if "PayloadChunk" in each
    ]
    assert json.loads(b"".join(pieces)) == [1, None]


def test_the_handler_sees_of_the_client_context_what_is_its_own(create: Any, invoke: Any) -> None:
    create(SOURCE)
    for asked, custom in ((True, {"a": "fogbank"}), (False, {"b": "c"})):
        context = context_of({"coldStart": asked}, custom=custom)
        assert invoke(ClientContext=context)["Payload"] == [1 if asked else 2, {"custom": custom}]
    assert invoke(ClientContext=COLD)["Payload"] == [1, None]
    other = base64.b64encode(b'{"custom": {"fogbank": 1}}').decode()
    assert invoke(ClientContext=other)["Payload"] == [2, {"custom": {"fogbank": 1}}]
    assert invoke(ClientContext=base64.b64encode(b'"fogbank"').decode())["Payload"][1] == "fogbank"


@pytest.mark.parametrize("asked", [{}, {"coldStart": 1}, {"coldStart": True, "x": 1}, None, "cold"])
def test_what_there_is_not_is_refused(asked: Any, create: Any, invoke: Any) -> None:
    create(SOURCE)
    with pytest.raises(ClientError, match='"fogbank" has the member') as caught:
        invoke(ClientContext=context_of(asked))
    assert caught.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_no_queued_event_asks_for_one(create: Any, invoke: Any) -> None:
    create(SOURCE)
    with pytest.raises(ClientError, match="an event that is queued"):
        invoke(ClientContext=COLD, InvocationType="Event")


def test_who_may_not_change_a_function_cannot_end_its_environments(
    create: Any, user: Any, invoke: Any
) -> None:
    create(SOURCE)
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    guest = user("guest", allowed)
    assert invoke()["Payload"][0] == 1
    with pytest.raises(ClientError, match="lambda:UpdateFunctionConfiguration") as caught:
        guest.invoke(FunctionName="f", ClientContext=COLD)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert json.load(guest.invoke(FunctionName="f")["Payload"])[0] == 2
    changing = {
        **allowed,
        "Action": ["lambda:InvokeFunction", "lambda:UpdateFunctionConfiguration"],
    }
    keeper = user("keeper", changing)
    assert json.load(keeper.invoke(FunctionName="f", ClientContext=COLD)["Payload"])[0] == 1


def test_a_test_ends_the_environments_of_a_function(create: Any, invoke: Any, cloud: Cloud) -> None:
    create(SOURCE)
    assert [invoke()["Payload"][0] for _ in range(2)] == [1, 2]
    cloud.end_environments("f")
    assert invoke()["Payload"][0] == 1
