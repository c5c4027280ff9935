"""Resources that the made-up requests name, made anew before every request of a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from tests.contracts.made_up import (
    ACCOUNT,
    BACKUP,
    BUCKET,
    CIPHERTEXT,
    FUNCTION,
    FUNCTION_POLICY,
    GRANT_ID,
    ITERATOR,
    KEY,
    KEY_ID,
    MAC_KEY_ID,
    MAPPING_ID,
    NAME,
    POINT_POLICY,
    SCALED,
    SEEDED,
    SHARD,
    SOURCE,
    STREAM,
    TABLE_POLICY,
    TARGET,
    TRACKED,
    TRUST,
    package,
)

Clients = Callable[..., Any]
ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


def _try(function: Callable[..., Any], **request: Any) -> None:
    """Make what may stand already."""
    try:
        function(**request)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in {
            "AlreadyExistsException",
            "BucketAlreadyOwnedByYou",
            "EntityAlreadyExists",
            "ResourceAlreadyExistsException",
            "ResourceConflictException",
            "ResourceInUseException",
        }:
            raise


def seed_s3(clients: Clients, _account: str) -> None:
    s3 = clients("s3")
    _try(s3.create_bucket, Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"x")


def seed_s3control(clients: Clients, account: str) -> None:
    seed_s3(clients, account)
    control, at = clients("s3control"), {"AccountId": account, "Name": NAME}
    try:
        control.get_access_point(**at)
    except ClientError:
        control.create_access_point(**at, Bucket=BUCKET)
    control.put_access_point_policy(**at, Policy=POINT_POLICY.replace(ACCOUNT, account))
    block = {"BlockPublicAcls": False}
    control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=block)


def seed_dynamodb(clients: Clients, _account: str) -> None:
    """Make a table with a policy that can be restored, and a backup of it."""
    dynamodb = clients("dynamodb")
    _try(
        dynamodb.create_table,
        TableName=NAME,
        AttributeDefinitions=[{"AttributeName": NAME, "AttributeType": "S"}],
        KeySchema=[{"AttributeName": NAME, "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = dynamodb.describe_table(TableName=NAME)["Table"]["TableArn"]
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=TABLE_POLICY)
    on = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=NAME, PointInTimeRecoverySpecification=on)
    try:
        dynamodb.describe_backup(BackupArn=SEEDED.get(BACKUP, BACKUP))
    except ClientError:
        made = dynamodb.create_backup(TableName=NAME, BackupName=NAME)["BackupDetails"]
        SEEDED[BACKUP] = made["BackupArn"]


def seed_dynamodbstreams(clients: Clients, account: str) -> None:
    """Make a table with a stream, and tell of its shard."""
    dynamodb, streams = clients("dynamodb"), clients("dynamodbstreams")
    seed_dynamodb(clients, account)
    table = dynamodb.describe_table(TableName=NAME)["Table"]
    if "StreamSpecification" not in table:
        view = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        changed = dynamodb.update_table(TableName=NAME, StreamSpecification=view)
        table = changed["TableDescription"]
    arn = SEEDED[STREAM] = table["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    SEEDED[SHARD] = shard
    SEEDED[ITERATOR] = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]


def seed_application_autoscaling(clients: Clients, account: str) -> None:
    """Make a target of the table's reads, with a policy and a scheduled action."""
    seed_dynamodb(clients, account)
    scaling = clients("application-autoscaling")
    made = scaling.register_scalable_target(**SCALED, MinCapacity=1, MaxCapacity=2)
    SEEDED[TARGET] = made["ScalableTargetARN"]
    scaling.put_scaling_policy(
        **SCALED,
        PolicyName=NAME,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=TRACKED,
    )
    scaling.put_scheduled_action(
        **SCALED,
        ScheduledActionName=NAME,
        Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 1},
    )


def seed_logs(clients: Clients, _account: str) -> None:
    logs = clients("logs")
    _try(logs.create_log_group, logGroupName=NAME)
    _try(logs.create_log_stream, logGroupName=NAME, logStreamName=NAME)


def seed_iam(clients: Clients, _account: str) -> None:
    iam = clients("iam")
    _try(iam.create_user, UserName=NAME)
    iam.update_user(UserName=NAME, NewPath="/")
    _try(iam.create_group, GroupName=NAME)
    _try(iam.create_role, RoleName=NAME, AssumeRolePolicyDocument=TRUST)
    _try(iam.create_policy, PolicyName=NAME, PolicyDocument=ALLOW_ALL)
    _try(iam.create_virtual_mfa_device, VirtualMFADeviceName=NAME)


