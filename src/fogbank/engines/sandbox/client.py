"""The sandbox engine as the store process sees it: starts sandboxes, outlives its daemon.

Rule: nothing here needs rights; all that does is in ``daemon``. Every sandbox ends with the
daemon that built it; a daemon that dies is started again, at most ``RESTARTS_MAX`` times in
``RESTART_WINDOW_S`` seconds, and until then ``start`` raises ``Unavailable``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from fogbank.base.clock import Clock
from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.sandbox import kinds, machine, offer, runtime_api, variables
from fogbank.engines.sandbox.daemon import root
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.daemon.messages import Message
from fogbank.engines.sandbox.environment import End, Environment, Setting
from fogbank.engines.sandbox.forethought import Forethought
from fogbank.engines.sandbox.launch import config_of, launch
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.serving import Serving
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.engines.sandbox.stem import Stem
from fogbank.engines.sandbox.stems import Limits
from fogbank.engines.sandbox.stock import Stock
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
        self,
        config: Config,
        found: offer.Offer,
        *,
        clock: Clock,
        ids: Ids,
        serve: Connect | None,
        settings: SandboxSettings,
    ) -> None:
        self._ids = ids
        self._config = config
        self._offer = found
        self._clock = clock
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
        self._serving = Serving(self._tasks, serve)
        limits = Limits(config.stems_max, settings.stems_memory_mb, settings.stem_idle_ms / 1000)
        self._stock = Stock(limits, self._tasks, self._number, lambda: self._link)
        self._forethought = Forethought(Path(config.work_dir), found.real)
        self.expect = self._forethought.expect

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
            ids: Names extensions.
            endpoint_port: The port that functions find the cloud at, on their own loopback.
            serve: Serves the endpoint on a listener opened inside a sandbox; it owns the
                descriptor and is cancelled when the sandbox is gone.
            settings: Limits; the defaults are AWS's.

        Raises:
            Unavailable: The daemon does not start, or the level that is asked for cannot be had.
        """
        settings = settings or SandboxSettings()
        found = await asyncio.to_thread(offer.look, settings)
        config = config_of(work_dir, endpoint_port, settings, found)
        runtime = cls(config, found, clock=clock, ids=ids, serve=serve, settings=settings)
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
        assert self._said is not None
        given = (self._said.number("uid"), self._config, self._settings, self._offer)
        self._barred, self._offer = machine.prepare(*given)

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
        self._forethought.serve(link)

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
        return {
            "level": self.level.name.lower(),
            "daemon": "gone" if self._link is None or self._link.closed else "running",
            "restarts": self._restarts_total,
            "cgroup": self._said.text("cgroup"),
            "reasons": [*self._said.text("reasons").splitlines(), *filter(None, [self._barred])],
            "sandboxes": len(self._environments),
            "sandboxes_max": self._config.sandboxes_max,
            "stems": self._stock.stems.count,
            "runtimes": dict(self.runtimes()),
        }

    def runtimes(self) -> Mapping[str, str]:
        """Return the Lambda runtime names that can run here, each with its interpreter."""
        return self._offer.runtimes()

    def compiler_of(self, runtime: str) -> str | None:
        """Return the interpreter that compiles a runtime's sources ahead; None for others."""
        found = self._offer.interpreters.get(self._offer.real(runtime))
        return None if found is None else found.executable

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
        return offer.missing(runtime, self._offer)

    def stands_in(self, runtime: str) -> str:
        """Return what runs in the place of a runtime that is not here; empty where it is."""
        return self._offer.stands_in.get(runtime, "")

    async def start(self, spec: SandboxSpec, credentials: Credentials, log: LogSink) -> Sandbox:
        """Start an environment and run its initialisation (imports); never raises for user code.

        Raises:
            Unavailable: The sandbox daemon is gone or the machine is out of room.
        """
        link = self._link
        if link is None or link.closed or self._closing:
            raise Unavailable("the sandbox daemon is gone")
        if spec.runtime not in self._offer.runtimes():
            raise Unavailable(self.missing(spec.runtime))
        if self._barred:
            raise Unavailable(self._barred)
        if self.level == Level.BARE and self._bare_account not in {"", spec.account}:
            raise Unavailable("this machine cannot keep accounts apart (level 4): one account only")
        self._bare_account = spec.account
        setting, listener = self._setting_of(spec, link)
        spec = kinds.extended(spec, setting.roots)
        environment: Environment | None = None
        stem = self._stem_for(spec, setting)
        if stem is not None:
            with contextlib.suppress(Unavailable):  # it has ended, or is too large for it
                environment = Environment(stem.number, spec, log, setting._replace(stem=stem))
                await self._open(environment, None)
        if environment is None or environment.closed:
            environment = Environment(self._number(), spec, log, setting)
            await self._open(environment, listener)
        try:
            await environment.initialise(credentials)
        except BaseException:
            environment.kill()
            raise
        return environment

    def _number(self) -> int:
        number, self._next_number = self._next_number, self._next_number + 1
        return number

    async def _open(self, environment: Environment, listener: socket.socket | None) -> None:
        """Have an environment built, or a stem become one; raises ``Unavailable``."""
        self._environments[environment.number] = environment
        try:
            if listener is not None:
                self._serving.api(environment, listener)
            await environment.open(lambda fds: self._serving.listen(environment, fds))
        except BaseException:
            environment.kill()
            if not environment.requested:
                self._environments.pop(environment.number, None)
                environment.finish(_LOST)  # nobody else will tell it
            raise

    def _stem_for(self, spec: SandboxSpec, setting: Setting) -> Stem | None:
        """Return a stem that waits for such a function, or None."""
        if self.level >= Level.LANDLOCK:
            return None  # walls name the code's folder, and are built once
        kind = kinds.kind_of(spec, setting.runtime, setting.program, self.trust())
        return None if kind is None else self._stock.take(kind, setting.api_port)

    def _setting_of(self, spec: SandboxSpec, link: Link) -> tuple[Setting, socket.socket | None]:
        """Return what a sandbox is given, and the Runtime API's listener if it is not inside."""
        runtime = self._offer.real(spec.runtime)
        program = self._offer.executed(runtime, spec.environment)
        port, listener = runtime_api.place_of(self.level, self._config.port)
        setting = Setting(
            link=link,
            clock=self._clock,
            endpoint=self._endpoint,
            init_timeout_ms=spec.timeout_ms if spec.debug_port else self._settings.init_timeout_ms,
            roots=variables.roots_of(spec, walled=self.level >= Level.LANDLOCK),
            runtime=runtime,
            program=program,
            api_port=port,
            ids=self._ids,
        )
        return setting, listener

    def _on_message(self, message: Message) -> None:
        if message.op == "hello" and self._hello is not None and not self._hello.done():
            self._hello.set_result(message)
        elif message.op == "refused" and self._hello is not None and not self._hello.done():
            self._hello.set_exception(Unavailable(message.text("note")))
        elif message.op == "measured":
            number = message.number("id")
            if measured := self._environments.get(number) or self._stock.find(number):
                measured.meter.measured(message.number("peak_mb"))
        elif message.op == "bound":
            if bound := self._environments.get(message.number("id")):
                bound.binding.answered(message.text("note"))
        elif message.op == "ended":
            self._stock.ended(message.number("id"))
            environment = self._environments.pop(message.number("id"), None)
            if environment is not None:
                status, peak_mb = message.number("status"), message.number("peak_mb")
                environment.finish(
                    End(message.text("cause"), status, peak_mb, message.text("note"))
                )

    def _on_gone(self) -> None:
        """Every sandbox died with the daemon; start another one."""
        for environment in list(self._environments.values()):
            environment.finish(_LOST)
        self._environments.clear()
        self._stock.gone()
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
        self._serving.close()
        self._stock.stems.close()
        if self._restarting is not None:
            self._restarting.cancel()
        if self._link is not None:
            await self._link.close()
        for environment in list(self._environments.values()):
            environment.finish(_LOST)
        await self._tasks.__aexit__(None, None, None)
