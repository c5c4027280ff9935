"""pyiceberg: a table with its data in S3, its catalogue beside. Argument: a bucket that is not there."""

from __future__ import annotations

import os
import sys
import tempfile

import boto3
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import GreaterThan

bucket = sys.argv[1]
boto3.client("s3").create_bucket(Bucket=bucket)
with tempfile.TemporaryDirectory() as folder:
    catalog = SqlCatalog(
        "field",
        uri=f"sqlite:///{folder}/catalog.db",
        warehouse=f"s3://{bucket}/warehouse",
        **{
            "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
            "s3.region": os.environ["AWS_REGION"],
            "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
            "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        },
    )
    catalog.create_namespace("n")
    data = pa.table(
        {"id": pa.array(range(1000), pa.int64()), "text": [f"é {n}" for n in range(1000)]}
    )
    table = catalog.create_table("n.t", schema=data.schema)
    table.append(data)
    first = table.current_snapshot()
    assert first is not None
    table.append(data)
    assert table.scan().to_arrow().num_rows == 2000
    assert table.scan(row_filter=GreaterThan("id", 989)).to_arrow().num_rows == 20
    assert table.scan(snapshot_id=first.snapshot_id).to_arrow().num_rows == 1000
    table.delete(GreaterThan("id", 499))
    assert catalog.load_table("n.t").scan().to_arrow().num_rows == 1000
    catalog.drop_table("n.t")
keys = [entry["Key"] for entry in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
assert any(key.endswith(".parquet") for key in keys)
assert any(key.endswith(".metadata.json") for key in keys)
