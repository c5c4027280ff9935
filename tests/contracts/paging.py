"""What each paginator is tried on: the resources that are made, and the requests that page them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.contracts.made_up import TRUST, package
from tests.contracts.seeds import ALLOW_ALL, Clients, make_stream
from tests.wire.codes import STEP_MS, code_at

BUCKET = "paged-bucket"
NAMES = ("alpha", "beta", "delta", "gamma", "omega")
NUMBERS = range(5)
Request = dict[str, Any]


def seed_s3(clients: Clients, _account: str) -> dict[str, list[Request]]:
    s3 = clients("s3")
    for name in (BUCKET, "paged-second", "paged-third"):
        s3.create_bucket(Bucket=name)
    keys = ["a", "b/1", "b/2", "b/3", "c", "d/1", "é/1", "z z+&<"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "b/2", "b/2", "z"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"y")
    for key in ("b/3", "e", "z"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    for key in ("b/1", "b/1", "b/2", "c", "q"):
        s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    for number in (1, 3, 7, 8, 9):
        s3.upload_part(
            Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=b"%d" % number
        )
    bucket = {"Bucket": BUCKET}
    listings = [bucket, {**bucket, "Delimiter": "/"}, {**bucket, "Prefix": "b/"}]
    return {
        "list_buckets": [{}, {"Prefix": "paged-"}],
        "list_objects": [*listings, {**bucket, "Delimiter": "/", "EncodingType": "url"}],
        "list_objects_v2": [*listings, {**bucket, "StartAfter": "b/1", "FetchOwner": True}],
        "list_object_versions": listings,
        "list_multipart_uploads": listings,
        "list_parts": [{**bucket, "Key": "parts", "UploadId": upload}],
    }


def seed_s3control(clients: Clients, account: str) -> dict[str, list[Request]]:
    clients("s3").create_bucket(Bucket=BUCKET)
    clients("s3").create_bucket(Bucket="paged-second")
    control = clients("s3control")
    for at, name in enumerate(NAMES):
        bucket = (BUCKET, "paged-second")[at % 2]
        control.create_access_point(AccountId=account, Name=name, Bucket=bucket)
    mine = {"AccountId": account}
    return {"list_access_points": [mine, {**mine, "Bucket": BUCKET}]}


def seed_dynamodb(clients: Clients, _account: str) -> dict[str, list[Request]]:
    dynamodb = clients("dynamodb")
    for kind in "SNB":
        dynamodb.create_table(
            TableName=f"paged-{kind}",
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": kind},
            ],
            KeySchema=[
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "at", "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    sorts = {
        "S": ["a", "a\0", "ab", "é", "éa"],
        "N": ["-1e20", "-1", "0", "1.5", "1e20"],
        "B": [b"\0", b"\0\0", b"a", b"\xff", b"\xff\xff"],
    }
    for name in NAMES[:4]:
        dynamodb.create_backup(TableName="paged-S" if name < "c" else "paged-N", BackupName=name)
    put_in_bulk(clients)
    requests: dict[str, list[Request]] = {
        "list_tables": [{}],
        "list_bulk_operations": [{}],
        "list_backups": [{}, {"TableName": "paged-N"}],
        "scan": [],
        "query": [],
    }
    for kind, values in sorts.items():
        for name in NAMES[:2]:
            for number, at in enumerate(values):
                item = {"id": {"S": name}, "at": {kind: at}, "n": {"N": str(number)}}
                dynamodb.put_item(TableName=f"paged-{kind}", Item=item)
        table = {"TableName": f"paged-{kind}"}
        some = {"FilterExpression": "n >= :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
        one = {
            **table,
            "KeyConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": "alpha"}},
        }
        requests["scan"] += [table, {**table, **some}, {**table, "Select": "COUNT"}]
        requests["query"] += [one, {**one, "ScanIndexForward": False}]
    return requests


def put_in_bulk(clients: Clients) -> None:
    """Begin a bulk put into each of several tables."""
    clients("s3").create_bucket(Bucket="paged-bulks")
    for kind in "SNB":
        clients("dynamodb").start_bulk_put_items(
            TableName=f"paged-{kind}",
            InputS3Configuration={"S3Bucket": "paged-bulks", "InputFormat": "DYNAMODB_JSON"},
            OutputS3Configuration={
                "S3Bucket": "paged-bulks",
                "S3KeyPrefix": "told",
                "OutputType": ["ERROR"],
            },
        )


def enable(iam: Any, user: str, device: Any) -> None:
    """Give a user a device, by the two codes it showed when the user was made, a moment ago."""
    now_ms = int(iam.get_user(UserName=user)["User"]["CreateDate"].timestamp()) * 1_000
    codes = [code_at(device["Base32StringSeed"], now_ms + late) for late in (-STEP_MS, 0)]
    iam.enable_mfa_device(
        UserName=user,
        SerialNumber=device["SerialNumber"],
        AuthenticationCode1=codes[0],
        AuthenticationCode2=codes[1],
    )


def seed_iam(clients: Clients, account: str) -> dict[str, list[Request]]:
    iam = clients("iam")
    arn = f"arn:aws:iam::{account}:policy/"
    tags = [{"Key": name.title(), "Value": name} for name in NAMES]
    for number, name in enumerate(NAMES):
        path = "/odd/" if number % 2 else "/"
        iam.create_user(UserName=name, Path=path)
        iam.create_group(GroupName=name, Path=path)
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST)
        iam.create_policy(PolicyName=name, PolicyDocument=ALLOW_ALL)
    first = NAMES[0]
    for name in NAMES:
        iam.add_user_to_group(GroupName=first, UserName=name)
        if name != first:
            iam.add_user_to_group(GroupName=name, UserName=first)
            iam.create_policy_version(PolicyArn=arn + first, PolicyDocument=ALLOW_ALL)
    iam.create_access_key(UserName=first)
    iam.create_access_key(UserName=first)
    for kind in ("user", "group", "role"):
        who = {f"{kind.title()}Name": first}
        for name in NAMES:
            document = {"PolicyName": name, "PolicyDocument": ALLOW_ALL}
            getattr(iam, f"put_{kind}_policy")(**who, **document)
            getattr(iam, f"attach_{kind}_policy")(**who, PolicyArn=arn + name)
            other = {f"{kind.title()}Name": name}
            if name != first:
                getattr(iam, f"attach_{kind}_policy")(**other, PolicyArn=arn + first)
    iam.tag_user(UserName=first, Tags=tags)
    iam.tag_role(RoleName=first, Tags=tags)
    iam.tag_policy(PolicyArn=arn + first, Tags=tags)
    devices = [iam.create_virtual_mfa_device(VirtualMFADeviceName=name) for name in NAMES]
    serials = [each["VirtualMFADevice"]["SerialNumber"] for each in devices]
    for each in devices[1:]:
        enable(iam, first, each["VirtualMFADevice"])
    iam.tag_mfa_device(SerialNumber=serials[0], Tags=tags)
    user, group, role = {"UserName": first}, {"GroupName": first}, {"RoleName": first}
    policy = {"PolicyArn": arn + first}
    under = {"PathPrefix": "/odd/"}
    return {
        "list_users": [{}, under],
        "list_groups": [{}, under],
        "list_roles": [{}, under],
        "list_policies": [{"Scope": "Local"}, {"Scope": "AWS"}, {"OnlyAttached": True}],
        "list_access_keys": [user],
        "list_mfa_devices": [user],
        "list_virtual_mfa_devices": [{}, {"AssignmentStatus": "Assigned"}],
        "list_mfa_device_tags": [{"SerialNumber": serials[0]}],
        "get_group": [group],
        "list_groups_for_user": [user],
        "list_instance_profiles_for_role": [role],
        "list_user_policies": [user],
        "list_group_policies": [group],
        "list_role_policies": [role],
        "list_policy_versions": [policy],
        "list_policy_tags": [policy],
        "list_user_tags": [user],
        "list_role_tags": [role],
        "list_attached_user_policies": [user],
        "list_attached_group_policies": [group],
        "list_attached_role_policies": [role],
        "list_entities_for_policy": [policy, {**policy, "EntityFilter": "Role"}],
    }


def seed_logs(clients: Clients, _account: str) -> dict[str, list[Request]]:
    logs = clients("logs")
    for name in NAMES:
        logs.create_log_group(logGroupName=f"/paged/{name}")
    group = {"logGroupName": "/paged/alpha"}
    now_ms = 1_767_225_600_000
    for number, name in enumerate(NAMES):
        stream = {**group, "logStreamName": name}
        logs.create_log_stream(**stream)
        if number == len(NAMES) - 1:
            continue  # a stream without events is listed too
        events = [
            # Of one time and of several, in two batches and over an hour's end.
            {"timestamp": now_ms - 3_600_000 * (at % 2) - number, "message": f"{name} {at}"}
            for at in NUMBERS
        ]
        events.sort(key=lambda event: event["timestamp"])
        logs.put_log_events(**stream, logEvents=events[:3])
        logs.put_log_events(**stream, logEvents=events[3:])
    return {
        "describe_log_groups": [{}, {"logGroupNamePrefix": "/paged/"}],
        "describe_log_streams": [
            group,
            {**group, "descending": True},
            {**group, "orderBy": "LastEventTime"},
            {**group, "orderBy": "LastEventTime", "descending": True},
        ],
        "filter_log_events": [
            group,
            {**group, "filterPattern": "alpha"},
            {**group, "logStreamNames": ["beta", "alpha"]},
            {**group, "logStreamNamePrefix": "a"},
        ],
    }


def seed_lambda(clients: Clients, account: str) -> dict[str, list[Request]]:
    iam = clients("iam")
    iam.create_role(RoleName="paged", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="paged", PolicyName="reads", PolicyDocument=ALLOW_ALL)
    arn = make_stream(clients, "paged-source")
    for name in NAMES:
        clients("lambda").create_function(
            FunctionName=name,
            Role=f"arn:aws:iam::{account}:role/paged",
            Runtime="python3.12",
            Handler="index.handler",
            Code={"ZipFile": package()},
        )
        clients("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=arn, StartingPosition="LATEST", Enabled=False
        )
    of_one = {"FunctionName": NAMES[0]}
    for name in NAMES:
        clients("lambda").update_function_configuration(**of_one, Description=name)
        version = clients("lambda").publish_version(**of_one)["Version"]
        clients("lambda").create_alias(**of_one, Name=name, FunctionVersion=version)
        clients("lambda").create_alias(**of_one, Name=f"{name}-1", FunctionVersion="1")
        clients("lambda").put_provisioned_concurrency_config(
            **of_one, Qualifier=name, ProvisionedConcurrentExecutions=1
        )
        url = {**of_one, "AuthType": "AWS_IAM", "Qualifier": name}
        clients("lambda").create_function_url_config(**url)
        clients("lambda").put_function_event_invoke_config(
            **of_one, Qualifier=name, MaximumRetryAttempts=1
        )
    for name in NAMES:
        for layer in (NAMES[0], name):
            clients("lambda").publish_layer_version(
                LayerName=layer, Content={"ZipFile": package()}, CompatibleRuntimes=["python3.12"]
            )
    suiting = {"CompatibleRuntime": "python3.12"}
    return {
        "list_layers": [{}, suiting],
        "list_layer_versions": [{"LayerName": NAMES[0]}, {"LayerName": NAMES[0], **suiting}],
        "list_functions": [{}, {"FunctionVersion": "ALL"}],
        "list_versions_by_function": [of_one],
        "list_function_url_configs": [of_one],
        "list_aliases": [of_one, {**of_one, "FunctionVersion": "1"}],
        "list_provisioned_concurrency_configs": [of_one],
        "list_function_event_invoke_configs": [of_one],
        "list_event_source_mappings": [{}, {"EventSourceArn": arn}],
    }


def seed_kms(clients: Clients, account: str) -> dict[str, list[Request]]:
    kms = clients("kms")
    tags = [{"TagKey": name, "TagValue": name} for name in NAMES]
    key = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    root = f"arn:aws:iam::{account}:root"
    for name in NAMES:
        kms.create_key()
        kms.create_alias(AliasName=f"alias/paged-{name}", TargetKeyId=key)
        kms.rotate_key_on_demand(KeyId=key)
        kms.create_grant(
            KeyId=key,
            GranteePrincipal=root,
            RetiringPrincipal=root,
            Operations=["Decrypt"],
        )
    of_key = {"KeyId": key}
    return {
        "list_keys": [{}],
        "list_aliases": [{}, of_key],
        "list_grants": [of_key, {**of_key, "GranteePrincipal": root}],
        "list_key_policies": [of_key],
        "list_key_rotations": [of_key, {**of_key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}],
        "list_resource_tags": [of_key],
        "list_retirable_grants": [{"RetiringPrincipal": root}],
    }


def seed_application_autoscaling(clients: Clients, _account: str) -> dict[str, list[Request]]:
    """Make targets with policies and actions; what the actions do is waited for."""
    scaling, of = clients("application-autoscaling"), {"ServiceNamespace": "dynamodb"}
    for name in NAMES:
        clients("dynamodb").create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        )
        for unit in ("Read", "Write"):
            at = {
                **of,
                "ResourceId": f"table/{name}",
                "ScalableDimension": f"dynamodb:table:{unit}CapacityUnits",
            }
            scaling.register_scalable_target(**at, MinCapacity=1, MaxCapacity=2)
            metric = {"PredefinedMetricType": f"DynamoDB{unit}CapacityUtilization"}
            scaling.put_scaling_policy(
                **at,
                PolicyName=f"of-{unit}",
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration={
                    "TargetValue": 50.0,
                    "PredefinedMetricSpecification": metric,
                },
            )
            for action in ("first", "second"):
                scaling.put_scheduled_action(
                    **at,
                    ScheduledActionName=action,
                    Schedule="rate(1 day)",
                    ScalableTargetAction={"MinCapacity": 1},
                )
    for _ in range(1_000):
        if len(scaling.describe_scaling_activities(**of)["ScalingActivities"]) == 4 * len(NAMES):
            break
    one = {**of, "ResourceId": "table/beta"}
    return {
        "describe_scalable_targets": [of, {**of, "ResourceIds": ["table/beta", "table/omega"]}],
        "describe_scaling_policies": [one],
        "describe_scheduled_actions": [of, one, {**of, "ScheduledActionNames": ["first"]}],
        "describe_scaling_activities": [of, one, {**of, "IncludeNotScaledActivities": True}],
    }


SEEDS: dict[str, Callable[[Clients, str], dict[str, list[Request]]]] = {
    "application-autoscaling": seed_application_autoscaling,
    "s3": seed_s3,
    "s3control": seed_s3control,
    "dynamodb": seed_dynamodb,
    "iam": seed_iam,
    "kms": seed_kms,
    "logs": seed_logs,
    "lambda": seed_lambda,
}
NOTHING_THERE = {
    # Instance profiles are not built, so no role is in one.
    ("iam", "list_instance_profiles_for_role"),
    # A key has one policy.
    ("kms", "list_key_policies"),
}
