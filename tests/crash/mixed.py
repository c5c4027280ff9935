"""Clients of every service at work side by side, and all that was acknowledged to them.

The load of the tests that kill processes and of the long one: nothing here knows what happens to the
server meanwhile. An answer that is an error acknowledges nothing: what was asked for may be so or not.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.test_main_job import ALLOW
from tests.http.making import TRUST, document, make_function, make_role, zipped

from fogbank.testing.server import Server

SETTLE_S = 60
ACTIONS = 3
"""So much of each kind of work is begun in a round."""
PART_BYTES = 5 << 20
"""The least of a part that is not the last."""
CODE = """
import boto3
table = boto3.client("dynamodb")

def handler(event, context):
    print("line", event["name"])
    table.put_item(TableName="done", Item={"name": {"S": event["name"]}})
    return event["name"]
"""
Fact = Callable[[], bool]
"""Something that was acknowledged: whether it is so."""


class Clients:
    """A client of each service, for all threads and all lives of a server."""

    def __init__(self, server: Server) -> None:
        self.s3 = server.client("s3")
        self.table = server.client("dynamodb")
        self.functions = server.client("lambda")
        self.logs = server.client("logs")
        self.iam = server.client("iam")
        self.sts = server.client("sts")


class Work:
    """Clients of every service, side by side, and what was acknowledged to them."""

    def __init__(self, server: Server, clients: Clients, name: str) -> None:
        self.server = server
        self.clients = clients
        self.name = name
        self.facts: list[tuple[str, Fact]] = []
        self.progress = threading.Condition()
        self.stop = threading.Event()

    def acknowledged(self, what: str, fact: Fact) -> None:
        with self.progress:
            self.facts.append((what, fact))
            self.progress.notify_all()

    def wait_for(self, count: int) -> None:
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.facts) >= count, timeout=SETTLE_S)

    def objects(self, n: int) -> None:
        s3 = self.clients.s3
        key = f"{self.name}/{n}"
        draw = random.Random(key)
        body = draw.randbytes(draw.choice((200, 50_000, 300_000, 2_500_000)))
        s3.put_object(Bucket="objects", Key=key, Body=body)
        digest = hashlib.sha256(body).digest()

        def fact() -> bool:
            got = self.clients.s3.get_object(Bucket="objects", Key=key)["Body"].read()
            return hashlib.sha256(got).digest() == digest

        self.acknowledged(f"object {key}", fact)

    def uploads(self, n: int) -> None:
        """Send an object in parts, one of them copied, and copy the whole."""
        s3, key = self.clients.s3, f"{self.name}/parts/{n}"
        draw = random.Random(key)
        first, second = draw.randbytes(PART_BYTES), draw.randbytes(10_000)
        s3.put_object(Bucket="objects", Key=f"{key}/source", Body=second)
        asked = {"Bucket": "objects", "Key": key}
        asked["UploadId"] = s3.create_multipart_upload(**asked)["UploadId"]
        sent = s3.upload_part(**asked, PartNumber=1, Body=first)
        source = {"Bucket": "objects", "Key": f"{key}/source"}
        copied = s3.upload_part_copy(**asked, PartNumber=2, CopySource=source)
        tags = [sent["ETag"], copied["CopyPartResult"]["ETag"]]
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        s3.complete_multipart_upload(**asked, MultipartUpload={"Parts": parts})
        self.acknowledged(f"upload {key}", lambda: self.body_of(key) == first + second)
        s3.copy_object(
            Bucket="objects", Key=f"{key}/copy", CopySource={"Bucket": "objects", "Key": key}
        )
        self.acknowledged(f"copy {key}", lambda: self.body_of(f"{key}/copy") == first + second)

    def body_of(self, key: str, **named: str) -> bytes:
        return self.clients.s3.get_object(Bucket="objects", Key=key, **named)["Body"].read()

    def versions(self, n: int) -> None:
        """Replace an object and remove it: its versions stay, in order, and no other comes."""
        s3, key = self.clients.s3, f"{self.name}/versions/{n}"
        asked = {"Bucket": "versions", "Key": key}
        first = s3.put_object(**asked, Body=b"first" * 1_000, IfNoneMatch="*")["VersionId"]

        def is_first() -> bool:
            got = self.clients.s3.get_object(**asked, VersionId=first)
            return got["Body"].read() == b"first" * 1_000

        self.acknowledged(f"version {key}", is_first)
        second = s3.put_object(**asked, Body=b"second" * 50_000, Tagging="a=b")["VersionId"]
        marker = s3.delete_object(**asked)["VersionId"]

        def is_marked() -> bool:
            found = self.clients.s3.list_object_versions(Bucket="versions", Prefix=key)
            versions = [each["VersionId"] for each in found["Versions"]]
            markers = [each["VersionId"] for each in found["DeleteMarkers"]]
            return (versions, markers) == ([second, first], [marker])

        self.acknowledged(f"marker {key}", is_marked)

    def sealed(self, n: int) -> None:
        """Store objects under a key of KMS."""
        key, body = f"{self.name}/sealed/{n}", f"{self.name} {n}".encode() * 5_000
        asked = {"Bucket": "objects", "Key": key, "Body": body}
        self.clients.s3.put_object(**asked, ServerSideEncryption="aws:kms")
        self.acknowledged(f"sealed {key}", lambda: self.body_of(key) == body)

    def items(self, n: int) -> None:
        """Write an item, and find it by its key and by that of an index."""
        name = f"{self.name}/{n}"
        item = {"name": {"S": name}, "by": {"S": self.name}, "value": {"S": "v" * (n * 3_000)}}
        self.clients.table.put_item(TableName="rows", Item=item)

        def fact() -> bool:
            table = self.clients.table
            found = table.query(
                TableName="rows",
                IndexName="by-writer",
                KeyConditionExpression="#by = :by",
                ExpressionAttributeNames={"#by": "by"},
                ExpressionAttributeValues={":by": item["by"]},
            )["Items"]
            got = table.get_item(TableName="rows", Key={"name": {"S": name}})["Item"]
            return got == item and item in found

        self.acknowledged(f"item {name}", fact)

    def transfers(self, n: int) -> None:
        """Move one from one account to another, and note it, in a transaction that is repeated."""
        name, table = f"{self.name}/{n}", self.clients.table
        asked = {
            "ClientRequestToken": hashlib.sha256(name.encode()).hexdigest()[:36],
            "TransactItems": [
                {
                    "Update": {
                        "TableName": "accounts",
                        "Key": {"name": {"S": f"{self.name}/{side}"}},
                        "UpdateExpression": "ADD amount :by",
                        "ExpressionAttributeValues": {":by": {"N": by}},
                    }
                }
                for side, by in (("from", "-1"), ("to", "1"))
            ]
            + [{"Put": {"TableName": "accounts", "Item": {"name": {"S": f"{name}/note"}}}}],
        }
        table.transact_write_items(**asked)
        table.transact_write_items(**asked)
        self.acknowledged(f"transfer {name}", lambda: self.balances(n))

    def balances(self, n: int) -> bool:
        """Return whether a transfer is noted, and as much was moved as is noted: never half of one."""
        keys = [f"{self.name}/{each}" for each in ("from", "to")]
        keys += [f"{self.name}/{number}/note" for number in range(ACTIONS)]
        found = self.clients.table.transact_get_items(
            TransactItems=[
                {"Get": {"TableName": "accounts", "Key": {"name": {"S": key}}}} for key in keys
            ]
        )["Responses"]
        taken, given = (int(each["Item"]["amount"]["N"]) for each in found[:2])
        noted = [each for each in found[2:] if "Item" in each]
        return "Item" in found[2 + n] and -taken == given == len(noted)

    def invocations(self, n: int) -> None:
        """Invoke and wait; what was answered has left its row and its line."""
        name = f"{self.name}/sync/{n}"
        functions = self.clients.functions
        reply = functions.invoke(FunctionName="job", Payload=json.dumps({"name": name}))
        if "FunctionError" not in reply:
            assert json.load(reply["Payload"]) == name
            self.acknowledged(f"invocation {name}", lambda: self.is_done(name))

    def events(self, n: int) -> None:
        name = f"{self.name}/event/{n}"
        self.clients.functions.invoke(
            FunctionName="job", InvocationType="Event", Payload=json.dumps({"name": name})
        )
        self.acknowledged(f"event {name}", lambda: self.is_done(name) and self.has_line(name))

    def is_done(self, name: str) -> bool:
        table = self.clients.table
        return "Item" in table.get_item(TableName="done", Key={"name": {"S": name}})

    def has_line(self, name: str) -> bool:
        found = self.clients.logs.filter_log_events(
            logGroupName="/aws/lambda/job", filterPattern=f'"line {name}"'
        )
        return bool(found["events"])

    def lines(self, n: int) -> None:
        stream = f"{self.name}/{n}".replace("/", "-")
        logs = self.clients.logs
        logs.create_log_stream(logGroupName="lines", logStreamName=stream)
        self.acknowledged(f"stream {stream}", lambda: self.messages(stream) is not None)
        event = {"timestamp": int(time.time() * 1_000), "message": stream}
        logs.put_log_events(logGroupName="lines", logStreamName=stream, logEvents=[event])
        self.acknowledged(f"line {stream}", lambda: self.messages(stream) == [stream])

    def messages(self, stream: str) -> list[str]:
        got = self.clients.logs.get_log_events(
            logGroupName="lines", logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in got["events"]]

    def users(self, n: int) -> None:
        name = f"{self.name}-{n}".replace("/", "-")
        iam = self.clients.iam
        iam.create_user(UserName=name)
        self.acknowledged(
            f"user {name}",
            lambda: self.clients.iam.get_user(UserName=name)["User"]["UserName"] == name,
        )
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(ALLOW))

        def fact() -> bool:
            found = self.clients.iam.get_user_policy(UserName=name, PolicyName="p")
            return found["PolicyDocument"]["Statement"] == [ALLOW]

        self.acknowledged(f"policy {name}", fact)

    def sessions(self, n: int) -> None:
        del n
        role = self.clients.iam.get_role(RoleName="job")["Role"]["Arn"]
        given = self.clients.sts.assume_role(RoleArn=role, RoleSessionName="s")
        keys = given["Credentials"]

        def fact() -> bool:
            sts = self.server.client(
                "sts",
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
            )
            return sts.get_caller_identity()["Arn"].endswith("assumed-role/job/s")

        self.acknowledged("session", fact)

    def run(self, work: Callable[[int], None]) -> None:
        for n in range(ACTIONS):
            if self.stop.is_set():
                return
            with suppress(BotoCoreError, ClientError):  # not acknowledged: it may be so or not
                work(n)

    def works(self) -> list[Callable[[int], None]]:
        return [
            self.objects,
            self.uploads,
            self.versions,
            self.sealed,
            self.items,
            self.transfers,
            self.invocations,
            self.events,
            self.lines,
            self.users,
            self.sessions,
        ]


def make_table(
    server: Server, name: str, indexes: dict[str, tuple[str, str]] | None = None
) -> None:
    """Make a table of items by ``name``, with global indexes by an attribute and its type."""
    indexes = indexes or {}
    given = {
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (attribute, _) in indexes.items()
        ]
    }
    server.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": kind}
            for attribute, kind in (("name", "S"), *indexes.values())
        ],
        BillingMode="PAY_PER_REQUEST",
        **(given if indexes else {}),
    )


def build(server: Server) -> None:
    s3 = server.client("s3")
    for bucket in ("objects", "versions"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    server.client("logs").create_log_group(logGroupName="lines")
    make_table(server, "done")
    # Entries that are made, and entries that move with every transfer; ``fogbank check`` holds both
    # against the items when the server has died for the last time.
    make_table(server, "rows", {"by-writer": ("by", "S")})
    make_table(server, "accounts", {"by-amount": ("amount", "N")})
    trust = {**TRUST, "Principal": {"Service": "lambda.amazonaws.com", "AWS": "*"}}
    role = make_role(server, ALLOW, trust=trust)
    make_function(server, role, {"ZipFile": zipped(CODE)}, MemorySize=256)


def is_so(fact: Fact) -> bool:
    with suppress(BotoCoreError, ClientError, KeyError, OSError):
        return fact()
    return False


def lost(facts: list[tuple[str, Fact]]) -> list[str]:
    """Return what was acknowledged and does not come to be so."""
    deadline = time.monotonic() + SETTLE_S
    left = facts
    while left and time.monotonic() < deadline:
        left = [(what, fact) for what, fact in left if not is_so(fact)]
    return [what for what, _ in left]
