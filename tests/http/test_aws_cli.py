"""aws-cli does the main job's calls against a running server, unmodified."""

from __future__ import annotations

import base64
import filecmp
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

AWS = Path(sys.executable).parent / "aws"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
CODE = """
import boto3, json
rows = boto3.client("dynamodb")

def handler(event, context):
    print("seen", json.dumps(event))
    for record in event.get("Records", []):
        rows.put_item(TableName="cli-rows", Item={"name": {"S": record["s3"]["object"]["key"]}})
    return {"echo": event}
"""


class Cli:
    """Runs aws-cli against the server, with nothing of the user's own settings."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.folder = folder
        # Without this aws-cli presigns by signature version 2, which is refused.
        (folder / "config").write_text("[default]\ns3 =\n  signature_version = s3v4\n")
        said = server.environment()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        self.variables = {
            **clean,
            **said,
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AWS), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self.variables,
            cwd=self.folder,
        )

    def ok(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout


@pytest.fixture(scope="module")
def cli(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(server, tmp_path_factory.mktemp("cli"))


def test_objects_small_and_multipart_go_up_and_come_back(cli: Cli) -> None:
    small, large = cli.folder / "small.txt", cli.folder / "large.bin"
    small.write_text("a small file\n")
    large.write_bytes(os.urandom(20 << 20))
    cli.ok("s3", "mb", "s3://cli-objects")
    cli.ok("s3", "cp", str(small), "s3://cli-objects/folder/small.txt")
    cli.ok("s3", "cp", str(large), "s3://cli-objects/large.bin")
    listing = cli.ok("s3", "ls", "s3://cli-objects", "--recursive")
    assert "folder/small.txt" in listing
    assert f" {20 << 20} large.bin" in listing
    cli.ok("s3", "cp", "s3://cli-objects/large.bin", str(cli.folder / "back.bin"))
    assert filecmp.cmp(large, cli.folder / "back.bin", shallow=False)
    head = cli.ok("s3api", "head-object", "--bucket", "cli-objects", "--key", "large.bin")
    assert head["ETag"].strip('"').endswith("-3")
    cli.ok("s3", "rm", "s3://cli-objects", "--recursive")
    cli.ok("s3", "rb", "s3://cli-objects")


def test_a_presigned_url_works_until_it_is_altered(cli: Cli, server: Server) -> None:
    cli.ok("s3", "mb", "s3://cli-presigned")
    (cli.folder / "page.html").write_text("<p>hello</p>")
    cli.ok("s3", "cp", str(cli.folder / "page.html"), "s3://cli-presigned/page.html")
    url = cli.ok("s3", "presign", "s3://cli-presigned/page.html").strip()
    assert url.startswith(server.endpoint)
    with urllib.request.urlopen(url) as got:
        assert got.read() == b"<p>hello</p>"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url.replace("page", "pagf"))
    assert refused.value.code == 403
    refused.value.close()


def test_a_key_encrypts_and_decrypts_by_command_line(cli: Cli) -> None:
    key = cli.ok("kms", "create-key", "--description", "of aws-cli")["KeyMetadata"]["Arn"]
    cli.ok("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", key)
    (cli.folder / "plain").write_bytes(b"to be hidden")
    context = ("--encryption-context", "purpose=test")
    sealed = cli.ok(
        "kms", "encrypt", "--key-id", "alias/cli", "--plaintext", "fileb://plain", *context
    )
    assert sealed["KeyId"] == key
    (cli.folder / "sealed").write_bytes(base64.b64decode(sealed["CiphertextBlob"]))
    opened = cli.ok("kms", "decrypt", "--ciphertext-blob", "fileb://sealed", *context)
    assert (base64.b64decode(opened["Plaintext"]), opened["KeyId"]) == (b"to be hidden", key)
    refused = cli.run("kms", "decrypt", "--ciphertext-blob", "fileb://sealed")
    assert refused.returncode != 0
    assert "InvalidCiphertextException" in refused.stderr
    cli.ok("kms", "disable-key", "--key-id", key)
    refused = cli.run("kms", "decrypt", "--ciphertext-blob", "fileb://sealed", *context)
    assert f"{key} is disabled." in refused.stderr


def test_the_main_job_by_command_line(cli: Cli) -> None:
    account = cli.ok("sts", "get-caller-identity")["Account"]
    cli.ok("s3", "mb", "s3://cli-photos")
    cli.ok(
        "dynamodb", "create-table", "--table-name", "cli-rows",
        "--key-schema", "AttributeName=name,KeyType=HASH",
        "--attribute-definitions", "AttributeName=name,AttributeType=S",
        "--billing-mode", "PAY_PER_REQUEST",
    )  # fmt: skip
    cli.ok("dynamodb", "wait", "table-exists", "--table-name", "cli-rows")
    role = cli.ok(
        "iam",
        "create-role",
        "--role-name",
        "cli",
        "--assume-role-policy-document",
        json.dumps(TRUST),
    )["Role"]["Arn"]
    assert role == f"arn:aws:iam::{account}:role/cli"
    cli.ok(
        "iam", "put-role-policy", "--role-name", "cli", "--policy-name", "all",
        "--policy-document", json.dumps(ALLOW),
    )  # fmt: skip
    with zipfile.ZipFile(cli.folder / "code.zip", "w") as package:
        package.writestr("app.py", CODE)
    function = cli.ok(
        "lambda", "create-function", "--function-name", "cli", "--runtime", RUNTIME,
        "--role", role, "--handler", "app.handler", "--zip-file", "fileb://code.zip",
    )["FunctionArn"]  # fmt: skip
    cli.ok("lambda", "wait", "function-active-v2", "--function-name", "cli")
    said = cli.ok(
        "lambda", "invoke", "--function-name", "cli", "--payload", '{"n": 1}', "reply.json"
    )
    assert said["StatusCode"] == 200
    assert json.loads((cli.folder / "reply.json").read_text()) == {"echo": {"n": 1}}
    cli.ok(
        "lambda", "add-permission", "--function-name", "cli", "--statement-id", "s3",
        "--action", "lambda:InvokeFunction", "--principal", "s3.amazonaws.com",
        "--source-arn", "arn:aws:s3:::cli-photos", "--source-account", account,
    )  # fmt: skip
    configuration = {
        "LambdaFunctionConfigurations": [
            {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}
        ]
    }
    cli.ok(
        "s3api", "put-bucket-notification-configuration", "--bucket", "cli-photos",
        "--notification-configuration", json.dumps(configuration),
    )  # fmt: skip
    (cli.folder / "picture").write_bytes(b"not really a picture")
    cli.ok("s3", "cp", str(cli.folder / "picture"), "s3://cli-photos/picture")
    deadline = time.monotonic() + 30
    key = json.dumps({"name": {"S": "picture"}})
    while "Item" not in (
        cli.ok("dynamodb", "get-item", "--table-name", "cli-rows", "--key", key) or {}
    ):
        assert time.monotonic() < deadline, "no row"
    lines: list[str] = []
    while sum(line.startswith("REPORT") for line in lines) < 2:
        assert time.monotonic() < deadline, lines
        found = cli.ok("logs", "filter-log-events", "--log-group-name", "/aws/lambda/cli")
        lines = [event["message"] for event in found["events"]]
    assert any("picture" in line for line in lines)


def test_a_wrong_secret_is_refused_in_words(cli: Cli) -> None:
    stranger = Cli.__new__(Cli)
    stranger.folder = cli.folder
    stranger.variables = {**cli.variables, "AWS_SECRET_ACCESS_KEY": "x" * 40}
    done = stranger.run("s3", "ls")
    assert done.returncode != 0
    assert "SignatureDoesNotMatch" in done.stderr


def test_aws_cli_has_a_table_scaled(cli: Cli) -> None:
    """Source: DynamoDB Developer Guide, "Using the AWS CLI to manage DynamoDB auto scaling"."""
    cli.ok(
        *("dynamodb", "create-table", "--table-name", "TestTable"),
        *("--attribute-definitions", "AttributeName=pk,AttributeType=S"),
        *("--key-schema", "AttributeName=pk,KeyType=HASH"),
        *("--provisioned-throughput", "ReadCapacityUnits=5,WriteCapacityUnits=5"),
    )
    scaling = ("application-autoscaling",)
    target = (
        *("--service-namespace", "dynamodb", "--resource-id", "table/TestTable"),
        *("--scalable-dimension", "dynamodb:table:WriteCapacityUnits"),
    )
    bounds = ("--min-capacity", "7", "--max-capacity", "10")
    registered = cli.ok(*scaling, "register-scalable-target", *target, *bounds)
    metric = {"PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}
    policy = {
        "PredefinedMetricSpecification": metric,
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 60,
        "TargetValue": 50.0,
    }
    cli.ok(
        *(*scaling, "put-scaling-policy", *target, "--policy-name", "MyScalingPolicy"),
        *("--policy-type", "TargetTrackingScaling"),
        *("--target-tracking-scaling-policy-configuration", json.dumps(policy)),
    )
    namespace = ("--service-namespace", "dynamodb")
    [told] = cli.ok(*scaling, "describe-scaling-policies", *namespace)["ScalingPolicies"]
    assert told["TargetTrackingScalingPolicyConfiguration"] == policy
    [told] = cli.ok(*scaling, "describe-scalable-targets", *namespace)["ScalableTargets"]
    assert told["ScalableTargetARN"] == registered["ScalableTargetARN"]
    cli.ok(
        *(*scaling, "put-scheduled-action", *target, "--scheduled-action-name", "up"),
        *("--schedule", "rate(1 day)", "--scalable-target-action", "MinCapacity=9,MaxCapacity=12"),
    )
    for _ in range(100):
        found = cli.ok("dynamodb", "describe-table", "--table-name", "TestTable")["Table"]
        if found["ProvisionedThroughput"]["WriteCapacityUnits"] == 9:
            break
        time.sleep(0.1)
    assert found["ProvisionedThroughput"]["WriteCapacityUnits"] == 9
    activities = cli.ok(*scaling, "describe-scaling-activities", *namespace)["ScalingActivities"]
    causes = {each["Cause"] for each in activities}
    assert causes >= {"scheduled action name up was triggered", "minimum capacity was set to 9"}
    cli.ok(*scaling, "deregister-scalable-target", *target)
    refused = cli.run(*scaling, "deregister-scalable-target", *target)
    assert "ObjectNotFoundException" in refused.stderr
