"""Every legal name fits the store: the longest ones are used, in every operation that keeps them.

The cloud's memory engine refuses a key above the limit of the port, so that an operation which
succeeds has written none.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.made_up import TRUST, package
from tests.contracts.seeds import ALLOW_ALL

from fogbank.engines.bodies import LIMITS
from fogbank.testing.cloud import Cloud

few = settings(max_examples=8, derandomize=True, deadline=None, database=None)
ANY_TEXT = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"))
WORDS = st.characters(codec="ascii", categories=("Lu", "Ll", "Nd"), include_characters="+=,.@-_")
PATHS = st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E)
GROUPS = st.characters(codec="ascii", categories=("Lu", "Ll", "Nd"), include_characters="_-./#")
FILLER = "x"
serial = itertools.count(1_000)
"""What sets the names of one example apart from those of every other."""


def cut(text: str, bytes_max: int) -> str:
    """Return a number and as many repetitions of a text as fit, filled up to the last byte."""
    text = f"{next(serial)}{text}"
    raw = (text.encode() * (bytes_max // len(text.encode()) + 1))[:bytes_max]
    whole = raw.decode(errors="ignore")
    return whole + FILLER * (bytes_max - len(whole.encode()))


def texts(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return short texts, to be repeated."""
    return st.text(alphabet, min_size=1, max_size=8)


def longest(alphabet: st.SearchStrategy[str], bytes_max: int) -> st.SearchStrategy[str]:
    """Return texts of exactly so many bytes of UTF-8."""
    return texts(alphabet).map(lambda text: cut(text, bytes_max))


def longest_key(cloud: Cloud) -> int:
    """Return the length of the longest key that is in the store."""
    rows: Any = cloud.engine.rows
    return max(map(len, rows))


@pytest.fixture(scope="module")
def bucket(own_clients: Any) -> str:
    name = "b" * 63
    s3 = own_clients("s3")
    s3.create_bucket(Bucket=name)
    # What is not current, and a delete marker, have the longest keys of all.
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.mark.slow
@few
@given(key=longest(ANY_TEXT, 1_024))
def test_the_longest_object_keys_fit(key: str, bucket: str, own: Cloud, own_clients: Any) -> None:
    s3, at = own_clients("s3"), {"Bucket": bucket, "Key": key}
    for size in (1, 100_000):
        s3.put_object(**at, Body=bytes(size))
    s3.copy_object(**at, CopySource=at, MetadataDirective="REPLACE")
    upload = {**at, "UploadId": s3.create_multipart_upload(**at)["UploadId"]}
    tag = s3.upload_part(**upload, PartNumber=10_000, Body=b"x")["ETag"]
    assert longest_key(own) > 1_024 * 9 // 8
    listed = s3.list_multipart_uploads(Bucket=bucket, Prefix=key)
    assert [entry["Key"] for entry in listed["Uploads"]] == [key]
    parts = {"Parts": [{"PartNumber": 10_000, "ETag": tag}]}
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert s3.get_object(**at)["Body"].read() == b"x"
    s3.delete_object(**at)


SORTS: dict[str, st.SearchStrategy[Any]] = {
    "S": longest(st.characters(exclude_categories=("Cs",)), 1_024),
    "B": st.binary(min_size=1, max_size=8).map(lambda raw: (raw * 1_024)[:1_024]),
    "N": st.builds(
        lambda sign, digits, power: f"{sign}{digits}e{power}",
        st.sampled_from(["", "-"]),
        st.integers(10**37, 10**38 - 1),
        st.integers(-130, 88),
    ),
}
PARTITIONS: dict[str, st.SearchStrategy[Any]] = {
    "S": longest(st.characters(exclude_categories=("Cs",)), 2_048),
    "B": st.binary(min_size=1, max_size=8).map(lambda raw: (raw * 2_048)[:2_048]),
    "N": SORTS["N"],
}


@pytest.fixture(scope="module")
def tables(own_clients: Any) -> dict[tuple[str, str], str]:
    """Return tables of the longest names for every pair of key types."""
    made = {}
    for partition in PARTITIONS:
        for sort in SORTS:
            made[partition, sort] = name = f"{partition}{sort}".ljust(255, "t")
            own_clients("dynamodb").create_table(
                TableName=name,
                AttributeDefinitions=[
                    {"AttributeName": "p" * 255, "AttributeType": partition},
                    {"AttributeName": "s" * 255, "AttributeType": sort},
                ],
                KeySchema=[
                    {"AttributeName": "p" * 255, "KeyType": "HASH"},
                    {"AttributeName": "s" * 255, "KeyType": "RANGE"},
                ],
                BillingMode="PAY_PER_REQUEST",
            )
    return made


