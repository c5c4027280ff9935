"""Function URLs and streamed answers over sockets, in real sandboxes, through a front to two stores."""

from __future__ import annotations

import http.client
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from tests.http.several import settings

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

SOURCE = """
def handler(event, context):
    body = event.get("requestContext", {}).get("http", {}).get("path", "")
    if body == "/large":
        return {"statusCode": 200, "body": "x" * 5_000_000}
    if body == "/fail":
        raise ValueError("as told")
    return {"statusCode": 203, "headers": {"x-path": body}, "body": event.get("body", "")}
"""
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


@pytest.fixture(scope="module", params=[(1, 0), (2, 1)], ids=["alone", "front"])
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("urls") / "data"
    with Server(folder, settings=settings(*request.param)) as made:
        yield made


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """Make a function with a URL that its account's root may call."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("app.py", SOURCE)
    role = server.client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    functions = server.client("lambda")
    functions.create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": out.getvalue()},
    )
    made = functions.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    found: str = made["FunctionUrl"]
    return found


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


def sent(server: Server, method: str, path: str, body: bytes, headers: Any) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request(method, path, body or None, headers)
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, found, reply.read())


def ask(server: Server, url: str, method: str = "GET", body: bytes = b"") -> Answer:
    """Ask a URL as the account's root; its name is not looked up, for not every machine knows it."""
    parts = urlsplit(url)
    signed = AWSRequest(method, url, headers={"host": parts.netloc}, data=body)
    client = server.client("lambda")
    credentials = client._request_signer._credentials
    SigV4Auth(credentials, "lambda", "us-east-1").add_auth(signed)
    return sent(server, method, parts.path, body, dict(signed.headers.items()))


def test_a_url_answers_what_its_function_says(server: Server, url: str) -> None:
    answer = ask(server, f"{url}a/b", "POST", b"hello")
    # A body without a type comes as Base64.
    assert (answer.status, answer.headers["x-path"]) == (203, "/a/b")
    assert answer.body == b"aGVsbG8="
    assert len(ask(server, f"{url}large").body) == 5_000_000
    failed = ask(server, f"{url}fail")
    assert (failed.status, failed.body) == (502, b"Internal Server Error")


def test_a_body_beyond_what_is_read_whole_is_streamed_to_the_function(
    server: Server, url: str
) -> None:
    answer = ask(server, f"{url}b", "POST", bytes(400_000))
    assert (answer.status, len(answer.body)) == (203, 533_336)
    refused = ask(server, f"{url}b", "POST", bytes(6_300_000))
    assert refused.status == 413


def test_nobody_is_refused_in_words_of_lambda(server: Server, url: str) -> None:
    answer = sent(server, "GET", "/", b"", {"host": urlsplit(url).netloc})
    assert answer.status == 403
    assert json.loads(answer.body)["Message"].startswith("Forbidden.")


def test_an_answer_of_python_comes_as_one_chunk(server: Server, url: str) -> None:
    reply = server.client("lambda").invoke_with_response_stream(
        FunctionName="f", Payload=b'{"body": "b"}'
    )
    chunk, complete = list(reply["EventStream"])
    assert json.loads(chunk["PayloadChunk"]["Payload"])["body"] == "b"
    assert complete == {"InvokeComplete": {}}
