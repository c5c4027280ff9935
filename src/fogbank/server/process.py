"""The store process: an engine, services, gateway and jobs on one event loop.

Started by the supervisor (``boot``). Alone it does everything. Where there are several, domains are
shared out by hash: each serves its own, reaches the others through their links, and answers theirs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.keys import secret_of
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.remote.blobs import BlobOwner
from fogbank.engines.remote.owner import StoreOwner
from fogbank.engines.remote.store import Remote
from fogbank.engines.sandbox.client import SandboxRuntime
from fogbank.engines.sql.child import ChildSql
from fogbank.gateway.listener import Listener
from fogbank.platform.link.caller import Line
from fogbank.platform.runtime.debugging import INVOCATION_MS
from fogbank.platform.runtime.pace import RUNNING_PER_PROCESSOR_MIN, Pace
from fogbank.platform.runtime.packages import Packages
from fogbank.platform.runtime.placement import FunctionPlacement, PlacementLimits
from fogbank.platform.store.engine import SYSTEM, Domain
from fogbank.server import accounts, datadir, sandboxes
from fogbank.server import boot as booting
from fogbank.server.app import App, Neighbours, Parts
from fogbank.server.backups import store_settings
from fogbank.server.boot import StartRefusedError
from fogbank.server.bounds import listener_settings
from fogbank.server.config import Config
from fogbank.server.control import ControlServer, listening
from fogbank.server.controls import controls
from fogbank.server.figures import EdgeFigures, front_name, handlers_of, of_store
from fogbank.server.jobs import sealing_anew
from fogbank.server.kernel import memory_bytes, processor_times, processors
from fogbank.server.links import Meeting, dial_of, front_socket, store_socket
from fogbank.server.marking import OwnMarks, PeerMarks, keep_marking
from fogbank.server.members import MemberOwner, OwnMember, PeerMember
from fogbank.server.observer import Observer
from fogbank.server.parting import SIGNAL_MS, Parting
from fogbank.server.roster import services
from fogbank.server.shards import Shards
from fogbank.server.steps import Steps
from fogbank.server.storefigures import Seat, StoreReporter
from fogbank.server.told import Boot

log = logging.getLogger("fogbank")


def main() -> int:
    """Run the store process."""
    return booting.run(_serve)


async def _serve(boot: Boot, steps: Steps) -> None:
    """Open everything, say ready, serve until told to stop, close in reverse order."""
    stop, clock = booting.stop_event(), SystemClock()
    async with AsyncExitStack() as stack:
        door, place = Door(), Place(boot)
        engine, runtime = await _open_both(boot, place, door, stack)
        functions = await _open_functions(boot, place, runtime, stack)
        async with asyncio.TaskGroup() as group:
            cloud = _wire(boot, engine, functions, clock, group)
            app, listener = (
                cloud.app,
                Listener(
                    cloud.app.dispatcher.handle,
                    listener_settings(boot.config),
                    clock,
                    cloud.app.dispatcher.busy,
                ),
            )
            door.listener = listener
            work_to_do = booting.work_of(listener, cloud.meeting)
            garbage = booting.garbage_of(boot, clock, work_to_do)
            lateness = booting.lateness_of(work_to_do, listener)
            figures = EdgeFigures(app.dispatcher, listener, clock, lateness, steps, garbage)
            seat = Seat(boot.number, boot.stores, place.functions_dir)
            reporter = StoreReporter(seat, app, engine, functions, figures)
            if cloud.meeting is not None:
                cloud.meeting.offer(handlers_of(reporter))
                await cloud.meeting.open()
            await booting.with_peers(clock, lambda: _settle(boot, app))
            booting.hear_supervisor(boot, listener)
            work = [
                group.create_task(app.driver.run(), name="driver"),
                group.create_task(app.trail.run(), name="audit"),
                group.create_task(app.dispatcher.refusals.run(), name="refusals"),
                group.create_task(garbage.run(), name="garbage"),
            ]
            if boot.number == 0:
                operators = stack.enter_context(listening(Path(boot.data_dir)))
                observer = _observer(boot, cloud, reporter, clock)
                members = [
                    OwnMember(engine, app.driver.wake),
                    *(PeerMember(cloud.lines[n]) for n in sorted(cloud.lines)),
                ]
                asked = [
                    *controls(app, Path(boot.data_dir), members, boot.tell_secret),
                    *observer.controls(),
                ]
                work += _marking(boot, engine, cloud, clock, group)
                control = ControlServer(asked, clock)
                work += [
                    group.create_task(control.serve(operators), name="control"),
                    group.create_task(observer.serve(boot.config.metrics), name="metrics"),
                ]
            sockets = [socket.socket(fileno=boot.listener)] if boot.listener >= 0 else []
            group.create_task(listener.serve(sockets), name="http")
            booting.say_ready(boot, steps, garbage, lateness)
            await stop.wait()
            await _leave(boot, listener, cloud, clock)
            await app.flush()
            for task in work:
                task.cancel()
            cloud.close()


async def _open_both(
    boot: Boot, place: Place, door: Door, stack: AsyncExitStack
) -> tuple[EmbeddedEngine, SandboxRuntime]:
    """Open store and sandboxes; the stack closes what opened, also if the other fails.

    Each waits for another process or for the disk, and neither for the other.
    """
    below = await stack.enter_async_context(AsyncExitStack())
    above = await stack.enter_async_context(AsyncExitStack())

    async def store() -> EmbeddedEngine:
        engine = await _open_store(boot, place)
        below.push_async_callback(engine.close)
        return engine

    async def sandboxes() -> SandboxRuntime:
        runtime = await _open_sandboxes(boot, place, door)
        above.push_async_callback(runtime.close)
        return runtime

    # Not a task group: whoever is cancelled while it opens has closed nothing yet.
    engine, runtime = await asyncio.gather(store(), sandboxes(), return_exceptions=True)
    if isinstance(engine, BaseException):
        raise engine
    if isinstance(runtime, BaseException):
        raise runtime
    return engine, runtime


async def _open_store(boot: Boot, place: Place) -> EmbeddedEngine:
    """Open the store of this process."""
    encryption = Encryption(
        secret_of(place.store_dir, boot.secrets),
        Ids().random_bytes,
        enabled=boot.config.encryption.enabled,
    )
    return await EmbeddedEngine.open(
        place.store_dir,
        clock=SystemClock(),
        settings=store_settings(boot.config, Path(boot.data_dir), boot.number),
        encryption=encryption,
    )


def _marking(
    boot: Boot,
    engine: EmbeddedEngine,
    cloud: Cloud,
    clock: SystemClock,
    group: asyncio.TaskGroup,
) -> list[asyncio.Task[None]]:
    """Have common moments noted in the archived logs of several stores."""
    if engine.marks is None or not cloud.lines:
        return []
    stores = [OwnMarks(engine.marks), *(PeerMarks(cloud.lines[n]) for n in sorted(cloud.lines))]
    marking = keep_marking(stores, clock, boot.config.archive.interval_ms)
    return [group.create_task(marking, name="marks")]


async def _leave(boot: Boot, listener: Listener, cloud: Cloud, clock: SystemClock) -> None:
    """Drain, and answer the other store processes until they have drained too."""
    cloud.parting.is_stopping = True
    drain_ms = boot.config.limits.drain_ms
    until_ms = clock.now_ms() + drain_ms + SIGNAL_MS
    await listener.drain(drain_ms / 1000)
    await cloud.parting.leave(until_ms)


class Place:
    """Where a store process keeps what is its own."""

    def __init__(self, boot: Boot) -> None:
        data_dir = Path(boot.data_dir)
        self.store_dir = datadir.store_dirs(data_dir, boot.stores)[boot.number]
        self.functions_dir = datadir.functions_dir(data_dir, boot.number, boot.stores)


class Door:
    """Serves the endpoint inside sandboxes on the listener, which is opened after them."""

    def __init__(self) -> None:
        self.listener: Listener | None = None

    async def serve(self, listening_fd: int, function_arn: str) -> None:
        """Serve a listening socket of a sandbox until cancelled."""
        assert self.listener is not None, "no function runs before the server serves"
        await self.listener.adopt(listening_fd, function_arn)


class Cloud(NamedTuple):
    """A wired store process and its ways to the others."""

    app: App
    meeting: Meeting | None
    """Where the others come; None if there are none."""
    remotes: list[Remote]
    lines: dict[int, Line]
    """The ways to the other store processes, by number."""
    fronts: list[Line]
    parting: Parting

    def close(self) -> None:
        """Break the links."""
        for remote in self.remotes:
            remote.close()
        for line in (*self.lines.values(), *self.fronts):
            line.close()
        if self.meeting is not None:
            self.meeting.close()


def _wire(
    boot: Boot,
    engine: EmbeddedEngine,
    functions: FunctionPlacement,
    clock: SystemClock,
    group: asyncio.TaskGroup,
) -> Cloud:
    """Wire the cloud of one store process, with its links to the others."""
    ids, jobs = Ids(), sealing_anew(boot.config.encryption, engine.anew)
    parts = Parts(
        placement=engine,
        blobs=engine.blobs,
        functions=functions,
        clock=clock,
        ids=ids,
        jobs=jobs,
        sql=ChildSql(),
    )
    if boot.is_alone:
        app = App(boot.config, parts, services())
        return Cloud(app, None, [], {}, [], Parting(boot.number, {}, clock))
    dirs = datadir.store_dirs(Path(boot.data_dir), boot.stores)
    sockets = enumerate(store_socket(each) for each in dirs)
    lines = {n: Line(dial_of(each), clock) for n, each in sockets if n != boot.number}
    remotes = {n: Remote(line, clock, group) for n, line in lines.items()}
    shards = Shards(
        [remotes.get(n, engine) for n in range(boot.stores)],
        [boot.number],
        engine.system_stores(),
    )
    parts.placement = shards
    epochs = booting.epochs_of(boot, boot.number)
    assert epochs is not None, "several processes share a page of epochs"

    def owner_of(domain: Domain) -> Line | None:
        return lines.get(shards.number_of(domain))

    neighbours = Neighbours(
        epochs=epochs,
        owner_of=owner_of if lines else None,
        origin=str(boot.number),
        stores=[remote.store_of(SYSTEM) for remote in remotes.values()],
        peers=list(lines.values()),
    )
    app = App(boot.config, parts, services(), neighbours)
    parting = Parting(boot.number, lines, clock)
    handlers = {
        **parting.handlers(),
        **StoreOwner(engine, shards.is_ours).handlers(),
        **BlobOwner(engine.blobs).handlers(),
        **MemberOwner(OwnMember(engine, app.driver.wake), clock, group).handlers(),
        **(OwnMarks(engine.marks).handlers() if engine.marks is not None else {}),
        **app.handlers(epochs.of, engine.blobs),
    }
    meeting = Meeting(store_socket(dirs[boot.number]), handlers, group)
    fronts = [front_socket(Path(boot.data_dir), number) for number in range(boot.fronts)]
    doors = [Line(dial_of(each), clock) for each in fronts] if boot.number == 0 else []
    return Cloud(app, meeting, list(remotes.values()), lines, doors, parting)


def _observer(boot: Boot, cloud: Cloud, own: StoreReporter, clock: SystemClock) -> Observer:
    """Return what looks at every process of the cloud."""
    stores = {of_store("store", n, boot.stores): line for n, line in cloud.lines.items()}
    fronts = {front_name(n): line for n, line in enumerate(cloud.fronts)}
    return Observer(own, {**stores, **fronts}, boot.endpoint, clock)


async def _settle(boot: Boot, app: App) -> None:
    """Read what all stores share; the first one makes the accounts of the credentials file."""
    await app.identity.open()
    if boot.number:
        return
    try:
        await accounts.ensure(Path(boot.data_dir), boot.config, app.identity, app.parts.ids)
    except accounts.AccountError as error:
        raise StartRefusedError(str(error)) from error


async def _open_sandboxes(boot: Boot, place: Place, door: Door) -> SandboxRuntime:
    """Open the sandboxes; if they cannot run here, the server serves all the same."""
    work_dir = place.functions_dir
    work_dir.mkdir(mode=0o755, exist_ok=True)  # ours before it is sandboxd's
    runtime = await SandboxRuntime.open(
        work_dir,
        clock=SystemClock(),
        ids=Ids(),
        endpoint_port=sandboxes.port_of(boot.endpoint),
        serve=door.serve,
        settings=sandboxes.settings_of(
            boot.endpoint,
            boot.config,
            boot.tls.authority if boot.tls is not None else "",
            sandboxes.asking(boot.daemons) if boot.daemons >= 0 else None,
            (boot.data_dir,),
        ),
    )
    if runtime.barred:
        log.warning("FUNCTIONS CANNOT RUN: %s", runtime.barred)
    return runtime


async def _open_functions(
    boot: Boot, place: Place, runtime: SandboxRuntime, stack: AsyncExitStack
) -> FunctionPlacement:
    """Open the placement of functions; the stack closes it."""
    functions = FunctionPlacement(
        runtime,
        Packages(place.functions_dir, runtime.compiler_of),
        clock=SystemClock(),
        ids=Ids(),
        limits=PlacementLimits(
            _memory_budget(boot.config),
            idle_ms=boot.config.functions.idle_ms,
            debug_ms=INVOCATION_MS if boot.config.functions.debug else 0,
        ),
        variables={"AWS_ENDPOINT_URL": boot.endpoint, **runtime.trust()},
        pace=Pace(processor_times, RUNNING_PER_PROCESSOR_MIN * processors()),
    )
    await functions.open()
    stack.push_async_callback(functions.close)
    return functions


def _memory_budget(config: Config) -> int:
    """Return the bytes that all environments of one store process may have together."""
    budget = config.functions.memory_budget_mb << 20
    if not budget:
        budget = memory_bytes() // 2
    return budget // config.processes.stores


if __name__ == "__main__":
    sys.exit(main())
