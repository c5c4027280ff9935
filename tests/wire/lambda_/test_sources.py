"""Event source mappings on streams of DynamoDB: what a function is invoked with, and in which order.

Source: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
Functions are not run here: what they are given is noted, and a test says what they answer.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.dynamodb.regions import EAST, SOUTH, WEST, begin, make, settle
from tests.wire.lambda_.conftest import READING

from fogbank.base.errors import Throttled
from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

SECOND_MS = 1_000
POLL_MS = 250


def test_a_function_is_invoked_with_the_records_of_a_stream(
    cloud: Cloud, function: Any, source: Any, put: Any, stream: str, told: Any
) -> None:
    uuid = source()
    put(1, blob={"B": b"\x00\xff"}, many={"L": [{"BS": [b"x"]}]})
    assert told(uuid)["LastProcessingResult"] == "No records processed"
    cloud.advance(SECOND_MS)
    put(2)
    put(2, a={"S": "x"})
    cloud.advance(SECOND_MS)
    assert function.batches == [["1"], ["2", "2"]]
    [record] = function.events[0]["Records"]
    assert record["eventSourceARN"] == stream
    assert record["eventName"] == "INSERT"
    image = record["dynamodb"]["NewImage"]
    assert (image["blob"], image["many"]) == ({"B": "AP8="}, {"L": [{"BS": ["eA=="]}]})
    assert record["dynamodb"]["ApproximateCreationDateTime"] * 1_000 == cloud.clock.now_ms() - 2_000
    assert told(uuid)["LastProcessingResult"] == "OK"
    assert told(uuid)["State"] == "Enabled"


def test_batches_have_a_size_and_wait_for_it_a_window_long(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    source(BatchSize=3, MaximumBatchingWindowInSeconds=10)
    put(*range(4))
    cloud.advance(SECOND_MS)
    assert function.batches == [["0", "1", "2"]]
    cloud.advance(8 * SECOND_MS)
    assert len(function.batches) == 1
    cloud.advance(2 * SECOND_MS)
    assert function.batches == [["0", "1", "2"], ["3"]]


def test_a_mapping_from_the_latest_record_on_sees_later_ones(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    put(1)
    source(StartingPosition="LATEST")
    put(2)
    cloud.advance(SECOND_MS)
    assert function.batches == [["2"]]


def test_a_late_start_from_the_latest_record_loses_none(
    cloud: Cloud, function: Any, source: Any, put: Any, functions: Any
) -> None:
    """The place that was the latest is good for 15 minutes; then the time of the mapping is."""
    put(1)
    cloud.advance(2 * SECOND_MS)
    uuid = source(StartingPosition="LATEST", Enabled=False)
    cloud.advance(SECOND_MS)
    put(2)
    cloud.advance(16 * 60 * SECOND_MS)
    assert function.batches == []
    functions.update_event_source_mapping(UUID=uuid, Enabled=True)
    cloud.advance(SECOND_MS)
    assert function.batches == [["2"]]


def test_a_lane_at_rest_waits_for_a_commit_and_reads_on_where_it_was(
    cloud: Cloud, function: Any, source: Any, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source()
    cloud.client("dynamodb").create_table(
        TableName="other",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    asked: list[str] = []
    call = cloud.app.dispatcher.call

    async def noted(service: str, operation: str, *given: Any, **named: Any) -> Any:
        asked.append(operation)
        return await call(service, operation, *given, **named)

    monkeypatch.setattr(cloud.app.dispatcher, "call", noted)
    cloud.advance(20 * SECOND_MS)
    assert set(asked) == {"GetRecords"}
    assert len(asked) <= 2, "time alone hardly wakes it"
    put(1)
    cloud.advance(POLL_MS)
    assert function.batches == [["1"]], "a commit does, and what comes soon after it comes with it"
    cloud.advance(SECOND_MS)
    asked.clear()
    cloud.client("dynamodb").put_item(TableName="other", Item={"p": {"S": "x"}})
    cloud.advance(SECOND_MS)
    assert asked == [], "what another table is told is no news of this one"
    put(2)
    cloud.advance(POLL_MS)
    assert function.batches == [["1"], ["2"]]
    # Longer than an iterator is good for.
    monkeypatch.setattr(cloud.app.dispatcher, "call", call)
    cloud.advance(SECOND_MS)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.app.dispatcher, "call", _throttled)
        cloud.advance(16 * 60 * SECOND_MS)
    put(3)
    cloud.advance(2 * SECOND_MS)
    assert function.batches == [["1"], ["2"], ["3"]]


async def _throttled(*_: Any, **__: Any) -> Any:
    raise Throttled("not now")


def test_only_what_a_filter_wants_is_sent(
    cloud: Cloud, function: Any, source: Any, put: Any, functions: Any
) -> None:
    wanted = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["good"]}}}}
    other = {"dynamodb": {"Keys": {"c": {"N": ["7"]}}}}
    filters = [{"Pattern": json.dumps(each)} for each in (wanted, other)]
    uuid = source(FilterCriteria={"Filters": filters})
    put(1, kind={"S": "good"})
    put(2, kind={"S": "bad"})
    put(1, kind={"S": "good"}, again={"BOOL": True})
    put(7)
    cloud.advance(SECOND_MS)
    assert function.batches == [["1", "7"]]
    shown = functions.get_event_source_mapping(UUID=uuid)["FilterCriteria"]
    assert shown == {"Filters": filters}
    functions.update_event_source_mapping(UUID=uuid, FilterCriteria={})
    put(8)
    cloud.advance(SECOND_MS)
    assert function.batches == [["1", "7"], ["8"]]


def test_tumbling_windows_carry_state_to_their_end(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    """Developer Guide, "Implementing stateful DynamoDB stream processing in Lambda"."""

    def answer(event: Any) -> Any:
        return {"state": {"sum": event["state"].get("sum", 0) + len(event["Records"])}}

    function.answer = answer
    source(TumblingWindowInSeconds=10)
    put(1, 2)
    cloud.advance(SECOND_MS)
    put(3)
    cloud.advance(10 * SECOND_MS)
    put(4)
    cloud.advance(10 * SECOND_MS)
    seen = [
        (len(event["Records"]), event["state"], event["isFinalInvokeForWindow"])
        for event in function.events
    ]
    assert seen == [
        (2, {}, False),
        (1, {"sum": 2}, False),
        (0, {"sum": 3}, True),
        (1, {}, False),
        (0, {"sum": 1}, True),
    ]
    windows = [event["window"] for event in function.events]
    assert windows[0] == {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z"}
    assert windows[3]["start"] == windows[0]["end"]
    assert not any(event["isWindowTerminatedEarly"] for event in function.events)


def test_records_of_two_windows_come_apart_though_they_are_read_together(
    cloud: Cloud, function: Any, source: Any, put: Any, functions: Any
) -> None:
    uuid = source(TumblingWindowInSeconds=10, Enabled=False)
    put(1)
    cloud.advance(25 * SECOND_MS)
    put(2)
    functions.update_event_source_mapping(UUID=uuid, Enabled=True)
    cloud.advance(SECOND_MS)
    seen = [(len(each["Records"]), each["isFinalInvokeForWindow"]) for each in function.events]
    assert seen == [(1, False), (0, True), (1, False)]
    assert function.events[2]["window"]["start"] == "2026-01-01T00:00:20Z"


def test_a_window_whose_state_is_too_large_ends_early(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    sizes = [600_000, 2_000_000, 1]

    def answer(event: Any) -> Any:
        return {"state": "x" * sizes.pop(0)}

    function.answer = answer
    source(TumblingWindowInSeconds=900)
    put(1)
    cloud.advance(SECOND_MS)
    put(2)
    cloud.advance(SECOND_MS)
    final = function.events[-1]
    assert [len(event["Records"]) for event in function.events] == [1, 1, 0]
    assert (final["isFinalInvokeForWindow"], final["isWindowTerminatedEarly"]) == (True, True)
    assert final["state"] == "x" * 600_000


ROLL_MS = 20 * SECOND_MS
quick = pytest.mark.parametrize("cloud", [{"dynamodb.stream_shard_ms": ROLL_MS}], indirect=True)


@quick
def test_children_are_read_after_their_parents(
    cloud: Cloud, function: Any, source: Any, put: Any
) -> None:
    put(1)
    cloud.advance(ROLL_MS)
    put(2)
    cloud.advance(ROLL_MS)
    put(3)
    fails = [True]

    def answer(event: Any) -> None:
        if fails:
            raise RuntimeError("no")

    function.answer = answer
    source()
    cloud.advance(5 * SECOND_MS)
    assert {tuple(batch) for batch in function.batches} == {("1",)}
    fails.clear()
    function.events.clear()
    cloud.advance(ROLL_MS)
    put(4)
    cloud.advance(5 * SECOND_MS)
    assert function.batches == [["1"], ["2"], ["3"], ["4"]]


@quick
def test_lanes_keep_the_order_of_keys_and_all_of_them_go_on_to_the_children(
    cloud: Cloud, dynamodb: Any, function: Any, source: Any, functions: Any
) -> None:
    uuid = source(ParallelizationFactor=4, BatchSize=5)
    written: dict[str, list[str]] = {}
    for number in range(60):
        key = f"k{number % 7}"
        item = {"p": {"S": key}, "c": {"N": "0"}, "n": {"N": str(number)}}
        dynamodb.put_item(TableName="tab", Item=item)
        written.setdefault(key, []).append(str(number))
        if number == 20:
            cloud.advance(ROLL_MS)
        if number == 40:
            functions.update_event_source_mapping(UUID=uuid, ParallelizationFactor=2)
            cloud.advance(ROLL_MS)
    cloud.advance(5 * SECOND_MS)
    found: dict[str, list[str]] = {}
    for event in function.events:
        for record in event["Records"]:
            image = record["dynamodb"]["NewImage"]
            found.setdefault(image["p"]["S"], []).append(image["n"]["N"])
    assert {key: list(dict.fromkeys(numbers)) for key, numbers in found.items()} == written
    first = [number for numbers in found.values() for number in numbers if int(number) <= 20]
    assert sorted(map(int, first)) == list(range(21)), "each lane has keys of its own"
    lanes = [
        {each["dynamodb"]["Keys"]["p"]["S"] for each in event["Records"]}
        for event in function.events
    ]
    assert len({frozenset(lane) for lane in lanes}) > 1


def test_a_function_reads_the_stream_of_a_replica_in_its_region_and_hears_of_it(
    cloud: Cloud, function: Any, functions: Any, create: Any, make_role: Any
) -> None:
    """The records lie where the items of a strongly consistent table do: in another region."""
    at = {region: cloud.client("dynamodb", region=region) for region in (WEST, EAST)}
    make(at[WEST])
    begin(at[WEST], EAST, SOUTH)
    settle(cloud)
    given = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    told = at[EAST].update_table(TableName="tab", StreamSpecification=given)
    create(Role=make_role("reader", *READING))
    stream = told["TableDescription"]["LatestStreamArn"]
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=stream, StartingPosition="TRIM_HORIZON"
    )
    cloud.advance(60 * SECOND_MS)
    for number, client in enumerate(at.values()):
        client.put_item(TableName="tab", Item={"p": {"S": "a"}, "c": {"N": str(number)}})
        cloud.advance(POLL_MS)
    assert function.batches == [["0"], ["1"]]
    [record] = function.events[0]["Records"]
    assert (record["awsRegion"], record["eventSourceARN"]) == (EAST, stream)
