"""How often somebody may fail to prove who they are.

Rule: who fails too often with one access key from one address is told to slow down before anything
is looked up or computed; who fails too often from one address, with whatever keys, hears that too
instead of what was wrong. A proof that holds is refused for no failure but those of its own key from
its own address: so nobody is locked out by another's failures, as key ids are no secrets. What is
remembered is bounded; forgetting forgives.

Theory: a secret has 240 bits and is not guessed; the bound takes away what failures cost us and what
a long list of key ids could be learned from (which of them exist).
"""

from __future__ import annotations

from typing import Final

from fogbank.base.clock import Clock
from fogbank.gateway.guests import origin_of
from fogbank.gateway.settings import GatewaySettings
from fogbank.gateway.throttle import Buckets
from fogbank.wire.http import HttpRequest

PAIRS_MAX: Final = 8_192
ADDRESSES_MAX: Final = 4_096
_KEY_ID_CHARACTERS_MAX: Final = 128
"""AWS's own bound of an access key id; what is longer is nobody's."""


class FailedProofs:
    """Counts failures by access key and address.

    Where several processes listen, each counts what comes to it, against its share of the bounds:
    what all of them let through together is what the settings say, and who keeps to one connection
    has the share of one.
    """

    __slots__ = ("_addresses", "_pairs", "failed", "throttled")

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self._pairs: Buckets[tuple[str, str]] = Buckets(
            clock,
            settings.failed_proofs_per_second,
            settings.failed_proofs_burst,
            PAIRS_MAX,
            sharers=settings.listening,
        )
        self._addresses: Buckets[str] = Buckets(
            clock,
            settings.address_failed_proofs_per_second,
            settings.address_failed_proofs_burst,
            ADDRESSES_MAX,
            sharers=settings.listening,
        )
        self.failed = 0
        """How many proofs failed so far."""
        self.throttled = 0
        """How many of the claims so far were told to slow down."""

    def is_spent(self, request: HttpRequest, key_id: str) -> bool:
        """Return whether a claim comes too soon after too many failures, and count it if so."""
        if not self.failed:
            return False
        spent = self._pairs.is_spent(_pair_of(request, key_id))
        self.throttled += spent
        return spent

    def fail(self, request: HttpRequest, key_id: str) -> bool:
        """Count a proof that failed; return whether its sender may hear why."""
        pair = _pair_of(request, key_id)
        self.failed += 1
        told = self._pairs.take(pair) & self._addresses.take(pair[1])
        self.throttled += not told
        return told


def _pair_of(request: HttpRequest, key_id: str) -> tuple[str, str]:
    """Return the key and the address that a claim counts against."""
    return key_id[:_KEY_ID_CHARACTERS_MAX], origin_of(request.peer, request.sandbox)
