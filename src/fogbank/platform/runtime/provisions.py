"""Environments that stand ready before anybody asks for them: provisioned concurrency.

Rule: whoever wants some says so again and again (the service's job does, each second), and every time
what is missing is started and what is too much ends: so that one that died, whose credentials are
about to end or that found no memory is replaced without anybody noticing its end.

Source: Lambda Developer Guide, "Configuring provisioned concurrency for a function".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from fogbank.base.clock import Clock
from fogbank.platform.metering.report import init_report_line
from fogbank.platform.runtime import endings
from fogbank.platform.runtime.functions import (
    Provisioned,
    RoleNotAssumableError,
    Surroundings,
    Target,
    UnreadableError,
)
from fogbank.platform.runtime.pool import Environment, Key, Pool, key_of
from fogbank.platform.runtime.port import Sandbox

log = logging.getLogger("fogbank.functions")

NO_MEMORY: Final = "There is no memory left for the environments."
INIT_FAILED: Final = "FUNCTION_ERROR_INIT_FAILURE"


class Provisions:
    """Starts what stands ready.

    Args:
        pool: The books.
        start: Starts an environment.
        made_room: Called when an environment can be used, or its room.
        clock: The time.
        tasks: Owns the starts.
    """

    def __init__(
        self,
        pool: Pool,
        start: Callable[[Environment, Surroundings], Awaitable[Sandbox]],
        made_room: Callable[[], None],
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._pool = pool
        self._start = start
        self._made_room = made_room
        self._clock = clock
        self._tasks = tasks
        self._troubles: dict[Key, str] = {}
        """Of versions that are wanted: why the last start failed."""
        self._closed = False

    def close(self) -> None:
        """Start nothing any more."""
        self._closed = True

    def provision(self, target: Target, count: int, around: Surroundings) -> Provisioned:
        """Start what is missing of a number of environments, and end what is too much."""
        if self._closed:
            return self.standing(target, count)
        self._pool.trim(target, count, self._clock.now_ms())
        key = key_of(target)
        if not count:
            self._troubles.pop(key, None)
        for _ in range(count - len(self._pool.provisioned(target))):
            environment = self._pool.prepare(target)
            if environment is None:
                self._troubles[key] = NO_MEMORY
                break
            self._tasks.create_task(self._make_ready(environment, around), name="provisioned")
        self._made_room()
        return self.standing(target, count)

    def standing(self, target: Target, count: int) -> Provisioned:
        """Return what stands of the environments of a version of which so many are wanted."""
        ready = [each for each in self._pool.provisioned(target) if not each.gone]
        trouble = "" if len(ready) == count else self._troubles.get(key_of(target), "")
        return Provisioned(count, len(ready), trouble)

    async def _make_ready(self, environment: Environment, around: Surroundings) -> None:
        """Start an environment and let it stand ready; one that cannot start is let go."""
        target = environment.target
        try:
            sandbox = await self._start(environment, around)
            if sandbox.init.error is not None:
                environment.broken = True
                end = endings.end_of_init(sandbox.init, "")
                assert environment.journal is not None, "a started environment has a journal"
                environment.journal.line(
                    init_report_line(sandbox.init.duration_ms, end.status, end.error_type)
                )
                self._troubles[environment.key] = f"{INIT_FAILED}: {end.error_type}"
            else:
                self._troubles.pop(environment.key, None)
        except Exception as error:
            environment.broken = True
            if isinstance(error, RoleNotAssumableError | UnreadableError):
                log.info("%s: nothing is provisioned: %r", target.function_arn, error)
            else:
                log.exception("%s: nothing is provisioned", target.function_arn)
            self._troubles[environment.key] = f"{type(error).__name__}: {error}"
        finally:
            self._pool.ready(environment)
            self._made_room()
