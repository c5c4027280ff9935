"""Which regions there are, and which services have one for all of them.

Rule: what AWS publishes is what there is. Every region of every partition that the installed model
lists is served from the start; a name that it does not list is no region. The pseudo-regions of
global endpoints (``aws-global``) are none either: what they stand for is their credential scope.

Source: botocore's ``partitions.json`` and ``endpoints.json``; AWS General Reference, "AWS service
endpoints", on global endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from fogbank.wire.model import region_data

US_EAST_1: Final = "us-east-1"
"""The region of what has no region, and the default of old."""
_PSEUDO: Final = "-global"


@cache
def regions() -> Mapping[str, str]:
    """Return every region and the id of its partition: ``eu-west-1`` -> ``aws``."""
    partitions, _ = region_data()
    return {
        region: partition["id"]
        for partition in partitions["partitions"]
        for region in partition["regions"]
        if not region.endswith(_PSEUDO)
    }


def is_region(name: str) -> bool:
    """Return whether there is a region of this name."""
    return name in regions()


@cache
def _global_scopes() -> Mapping[str, str]:
    """Return the endpoint prefixes that have no regional endpoints, with their credential scope."""
    _, endpoints = region_data()
    found: dict[str, str] = {}
    services: Mapping[str, Any] = endpoints["partitions"][0]["services"]
    for prefix, service in services.items():
        if service.get("isRegionalized", True):
            continue
        endpoint = service["endpoints"].get(service.get("partitionEndpoint"), {})
        found[prefix] = endpoint.get("credentialScope", {}).get("region", US_EAST_1)
    return found


def global_region(endpoint_prefix: str) -> str:
    """Return the one region of a service that has no other, such as IAM; '' for all others."""
    return _global_scopes().get(endpoint_prefix, "")
