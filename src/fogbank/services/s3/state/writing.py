"""Who owns what a request writes, and who may reach it: checked against the bucket it is written to."""

from __future__ import annotations

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.services.s3.arns import object_arn
from fogbank.services.s3.rules import acls
from fogbank.services.s3.rules.acls import Asked, Owned
from fogbank.services.s3.rules.refusals import ACL_BLOCKED, blocked
from fogbank.services.s3.schema import ENFORCED, BucketRecord
from fogbank.services.s3.state.people import check_people


async def check_list(call: Call, request: Request) -> Asked:
    """Return the access control list that a write asks for; everybody it names stands.

    Raises:
        InvalidArgument: It names nobody that there can be.
        InvalidRequest: It asks for two lists.
    """
    asked = acls.asked_of(request)
    if asked.grants:
        await check_people(call, asked)
    return asked


def owned_of(call: Call, request: Request, bucket: BucketRecord) -> Owned:
    """Return who owns what is written to a bucket, and its list.

    Raises:
        AccessControlListNotSupported: Lists do not count, and it would change something.
        AccessDenied: It lets the public in where that is blocked.
    """
    if bucket.ownership == ENFORCED and not acls.asks(request):
        return acls.THE_BUCKETS
    asked = acls.asked_of(request)
    owned = acls.owned_of(bucket, call.account, asked)
    if asked.is_given and acls.is_blocked(bucket, asked, call.points):
        arn = object_arn(call.region, bucket.name, request["Key"])
        raise blocked(call, bucket, "s3:PutObject", arn, ACL_BLOCKED)
    return owned
