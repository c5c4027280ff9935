"""Shards, iterators and age: Developer Guide, "Change data capture for DynamoDB Streams"."""

from __future__ import annotations

from typing import Any

import pytest

HOUR_MS = 3_600
ROLL_MS = 4 * HOUR_MS
DAY_MS = 24 * HOUR_MS
QUICK = {"dynamodb.stream_retention_ms": DAY_MS, "dynamodb.stream_shard_ms": ROLL_MS}
"""A thousand times as fast: so much less else happens in a day."""
quick = pytest.mark.parametrize("cloud", [QUICK], indirect=True)


def numbers_of(page: Any) -> list[str]:
    return [each["dynamodb"]["Keys"]["c"]["N"] for each in page["Records"]]


@quick
def test_a_shard_rolls_over_into_its_child_and_is_read_to_its_end(
    cloud: Any, streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any
) -> None:
    arn = make_table()
    put(c=1)
    [parent] = shards(arn)
    assert "EndingSequenceNumber" not in parent["SequenceNumberRange"]
    assert "ParentShardId" not in parent
    place = iterator(arn, parent)
    assert "NextShardIterator" in streams.get_records(ShardIterator=place)
    cloud.advance(ROLL_MS)
    put(c=2)
    closed, child = shards(arn)
    assert closed["ShardId"] == parent["ShardId"] < child["ShardId"]
    assert child["ParentShardId"] == parent["ShardId"]
    end = int(closed["SequenceNumberRange"]["EndingSequenceNumber"])
    assert end < int(child["SequenceNumberRange"]["StartingSequenceNumber"])
    page = streams.get_records(ShardIterator=iterator(arn, closed))
    assert (numbers_of(page), "NextShardIterator" in page) == (["1"], False)
    page = streams.get_records(ShardIterator=iterator(arn, child))
    assert (numbers_of(page), "NextShardIterator" in page) == (["2"], True)
    page = streams.get_records(ShardIterator=iterator(arn, closed, "LATEST"))
    assert (numbers_of(page), "NextShardIterator" in page) == ([], False)


@quick
def test_children_are_shown_alone(
    cloud: Any, streams: Any, make_table: Any, shards: Any, refusal: Any
) -> None:
    arn = make_table()
    for _ in range(3):
        cloud.advance(ROLL_MS)
    first, second, third, fourth = [each["ShardId"] for each in shards(arn)]

    def children(parent: str) -> list[str]:
        wanted = {"Type": "CHILD_SHARDS", "ShardId": parent}
        found = streams.describe_stream(StreamArn=arn, ShardFilter=wanted)["StreamDescription"]
        return [each["ShardId"] for each in found["Shards"]]

    assert [children(each) for each in (first, second, third, fourth)] == [
        [second],
        [third],
        [fourth],
        [],
    ]
    for half in ({"Type": "CHILD_SHARDS"}, {"ShardId": first}):
        code, _ = refusal(streams.describe_stream, StreamArn=arn, ShardFilter=half)
        assert code == "ValidationException"
    page = streams.describe_stream(StreamArn=arn, Limit=2)["StreamDescription"]
    assert page["LastEvaluatedShardId"] == second
    rest = streams.describe_stream(StreamArn=arn, ExclusiveStartShardId=second)
    assert [each["ShardId"] for each in rest["StreamDescription"]["Shards"]] == [third, fourth]
    assert "LastEvaluatedShardId" not in rest["StreamDescription"]


