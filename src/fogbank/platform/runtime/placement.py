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
from fogbank.platform.metering.report import Oddity
from fogbank.platform.metering.system_log import RuntimeVersion, SystemLog
from fogbank.platform.runtime import trees
from fogbank.platform.runtime.cloud import LogStream, assume_role, variables_of
from fogbank.platform.runtime.debugging import TOLD, debugged
from fogbank.platform.runtime.figures import Figures
from fogbank.platform.runtime.functions import (
    Answering,
    Invocation,
    Run,
    Surroundings,
    Target,
    Tree,
)
from fogbank.platform.runtime.line import Line
from fogbank.platform.runtime.pace import Pace
from fogbank.platform.runtime.packages import Packages
from fogbank.platform.runtime.pool import Environment, Pool
from fogbank.platform.runtime.port import (
    Level,
    Runtime,
    Sandbox,
    SandboxSpec,
    UndeliveredError,
)
from fogbank.platform.runtime.provisions import Provisions
from fogbank.platform.runtime.sampling import Sampler
from fogbank.platform.runtime.serving import serve
from fogbank.platform.runtime.standing import StandingAll, look_at

log = logging.getLogger("fogbank.functions")

CLOSED: Final = "functions are not running"
_STREAM_BYTES: Final = 16
_TYPES: Final = ("on-demand", "provisioned-concurrency")


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
    debug_ms: int = 0
    """How long an invocation of a function that is debugged may take; 0: none may be debugged."""


class FunctionPlacement:
    """The one owner of the environments of a machine; open it before use.

    Args:
        runtime: Starts sandboxes.
        packages: Unpacks code.
        clock: The time.
        ids: Names of log streams.
        limits: How many environments there may be.
        variables: Defaults for every environment (``AWS_ENDPOINT_URL``), read at each of its starts.
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
        self._runtime, self._packages = runtime, packages
        self._clock, self._ids = clock, ids
        self._limits = limits
        self._variables = variables
        budget_mb = limits.memory_budget_bytes >> 20
        self._pool = pool = Pool(budget_mb, limits.concurrency_max, self._end)
        self._starts = asyncio.Semaphore(limits.starts_max)
        self._tasks = asyncio.TaskGroup()
        pace = pace or Pace(None)
        self._line = Line(self._admit, self._pool.refusal, self._leave, pace, clock, self._tasks)
        self.provisions = Provisions(pool, self._start, self._line.advance, clock, self._tasks)
        self._figures = Figures(self.architecture)
        self.sample = Sampler(clock, ids).sample
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
        self.provisions.close()
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

    async def standing(self) -> StandingAll:
        """Return what each environment is and does, and how many there are."""
        return await look_at(self._pool, self._clock.now_ms())

    def runtimes(self) -> Mapping[str, str]:
        """Return the Lambda runtime names that can run here, each with its interpreter."""
        return self._runtime.runtimes()

    def missing(self, runtime: str) -> str:
        """Return what to install so that a runtime can run here, as a sentence."""
        return self._runtime.missing(runtime)

    async def prepare(self, tree: Tree, around: Surroundings) -> int:
        """Unpack and check packages; return how many bytes that made."""
        self._runtime.expect(tree.runtime)
        return await trees.prepare(tree, self._packages, around)

    async def check_role(self, target: Target, around: Surroundings) -> None:
        """Return if Lambda may assume the target's execution role."""
        await assume_role(target, around, target.timeout_ms)

    async def retire(self, function_arn: str, keep_revision: str = "", version: str = "") -> None:
        """End the environments of a function, or of a version, of other revisions than one."""
        self._pool.retire(function_arn, keep_revision, version)
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
        return await (
            await self._begin(target, invocation, around, patience_ms=patience_ms, logged=logged)
        )

    async def stream(
        self, target: Target, invocation: Invocation, around: Surroundings, answer: Answering
    ) -> None:
        """Run one invocation whose answer is read as it is made; return once it has begun."""
        answer.follow(await self._begin(target, invocation._replace(chunks=answer.write), around))
        await answer.begin()

    async def _begin(
        self,
        target: Target,
        invocation: Invocation,
        around: Surroundings,
        *,
        patience_ms: int = 0,
        logged: bool = False,
    ) -> asyncio.Future[Run]:
        """Begin an invocation as soon as there is room; return what it will have come to."""
        if self._host is None or self._stop.is_set():
            raise Throttled(CLOSED)
        if self._limits.debug_ms:
            target = debugged(target, self._limits.debug_ms)
        try:
            environment = await self._line.enter(target, patience_ms)
        except Throttled:
            self._figures.throttled(around.metrics, target, invocation)
            raise
        if self._stop.is_set():
            self._leave(environment)
            raise Throttled(CLOSED)
        done: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        work = self._carry_out(environment, invocation, around, done, logged=logged)
        self._tasks.create_task(work, name=invocation.request_id)
        return done

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
        outcome, target, running = "not_run", environment.target, self._pool.running(environment)
        began_ms = self._clock.now_ms()
        self._figures.began(around.metrics, target, invocation, running)
        try:
            run = await self._invoke(environment, invocation, around)
            outcome = run.report.status or ("error" if run.failed else "ok")
            self._figures.ended(around.metrics, target, invocation, run, began_ms)
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
        try:
            warm = environment.sandbox
            sandbox = warm or await self._start(environment, around)
            try:
                init = None if warm else sandbox.init
                run = await serve(environment, sandbox, invocation, init, self._clock)
            except UndeliveredError:
                await vacate(environment, self._packages)
                sandbox = await self._start(environment, around)
                run = await serve(environment, sandbox, invocation, sandbox.init, self._clock)
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
            environment.begun_ms = self._clock.now_ms()
            session = await assume_role(target, around, target.timeout_ms)
            environment.expires_ms = session.credentials.expires_ms
            variables = {**self._variables, **await variables_of(target, session, around)}
            await trees.take(environment, self._packages, around)
            entropy = self._ids.random_bytes(_STREAM_BYTES)
            stream = stream_name_of(target, self._clock.now_ms(), entropy)
            writer = LogStream(target, stream, session, around)
            environment.journal = Journal(
                writer.ship, self._clock, self._tasks, flush_ms=self._limits.flush_ms
            )
            environment.system_log = system_log_of(environment, self._clock, self._runtime)
            spec = spec_of(environment, stream, variables)
            sandbox = await self._runtime.start(spec, session.credentials, environment.journal.sink)
            environment.sandbox = sandbox
            environment.system_log.listen(sandbox.tell)
            return sandbox

    def _end(self, environment: Environment) -> None:
        """End an environment that the books have struck."""
        begun = environment.sandbox is not None or environment.code is not None
        if begun and self._host is not None and not self._host.done():
            self._tasks.create_task(dismantle(environment, self._packages))


