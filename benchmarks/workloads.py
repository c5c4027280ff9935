"""What servers are asked in the comparison: fixed requests, prepared anew for each round.

A workload is written once and asked of every server in the same bytes, but for its signature.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import NamedTuple

from awscrt.checksums import crc32c
from botocore.exceptions import BotoCoreError, ClientError
from generator import BadAnswer, Request
from load import Target, ask, create_table, signed_head, signed_json

CLIENTS = (1, 16, 64)
SIZES = {"1k": 1 << 10, "64k": 1 << 16, "16m": 1 << 24}
KEYS = {"1k": 256, "64k": 64, "16m": 64}
"""How many objects of each size are written and read; no two clients write one at once."""
LISTED = 1_000
ITEMS = 512
BUCKET = "bench"
LISTING = "bench-listing"
TABLE = "bench"
SORTED = "bench-sorted"
PARTITIONS = 16
QUERIED = 100
"""Items of a partition, all of which a query returns."""
TOGETHER_ITEMS = 4
"""Of a transaction."""
SMALL_BYTES = 80
"""Of the value of an item of about a hundred bytes."""
LARGE_BYTES = 4_000
TOGETHER = 64
TOGETHER_BYTES = 1 << 20
"""Larger bodies are not copied behind each head."""


class Workload(NamedTuple):
    """One kind of request."""

    name: str
    service: str
    prepare: Callable[[Target], list[Request]]
    """Sign the requests of a round."""
    bytes_each: int = 0
    """Of the body that goes up or down."""


@cache
def content(size: str) -> bytes:
    """Return the body of objects of a size: the same in every run, and not to be compressed."""
    return random.Random(size).randbytes(SIZES[size])


@cache
def digest(body: bytes) -> str:
    """Return the SHA-256 that a signed body is named by."""
    return hashlib.sha256(body).hexdigest()


def s3(target: Target, method: str, path: str, body: bytes = b"") -> Request:
    """Return a signed request to S3, its body signed as SDKs do over plain HTTP."""
    headers = {"x-amz-content-sha256": digest(body)}
    head = signed_head(target, "s3", method, path, headers, body)
    return Request(head, body=body) if len(body) > TOGETHER_BYTES else Request(head + body)


def puts(size: str, bucket: str = BUCKET) -> Workload:
    """Write objects."""

    def prepare(target: Target) -> list[Request]:
        body = content(size)
        return [
            s3(target, "PUT", f"/{bucket}/{size}/{number}", body) for number in range(KEYS[size])
        ]

    return Workload(f"s3_put_{size}", "s3", prepare, SIZES[size])


def gets(size: str, bucket: str = BUCKET) -> Workload:
    """Read objects, and see that they are what was written."""

    def prepare(target: Target) -> list[Request]:
        body = content(size)
        check = crc32c(body)
        return [
            s3(target, "GET", f"/{bucket}/{size}/{number}")._replace(length=len(body), crc=check)
            for number in range(KEYS[size])
        ]

    return Workload(f"s3_get_{size}", "s3", prepare, SIZES[size])


def _heads(target: Target) -> list[Request]:
    """Ask for the heads of objects of 1 KiB."""
    paths = [f"/{BUCKET}/1k/{number}" for number in range(KEYS["1k"])]
    return [s3(target, "HEAD", path)._replace(head_only=True) for path in paths]


def _lists(target: Target) -> list[Request]:
    """List a bucket of a thousand keys in one page."""
    path = f"/{LISTING}?list-type=2&max-keys={LISTED}"
    return [s3(target, "GET", path)._replace(holds=b"<Key>%04d</Key>" % (LISTED - 1))]


def _item(number: int, size: int = SMALL_BYTES) -> dict[str, dict[str, str]]:
    """Return one item, of its value and about twenty bytes."""
    return {"k": {"S": f"key-{number}"}, "v": {"S": "x" * size}, "n": {"N": str(number)}}


def _asked(target: Target, operation: str, bodies: Iterable[object]) -> list[Request]:
    """Return signed requests of an operation."""
    return [Request(signed_json(target, operation, json.dumps(body).encode())) for body in bodies]


def put_items(target: Target, size: int = SMALL_BYTES) -> list[Request]:
    """Write items."""
    return _asked(
        target,
        "PutItem",
        ({"TableName": TABLE, "Item": _item(number, size)} for number in range(ITEMS)),
    )


def update_items(target: Target, size: int = SMALL_BYTES) -> list[Request]:
    """Change a value of items and raise a number."""
    bodies = (
        {
            "TableName": TABLE,
            "Key": {"k": {"S": f"key-{number}"}},
            "UpdateExpression": "SET v = :v ADD n :one",
            "ExpressionAttributeValues": {":v": {"S": "y" * size}, ":one": {"N": "1"}},
        }
        for number in range(ITEMS)
    )
    return _asked(target, "UpdateItem", bodies)


def transact_items(target: Target) -> list[Request]:
    """Write four items at once, without a token: no two transactions have an item in common."""
    groups = (range(at, at + TOGETHER_ITEMS) for at in range(0, ITEMS, TOGETHER_ITEMS))
    return _asked(
        target,
        "TransactWriteItems",
        (
            {"TransactItems": [{"Put": {"TableName": TABLE, "Item": _item(n)}} for n in group]}
            for group in groups
        ),
    )


def queries(target: Target) -> list[Request]:
    """Read all items of a partition, and see that the last is there."""
    bodies = (
        {
            "TableName": SORTED,
            "KeyConditionExpression": "k = :k",
            "ExpressionAttributeValues": {":k": {"S": f"key-{number}"}},
        }
        for number in range(PARTITIONS)
    )
    last = b'"sort-%03d"' % (QUERIED - 1)
    return [each._replace(holds=last) for each in _asked(target, "Query", bodies)]


def get_items(target: Target) -> list[Request]:
    """Read items, and see that they are those that were asked for."""
    return [
        Request(
            signed_json(
                target,
                "GetItem",
                json.dumps({"TableName": TABLE, "Key": {"k": {"S": f"key-{number}"}}}).encode(),
            ),
            holds=b'"key-%d"' % number,
        )
        for number in range(ITEMS)
    ]


WORKLOADS = (
    *(each(size) for size in SIZES for each in (puts, gets)),
    Workload("s3_head", "s3", _heads),
    Workload("s3_list_1000", "s3", _lists),
    Workload("put_item", "dynamodb", put_items),
    Workload("get_item", "dynamodb", get_items),
)
"""What the table of all services asks."""
ITEM_WORKLOADS = (
    Workload("put_item", "dynamodb", put_items),
    Workload("put_item_4k", "dynamodb", partial(put_items, size=LARGE_BYTES)),
    Workload("update_item", "dynamodb", update_items),
    Workload("update_item_4k", "dynamodb", partial(update_items, size=LARGE_BYTES)),
    # Behind those that leave large items: each row is of items of a hundred bytes.
    Workload("transact_write_4", "dynamodb", transact_items),
    Workload("get_item", "dynamodb", get_items),
    Workload("query_100", "dynamodb", queries),
)
"""What is asked of DynamoDB alone."""


def ask_once(target: Target, requests: Sequence[Request]) -> None:
    """Send every request once."""
    ask(target, requests, connections=min(TOGETHER, len(requests)), seconds=None)


def set_up(target: Target, services: frozenset[str]) -> dict[str, str]:
    """Make buckets, objects, a table and items on a server.

    Returns:
        How setting up a service failed, by service.
    """
    failures = {}
    for service, work in (("s3", _set_up_s3), ("dynamodb", make_items)):
        if service not in services:
            continue
        try:
            work(target)
        except (BadAnswer, OSError, BotoCoreError, ClientError) as error:
            failures[service] = str(error)
    return failures


def _set_up_s3(target: Target) -> None:
    """Make the buckets and their objects."""
    make_objects(target, SIZES)
    target.client("s3").create_bucket(Bucket=LISTING)
    paths = [f"/{LISTING}/{number:04d}" for number in range(LISTED)]
    ask_once(target, [s3(target, "PUT", path, b"x") for path in paths])


def make_objects(target: Target, sizes: Iterable[str], bucket: str = BUCKET) -> None:
    """Make a bucket with the objects that are read."""
    target.client("s3").create_bucket(Bucket=bucket)
    for size in sizes:
        ask_once(target, puts(size, bucket).prepare(target))


def make_items(target: Target) -> None:
    """Make the table and its items."""
    create_table(target, TABLE)
    ask_once(target, put_items(target))


def make_sorted_items(target: Target) -> None:
    """Make a table with a sort key, and the items of its partitions."""
    create_table(target, SORTED, sort="s")
    rows = (
        {**_item(number), "s": {"S": f"sort-{at:03d}"}}
        for number in range(PARTITIONS)
        for at in range(QUERIED)
    )
    ask_once(target, _asked(target, "PutItem", ({"TableName": SORTED, "Item": r} for r in rows)))
