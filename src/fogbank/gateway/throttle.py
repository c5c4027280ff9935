"""Whether an account may have another request in work now.

Rule: what is refused here costs us nothing further and tells the client to slow down, in the
service's own throttling error, which every SDK retries with back-off. The number of accounts that
are remembered is bounded; forgetting one only refills its bucket.

Theory: a cap on requests in work bounds memory whatever requests cost; a token bucket
(``requests_per_second``) bounds the rate of cheap ones. Little's law joins the two.
"""

from __future__ import annotations

from typing import Final

from fogbank.base.clock import Clock
from fogbank.base.errors import Throttled
from fogbank.gateway.settings import GatewaySettings

_BUCKETS_MAX: Final = 10_000
_ONE: Final = 1_000


class _Bucket:
    """What is left of an account's burst, in thousandths of a request, and when that was true."""

    __slots__ = ("at_ms", "left")

    def __init__(self, left: int, at_ms: int) -> None:
        self.left = left
        self.at_ms = at_ms


class Throttle:
    """Counts requests in work, and tokens, by account."""

    __slots__ = ("_buckets", "_burst", "_clock", "_in_work", "_in_work_max", "_rate", "throttled")

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self._clock = clock
        self._in_work: dict[str, int] = {}
        self._in_work_max = settings.requests_per_account_max
        self._rate = settings.requests_per_second
        self._burst = settings.burst_requests or settings.requests_per_second
        self._buckets: dict[str, _Bucket] = {}
        self.throttled = 0
        """How many requests were refused so far."""

    def enter(self, account: str) -> None:
        """Count a request in; every ``enter`` that returns has its ``leave``.

        Raises:
            Throttled: The account has too many in work, or used up its rate.
        """
        count = self._in_work.get(account, 0)
        if count >= self._in_work_max or (self._rate and not self._take(account)):
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

    def _take(self, account: str) -> bool:
        """Take a token, if the account has one."""
        now_ms = round(self._clock.monotonic() * 1000)
        bucket = self._buckets.get(account)
        if bucket is None:
            if len(self._buckets) >= _BUCKETS_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[account] = _Bucket(self._burst * _ONE, now_ms)
        # A rate per second is as many thousandths of a request per millisecond.
        earned = (now_ms - bucket.at_ms) * self._rate
        left = min(self._burst * _ONE, bucket.left + earned)
        bucket.at_ms = now_ms
        bucket.left = left if left < _ONE else left - _ONE
        return left >= _ONE
