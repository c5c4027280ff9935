"""Condition keys that are evaluated: a policy that uses another key of ours is refused.

Rule: a key stands here once its value, or its absence, in a request is the truth. A global key
that is missing here, or a key of a built service that is missing here, is refused when the policy
is put; a key of a service that we do not have can never be in a request, as on AWS for the
requests of other services, and is left alone.

Families end in ``/`` or ``:``: ``aws:principaltag/`` stands for every tag. Source: IAM User Guide, "AWS
global condition context keys"; Service Authorization Reference, one page per service.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

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
        "aws:multifactorauthage",
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
        *("aws:tokenissuetime", "aws:userid", "aws:username", "lambda:sourcefunctionarn"),
    }
)
"""The keys that follow from the caller (``platform/identity``) and the resource."""

TAGS: Final = "resourcetag/"
"""Among stored keys: the tags of the resource, by whichever key."""

EXISTING_TAGS: Final = "s3:existingobjecttag/"
"""Among stored keys: the tags of an object of S3, which has a family of its own for them."""
BUCKET_TAGS: Final = "s3:buckettag/"
"""Among stored keys: the tags of a bucket of S3, under the other name that they have."""
POINT_TAGS: Final = "s3:accesspointtag/"
"""Likewise of an access point."""
_FAMILIES: Final = (EXISTING_TAGS, BUCKET_TAGS, POINT_TAGS)
STORED: Final = frozenset(
    {
        "dynamodb:fulltablescan",
        "dynamodb:leadingkeys",
        "kms:resourcealiases",
        "lambda:functionarn",
        "lambda:principal",
        EXISTING_TAGS,
        BUCKET_TAGS,
        POINT_TAGS,
    }
)
"""The keys whose values take what is stored of the resource, of all requests or of some."""

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
            "iam:awsservicename",
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
            "s3:accesspointnetworkorigin",
            "s3:accesspointtag/",
            "s3:authtype",
            "s3:buckettag/",
            "s3:dataaccesspointaccount",
            "s3:dataaccesspointarn",
            "s3:delimiter",
            "s3:existingobjecttag/",
            "s3:if-match",
            "s3:if-none-match",
            "s3:locationconstraint",
            "s3:max-keys",
            "s3:object-lock-legal-hold",
            "s3:object-lock-mode",
            "s3:object-lock-remaining-retention-days",
            "s3:object-lock-retain-until-date",
            "s3:objectcreationoperation",
            "s3:prefix",
            "s3:requestobjecttag/",
            "s3:requestobjecttagkeys",
            "s3:resourceaccount",
            "s3:signatureage",
            "s3:signatureversion",
            "s3:tlsversion",
            "s3:versionid",
            "s3:x-amz-acl",
            "s3:x-amz-bucket-namespace",
            "s3:x-amz-content-sha256",
            "s3:x-amz-copy-source",
            "s3:x-amz-grant-full-control",
            "s3:x-amz-grant-read",
            "s3:x-amz-grant-read-acp",
            "s3:x-amz-grant-write",
            "s3:x-amz-grant-write-acp",
            "s3:x-amz-metadata-directive",
            "s3:x-amz-object-ownership",
            "s3:x-amz-server-side-encryption",
            "s3:x-amz-server-side-encryption-aws-kms-key-id",
            "s3:x-amz-server-side-encryption-customer-algorithm",
            "s3:x-amz-storage-class",
        }
    ),
    "dynamodb": frozenset(
        {
            "dynamodb:attributes",
            "dynamodb:enclosingoperation",
            "dynamodb:fulltablescan",
            "dynamodb:leadingkeys",
            "dynamodb:returnconsumedcapacity",
            "dynamodb:returnvalues",
            "dynamodb:select",
        }
    ),
    "kms": frozenset(
        {
            "kms:bypasspolicylockoutsafetycheck",
            "kms:calleraccount",
            "kms:customermasterkeyspec",
            "kms:customermasterkeyusage",
            "kms:encryptionalgorithm",
            "kms:encryptioncontext:",
            "kms:encryptioncontextkeys",
            "kms:grantconstrainttype",
            "kms:granteeprincipal",
            "kms:grantisforawsresource",
            "kms:grantoperations",
            "kms:keyorigin",
            "kms:keyspec",
            "kms:keyusage",
            "kms:macalgorithm",
            "kms:multiregion",
            "kms:reencryptonsamekey",
            "kms:requestalias",
            "kms:resourcealiases",
            "kms:retiringprincipal",
            "kms:rotationperiodindays",
            "kms:schedulekeydeletionpendingwindowindays",
            "kms:viaservice",
        }
    ),
    "application-autoscaling": frozenset(
        {
            "application-autoscaling:scalable-dimension",
            "application-autoscaling:service-namespace",
        }
    ),
    "lambda": frozenset(
        {
            "lambda:functionarn",
            "lambda:functionurlauthtype",
            "lambda:invokedviafunctionurl",
            "lambda:layer",
            "lambda:principal",
            "lambda:sourcefunctionarn",
        }
    ),
    "logs": frozenset[str](),
}
"""The keys of built services that their operations, or the gateway for them, set."""

_SERVICES_ABSENT: Final[Mapping[str, frozenset[str]]] = {
    "indexes with keys of several attributes are not built": frozenset(
        {
            "dynamodb:secondpartitionkeyvalues",
            "dynamodb:thirdpartitionkeyvalues",
            "dynamodb:fourthpartitionkeyvalues",
        }
    ),
    "there is no fault injection service": frozenset(
        {"dynamodb:fisactionid", "dynamodb:fistargetarns"}
    ),
    "delegation requests are not built": frozenset(
        {
            "iam:delegationduration",
            "iam:delegationrequestowner",
            "iam:notificationchannel",
            "iam:templatearn",
        }
    ),
    "devices other than virtual ones are not built": frozenset(
        {
            "iam:fido-certification",
            "iam:fido-fips-140-2-certification",
            "iam:fido-fips-140-3-certification",
            "iam:registersecuritykey",
        }
    ),
    "there are no organizations": frozenset({"iam:organizationspolicyid"}),
    "service-specific credentials are not built": frozenset(
        {"iam:servicespecificcredentialagedays", "iam:servicespecificcredentialservicename"}
    ),
    "code signing is not built": frozenset({"lambda:codesigningconfigarn"}),
    "nothing that invokes functions has one": frozenset({"lambda:eventsourcetoken"}),
    "functions in a VPC are not built": frozenset(
        {"lambda:securitygroupids", "lambda:subnetids", "lambda:vpcids"}
    ),
    "asymmetric keys are not built": frozenset(
        {
            "kms:datakeypairspec",
            "kms:keyagreementalgorithm",
            "kms:messagetype",
            "kms:signingalgorithm",
        }
    ),
    "import of key material is not built": frozenset(
        {"kms:expirationmodel", "kms:validto", "kms:wrappingalgorithm", "kms:wrappingkeyspec"}
    ),
    "multi-Region keys are not built": frozenset(
        {"kms:multiregionkeytype", "kms:primaryregion", "kms:replicaregion"}
    ),
    "no request with an attestation document is answered": frozenset({"kms:recipientattestation:"}),
    "vended logs are not built": frozenset(
        {"logs:deliverydestinationresourcearn", "logs:loggeneratingresourcearns"}
    ),
    "its operations of STS are not built": frozenset(
        {
            "sts:awsservicename",
            "sts:durationseconds",
            "sts:identitytokenaudience",
            "sts:requestcontext/",
            "sts:requestcontextproviders",
            "sts:signingalgorithm",
            "sts:taskpolicyarn",
        }
    ),
    "S3 Access Grants are not built": frozenset(
        {
            "s3:accessgrantscope",
            "s3:accessgrantsinstancearn",
            "s3:accessgrantslocationscope",
        }
    ),
    "S3 Batch Operations are not built": frozenset(
        {
            "s3:existingjoboperation",
            "s3:existingjobpriority",
            "s3:jobsuspendedcause",
            "s3:requestjoboperation",
            "s3:requestjobpriority",
        }
    ),
    "inventories are not built": frozenset({"s3:inventoryaccessibleoptionalfields"}),
    "replication is not built": frozenset({"s3:destinationregion", "s3:isreplicationpauserequest"}),
    "a request with what it speaks of is refused as not built": frozenset(
        {
            "s3:x-amz-website-redirect-location",
        }
    ),
}
"""Keys of built services that no request which is answered can have, by the reason: absent is the
truth. Whoever builds what a reason speaks of sets the keys, and moves them."""
_ABSENT: Final = {key: reason for reason, keys in _SERVICES_ABSENT.items() for key in keys}


_FAMILY: Final = re.compile(r"[/:]")
"""What ends the name of a family within a key."""


def is_steady(key: str) -> bool:
    """Tell whether a key, in lower case, is the same whenever one caller asks for one resource."""
    return key in _STEADY or key in _GLOBAL_ABSENT or key.startswith("aws:principaltag/")


def stored_among(keys: Iterable[str]) -> frozenset[str]:
    """Return which of the keys, in lower case, are in the store; tags as their family."""
    found: set[str] = set()
    for key in keys:
        if f":{TAGS}" in key:
            found.add(TAGS)
        elif key in STORED:
            found.add(key)
        else:
            found.update(family for family in _FAMILIES if key.startswith(family))
    return frozenset(found)


def keys_set() -> frozenset[str]:
    """Return the keys, in lower case, that somebody puts into the context of a request."""
    return _GLOBAL.union(*_SERVICES.values())


class Standing(enum.Enum):
    """What becomes of a condition key."""

    EVALUATED = "evaluated"
    """Its value in a request is the truth."""
    ABSENT = "absent"
    """No request has it, which is the truth."""
    REFUSED = "refused"
    """A policy that uses it is refused when it is put."""


class Stands(NamedTuple):
    """What becomes of a condition key, and why, where that needs words."""

    standing: Standing
    reason: str = ""


def standing_of(key: str) -> Stands:
    """Return what becomes of a condition key, written in any case."""
    lowered = key.lower()
    vendor = lowered.partition(":")[0]
    names = {
        lowered,
        *(lowered[: each.end()] for each in _FAMILY.finditer(lowered, len(vendor) + 1)),
    }
    if vendor != "aws" and vendor not in _SERVICES:
        return Stands(Standing.ABSENT, "no service here has it")
    if names & (_GLOBAL if vendor == "aws" else _SERVICES[vendor]):
        return Stands(Standing.EVALUATED)
    if names & _GLOBAL_ABSENT:
        return Stands(Standing.ABSENT, "only AWS can set it")
    for name in names & _ABSENT.keys():
        return Stands(Standing.ABSENT, _ABSENT[name])
    return Stands(Standing.REFUSED, "nothing sets it yet")


def require_evaluated(key: str) -> None:
    """Refuse a condition key whose value in a request would not be the truth.

    Args:
        key: As it stands in the policy.

    Raises:
        NotEvaluated: The key is not evaluated yet.
    """
    if standing_of(key).standing is Standing.REFUSED:
        raise NotEvaluated(f"the condition key {key}")
