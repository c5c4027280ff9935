"""Layers: how they are named, what a function may use of them, and what they look like.

Source: API Reference, PublishLayerVersion, AddLayerVersionPermission and CreateFunction; Developer
Guide, "Managing Lambda dependencies with layers"; words as LocalStack's validated
``TestLambdaLayer`` has them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.store.engine import Domain
from fogbank.services.lambda_ import arns, quotas
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules import names, views
from fogbank.services.lambda_.rules.policies import ORGANIZATION, Statement, principal_of
from fogbank.services.lambda_.schema import LayerPolicyRecord, LayerUse, LayerVersionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


class LayerName(NamedTuple):
    """A layer, or a version of one, fully named."""

    account: str
    region: str
    name: str
    number: int = 0
    """0: the layer itself."""

    @property
    def arn(self) -> str:
        """Return the ARN of the layer, without a version."""
        return arns.layer_arn(self.region, self.account, self.name)

    @property
    def version_arn(self) -> str:
        """Return the ARN of the version."""
        return arns.layer_arn(self.region, self.account, self.name, self.number)

    @property
    def domain(self) -> Domain:
        """Return where it is kept."""
        return names.domain_of(self.account, self.region)


def name_of(scope: Scope, request: Request) -> LayerName:
    """Return the layer, or the version, that a request means, wherever it claims to be."""
    named = find_named(request["LayerName"])
    if named is None:
        named = LayerName(scope.account, scope.region, request["LayerName"])
    return named._replace(number=request.get("VersionNumber", 0))


def domain_of(scope: Scope, request: Request) -> Domain:
    """Return the domain of the layer that a request means."""
    return names.domain_of(name_of(scope, request).account, scope.region)


def find_named(arn: str) -> LayerName | None:
    """Return the layer that an ARN names, or None if it is none of a layer."""
    found = arns.find_layer(arn)
    return None if found is None else LayerName(*found)


def arn_domain(scope: Scope, request: Request) -> Domain:
    """Return the domain of the layer version that a request has the ARN of."""
    named = find_named(request["Arn"])
    return names.domain_of(scope.account if named is None else named.account, scope.region)


def require_reachable(named: LayerName, region: str) -> LayerName:
    """Return what a request names, if there can be such a thing here.

    Raises:
        InvalidParameterValueException: It has a number that is none of a version.
        ResourceNotFoundException: It is of another region.
    """
    if named.number < 1:
        raise InvalidParameterValueException("Layer Version Cannot be less than 1")
    return _require_here(named, region)


def layer_of(scope: Scope, request: Request) -> LayerName:
    """Return the layer that a request names; it must be one of this region."""
    return _require_here(name_of(scope, request), scope.region)


def _require_here(named: LayerName, region: str) -> LayerName:
    if named.region != region:
        raise not_found()
    return named


def not_found() -> ResourceNotFoundException:
    """Return the error that there is no such version, to who wants to see it."""
    return ResourceNotFoundException("The resource you requested does not exist.")


def missing(named: LayerName) -> ResourceNotFoundException:
    """Return the error that there is no such version, to who asks about its policy."""
    return ResourceNotFoundException(f"Layer version {named.version_arn} does not exist.")


def absent(arn: str) -> InvalidParameterValueException:
    """Return the error that a function cannot have a layer that is not there."""
    return InvalidParameterValueException(f"Layer version {arn} does not exist.")


# What a function uses.


def wanted_of(request: Request, region: str) -> list[tuple[str, LayerName]] | None:
    """Return the layer versions that a request has a function use; None: it says nothing of them.

    Raises:
        InvalidParameterValueException: There are too many, one is of another region or of no layer,
            or two are versions of the same layer.
    """
    if "Layers" not in request:
        return None
    wanted: Sequence[str] = request["Layers"] or ()
    if len(wanted) > quotas.LAYERS_MAX:
        raise InvalidParameterValueException(
            f"Cannot reference more than {quotas.LAYERS_MAX} layers."
        )
    found: dict[str, tuple[str, LayerName]] = {}
    for arn in wanted:
        named = find_named(arn)
        if named is None or not named.number:
            raise absent(arn)
        if named.region != region:
            raise InvalidParameterValueException(
                "Layers are not in the same region as the function. Layers are expected to be in "
                f"region {region}."
            )
        if named.arn in found:
            raise InvalidParameterValueException(
                "Two different versions of the same layer are not allowed to be referenced in the "
                f"same function. {found[named.arn][0]} and {arn} are versions of the same layer."
            )
        found[named.arn] = (arn, named)
    return list(found.values())


def check_size(code_bytes: int, uses: Sequence[LayerUse]) -> None:
    """Refuse a function whose code and layers are too large together.

    AWS: in these words (deployment errors that users report, such as in Laravel Vapor's list).
    """
    size = code_bytes + sum(use.unzipped_size for use in uses)
    if uses and size > quotas.UNZIPPED_BYTES_MAX:
        raise InvalidParameterValueException(
            "Function code combined with layers exceeds the maximum allowed size of "
            f"{quotas.UNZIPPED_BYTES_MAX} bytes. The actual size is {size} bytes."
        )


def use_of(arn: str, version: LayerVersionRecord) -> LayerUse:
    """Return what a function notes of a layer version of its own account."""
    return LayerUse(
        arn,
        version.code_sha256,
        version.code_size,
        version.unzipped_size,
        version.blob_incarnation,
        version.blob_number,
    )


# Policies.


def statement_of(request: Request, named: LayerName) -> Statement:
    """Return the statement that AddLayerVersionPermission asks for."""
    statement: Statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": principal_of(request["Principal"], named.arn.split(":")[1]),
        "Action": request["Action"],
        "Resource": named.version_arn,
    }
    if organization := request.get("OrganizationId"):
        statement["Condition"] = {"StringEquals": {ORGANIZATION: organization}}
    return statement


def policy_of(record: LayerPolicyRecord | None) -> BoundPolicy | None:
    """Return the policy of a version, or None if it has none."""
    return None if record is None else BoundPolicy(record.document, record.bound)


def check_revision(record: LayerPolicyRecord | None, request: Request) -> None:
    """Refuse a change of a policy that is no longer the latest."""
    revision: str | None = request.get("RevisionId")
    if revision and revision != (None if record is None else record.revision):
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetLayerPolicy API to retrieve the latest Revision Id"
        )


# What versions are for.

_RUNTIME = re.compile(r"(nodejs|python|java|ruby|dotnet(core)?|go|provided|custom)[0-9a-z.-]*")


def check_runtimes(runtimes: Sequence[str], member: str) -> None:
    """Refuse what is the name of no runtime of Lambda's, whether or not it can run here.

    Raises:
        InvalidParameterValueException: One is of no language that Lambda has.
    """
    for runtime in runtimes:
        if _RUNTIME.fullmatch(runtime) is None:
            raise InvalidParameterValueException(
                f"1 validation error detected: Value '{runtime}' at '{member}' failed to satisfy "
                "constraint: Member must satisfy enum value set"
            )


def runtimes_of(request: Request) -> tuple[str, ...]:
    """Return the runtimes that a version is said to be for."""
    runtimes: tuple[str, ...] = tuple(request.get("CompatibleRuntimes", ()))
    check_runtimes(runtimes, "compatibleRuntimes")
    return runtimes


def sought_of(request: Request) -> Callable[[LayerVersionRecord], bool]:
    """Return whether versions are for what a listing asks for."""
    if "CompatibleRuntime" in request:
        check_runtimes([request["CompatibleRuntime"]], "compatibleRuntime")
    return lambda version: suits(version, request)


# Views.


def suits(version: LayerVersionRecord, request: Request) -> bool:
    """Return whether a version says that it is for what a listing asks for."""
    runtime: str = request.get("CompatibleRuntime", "")
    architecture: str = request.get("CompatibleArchitecture", "")
    return (not runtime or runtime in version.runtimes) and (
        not architecture or architecture in version.architectures
    )


def listed_view(named: LayerName, version: LayerVersionRecord) -> shapes.LayerVersionsListItem:
    """Return a version as listings tell it."""
    view: shapes.LayerVersionsListItem = {
        "LayerVersionArn": named._replace(number=version.number).version_arn,
        "Version": version.number,
        "Description": version.description,
        "CreatedDate": views.moment_of(version.created_ms),
    }
    if version.runtimes:
        view["CompatibleRuntimes"] = list(version.runtimes)
    if version.architectures:
        view["CompatibleArchitectures"] = list(version.architectures)
    if version.license:
        view["LicenseInfo"] = version.license
    return view


def version_view(
    named: LayerName, version: LayerVersionRecord, location: str
) -> shapes.GetLayerVersionResponse:
    """Return a version with its content, which can be had at a URL for a while."""
    return {
        **listed_view(named, version),
        "LayerArn": named.arn,
        "Content": {
            "Location": location,
            "CodeSha256": base64.b64encode(bytes.fromhex(version.code_sha256)).decode(),
            "CodeSize": version.code_size,
        },
    }
