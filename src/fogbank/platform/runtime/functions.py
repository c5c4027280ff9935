"""Placement: which environment runs an invocation, and how many environments there may be.

Rule: environments, concurrency and throttling of functions have one owner, and it is this. It runs
at most min(account limit, memory budget / function memory) environments; what does not fit is
refused at once (synchronous) or waits (asynchronous). One environment runs one invocation at a
time; the one used last is used first, idle ones end by age and by memory.

An environment needs the cloud around it: credentials of the execution role, the code package, a
place for its log lines. It reaches them through ``Surroundings``, as any caller would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from fogbank.base.types import Wire
from fogbank.platform.blobs.port import BlobRef, Blobs
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.identity.principal import Principal
from fogbank.platform.metering.report import Report
from fogbank.platform.runtime.port import Level


class OperationCalls(Protocol):
    """Calls operations of services in this cloud; the contract's ``Calls`` is one."""

    async def call(
        self,
        service: str,
        operation: str,
        request: Wire,
        *,
        principal: Principal,
        region: str,
        account: str = "",
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

    @property
    def blobs(self) -> Blobs:
        """Return where the code packages lie."""
        ...


class Package(NamedTuple):
    """A deployment package: a zip file, durable in the blob store."""

    sha256: str
    """Hexadecimal; what the unpacked tree is named by."""
    blob: BlobRef


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
    memory_mb: int
    timeout_ms: int
    tmp_mb: int = 512
    log_group: str = ""


class Invocation(NamedTuple):
    """One event for a function."""

    request_id: str
    payload: bytes
    """JSON."""
    context: Mapping[str, str]
    """``invoked_function_arn``, ``client_context``, ``trace_id``."""


class Run(NamedTuple):
    """One invocation as it went."""

    payload: bytes
    """The handler's JSON, or the error's in AWS's shape."""
    failed: bool
    """Whether ``payload`` is an error: raised, timed out, out of memory, exited, no start."""
    report: Report
    tail: bytes
    """The last 4 KiB of the invocation's log."""


class RoleNotAssumableError(Exception):
    """The execution role does not exist or does not trust Lambda."""


class PackageError(Exception):
    """A deployment package cannot be unpacked; the message says why."""


class PackageTooLargeError(PackageError):
    """The unpacked package would be larger than allowed."""


class PackageEmptyError(PackageError):
    """The package holds no file."""


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

    async def prepare(self, package: Package, runtime: str, around: Surroundings) -> None:
        """Unpack and check a package, so that the first invocation finds it ready.

        Raises:
            PackageError: It is no zip file, or none that may be unpacked.
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
            Throttled: There was no room.
            Unavailable: The sandbox daemon is gone.
            RoleNotAssumableError: There are no credentials for the environment.
        """
        ...

    async def retire(self, function_arn: str, keep_revision: str = "") -> None:
        """End the environments of a function whose revision is another than ``keep_revision``."""
        ...

    async def close(self) -> None:
        """End every environment and bring its log lines home."""
        ...
