"""The daily storage metrics: what every bucket and account holds, told once a day.

Source: Amazon S3 User Guide, "Metrics and dimensions" (daily storage metrics), "Amazon S3 Storage Lens
metrics glossary".
"""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.contract.job import Rest
from fogbank.platform.metering import points
from fogbank.platform.metering.metrics import Series
from fogbank.services.s3 import jobs
from fogbank.services.s3.metrics import METRICS, account_series, domain_of, storage_series
from fogbank.services.s3.schema.metrics import MEASURED
from fogbank.services.s3.state import measures, usage
from fogbank.testing.cloud import Cloud

DAY_MS = 86_400_000
PART = b"p" * (5 << 20)
Values = dict[str, tuple[int, float]]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


@pytest.fixture
def midnight_ms(cloud: Cloud) -> int:
    """Return the next midnight."""
    now_ms = cloud.clock.now_ms()
    return now_ms - now_ms % DAY_MS + DAY_MS


@pytest.fixture
def count(cloud: Cloud, midnight_ms: int) -> Any:
    """Return what looks after the counts of a day once, as its reconciler does."""

    def step(day: int = 0) -> bool:
        goes_on = cloud.run(measures.measure_all(cloud.app.facilities, midnight_ms + day * DAY_MS))
        cloud.settle()
        return goes_on

    return step


@pytest.fixture
def told(cloud: Cloud, account: str) -> Any:
    """Return what gives count and sum of each metric of a series, by the time of its points."""
    domain = domain_of(account, "us-east-1")

    def read(series: Series) -> dict[int, Values]:
        async def body(tr: Any) -> list[points.Point]:
            return await points.list_points(tr, series, 60_000, 0, 1 << 60, 1_000)

        found = cloud.run(cloud.engine.store_of(domain).read(body))
        return {
            each.at_ms: {name: (it.count, it.total) for name, it in each.values.items()}
            for each in found
        }

    return read


