"""Real sandboxes for tests: one daemon per level and module, warmed once.

As root every level is tried with a daemon of root and, but for the full one, with a daemon of an
ordinary user; as an ordinary user only the latter. Where user namespaces are forbidden the tests
of the levels that need them are skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.sandbox.client import SandboxRuntime
from fogbank.engines.sandbox.launch import command_of, config_of
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.runtime.port import Credentials, Level, Outcome, Sandbox, SandboxSpec

ACCOUNT = "123456789012"
ORDINARY_UID = 65534
PORT = 10_000 + os.getpid() % 20_000
"""Of the endpoint inside, which marks the zygotes of this run among all of the machine."""
RUN_SECONDS_MAX = 90.0
"""For one thing that a test waits for: far more than a start on a busy machine."""
EXEC = """
def handler(event, context):
    names = {"context": context, "event": event}
    exec(event["code"], names)
    return names.get("answer")
"""
_next_folder = iter(range(1_000_000))


@pytest.fixture(autouse=True)
def apart_from_bombs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep sandboxes and bombs of other test processes apart.

    At the bare level a sandbox's limit is the kernel's count of all processes of its user.
    """
    is_bomb = request.node.get_closest_marker("bomb") is not None
    path = Path(tempfile.gettempdir()) / f"fogbank-bombs-{os.getuid()}"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if is_bomb else fcntl.LOCK_SH)
        yield


def processes_of(level: str) -> dict[str, int]:
    """Return a low limit of processes; the usual one where the kernel counts all of our user's."""
    return {} if level == "bare" and os.getuid() != 0 else {"processes_max": 64}


