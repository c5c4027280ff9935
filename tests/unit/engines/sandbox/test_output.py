"""What a sandbox prints, read where it comes and no more once the sandbox has ended."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fogbank.engines.sandbox.output import Output


def test_what_is_printed_comes_under_the_request_until_the_end() -> None:
    async def story() -> list[tuple[str, bytes]]:
        heard: list[tuple[str, bytes]] = []
        output = Output(lambda request_id, piece: heard.append((request_id, piece)), None)
        written = output.open()
        output.watch()
        output.request_id = "r"
        os.write(written, b"hello")
        output.read()
        output.close()
        output.read()
        os.close(written)
        return heard

    assert asyncio.run(story()) == [("r", b"hello")]


def test_nothing_is_watched_of_a_sandbox_that_has_ended_since() -> None:
    """A stem may end while it is given its function, as with its daemon."""

    async def story() -> bool:
        loop: Any = asyncio.get_running_loop()
        output = Output(lambda *_: None, None)
        os.close(output.open())
        output.close()
        before = set(loop._selector.get_map())
        output.watch()
        return set(loop._selector.get_map()) == before

    assert asyncio.run(story())