async def dismantle(environment: Environment, packages: Packages) -> None:
    """Kill the sandbox, let go of the code, bring the last log lines home."""
    try:
        if environment.sandbox is not None:
            await environment.sandbox.close()
    except Exception:
        log.exception("an environment of %s did not end", environment.target.function_arn)
    trees.leave(environment, packages)
    if environment.journal is not None:
        await environment.journal.close()


async def vacate(environment: Environment, packages: Packages) -> None:
    """Dismantle an environment whose runtime has left, to start another in its place.

    A runtime may end itself with its last answer, as AWS's for Java does when memory is out; the
    event that it was not given is another's.
    """
    await dismantle(environment, packages)
    environment.sandbox = environment.journal = environment.system_log = None


def system_log_of(environment: Environment, clock: Clock, runtime: Runtime) -> SystemLog:
    """Return what tells of an environment that starts; it has told that it does."""
    target, journal = environment.target, environment.journal
    assert journal is not None, "a log has somewhere to go"
    told = SystemLog(journal, clock, target.version, target.log_form)
    told.initialization = _TYPES[environment.provisioned]
    stands_in = runtime.stands_in(target.runtime)
    told.oddity = Oddity(stands_in, target.folder, target.debug_port)
    interpreter = runtime.runtimes().get(target.runtime, "")
    told.init_start(RuntimeVersion.of(target.runtime, interpreter, target.region))
    return told


def stream_name_of(target: Target, now_ms: int, entropy: bytes) -> str:
    """Return the name of a new log stream: ``2026/01/31/[$LATEST]`` and 32 hex digits."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{day:%Y/%m/%d}/[{target.version}]{entropy.hex()}"


def spec_of(environment: Environment, log_stream: str, variables: Mapping[str, str]) -> SandboxSpec:
    """Return what the engine needs to start an environment.

    Args:
        environment: What is to start.
        log_stream: Where its log goes.
        variables: The defaults of every environment, and the user's in front of them.

    Source of the variables: AWS Lambda Developer Guide, "Defined runtime environment variables".
    """
    target = environment.target
    reserved = {
        "_HANDLER": target.handler,
        "AWS_DEFAULT_REGION": target.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{target.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(target.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": target.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": target.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": _TYPES[environment.provisioned],
        "AWS_LAMBDA_LOG_GROUP_NAME": target.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_REGION": target.region,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "TZ": ":UTC",
    }
    if target.runtime.startswith("provided"):
        del reserved["AWS_EXECUTION_ENV"]  # AWS: it is not set for OS-only runtimes
    if target.debug_port:
        reserved[TOLD] = str(target.debug_port)
    if target.log_form.json:
        reserved["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        reserved["AWS_LAMBDA_LOG_LEVEL"] = target.log_form.application_level
    return SandboxSpec(
        account=target.account,
        function_arn=target.function_arn,
        function_name=target.function_name,
        version=target.version,
        revision=target.revision,
        runtime=target.runtime,
        handler=target.handler,
        code_dir=str(environment.code),
        layers_dir="" if environment.layers is None else str(environment.layers),
        environment={"LANG": "en_US.UTF-8", **variables, **reserved},
        memory_mb=target.memory_mb,
        timeout_ms=target.timeout_ms,
        tmp_mb=target.tmp_mb,
        debug_port=target.debug_port,
        log_group=target.log_group,
        log_stream=log_stream,
    )
