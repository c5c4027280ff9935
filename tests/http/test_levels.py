"""A real server at each sandbox level, started as root and as an ordinary user.

Where a user cannot have a level the loud refusal is what is tested. TLS is on, because what
functions must trust lies elsewhere where no root of their own can be built.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.server import Server, StartFailed
from fogbank.testing.sessions import new_session

pytestmark = [pytest.mark.http, pytest.mark.slow]

ROOT = os.getuid() == 0
ORDINARY_UID = 65534
WAIT_S = 60
NAMES = {1: "full", 2: "rootless", 3: "landlock", 4: "bare"}
COLUMNS = [(2, "ordinary"), (3, "ordinary"), (4, "ordinary")]
if ROOT:
    COLUMNS = [*((level, "root") for level in NAMES), *COLUMNS]
WALLED_ROOT = [pytest.param(level, id=NAMES[level]) for level in (3, 4) if ROOT]
SETTINGS = "[tls]\nenabled = true\n"
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
RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "dynamodb:*", "logs:*"], "Resource": "*"}],
}
CODE = """
import boto3, os, tempfile
s3, table = boto3.client("s3"), boto3.resource("dynamodb").Table("rows")

def handler(event, context):
    for record in event.get("Records", []):
        key = record["s3"]["object"]["key"]
        body = s3.get_object(Bucket="uploads", Key=key)["Body"].read()
        table.put_item(Item={"id": key, "size": len(body)})
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    who = boto3.client("sts").get_caller_identity()["Arn"]
    return {"uid": os.getuid(), "who": who, "echo": event.get("echo")}
"""


class House(NamedTuple):
    """A server at a level."""

    level: int
    user: str
    server: Server
    arn: str


def make_folder(user: str) -> Path:
    """Return a folder that everybody can reach, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="fogbank-levels-"))
    folder.chmod(0o755)
    if user == "ordinary" and ROOT:
        os.chown(folder, ORDINARY_UID, ORDINARY_UID)
    return folder


def server_in(folder: Path, level: int | str, user: str, settings: str = SETTINGS) -> Server:
    """Return a server, not yet started, that is asked for a level."""
    uid = ORDINARY_UID if user == "ordinary" and ROOT else None
    variables = {"FOGBANK_SANDBOX_LEVEL": str(level), "HOME": "/"}
    return Server(folder / "data", variables=variables, settings=settings, user=uid)


def clients_of(server: Server, account: str) -> Any:
    """Return what makes clients of another account."""
    said = server.run("env", "--account", account, "--format", "json").stdout
    variables = json.loads(said)

    def client(service: str) -> Any:
        return new_session().client(
            service,
            region_name=variables["AWS_REGION"],
            endpoint_url=server.endpoint,
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            verify=variables.get("AWS_CA_BUNDLE"),
        )

    return client


def create_function(client: Any, code: str) -> str:
    """Create a function with a role of its own; return its ARN."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("app.py", code)
    iam = client("iam")
    made = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(RIGHTS))
    return client("lambda").create_function(
        FunctionName="f",
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=made["Role"]["Arn"],
        Handler="app.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=30,
        MemorySize=256,
    )["FunctionArn"]


@pytest.fixture(scope="module", params=COLUMNS, ids=lambda column: f"{column[0]}-{column[1]}")
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    level, user = request.param
    folder = make_folder(user)
    try:
        with server_in(folder, level, user) as server:
            yield House(level, user, server, create_function(server.client, CODE))
    finally:
        shutil.rmtree(folder)


def invoke(client: Any, **event: Any) -> Any:
    answer = client("lambda").invoke(FunctionName="f", Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


def test_a_function_is_invoked_and_reaches_the_endpoint_from_inside(house: House) -> None:
    said = invoke(house.server.client, echo="é")
    assert said["echo"] == "é"
    assert ":assumed-role/r/" in said["who"]
    if house.level <= 2:
        assert said["uid"] == 993
    else:
        own = ORDINARY_UID if ROOT else os.getuid()
        assert (said["uid"] == own) == (house.user == "ordinary")
        assert said["uid"] != 0


def test_an_upload_becomes_a_row(house: House) -> None:
    s3, tables = house.server.client("s3"), house.server.client("dynamodb")
    tables.create_table(
        TableName="rows",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    s3.create_bucket(Bucket="uploads")
    house.server.client("lambda").add_permission(
        FunctionName="f",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    s3.put_bucket_notification_configuration(
        Bucket="uploads",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": house.arn, "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    s3.put_object(Bucket="uploads", Key="photo", Body=b"12345")
    deadline = time.monotonic() + WAIT_S
    while not (row := tables.get_item(TableName="rows", Key={"id": {"S": "photo"}}).get("Item")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert row["size"] == {"N": "5"}


def test_a_second_account_has_functions_where_accounts_are_kept_apart(house: House) -> None:
    assert invoke(house.server.client, echo=1)["echo"] == 1  # the first account's function runs
    assert house.server.run("account", "create", "second").returncode == 0
    client = clients_of(house.server, "second")
    create_function(client, "def handler(event, context): return 'second'\n")
    if house.level < 4:
        assert invoke(client) == "second"
        return
    with pytest.raises(ClientError, match="ServiceException"):
        invoke(client)


def test_doctor_says_the_level(house: House) -> None:
    done = house.server.run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"level {house.level}, {NAMES[house.level]} (as functions.sandbox_level asks)" in (
        done.stdout
    )
    assert ("FUNCTIONS ARE NOT ISOLATED" in done.stdout) == (house.level == 4)


def test_only_what_must_be_passed_is_open_to_others(house: House) -> None:
    data = house.server.data_dir
    passed = 0o711 if house.user == "root" and house.level >= 3 else 0o700
    functions = data / "functions"
    assert [path.stat().st_mode & 0o777 for path in (data, functions)] == [passed] * 2
    assert (functions / "code").stat().st_mode & 0o777 == 0o711
    for path in data.iterdir():
        others = path.stat().st_mode & 0o077
        assert not others or path == functions, path


def test_the_full_level_is_refused_to_an_ordinary_user() -> None:
    folder = make_folder("ordinary")
    with pytest.raises(StartFailed, match=r"level 1 \(full\) is asked for .* it needs root"):
        server_in(folder, 1, "ordinary").start()
    shutil.rmtree(folder)


@pytest.mark.parametrize("level", WALLED_ROOT or [3, 4])
def test_a_folder_that_bars_the_way_is_named_and_not_opened(level: int) -> None:
    folder = make_folder("root" if ROOT else "ordinary")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    if not ROOT:  # environments are the user that the folder is open to
        with server_in(closed, level, "ordinary", settings="") as open_to_us:
            assert "FUNCTIONS CANNOT RUN" not in open_to_us.run("doctor").stdout
        shutil.rmtree(folder)
        return
    server = server_in(closed, level, "root", settings="")
    with pytest.raises(StartFailed, match=rf"may not pass {closed}: let others pass it"):
        server.start()
    doctor = server.run("doctor")
    assert doctor.returncode == 1
    assert (
        f"FUNCTIONS CANNOT RUN: environments have users of their own, which may not pass {closed}"
        in (doctor.stdout)
    )
    assert closed.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(folder)
