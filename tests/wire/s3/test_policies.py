"""Bucket policies, across accounts and for anonymous callers.

Source: Amazon S3 User Guide, "How Amazon S3 authorizes a request", "Bucket policies for Amazon S3",
"Blocking public access to your Amazon S3 storage"; API Reference, PutBucketPolicy. What may be put
is in tests/unit/services/s3/test_policy_rules.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.s3.statements import allowing

from fogbank.testing.cloud import Cloud

AT = {"Bucket": "photos", "Key": "k"}
NONE = ("NoSuchBucketPolicy", "The bucket policy does not exist")
DENIED = ("AccessDenied", "Access Denied")
BLOCK = (
    "BlockPublicAcls",
    "IgnorePublicAcls",
    "BlockPublicPolicy",
    "RestrictPublicBuckets",
)


def statement(action: Any, principal: Any, effect: str = "Allow", **condition: Any) -> Any:
    """Return a statement about the bucket and all that is in it."""
    arn = "arn:aws:s3:::photos"
    said = {
        "Effect": effect,
        "Principal": principal,
        "Action": action,
        "Resource": [arn, f"{arn}/*"],
    }
    return {**said, "Condition": condition} if condition else said


def put(s3: Any, *statements: Any, **more: Any) -> Any:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return s3.put_bucket_policy(Bucket="photos", Policy=document, **more)


def account_of(credential: Any) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{credential.principal.account}:root"}


def denied(call: Callable[..., Any], **given: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**given)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.put_object(**AT, Body=b"x")
    return made


def test_a_policy_is_put_found_and_deleted(s3: Any, other: Any, refusal: Any) -> None:
    assert refusal(s3.get_bucket_policy, Bucket="photos") == NONE
    assert (
        put(s3, statement("s3:GetObject", account_of(other)))["ResponseMetadata"]["HTTPStatusCode"]
        == 204
    )
    found = json.loads(s3.get_bucket_policy(Bucket="photos")["Policy"])
    assert found["Statement"] == [statement("s3:GetObject", account_of(other))]
    for _ in range(2):
        deleted = s3.delete_bucket_policy(Bucket="photos")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_policy, Bucket="photos") == NONE


def test_another_account_needs_the_policy_and_its_users_their_own_too(
    s3: Any, other: Any, cloud: Cloud, refusal: Any
) -> None:
    theirs = cloud.client("s3", credential=other)
    assert refusal(theirs.get_object, **AT) == DENIED
    put(s3, statement("s3:GetObject", account_of(other)))
    assert theirs.get_object(**AT)["Body"].read() == b"x"
    denied(theirs.put_object, **AT, Body=b"y")
    iam = cloud.client("iam", credential=other)
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = cloud.client("s3", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    denied(user.get_object, **AT)
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowing("s3:GetObject")]})
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    assert user.get_object(**AT)["Body"].read() == b"x"
    s3.delete_bucket_policy(Bucket="photos")
    denied(user.get_object, **AT)
    denied(theirs.get_object, **AT)


def test_a_policy_is_in_force_at_once_for_whoever_was_let_in_without_it(
    s3: Any, limited: Any, other: Any
) -> None:
    """Who is let in by its own policies was not looked up: the transaction finds the policy."""
    user = limited(allowing("s3:*"))
    user.get_object(**AT)
    put(s3, statement("s3:GetObject", "*", "Deny"), statement("s3:Put*", account_of(other)))
    for _ in range(2):
        denied(user.get_object, **AT)
        denied(user.head_object, **AT)
        denied(user.copy_object, Bucket="photos", Key="copy", CopySource="photos/k")
        user.put_object(Bucket="photos", Key="l", Body=b"y")
    s3.delete_bucket_policy(Bucket="photos")
    for _ in range(2):
        assert user.get_object(**AT)["Body"].read() == b"x"


def test_a_bucket_without_a_policy_costs_its_own_account_no_read_of_the_store(
    s3: Any, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, limited: Any, other: Any
) -> None:
    user = limited(allowing("s3:*"))
    user.get_object(**AT)
    runs: list[str] = []
    run = cloud.engine.run

    def counted(domain: Any, body: Any, **more: Any) -> Any:
        if domain.name == ("s3", "photos"):
            runs.append("write" if more.get("writable") else "read")
        return run(domain, body, **more)

    monkeypatch.setattr(cloud.engine, "run", counted)
    user.get_object(**AT)
    assert runs == ["read"]
    runs.clear()
    user.put_object(**AT, Body=b"y")
    assert len(runs) == 1
    runs.clear()
    put(s3, statement("s3:GetObject", account_of(other)))
    runs.clear()
    user.get_object(**AT)
    assert len(runs) == 3, "presumed in vain, then the policy, then the object"
    runs.clear()
    user.get_object(**AT)
    assert runs == ["read"], "the policy is remembered, and confirmed with the object"
    runs.clear()
    put(s3, statement("s3:PutObject", account_of(other)))
    runs.clear()
    user.get_object(**AT)
    assert len(runs) == 3, "remembered in vain, then the policy, then the object"


def test_a_policy_that_is_remembered_lets_nobody_in_who_is_out_and_keeps_nobody_out_who_is_in(
    s3: Any, cloud: Cloud, other: Any
) -> None:
    theirs = cloud.client("s3", credential=other)
    reads, writes = ("s3:GetObject", "s3:PutObject")
    for _ in range(2):
        put(s3, statement(reads, account_of(other)))
        for _ in range(2):
            assert theirs.get_object(**AT)["Body"].read() == b"x"
            denied(theirs.put_object, **AT, Body=b"y")
        put(s3, statement(writes, account_of(other)))
        for _ in range(2):
            denied(theirs.get_object, **AT)
            theirs.put_object(**AT, Body=b"x")
        s3.delete_bucket_policy(Bucket="photos")
        for _ in range(2):
            denied(theirs.get_object, **AT)
            denied(theirs.put_object, **AT, Body=b"y")


def test_who_may_not_hears_that_before_what_else_is_wrong(
    s3: Any, other: Any, cloud: Cloud, limited: Any, refusal: Any
) -> None:
    """What was presumed is decided before a request is refused for another reason."""
    rule = {"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}
    wrong = {"Bucket": "photos", "CORSConfiguration": {"CORSRules": [rule]}}
    theirs = cloud.client("s3", credential=other)
    assert refusal(s3.put_bucket_cors, **wrong)[0] == "InvalidRequest"
    assert refusal(theirs.put_bucket_cors, **wrong) == DENIED
    put(s3, statement("s3:PutBucketCORS", "*", "Deny"))
    code, message = refusal(limited(allowing("s3:*")).put_bucket_cors, **wrong)
    assert code == "AccessDenied"
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_many_keys_of_one_request_cost_one_look_at_the_policy(
    s3: Any, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, other: Any
) -> None:
    put(s3, statement("s3:DeleteObject", account_of(other)))
    runs: list[Any] = []
    run = cloud.engine.run

    def counted(domain: Any, body: Any, **more: Any) -> Any:
        if domain.name == ("s3", "photos"):
            runs.append(more)
        return run(domain, body, **more)

    monkeypatch.setattr(cloud.engine, "run", counted)
    keys = [{"Key": f"k{at}"} for at in range(40)]
    told = cloud.client("s3", credential=other).delete_objects(
        Bucket="photos", Delete={"Objects": keys}
    )
    assert len(told["Deleted"]) == 40
    assert len(runs) == 3, "a look, the policy, the removals"


def test_the_public_comes_in_by_a_public_policy_only(
    s3: Any, anonymous: Any, other: Any, cloud: Cloud, refusal: Any, limited: Any
) -> None:
    public = statement("s3:GetObject", "*")
    theirs, user = cloud.client("s3", credential=other), limited(allowing("s3:*"))
    denied(anonymous.get_object, **AT)
    document = json.dumps({"Version": "2012-10-17", "Statement": [public]})
    told = refusal(s3.put_bucket_policy, Bucket="photos", Policy=document)
    said = (
        f"User: {cloud.account.principal.arn} is not authorized to perform: s3:PutBucketPolicy on "
        'resource: "arn:aws:s3:::photos" because public policies are prevented by the '
        "BlockPublicPolicy setting in S3 Block Public Access."
    )
    assert told == ("AccessDenied", said)
    s3.delete_public_access_block(Bucket="photos")
    put(s3, public)
    assert anonymous.get_object(**AT)["Body"].read() == b"x"
    assert theirs.get_object(**AT)["Body"].read() == b"x"
    denied(anonymous.list_objects_v2, Bucket="photos")
    status = s3.get_bucket_policy_status(Bucket="photos")["PolicyStatus"]
    assert status == {"IsPublic": True}
    only = dict.fromkeys(BLOCK, False) | {"RestrictPublicBuckets": True}
    s3.put_public_access_block(Bucket="photos", PublicAccessBlockConfiguration=only)
    denied(anonymous.get_object, **AT)
    denied(theirs.get_object, **AT)
    assert user.get_object(**AT)["Body"].read() == b"x"


def test_restriction_shuts_out_accounts_that_a_public_policy_names(
    s3: Any, other: Any, cloud: Cloud
) -> None:
    s3.delete_public_access_block(Bucket="photos")
    put(s3, statement("s3:GetObject", account_of(other)), statement("s3:ListBucket", "*"))
    theirs = cloud.client("s3", credential=other)
    theirs.get_object(**AT)
    only = dict.fromkeys(BLOCK, False) | {"RestrictPublicBuckets": True}
    s3.put_public_access_block(Bucket="photos", PublicAccessBlockConfiguration=only)
    denied(theirs.get_object, **AT)
    put(s3, statement("s3:GetObject", account_of(other)))
    assert theirs.get_object(**AT)["Body"].read() == b"x"


def test_the_owners_root_may_always_mend_the_policy(s3: Any, limited: Any) -> None:
    """API Reference, PutBucketPolicy: "the root principals ... can perform the GetBucketPolicy,
    PutBucketPolicy, and DeleteBucketPolicy API actions, even if their bucket policy explicitly denies"."""
    user = limited(allowing("s3:*"))
    every = statement("s3:*", "*", "Deny")
    put(s3, every)
    denied(s3.get_object, **AT)
    denied(user.get_bucket_policy, Bucket="photos")
    assert json.loads(s3.get_bucket_policy(Bucket="photos")["Policy"])["Statement"] == [every]
    denied(user.get_object, **AT)
    denied(user.get_bucket_policy, Bucket="photos")
    put(s3, every)
    s3.delete_bucket_policy(Bucket="photos")
    s3.get_object(**AT)


