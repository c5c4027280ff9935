"""Wire values of s3control: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""

from __future__ import annotations
from typing import Required, TypedDict

class AccessPoint(TypedDict, total=False):
    Name: str
    NetworkOrigin: str
    VpcConfiguration: VpcConfiguration
    Bucket: str
    AccessPointArn: str
    Alias: str
    BucketAccountId: str
    DataSourceId: str
    DataSourceType: str

class CreateAccessPointRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]
    Bucket: Required[str]
    VpcConfiguration: VpcConfiguration
    PublicAccessBlockConfiguration: PublicAccessBlockConfiguration
    BucketAccountId: str
    Scope: Scope
    Tags: list[Tag]

class CreateAccessPointResult(TypedDict, total=False):
    AccessPointArn: str
    Alias: str

class DeleteAccessPointPolicyRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]

class DeleteAccessPointRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]

class DeletePublicAccessBlockRequest(TypedDict, total=False):
    AccountId: Required[str]

class GetAccessPointPolicyRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]

class GetAccessPointPolicyResult(TypedDict, total=False):
    Policy: str

class GetAccessPointPolicyStatusRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]

class GetAccessPointPolicyStatusResult(TypedDict, total=False):
    PolicyStatus: PolicyStatus

class GetAccessPointRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]

class GetAccessPointResult(TypedDict, total=False):
    Name: str
    Bucket: str
    NetworkOrigin: str
    VpcConfiguration: VpcConfiguration
    PublicAccessBlockConfiguration: PublicAccessBlockConfiguration
    CreationDate: int
    Alias: str
    AccessPointArn: str
    Endpoints: dict[str, str]
    BucketAccountId: str
    DataSourceId: str
    DataSourceType: str

class GetPublicAccessBlockOutput(TypedDict, total=False):
    PublicAccessBlockConfiguration: PublicAccessBlockConfiguration

class GetPublicAccessBlockRequest(TypedDict, total=False):
    AccountId: Required[str]

class ListAccessPointsRequest(TypedDict, total=False):
    AccountId: Required[str]
    Bucket: str
    NextToken: str
    MaxResults: int
    DataSourceId: str
    DataSourceType: str

class ListAccessPointsResult(TypedDict, total=False):
    AccessPointList: list[AccessPoint]
    NextToken: str

class ListTagsForResourceRequest(TypedDict, total=False):
    AccountId: Required[str]
    ResourceArn: Required[str]

class ListTagsForResourceResult(TypedDict, total=False):
    Tags: list[Tag]

class PolicyStatus(TypedDict, total=False):
    IsPublic: bool

class PublicAccessBlockConfiguration(TypedDict, total=False):
    BlockPublicAcls: bool
    IgnorePublicAcls: bool
    BlockPublicPolicy: bool
    RestrictPublicBuckets: bool

class PutAccessPointPolicyRequest(TypedDict, total=False):
    AccountId: Required[str]
    Name: Required[str]
    Policy: Required[str]

class PutPublicAccessBlockRequest(TypedDict, total=False):
    PublicAccessBlockConfiguration: Required[PublicAccessBlockConfiguration]
    AccountId: Required[str]

class Scope(TypedDict, total=False):
    Prefixes: list[str]
    Permissions: list[str]

class Tag(TypedDict, total=False):
    Key: Required[str]
    Value: Required[str]

class TagResourceRequest(TypedDict, total=False):
    AccountId: Required[str]
    ResourceArn: Required[str]
    Tags: Required[list[Tag]]

class TagResourceResult(TypedDict, total=False):
    pass

class UntagResourceRequest(TypedDict, total=False):
    AccountId: Required[str]
    ResourceArn: Required[str]
    TagKeys: Required[list[str]]

class UntagResourceResult(TypedDict, total=False):
    pass

class VpcConfiguration(TypedDict, total=False):
    VpcId: Required[str]
