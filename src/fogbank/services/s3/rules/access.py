"""What each operation needs to be allowed, and the domain it works in: pure, from the request.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3";
Amazon S3 User Guide, "Bucket policy examples using condition keys". Whether the bucket is the
caller's own is checked on its record (``state.buckets``): the name alone does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform.store.engine import DIRECTORY, Domain
from fogbank.services.s3.arns import bucket_arn, object_arn
from fogbank.services.s3.rules import retention
from fogbank.services.s3.rules.copying import CopySource, copy_source_of
from fogbank.services.s3.rules.tags import condition_keys

_BUCKETS_REMEMBERED_MAX: Final = 1_024


@lru_cache(maxsize=_BUCKETS_REMEMBERED_MAX)
def domain_of(bucket: str) -> Domain:
    """Return the domain of the bucket that has the name now."""
    return Domain("s3", bucket)


def bucket_domain(_scope: Scope, request: Request) -> Domain:
    """Return the domain of the request's bucket."""
    return domain_of(request["Bucket"])


def directory_domain(_scope: Scope, _request: Request) -> Domain:
    """Return the directory of global names."""
    return DIRECTORY


def _context(request: Request, members: Mapping[str, str]) -> dict[str, ContextValue]:
    """Return condition keys for the members that the request carries."""
    return {key: str(request[member]) for key, member in members.items() if member in request}


def on_bucket(action: str, members: Mapping[str, str] | None = None) -> AccessOf:
    """Return the access of an operation on its request's bucket.

    Args:
        action: What is done.
        members: Condition keys, and the members of the request that give them.
    """

    def access(scope: Scope, request: Request) -> list[Access]:
        context = _context(request, members or {})
        return [Access(action, bucket_arn(scope.region, request["Bucket"]), context)]

    return access


def _on_object(
    scope: Scope, action: str, request: Request, members: dict[str, str] | None = None
) -> Access:
    """Return one access to the request's object."""
    context = _context(request, members or {})
    return Access(action, object_arn(scope.region, request["Bucket"], request["Key"]), context)


class NewObject(dict[str, ContextValue]):
    """The condition keys of what is asked of an object that is just being written."""


class NewBucket(dict[str, ContextValue]):
    """The condition keys of what is asked of a bucket that is just being made."""


_GRANTS: Final = {
    "s3:x-amz-grant-full-control": "GrantFullControl",
    "s3:x-amz-grant-read": "GrantRead",
    "s3:x-amz-grant-read-acp": "GrantReadACP",
    "s3:x-amz-grant-write": "GrantWrite",
    "s3:x-amz-grant-write-acp": "GrantWriteACP",
}
ACL_KEYS: Final = {"s3:x-amz-acl": "ACL", **_GRANTS}
_ACL_MEMBERS: Final = frozenset(ACL_KEYS.values())
_WRITE_KEYS = {
    "s3:x-amz-storage-class": "StorageClass",
    "s3:x-amz-server-side-encryption": "ServerSideEncryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "s3:x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "s3:if-match": "IfMatch",
    "s3:if-none-match": "IfNoneMatch",
}
_VERSION_KEY: Final = {"s3:versionid": "VersionId"}
LIST_KEYS = {
    "s3:prefix": "Prefix",
    "s3:delimiter": "Delimiter",
    "s3:max-keys": "MaxKeys",
}


def create_bucket(scope: Scope, request: Request) -> list[Access]:
    """Return what CreateBucket needs."""
    configuration: Wire = request.get("CreateBucketConfiguration") or {}
    location: str | None = configuration.get("LocationConstraint")
    keys = {
        **ACL_KEYS,
        "s3:x-amz-object-ownership": "ObjectOwnership",
        "s3:x-amz-bucket-namespace": "BucketNamespace",
    }
    context = NewBucket(_context(request, keys))
    context["s3:locationconstraint"] = location or scope.region
    given: list[Wire] = configuration.get("Tags") or []
    context |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in given}
    if given:
        context["aws:TagKeys"] = tuple(tag["Key"] for tag in given)
    arn = bucket_arn(scope.region, request["Bucket"])
    accesses = [Access("s3:CreateBucket", arn, context)]
    if given:
        # AWS: "You must have the s3:TagResource permission to create a general purpose bucket with
        # tags" (API Reference, CreateBucketConfiguration).
        accesses.append(Access("s3:TagResource", arn, context))
    # AWS: what the bucket is made with needs what putting it later would (API Reference,
    # CreateBucket, "Permissions").
    if _asks_for_acl(request):
        accesses.append(Access("s3:PutBucketAcl", arn, context))
    if request.get("ObjectLockEnabledForBucket"):
        # AWS: "s3:PutBucketObjectLockConfiguration and s3:PutBucketVersioning permissions are
        # required" (API Reference, CreateBucket).
        accesses.append(Access("s3:PutBucketObjectLockConfiguration", arn, NewBucket()))
        accesses.append(Access("s3:PutBucketVersioning", arn, NewBucket()))
    if "ObjectOwnership" in request:
        accesses.append(Access("s3:PutBucketOwnershipControls", arn, context))
    return accesses


