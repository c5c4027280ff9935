from __future__ import annotations

from fogbank.base.ids import Ids
from fogbank.platform.runtime.sampling import Sampler
from fogbank.testing.clock import VirtualClock


def test_the_first_of_a_second_is_traced_and_one_in_twenty_of_the_others() -> None:
    clock = VirtualClock()
    sampler = Sampler(clock, Ids(lambda size: next(drawn).to_bytes(size)))
    drawn = iter([3_276, 3_275, 0, 65_535])
    assert [sampler.sample("f") for _ in range(5)] == [True, False, True, True, False]
    assert sampler.sample("g"), "each function has its own second"
    clock.advance_to(clock.now_ms() + 1_000)
    assert sampler.sample("f")