def test_a_bucket_is_told_with_all_that_it_holds(
    s3: Any, count: Any, told: Any, midnight_ms: int, account: str
) -> None:
    s3.put_object(Bucket="photos", Key="plain", Body=b"x" * 10)
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    for size in (100, 1_000):
        s3.put_object(Bucket="photos", Key="k", Body=b"x" * size)
    s3.delete_object(Bucket="photos", Key="gone")
    upload = {"Bucket": "photos", "Key": "u"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    for number in (1, 2):
        s3.upload_part(**upload, PartNumber=number, Body=b"y" * 7)
    whole = {"Bucket": "photos", "Key": "whole"}
    whole["UploadId"] = s3.create_multipart_upload(**whole)["UploadId"]
    etag = s3.upload_part(**whole, PartNumber=1, Body=b"z" * 20_000)["ETag"]
    s3.complete_multipart_upload(
        **whole, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    assert count() is True
    assert count() is False
    assert told(storage_series("photos", "StandardStorage")) == {
        midnight_ms: {"BucketSizeBytes": (1, 10.0 + 1_100.0 + 14.0 + 20_000.0)}
    }
    # Three current objects, one other version, a marker, two parts of an unfinished upload.
    assert told(storage_series("photos", "AllStorageTypes")) == {
        midnight_ms: {"NumberOfObjects": (1, 7.0)}
    }
    (of_account,) = told(account_series(account, "us-east-1")).values()
    assert {name: value for name, (_, value) in of_account.items()} == {
        "StorageBytes": 21_124.0,
        "ObjectCount": 7.0,
        "CurrentVersionStorageBytes": 21_010.0,
        "CurrentVersionObjectCount": 3.0,
        "NonCurrentVersionStorageBytes": 100.0,
        "NonCurrentVersionObjectCount": 1.0,
        "DeleteMarkerObjectCount": 1.0,
        "IncompleteMultipartUploadStorageBytes": 14.0,
        "IncompleteMultipartUploadObjectCount": 2.0,
    }


def test_many_buckets_are_told_once_each_and_their_account_after_the_last(
    s3: Any, count: Any, told: Any, midnight_ms: int, account: str
) -> None:
    names = [f"b{number:02}" for number in range(measures.BUCKETS_PER_TELLING + 2)]
    for name in names:
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="k", Body=b"12")
    while count():
        pass
    assert count() is False
    for name in names:
        size = {"BucketSizeBytes": (1, 2.0)}
        assert told(storage_series(name, "StandardStorage")) == {midnight_ms: size}
    empty = {"BucketSizeBytes": (1, 0.0)}
    assert told(storage_series("photos", "StandardStorage")) == {midnight_ms: empty}
    (of_account,) = told(account_series(account, "us-east-1")).values()
    assert of_account["StorageBytes"] == (1, 2.0 * len(names))


def test_what_dies_between_two_tellings_goes_on_and_tells_nothing_twice(
    s3: Any,
    count: Any,
    told: Any,
    midnight_ms: int,
    account: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="photos", Key="k", Body=b"1234")
    monkeypatch.setattr(measures, "BUCKETS_PER_TELLING", 1)
    assert count() is True
    tell = measures._tell
    left = [1]

    async def dying(tr: Any, some: Any, at_ms: int) -> None:
        if not left:
            raise RuntimeError("killed")
        await tell(tr, some, at_ms)
        left.clear()

    with monkeypatch.context() as patched:
        patched.setattr(measures, "_tell", dying)
        with pytest.raises(RuntimeError):
            count()
    assert told(storage_series("photos", "StandardStorage")) == {}
    assert count() is False
    for name, size in (("other", 0.0), ("photos", 4.0)):
        wanted = {midnight_ms: {"BucketSizeBytes": (1, size)}}
        assert told(storage_series(name, "StandardStorage")) == wanted
    (of_account,) = told(account_series(account, "us-east-1")).values()
    assert of_account["StorageBytes"] == (1, 4.0)


def test_telling_some_buckets_again_tells_nothing_more(
    s3: Any, cloud: Cloud, told: Any, midnight_ms: int, account: str
) -> None:
    store = cloud.engine.store_of(domain_of(account, "us-east-1"))
    some = [measures.Told("photos", measures.MeasureRecord(at_ms=midnight_ms, bytes=7))]
    for _ in range(2):
        cloud.run(store.transact(lambda tr: measures._tell(tr, some, midnight_ms)))
        cloud.run(
            store.transact(
                lambda tr: measures._tell_account(tr, (account, "us-east-1"), midnight_ms)
            )
        )
    size = {"BucketSizeBytes": (1, 7.0)}
    assert told(storage_series("photos", "StandardStorage")) == {midnight_ms: size}
    (of_account,) = told(account_series(account, "us-east-1")).values()
    assert of_account["StorageBytes"] == (1, 7.0)


def test_a_bucket_that_is_counted_still_is_not_passed_over(
    s3: Any, count: Any, told: Any, midnight_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.create_bucket(Bucket="zoo")
    look = measures._measure_of

    async def slow(facilities: Any, name: str, at_ms: int) -> Any:
        found = await look(facilities, name, at_ms)
        return measures.MeasureRecord(at_ms=at_ms) if name == "photos" else found

    with monkeypatch.context() as patched:
        patched.setattr(measures, "_measure_of", slow)
        for _ in range(3):
            assert count() is True
    assert told(storage_series("zoo", "StandardStorage")) == {}
    assert count() is False
    for name in ("photos", "zoo"):
        assert list(told(storage_series(name, "StandardStorage"))) == [midnight_ms]


def test_each_day_is_counted_anew_and_a_bucket_from_the_day_after_it_was_made(
    s3: Any, count: Any, told: Any, cloud: Cloud, midnight_ms: int
) -> None:
    assert count(-1) is False  # it was not there at that midnight
    s3.put_object(Bucket="photos", Key="k", Body=b"1")
    while count():
        pass
    s3.put_object(Bucket="photos", Key="k", Body=b"12")
    while count(1):
        pass
    assert told(storage_series("photos", "StandardStorage")) == {
        midnight_ms: {"BucketSizeBytes": (1, 1.0)},
        midnight_ms + DAY_MS: {"BucketSizeBytes": (1, 2.0)},
    }


def test_a_large_bucket_is_counted_in_pieces(
    s3: Any, count: Any, told: Any, midnight_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "ROWS_PER_READ", 2)
    monkeypatch.setattr(measures, "STEPS_PER_PIECE", 1)
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        s3.put_object(Bucket="photos", Key=f"k{number % 4}", Body=b"1")
        upload = {"Bucket": "photos", "Key": f"u{number % 2}"}
        upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
        for part in range(number):
            s3.upload_part(**upload, PartNumber=part + 1, Body=b"y")
    while count():
        pass
    assert told(storage_series("photos", "AllStorageTypes")) == {
        midnight_ms: {"NumberOfObjects": (1, 15.0)}
    }


def test_the_reconciler_comes_at_midnight(
    s3: Any, cloud: Cloud, told: Any, midnight_ms: int, account: str
) -> None:
    s3.put_object(Bucket="photos", Key="k", Body=b"1")
    assert cloud.run(jobs.measure_buckets.step(cloud.app.facilities)) == Rest(midnight_ms)

    async def leap(milliseconds: int) -> None:
        clock: Any = cloud.clock
        clock._now_ms += milliseconds
        clock.advance_to(clock._now_ms)

    cloud.run(leap(DAY_MS))
    for _ in range(3):
        cloud.settle()
        cloud.run(leap(jobs.MEASURES_PERIOD_MS))
    cloud.settle()
    wanted = {midnight_ms: {"BucketSizeBytes": (1, 1.0)}}
    assert told(storage_series("photos", "StandardStorage")) == wanted


def test_a_bucket_that_is_deleted_meanwhile_holds_nothing_up(
    s3: Any, count: Any, told: Any, cloud: Cloud, account: str
) -> None:
    s3.create_bucket(Bucket="short")
    facilities = cloud.app.facilities
    cloud.run(measures.measure_all(facilities, cloud.clock.now_ms() + DAY_MS))
    s3.delete_bucket(Bucket="short")
    cloud.settle()
    while count():
        pass
    assert told(storage_series("short", "StandardStorage")) == {}
    store = cloud.engine.store_of(domain_of(account, "us-east-1"))
    found = cloud.run(store.read(MEASURED.find))
    assert found is not None
    assert found.done


def test_all_that_is_told_is_declared() -> None:
    declared = {(each.namespace, each.name, each.dimensions) for each in METRICS}
    for series, names in (
        (storage_series("b", "StandardStorage"), {"BucketSizeBytes"}),
        (storage_series("b", "AllStorageTypes"), {"NumberOfObjects"}),
        (account_series("a", "r"), measures._sums_of(measures.MeasureRecord(at_ms=0))),
    ):
        dimensions = tuple(name for name, _ in series.dimensions)
        assert {(series.namespace, name, dimensions) for name in names} <= declared
