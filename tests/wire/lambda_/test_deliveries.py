from __future__ import annotations

import json
from typing import Any

THUMBNAIL = """
import boto3
s3 = boto3.client("s3")
def handler(event, context):
    for record in event["Records"]:
        bucket, key = record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        s3.put_object(Bucket="small", Key=key, Body=body[:3])
        print("made", key)
"""


def test_an_upload_runs_a_function_that_writes_elsewhere(
    create: Any, told_of_photos: Any, cloud: Any, make_role: Any, lines: Any
) -> None:
    s3 = cloud.client("s3")
    for bucket in ("photos", "small"):
        s3.create_bucket(Bucket=bucket)
    role = make_role("maker", "logs:*", "s3:*")
    arn = create(THUMBNAIL, Role=role, Timeout=30)["FunctionArn"]
    told_of_photos(arn)
    for number in range(5):
        s3.put_object(Bucket="photos", Key=f"p{number}.jpg", Body=b"picture")
    cloud.settle()
    assert sorted(line for line in lines() if line.startswith("made")) == [
        f"made p{number}.jpg\n" for number in range(5)
    ]
    assert s3.get_object(Bucket="small", Key="p3.jpg")["Body"].read() == b"pic"


def test_a_function_invokes_another_that_its_role_may(
    create: Any, invoke: Any, make_role: Any, account: str
) -> None:
    caller = """
import boto3
def handler(event, context):
    return boto3.client("lambda").invoke(FunctionName="g")["Payload"].read().decode()
"""
    create("def handler(event, context): return 'from g'", FunctionName="g")
    create(caller, Role=make_role("caller", "lambda:InvokeFunction"), Timeout=30)
    assert invoke({})["Payload"] == json.dumps("from g")