def test_iterators_begin_where_they_are_asked_to(
    cloud: Any, streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any
) -> None:
    arn = make_table()
    [shard] = shards(arn)
    latest = iterator(arn, shard, "LATEST")
    for number in range(4):
        cloud.advance(1_000)
        put(c=number)
    records = streams.get_records(ShardIterator=iterator(arn, shard))["Records"]
    third = records[2]["dynamodb"]

    def seen(kind: str, **others: Any) -> list[str]:
        return numbers_of(streams.get_records(ShardIterator=iterator(arn, shard, kind, **others)))

    assert numbers_of(streams.get_records(ShardIterator=latest)) == ["0", "1", "2", "3"]
    assert seen("LATEST") == []
    assert seen("AT_SEQUENCE_NUMBER", SequenceNumber=third["SequenceNumber"]) == ["2", "3"]
    assert seen("AFTER_SEQUENCE_NUMBER", SequenceNumber=third["SequenceNumber"]) == ["3"]
    start = shard["SequenceNumberRange"]["StartingSequenceNumber"]
    assert seen("AT_SEQUENCE_NUMBER", SequenceNumber=start) == ["0", "1", "2", "3"]
    when = third["ApproximateCreationDateTime"]
    assert seen("AT_TIMESTAMP", Timestamp=when) == ["2", "3"]


def test_a_timestamp_is_looked_for_over_pages(
    cloud: Any, streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any
) -> None:
    arn = make_table()
    [shard] = shards(arn)
    for number in range(5):
        put(c=number)
    cloud.advance(2_000)
    put(c=5)
    records = streams.get_records(ShardIterator=iterator(arn, shard))["Records"]
    when = records[5]["dynamodb"]["ApproximateCreationDateTime"]
    place, found = iterator(arn, shard, "AT_TIMESTAMP", Timestamp=when), []
    for _ in range(3):
        page = streams.get_records(ShardIterator=place, Limit=3)
        found.append(numbers_of(page))
        place = page["NextShardIterator"]
    assert found == [[], ["5"], []]


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("LATEST", {"SequenceNumber": "1" * 30}),
        ("TRIM_HORIZON", {"SequenceNumber": "1" * 30}),
        ("AT_SEQUENCE_NUMBER", {}),
        ("AFTER_SEQUENCE_NUMBER", {}),
        ("AT_SEQUENCE_NUMBER", {"SequenceNumber": "x" * 30}),
        ("AT_SEQUENCE_NUMBER", {"SequenceNumber": "1" + "0" * 29}),
        ("AT_TIMESTAMP", {}),
        ("LATEST", {"Timestamp": 1}),
        ("AT_TIMESTAMP", {"Timestamp": 99_999_999_999}),
    ],
)
def test_what_does_not_go_with_the_type_of_an_iterator_is_refused(
    streams: Any, make_table: Any, shards: Any, refusal: Any, kind: str, others: Any
) -> None:
    arn = make_table()
    asked = {"StreamArn": arn, "ShardId": shards(arn)[0]["ShardId"], "ShardIteratorType": kind}
    code, _ = refusal(streams.get_shard_iterator, **asked, **others)
    assert code == "ValidationException"


def test_shards_and_streams_that_do_not_stand_are_not_found(
    streams: Any, make_table: Any, shards: Any, refusal: Any
) -> None:
    arn = make_table()
    [shard] = shards(arn)
    asked = {"ShardIteratorType": "LATEST"}
    for name, shard_id in (
        (arn, "x" * 30),
        (arn, shard["ShardId"][:-1] + "x"),
        (arn, shard["ShardId"][:-4] + "9999"),
        (arn.replace("/tab/", "/other/"), shard["ShardId"]),
        (arn.replace("us-east-1", "eu-west-1"), shard["ShardId"]),
    ):
        code, _ = refusal(streams.get_shard_iterator, StreamArn=name, ShardId=shard_id, **asked)
        assert code == "ResourceNotFoundException", (name, shard_id)
    for name in ("x" * 40, arn.replace("T", "t"), arn.rpartition(":")[0] + ":99.000"):
        code, message = refusal(streams.describe_stream, StreamArn=name)
        assert (code, message) == ("ValidationException", "Invalid StreamArn")


def test_an_iterator_is_good_for_15_minutes(
    cloud: Any, streams: Any, make_table: Any, shards: Any, iterator: Any, refusal: Any
) -> None:
    arn = make_table()
    place = iterator(arn, shards(arn)[0])
    cloud.advance(15 * 60_000)
    following = streams.get_records(ShardIterator=place)["NextShardIterator"]
    cloud.advance(1)
    code, _ = refusal(streams.get_records, ShardIterator=place)
    assert code == "ExpiredIteratorException"
    streams.get_records(ShardIterator=following)


