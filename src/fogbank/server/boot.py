"""How a child of the supervisor begins and ends: what it is told, what it says, when it dies.

It reads a ``Boot`` from standard input, says ``ready`` or why it cannot serve on the ready pipe, and
ends when the supervisor does.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import mmap
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic, monotonic_ns
from typing import Any, Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt, Unavailable, Weather
from fogbank.gateway.listener import Listener
from fogbank.gateway.tls import server_context
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.platform.identity.cache import SharedEpochs
from fogbank.server import logs
from fogbank.server.garbage import Garbage, Work
from fogbank.server.kernel import own_memory_bytes
from fogbank.server.lateness import Lateness
from fogbank.server.links import Meeting
from fogbank.server.steps import Steps, WatchedLoop
from fogbank.server.told import ANSWERED, ASKED, NEWS_BYTES_MAX, TRY_AGAIN, Boot, Material

log = logging.getLogger("fogbank")

PEERS_WAIT_MS: Final = 30_000
"""How long a start waits for the other processes that start beside it."""
PEERS_PAUSE_MS: Final = 100
PR_SET_PDEATHSIG: Final = 1
FILES_MAX: Final = 65_536


class NoPeerError(Exception):
    """The processes that start beside this one do not come up."""


def run(serve: Callable[[Boot, Steps], Coroutine[Any, Any, None]]) -> int:
    """Run a child; return its exit status."""
    boot = msgspec.json.decode(sys.stdin.buffer.read(), type=Boot)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for descriptor in (boot.listener, boot.ready, boot.life, boot.daemons, boot.epochs):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 (the standard library's form)
    os.umask(0o077)
    logs.begin(boot.config.log_level, boot.config.log_format)
    _raise_file_limit()
    try:
        steps = Steps(monotonic)
        with asyncio.Runner(loop_factory=lambda: WatchedLoop(steps)) as runner:
            runner.run(serve(boot, steps))
    except NoPeerError as error:
        return _ended(boot, error, TRY_AGAIN)
    except (Corrupt, KeyRefused, Weather, OSError, StartRefusedError) as error:
        return _ended(boot, error, 1)
    return 0


class StartRefusedError(Exception):
    """What stands in the data directory and what the settings say do not go together."""


def _ended(boot: Boot, error: Exception, status: int) -> int:
    """Say why a child ends."""
    with suppress(OSError):
        os.write(boot.ready, str(error).encode())
    log.error("%s", error)
    return status


def _raise_file_limit() -> None:
    """Use all the descriptors that the system grants, for connections and sandboxes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def stop_event() -> asyncio.Event:
    """Return what is set when the process is told to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def work_of(listener: Listener, meeting: Meeting | None = None) -> Callable[[], Work]:
    """Return what says how much this process has to do.

    Args:
        listener: Where work comes from.
        meeting: Where more of it comes from.
    """

    def work() -> Work:
        under_way, so_far = listener.in_flight, listener.bytes_in
        if meeting is not None:
            under_way, so_far = under_way + meeting.under_way, so_far + meeting.begun
        return Work(under_way, so_far)

    return work


def garbage_of(boot: Boot, clock: Clock, work: Callable[[], Work]) -> Garbage:
    """Return what collects this process's garbage."""
    growth_bytes = boot.config.processes.garbage_growth_mb << 20
    return Garbage(clock, own_memory_bytes, work, growth_bytes)


def lateness_of(work: Callable[[], Work], listener: Listener) -> Lateness:
    """Return what measures the running loop, also from the moment on when a first client comes."""
    lateness = Lateness(monotonic_ns, asyncio.get_running_loop().call_later, work)
    listener.on_first = lateness.rouse
    return lateness


def say_ready(boot: Boot, steps: Steps, garbage: Garbage, lateness: Lateness) -> None:
    """Tell the supervisor that we serve; from now on the loop is looked after."""
    garbage.begin()
    steps.begin()
    lateness.begin()
    os.write(boot.ready, b"ready")
    os.close(boot.ready)


def hear_supervisor(boot: Boot, listener: Listener) -> None:
    """Serve with the certificate we were started with, hear the supervisor, and end with it."""
    if boot.tls is not None:
        listener.tls = server_context(boot.tls.certificate, boot.tls.key)
    asyncio.get_running_loop().add_reader(boot.life, _hear, boot.life, listener)


def _hear(life: int, listener: Listener) -> None:
    """Answer the supervisor, take a new certificate from it, or end with it."""
    try:
        said = os.read(life, NEWS_BYTES_MAX)
    except OSError:
        said = b""
    if not said:
        os._exit(1)
    if said == ASKED:
        os.write(life, ANSWERED)  # it asks again only when it has this
        return
    material = msgspec.json.decode(said, type=Material)
    listener.tls = server_context(material.certificate, material.key)


async def with_peers(clock: Clock, start: Callable[[], Awaitable[None]]) -> None:
    """Do a part of the start that needs other processes, which may be starting too.

    Raises:
        NoPeerError: They do not come up.
    """
    until_ms = clock.now_ms() + PEERS_WAIT_MS
    while True:
        try:
            return await start()
        except Unavailable as error:
            if clock.now_ms() >= until_ms:
                raise NoPeerError(str(error)) from error
        await clock.sleep_until(clock.now_ms() + PEERS_PAUSE_MS)


def epochs_of(boot: Boot, row: int | None) -> SharedEpochs | None:
    """Return the page of epochs that all processes share; None if there is only one."""
    if boot.epochs < 0:
        return None
    size = os.fstat(boot.epochs).st_size
    return SharedEpochs(memoryview(mmap.mmap(boot.epochs, size)), row)
