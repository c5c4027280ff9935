"""Functions as the wire has them.

AWS: a function is told as Pending, or an update as InProgress, in the answer of the operation that
made it so, and as Active and Successful in every later one; here it is so from the start.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fogbank.contract.action import Scope
from fogbank.platform.metering.system_log import TEXT, LogForm
from fogbank.platform.runtime.functions import Package, Target
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.rules import sealing
from fogbank.services.lambda_.rules.concurrency import NO_ROOM, Room
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

ACTIVE: Final[shapes.FunctionConfiguration] = {"State": "Active", "LastUpdateStatus": "Successful"}
CREATED: Final[shapes.FunctionConfiguration] = {
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
}
UPDATED: Final[shapes.FunctionConfiguration] = {
    "State": "Active",
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}


def log_group_of(function: FunctionRecord) -> str:
    """Return the group that a function's log goes to."""
    return function.log_group or f"/aws/lambda/{function.name}"


def _logging_of(function: FunctionRecord) -> shapes.LoggingConfig:
    """Return how and where a function's log is written."""
    group = log_group_of(function)
    if function.log_levels is None:
        return {"LogFormat": "Text", "LogGroup": group}
    application, system = function.log_levels
    return {
        "LogFormat": "JSON",
        "ApplicationLogLevel": application,
        "SystemLogLevel": system,
        "LogGroup": group,
    }


def listed_view(
    scope: Scope, function: FunctionRecord, qualifier: str = "", account: str = ""
) -> shapes.FunctionConfiguration:
    """Return a function as listings tell it, without its state; ``account``: if another's."""
    account = account or scope.account
    view: shapes.FunctionConfiguration = {
        "FunctionName": function.name,
        "FunctionArn": arns.function_arn(scope.region, account, function.name, qualifier),
        "Runtime": function.runtime,
        "Role": function.role,
        "Handler": function.handler,
        "CodeSize": function.code_size,
        "Description": function.description,
        "Timeout": function.timeout_s,
        "MemorySize": function.memory_mb,
        "LastModified": moment_of(function.modified_ms),
        "CodeSha256": base64.b64encode(bytes.fromhex(function.code_sha256)).decode(),
        "Version": function.version,
        "TracingConfig": {"Mode": "Active" if function.traced else "PassThrough"},
        "RevisionId": function.revision,
        "PackageType": "Zip",
        "Architectures": [function.architecture],
        "EphemeralStorage": {"Size": function.tmp_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": _logging_of(function),
    }
    if function.layers:
        view["Layers"] = [{"Arn": use.arn, "CodeSize": use.code_size} for use in function.layers]
    if function.kms_key:
        view["KMSKeyArn"] = function.kms_key
    if function.variables is not None:
        view["Environment"] = {"Variables": function.variables}
    return view


def configuration_view(
    named: FunctionName, function: FunctionRecord, state: shapes.FunctionConfiguration
) -> shapes.FunctionConfiguration:
    """Return a function's configuration under the ARN that the request named."""
    scope = Scope(named.account, named.region)
    return {**listed_view(scope, function, named.qualifier), **state}


def moment_of(time_ms: int) -> str:
    """Return a time as Lambda writes it: ``2026-01-31T12:00:00.000+0000``."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}+0000"


def target_of(account: str, region: str, function: FunctionRecord, room: Room = NO_ROOM) -> Target:
    """Return a version of a function as placement takes it.

    Args:
        account: The function's account.
        region: Its region.
        function: The version.
        room: What may run of it at a time; only of what is to run.
    """
    return Target(
        account=account,
        region=region,
        function_arn=arns.function_arn(region, account, function.name),
        function_name=function.name,
        version=function.version,
        revision=function.deployment,
        runtime=function.runtime,
        handler=function.handler,
        role_arn=function.role,
        package=Package(
            function.code_sha256,
            function.blob,
            sealing.find_package_lock(account, region, function),
        ),
        layers=tuple(Package(use.code_sha256, use.blob) for use in function.layers),
        environment=function.variables or {},
        sealed=sealing.find_locked(account, region, function),
        memory_mb=function.memory_mb,
        timeout_ms=function.timeout_s * 1000,
        tmp_mb=function.tmp_mb,
        log_group=log_group_of(function),
        reserved=room.reserved,
        traced=function.traced,
        shared_max=room.shared_max,
        folder=function.folder,
        log_form=TEXT if function.log_levels is None else LogForm(True, *function.log_levels),  # noqa: FBT003 (json)
    )
