"""What a request of S3 Control tags, a bucket or an access point, and what that takes.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from fogbank.base.arn import find_arn
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform.store.engine import DIRECTORY, Domain
from fogbank.services.s3.arns import bucket_arn, find_point_arn, point_arn
from fogbank.services.s3.rules.access import domain_of


def tagged_point(request: Request) -> tuple[str, str, str] | None:
    """Return account, region and name of the access point that a request of S3 Control names."""
    return find_point_arn(request["ResourceArn"])


def tagged_bucket(request: Request) -> str:
    """Return the bucket whose ARN a request of S3 Control names.

    Raises:
        NotBuilt: It names something else that bears tags.
    """
    arn = find_arn(request["ResourceArn"])
    if arn is None or arn.region or arn.account or "/" in arn.resource:
        raise NotBuilt.member("s3control", "TagResource", "ResourceArn")
    return arn.resource


def tagged_domain(_scope: Scope, request: Request) -> Domain:
    """Return the domain of what the ARN of a request of S3 Control names."""
    return DIRECTORY if tagged_point(request) else domain_of(tagged_bucket(request))


def asked_keys(request: Request) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a request gives or takes away."""
    context: dict[str, ContextValue] = {}
    given: list[Wire] = request.get("Tags") or []
    keys = [tag["Key"] for tag in given] or request.get("TagKeys") or []
    context |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in given}
    if keys:
        context["aws:TagKeys"] = tuple(keys)
    return context


def on_tagged(action: str) -> AccessOf:
    """Return the access of an operation of S3 Control on the tags of a bucket or access point."""

    def access(scope: Scope, request: Request) -> list[Access]:
        point = tagged_point(request)
        if point is None:
            arn = bucket_arn(scope.region, tagged_bucket(request))
        else:
            account, region, name = point
            arn = point_arn(region, account, name)
        return [Access(action, arn, asked_keys(request))]

    return access
