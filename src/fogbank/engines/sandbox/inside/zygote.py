"""The zygote: a warm interpreter that forks sandboxes.

Rule: it runs our code only, parses sandboxd's fixed messages only, holds no secret (empty
environment, no store, no credentials) and starts no thread; a user's package is never loaded
here. Theory: forking a process that has imported boto3 and parsed the common service models saves
200 ms per cold start; the models are shared by one botocore ``Loader`` (every session builds its
own otherwise). Siblings share address layout and hash seed, so a zygote serves one account and is
replaced after so many forks and minutes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fogbank.engines.sandbox.daemon import landlock, messages, syscalls, watch
from fogbank.engines.sandbox.daemon.config import LANDLOCK
from fogbank.engines.sandbox.daemon.steps import Steps
from fogbank.engines.sandbox.inside import bootstrap, build, stems
from fogbank.engines.sandbox.inside.spares import Spare, Spares, discard

CONTROL_FD = 3
_EXIT_MASK = 0xFFFF
_SHORT = 64
_ORPHANS_MS = 20
_PASSES_MAX = 100
_STANDARD = [
    "base64",
    "collections",
    "concurrent.futures",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "email.mime.text",
    "email.utils",
    "enum",
    "functools",
    "gzip",
    "hashlib",
    "hmac",
    "html",
    "http.client",
    "http.cookies",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "pathlib",
    "pickle",
    "queue",
    "random",
    "re",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "string",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "typing",
    "unicodedata",
    "urllib.parse",
    "urllib.request",
    "uuid",
    "xml.etree.ElementTree",
    "zipfile",
    "zlib",
    "zoneinfo",
]
_WARMED = (
    "s3",
    "dynamodb",
    "sqs",
    "sns",
    "lambda",
    "logs",
    "events",
    "kinesis",
    "sts",
    "secretsmanager",
    "ssm",
)


def preload() -> None:
    """Import what functions commonly import, and parse the common service models once."""
    for name in _STANDARD:
        importlib.import_module(name)
    try:
        _share_loader()
    except ImportError:
        pass  # it is not there
    except Exception:  # noqa: BLE001 (made for other versions of Python: functions meet it too)
        sys.stderr.write(f"fogbank-zygote: boto3 is not preloaded: {traceback.format_exc(limit=1)}")


def _share_loader() -> None:
    """Make every botocore session of this process and its children use one warmed loader."""
    loaders = importlib.import_module("botocore.loaders")
    sessions: Any = importlib.import_module("botocore.session")
    boto3: Any = importlib.import_module("boto3")
    importlib.import_module("boto3.dynamodb.conditions")
    importlib.import_module("boto3.dynamodb.types")
    importlib.import_module("boto3.s3.transfer")
    plain = loaders.create_loader
    shared = plain(None)

    def create_loader(search_path_string: str | None = None) -> Any:
        # A user's own AWS_DATA_PATH asks for other models: that session gets its own loader.
        return plain(search_path_string) if search_path_string else shared

    sessions.create_loader = create_loader
    with _slim_models(loaders.JSONFileLoader):
        session = boto3.Session(
            region_name="us-east-1",
            aws_access_key_id="warm",
            aws_secret_access_key="warm",  # noqa: S106 (no secret: it signs nothing)
        )
        for service in _WARMED:
            session.client(service)
        for service in ("s3", "dynamodb"):
            session.resource(service)


@contextlib.contextmanager
def _slim_models(loader: Any) -> Generator[None]:
    """Have models parsed with their documentation empty and with shared strings.

    A quarter of a warm process is prose that only ``help()`` shows, and every fork copies the
    tables of its pages.
    """
    load_file = getattr(loader, "_load_file", None)
    if load_file is None:  # another botocore than those we know: models stay as large as they are
        yield
        return

    def load(_: Any, path: str, open_method: Any) -> Any:
        if not Path(path).is_file():
            return None
        with open_method(path, "rb") as file:
            return json.loads(file.read(), object_pairs_hook=_slim)

    loader._load_file = load  # noqa: SLF001 (the seam that every model passes through)
    try:
        yield
    finally:
        loader._load_file = load_file  # noqa: SLF001 (as above)


def _slim(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a parsed object; endpoint rules insist on having documentation, so it is emptied."""
    return {sys.intern(key): _slim_value(key, value) for key, value in pairs}


