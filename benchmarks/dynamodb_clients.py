"""Programs of the field against a server, each unmodified: ``make dynamodb-clients``.

Libraries and command lines that people keep items with, locks and sessions in tables, and the SDKs
of five languages: each does what it is for, under a root key of its own account, and compares what
it finds with what it gave. ``--only NAME`` runs one and writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from field import (
    CLIENTS,
    HOME,
    REGION,
    RUN_S,
    Failed,
    Field,
    Program,
    expect,
    go_program,
    install_debian,
    install_go,
    install_java,
    install_node,
    install_python,
    install_rust,
    java_class,
    main,
    node_script,
    python_of,
    python_script,
    rust_program,
)

SUITE = "dynamodb"
PACKAGES = (
    *("boto3", "awscli", "pynamodb", "aws-lambda-powertools[all]", "flask-session", "django"),
    *("boto3-stubs[dynamodb]", "dj-dynamodb-sessions", "python-dynamodb-lock", "pydynamodb"),
    "celery",
)
TOFU = HOME / "go" / "tofu"
ITEMS = 100
ITEMS_OF_A_CALL = 30
WORKERS = 4
WAIT_S = 60.0


# aws-cli.


def aws_cli(aws: str | Path) -> Callable[[Field], None]:
    """Return what works with aws-cli on a table with indexes, a stream and items that expire."""

    def check(field: Field) -> None:
        name = field.label

        def run(*arguments: str, service: str = "dynamodb") -> Any:
            # Debian's is older than the variable that names an endpoint.
            given = ("--output", "json", "--endpoint-url", field.endpoint)
            told = field.run(aws, service, *arguments, *given)
            return json.loads(told) if told.strip() else None

        run("create-table", "--table-name", name,
            "--attribute-definitions", "AttributeName=a,AttributeType=S",
            "AttributeName=b,AttributeType=N", "AttributeName=c,AttributeType=S",
            "--key-schema", "AttributeName=a,KeyType=HASH", "AttributeName=b,KeyType=RANGE",
            "--global-secondary-indexes",
            "IndexName=by-c,KeySchema=[{AttributeName=c,KeyType=HASH}],"
            "Projection={ProjectionType=KEYS_ONLY}",
            "--billing-mode", "PAY_PER_REQUEST", "--tags", "Key=of,Value=field",
            "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_IMAGE")  # fmt: skip
        run("wait", "table-exists", "--table-name", name)
        table = run("describe-table", "--table-name", name)["Table"]
        tags = run("list-tags-of-resource", "--resource-arn", table["TableArn"])["Tags"]
        expect(tags == [{"Key": "of", "Value": "field"}], f"{tags}")
        _aws_items(run, name)
        _aws_stream(run, table["LatestStreamArn"])
        run("update-time-to-live", "--table-name", name,
            "--time-to-live-specification", "Enabled=true,AttributeName=until")  # fmt: skip
        past = {"a": {"S": "short"}, "b": {"N": "1"}, "until": {"N": str(int(time.time()) - 1)}}
        run("put-item", "--table-name", name, "--item", json.dumps(past))
        until = time.monotonic() + WAIT_S
        key = json.dumps({"a": {"S": "short"}, "b": {"N": "1"}})
        while run("get-item", "--table-name", name, "--key", key):
            expect(time.monotonic() < until, "an expired item stays")
        run("delete-table", "--table-name", name)
        run("wait", "table-not-exists", "--table-name", name)
        expect(name not in run("list-tables")["TableNames"], "a deleted table is listed")

    return check


def _aws_items(run: Callable[..., Any], name: str) -> None:
    """Write and read items by every way that aws-cli has."""
    for begin in range(0, ITEMS, 25):
        puts = [
            {
                "PutRequest": {
                    "Item": {"a": {"S": "ü 🦫"}, "b": {"N": f"{n}"}, "c": {"S": f"{n % 3}"}}
                }
            }
            for n in range(begin, begin + 25)
        ]
        left = run("batch-write-item", "--request-items", json.dumps({name: puts}))
        expect(left["UnprocessedItems"] == {}, f"{left}")
    values = json.dumps({":a": {"S": "ü 🦫"}, ":from": {"N": f"{ITEMS - 10}"}})
    found = run("query", "--table-name", name, "--key-condition-expression", "a = :a AND b >= :from",
                "--expression-attribute-values", values, "--no-scan-index-forward",
                "--query", "Items[].b.N")  # fmt: skip
    expect(found == [str(n) for n in range(ITEMS - 1, ITEMS - 11, -1)], f"{found}")
    paged = run("scan", "--table-name", name, "--page-size", "7", "--query", "length(Items)")
    expect(paged == ITEMS, f"{paged}")
    first = run("scan", "--table-name", name, "--max-items", f"{ITEMS_OF_A_CALL}")
    rest = run("scan", "--table-name", name, "--starting-token", first["NextToken"])
    sizes = [len(each["Items"]) for each in (first, rest)]
    expect(sizes == [ITEMS_OF_A_CALL, ITEMS - ITEMS_OF_A_CALL], f"{sizes}")
    of_index = run("query", "--table-name", name, "--index-name", "by-c", "--select", "COUNT",
                   "--key-condition-expression", "c = :c",
                   "--expression-attribute-values", json.dumps({":c": {"S": "0"}}))  # fmt: skip
    expect(of_index["Count"] == len(range(0, ITEMS, 3)), f"{of_index}")
    key = {"a": {"S": "ü 🦫"}, "b": {"N": "5"}}
    update = {"TableName": name, "Key": key, "UpdateExpression": "SET d = :d",
              "ExpressionAttributeValues": {":d": {"M": {"x": {"L": [{"NULL": True}]}}}}}  # fmt: skip
    check = {"TableName": name, "Key": {**key, "b": {"N": "6"}},
             "ConditionExpression": "attribute_exists(a)"}  # fmt: skip
    run("transact-write-items", "--transact-items",
        json.dumps([{"Update": update}, {"ConditionCheck": check}]))  # fmt: skip
    said = run("execute-statement", "--statement",
               f"SELECT d FROM \"{name}\" WHERE a = 'ü 🦫' AND b = 5")  # fmt: skip
    expect(said["Items"] == [{"d": {"M": {"x": {"L": [{"NULL": True}]}}}}], f"{said}")
    try:
        run("put-item", "--table-name", name, "--item", json.dumps(key),
            "--condition-expression", "attribute_not_exists(a)")  # fmt: skip
    except Failed as error:
        expect("ConditionalCheckFailedException" in str(error), str(error))
    else:
        raise Failed("an item is written over against its condition")


def _aws_stream(run: Callable[..., Any], arn: str) -> None:
    """Read the first records of a stream."""
    streams = partial(run, service="dynamodbstreams")
    told = streams("describe-stream", "--stream-arn", arn)["StreamDescription"]
    at = streams("get-shard-iterator", "--stream-arn", arn,
                 "--shard-id", told["Shards"][0]["ShardId"],
                 "--shard-iterator-type", "TRIM_HORIZON")["ShardIterator"]  # fmt: skip
    records = streams("get-records", "--shard-iterator", at, "--limit", "5")["Records"]
    numbers = [each["dynamodb"]["NewImage"]["b"]["N"] for each in records]
    expect(numbers == ["0", "1", "2", "3", "4"], f"{numbers}")


# OpenTofu: its lock of a state, as Terraform takes it.


class States:
    """Working copies of one configuration, whose state lies in a bucket under a lock in a table.

    Args:
        field: Where it works.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._begun: list[subprocess.Popen[str]] = []
        self.name = field.label
        self.s3, self.table = (field.server.client(each) for each in ("s3", "dynamodb"))
        self.s3.create_bucket(Bucket=self.name)
        self.table.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def copy(self, name: str) -> Path:
        """Return a new working copy."""
        folder = self._field.folder / name
        folder.mkdir()
        shutil.copy(CLIENTS / "tofu" / "main.tf", folder)
        given = {"bucket": self.name, "region": REGION, "dynamodb_table": self.name}
        config = [f"-backend-config={key}={value}" for key, value in given.items()]
        self.run(folder, "init", *config)
        return folder

    def begin(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a working copy."""
        running = subprocess.Popen(
            [TOFU, f"-chdir={folder}", arguments[0], "-no-color", *arguments[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._field.environment,
        )
        self._begun.append(running)
        return running

    def close(self) -> None:
        """End what still runs."""
        for each in self._begun:
            each.kill()
            each.wait()
            if each.stdout:
                each.stdout.close()

    def run(self, folder: Path, *arguments: str, status: int = 0) -> str:
        """Run a command in a working copy and return what it said.

        Raises:
            Failed: Its status is another.
        """
        running = self.begin(folder, *arguments)
        told, _ = running.communicate(timeout=RUN_S)
        expect(running.returncode == status, f"{arguments}: {running.returncode}, {told[-800:]}")
        return told

    def rows(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return the rows of the table of locks."""
        return {row["LockID"]["S"]: row for row in self.table.scan(TableName=self.name)["Items"]}


def _apply(states: States, folder: Path, number: int) -> None:
    """Make a resource of the state, as soon as others let its lock go."""
    while True:
        applying = states.begin(folder, "apply", "-auto-approve", f"-lock-timeout={RUN_S}s",
                                f"-target=terraform_data.worker[{number}]")  # fmt: skip
        told, _ = applying.communicate(timeout=RUN_S)
        if applying.returncode == 0:
            return
        # It gives up when another lets go just before it asks who holds the lock, on AWS as well.
        expect("no lock info found" in told, told[-800:])


def opentofu(field: Field) -> None:
    """Change one state from many sides: one at a time, no change lost, none from a stale state."""
    with closing(States(field)) as states:
        _share(states)


def _share(states: States) -> None:
    """Apply side by side, kill who holds the lock, and change the state behind their backs."""
    copies = [states.copy(f"worker-{number}") for number in range(WORKERS)]
    lock = f"{states.name}/a b/state.json"

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(_apply, states), copies, range(WORKERS)))
    body = states.s3.get_object(Bucket=states.name, Key="a b/state.json")["Body"].read()
    (workers,) = json.loads(body)["resources"]
    made = [each["attributes"]["input"]["value"] for each in workers["instances"]]
    expect(made == [f"worker {number}" for number in range(WORKERS)], f"{made}")
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    rows = states.rows()
    expect(set(rows) == {f"{lock}-md5"}, f"{rows}")
    expect(rows[f"{lock}-md5"]["Digest"]["S"] == digest, "the digest is of another state")

    holding = states.begin(copies[0], "apply", "-auto-approve", "-target=terraform_data.holding")
    until = time.monotonic() + WAIT_S
    while not (copies[0] / "held").exists():
        expect(holding.poll() is None and time.monotonic() < until, "it does not begin")
        time.sleep(0.05)
    refused = states.run(copies[1], "plan", "-lock-timeout=1s", status=1)
    info = json.loads(states.rows()[lock]["Info"]["S"])
    expect("Error acquiring the state lock" in refused and info["ID"] in refused, refused[-800:])
    holding.kill()
    holding.communicate()
    (copies[0] / "held").unlink()
    states.run(copies[1], "plan", "-lock-timeout=0s", status=1)
    states.run(copies[1], "force-unlock", "-force", info["ID"])
    expect(
        "No changes" in states.run(copies[1], "plan", "-target=terraform_data.worker"), "changes"
    )

    states.s3.put_object(Bucket=states.name, Key="a b/state.json", Body=body + b" ")
    stale = states.run(copies[2], "plan", "-lock-timeout=0s", status=1)
    expect("does not have the expected content" in stale, stale[-800:])