def test_nobody_makes_an_iterator_up_or_takes_anothers(
    cloud: Any, streams: Any, make_table: Any, shards: Any, iterator: Any, refusal: Any
) -> None:
    arn, other = make_table(), make_table("other")
    place = iterator(arn, shards(arn)[0])
    assert place.startswith(f"{arn}|1|")
    head, _, sealed = place.rpartition("|")
    forged = [
        "x" * 50,
        f"{head}|{sealed[:-2]}AA",
        f"{other}|1|{sealed}",
        f"{head}|0.0.0.0.0",
        sealed,
    ]
    stranger = cloud.create_account("stranger")
    for each in forged:
        code, message = refusal(streams.get_records, ShardIterator=each)
        assert (code, message) == ("ValidationException", "Invalid ShardIterator")
    theirs = cloud.client("dynamodbstreams", credential=stranger)
    code, _ = refusal(theirs.get_records, ShardIterator=place)
    assert code == "AccessDeniedException"


@quick
def test_records_are_trimmed_after_a_day_and_whoever_missed_them_hears_it(
    cloud: Any, streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any, refusal: Any
) -> None:
    arn = make_table()
    [first] = shards(arn)
    put(c=1)
    [record] = streams.get_records(ShardIterator=iterator(arn, first))["Records"]
    number = record["dynamodb"]["SequenceNumber"]
    cloud.advance(HOUR_MS)
    put(c=2)
    cloud.advance(DAY_MS - HOUR_MS)
    assert first["ShardId"] in [each["ShardId"] for each in shards(arn)]
    assert numbers_of(streams.get_records(ShardIterator=iterator(arn, first))) == ["2"]
    start = first["SequenceNumberRange"]["StartingSequenceNumber"]
    for kind, given in (("AT_SEQUENCE_NUMBER", number), ("AFTER_SEQUENCE_NUMBER", start)):
        code, _ = refusal(iterator, arn=arn, shard=first, kind=kind, SequenceNumber=given)
        assert code == "TrimmedDataAccessException"
    assert numbers_of(
        streams.get_records(
            ShardIterator=iterator(arn, first, "AFTER_SEQUENCE_NUMBER", SequenceNumber=number)
        )
    ) == ["2"]
    cloud.advance(DAY_MS)
    left = shards(arn)
    assert first["ShardId"] not in [each["ShardId"] for each in left]
    assert len(left) <= DAY_MS // ROLL_MS + 1
    code, _ = refusal(iterator, arn=arn, shard=first)
    assert code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "cloud",
    [{"dynamodb.stream_retention_ms": 120_000, "dynamodb.stream_shard_ms": 60_000}],
    indirect=True,
)
def test_an_iterator_whose_next_record_is_trimmed_says_so(
    cloud: Any, streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any, refusal: Any
) -> None:
    arn = make_table()
    [shard] = shards(arn)
    put(c=1)
    put(c=2)
    page = streams.get_records(ShardIterator=iterator(arn, shard), Limit=1)
    horizon = iterator(arn, shard)
    cloud.advance(121_000)
    code, _ = refusal(streams.get_records, ShardIterator=page["NextShardIterator"])
    assert code == "TrimmedDataAccessException"
    assert numbers_of(streams.get_records(ShardIterator=horizon)) == []
    cloud.advance(120_000)
    code, _ = refusal(streams.get_records, ShardIterator=horizon)
    assert code == "TrimmedDataAccessException"


@pytest.mark.parametrize("cloud", [{"dynamodb.stream_shard_ms": 60_000}], indirect=True)
def test_how_long_a_shard_is_open_is_a_setting(cloud: Any, make_table: Any, shards: Any) -> None:
    arn = make_table()
    cloud.advance(59_999)
    assert len(shards(arn)) == 1
    cloud.advance(1)
    assert len(shards(arn)) == 2
