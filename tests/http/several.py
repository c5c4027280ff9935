"""Servers of several processes: what their tests have alike."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from typing import Any

from fogbank.platform.store.keyspace import shard_of
from fogbank.services.s3.rules import access
from fogbank.testing.server import Server

ACCOUNT = "111122223333"
WAIT_S = 60
BUCKETS = ("bucket-a", "bucket-b", "bucket-c", "bucket-d", "bucket-e", "bucket-f")
CODE = """
def handler(event, context):
    for record in event["Records"]:
        print("SEEN", record["s3"]["object"]["key"])
"""
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":"lambda.amazonaws.com"}}]}'
)
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}'


def settings(stores: int, fronts: int) -> str:
    return f'[account]\nid = "{ACCOUNT}"\n[processes]\nstores = {stores}\nfronts = {fronts}\n'


def store_of(bucket: str) -> int:
    return shard_of(access.domain_of(bucket), 2)


def processes(server: Server, kind: str) -> list[int]:
    return [
        pid for pid, command in server.processes().items() if f"fogbank.server.{kind}" in command
    ]


def wait_until(what: str, done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def make_function(server: Server, *buckets: str) -> None:
    """Make a function that is told of what is put into the buckets."""
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="job", PolicyName="p", PolicyDocument=ALLOW)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("app.py", CODE)
    server.client("s3").put_object(Bucket=buckets[0], Key="code.zip", Body=code.getvalue())
    arn = functions.create_function(
        FunctionName="job",
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=role,
        Handler="app.handler",
        Code={"S3Bucket": buckets[0], "S3Key": "code.zip"},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName="job", WaiterConfig={"Delay": 1})
    functions.add_permission(
        FunctionName="job",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    told = [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
    for bucket in buckets:
        server.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": told}
        )
