"""What an environment asks of the cloud around it: a session of its role, a place for its log.

Rule: everything goes through operations, authorised like any caller's: the role is assumed by the
service principal, and log lines are written as the role's session, so that a role without
permission to write logs leaves none, as on AWS.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.base.types import Wire
from fogbank.platform.identity.principal import Principal, service_principal
from fogbank.platform.metering.journal import LogEvent
from fogbank.platform.runtime.functions import (
    Package,
    RoleNotAssumableError,
    Surroundings,
    Target,
    UnreadableError,
)
from fogbank.platform.runtime.port import Credentials

log = logging.getLogger("fogbank.functions")

LAMBDA: Final = "lambda.amazonaws.com"
VARIABLES: Final = "environment variables"
PACKAGE: Final = "deployment package"
SESSION_S: Final = 3_600
_SESSION_NAME_LENGTH_MIN: Final = 2
_VARIABLES: Final = msgspec.json.Decoder(dict[str, str])


class Bearer(Protocol):
    """A function whose role is assumed; a ``Target`` is one."""

    @property
    def account(self) -> str:
        """Return its account."""
        ...

    @property
    def region(self) -> str:
        """Return its region."""
        ...

    @property
    def function_arn(self) -> str:
        """Return its ARN, without a version."""
        ...

    @property
    def function_name(self) -> str:
        """Return its name."""
        ...

    @property
    def role_arn(self) -> str:
        """Return its role."""
        ...


class Acting(NamedTuple):
    """A function that acts as its role without running."""

    account: str
    region: str
    function_arn: str
    function_name: str
    role_arn: str


_BEYOND_S: Final = 360
"""A session outlasts an invocation by so much: its environment is used while five minutes are left."""


class RoleSession(NamedTuple):
    """A session of an execution role."""

    principal: Principal
    credentials: Credentials


def session_name_of(function_name: str) -> str:
    """Return the name of a function's role sessions.

    AWS: the function's name, which as a session name is too short if it has one character
    (recorded in LocalStack's ``test_assume_role[1]``).
    """
    if len(function_name) < _SESSION_NAME_LENGTH_MIN:
        return f"{function_name}@lambda_function"
    return function_name


async def assume_role(target: Bearer, around: Surroundings, timeout_ms: int = 0) -> RoleSession:
    """Return a fresh session of a function's execution role, which outlasts an invocation.

    Args:
        target: Whose role it is.
        around: The way to who gives sessions.
        timeout_ms: How long an invocation may take; beyond most of an hour the role must allow
            sessions as long (``MaxSessionDuration``).

    Raises:
        RoleNotAssumableError: There is no such role, or it does not trust Lambda.
    """
    caller = service_principal(
        LAMBDA, source_arn=target.function_arn, source_account=target.account
    )
    request: Wire = {
        "RoleArn": target.role_arn,
        "RoleSessionName": session_name_of(target.function_name),
        "DurationSeconds": max(SESSION_S, -(-timeout_ms // 1000) + _BEYOND_S),
    }
    try:
        reply = await around.calls.call(
            "sts",
            "AssumeRole",
            request,
            principal=caller,
            region=target.region,
            account=target.account,
        )
    except ServiceError as error:
        log.info("%s: %s cannot be assumed: %s", target.function_arn, target.role_arn, error)
        raise RoleNotAssumableError(target.role_arn) from error
    return await _session_of(reply, around)


async def _session_of(reply: Wire, around: Surroundings) -> RoleSession:
    """Return the session that AssumeRole answered."""
    given = reply["Credentials"]
    proof = await around.identity.credential(given["AccessKeyId"], given["SessionToken"])
    assert proof is not None, "a fresh session proves who it is"
    credentials = Credentials(
        access_key_id=given["AccessKeyId"],
        secret_access_key=given["SecretAccessKey"],
        session_token=given["SessionToken"],
        expires_ms=proof.expires_ms,
    )
    return RoleSession(proof.principal, credentials)


async def variables_of(
    target: Target, session: RoleSession, around: Surroundings
) -> Mapping[str, str]:
    """Return the user's variables of an environment that starts, decrypted as its role if need be.

    Raises:
        UnreadableError: KMS does not let the role, or cannot use the key.
    """
    locked = target.sealed
    if locked is None:
        return target.environment
    try:
        reply = await around.calls.call(
            "kms",
            "Decrypt",
            {
                "CiphertextBlob": locked.wrapped,
                "EncryptionContext": dict(locked.context),
                "KeyId": locked.owner,
            },
            principal=session.principal,
            region=locked.region,
            via=locked.service,
        )
    except ServiceError as error:
        log.info("%s: its variables cannot be decrypted: %s", target.function_arn, error)
        raise UnreadableError(VARIABLES, error) from error
    return _VARIABLES.decode(reply["Plaintext"])


async def open_package(package: Package, around: Surroundings) -> bytes | None:
    """Return the key of a deployment package, decrypted for Lambda itself; None: it needs none.

    AWS: no grant is made for it: the policy of the KMS key lets Lambda in (Developer Guide, "Encrypting
    Lambda .zip deployment packages").

    Raises:
        UnreadableError: KMS does not let Lambda, or cannot use the key.
    """
    lock = package.lock
    if lock is None:
        return None
    try:
        return await around.opened_for(lambda_for(lock.account), lock)
    except ServiceError as error:
        raise UnreadableError(PACKAGE, error) from error


def lambda_for(account: str) -> Principal:
    """Return Lambda as it asks for something of an account by itself."""
    return service_principal(LAMBDA, source_account=account)


class LogStream:
    """Writes events to one log stream as a role's session; makes group and stream on demand."""

    def __init__(
        self, target: Target, name: str, session: RoleSession, around: Surroundings
    ) -> None:
        self._target = target
        self._session = session
        self._around = around
        self._stream = {"logGroupName": target.log_group, "logStreamName": name}
        self._made = False

    async def ship(self, events: Sequence[LogEvent]) -> None:
        """Write a batch; what the role may not write is forgotten.

        Raises:
            Weather: The logs could not be reached: worth another try.
        """
        wire = [{"timestamp": event.timestamp_ms, "message": event.message} for event in events]
        try:
            if not self._made:
                await self._make()
            await self._put(wire)
        except ServiceError as error:
            log.info("%s: no logs: %s", self._target.function_arn, error)

    async def _put(self, events: list[Wire]) -> None:
        """Write events; make the stream again if someone has deleted it."""
        try:
            await self._call("PutLogEvents", {**self._stream, "logEvents": events})
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            await self._make()
            await self._call("PutLogEvents", {**self._stream, "logEvents": events})

    async def _make(self) -> None:
        """Make the stream, and its group first if need be."""
        try:
            await self._tolerant("CreateLogStream", self._stream)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            await self._tolerant("CreateLogGroup", {"logGroupName": self._target.log_group})
            await self._tolerant("CreateLogStream", self._stream)
        self._made = True

    async def _tolerant(self, operation: str, request: Wire) -> None:
        """Call an operation that makes something which may stand already."""
        try:
            await self._call(operation, request)
        except ServiceError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise

    async def _call(self, operation: str, request: Wire) -> None:
        """Call an operation of the log service as the role's session."""
        await self._around.calls.call(
            "logs",
            operation,
            request,
            principal=self._session.principal,
            region=self._target.region,
            account=self._target.account,
        )
