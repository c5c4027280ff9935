"""The metrics of functions, as they are kept when calls have gone through boto3.

Source: AWS Lambda Developer Guide, "Types of metrics for Lambda functions".
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from tests.wire.metering import sums_of

from fogbank.platform.metering.metrics import Series
from fogbank.platform.store.engine import Domain
from fogbank.server.costs import HOUR_MS, CostArguments, Costs
from fogbank.testing.cloud import Cloud
from fogbank.wire.http import HttpRequest

MIXED = "def handler(event, context):\n    if event: raise ValueError(event)\n    return 1"


@pytest.fixture
def sums(cloud: Cloud, account: str) -> Any:
    """Return what gives the sums of a function's metrics, over all time."""

    def read(*dimensions: tuple[str, str]) -> dict[str, float]:
        domain = Domain("lambda", account, "us-east-1")
        series = Series("AWS/Lambda", dimensions)
        return sums_of(cloud, domain, series)

    return read


def test_invocations_and_their_errors_are_kept_by_function_and_alias(
    create: Any, functions: Any, invoke: Any, sums: Any
) -> None:
    create(MIXED)
    functions.publish_version(FunctionName="f")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for event in (None, "no"):
        invoke(event, Qualifier="live")
    invoke()
    of_alias = (("FunctionName", "f"), ("Resource", "f:live"))
    assert [sums(("FunctionName", "f"))[name] for name in ("Invocations", "Errors")] == [3.0, 1.0]
    for place in (of_alias, (("ExecutedVersion", "1"), *of_alias)):
        assert [sums(*place)[name] for name in ("Invocations", "Errors")] == [2.0, 1.0]
    assert sums()["Invocations"] == 3.0


def test_events_are_told_from_their_arrival_to_their_end(
    create: Any, functions: Any, invoke: Any, cloud: Cloud, sums: Any
) -> None:
    create(MIXED)
    functions.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)
    for event in ("no", None):
        invoke(event, InvocationType="Event")
    cloud.advance(200_000)
    found = sums(("FunctionName", "f"))
    assert found["AsyncEventsReceived"] == 2.0
    assert found["AsyncEventsDropped"] == 1.0
    assert found["AsyncEventAge"] >= 60_000
    assert found["Invocations"] == 3.0
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError):
        invoke()
    assert sums(("FunctionName", "f"))["Throttles"] == 1.0


def test_deliveries_of_other_services_are_received_too(
    create: Any, cloud: Cloud, told_of_photos: Any, sums: Any
) -> None:
    arn = create(MIXED)["FunctionArn"]
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="photos")
    told_of_photos(arn)
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    cloud.settle()
    assert sums(("FunctionName", "f"))["AsyncEventsReceived"] == 1.0


def test_what_is_billed_is_told_to_operators_by_version(
    create: Any, functions: Any, invoke: Any, cloud: Cloud, account: str
) -> None:
    create(MIXED, MemorySize=256)
    functions.publish_version(FunctionName="f")
    for version in ("1", "1", "$LATEST"):
        invoke(Qualifier=version)
    app = cloud.app
    rows: list[Any] = []
    costs = Costs(app.trail_stores, app.identity, app.parts.placement, app.flush_all)

    async def send(row: Any) -> None:
        rows.append(row)

    from_ms = cloud.clock.now_ms() // HOUR_MS * HOUR_MS
    cloud.run(costs.usage(CostArguments(from_ms, from_ms + HOUR_MS), send))
    told = [(row["account"], row["function"], row["version"], row["requests"]) for row in rows]
    assert told == [(account, "f", "$LATEST", 1), (account, "f", "1", 2)]
    assert all(row["mb_ms"] == 256 * row["billed_ms"] > 0 for row in rows)


def test_requests_at_urls_are_kept_with_how_they_were_answered(
    create: Any, functions: Any, function: Any, cloud: Cloud, sums: Any
) -> None:
    """Source: Developer Guide, "Monitoring Lambda function URLs"."""
    create()
    url = functions.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    public = {"FunctionName": "f", "Principal": "*"}

    def answer(event: Any) -> Any:
        cloud.clock.advance_to(cloud.clock.now_ms() + 40)
        return {"statusCode": int(event["rawPath"][1:])}

    def visit(status: int) -> int:
        host = urlsplit(url).netloc
        reply, _ = cloud.handle(HttpRequest("GET", f"/{status}", "", {"host": host}, b""))
        return reply.status

    function.answer = answer
    assert visit(200) == 403, "nobody was let in yet"
    functions.add_permission(
        **public,
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        FunctionUrlAuthType="NONE",
    )
    functions.add_permission(
        **public, StatementId="run", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True
    )
    assert [visit(status) for status in (200, 302, 404, 500, 503)] == [200, 302, 404, 500, 503]
    found = sums(("FunctionName", "f"))
    names = ("UrlRequestCount", "Url4xxCount", "Url5xxCount", "UrlRequestLatency")
    assert [found[name] for name in names] == [6.0, 2.0, 2.0, 5 * 40.0]


