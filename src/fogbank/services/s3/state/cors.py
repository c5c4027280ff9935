"""Cross-origin rules as the gateway finds them; ``configurations`` has how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fogbank.contract.facet import OriginRule, OriginRules
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.state.buckets import find_bucket
from fogbank.services.s3.state.configurations import CORS


def find_domain(params: Mapping[str, str]) -> Domain | None:
    """Return the domain of the bucket that the labels of a path name, or None."""
    return domain_of(params["Bucket"]) if "Bucket" in params else None


async def find_rules(tr: Transaction) -> tuple[OriginRule, ...] | None:
    """Return the rules of the bucket that has the domain's name; None if there is no bucket."""
    bucket = await find_bucket(tr)
    if bucket is None:
        return None
    record = await CORS.find(tr, bucket)
    return () if record is None else record.rules


ORIGINS: Final = OriginRules(domain=find_domain, find=find_rules)
