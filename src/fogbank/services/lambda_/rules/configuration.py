"""What a function's configuration may be, and what a request makes of it.

Source: API Reference, CreateFunction and UpdateFunctionConfiguration; Developer Guide, "Working with
Lambda environment variables"; messages recorded by LocalStack's validated ``test_lambda_api``.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    PreconditionFailedException,
)
from fogbank.services.lambda_.schema import FunctionRecord

RESERVED: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
"""Variables that a function finds set and cannot set itself."""
_UNABLE: Final = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)


def check_runtime(request: Request, runtimes: Any, architecture: str) -> None:
    """Refuse a function that has no handler or that this machine cannot run.

    Args:
        request: CreateFunction's.
        runtimes: What can run here; ``missing`` says what to install for the rest.
        architecture: The machine's.
    """
    if not request.get("Runtime") or not request.get("Handler"):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages."
        )
    check_available(request["Runtime"], runtimes)
    check_architecture(request, architecture)


def check_available(runtime: str, functions: Any) -> None:
    """Refuse a runtime that this machine lacks, and say what to install."""
    if runtime not in functions.runtimes():
        raise InvalidParameterValueException(functions.missing(runtime))


def check_architecture(request: Request, architecture: str) -> None:
    """Refuse an instruction set that is not the machine's."""
    wanted: list[str] = request.get("Architectures") or [architecture]
    if wanted != [architecture]:
        raise InvalidParameterValueException(
            f"This machine runs functions on {architecture}; it cannot run {', '.join(wanted)}."
        )


def check_sizes(request: Request) -> None:
    """Refuse a timeout, memory or storage beyond what Lambda offers.

    AWS: the model allows more, for managed instances.
    """
    for member, most in (("Timeout", quotas.TIMEOUT_S_MAX), ("MemorySize", quotas.MEMORY_MB_MAX)):
        if request.get(member, 0) > most:
            name = member[0].lower() + member[1:]
            raise InvalidParameterValueException(
                f"1 validation error detected: Value '{request[member]}' at '{name}' failed to "
                f"satisfy constraint: Member must have value less than or equal to {most}"
            )


def tags_of(request: Request) -> dict[str, str]:
    """Return the tags of a request."""
    tags: dict[str, str] = request.get("Tags") or {}
    check_tags(tags)
    return tags


def check_tags(tags: dict[str, str]) -> None:
    """Refuse more tags than a function may have, and keys that are reserved."""
    # AWS: in any case of letters (Tagging AWS Resources User Guide, "Tag naming limits and
    # requirements").
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidParameterValueException(
            "aws: prefixed tag key names are not allowed for external use."
        )
    if len(tags) > quotas.TAGS_MAX:
        raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")


def check_role(role: str, account: str) -> None:
    """Refuse a role of another account."""
    arn = find_arn(role)
    if arn is None or arn.account != account:
        raise AccessDeniedException("Cross-account pass role is not allowed.")


def check_revision(function: FunctionRecord, request: Request) -> None:
    """Refuse a change of a revision that is no longer the latest."""
    revision: str | None = request.get("RevisionId")
    if revision is not None and revision != function.revision:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id"
        )


def variables_of(request: Request) -> dict[str, str] | None:
    """Return the environment variables of a request, or None if it has none.

    Raises:
        InvalidParameterValueException: A name is reserved, or they are too large.
    """
    if "Environment" not in request:
        return None
    variables: dict[str, str] = request["Environment"].get("Variables") or {}
    reserved = [name for name in variables if name in RESERVED]
    if reserved:
        raise InvalidParameterValueException(
            f"{_UNABLE}contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > quotas.VARIABLES_BYTES_MAX:
        raise InvalidParameterValueException(
            f"{_UNABLE}exceeded the 4KB limit. String measured: {measured}"
        )
    return variables


def log_group_of(request: Request, operation: str, before: str) -> str:
    """Return the log group that a request asks for; empty means the function's own."""
    logging: Wire = request.get("LoggingConfig") or {}
    if logging.get("LogFormat", "Text") != "Text":
        raise NotBuilt.member("lambda", operation, "LoggingConfig.LogFormat")
    if "ApplicationLogLevel" in logging or "SystemLogLevel" in logging:
        raise InvalidParameterValueException(
            "Log Level is not supported when LogFormat is set to Text. Remove Log Level from your "
            "request or change the LogFormat to JSON and try again."
        )
    group: str = logging.get("LogGroup", before)
    return group


def configured(function: FunctionRecord, request: Request, operation: str) -> FunctionRecord:
    """Return a function with what a request says of its configuration."""
    changes: dict[str, Any] = {}
    for member, field in (
        ("Role", "role"),
        ("Handler", "handler"),
        ("Description", "description"),
        ("Timeout", "timeout_s"),
        ("MemorySize", "memory_mb"),
        ("Runtime", "runtime"),
    ):
        if member in request:
            changes[field] = request[member]
    if "EphemeralStorage" in request:
        changes["tmp_mb"] = request["EphemeralStorage"]["Size"]
    if (variables := variables_of(request)) is not None:
        changes["variables"] = variables
    group = log_group_of(request, operation, function.log_group)
    return msgspec.structs.replace(function, **changes, log_group=group)