python = partial(install_python, SUITE, PACKAGES)
aws_of_debian = partial(install_debian, ("/usr/bin/aws",), ("awscli",))
PROGRAMS = (
    Program("aws-cli-1", [python], aws_cli(python_of(SUITE) / "aws")),
    Program("aws-cli-2", [aws_of_debian], aws_cli("/usr/bin/aws")),
    *(
        Program(name, [python], python_script(SUITE, name))
        for name in (
            "boto3",
            "pynamodb",
            "powertools",
            "flask",
            "django",
            "lock",
            "pydynamodb",
            "celery",
        )
    ),
    *(
        Program(f"{name}-js", [install_node], node_script(name))
        for name in ("dynamodb", "dynamoose", "electrodb", "powertools", "express")
    ),
    Program("go", [partial(install_go, "dynamodb", "./dynamodb")], go_program("dynamodb")),
    Program("java-enhanced", [install_java], java_class("DynamoDb")),
    Program("java-locks", [install_java], java_class("Locks")),
    Program("rust", [partial(install_rust, "dynamodb")], rust_program("dynamodb")),
    Program(
        "opentofu",
        [partial(install_go, "tofu", "github.com/opentofu/opentofu/cmd/tofu", "tofu")],
        opentofu,
    ),
)


if __name__ == "__main__":
    sys.exit(main(SUITE, PROGRAMS))