def test_the_age_of_what_a_stream_had_is_kept(
    source: Any, function: Any, put: Any, cloud: Cloud, sums: Any
) -> None:
    """From the last record of a batch to the end of its run (Developer Guide, "Types of metrics")."""

    def answer(_event: Any) -> None:
        cloud.clock.advance_to(cloud.clock.now_ms() + 100)

    function.answer = answer
    source(MaximumBatchingWindowInSeconds=3)
    assert "IteratorAge" not in sums(("FunctionName", "f"))
    put(1, 2)
    cloud.advance(2_000)
    put(3)
    cloud.advance(5_000)
    [batch] = function.batches
    age_ms = sums(("FunctionName", "f"))["IteratorAge"]
    assert batch == ["1", "2", "3"]
    assert 1_000 < age_ms < 2_500, "of the last, which waited for the end of the window"


COUNTED = {"MetricsConfig": {"Metrics": ["EventCount"]}}


def test_what_becomes_of_the_records_of_a_mapping_is_counted_where_it_asks(
    source: Any, function: Any, functions: Any, put: Any, cloud: Cloud, sums: Any, told: Any
) -> None:
    """Source: Developer Guide, "Types of metrics for Lambda functions", of event source mappings."""
    kept = {"Filters": [{"Pattern": json.dumps({"dynamodb": {"Keys": {"c": {"N": ["1", "2"]}}}})}]}
    cloud.client("s3").create_bucket(Bucket="lost")
    lost = {"OnFailure": {"Destination": "arn:aws:s3:::lost"}}
    more = {"MaximumRetryAttempts": 1, "DestinationConfig": lost, "FilterCriteria": kept}
    uuid = source(**COUNTED, **more, MaximumBatchingWindowInSeconds=2)
    assert told(uuid)["MetricsConfig"] == COUNTED["MetricsConfig"]

    def counted() -> dict[str, float]:
        return sums(("EventSourceMappingUUID", uuid))

    put(1, 2, 3)
    cloud.advance(1_000)
    assert counted() == {}, "the batch is filling"
    cloud.advance(5_000)
    once = {"PolledEventCount": 3.0, "FilteredOutEventCount": 1.0, "InvokedEventCount": 2.0}
    assert counted() == once, "though the shard was read again and again"

    def fail(_event: Any) -> None:
        raise RuntimeError("no")

    function.answer = fail
    put(1, other={"S": "new"})
    cloud.advance(60_000)
    lasting = {"DroppedEventCount": 1.0, "OnFailureDestinationDeliveredEventCount": 1.0}
    assert counted() == {
        **lasting,
        "PolledEventCount": 4.0,
        "FilteredOutEventCount": 1.0,
        "InvokedEventCount": 4.0,
    }
    put(3, other={"S": "new"})
    cloud.advance(20_000)
    assert (counted()["PolledEventCount"], counted()["FilteredOutEventCount"]) == (5.0, 2.0)
    plain = functions.update_event_source_mapping(UUID=uuid, MetricsConfig={"Metrics": []})
    assert "MetricsConfig" not in plain
    put(3, other={"S": "newer"})
    cloud.advance(20_000)
    assert counted()["PolledEventCount"] == 5.0


def test_records_that_a_function_says_have_failed_are_counted(
    source: Any, function: Any, put: Any, cloud: Cloud, sums: Any, refusal: Any, functions: Any
) -> None:
    partial = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 0}
    uuid = source(**COUNTED, **partial)

    def second(event: Any) -> Any:
        numbers = [each["dynamodb"]["SequenceNumber"] for each in event["Records"]]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in numbers[1:]]}

    function.answer = second
    put(1, 2, 3)
    cloud.advance(10_000)
    found = sums(("EventSourceMappingUUID", uuid))
    assert (found["PolledEventCount"], found["FailedInvokeEventCount"]) == (3.0, 2.0)
    kafka = {"Metrics": ["KafkaMetrics"]}
    change = functions.update_event_source_mapping
    refused = refusal(change, UUID=uuid, MetricsConfig=kafka)
    assert refused[0] == "InvalidParameterValueException"
