"""What a request needs to be allowed, and the condition keys of Application Auto Scaling.

A target's ARN holds an id, so operations on one declare nothing here and require their access in the
operation, on the target that they have found; those that list need it on everything.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Application Auto
Scaling"; Application Auto Scaling User Guide, "Identity-based policy examples".
"""

from __future__ import annotations

from fogbank.base.arn import find_arn
from fogbank.base.types import Request
from fogbank.contract.action import Access, ContextValue, Scope
from fogbank.platform.store.engine import Domain
from fogbank.platform.tags import borne, requested
from fogbank.services.application_autoscaling import arns
from fogbank.services.application_autoscaling.errors import ResourceNotFoundException
from fogbank.services.application_autoscaling.rules.dimensions import dimension_of
from fogbank.services.application_autoscaling.schema import Place, TargetRecord

Keys = dict[str, ContextValue]
_TARGET = "scalable-target/"


def in_operation(scope: Scope, request: Request) -> list[Access]:
    """Declare no access: the operation requires it on the target that it has found."""
    del scope, request
    return []


def keys_of(place: Place) -> Keys:
    """Return the condition keys of every request about a target."""
    return {
        "application-autoscaling:service-namespace": place[0],
        "application-autoscaling:scalable-dimension": place[2],
    }


def register(scope: Scope, place: Place, request: Request, found: TargetRecord | None) -> Access:
    """Return the access of RegisterScalableTarget; AWS: the tags that it is given are its own."""
    tags: dict[str, str] = request.get("Tags") or {}
    keys = keys_of(place) | requested(tags) | (borne(tags) if found is None else {})
    arn = arns.arn_of_target(scope.region, scope.account, place)
    return Access("application-autoscaling:RegisterScalableTarget", arn, keys)


def pass_role(scope: Scope, place: Place, request: Request) -> list[Access]:
    """Return the access of handing over another role than the service's own."""
    role: str | None = request.get("RoleARN")
    if role is None or role == dimension_of(place).role.arn(scope.partition, scope.account):
        return []
    keys: Keys = {"iam:PassedToService": "application-autoscaling.amazonaws.com"}
    return [Access("iam:PassRole", role, keys)]


def find_target_domain(arn: str) -> Domain | None:
    """Return the domain of the target with an ARN, or None if the ARN is of something else."""
    found = find_arn(arn)
    if found is None or found.service != arns.SERVICE or not found.resource.startswith(_TARGET):
        return None
    return Domain(arns.SERVICE, found.account, found.region)


def target_id_in(arn: str) -> str:
    """Return the id in the ARN of a target."""
    return arn.rpartition("/")[2]


def own_target_id(scope: Scope, arn: str) -> str:
    """Return the id in the ARN of a target of the caller's account and region.

    Raises:
        ResourceNotFoundException: It is another's, or elsewhere.
    """
    if find_target_domain(arn) != Domain(arns.SERVICE, scope.account, scope.region):
        raise no_target(arn)
    return target_id_in(arn)


def no_target(arn: str) -> ResourceNotFoundException:
    """Return the error for an ARN of no target."""
    return ResourceNotFoundException("Scalable Target not found", ResourceName=arn)
