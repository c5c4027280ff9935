"""Layers inside: under ``/opt``, or where they lie where nothing can be mounted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import ALL, Lab, lab_at

pytestmark = pytest.mark.slow

HANDLER = """
import glob, os, subprocess, boto3, ours, theirs
def handler(event, context):
    try:
        open(os.path.join(os.path.dirname(ours.__file__), 'new'), 'w')
        written = 'written'
    except OSError as error:
        written = type(error).__name__
    return {
        'ours': ours.WHERE, 'theirs': theirs.WHERE, 'boto3': boto3.WHERE, 'written': written,
        'tool': subprocess.run(['tool'], capture_output=True, text=True).stdout,
        'others': glob.glob(event['others']),
    }
"""


@pytest.fixture(scope="module", params=ALL)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param, slim=True)
    yield made
    made.close()


def layers(lab: Lab, files: dict[str, str]) -> str:
    """Lay files out as a machine keeps the merged layers of a function."""
    folder = lab.code(files)
    for path in Path(folder).rglob("*"):
        path.chmod(0o755)
    Path(folder).chmod(0o755)
    return folder


def answer(lab: Lab, files: Any, layers_dir: str, event: Any = None, **values: Any) -> Any:
    sandbox = lab.start(files, layers_dir=layers_dir, **values)
    assert sandbox.init.error is None, lab.logs
    outcome = lab.invoke(sandbox, event)
    lab.end(sandbox)
    return json.loads(outcome.payload)


def test_python_finds_modules_and_programs_of_layers_and_cannot_change_them(lab: Lab) -> None:
    version = f"python{Path(lab.runtime.compiler_of(lab.spec().runtime) or '').resolve().name[-4:]}"
    found = {
        "python/ours.py": "WHERE = 'layer'",
        f"python/lib/{version}/site-packages/theirs.py": "WHERE = 'site'",
        "python/boto3/__init__.py": "WHERE = 'shipped'",
        "bin/tool": "#!/bin/sh\necho from the layer\n",
    }
    folder = layers(lab, found)
    other = layers(lab, {"secret": "of another function"})
    code = {"app.py": HANDLER, "ours.py": "WHERE = 'code'"}
    said = answer(lab, code, folder, {"others": f"{other}/*"})
    assert said.pop("others") == [] or lab.level == "bare"
    assert said.pop("written") in {"OSError", "PermissionError"} or lab.level == "bare"
    assert said == {
        "ours": "code",
        "theirs": "site",
        "boto3": "shipped",
        "tool": "from the layer\n",
    }
    alone = answer(lab, "import os\ndef handler(*_): return os.path.isdir('/opt/python')", "")
    assert alone is False


def test_a_bootstrap_may_be_a_layers(lab: Lab) -> None:
    script = """#!/bin/sh
exec 3<>/dev/null
next=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while id=$(curl -sSi $next/next | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //Ip' | tr -d '\\r'); do
  curl -sS $next/$id/response -d "\\"layer: $(lib-says)\\"" >/dev/null
done
"""
    folder = layers(lab, {"bootstrap": script, "bin/lib-says": "#!/bin/sh\necho hello\n"})
    assert answer(lab, {"x": "y"}, folder, runtime="provided.al2023") == "layer: hello"


def test_node_finds_modules_of_layers(lab: Lab) -> None:
    [node] = [name for name in lab.runtime.runtimes() if name.startswith("nodejs")][:1]
    folder = layers(lab, {"nodejs/node_modules/ours/index.js": "module.exports = 'layer'"})
    code = {"index.js": "exports.handler = async () => require('ours')"}
    assert answer(lab, code, folder, runtime=node, handler="index.handler") == "layer"


def test_an_extension_comes_with_a_layer(lab: Lab) -> None:
    extension = (Path(__file__).parent / "runtimes/extension.py").read_text()
    folder = layers(lab, {"extensions/watcher": extension})
    sandbox = lab.start(layers_dir=folder, environment={"BEHAVIOUR": ""})
    assert sandbox.init.error is None, lab.logs
    assert [report.name for report in sandbox.init.extensions] == ["watcher"]
    assert lab.ask(sandbox, "answer = 1") == 1
    lab.end(sandbox)
