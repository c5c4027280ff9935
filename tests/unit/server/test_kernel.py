from __future__ import annotations

from fogbank.server.kernel import processor_times, processors


def test_the_kernel_tells_what_the_processors_have_done() -> None:
    before = processor_times()
    after = processor_times()
    assert before.idle <= after.idle
    assert 0 < before.total <= after.total
    assert after.idle < after.total
    assert processors() >= 1
