"""Condition keys that are evaluated: a policy that uses another key of ours is refused.

Rule: a key stands here once its value, or its absence, in a request is the truth. A global key
that is missing here, or a key of a built service that is missing here, is refused when the policy
is put; a key of a service that we do not have can never be in a request, as on AWS for the
requests of other services, and is left alone.

Families end in ``/``: ``aws:principaltag/`` stands for every tag. Source: IAM User Guide, "AWS
global condition context keys"; Service Authorization Reference, one page per service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fogbank.platform.iam.malformed import NotEvaluated

_GLOBAL: Final = frozenset(
    {
        # Who calls: platform/identity sets them.
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principalservicenameslist",
        "aws:principaltag/",
        "aws:principaltype",
        "aws:federatedprovider",
        "aws:multifactorauthpresent",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceidentity",
        "aws:tokenissuetime",
        "aws:userid",
        "aws:username",
        # What the request says of itself: the gateway sets them.
        "aws:currenttime",
        "aws:epochtime",
        "aws:referer",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceip",
        "aws:useragent",
        "aws:viaawsservice",
        # Tags: of the request, by the operations that take some; of the resource, by the services
        # whose resources have some. Nothing else has any here, so that absence is the truth.
        "aws:requesttag/",
        "aws:resourcetag/",
        "aws:tagkeys",
    }
)
_STEADY: Final = frozenset(
    {
        *("aws:resourceaccount", "s3:resourceaccount"),
        *("aws:principalaccount", "aws:principalarn", "aws:principalisawsservice"),
        *("aws:principalservicename", "aws:principalservicenameslist", "aws:principaltype"),
        *("aws:federatedprovider", "aws:multifactorauthpresent", "aws:sourceidentity"),
        *("aws:tokenissuetime", "aws:userid", "aws:username"),
    }
)
"""The keys that follow from the caller (``platform/identity``) and the resource."""

TAGS: Final = "resourcetag/"
"""Among stored keys: the tags of the resource, by whichever key."""

_STORED: Final = frozenset({"dynamodb:leadingkeys"})
"""The keys whose values take what is stored of the resource beside the request."""

_GLOBAL_ABSENT: Final = frozenset(
    {
        # What exists on AWS only: absent here, which is the truth.
        "aws:assumedroot",
        "aws:calledvia",
        "aws:calledviaawsmcp",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:chatbotsourcearn",
        "aws:ec2instancesourceprivateipv4",
        "aws:ec2instancesourcevpc",
        "aws:ismcpserviceaction",
        "aws:multifactorauthage",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
        "aws:signinsessionarn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:viaawsmcpservice",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "aws:vpcsourceip",
    }
)

_SERVICES: Final = {
    "iam": frozenset(
        {
            "iam:associatedresourcearn",
            "iam:passedtoservice",
            "iam:permissionsboundary",
            "iam:policyarn",
            "iam:resourcetag/",
        }
    ),
    "sts": frozenset(
        {
            "sts:externalid",
            "sts:rolesessionname",
            "sts:sourceidentity",
            "sts:transitivetagkeys",
        }
    ),
    "s3": frozenset(
        {
            "s3:authtype",
            "s3:delimiter",
            "s3:if-match",
            "s3:if-none-match",
            "s3:locationconstraint",
            "s3:max-keys",
            "s3:prefix",
            "s3:resourceaccount",
            "s3:signatureage",
            "s3:signatureversion",
            "s3:versionid",
            "s3:x-amz-acl",
            "s3:x-amz-content-sha256",
            "s3:x-amz-copy-source",
            "s3:x-amz-metadata-directive",
            "s3:x-amz-object-ownership",
            "s3:x-amz-server-side-encryption",
            "s3:x-amz-storage-class",
        }
    ),
    "dynamodb": frozenset(
        {
            "dynamodb:attributes",
            "dynamodb:leadingkeys",
            "dynamodb:returnconsumedcapacity",
            "dynamodb:returnvalues",
            "dynamodb:select",
        }
    ),
    "lambda": frozenset({"lambda:principal"}),
    "logs": frozenset[str](),
}
"""The keys of built services that their operations, or the gateway for them, set."""

_SERVICES_ABSENT: Final = frozenset(
    {
        # No service-linked role can be made here.
        "iam:awsservicename",
        # Neither transactions nor PartiQL are built.
        "dynamodb:enclosingoperation",
        "dynamodb:fulltablescan",
        # Keys of several attributes are those of indexes, which are not built.
        "dynamodb:secondpartitionkeyvalues",
        "dynamodb:thirdpartitionkeyvalues",
        "dynamodb:fourthpartitionkeyvalues",
        # A request that carries what these speak of is refused as not built.
        "lambda:eventsourcetoken",
        "s3:x-amz-grant-full-control",
        "s3:x-amz-grant-read",
        "s3:x-amz-grant-read-acp",
        "s3:x-amz-grant-write",
        "s3:x-amz-grant-write-acp",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-server-side-encryption-customer-algorithm",
        "s3:x-amz-website-redirect-location",
    }
)
"""Keys of built services that no request which is answered can have: absent is the truth."""


def is_steady(key: str) -> bool:
    """Tell whether a key, in lower case, is the same whenever one caller asks for one resource."""
    return key in _STEADY or key in _GLOBAL_ABSENT or key.startswith("aws:principaltag/")


def stored_among(keys: Iterable[str]) -> frozenset[str]:
    """Return which of the keys, in lower case, are in the store; tags as ``TAGS``."""
    return frozenset(
        TAGS if f":{TAGS}" in key else key for key in keys if f":{TAGS}" in key or key in _STORED
    )


def keys_set() -> frozenset[str]:
    """Return the keys, in lower case, that somebody puts into the context of a request."""
    return _GLOBAL.union(*_SERVICES.values())


def require_evaluated(key: str) -> None:
    """Refuse a condition key whose value in a request would not be the truth.

    Args:
        key: As it stands in the policy.

    Raises:
        NotEvaluated: The key is not evaluated yet.
    """
    lowered = key.lower()
    vendor, _, rest = lowered.partition(":")
    family = f"{vendor}:{rest.partition('/')[0]}/" if "/" in rest else lowered
    if vendor == "aws":
        known = {lowered, family} & (_GLOBAL | _GLOBAL_ABSENT)
    elif vendor in _SERVICES:
        known = {lowered, family} & (_SERVICES[vendor] | _SERVICES_ABSENT)
    else:
        return
    if not known:
        raise NotEvaluated(f"the condition key {key}")
