"""The sandbox engine as the store process sees it: starts sandboxes, outlives its daemon.

Rule: nothing here needs rights; all that does is in ``daemon``. Every sandbox ends with the
daemon that built it; a daemon that dies is started again, at most ``RESTARTS_MAX`` times in
``RESTART_WINDOW_S`` seconds, and until then ``start`` raises ``Unavailable``.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from fogbank.base.clock import Clock
from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.sandbox import interpreters, passage, variables
from fogbank.engines.sandbox.daemon import messages, root
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.daemon.messages import Message
from fogbank.engines.sandbox.environment import End, Environment
from fogbank.engines.sandbox.launch import config_of, launch
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.runtime.port import (
    Connect,
    Credentials,
    Level,
    LogSink,
    Sandbox,
    SandboxSpec,
)

RESTARTS_MAX = 5
RESTART_WINDOW_S = 60.0
HELLO_SECONDS_MAX = 15.0
TRUST_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
_LOST = End("lost", 0, 0, "the sandbox daemon is gone")


class SandboxRuntime:
    """Sandboxes on this machine; implements the port's ``Runtime``."""

    def __init__(
        self, config: Config, *, clock: Clock, serve: Connect | None, settings: SandboxSettings
    ) -> None:
        self._config = config
        self._clock = clock
        self._serve = serve
        self._settings = settings
        self._endpoint = settings.endpoint_url or f"http://127.0.0.1:{config.port}"
        self._link: Link | None = None
        self._hello: asyncio.Future[Message] | None = None
        self._said: Message | None = None
        self._environments: dict[int, Environment] = {}
        self._next_number = 1
        self._restarts: deque[float] = deque(maxlen=RESTARTS_MAX)
        self._restarts_total = 0
        self._bare_account = ""
        self._barred = ""
        """Why no sandbox can be started, where its user may not pass to what it needs."""
        self._restarting: asyncio.Task[None] | None = None
        self._closing = False
        self._tasks = asyncio.TaskGroup()

    @classmethod
    async def open(
        cls,
        work_dir: Path,
        *,
        clock: Clock,
        ids: Ids,
        endpoint_port: int,
        serve: Connect | None = None,
        settings: SandboxSettings | None = None,
    ) -> SandboxRuntime:
        """Start the daemon and learn what this machine allows.

        Args:
            work_dir: Where the daemon keeps sandboxes' ``/tmp``; made if it is not there.
            clock: Tells deadlines and durations.
            ids: Unused so far: nothing here draws entropy.
            endpoint_port: The port that functions find the cloud at, on their own loopback.
            serve: Serves the endpoint on a listener opened inside a sandbox; it owns the
                descriptor and is cancelled when the sandbox is gone.
            settings: Limits; the defaults are AWS's.

        Raises:
            Unavailable: The daemon does not start, or the level that is asked for cannot be had.
        """
        del ids
        settings = settings or SandboxSettings()
        config = await asyncio.to_thread(config_of, work_dir, endpoint_port, settings)
        runtime = cls(config, clock=clock, serve=serve, settings=settings)
        await runtime._tasks.__aenter__()
        try:
            await runtime._connect()
            if runtime.level >= Level.LANDLOCK:
                await asyncio.to_thread(runtime._prepare_host)
        except BaseException:
            runtime._closing = True
            if runtime._link is not None:
                await runtime._link.close()
            await runtime._tasks.__aexit__(None, None, None)
            raise
        return runtime

    def _prepare_host(self) -> None:
        """Make the machine's own tree fit for sandboxes that see it (no namespaces).

        Raises:
            Unavailable: The level was asked for, and its users may not pass to what they need.
        """
        assert self._said is not None
        work_dir = self._config.work_dir
        if self._settings.authority:
            path = Path(work_dir) / root.BARE_AUTHORITY
            path.write_text(self._settings.authority)
            path.chmod(0o644)  # whatever the umask: it is no secret, and sandboxes read it
        if self._said.number("uid") != 0:
            return  # sandboxes are the user that we are
        ours = (*self._settings.folders, work_dir)
        passage.open_way(ours)
        needed = [*ours, *self._config.packages.values()]
        needed += [runtime.executable for runtime in self._config.runtimes.values()]
        self._barred = passage.barred(needed)
        if self._barred and self._settings.level_forced is not None:
            level = self._settings.level_forced
            raise Unavailable(
                f"sandbox level {level.value} ({level.name.lower()}) is asked for and cannot be "
                f"had here: {self._barred}"
            )

    async def _connect(self) -> None:
        """Start a daemon and wait for its greeting."""
        if self._settings.daemon is not None:
            descriptor = await asyncio.to_thread(self._settings.daemon)
            sock, process = socket.socket(fileno=descriptor), None
        else:
            sock, process = launch(self._config, self._settings.python)
        self._hello = asyncio.get_running_loop().create_future()
        link = self._link = Link(sock, process, self._on_message, self._on_gone)
        try:
            self._said = await asyncio.wait_for(self._hello, HELLO_SECONDS_MAX)
        except TimeoutError as error:
            await link.close()
            raise Unavailable("the sandbox daemon does not start") from error
        except Unavailable:
            await link.close()
            raise

    @property
    def level(self) -> Level:
        """Return the isolation that this machine allows."""
        assert self._said is not None
        return Level(self._said.number("level"))

    @property
    def barred(self) -> str:
        """Return why no sandbox can be started on this machine as it is; empty where they can."""
        return self._barred

    def status(self) -> dict[str, object]:
        """Return what an operator wants to know: for ``fogbank doctor``."""
        assert self._said is not None
        link = self._link
        return {
            "level": self.level.name.lower(),
            "daemon": "running" if link is not None and not link.closed else "gone",
            "restarts": self._restarts_total,
            "cgroup": self._said.text("cgroup"),
            "reasons": [*self._said.text("reasons").splitlines(), *filter(None, [self._barred])],
            "sandboxes": len(self._environments),
            "sandboxes_max": self._config.sandboxes_max,
            "runtimes": dict(self.runtimes()),
        }

    def runtimes(self) -> Mapping[str, str]:
        """Return the Lambda runtime names that can run here, each with its interpreter."""
        return {name: runtime.executable for name, runtime in self._config.runtimes.items()}

    def trust(self) -> Mapping[str, str]:
        """Return the variables by which SDKs inside find what to trust at the endpoint.

        A sandbox reaches nothing else, so that this may stand in for all other authorities.
        Without namespaces there is no root of our own to put it in: the operator's file serves.
        """
        if not self._settings.authority:
            return {}
        path = root.AUTHORITY
        if self.level >= Level.LANDLOCK:
            path = os.path.join(self._config.work_dir, root.BARE_AUTHORITY)  # noqa: PTH118 (text)
        return dict.fromkeys(TRUST_VARIABLES, path)

    def missing(self, runtime: str) -> str:
        """Return what to install so that a runtime can run here, as a sentence."""
        return interpreters.missing(runtime, self._config.runtimes)

    async def start(self, spec: SandboxSpec, credentials: Credentials, log: LogSink) -> Sandbox:
        """Start an environment and run its initialisation (imports); never raises for user code.

        Raises:
            Unavailable: The sandbox daemon is gone or the machine is out of room.
        """
        link = self._link
        if link is None or link.closed or self._closing:
            raise Unavailable("the sandbox daemon is gone")
        if spec.runtime not in self._config.runtimes:
            raise Unavailable(self.missing(spec.runtime))
        if self._barred:
            raise Unavailable(self._barred)
        if self.level == Level.BARE and self._bare_account not in {"", spec.account}:
            raise Unavailable("this machine cannot keep accounts apart (level 4): one account only")
        self._bare_account = spec.account
        number, self._next_number = self._next_number, self._next_number + 1
        environment = Environment(number, spec, log, link, self._clock)
        self._environments[number] = environment
        task_root = self._task_root(spec)
        try:
            await environment.open(lambda fd: self._listen(environment, fd))
            await environment.initialise(
                credentials, self._endpoint, task_root, self._settings.init_timeout_ms
            )
        except BaseException:
            environment.kill()
            if not environment.requested:
                self._environments.pop(number, None)
            raise
        return environment

    def _task_root(self, spec: SandboxSpec) -> str:
        """Return where a function finds its code; without namespaces, where it lies."""
        return (
            os.path.realpath(spec.code_dir) if self.level >= Level.LANDLOCK else variables.TASK_ROOT
        )

    def _listen(self, environment: Environment, fd: int) -> None:
        """Serve the endpoint inside a sandbox for as long as it lives."""
        if self._serve is None or self._closing or environment.ended.done():
            os.close(fd)
            return
        owned = [fd]
        arn = environment.spec.function_arn
        task = self._tasks.create_task(_serve_inside(self._serve, owned, arn))
        task.add_done_callback(lambda _: messages.close_all(owned))  # cancelled before it began
        environment.ended.add_done_callback(lambda _: task.cancel())

    def _on_message(self, message: Message) -> None:
        if message.op == "hello" and self._hello is not None and not self._hello.done():
            self._hello.set_result(message)
        elif message.op == "refused" and self._hello is not None and not self._hello.done():
            self._hello.set_exception(Unavailable(message.text("note")))
        elif message.op == "ended":
            environment = self._environments.pop(message.number("id"), None)
            if environment is not None:
                environment.finish(
                    End(
                        message.text("cause"),
                        message.number("status"),
                        message.number("peak_mb"),
                        message.text("note"),
                    )
                )

    def _on_gone(self) -> None:
        """Every sandbox died with the daemon; start another one."""
        for environment in list(self._environments.values()):
            environment.finish(_LOST)
        self._environments.clear()
        if self._hello is not None and not self._hello.done():
            self._hello.set_exception(Unavailable("the sandbox daemon ended while starting"))
        elif not self._closing:
            self._restarting = self._tasks.create_task(self._restart())

    async def _restart(self) -> None:
        """Start the daemon again, bounded; then whoever asks is told ``Unavailable``."""
        gone = self._link
        if gone is not None:
            await gone.close()
        while not self._closing:
            now = self._clock.monotonic()
            if len(self._restarts) == RESTARTS_MAX and now - self._restarts[0] < RESTART_WINDOW_S:
                wait_s = RESTART_WINDOW_S - (now - self._restarts[0])
                await self._clock.sleep_until(self._clock.now_ms() + int(wait_s * 1000) + 1)
                continue
            self._restarts.append(now)
            self._restarts_total += 1
            try:
                await self._connect()
            except (Unavailable, OSError):
                continue
            return

    async def close(self) -> None:
        """End every sandbox and the daemon."""
        self._closing = True
        if self._restarting is not None:
            self._restarting.cancel()
        if self._link is not None:
            await self._link.close()
        for environment in list(self._environments.values()):
            environment.finish(_LOST)
        await self._tasks.__aexit__(None, None, None)


async def _serve_inside(serve: Connect, owned: list[int], function_arn: str) -> None:
    """Serve the endpoint on a sandbox's listener; an error there ends nothing else."""
    try:
        await serve(owned.pop(), function_arn)
    except Exception as error:  # noqa: BLE001 (reported; the other sandboxes go on)
        asyncio.get_running_loop().call_exception_handler(
            {"message": "serving a sandbox's endpoint failed", "exception": error}
        )
