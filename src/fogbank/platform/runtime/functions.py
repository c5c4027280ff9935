"""Placement: which environment runs an invocation, and how many environments there may be.

Rule: environments, concurrency and throttling of functions have one owner, and it is this. It runs
at most min(account limit, memory budget / function memory) environments; what does not fit is
refused at once (synchronous) or waits (asynchronous). One environment runs one invocation at a
time; the one used last is used first, idle ones end by age and by memory.

An environment needs the cloud around it: credentials of the execution role, the code package, a
place for its log lines. It reaches them through ``Surroundings``, as any caller would.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from fogbank.base.errors import ServiceError, Throttled
from fogbank.base.types import Wire
from fogbank.platform.blobs.port import BlobRef, Blobs
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.identity.principal import Principal
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.metering.report import Report
from fogbank.platform.metering.system_log import TEXT, LogForm
from fogbank.platform.runtime.port import Chunks, Level


class OperationCalls(Protocol):
    """Calls operations of services in this cloud; the contract's ``Calls`` is one."""

    async def call(  # noqa: PLR0913 (who asks what of whom, for whom)
        self,
        service: str,
        operation: str,
        request: Wire,
        *,
        principal: Principal,
        region: str,
        account: str = "",
        via: str = "",
    ) -> Wire:
        """Run an operation as a principal and return its reply."""
        ...


class Proofs(Protocol):
    """Tells whom a credential stands for; the platform's ``Identity`` does."""

    async def credential(self, key_id: str, token: str = "") -> Credential | None:
        """Return the secret and the principal of an access key, or None if it proves nothing."""
        ...


class Surroundings(Protocol):
    """The cloud around an environment; the contract's ``Facilities`` are one."""

    @property
    def calls(self) -> OperationCalls:
        """Return the way to other services."""
        ...

    @property
    def identity(self) -> Proofs:
        """Return who a credential proves to be."""
        ...

    async def opened_for(self, principal: Principal, key: LockedKey) -> bytes:
        """Return a key, opened by KMS for somebody who asks its service."""
        ...

    @property
    def blobs(self) -> Blobs:
        """Return where the code packages lie."""
        ...

    @property
    def metrics(self) -> Metrics:
        """Return where it is noted how invocations went."""
        ...


class Package(NamedTuple):
    """A deployment package or a layer: a zip file, durable in the blob store."""

    sha256: str
    """Hexadecimal; what the unpacked tree is named by."""
    blob: BlobRef
    lock: LockedKey | None = None
    """The key that the blob is sealed with, as KMS has encrypted it; None: the store's own keys."""


TASK: Final = "/var/task"
OPT: Final = "/opt"


class Tree(NamedTuple):
    """Packages as they are unpacked for a runtime: one over the other, the last on top."""

    packages: tuple[Package, ...]
    runtime: str
    root: str = TASK
    """Where a function finds it."""

    @property
    def name(self) -> str:
        """Return what it is called among the unpacked trees of a machine: by all that it holds."""
        digests = [package.sha256 for package in self.packages]
        if self.root == TASK:
            [digest] = digests
            return f"{digest}.{self.runtime}"
        together = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        return f"{together}-layers.{self.runtime}"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A function version as it is to run: all but what an environment has of its own."""

    account: str
    region: str
    function_arn: str
    """Without version or alias."""
    function_name: str
    version: str
    revision: str
    """Changes whenever code or configuration does: environments of an old revision end."""
    runtime: str
    handler: str
    role_arn: str
    package: Package
    environment: Mapping[str, str]
    """The user's variables."""
    sealed: LockedKey | None = None
    """The user's variables, JSON, as KMS has encrypted them; None: they are as they are."""
    layers: tuple[Package, ...] = ()
    """In their order: what lies in a later one covers what lies in one before."""
    memory_mb: int
    timeout_ms: int
    tmp_mb: int = 512
    log_group: str = ""
    reserved: int = -1
    """How many invocations of all versions may run at a time, and are room of the function's own;
    -1: as many as the account has room for."""
    shared_max: int = -1
    """How many invocations of the account's functions without such room may run; -1: the default."""
    log_form: LogForm = TEXT
    folder: str = ""
    """The folder of the machine that its code was taken from, which every START line names."""
    traced: bool = False
    """Whether its log tells of the trace of each invocation."""
    debug_port: int = 0
    """Of the machine's loopback, for its debugger; 0: it is not debugged."""


class Invocation(NamedTuple):
    """One event for a function."""

    request_id: str
    payload: bytes
    """JSON."""
    context: Mapping[str, str]
    """``invoked_function_arn``, ``client_context``, ``trace_id``."""
    chunks: Chunks | None = None
    """Where an answer goes piece by piece, if its runtime makes pieces; None: it is wanted whole."""


class Run(NamedTuple):
    """One invocation as it went."""

    payload: bytes
    """The handler's JSON, or the error's in AWS's shape; empty if it was streamed without one."""
    failed: bool
    """Whether ``payload`` is an error: raised, timed out, out of memory, exited, no start."""
    report: Report
    tail: bytes
    """The last 4 KiB of the invocation's log."""


