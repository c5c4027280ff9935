from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.platform.metering.billing import Report
from fogbank.platform.runtime.functions import Run
from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodbstreams import SERVICE as STREAMS
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.lambda_ import SERVICE as LAMBDA
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud

ECHO = """
import os
def handler(event, context):
    print("event", event)
    return {"event": event, "id": context.aws_request_id, "variables": dict(os.environ)}
"""


@pytest.fixture
def cloud(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud whose bodies all run twice and whose functions reach it through boto3.

    A parameter gives its quotas, or all of its settings.
    """
    services = [DYNAMODB, STREAMS, IAM, LAMBDA, LOGS, S3, STS]
    given = getattr(request, "param", {})
    config = given if isinstance(given, Config) else Config(quotas=given)
    with Cloud(services=services, replay=True, work_dir=tmp_path, config=config) as made:
        yield made


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    """Return the Lambda client."""
    return cloud.client("lambda")


@pytest.fixture
def told_of_photos(functions: Any, cloud: Cloud, account: str) -> Callable[[str], None]:
    """Return what has the function ``f``, by its ARN, told of uploads to the bucket ``photos``."""

    def tell(arn: str) -> None:
        functions.add_permission(
            FunctionName="f",
            StatementId="photos",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn="arn:aws:s3:::photos",
            SourceAccount=account,
        )
        target = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
        cloud.client("s3").put_bucket_notification_configuration(
            Bucket="photos", NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
        )

    return tell


@pytest.fixture
def logs(cloud: Cloud) -> Any:
    return cloud.client("logs")


@pytest.fixture
def document() -> Callable[..., str]:
    def made(action: str, resource: str = "*", effect: str = "Allow", **more: Any) -> str:
        statement = {"Effect": effect, "Action": action, **more}
        if "Principal" not in more:
            statement["Resource"] = resource
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    return made


@pytest.fixture
def make_role(cloud: Cloud, document: Any) -> Callable[..., str]:
    iam = cloud.client("iam")

    def make(name: str, *actions: str, trusted: str = "lambda.amazonaws.com") -> str:
        trust = document("sts:AssumeRole", Principal={"Service": trusted})
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        for number, action in enumerate(actions):
            iam.put_role_policy(
                RoleName=name, PolicyName=f"p{number}", PolicyDocument=document(action)
            )
        return arn

    return make


@pytest.fixture
def role(make_role: Any) -> str:
    return make_role("runner", "logs:*")


@pytest.fixture
def zipped() -> Callable[..., bytes]:
    def make(source: str = ECHO, **files: str) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {"app.py": source, **files}.items():
                info = zipfile.ZipInfo(name)  # without the time of day: equal files, equal bytes
                info.external_attr = 0o644 << 16
                archive.writestr(info, content, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    return make


@pytest.fixture
def create(functions: Any, role: str, zipped: Any) -> Callable[..., Any]:
    def make(source: str = ECHO, **changes: Any) -> Any:
        request = {
            "FunctionName": "f",
            "Runtime": "python3.11",
            "Role": role,
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped(source)},
        }
        return functions.create_function(**{**request, **changes})

    return make


@pytest.fixture
def invoke(functions: Any) -> Callable[..., Any]:
    """Return a function that invokes and returns the reply with its payload decoded."""

    def run(event: Any = None, **changes: Any) -> Any:
        payload = b"" if event is None else json.dumps(event).encode()
        reply = functions.invoke(**{"FunctionName": "f", "Payload": payload, **changes})
        raw = reply["Payload"].read()
        return {**reply, "Payload": json.loads(raw) if raw else None}

    return run


@pytest.fixture
def lines(cloud: Cloud, logs: Any) -> Callable[..., list[str]]:
    """Return a function that returns a function's log lines, in order, once they are durable."""

    def read(name: str = "f") -> list[str]:
        cloud.advance(200)
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        return [event["message"] for event in found]

    return read


@pytest.fixture
def user(cloud: Cloud, document: Any) -> Callable[..., Any]:
    """Return a function that makes a user with some actions and returns its Lambda client."""
    iam = cloud.client("iam")

    def make(name: str, *statements: dict[str, Any]) -> Any:
        iam.create_user(UserName=name)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return cloud.client(
            "lambda", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
        )

    return make


# Event source mappings: what a stream has is noted in the place of every function.

READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
READING = (*READS, "dynamodb:ListStreams", "s3:PutObject", "lambda:InvokeFunction")


class Function:
    """Takes the place of every function: notes its events, and answers what a test says."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda _event: None
        """From an event to what the function returns; what it raises is its error."""

    async def run(self, _target: Any, invocation: Any, *_: Any, **__: Any) -> Run:
        event = json.loads(invocation.payload)
        self.events.append(event)
        report = Report(invocation.request_id, 1.0, 1, 128, 1)
        try:
            return Run(json.dumps(self.answer(event)).encode(), False, report, b"")
        except RuntimeError as error:
            return Run(json.dumps({"errorMessage": str(error)}).encode(), True, report, b"")

    @property
    def batches(self) -> list[list[str]]:
        """Return the sort keys of the records of each event."""
        return [[key_of(each) for each in event["Records"]] for event in self.events]


def key_of(record: Any) -> str:
    key: str = record["dynamodb"]["Keys"]["c"]["N"]
    return key


@pytest.fixture
def function(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Function:
    made = Function()
    monkeypatch.setattr(cloud.app.parts.functions, "run", made.run)
    return made


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    return cloud.client("dynamodb")


@pytest.fixture
def stream(dynamodb: Any) -> str:
    """Make the table ``tab``; return the ARN of its stream."""
    table = dynamodb.create_table(
        TableName="tab",
        KeySchema=[
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "c", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "c", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    arn: str = table["LatestStreamArn"]
    return arn


@pytest.fixture
def put(dynamodb: Any) -> Callable[..., None]:
    def put(*numbers: int, **others: Any) -> None:
        for number in numbers:
            item = {"p": {"S": "p"}, "c": {"N": str(number)}, **others}
            dynamodb.put_item(TableName="tab", Item=item)

    return put


@pytest.fixture
def source(
    cloud: Cloud, functions: Any, create: Any, make_role: Any, function: Function, stream: str
) -> Callable[..., str]:
    """Map the stream to the function ``f``, from its begin on; return the mapping's id.

    What is written later waits until time goes on, for the stream has been looked at by then.
    """

    def made(**changes: Any) -> str:
        create(Role=make_role("reader", *READING))
        asked = {"EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON", **changes}
        reply = functions.create_event_source_mapping(FunctionName="f", **asked)
        assert reply["State"] == "Creating"
        uuid: str = reply["UUID"]
        cloud.settle()
        return uuid

    return made


@pytest.fixture
def told(functions: Any) -> Callable[[str], Any]:
    def get(uuid: str) -> Any:
        return functions.get_event_source_mapping(UUID=uuid)

    return get
