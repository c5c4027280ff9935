"""What a bucket says of an access as one policy, decided by the evaluator of all policies.

Source: Amazon S3 User Guide, "How Amazon S3 authorizes a request", "Access control list (ACL) overview",
"Blocking public access to your Amazon S3 storage".
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.context import context_of
from fogbank.platform.identity.principal import ANONYMOUS, root_principal, service_principal
from fogbank.services.s3.rules import acls, standing
from fogbank.services.s3.rules.acls import owner_id
from fogbank.services.s3.rules.standing import NOTHING, Found
from fogbank.services.s3.schema import AccessBlock, Acl, BucketRecord, Grant

MINE, THEIRS = "1" * 12, "2" * 12
ARN = "arn:aws:s3:::photos/k"
LOGGING = service_principal("logging.s3.amazonaws.com")
CALLERS = {"mine": root_principal(MINE), "theirs": root_principal(THEIRS), "nobody": ANONYMOUS}
OPEN = AccessBlock(block_acls=False, ignore_acls=False, block_policy=False, restrict=False)


def bucket(acl: Acl | None = None, ownership: str = "ObjectWriter", **more: Any) -> BucketRecord:
    return BucketRecord(
        bucket_id=b"1",
        name="photos",
        account=MINE,
        region="us-east-1",
        location="",
        created_ms=0,
        ownership=ownership,
        acl=acl,
        **{"access_block": OPEN, **more},
    )


def may(
    caller: Any,
    of: BucketRecord,
    action: str = "s3:GetObject",
    found: Found = NOTHING,
    policy: str = "",
) -> bool:
    who = owner_id(caller.account or acls.ANONYMOUS)
    said = standing.said_of(of, policy, action, found, who)
    request = AccessRequest(
        caller, action, ARN, context_of(caller), standing.owner_of(of, action, found)
    )
    compiled = compile_policy(said, kind="resource") if said else None
    return evaluate(request, PolicySet(resource=compiled)).allowed


def public(action: str = "s3:GetObject", principal: Any = "*") -> str:
    said = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": ARN}
    return json.dumps({"Version": "2012-10-17", "Statement": [said]})


def test_a_bucket_that_says_nothing_says_nothing() -> None:
    assert standing.said_of(bucket(), "", "s3:GetObject", NOTHING, owner_id(THEIRS)) == ""
    assert standing.said_of(bucket(), "{}", "s3:GetObject", NOTHING, owner_id(THEIRS)) == "{}"


@pytest.mark.parametrize(
    ("grantee", "let_in"),
    [
        (acls.ALL_USERS, {"theirs", "nobody"}),
        (acls.AUTHENTICATED_USERS, {"theirs"}),
        (owner_id(THEIRS), {"theirs"}),
        (acls.ANONYMOUS_ID, {"nobody"}),
        (acls.LOG_DELIVERY, set()),
    ],
)
def test_grantees_are_who_they_are(grantee: str, let_in: set[str]) -> None:
    found = Found(acl=(Grant(grantee, "READ"),))
    assert {name for name, caller in CALLERS.items() if may(caller, bucket(), found=found)} == (
        let_in | {"mine"}
    )


def test_logs_may_be_delivered_where_the_group_may_write() -> None:
    of = bucket((Grant(acls.LOG_DELIVERY, "WRITE"),))
    assert may(LOGGING, of, "s3:PutObject")
    assert not may(LOGGING, of, "s3:ListBucket")
    assert not may(service_principal("other.amazonaws.com"), of, "s3:PutObject")


def test_no_list_counts_where_the_bucket_owns_everything() -> None:
    of = bucket((Grant(acls.ALL_USERS, "FULL_CONTROL"),), "BucketOwnerEnforced")
    assert not may(CALLERS["theirs"], of, "s3:ListBucket")
    assert not may(ANONYMOUS, of, "s3:PutObject")


def test_full_control_is_every_permission_of_its_kind() -> None:
    full = (Grant(acls.ALL_USERS, "FULL_CONTROL"),)
    for action in ("ListBucket", "PutObject", "GetBucketAcl", "PutBucketAcl"):
        assert may(ANONYMOUS, bucket(full), f"s3:{action}")
        assert not may(ANONYMOUS, bucket(), f"s3:{action}", Found(acl=full))
    for action in ("GetObject", "GetObjectVersion", "GetObjectAcl", "PutObjectAcl"):
        assert may(ANONYMOUS, bucket(), f"s3:{action}", Found(acl=full))
        assert not may(ANONYMOUS, bucket(full), f"s3:{action}")


def test_services_come_in_by_a_public_policy_that_is_restricted() -> None:
    """ "only AWS service principals and authorized users within the bucket owner's account"."""
    policy = public()
    of = bucket(access_block=AccessBlock(), policy_public=True)
    assert {name for name, caller in CALLERS.items() if may(caller, of, policy=policy)} == {"mine"}
    assert may(LOGGING, of, policy=policy)
    assert may(ANONYMOUS, bucket(policy_public=True), policy=policy)


def test_of_what_is_anothers_a_policy_only_denies() -> None:
    found = Found(THEIRS)
    of, own = bucket(), CALLERS["mine"]
    assert not may(own, of, found=found, policy=public())
    assert may(CALLERS["theirs"], of, found=found)
    denying = public().replace("Allow", "Deny")
    assert not may(CALLERS["theirs"], of, found=found, policy=denying)
    # Removing it, and writing in its place, are the bucket owner's to decide.
    assert may(own, of, "s3:DeleteObject", found)