def test_who_would_lock_itself_out_must_say_so(s3: Any, limited: Any, refusal: Any) -> None:
    user = limited(allowing("s3:*"))
    every = json.dumps(
        {"Version": "2012-10-17", "Statement": [statement("s3:PutBucketPolicy", "*", "Deny")]}
    )
    code, _ = refusal(user.put_bucket_policy, Bucket="photos", Policy=every)
    assert code == "InvalidRequest"
    user.put_bucket_policy(Bucket="photos", Policy=every, ConfirmRemoveSelfBucketAccess=True)
    denied(user.put_bucket_policy, Bucket="photos", Policy=every)


def test_another_account_never_has_the_policy_itself(
    s3: Any, other: Any, cloud: Cloud, refusal: Any
) -> None:
    """API Reference, GetBucketPolicy: "Amazon S3 returns a 405 Method Not Allowed error"."""
    put(s3, statement("s3:*", account_of(other)))
    theirs = cloud.client("s3", credential=other)
    for call, more in (
        (theirs.get_bucket_policy, {}),
        (theirs.delete_bucket_policy, {}),
        (theirs.put_bucket_policy, {"Policy": s3.get_bucket_policy(Bucket="photos")["Policy"]}),
    ):
        assert refusal(call, Bucket="photos", **more)[0] == "MethodNotAllowed"


