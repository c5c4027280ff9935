"""Function URLs: their configuration through boto3, and what happens at their addresses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from fogbank.base.errors import Throttled
from fogbank.platform.runtime.port import Chunks, Ending, Outcome
from fogbank.server.choices import FunctionSettings
from fogbank.server.config import Config
from fogbank.services.lambda_.endpoints import BrokenAnswerError
from fogbank.testing.cloud import Cloud
from fogbank.testing.runtime import InlineSandbox
from fogbank.testing.signing import signing_by
from fogbank.wire.http import HttpRequest

ECHO = "def handler(event, context):\n    return event"
PUBLIC = {"FunctionName": "f", "Principal": "*"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Visit = Callable[..., Answer]


@pytest.fixture
def visit(cloud: Cloud) -> Visit:
    """Return a function that asks a URL, as nobody or as the holder of some keys."""

    def ask(
        url: str,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        keys: Any = None,
    ) -> Answer:
        parts = urlsplit(url)
        given = {"host": parts.netloc, **(headers or {})}
        if keys is not None:
            request = AWSRequest(method, url, headers=given, data=body)
            signer = Credentials(keys.access_key_id, keys.secret_access_key)
            with signing_by(cloud.clock):
                SigV4Auth(signer, "lambda", "us-east-1").add_auth(request)
            given = {name.lower(): value for name, value in request.headers.items()}
        asked = HttpRequest(method, parts.path, parts.query, given, body, peer="203.0.113.9")
        reply, said = cloud.handle(asked)
        return Answer(reply.status, {n.lower(): v for n, v in reply.headers}, said)

    return ask


@pytest.fixture
def public(functions: Any) -> Callable[..., str]:
    """Return a function that gives ``f`` a URL that anybody may call."""

    def make(**changes: Any) -> str:
        made = functions.create_function_url_config(FunctionName="f", AuthType="NONE", **changes)
        functions.add_permission(
            **PUBLIC,
            StatementId="url",
            Action="lambda:InvokeFunctionUrl",
            FunctionUrlAuthType="NONE",
        )
        functions.add_permission(
            **PUBLIC,
            StatementId="invoke",
            Action="lambda:InvokeFunction",
            InvokedViaFunctionUrl=True,
        )
        url: str = made["FunctionUrl"]
        return url

    return make


def code_of(refused: Any) -> str:
    code: str = refused.value.response["Error"]["Code"]
    return code


# Configuration.


def test_a_url_is_made_read_changed_listed_and_taken_away(
    create: Any, functions: Any, account: str
) -> None:
    create()
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "MaxAge": 60}
    made = functions.create_function_url_config(FunctionName="f", AuthType="AWS_IAM", Cors=cors)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:f"
    assert (made["AuthType"], made["Cors"], made["InvokeMode"]) == ("AWS_IAM", cors, "BUFFERED")
    parts = urlsplit(made["FunctionUrl"])
    url_id, rest = parts.netloc.split(".", 1)
    assert (parts.scheme, rest, parts.path) == ("http", "lambda-url.us-east-1.localhost:4566", "/")
    assert len(url_id) == 32
    told = functions.get_function_url_config(FunctionName="f")
    assert told["FunctionUrl"] == made["FunctionUrl"]
    assert told["CreationTime"] == told["LastModifiedTime"] == made["CreationTime"]
    changed = functions.update_function_url_config(
        FunctionName="f", AuthType="NONE", InvokeMode="RESPONSE_STREAM", Cors={}
    )
    assert (changed["AuthType"], changed["InvokeMode"]) == ("NONE", "RESPONSE_STREAM")
    assert "Cors" not in changed
    assert changed["FunctionUrl"] == made["FunctionUrl"]
    (listed,) = functions.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"]
    assert listed["AuthType"] == "NONE"
    gone = functions.delete_function_url_config(FunctionName="f")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError) as missing:
        functions.get_function_url_config(FunctionName="f")
    assert code_of(missing) == "ResourceNotFoundException"
    again = functions.create_function_url_config(FunctionName="f", AuthType="NONE")
    assert again["FunctionUrl"] != made["FunctionUrl"]


def test_what_cannot_be_configured_is_refused(create: Any, functions: Any) -> None:
    with pytest.raises(ClientError) as nothing:
        functions.create_function_url_config(FunctionName="f", AuthType="NONE")
    assert code_of(nothing) == "ResourceNotFoundException"
    assert "Function does not exist" in str(nothing.value)
    create()
    with pytest.raises(ClientError) as method:
        functions.create_function_url_config(
            FunctionName="f", AuthType="NONE", Cors={"AllowMethods": ["FETCH"]}
        )
    assert code_of(method) == "InvalidParameterValueException"
    functions.create_function_url_config(FunctionName="f", AuthType="NONE")
    with pytest.raises(ClientError) as twice:
        functions.create_function_url_config(FunctionName="f", AuthType="NONE")
    assert code_of(twice) == "ResourceConflictException"
    assert "FunctionUrlConfig exists for this Lambda function" in str(twice.value)
    with pytest.raises(ClientError) as alias:
        functions.create_function_url_config(FunctionName="f", AuthType="NONE", Qualifier="live")
    assert code_of(alias) == "ResourceNotFoundException"


def test_urls_of_aliases_are_listed_behind_that_of_the_function(
    create: Any, functions: Any, visit: Visit, account: str
) -> None:
    create("def handler(event, c): return [c.function_version, c.invoked_function_arn]")
    version = functions.publish_version(FunctionName="f")["Version"]
    for name in ("blue", "green"):
        functions.create_alias(FunctionName="f", Name=name, FunctionVersion=version)
        functions.create_function_url_config(FunctionName="f", AuthType="NONE", Qualifier=name)
    functions.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    first = functions.list_function_url_configs(FunctionName="f", MaxItems=1)
    second = functions.list_function_url_configs(FunctionName="f", Marker=first["NextMarker"])
    found = [*first["FunctionUrlConfigs"], *second["FunctionUrlConfigs"]]
    ends = [each["FunctionArn"].partition(":function:")[2] for each in found]
    assert ends == ["f", "f:blue", "f:green"]
    url = found[1]["FunctionUrl"]
    assert visit(url).status == 403
    granted = {"FunctionName": "f", "Qualifier": "blue", "Principal": "*"}
    functions.add_permission(**granted, StatementId="a", Action="lambda:InvokeFunctionUrl")
    functions.add_permission(**granted, StatementId="b", Action="lambda:InvokeFunction")
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f:blue"
    assert visit(url).json == [version, arn]
    functions.delete_alias(FunctionName="f", Name="blue")
    assert visit(url).status == 403


# Requests and responses.


def test_a_request_is_an_event_of_format_2(create: Any, public: Any, visit: Visit) -> None:
    create(ECHO)
    url = public()
    headers = {"user-agent": "t/1", "cookie": "a=1; b=2", "connection": "close", "x-own": "é"}
    answer = visit(f"{url}some%20path/?a=1&a=2&b=x%20y&c", headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    event = answer.json
    url_id = urlsplit(url).netloc.partition(".")[0]
    assert event["version"] == "2.0"
    assert (event["routeKey"], event["rawPath"]) == ("$default", "/some%20path/")
    assert event["rawQueryString"] == "a=1&a=2&b=x%20y&c"
    assert event["queryStringParameters"] == {"a": "1,2", "b": "x y", "c": ""}
    assert event["cookies"] == ["a=1", "b=2"]
    assert "connection" not in event["headers"]
    assert event["headers"]["x-own"] == "é"
    assert event["headers"]["x-forwarded-for"] == "203.0.113.9"
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert event["headers"]["x-amzn-trace-id"] == answer.headers["x-amzn-trace-id"]
    assert "body" not in event
    assert event["isBase64Encoded"] is False
    trace = f"Root=1-6955b8ff-{'a' * 24};Parent={'b' * 16};Sampled=1"
    traced = visit(url, headers={"x-amzn-trace-id": trace})
    assert traced.json["headers"]["x-amzn-trace-id"] == trace
    context = event["requestContext"]
    assert context["accountId"] == "anonymous"
    assert "authorizer" not in context
    assert context["apiId"] == context["domainPrefix"] == url_id
    assert context["domainName"] == f"{url_id}.lambda-url.us-east-1.localhost"
    assert context["requestId"] == answer.headers["x-amzn-requestid"]
    assert context["http"] == {
        "method": "GET",
        "path": "/some%20path/",
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.9",
        "userAgent": "t/1",
    }
    assert context["time"] == "01/Jan/2026:00:00:00 +0000"


@pytest.mark.parametrize(
    ("body", "kind", "told", "coded"),
    [
        (b'{"a":1}', "application/json", '{"a":1}', False),
        ("é".encode(), "text/plain; charset=utf-8", "é", False),
        (b"\xff\x00", "text/plain", "/wA=", True),
        (b"a=1", "application/x-www-form-urlencoded", "YT0x", True),
        (b"x", "", "eA==", True),
    ],
)
def test_a_body_is_text_or_base64(
    create: Any, public: Any, visit: Visit, body: bytes, kind: str, told: str, coded: bool
) -> None:
    create(ECHO)
    event = visit(public(), "POST", body, {"content-type": kind}).json
    assert (event["body"], event["isBase64Encoded"]) == (told, coded)


@pytest.mark.parametrize(
    ("returned", "status", "kind", "body"),
    [
        ("'plain'", 200, "application/json", b"plain"),
        ("{'a': 1}", 200, "application/json", b'{"a": 1}'),
        ("None", 200, "application/json", b"null"),
        ("{'statusCode': 201}", 201, "application/json", b""),
        ("{'statusCode': '404', 'body': 'no'}", 404, "application/json", b"no"),
        ("{'statusCode': 200, 'body': {'b': 2}}", 200, "application/json", b'{"b":2}'),
        (
            "{'statusCode': 200, 'headers': {'content-type': 'image/png'}, 'body': 'iVA=', **CODED}",
            200,
            "image/png",
            b"\x89P",
        ),
        ("{'statusCode': 999}", 502, "application/json", b"Internal Server Error"),
        ("{'statusCode': True}", 502, "application/json", b"Internal Server Error"),
        (
            "{'statusCode': 200, 'headers': {'a': 'b\\r\\nc: d'}}",
            502,
            "application/json",
            b"Internal Server Error",
        ),
        (
            "{'statusCode': 200, 'body': '?', 'isBase64Encoded': True}",
            502,
            "application/json",
            b"Internal Server Error",
        ),
        ("1 / 0", 502, "application/json", b"Internal Server Error"),
    ],
)
def test_an_answer_is_a_response(
    create: Any, public: Any, visit: Visit, returned: str, status: int, kind: str, body: bytes
) -> None:
    coded = "CODED = {'isBase64Encoded': True}"
    create(f"{coded}\ndef handler(event, context):\n    return {returned}")
    answer = visit(public())
    assert (answer.status, answer.headers["content-type"], answer.body) == (status, kind, body)


def test_cookies_are_headers_of_their_own(create: Any, public: Any, cloud: Cloud) -> None:
    create(
        "def handler(event, context):\n    return {'statusCode': 302, 'cookies': ['a=1', 'b=2'],"
        " 'headers': {'Location': '/x', 'n': 5}}"
    )
    parts = urlsplit(public())
    reply, _ = cloud.handle(HttpRequest("GET", "/", "", {"host": parts.netloc}))
    assert reply.status == 302
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert ("Location", "/x") in reply.headers
    assert ("n", "5") in reply.headers


def test_under_a_bare_address_the_path_says_whose_url_it_is(
    create: Any, public: Any, functions: Any, visit: Visit, cloud: Cloud
) -> None:
    create(ECHO)
    url_id = urlsplit(public()).netloc.partition(".")[0]
    there = cloud.client("lambda", host="192.0.2.7:4566")
    url = there.get_function_url_config(FunctionName="f")["FunctionUrl"]
    assert url == f"http://192.0.2.7:4566/lambda-url/us-east-1/{url_id}/"
    assert visit(f"{url}a/b").json["rawPath"] == "/a/b"
    assert visit(url.rstrip("/")).json["rawPath"] == "/"
    assert visit(f"https://{url_id}.lambda-url.us-east-1.on.aws/x").json["rawPath"] == "/x"
    # A bucket of that name is reached as ever where no id stands in the path.
    assert visit("http://192.0.2.7:4566/lambda-url/us-east-1/key").status == 404


def test_a_request_beyond_its_bound_is_refused(create: Any, public: Any, visit: Visit) -> None:
    create(ECHO)
    url = public()
    answer = visit(url, "POST", bytes(6_291_457))
    assert answer.status == 413
    assert answer.headers["x-amzn-errortype"] == "RequestTooLargeException"


# Who may come in.


def test_nobody_comes_in_unless_the_policy_of_the_function_says_both(
    create: Any, functions: Any, visit: Visit
) -> None:
    create(ECHO)
    url = functions.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    refused = visit(url)
    assert refused.status == 403
    assert refused.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert refused.json["Message"].startswith("Forbidden.")
    functions.add_permission(
        **PUBLIC, StatementId="1", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE"
    )
    assert visit(url).status == 403
    said = functions.add_permission(
        **PUBLIC, StatementId="2", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True
    )
    condition = json.loads(said["Statement"])["Condition"]
    assert condition == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert visit(url).status == 200
    functions.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    assert visit(url).status == 403
    functions.update_function_url_config(FunctionName="f", AuthType="NONE")
    functions.delete_function(FunctionName="f")
    assert visit(url).status == 403
    create(ECHO)
    assert visit(url).status == 403


def test_what_lets_in_by_url_lets_nobody_in_otherwise(
    create: Any, public: Any, functions: Any, cloud: Cloud
) -> None:
    create(ECHO)
    public()
    stranger = cloud.client("lambda", credential=cloud.create_user("stranger"))
    with pytest.raises(ClientError) as denied:
        stranger.invoke(FunctionName="f")
    assert code_of(denied) == "AccessDeniedException"


def test_with_iam_the_signature_is_verified_and_the_event_says_who_signed(
    create: Any, functions: Any, visit: Visit, cloud: Cloud, account: str
) -> None:
    create(ECHO)
    url = functions.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    may = {"Effect": "Allow", "Resource": "*"}
    both = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    caller = cloud.create_user(
        "caller", {"Version": "2012-10-17", "Statement": [{**may, "Action": both}]}
    )
    one = cloud.create_user(
        "one", {"Version": "2012-10-17", "Statement": [{**may, "Action": both[:1]}]}
    )
    answer = visit(f"{url}p?q=1", "POST", b"{}", {"content-type": "text/plain"}, caller)
    assert answer.status == 200
    context = answer.json["requestContext"]
    assert context["accountId"] == account
    who = context["authorizer"]["iam"]
    assert who["accessKey"] == caller.access_key_id
    assert who["userArn"] == f"arn:aws:iam::{account}:user/caller"
    assert who["userId"].startswith("AIDA")
    assert visit(url, keys=one).status == 403
    assert visit(url).status == 403
    forged = visit(url, keys=caller._replace(secret_access_key="x" * 40))
    assert (forged.status, forged.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert visit(url, "POST", b"{}", keys=caller).status == 200


def test_a_body_that_was_not_signed_is_refused(create: Any, functions: Any, cloud: Cloud) -> None:
    create(ECHO)
    url = functions.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    parts = urlsplit(url)
    request = AWSRequest("POST", url, headers={"host": parts.netloc}, data=b"signed")
    keys = Credentials(cloud.account.access_key_id, cloud.account.secret_access_key)
    with signing_by(cloud.clock):
        SigV4Auth(keys, "lambda", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    reply, _ = cloud.handle(HttpRequest("POST", "/", "", headers, b"another"))
    assert reply.status == 403
    reply, _ = cloud.handle(HttpRequest("POST", "/", "", headers, b"signed"))
    assert reply.status == 200


def test_the_conditions_of_add_permission_go_with_their_actions(
    create: Any, functions: Any
) -> None:
    create()
    for action, member in (
        ("lambda:InvokeFunction", {"FunctionUrlAuthType": "NONE"}),
        ("lambda:InvokeFunctionUrl", {"InvokedViaFunctionUrl": True}),
    ):
        with pytest.raises(ClientError) as refused:
            functions.add_permission(**PUBLIC, StatementId="s", Action=action, **member)
        assert code_of(refused) == "InvalidParameterValueException"


OLDER = Config(functions=FunctionSettings(urls_before_october_2025=True))


@pytest.mark.parametrize("cloud", [OLDER], indirect=True)
def test_a_deployment_may_ask_for_one_permission_as_aws_did(
    create: Any, functions: Any, visit: Visit
) -> None:
    create(ECHO)
    url = functions.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    functions.add_permission(
        **PUBLIC, StatementId="1", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE"
    )
    assert visit(url).status == 200


def test_where_there_is_no_room_a_url_says_429(
    create: Any, public: Any, visit: Visit, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(ECHO)
    url = public()

    async def run(*_: Any, **__: Any) -> Any:
        raise Throttled("no room")

    monkeypatch.setattr(cloud.app.parts.functions, "run", run)
    answer = visit(url)
    assert answer.status == 429
    assert answer.headers["x-amzn-errortype"] == "TooManyRequestsException"


# Web pages.

CORS = {
    "AllowOrigins": ["https://a.example"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["X-Own"],
    "ExposeHeaders": ["x-told"],
    "MaxAge": 300,
}


def preflight(origin: str, method: str = "POST", headers: str = "x-own") -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


def test_a_preflight_is_answered_by_the_rules_and_runs_nothing(
    create: Any, public: Any, visit: Visit, cloud: Cloud
) -> None:
    create(ECHO)
    url = public(Cors=CORS)
    allowed = visit(url, "OPTIONS", headers=preflight("https://a.example"))
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert allowed.headers["access-control-allow-methods"] == "GET,POST"
    assert allowed.headers["access-control-allow-headers"] == "x-own"
    assert allowed.headers["access-control-max-age"] == "300"
    for refused in (
        preflight("https://b.example"),
        preflight("https://a.example", "DELETE"),
        preflight("https://a.example", headers="x-own, x-other"),
    ):
        answer = visit(url, "OPTIONS", headers=refused)
        assert "access-control-allow-origin" not in answer.headers
    assert cloud.app.parts.functions.inline.started == []  # type: ignore[attr-defined]


def test_answers_say_which_pages_may_read_them_whatever_the_function_says(
    create: Any, public: Any, visit: Visit
) -> None:
    create(
        "def handler(event, context):\n    return {'statusCode': 200, 'body': 'x',"
        " 'headers': {'Access-Control-Allow-Origin': '*'}}"
    )
    url = public(Cors={**CORS, "AllowCredentials": True})
    allowed = visit(url, headers={"origin": "https://a.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert allowed.headers["access-control-expose-headers"] == "x-told"
    other = visit(url, headers={"origin": "https://b.example"})
    assert (other.status, other.body) == (200, b"x")
    assert "access-control-allow-origin" not in other.headers


def test_without_rules_a_function_answers_preflights_itself(
    create: Any, public: Any, visit: Visit
) -> None:
    create(
        "def handler(event, c): return {'statusCode': 204, 'headers': {'access-control-a': 'b'}}"
    )
    answer = visit(public(), "OPTIONS", headers=preflight("https://a.example"))
    assert (answer.status, answer.headers["access-control-a"]) == (204, "b")


# Streams.


def saying(kind: str, *said: bytes, ending: Ending = Ending.RETURNED) -> Any:
    async def invoke(
        self: InlineSandbox,
        request_id: str,
        payload: bytes,
        deadline_ms: int,
        context: Mapping[str, str],
        chunks: Chunks | None = None,
    ) -> Outcome:
        assert chunks is not None
        for piece in said:
            await chunks(piece, kind)
        return Outcome(ending, b"", 3.0, 30)

    return invoke


INTEGRATION = "application/vnd.awslambda.http-integration-response"


def test_a_streamed_answer_says_its_status_ahead_of_its_body(
    create: Any, public: Any, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    url = public(InvokeMode="RESPONSE_STREAM")
    head = json.dumps({"statusCode": 418, "headers": {"x-a": "b"}, "cookies": ["c=d"]}).encode()
    pieces = (head[:9], head[9:] + bytes(5), bytes(3) + b"one ", b"two")
    monkeypatch.setattr(InlineSandbox, "invoke", saying(INTEGRATION, *pieces))
    answer = visit(url)
    assert (answer.status, answer.body) == (418, b"one two")
    assert (answer.headers["x-a"], answer.headers["set-cookie"]) == ("b", "c=d")
    monkeypatch.setattr(InlineSandbox, "invoke", saying("text/event-stream", b"data: 1\n\n"))
    plain = visit(url)
    assert (plain.status, plain.body) == (200, b"data: 1\n\n")
    assert plain.headers["content-type"] == "text/event-stream"


def test_an_answer_that_comes_whole_goes_as_it_is_in_a_stream(
    create: Any, public: Any, visit: Visit
) -> None:
    create("def handler(event, context):\n    return {'statusCode': 404}")
    answer = visit(public(InvokeMode="RESPONSE_STREAM"))
    assert (answer.status, answer.body) == (200, b'{"statusCode": 404}')
    assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "invoke",
    [
        saying("", ending=Ending.TIMED_OUT),
        saying(INTEGRATION, b'{"statusCode": 200}'),
        saying(INTEGRATION, b"[" + bytes(8)),
        saying(INTEGRATION, *[bytes([65]) * 40_000] * 3),
    ],
)
def test_a_stream_without_a_head_is_a_bad_gateway(
    create: Any, public: Any, visit: Visit, monkeypatch: pytest.MonkeyPatch, invoke: Any
) -> None:
    create()
    url = public(InvokeMode="RESPONSE_STREAM")
    monkeypatch.setattr(InlineSandbox, "invoke", invoke)
    answer = visit(url)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_a_stream_whose_function_fails_half_way_has_no_end(
    create: Any, public: Any, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    url = public(InvokeMode="RESPONSE_STREAM")
    failing = saying("text/plain", b"begun", ending=Ending.TIMED_OUT)
    monkeypatch.setattr(InlineSandbox, "invoke", failing)
    with pytest.raises(BrokenAnswerError):
        visit(url)


def test_a_base64_answer_of_a_photo_arrives_as_bytes(
    create: Any, public: Any, visit: Visit
) -> None:
    photo = bytes(range(256))
    create(
        "def handler(event, c): return {'statusCode': 200, 'isBase64Encoded': True,"
        f" 'body': '{base64.b64encode(photo).decode()}'}}"
    )
    assert visit(public()).body == photo
