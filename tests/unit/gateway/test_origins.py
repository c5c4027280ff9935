"""What browsers are told: preflights and answers, of open services, of rules and of all others.

Source: AWS SDK for JavaScript, SERVICES.md ("Allows CORS"); answers of DynamoDB and Logs to
preflights as published measurements show them; answers of S3 recorded by LocalStack
(tests/aws/services/s3/test_s3_cors.snapshot.json).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.gateway.stub import CALLS, Gate
from tests.unit.gateway.test_forward import Split

from fogbank.contract.facet import OriginRule
from fogbank.gateway.origins import RULES
from fogbank.gateway.settings import GatewaySettings
from fogbank.wire.http import HttpReply, HttpRequest

PAGE = "https://app.example"
OPEN = ("dynamodb", "lambda", "logs", "sts")
SIGNED = "authorization,x-amz-date,x-amz-security-token"
NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
    "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are "
    "not whitelisted by the resource's CORS spec."
)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def preflight(path: str, host: str = "localhost", query: str = "", **said: str) -> HttpRequest:
    headers = {name.replace("_", "-"): value for name, value in said.items()}
    return HttpRequest("OPTIONS", path, query, {"host": host, **headers})


def asking(method: str, headers: str = "", origin: str = PAGE) -> dict[str, str]:
    said = {"origin": origin, "access_control_request_method": method}
    return {**said, "access_control_request_headers": headers} if headers else said


def told(reply: HttpReply) -> dict[str, str]:
    """Return what a browser takes from the head of an answer."""
    return {
        name.lower(): value
        for name, value in reply.headers
        if name.lower() == "vary" or name.lower().startswith("access-control")
    }


# Services that are open to pages.


@pytest.mark.parametrize(
    ("path", "host", "headers", "methods"),
    [
        ("/", "localhost", f"{SIGNED},content-type,x-amz-target", "POST"),
        ("/", "localhost", SIGNED, "POST"),
        ("/", "dynamodb.us-east-1.localhost", SIGNED, "POST"),
        ("/", "sts.localhost", SIGNED, "POST"),
        ("/2015-03-31/functions/f/invocations", "localhost", SIGNED, "DELETE,GET,POST,PUT"),
    ],
)
def test_a_page_may_ask_what_it_may_ask_on_aws(
    gate: Gate, path: str, host: str, headers: str, methods: str
) -> None:
    reply, body = gate.handle(preflight(path, host, **asking("POST", headers)))
    assert (reply.status, body, reply.length) == (200, b"", 0)
    found = told(reply)
    exposed = found.pop("access-control-expose-headers").split(",")
    assert exposed[:4] == ["x-amzn-RequestId", "x-amzn-ErrorType", "x-amzn-ErrorMessage", "Date"]
    assert ("X-Amz-Function-Error" in exposed) is path.startswith("/2015")
    assert found == {
        "access-control-allow-origin": "*",
        "access-control-allow-headers": headers,
        "access-control-allow-methods": methods,
        "access-control-max-age": "172800",
    }
    assert not gate.stub.calls


@pytest.mark.parametrize("service", CALLS)
def test_answers_may_be_read_by_pages_where_aws_says_so(gate: Gate, service: str) -> None:
    for secret in ("", "wrong" * 8):
        keys = {"secret": secret} if secret else {}
        request = gate.request(service, **keys)
        assert not told(gate.handle(request)[0])
        request = gate.request(service, **keys)
        request.headers["origin"] = PAGE
        reply, _ = gate.handle(request)
        assert (reply.status == 200) is not secret
        found = told(reply)
        assert found.get("access-control-allow-origin") == ("*" if service in OPEN else None)
        assert bool(found) is (service in OPEN)


def test_what_is_not_built_is_told_to_pages_too(gate: Gate) -> None:
    request = gate.request("dynamodb", "describe_limits", {})
    request.headers["origin"] = PAGE
    reply, _ = gate.handle(request)
    assert (reply.status, told(reply)["access-control-allow-origin"]) == (501, "*")


@pytest.mark.parametrize(
    "request_",
    [
        preflight("/", "iam.localhost", **asking("POST", SIGNED)),
        preflight("/", "dynamodb.localhost", origin=PAGE),
        preflight("/", "dynamodb.localhost"),
    ],
)
def test_no_page_is_told_anything_of_what_it_may_not_ask(gate: Gate, request_: HttpRequest) -> None:
    reply, body = gate.handle(request_)
    assert reply.status in {400, 403}
    assert b"MissingAuthenticationToken" in body
    assert not told(reply)


def test_an_operator_says_which_pages_may_ask() -> None:
    gate = Gate(GatewaySettings(allowed_origins=(PAGE,)))
    said = asking("POST", "x-amz-target")
    found = told(gate.handle(preflight("/", **said))[0])
    assert (found["access-control-allow-origin"], found["vary"]) == (PAGE, "Origin")
    other = preflight("/", **{**said, "origin": "https://other.example"})
    reply, _ = gate.handle(other)
    assert (reply.status, told(reply)) == (400, {})
    request = gate.request("dynamodb")
    request.headers["origin"] = "https://other.example"
    reply, _ = gate.handle(request)
    assert (reply.status, told(reply)) == (200, {})
    nobody = Gate(GatewaySettings(allowed_origins=()))
    assert nobody.handle(preflight("/", **said))[0].status == 400


# Resources that carry rules.


def rule(**changes: Any) -> OriginRule:
    return OriginRule(**{"origins": (PAGE,), "methods": ("GET", "PUT"), **changes})


VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
GRANTED = {
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "GET, PUT",
    "access-control-allow-credentials": "true",
    "vary": VARY,
}


@pytest.mark.parametrize(
    ("rules", "said", "granted"),
    [
        (rule(), asking("PUT"), GRANTED),
        (rule(max_age_s=3000), asking("GET"), {**GRANTED, "access-control-max-age": "3000"}),
        (
            rule(exposed=("ETag", "x-amz-request-id")),
            asking("GET"),
            {**GRANTED, "access-control-expose-headers": "ETag, x-amz-request-id"},
        ),
        (
            rule(headers=("X-Amz-*", "content-TYPE")),
            asking("PUT", "x-amz-Date, content-type"),
            {**GRANTED, "access-control-allow-headers": "x-amz-date, content-type"},
        ),
        (rule(origins=("https://*.example",)), asking("PUT"), GRANTED),
        (rule(origins=("https://app.example*",)), asking("PUT"), GRANTED),
        (
            rule(origins=("http://other", "*")),
            asking("PUT"),
            {
                "access-control-allow-origin": "*",
                "access-control-allow-methods": "GET, PUT",
                "vary": VARY,
            },
        ),
        (rule(methods=("PUT", "DELETE")), asking("GET"), None),
        (rule(), asking("GET", "x-amz-date"), None),
        (rule(headers=("x-amz-*",)), asking("GET", "x-amz-date,content-type"), None),
        (rule(), asking("GET", origin="http://app.example"), None),
        (rule(origins=("https://*.app.example",)), asking("GET"), None),
        (rule(origins=("https://a*app.example",)), asking("GET"), None),
        (rule(origins=("",)), asking("GET"), None),
    ],
)
def test_a_preflight_is_answered_by_the_rules_of_the_bucket(
    gate: Gate, rules: OriginRule, said: dict[str, str], granted: dict[str, str] | None
) -> None:
    gate.stub.origin_rules = (rules,)
    for path, host, kind in (
        ("/bucket/key", "localhost", "OBJECT"),
        ("/key", "bucket.s3.localhost", "OBJECT"),
        ("/bucket", "localhost", "BUCKET"),
    ):
        reply, body = gate.handle(preflight(path, host, **said))
        if granted is None:
            assert (reply.status, told(reply)) == (403, {})
            for text in (
                "<Code>AccessForbidden</Code>",
                f"<ResourceType>{kind}</ResourceType>",
                f"<Method>{said['access_control_request_method']}</Method>",
                NOT_ALLOWED.replace("'", "&apos;"),
            ):
                assert text in body.decode().replace("resource's", "resource&apos;s")
        else:
            assert (reply.status, told(reply)) == (200, granted)


def test_the_first_rule_that_allows_a_request_answers_it(gate: Gate) -> None:
    gate.stub.origin_rules = (rule(methods=("PUT",)), rule(max_age_s=1), rule(max_age_s=2))
    found = told(gate.handle(preflight("/bucket/key", **asking("GET")))[0])
    assert found == {**GRANTED, "access-control-max-age": "1"}


@pytest.mark.parametrize(
    ("rules", "said", "answer"),
    [
        ((), {}, (400, "BadRequest", "Insufficient information. Origin request header needed.")),
        (
            (),
            asking("PUT"),
            (403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket."),
        ),
        (
            (),
            {"origin": PAGE},
            (403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket."),
        ),
        (None, asking("PUT"), (403, "AccessForbidden", "CORSResponse: Bucket not found")),
        (
            (rule(),),
            asking("BREW"),
            (400, "BadRequest", "Invalid Access-Control-Request-Method: BREW"),
        ),
        (
            (rule(),),
            {"origin": PAGE},
            (400, "BadRequest", "Invalid Access-Control-Request-Method: null"),
        ),
    ],
)
def test_a_preflight_that_no_rule_answers_is_refused_in_the_words_of_s3(
    gate: Gate, rules: Any, said: dict[str, str], answer: tuple[int, str, str]
) -> None:
    gate.stub.origin_rules = rules
    assert gate.refusal(preflight("/bucket/key", **said)) == answer
    if answer[0] == 403:
        _, body = gate.handle(preflight("/bucket/key", **said))
        asked = said.get("access_control_request_method", "OPTIONS")
        assert b"<ResourceType>BUCKET</ResourceType>" in body
        assert f"<Method>{asked}</Method>".encode() in body


def test_a_preflight_of_a_presigned_url_is_asked_for_no_proof(gate: Gate) -> None:
    gate.stub.origin_rules = (rule(),)
    signed = gate.presigned("GET", "http://localhost:4566/bucket/key")
    reply, _ = gate.handle(preflight(signed.path, query=signed.query, **asking("GET")))
    assert (reply.status, told(reply)) == (200, GRANTED)


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ({"origin": PAGE}, True),
        ({}, False),
        ({"origin": "https://other.example"}, False),
        # AWS heeds these on requests that are no preflights too.
        ({"origin": PAGE, "access-control-request-method": "DELETE"}, False),
        ({"origin": PAGE, "access-control-request-headers": "x-amz-date"}, False),
    ],
)
def test_an_object_may_be_read_by_the_pages_that_the_rules_name(
    gate: Gate, headers: dict[str, str], granted: bool
) -> None:
    gate.stub.origin_rules = (rule(),)
    for host in ("http://localhost:4566/bucket", "http://bucket.localhost:4566"):
        request = gate.presigned("GET", f"{host}/key")
        request.headers.update(headers)
        reply, body = gate.handle(request)
        assert (reply.status, body) == (200, b"hello")
        assert told(reply) == (GRANTED if granted else {})


def test_a_page_may_read_why_it_is_refused(gate: Gate) -> None:
    gate.stub.origin_rules = (rule(),)
    request = HttpRequest("GET", "/bucket/key", "", {"host": "localhost", "origin": PAGE})
    reply, _ = gate.handle(request)
    assert (reply.status, told(reply)) == (403, GRANTED)


def test_a_front_asks_the_owner_of_the_bucket_for_its_rules() -> None:
    split = Split()
    asked: list[str] = []
    call = split.peer.call

    async def noting(method: str, *rest: Any) -> Any:
        asked.append(method)
        return await call(method, *rest)

    split.peer.call = noting  # type: ignore[method-assign]
    split.stub.origin_rules = (rule(max_age_s=7, exposed=("ETag",), headers=("*",), id="a"),)
    reply, _ = split.handle(preflight("/bucket/key", **asking("PUT", "x")))
    whole = Gate()
    whole.stub.origin_rules = split.stub.origin_rules
    assert reply.status == 200
    assert told(reply) == told(whole.handle(preflight("/bucket/key", **asking("PUT", "x")))[0])
    split.stub.origin_rules = None
    assert split.refusal(preflight("/bucket/key", **asking("PUT")))[2].endswith("Bucket not found")
    assert asked == [RULES, RULES]


def test_a_preflight_is_counted_and_in_no_trail_and_a_refused_one_is_told_within_bounds() -> None:
    split = Split()
    split.stub.origin_rules = (rule(),)
    assert split.handle(preflight("/bucket/key", **asking("PUT")))[0].status == 200
    assert split.handle(preflight("/", **asking("POST", "x-amz-target")))[0].status == 200
    assert split.refused == []
    assert split.handle(preflight("/bucket/key", **asking("DELETE")))[0].status == 403
    assert [entry.error_code for entry in split.refused] == ["AccessForbidden"]


def test_preflights_are_bounded_as_the_calls_of_nobody(gate: Gate) -> None:
    gate = Gate(GatewaySettings(requests_per_account_max=0))
    gate.stub.origin_rules = (rule(),)
    assert gate.refusal(preflight("/bucket/key", **asking("PUT")))[:2] == (503, "SlowDown")
