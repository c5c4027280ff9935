"""The default encryption of buckets: how objects are encrypted whose writers do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import ServerSideEncryptionConfigurationNotFoundError
from fogbank.services.s3.options import DEFAULTS_BEFORE_2023
from fogbank.services.s3.rules import access, unhonoured
from fogbank.services.s3.rules.encryption import DEFAULT, configuration_of, default_of
from fogbank.services.s3.schema import BucketEncryption
from fogbank.services.s3.state import buckets

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutEncryptionConfiguration"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_encryption(call: Call, request: shapes.PutBucketEncryptionRequest) -> Wire:
    """Replace the default encryption of a bucket."""
    wanted = default_of(request["ServerSideEncryptionConfiguration"])

    async def body(tr: Transaction) -> None:
        buckets.put_encryption(tr, await buckets.require_bucket(tr, call, request), wanted)

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetEncryptionConfiguration"), domain=access.bucket_domain)
async def get_bucket_encryption(
    call: Call, request: shapes.GetBucketEncryptionRequest
) -> shapes.GetBucketEncryptionOutput:
    """Return the default encryption of a bucket; one that nobody put only with today's defaults."""

    async def body(tr: Transaction) -> BucketEncryption | None:
        return (await buckets.require_bucket(tr, call, request)).encryption

    encryption = await call.store.read(body)
    if encryption is None and call.chosen(DEFAULTS_BEFORE_2023):
        raise ServerSideEncryptionConfigurationNotFoundError(BucketName=request["Bucket"])
    return configuration_of(encryption or DEFAULT)


@operation(access=access.on_bucket("s3:PutEncryptionConfiguration"), domain=access.bucket_domain)
async def delete_bucket_encryption(
    call: Call, request: shapes.DeleteBucketEncryptionRequest
) -> Wire:
    """Give a bucket the default encryption of a new one."""

    async def body(tr: Transaction) -> None:
        buckets.put_encryption(tr, await buckets.require_bucket(tr, call, request), None)

    await call.store.transact(body)
    return {}
