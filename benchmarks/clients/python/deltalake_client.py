"""deltalake: commits of a table by conditional puts. Argument: a bucket that is not there yet."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

bucket = sys.argv[1]
boto3.client("s3").create_bucket(Bucket=bucket)
place = f"s3://{bucket}/tables/t"
options = {
    "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    "AWS_REGION": os.environ["AWS_REGION"],
    "AWS_ALLOW_HTTP": "true",
    "conditional_put": "etag",
}
WRITERS, WRITES = 4, 5


def rows(begin: int, count: int) -> pa.Table:
    return pa.table({"id": pa.array(range(begin, begin + count), pa.int64())})


write_deltalake(place, rows(0, 10), storage_options=options)


def append(writer: int) -> None:
    for number in range(WRITES):
        begin = 100 * (1 + writer * WRITES + number)
        write_deltalake(place, rows(begin, 7), mode="append", storage_options=options)


with ThreadPoolExecutor(WRITERS) as pool:
    list(pool.map(append, range(WRITERS)))
table = DeltaTable(place, storage_options=options)
assert table.version() == WRITERS * WRITES, table.version()
assert table.to_pyarrow_table().num_rows == 10 + 7 * WRITERS * WRITES
table.delete("id < 5")
assert DeltaTable(place, version=0, storage_options=options).to_pyarrow_table().num_rows == 10
table.optimize.compact()
table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
again = DeltaTable(place, storage_options=options)
assert again.to_pyarrow_table().num_rows == 5 + 7 * WRITERS * WRITES
