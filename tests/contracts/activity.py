"""Activity that leaves work behind: things made, changed, used and deleted, service by service.

Every function makes and then removes what it made, so that nothing of it may remain.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.contracts.made_up import TRUST, package
from tests.contracts.seeds import ALLOW_ALL, Clients

LARGE = bytes(200_000)
"""Past what lies inline: such bodies are blobs."""
PART = bytes(5 << 20)
BUCKET = "active-bucket"
FAILING = "def handler(event, context):\n    raise ValueError(event)\n"


def use_s3(clients: Clients, _account: str) -> Callable[[], None]:
    s3 = clients("s3")
    s3.create_bucket(Bucket=BUCKET)
    at = {"Bucket": BUCKET}
    s3.put_object(**at, Key="small", Body=b"x")
    s3.put_object(**at, Key="large", Body=LARGE)
    s3.put_object(**at, Key="large", Body=LARGE + b"again")
    s3.copy_object(**at, Key="copy", CopySource=f"{BUCKET}/large")
    for key in ("whole", "broken"):
        upload = {
            **at,
            "Key": key,
            "UploadId": s3.create_multipart_upload(**at, Key=key)["UploadId"],
        }
        tags = [
            s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
            for number, body in ((1, PART), (2, LARGE), (3, LARGE))
        ]
        if key == "broken":
            s3.abort_multipart_upload(**upload)
            continue
        # The third part is left out, and is swept.
        parts = [{"PartNumber": number, "ETag": tags[number - 1]} for number in (1, 2)]
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    s3.copy_object(**at, Key="whole-copy", CopySource=f"{BUCKET}/whole")
    s3.create_multipart_upload(**at, Key="left")

    def remove() -> None:
        keys = [entry["Key"] for entry in s3.list_objects_v2(**at)["Contents"]]
        s3.delete_object(**at, Key=keys.pop())
        s3.delete_objects(**at, Delete={"Objects": [{"Key": key} for key in keys]})
        s3.delete_bucket(**at)

    return remove


def use_dynamodb(clients: Clients, _account: str) -> Callable[[], None]:
    dynamodb = clients("dynamodb")
    table = {"TableName": "active"}
    dynamodb.create_table(
        **table,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(70):
        text = {"S": "x" * (100_000 if number == 1 else 1)}
        dynamodb.put_item(**table, Item={"id": {"S": str(number)}, "text": text})
    dynamodb.delete_item(**table, Key={"id": {"S": "1"}})
    return lambda: dynamodb.delete_table(**table)


def use_iam(clients: Clients, account: str) -> Callable[[], None]:
    iam = clients("iam")
    user, group, role = {"UserName": "active"}, {"GroupName": "active"}, {"RoleName": "active"}
    policy = {"PolicyArn": f"arn:aws:iam::{account}:policy/active"}
    iam.create_user(**user)
    iam.create_group(**group)
    iam.create_role(**role, AssumeRolePolicyDocument=TRUST)
    iam.create_policy(PolicyName="active", PolicyDocument=ALLOW_ALL)
    iam.create_policy_version(**policy, PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    iam.add_user_to_group(**user, **group)
    key = iam.create_access_key(**user)["AccessKey"]["AccessKeyId"]
    iam.attach_user_policy(**user, **policy)
    iam.attach_role_policy(**role, **policy)
    iam.put_group_policy(**group, PolicyName="inline", PolicyDocument=ALLOW_ALL)

    def remove() -> None:
        iam.delete_group_policy(**group, PolicyName="inline")
        iam.detach_user_policy(**user, **policy)
        iam.detach_role_policy(**role, **policy)
        iam.delete_access_key(**user, AccessKeyId=key)
        iam.remove_user_from_group(**user, **group)
        iam.delete_policy_version(**policy, VersionId="v1")
        iam.delete_policy(**policy)
        iam.delete_role(**role)
        iam.delete_group(**group)
        iam.delete_user(**user)

    return remove


def use_logs(clients: Clients, _account: str) -> Callable[[], None]:
    logs = clients("logs")
    group, other = {"logGroupName": "/active"}, {"logGroupName": "/active/other"}
    now_ms = 1_767_225_600_000
    for each in (group, other):
        logs.create_log_group(**each)
        for name in ("one", "two"):
            stream = {**each, "logStreamName": name}
            logs.create_log_stream(**stream)
            # A large message lies in parts.
            messages = ["small", "large" * 40_000, "small again"]
            events = [{"timestamp": now_ms, "message": message} for message in messages]
            logs.put_log_events(**stream, logEvents=events)
    logs.put_retention_policy(**group, retentionInDays=1)
    logs.delete_log_stream(**group, logStreamName="one")

    def remove() -> None:
        logs.delete_log_group(**group)
        logs.delete_log_group(**other)

    return remove


def use_lambda(clients: Clients, account: str) -> Callable[[], None]:
    function, name = clients("lambda"), {"FunctionName": "active"}
    role = {"RoleName": "active-function"}
    clients("iam").create_role(**role, AssumeRolePolicyDocument=TRUST)
    function.create_function(
        **name,
        Role=f"arn:aws:iam::{account}:role/active-function",
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": package()},
    )
    function.add_permission(
        **name, StatementId="s3", Principal="s3.amazonaws.com", Action="lambda:InvokeFunction"
    )
    function.invoke(**name, Payload=b"{}")
    function.update_function_code(**name, ZipFile=package(FAILING))
    large = json.dumps("x" * 100_000).encode()
    for payload in (b"{}", large):
        function.invoke(**name, InvocationType="Event", Payload=payload)

    def remove() -> None:
        function.delete_function(**name)
        clients("iam").delete_role(**role)
        groups: Any = clients("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")
        for group in groups["logGroups"]:
            clients("logs").delete_log_group(logGroupName=group["logGroupName"])

    return remove


ACTIVITIES: dict[str, Callable[[Clients, str], Callable[[], None]]] = {
    "s3": use_s3,
    "dynamodb": use_dynamodb,
    "iam": use_iam,
    "logs": use_logs,
    "lambda": use_lambda,
}