class Answering(Protocol):
    """An answer that is read as it is made; ``answers.AnswerStream`` is one."""

    async def write(self, piece: bytes, content_type: str) -> None:
        """Take a piece, as ``Chunks``."""
        ...

    def follow(self, done: asyncio.Future[Run]) -> None:
        """Know when the invocation is over."""
        ...

    async def begin(self) -> None:
        """Return once there is something to read, or the invocation is over; else read no more."""
        ...


class Provisioned(NamedTuple):
    """What stands of the environments that a version is to have ready."""

    wanted: int
    ready: int
    """Those that are initialised, whether or not they work."""
    trouble: str
    """Why the last could not be made ready; empty: nothing went wrong."""


class ReservedError(Throttled):
    """A function runs as often at a time as was reserved for it."""


class RoleNotAssumableError(Exception):
    """The execution role does not exist or does not trust Lambda."""


class UnreadableError(Exception):
    """What a function needs to start is sealed with a KMS key that cannot be used.

    Args:
        what: What it is, as a refusal names it.
        error: What KMS said.
    """

    def __init__(self, what: str, error: ServiceError) -> None:
        super().__init__(f"{what}: {error.code}: {error.message}")
        self.what = what
        self.error = error


class PackageError(Exception):
    """A deployment package cannot be unpacked; the message says why."""


class PackageTooLargeError(PackageError):
    """The unpacked package would be larger than allowed."""


class PackageEmptyError(PackageError):
    """The package holds no file."""


REFUSALS: Final = (Throttled, RoleNotAssumableError, UnreadableError, PackageError)
"""What is raised for an invocation that has not begun, by what stands in its way."""


class Provisioning(Protocol):
    """Has environments ready before anybody asks for them."""

    def provision(self, target: Target, count: int, around: Surroundings) -> Provisioned:
        """Have so many environments of a version ready from now on; return what stands of them.

        Args:
            target: The version.
            count: How many; 0: none any more.
            around: The way to roles, logs and packages.
        """
        ...

    def standing(self, target: Target, count: int) -> Provisioned:
        """Return what stands of the environments of a version of which so many are wanted."""
        ...


class Functions(Protocol):
    """Runs invocations in environments."""

    @property
    def level(self) -> Level:
        """Return the isolation that this machine allows."""
        ...

    @property
    def architecture(self) -> str:
        """Return the machine's instruction set as Lambda names it: ``x86_64`` or ``arm64``."""
        ...

    def runtimes(self) -> Mapping[str, str]:
        """Return the Lambda runtime names that can run here, each with its interpreter."""
        ...

    def missing(self, runtime: str) -> str:
        """Return what to install so that a runtime can run here, as a sentence."""
        ...

    async def prepare(self, tree: Tree, around: Surroundings) -> int:
        """Unpack and check packages, so that the first invocation finds them; return their bytes.

        Raises:
            PackageError: One is no zip file, or none that may be unpacked.
            Full: There is no space for the tree.
        """
        ...

    async def check_role(self, target: Target, around: Surroundings) -> None:
        """Return if Lambda may assume the target's execution role.

        Raises:
            RoleNotAssumableError: It may not.
        """
        ...

    async def run(
        self,
        target: Target,
        invocation: Invocation,
        around: Surroundings,
        *,
        patience_ms: int = 0,
        logged: bool = False,
    ) -> Run:
        """Run one invocation in a warm or new environment; a cancelled caller does not stop it.

        Args:
            target: What to run.
            invocation: The event.
            around: The way to roles, logs and packages.
            patience_ms: How long to wait for room; in order of arrival.
            logged: Whether to return only once the log lines are durable.

        Raises:
            ReservedError: The function runs as often as was reserved for it.
            Throttled: There was no room.
            Unavailable: The sandbox daemon is gone.
            RoleNotAssumableError: There are no credentials for the environment.
            UnreadableError: Its variables or its code cannot be decrypted.
        """
        ...

    async def stream(
        self, target: Target, invocation: Invocation, around: Surroundings, answer: Answering
    ) -> None:
        """Run one invocation whose answer is read as it is made; return once it has begun.

        Args:
            target: What to run.
            invocation: The event.
            around: The way to roles, logs and packages.
            answer: What is read; a reader who leaves does not stop the invocation.

        Raises:
            Throttled, Unavailable, RoleNotAssumableError, UnreadableError: As ``run``, before
                anything was answered.
        """
        ...

    def sample(self, function_arn: str) -> bool:
        """Return whether the next invocation of a function that nobody has decided on is traced."""
        ...

    @property
    def provisions(self) -> Provisioning:
        """Return the environments that stand ready."""
        ...

    async def retire(self, function_arn: str, keep_revision: str = "", version: str = "") -> None:
        """End the environments of a function, or of a version, of other revisions than one.

        Args:
            function_arn: The function's, without a version.
            keep_revision: Environments of this revision stay; empty: none does.
            version: Only environments of this version end; empty: those of all.
        """
        ...

    async def close(self) -> None:
        """End every environment and bring its log lines home."""
        ...
