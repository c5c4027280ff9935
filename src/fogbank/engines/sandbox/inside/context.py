"""The context object that a handler is given, as AWS's Python runtime makes it."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, cast


class Malformed(Exception):
    """A client context that is no JSON."""


class _Record:
    """An object with named attributes, None where the caller sent nothing."""

    _names: tuple[str, ...] = ()

    def __init__(self, values: dict[str, Any]) -> None:
        for name in self._names:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        inner = ",".join(f"{name}={getattr(self, name)}" for name in self._names)
        return f"{type(self).__name__}([{inner}])"


class Client(_Record):
    """The application behind a client context."""

    _names = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(_Record):
    """What the caller sent in ``X-Amz-Client-Context``."""

    _names = ("custom", "env", "client")

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        client = values.get("client")
        self.client = None if client is None else Client(client)


class CognitoIdentity(_Record):
    """The identity that a mobile client called with."""

    _names = ("cognito_identity_id", "cognito_identity_pool_id")


class LambdaContext:
    """What a handler learns about its invocation."""

    def __init__(self, head: dict[str, Any], client_context: ClientContext | None) -> None:
        environment = os.environ.get
        self.aws_request_id: str = head["request_id"]
        self.invoked_function_arn: str = head.get("invoked_function_arn", "")
        self.log_group_name = environment("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environment("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environment("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environment("AWS_LAMBDA_FUNCTION_VERSION")
        self.tenant_id: str | None = head.get("tenant_id") or None
        self.client_context = client_context
        identity = json.loads(head.get("identity") or "{}")
        self.identity = CognitoIdentity(
            {
                "cognito_identity_id": identity.get("cognitoIdentityId"),
                "cognito_identity_pool_id": identity.get("cognitoIdentityPoolId"),
            }
        )
        self._epoch_deadline_time_in_ms: int = head["deadline_ms"]

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run."""
        return max(0, self._epoch_deadline_time_in_ms - time.time_ns() // 1_000_000)

    def log(self, message: Any) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        inner = ",".join(f"{name}={getattr(self, name)}" for name in names)
        return f"LambdaContext([{inner}])"


def context_of(head: dict[str, Any]) -> LambdaContext:
    """Return the context of an invocation.

    Raises:
        Malformed: The caller's client context is no JSON object.
    """
    raw = head.get("client_context")
    if not raw:
        return LambdaContext(head, None)
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise Malformed(f"Unable to parse Client Context JSON: {error}") from None
    found = cast("dict[str, Any]", values) if isinstance(values, dict) else {}
    return LambdaContext(head, ClientContext(found))
