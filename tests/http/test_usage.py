"""``fogbank s3 usage``: what buckets hold, with a server of several processes and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fogbank.services.s3.state import usage
from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

MANY = usage.ROWS_PER_READ + 3
PART = 5 << 20


def rows(server: Server, *arguments: str) -> list[dict[str, Any]]:
    done = server.run("s3", "usage", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_buckets_hold_is_counted(tmp_path: Path) -> None:
    settings = "[processes]\nstores = 2\nfronts = 1\n"
    with Server(tmp_path / "data", settings=settings) as server:
        s3 = server.client("s3")
        for bucket in ("empty", "many", "versions"):
            s3.create_bucket(Bucket=bucket)
        for number in range(MANY):
            s3.put_object(Bucket="many", Key=f"{number}", Body=b"x" * 10)
        s3.put_object(Bucket="many", Key="large", Body=bytes(200_000))
        upload = {"Bucket": "many", "Key": "parts"}
        upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
        s3.upload_part(**upload, PartNumber=1, Body=bytes(PART))
        s3.upload_part(**upload, PartNumber=2, Body=bytes(7))
        s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"1", b"22", b"333"):
            s3.put_object(Bucket="versions", Key="k", Body=body)
        s3.put_object(Bucket="versions", Key="gone", Body=b"4444")
        s3.delete_object(Bucket="versions", Key="gone")
        assert server.run("account", "create", "other").returncode == 0
        served = rows(server)
        account = server.environment()["AWS_ACCOUNT_ID"]
        assert rows(server, "--account", "default") == rows(server, "--account", account) == served
        assert rows(server, "--account", "other") == []
        nobody = server.run("s3", "usage", "--account", "nobody")
        assert (nobody.returncode, nobody.stderr) == (1, "fogbank: there is no account nobody\n")
    place = {"account": account, "region": "us-east-1"}
    nothing = dict.fromkeys(
        ("objects", "bytes", "versions", "version_bytes", "markers", "uploads", "upload_bytes"), 0
    )
    many = {
        "objects": MANY + 1,
        "bytes": MANY * 10 + 200_000,
        "uploads": 1,
        "upload_bytes": PART + 7,
    }
    versions = {"objects": 1, "bytes": 3, "versions": 3, "version_bytes": 7, "markers": 1}
    assert served == [
        {"bucket": "empty", **place, **nothing},
        {"bucket": "many", **place, **nothing, **many},
        {"bucket": "versions", **place, **nothing, **versions},
    ]
    assert rows(server) == served  # the server does not run any more
    text = server.run("s3", "usage").stdout.splitlines()
    assert text[0].split("\t") == list(served[0])
    assert [line.split("\t")[0] for line in text[1:]] == ["empty", "many", "versions"]
