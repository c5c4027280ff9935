"""obstore: conditional puts, in parts, ranges, presigned URLs. Argument: a bucket that is not there."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.request import urlopen

import boto3
import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

bucket = sys.argv[1]
boto3.client("s3").create_bucket(Bucket=bucket)
options = {"allow_http": True}
store = S3Store(bucket, endpoint=os.environ["AWS_ENDPOINT_URL"], client_options=options)


def created(number: int) -> bool:
    try:
        obstore.put(store, "lock", b"%d" % number, mode="create")
    except AlreadyExistsError:
        return False
    return True


with ThreadPoolExecutor(16) as pool:
    winners = [number for number, won in enumerate(pool.map(created, range(16))) if won]
[winner] = winners
found = obstore.get(store, "lock")
assert bytes(found.bytes()) == b"%d" % winner
version = {"e_tag": found.meta["e_tag"]}
replaced = obstore.put(store, "lock", b"second", mode=version)
try:
    obstore.put(store, "lock", b"third", mode=version)
except PreconditionError:
    pass
else:
    raise AssertionError("an old entity tag let a write through")
assert bytes(obstore.get(store, "lock").bytes()) == b"second"
assert obstore.head(store, "lock")["e_tag"] == replaced["e_tag"]
content = bytes(range(256)) * (64 << 10)
obstore.put(store, "deep/é b/large.bin", content, use_multipart=True, chunk_size=5 << 20)
assert (
    bytes(obstore.get_range(store, "deep/é b/large.bin", start=5 << 20, length=777))
    == (content[5 << 20 : (5 << 20) + 777])
)
parts = obstore.get_ranges(store, "deep/é b/large.bin", starts=[0, 1 << 20], lengths=[10, 10])
assert [bytes(part) for part in parts] == [content[:10], content[1 << 20 : (1 << 20) + 10]]
with obstore.open_writer(store, "written.bin", buffer_size=5 << 20) as writer:
    for begin in range(0, len(content), 1 << 20):
        writer.write(content[begin : begin + (1 << 20)])
assert bytes(obstore.get(store, "written.bin").bytes()) == content
obstore.copy(store, "written.bin", "copied.bin")
obstore.rename(store, "copied.bin", "renamed.bin")
paths = [entry["path"] for page in obstore.list(store, chunk_size=2) for entry in page]
assert sorted(paths) == ["deep/é b/large.bin", "lock", "renamed.bin", "written.bin"]
level = obstore.list_with_delimiter(store)
assert level["common_prefixes"] == ["deep"]
url = obstore.sign(store, "GET", "renamed.bin", timedelta(seconds=60))
with urlopen(url) as reply:
    assert reply.read() == content
obstore.delete(store, paths)
assert not [entry for page in obstore.list(store) for entry in page]
