"""Metrics configurations: which requests of a bucket are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.quotas import METRICS_PAGE
from fogbank.services.s3.rules import access
from fogbank.services.s3.rules.listings import Place, place_of, token_of
from fogbank.services.s3.rules.metrics import record_of, shown
from fogbank.services.s3.schema.metrics import MetricsRecord
from fogbank.services.s3.state import buckets, metrics

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(access=access.on_bucket("s3:PutMetricsConfiguration"), domain=access.bucket_domain)
async def put_bucket_metrics_configuration(
    call: Call, request: shapes.PutBucketMetricsConfigurationRequest
) -> Wire:
    """Have requests of a bucket measured, those that a filter names or all."""
    config_id = request["Id"]
    record = record_of(config_id, request["MetricsConfiguration"])

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        await metrics.put(tr, bucket, config_id, record)

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetMetricsConfiguration"), domain=access.bucket_domain)
async def get_bucket_metrics_configuration(
    call: Call, request: shapes.GetBucketMetricsConfigurationRequest
) -> shapes.GetBucketMetricsConfigurationOutput:
    """Return a metrics configuration of a bucket."""

    async def body(tr: Transaction) -> MetricsRecord:
        bucket = await buckets.require_bucket(tr, call, request)
        return await metrics.require(tr, bucket, request["Id"])

    return {"MetricsConfiguration": shown(request["Id"], await call.store.read(body))}


@operation(access=access.on_bucket("s3:PutMetricsConfiguration"), domain=access.bucket_domain)
async def delete_bucket_metrics_configuration(
    call: Call, request: shapes.DeleteBucketMetricsConfigurationRequest
) -> Wire:
    """Remove a metrics configuration of a bucket; what it has measured stays."""

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        await metrics.remove(tr, bucket, request["Id"])

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetMetricsConfiguration"), domain=access.bucket_domain)
async def list_bucket_metrics_configurations(
    call: Call, request: shapes.ListBucketMetricsConfigurationsRequest
) -> shapes.ListBucketMetricsConfigurationsOutput:
    """List the metrics configurations of a bucket in order of their ids, a hundred at a time."""
    token: str = request.get("ContinuationToken") or ""
    after = place_of(token).after[0] if token else ""

    async def body(tr: Transaction) -> list[metrics.Listed]:
        bucket = await buckets.require_bucket(tr, call, request)
        return await metrics.list_some(tr, bucket, after, METRICS_PAGE + 1)

    rows = await call.store.read(body)
    page = rows[:METRICS_PAGE]
    reply: shapes.ListBucketMetricsConfigurationsOutput = {"IsTruncated": len(rows) > len(page)}
    if page:
        reply["MetricsConfigurationList"] = [shown(*row) for row in page]
    if token:
        reply["ContinuationToken"] = token
    if len(rows) > len(page):
        reply["NextContinuationToken"] = token_of(Place((page[-1][0],)))
    return reply