def _asks_for_acl(request: Request) -> bool:
    """Return whether a request says who may reach what it makes."""
    return not request.keys().isdisjoint(_ACL_MEMBERS)


def list_buckets(scope: Scope, _request: Request) -> list[Access]:
    """Return what ListBuckets needs."""
    return [Access("s3:ListAllMyBuckets", bucket_arn(scope.region, "*"))]


def get_object(scope: Scope, request: Request) -> list[Access]:
    """Return what GetObject and HeadObject need."""
    action = "s3:GetObjectVersion" if "VersionId" in request else "s3:GetObject"
    return [_on_object(scope, action, request, _VERSION_KEY)]


def get_object_attributes(scope: Scope, request: Request) -> list[Access]:
    """Return what GetObjectAttributes needs: reading, and asking for attributes."""
    suffix = "VersionAttributes" if "VersionId" in request else "Attributes"
    return [*get_object(scope, request), _on_object(scope, f"s3:GetObject{suffix}", request)]


def put_object(scope: Scope, request: Request) -> list[Access]:
    """Return what PutObject and CompleteMultipartUpload need."""
    return _writing(scope, request, _WRITE_KEYS, creates=True)


def create_upload(scope: Scope, request: Request) -> list[Access]:
    """Return what CreateMultipartUpload needs: it creates no object yet."""
    return _writing(scope, request, _WRITE_KEYS, creates=False)


def put_part(scope: Scope, request: Request) -> list[Access]:
    """Return what the steps of a multipart upload need that give the object nothing but bytes."""
    return [_creating(_on_object(scope, "s3:PutObject", request, _WRITE_KEYS), creates=False)]


def put_object_acl(scope: Scope, request: Request) -> list[Access]:
    """Return what PutObjectAcl needs."""
    found = version_access(scope, request, "Put", "Acl")
    return [found._replace(context={**found.context, **_context(request, ACL_KEYS)})]


def _writing(
    scope: Scope, request: Request, keys: dict[str, str], *, creates: bool
) -> list[Access]:
    """Return what writing an object needs, and giving it tags, a list and a protection with it.

    AWS: "To successfully set the tag-set with your PutObject request, you must have the
    s3:PutObjectTagging in your IAM permissions" (API Reference, PutObject).
    """
    write = _creating(_on_object(scope, "s3:PutObject", request, keys), creates=creates)
    tags = condition_keys(request)
    locks = retention.condition_keys(request, scope.now_ms)
    acl = _context(request, ACL_KEYS) if _asks_for_acl(request) else None
    if not (tags or locks or acl is not None):
        return [write]
    write = write._replace(context={**write.context, **tags, **locks, **(acl or {})})
    needed = [write]
    if tags:
        needed.append(Access("s3:PutObjectTagging", write.resource, tags))
    # AWS: so does a retention or a legal hold (User Guide, "Configuring S3 Object Lock").
    if "ObjectLockMode" in request:
        needed.append(Access("s3:PutObjectRetention", write.resource, locks))
    if "ObjectLockLegalHoldStatus" in request:
        needed.append(Access("s3:PutObjectLegalHold", write.resource, locks))
    if acl is not None:
        needed.append(Access("s3:PutObjectAcl", write.resource, NewObject(write.context)))
    return needed


def _creating(access: Access, *, creates: bool) -> Access:
    """Return an access to write an object that says whether it creates it.

    AWS: policies that want conditional writes spare the steps of uploads by this key (Amazon S3
    User Guide, "Enforce conditional writes on Amazon S3 buckets").
    """
    key = {"s3:ObjectCreationOperation": "true" if creates else "false"}
    return access._replace(context={**access.context, **key})


def delete_object(scope: Scope, request: Request) -> list[Access]:
    """Return what DeleteObject needs."""
    action = "s3:DeleteObjectVersion" if "VersionId" in request else "s3:DeleteObject"
    keys = {"s3:versionid": "VersionId", "s3:if-match": "IfMatch"}
    return [_on_object(scope, action, request, keys), *_bypassing(scope, request)]


