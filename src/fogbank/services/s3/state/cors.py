"""CORS configurations of buckets; the gateway evaluates them."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.contract.facet import OriginRule
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.s3.errors import NoSuchCORSConfiguration
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import CORS, BucketRecord, CorsRecord
from fogbank.services.s3.state.buckets import find_bucket


async def require_rules(tr: Transaction, bucket: BucketRecord) -> tuple[OriginRule, ...]:
    """Return the rules of a bucket or refuse the call."""
    record = await CORS.find(tr, bucket.bucket_id)
    if record is None:
        raise NoSuchCORSConfiguration(BucketName=bucket.name)
    return record.rules


def put_rules(tr: Transaction, bucket: BucketRecord, rules: tuple[OriginRule, ...]) -> None:
    """Replace the rules of a bucket."""
    CORS.put(tr, CorsRecord(rules), bucket.bucket_id)


def delete_rules(tr: Transaction, bucket: BucketRecord) -> None:
    """Remove the rules of a bucket, if it has some."""
    CORS.delete(tr, bucket.bucket_id)


def find_domain(params: Mapping[str, str]) -> Domain | None:
    """Return the domain of the bucket that the labels of a path name, or None."""
    return domain_of(params["Bucket"]) if "Bucket" in params else None


async def find_rules(tr: Transaction) -> tuple[OriginRule, ...] | None:
    """Return the rules of the bucket that has the domain's name; None if there is no bucket."""
    bucket = await find_bucket(tr)
    if bucket is None:
        return None
    record = await CORS.find(tr, bucket.bucket_id)
    return () if record is None else record.rules
