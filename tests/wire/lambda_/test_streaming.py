"""InvokeWithResponseStream: a whole answer is one chunk, a streamed one as many as it has pieces."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.platform.runtime.port import Chunks, Ending, Outcome
from fogbank.testing.runtime import InlineSandbox


@pytest.fixture
def stream(functions: Any) -> Callable[..., tuple[Any, list[Any]]]:
    """Return a function that invokes; it returns the reply and its events."""

    def run(**changes: Any) -> tuple[Any, list[Any]]:
        asked = {"FunctionName": "f", "Payload": b'{"a": 1}', **changes}
        reply = functions.invoke_with_response_stream(**asked)
        return reply, list(reply["EventStream"])

    return run


def pieces(*said: bytes, outcome: Outcome) -> Any:
    """Return what stands in for a runtime that makes pieces."""

    async def invoke(
        self: InlineSandbox,
        request_id: str,
        payload: bytes,
        deadline_ms: int,
        context: Mapping[str, str],
        chunks: Chunks | None = None,
    ) -> Outcome:
        if chunks is None:
            return outcome._replace(payload=b"".join(said))
        for piece in said:
            await chunks(piece, "")
        return outcome

    return invoke


def code_of(refused: Any) -> str:
    code: str = refused.value.response["Error"]["Code"]
    return code


RETURNED = Outcome(Ending.RETURNED, b"", 3.0, 30)


def test_an_answer_that_comes_whole_is_one_chunk(create: Any, stream: Any) -> None:
    create("def handler(event, context):\n    print('seen')\n    return {'event': event}")
    reply, events = stream(LogType="Tail")
    assert reply["StatusCode"] == 200
    assert reply["ExecutedVersion"] == "$LATEST"
    assert reply["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    chunk, complete = events
    assert json.loads(chunk["PayloadChunk"]["Payload"]) == {"event": {"a": 1}}
    assert set(complete["InvokeComplete"]) == {"LogResult"}
    tail = base64.b64decode(complete["InvokeComplete"]["LogResult"]).decode()
    assert "seen\n" in tail
    assert "REPORT RequestId: " in tail


def test_each_piece_of_a_streamed_answer_is_a_chunk(
    create: Any, stream: Any, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    invoke = pieces(b"one ", b"two ", b"three", outcome=RETURNED)
    monkeypatch.setattr(InlineSandbox, "invoke", invoke)
    _, events = stream()
    *chunks, complete = events
    said = [each["PayloadChunk"]["Payload"] for each in chunks]
    assert said == [b"one ", b"two ", b"three"]
    assert complete == {"InvokeComplete": {}}
    whole = functions.invoke(FunctionName="f", Payload=b"{}")
    assert whole["Payload"].read() == b"one two three"


def test_an_error_is_told_at_the_end_with_its_type(create: Any, stream: Any) -> None:
    create("def handler(event, context):\n    raise KeyError('k')")
    _, events = stream()
    (complete,) = events
    told = complete["InvokeComplete"]
    assert told["ErrorCode"] == "KeyError"
    details = json.loads(told["ErrorDetails"])
    assert (details["errorType"], details["errorMessage"]) == ("KeyError", "'k'")
    assert "LogResult" not in told


def test_a_stream_that_breaks_off_says_why_behind_what_it_said(
    create: Any, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    late = Outcome(Ending.TIMED_OUT, b"", 3_000.0, 30)
    monkeypatch.setattr(InlineSandbox, "invoke", pieces(b"begun", outcome=late))
    _, (chunk, complete) = stream()
    assert chunk["PayloadChunk"]["Payload"] == b"begun"
    assert complete["InvokeComplete"]["ErrorCode"] == "Sandbox.Timedout"
    assert "Task timed out after 3.00 seconds" in complete["InvokeComplete"]["ErrorDetails"]


@pytest.mark.parametrize("cloud", [{"lambda.streamed_response_bytes_max": 8}], indirect=True)
def test_an_answer_beyond_its_bound_ends_there(
    create: Any, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    monkeypatch.setattr(InlineSandbox, "invoke", pieces(b"12345", b"6789", outcome=RETURNED))
    _, (chunk, complete) = stream()
    assert chunk["PayloadChunk"]["Payload"] == b"12345"
    assert complete["InvokeComplete"]["ErrorCode"] == "Function.ResponseSizeTooLarge"
    assert "(8 bytes)" in complete["InvokeComplete"]["ErrorDetails"]


def test_a_dry_run_runs_nothing(create: Any, functions: Any, cloud: Any) -> None:
    create()
    reply = functions.invoke_with_response_stream(FunctionName="f", InvocationType="DryRun")
    assert reply["StatusCode"] == 204
    assert cloud.app.parts.functions.inline.started == []


def test_what_cannot_run_is_refused_before_anything_is_streamed(
    create: Any, functions: Any, user: Any, account: str
) -> None:
    with pytest.raises(ClientError) as missing:
        functions.invoke_with_response_stream(FunctionName="f")
    assert code_of(missing) == "ResourceNotFoundException"
    create()
    with pytest.raises(ClientError) as broken:
        functions.invoke_with_response_stream(FunctionName="f", Payload=b"{")
    assert code_of(broken) == "InvalidRequestContentException"
    with pytest.raises(ClientError) as denied:
        user("anyone").invoke_with_response_stream(FunctionName="f")
    assert code_of(denied) == "AccessDeniedException"
    assert f"lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:{account}" in str(
        denied.value
    )


@pytest.mark.parametrize("cloud", [{"lambda.sync_payload_bytes_max": 16}], indirect=True)
def test_a_request_beyond_its_bound_is_refused(create: Any, functions: Any) -> None:
    create()
    with pytest.raises(ClientError) as refused:
        functions.invoke_with_response_stream(FunctionName="f", Payload=b'{"a": "0123456789"}')
    assert code_of(refused) == "RequestTooLargeException"
