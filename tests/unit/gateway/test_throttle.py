from __future__ import annotations

import pytest

from fogbank.base.errors import Throttled
from fogbank.gateway.settings import GatewaySettings
from fogbank.gateway.throttle import Throttle
from fogbank.testing.clock import VirtualClock


def test_an_account_has_only_so_many_requests_in_work() -> None:
    throttle = Throttle(GatewaySettings(requests_per_account_max=2), VirtualClock())
    throttle.enter("1")
    throttle.enter("1")
    with pytest.raises(Throttled):
        throttle.enter("1")
    throttle.enter("2")
    throttle.leave("1")
    throttle.enter("1")
    assert throttle.throttled == 1


def test_accounts_without_requests_are_forgotten() -> None:
    throttle = Throttle(GatewaySettings(), VirtualClock())
    for account in map(str, range(100)):
        throttle.enter(account)
        throttle.leave(account)
    assert not throttle._in_work


def test_a_rate_allows_a_burst_and_then_its_pace() -> None:
    clock = VirtualClock()
    settings = GatewaySettings(
        requests_per_account_max=100, requests_per_second=10, burst_requests=5
    )
    throttle = Throttle(settings, clock)

    def allowed() -> int:
        count = 0
        for _ in range(20):
            try:
                throttle.enter("1")
            except Throttled:
                continue
            throttle.leave("1")
            count += 1
        return count

    assert allowed() == 5
    clock.advance_to(clock.now_ms() + 300)
    assert allowed() == 3
    clock.advance_to(clock.now_ms() + 60_000)
    assert allowed() == 5
