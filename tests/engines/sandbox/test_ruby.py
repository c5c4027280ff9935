"""Ruby functions: what a well-meant handler finds, in AWS's shapes, words and habits."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engines.sandbox.conftest import LEVELS, WALLED, Lab, lab_at

from fogbank.engines.sandbox import programs
from fogbank.platform.runtime.port import Ending, Sandbox

pytestmark = pytest.mark.slow
HERE = shutil.which("ruby") is not None
APP = """
require 'time'

class Refused < StandardError; end

def handler(event:, context:)
  case event['do']
  when 'fail' then raise Refused, 'no'
  when 'name' then nobody_here
  when 'unprintable' then return Float::NAN
  when 'exit' then exit(3)
  end
  puts "got #{event['do']} \u00e9"
  {
    'event' => event, 'id' => context.aws_request_id, 'name' => context.function_name,
    'memory' => context.memory_limit_in_mb, 'arn' => context.invoked_function_arn,
    'left' => context.get_remaining_time_in_millis, 'client' => context.client_context,
    'colour' => ENV['COLOUR'], 'trace' => ENV['_X_AMZN_TRACE_ID'], 'cwd' => Dir.pwd
  }
end

module Inner
  class Deep
    def self.call(event:, context:)
      [event, 'deep']
    end
  end
end
"""


@pytest.fixture(scope="module", params=[LEVELS[0], WALLED[0]])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param, slim=True)
    yield made
    made.close()


def start(lab: Lab, handler: str = "app.handler", text: str = APP, **values: Any) -> Sandbox:
    [runtime] = [name for name in lab.runtime.runtimes() if name.startswith("ruby")]
    return lab.start({"app.rb": text}, handler=handler, runtime=runtime, **values)


if HERE:  # this machine has Ruby

    def test_a_ruby_handler_finds_event_context_and_variables(lab: Lab) -> None:
        sandbox = start(lab, environment={"COLOUR": "blue"})
        assert sandbox.init.error is None, lab.logs
        for number in range(2):
            outcome = lab.invoke(
                sandbox,
                {"do": number},
                client_context='{"a": 1}',
                invoked_function_arn="arn",
                trace_id="Root=1",
            )
            answer = json.loads(outcome.payload)
            assert 5000 < answer.pop("left") <= 10_000
            if lab.isolates:
                assert answer["cwd"] == "/var/task"
            del answer["cwd"]
            assert answer == {
                "event": {"do": number},
                "id": "r",
                "name": "f",
                "memory": "256",
                "arn": "arn",
                "client": {"a": 1},
                "colour": "blue",
                "trace": "Root=1",
            }
            assert lab.text("r") == f"got {number} \u00e9\n"
        lab.end(sandbox)

    def test_errors_are_told_in_the_types_of_aws_and_some_end_the_runtime(lab: Lab) -> None:
        sandbox = start(lab)
        for what, kind in (("fail", "Refused"), ("unprintable", "JSON::GeneratorError")):
            outcome = lab.invoke(sandbox, {"do": what})
            error = json.loads(outcome.payload)
            assert (outcome.ending, error["errorType"]) == (Ending.RAISED, f"Function<{kind}>")
        assert lab.invoke(sandbox, {"do": "x"}).ending is Ending.RETURNED, "it lives on"
        outcome = lab.invoke(sandbox, {"do": "name"})
        error = json.loads(outcome.payload)
        assert error["errorType"] == "Function<NameError>"
        assert "app.rb:9:in `handler'" in error["stackTrace"][0]
        lab.run(asyncio.wait([sandbox.ended], timeout=5))  # type: ignore[attr-defined]
        assert sandbox.closed, "AWS: a NameError ends the process"
        lab.end(sandbox)

    def test_a_method_of_a_class_is_a_handler(lab: Lab) -> None:
        sandbox = start(lab, "app.Inner::Deep.call")
        assert json.loads(lab.invoke(sandbox, {"a": 1}).payload) == [{"a": 1}, "deep"]
        lab.end(sandbox)

    @pytest.mark.parametrize(
        ("handler", "text", "kind"),
        [
            ("gone.handler", APP, "Init<LoadError>"),
            ("app.handler", "def handler(", "Init<SyntaxError>"),
            ("app.handler", "raise 'no'", "Init<RuntimeError>"),
            ("app", APP, "Init<ArgumentError>"),
        ],
    )
    def test_what_cannot_be_loaded_is_an_error_of_the_start(
        lab: Lab, handler: str, text: str, kind: str
    ) -> None:
        sandbox = start(lab, handler, text)
        assert sandbox.init.error is not None
        assert sandbox.init.error["errorType"] == kind
        lab.end(sandbox)


def test_only_a_ruby_that_says_so_is_one() -> None:
    assert programs.ruby_at("/bin/true") is None
    assert programs.ruby_at("/nowhere/ruby") is None
    assert programs.near("ruby3.3", ["ruby3.1", "python3.11"]) == "ruby3.1"
