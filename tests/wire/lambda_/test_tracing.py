"""``TracingConfig`` ``Active``: what of it can be had while X-Ray does not stand.

Source: Lambda Developer Guide, "Visualize Lambda function invocations using AWS X-Ray"; X-Ray Developer
Guide, "Tracing header".
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.wire.lambda_.conftest import Function

from fogbank.server.choices import FunctionSettings
from fogbank.server.config import Config

ACTIVE = {"Mode": "Active"}
CHOSEN = pytest.mark.parametrize(
    "cloud", [Config(functions=FunctionSettings(trace_without_xray=True))], indirect=True
)
FORM = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24});Parent=([0-9a-f]{16});Sampled=([01]);Lineage")
ROOT, PARENT = "1-67891233-abcdef012345678912345678", "463ac35c9f6413ad"


@pytest.fixture
def headers(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return where the trace headers of invocations go."""
    seen: list[str] = []
    run = cloud.app.parts.functions.run

    async def watched(target: Any, invocation: Any, *others: Any, **more: Any) -> Any:
        seen.append(invocation.context["trace_id"])
        return await run(target, invocation, *others, **more)

    monkeypatch.setattr(cloud.app.parts.functions, "run", watched)
    return seen


def parts_of(header: str) -> tuple[str, str, str]:
    found = FORM.match(header)
    assert found is not None, header
    root, parent, sampled = found.groups()
    return root, parent, sampled


def test_nothing_is_traced_unless_the_deployment_takes_what_can_be_had(
    create: Any, functions: Any, refusal: Any
) -> None:
    code, message = refusal(create, TracingConfig=ACTIVE)
    assert code == "NotImplemented"
    assert message.startswith("fogbank has not built X-Ray")
    made = create(TracingConfig={"Mode": "PassThrough"})
    assert made["TracingConfig"] == {"Mode": "PassThrough"}
    change = functions.update_function_configuration
    assert refusal(change, FunctionName="f", TracingConfig=ACTIVE)[0] == "NotImplemented"


@CHOSEN
def test_the_log_tells_of_the_segment_that_an_invocation_is(
    create: Any, functions: Any, invoke: Any, lines: Any, headers: list[str]
) -> None:
    assert create(TracingConfig=ACTIVE)["TracingConfig"] == ACTIVE
    invoke()
    root, segment, sampled = parts_of(headers[-1])
    assert sampled == "1", "the first of a second"
    report = next(line for line in lines() if line.startswith("REPORT"))
    assert report.endswith(f"\nXRAY TraceId: {root}\tSegmentId: {segment}\tSampled: true\t\n")
    form = {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}
    functions.update_function_configuration(FunctionName="f", LoggingConfig=form)
    invoke()
    root, segment, sampled = parts_of(headers[-1])
    events = [json.loads(line) for line in lines() if line.startswith('{"time"')]
    traced = [each["record"]["tracing"] for each in events if "tracing" in each["record"]]
    assert len(traced) == 3, "start, runtimeDone and report"
    value = f"Root={root};Parent={segment};Sampled={sampled}"
    assert traced[0] == {"spanId": segment, "type": "X-Amzn-Trace-Id", "value": value}
    change = functions.update_function_configuration
    plain = change(FunctionName="f", TracingConfig={"Mode": "PassThrough"})
    assert plain["TracingConfig"] == {"Mode": "PassThrough"}


@CHOSEN
def test_who_was_decided_on_stays_so_and_of_others_some_are_traced(
    create: Any, function: Function, cloud: Any, headers: list[str]
) -> None:
    create(TracingConfig=ACTIVE)

    def sampled(given: str = "") -> tuple[str, str, int]:
        client = cloud.client("lambda")
        if given:
            client.meta.events.register(
                "before-sign.lambda.Invoke",
                lambda request, **_: request.headers.add_header("X-Amzn-Trace-Id", given),
            )
        client.invoke(FunctionName="f")
        root, parent, is_sampled = parts_of(headers[-1])
        return root, parent, int(is_sampled)

    root, parent, is_sampled = sampled(f"Root={ROOT};Parent={PARENT};Sampled=1")
    assert (root, is_sampled) == (ROOT, 1)
    assert parent != PARENT, "what the function does is below its own segment"
    assert sampled(f"Root={ROOT};Parent={PARENT};Sampled=0")[::2] == (ROOT, 0)
    assert [sampled()[2] for _ in range(3)] == [1, 0, 0]
    cloud.advance(1_000)
    assert sampled(f"Root={ROOT}")[::2] == (ROOT, 1)