def test_names_in_a_policy_mean_who_had_them(s3: Any, client: Any, refusal: Any) -> None:
    iam = client("iam")
    arn = iam.create_user(UserName="u")["User"]["Arn"]
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = client("s3", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    put(s3, statement("s3:GetObject", {"AWS": arn}))
    user.get_object(**AT)
    nobody = statement("s3:GetObject", {"AWS": f"{arn}x"})
    document = json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    told = refusal(s3.put_bucket_policy, Bucket="photos", Policy=document)
    assert told == ("MalformedPolicy", "Invalid principal in policy")


def test_keys_of_one_request_are_decided_one_by_one_for_another_account(
    s3: Any, other: Any, cloud: Cloud, anonymous: Any
) -> None:
    for key in ("mine/1", "yours/1"):
        s3.put_object(Bucket="photos", Key=key, Body=b"x")
    said = statement("s3:DeleteObject", account_of(other))
    put(s3, {**said, "Resource": "arn:aws:s3:::photos/yours/*"})
    theirs = cloud.client("s3", credential=other)
    wanted = {"Objects": [{"Key": "mine/1"}, {"Key": "yours/1"}]}
    told = theirs.delete_objects(Bucket="photos", Delete=wanted)
    assert [each["Key"] for each in told["Deleted"]] == ["yours/1"]
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("mine/1", "AccessDenied")]
    denied(anonymous.delete_objects, Bucket="photos", Delete=wanted)


