"""The time that a function has for its start begins when its sandbox is built."""

from __future__ import annotations

import asyncio
import os
import socket

from tests.unit.engines.sandbox.test_stems import Loop, settled

from fogbank.engines.sandbox.birth import Birth


def test_the_limit_of_a_start_begins_when_the_sandbox_is_built() -> None:
    async def story() -> None:
        expired: list[int] = []
        birth = Birth(lambda raw, fds: None)
        theirs = socket.socket(fileno=birth.open())
        birth.watch(lambda fds: None)
        stop = birth.limit(10, lambda: expired.append(1))
        await settled(100)  # a zygote warms up
        assert expired == []
        theirs.send(b"born")
        birth.read()
        await settled(9)
        assert expired == []
        await settled(2)
        assert expired == [1]
        stop()
        # What is built already, as a stem is, has its time from now on; and not after its end.
        stop = birth.limit(10, lambda: expired.append(2))
        await settled(9)
        stop()
        await settled(9)
        assert expired == [1]
        birth.close()
        theirs.close()

    before = len(os.listdir("/proc/self/fd"))
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(story())
    assert len(os.listdir("/proc/self/fd")) == before
