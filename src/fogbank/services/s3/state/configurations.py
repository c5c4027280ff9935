"""Configurations of buckets: one record each, which an operation puts, gets and deletes whole.

Rule: a configuration's table stands in ``schema.CONFIGURATIONS``, so that it goes when its bucket
goes. Where a request for an object must know whether there is one, a field of the bucket's record
says so (``flag``), which is read anyway: a bucket without the configuration costs no other read.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table
from fogbank.services.s3 import schema
from fogbank.services.s3.errors import (
    NoSuchCORSConfiguration,
    NoSuchLifecycleConfiguration,
    NoSuchTagSet,
    S3Error,
)
from fogbank.services.s3.schema import BUCKET, BucketRecord
from fogbank.services.s3.state import buckets

R = TypeVar("R", bound=Record)


class Configuration(Generic[R]):
    """One kind of configuration; the record lies at (bucket id).

    Args:
        table: Where it lies.
        absent: What a read of a bucket without it says; None if a read must not be asked
            (``find`` then says what there is).
        flag: The field of ``BucketRecord`` that says whether there is one, if any.
    """

    __slots__ = ("_absent", "_flag", "_table")

    def __init__(
        self, table: Table[R], absent: type[S3Error] | None = None, *, flag: str = ""
    ) -> None:
        assert table in schema.CONFIGURATIONS, "a configuration goes when its bucket goes"
        assert not flag or flag in BucketRecord.__struct_fields__
        self._table = table
        self._absent = absent
        self._flag = flag

    # Inside a transaction.

    async def find(self, tr: Transaction, bucket: BucketRecord) -> R | None:
        """Return the configuration of a bucket, or None."""
        if self._flag and not getattr(bucket, self._flag):
            return None
        found = await self._table.find(tr, bucket.bucket_id)
        assert found is not None or not self._flag, f"a bucket that says {self._flag} has it"
        return found

    async def require(self, tr: Transaction, bucket: BucketRecord) -> R:
        """Return the configuration of a bucket, or refuse with AWS's error for its absence."""
        found = await self.find(tr, bucket)
        if found is None:
            assert self._absent is not None, "absence is no error of this configuration"
            raise self._absent(BucketName=bucket.name)
        return found

    def put(self, tr: Transaction, bucket: BucketRecord, record: R) -> None:
        """Replace the configuration of a bucket; ``bucket`` is stale afterwards."""
        self._table.put(tr, record, bucket.bucket_id)
        self._say(tr, bucket, there=True)

    def delete(self, tr: Transaction, bucket: BucketRecord) -> None:
        """Remove the configuration of a bucket, if it has one; ``bucket`` is stale afterwards."""
        self._table.delete(tr, bucket.bucket_id)
        self._say(tr, bucket, there=False)

    def _say(self, tr: Transaction, bucket: BucketRecord, *, there: bool) -> None:
        """Have the bucket's record say whether there is one."""
        if self._flag and getattr(bucket, self._flag) is not there:
            BUCKET.put(tr, msgspec.structs.replace(bucket, **{self._flag: there}))

    # As a whole operation on the bucket of a request.

    async def replace(self, call: Call, request: Request, record: R | None) -> None:
        """Replace the configuration of the request's bucket; None removes it."""

        async def body(tr: Transaction) -> None:
            bucket = await buckets.require_bucket(tr, call, request)
            if record is None:
                self.delete(tr, bucket)
            else:
                self.put(tr, bucket, record)

        await call.store.transact(body)

    async def read(self, call: Call, request: Request) -> R:
        """Return the configuration of the request's bucket, or refuse; see ``require``."""

        async def body(tr: Transaction) -> R:
            return await self.require(tr, await buckets.require_bucket(tr, call, request))

        return await call.store.read(body)

    async def look(self, call: Call, request: Request) -> R | None:
        """Return the configuration of the request's bucket, or None."""

        async def body(tr: Transaction) -> R | None:
            return await self.find(tr, await buckets.require_bucket(tr, call, request))

        return await call.store.read(body)

    async def remove(self, call: Call, request: Request) -> None:
        """Remove the configuration of the request's bucket, whether it has one or not."""
        await self.replace(call, request, None)


CORS: Final = Configuration(schema.CORS, NoSuchCORSConfiguration)
NOTIFICATIONS: Final = Configuration(schema.NOTIFICATIONS, flag="notifies")
LIFECYCLE: Final = Configuration(schema.LIFECYCLE, NoSuchLifecycleConfiguration, flag="expires")
LOGGING: Final = Configuration(schema.LOGGING, flag="logs")
TAGS: Final = Configuration(schema.TAGS, NoSuchTagSet)
