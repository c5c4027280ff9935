"""Programs of the field against a server, each unmodified: what their suites share.

Each program has a folder, a name that its buckets or tables bear, and the root key of the server's
account, and ends with another status if anything is not as it must be. What it needs is installed
first, once, in folders of the environment: from PyPI, npm, the Go module proxy, crates.io, Maven's
repository and, for what is no library, Debian's packages (which takes root).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import record

from fogbank.testing.server import Server

CLIENTS = Path(__file__).with_name("clients")
HOME = Path(sys.prefix) / "clients"
RUN_S = 300
BUILD_S = 3_600
REGION = "us-east-1"


class Failed(Exception):
    """A program did not do what it is for; the message holds what it said."""


class Field:
    """Where a program works: a server, and a folder.

    Args:
        server: It runs.
        folder: Of this program alone.
        name: The program's; what it makes is called by it.
    """

    def __init__(self, server: Server, folder: Path, name: str) -> None:
        self.server = server
        self.endpoint = server.endpoint
        self.folder = folder
        self.label = f"field-{name}"
        """What its bucket or tables are called by."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        given = server.environment()
        self.key, self.secret = given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]
        home = {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}
        self.environment: Mapping[str, str] = {**clean, **given, **home}

    def run(self, *command: str | Path, **variables: str) -> str:
        """Run a program and return what it printed.

        Raises:
            Failed: Its status is not 0.
        """
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            cwd=self.folder,
            env={**self.environment, **variables},
        )
        if done.returncode:
            raise Failed(f"{command[0]} {command[1:]}: {done.stderr[-800:]}{done.stdout[-400:]}")
        return done.stdout


def expect(holds: object, told: str) -> None:
    """Refuse what is not as it must be.

    Raises:
        Failed: It does not hold.
    """
    if not holds:
        raise Failed(told)


# What programs need.


def installed(*command: str | Path, cwd: Path = CLIENTS, **variables: str) -> None:
    """Run a step of an installation; what it says is seen."""
    subprocess.run(command, check=True, cwd=cwd, timeout=BUILD_S, env={**os.environ, **variables})


def python_of(suite: str) -> Path:
    """Return the folder of the interpreter of a suite's own environment, and of its commands."""
    return HOME / f"python-{suite}" / "bin"


def install_python(suite: str, packages: Sequence[str]) -> None:
    """Make an environment of libraries of Python, again when others are wanted."""
    ready = python_of(suite) / ".ready"
    wanted = "\n".join(packages)
    if not ready.exists() or ready.read_text() != wanted:
        installed(sys.executable, "-m", "venv", HOME / f"python-{suite}")
        pip = (python_of(suite) / "pip", "install", "-q", "--disable-pip-version-check")
        installed(*pip, *packages)
        ready.write_text(wanted)


def install_debian(commands: Sequence[str], packages: Sequence[str]) -> None:
    """Install packages of Debian unless their commands are there."""
    if any(shutil.which(name) is None for name in commands):
        installed("apt-get", "update", "-qq")
        installed("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)


def install_go(program: str, package: str, folder: str = "go") -> None:
    """Build a client in Go.

    Args:
        program: What it is called.
        package: What is built, from its module.
        folder: The module's.
    """
    flags = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
    command = ("build", "-mod=readonly", "-trimpath", "-o", HOME / "go" / program, package)
    installed(Path(sys.prefix) / "bin" / "go", *command, cwd=CLIENTS / folder, **flags)


def install_java() -> None:
    """Build the clients in Java, with the jars that they need beside them."""
    target = f"-DbuildDirectory={HOME / 'java'}"
    installed(
        *("mvn", "-q", "-B", target, "compile", "dependency:copy-dependencies"),
        cwd=CLIENTS / "java",
    )


def install_rust(program: str) -> None:
    """Build a client in Rust."""
    target = {"CARGO_TARGET_DIR": str(HOME / "rust")}
    # A lock file of Cargo would name its registry.
    folder = HOME / "rust-client"
    shutil.copytree(CLIENTS / "rust", folder, dirs_exist_ok=True)
    installed("cargo", "build", "--quiet", "--bin", program, cwd=folder, **target)


def install_node() -> None:
    """Install the packages of the clients in JavaScript beside them, again when others are wanted."""
    folder, lock = HOME / "node", (CLIENTS / "node" / "package-lock.json").read_text()
    ready = folder / ".ready"
    shutil.copytree(CLIENTS / "node", folder, dirs_exist_ok=True)
    if not ready.exists() or ready.read_text() != lock:
        installed("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=folder)
        ready.write_text(lock)


# What runs them.


def python_script(suite: str, name: str) -> Callable[[Field], None]:
    """Return what runs a script of the folder ``clients/python`` in a suite's environment."""

    def check(field: Field) -> None:
        script = CLIENTS / "python" / f"{name}_client.py"
        field.run(python_of(suite) / "python", script, field.label)

    return check


def go_program(name: str) -> Callable[[Field], None]:
    """Return what runs a client that was built in Go."""
    return lambda field: _ran(field, HOME / "go" / name)


def java_class(name: str) -> Callable[[Field], None]:
    """Return what runs a class of the clients in Java."""
    jars = HOME / "java"
    command = ("java", "-cp", f"{jars}/classes:{jars}/dependency/*", name)
    return lambda field: _ran(field, *command)


def rust_program(name: str) -> Callable[[Field], None]:
    """Return what runs a client that was built in Rust."""
    return lambda field: _ran(field, HOME / "rust" / "debug" / name)


def node_script(name: str) -> Callable[[Field], None]:
    """Return what runs a script of the folder ``clients/node``."""
    return lambda field: _ran(field, "node", HOME / "node" / f"{name}.mjs")


def _ran(field: Field, *command: str | Path) -> None:
    """Run a client, and give it the name that it may use."""
    field.run(*command, field.label)


class Program(NamedTuple):
    """A program of the field."""

    name: str
    needs: Sequence[Callable[[], None]]
    check: Callable[[Field], None]


def outcome_of(program: Program, server: Server, folder: Path) -> str:
    """Return why a program failed; empty if it did not."""
    folder.mkdir()
    try:
        for install in program.needs:
            install()
        program.check(Field(server, folder, program.name))
    except (Failed, OSError, subprocess.SubprocessError) as error:
        return f"{error}" or repr(error)
    return ""


def main(suite: str, programs: Sequence[Program], settings: str = "") -> int:
    """Run programs and write how they fared; the exit status is 1 if one failed.

    Args:
        suite: The service that they use.
        programs: All of them; ``--only NAME`` runs one and writes nothing.
        settings: The server's, besides its region.
    """
    parser = argparse.ArgumentParser(description=f"Programs of the field against {suite}.")
    parser.add_argument("--only", choices=[each.name for each in programs], help="one, unrecorded")
    given = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    chosen = [each for each in programs if given.only in (None, each.name)]
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix=f"fogbank-{suite}-clients-") as scratch:
        folder = Path(scratch)
        with Server(folder / "data", settings=f'region = "{REGION}"\n{settings}') as server:
            for program in chosen:
                why = outcome_of(program, server, folder / program.name)
                print(f"{program.name}: {'failed: ' + why if why else 'passed'}", flush=True)
                failures += [program.name] if why else []
    if given.only is None:
        record.write(
            f"{suite}_clients",
            f"make {suite}-clients",
            {"programs": len(chosen), "passed": len(chosen) - len(failures)},
            failures=failures,
            promises={"passed": f">= {len(chosen)}"},
            tables=[record.Table("Programs", ["program"], [[each.name] for each in chosen])],
        )
    return 1 if failures else 0
