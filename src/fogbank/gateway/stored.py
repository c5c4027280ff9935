"""Condition keys that take what is stored of a resource: read only where a policy asks for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fogbank.base.arn import find_arn
from fogbank.contract.action import Access, ContextValue
from fogbank.contract.facet import ResourceTags, StoredKeys
from fogbank.contract.service import Service
from fogbank.platform.iam.keys import TAGS
from fogbank.platform.store.engine import Placement

_NO_KEYS: Final[Mapping[str, ContextValue]] = {}


class StoredFacts:
    """What services say of their stored resources, by action."""

    def __init__(self, services: Sequence[Service], placement: Placement) -> None:
        self._placement = placement
        self._tags: Mapping[str, ResourceTags] = {
            service.prefix: service.tags for service in services if service.tags is not None
        }
        self._stored_keys: Mapping[str, StoredKeys] = {
            service.prefix: service.stored_keys
            for service in services
            if service.stored_keys is not None
        }

    async def keys_of(self, access: Access, read: frozenset[str]) -> Mapping[str, ContextValue]:
        """Return the condition keys of an access that lie in the store and that policies read.

        They are as of a moment before the operation, as the policies are.
        """
        found = await self._tags_of(access.resource) if TAGS in read else _NO_KEYS
        facet = self._stored_keys.get(access.action.partition(":")[0])
        if facet is None or facet.names.isdisjoint(read):
            return found
        # What is asked of an access point is stored of the resource that it leads to.
        domain = facet.domain(access.resource if access.point is None else access.point.resource)
        if domain is None:
            return found
        keys = await self._placement.store_of(domain).read(lambda tr: facet.find(tr, access))
        return {**found, **keys}

    async def _tags_of(self, arn: str) -> Mapping[str, ContextValue]:
        """Return the condition keys of a resource's tags, whichever service it is of."""
        found = find_arn(arn)
        facet = None if found is None else self._tags.get(found.service)
        domain = None if facet is None else facet.domain(arn)
        if facet is None or domain is None:
            return _NO_KEYS
        return await self._placement.store_of(domain).read(lambda tr: facet.find(tr, arn))
