"""Writers wait for the disk, and not too many of them at once."""

from __future__ import annotations

import asyncio

import pytest

from fogbank.base.errors import Throttled
from fogbank.engines.embedded import gate
from fogbank.engines.embedded.gate import Gate


def test_only_so_many_writers_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "WAITERS_MAX", 2)

    async def work() -> None:
        stalled = True
        closed = Gate(asyncio.get_running_loop(), lambda: 1.0, lambda: stalled)
        waiting = [asyncio.ensure_future(closed.admit()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Throttled, match="2 transactions wait for the disk already"):
            await closed.admit()
        stalled = False
        await asyncio.gather(*waiting)
        await closed.admit()

    asyncio.run(work())
