"""The environment of a function: AWS's reserved variables, the user's, the credentials.

Rule: this is all that a sandbox finds in its environment; nothing of the server's is inherited.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fogbank.base.arn import find_arn
from fogbank.platform.runtime.port import Credentials, SandboxSpec

TASK_ROOT = "/var/task"
OPT_ROOT = "/opt"
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
AT_BOOT = {name: _PATHS[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")}
"""What a runtime finds that is started before its function is known."""
_OF_RUNTIMES = frozenset(
    (
        *("AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
        *("LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "NODE_PATH", "PYTHONPATH"),
        *("GEM_PATH", "RUBYLIB"),
        "AWS_XRAY_CONTEXT_MISSING",
    )
)
"""Variables of a runtime that its extensions do not have."""
_OPT_PATHS = ("PATH", "LD_LIBRARY_PATH", "NODE_PATH", "GEM_PATH", "RUBYLIB")
"""Lists of folders, some of which lie in layers (Developer Guide, "Adding layers to functions")."""
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Roots(NamedTuple):
    """Where a function finds its trees, inside."""

    task: str
    opt: str


ROOTS = Roots(TASK_ROOT, OPT_ROOT)


def roots_of(spec: SandboxSpec, *, walled: bool) -> Roots:
    """Return where a function finds its code and layers; without namespaces, where they lie."""
    if not walled:
        return ROOTS
    layers = os.path.realpath(spec.layers_dir) if spec.layers_dir else OPT_ROOT
    return Roots(os.path.realpath(spec.code_dir), layers)


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
    if spec.runtime.startswith("nodejs"):
        version = spec.runtime.removeprefix("nodejs").removesuffix(".x")
        modules = (f"/opt/nodejs/node{version}/node_modules", "/opt/nodejs/node_modules")
        values["NODE_PATH"] = ":".join((*modules, "/var/runtime/node_modules"))
    if spec.runtime.startswith("ruby"):
        gems = f"ruby/{spec.runtime.removeprefix('ruby')}.0"
        values["GEM_PATH"] = f"{TASK_ROOT}/vendor/bundle/{gems}:/opt/ruby/gems/{gems[5:]}"
        values["RUBYLIB"] = f"{TASK_ROOT}:/var/runtime/lib:/opt/ruby/lib"
    if not spec.runtime.startswith("python"):
        del values["PYTHONPATH"]  # also a Python that the function brings is not ours
    if spec.runtime.startswith("provided"):
        del values["AWS_EXECUTION_ENV"]  # AWS: "not defined for the OS-only runtimes"
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


def of_extensions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of a function's environment an extension finds.

    Source: AWS's runtime interface emulator (``rapidcore/env``, ``AgentExecEnv``): neither what only a
    runtime needs nor a name that begins with an underscore.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_RUNTIMES and not name.startswith("_")
    }


def environment_of(
    spec: SandboxSpec,
    credentials: Credentials,
    endpoint_url: str,
    roots: Roots = ROOTS,
    api: str = "",
) -> dict[str, str]:
    """Return the whole environment; what the function's owner set wins over our defaults.

    Args:
        spec: The environment's.
        credentials: The role's.
        endpoint_url: Of the cloud, as it is reached inside.
        roots: Where code and layers lie, inside.
        api: Host and port of the Runtime API, for runtimes that speak it.
    """
    ours = reserved(spec, endpoint_url)
    if roots.task != TASK_ROOT:  # no namespaces: our files lie where they lie
        ours["AWS_CONFIG_FILE"] = str(_SDK_CONFIG)
    if roots.opt != OPT_ROOT:  # and so do layers
        ours |= {name: _moved(ours[name], roots.opt) for name in _OPT_PATHS if name in ours}
    values = {**ours, **spec.environment, **of_credentials(credentials)}
    if roots.task != TASK_ROOT:  # nor can the code lie elsewhere
        values["LAMBDA_TASK_ROOT"] = roots.task
    if api:
        values["AWS_LAMBDA_RUNTIME_API"] = api
    return values


def _moved(folders: str, opt: str) -> str:
    """Return a list of folders in which those of layers lie elsewhere."""
    below = f"{OPT_ROOT}/"
    return ":".join(
        f"{opt}/{folder.removeprefix(below)}" if folder.startswith(below) else folder
        for folder in folders.split(":")
    )
