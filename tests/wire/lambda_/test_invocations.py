from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

COUNT = """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print("call", calls)
    if event.get("fail"):
        raise ValueError("as told")
    return calls
"""


def test_an_invocation_returns_what_the_handler_returns(
    create: Any, functions: Any, invoke: Any, account: str
) -> None:
    create(Environment={"Variables": {"COLOUR": "grey"}})
    reply = invoke({"a": [1, "é"]})
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in reply
    answer = reply["Payload"]
    assert answer["event"] == {"a": [1, "é"]}
    assert answer["id"] == reply["ResponseMetadata"]["RequestId"]
    variables = answer["variables"]
    assert variables["COLOUR"] == "grey"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert variables["AWS_LAMBDA_LOG_STREAM_NAME"].startswith("2026/01/01/[$LATEST]")
    assert invoke()["Payload"]["event"] == {}
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    assert invoke({}, FunctionName=arn)["StatusCode"] == 200
    assert invoke({}, Qualifier="$LATEST")["StatusCode"] == 200


def test_the_context_says_what_aws_says(create: Any, invoke: Any, account: str) -> None:
    create(
        "def handler(event, c): return [c.function_name, c.function_version, c.memory_limit_in_mb,"
        " c.invoked_function_arn, c.log_group_name, c.client_context,"
        " c.get_remaining_time_in_millis()]"
    )
    context = base64.b64encode(json.dumps({"custom": {"foo": "bar"}}).encode()).decode()
    answer = invoke({}, ClientContext=context, Qualifier="$LATEST")["Payload"]
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f:$LATEST"
    expected = ["f", "$LATEST", "128", arn, "/aws/lambda/f", {"custom": {"foo": "bar"}}, 3_000]
    assert answer == expected


@pytest.mark.slow
def test_an_environment_is_kept_warm(create: Any, invoke: Any, cloud: Any) -> None:
    create(COUNT)
    assert [invoke({})["Payload"] for _ in range(3)] == [1, 2, 3]
    cloud.advance(300_000)
    assert invoke({})["Payload"] == 1


def test_a_handler_that_raises_is_a_function_error(create: Any, invoke: Any, lines: Any) -> None:
    create(COUNT)
    reply = invoke({"fail": True})
    assert (reply["StatusCode"], reply["FunctionError"]) == (200, "Unhandled")
    answer = reply["Payload"]
    assert answer["errorMessage"] == "as told"
    assert answer["errorType"] == "ValueError"
    assert answer["requestId"] == reply["ResponseMetadata"]["RequestId"]
    assert "app.py" in answer["stackTrace"][0]
    assert "[ERROR] ValueError: as told\n" in lines()


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"Handler": "none.handler"}, "Runtime.ImportModuleError", "Unable to import module"),
        ({"Handler": "app.none"}, "Runtime.HandlerNotFound", "Handler 'none' missing on module"),
        ({"Handler": "nodots"}, "Runtime.MalformedHandlerName", "Bad handler 'nodots'"),
    ],
)
def test_a_function_that_cannot_start_says_why(
    create: Any, invoke: Any, lines: Any, changes: Any, kind: str, words: str
) -> None:
    create(**changes)
    reply = invoke({})
    assert reply["FunctionError"] == "Unhandled"
    assert reply["Payload"]["errorType"] == kind
    assert words in reply["Payload"]["errorMessage"]
    assert any(line.startswith("INIT_REPORT") and kind in line for line in lines())


def test_the_tail_of_the_log_comes_with_the_answer(create: Any, invoke: Any) -> None:
    create()
    reply = invoke({"a": 1}, LogType="Tail")
    tail = base64.b64decode(reply["LogResult"]).decode().splitlines()
    request_id = reply["ResponseMetadata"]["RequestId"]
    assert tail[:3] == [
        f"START RequestId: {request_id} Version: $LATEST",
        "event {'a': 1}",
        f"END RequestId: {request_id}",
    ]
    assert re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t",
        tail[3],
    )
    assert "LogResult" not in invoke({})


def test_the_log_is_durable_within_200_ms(
    create: Any, invoke: Any, lines: Any, logs: Any, cloud: Any
) -> None:
    create()
    invoke({"a": 1})
    invoke({"a": 2})
    cloud.advance(200)
    written = lines()
    assert [line.split()[0] for line in written] == [
        "INIT_START",
        *["START", "event", "END", "REPORT"] * 2,
    ]
    (stream,) = logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]
    assert re.fullmatch(r"2026/01/01/\[\$LATEST\][0-9a-f]{32}", stream["logStreamName"])


