"""A start whose daemon has died is weather, also where nobody has noticed the death yet."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.environment import End, Environment, Setting
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.variables import ROOTS
from fogbank.platform.runtime.port import SandboxSpec


def spec_of(code: Path) -> SandboxSpec:
    return SandboxSpec(
        account="123456789012",
        function_arn="arn:aws:lambda:eu-west-1:123456789012:function:f",
        function_name="f",
        version="$LATEST",
        revision="1",
        runtime="python3.11",
        handler="app.handler",
        code_dir=str(code),
        environment={},
        memory_mb=128,
        timeout_ms=3000,
    )


def test_a_daemon_found_dead_by_asking_is_weather_and_holds_nobody(tmp_path: Path) -> None:
    async def ask() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        born: list[Environment] = []
        link = Link(ours, None, lambda _: None, lambda: born[0].finish(End("lost", 0, 0, "")))
        setting = Setting(
            link=link,
            clock=SystemClock(),
            endpoint="http://127.0.0.1:1",
            init_timeout_ms=10_000,
            roots=ROOTS,
            runtime="python3.11",
            program=None,
            api_port=9001,
            ids=Ids(),
        )
        born.append(Environment(1, spec_of(tmp_path), lambda _, __: None, setting))
        theirs.close()  # and the loop has had no turn in which to see it
        with pytest.raises(Unavailable, match="gone"):
            await born[0].open(messages.close_all)

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(ask())
    assert len(os.listdir("/proc/self/fd")) == before
