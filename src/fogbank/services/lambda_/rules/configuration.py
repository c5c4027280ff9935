"""What a function's configuration may be, and what a request makes of it.

Source: API Reference, CreateFunction and UpdateFunctionConfiguration; Developer Guide, "Working with
Lambda environment variables"; messages recorded by LocalStack's validated ``test_lambda_api``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.quota import Quota
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    PreconditionFailedException,
)
from fogbank.services.lambda_.rules import sealing
from fogbank.services.lambda_.schema import AliasRecord, FunctionRecord

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
ACTIVE: Final = "Active"
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


def check_tracing(request: Request, *, allowed: bool) -> None:
    """Refuse to trace a function while X-Ray does not stand, unless the deployment takes what can be had.

    Args:
        request: Of CreateFunction or UpdateFunctionConfiguration.
        allowed: Whether it does.

    Raises:
        NotBuilt: Tracing is asked for.
    """
    tracing: Wire = request.get("TracingConfig") or {}
    if tracing.get("Mode") == ACTIVE and not allowed:
        raise NotBuilt(
            "fogbank has not built X-Ray, which TracingConfig Active sends segments to; with the"
            " setting functions.trace_without_xray invocations are sampled and none are recorded"
        )


def check_sizes(request: Request, limit: Callable[[Quota], int]) -> None:
    """Refuse a timeout, memory or storage beyond what Lambda offers, or a setting allows.

    Args:
        request: Of CreateFunction or UpdateFunctionConfiguration.
        limit: The value of a quota.

    AWS: the model allows more, for managed instances.
    """
    for name, value, quota in (
        ("timeout", request.get("Timeout", 0), quotas.TIMEOUT_S),
        ("memorySize", request.get("MemorySize", 0), quotas.MEMORY_MB),
        ("ephemeralStorage.size", _tmp_mb_of(request), quotas.TMP_MB),
    ):
        most = limit(quota)
        if value > most:
            raise InvalidParameterValueException(
                f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy "
                f"constraint: Member must have value less than or equal to {most}"
            )


def _tmp_mb_of(request: Request) -> int:
    """Return the storage that a request asks for; 0: it says nothing of it."""
    storage: Wire = request.get("EphemeralStorage") or {}
    size: int = storage.get("Size", 0)
    return size


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


_STALE: Final = (
    "The Revision Id provided does not match the latest Revision Id. Call the %s API to retrieve the"
    " latest Revision Id"
)


def check_policy_revision(record: FunctionRecord | AliasRecord, request: Request) -> None:
    """Refuse to add to the policy of what is at another revision.

    AWS: of an alias it says so in other words (recorded in ``test_lambda_permission_fn_versioning``).
    """
    if not isinstance(record, AliasRecord):
        check_revision(record, request)
    elif request.get("RevisionId", record.revision) != record.revision:
        raise PreconditionFailedException(_STALE % "GetPolicy")


def check_revision(record: FunctionRecord | AliasRecord, request: Request) -> None:
    """Refuse a change of a revision that is no longer the latest."""
    revision: str | None = request.get("RevisionId")
    if revision is not None and revision != record.revision:
        raise PreconditionFailedException(_STALE % "GetFunction/GetAlias")


def check_code_sha256(function: FunctionRecord, request: Request) -> None:
    """Refuse to publish other code than the request names."""
    wanted: str | None = request.get("CodeSha256")
    present = base64.b64encode(bytes.fromhex(function.code_sha256)).decode()
    if wanted is not None and wanted != present:
        raise InvalidParameterValueException(
            f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({present}). "
            "Please try again with the CodeSHA256 in $LATEST."
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
    measured = sealing.plain_of(variables)
    if len(measured) > quotas.VARIABLES_BYTES_MAX:
        raise InvalidParameterValueException(
            f"{_UNABLE}exceeded the 4KB limit. String measured: {measured.decode()}"
        )
    return variables


def _log_levels_of(logging: Wire, before: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return the levels that a request asks for; None: the log is to be text.

    AWS: both are INFO where a log becomes JSON and nothing is said of them.
    """
    form = logging.get("LogFormat", "Text" if before is None else "JSON")
    if form == "JSON":
        application, system = before or ("INFO", "INFO")
        return (
            logging.get("ApplicationLogLevel", application),
            logging.get("SystemLogLevel", system),
        )
    if "ApplicationLogLevel" in logging or "SystemLogLevel" in logging:
        raise InvalidParameterValueException(
            "Log Level is not supported when LogFormat is set to Text. Remove Log Level from your "
            "request or change the LogFormat to JSON and try again."
        )
    return None


def configured(function: FunctionRecord, request: Request) -> FunctionRecord:
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
    if "TracingConfig" in request:
        changes["traced"] = request["TracingConfig"].get("Mode") == ACTIVE
    if "EphemeralStorage" in request:
        changes["tmp_mb"] = request["EphemeralStorage"]["Size"]
    if (variables := variables_of(request)) is not None:
        changes["variables"] = variables
    logging: Wire = request.get("LoggingConfig") or {}
    changes["log_group"] = logging.get("LogGroup", function.log_group)
    changes["log_levels"] = _log_levels_of(logging, function.log_levels)
    return msgspec.structs.replace(function, **changes)
