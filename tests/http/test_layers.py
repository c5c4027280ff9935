"""A layer over sockets: fetched by a plain client at its URL, and found in a sandbox."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile

import pytest

from fogbank.testing.server import Server

pytestmark = pytest.mark.slow


def zipped(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            archive.writestr(info, text)
    return out.getvalue()


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def test_a_layer_is_fetched_at_its_url_and_used_by_a_function(server: Server) -> None:
    functions = server.client("lambda")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = server.client("iam").create_role(RoleName="layered", AssumeRolePolicyDocument=trust)
    layer = zipped({"python/ours.py": "NAME = 'layer'", "bin/tool": "#!/bin/sh\necho tool"})
    made = functions.publish_layer_version(LayerName="http", Content={"ZipFile": layer})
    assert fetched(made["Content"]["Location"]) == layer
    source = """
import ours, subprocess
def handler(event, context):
    return [ours.NAME, subprocess.check_output(["tool"], text=True)]
"""
    code = zipped({"app.py": source})
    functions.create_function(
        FunctionName="layered",
        Runtime="python3.11",
        Role=role["Role"]["Arn"],
        Handler="app.handler",
        Code={"ZipFile": code},
        Layers=[made["LayerVersionArn"]],
    )
    said = functions.invoke(FunctionName="layered")["Payload"].read()
    assert json.loads(said) == ["layer", "tool\n"]
    assert fetched(functions.get_function(FunctionName="layered")["Code"]["Location"]) == code
