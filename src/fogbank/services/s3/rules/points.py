"""Access points: their names, where requests name them, and what they say of who may pass.

Source: Amazon S3 User Guide, "Access points restrictions and limitations", "Referencing access points",
"Configuring IAM policies for using access points", "Access point compatibility", "Managing public
access to access points".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from fogbank.base.arn import find_arn
from fogbank.base.errors import AccessDenied, NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, AccessOf, Point, Scope
from fogbank.contract.call import Call
from fogbank.platform.iam.wildcards import pattern_matcher
from fogbank.services.s3.arns import bucket_arn, point_arn
from fogbank.services.s3.errors import InvalidURI, MethodNotAllowed
from fogbank.services.s3.rules import tagged
from fogbank.services.s3.rules.blocks import both
from fogbank.services.s3.rules.standing import restriction
from fogbank.services.s3.schema import AccessBlock, PointRecord

ALIAS_SUFFIX: Final = "-s3alias"
_ALIAS_BYTES: Final = 63
"""An alias is a name that a bucket could have."""
RANDOM_CHARACTERS: Final = 34
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]", re.ASCII)
_SUFFIXES_RESERVED: Final = (ALIAS_SUFFIX, "--ol-s3", "--xa-s3")
_KIND: Final = "accesspoint"
_SOURCE_VPC: Final = "aws:SourceVpc"
"""What a statement reads; no request here has it."""
_INSIDE: Final = "/object/"
_HOSTED: Final = re.compile(r"(.+)-(\d{12})@(.+)", re.ASCII)
_REMEMBERED_MAX: Final = 1_024

_SERVED: Final = frozenset(
    {
        *("AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject"),
        *("CreateMultipartUpload", "DeleteObject", "DeleteObjects", "DeleteObjectTagging"),
        *("GetBucketAcl", "GetBucketCors", "GetBucketLocation"),
        *("GetBucketNotificationConfiguration", "GetBucketPolicy"),
        *("GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold"),
        *("GetObjectRetention", "GetObjectTagging", "HeadBucket", "HeadObject"),
        *("ListMultipartUploads", "ListObjects", "ListObjectsV2", "ListObjectVersions"),
        *("ListParts", "PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention"),
        *("PutObjectTagging", "RestoreObject", "UploadPart", "UploadPartCopy"),
    }
)


class PointName(NamedTuple):
    """An access point by its own name."""

    account: str
    region: str
    name: str
    bucket: str = ""
    """The bucket that may be meant instead."""


def check_name(name: str) -> None:
    """Refuse a name that no access point can have.

    Raises:
        InvalidURI: It breaks the rules.
    """
    if _NAME.fullmatch(name) is None or name.endswith(_SUFFIXES_RESERVED):
        raise InvalidURI(URI=f"{_KIND}/{name}")


def alias_of(name: str, random: str) -> str:
    """Return the alias of a new access point: as much of its name as fits, and random characters."""
    room = _ALIAS_BYTES - len(ALIAS_SUFFIX) - len(random) - 1
    return f"{name[:room].rstrip('-')}-{random}{ALIAS_SUFFIX}"


def named(request: Request) -> Mapping[str, str]:
    """Return the members of a request that may name an access point, with what they name."""
    found: dict[str, str] = {}
    bucket: str | None = request.get("Bucket")
    if bucket is not None and (bucket.endswith(ALIAS_SUFFIX) or "@" in bucket or ":" in bucket):
        found["Bucket"] = bucket
    source: str | None = request.get("CopySource")
    if source is not None:
        name = _source_of(source)[0]
        if name.endswith(ALIAS_SUFFIX) or ":" in name:
            found["CopySource"] = name
    return found


def _source_of(header: str) -> tuple[str, str]:
    """Return what the source of a copy names, a bucket or a point, and the key with what follows."""
    path, mark, query = header.partition("?versionId=")
    path = unquote(path).removeprefix("/")
    name, slash, key = path.partition(_INSIDE if path.startswith("arn:") else "/")
    return name, f"{quote(key)}{mark}{query}" if slash else ""


def put_resource(wire: Wire, member: str, point: Point | None) -> None:
    """Have a member name the bucket that its access point leads to; None: there is no point."""
    bucket = "" if point is None else point.resource.rpartition(":")[2]
    if member == "Bucket":
        wire["Bucket"] = bucket or wire["Bucket"].partition("@")[0]
    elif bucket:
        wire["CopySource"] = f"{bucket}/{_source_of(wire['CopySource'])[1]}"


def check_served(operation: str) -> None:
    """Refuse an operation that access points do not serve.

    Raises:
        MethodNotAllowed: It is of buckets.
    """
    if operation not in _SERVED:
        raise MethodNotAllowed(ResourceType="ACCESSPOINT")


def name_of(text: str) -> PointName | None:
    """Return the access point that a text names; None if it names none or is an alias.

    Raises:
        NotBuilt: It is an ARN of another kind.
    """
    hosted = _HOSTED.fullmatch(text)
    if hosted is not None:
        return PointName(hosted[2], hosted[3], hosted[1], text.partition("@")[0])
    arn = find_arn(text)
    if arn is None:
        return None
    kind, name = re.split("[:/]", f"{arn.resource}/", maxsplit=1)
    if arn.service != "s3" or kind != _KIND or not arn.region:
        raise NotBuilt("fogbank has not built objects by this kind of ARN")
    return PointName(arn.account, arn.region, name.strip("/"))


def point_of(
    name: PointName, record: PointRecord, account_block: AccessBlock | None, *, by_alias: bool
) -> Point:
    """Return an access point as whoever comes by it needs it.

    Args:
        name: Its name.
        record: Its record.
        account_block: What its account blocks.
        by_alias: Whether it was asked for by its alias.
    """
    block = both(record.block, account_block)
    arn = point_arn(name.region, name.account, name.name)
    restricted = name.account if block.restrict and record.policy_public else ""
    return Point(
        arn=arn,
        account=name.account,
        resource=bucket_arn(name.region, record.bucket),
        token=record.bucket_id.hex(),
        said=_said(record.policy, restricted, record.vpc),
        bound=record.bound,
        keys={**keys_of(arn, name.account, record.vpc), **tag_keys_of(record)},
        public_lists_blocked=block.block_acls,
        public_lists_ignored=block.ignore_acls,
        by_alias=by_alias,
    )


def keys_of(arn: str, account: str, vpc: str) -> dict[str, str]:
    """Return the condition keys of what is done through an access point, or with it."""
    return {
        "s3:DataAccessPointArn": arn,
        "s3:DataAccessPointAccount": account,
        "s3:AccessPointNetworkOrigin": origin_of(vpc),
    }


def tag_keys_of(record: PointRecord) -> dict[str, str]:
    """Return the condition keys of an access point's tags, which everything through it has.

    AWS: they count without being turned on (User Guide, "Using tags with S3 general purpose buckets").
    """
    return {f"s3:AccessPointTag/{tag.key}": tag.value for tag in record.tags}


def origin_of(vpc: str) -> str:
    """Return where requests through an access point may come from."""
    return "VPC" if vpc else "Internet"


@lru_cache(maxsize=_REMEMBERED_MAX)
def _said(policy: str, restricted_to: str, vpc: str) -> str:
    """Return a policy with what else keeps requests out; empty: nothing is said."""
    more: list[dict[str, Any]] = [restriction(restricted_to)] if restricted_to else []
    if vpc:
        more.append(_from(vpc))
    if not more:
        return policy
    whole: dict[str, Any] = json.loads(policy) if policy else {"Version": "2012-10-17"}
    said: Any = whole.get("Statement", [])
    whole["Statement"] = [*(said if isinstance(said, list) else [said]), *more]
    return json.dumps(whole)


def _from(vpc: str) -> dict[str, Any]:
    """Return the statement that keeps out what does not come from a VPC."""
    return {
        "Sid": "NetworkOrigin",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringNotEquals": {_SOURCE_VPC: vpc}},
    }


def on_point(action: str) -> AccessOf:
    """Return the access of an operation on the access point that its request names."""

    def access(scope: Scope, request: Request) -> list[Access]:
        arn = point_arn(scope.region, scope.account, request["Name"])
        configuration: Wire = request.get("VpcConfiguration") or {}
        vpc: str = configuration.get("VpcId", "")
        context = keys_of(arn, scope.account, vpc)
        if action != "s3:CreateAccessPoint":
            del context["s3:AccessPointNetworkOrigin"]
        given = tagged.asked_keys(request)
        needed = [Access(action, arn, {**context, **given})]
        # AWS: who makes a point with tags needs s3:TagResource too (User Guide, "Using tags with S3
        # Access Points for general purpose buckets", "Permissions for tagging").
        return [*needed, needed[0]._replace(action="s3:TagResource")] if given else needed

    return access


def on_account(action: str) -> AccessOf:
    """Return the access of an operation on all that an account has."""
    return lambda _scope, _request: [Access(action, "*")]


def check_account(call: Call, request: Request) -> None:
    """Refuse to act for another account than the caller's own.

    Raises:
        AccessDenied: The request names another.
    """
    if request["AccountId"] != call.account:
        raise AccessDenied("Access Denied")


def is_of(resource: str, point: PointName) -> bool:
    """Return whether a resource in a policy is, or may be, an access point or something behind it."""
    pattern = resource.partition(_INSIDE)[0]
    return pattern_matcher(pattern)(point_arn(point.region, point.account, point.name))
