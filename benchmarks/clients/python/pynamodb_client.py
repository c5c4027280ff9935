"""PynamoDB: models with versions, indexes, transactions and times to live.

Argument: what its tables are called by.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    DynamicMapAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    NumberSetAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.indexes import (
    AllProjection,
    GlobalSecondaryIndex,
    KeysOnlyProjection,
    LocalSecondaryIndex,
)
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

HOST, REGION, NAME = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"], sys.argv[1]
THREADS, TURNS = 4, 10


class ByScore(GlobalSecondaryIndex["Thread"]):
    """The threads of a state in the order of their score."""

    class Meta:
        index_name = "by-score"
        projection = AllProjection()

    state = UnicodeAttribute(hash_key=True)
    score = NumberAttribute(range_key=True)


class ByTime(LocalSecondaryIndex["Thread"]):
    """The threads of a forum in the order of their time."""

    class Meta:
        index_name = "by-time"
        projection = KeysOnlyProjection()

    forum = UnicodeAttribute(hash_key=True)
    at = UTCDateTimeAttribute(range_key=True)


class Author(MapAttribute[str, object]):
    """Who wrote a thread."""

    name = UnicodeAttribute()
    age = NumberAttribute(null=True)


class Thread(Model):
    """A thread of a forum."""

    class Meta:
        table_name = NAME
        host = HOST
        region = REGION
        billing_mode = "PAY_PER_REQUEST"

    forum = UnicodeAttribute(hash_key=True)
    subject = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute(default="open")
    score = NumberAttribute(default=0)
    at = UTCDateTimeAttribute(default=lambda: datetime.now(UTC))
    body = BinaryAttribute(null=True, legacy_encoding=False)
    sticky = BooleanAttribute(default=False)
    author = Author(null=True)
    free = DynamicMapAttribute(default=dict)
    authors: ListAttribute[Author] = ListAttribute(of=Author, default=list)
    tags = UnicodeSetAttribute(null=True)
    marks = NumberSetAttribute(null=True)
    more = JSONAttribute(null=True)
    until = TTLAttribute(null=True)
    version = VersionAttribute()
    by_score = ByScore()
    by_time = ByTime()


class Animal(Model):
    """A table in which things of several classes lie."""

    class Meta:
        table_name = f"{NAME}-animals"
        host = HOST
        region = REGION
        read_capacity_units = 5
        write_capacity_units = 5

    kind = DiscriminatorAttribute()
    name = UnicodeAttribute(hash_key=True)


class Cat(Animal, discriminator="cat"):
    """An animal."""

    lives = NumberAttribute(default=9)


class Dog(Animal, discriminator="dog"):
    """Another."""

    tricks: ListAttribute[str] = ListAttribute(default=list)


def types() -> None:
    one = Thread(
        "ünïcode",
        "🦫",
        body=b"\x00\x01",
        author=Author(name="Ada", age=36),
        free={"a": 1, "b": {"c": "d"}},
        authors=[Author(name="B"), Author(name="C")],
        tags={"x", "y"},
        marks={1, 2.5},
        more={"deep": [1, None, True]},
    )
    one.save()
    back = Thread.get("ünïcode", "🦫", consistent_read=True)
    assert back.attribute_values.keys() == one.attribute_values.keys()
    assert (back.body, back.tags, back.marks) == (b"\x00\x01", {"x", "y"}, {1, 2.5})
    assert (back.author.name, back.author.age, back.free["b"]["c"]) == ("Ada", 36, "d")
    assert [each.name for each in back.authors] == ["B", "C"]
    assert back.more == {"deep": [1, None, True]}
    assert back.version == 1


def versions() -> None:
    """Two hands on one item: the second learns that it is behind."""
    first, second = Thread.get("ünïcode", "🦫"), Thread.get("ünïcode", "🦫")
    first.update(
        actions=[Thread.score.add(1), Thread.author.name.set("Eve"), Thread.tags.delete({"x"})]
    )
    assert (first.version, first.score, first.author.name, first.tags) == (2, 1, "Eve", {"y"})
    for stale, error in ((second.save, PutError), (second.delete, DeleteError)):
        try:
            stale()
        except error as refused:
            assert refused.cause_response_code == "ConditionalCheckFailedException"
        else:
            raise AssertionError(stale)
    first.refresh()
    first.delete()
    try:
        first.refresh()
    except DoesNotExist:
        return
    raise AssertionError("a deleted item is there")


def contend() -> None:
    """Several threads raise a number: whoever is behind reads again, so that no turn is lost."""
    Thread("contended", "one").save()
    behind: list[int] = []

    def work() -> None:
        for _ in range(TURNS):
            while True:
                mine = Thread.get("contended", "one", consistent_read=True)
                mine.score += 1
                try:
                    mine.save()
                except PutError as error:
                    assert error.cause_response_code == "ConditionalCheckFailedException"
                    behind.append(1)
                else:
                    break

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = Thread.get("contended", "one", consistent_read=True)
    assert (last.score, last.version) == (THREADS * TURNS, THREADS * TURNS + 1), last.score
    last.delete()


def many() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with Thread.batch_write(auto_commit=True) as batch:
        for number in range(110):
            state = "open" if number % 3 else "closed"
            batch.save(
                Thread(
                    "many", f"s{number:03}", score=number, state=state, at=at + timedelta(number)
                )
            )
    assert Thread.count("many") == 110
    assert Thread.count("many", Thread.subject.startswith("s10")) == 10
    rows = list(
        Thread.query("many", Thread.subject.between("s020", "s029"), scan_index_forward=False)
    )
    assert [row.subject for row in rows] == [f"s{number:03}" for number in range(29, 19, -1)]
    scores = [row.score for row in Thread.by_score.query("closed", Thread.score >= 50, page_size=5)]
    assert scores == [number for number in range(50, 110) if number % 3 == 0], scores
    earliest = list(
        Thread.by_time.query("many", ByTime.at < at + timedelta(3), consistent_read=True)
    )
    assert [row.subject for row in earliest] == ["s000", "s001", "s002"]
    pages = Thread.query("many", filter_condition=Thread.score > 100, limit=4, page_size=10)
    assert [row.score for row in pages] == [101, 102, 103, 104]
    rest = Thread.query("many", last_evaluated_key=pages.last_evaluated_key)
    assert next(iter(rest)).score == 105
    got = Thread.batch_get([("many", f"s{number:03}") for number in range(105)])
    assert len(list(got)) == 105
    assert (
        sum(1 for _ in Thread.scan(segment=0, total_segments=2))
        + sum(1 for _ in Thread.scan(segment=1, total_segments=2))
        == 110
    )
    limited = Thread.scan(
        Thread.tags.does_not_exist() & Thread.subject.contains("05"), rate_limit=500
    )
    assert len(list(limited)) == 12


def transactions() -> None:
    connection = Connection(region=REGION, host=HOST)
    first, second = Thread.get("many", "s000"), Thread.get("many", "s001")
    with TransactWrite(connection=connection, client_request_token=NAME) as parts:
        parts.update(first, actions=[Thread.score.add(-10)], condition=Thread.score >= 0)
        parts.update(second, actions=[Thread.score.add(10)])
        parts.save(Thread("many", "new"), condition=Thread.forum.does_not_exist())
        parts.condition_check(Thread, "many", "s002", condition=Thread.score == 2)
        parts.delete(Thread.get("many", "s003"))
    with TransactGet(connection=connection) as parts:
        found = [parts.get(Thread, "many", subject) for subject in ("s000", "s001", "new")]
    assert [each.get().score for each in found] == [-10, 11, 0]
    try:
        with TransactWrite(connection=connection) as parts:
            parts.update(Thread.get("many", "s004"), actions=[Thread.score.set(0)])
            parts.condition_check(Thread, "many", "s003", condition=Thread.forum.exists())
    except TransactWriteError as error:
        reasons = [each and each.code for each in error.cancellation_reasons]
        assert reasons == ["ConditionalCheckFailed", None], reasons  # checks go first
    else:
        raise AssertionError("done in part")
    assert Thread.get("many", "s004").score == 4


def conditions() -> None:
    one = Thread.get("many", "s005")
    one.update(actions=[Thread.authors.set([Author(name="A")]), Thread.more.set({"a": 1})])
    one.update(
        actions=[
            Thread.authors.set(Thread.authors.append([Author(name="B")])),
            Thread.more.remove(),
        ]
    )
    assert [each.name for each in one.authors] == ["A", "B"]
    one.update(actions=[Thread.authors[0].remove()], condition=Thread.authors[1].name == "B")
    try:
        one.update(actions=[Thread.score.set(1)], condition=Thread.authors[1].exists())
    except UpdateError as error:
        assert error.cause_response_code == "ConditionalCheckFailedException"
    else:
        raise AssertionError("updated against its condition")


def times_to_live() -> None:
    Thread("short", "one", until=timedelta(seconds=-5)).save()
    Thread("short", "two", until=timedelta(days=1)).save()
    until = time.monotonic() + 30
    while Thread.count("short") > 1:
        assert time.monotonic() < until, "an expired item stays"
        time.sleep(0.1)
    assert Thread.get("short", "two").until > datetime.now(UTC)


def classes() -> None:
    Animal.create_table(wait=True)
    Cat("Tom", lives=8).save()
    Dog("Rex", tricks=["sit"]).save()
    found = {each.name: each for each in Animal.scan()}
    assert isinstance(found["Tom"], Cat)
    assert isinstance(found["Rex"], Dog)
    assert (found["Tom"].lives, found["Rex"].tricks) == (8, ["sit"])
    assert [each.name for each in Cat.scan()] == ["Tom"]
    Animal.delete_table()


def main() -> None:
    Thread.create_table(wait=True)
    assert Thread.exists()
    assert Thread.describe_table()["TableStatus"] == "ACTIVE"
    types()
    versions()
    contend()
    many()
    transactions()
    conditions()
    times_to_live()
    classes()
    Thread.delete_table()


main()
