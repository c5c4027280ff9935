"""Aliases: what they may point to, how they share invocations between two versions, what is shown.

An invocation goes to the version that its request id falls to, so that the attempts at one event go
to the same, and each version gets the share that the alias gives it.

Source: Developer Guide, "Implement Lambda canary deployments using a weighted alias"; words recorded
by LocalStack's validated ``TestLambdaAlias``.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import AliasRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_NUMBER: Final = re.compile("[0-9]+", re.ASCII)
_ALIAS: Final = re.compile("[a-zA-Z0-9_-]+", re.ASCII)
_DRAW_BYTES: Final = 8
_OTHERS_MAX: Final = 1


def is_number(qualifier: str) -> bool:
    """Return whether a qualifier can name a published version."""
    return _NUMBER.fullmatch(qualifier) is not None


def is_alias(qualifier: str) -> bool:
    """Return whether a qualifier can name an alias."""
    return not is_number(qualifier) and _ALIAS.fullmatch(qualifier) is not None


def share_of(request_id: str) -> float:
    """Return where an invocation falls between 0 and 1 (1 excluded): always to the same place."""
    drawn = hashlib.blake2b(request_id.encode(), digest_size=_DRAW_BYTES).digest()
    return int.from_bytes(drawn) / (1 << (8 * _DRAW_BYTES))


def version_for(alias: AliasRecord, share: float) -> str:
    """Return the version that runs an invocation; a share of 1 is never the second one's."""
    return alias.other if alias.other and share < alias.weight else alias.version


def created_alias(request: Request, revision: str) -> AliasRecord:
    """Return the alias that CreateAlias asks for."""
    blank = AliasRecord(name=request["Name"], version=request["FunctionVersion"], revision=revision)
    return changed_alias(blank, request, revision)


def changed_alias(before: AliasRecord, request: Request, revision: str) -> AliasRecord:
    """Return an alias with what a request says of it; another revision in any case, as on AWS.

    Raises:
        InvalidParameterValueException: It would share what cannot be shared.
    """
    version: str = request.get("FunctionVersion", before.version)
    other, weight = before.other, before.weight
    if "RoutingConfig" in request:
        other, weight = _second_of(request["RoutingConfig"])
    if other:
        _check_second(version, other)
    return msgspec.structs.replace(
        before,
        version=version,
        description=request.get("Description", before.description),
        revision=revision,
        other=other,
        weight=weight,
    )


def _second_of(config: Request) -> tuple[str, float]:
    """Return the second version of a routing configuration and its share; '' and 0: none."""
    weights: dict[str, float] = config.get("AdditionalVersionWeights") or {}
    if len(weights) > _OTHERS_MAX:
        raise InvalidParameterValueException(
            "Number of items in AdditionalVersionWeights cannot be greater than 1"
        )
    for version, weight in weights.items():
        return version, float(weight)
    return "", 0.0


def _check_second(version: str, other: str) -> None:
    """Refuse what no alias can share between two versions."""
    if version == LATEST:
        raise InvalidParameterValueException(
            "$LATEST is not supported for an alias pointing to more than 1 version"
        )
    if version == other:
        raise InvalidParameterValueException(
            f"Invalid function version {version}. Function version {version} is already included in"
            " routing configuration."
        )


def arn_of(named: FunctionName, name: str) -> str:
    """Return the ARN of an alias."""
    return arns.function_arn(named.region, named.account, named.name, name)


def no_alias(named: FunctionName, name: str) -> ResourceNotFoundException:
    """Return the error that there is no such alias, wherever one is named as such."""
    return ResourceNotFoundException(f"Cannot find alias arn: {arn_of(named, name)}")


def not_found(named: FunctionName, name: str) -> ResourceNotFoundException:
    """Return the error that there is no alias to change."""
    return ResourceNotFoundException(f"Alias not found: {arn_of(named, name)}")


def exists(named: FunctionName, name: str) -> ResourceConflictException:
    """Return the error that there is an alias of that name."""
    return ResourceConflictException(f"Alias already exists: {arn_of(named, name)}")


def referenced(names: list[str]) -> ResourceConflictException:
    """Return the error that aliases point to a version that is to go.

    Source: told by AWS in issue 6739 of cloud-custodian and issue 45 of go-lambda-cleanup.
    """
    return ResourceConflictException(
        f"Unable to delete version because the following aliases reference it: [{', '.join(names)}]"
    )


def view_of(named: FunctionName, alias: AliasRecord) -> shapes.AliasConfiguration:
    """Return an alias as the wire has it."""
    view: shapes.AliasConfiguration = {
        "AliasArn": arn_of(named, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    if alias.other:
        view["RoutingConfig"] = {"AdditionalVersionWeights": {alias.other: alias.weight}}
    return view