def seed_kms(clients: Clients, account: str) -> None:
    """Make a key, its aliases and a grant of it, or mend what a request did to them."""
    kms = clients("kms")
    try:
        state = kms.describe_key(KeyId=SEEDED.get(KEY_ID, KEY_ID))["KeyMetadata"]["KeyState"]
    except kms.exceptions.NotFoundException:
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        SEEDED[KEY_ID] = key
        SEEDED[CIPHERTEXT] = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
        SEEDED[MAC_KEY_ID] = mac["KeyId"]
        state = "Enabled"
    key = SEEDED[KEY_ID]
    if state == "PendingDeletion":
        kms.cancel_key_deletion(KeyId=key)
    if state != "Enabled":
        kms.enable_key(KeyId=key)
    _try(kms.create_alias, AliasName=f"alias/{NAME}", TargetKeyId=key)
    grants = kms.list_grants(KeyId=key)["Grants"]
    if SEEDED.get(GRANT_ID) not in [grant["GrantId"] for grant in grants]:
        root = f"arn:aws:iam::{account}:root"
        made = kms.create_grant(KeyId=key, GranteePrincipal=root, Operations=["Decrypt"])
        SEEDED[GRANT_ID] = made["GrantId"]


def make_stream(clients: Clients, table: str) -> str:
    """Make a table with a stream, if there is none; return the stream's ARN."""
    dynamodb = clients("dynamodb")
    _try(
        dynamodb.create_table,
        TableName=table,
        AttributeDefinitions=[{"AttributeName": NAME, "AttributeType": "S"}],
        KeySchema=[{"AttributeName": NAME, "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    arn: str = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    return arn


def seed_lambda(clients: Clients, account: str) -> None:
    """Make a function, and a mapping of it; a stream that it can read is left without one."""
    _seed_function(clients, account)
    functions = clients("lambda")
    found = {
        each["UUID"]: each["FunctionArn"]
        for each in functions.list_event_source_mappings()["EventSourceMappings"]
    }
    seeded = SEEDED.get(MAPPING_ID)
    for other in found:
        if other != seeded:
            functions.delete_event_source_mapping(UUID=other)
    if seeded in found:
        if not found[seeded].endswith(f":{NAME}"):
            functions.update_event_source_mapping(UUID=seeded, FunctionName=NAME)
        return
    iam = clients("iam")
    iam.put_role_policy(RoleName=NAME, PolicyName="reads", PolicyDocument=ALLOW_ALL)
    SEEDED[SOURCE] = make_stream(clients, f"{NAME}-source")
    SEEDED[MAPPING_ID] = functions.create_event_source_mapping(
        FunctionName=NAME,
        EventSourceArn=make_stream(clients, f"{NAME}-mapped"),
        StartingPosition="LATEST",
    )["UUID"]


def _seed_function(clients: Clients, account: str) -> None:
    iam = clients("iam")
    _try(iam.create_role, RoleName=NAME, AssumeRolePolicyDocument=TRUST)
    _try(
        clients("lambda").create_function,
        FunctionName=NAME,
        Role=f"arn:aws:iam::{account}:role/{NAME}",
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": package()},
    )
    named = {"FunctionName": NAME, "Name": NAME}
    clients("lambda").publish_version(FunctionName=NAME)
    _try(clients("lambda").create_alias, **named, FunctionVersion="$LATEST")
    _try(clients("lambda").create_function_url_config, FunctionName=NAME, AuthType="AWS_IAM")
    functions, arn = clients("lambda"), FUNCTION.replace(ACCOUNT, account)
    functions.put_resource_policy(ResourceArn=arn, Policy=FUNCTION_POLICY.replace(ACCOUNT, account))
    _seed_layer(clients)


def _seed_layer(clients: Clients) -> None:
    """Make the first version of a layer, with a policy."""
    functions, version = clients("lambda"), {"LayerName": NAME, "VersionNumber": 1}
    try:
        functions.get_layer_version(**version)
    except ClientError:
        functions.publish_layer_version(LayerName=NAME, Content={"ZipFile": package()})
    _try(
        functions.add_layer_version_permission,
        **version,
        StatementId="seeded",
        Action="lambda:GetLayerVersion",
        Principal="*",
    )


SEEDS: dict[str, Callable[[Clients, str], None]] = {
    "application-autoscaling": seed_application_autoscaling,
    "s3": seed_s3,
    "s3control": seed_s3control,
    "dynamodb": seed_dynamodb,
    "dynamodbstreams": seed_dynamodbstreams,
    "logs": seed_logs,
    "iam": seed_iam,
    "kms": seed_kms,
    "lambda": seed_lambda,
    "sts": seed_iam,
}


def seed(service: str, clients: Clients, account: str) -> None:
    """Make what the made-up requests of a service name."""
    SEEDS.get(service, lambda _clients, _account: None)(clients, account)
