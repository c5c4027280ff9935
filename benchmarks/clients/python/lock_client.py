"""python_dynamodb_lock: workers who take turns by a lock in a table. Argument: what it is called by."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import boto3
from python_dynamodb_lock.python_dynamodb_lock import DynamoDBLockClient, DynamoDBLockError

NAME = sys.argv[1]
WORKERS, TURNS = 4, 5
resource = boto3.resource("dynamodb")
# Their sums must be exact in binary: it makes decimals of them.
PERIODS = {
    "heartbeat_period": timedelta(milliseconds=250),
    "safe_period": timedelta(milliseconds=1_000),
    "lease_duration": timedelta(milliseconds=1_250),
}


def client(owner: str) -> DynamoDBLockClient:
    return DynamoDBLockClient(resource, table_name=NAME, owner_name=owner, **PERIODS)


def work(worker: str) -> None:
    """Read a number and write it back raised, under the lock and without a condition."""
    counted, mine = resource.Table(f"{NAME}-counted"), client(worker)
    for _ in range(TURNS):
        with mine.acquire_lock(
            "turn", retry_period=timedelta(milliseconds=50), retry_timeout=timedelta(seconds=60)
        ):
            row = counted.get_item(Key={"id": "n"}, ConsistentRead=True)["Item"]
            time.sleep(0.01)  # others have the time to come between
            counted.put_item(Item={"id": "n", "n": row["n"] + 1})
    mine.close()


def main() -> None:
    low = resource.meta.client
    DynamoDBLockClient.create_dynamodb_table(
        low, read_capacity=500, write_capacity=500, table_name=NAME
    )
    low.create_table(
        TableName=f"{NAME}-counted",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    counted = resource.Table(f"{NAME}-counted")
    counted.put_item(Item={"id": "n", "n": 0})
    workers = [
        subprocess.Popen([sys.executable, __file__, NAME, str(number)]) for number in range(WORKERS)
    ]
    assert [worker.wait(120) for worker in workers] == [0] * WORKERS
    assert counted.get_item(Key={"id": "n"})["Item"]["n"] == WORKERS * TURNS
    assert resource.Table(NAME).scan()["Count"] == 0

    # Whose owner beats is not taken; whose owner is gone is, once its lease is over.
    one, two = client("one"), client("two")
    held = one.acquire_lock("kept")
    try:
        two.acquire_lock("kept", retry_timeout=timedelta(milliseconds=1_800))
    except DynamoDBLockError as error:
        assert error.code == DynamoDBLockError.ACQUIRE_TIMEOUT, error
    else:
        raise AssertionError("two hold one lock")
    one.close()  # without releasing it
    taken = two.acquire_lock("kept", retry_timeout=timedelta(seconds=30))
    assert taken.owner_name == "two"
    assert held.record_version_number != taken.record_version_number
    two.release_lock(taken, best_effort=False)
    assert resource.Table(NAME).scan()["Count"] == 0
    two.close()


if len(sys.argv) > 2:
    work(sys.argv[2])
else:
    main()
