"""``FunctionPlacement``: runs invocations in environments that it starts, keeps and ends.

Theory: ``Pool`` keeps the books and never waits, ``Line`` orders those who do; this module waits for
sandboxes, roles and logs around them. An invocation runs in a task of its own in one task group, so
that a caller who goes away does not cut it off.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from fogbank.base.clock import Clock
from fogbank.base.errors import Throttled
from fogbank.base.ids import Ids
from fogbank.platform.metering.journal import Journal
from fogbank.platform.metering.report import (
    Report,
    billed_ms_of,
    end_line,
    init_report_line,
    report_line,
    start_line,
    timeout_line,
)
from fogbank.platform.runtime import endings
from fogbank.platform.runtime.cloud import LogStream, assume_role
from fogbank.platform.runtime.endings import End
from fogbank.platform.runtime.functions import Invocation, Package, Run, Surroundings, Target
from fogbank.platform.runtime.line import Line
from fogbank.platform.runtime.pace import Pace
from fogbank.platform.runtime.packages import Packages
from fogbank.platform.runtime.pool import Environment, Pool
from fogbank.platform.runtime.port import (
    Ending,
    InitReport,
    Level,
    Outcome,
    Runtime,
    Sandbox,
    SandboxSpec,
)

log = logging.getLogger("fogbank.functions")

CLOSED: Final = "functions are not running"


_ARCHITECTURES: Final = MappingProxyType({"aarch64": "arm64", "amd64": "x86_64"})


class PlacementLimits(NamedTuple):
    """What bounds the environments of one machine."""

    memory_budget_bytes: int
    """Half of the machine's memory, unless the settings say otherwise."""
    concurrency_max: int = 1_000
    """AWS Lambda quotas: concurrent executions of an account in a region."""
    idle_ms: int = 300_000
    starts_max: int = 16
    """Environments that start at the same time."""
    flush_ms: int = 100
    """How long a log line waits for others."""
    together_ms: int = 10
    """How often the log is written of invocations that are done only with it."""


