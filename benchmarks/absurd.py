"""Requests with counts, lengths, depths and numbers that nobody means, and how they may be answered."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from load import signed, signed_json
from workloads import s3

from fogbank.testing.server import Server

REFUSED = (400, 409, 411, 413, 414, 431, 501, 503)
TAKEN = (200,)
MANY = 10_000
DEEP = 100_000
Asked = tuple[str, bytes, tuple[int, ...]]
"""What it is, its bytes, and the statuses that may answer it."""


def absurd(server: Server, bucket: str, table: str) -> Iterator[Asked]:
    """Yield every request."""
    yield from heads()
    yield from documents(server, bucket)
    yield from tables(server, table)
    yield from functions(server)
    yield from policies(server)


def heads() -> Iterator[Asked]:
    """Yield heads that say too much."""
    begin = b"PUT /a/b HTTP/1.1\r\nHost: localhost\r\n"
    for length in (b"1000000000000000000", b"9" * 40, b"-1", b"+1", b"1e9", b"0x10"):
        yield (
            f"a length of {length.decode()}",
            begin + b"Content-Length: " + length + b"\r\n\r\n",
            REFUSED,
        )
    yield "headers", begin + b"".join(b"X-%d: 1\r\n" % n for n in range(MANY)) + b"\r\n", REFUSED
    yield "a header", begin + b"X-A: " + b"a" * (1 << 20) + b"\r\n\r\n", REFUSED
    yield (
        "a target",
        b"GET /" + b"a" * (100 << 10) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        REFUSED,
    )
    chunked = begin + b"Transfer-Encoding: chunked\r\n\r\n"
    yield "a chunk", chunked + b"f" * 16 + b"\r\n", (*REFUSED, 403)
    yield "a chunk's line", chunked + b"1;" + b"x" * (1 << 20) + b"\r\n", (*REFUSED, 403)


def documents(server: Server, bucket: str) -> Iterator[Asked]:
    """Yield requests of S3."""

    def put(what: str, query: str, body: bytes, method: str = "PUT") -> Asked:
        asked = s3(server, method, f"/{bucket}{query}", body)
        return what, asked.data + asked.body, REFUSED

    laughs = b"<!DOCTYPE x [" + b"".join(
        b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(9)
    )
    yield put("a depth of XML", "?tagging", b"<a>" * DEEP + b"</a>" * DEEP)
    yield put("entities", "?tagging", laughs + b"]><x>&l9;</x>")
    yield put(
        "attributes", "?tagging", b"<a " + b"".join(b'a%d="" ' % n for n in range(DEEP)) + b"/>"
    )
    keys = b"".join(b"<Object><Key>%d</Key></Object>" % n for n in range(MANY))
    yield put("objects to delete", "?delete", b"<Delete>" + keys + b"</Delete>", "POST")
    parts = b"".join(
        b"<Part><PartNumber>%d</PartNumber><ETag>a</ETag></Part>" % n for n in range(90_000)
    )
    whole = b"<CompleteMultipartUpload>" + parts + b"</CompleteMultipartUpload>"
    what, data, _ = put("parts", "/k?uploadId=x", whole, "POST")
    yield what, data, (*REFUSED, 404)
    yield put("a part's number", "/k?partNumber=99999999999999999999&uploadId=x", b"")
    for count, wanted in (
        ("2147483647", TAKEN),
        ("99999999999999999999", REFUSED),
        ("-1", REFUSED),
    ):
        yield (
            f"max-keys {count}",
            s3(server, "GET", f"/{bucket}?list-type=2&max-keys={count}").data,
            wanted,
        )
    yield (
        "a prefix",
        s3(server, "GET", f"/{bucket}?list-type=2&prefix={'a' * 10_000}").data,
        (*REFUSED, 200),
    )


def tables(server: Server, table: str) -> Iterator[Asked]:
    """Yield requests of DynamoDB."""

    def ask(what: str, operation: str, **members: Any) -> Asked:
        body = json.dumps(
            {"TableName": table, **members} if "RequestItems" not in members else members
        )
        return what, signed_json(server, operation, body.encode()), REFUSED

    def raw(what: str, operation: str, body: bytes) -> Asked:
        return what, signed_json(server, operation, body), REFUSED

    yield raw("a depth of JSON", "PutItem", b'{"Item":' + b"[" * DEEP + b"]" * DEEP + b"}")
    yield raw("values of JSON", "PutItem", b'{"Item":[' + b"{}," * 3_000_000 + b"{}]}")
    yield raw("a number of JSON", "Scan", b'{"TableName":"rows","Limit":' + b"9" * 1_000_000 + b"}")
    for number in ("1E+999999999", "1E-999999999", "9" * MANY, "1" * 39, "NaN", "Infinity"):
        yield ask(
            f"the number {number[:20]}", "PutItem", Item={"k": {"S": "a"}, "n": {"N": number}}
        )
    deep: Any = {"S": "x"}
    for _ in range(400):
        deep = {"L": [deep]}
    yield ask("a depth of an item", "PutItem", Item={"k": {"S": "a"}, "d": deep})
    yield ask("an item", "PutItem", Item={"k": {"S": "a"}, "v": {"S": "x" * 500_000}})
    yield ask("a key", "PutItem", Item={"k": {"S": "x" * 5_000}})
    keys = [{"k": {"S": str(n)}} for n in range(MANY)]
    yield ask("keys of a batch", "BatchGetItem", RequestItems={table: {"Keys": keys}})
    puts = [{"PutRequest": {"Item": key}} for key in keys]
    yield ask("writes of a batch", "BatchWriteItem", RequestItems={table: puts})
    for name, value in (("Limit", -1), ("Limit", 0), ("TotalSegments", 2**31), ("Limit", 2**70)):
        more = {"Segment": 0} if name == "TotalSegments" else {}
        yield ask(f"{name} {value}", "Scan", **{name: value, **more})
    yield ask("operators", "Scan", FilterExpression=" AND ".join(["attribute_exists(k)"] * 2_000))
    yield ask("parentheses", "Scan", FilterExpression="(" * 4_000 + "k = k" + ")" * 4_000)
    yield ask("steps of a path", "Scan", ProjectionExpression="a" + ".a" * 1_900)
    names = {f"#n{n}": "k" for n in range(MANY)}
    yield ask("names", "Scan", ExpressionAttributeNames=names, ProjectionExpression="#n0")


def functions(server: Server) -> Iterator[Asked]:
    """Yield requests of Lambda."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(6):
            archive.writestr(f"zeros{number}.py", bytes(50 << 20))
    code = base64.b64encode(out.getvalue()).decode()
    role = f"arn:aws:iam::{server.environment()['AWS_ACCOUNT_ID']}:role/none"

    def ask(what: str, **members: Any) -> Asked:
        plain = {"FunctionName": "f", "Runtime": "python3.11", "Handler": "a.b", "Role": role}
        body = json.dumps({**plain, "Code": {"ZipFile": code}, **members}).encode()
        path = "/2015-03-31/functions"
        return (
            what,
            signed(server, "lambda", "POST", path, {"content-type": "application/json"}, body),
            REFUSED,
        )

    yield ask("a package")
    yield ask("memory", MemorySize=10**12)
    yield ask("a timeout", Timeout=10**308)
    yield ask("variables", Environment={"Variables": {f"A{n}": "b" for n in range(MANY)}})
    yield ask("layers", Layers=["arn:aws:lambda:us-east-1:1:layer:a:1"] * MANY)


def policies(server: Server) -> Iterator[Asked]:
    """Yield requests of IAM."""

    def ask(what: str, **members: str) -> Asked:
        body = urlencode({"Version": "2010-05-08", **members}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return what, signed(server, "iam", "POST", "/", kind, body), REFUSED

    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    many = json.dumps({"Version": "2012-10-17", "Statement": [statement] * 1_500})
    yield ask("statements", Action="CreatePolicy", PolicyName="p", PolicyDocument=many)
    yield ask(
        "a depth of a policy", Action="CreatePolicy", PolicyName="p", PolicyDocument="[" * DEEP
    )
    yield ask("items of a page", Action="ListUsers", MaxItems="99999999999999999999")
    fields = {f"Tags.member.{n}.Key": "k" for n in range(1, 25_000)}
    yield ask("fields", Action="CreateUser", UserName="u", **fields)
    yield ask("an index", Action="CreateUser", UserName="u", **{"Tags.member.99999999999.Key": "k"})
