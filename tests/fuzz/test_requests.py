"""Whole requests, signed after they were changed: every service answers in its own words, never 500."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import ODD, Target, changed, value_changed
from tests.fuzz.test_decoders import FORM_WORDS, XML_WORDS
from tests.fuzz.test_expressions import EXPRESSION_WORDS, EXPRESSIONS, POLICIES

from fogbank.testing.cloud import Cloud, http_request_of
from fogbank.wire.http import BODY_WHOLE_BYTES_MAX, HttpRequest
from fogbank.wire.sigv4 import sign

pytestmark = pytest.mark.slow

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com", "AWS": "*"},
            "Action": "sts:AssumeRole",
        },
    }
)
EXPECTED = {501, 503}
"""What is not built says so, and what there is no room for."""
HEADERS_LEFT = frozenset({"host", "authorization", "x-amz-date", "x-amz-content-sha256"})
ITEM = {"k": {"S": "one"}, "n": {"N": "1"}, "l": {"L": [{"S": "a"}, {"M": {"x": {"BOOL": True}}}]}}


class Sent(NamedTuple):
    """A request as a seed: what is signed comes last."""

    service: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


def packed(sent: Sent) -> bytes:
    head = json.dumps(sent[:5]).encode()
    return struct.pack(">I", len(head)) + head + sent.body


def unpacked(data: bytes) -> Sent:
    """Return the request of a seed or of a changed one.

    Raises:
        ValueError: The changes left none.
    """
    if len(data) < 4:
        raise ValueError("no request")
    end = 4 + struct.unpack_from(">I", data)[0]
    service, method, path, query, headers = json.loads(data[4:end])
    texts = (service, method, path, query, *headers, *headers.values())
    if not all(isinstance(part, str) for part in texts):
        raise ValueError("no request")
    "".join(texts).encode()  # no bytes of a head are half of a character (gateway/head.py)
    return Sent(service, method, path, query, headers, data[end:])


def zip_file() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return event\n")
    return out.getvalue()


Called = list[tuple[str, str, dict[str, Any]]]
"""Calls of a service: those with the most to misread."""


def table_calls() -> Called:
    expressions = {
        name: text[1:].decode()
        for name, text in zip(
            ("Condition", "Update"), (EXPRESSIONS[1], EXPRESSIONS[3]), strict=True
        )
    }
    values = {":5": {"N": "5"}, ":6": {"N": "6"}, ":he": {"S": "he"}}
    return [
        ("dynamodb", "put_item", {"TableName": "rows", "Item": ITEM}),
        ("dynamodb", "get_item", {"TableName": "rows", "Key": {"k": {"S": "one"}}}),
        (
            "dynamodb",
            "update_item",
            {
                "TableName": "rows",
                "Key": {"k": {"S": "one"}},
                "UpdateExpression": "SET n = n + :5 REMOVE l[0]",
                "ConditionExpression": "attribute_exists(k) AND n < :6",
                "ExpressionAttributeValues": {":5": values[":5"], ":6": {"N": "1000"}},
            },
        ),
        (
            "dynamodb",
            "update_item",
            {
                "TableName": "rows",
                "Key": {"k": {"S": "one"}},
                "AttributeUpdates": {"n": {"Value": {"N": "1"}, "Action": "ADD"}},
                "Expected": {"k": {"AttributeValueList": [{"S": "one"}], "ComparisonOperator": "EQ"}},
            },
        ),
        ("dynamodb", "query", {"TableName": "rows", "KeyConditionExpression": "k = :he",
                               "FilterExpression": expressions["Condition"],
                               "ExpressionAttributeNames": {"#a": "m"},
                               "ExpressionAttributeValues": values, "Limit": 3}),
        ("dynamodb", "scan", {"TableName": "rows", "Segment": 0, "TotalSegments": 2,
                              "ExclusiveStartKey": {"k": {"S": "a"}}, "ProjectionExpression": "k, l[0]"}),
        ("dynamodb", "batch_write_item", {"RequestItems": {"rows": [
            {"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": {"k": {"S": "two"}}}}]}}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"rows": {"Keys": [{"k": {"S": "one"}}]}}}),
        ("dynamodb", "create_table", {"TableName": "other",
            "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}, {"AttributeName": "b", "KeyType": "RANGE"}],
            "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"},
                                     {"AttributeName": "b", "AttributeType": "N"}],
            "BillingMode": "PAY_PER_REQUEST"}),
    ]  # fmt: skip


def object_calls() -> Called:
    return [
        ("s3", "put_object", {"Bucket": "bucket", "Key": "a/b c", "Body": b"body", "Metadata": {"m": "v"},
                              "ContentType": "text/plain"}),
        ("s3", "get_object", {"Bucket": "bucket", "Key": "kept", "Range": "bytes=0-3"}),
        ("s3", "list_objects_v2", {"Bucket": "bucket", "Prefix": "a", "Delimiter": "/", "MaxKeys": 2,
                                   "StartAfter": "a", "EncodingType": "url"}),
        ("s3", "delete_objects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y"}]}}),
        ("s3", "copy_object", {"Bucket": "bucket", "Key": "copy", "CopySource": "bucket/kept"}),
        ("s3", "create_multipart_upload", {"Bucket": "bucket", "Key": "parts"}),
        ("s3", "put_bucket_cors", {"Bucket": "bucket", "CORSConfiguration": {"CORSRules": [
            {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}}),
    ]  # fmt: skip


def function_calls(role: str) -> Called:
    return [
        ("lambda", "create_function", {"FunctionName": "g", "Runtime": "python3.11", "Role": role,
            "Handler": "app.handler", "Code": {"ZipFile": zip_file()}, "Timeout": 3, "MemorySize": 128,
            "Environment": {"Variables": {"A": "b"}}}),
        ("lambda", "update_function_configuration", {"FunctionName": "f", "Timeout": 5,
            "Environment": {"Variables": {"A": "c"}}}),
        ("lambda", "add_permission", {"FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::bucket"}),
        ("lambda", "invoke", {"FunctionName": "f", "Payload": b'{"a": [1, null]}', "LogType": "Tail"}),
        ("logs", "put_log_events", {"logGroupName": "lines", "logStreamName": "s", "logEvents": [
            {"timestamp": 1_700_000_000_000, "message": "one"}]}),
        ("logs", "filter_log_events", {"logGroupName": "lines", "filterPattern": '"one" -two ?three',
            "startTime": 0, "endTime": 2_000_000_000_000, "limit": 5}),
        ("logs", "get_log_events", {"logGroupName": "lines", "logStreamName": "s", "limit": 3}),
    ]  # fmt: skip


def identity_calls(role: str) -> Called:
    policy = json.dumps(POLICIES[1])
    return [
        ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": TRUST,
                                "Tags": [{"Key": "k", "Value": "v"}]}),
        ("iam", "put_user_policy", {"UserName": "u", "PolicyName": "p", "PolicyDocument": policy}),
        ("iam", "create_policy", {"PolicyName": "m", "PolicyDocument": policy, "Path": "/a/"}),
        ("iam", "list_users", {"MaxItems": 2, "PathPrefix": "/"}),
        ("sts", "assume_role", {"RoleArn": role, "RoleSessionName": "session", "DurationSeconds": 900,
                                "Policy": json.dumps(POLICIES[0])}),
        ("sts", "get_caller_identity", {}),
    ]  # fmt: skip


class Changing:
    """Changes parts of requests that their readers know by name."""

    def __init__(self, seeds: list[bytes]) -> None:
        self.words = (*EXPRESSION_WORDS[:20], *FORM_WORDS, *XML_WORDS)
        self.plain = Target(
            "", [b"", *(unpacked(seed).body for seed in seeds)], lambda _: True, self.words
        )

    def __call__(self, draw: random.Random, data: bytes) -> bytes:
        sent = unpacked(data)
        for _ in range(draw.choice((1, 1, 2))):
            sent = draw.choice(
                (self.body, self.body, self.body, self.query, self.path, self.header)
            )(draw, sent)
        return packed(sent)

    def body(self, draw: random.Random, sent: Sent) -> Sent:
        if draw.random() < 0.8:
            try:
                value = value_changed(draw, json.loads(sent.body))
                return sent._replace(body=json.dumps(value).encode())
            except ValueError:
                pass
        if b"Action=" in sent.body and draw.random() < 0.8:
            return sent._replace(body=self.form(draw, sent.body.decode("latin-1")).encode())
        return sent._replace(body=changed(draw, sent.body, self.plain))

    def form(self, draw: random.Random, text: str) -> str:
        fields = parse_qsl(text, keep_blank_values=True, encoding="latin-1")
        at = draw.randrange(len(fields))
        name, value = fields[at]
        kind = draw.randrange(4)
        if kind == 0:
            fields.insert(at, (name, value))
        elif kind == 1:
            fields[at] = (
                changed(draw, name.encode("latin-1"), self.plain).decode("latin-1"),
                value,
            )
        else:
            try:
                fresh = json.dumps(value_changed(draw, json.loads(value)))
            except ValueError:
                fresh = changed(draw, value.encode("latin-1"), self.plain).decode("latin-1")
            fields[at] = (name, fresh)
        return urlencode(fields, encoding="utf-8", errors="surrogatepass")

    def query(self, draw: random.Random, sent: Sent) -> Sent:
        return sent._replace(query=self.line(draw, sent.query))

    def path(self, draw: random.Random, sent: Sent) -> Sent:
        return sent._replace(path="/" + self.line(draw, sent.path[1:]))

    def header(self, draw: random.Random, sent: Sent) -> Sent:
        headers = dict(sent.headers)
        names = [name for name in headers if name not in HEADERS_LEFT] or ["content-type"]
        name = draw.choice((*names, "content-type", "range", "x-amz-copy-source", "x-amz-checksum-crc32",
                            "content-md5", "x-amz-tagging", "if-modified-since", "x-amz-acl", "expect",
                            "content-encoding", "x-amz-target", "x-amz-meta-a", "x-amz-client-context",
                            "x-amz-invocation-type", "x-amz-date-of-nobody", "x-amz-security-token"))  # fmt: skip
        headers[name] = self.line(
            draw, headers.get(name, "1"), safe="".join(map(chr, range(32, 127)))
        )
        return sent._replace(headers=headers)

    def line(self, draw: random.Random, text: str, safe: str = "/?&=+%-._~:,;") -> str:
        """Return a changed text of one line: a target or a header's value, as a listener lets it pass."""
        return quote(
            changed(draw, text.encode("latin-1", "replace"), self.plain)[:4_000], safe=safe
        )


