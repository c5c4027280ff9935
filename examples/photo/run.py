"""The photo example: a photo goes up, a function runs, a thumbnail and a table row come out.

Plain boto3 against whatever ``AWS_ENDPOINT_URL`` and the other ``AWS_*`` variables name. Ends with
status 0 only if every thumbnail and every row is there and right.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import re
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from pictures import Picture, pictures
from PIL import Image

PHOTOS = "photos"
THUMBNAILS = "thumbnails"
TABLE = "photo-metadata"
FUNCTION = "photo-thumbnail"
ROLE = "photo-function"
EDGE = 256
FREE_REQUESTS = 1_000_000
FREE_GB_SECONDS = 400_000
PRICE_REQUEST = 0.20 / 1_000_000
PRICE_GB_SECOND = 0.0000166667
REPORT = re.compile(
    r"REPORT RequestId: \S+\s+Duration: ([\d.]+) ms\s+Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB"
)

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


class Failed(Exception):
    """The example did not come out right."""


class Progress:
    """Says what is being done, with the time since the start."""

    def __init__(self, limit_s: float) -> None:
        self._began = time.monotonic()
        self._limit_s = limit_s

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"[{time.monotonic() - self._began:6.2f} s] {text}", flush=True)

    def wait(self, what: str, done: Callable[[], bool]) -> None:
        """Poll until something is so, within the overall limit."""
        while not done():
            if time.monotonic() - self._began > self._limit_s:
                raise Failed(f"timed out after {self._limit_s:.0f} s: {what}")
            time.sleep(0.05)


def permissions(account: str, region: str) -> dict[str, Any]:
    """Return the policy of the function's role: just what it needs."""
    logs = f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{FUNCTION}"
    allow = {
        "s3:GetObject": f"arn:aws:s3:::{PHOTOS}/*",
        "s3:PutObject": f"arn:aws:s3:::{THUMBNAILS}/*",
        "dynamodb:PutItem": f"arn:aws:dynamodb:{region}:{account}:table/{TABLE}",
    }
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in allow.items()
    ]
    statements.append(
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [logs, f"{logs}:*"],
        }
    )
    return {"Version": "2012-10-17", "Statement": statements}