def test_a_copy_needs_both_buckets(s3: Any, other: Any, cloud: Cloud) -> None:
    theirs = cloud.client("s3", credential=other)
    theirs.create_bucket(Bucket="theirs")
    copy = {"Bucket": "theirs", "Key": "k", "CopySource": "photos/k"}
    denied(theirs.copy_object, **copy)
    put(s3, statement("s3:GetObject", account_of(other)))
    theirs.copy_object(**copy)
    assert theirs.get_object(Bucket="theirs", Key="k")["Body"].read() == b"x"
    upload = theirs.create_multipart_upload(Bucket="theirs", Key="l")["UploadId"]
    theirs.upload_part_copy(**{**copy, "Key": "l"}, UploadId=upload, PartNumber=1)
    s3.delete_bucket_policy(Bucket="photos")
    denied(theirs.upload_part_copy, **{**copy, "Key": "l"}, UploadId=upload, PartNumber=2)


def test_that_nothing_is_there_is_for_who_may_list(s3: Any, other: Any, cloud: Cloud) -> None:
    """API Reference, GetObject: without s3:ListBucket a missing key is 403, with it 404."""
    theirs = cloud.client("s3", credential=other)
    listing = statement("s3:ListBucket", account_of(other), StringLike={"s3:prefix": "public/*"})
    put(s3, listing)
    for key, status in (("public/none", 404), ("private/none", 403), ("k", 403)):
        with pytest.raises(ClientError) as caught:
            theirs.head_object(Bucket="photos", Key=key)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_everybody_hears_that_there_is_no_bucket(
    s3: Any, anonymous: Any, limited: Any, refusal: Any
) -> None:
    for caller in (anonymous, limited(allowing("iam:*")), s3):
        told = refusal(caller.get_object, Bucket="nowhere", Key="k")
        assert told == ("NoSuchBucket", "The specified bucket does not exist")


def test_tags_of_what_is_there_are_a_condition(s3: Any, other: Any, cloud: Cloud) -> None:
    """User Guide, "Tagging and access control policies"."""
    condition = {"StringEquals": {"s3:ExistingObjectTag/security": "public"}}
    s3.put_object(Bucket="photos", Key="open", Body=b"x", Tagging="security=public")
    s3.put_object(Bucket="photos", Key="shut", Body=b"x", Tagging="security=secret")
    put(s3, statement("s3:GetObject", account_of(other), **condition))
    theirs = cloud.client("s3", credential=other)
    assert theirs.get_object(Bucket="photos", Key="open")["Body"].read() == b"x"
    denied(theirs.get_object, Bucket="photos", Key="shut")
    denied(theirs.get_object, **AT)
