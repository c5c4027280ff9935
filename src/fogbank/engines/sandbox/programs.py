"""Runtimes that are executed in a sandbox: what functions bring, and interpreters of other kinds.

Rule: pure but for the look at what the machine has. A program is executed by the zygote of one of
our interpreters, in a sandbox that is finished but for it; from then on nothing of ours is in it
but, for runtimes of ours, the file that it reads first.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fogbank.engines.sandbox.daemon import root
from fogbank.platform.runtime.port import SandboxSpec

PROVIDED = ("provided.al2023", "provided.al2")
"""AWS: "When to use Lambda's OS-only runtimes"; ``provided.al2`` until mid 2026, and here still."""
NODES = (20, 22, 24)
"""AWS: "Lambda runtimes": the versions of Node.js that have a runtime, from 20 on."""
_OF_LIBRARIES = ("LD_", "GLIBC_", "MALLOC_", "LANG", "LC_")
"""Variables that the dynamic linker and the C library read."""
_NODE_PLACES = ("/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs")
_SYSTEM = ("/usr/", "/bin/", "/opt/bin/")
_VERSION = re.compile(r"v([0-9]+)[.][0-9]+[.][0-9]+")
_RUBY_VERSION = re.compile(r"ruby ([0-9]+)[.]([0-9]+)[.][0-9]+\S* .*")
RUBIES = ("3.2", "3.3", "3.4")
"""AWS: "Lambda runtimes": the versions of Ruby that have a runtime."""
_RUBY_FIRST = (3, 0)
_RUBY_PLACES = ("/usr/bin/ruby", "/usr/local/bin/ruby")
_ASK_SECONDS_MAX = 10
_ENGINE_FILES = Path(__file__).parent / "inside"
_INSIDE = "/var/fogbank/fogbank/engines/sandbox/inside"
_HERE, _TASK, _OPT, _HEAP, _HANDLER = "{here}", "{task}", "{opt}", "{heap}", "{handler}"
_OLD_SPACE = "--max-old-space-size"
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
_NODE_FLAGS = (f"{_OLD_SPACE}={_HEAP}", "--max-http-header-size", "81920")
"""AWS: nine tenths of the memory for old objects, so that V8 collects before the sandbox ends; V8
reads that when it boots, and never again."""
_RUNTIME_FOLDER = "{runtime}"
"""Of preinstalled libraries: known inside."""
_PORT = "{port}"
TASK_ROOT = "/var/task"
_RIC = "com.amazonaws.services.lambda.runtime.api.client"
_RIC_JAR = "aws-lambda-java-runtime-interface-client-*.jar"
JNI = "libaws-lambda-jni.so"
_RELEASE = re.compile(r'^JAVA_VERSION="([0-9]+)([0-9.]*)', re.MULTILINE)
JAVAS = (17, 21, 25)
"""AWS: "Lambda runtimes": the versions of Java that have a runtime, from 17 on."""
_JAVA_PLACES = ("/usr/bin/java", "/usr/local/bin/java")


class Program(NamedTuple):
    """How to execute a runtime."""

    shown: str
    """What an operator is told that it is."""
    candidates: tuple[str, ...] = ()
    """Paths, the first of which that exists is executed; none: the function's own ``bootstrap``."""
    arguments: tuple[str, ...] = ()
    """``{here}`` stands for the folder of our files inside, ``{task}`` for that of the code,
    ``{opt}`` for that of the layers, ``{heap}`` for the megabytes of a heap, ``{handler}`` for the function's handler."""
    prefixes: tuple[str, ...] = ()
    """Folders of the machine that it needs, besides the system's."""
    frames: bool = False
    """Whether it is ours and speaks frames; else it speaks the Runtime API."""
    inspect: str = ""
    """What has it listen for a debugger at ``{port}``; empty: nothing does."""
    version: str = ""
    waiting: tuple[str, ...] = ()
    """The arguments with which it boots as a stem, and waits for its function; none: it cannot."""
    heap_percent: int = 80
    """Of the function's memory: threads, classes and compiled code have the rest."""
    read_at_boot: tuple[str, ...] = ()
    """Beginnings of names of variables that count when it boots only: a function that sets one
    finds no stem."""

    def wrapper(self, environment: Mapping[str, str]) -> str:
        """Return the script that is executed in its place; empty where there is none.

        AWS: "Modifying the runtime environment": wrapper scripts get the interpreter's path and all
        its arguments; OS-only runtimes have none.
        """
        return environment.get(WRAPPER, "") if self.candidates else ""

    def paths(self, task_root: str, opt_root: str) -> list[str]:
        """Return what is executed, for code that lies somewhere.

        AWS: "Building a custom runtime": ``bootstrap`` in the package, else in a layer.
        """
        if self.candidates:
            return [self._inside(path, task_root) for path in self.candidates]
        return [f"{task_root}/bootstrap", f"{opt_root}/bootstrap"]

    @staticmethod
    def _inside(path: str, task_root: str) -> str:
        return root.place_of(path) if task_root == TASK_ROOT else path

    def words(
        self, spec: SandboxSpec, task_root: str, opt_root: str, arguments: Sequence[str] = ()
    ) -> list[str]:
        """Return the arguments, or others than those of a start, as they are read inside."""
        heap_mb = str(spec.memory_mb * self.heap_percent // 100)
        here = _INSIDE if task_root == TASK_ROOT else str(_ENGINE_FILES)
        said = {_HERE: here, _TASK: task_root, _OPT: opt_root}
        said |= {_HEAP: heap_mb, _HANDLER: spec.handler}
        said |= {path: self._inside(path, task_root) for path in self.prefixes}
        words: list[str] = []
        mine = spec.environment.get("NODE_OPTIONS", "").replace("_", "-")
        if spec.debug_port and self.inspect:
            words.append(self.inspect.replace(_PORT, str(spec.debug_port)))
        for word in arguments or self.arguments:
            if word.startswith(_OLD_SPACE) and _OLD_SPACE in mine:
                continue  # Node.js takes what the command line says before what the variable says
            for name, value in said.items():
                word = word.replace(name, value)  # noqa: PLW2901 (one after the other)
            words.append(word)
        return words


def python_at(executable: str) -> Program:
    """Return how Python is executed where a wrapper script does that; else it is forked."""
    return Program(
        shown=executable,
        candidates=(executable,),
        arguments=("-B", "-X", "utf8", f"{_HERE}/executed.py", _TASK, _OPT, _RUNTIME_FOLDER),
        frames=True,
    )


def find_programs(named: Sequence[str] = ()) -> dict[str, Program]:
    """Return the programs that can be executed on this machine, by Lambda runtime name.

    Args:
        named: Paths that an operator names; before those that are found.
    """
    found = {name: Program("the function's own bootstrap") for name in PROVIDED}
    nodes = [path for path in named if Path(path).name == "node"]
    for path in (*nodes, *_NODE_PLACES):
        node = node_at(path)
        if node is not None:
            found.setdefault(f"nodejs{node.version.partition('.')[0]}.x", node)
    rubies = [path for path in named if Path(path).name.startswith("ruby")]
    for path in (*rubies, *_RUBY_PLACES):
        ruby = ruby_at(path)
        if ruby is not None:
            found.setdefault(f"ruby{ruby.version}", ruby)
    jars = client_of_java(named)
    for path in places_of_java(named) if jars else ():
        java = java_at(path, jars)
        if java is not None:
            found.setdefault(f"java{java.version.partition('.')[0]}", java)
    return found


def client_of_java(named: Sequence[str]) -> str:
    """Return the folder with AWS's runtime interface client for Java; empty where there is none."""
    return next((path for path in named if any(Path(path).glob(_RIC_JAR))), "")


def places_of_java(named: Sequence[str]) -> list[str]:
    """Return where ``java`` may lie."""
    return [*(path for path in named if Path(path).name == "java"), *_JAVA_PLACES]


def java_at(path: str, jars: str) -> Program | None:
    """Return how Java is executed, or None if it is not there, or too old.

    Functions are started by AWS's own runtime interface client, which speaks the Runtime API.

    Args:
        path: Of ``java``.
        jars: The folder with the client, its native part (``JNI``) and what it needs.
    """
    real = Path(os.path.realpath(path))
    try:
        release = (real.parents[1] / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = _RELEASE.search(release)
    if match is None or int(match[1]) < JAVAS[0]:
        return None
    version = f"{match[1]}{match[2]}"
    folders = [str(real.parents[1]), str(Path(jars).absolute())]
    # Debian keeps the settings of Java in a folder of /etc, to which links lead.
    settings = {str(link.resolve().parent) for link in (real.parents[1] / "conf").glob("*")}
    folders += [folder for folder in sorted(settings) if folder.startswith("/etc/")]
    return Program(
        shown=f"{real} ({version})",
        candidates=(str(real),),
        arguments=(
            *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", f"-Xmx{_HEAP}m"),
            f"-D{_RIC}.runtimeapi.NativeClient.JNI={jars}/{JNI}",
            *("-cp", f"{jars}/*:{_TASK}:{_TASK}/lib/*:{_OPT}/java/lib/*"),
            *(f"{_RIC}.AWSLambda", _HANDLER),
        ),
        prefixes=tuple(folder for folder in folders if not folder.startswith(_SYSTEM)),
        version=version,
    )


def node_at(path: str) -> Program | None:
    """Return how Node.js is executed, or None if it is not there, or too old."""
    real = os.path.realpath(path)
    version = _answer(real, "--version") if os.access(real, os.X_OK) else ""
    match = _VERSION.fullmatch(version)
    if match is None or int(match[1]) < NODES[0]:
        return None
    prefix = () if real.startswith(_SYSTEM) else (str(Path(real).parents[1]),)
    return Program(
        shown=f"{real} ({version})",
        candidates=(real,),
        arguments=(*_NODE_FLAGS, f"{_HERE}/node.cjs"),
        prefixes=prefix,
        frames=True,
        waiting=(*_NODE_FLAGS, f"{_HERE}/node.cjs", "stem"),
        heap_percent=90,
        read_at_boot=("NODE_", *_OF_LIBRARIES, "SSL_", "OPENSSL_", "UV_", "ICU_"),
        inspect=f"--inspect=127.0.0.1:{_PORT}",
        version=version.removeprefix("v"),
    )


def ruby_at(path: str) -> Program | None:
    """Return how Ruby is executed, or None if it is not there, or too old.

    Our runtime for it speaks the Runtime API (``inside/ruby.rb``).
    """
    real = os.path.realpath(path)
    said = _answer(real, "--version") if os.access(real, os.X_OK) else ""
    match = _RUBY_VERSION.fullmatch(said)
    if match is None or (int(match[1]), int(match[2])) < _RUBY_FIRST:
        return None
    prefix = () if real.startswith(_SYSTEM) else (str(Path(real).parents[1]),)
    return Program(
        shown=f"{real} ({said.split()[1]})",
        candidates=(real,),
        arguments=("-E", "UTF-8:UTF-8", f"{_HERE}/ruby.rb"),
        prefixes=prefix,
        version=f"{match[1]}.{match[2]}",
    )


def _answer(*command: str) -> str:
    """Return what a program of the machine says of itself; empty where it says nothing."""
    try:
        done = subprocess.run(  # noqa: S603 (a program that an operator, or the system, has there)
            command, capture_output=True, text=True, timeout=_ASK_SECONDS_MAX, check=True, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def near(runtime: str, known: Iterable[str]) -> str:
    """Return the runtime of the same language whose version is nearest; empty where there is none.

    A newer version comes before an older one: it mostly runs what was written for the older.
    """
    family, version = _split(runtime)
    if not family:
        return ""
    same = [(name, _split(name)[1]) for name in known if _split(name)[0] == family]
    newer = sorted((v, name) for name, v in same if v > version)
    older = sorted((v, name) for name, v in same if v < version)
    if newer:
        return newer[0][1]
    return older[-1][1] if older else ""


_RUNTIME = re.compile("(python|nodejs|java|ruby|dotnet)([0-9]+)(?:[.]([0-9]+|x|al2))?")


def _split(runtime: str) -> tuple[str, tuple[int, int]]:
    """Return the language and the version in the name of a runtime; no language for others."""
    match = _RUNTIME.fullmatch(runtime)
    if match is None:
        return "", (0, 0)
    minor = match[3] or ""
    return match[1], (int(match[2]), int(minor) if minor.isdecimal() else 0)


def language(runtime: str) -> str:
    """Return the language in the name of a runtime; empty for others."""
    return _split(runtime)[0]