def package() -> bytes:
    """Zip the function with the Pillow that is installed here."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        package.write(Path(__file__).parent / "function" / "app.py", "app.py")
        for file in importlib.metadata.files("pillow") or []:
            if file.parts[0] in {"PIL", "pillow.libs"} and file.suffix != ".pyc":
                package.write(str(file.locate()), str(file))
    return out.getvalue()


class Example:
    """The example, step by step."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.s3: Any = boto3.client("s3")
        self.dynamodb: Any = boto3.client("dynamodb")
        self.iam: Any = boto3.client("iam")
        self.functions: Any = boto3.client("lambda")
        self.logs: Any = boto3.client("logs")
        self.region = self.s3.meta.region_name
        self.account = boto3.client("sts").get_caller_identity()["Account"]

    def build(self) -> None:
        """Create buckets, table, role, function and notification."""
        self.progress.say(f"account {self.account}: buckets {PHOTOS}, {THUMBNAILS}; table {TABLE}")
        for bucket in (PHOTOS, THUMBNAILS):
            self.s3.create_bucket(Bucket=bucket)
        self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.dynamodb.get_waiter("table_exists").wait(
            TableName=TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        role = self.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
        self.iam.put_role_policy(
            RoleName=ROLE,
            PolicyName="just-what-it-needs",
            PolicyDocument=json.dumps(permissions(self.account, self.region)),
        )
        code = package()
        runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.progress.say(f"function {FUNCTION}: {runtime}, package of {len(code) / 1e6:.1f} MB")
        function = self.functions.create_function(
            FunctionName=FUNCTION,
            Runtime=runtime,
            Role=role["Role"]["Arn"],
            Handler="app.handler",
            Code={"ZipFile": code},
            Timeout=60,
            MemorySize=1024,
            Environment={
                "Variables": {
                    "THUMBNAILS_BUCKET": THUMBNAILS,
                    "TABLE": TABLE,
                    "THUMBNAIL_EDGE": str(EDGE),
                }
            },
        )
        self.functions.get_waiter("function_active_v2").wait(
            FunctionName=FUNCTION, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        self.functions.add_permission(
            FunctionName=FUNCTION,
            StatementId="photos",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn=f"arn:aws:s3:::{PHOTOS}",
            SourceAccount=self.account,
        )
        self.s3.put_bucket_notification_configuration(
            Bucket=PHOTOS,
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [
                    {
                        "Id": "thumbnail",
                        "LambdaFunctionArn": function["FunctionArn"],
                        "Events": ["s3:ObjectCreated:*"],
                    }
                ]
            },
        )

    def upload(self, files: list[Picture]) -> None:
        """Upload the pictures."""
        for file in files:
            self.s3.put_object(
                Bucket=PHOTOS, Key=file.name, Body=file.content, ContentType=file.content_type
            )
            self.progress.say(
                f"uploaded {file.name}: {file.width} x {file.height}, {len(file.content):,} bytes"
            )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the table's rows by name."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=TABLE)
        return {row["name"]["S"]: row for page in pages for row in page["Items"]}

    def verify(self, files: list[Picture]) -> None:
        """Compare every thumbnail and every row with what was uploaded."""
        rows = self.rows()
        if len(rows) != len(files):
            raise Failed(f"{len(files)} pictures, {len(rows)} rows")
        for file in files:
            row = rows.get(file.name)
            if row is None:
                raise Failed(f"no row of {file.name}")
            expected = {
                "size": str(len(file.content)),
                "width": str(file.width),
                "height": str(file.height),
            }
            for name, value in expected.items():
                if row[name]["N"] != value:
                    raise Failed(f"{file.name}: {name} is {row[name]['N']}, not {value}")
            if row["content_type"]["S"] != file.content_type:
                raise Failed(f"{file.name}: content type {row['content_type']['S']}")
            created = datetime.fromisoformat(row["created"]["S"])
            if created != self.created(file):
                raise Failed(f"{file.name}: created {created.isoformat()}")
            self.verify_thumbnail(file)
            self.progress.say(
                f"row {file.name}: {row['width']['N']} x {row['height']['N']}, "
                f"{row['size']['N']} bytes, {row['content_type']['S']}, {row['created']['S']}"
            )

    def created(self, file: Picture) -> datetime:
        """Return when the camera took a picture, or else when it was uploaded."""
        if file.taken:
            return datetime.strptime(file.taken, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        return self.s3.head_object(Bucket=PHOTOS, Key=file.name)["LastModified"]

    def verify_thumbnail(self, file: Picture) -> None:
        """Decode one thumbnail and compare its form with the picture's."""
        try:
            found = self.s3.get_object(Bucket=THUMBNAILS, Key=f"{file.name}.jpg")
        except self.s3.exceptions.NoSuchKey as error:
            raise Failed(f"no thumbnail of {file.name}") from error
        with Image.open(io.BytesIO(found["Body"].read())) as thumbnail:
            thumbnail.load()
            width, height = thumbnail.size
        scale = min(EDGE / file.width, EDGE / file.height, 1)
        if abs(width - file.width * scale) > 1 or abs(height - file.height * scale) > 1:
            raise Failed(f"{file.name}: thumbnail of {width} x {height}")
        self.progress.say(f"thumbnail {file.name}.jpg: {width} x {height}")

    def log_lines(self) -> list[str]:
        """Return the function's log, of which there is nothing before its first lines are kept."""
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{FUNCTION}"
        )
        try:
            return [event["message"].rstrip("\n") for page in pages for event in page["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def show_log(self, invocations: int) -> list[str]:
        """Wait for the reports of all invocations, print the log and return its reports."""

        def reports() -> list[str]:
            return [line for line in self.log_lines() if line.startswith("REPORT")]

        self.progress.wait("the function's log", lambda: len(reports()) >= invocations)
        print("\nlog of the function")
        for line in self.log_lines():
            print(f"  {line}")
        return reports()


def show_cost(reports: list[str]) -> None:
    """Print what these invocations would have cost on AWS."""
    runs = [REPORT.match(line) for line in reports]
    if not all(runs):
        raise Failed("a REPORT line has another form")
    gb_seconds = sum(int(run[2]) / 1000 * int(run[3]) / 1024 for run in runs if run)
    cost = len(runs) * PRICE_REQUEST + gb_seconds * PRICE_GB_SECOND
    print("\ncost of the function at AWS's list price")
    print(f"  requests    {len(runs):>10} of {FREE_REQUESTS:,} free a month")
    print(f"  GB-seconds  {gb_seconds:>10.3f} of {FREE_GB_SECONDS:,} free a month")
    print(f"  without the free tier {cost:.8f} USD, with it 0.00 USD; here nothing")


def main() -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=300, help="overall time limit in seconds")
    progress = Progress(parser.parse_args().limit)
    try:
        progress.say("drawing pictures")
        files = pictures()
        example = Example(progress)
        example.build()
        example.upload(files)
        progress.say("waiting for thumbnails and rows")
        progress.wait("rows", lambda: len(example.rows()) >= len(files))
        example.verify(files)
        show_cost(example.show_log(len(files)))
    except Failed as failure:
        progress.say(f"FAILED: {failure}")
        return 1
    progress.say(f"{len(files)} pictures, {len(files)} thumbnails, {len(files)} rows: all right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