class Lab:
    """A runtime, and what tests do with it again and again."""

    def __init__(
        self,
        level: str,
        settings: dict[str, Any] | None = None,
        deadly_step: str = "",
        folder: Path | None = None,
        daemons: list[int] | None = None,
        *,
        slim: bool = False,
    ) -> None:
        """Open a runtime.

        Args:
            level: Its name, and "ordinary" where root is to have an ordinary user's daemon.
            settings: Others than the defaults.
            deadly_step: Where the first daemon dies.
            folder: Where its files go; a fresh one if none is given.
            daemons: Told the process id of each daemon.
            slim: Without boto3 and a spare zygote, whose warming costs most of a short test.
        """
        self._keep = False
        self._slim = slim
        self.level, _, user = level.partition(" ")
        self.ordinary = user == "ordinary" or os.getuid() != 0
        self.folder = folder or Path(tempfile.mkdtemp(prefix="fogbank-lab-", dir="/tmp"))
        self.folder.chmod(0o755)
        (self.folder / "work").mkdir(exist_ok=True)
        self.clock = SystemClock()
        self.runner = asyncio.Runner()
        self.logs: list[tuple[str, bytes]] = []
        self.served: list[tuple[int, str]] = []
        self._settings = settings or {}
        self.deadly_step = deadly_step
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._daemon_pids = [] if daemons is None else daemons
        try:
            self.runtime = self.run(self._open())
        except BaseException:
            self._bury()
            raise

    def run(self, work: Any) -> Any:
        """Do what takes a while; what never ends fails instead of holding the suite."""
        return self.runner.run(asyncio.wait_for(work, RUN_SECONDS_MAX))

    async def _open(self) -> SandboxRuntime:
        work = self.folder / "work"
        values = {"level_forced": Level[self.level.upper()], "stems_max": 0, **self._settings}
        settings = SandboxSettings(**values)
        if self.ordinary and os.getuid() == 0:
            os.chown(work, ORDINARY_UID, ORDINARY_UID)
        return await SandboxRuntime.open(
            work,
            clock=self.clock,
            ids=Ids(),
            endpoint_port=PORT,
            serve=self._serve,
            settings=SandboxSettings(**values, daemon=lambda: self._launch(work, settings)),
        )

    def _launch(self, work: Path, settings: SandboxSettings) -> int:
        """Start a daemon, as the user of this lab; only the first one meets its deadly step."""
        step, self.deadly_step = self.deadly_step, ""
        config = config_of(work, PORT, settings)._replace(deadly_step=step)
        if self._slim:
            config = config._replace(packages={}, zygotes_max=1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        user: dict[str, Any] = {"user": ORDINARY_UID, "group": ORDINARY_UID, "extra_groups": []}
        with theirs:
            daemon = subprocess.Popen(
                command_of(config, sys.executable, theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={},
                cwd="/",
                **(user if self.ordinary and os.getuid() == 0 else {}),
            )
        self._daemons.append(daemon)
        self._daemon_pids.append(daemon.pid)
        return ours.detach()

    async def _serve(self, fd: int, arn: str) -> None:
        """Answer every connection with the function's name, as a gateway would."""
        self.served.append((fd, arn))

        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = arn.encode()
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()

        with socket.socket(fileno=fd) as sock:  # closed also where we are cancelled at once
            server = await asyncio.start_server(on_connection, sock=sock)
            async with server:
                await server.serve_forever()

    def code(self, files: dict[str, str] | str) -> str:
        """Unpack code and return its directory."""
        folder = self.folder / f"code{next(_next_folder)}"
        folder.mkdir()
        for name, text in ({"app.py": files} if isinstance(files, str) else files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(folder)

    @property
    def isolates(self) -> bool:
        """Return whether sandboxes have a root and a network of their own."""
        return self.level in {"full", "rootless"}

    def spec(self, files: dict[str, str] | str = EXEC, **values: Any) -> SandboxSpec:
        return self.spec_of_code(self.code(files), **values)

    def spec_of_code(self, code_dir: str, **values: Any) -> SandboxSpec:
        name = values.pop("function_name", "f")
        values = {"memory_mb": 256, "timeout_ms": 10_000, "handler": "app.handler", **values}
        values.setdefault("environment", {})
        values.setdefault("runtime", f"python3.{sys.version_info[1]}")
        return SandboxSpec(
            account=ACCOUNT,
            function_arn=f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}",
            function_name=name,
            version="$LATEST",
            revision="1",
            code_dir=code_dir,
            **values,
        )

    def credentials(self, key: str = "AKIAONE", lifetime_ms: int = 3_600_000) -> Credentials:
        return Credentials(
            access_key_id=key,
            secret_access_key=f"secret of {key}",
            session_token=f"token of {key}",
            expires_ms=self.clock.now_ms() + lifetime_ms,
        )

    def start(self, files: dict[str, str] | str = EXEC, **values: Any) -> Sandbox:
        key = values.pop("key", "AKIAONE")
        return self.run(
            self.runtime.start(
                self.spec(files, **values), self.credentials(key), lambda r, b: self.log(r, b)
            )
        )

    def log(self, request_id: str, piece: bytes) -> None:
        self.logs.append((request_id, piece))

    def text(self, request_id: str) -> str:
        """Return what was logged for a request, and forget it."""
        found = b"".join(piece for r, piece in self.logs if r == request_id)
        self.logs = [(r, piece) for r, piece in self.logs if r != request_id]
        return found.decode()

    def invoke(
        self,
        sandbox: Sandbox,
        event: Any = None,
        *,
        request_id: str = "r",
        ms: int = 10_000,
        **c: str,
    ) -> Outcome:
        payload = json.dumps(event).encode()
        return self.run(sandbox.invoke(request_id, payload, self.clock.now_ms() + ms, c))

    def ask(self, sandbox: Sandbox, code: str, **event: Any) -> Any:
        """Run a piece of code inside and return its ``answer``; the code must not fail."""
        outcome = self.invoke(sandbox, {"code": code, **event})
        assert outcome.ending.value == "returned", outcome
        return json.loads(outcome.payload)

    def end(self, sandbox: Sandbox) -> None:
        self.run(sandbox.close())

    @property
    def daemon_pid(self) -> int:
        """Return the running daemon."""
        return self._daemon_pids[-1]

    @property
    def endings(self) -> list[int]:
        """Return how the daemons before the running one ended."""
        return [daemon.wait(10) for daemon in self._daemons[:-1]]

    def work_again(self) -> str:
        """Start and invoke a sandbox, as soon as there is a daemon that can."""
        until = time.monotonic() + 30
        while True:
            try:
                sandbox = self.start()
                return self.ask(sandbox, "answer = 'works'")
            except Unavailable:
                assert time.monotonic() < until
                self.run(asyncio.sleep(0.05))

    def close(self, *, keep: bool = False) -> None:
        """End everything; ``keep`` the folder for another lab."""
        self.run(self.runtime.close())
        self._keep = keep
        self._bury()
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _bury(self) -> None:
        for daemon in self._daemons:
            daemon.wait(10)
        self.runner.close()


def namespaces_work() -> bool:
    done = subprocess.run(
        ["/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "/bin/true"],
        capture_output=True,
        check=False,
        **({"user": ORDINARY_UID} if os.getuid() == 0 else {}),
    )
    return done.returncode == 0


def descendants(pid: int) -> set[int]:
    """Return a process's descendants."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        at = todo.pop()
        with contextlib.suppress(OSError):  # it ended while we looked
            for task in Path(f"/proc/{at}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        found.add(at)
    return found - {pid}


def groups_left(tag: str) -> list[str]:
    """Return control groups that carry a daemon's tag; others come and go while we look."""
    return [
        os.path.join(folder, name)
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(tag)
    ]


LEVELS = ["full", "rootless ordinary"] if os.getuid() == 0 else ["rootless"]
"""The levels that build a root of their own, by name and user."""
WALLED = ["landlock", "landlock ordinary"] if os.getuid() == 0 else ["landlock"]
BARE = ["bare", "bare ordinary"] if os.getuid() == 0 else ["bare"]
ALL = [*LEVELS, *(["rootless"] if os.getuid() == 0 else []), *WALLED, *BARE]


def lab_at(level: str, settings: dict[str, Any] | None = None, *, slim: bool = False) -> Lab:
    """Return a runtime at a level, or skip the test where this machine cannot have it."""
    if level.startswith(("full", "rootless")) and not namespaces_work():
        pytest.skip("this machine forbids user namespaces")
    try:
        return Lab(level, settings, slim=slim)
    except Unavailable as error:
        if level == "full" and "cannot be had here" in str(error):
            pytest.skip("the full level needs root and a control group")
        raise


@pytest.fixture(scope="module", params=LEVELS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A runtime at each level that isolates by namespaces."""
    made = lab_at(request.param, {"processes_max": 64})
    yield made
    made.close()


@pytest.fixture(scope="module")
def prisoner(lab: Lab) -> Iterator[Sandbox]:
    """A sandbox whose handler runs whatever code it is sent."""
    sandbox = lab.start(environment={"COLOUR": "blue"})
    yield sandbox
    lab.end(sandbox)
