"""The stores of one cloud: which one owns a domain, and how it is reached from here.

Rule: a domain's owner follows from its name and the number of stores alone, so that no process has
to ask. The number is written down when the data directory is made (``datadir``) and never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from fogbank.platform.blobs.port import BlobReader
from fogbank.platform.store.engine import Carrier, Domain, OwnStore, Passengers, Store, SystemDomain
from fogbank.platform.store.keyspace import shard_of


class Shard(Protocol):
    """One store of the cloud: an engine here, or another process's."""

    def store_of(self, domain: Domain) -> Store:
        """Return the store of a domain that it owns."""
        ...

    def blobs_of(self, domain: Domain) -> BlobReader:
        """Return where the blobs of a domain that it owns are read."""
        ...


class Shards:
    """The placement of domains over several stores.

    Args:
        shards: Every store, in order.
        own: The stores of this process, by number; the first one's system subspaces are meant
            where a store is asked for by no domain.
        system: The system subspaces of this process's stores.
    """

    def __init__(
        self, shards: Sequence[Shard], own: Sequence[int], system: Sequence[OwnStore]
    ) -> None:
        assert own, "a process that places domains has a store"
        self._shards = shards
        self._own = frozenset(own)
        self._first = shards[own[0]]
        self._system = tuple(system)

    def number_of(self, domain: Domain) -> int:
        """Return the number of the store that owns a domain."""
        return shard_of(domain, len(self._shards))

    def is_ours(self, domain: Domain) -> bool:
        """Return whether a domain lives in this process."""
        return isinstance(domain, SystemDomain) or self.number_of(domain) in self._own

    def store_of(self, domain: Domain) -> Store:
        """Return the store of a domain; of the system subspaces, this process's own."""
        if isinstance(domain, SystemDomain):
            return self._first.store_of(domain)
        return self._shards[self.number_of(domain)].store_of(domain)

    def blobs_of(self, domain: Domain) -> BlobReader:
        """Return where the blobs of a domain are read."""
        return self._shards[self.number_of(domain)].blobs_of(domain)

    def carry(self, passengers: Passengers) -> None:
        """Ask for rows to append whenever our store begins a group of commits.

        Each store process of a server has one store, so every store carries its own; only a process
        that opens several (a command, a test) asks the first of them for all.
        """
        assert isinstance(self._first, Carrier), "the first store of a process is an engine"
        self._first.carry(passengers)

    def riding(self, store: Store, on_commit: Callable[[], None]) -> Store:
        """Return a store of ours that tells of every commit, in the step that makes it."""
        assert isinstance(self._first, Carrier), "the first store of a process is an engine"
        return self._first.riding(store, on_commit)

    def system_stores(self) -> tuple[OwnStore, ...]:
        """Return the system subspaces of this process's stores."""
        return self._system
