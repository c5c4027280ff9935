"""The books of placement: which environments there are, what each does, and what room is left.

Rule: no waiting, no input or output: every method decides at once, so that what the books say is
always true. Environments that must end are handed to ``end``; their room is free from then on.

Theory: idle environments of one function revision form a stack (the one used last is the warmest),
and all idle ones together a queue by the time they fell idle, from whose old end age and lack of
room take. Room is counted in megabytes of configured memory, as the customer pays for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fogbank.platform.metering.journal import Journal
from fogbank.platform.runtime.functions import Target
from fogbank.platform.runtime.port import Sandbox

CREDENTIALS_MARGIN_MS: Final = 5 * 60_000
"""How long before its credentials end an environment takes no more work, beside the timeout."""

Key = tuple[str, str, str]


class Environment:
    """One environment of a function revision; its sandbox exists once it has started."""

    __slots__ = (
        "broken",
        "code",
        "expires_ms",
        "idle_since_ms",
        "journal",
        "key",
        "queued",
        "sandbox",
        "target",
    )

    def __init__(self, target: Target) -> None:
        self.target = target
        self.key = key_of(target)
        self.sandbox: Sandbox | None = None
        self.journal: Journal | None = None
        self.code: Path | None = None
        """The held code tree."""
        self.expires_ms = 0
        """When its credentials end."""
        self.idle_since_ms = 0
        self.broken = False
        """Whether it must not be used again."""
        self.queued = False
        """Whether its present invocation is one that could wait."""

    @property
    def gone(self) -> bool:
        """Return whether its processes have ended, for whatever reason."""
        return self.sandbox is None or self.sandbox.closed


def key_of(target: Target) -> Key:
    """Return what environments must share to be exchanged for each other."""
    return (target.function_arn, target.version, target.revision)


class Pool:
    """The environments of one machine.

    Args:
        budget_mb: Configured memory of all environments together.
        concurrency_max: Invocations of one account in one region at a time.
        end: Called with each environment that must end.
    """

    def __init__(
        self, budget_mb: int, concurrency_max: int, end: Callable[[Environment], None]
    ) -> None:
        self._budget_mb = budget_mb
        self._concurrency_max = concurrency_max
        self._end = end
        self._stacks: dict[Key, list[Environment]] = {}
        self._idle: dict[Environment, None] = {}
        """In the order in which they fell idle."""
        self._all: dict[str, set[Environment]] = {}
        self._busy: Counter[tuple[str, str]] = Counter()
        self._used_mb = 0

    @property
    def count(self) -> int:
        """Return how many environments there are."""
        return sum(map(len, self._all.values()))

    @property
    def used_mb(self) -> int:
        """Return the configured memory of all of them."""
        return self._used_mb

    def admit(self, target: Target, now_ms: int) -> Environment | None:
        """Return an environment for one invocation, idle before or still to be started; or None."""
        account = (target.account, target.region)
        if self._busy[account] >= self._concurrency_max:
            return None
        environment = self._take_idle(target, now_ms)
        if environment is None:
            if not self._make_room(target.memory_mb):
                return None
            environment = Environment(target)
            self._all.setdefault(target.function_arn, set()).add(environment)
            self._used_mb += target.memory_mb
        self._busy[account] += 1
        return environment

    def _take_idle(self, target: Target, now_ms: int) -> Environment | None:
        """Return the warmest idle environment that can still be used."""
        stack = self._stacks.get(key_of(target), [])
        while stack:
            environment = stack[-1]
            left_ms = environment.expires_ms - now_ms
            if environment.gone or left_ms < target.timeout_ms + CREDENTIALS_MARGIN_MS:
                self._drop(environment)
                continue
            self._unidle(environment)
            return environment
        return None

    def _make_room(self, memory_mb: int) -> bool:
        """End idle environments, the longest idle first, until there is room.

        A function that needs more than the whole budget may run alone.
        """
        while self._used_mb + memory_mb > self._budget_mb and self._idle:
            self._drop(next(iter(self._idle)))
        return self._used_mb + memory_mb <= self._budget_mb or self._used_mb == 0

    def leave(self, environment: Environment, now_ms: int) -> None:
        """Take an environment back after an invocation."""
        target = environment.target
        account = (target.account, target.region)
        self._busy[account] -= 1
        assert self._busy[account] >= 0, "an environment was taken back twice"
        if not self._busy[account]:
            del self._busy[account]
        if environment.broken or environment.gone:
            self._drop(environment)
            return
        environment.idle_since_ms = now_ms
        self._stacks.setdefault(environment.key, []).append(environment)
        self._idle[environment] = None

    def _unidle(self, environment: Environment) -> None:
        """Take an environment out of the idle ones."""
        stack = self._stacks[environment.key]
        stack.remove(environment)
        if not stack:
            del self._stacks[environment.key]
        del self._idle[environment]

    def _drop(self, environment: Environment) -> None:
        """Strike an environment from the books and end it."""
        if environment in self._idle:
            self._unidle(environment)
        arn = environment.target.function_arn
        self._all[arn].remove(environment)
        if not self._all[arn]:
            del self._all[arn]
        self._used_mb -= environment.target.memory_mb
        assert self._used_mb >= 0, "more memory was given back than taken"
        self._end(environment)

    def retire(self, function_arn: str, keep_revision: str) -> None:
        """End the environments of other revisions: idle ones now, busy ones after their work."""
        for environment in list(self._all.get(function_arn, ())):
            if environment.target.revision == keep_revision:
                continue
            environment.broken = True
            if environment in self._idle:
                self._drop(environment)

    def oldest_idle_ms(self) -> int | None:
        """Return since when the longest idle environment has been idle, or None."""
        first = next(iter(self._idle), None)
        return None if first is None else first.idle_since_ms

    def expire(self, before_ms: int) -> None:
        """End the environments that have been idle since before a time."""
        while (oldest_ms := self.oldest_idle_ms()) is not None and oldest_ms <= before_ms:
            self._drop(next(iter(self._idle)))

    def clear(self) -> list[Environment]:
        """End the idle environments and return the busy ones."""
        for environment in list(self._idle):
            self._drop(environment)
        return [environment for some in self._all.values() for environment in some]