def test_a_role_without_permission_to_write_logs_leaves_none(
    create: Any, invoke: Any, make_role: Any, logs: Any, cloud: Any
) -> None:
    create(Role=make_role("mute"))
    assert invoke({"a": 1})["Payload"]["event"] == {"a": 1}
    cloud.advance(1_000)
    assert logs.describe_log_groups()["logGroups"] == []


def test_the_group_of_the_logging_configuration_is_used(
    create: Any, invoke: Any, logs: Any, cloud: Any
) -> None:
    create(LoggingConfig={"LogGroup": "/shared"})
    invoke({})
    cloud.advance(200)
    assert len(logs.filter_log_events(logGroupName="/shared")["events"]) == 5


def test_a_dry_run_checks_and_does_nothing(create: Any, invoke: Any, cloud: Any) -> None:
    create(COUNT)
    assert invoke({}, InvocationType="DryRun")["StatusCode"] == 204
    assert cloud.app.parts.functions.inline.started == []


def test_an_event_runs_in_the_background(create: Any, invoke: Any, lines: Any, cloud: Any) -> None:
    create()
    reply = invoke({"a": 1}, InvocationType="Event")
    assert (reply["StatusCode"], reply["Payload"]) == (202, None)
    cloud.settle()
    request_id = reply["ResponseMetadata"]["RequestId"]
    assert lines()[1:3] == [f"START RequestId: {request_id} Version: $LATEST\n", "event {'a': 1}\n"]


def test_a_large_event_goes_through_whole_and_leaves_nothing(
    create: Any, invoke: Any, lines: Any, cloud: Any
) -> None:
    create("def handler(event, context): print(len(event['x']))")
    rows = len(cloud.engine.rows)
    invoke({"x": "y" * 900_000}, InvocationType="Event")
    assert len(cloud.engine.rows) > rows
    cloud.settle()
    assert "900000\n" in lines()
    from fogbank.services.lambda_.schema import PIECES  # noqa: PLC0415 (only this test needs it)

    assert not any(PIECES.subspace == key[13:15] for key in cloud.engine.rows)


@pytest.mark.slow
def test_a_failed_event_is_tried_again_after_one_and_two_minutes(
    create: Any, invoke: Any, lines: Any, cloud: Any
) -> None:
    create(COUNT)
    reply = invoke({"fail": True}, InvocationType="Event")
    request_id = reply["ResponseMetadata"]["RequestId"]
    cloud.settle()
    start = f"START RequestId: {request_id} Version: $LATEST\n"
    counts = []
    for wait_ms in (0, 59_000, 1_000, 118_000, 2_000, 600_000):
        cloud.advance(wait_ms)
        counts.append(lines().count(start))
    assert counts == [1, 1, 2, 2, 3, 3]


def test_an_event_for_a_deleted_function_is_dropped(
    create: Any, invoke: Any, functions: Any, cloud: Any
) -> None:
    create(COUNT)
    invoke({"fail": True}, InvocationType="Event")
    cloud.settle()
    functions.delete_function(FunctionName="f")
    cloud.advance(61_000)
    from fogbank.platform.store.keyspace import WORK  # noqa: PLC0415 (only this test needs it)

    assert not any(key[:2] == bytes((1, WORK)) for key in cloud.engine.rows)


def test_what_is_no_json_or_too_large_is_refused(create: Any, functions: Any, refusal: Any) -> None:
    create()
    code, message = refusal(functions.invoke, FunctionName="f", Payload=b"{nonsense")
    assert code == "InvalidRequestContentException"
    assert message.startswith("Could not parse request body into json: Could not parse payload")
    large = b'"' + b"x" * 6_291_456 + b'"'
    words = "6291458 byte payload is too large for the RequestResponse invocation type (limit "
    assert refusal(functions.invoke, FunctionName="f", Payload=large) == (
        "RequestTooLargeException",
        f"{words}6291456 bytes)",
    )
    larger = b'"' + b"x" * (1 << 20) + b'"'
    code, message = refusal(
        functions.invoke, FunctionName="f", Payload=larger, InvocationType="Event"
    )
    assert code == "RequestTooLargeException"
    assert "Event invocation type (limit 1048576 bytes)" in message


def test_an_answer_can_be_too_large(create: Any, invoke: Any) -> None:
    create("def handler(event, context): return 'x' * 6_291_555")
    reply = invoke({})
    assert reply["FunctionError"] == "Unhandled"
    assert reply["Payload"] == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


