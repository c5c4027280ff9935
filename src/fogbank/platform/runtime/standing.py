"""What stands on a machine: its environments, what each does and what it takes.

Rule: a look, which changes nothing: books are read at once, files of the kernel in a thread. No more
than a number of environments are looked at, those that work first.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import msgspec

from fogbank.platform.runtime.pool import Environment, Pool
from fogbank.platform.runtime.port import Look

SHOWN_MAX: Final = 500
"""Environments of one machine that are told of."""
State = Literal["starting", "busy", "idle", "frozen", "ending"]
_ORDER: Final = ("busy", "starting", "ending", "idle")
_UNSEEN: Final = Look(-1, 0, 0, frozen=False)


class Standing(msgspec.Struct, frozen=True):
    """One environment."""

    account: str
    region: str
    function: str
    version: str
    runtime: str
    state: State
    pid: int
    """Of its first process; -1: there is none yet."""
    memory_mb: int
    """Configured."""
    memory_bytes: int
    """What its processes hold."""
    processor_ms: int
    """What they have used of a processor."""
    age_ms: int
    """Since its start began."""
    idle_ms: int
    """How long it has done nothing; 0: it does."""
    invocations: int
    provisioned: bool
    """Whether it is to stand ready."""


class StandingAll(msgspec.Struct, frozen=True):
    """Environments of one machine."""

    environments: list[Standing]
    """Up to ``SHOWN_MAX``."""
    count: int
    """How many there are."""


async def look_at(pool: Pool, now_ms: int) -> StandingAll:
    """Return what stands."""
    every = pool.all()
    states: dict[Environment, State] = {each: _state_of(pool, each) for each in every}
    shown = sorted(every, key=lambda each: _ORDER.index(states[each]))[:SHOWN_MAX]
    looks = await asyncio.to_thread(lambda: [_look(each) for each in shown])
    rows = [
        _standing(each, states[each], look, now_ms) for each, look in zip(shown, looks, strict=True)
    ]
    return StandingAll(rows, len(every))


def _state_of(pool: Pool, environment: Environment) -> State:
    """Return what an environment does, as the books say."""
    if environment.sandbox is None:
        return "starting"
    if environment.gone:
        return "ending"
    return "idle" if pool.is_resting(environment) else "busy"


def _look(environment: Environment) -> Look:
    """Look at the processes of an environment, if it has any."""
    sandbox = environment.sandbox
    return _UNSEEN if sandbox is None else sandbox.look()


def _standing(environment: Environment, state: State, look: Look, now_ms: int) -> Standing:
    """Return what is told of an environment."""
    target = environment.target
    is_idle = state == "idle"
    return Standing(
        account=target.account,
        region=target.region,
        function=target.function_name,
        version=target.version,
        runtime=target.runtime,
        state="frozen" if is_idle and look.frozen else state,
        pid=look.pid,
        memory_mb=target.memory_mb,
        memory_bytes=look.memory_bytes,
        processor_ms=look.processor_ms,
        age_ms=max(0, now_ms - environment.begun_ms) if environment.begun_ms else 0,
        idle_ms=max(0, now_ms - environment.idle_since_ms) if is_idle else 0,
        invocations=environment.invocations,
        provisioned=environment.provisioned,
    )
