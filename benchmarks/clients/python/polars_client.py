"""Polars: Parquet and CSV written to S3 and scanned there. Argument: a bucket that is not there yet."""

from __future__ import annotations

import os
import sys

import boto3
import polars as pl

bucket = sys.argv[1]
boto3.client("s3").create_bucket(Bucket=bucket)
options = {
    "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"],
    "aws_region": os.environ["AWS_REGION"],
    "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
    "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
    "aws_allow_http": "true",
}
count = 300_000
frame = pl.DataFrame({"id": range(count)}).with_columns(
    part=pl.col("id") % 3, text=pl.format("row {} é", pl.col("id"))
)
for part in range(3):
    place = f"s3://{bucket}/set/{part}.parquet"
    frame.filter(pl.col("part") == part).write_parquet(
        place, storage_options=options, row_group_size=10_000
    )
scan = pl.scan_parquet(f"s3://{bucket}/set/*.parquet", storage_options=options)
found = scan.filter(pl.col("id") > count - 7).select("id", "text").collect()
assert sorted(found["id"]) == list(range(count - 6, count))
assert scan.select(pl.len()).collect().item() == count
summed = scan.group_by("part").agg(pl.col("id").sum()).collect()
assert summed["id"].sum() == count * (count - 1) // 2
frame.lazy().head(1000).sink_parquet(f"s3://{bucket}/sunk.parquet", storage_options=options)
sunk = pl.read_parquet(f"s3://{bucket}/sunk.parquet", storage_options=options)
assert sunk.equals(frame.head(1000))
