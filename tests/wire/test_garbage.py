"""What a call leaves behind goes with it: a cycle would stay until a collection, which holds the loop.

Collections of a server run when it rests or has grown (``server/garbage``), so whatever each call
leaves for them is memory until then, and a pause of a second for everybody after 100,000 calls.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fogbank.contract.call import Call
from fogbank.gateway.visit import Visit
from fogbank.testing.cloud import Cloud

TIMES = 3


@contextmanager
def kept_garbage() -> Iterator[list[Any]]:
    """Keep what only a collection finds, from now on."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def left_by(cloud: Cloud, work: Callable[[], object]) -> list[str]:
    """Return the calls that some work leaves as cyclic garbage."""
    work()  # what is made once is made
    with kept_garbage() as garbage:
        for _ in range(TIMES):
            work()
        cloud.run(_nothing())  # the last call of its loop has been let go of
        gc.collect()
        return [type(each).__name__ for each in garbage if type(each) in (Call, Visit)]


def make_table(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


async def _nothing() -> None:
    pass


def test_calls_leave_no_cycles(cloud: Cloud, client: Any) -> None:
    dynamodb, s3 = client("dynamodb"), client("s3")
    make_table(dynamodb)
    s3.create_bucket(Bucket="bucket")
    item = {"k": {"S": "a"}, "v": {"N": "1"}}
    works: dict[str, Callable[[], object]] = {
        "PutItem": lambda: dynamodb.put_item(TableName="table", Item=item),
        "GetItem": lambda: dynamodb.get_item(TableName="table", Key={"k": {"S": "a"}}),
        "UpdateItem": lambda: dynamodb.update_item(
            TableName="table",
            Key={"k": {"S": "a"}},
            UpdateExpression="ADD v :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        ),
        "Query": lambda: dynamodb.query(
            TableName="table",
            KeyConditionExpression="k = :k",
            ExpressionAttributeValues={":k": {"S": "a"}},
        ),
        "PutObject": lambda: s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 1_000),
        "GetObject": lambda: s3.get_object(Bucket="bucket", Key="k")["Body"].read(),
        "ListObjectsV2": lambda: s3.list_objects_v2(Bucket="bucket"),
        "GetCallerIdentity": lambda: client("sts").get_caller_identity(),
    }
    left = {name: left_by(cloud, work) for name, work in works.items()}
    assert left == {name: [] for name in works}


def test_calls_that_fail_leave_no_cycles(
    cloud: Cloud, client: Any, limited: Any, refusal: Callable[..., Any]
) -> None:
    nobody, dynamodb = limited(api="dynamodb"), client("dynamodb")
    make_table(dynamodb)

    def denied() -> None:
        refusal(nobody.get_item, TableName="table", Key={"k": {"S": "a"}})

    def absent() -> None:
        refusal(dynamodb.get_item, TableName="absent", Key={"k": {"S": "a"}})

    def unmet() -> None:
        item, condition = {"k": {"S": "a"}}, "attribute_exists(v)"
        refusal(dynamodb.put_item, TableName="table", Item=item, ConditionExpression=condition)

    works = {"denied": denied, "absent": absent, "unmet": unmet}
    left = {name: left_by(cloud, work) for name, work in works.items()}
    assert left == {name: [] for name in works}
