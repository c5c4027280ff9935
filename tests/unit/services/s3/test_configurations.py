"""How configurations of buckets are kept, whichever they are."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.s3.world import World, made, run

from fogbank.services.s3.errors import NoSuchCORSConfiguration
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import BUCKET, CONFIGURATIONS, BucketRecord, NotificationRecord
from fogbank.services.s3.state.configurations import CORS, NOTIFICATIONS

BARE = BucketRecord(b"bucket01", "bucket", "111111111111", "us-east-1", "", 0)


class Untouchable:
    """A transaction that nobody may use."""


def test_every_configuration_goes_when_its_bucket_goes(world: World) -> None:
    async def story() -> None:
        await made(world)
        store = world.engine.store_of(domain_of("bucket"))

        async def put(tr: Any) -> bytes:
            bucket = await BUCKET.find(tr)
            assert bucket is not None
            for table in CONFIGURATIONS:
                tr.put(table.key(tr.domain, bucket.bucket_id), b"whatever")
            return bucket.bucket_id

        async def rows(tr: Any) -> list[bytes | None]:
            return [await tr.get(table.key(tr.domain, bucket_id)) for table in CONFIGURATIONS]

        bucket_id = await store.transact(put)
        assert await store.read(rows) == [b"whatever"] * len(CONFIGURATIONS)
        await world.call("delete_bucket", Bucket="bucket")
        assert await store.read(rows) == [None] * len(CONFIGURATIONS)

    run(story())


def test_a_bucket_that_says_it_has_none_costs_no_read() -> None:
    untouchable: Any = Untouchable()
    assert run(NOTIFICATIONS.find(untouchable, BARE)) is None


def test_the_record_of_a_bucket_says_what_it_has(world: World) -> None:
    async def story() -> None:
        await made(world)
        store = world.engine.store_of(domain_of("bucket"))

        async def bucket(tr: Any) -> BucketRecord:
            found = await BUCKET.find(tr)
            assert found is not None
            return found

        async def put(tr: Any) -> None:
            NOTIFICATIONS.put(tr, await bucket(tr), NotificationRecord(()))

        async def found(tr: Any) -> NotificationRecord | None:
            return await NOTIFICATIONS.find(tr, await bucket(tr))

        async def delete(tr: Any) -> None:
            NOTIFICATIONS.delete(tr, await bucket(tr))

        for _ in range(2):
            assert not (await store.read(bucket)).notifies
            await store.transact(put)
            assert (await store.read(bucket)).notifies
            assert await store.read(found) == NotificationRecord(())
            await store.transact(delete)
        assert await store.read(found) is None
        assert not (await store.read(bucket)).notifies

    run(story())


def test_absence_is_the_error_of_the_configuration(world: World) -> None:
    async def story() -> None:
        await made(world)
        store = world.engine.store_of(domain_of("bucket"))

        async def require(tr: Any) -> Any:
            return await CORS.require(tr, BARE)

        with pytest.raises(NoSuchCORSConfiguration) as caught:
            await store.read(require)
        assert caught.value.members == {"BucketName": "bucket"}

    run(story())
