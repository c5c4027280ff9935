"""The books of placement: which environments there are, what each does, and what room is left.

Rule: no waiting, no input or output: every method decides at once, so that what the books say is
always true. Environments that must end are handed to ``end``; their room is free from then on.

Theory: idle environments of one function revision form a stack (the one used last is the warmest),
and all idle ones together a queue by the time they fell idle, from whose old end age and lack of
room take. Provisioned ones are neither: they stand ready until nobody wants them to. Room is counted in megabytes of configured memory, as the customer pays for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fogbank.base.errors import Throttled
from fogbank.platform.metering.journal import Journal
from fogbank.platform.metering.system_log import SystemLog
from fogbank.platform.runtime.figures import Running
from fogbank.platform.runtime.functions import ReservedError, Target
from fogbank.platform.runtime.port import Sandbox

CREDENTIALS_MARGIN_MS: Final = 5 * 60_000
"""How long before its credentials end an environment takes no more work, beside the timeout."""

RENEWED_MS: Final = 60_000
"""So much earlier one that stands ready is replaced."""

Key = tuple[str, str, str]


class Environment:
    """One environment of a function revision; its sandbox exists once it has started."""

    __slots__ = (
        "begun_ms",
        "broken",
        "code",
        "expires_ms",
        "idle_since_ms",
        "invocations",
        "journal",
        "key",
        "layers",
        "provisioned",
        "queued",
        "sandbox",
        "shared",
        "system_log",
        "target",
    )

    def __init__(self, target: Target) -> None:
        self.target = target
        self.key = key_of(target)
        self.sandbox: Sandbox | None = None
        self.journal: Journal | None = None
        self.system_log: SystemLog | None = None
        """Tells of it in its journal."""
        self.code: Path | None = None
        """The held code tree."""
        self.layers: Path | None = None
        """The held tree of its layers; None: it has none."""
        self.expires_ms = 0
        """When its credentials end."""
        self.begun_ms = 0
        """When its start began; 0: it waits for others."""
        self.idle_since_ms = 0
        self.invocations = 0
        """For how many it was taken."""
        self.broken = False
        """Whether it must not be used again."""
        self.queued = False
        """Whether its present invocation is one that could wait."""
        self.provisioned = False
        """Whether it is to stand ready."""
        self.shared = False
        """Whether its present invocation takes room that functions share."""

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
        self._ready: dict[Key, list[Environment]] = {}
        """Provisioned ones that do nothing."""
        self._all: dict[str, set[Environment]] = {}
        self._busy: Counter[tuple[str, str]] = Counter()
        """Invocations of an account that take room that its functions share."""
        self._running: Counter[str] = Counter()
        """Invocations of a function."""
        self._under_way: Counter[tuple[str, str]] = Counter()
        """Invocations of an account in a region."""
        self._standing: Counter[Key] = Counter()
        """Provisioned environments."""
        self._used_mb = 0

    @property
    def count(self) -> int:
        """Return how many environments there are."""
        return sum(map(len, self._all.values()))

    @property
    def used_mb(self) -> int:
        """Return the configured memory of all of them."""
        return self._used_mb

    def refusal(self, target: Target) -> Throttled:
        """Return the error for a target that no environment was found for."""
        return ReservedError() if self._is_reserved_full(target) else Throttled("Rate Exceeded.")

    def _is_reserved_full(self, target: Target) -> bool:
        """Return whether a function runs as often as was reserved for it."""
        return 0 <= target.reserved <= self._running[target.function_arn]

    def admit(self, target: Target, now_ms: int) -> Environment | None:
        """Return an environment for one invocation, idle before or still to be started; or None."""
        if self._is_reserved_full(target):
            return None
        environment = self._take(self._ready, target, now_ms)
        if environment is None:
            if target.reserved < 0 and self._is_shared_full(target):
                return None
            environment = self._take(self._stacks, target, now_ms) or self._add(target)
        if environment is None:
            return None
        environment.invocations += 1
        environment.shared = target.reserved < 0 and not environment.provisioned
        self._busy[target.account, target.region] += environment.shared
        self._running[target.function_arn] += 1
        self._under_way[target.account, target.region] += 1
        return environment

    def running(self, environment: Environment) -> Running:
        """Return how much runs with the invocation that an environment was taken for."""
        target, standing = environment.target, self._standing[environment.key]
        account, busy = (target.account, target.region), 0
        if environment.provisioned:
            busy = sum(not self.is_resting(each) for each in self.provisioned(target))
        return Running(
            self._running[target.function_arn],
            self._under_way[account],
            self._busy[account],
            standing,
            busy,
            spills=not environment.provisioned,
        )

    def _is_shared_full(self, target: Target) -> bool:
        """Return whether an account runs as much as it may of what has no room of its own."""
        most = self._concurrency_max if target.shared_max < 0 else target.shared_max
        return self._busy[target.account, target.region] >= most

    def _add(self, target: Target) -> Environment | None:
        """Write a new environment into the books, if there is memory for it."""
        if not self._make_room(target.memory_mb):
            return None
        environment = Environment(target)
        self._all.setdefault(target.function_arn, set()).add(environment)
        self._used_mb += target.memory_mb
        return environment

    def _take(
        self, stacks: dict[Key, list[Environment]], target: Target, now_ms: int
    ) -> Environment | None:
        """Return the warmest environment of some stacks that can still be used."""
        stack = stacks.get(key_of(target), [])
        while stack:
            environment = stack[-1]
            if not self._is_usable(environment, now_ms):
                self._drop(environment)
                continue
            self._unidle(environment)
            return environment
        return None

    def _is_usable(self, environment: Environment, now_ms: int, margin_ms: int = 0) -> bool:
        """Return whether an environment lives, and its credentials for one invocation more."""
        needed_ms = environment.target.timeout_ms + CREDENTIALS_MARGIN_MS + margin_ms
        return not environment.gone and environment.expires_ms - now_ms >= needed_ms

    # Environments that stand ready.

    def prepare(self, target: Target) -> Environment | None:
        """Return an environment to be started that is to stand ready, if there is room for it."""
        environment = self._add(target)
        if environment is not None:
            environment.provisioned = True
            self._standing[environment.key] += 1
        return environment

    def ready(self, environment: Environment) -> None:
        """Take an environment that was made ready, or could not be."""
        if environment.broken or environment.gone or not environment.provisioned:
            self._drop(environment)
        else:
            self._ready.setdefault(environment.key, []).append(environment)

    def provisioned(self, target: Target) -> list[Environment]:
        """Return the environments of a version that stand ready, work meanwhile or start."""
        every = self._all.get(target.function_arn, ())
        key = key_of(target)
        return [each for each in every if each.key == key and each.provisioned]

    def trim(self, target: Target, count: int, now_ms: int) -> None:
        """End what stands ready beyond a number, and what soon cannot be used."""
        for environment in list(self._ready.get(key_of(target), ())):
            if not self._is_usable(environment, now_ms, RENEWED_MS):
                self._drop(environment)
        surplus = self.provisioned(target)[count:]
        for environment in surplus:
            self._stand_down(environment)
            if environment in self._ready.get(environment.key, ()):
                self._drop(environment)

    def _stand_down(self, environment: Environment) -> None:
        """Have an environment be one as all others, if it was to stand ready."""
        if environment.provisioned:
            environment.provisioned = False
            self._standing[environment.key] -= 1
            if not self._standing[environment.key]:
                del self._standing[environment.key]

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
        self._busy[account] -= environment.shared
        self._running[target.function_arn] -= 1
        self._under_way[account] -= 1
        assert self._busy[account] >= 0, "an environment was taken back twice"
        assert self._running[target.function_arn] >= 0, "an environment was taken back twice"
        if not self._busy[account]:
            del self._busy[account]
        if not self._running[target.function_arn]:
            del self._running[target.function_arn]
        if not self._under_way[account]:
            del self._under_way[account]
        if environment.provisioned or environment.broken or environment.gone:
            self.ready(environment)
            return
        environment.idle_since_ms = now_ms
        self._stacks.setdefault(environment.key, []).append(environment)
        self._idle[environment] = None

    def _unidle(self, environment: Environment) -> None:
        """Take an environment out of those that do nothing."""
        stacks = self._stacks if environment in self._idle else self._ready
        stack = stacks[environment.key]
        stack.remove(environment)
        if not stack:
            del stacks[environment.key]
        self._idle.pop(environment, None)

    def all(self) -> list[Environment]:
        """Return every environment."""
        return [environment for some in self._all.values() for environment in some]

    def is_resting(self, environment: Environment) -> bool:
        """Return whether an environment does nothing."""
        return environment in self._idle or environment in self._ready.get(environment.key, ())

    def _drop(self, environment: Environment) -> None:
        """Strike an environment from the books and end it."""
        if self.is_resting(environment):
            self._unidle(environment)
        self._stand_down(environment)
        arn = environment.target.function_arn
        self._all[arn].remove(environment)
        if not self._all[arn]:
            del self._all[arn]
        self._used_mb -= environment.target.memory_mb
        assert self._used_mb >= 0, "more memory was given back than taken"
        self._end(environment)

    def retire(self, function_arn: str, keep_revision: str, version: str = "") -> None:
        """End the environments of other revisions: idle ones now, busy ones after their work.

        ``version``: of this one alone; empty: of all versions.
        """
        for environment in list(self._all.get(function_arn, ())):
            target = environment.target
            if target.revision == keep_revision or version not in {"", target.version}:
                continue
            environment.broken = True
            if self.is_resting(environment):
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
        resting = [each for stack in self._ready.values() for each in stack]
        for environment in [*self._idle, *resting]:
            self._drop(environment)
        return self.all()