def _bypassing(scope: Scope, request: Request) -> list[Access]:
    """Return what it needs to go past a GOVERNANCE retention, if the request wants to."""
    if not request.get("BypassGovernanceRetention"):
        return []
    return [_on_object(scope, "s3:BypassGovernanceRetention", request)]


def on_any_version(action: str) -> AccessOf:
    """Return the access of an operation that needs the same for every version of an object."""

    def access(scope: Scope, request: Request) -> list[Access]:
        found = _on_object(scope, action, request, {"s3:versionid": "VersionId"})
        locks = retention.condition_keys(request, scope.now_ms)
        return [found._replace(context={**found.context, **locks})]

    return access


def put_object_retention(scope: Scope, request: Wire) -> list[Access]:
    """Return what PutObjectRetention needs."""
    needed = on_any_version("s3:PutObjectRetention")(scope, request)
    return [*needed, *_bypassing(scope, request)]


def delete_objects(_scope: Scope, _request: Request) -> list[Access]:
    """Return nothing: each key is decided by itself, in the operation."""
    return []


def abort_multipart_upload(scope: Scope, request: Request) -> list[Access]:
    """Return what AbortMultipartUpload needs."""
    return [_on_object(scope, "s3:AbortMultipartUpload", request)]


def list_parts(scope: Scope, request: Request) -> list[Access]:
    """Return what ListParts needs."""
    return [_on_object(scope, "s3:ListMultipartUploadParts", request)]


def copy_object(scope: Scope, request: Request) -> list[Access]:
    """Return what CopyObject and UploadPartCopy need: reading the source, writing the target."""
    source = copy_source_of(request["CopySource"])
    keys = _WRITE_KEYS | {"s3:x-amz-metadata-directive": "MetadataDirective"}
    write, *further = _writing(scope, request, keys, creates="UploadId" not in request)
    # AWS: policies name the source with and without a leading slash ("Bucket policy examples using
    # condition keys" has both): either spelling is compared.
    path = f"{source.bucket}/{source.key}"
    context = {**write.context, "s3:x-amz-copy-source": (path, f"/{path}")}
    return [_read_source(scope, source), write._replace(context=context), *further]


def rename_object(scope: Scope, request: Request) -> list[Access]:
    """Return what RenameObject needs: to read and to remove the source, to write the target.

    AWS has sessions of directory buckets for it; here it is what a copy and a removal would need.
    """
    resource = object_arn(scope.region, request["Bucket"], unquote(request["RenameSource"]))
    keys = {"s3:if-match": "DestinationIfMatch", "s3:if-none-match": "DestinationIfNoneMatch"}
    write = _creating(_on_object(scope, "s3:PutObject", request, keys), creates=True)
    return [
        Access("s3:GetObject", resource),
        Access("s3:DeleteObject", resource, _context(request, {"s3:if-match": "SourceIfMatch"})),
        write,
    ]


def _read_source(scope: Scope, source: CopySource) -> Access:
    """Return the access to the source of a copy."""
    resource = object_arn(scope.region, source.bucket, source.key)
    if source.version_id:
        return Access("s3:GetObjectVersion", resource, {"s3:versionid": source.version_id})
    return Access("s3:GetObject", resource)


def copied_tags(scope: Scope, request: Request) -> list[Access]:
    """Return what CopyObject needs beside if it takes the tags of its source over.

    AWS: permissions to read them there and to put them here (API Reference, CopyObject).
    """
    source = copy_source_of(request["CopySource"])
    version = "Version" if source.version_id else ""
    return [
        _read_source(scope, source)._replace(action=f"s3:GetObject{version}Tagging"),
        _on_object(scope, "s3:PutObjectTagging", request),
    ]


def on_version(verb: str, noun: str) -> AccessOf:
    """Return the access of an operation on what is said of an object, or of a version of it.

    Args:
        verb: ``Get``, ``Put`` or ``Delete``.
        noun: Such as ``Tagging``: of a version it is ``VersionTagging``.
    """
    return lambda scope, request: [version_access(scope, request, verb, noun)]


def version_access(scope: Scope, request: Request, verb: str, noun: str) -> Access:
    """Return the access to what is said of the version that a request names; see ``on_version``."""
    version = "Version" if "VersionId" in request else ""
    action = f"s3:{verb}Object{version}{noun}"
    found = _on_object(scope, action, request, {"s3:versionid": "VersionId"})
    return found._replace(context={**found.context, **condition_keys(request)})