def _slim_value(key: str, value: Any) -> Any:
    if type(value) is not str:
        return value
    if key == "documentation":
        return ""
    return sys.intern(value) if len(value) < _SHORT else value


class Zygote:
    """The loop: spawn what sandboxd asks for, tell it who ended and how."""

    def __init__(self, config: dict[str, Any], steps: Steps) -> None:
        self._control = socket.socket(fileno=CONTROL_FD)
        level: int = config["level"]
        walled = level == LANDLOCK
        filters = {s: landlock.programs(walled=walled, shared=s) for s in (False, True)}
        readable = tuple(config.get("readable", ()))
        self._place = build.Place(level, config["port"], readable, filters, steps)
        self._steps = steps
        self._bare = self._place.bare
        self._runtime: str = config.get("runtime", "")
        self._children: dict[int, tuple[int, int]] = {}  # pidfd -> (sandbox, pid)
        self._poll = select.poll()
        self._poll.register(self._control, select.POLLIN)
        self._orphans = False
        self._spares = Spares(self._fork_child)
        self._own_mounts = -1 if self._bare else os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self._own_pids = -1 if self._bare else os.open("/proc/self/ns/pid", os.O_RDONLY)

    def run(self) -> None:
        """Serve until sandboxd is gone."""
        while True:
            for fd, _ in self._poll.poll(_ORPHANS_MS if self._orphans else None):
                if fd != self._control.fileno():
                    self._reap(fd)
                    continue
                message = messages.receive(self._control)
                if message is None:
                    return
                self._on_message(message)
            if self._orphans:
                self._end_orphans()

    def _on_message(self, message: messages.Message) -> None:
        if message.op == "spawn":
            self._spawn(message)
        elif message.op == "prepare":
            self._prepare(message)
        elif message.op == "drop":
            self._drop(message.number("id"))
        elif message.op == "attach":
            self._attach(message)
        # In no ``finally``: the exit of a child passes here, and these numbers are its own by then.
        messages.close_all(message.fds)

    def _prepare(self, message: messages.Message) -> None:
        """Fork ahead."""
        number = message.number("id")
        try:
            spare = self._watched(self._spares.make(message.fds))
        except OSError:
            messages.send(self._control, messages.encode("dropped", id=number))
        else:
            self._spares.keep(number, spare)

    def _drop(self, number: int) -> None:
        """End a spare that is of no use."""
        spare = self._spares.take(number)
        if spare is not None:
            self._poll.unregister(spare.pidfd)
            discard(spare)
        messages.send(self._control, messages.encode("dropped", id=number))

    def _attach(self, message: messages.Message) -> None:
        """Mount the code of a function in the sandbox of a stem."""
        sandbox, note = message.number("id"), ""
        pids = [pid for number, pid in self._children.values() if number == sandbox]
        try:
            with self._steps("attach"):
                stems.attach(pids[0], message.fds, self._own_mounts)
        except (OSError, IndexError) as error:
            note = f"attach: {error}"
        messages.send(self._control, messages.encode("attached", id=sandbox, note=note))

    def _watched(self, spare: Spare) -> Spare:
        self._poll.register(spare.pidfd, select.POLLIN)
        return spare

    def end_all(self) -> None:
        """End every process that came from here, where no pid namespace does it."""
        self._children.clear()
        for _ in range(_PASSES_MAX):
            if not self._bare or watch.end_orphans([]):
                return
            time.sleep(_ORPHANS_MS / 1000)

    def _end_orphans(self) -> None:
        """End what sandboxes that are gone left behind: it has come to us, who adopt orphans."""
        living = [pid for _, pid in self._children.values()] + self._spares.pids
        self._orphans = not watch.end_orphans(living)

    def report_ready(self, elapsed_ms: int) -> None:
        """Tell sandboxd that this zygote is warm."""
        messages.send(self._control, messages.encode("ready", milliseconds=elapsed_ms))

    def _reap(self, pidfd: int) -> None:
        number = self._spares.number_of(pidfd)
        if number is not None:
            self._drop(number)
            return
        if pidfd not in self._children:
            return  # a spare that a start before this found dead
        self._poll.unregister(pidfd)
        sandbox, pid = self._children.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        os.close(pidfd)
        if self._bare:
            self._end_orphans()
        packet = messages.encode("exited", id=sandbox, status=status & _EXIT_MASK)
        with self._steps("tell end"):
            messages.send(self._control, packet)

    def _spawn(self, message: messages.Message) -> None:
        """Have a spare, or a child forked now, become the sandbox that is asked for."""
        sandbox = message.number("id")
        try:
            spare = self._assign(message)
        except OSError as error:
            packet = messages.encode("spawned", id=sandbox, note=f"fork: {error}")
            messages.send(self._control, packet)
            return
        spare.control.close()
        self._children[spare.pidfd] = (sandbox, spare.pid)
        packet = messages.encode("spawned", id=sandbox, note="")
        messages.send(self._control, packet, [spare.pidfd])

    def _assign(self, message: messages.Message) -> Spare:
        """Hand the message to a child, which is watched from now on; raises ``OSError``."""
        passed = build.descriptors_of(message)
        packet = messages.encode(message.op, **message.fields)
        spare = self._spares.take(message.number("spare"))
        if spare is not None:
            with contextlib.suppress(OSError):  # it has ended, and nobody has looked yet
                messages.send(spare.control, packet, passed.own)
                return spare
            self._poll.unregister(spare.pidfd)
            discard(spare)
        spare = self._spares.make(passed.groups)
        try:
            messages.send(spare.control, packet, passed.own)
        except OSError:
            discard(spare)
            raise
        return self._watched(spare)

    def _fork_child(self, control: socket.socket, groups: Sequence[int]) -> int:
        """Fork one child, which waits at a socket for what it is to become."""
        with self._steps("fork"):
            pid = self._fork()
            if pid == 0:
                self._child(control, groups)
        return pid

    def _fork(self) -> int:
        if self._bare:
            return os.fork()
        syscalls.unshare(syscalls.CLONE_NEWPID)  # the next child is the first of a new namespace
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                syscalls.setns(self._own_pids, syscalls.CLONE_NEWPID)
        return pid

    def _child(self, control: socket.socket, groups: Sequence[int]) -> NoReturn:
        """Build what can be built, wait, become the sandbox and run the user's function in it."""
        self._control.detach()
        self._spares.detach()
        birth = build.Birth(control.detach(), self._place)
        birth.prepare(groups)
        bootstrap.rehearse()
        birth.enter()
        try:
            place = bootstrap.Place(birth.task, birth.opt, self._runtime, birth.tmp, birth.report)
            bootstrap.run(place, self._steps)
        except Exception:  # noqa: BLE001 (ours: it must not be taken for an error of the zygote)
            traceback.print_exc()
            os._exit(1)


def main(config: str) -> None:
    """Warm up, then serve."""
    started = time.monotonic()
    syscalls.die_with_parent(signal.SIGKILL)
    syscalls.set_name("fogbank-zygote")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in sandboxd, not here
    values = json.loads(config)
    if values["level"] >= LANDLOCK:
        sys.path.append(values["runtime"])
    else:
        sys.path.append(build.RUNTIME)
    steps = Steps(values["deadly_step"], values["wire"])
    with steps("preload"):
        preload()
    zygote = Zygote(values, steps)
    syscalls.set_dumpable(dumpable=False)
    gc.collect()
    gc.freeze()
    if values["level"] >= LANDLOCK:
        syscalls.become_subreaper()
        syscalls.die_with_parent(0)  # from here on the closed socket tells, and we end our orphans
    try:
        zygote.report_ready(int((time.monotonic() - started) * 1000))
        zygote.run()
    except ConnectionError:
        pass  # sandboxd died while we told it something
    finally:
        zygote.end_all()
    os._exit(0)
