"""Wire values of sts: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""

from __future__ import annotations
from typing import Required, TypedDict

class AssumeRoleRequest(TypedDict, total=False):
    RoleArn: Required[str]
    RoleSessionName: Required[str]
    PolicyArns: list[PolicyDescriptorType]
    Policy: str
    DurationSeconds: int
    Tags: list[Tag]
    TransitiveTagKeys: list[str]
    ExternalId: str
    SerialNumber: str
    TokenCode: str
    SourceIdentity: str
    ProvidedContexts: list[ProvidedContext]
    MinimumSessionTokenSize: int

class AssumeRoleResponse(TypedDict, total=False):
    Credentials: Credentials
    AssumedRoleUser: AssumedRoleUser
    PackedPolicySize: int
    SourceIdentity: str
    SessionTokenUtilization: int
    SessionTokenSize: int

class AssumedRoleUser(TypedDict, total=False):
    AssumedRoleId: str
    Arn: str

class Credentials(TypedDict, total=False):
    AccessKeyId: str
    SecretAccessKey: str
    SessionToken: str
    Expiration: int

class GetAccessKeyInfoRequest(TypedDict, total=False):
    AccessKeyId: Required[str]

class GetAccessKeyInfoResponse(TypedDict, total=False):
    Account: str

class GetCallerIdentityRequest(TypedDict, total=False):
    pass

class GetCallerIdentityResponse(TypedDict, total=False):
    UserId: str
    Account: str
    Arn: str

class GetSessionTokenRequest(TypedDict, total=False):
    DurationSeconds: int
    SerialNumber: str
    TokenCode: str
    MinimumSessionTokenSize: int

class GetSessionTokenResponse(TypedDict, total=False):
    Credentials: Credentials
    SessionTokenUtilization: int
    SessionTokenSize: int

class PolicyDescriptorType(TypedDict, total=False):
    arn: str

class ProvidedContext(TypedDict, total=False):
    ProviderArn: str
    ContextAssertion: str

class Tag(TypedDict, total=False):
    Key: Required[str]
    Value: Required[str]
