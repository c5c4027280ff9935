"""Functions on a real server: their roles, their code, and the buckets that they are told of."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import Any

from fogbank.platform.iam.evaluate import document_of
from fogbank.testing.server import Server

TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps(document_of(*statements))


def zipped(code: str) -> bytes:
    """Return a package whose handler is ``app.handler``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("app.py", code)
    return out.getvalue()


def make_role(server: Server, *allowed: dict[str, Any], trust: dict[str, Any] = TRUST) -> str:
    """Make the role ``job``, which may do what is allowed; return its ARN."""
    iam = server.client("iam")
    made = iam.create_role(RoleName="job", AssumeRolePolicyDocument=document(trust))
    if allowed:
        allow(server, *allowed)
    return made["Role"]["Arn"]


def allow(server: Server, *allowed: dict[str, Any]) -> None:
    """Let the role do what is allowed, and nothing else."""
    server.client("iam").put_role_policy(
        RoleName="job", PolicyName="p", PolicyDocument=document(*allowed)
    )


def make_function(server: Server, role: str, code: dict[str, Any], **options: Any) -> str:
    """Make a function, ``job`` if it is not named, and wait until it is active; return its ARN."""
    functions, name = server.client("lambda"), options.pop("FunctionName", "job")
    made = functions.create_function(
        FunctionName=name,
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=role,
        Code=code,
        **{"Handler": "app.handler", "Timeout": 30, **options},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return made["FunctionArn"]


def tell(server: Server, arn: str, *buckets: str) -> None:
    """Let a function be told of what is put into buckets."""
    server.client("lambda").add_permission(
        FunctionName=arn,
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    told = [{"Id": "n", "LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
    for bucket in buckets:
        server.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": told}
        )
