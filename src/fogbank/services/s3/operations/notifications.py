"""Notification configurations of buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.principal import service_principal
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.quotas import NOTIFICATION_CONFIGURATIONS_MAX
from fogbank.services.s3.rules import access
from fogbank.services.s3.rules.notifications import configuration_of, functions_of, unauthorized
from fogbank.services.s3.schema import BucketRecord, FunctionNotification, NotificationRecord
from fogbank.services.s3.state import buckets, notifications
from fogbank.services.s3.state.configurations import NOTIFICATIONS

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(access=access.on_bucket("s3:PutBucketNotification"), domain=access.bucket_domain)
async def put_bucket_notification_configuration(
    call: Call, request: shapes.PutBucketNotificationConfigurationRequest
) -> Wire:
    """Replace the notification configuration of a bucket, once its destinations answer."""

    async def find(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    bucket = await call.store.read(find)
    given = request["NotificationConfiguration"]
    ids = [call.ids.uuid() for _ in range(NOTIFICATION_CONFIGURATIONS_MAX)]
    functions = functions_of(given, bucket.region, ids)
    if not request.get("SkipDestinationValidation"):
        await _validate(call, bucket, functions)
    record = NotificationRecord(functions) if functions else None
    await NOTIFICATIONS.replace(call, request, record)
    return {}


async def _validate(
    call: Call, bucket: BucketRecord, functions: Sequence[FunctionNotification]
) -> None:
    """Refuse functions that are not there or that S3 may not invoke for this bucket.

    Asking for a dry run is authorised by the function's resource policy, as each delivery will be.
    """
    principal = service_principal(
        notifications.SOURCE,
        source_arn=bucket_arn(bucket.region, bucket.name),
        source_account=bucket.account,
    )
    for arn in dict.fromkeys(function.function_arn for function in functions):
        request: Request = {"FunctionName": arn, "InvocationType": "DryRun"}
        try:
            await call.calls.call(
                "lambda",
                "Invoke",
                request,
                principal=principal,
                region=bucket.region,
                account=arn.split(":")[4],
            )
        except ServiceError as error:
            raise unauthorized(arn) from error


@operation(access=access.on_bucket("s3:GetBucketNotification"), domain=access.bucket_domain)
async def get_bucket_notification_configuration(
    call: Call, request: shapes.GetBucketNotificationConfigurationRequest
) -> shapes.NotificationConfiguration:
    """Return the notification configuration of a bucket; empty if it has none."""
    found = await NOTIFICATIONS.look(call, request)
    return configuration_of(() if found is None else found.functions)