def test_a_function_that_is_not_there_is_named_with_its_version(
    functions: Any, refusal: Any, account: str
) -> None:
    for kind in ("RequestResponse", "Event", "DryRun"):
        assert refusal(functions.invoke, FunctionName="none", InvocationType=kind) == (
            "ResourceNotFoundException",
            f"Function not found: arn:aws:lambda:us-east-1:{account}:function:none:$LATEST",
        )


def test_a_function_whose_role_is_gone_cannot_start(
    create: Any, functions: Any, cloud: Any, refusal: Any
) -> None:
    create()
    iam = cloud.client("iam")
    iam.delete_role_policy(RoleName="runner", PolicyName="p0")
    iam.delete_role(RoleName="runner")
    assert refusal(functions.invoke, FunctionName="f") == (
        "AccessDeniedException",
        "The role defined for the function cannot be assumed by Lambda.",
    )


def test_what_does_not_fit_is_throttled(
    create: Any, functions: Any, refusal: Any, cloud: Any
) -> None:
    create()
    pool = cloud.app.parts.functions._pool
    pool._busy[cloud.account.principal.account, "us-east-1"] = 1_000
    assert refusal(functions.invoke, FunctionName="f") == (
        "TooManyRequestsException",
        "Rate Exceeded.",
    )
    del pool._busy[cloud.account.principal.account, "us-east-1"]
    assert functions.invoke(FunctionName="f")["StatusCode"] == 200


def test_a_function_calls_the_cloud_as_its_role(
    create: Any, invoke: Any, make_role: Any, cloud: Any, account: str
) -> None:
    create(
        """
import boto3
def handler(event, context):
    arn = boto3.client("sts").get_caller_identity()["Arn"]
    try:
        boto3.client("s3").list_buckets()
    except Exception as error:
        return [arn, error.response["Error"]["Code"]]
""",
        FunctionName="caller",
        Timeout=60,  # the import of boto3 takes real time
    )
    answer = invoke({}, FunctionName="caller")["Payload"]
    assert answer == [f"arn:aws:sts::{account}:assumed-role/runner/caller", "AccessDenied"]


@pytest.mark.slow
def test_a_lost_code_tree_is_made_again_from_the_durable_package(
    create: Any, invoke: Any, functions: Any, tmp_path: Any, cloud: Any
) -> None:
    create(COUNT)
    assert invoke({})["Payload"] == 1
    for path in sorted((tmp_path / "code").rglob("*"), reverse=True):
        path.parent.chmod(0o755)
        path.unlink() if path.is_file() else path.rmdir()
    cloud.advance(300_000)
    assert invoke({})["Payload"] == 1


JSON = {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "DEBUG"}


def test_a_log_in_json_has_events_of_the_platform_by_their_levels(
    create: Any, functions: Any, invoke: Any, lines: Any
) -> None:
    made = create(LoggingConfig=JSON)
    assert made["LoggingConfig"] == {**JSON, "LogGroup": "/aws/lambda/f"}
    reply = invoke({"a": 1}, LogType="Tail")
    variables = reply["Payload"]["variables"]
    assert variables["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert variables["AWS_LAMBDA_LOG_LEVEL"] == "DEBUG"
    told = [json.loads(line) for line in lines() if line.startswith("{")]
    kinds = "initStart initRuntimeDone initReport start runtimeDone report"
    assert [each["type"] for each in told] == [f"platform.{kind}" for kind in kinds.split()]
    report = told[-1]["record"]
    assert report["requestId"] == reply["ResponseMetadata"]["RequestId"]
    assert report["metrics"]["memorySizeMB"] == 128
    assert report["metrics"]["initDurationMs"] >= 0
    assert b"platform.report" in base64.b64decode(reply["LogResult"])
    changed = functions.update_function_configuration(
        FunctionName="f", LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"}
    )
    assert changed["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"
    before = len(lines())
    invoke({"a": 2})
    assert [line.split()[0] for line in lines()[before:]] == ["event"]
    text = functions.update_function_configuration(
        FunctionName="f", LoggingConfig={"LogFormat": "Text"}
    )
    assert text["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    variables = invoke({})["Payload"]["variables"]
    assert "AWS_LAMBDA_LOG_FORMAT" not in variables


def test_levels_are_those_of_json_alone(create: Any, functions: Any) -> None:
    made = create(LoggingConfig={"LogFormat": "JSON"})
    assert made["LoggingConfig"]["ApplicationLogLevel"] == "INFO"
    assert made["LoggingConfig"]["SystemLogLevel"] == "INFO"
    with pytest.raises(functions.exceptions.InvalidParameterValueException, match="Log Level"):
        functions.update_function_configuration(
            FunctionName="f", LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "WARN"}
        )
