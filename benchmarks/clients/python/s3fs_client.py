"""s3fs (fsspec): files in S3 as files. Argument: a bucket that is not there yet."""

from __future__ import annotations

import sys

import s3fs

bucket = sys.argv[1]
files = s3fs.S3FileSystem(default_block_size=5 << 20, use_listings_cache=False)
content = bytes(range(256)) * (50 << 10)
files.mkdir(bucket)
with files.open(f"{bucket}/a b/é+large.bin", "wb") as file:
    for begin in range(0, len(content), 1 << 20):
        file.write(content[begin : begin + (1 << 20)])
with files.open(f"{bucket}/a b/é+large.bin", "rb") as file:
    file.seek(6 << 20)
    assert file.read(1000) == content[6 << 20 : (6 << 20) + 1000]
assert files.cat_file(f"{bucket}/a b/é+large.bin") == content
for number in range(5):
    files.pipe_file(f"{bucket}/many/{number}.txt", b"%d" % number)
assert files.glob(f"{bucket}/many/[1-3].txt") == [f"{bucket}/many/{n}.txt" for n in (1, 2, 3)]
assert files.du(f"{bucket}/many") == 5
files.mv(f"{bucket}/many/0.txt", f"{bucket}/moved.txt")
assert not files.exists(f"{bucket}/many/0.txt")
assert files.cat_file(f"{bucket}/moved.txt") == b"0"
files.setxattr(f"{bucket}/moved.txt", colour="blue")
assert files.getxattr(f"{bucket}/moved.txt", "colour") == "blue"
files.put_tags(f"{bucket}/moved.txt", {"a": "b"})
assert files.get_tags(f"{bucket}/moved.txt") == {"a": "b"}
assert [entry["Size"] for entry in files.ls(f"{bucket}/many", detail=True)] == [1] * 4
files.rm(bucket, recursive=True)
assert not files.exists(bucket)
