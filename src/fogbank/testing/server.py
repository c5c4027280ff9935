"""A real server in a child process, for tests over sockets and for crash tests.

It runs the command line as a user would, in a data directory of its own, and knows every process
below it, so that a test can kill one, or all at once, and start again.
"""
# boto3 and botocore have no types:
# pyright: basic

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.config import Config as ClientConfig

from fogbank.testing.sessions import new_session

STOP_WAIT_S = 60


class StartFailed(Exception):
    """The server did not become ready; the message holds what it said."""


class Server:
    """One ``fogbank serve``; use it as a context manager, or call ``start`` and ``stop``."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        variables: Mapping[str, str] | None = None,
        settings: str = "",
        user: int | None = None,
    ) -> None:
        self.data_dir = data_dir
        # The user of all its processes, who must own what is above the data directory; None: ours.
        self._user: dict[str, Any] = {}
        if user is not None:
            self._user = {"user": user, "group": user, "extra_groups": []}
        self._settings = data_dir.parent / "fogbank.toml"
        self._settings.write_text(settings)
        self.port = port
        self.endpoint = ""
        self._variables = variables or {}
        self._process: subprocess.Popen[str] | None = None
        self._environment: dict[str, str] = {}

    def _command(self, *arguments: str) -> list[str]:
        """Return a command of the command line on this data directory."""
        return [sys.executable, "-m", "fogbank", *arguments, "--data", str(self.data_dir)]

    def start(self) -> None:
        """Start the server and wait until it is ready; later starts keep the port."""
        log = (self.data_dir.parent / "server.log").open("a")
        with log:
            self._process = subprocess.Popen(
                self._command("serve", "--port", str(self.port), "--config", str(self._settings)),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self._variables},
                **self._user,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready "):
            self._process.wait()
            self._process.stdout.close()
            raise StartFailed((self.data_dir.parent / "server.log").read_text()[-2_000:])
        self.endpoint = line.split()[1]
        self._environment = {}
        self.port = int(self.endpoint.rsplit(":", 1)[1])

    @property
    def pid(self) -> int:
        """Return the supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> dict[int, str]:
        """Return every process of the server, the supervisor first, with its command line."""
        found = {self.pid: "supervisor"}
        children = _children()
        wanted = [self.pid]
        while wanted:
            for child, command in children.get(wanted.pop(), []):
                found[child] = command
                wanted.append(child)
        return found

    def kinds(self) -> dict[str, list[int]]:
        """Return the processes of a running server by what they are; what is none of ours: other."""
        processes = self.processes()
        found: dict[str, list[int]] = {}
        for pid, command in processes.items():
            with suppress(FileNotFoundError, ProcessLookupError):
                above = processes.get(_parent_of(pid), "")
                found.setdefault(_kind_of(command, above), []).append(pid)
        return found

    def kill(self) -> None:
        """Kill every process at once, as a power cut would, and wait until all are gone."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._finish()

    def stop(self) -> int:
        """End the server with SIGTERM and return its status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._finish()

    def _finish(self) -> int:
        """Wait for the end and close the pipe."""
        assert self._process is not None
        status = self._process.wait(STOP_WAIT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return status

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another subcommand on this data directory."""
        return subprocess.run(
            self._command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **self._variables},
            **self._user,
        )

    def environment(self) -> dict[str, str]:
        """Return what ``fogbank env`` says; asked once for each start."""
        if not self._environment:
            self._environment = json.loads(self.run("env", "--format", "json").stdout)
        return self._environment

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client of the account's root, without retries."""
        variables = self.environment()
        config = ClientConfig(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        return new_session().client(
            service,
            region_name=options.pop("region_name", variables["AWS_REGION"]),
            endpoint_url=self.endpoint,
            verify=variables.get("AWS_CA_BUNDLE"),
            config=config.merge(options.pop("config", ClientConfig())),
            **{
                "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
                **options,
            },
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()


_KINDS = {
    "supervisor": "supervisor",
    "fogbank.server.front": "front",
    "fogbank.server.process": "store process",
    "embedded.checkpoint": "checkpointer",
    "daemon.__main__": "sandbox daemon",
}
"""Words of command lines, and what they are."""


def _kind_of(command: str, above: str) -> str:
    """Return what a process is by its command line and that of its parent."""
    for words, kind in _KINDS.items():
        if words in command:
            return kind
    if "inside.zygote" in command:
        return "zygote" if "daemon.__main__" in above else "sandbox"
    return "other"


def _parent_of(pid: int) -> int:
    """Return the parent of a process; raises FileNotFoundError if it is gone."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _children() -> dict[int, list[tuple[int, str]]]:
    """Return the processes of this machine by parent."""
    found: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        parent = int(status.rsplit(")", 1)[1].split()[1])
        found.setdefault(parent, []).append((int(entry.name), command.strip()))
    return found
