"""Which regions there are, and which services have one for all of them.

Rule: what AWS publishes is what there is. Every region of every partition that the installed model
lists is served from the start; a name that it does not list is no region. The pseudo-regions of
global endpoints (``aws-global``) are none either: what they stand for is their credential scope.

Source: botocore's ``partitions.json`` and ``endpoints.json``; AWS General Reference, "AWS service
endpoints", on global endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from fogbank.base.arn import AWS, partition_of
from fogbank.wire import published

US_EAST_1: Final = "us-east-1"
"""The region of what has no region, and the default of old."""
_PSEUDO: Final = "-global"
_REMEMBERED_MAX: Final = 1_024


@cache
def regions() -> Mapping[str, str]:
    """Return every region and the id of its partition: ``eu-west-1`` -> ``aws``."""
    return {
        region: partition["id"]
        for partition in published.read_list("partitions")["partitions"]
        for region in partition["regions"]
        if not region.endswith(_PSEUDO)
    }


def is_region(name: str) -> bool:
    """Return whether there is a region of this name."""
    return name in regions()


@cache
def _global_scopes() -> Mapping[tuple[str, str], str]:
    """Return where endpoint prefixes have no regional endpoints: by partition, the scope's region."""
    found: dict[tuple[str, str], str] = {}
    for partition in published.read_list("endpoints")["partitions"]:
        services: Mapping[str, Any] = partition["services"]
        for prefix, service in services.items():
            endpoint = service["endpoints"].get(service.get("partitionEndpoint"), {})
            region = endpoint.get("credentialScope", {}).get("region")
            if region and not service.get("isRegionalized", True):
                found[partition["partition"], prefix] = region
    return found


def global_region(endpoint_prefix: str, partition: str = AWS) -> str:
    """Return the one region of a service that has no other, such as IAM; '' for all others."""
    return _global_scopes().get((partition, endpoint_prefix), "")


@lru_cache(maxsize=_REMEMBERED_MAX)
def own_region(endpoint_prefix: str, region: str) -> str:
    """Return the region in which a service is asked by who names a region."""
    return global_region(endpoint_prefix, partition_of(region)) or region


def first_region(partition: str) -> str:
    """Return the region of a partition that its global services are signed for, or its first."""
    own = [region for region, its in regions().items() if its == partition]
    return global_region("iam", partition) or own[0]


def matches(pattern: str, region: str) -> bool:
    """Return whether a pattern of a region set, in which ``*`` is any text, names a region.

    Source: IAM User Guide, "Elements of an AWS API request signature", on ``X-Amz-Region-Set``.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return region == pattern
    *middle, last = rest
    if not region.startswith(first) or not region.endswith(last):
        return False
    at, end = len(first), len(region) - len(last)
    for part in middle:
        at = region.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end


def reached(region_set: Iterable[str], preferred: str) -> str:
    """Return the region that a request with a region set is for: the preferred one if it may be.

    Args:
        region_set: Patterns.
        preferred: The region of the endpoint that was asked.

    Returns:
        The preferred region, or else the first of the set, or '' if the set names no region.
    """
    if any(matches(pattern, preferred) for pattern in region_set):
        return preferred
    for pattern in region_set:
        for region in regions():
            if matches(pattern, region):
                return region
    return ""
