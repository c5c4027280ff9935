"""Operators' commands know of every store, whichever process decided, told or keeps what is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.http.several import (
    ACCOUNT,
    BUCKETS,
    make_told,
    processes,
    settings,
    store_of,
    wait_until,
)

from fogbank.platform.store.engine import Domain
from fogbank.platform.store.keyspace import shard_of
from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

HOME = shard_of(Domain("lambda", ACCOUNT, "us-east-1"), 2)
NEAR = next(bucket for bucket in BUCKETS if store_of(bucket) == HOME)
FAR = next(bucket for bucket in BUCKETS if store_of(bucket) != HOME)
# Nothing that merely waits in a process's memory is written unless a command asks for it.
SLOW_TRAIL = "[audit]\nflush_ms = 60000\n"
DENIED = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "NoPuts", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"},
        {"Sid": "NoTables", "Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"},
        {"Sid": "NoUsers", "Effect": "Deny", "Action": "iam:ListUsers", "Resource": "*"},
    ],
}


@pytest.fixture(scope="module", params=[(2, 0), (2, 2)], ids=["2-0", "2-2"])
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    stores, fronts = request.param
    data_dir = tmp_path_factory.mktemp("operators") / "data"
    with Server(data_dir, settings=settings(stores, fronts) + SLOW_TRAIL) as server:
        assert len(processes(server, "process")) == stores
        assert len(processes(server, "front")) == fronts
        for bucket in BUCKETS:
            server.client("s3").create_bucket(Bucket=bucket)
        make_told(server, NEAR, FAR)
        yield server


def rows(server: Server, *words: str) -> list[dict[str, Any]]:
    done = server.run(*words, "--format", "json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def user_keys(server: Server, name: str, policy: dict[str, Any]) -> dict[str, str]:
    iam = server.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }


def refused(call: Any, **given: Any) -> str:
    """Return the id of a request that was refused."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    assert re.match("AccessDenied", caught.value.response["Error"]["Code"])
    return caught.value.response["ResponseMetadata"]["RequestId"]


def test_why_denied_names_the_statement_wherever_the_request_was_decided(cloud: Server) -> None:
    keys = user_keys(cloud, "mary", DENIED)
    asked: dict[str, str] = {}
    for bucket in (NEAR, FAR) * 2:  # each over a connection of its own, which any process may take
        put = cloud.client("s3", **keys).put_object
        asked[refused(put, Bucket=bucket, Key="k", Body=b"x")] = "NoPuts"
    asked[refused(cloud.client("dynamodb", **keys).list_tables)] = "NoTables"
    asked[refused(cloud.client("iam", **keys).list_users)] = "NoUsers"
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(
            lambda request: cloud.run("why-denied", request, "--format", "json"), asked
        )
    for (request, sid), done in zip(asked.items(), answers, strict=True):
        row = json.loads(done.stdout)
        assert (row["requestID"], row["policy"]["sid"]) == (request, sid)
        assert json.loads(row["policy"]["text"])["Sid"] == sid


@pytest.mark.parametrize("bucket", [NEAR, FAR], ids=["in one store", "across two"])
def test_the_way_of_an_event_is_told_whole(cloud: Server, bucket: str) -> None:
    reply = cloud.client("s3").put_object(Bucket=bucket, Key="traced", Body=b"x")
    request = reply["ResponseMetadata"]["RequestId"]
    wanted = ["caused", "accepted", "queued", "became", "delivered", "ran"]
    steps: list[dict[str, Any]] = []

    def is_whole() -> bool:
        steps[:] = rows(cloud, "trace", request)
        return {row["step"] for row in steps} >= set(wanted)

    wait_until("the whole way", is_whole)
    assert sorted(row["step"] for row in steps) == sorted(wanted)
    assert [row["step"] for row in (steps[0], steps[-1])] == ["caused", "ran"]
    for name in {row["id"] for row in steps}:
        assert rows(cloud, "trace", name) == steps


def letters(server: Server) -> dict[str, dict[str, Any]]:
    """Return the dead letters by the bucket that they tell of."""
    return {
        json.loads(row["payload"])["Records"][0]["s3"]["bucket"]["name"]: row
        for row in rows(server, "dead-letters", "list")
    }


def test_dead_letters_of_every_store_are_listed_sent_again_and_dropped(cloud: Server) -> None:
    functions = cloud.client("lambda")
    statement = functions.get_policy(FunctionName="job")["Policy"]
    for each in json.loads(statement)["Statement"]:
        functions.remove_permission(FunctionName="job", StatementId=each["Sid"])
    for bucket in (NEAR, FAR):
        cloud.client("s3").put_object(Bucket=bucket, Key="dead", Body=b"x")
    wait_until("both letters", lambda: set(letters(cloud)) == {NEAR, FAR})
    before = letters(cloud)
    for row in before.values():
        assert cloud.run("dead-letters", "redrive", row["id"]).returncode == 0
    old = {row["id"] for row in before.values()}
    wait_until(
        "both letters again",
        lambda: (
            set(found := letters(cloud)) == {NEAR, FAR}
            and not old & {row["id"] for row in found.values()}
        ),
    )
    for row in letters(cloud).values():
        assert cloud.run("dead-letters", "drop", row["id"]).returncode == 0
        assert cloud.run("dead-letters", "drop", row["id"]).returncode == 1
    assert letters(cloud) == {}


def test_an_account_is_made_and_listed_while_every_process_runs(cloud: Server) -> None:
    for number in range(2):
        name, account = f"more-{number}", f"00000000010{number}"
        done = cloud.run("account", "create", name, "--id", account)
        assert (done.returncode, done.stdout) == (0, f"{name}\t{account}\n"), done.stderr
        assert f"{name}\t{account}\n" in cloud.run("account", "list").stdout
        said = json.loads(cloud.run("env", "--account", name, "--format", "json").stdout)
        keys = {
            "aws_access_key_id": said["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": said["AWS_SECRET_ACCESS_KEY"],
        }
        for _ in range(6):  # over connections that any process may take
            sts = cloud.client("sts", **keys)
            assert sts.get_caller_identity()["Account"] == account
        with pytest.raises(ClientError, match="AccessDenied"):
            cloud.client("s3", **keys).list_objects_v2(Bucket=NEAR)
    again = cloud.run("account", "create", "more-0")
    assert (again.returncode, again.stderr) == (1, "fogbank: there is an account named more-0\n")
