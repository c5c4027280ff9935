"""The store process: engines, services, gateway and jobs on one event loop.

Started by the supervisor with a ``Boot`` on standard input; it says ``ready``, or why it cannot
serve, on the ready pipe, and ends when the life pipe does.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Weather
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keys import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.sandbox.client import SandboxRuntime
from fogbank.gateway.listener import Listener
from fogbank.gateway.settings import ListenerSettings
from fogbank.gateway.tls import server_context
from fogbank.platform.blobs.sweep import sweep
from fogbank.platform.crypto.keyring import Secret
from fogbank.platform.crypto.keys import KeyRefused
from fogbank.platform.runtime.packages import Packages
from fogbank.platform.runtime.placement import FunctionPlacement, PlacementLimits
from fogbank.server import accounts, datadir, logs, sandboxes
from fogbank.server.app import App, Parts
from fogbank.server.backups import store_settings
from fogbank.server.config import Config
from fogbank.server.control import ControlServer, listening
from fogbank.server.controls import controls
from fogbank.server.figures import Figures
from fogbank.server.roster import services
from fogbank.server.tls import Material

log = logging.getLogger("fogbank")

COLLECTION_MS: Final = 10_000
PR_SET_PDEATHSIG: Final = 1
FILES_MAX: Final = 65_536
NEWS_BYTES_MAX: Final = 1 << 20
"""More than a certificate, its key and its authority take."""


class Boot(msgspec.Struct, frozen=True):
    """What the supervisor tells the store process."""

    data_dir: str
    config: Config
    listener: int
    """Descriptor of the listening socket."""
    ready: int
    """Descriptor of the pipe that takes ``ready`` or the reason why not."""
    life: int
    """Descriptor of the socket that ends with the supervisor, and carries new certificates."""
    endpoint: str
    tls: Material | None = None
    """The certificate to serve with; None: without TLS."""
    daemons: int = -1
    """Descriptor on which the supervisor is asked to start sandboxd; -1: start it ourselves."""
    secret: Secret | None = None
    """What opens the keys of the store."""


def main() -> int:
    """Run the store process."""
    boot = msgspec.json.decode(sys.stdin.buffer.read(), type=Boot)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for descriptor in (boot.listener, boot.ready, boot.life, boot.daemons):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 (the standard library's form)
    os.umask(0o077)
    logs.begin(boot.config.log_level, boot.config.log_format)
    _raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(boot))
    except (Corrupt, KeyRefused, Weather, OSError, accounts.AccountError) as error:
        with suppress(OSError):
            os.write(boot.ready, str(error).encode())
        log.error("%s", error)  # noqa: TRY400 (a reason for the operator, not a bug)
        return 1
    return 0


def _raise_file_limit() -> None:
    """Use all the descriptors that the system grants, for connections and sandboxes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