@few
@given(data=st.data(), kinds=st.tuples(st.sampled_from("SBN"), st.sampled_from("SBN")))
def test_the_longest_item_keys_fit(
    data: st.DataObject, kinds: tuple[str, str], tables: Any, own_clients: Any
) -> None:
    dynamodb, table = own_clients("dynamodb"), {"TableName": tables[kinds]}
    key = {
        "p" * 255: {kinds[0]: data.draw(PARTITIONS[kinds[0]])},
        "s" * 255: {kinds[1]: data.draw(SORTS[kinds[1]])},
    }
    dynamodb.put_item(**table, Item=key)
    assert dynamodb.get_item(**table, Key=key, ConsistentRead=True)["Item"].keys() == key.keys()
    found = dynamodb.scan(**table, Limit=1)
    assert dynamodb.scan(**table, ExclusiveStartKey=found["LastEvaluatedKey"])["Items"] == []
    dynamodb.delete_item(**table, Key=key)


@few
@given(
    short=longest(WORDS, 64),
    long=longest(WORDS, 128),
    path=longest(PATHS, 510).map(lambda inner: f"/{inner}/"),
    policy_path=longest(WORDS, 510).map(lambda inner: f"/{inner}/"),
)
def test_the_longest_names_and_paths_of_iam_fit(
    short: str, long: str, path: str, policy_path: str, own_clients: Any
) -> None:
    iam = own_clients("iam")
    user, role, group = {"UserName": short}, {"RoleName": short}, {"GroupName": long}
    iam.create_user(**user, Path=path)
    iam.create_role(**role, Path=path, AssumeRolePolicyDocument=TRUST)
    iam.create_group(**group, Path=path)
    made = iam.create_policy(PolicyName=long, Path=policy_path, PolicyDocument=ALLOW_ALL)
    policy = {"PolicyArn": made["Policy"]["Arn"]}
    iam.add_user_to_group(**user, **group)
    for who, kind in ((user, "user"), (role, "role"), (group, "group")):
        getattr(iam, f"attach_{kind}_policy")(**who, **policy)
        inline = {"PolicyName": long, "PolicyDocument": ALLOW_ALL}
        getattr(iam, f"put_{kind}_policy")(**who, **inline)
    assert len(iam.list_entities_for_policy(**policy)["PolicyUsers"]) == 1
    iam.remove_user_from_group(**user, **group)
    for who, kind in ((user, "user"), (role, "role"), (group, "group")):
        getattr(iam, f"detach_{kind}_policy")(**who, **policy)
        getattr(iam, f"delete_{kind}_policy")(**who, PolicyName=long)
        getattr(iam, f"delete_{kind}")(**who)
    iam.delete_policy(**policy)


@few
@given(
    group=longest(GROUPS, 512),
    stream=longest(
        st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters=":*"), 512
    ),
)
def test_the_longest_names_of_logs_fit(group: str, stream: str, own_clients: Any) -> None:
    logs, at = own_clients("logs"), {"logGroupName": group}
    logs.create_log_group(**at)
    logs.create_log_stream(**at, logStreamName=stream)
    now_ms = 1_767_225_600_000
    events = [{"timestamp": now_ms, "message": message} for message in ("x", "x" * 200_000)]
    logs.put_log_events(**at, logStreamName=stream, logEvents=events)
    logs.put_retention_policy(**at, retentionInDays=1)
    found = logs.describe_log_streams(**at, orderBy="LastEventTime", descending=True)
    assert [entry["logStreamName"] for entry in found["logStreams"]] == [stream]
    logs.delete_log_group(**at)


def test_a_stream_name_that_no_key_has_room_for_is_refused_in_words(own_clients: Any) -> None:
    logs, at = own_clients("logs"), {"logGroupName": "wide"}
    logs.create_log_group(**at)
    logs.create_log_stream(**at, logStreamName="é" * 512)
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.create_log_stream(**at, logStreamName="\N{GRINNING FACE}" * 512)


@few
@given(name=longest(st.characters(codec="ascii", categories=("Lu", "Ll", "Nd")), 64))
def test_the_longest_names_of_functions_fit(name: str, own: Cloud, own_clients: Any) -> None:
    iam, functions = own_clients("iam"), own_clients("lambda")
    iam.create_role(RoleName=name, Path="/" + "p" * 400 + "/", AssumeRolePolicyDocument=TRUST)
    functions.create_function(
        FunctionName=name,
        Role=iam.get_role(RoleName=name)["Role"]["Arn"],
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": package()},
    )
    functions.add_permission(
        FunctionName=name,
        StatementId="s" * 100,
        Principal="s3.amazonaws.com",
        Action="lambda:InvokeFunction",
    )
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    own.settle()
    functions.delete_function(FunctionName=name)
    iam.delete_role(RoleName=name)


def test_the_longest_key_stays_below_the_limit(own: Cloud) -> None:
    assert longest_key(own) <= LIMITS.key_bytes_max
