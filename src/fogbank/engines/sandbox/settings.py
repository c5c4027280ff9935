"""What an operator may set about sandboxes."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from fogbank.platform.runtime.port import Level


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and habits of the sandbox engine; the defaults are AWS's where AWS has one."""

    endpoint_url: str = ""
    """The cloud's endpoint as clients outside call it; ``http://127.0.0.1:<port>`` if empty."""
    hosts: tuple[str, ...] = ()
    """Further host names of the endpoint; inside, they lead to it as well."""
    authority: str = ""
    """What functions must trust to call the endpoint over TLS, as PEM text; or nothing."""
    sandboxes_max: int = 256
    processes_max: int = 1024
    """Processes and threads per sandbox."""
    zygotes_max: int = 32
    forks_max: int = 1000
    """Forks after which a zygote is replaced (fresh address layout and hash seed)."""
    spares: int = 2
    """Sandboxes that each zygote forks ahead of need, so that a cold start need not wait for it."""
    stems_max: int = 16
    """Runtimes that wait, booted, for functions that are not known yet; 0: none does."""
    stems_memory_mb: int = 256
    """Memory of all of them together."""
    stem_idle_ms: int = 300_000
    """How long they wait after one of their kind was last asked for, or made."""
    zygote_minutes_max: int = 60
    strict_cpu: bool = False
    """A quota of memory / 1769 of one vCPU as on AWS, instead of a weight that counts under load."""
    init_timeout_ms: int = 10_000
    interpreters: tuple[str, ...] = ()
    """Paths of further interpreters: ``python3.13``, ``node``."""
    near_versions: bool = False
    """Whether the nearest version of a language stands in for one that the machine lacks."""
    folders: tuple[str, ...] = ()
    """Folders of ours above the work directory; opened for passing where sandboxes see them."""
    level_forced: Level | None = None
    """The level that must be had; None: the strongest that this machine allows."""
    daemon: Callable[[], int] | None = None
    """Asks whoever has the rights to start a sandboxd, at the start and whenever one has died, and
    returns the descriptor of a socket to it; it may block. None: we start one ourselves."""
    python: str = sys.executable
    """The interpreter of the daemon."""
