"""Settings of single services and of functions: how they answer, where a deployment has the choice.

They are part of ``Config``, which says how settings are written.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class S3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How S3 answers where AWS itself has changed."""

    defaults_before_2023: bool = False
    """Give buckets the defaults that AWS gave before April 2023: access control lists count, nothing
    blocks public access, no default encryption is reported, and owners have display names."""
    signature_v2: bool = False
    """Take signatures of version 2, in headers, URLs and forms. They prove who asks and nothing of
    the body; AWS takes them for no bucket that was made since June 2020."""


class DynamoDBSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What DynamoDB holds its clients to."""

    enforce_throughput: bool = True
    """Throttle what goes beyond provisioned units and beyond the maxima of on-demand tables; false:
    they are kept, shown and counted, and nothing is throttled."""
    sql: bool = False
    """Answer QuerySql, an operation of our own: a SELECT over tables, by whoever may scan them. It
    needs DuckDB (``pip install 'fogbank[sql]'``)."""


class FunctionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how functions run."""

    memory_budget_mb: int = 0
    """Memory of all environments together; 0: half of the machine's."""
    idle_ms: int = 300_000
    """How long an environment is kept warm without work."""
    interpreters: tuple[str, ...] = ()
    """Paths of interpreters beyond those that are found, such as ``/opt/python3.13/bin/python3.13``
    or ``/opt/node22/bin/node``; ``fogbank runtime add`` writes them."""
    near_versions: bool = False
    """Let the nearest version of a language run functions of a version that the machine lacks;
    every START line says so. Else they are refused, with what to install."""
    spares: int = 2
    """Sandboxes forked ahead of need for each account and runtime in use, 0 to 64: the next cold
    starts find one. Each keeps some megabytes."""
    stems_memory_mb: int = 256
    """Memory of all runtimes of Node.js that wait, booted, for their function: as many as cold starts of
    late found none; 0: none waits."""
    stem_idle_ms: int = 300_000
    """How long such a runtime waits after one like it was last asked for."""
    sandbox_level: Literal["auto", "1", "2", "3", "4"] = "auto"
    """How functions are isolated (``docs/operating/sandbox.md``): the strongest level that this machine
    allows, or this one (1 full, 2 rootless, 3 Landlock, 4 not at all) and no other."""
    trace_without_xray: bool = False
    """Let functions have ``TracingConfig`` ``Active`` although X-Ray does not stand: invocations are
    sampled, and headers and logs say so, and nothing records their segments. Else it is refused."""
    urls_before_october_2025: bool = False
    """Let function URLs ask for ``lambda:InvokeFunctionUrl`` alone, as AWS's did."""
    debug: bool = False
    """Let functions be debugged: one with the variable ``FOGBANK_DEBUG_PORT`` has that port of this machine's
    loopback, where every user of the machine can run code in it with its role's rights."""
    hot_reload: tuple[str, ...] = ()
    """Folders of this machine, such as ``/home/me/work``: functions may take their code from what lies
    below, and run what is there at each invocation (bucket ``hot-reload``, the folder as key). Whoever may
    write code of functions can read with it all files below that the server can read. Empty: off."""
    prices_file: str = ""
    """A file of prices for ``fogbank cost``, in the form of the one that Fogbank brings
    (``platform/metering/prices.toml``); empty: that one, AWS's list of US East (N. Virginia). A
    relative path begins at the data directory."""
