from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


@pytest.fixture
def arn(cloud: Any) -> str:
    return f"arn:aws:lambda:us-east-1:{cloud.account.principal.account}:function:thumbnail"


def entry(arn: str, **more: Any) -> dict[str, Any]:
    return {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"], "Id": "one", **more}


def test_a_configuration_reads_back_as_it_was_put(s3: Any, arn: str) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    given = [entry(arn, Filter={"Key": {"FilterRules": rules}})]
    s3.put_bucket_notification_configuration(
        Bucket="photos",
        NotificationConfiguration={"LambdaFunctionConfigurations": given},
        SkipDestinationValidation=True,
    )
    got = s3.get_bucket_notification_configuration(Bucket="photos")
    for rule in rules:
        # AWS gives the names back with a capital.
        rule["Name"] = rule["Name"].capitalize()
    assert got["LambdaFunctionConfigurations"] == given
    s3.put_bucket_notification_configuration(Bucket="photos", NotificationConfiguration={})
    got = s3.get_bucket_notification_configuration(Bucket="photos")
    assert "LambdaFunctionConfigurations" not in got


@pytest.mark.parametrize(
    "configuration",
    [
        {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:q"}]},
        {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:us-east-1:1:t"}]},
        {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": "nonsense"}]},
    ],
)
def test_destinations_that_are_not_there_are_refused(s3: Any, configuration: Any) -> None:
    for entries in configuration.values():
        entries[0]["Events"] = ["s3:ObjectCreated:*"]
    with pytest.raises(ClientError) as error:
        s3.put_bucket_notification_configuration(
            Bucket="photos", NotificationConfiguration=configuration
        )
    assert error.value.response["Error"]["Code"] == "InvalidArgument"


def test_event_bridge_is_not_built(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_bucket_notification_configuration(
            Bucket="photos", NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    assert error.value.response["Error"]["Code"] == "NotImplemented"


def test_a_function_that_is_not_there_is_refused(s3: Any, arn: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_bucket_notification_configuration(
            Bucket="photos",
            NotificationConfiguration={"LambdaFunctionConfigurations": [entry(arn)]},
        )
    told = error.value.response["Error"]
    assert told["Code"] == "InvalidArgument"
    assert told["Message"] == "Unable to validate the following destination configurations"
    assert told["ArgumentName1"] == f"{arn}, null"
    assert told["ArgumentValue1"] == f"Not authorized to invoke function [{arn}]"


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }
    ],
}
LOGS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
}
SOURCE = """
import json

def handler(event, context):
    for record in event["Records"]:
        print("told " + json.dumps([record["eventName"], record["s3"]["object"]["key"]]))
"""


@pytest.fixture
def function(client: Any) -> str:
    """Return the ARN of a function that logs what it is told."""
    iam = client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(LOGS))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", SOURCE)
    made = client("lambda").create_function(
        FunctionName="thumbnail",
        Runtime="python3.11",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
    )
    return made["FunctionArn"]


def permit(client: Any, source: str) -> None:
    client("lambda").add_permission(
        FunctionName="thumbnail",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=source,
    )


@pytest.mark.slow
def test_a_function_is_told_of_what_happens(
    client: Any, cloud: Any, s3: Any, function: str
) -> None:
    permit(client, "arn:aws:s3:::photos")
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    s3.put_bucket_notification_configuration(
        Bucket="photos",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [entry(function, Events=events)]
        },
    )
    s3.put_object(Bucket="photos", Key="a b.jpg", Body=b"x")
    s3.delete_object(Bucket="photos", Key="a b.jpg")
    cloud.settle()
    cloud.advance(1_000)
    found = client("logs").filter_log_events(logGroupName="/aws/lambda/thumbnail")["events"]
    told = [event["message"].strip() for event in found if event["message"].startswith("told")]
    assert sorted(told) == [
        'told ["ObjectCreated:Put", "a+b.jpg"]',
        'told ["ObjectRemoved:Delete", "a+b.jpg"]',
    ]


def test_a_function_that_lets_in_another_bucket_only_is_refused(
    client: Any, s3: Any, function: str
) -> None:
    permit(client, "arn:aws:s3:::others")
    with pytest.raises(ClientError) as error:
        s3.put_bucket_notification_configuration(
            Bucket="photos",
            NotificationConfiguration={"LambdaFunctionConfigurations": [entry(function)]},
        )
    assert error.value.response["Error"]["Code"] == "InvalidArgument"
