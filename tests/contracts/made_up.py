"""Made-up requests: the smallest that a model accepts, and each optional member beside it.

The names are those of the resources that ``seeds`` makes, so that an operation gets far.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from botocore.model import ListShape, MapShape, Shape, StructureShape
from tests.contracts.registry import botocore_model

ACCOUNT = "123456789012"
NAME = "made-up"
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
"""The id of a key of KMS, which nobody can choose: ``placed`` puts the seeded one for it."""
MAC_KEY_ID = "1234abcd-12ab-34cd-56ef-0987654321ab"
GRANT_ID = "0" * 64
"""The id of a grant, likewise."""
CIPHERTEXT = b"\1" + int(ACCOUNT).to_bytes(5) + UUID(KEY_ID).bytes + bytes((0, 0, 0, 1)) + bytes(64)
"""A ciphertext of that key, likewise."""
STREAM = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}/stream/2026-01-01T00:00:00.000"
"""A stream of the seeded table, whose label nobody can choose, likewise."""
SHARD = "shardId-" + "1".ljust(30, "0")
"""The id of its shard, likewise."""
ITERATOR = f"{STREAM}|1|"
"""An iterator of that shard, likewise."""
SOURCE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}-source/stream/2026-01-01T00:00:00.000"
"""The stream of another table, which the seeded function can read, likewise."""
MAPPING_ID = "12345678-12ab-34cd-56ef-123456789012"
"""The id of an event source mapping of that function, likewise."""
BACKUP = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}/backup/01700000000000-0123abcd"
"""A backup of the seeded table, likewise."""
TARGET = f"arn:aws:application-autoscaling:us-east-1:{ACCOUNT}:scalable-target/{'0' * 36}"
"""The scalable target of its reads, likewise."""
SEEDED: dict[Any, Any] = {}
"""What to put for ids that nobody can choose, as ``seeds`` has made them last."""
BUCKET = "made-up-bucket"
KEY = "x"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}"
LAYER = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:{NAME}:1"
FUNCTION_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction",'
    f'"Resource":"{FUNCTION}","Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}}}}]}}'
)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"AWS":"*","Service":"lambda.amazonaws.com"}}]}'
)
KEY_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*",'
    f'"Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}}}}]}}'
)
POINT_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",'
    f'"Resource":"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/{NAME}/object/*",'
    f'"Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}}}}]}}'
)
MAPS_DEEP_MAX = 3
NAMES = {
    # Members whose pattern or reference a made-up text would not meet.
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{NAME}",
    "Role": f"arn:aws:iam::{ACCOUNT}:role/{NAME}",
    "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/{NAME}",
    "arn": f"arn:aws:iam::{ACCOUNT}:policy/{NAME}",
    "AccountId": ACCOUNT,
    "RoleName": NAME,
    "UserName": NAME,
    "GroupName": NAME,
    "StreamArn": STREAM,
    "ShardId": SHARD,
    "ExclusiveStartStreamArn": STREAM,
    "ExclusiveStartShardId": SHARD,
    "ShardIterator": ITERATOR,
    "Bucket": BUCKET,
    "CopySource": f"{BUCKET}/{KEY}",
    "Key": KEY,
    "FunctionName": NAME,
    "EventSourceArn": SOURCE,
    "UUID": MAPPING_ID,
    "Principal": "s3.amazonaws.com",
    "Action": "lambda:InvokeFunction",
    "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "PolicyDocument": '{"Version":"2012-10-17","Statement":[]}',
    "AssumeRolePolicyDocument": TRUST,
    "VersionId": "v1",
    "SourceArn": f"arn:aws:s3:::{BUCKET}",
    "Path": "/path/",
    "NewPath": "/path/",
    "PathPrefix": "/path/",
    "ExpectedBucketOwner": ACCOUNT,
    "ExpectedSourceBucketOwner": ACCOUNT,
    "logGroupName": NAME,
    "logStreamName": NAME,
    "TableName": NAME,
    "TableArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}",
    "ImportArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}/import/{'0' * 14}-{'0' * 8}",
    "BulkOperationArn": (
        f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}/bulk-operation/{'0' * 14}-{'0' * 8}"
    ),
    "ExportArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}/export/{'0' * 14}-{'0' * 8}",
    "Runtime": "python3.12",
    "Handler": "index.handler",
    "StatementId": NAME,
    "KeyId": KEY_ID,
    "TargetKeyId": KEY_ID,
    "DestinationKeyId": KEY_ID,
    "SourceKeyId": KEY_ID,
    "AliasName": "alias/made-up",
    "GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root",
    "RetiringPrincipal": f"arn:aws:iam::{ACCOUNT}:root",
    "GrantId": GRANT_ID,
    "PolicyName": NAME,
    "SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/{NAME}",
    "MFA": f"arn:aws:iam::{ACCOUNT}:mfa/{NAME} 123456",
    "AuthenticationCode1": "123456",
    "AuthenticationCode2": "654321",
    "TokenCode": "123456",
    "ResourceArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{NAME}",
    "BackupArn": BACKUP,
    "ExclusiveStartBackupArn": BACKUP,
    "TargetTableName": f"{NAME}-restored",
}


TABLE_POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal":'
    ' {"AWS": "111122223333"}, "Action": "dynamodb:*", "Resource": "*"}]}'
)


def package(source: str = "def handler(event, context):\n    return event\n") -> bytes:
    """Return the zip file of a function."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        # A fixed date, so that the bytes are the same in every run.
        archive.writestr(zipfile.ZipInfo("index.py"), source)
    return out.getvalue()


