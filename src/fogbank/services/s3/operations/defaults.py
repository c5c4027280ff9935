"""Configurations that no bucket has, for what they are about is not built: reads say so.

Rule: a read answers what AWS answers of a new bucket, a removal of what is not there as AWS does, and
putting one is refused: its operation is not built, or asks for nothing. Whoever builds what one of
them is about moves it into a room of its own.

Source: Amazon S3 API Reference, one page per operation; answers recorded by LocalStack
(tests/aws/services/s3/test_s3.snapshot.json: website, replication).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import ANY, operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import (
    NoSuchConfiguration,
    NoSuchWebsiteConfiguration,
    ReplicationConfigurationNotFoundError,
    S3Error,
)
from fogbank.services.s3.rules import access
from fogbank.services.s3.schema import BucketRecord
from fogbank.services.s3.state import buckets

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_ANY_ID: Final[dict[str, Any]] = {"Id": ANY}
"""There is none of any id."""
_NO_TOKEN: Final[dict[str, Any]] = {"ContinuationToken": frozenset[str]()}
"""No list has a second page."""


async def _look(call: Call, request: Request) -> BucketRecord:
    """Return the request's bucket, or refuse."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    return await call.store.read(body)


async def _absent(call: Call, request: Request, error: type[S3Error]) -> S3Error:
    """Return the error of the request's bucket for what it does not have."""
    bucket = await _look(call, request)
    return error() if error is NoSuchConfiguration else error(BucketName=bucket.name)


@operation(access=access.on_bucket("s3:GetBucketWebsite"), domain=access.bucket_domain)
async def get_bucket_website(
    call: Call, request: shapes.GetBucketWebsiteRequest
) -> shapes.GetBucketWebsiteOutput:
    """Say that a bucket is no website."""
    raise await _absent(call, request, NoSuchWebsiteConfiguration)


@operation(access=access.on_bucket("s3:DeleteBucketWebsite"), domain=access.bucket_domain)
async def delete_bucket_website(call: Call, request: shapes.DeleteBucketWebsiteRequest) -> Wire:
    """Leave a bucket that is no website as it is."""
    await _look(call, request)
    return {}


@operation(access=access.on_bucket("s3:GetReplicationConfiguration"), domain=access.bucket_domain)
async def get_bucket_replication(
    call: Call, request: shapes.GetBucketReplicationRequest
) -> shapes.GetBucketReplicationOutput:
    """Say that a bucket is not replicated."""
    raise await _absent(call, request, ReplicationConfigurationNotFoundError)


@operation(access=access.on_bucket("s3:PutReplicationConfiguration"), domain=access.bucket_domain)
async def delete_bucket_replication(
    call: Call, request: shapes.DeleteBucketReplicationRequest
) -> Wire:
    """Leave a bucket that is not replicated as it is."""
    await _look(call, request)
    return {}


@operation(
    access=access.on_bucket("s3:GetAccelerateConfiguration"),
    domain=access.bucket_domain,
)
async def get_bucket_accelerate_configuration(
    call: Call, request: shapes.GetBucketAccelerateConfigurationRequest
) -> shapes.GetBucketAccelerateConfigurationOutput:
    """Say nothing of acceleration, which a bucket never had."""
    await _look(call, request)
    return {}


@operation(
    access=access.on_bucket("s3:GetAnalyticsConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_ANY_ID,
)
async def get_bucket_analytics_configuration(
    call: Call, request: shapes.GetBucketAnalyticsConfigurationRequest
) -> shapes.GetBucketAnalyticsConfigurationOutput:
    """Say that there is no such analysis."""
    raise await _absent(call, request, NoSuchConfiguration)


@operation(
    access=access.on_bucket("s3:PutAnalyticsConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_ANY_ID,
)
async def delete_bucket_analytics_configuration(
    call: Call, request: shapes.DeleteBucketAnalyticsConfigurationRequest
) -> Wire:
    """Say that there is no such analysis to remove."""
    raise await _absent(call, request, NoSuchConfiguration)


@operation(
    access=access.on_bucket("s3:GetAnalyticsConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_NO_TOKEN,
)
async def list_bucket_analytics_configurations(
    call: Call, request: shapes.ListBucketAnalyticsConfigurationsRequest
) -> shapes.ListBucketAnalyticsConfigurationsOutput:
    """List no analysis."""
    await _look(call, request)
    return {"IsTruncated": False}


@operation(
    access=access.on_bucket("s3:GetIntelligentTieringConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_ANY_ID,
)
async def get_bucket_intelligent_tiering_configuration(
    call: Call, request: shapes.GetBucketIntelligentTieringConfigurationRequest
) -> shapes.GetBucketIntelligentTieringConfigurationOutput:
    """Say that there is no such tiering."""
    raise await _absent(call, request, NoSuchConfiguration)


@operation(
    access=access.on_bucket("s3:PutIntelligentTieringConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_ANY_ID,
)
async def delete_bucket_intelligent_tiering_configuration(
    call: Call, request: shapes.DeleteBucketIntelligentTieringConfigurationRequest
) -> Wire:
    """Say that there is no such tiering to remove."""
    raise await _absent(call, request, NoSuchConfiguration)


@operation(
    access=access.on_bucket("s3:GetIntelligentTieringConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_NO_TOKEN,
)
async def list_bucket_intelligent_tiering_configurations(
    call: Call, request: shapes.ListBucketIntelligentTieringConfigurationsRequest
) -> shapes.ListBucketIntelligentTieringConfigurationsOutput:
    """List no tiering."""
    await _look(call, request)
    return {"IsTruncated": False}


@operation(
    access=access.on_bucket("s3:GetInventoryConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_ANY_ID,
)
async def get_bucket_inventory_configuration(
    call: Call, request: shapes.GetBucketInventoryConfigurationRequest
) -> shapes.GetBucketInventoryConfigurationOutput:
    """Say that there is no such inventory."""
    raise await _absent(call, request, NoSuchConfiguration)


@operation(
    access=access.on_bucket("s3:PutInventoryConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_ANY_ID,
)
async def delete_bucket_inventory_configuration(
    call: Call, request: shapes.DeleteBucketInventoryConfigurationRequest
) -> Wire:
    """Say that there is no such inventory to remove."""
    raise await _absent(call, request, NoSuchConfiguration)


@operation(
    access=access.on_bucket("s3:GetInventoryConfiguration"),
    domain=access.bucket_domain,
    unhonoured=_NO_TOKEN,
)
async def list_bucket_inventory_configurations(
    call: Call, request: shapes.ListBucketInventoryConfigurationsRequest
) -> shapes.ListBucketInventoryConfigurationsOutput:
    """List no inventory."""
    await _look(call, request)
    return {"IsTruncated": False}
