"""pyarrow's S3FileSystem: a data set of Parquet. Argument: a bucket that is not there yet."""

from __future__ import annotations

import os
import sys

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

bucket = sys.argv[1]
scheme, _, host = os.environ["AWS_ENDPOINT_URL"].partition("://")
files = fs.S3FileSystem(
    endpoint_override=host,
    scheme=scheme,
    region=os.environ["AWS_REGION"],
    allow_bucket_creation=True,
    allow_bucket_deletion=True,
)
files.create_dir(bucket)
count = 200_000
table = pa.table(
    {
        "id": pa.array(range(count), pa.int64()),
        "part": pa.array([str(number % 4) for number in range(count)]),
        "text": pa.array([f"row {number} é" for number in range(count)]),
    }
)
ds.write_dataset(table, f"{bucket}/set", format="parquet", partitioning=["part"], filesystem=files)
read = ds.dataset(f"{bucket}/set", format="parquet", partitioning=["part"], filesystem=files)
assert read.count_rows() == count
found = read.to_table(
    columns=["id", "text"], filter=(ds.field("id") < 100) & (ds.field("part") == 3)
)
assert sorted(found["id"].to_pylist()) == list(range(3, 100, 4))
with files.open_output_stream(f"{bucket}/stream.bin") as out:
    for number in range(24):
        out.write(bytes([number]) * (1 << 20))
with files.open_input_file(f"{bucket}/stream.bin") as file:
    assert file.size() == 24 << 20
    file.seek(5 << 20)
    assert file.read(2) == b"\5\5"
files.copy_file(f"{bucket}/stream.bin", f"{bucket}/copy.bin")
files.move(f"{bucket}/copy.bin", f"{bucket}/moved.bin")
[missing, moved] = files.get_file_info([f"{bucket}/copy.bin", f"{bucket}/moved.bin"])
assert missing.type is fs.FileType.NotFound
assert (moved.type, moved.size) == (fs.FileType.File, 24 << 20)
listed = files.get_file_info(fs.FileSelector(f"{bucket}/set", recursive=True))
assert sum(each.type is fs.FileType.File for each in listed) == 4
files.delete_dir(bucket)
