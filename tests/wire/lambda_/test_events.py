"""How events are treated: retries, age, and what destinations hear of them.

Words, records and their order as recorded by LocalStack's validated ``TestLambdaEventInvokeConfig`` and
``TestLambdaDestinationSqs``; what a bucket gets from the Developer Guide, "Capturing records of Lambda
asynchronous invocations".
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

INVALID = "InvalidParameterValueException"
GONE = "ResourceNotFoundException"
FAIL = "def handler(event, context):\n    print('ran')\n    raise ValueError('as told')"
ECHO = "def handler(event, context):\n    print('ran')\n    return {'back': event}"
HEAR = "import json\ndef handler(event, context): print('heard', json.dumps(event))"


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:lambda:us-east-1:{account}:function:f"


@pytest.fixture
def teller(make_role: Any) -> str:
    """Return a role that may tell functions and buckets."""
    return str(make_role("teller", "logs:*", "lambda:InvokeFunction", "s3:*"))


@pytest.fixture
def configure(functions: Any) -> Any:
    def configure(*, success: str = "", failure: str = "", **more: Any) -> Any:
        config = {"OnSuccess": success, "OnFailure": failure}
        told = {name: {"Destination": each} for name, each in config.items() if each}
        if told:
            more["DestinationConfig"] = told
        return functions.put_function_event_invoke_config(**{"FunctionName": "f", **more})

    return configure


@pytest.fixture
def heard(lines: Any) -> Any:
    """Return what tells the records that the function ``g`` has heard."""

    def heard() -> list[Any]:
        found = [line for line in lines("g") if line.startswith("heard")]
        return [json.loads(line.removeprefix("heard ")) for line in found]

    return heard


@pytest.fixture
def send(functions: Any, cloud: Any) -> Any:
    def send(event: Any = None, **more: Any) -> str:
        payload = json.dumps(event or {}).encode()
        reply = functions.invoke(
            **{"FunctionName": "f", "InvocationType": "Event", "Payload": payload, **more}
        )
        cloud.settle()
        return str(reply["ResponseMetadata"]["RequestId"])

    return send


def test_a_configuration_is_told_changed_listed_and_removed(
    create: Any, functions: Any, configure: Any, refusal: Any, arn: str
) -> None:
    create(ECHO, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    told = configure(MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60)
    expected: dict[str, Any] = {
        "FunctionArn": f"{arn}:$LATEST",
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
        "LastModified": told["LastModified"],
    }
    assert {key: told[key] for key in expected} == expected
    changed = functions.update_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0
    )
    assert (changed["MaximumRetryAttempts"], changed["MaximumEventAgeInSeconds"]) == (0, 60)
    assert "MaximumEventAgeInSeconds" not in configure(MaximumRetryAttempts=1)
    for qualifier in ("1", "live"):
        configure(Qualifier=qualifier, MaximumRetryAttempts=0)
    found = functions.get_function_event_invoke_config(FunctionName=f"{arn}:live")
    assert (found["FunctionArn"], found["MaximumRetryAttempts"]) == (f"{arn}:live", 0)
    listed = functions.list_function_event_invoke_configs(FunctionName="f")
    assert [each["FunctionArn"] for each in listed["FunctionEventInvokeConfigs"]] == [
        *(f"{arn}:$LATEST", f"{arn}:1", f"{arn}:live"),
    ]
    functions.delete_alias(FunctionName="f", Name="live")
    functions.delete_function_event_invoke_config(FunctionName="f")
    for qualifier in ("$LATEST", "live"):
        words = f"The function {arn}:{qualifier} doesn't have an EventInvokeConfig"
        named = {"FunctionName": "f", "Qualifier": qualifier}
        for call in ("get", "delete"):
            operation = getattr(functions, f"{call}_function_event_invoke_config")
            assert refusal(operation, **named) == (GONE, words)
    update = functions.update_function_event_invoke_config
    assert refusal(update, FunctionName="f", MaximumRetryAttempts=1)[0] == GONE


def test_what_cannot_be_configured_is_refused(
    create: Any, configure: Any, functions: Any, refusal: Any, arn: str, teller: str, account: str
) -> None:
    create(ECHO, Role=teller)
    assert refusal(configure) == (
        INVALID,
        "You must specify at least one of error handling or destination setting.",
    )
    for named in ({"FunctionName": "none"}, {"Qualifier": "none"}):
        assert refusal(configure, MaximumRetryAttempts=1, **named) == (
            GONE,
            "The function doesn't exist.",
        )
    assert refusal(configure, failure=f"{arn}:$LATEST") == (
        INVALID,
        "You can't specify the function as a destination for itself.",
    )
    config = "The provided destination config DestinationConfig"
    role = f"arn:aws:iam::{account}:role/teller"
    assert refusal(configure, success=role) == (
        INVALID,
        f"{config}(onSuccess=OnSuccess(destination={role}), onFailure=null) is invalid.",
    )
    assert refusal(configure, success="arn:aws:s3:::b")[1].startswith(config)
    for none in (
        f"{arn}-none",
        f"arn:aws:sqs:us-east-1:{account}:q",
        f"arn:aws:sns:us-east-1:{account}:t",
        f"arn:aws:events:us-east-1:{account}:event-bus/default",
        "arn:aws:s3:::no-such-bucket",
    ):
        assert refusal(configure, failure=none) == (
            INVALID,
            f"The destination ARN {none} is invalid.",
        )


def test_a_role_that_may_not_tell_makes_no_destination(
    create: Any, configure: Any, refusal: Any, arn: str, make_role: Any
) -> None:
    create(ECHO, Role=make_role("mute"))
    create(HEAR, FunctionName="g")
    other = arn[:-1] + "g"
    assert refusal(configure, success=other) == (
        INVALID,
        (
            "The function's execution role does not have permissions to call InvokeFunction on "
            f"{other}"
        ),
    )


def test_a_function_hears_of_what_went_well_and_of_what_did_not(
    create: Any, configure: Any, send: Any, heard: Any, cloud: Any, arn: str, teller: str
) -> None:
    create(ECHO, Role=teller)
    create(HEAR, FunctionName="g")
    other = arn[:-1] + "g"
    configure(success=other, failure=other, MaximumRetryAttempts=1)
    well = send({"a": 1})
    (record,) = heard()
    assert re.fullmatch(r"2026-01-01T00:00:\d\d\.\d{3}Z", record.pop("timestamp"))
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": well,
            "functionArn": f"{arn}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"back": {"a": 1}},
    }
    cloud.client("lambda").update_function_code(FunctionName="f", ZipFile=_zipped(FAIL))
    badly = send({"b": 2})
    assert len(heard()) == 1
    cloud.advance(61_000)
    cloud.settle()
    record = heard()[1]
    assert record["requestContext"] == {
        "requestId": badly,
        "functionArn": f"{arn}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 2,
    }
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "as told"


def _zipped(source: str) -> bytes:
    import io  # noqa: PLC0415 (only this helper needs it)
    import zipfile  # noqa: PLC0415 (only this helper needs it)

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("app.py")
        info.external_attr = 0o644 << 16
        archive.writestr(info, source)
    return out.getvalue()


def test_a_bucket_keeps_what_was_given_up(
    create: Any, configure: Any, send: Any, cloud: Any, teller: str
) -> None:
    create(FAIL, Role=teller)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="letters")
    configure(failure="arn:aws:s3:::letters", MaximumRetryAttempts=0)
    large = {"x": "y" * 300_000}  # lies in pieces, as what is told of it
    request_id = send(large)
    (found,) = s3.list_objects_v2(Bucket="letters")["Contents"]
    assert re.fullmatch(
        r"aws/lambda/async/f/2026/01/01/2026-01-01T00\.00\.\d\d-[0-9a-f-]{36}", found["Key"]
    )
    record = json.loads(s3.get_object(Bucket="letters", Key=found["Key"])["Body"].read())
    assert record["requestPayload"] == large
    assert record["requestContext"]["requestId"] == request_id
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert not any(b"told" in key for key in cloud.engine.rows)


def test_an_event_that_would_be_tried_too_late_is_given_up_at_once(
    create: Any, configure: Any, send: Any, heard: Any, cloud: Any, arn: str, teller: str
) -> None:
    create(FAIL, Role=teller)
    create(HEAR, FunctionName="g")
    configure(failure=arn[:-1] + "g", MaximumEventAgeInSeconds=60)
    cloud.advance(10)
    send()
    cloud.advance(60_000)
    cloud.settle()
    (record,) = heard()
    context = record["requestContext"]
    # AWS gives up at once or after one retry, by how long the first run took (``test_maxeventage``).
    assert (context["condition"], context["approximateInvokeCount"]) in {
        *(("EventAgeExceeded", 1), ("EventAgeExceeded", 2)),
    }


def test_events_of_a_function_of_which_nothing_may_run_are_given_up_at_once(
    create: Any, configure: Any, send: Any, functions: Any, heard: Any, arn: str, teller: str
) -> None:
    create(ECHO, Role=teller)
    create(HEAR, FunctionName="g")
    configure(failure=arn[:-1] + "g")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    send({"a": 1})
    (record,) = heard()
    context = record["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == (
        *("ZeroReservedConcurrency", 0),
    )
    assert record["requestPayload"] == {"a": 1}
    assert "responseContext" not in record


def test_an_alias_has_a_configuration_of_its_own(
    create: Any, configure: Any, send: Any, functions: Any, cloud: Any, lines: Any
) -> None:
    create(FAIL, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    configure(Qualifier="live", MaximumRetryAttempts=0)
    send(Qualifier="live")
    cloud.advance(200_000)
    assert lines().count("ran\n") == 1
    send(Qualifier="1")
    cloud.advance(200_000)
    assert lines().count("ran\n") == 4


@pytest.mark.parametrize("cloud", [{"lambda.destination_attempts_max": 3}], indirect=True)
def test_a_destination_that_is_gone_is_tried_again_and_then_given_up(
    create: Any,
    configure: Any,
    send: Any,
    functions: Any,
    heard: Any,
    cloud: Any,
    arn: str,
    teller: str,
) -> None:
    create(ECHO, Role=teller)
    create(HEAR, FunctionName="g")
    configure(success=arn[:-1] + "g")
    functions.delete_function(FunctionName="g")
    send()
    create(HEAR, FunctionName="g")
    cloud.advance(2_000)
    cloud.settle()
    assert len(heard()) == 1
    functions.delete_function(FunctionName="g")
    send()
    cloud.advance(60_000)
    create(HEAR, FunctionName="g")
    cloud.advance(60_000)
    assert len(heard()) == 1


def test_dead_letters_have_nowhere_to_go_yet(
    create: Any, refusal: Any, functions: Any, account: str
) -> None:
    for service, action in (("sqs", "SendMessage on SQS"), ("sns", "Publish on SNS")):
        config = {"TargetArn": f"arn:aws:{service}:us-east-1:{account}:x"}
        assert refusal(create, DeadLetterConfig=config) == (
            INVALID,
            f"The provided execution role does not have permissions to call {action}",
        )
    create(DeadLetterConfig={"TargetArn": ""})
    functions.update_function_configuration(FunctionName="f", DeadLetterConfig={})


def test_the_old_way_to_send_an_event_works_still(
    create: Any, functions: Any, cloud: Any, lines: Any, refusal: Any
) -> None:
    create(ECHO)
    reply = functions.invoke_async(FunctionName="f", InvokeArgs=b"{}")
    assert (reply["Status"], reply["ResponseMetadata"]["HTTPStatusCode"]) == (202, 202)
    cloud.settle()
    assert "ran\n" in lines()
    assert refusal(functions.invoke_async, FunctionName="f", InvokeArgs=b"{")[0] == (
        "InvalidRequestContentException"
    )