class FunctionPlacement:
    """The one owner of the environments of a machine; open it before use.

    Args:
        runtime: Starts sandboxes.
        packages: Unpacks code.
        clock: The time.
        ids: Names of log streams.
        limits: How many environments there may be.
        variables: Defaults for the environment of every function, such as ``AWS_ENDPOINT_URL``;
            read at each start of an environment.
        pace: How many queued invocations run at once; None: as many as there is room for.
    """

    def __init__(  # noqa: PLR0913 (what placement stands on)
        self,
        runtime: Runtime,
        packages: Packages,
        *,
        clock: Clock,
        ids: Ids,
        limits: PlacementLimits,
        variables: Mapping[str, str],
        pace: Pace | None = None,
    ) -> None:
        self._runtime = runtime
        self._packages = packages
        self._clock = clock
        self._ids = ids
        self._limits = limits
        self._variables = variables
        budget_mb = limits.memory_budget_bytes >> 20
        self._pool = Pool(budget_mb, limits.concurrency_max, self._end)
        self._starts = asyncio.Semaphore(limits.starts_max)
        self._tasks = asyncio.TaskGroup()
        self._line = Line(self._admit, self._leave, pace or Pace(None), clock, self._tasks)
        self._stop = asyncio.Event()
        self.cold_starts = 0
        """Environments that were started so far."""
        self.outcomes: Counter[str] = Counter()
        """Invocations that have ended, by how."""
        self._host: asyncio.Task[None] | None = None
        self._reaper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin: learn which trees are there and be ready for invocations."""
        await self._packages.open()
        ready = asyncio.Event()
        # The one task outside a group, for it holds the group; ``close`` awaits it.
        self._host = asyncio.create_task(self._hold(ready))  # noqa: TID251 (awaited in close)
        await ready.wait()

    async def _hold(self, ready: asyncio.Event) -> None:
        """Own every other task until told to stop."""
        async with self._tasks:
            ready.set()
            await self._stop.wait()

    async def close(self) -> None:
        """End every environment and bring its log lines home."""
        if self._host is None or self._stop.is_set():
            return
        self._line.close(Throttled(CLOSED))
        if self._reaper is not None:
            self._reaper.cancel()
        for environment in self._pool.clear():
            environment.broken = True
            if environment.sandbox is not None:
                self._tasks.create_task(environment.sandbox.close())
        self._stop.set()
        await self._host

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def level(self) -> Level:
        """Return the isolation that this machine allows."""
        return self._runtime.level

    @property
    def architecture(self) -> str:
        """Return the machine's instruction set as Lambda names it."""
        machine = os.uname().machine
        return _ARCHITECTURES.get(machine, machine)

    @property
    def environments(self) -> int:
        """Return how many environments there are."""
        return self._pool.count

    def runtimes(self) -> Mapping[str, str]:
        """Return the Lambda runtime names that can run here, each with its interpreter."""
        return self._runtime.runtimes()

    def missing(self, runtime: str) -> str:
        """Return what to install so that a runtime can run here, as a sentence."""
        return self._runtime.missing(runtime)

    async def prepare(self, package: Package, runtime: str, around: Surroundings) -> None:
        """Unpack and check a package."""
        path = await self._packages.hold(package, runtime, lambda: around.blobs.read(package.blob))
        self._packages.release(path)

    async def check_role(self, target: Target, around: Surroundings) -> None:
        """Return if Lambda may assume the target's execution role."""
        await assume_role(target, around)

    async def retire(self, function_arn: str, keep_revision: str = "") -> None:
        """End the environments of a function whose revision is another than ``keep_revision``."""
        self._pool.retire(function_arn, keep_revision)
        self._line.advance()

    async def run(
        self,
        target: Target,
        invocation: Invocation,
        around: Surroundings,
        *,
        patience_ms: int = 0,
        logged: bool = False,
    ) -> Run:
        """Run one invocation in a warm or new environment."""
        if self._host is None or self._stop.is_set():
            raise Throttled(CLOSED)
        environment = await self._line.enter(target, patience_ms)
        if self._stop.is_set():
            self._leave(environment)
            raise Throttled(CLOSED)
        done: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        work = self._carry_out(environment, invocation, around, done, logged=logged)
        self._tasks.create_task(work, name=invocation.request_id)
        return await done

    def _admit(self, target: Target) -> Environment | None:
        """Take an environment in the books, if there is room for one."""
        return self._pool.admit(target, self._clock.now_ms())

    def _leave(self, environment: Environment) -> None:
        """Take an environment back, and give its room to who waits."""
        if self._stop.is_set():
            environment.broken = True
        self._line.leave(environment)
        self._pool.leave(environment, self._clock.now_ms())
        self._line.advance()
        idle = self._pool.oldest_idle_ms() is not None
        if idle and (self._reaper is None or self._reaper.done()):
            self._reaper = self._tasks.create_task(self._reap(), name="idle environments")

    async def _reap(self) -> None:
        """End environments that have been idle for too long, while there are idle ones."""
        while (oldest_ms := self._pool.oldest_idle_ms()) is not None:
            await self._clock.sleep_until(oldest_ms + self._limits.idle_ms)
            self._pool.expire(self._clock.now_ms() - self._limits.idle_ms)

    async def _carry_out(
        self,
        environment: Environment,
        invocation: Invocation,
        around: Surroundings,
        done: asyncio.Future[Run],
        *,
        logged: bool,
    ) -> None:
        """Run an invocation to its end, whether or not its caller still listens."""
        outcome = "not_run"
        try:
            run = await self._invoke(environment, invocation, around)
            outcome = run.report.status or ("error" if run.failed else "ok")
            if logged and environment.journal is not None:
                await environment.journal.flush_together(self._limits.together_ms)
        except Exception as error:
            if done.done():
                log.exception("%s was abandoned and failed", invocation.request_id)
            else:
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(run)
        finally:
            self.outcomes[outcome] += 1
            done.cancel()

    async def _invoke(
        self, environment: Environment, invocation: Invocation, around: Surroundings
    ) -> Run:
        """Start the environment if it is new, run the invocation, take the environment back."""
        init: InitReport | None = None
        try:
            if environment.sandbox is None:
                sandbox = await self._start(environment, around)
                init = sandbox.init
            else:
                sandbox = environment.sandbox
            run = await self._serve(environment, sandbox, invocation, init)
        except BaseException:
            environment.broken = True
            raise
        finally:
            self._leave(environment)
        return run

    async def _start(self, environment: Environment, around: Surroundings) -> Sandbox:
        """Start a new environment: role, code, log stream, sandbox."""
        target = environment.target
        self.cold_starts += 1
        async with self._starts:
            session = await assume_role(target, around)
            environment.expires_ms = session.credentials.expires_ms
            environment.code = await self._packages.hold(
                target.package, target.runtime, lambda: around.blobs.read(target.package.blob)
            )
            stream = self._stream_name(target)
            writer = LogStream(target, stream, session, around)
            environment.journal = Journal(
                writer.ship, self._clock, self._tasks, flush_ms=self._limits.flush_ms
            )
            spec = spec_of(target, str(environment.code), stream, self._variables)
            sandbox = await self._runtime.start(spec, session.credentials, environment.journal.sink)
            environment.sandbox = sandbox
            return sandbox

    def _stream_name(self, target: Target) -> str:
        """Return the name of a new log stream: ``2026/01/31/[$LATEST]`` and 32 hex digits."""
        day = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        return f"{day:%Y/%m/%d}/[{target.version}]{self._ids.random_bytes(16).hex()}"

    async def _serve(
        self,
        environment: Environment,
        sandbox: Sandbox,
        invocation: Invocation,
        init: InitReport | None,
    ) -> Run:
        """Run an invocation between its START and its REPORT line."""
        target, journal = environment.target, environment.journal
        assert journal is not None, "a started environment has a journal"
        request_id = invocation.request_id
        if init is None:
            journal.begin()
        if init is not None and init.error is not None:
            environment.broken = True
            # AWS: starts once more within the invocation and reports that as its duration.
            outcome = Outcome(Ending.RAISED, b"", init.duration_ms, 0)
            end = endings.end_of_init(init, request_id)
            journal.line(init_report_line(init.duration_ms, end.status, end.error_type))
            journal.line(start_line(request_id, target.version))
            init = None
        else:
            journal.line(start_line(request_id, target.version))
            deadline_ms = self._clock.now_ms() + target.timeout_ms
            outcome = await sandbox.invoke(
                request_id, invocation.payload, deadline_ms, invocation.context
            )
            end = endings.end_of(outcome, request_id, target.timeout_ms)
        report = report_of(target, request_id, outcome, init, end)
        if outcome.ending is Ending.TIMED_OUT:
            journal.line(timeout_line(request_id, target.timeout_ms, self._clock.now_ms()))
        elif end.line:
            journal.line(end.line)
        journal.line(end_line(request_id))
        journal.line(report_line(report))
        return Run(end.payload, end.failed, report, journal.tail())

    def _end(self, environment: Environment) -> None:
        """End an environment that the books have struck."""
        begun = environment.sandbox is not None or environment.code is not None
        if begun and self._host is not None and not self._host.done():
            self._tasks.create_task(self._dismantle(environment))

    async def _dismantle(self, environment: Environment) -> None:
        """Kill the sandbox, let go of the code, bring the last log lines home."""
        try:
            if environment.sandbox is not None:
                await environment.sandbox.close()
        except Exception:
            log.exception("an environment of %s did not end", environment.target.function_arn)
        if environment.code is not None:
            self._packages.release(environment.code)
        if environment.journal is not None:
            await environment.journal.close()


