"""Notification configurations of buckets, and what is told in the transaction that made it true."""

from __future__ import annotations

from typing import NamedTuple

from fogbank.contract.call import Call
from fogbank.contract.event import Outbox
from fogbank.platform.bus import trace
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.events import Happening, ObjectNotification, Occasion
from fogbank.services.s3.rules.names import customer_id
from fogbank.services.s3.rules.notifications import matching
from fogbank.services.s3.rules.versions import shown_id
from fogbank.services.s3.schema import BucketRecord, FunctionNotification, ObjectRecord
from fogbank.services.s3.state.configurations import NOTIFICATIONS
from fogbank.wire.codec.rest_xml import host_id_of
from fogbank.wire.timestamps import iso_millis

SOURCE = "s3.amazonaws.com"
"""The service principal that S3 invokes functions as."""


async def list_functions(tr: Transaction, bucket: BucketRecord) -> tuple[FunctionNotification, ...]:
    """Return the functions that are told of a bucket's events."""
    record = await NOTIFICATIONS.find(tr, bucket)
    return () if record is None else record.functions


class Teller(NamedTuple):
    """Who did what is told, and where it is told."""

    principal_id: str
    source_ip: str
    request_id: str
    outbox: Outbox


async def tell(
    tr: Transaction, call: Call, bucket: BucketRecord, now_ms: int, happening: Happening
) -> None:
    """Put one delivery for each function that is told of what a call did into the outbox."""
    if bucket.notifies:
        principal_id = f"AWS:{call.principal.user_id}"
        teller = Teller(principal_id, call.http.source_ip, call.request_id, call.outbox)
        await tell_as(tr, teller, bucket, now_ms, happening)


async def tell_as(
    tr: Transaction, teller: Teller, bucket: BucketRecord, now_ms: int, happening: Happening
) -> None:
    """Put one delivery for each function that is told of what happened into the outbox."""
    functions = matching(await list_functions(tr, bucket), happening.event, happening.key)
    if not functions:
        return
    arn = bucket_arn(bucket.region, bucket.name)
    occasion = Occasion(
        region=bucket.region,
        time=iso_millis(now_ms),
        principal_id=teller.principal_id,
        source_ip=teller.source_ip,
        request_id=teller.request_id,
        host_id=host_id_of(teller.request_id),
        bucket=bucket.name,
        bucket_arn=arn,
        owner_id=customer_id(bucket.account),
    )
    for function in functions:
        told = ObjectNotification(
            occasion=occasion, happening=happening, configuration_id=function.id
        )
        event_id = f"{teller.request_id}-{happening.sequencer:X}-{function.id}"
        caused = f"{happening.event} of {arn}/{happening.key}"
        trace.connect(tr, teller.request_id, event_id, now_ms, "caused", caused)
        await teller.outbox.put(
            tr,
            Delivery(
                target=function.function_arn,
                payload=told.payload(),
                source=SOURCE,
                source_arn=arn,
                source_account=bucket.account,
                created_ms=now_ms,
                event_id=event_id,
                subscription=function.id,
            ),
        )


async def tell_of_version(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    now_ms: int,
    change: tuple[str, str, ObjectRecord],
) -> None:
    """Tell of a version of which something else is said now; its bytes are what they were.

    Args:
        tr: The transaction that changes it.
        call: Who does.
        bucket: Where it lies.
        now_ms: When.
        change: The event, the key and the version.
    """
    event, key, record = change
    version_id = shown_id(bucket, record)
    happening = Happening(event, key, record.sequencer, etag=record.etag, version_id=version_id)
    await tell(tr, call, bucket, now_ms, happening)