async def _serve(boot: Boot) -> None:
    """Open everything, say ready, serve until told to stop, close in reverse order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        door = Door()
        engine = await EmbeddedEngine.open(
            Path(boot.data_dir) / datadir.STORE,
            clock=clock,
            settings=store_settings(boot.config, Path(boot.data_dir)),
            encryption=Encryption(
                boot.secret, Ids().random_bytes, enabled=boot.config.encryption.enabled
            ),
        )
        stack.push_async_callback(engine.close)
        app = await _open(boot, engine, door, stack)
        await accounts.ensure(Path(boot.data_dir), boot.config, app.identity, app.parts.ids)
        listener = Listener(app.dispatcher.handle, _bounds(boot.config), clock)
        door.listener = listener
        operators = stack.enter_context(listening(Path(boot.data_dir)))
        functions = app.parts.functions
        assert isinstance(functions, FunctionPlacement)
        figures = Figures(app, engine, functions, listener, boot.endpoint)
        control = ControlServer(
            [*controls(app, Path(boot.data_dir), engine), *figures.controls()], clock
        )
        if boot.tls is not None:
            listener.tls = server_context(boot.tls.certificate, boot.tls.key)
        loop.add_reader(boot.life, _hear, boot.life, listener)
        async with asyncio.TaskGroup() as group:
            work = [
                group.create_task(app.driver.run(), name="driver"),
                group.create_task(app.trail.run(), name="audit"),
                group.create_task(figures.watch_loop(), name="lateness"),
                group.create_task(figures.serve(boot.config.metrics), name="metrics"),
                group.create_task(_collect_garbage(clock), name="garbage"),
                group.create_task(control.serve(operators), name="control"),
            ]
            group.create_task(_sweep_orphans(engine), name="sweep")
            group.create_task(listener.serve([socket.socket(fileno=boot.listener)]), name="http")
            gc.collect()
            gc.freeze()
            gc.disable()  # a full collection holds the loop for tens of milliseconds
            os.write(boot.ready, b"ready")
            os.close(boot.ready)
            await stop.wait()
            await listener.drain(boot.config.limits.drain_ms / 1000)
            await app.trail.flush()
            for task in work:
                task.cancel()


def _hear(life: int, listener: Listener) -> None:
    """Take a new certificate from the supervisor, or end with it."""
    try:
        said = os.read(life, NEWS_BYTES_MAX)
    except OSError:
        said = b""
    if not said:
        os._exit(1)
    material = msgspec.json.decode(said, type=Material)
    listener.tls = server_context(material.certificate, material.key)


class Door:
    """Serves the endpoint inside sandboxes on the listener, which is opened after them."""

    def __init__(self) -> None:
        self.listener: Listener | None = None

    async def serve(self, listening_fd: int, function_arn: str) -> None:
        """Serve a listening socket of a sandbox until cancelled."""
        assert self.listener is not None, "no function runs before the server serves"
        await self.listener.adopt(listening_fd, function_arn)


async def _sweep_orphans(engine: EmbeddedEngine) -> None:
    """Remove the blobs that a crash before this start left without a reference."""
    blobs = engine.blobs
    swept = await sweep(engine.system_stores()[0], blobs, blobs.before_start())
    if swept:
        log.warning("removed %d blobs that a crash had left", swept)


async def _open(boot: Boot, engine: EmbeddedEngine, door: Door, stack: AsyncExitStack) -> App:
    """Open the sandboxes and wire the cloud; the stack closes what was opened."""
    data_dir, config = Path(boot.data_dir), boot.config
    clock, ids = SystemClock(), Ids()
    (data_dir / datadir.FUNCTIONS).mkdir(mode=0o755, exist_ok=True)  # ours before it is sandboxd's
    runtime = await SandboxRuntime.open(
        data_dir / datadir.FUNCTIONS,
        clock=clock,
        ids=ids,
        endpoint_port=sandboxes.port_of(boot.endpoint),
        serve=door.serve,
        settings=sandboxes.settings_of(
            boot.endpoint,
            config,
            boot.tls.authority if boot.tls is not None else "",
            sandboxes.asking(boot.daemons) if boot.daemons >= 0 else None,
        ),
    )
    stack.push_async_callback(runtime.close)
    functions = FunctionPlacement(
        runtime,
        Packages(data_dir / datadir.FUNCTIONS, runtime.runtimes().get),
        clock=clock,
        ids=ids,
        limits=PlacementLimits(_memory_budget(config), idle_ms=config.functions.idle_ms),
        variables={"AWS_ENDPOINT_URL": boot.endpoint, **runtime.trust()},
    )
    await functions.open()
    stack.push_async_callback(functions.close)
    parts = Parts(placement=engine, blobs=engine.blobs, functions=functions, clock=clock, ids=ids)
    app = App(config, parts, services())
    await app.identity.open()
    return app


def _memory_budget(config: Config) -> int:
    """Return the bytes that all environments may have together."""
    if config.functions.memory_budget_mb:
        return config.functions.memory_budget_mb << 20
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _bounds(config: Config) -> ListenerSettings:
    """Return what the settings say to the listener."""
    limits = config.limits
    return ListenerSettings(
        connections_max=limits.connections_max,
        requests_max=limits.requests_max,
        connections_per_address_max=limits.connections_per_address_max,
        requests_per_address_max=limits.requests_per_address_max,
        streams_max=limits.streams_max,
        body_rate_bytes_min=limits.body_rate_bytes_min,
        body_rate_grace_ms=limits.body_rate_grace_ms,
        head_timeout_ms=limits.head_timeout_ms,
        body_timeout_ms=limits.body_timeout_ms,
        idle_timeout_ms=limits.idle_timeout_ms,
    )


async def _collect_garbage(clock: SystemClock) -> None:
    """Collect young cyclic garbage now and then, as automatic collections are off."""
    while True:
        await clock.sleep_until(clock.now_ms() + COLLECTION_MS)
        gc.collect(1)


if __name__ == "__main__":
    sys.exit(main())
