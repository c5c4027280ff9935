"""The store of this process, as whoever tends all stores sees it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from fogbank.server.members import OwnMember


def test_who_rotates_the_keys_wakes_the_jobs_that_seal_anew() -> None:
    told: list[str] = []

    async def rotate() -> Any:
        told.append("rotated")
        return SimpleNamespace(id=2)

    engine: Any = SimpleNamespace(keyring=SimpleNamespace(rotate=rotate))
    member = OwnMember(engine, lambda: told.append("woken"))
    assert asyncio.run(member.rotate()) == 2
    assert told == ["rotated", "woken"]
