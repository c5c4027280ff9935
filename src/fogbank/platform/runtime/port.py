"""The port of the sandboxes: start an isolated environment, run invocations in it, end it.

One sandbox runs one invocation at a time. Logs and results cross the port as bytes; time,
memory, processor share and processes are limited by the engine behind it. Sandboxes are killed
whole, never stopped in part. docs/operating/sandbox.md says what each level isolates.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from fogbank.base.errors import Unavailable


class Level(enum.IntEnum):
    """How well this machine can isolate (lower is stronger)."""

    FULL = 1
    ROOTLESS = 2
    LANDLOCK = 3
    BARE = 4


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that distinguishes one environment of a function version from another."""

    account: str
    function_arn: str
    """With version or alias left off: what the sandbox is for, in logs and process titles."""
    function_name: str
    version: str
    revision: str
    """Changes whenever code or configuration does: environments of an old revision end."""
    runtime: str
    """A Lambda runtime name, such as ``python3.11``."""
    handler: str
    code_dir: str
    """An unpacked, content-addressed, read-only tree on this machine; becomes /var/task."""
    layers_dir: str = ""
    """Another that becomes /opt: the function's layers, one over the other; empty: it has none."""
    environment: Mapping[str, str]
    """The user's variables and the reserved ones, credentials excluded."""
    memory_mb: int
    timeout_ms: int
    tmp_mb: int = 512
    log_group: str = ""
    log_stream: str = ""
    debug_port: int = 0
    """The port inside at which a debugger listens, reached at the same of the machine's loopback; 0: none.
    What is debugged is never frozen, and may take its timeout to start."""
    extensions_dir: str = ""
    """Where external extensions lie, inside: each file there is executed; empty: there are none."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Temporary credentials of the execution role."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_ms: int


class ExtensionReport(NamedTuple):
    """How the start of an extension went."""

    name: str
    state: str
    """``Ready``, or where it was when the start failed."""
    events: tuple[str, ...]
    error_type: str = ""


class InitReport(NamedTuple):
    """How the start of an environment went."""

    duration_ms: float
    error: dict[str, object] | None
    """``errorMessage``, ``errorType``, ``stackTrace`` of an import that failed, or None."""
    extensions: tuple[ExtensionReport, ...] = ()


class Ending(enum.Enum):
    """How an invocation ended."""

    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    EXITED = "exited"


class Outcome(NamedTuple):
    """The end of one invocation."""

    ending: Ending
    payload: bytes
    """The handler's JSON, or the JSON of its error in AWS's shape
    (``errorMessage``, ``errorType``, ``requestId``, ``stackTrace``). Empty if the answer went to
    ``Chunks`` and no error ended it."""
    duration_ms: float
    max_memory_mb: int
    content_type: str = ""
    """What the runtime said that its response is; empty where it said nothing."""


class Look(NamedTuple):
    """What the processes of an environment take of the machine."""

    pid: int
    """Its first process; -1: none is known."""
    memory_bytes: int
    """Resident, with pages that are shared with others, without those of files."""
    processor_ms: int
    """Of all of them, since their beginning."""
    frozen: bool
    """Whether they stand still."""


class UndeliveredError(Unavailable):
    """The runtime of an environment had ended by itself before it was given an event.

    The function has seen nothing of it: another environment may run it.
    """


LogSink = Callable[[str, bytes], None]
"""Called with the request id ('' during init) and a piece of output; must not block."""


Tell = Callable[[str, Mapping[str, Any], str], None]
"""Takes an event of the platform: its kind (``start``), what it says, its time as text."""


Chunks = Callable[[bytes, str], Awaitable[None]]
"""Takes the pieces of a response as they come, each with what the runtime said that the response
is (its ``Content-Type``); the runtime waits while it does."""


class Sandbox(Protocol):
    """One running environment; finished once ``closed`` is true."""

    @property
    def init(self) -> InitReport:
        """Return how the start went."""
        ...

    @property
    def closed(self) -> bool:
        """Return whether the environment is gone, for whatever reason."""
        ...

    async def invoke(
        self,
        request_id: str,
        payload: bytes,
        deadline_ms: int,
        context: Mapping[str, str],
        chunks: Chunks | None = None,
    ) -> Outcome:
        """Run the handler once; end the whole sandbox at the deadline or out of memory.

        Args:
            request_id: Given to the handler as ``aws_request_id``.
            payload: The event's JSON.
            deadline_ms: Wall-clock time at which the sandbox is killed.
            context: ``invoked_function_arn``, ``client_context``, ``trace_id``, ``identity``.
            chunks: Given the pieces of the response as the runtime sends them (one piece where it
                does not stream); the runtime waits while it takes one. The outcome's payload is
                then empty, unless it is an error, which may come after pieces.

        Raises:
            UndeliveredError: The runtime had ended before it was given the event.
            Unavailable: Neither the function nor its limits ended it.
        """
        ...

    async def credentials(self, credentials: Credentials) -> None:
        """Replace the credentials that the environment's SDK clients find."""
        ...

    @property
    def tell(self) -> Tell | None:
        """Return what takes events of the platform for its extensions; None: it has none."""
        ...

    @property
    def look(self) -> Callable[[], Look]:
        """Return what tells what its processes take; called in a thread, for it reads files."""
        ...

    async def close(self) -> None:
        """Kill every process of the sandbox and free what it held; returns when gone."""
        ...


class Runtime(Protocol):
    """Starts sandboxes on this machine."""

    @property
    def level(self) -> Level:
        """Return the isolation that this machine allows."""
        ...

    def runtimes(self) -> Mapping[str, str]:
        """Return the Lambda runtime names that can run here, each with its interpreter."""
        ...

    def missing(self, runtime: str) -> str:
        """Return what to install so that a runtime can run here, as a sentence."""
        ...

    def stands_in(self, runtime: str) -> str:
        """Return the runtime that runs in the place of one that is not here; empty where it is."""
        ...

    @property
    def expect(self) -> Callable[[str], None]:
        """Return what is told that a function of a runtime is about to be started: a hint."""
        ...

    async def start(self, spec: SandboxSpec, credentials: Credentials, log: LogSink) -> Sandbox:
        """Start an environment and run its initialisation (imports); never raises for user code.

        Raises:
            Unavailable: The sandbox daemon is gone or the machine is out of room.
        """
        ...

    async def close(self) -> None:
        """End every sandbox and the daemon."""
        ...


Connect = Callable[[int, str], Awaitable[None]]
"""Given a listening socket's descriptor that was opened inside a sandbox and the function's ARN,
serve the cloud's endpoint on it; the gateway passes this to the engine at start."""
