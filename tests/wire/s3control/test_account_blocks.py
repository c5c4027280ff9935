"""What an account blocks of public access, at all of its buckets.

Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage"; answers recorded by
LocalStack (tests/aws/services/s3control/test_s3control.snapshot.json, TestS3ControlPublicAccessBlock).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.platform.store.engine import DIRECTORY
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import AccessBlock, BucketRecord, NameRecord
from fogbank.services.s3.state import blocks, buckets
from fogbank.testing.cloud import Cloud

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
PUBLIC = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::photos/*",
            }
        ],
    }
)


def block(control: Any, account: str, *names: str) -> None:
    wanted = {name: name in names for name in BLOCKS}
    control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=wanted)


@pytest.fixture
def unblocked(s3: Any) -> Any:
    """Return the client of a bucket that blocks nothing itself and has lists."""
    s3.delete_public_access_block(Bucket="photos")
    s3.put_bucket_ownership_controls(
        Bucket="photos", OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    return s3


def test_it_is_put_found_and_deleted(control: Any, account: str) -> None:
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            control.get_public_access_block(AccountId=account)
        error = caught.value.response["Error"]
        assert error["Code"] == "NoSuchPublicAccessBlockConfiguration"
        assert error["AccountId"] == account
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        block(control, account, "IgnorePublicAcls")
        found = control.get_public_access_block(AccountId=account)
        said = found["PublicAccessBlockConfiguration"]
        assert said == dict.fromkeys(BLOCKS, False) | {"IgnorePublicAcls": True}
        for _ in range(2):
            gone = control.delete_public_access_block(AccountId=account)
            assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_configuration_that_says_nothing_is_refused(
    control: Any, account: str, refusal: Any
) -> None:
    said = refusal(
        control.put_public_access_block, AccountId=account, PublicAccessBlockConfiguration={}
    )
    assert said == ("InvalidRequest", "Must specify at least one configuration.")


def test_nobody_blocks_for_another_account(
    control: Any, account: str, other: Any, cloud: Cloud, refusal: Any
) -> None:
    theirs = cloud.client("s3control", credential=other)
    for call in (theirs.get_public_access_block, theirs.delete_public_access_block):
        assert refusal(call, AccountId=account)[0] == "AccessDenied"


def test_policies_that_let_the_public_in_are_refused(
    unblocked: Any, control: Any, account: str, refusal: Any
) -> None:
    block(control, account, "BlockPublicPolicy")
    assert refusal(unblocked.put_bucket_policy, Bucket="photos", Policy=PUBLIC)[0] == "AccessDenied"
    block(control, account)
    unblocked.put_bucket_policy(Bucket="photos", Policy=PUBLIC)


def test_policies_that_let_the_public_in_let_in_nobody_but_the_account(
    unblocked: Any, control: Any, account: str, anonymous: Any, refusal: Any
) -> None:
    unblocked.put_bucket_policy(Bucket="photos", Policy=PUBLIC)
    at = {"Bucket": "photos", "Key": "k"}
    assert anonymous.get_object(**at)["Body"].read() == b"x"
    block(control, account, "RestrictPublicBuckets")
    assert refusal(anonymous.get_object, **at)[0] == "AccessDenied"
    assert unblocked.get_object(**at)["Body"].read() == b"x"
    control.delete_public_access_block(AccountId=account)
    assert anonymous.get_object(**at)["Body"].read() == b"x"


def test_lists_that_let_the_public_in_are_refused_or_do_not_count(
    unblocked: Any, control: Any, account: str, anonymous: Any, refusal: Any
) -> None:
    at = {"Bucket": "photos", "Key": "k"}
    block(control, account, "BlockPublicAcls")
    assert refusal(unblocked.put_object_acl, **at, ACL="public-read")[0] == "AccessDenied"
    block(control, account)
    unblocked.put_object_acl(**at, ACL="public-read")
    assert anonymous.get_object(**at)["Body"].read() == b"x"
    block(control, account, "IgnorePublicAcls")
    assert refusal(anonymous.get_object, **at)[0] == "AccessDenied"


def test_a_bucket_says_what_it_blocks_itself(unblocked: Any, control: Any, account: str) -> None:
    block(control, account, *BLOCKS)
    with pytest.raises(ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        unblocked.get_public_access_block(Bucket="photos")


def test_later_buckets_are_blocked_too(
    control: Any, account: str, client: Any, refusal: Any
) -> None:
    block(control, account, "BlockPublicPolicy")
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.delete_public_access_block(Bucket="photos")
    assert refusal(made.put_bucket_policy, Bucket="photos", Policy=PUBLIC)[0] == "AccessDenied"


def test_what_a_request_left_is_told_to_buckets_all_the_same(
    unblocked: Any, account: str, anonymous: Any, cloud: Cloud, refusal: Any
) -> None:
    unblocked.put_bucket_policy(Bucket="photos", Policy=PUBLIC)
    now_ms = cloud.clock.now_ms()
    placement = cloud.app.facilities.placement
    cloud.run(
        placement.store_of(DIRECTORY).transact(
            lambda tr: blocks.put_block(tr, account, AccessBlock(), now_ms)
        )
    )
    assert anonymous.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"
    cloud.advance(60_000)
    cloud.settle()
    assert refusal(anonymous.get_object, Bucket="photos", Key="k")[0] == "AccessDenied"


def bucket_of(cloud: Cloud, name: str) -> BucketRecord:
    store = cloud.app.facilities.placement.store_of(domain_of(name))
    found = cloud.run(store.read(buckets.find_bucket))
    assert found is not None
    return found


def test_a_bucket_that_is_being_made_meanwhile_is_told_too(
    control: Any, account: str, cloud: Cloud
) -> None:
    placement = cloud.app.facilities.placement
    wanted = NameRecord(account, b"12345678", "us-east-1", "", cloud.clock.now_ms(), active=False)
    reserved = cloud.run(
        placement.store_of(DIRECTORY).transact(
            lambda tr: buckets.reserve_name(tr, "photos", wanted, 10)
        )
    )
    block(control, account, "BlockPublicPolicy")
    cloud.run(buckets.finish_creation(placement, reserved, cloud.clock.now_ms()))
    said = bucket_of(cloud, "photos").account_block
    assert said is not None
    assert said.block_policy


def test_who_tells_a_bucket_late_takes_nothing_back(
    s3: Any, control: Any, account: str, cloud: Cloud
) -> None:
    placement = cloud.app.facilities.placement
    block(control, account, "BlockPublicPolicy")
    older = cloud.run(
        placement.store_of(DIRECTORY).read(lambda tr: buckets.find_account(tr, account))
    )
    control.delete_public_access_block(AccountId=account)
    cloud.run(buckets.copy_block(placement, "photos", older))
    assert bucket_of(cloud, "photos").account_block is None
