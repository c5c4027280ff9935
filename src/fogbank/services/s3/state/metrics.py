"""Metrics configurations of buckets, and the requests that they measure.

Rule: how many a bucket has stands in its record, which every request reads: a bucket without any costs
nothing. What is measured is noted in memory (``platform/metering``), in the domain of the account's
metrics, after all of an answer has left.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.contract.call import Facilities
from fogbank.contract.request_log import RequestFacts
from fogbank.platform.metering.metrics import Board, Series
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3.errors import NoSuchConfiguration, S3Error, TooManyConfigurations
from fogbank.services.s3.metrics import GET, domain_of, request_series
from fogbank.services.s3.quotas import METRICS_CONFIGURATIONS_MAX
from fogbank.services.s3.rules import metrics as rules
from fogbank.services.s3.schema import BUCKET, BucketRecord
from fogbank.services.s3.schema.metrics import METRICS, MetricsRecord
from fogbank.services.s3.state.buckets import find_bucket
from fogbank.services.s3.state.objects import find_object
from fogbank.services.s3.state.versions import find_version

Listed = tuple[str, MetricsRecord]
"""The id of a configuration, and it."""
ROWS_PER_READ: Final = 128


class _Some(NamedTuple):
    """Some of the configurations that are about a request."""

    bucket: BucketRecord
    ids: list[str]
    after: str | None
    """Behind which to look on; None: there are no more."""


async def put(tr: Transaction, bucket: BucketRecord, config_id: str, record: MetricsRecord) -> None:
    """Put a configuration in place of one of the same id.

    Raises:
        TooManyConfigurations: There is none, and the bucket has as many as it may.
    """
    if await METRICS.find(tr, bucket.bucket_id, config_id) is None:
        if bucket.metrics >= METRICS_CONFIGURATIONS_MAX:
            raise TooManyConfigurations
        BUCKET.put(tr, msgspec.structs.replace(bucket, metrics=bucket.metrics + 1))
    METRICS.put(tr, record, bucket.bucket_id, config_id)


async def require(tr: Transaction, bucket: BucketRecord, config_id: str) -> MetricsRecord:
    """Return a configuration.

    Raises:
        NoSuchConfiguration: There is none of the id.
    """
    found = await METRICS.find(tr, bucket.bucket_id, config_id)
    if found is None:
        raise NoSuchConfiguration
    return found


async def remove(tr: Transaction, bucket: BucketRecord, config_id: str) -> None:
    """Remove a configuration.

    Raises:
        NoSuchConfiguration: There is none of the id.
    """
    await require(tr, bucket, config_id)
    METRICS.delete(tr, bucket.bucket_id, config_id)
    assert bucket.metrics > 0, "they are counted"
    BUCKET.put(tr, msgspec.structs.replace(bucket, metrics=bucket.metrics - 1))


async def list_some(tr: Transaction, bucket: BucketRecord, after: str, limit: int) -> list[Listed]:
    """Return configurations behind an id, in order of the ids."""
    rows = await METRICS.list(tr, bucket.bucket_id, limit=limit, after=(after,) if after else None)
    return [(str(key[0]), record) for key, record in rows]


# What they measure.


async def measure(store: Store, facts: RequestFacts, facilities: Facilities) -> None:
    """Count a request in the series of all configurations that are about it."""
    board = await _board_of(store, facts, facilities)
    if board is not None:
        rules.note(board, facts)


async def measure_source(store: Store, facts: RequestFacts, facilities: Facilities) -> None:
    """Count the reading of an object that is copied.

    AWS: GetRequests "is incremented for the source of each CopyObject request".
    """
    board = await _board_of(store, facts, facilities)
    if board is not None:
        board.note(GET)


async def _board_of(store: Store, facts: RequestFacts, facilities: Facilities) -> Board | None:
    """Return where a request is noted; None: nothing is about it."""
    series: list[Series] = []
    after = ""
    while True:

        async def body(tr: Transaction, after: str = after) -> _Some | None:
            return await _about(tr, facts, after)

        some = await store.read(body)
        if some is None:
            return None
        series += [request_series(some.bucket.name, each) for each in some.ids]
        if some.after is None:
            break
        after = some.after
    if not series:
        return None
    domain = domain_of(some.bucket.account, some.bucket.region)
    return facilities.metrics.board(domain, *series, at_ms=facts.time_ms)


async def _about(tr: Transaction, facts: RequestFacts, after: str) -> _Some | None:
    """Return some of the configurations that are about a request, and behind which to look on.

    The tags of its object count as they are now: one that was removed has none.
    """
    bucket = await find_bucket(tr)
    if bucket is None or not bucket.metrics:
        return None
    rows = await list_some(tr, bucket, after, ROWS_PER_READ)
    named = [row for row in rows if rules.is_about(row[1], facts.key, facts.point)]
    tags: dict[str, str] = {}
    if facts.key and any(record.tags for _, record in named):
        tags = await _tags_of(tr, bucket, facts)
    found = [config_id for config_id, record in named if rules.bears(record, tags)]
    return _Some(bucket, found, rows[-1][0] if len(rows) == ROWS_PER_READ else None)


async def _tags_of(tr: Transaction, bucket: BucketRecord, facts: RequestFacts) -> dict[str, str]:
    """Return the tags of the object of a request."""
    try:
        found = await (
            find_version(tr, bucket, facts.key, facts.version_id)
            if facts.version_id
            else find_object(tr, bucket, facts.key)
        )
    except S3Error:
        return {}  # what was named cannot be a version, as its request has heard
    return {} if found is None else {tag.key: tag.value for tag in found.tags}
