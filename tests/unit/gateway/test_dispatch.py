"""The order of the rooms, what is refused where, and what becomes of errors."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from tests.unit.gateway.stub import ACCOUNT, CALLS, REGION, Gate, error_in, module_of

from fogbank.base.errors import (
    CommitUnknown,
    Conflict,
    Full,
    NotBuilt,
    ServiceError,
    Throttled,
    TransactionTooLarge,
    Unavailable,
)
from fogbank.contract.operation import ANY, operation
from fogbank.contract.service import Service
from fogbank.gateway.settings import GatewaySettings
from fogbank.platform.identity.principal import (
    ANONYMOUS,
    PrincipalKind,
    root_principal,
    service_principal,
)
from fogbank.platform.metering.current import LAST
from fogbank.server.logs import JsonLines
from fogbank.wire.http import HttpRequest


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_health_is_answered_without_credentials(gate: Gate) -> None:
    reply, body = gate.handle(HttpRequest("GET", "/health", "", {"host": "x"}))
    assert (reply.status, body) == (200, b'{"status":"ok"}')


def test_an_object_called_health_is_an_object(gate: Gate) -> None:
    for host, query, headers in (
        ("photos.localhost", "", {}),
        ("localhost", "acl", {}),
        ("localhost", "", {"authorization": "x"}),
    ):
        request = HttpRequest("GET", "/health", query, {"host": host, **headers})
        assert gate.handle(request)[0].status in {400, 403}


def test_a_bucket_may_stand_in_the_host(gate: Gate) -> None:
    for endpoint, path in (
        ("http://photos.localhost:4566", "/a/b"),
        ("http://photos.s3.us-east-1.localhost:4566", "/a/b"),
        ("http://localhost:4566", "/photos/a/b"),
        ("http://127.0.0.1:4566", "/photos/a/b"),
        ("http://s3.localhost:4566", "/photos/a/b"),
    ):
        request = gate.presigned("GET", endpoint + path)
        assert gate.handle(request)[0].status == 200
        _, asked = gate.stub.calls[-1]
        assert (asked["Bucket"], asked["Key"]) == ("photos", "a/b")


# What is not built.


@pytest.mark.parametrize("service", CALLS)
def test_an_operation_that_is_not_built_says_so(gate: Gate, service: str) -> None:
    unbuilt: dict[str, tuple[str, dict[str, Any], str]] = {
        "s3": ("delete_bucket", {"Bucket": "bucket"}, "DeleteBucket"),
        "dynamodb": ("describe_limits", {}, "DescribeLimits"),
        "iam": ("list_roles", {}, "ListRoles"),
        "lambda": ("get_account_settings", {}, "GetAccountSettings"),
        "logs": ("describe_queries", {}, "DescribeQueries"),
        "sts": ("get_session_token", {}, "GetSessionToken"),
    }
    call, parameters, name = unbuilt[service]
    status, code, message = gate.refusal(gate.request(service, call, parameters))
    assert (status, code) == (501, "NotImplemented")
    assert message == f"fogbank has not built {service}:{name}"
    assert gate.dispatcher.not_built[message] == 1


def test_who_did_not_sign_learns_nothing_of_what_is_built(gate: Gate) -> None:
    for method, path, query in (
        ("DELETE", "/bucket", ""),
        ("GET", "/bucket", "frobnicate"),
        ("GET", "/bucket", "acl"),
        ("PATCH", "/bucket", ""),
        ("POST", "/bucket", ""),
    ):
        request = HttpRequest(method, path, query, {"host": "localhost"})
        assert gate.refusal(request)[:2] == (403, "AccessDenied")
    assert not gate.dispatcher.not_built


def test_a_service_that_is_not_built_says_so_in_the_protocol_of_the_request(gate: Gate) -> None:
    gate_of = {
        "sqs": ("list_queues", 501),
        "ssm": ("describe_parameters", 501),
        "sns": ("list_topics", 501),
        "kinesis": ("list_streams", 501),
    }
    for service, (call, status) in gate_of.items():
        CALLS[service] = (call, {})
        try:
            found = gate.refusal(gate.request(service))
        finally:
            del CALLS[service]
        assert found[:2] == (status, "NotImplemented")
        assert found[2].startswith(f"fogbank has not built {service}:")


def test_an_unknown_operation_is_unknown(gate: Gate) -> None:
    request = gate.request("sts")
    from tests.unit.gateway.stub import KEY_ID, SECRET  # noqa: PLC0415 (only this test needs it)
    from tests.unit.gateway.test_authenticate import sigv4  # noqa: PLC0415 (only this test needs it)

    request.body = b"Action=Frobnicate&Version=2011-06-15"
    del request.headers["authorization"]
    sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region=REGION,
        service="sts",
        timestamp="20260101T000000Z",
    )
    status, code, message = gate.refusal(request)
    assert (status, code) == (400, "InvalidAction")
    assert message == "Could not find operation Frobnicate for version 2011-06-15"
    assert not gate.dispatcher.not_built


def test_a_member_that_is_not_honoured_is_refused_unless_neutral(gate: Gate) -> None:
    def put(**members: Any) -> HttpRequest:
        return gate.request("s3", "put_object", {"Bucket": "bucket", "Key": "key", **members})

    assert gate.handle(put())[0].status == 200
    assert gate.handle(put(ACL="private"))[0].status == 200
    status, code, message = gate.refusal(put(ACL="public-read"))
    assert (status, code) == (501, "NotImplemented")
    assert message == "fogbank has not built the member ACL of s3:PutObject"
    assert gate.dispatcher.not_built[message] == 1


@pytest.mark.parametrize(
    ("neutral", "given", "refused"),
    [
        (False, False, False),
        (False, True, True),
        (frozenset({"A", "B"}), "B", False),
        (frozenset({"A", "B"}), "C", True),
        (frozenset({"A"}), ["A"], True),
        (ANY, "anything", False),
        ([], [], False),
        ([], ["x"], True),
    ],
)
def test_neutral_is_a_value_or_one_of_several_or_any(
    neutral: Any, given: Any, refused: bool
) -> None:
    @operation(unhonoured={"X": neutral})
    async def list_tables(_call: Any, _request: Any) -> dict[str, Any]:
        return {}

    service = Service(
        model="dynamodb", operations=(module_of("dynamodb", list_tables=list_tables),)
    )
    gate = Gate(services=[service])
    bound = gate.dispatcher.catalogue.find("dynamodb", "ListTables")
    assert bound is not None
    bound.check_honoured({"Y": 1})
    if refused:
        with pytest.raises(NotBuilt):
            bound.check_honoured({"X": given})
    else:
        bound.check_honoured({"X": given})


# Errors.


class ResourceNotFoundException(ServiceError):
    pass


def test_a_modelled_error_is_rendered_with_the_models_status(gate: Gate) -> None:
    gate.stub.fail = ResourceNotFoundException("gone")
    assert gate.refusal(gate.request("dynamodb")) == (400, "ResourceNotFoundException", "gone")
    assert gate.refusal(gate.request("lambda")) == (404, "ResourceNotFoundException", "gone")


WEATHER = {
    Throttled: {
        "s3": (503, "SlowDown"),
        "dynamodb": (400, "ThrottlingException"),
        "iam": (400, "Throttling"),
        "lambda": (429, "TooManyRequestsException"),
    },
    Conflict: {
        "s3": (409, "OperationAborted"),
        "dynamodb": (400, "ThrottlingException"),
        "iam": (400, "Throttling"),
        "lambda": (429, "TooManyRequestsException"),
    },
    Unavailable: {
        "s3": (503, "ServiceUnavailable"),
        "dynamodb": (500, "InternalServerError"),
        "iam": (500, "ServiceFailure"),
        "lambda": (500, "ServiceException"),
        "logs": (503, "ServiceUnavailableException"),
    },
    Full: {"s3": (503, "ServiceUnavailable")},
    CommitUnknown: {"dynamodb": (500, "InternalServerError")},
    TransactionTooLarge: {"dynamodb": (400, "ValidationException")},
}


@pytest.mark.parametrize("kind", WEATHER)
def test_weather_is_said_in_the_words_of_the_service(gate: Gate, kind: type[Exception]) -> None:
    gate.stub.fail = kind("inner detail")
    for service, expected in WEATHER[kind].items():
        status, code, message = gate.refusal(gate.request(service))
        assert (status, code) == expected
        assert "inner detail" not in message


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("s3", "InternalError"),
        ("dynamodb", "InternalServerError"),
        ("iam", "ServiceFailure"),
        ("lambda", "ServiceException"),
        ("logs", "InternalFailure"),
        ("sts", "InternalFailure"),
    ],
)
def test_a_bug_is_logged_with_the_request_id_and_says_nothing(
    gate: Gate, service: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate.stub.fail = AssertionError("the secret invariant")
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.ERROR):
        reply, body = gate.handle(gate.request(service))
    assert reply.status == 500
    code, message = error_in(reply, body)
    assert code == expected
    assert "secret invariant" not in message
    (record,) = caplog.records
    request_id = next(value for name, value in reply.headers if name.lower() in _REQUEST_ID_HEADERS)
    assert request_id in record.getMessage()
    line = json.loads(caplog.text)
    assert line["request_id"] == request_id  # as of every line that is logged within a call
    assert "the secret invariant" in caplog.text


_REQUEST_ID_HEADERS = {"x-amz-request-id", "x-amzn-requestid"}


def test_a_call_that_is_broken_off_is_noted_and_goes_on_breaking(gate: Gate) -> None:
    gate.stub.fail = asyncio.CancelledError()
    request = gate.request("dynamodb")

    async def work() -> None:
        with pytest.raises(asyncio.CancelledError):
            await gate.dispatcher.handle(request)

    asyncio.run(work())
    (entry,) = gate.dispatcher.recent
    assert entry.error_code == "RequestAborted"
    assert not gate.dispatcher.throttle._in_work


# Throttling.


def test_an_account_has_only_so_many_requests_in_work() -> None:
    gate = Gate(GatewaySettings(requests_per_account_max=0))
    assert gate.refusal(gate.request("dynamodb"))[:2] == (400, "ThrottlingException")
    assert gate.refusal(gate.request("s3"))[:2] == (503, "SlowDown")
    assert not gate.stub.calls


# Audit.


def test_of_services_that_sign_alike_the_one_that_a_header_tells_is_asked_and_recorded(
    gate: Gate,
) -> None:
    """DynamoDB Streams signs as ``dynamodb``; another process finds it by its own name."""
    assert gate.handle(gate.request("dynamodbstreams", "list_streams", {}))[0].status == 200
    (entry,) = gate.dispatcher.recent
    assert (entry.service, entry.operation) == ("dynamodbstreams", "ListStreams")


def test_every_call_leaves_one_entry_without_secrets(gate: Gate) -> None:
    gate.handle(gate.request("s3", "put_object", {"Bucket": "bucket", "Key": "key"}))
    gate.handle(gate.request("dynamodb", secret="y" * 40))
    gate.handle(gate.request("sts", "get_session_token", {}))
    first, second, third = gate.dispatcher.recent
    assert first.operation == "PutObject"
    assert first.resources == ("arn:aws:s3:::bucket/key",)
    assert first.source_ip == "10.1.2.3"
    assert first.user_agent.startswith("Boto3")
    assert first.error_code == ""
    assert second.error_code == "InvalidSignatureException"
    assert second.principal is ANONYMOUS
    assert third.error_code == "NotImplemented"
    assert third.principal.kind is PrincipalKind.ROOT
    assert "Signature=" not in str([first, second, third])


# Calls from service to service.


def call(gate: Gate, service: str, name: str, **options: Any) -> Any:
    return asyncio.run(
        gate.dispatcher.call(service, name, {}, region=options.pop("region", REGION), **options)
    )


def test_who_times_the_steps_of_the_loop_finds_the_call_that_ended_last(gate: Gate) -> None:
    for service, name in (("dynamodb", "ListTables"), ("s3", "ListBuckets")):
        LAST.call = None
        gate.handle(gate.request(service))
        call: Any = LAST.call
        assert (call.service, call.operation) == (service, name)
        assert call.ended >= call.began


def test_a_service_calls_another_as_a_principal(gate: Gate) -> None:
    answer = call(gate, "dynamodb", "ListTables", principal=root_principal(ACCOUNT))
    assert answer == {"TableNames": []}
    seen, _ = gate.stub.calls[0]
    assert seen.scope.account == ACCOUNT
    assert seen.principal.kind is PrincipalKind.ROOT
    assert seen.access_context["aws:RequestedRegion"] == REGION
    assert "aws:SourceIp" not in seen.access_context
    (entry,) = gate.dispatcher.recent
    assert entry.operation == "ListTables"


@pytest.mark.parametrize("principal", [ANONYMOUS, service_principal("s3.amazonaws.com")])
def test_a_call_is_authorized_like_any_other(gate: Gate, principal: Any) -> None:
    with pytest.raises(ServiceError) as caught:
        call(gate, "dynamodb", "ListTables", principal=principal, account=ACCOUNT)
    assert caught.value.code == "AccessDeniedException"
    assert not gate.stub.calls
    (entry,) = gate.dispatcher.recent
    assert entry.error_code == "AccessDeniedException"


def test_a_call_of_what_is_not_built_says_so(gate: Gate) -> None:
    for service, name in (("dynamodb", "DescribeLimits"), ("sqs", "ListQueues")):
        with pytest.raises(NotBuilt):
            call(gate, service, name, principal=root_principal(ACCOUNT))


def test_a_call_passes_on_weather_and_bugs(gate: Gate) -> None:
    for error in (Unavailable("x"), AssertionError("x"), ResourceNotFoundException("x")):
        gate.stub.fail = error
        with pytest.raises(type(error)):
            call(gate, "dynamodb", "ListTables", principal=root_principal(ACCOUNT))
    codes = [entry.error_code for entry in gate.dispatcher.recent]
    assert codes == ["Unavailable", "RequestAborted", "ResourceNotFoundException"]