SHAPES: dict[str, Any] = {
    # Structures of which the model requires nothing, but the operation does; texts with a form.
    "ObjectVersionId": "0" * 32,
    "AccessPointName": NAME,
    "Endpoint": "made-up.example:9092",
    "Topic": NAME,
    "Queue": NAME,
    "AttributeValue": {"S": "x"},
    "FunctionCode": {"ZipFile": package()},
    "ResourcePolicy": TABLE_POLICY,
    "S3Bucket": BUCKET,
    "TableCreationParameters": {
        "TableName": f"{NAME}-table",
        "AttributeDefinitions": [{"AttributeName": NAME, "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": NAME, "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    },
    "SqlStatement": f'SELECT * FROM "{NAME}"',
    "PartiQLStatement": f'SELECT * FROM "{NAME}" WHERE "{NAME}" = \'x\'',
}

SCALED = {
    "ServiceNamespace": "dynamodb",
    "ResourceId": f"table/{NAME}",
    "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
}
"""What is scaled of the seeded table."""
TRACKED = {
    "TargetValue": 50.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
}
_OF_TARGETS = ("DeleteScalingPolicy", "DeleteScheduledAction", "DeregisterScalableTarget")

USUAL: dict[tuple[str, str], dict[str, Any]] = {
    # What no model requires but every real request has.
    ("dynamodb", "CreateTable"): {
        "AttributeDefinitions": [{"AttributeName": NAME, "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": NAME, "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    },
    ("dynamodb", "BatchWriteItem"): {
        "RequestItems": {NAME: [{"PutRequest": {"Item": {NAME: {"S": "x"}}}}]}
    },
    ("dynamodb", "TransactWriteItems"): {
        "TransactItems": [{"Put": {"TableName": NAME, "Item": {NAME: {"S": "x"}}}}]
    },
    ("dynamodb", "RestoreTableToPointInTime"): {
        "SourceTableName": NAME,
        "UseLatestRestorableTime": True,
    },
    ("dynamodb", "Query"): {
        "KeyConditionExpression": "#key = :key",
        "ExpressionAttributeNames": {"#key": NAME},
        "ExpressionAttributeValues": {":key": {"S": "x"}},
    },
    **{("application-autoscaling", operation): SCALED for operation in _OF_TARGETS},
    ("application-autoscaling", "RegisterScalableTarget"): {
        **SCALED,
        "MinCapacity": 1,
        "MaxCapacity": 2,
    },
    ("application-autoscaling", "PutScalingPolicy"): {
        **SCALED,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": TRACKED,
    },
    ("application-autoscaling", "PutScheduledAction"): {
        **SCALED,
        "Schedule": "rate(1 day)",
        "ScalableTargetAction": {"MinCapacity": 1},
    },
    ("application-autoscaling", "ListTagsForResource"): {"ResourceARN": TARGET},
    ("application-autoscaling", "TagResource"): {"ResourceARN": TARGET},
    ("application-autoscaling", "UntagResource"): {"ResourceARN": TARGET},
    ("s3control", "ListTagsForResource"): {"ResourceArn": f"arn:aws:s3:::{BUCKET}"},
    ("s3control", "PutAccessPointPolicy"): {"Policy": POINT_POLICY},
    ("s3control", "TagResource"): {"ResourceArn": f"arn:aws:s3:::{BUCKET}"},
    ("s3control", "UntagResource"): {"ResourceArn": f"arn:aws:s3:::{BUCKET}"},
    ("s3control", "PutPublicAccessBlock"): {
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": False}
    },
    ("kms", "CreateGrant"): {"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root"},
    ("kms", "Decrypt"): {"CiphertextBlob": CIPHERTEXT},
    ("kms", "GenerateDataKey"): {"KeySpec": "AES_256"},
    ("kms", "GenerateDataKeyWithoutPlaintext"): {"KeySpec": "AES_256"},
    ("kms", "GenerateMac"): {"KeyId": MAC_KEY_ID, "MacAlgorithm": "HMAC_SHA_256"},
    ("kms", "GenerateRandom"): {"NumberOfBytes": 1},
    ("kms", "GetKeyPolicy"): {"PolicyName": "default"},
    ("kms", "ListRetirableGrants"): {"RetiringPrincipal": f"arn:aws:iam::{ACCOUNT}:root"},
    ("kms", "PutKeyPolicy"): {"PolicyName": "default", "Policy": KEY_POLICY},
    ("kms", "ReEncrypt"): {"CiphertextBlob": CIPHERTEXT},
    ("kms", "RetireGrant"): {"KeyId": KEY_ID, "GrantId": GRANT_ID},
    ("kms", "VerifyMac"): {"KeyId": MAC_KEY_ID, "MacAlgorithm": "HMAC_SHA_256"},
    ("lambda", "CreateFunction"): {"Runtime": "python3.12", "Handler": "index.handler"},
    ("lambda", "CreateEventSourceMapping"): {
        "EventSourceArn": SOURCE,
        "StartingPosition": "LATEST",
    },
    ("lambda", "AddLayerVersionPermission"): {
        "Action": "lambda:GetLayerVersion",
        "Principal": ACCOUNT,
    },
    ("lambda", "CreateAlias"): {"FunctionVersion": "$LATEST"},
    ("lambda", "DeleteLayerVersion"): {"LayerName": "doomed"},
    ("lambda", "GetLayerVersionByArn"): {"Arn": LAYER},
    ("lambda", "PublishLayerVersion"): {"Content": {"ZipFile": package()}},
    ("lambda", "DeleteProvisionedConcurrencyConfig"): {"Qualifier": "1"},
    ("lambda", "GetProvisionedConcurrencyConfig"): {"Qualifier": "1"},
    ("lambda", "PutFunctionEventInvokeConfig"): {"MaximumRetryAttempts": 1},
    ("lambda", "UpdateFunctionEventInvokeConfig"): {"MaximumRetryAttempts": 1},
    ("lambda", "InvokeAsync"): {"InvokeArgs": b"{}"},
    ("lambda", "PutProvisionedConcurrencyConfig"): {"Qualifier": "1"},
    ("lambda", "UpdateFunctionCode"): {"ZipFile": package()},
    ("lambda", "DeleteResourcePolicy"): {"ResourceArn": FUNCTION},
    ("lambda", "GetResourcePolicy"): {"ResourceArn": FUNCTION},
    ("lambda", "PutResourcePolicy"): {"ResourceArn": FUNCTION, "Policy": FUNCTION_POLICY},
    ("lambda", "ListTags"): {"Resource": FUNCTION},
    ("lambda", "TagResource"): {"Resource": FUNCTION},
    ("lambda", "UntagResource"): {"Resource": FUNCTION},
    ("logs", "DescribeLogStreams"): {"logGroupName": NAME},
    ("logs", "FilterLogEvents"): {"logGroupName": NAME},
    ("logs", "GetLogEvents"): {"logGroupName": NAME},
}


def value_of(shape: Shape, name: str, depth: int) -> Any:
    """Return a value of a shape; of structures what is required."""
    if shape.name in SHAPES:
        return SHAPES[shape.name]
    if isinstance(shape, StructureShape):
        return {key: value_of(shape.members[key], key, depth) for key in shape.required_members}
    if isinstance(shape, ListShape):
        return [value_of(shape.member, name, depth)] * max(1, shape.metadata.get("min", 1))
    if isinstance(shape, MapShape):
        key = shape.key.metadata.get("enum", [NAME])[0]
        return {key: value_of(shape.value, "", depth + 1)} if depth < MAPS_DEEP_MAX else {}
    if name in NAMES and shape.type_name == "string":
        return NAMES[name]
    if shape.metadata.get("enum"):
        return shape.metadata["enum"][0]
    low = shape.metadata.get("min", 1)
    by_type = {
        "string": "x" * max(1, low),
        "character": "x",
        "blob": b"x",
        "boolean": False,
        "integer": max(1, low),
        "long": max(1, low),
        "float": 1.0,
        "double": 1.0,
        "timestamp": 1_700_000_000,
    }
    return by_type[shape.type_name]


def placed(value: Any, account: str) -> Any:
    """Return a request in which the made-up account is the cloud's own."""
    if isinstance(value, dict):
        return {key: placed(inner, account) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, account) for inner in value]
    if isinstance(value, bytes):
        return SEEDED.get(value, value)
    if not isinstance(value, str):
        return value
    return SEEDED.get(value, value).replace(ACCOUNT, account)


def smallest(service: str, operation: str, account: str = ACCOUNT) -> dict[str, Any]:
    """Return the smallest request of an operation."""
    shape = botocore_model(service).operation_model(operation).input_shape
    least = {} if shape is None else value_of(shape, "", 0)
    return placed({**least, **USUAL.get((service, operation), {})}, account)


def requests_of(service: str, operation: str, account: str) -> Iterator[dict[str, Any]]:
    """Yield the smallest request, then each optional member beside it, then all members."""
    shape = botocore_model(service).operation_model(operation).input_shape
    least = smallest(service, operation, account)
    yield least
    if shape is None:
        return
    optional = {
        name: placed(value_of(member, name, 0), account)
        for name, member in shape.members.items()
        if name not in least
    }
    for name, value in optional.items():
        yield {**least, name: value}
    if len(optional) > 1:
        yield {**least, **optional}
