"""How long requests may be: per operation, as its service declares it.

Rule: a body that its operation takes as one value is refused at the first sign that it is too
long: the length that the client promises, or else the byte that passes the limit; nothing behind
it is read or kept. Before the operation is known (a form says it in its body), the largest limit
of the service counts; the operation's own counts once it is.

Source: the quotas page of each service; their limits are named quotas that a setting may change.
"""

from __future__ import annotations

from typing import NamedTuple

from fogbank.base.errors import ServiceError
from fogbank.contract.operation import BodyLimit
from fogbank.contract.quota import Quotas
from fogbank.contract.service import Service
from fogbank.gateway.bound import Bound
from fogbank.gateway.perform import Catalogue
from fogbank.gateway.render import Words
from fogbank.gateway.resolve import Resolver, Target
from fogbank.wire.http import HttpRequest


class Allowance(NamedTuple):
    """How long one body may be, and what is said of a longer one."""

    bytes_max: int
    limit: BodyLimit | None
    words: Words
    operation: str

    def refusal(self, size: int) -> ServiceError:
        """Return the error for a body of this size."""
        if self.limit is not None and self.limit.refusal is not None:
            return self.limit.refusal(size, self.bytes_max)
        return self.words.too_large(self.bytes_max, self.operation)


class BodyLimits:
    """Finds the limits of requests.

    Args:
        catalogue: The operations.
        resolver: Finds them.
        quotas: The limits in force.
        bytes_max: The limit where a service declares none.
    """

    __slots__ = ("_bytes_max", "_catalogue", "_largest", "_quotas", "_resolver")

    def __init__(
        self, catalogue: Catalogue, resolver: Resolver, quotas: Quotas, bytes_max: int
    ) -> None:
        self._catalogue = catalogue
        self._resolver = resolver
        self._quotas = quotas
        self._bytes_max = bytes_max
        self._largest: dict[str, int] = {}

    def check(self, bound: Bound, size: int, words: Words) -> None:
        """Refuse a body that is longer than its operation takes; one of a stream bounds itself.

        Raises:
            ServiceError: In the words of the service.
        """
        if bound.streams:
            return
        allowed = self._bytes_max if bound.body is None else self._value(bound.body)
        if size > allowed:
            raise self.of(bound, words).refusal(size)

    def of(self, bound: Bound, words: Words) -> Allowance:
        """Return how long the body of an operation may be."""
        return Allowance(self._value(bound.body), bound.body, words, bound.name)

    def before(self, target: Target, request: HttpRequest, signing_name: str | None) -> Allowance:
        """Return how long a body may be that must be read before its operation is known.

        The head of most requests names it; what is found is used for this and nothing else.
        """
        guess = Target.of(target.door, target.host, target.region)
        self._resolver.route(guess, request, signing_name)
        bound = self._catalogue.find(guess.service, guess.operation)
        if bound is not None:
            return self.of(bound, target.door.words)
        return Allowance(self._largest_of(target.service), None, target.door.words, "")

    def _value(self, limit: BodyLimit | None) -> int:
        return self._bytes_max if limit is None else self._quotas.value(limit.quota)

    def _largest_of(self, name: str) -> int:
        """Return the largest limit of a service's operations."""
        largest = self._largest.get(name)
        if largest is None:
            service = self._catalogue.services.get(name)
            largest = self._bytes_max if service is None else self._service_max(service)
            if service is not None:
                self._largest[name] = largest
        return largest

    def _service_max(self, service: Service) -> int:
        own = [each.body for each in service.functions.values() if each.body is not None]
        return max(self._value(limit) for limit in (service.body, *own))
