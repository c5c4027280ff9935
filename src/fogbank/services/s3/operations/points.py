"""Access points of S3 Control: ways to a bucket under names and policies of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import with_ids
from fogbank.platform.identity.bound import gone
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import point_arn
from fogbank.services.s3.errors import NoSuchAccessPointPolicy
from fogbank.services.s3.quotas import POINTS_MAX
from fogbank.services.s3.rules import access, blocks, policies, tags
from fogbank.services.s3.rules.listings import Place, place_of, token_of
from fogbank.services.s3.rules.points import (
    RANDOM_CHARACTERS,
    PointName,
    alias_of,
    check_account,
    check_name,
    is_of,
    on_account,
    on_point,
    origin_of,
)
from fogbank.services.s3.rules.refusals import policy_blocked
from fogbank.services.s3.schema import AccessBlock, PointRecord
from fogbank.services.s3.state import buckets, points
from fogbank.services.s3.state.policies import record_of

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3control as shapes

LIST_POINTS_MAX: Final = 1_000
_PUT: Final = "s3:PutAccessPointPolicy"
_UNBUILT: Final[Mapping[str, Any]] = {"Scope": {}}
_ENDPOINTS: Final = {
    "ipv4": "s3-accesspoint.{}.amazonaws.com",
    "fips": "s3-accesspoint-fips.{}.amazonaws.com",
    "fips_dualstack": "s3-accesspoint-fips.dualstack.{}.amazonaws.com",
    "dualstack": "s3-accesspoint.dualstack.{}.amazonaws.com",
}


def _name_of(call: Call, request: Request) -> PointName:
    """Return the access point that a request names, of its own account."""
    check_account(call, request)
    check_name(request["Name"])
    return PointName(call.account, call.region, request["Name"])


async def _read(call: Call, request: Request) -> PointRecord:
    """Return the access point that a request names."""
    name = _name_of(call, request)
    return await call.store.read(lambda tr: points.require(tr, name))


@operation(
    access=on_point("s3:CreateAccessPoint"),
    domain=access.directory_domain,
    unhonoured=_UNBUILT,
)
async def create_access_point(
    call: Call, request: shapes.CreateAccessPointRequest
) -> shapes.CreateAccessPointResult:
    """Create an access point of a bucket, the caller's own or another account's."""
    name = _name_of(call, request)
    vpc = request.get("VpcConfiguration") or {}
    block = request.get("PublicAccessBlockConfiguration")
    wanted = PointRecord(
        bucket=request["Bucket"],
        bucket_id=b"",
        bucket_account=request.get("BucketAccountId") or call.account,
        created_ms=call.clock.now_ms(),
        alias=alias_of(name.name, call.ids.base32(RANDOM_CHARACTERS).lower()),
        vpc=vpc.get("VpcId", ""),
        block=AccessBlock() if block is None else blocks.asked_of(block),
        tags=tags.tags_of(request.get("Tags") or [], tags.POINT),
    )
    points_max = call.limit(POINTS_MAX)
    await call.store.transact(lambda tr: points.create(tr, name, wanted, points_max))
    return {
        "AccessPointArn": point_arn(call.region, call.account, name.name),
        "Alias": wanted.alias,
    }


@operation(access=on_point("s3:GetAccessPoint"), domain=access.directory_domain)
async def get_access_point(
    call: Call, request: shapes.GetAccessPointRequest
) -> shapes.GetAccessPointResult:
    """Return what an access point is."""
    record = await _read(call, request)
    return {
        **_listed(call, request["Name"], record),
        "PublicAccessBlockConfiguration": blocks.shown(record.block),
        "CreationDate": record.created_ms,
        "Endpoints": {kind: host.format(call.region) for kind, host in _ENDPOINTS.items()},
    }


def _listed(call: Call, name: str, record: PointRecord) -> shapes.AccessPoint:
    """Return an access point as listings have it."""
    listed: shapes.AccessPoint = {
        "Name": name,
        "NetworkOrigin": origin_of(record.vpc),
        "Bucket": record.bucket,
        "AccessPointArn": point_arn(call.region, call.account, name),
        "Alias": record.alias,
        "BucketAccountId": record.bucket_account,
    }
    if record.vpc:
        listed["VpcConfiguration"] = {"VpcId": record.vpc}
    return listed


@operation(
    access=on_account("s3:ListAccessPoints"),
    domain=access.directory_domain,
    unhonoured={"DataSourceId": "", "DataSourceType": ""},
)
async def list_access_points(
    call: Call, request: shapes.ListAccessPointsRequest
) -> shapes.ListAccessPointsResult:
    """List the caller's access points in the region, of one bucket or all, in order of name."""
    check_account(call, request)
    limit = min(request.get("MaxResults") or LIST_POINTS_MAX, LIST_POINTS_MAX)
    token, bucket = request.get("NextToken"), request.get("Bucket")
    after = place_of(token).after[0] if token else ""
    owner = PointName(call.account, call.region, "")

    async def body(tr: Transaction) -> list[points.Listed]:
        if bucket is None:
            return await points.list_points(tr, call.account, call.region, after, limit + 1)
        return await points.list_of_bucket(tr, owner, bucket, after, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListAccessPointsResult = {
        "AccessPointList": [_listed(call, *each) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextToken"] = token_of(Place((found[limit - 1][0],)))
    return reply


@operation(access=on_point("s3:DeleteAccessPoint"), domain=access.directory_domain)
async def delete_access_point(call: Call, request: shapes.DeleteAccessPointRequest) -> Wire:
    """Delete an access point; its bucket stays as it is."""
    name = _name_of(call, request)
    await call.store.transact(lambda tr: points.delete(tr, name))
    return {}


@operation(access=on_point(_PUT), domain=access.directory_domain)
async def put_access_point_policy(call: Call, request: shapes.PutAccessPointPolicyRequest) -> Wire:
    """Replace the policy of an access point."""
    name = _name_of(call, request)
    raw = policies.checked(request["Policy"], lambda resource: is_of(resource, name))
    put = await record_of(call, request["Policy"])

    async def body(tr: Transaction) -> None:
        record = await points.require(tr, name)
        account = await buckets.find_account(tr, name.account)
        public = _is_public(record, raw)
        if public and blocks.both(record.block, account.access_block).block_policy:
            arn = point_arn(call.region, call.account, name.name)
            raise policy_blocked(call, _PUT, arn)
        changed = msgspec.structs.replace(
            record, policy=put.document, bound=put.bound, policy_public=public
        )
        points.put(tr, name, changed)

    await call.store.transact(body)
    return {}


def _is_public(record: PointRecord, raw: policies.RawPolicy) -> bool:
    """Return whether a policy lets the public through an access point.

    AWS: one that is open to a VPC alone is never public (User Guide, "Blocking public access to your
    Amazon S3 storage", access points).
    """
    return not record.vpc and policies.is_public(raw)


@operation(access=on_point("s3:GetAccessPointPolicy"), domain=access.directory_domain)
async def get_access_point_policy(
    call: Call, request: shapes.GetAccessPointPolicyRequest
) -> shapes.GetAccessPointPolicyResult:
    """Return the policy of an access point; whom it names and who is gone goes by the unique id."""
    record = await _read(call, request)
    if not record.policy:
        raise NoSuchAccessPointPolicy(AccessPointName=request["Name"])
    return {"Policy": with_ids(record.policy, await gone(call.facilities.placement, record.bound))}


@operation(access=on_point("s3:DeleteAccessPointPolicy"), domain=access.directory_domain)
async def delete_access_point_policy(
    call: Call, request: shapes.DeleteAccessPointPolicyRequest
) -> Wire:
    """Remove the policy of an access point, whether it has one or not."""
    name = _name_of(call, request)

    async def body(tr: Transaction) -> None:
        record = await points.require(tr, name)
        bare = msgspec.structs.replace(record, policy="", bound=(), policy_public=False)
        points.put(tr, name, bare)

    await call.store.transact(body)
    return {}


@operation(access=on_point("s3:GetAccessPointPolicyStatus"), domain=access.directory_domain)
async def get_access_point_policy_status(
    call: Call, request: shapes.GetAccessPointPolicyStatusRequest
) -> shapes.GetAccessPointPolicyStatusResult:
    """Say whether the policy of an access point lets the public through."""
    return {"PolicyStatus": {"IsPublic": (await _read(call, request)).policy_public}}
