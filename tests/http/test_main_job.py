"""The main job against a real server with real sandboxes: also where it goes wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from tests.http.making import allow, make_function, make_role, tell

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "photo"
WAIT_S = 60
SETTINGS = """
[quotas]
"lambda.async_retry_1_ms" = 300
"lambda.async_retry_2_ms" = 600
"""
LOGS = {
    "Effect": "Allow",
    "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": "*",
}
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::job-*/*"}
WRITE = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::job-out/*"}
CODE = """
import boto3, io, urllib.parse
from PIL import Image
s3 = boto3.client("s3")

def handler(event, context):
    if "presign" in event:
        return s3.generate_presigned_url("get_object", Params={"Bucket": "job-pages", "Key": event["presign"]})
    for record in event["Records"]:
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        body = s3.get_object(Bucket="job-in", Key=key)["Body"].read()
        picture = Image.open(io.BytesIO(body))
        s3.put_object(Bucket="job-out", Key=key, Body=str(picture.size).encode())
"""


def package() -> bytes:
    sys.path.insert(0, str(EXAMPLE))
    try:
        from run import package as with_pillow  # noqa: PLC0415 (the example is no package)
    finally:
        sys.path.remove(str(EXAMPLE))
    out = io.BytesIO(with_pillow())
    with zipfile.ZipFile(out, "a") as file:
        file.writestr("job.py", CODE)
    return out.getvalue()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short retries, two buckets and a function behind the first."""
    with Server(tmp_path_factory.mktemp("job") / "data", settings=SETTINGS) as server:
        build(server)
        yield server


def build(server: Server) -> None:
    for bucket in ("job-in", "job-out", "job-pages"):
        server.client("s3").create_bucket(Bucket=bucket)
    role = make_role(server, LOGS, READ, WRITE)
    code = {"ZipFile": package()}
    arn = make_function(server, role, code, Handler="job.handler", Timeout=20, MemorySize=512)
    tell(server, arn, "job-in")


def log_lines(server: Server) -> list[str]:
    logs = server.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/job")
    try:
        return [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []  # nothing has run yet


def wait_until(what: str, done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_corrupt_picture_fails_is_retried_twice_and_ends_in_the_log(house: Server) -> None:
    house.client("s3").put_object(Bucket="job-in", Key="corrupt.jpg", Body=b"\xff\xd8 no picture")

    def failures() -> list[str]:
        return [line for line in log_lines(house) if "UnidentifiedImageError" in line]

    wait_until("three attempts in the log", lambda: len(failures()) >= 3)
    wait_until(
        "three reports", lambda: sum(line.startswith("REPORT") for line in log_lines(house)) >= 3
    )
    assert len(failures()) == 3
    starts = [line.split()[2] for line in log_lines(house) if line.startswith("START")]
    assert len(starts) == 3
    assert len(set(starts)) == 1  # AWS: the retries of an event keep its request id.


def test_a_role_that_may_not_put_is_refused_and_the_log_says_so(house: Server) -> None:
    allow(house, LOGS, READ)
    try:
        picture = io.BytesIO()
        from PIL import Image  # noqa: PLC0415 (only here)

        Image.new("RGB", (40, 30)).save(picture, "PNG")
        s3 = house.client("s3")
        s3.put_object(Bucket="job-in", Key="denied.png", Body=picture.getvalue())
        denied = "is not authorized to perform: s3:PutObject"
        wait_until(
            "the refusal in the log", lambda: any(denied in line for line in log_lines(house))
        )
        listed = s3.list_objects_v2(Bucket="job-out")
        assert "denied.png" not in [row["Key"] for row in listed.get("Contents", [])]
    finally:
        allow(house, LOGS, READ, WRITE)


def test_a_url_presigned_inside_a_function_works_outside(house: Server) -> None:
    s3 = house.client("s3")
    functions = house.client("lambda", config=Config(read_timeout=30))
    s3.put_object(Bucket="job-pages", Key="page", Body=b"hello")
    reply = functions.invoke(FunctionName="job", Payload=json.dumps({"presign": "page"}))
    url = json.loads(reply["Payload"].read())
    assert url.startswith(house.endpoint)
    with urllib.request.urlopen(url) as got:
        assert got.read() == b"hello"


def test_the_example_runs_from_start_to_end() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE / "demo.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert done.stdout.count("REPORT RequestId") == 8
    assert "8 pictures, 8 thumbnails, 8 rows: all right" in done.stdout
    assert "GB-seconds" in done.stdout
