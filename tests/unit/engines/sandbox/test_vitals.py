"""What is seen of the processes of a sandbox: this very process sits in for one."""

from __future__ import annotations

import asyncio
import os
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from fogbank.engines.sandbox import vitals
from fogbank.engines.sandbox.birth import Birth
from fogbank.engines.sandbox.vitals import Vitals


async def born() -> Birth:
    """Return the socket of a sandbox that this process has built."""
    birth = Birth(lambda *_: None)
    with socket.socket(fileno=birth.open()) as theirs:
        birth.watch(lambda _: None)
        assert birth.pid == -1
        theirs.send(b"born")
        birth.read()
        birth.close()
    return birth


def rest(*, frozen: bool = False) -> Any:
    return SimpleNamespace(awake=SimpleNamespace(is_set=lambda: not frozen))


def test_who_builds_a_sandbox_is_known_to_be_its_first_process_and_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What earlier tests of this worker have left running would count as well.
    monkeypatch.setattr(vitals.watch, "tree_of", lambda pid, _: [pid])
    birth = asyncio.run(born())
    assert birth.pid == os.getpid()
    look = Vitals(birth, rest(frozen=True)).look()
    assert (look.pid, look.frozen) == (os.getpid(), True)
    assert look.memory_bytes > 1 << 20
    assert abs(look.processor_ms - 1_000 * sum(os.times()[:4])) < 1_000


def test_a_process_that_has_the_number_of_one_that_ended_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = Vitals(asyncio.run(born()), rest())
    assert seen.look().pid > 0
    stat = vitals._stat_of
    monkeypatch.setattr(vitals, "_stat_of", lambda pid: [*stat(pid)[:19], "1", *stat(pid)[20:]])
    assert seen.look() == (-1, 0, 0, False)
    monkeypatch.setattr(vitals, "_stat_of", lambda _: [])
    assert seen.look() == (-1, 0, 0, False)


def test_before_there_is_a_process_nothing_is_seen() -> None:
    async def story() -> None:
        assert Vitals(Birth(lambda *_: None), rest()).look() == (-1, 0, 0, False)

    asyncio.run(story())
