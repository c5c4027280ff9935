"""The environment of a function: AWS's reserved variables, the user's, the credentials.

Rule: this is all that a sandbox finds in its environment; nothing of the server's is inherited.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from fogbank.base.arn import find_arn
from fogbank.platform.runtime.port import Credentials, SandboxSpec

TASK_ROOT = "/var/task"
_OURS = Path(__file__).parents[2]
_SDK_CONFIG = Path(__file__).parent / "inside" / "aws.config"
_PATHS = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": (
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:"
        "/opt/lib"
    ),
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "LAMBDA_TASK_ROOT": TASK_ROOT,
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "PYTHONPATH": "/var/runtime",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_CONFIG_FILE": f"/var/fogbank/fogbank/{_SDK_CONFIG.relative_to(_OURS)}",
}
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def reserved(spec: SandboxSpec, endpoint_url: str) -> dict[str, str]:
    """Return the variables that AWS sets in every environment of a function."""
    arn = find_arn(spec.function_arn)
    region = arn.region if arn is not None and arn.region else "us-east-1"
    group = spec.log_group or f"/aws/lambda/{spec.function_name}"
    values = {
        **_PATHS,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": group,
        "_HANDLER": spec.handler,
    }
    if spec.log_stream:
        values["AWS_LAMBDA_LOG_STREAM_NAME"] = spec.log_stream
    return values


def of_credentials(credentials: Credentials) -> dict[str, str]:
    """Return the variables in which SDK clients find credentials.

    botocore asks the environment again when ``AWS_CREDENTIAL_EXPIRATION`` comes near, so that
    clients made at import survive a change of credentials in a long-lived environment.
    """
    expires = dt.datetime.fromtimestamp(credentials.expires_ms // 1000, tz=dt.UTC)
    values = (
        credentials.access_key_id,
        credentials.secret_access_key,
        credentials.session_token,
    )
    named = {name: value for name, value in zip(_CREDENTIALS, values, strict=True) if value}
    return {**named, "AWS_CREDENTIAL_EXPIRATION": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}


def environment_of(
    spec: SandboxSpec, credentials: Credentials, endpoint_url: str, task_root: str
) -> dict[str, str]:
    """Return the whole environment; what the function's owner set wins over our defaults."""
    ours = reserved(spec, endpoint_url)
    if task_root != TASK_ROOT:  # no namespaces: our files lie where they lie
        ours["AWS_CONFIG_FILE"] = str(_SDK_CONFIG)
    values = {**ours, **spec.environment, **of_credentials(credentials)}
    if task_root != TASK_ROOT:  # nor can the code lie elsewhere
        values["LAMBDA_TASK_ROOT"] = task_root
    return values