class _CaughtError(Exception):
    pass


class Asked:
    """A cloud that answers changed requests."""

    def __init__(self, folder: Path) -> None:
        self.cloud = Cloud(work_dir=folder)
        self.found: list[HttpRequest] = []
        self.clients: dict[str, Any] = {}
        self.build()
        self.seeds = [
            packed(self.caught(*call))
            for call in (
                *table_calls(),
                *object_calls(),
                *function_calls(self.role),
                *identity_calls(self.role),
            )
        ]

    def build(self) -> None:
        client = self.cloud.client
        client("dynamodb").create_table(
            TableName="rows",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client("s3").create_bucket(Bucket="bucket")
        client("s3").put_object(Bucket="bucket", Key="kept", Body=b"0123456789")
        client("logs").create_log_group(logGroupName="lines")
        client("logs").create_log_stream(logGroupName="lines", logStreamName="s")
        iam = client("iam")
        iam.create_user(UserName="u")
        made = iam.create_role(RoleName="given", AssumeRolePolicyDocument=TRUST)
        self.role: str = made["Role"]["Arn"]
        client("lambda").create_function(
            FunctionName="f",
            Runtime="python3.11",
            Role=self.role,
            Handler="app.handler",
            Code={"ZipFile": zip_file()},
        )
        self.cloud.settle()

    def catching(self, service: str) -> Any:
        """Return a client whose requests go no further than to us."""
        if service not in self.clients:
            client = self.clients[service] = self.cloud.client(service)
            client.meta.events.register_first("before-send", self.catch)
        return self.clients[service]

    def catch(self, request: Any, **_: object) -> None:
        self.found.append(http_request_of(request))
        raise _CaughtError

    def caught(self, service: str, call: str, parameters: dict[str, Any]) -> Sent:
        """Return the request that botocore makes of a call."""
        self.found.clear()
        with pytest.raises(_CaughtError):
            getattr(self.catching(service), call)(**parameters)
        request = self.found[0]
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in HEADERS_LEFT | {"content-length", "transfer-encoding"}
            and not name.startswith("x-amz-checksum")
        }
        return Sent(service, request.method, request.path, request.query, headers, request.body)

    def check(self, data: bytes) -> bool:
        try:
            sent = unpacked(data)
        except (ValueError, AttributeError, TypeError, RecursionError):
            return False
        headers = {name.lower(): value for name, value in sent.headers.items()}
        headers["host"] = "127.0.0.1"
        headers["content-length"] = str(len(sent.body))
        body = sent.body[:BODY_WHOLE_BYTES_MAX]
        request = HttpRequest(sent.method, sent.path, sent.query, headers, body, peer="127.0.0.1")
        now = self.cloud.clock.now_ms()
        account = self.cloud.account
        sign(
            request,
            access_key_id=account.access_key_id,
            secret=account.secret_access_key,
            region="us-east-1",
            service=sent.service,
            timestamp=stamp_of(now),
        )
        reply, content = self.cloud.handle(request)
        assert reply.status < 500 or reply.status in EXPECTED, (reply.status, content[:500])
        assert b"InternalFailure" not in content
        assert b"InternalError" not in content
        return reply.status < 300


def stamp_of(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1_000, UTC).strftime("%Y%m%dT%H%M%SZ")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    made = Asked(tmp_path_factory.mktemp("code"))
    yield made
    made.cloud.close()


def test_every_service_answers_strange_requests_in_its_own_words(
    hunted: Hunted, asked: Asked
) -> None:
    outcome = hunted(
        Target("request", asked.seeds, asked.check, ODD, count=60, mutate=Changing(asked.seeds))
    )
    assert outcome.findings == []
    assert outcome.accepted >= len(asked.seeds) // 2