def report_of(
    target: Target, request_id: str, outcome: Outcome, init: InitReport | None, end: End
) -> Report:
    """Return what the REPORT line says of an invocation."""
    duration_ms = outcome.duration_ms
    if outcome.ending is Ending.TIMED_OUT:
        duration_ms = min(duration_ms, float(target.timeout_ms))
    init_ms = None if init is None else init.duration_ms
    return Report(
        request_id=request_id,
        duration_ms=duration_ms,
        billed_ms=billed_ms_of(duration_ms, init_ms),
        memory_mb=target.memory_mb,
        max_memory_mb=min(outcome.max_memory_mb, target.memory_mb),
        init_ms=init_ms,
        status=end.status,
        error_type=end.error_type,
    )


def spec_of(
    target: Target, code_dir: str, log_stream: str, variables: Mapping[str, str]
) -> SandboxSpec:
    """Return what the engine needs to start an environment.

    Source of the variables: AWS Lambda Developer Guide, "Defined runtime environment variables".
    """
    reserved = {
        "_HANDLER": target.handler,
        "AWS_DEFAULT_REGION": target.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{target.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(target.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": target.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": target.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": target.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_REGION": target.region,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "TZ": ":UTC",
    }
    return SandboxSpec(
        account=target.account,
        function_arn=target.function_arn,
        function_name=target.function_name,
        version=target.version,
        revision=target.revision,
        runtime=target.runtime,
        handler=target.handler,
        code_dir=code_dir,
        environment={"LANG": "en_US.UTF-8", **variables, **target.environment, **reserved},
        memory_mb=target.memory_mb,
        timeout_ms=target.timeout_ms,
        tmp_mb=target.tmp_mb,
        log_group=target.log_group,
        log_stream=log_stream,
    )
