"""What sandboxd is told once, by whoever starts it, as JSON on its command line."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

FULL, ROOTLESS, LANDLOCK, BARE = 1, 2, 3, 4
"""The levels; from ``LANDLOCK`` on there are no namespaces."""


class RuntimeConfig(NamedTuple):
    """An interpreter that functions can run on, or a program that is executed for them."""

    executable: str
    """Or what is said in its place, for programs that functions bring."""
    prefixes: list[str]
    """Folders of the machine that it needs, besides the system's."""
    zygote: str = ""
    """For programs: the runtime whose zygote forks what executes them."""


class Config(NamedTuple):
    """The settings of one daemon; all limits are maxima for the whole machine."""

    work_dir: str
    port: int
    hosts: list[str]
    packages: dict[str, str]
    runtimes: dict[str, RuntimeConfig]
    own_runtime: str
    """The runtime of our own interpreter."""
    processes_max: int
    sandboxes_max: int
    zygotes_max: int
    forks_max: int
    spares: int
    """Sandboxes that each zygote forks ahead of need."""
    stems_max: int
    """Sandboxes whose runtime runs before it has a function."""
    zygote_seconds_max: int
    strict_cpu: bool
    level_forced: int
    """The level that must be had, or 0: the strongest that this machine allows."""
    authority: str = ""
    """What functions must trust to call the endpoint over TLS, as PEM text; or nothing."""
    deadly_step: str = ""
    """For tests of crashes alone: where to die (``steps.STEPS``, ``:before`` or ``:after``)."""

    def to_json(self) -> str:
        """Return what ``from_json`` reads."""
        values = self._asdict()
        values["runtimes"] = {name: list(runtime) for name, runtime in self.runtimes.items()}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the settings on a command line; raises ``TypeError`` or ``ValueError``."""
        values = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError("the configuration is no object")
        fields = cast("dict[str, object]", values)
        runtimes = cast("dict[str, list[object]]", fields.pop("runtimes"))
        made = {
            name: RuntimeConfig(
                str(executable), [str(p) for p in cast("list[object]", prefixes)], str(zygote)
            )
            for name, (executable, prefixes, zygote) in runtimes.items()
        }
        return cls(**cast("dict[str, Any]", fields), runtimes=made)
