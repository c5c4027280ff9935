"""Which bucket a request of S3 Control tags, and what that takes.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from fogbank.base.arn import find_arn
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.rules.access import domain_of


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
    """Return the domain of the bucket whose ARN a request of S3 Control names."""
    return domain_of(tagged_bucket(request))


def on_tagged(action: str) -> AccessOf:
    """Return the access of an operation of S3 Control on the tags of a bucket."""

    def access(scope: Scope, request: Request) -> list[Access]:
        context: dict[str, ContextValue] = {}
        given: list[Wire] = request.get("Tags") or []
        keys = [tag["Key"] for tag in given] or request.get("TagKeys") or []
        context |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in given}
        if keys:
            context["aws:TagKeys"] = tuple(keys)
        return [Access(action, bucket_arn(scope.region, tagged_bucket(request)), context)]

    return access
