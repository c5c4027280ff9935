"""Every interpreter of the machine is a runtime, and each runs the code of its own version."""

from __future__ import annotations

import json
import sys

import pytest
from tests.engines.sandbox.conftest import LEVELS, WALLED, lab_at

from fogbank.platform.runtime.port import Ending

pytestmark = pytest.mark.slow
CODE = """
import sys, zlib, json, ssl
def handler(event, context):
    if event == 'fail':
        raise KeyError(event)
    return [list(sys.version_info[:2]), context.function_name]
"""


@pytest.mark.parametrize("level", [LEVELS[0], LEVELS[-1], WALLED[0]])
def test_each_python_of_the_machine_runs_its_functions(level: str) -> None:
    lab = lab_at(level, slim=True)
    names = [
        name
        for name, path in lab.runtime.runtimes().items()
        if name.startswith("python") and not (lab.ordinary and path.startswith("/root/"))
    ]
    assert f"python3.{sys.version_info[1]}" in names
    for name in names:
        sandbox = lab.start(CODE, runtime=name)
        assert sandbox.init.error is None, lab.logs
        outcome = lab.invoke(sandbox, {})
        assert outcome.ending is Ending.RETURNED
        minor = int(name.removeprefix("python3."))
        assert json.loads(outcome.payload) == [[3, minor], "f"]
        assert lab.invoke(sandbox, "fail").ending is Ending.RAISED
        lab.end(sandbox)
    lab.close()


def test_the_libraries_that_aws_preinstalls_are_there() -> None:
    """Where the installed boto3 supports the interpreter."""
    lab = lab_at(LEVELS[0])
    for name in ("python3.11", "python3.12", "python3.13"):
        if name not in lab.runtime.runtimes():
            continue
        code = "import boto3\ndef handler(e, c): return boto3.client('s3').meta.region_name"
        sandbox = lab.start(code, runtime=name)
        assert sandbox.init.error is None, sandbox.init.error
        assert json.loads(lab.invoke(sandbox, {}).payload) == "eu-west-1"
        lab.end(sandbox)
    lab.close()


def test_a_near_version_stands_in_where_that_is_allowed() -> None:
    lab = lab_at(LEVELS[0], {"near_versions": True}, slim=True)
    lacking = [name for name in ("python3.14", "nodejs24.x") if lab.runtime.stands_in(name)]
    assert lacking, "this machine has every version"
    for name in lacking:
        assert name in lab.runtime.runtimes()
        files = {"app.py": "def handler(e, c): return 'in its place'"}
        files["app.js"] = "exports.handler = async () => 'in its place'"
        sandbox = lab.start(files, runtime=name)
        assert json.loads(lab.invoke(sandbox, {}).payload) == "in its place"
        lab.end(sandbox)
    lab.close()
