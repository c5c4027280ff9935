"""Whether an account may have another request in work now.

Rule: what is refused here costs us nothing further and tells the client to slow down, in the
service's own throttling error, which every SDK retries with back-off. The number of accounts that
are remembered is bounded; forgetting one only refills its bucket.

Theory: a cap on requests in work bounds memory whatever requests cost; a token bucket
(``requests_per_second``) bounds the rate of cheap ones. Little's law joins the two.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from fogbank.base.clock import Clock
from fogbank.base.errors import Throttled
from fogbank.gateway.settings import GatewaySettings
from fogbank.platform.identity.cache import Lru

K = TypeVar("K", bound=Hashable)

_BUCKETS_MAX: Final = 10_000
_ONE: Final = 1_000_000


class _Bucket:
    """What is left of a burst, in millionths of a token, and when that was true."""

    __slots__ = ("at_ms", "left")

    def __init__(self, left: int, at_ms: int) -> None:
        self.left = left
        self.at_ms = at_ms


class Buckets(Generic[K]):
    """Token buckets by name; what was used longest ago is forgotten, which fills it.

    Args:
        clock: What refills them.
        per_second: Tokens that a bucket earns.
        burst: Tokens that a full one holds.
        buckets_max: How many are remembered.
        sharers: How many processes have such buckets; each has its equal part of rate and burst.
    """

    __slots__ = ("_buckets", "_burst", "_clock", "_rate")

    def __init__(
        self, clock: Clock, per_second: int, burst: int, buckets_max: int, *, sharers: int = 1
    ) -> None:
        assert not burst or burst >= sharers, "a part of a burst is at least one token"
        self._clock = clock
        self._rate = per_second * 1_000 // sharers
        self._burst = burst * _ONE // sharers
        self._buckets: Lru[K, _Bucket] = Lru(buckets_max)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: K) -> bool:
        """Take a token, if the bucket has one."""
        bucket = self._filled(name)
        if bucket is None:
            bucket = _Bucket(self._burst, self._now_ms())
            self._buckets.put(name, bucket)
        if bucket.left < _ONE:
            return False
        bucket.left -= _ONE
        return True

    def is_spent(self, name: K) -> bool:
        """Return whether a bucket has no token left; takes none."""
        if not len(self._buckets):
            return False
        bucket = self._filled(name)
        return bucket is not None and bucket.left < _ONE

    def _now_ms(self) -> int:
        return round(self._clock.monotonic() * 1000)

    def _filled(self, name: K) -> _Bucket | None:
        """Return a bucket with what it has earned by now, or None if it is not remembered."""
        bucket = self._buckets.find(name)
        if bucket is not None:
            now_ms = self._now_ms()
            # A rate per second is a thousand times as many millionths of a token per millisecond.
            earned = (now_ms - bucket.at_ms) * self._rate
            bucket.left = min(self._burst, bucket.left + earned)
            bucket.at_ms = now_ms
        return bucket


class Throttle:
    """Counts requests in work, and tokens, by account."""

    __slots__ = ("_buckets", "_in_work", "_in_work_max", "_rate", "throttled")

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self._in_work: dict[str, int] = {}
        self._in_work_max = settings.requests_per_account_max
        self._rate = settings.requests_per_second
        burst = settings.burst_requests or settings.requests_per_second
        self._buckets: Buckets[str] = Buckets(clock, self._rate, burst, _BUCKETS_MAX)
        self.throttled = 0
        """How many requests were refused so far."""

    def enter(self, account: str) -> None:
        """Count a request in; every ``enter`` that returns has its ``leave``.

        Raises:
            Throttled: The account has too many in work, or used up its rate.
        """
        count = self._in_work.get(account, 0)
        if count >= self._in_work_max or (self._rate and not self._buckets.take(account)):
            self.throttled += 1
            raise Throttled("Rate exceeded")
        self._in_work[account] = count + 1

    def leave(self, account: str) -> None:
        """Count a request out."""
        count = self._in_work[account] - 1
        if count:
            self._in_work[account] = count
        else:
            del self._in_work[account]
