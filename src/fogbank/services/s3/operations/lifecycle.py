"""Lifecycle configurations of buckets; ``jobs`` applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import ANY, operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.quotas import LIFECYCLE_DAY_S, LIFECYCLE_RULES_MAX
from fogbank.services.s3.rules import access
from fogbank.services.s3.rules.lifecycle import (
    check_single_factor,
    minimum_size_of,
    rules_of,
    rules_view,
)
from fogbank.services.s3.state import buckets, lifecycle
from fogbank.services.s3.state.configurations import LIFECYCLE

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutLifecycleConfiguration"),
    domain=access.bucket_domain,
    unhonoured={"ChecksumAlgorithm": ANY},
)
async def put_bucket_lifecycle_configuration(
    call: Call, request: shapes.PutBucketLifecycleConfigurationRequest
) -> shapes.PutBucketLifecycleConfigurationOutput:
    """Replace the lifecycle configuration of a bucket; it is applied from the next midnight on."""
    minimum_size = minimum_size_of(request)
    ids = (call.ids.uuid() for _ in range(LIFECYCLE_RULES_MAX))
    rules = rules_of(request.get("LifecycleConfiguration"), ids)
    now_ms, day_ms = call.clock.now_ms(), call.limit(LIFECYCLE_DAY_S) * 1000

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        check_single_factor(bucket)
        first = lifecycle.timer_of(tr, bucket, now_ms, day_ms)
        await lifecycle.put_rules(tr, call.timers, bucket, (rules, minimum_size), first)

    await call.store.transact(body)
    return {"TransitionDefaultMinimumObjectSize": minimum_size}


@operation(access=access.on_bucket("s3:GetLifecycleConfiguration"), domain=access.bucket_domain)
async def get_bucket_lifecycle_configuration(
    call: Call, request: shapes.GetBucketLifecycleConfigurationRequest
) -> shapes.GetBucketLifecycleConfigurationOutput:
    """Return the lifecycle configuration of a bucket."""
    found = await LIFECYCLE.read(call, request)
    return {
        "Rules": rules_view(found.rules),
        "TransitionDefaultMinimumObjectSize": found.minimum_size,
    }


@operation(access=access.on_bucket("s3:PutLifecycleConfiguration"), domain=access.bucket_domain)
async def delete_bucket_lifecycle(call: Call, request: shapes.DeleteBucketLifecycleRequest) -> Wire:
    """Remove the lifecycle configuration of a bucket, whether it has one or not."""
    await LIFECYCLE.remove(call, request)
    return {}
