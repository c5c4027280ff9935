"""Wire values of iam: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""

from __future__ import annotations
from typing import Required, TypedDict

class AccessKey(TypedDict, total=False):
    UserName: str
    AccessKeyId: str
    Status: str
    SecretAccessKey: str
    CreateDate: int

class AccessKeyMetadata(TypedDict, total=False):
    UserName: str
    AccessKeyId: str
    Status: str
    CreateDate: int

class AddUserToGroupRequest(TypedDict, total=False):
    GroupName: Required[str]
    UserName: Required[str]

class AttachGroupPolicyRequest(TypedDict, total=False):
    GroupName: Required[str]
    PolicyArn: Required[str]

class AttachRolePolicyRequest(TypedDict, total=False):
    RoleName: Required[str]
    PolicyArn: Required[str]

class AttachUserPolicyRequest(TypedDict, total=False):
    UserName: Required[str]
    PolicyArn: Required[str]

class AttachedPermissionsBoundary(TypedDict, total=False):
    PermissionsBoundaryType: str
    PermissionsBoundaryArn: str

class AttachedPolicy(TypedDict, total=False):
    PolicyName: str
    PolicyArn: str

class CreateAccessKeyRequest(TypedDict, total=False):
    UserName: str

class CreateAccessKeyResponse(TypedDict, total=False):
    AccessKey: AccessKey

class CreateGroupRequest(TypedDict, total=False):
    Path: str
    GroupName: Required[str]

class CreateGroupResponse(TypedDict, total=False):
    Group: Group

class CreatePolicyRequest(TypedDict, total=False):
    PolicyName: Required[str]
    Path: str
    PolicyDocument: Required[str]
    Description: str
    Tags: list[Tag]

class CreatePolicyResponse(TypedDict, total=False):
    Policy: Policy

class CreatePolicyVersionRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    PolicyDocument: Required[str]
    SetAsDefault: bool

class CreatePolicyVersionResponse(TypedDict, total=False):
    PolicyVersion: PolicyVersion

class CreateRoleRequest(TypedDict, total=False):
    Path: str
    RoleName: Required[str]
    AssumeRolePolicyDocument: Required[str]
    Description: str
    MaxSessionDuration: int
    MaxSigninSessionDuration: int
    PermissionsBoundary: str
    Tags: list[Tag]

class CreateRoleResponse(TypedDict, total=False):
    Role: Role

class CreateServiceLinkedRoleRequest(TypedDict, total=False):
    AWSServiceName: Required[str]
    Description: str
    CustomSuffix: str

class CreateServiceLinkedRoleResponse(TypedDict, total=False):
    Role: Role

class CreateUserRequest(TypedDict, total=False):
    Path: str
    UserName: Required[str]
    PermissionsBoundary: str
    Tags: list[Tag]

class CreateUserResponse(TypedDict, total=False):
    User: User

class CreateVirtualMFADeviceRequest(TypedDict, total=False):
    Path: str
    VirtualMFADeviceName: Required[str]
    Tags: list[Tag]

class CreateVirtualMFADeviceResponse(TypedDict, total=False):
    VirtualMFADevice: VirtualMFADevice

class DeactivateMFADeviceRequest(TypedDict, total=False):
    UserName: str
    SerialNumber: Required[str]

class DeleteAccessKeyRequest(TypedDict, total=False):
    UserName: str
    AccessKeyId: Required[str]

class DeleteGroupPolicyRequest(TypedDict, total=False):
    GroupName: Required[str]
    PolicyName: Required[str]

class DeleteGroupRequest(TypedDict, total=False):
    GroupName: Required[str]

class DeletePolicyRequest(TypedDict, total=False):
    PolicyArn: Required[str]

class DeletePolicyVersionRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    VersionId: Required[str]

class DeleteRolePermissionsBoundaryRequest(TypedDict, total=False):
    RoleName: Required[str]

class DeleteRolePolicyRequest(TypedDict, total=False):
    RoleName: Required[str]
    PolicyName: Required[str]

class DeleteRoleRequest(TypedDict, total=False):
    RoleName: Required[str]

class DeleteUserPermissionsBoundaryRequest(TypedDict, total=False):
    UserName: Required[str]

class DeleteUserPolicyRequest(TypedDict, total=False):
    UserName: Required[str]
    PolicyName: Required[str]

class DeleteUserRequest(TypedDict, total=False):
    UserName: Required[str]

class DeleteVirtualMFADeviceRequest(TypedDict, total=False):
    SerialNumber: Required[str]

class DetachGroupPolicyRequest(TypedDict, total=False):
    GroupName: Required[str]
    PolicyArn: Required[str]

class DetachRolePolicyRequest(TypedDict, total=False):
    RoleName: Required[str]
    PolicyArn: Required[str]

class DetachUserPolicyRequest(TypedDict, total=False):
    UserName: Required[str]
    PolicyArn: Required[str]

class EnableMFADeviceRequest(TypedDict, total=False):
    UserName: Required[str]
    SerialNumber: Required[str]
    AuthenticationCode1: Required[str]
    AuthenticationCode2: Required[str]

class GetGroupPolicyRequest(TypedDict, total=False):
    GroupName: Required[str]
    PolicyName: Required[str]

class GetGroupPolicyResponse(TypedDict, total=False):
    GroupName: str
    PolicyName: str
    PolicyDocument: str

class GetGroupRequest(TypedDict, total=False):
    GroupName: Required[str]
    Marker: str
    MaxItems: int

class GetGroupResponse(TypedDict, total=False):
    Group: Group
    Users: list[User]
    IsTruncated: bool
    Marker: str

class GetMFADeviceRequest(TypedDict, total=False):
    SerialNumber: Required[str]
    UserName: str

class GetMFADeviceResponse(TypedDict, total=False):
    UserName: str
    SerialNumber: str
    EnableDate: int
    Certifications: dict[str, str]

class GetPolicyRequest(TypedDict, total=False):
    PolicyArn: Required[str]

class GetPolicyResponse(TypedDict, total=False):
    Policy: Policy

class GetPolicyVersionRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    VersionId: Required[str]

class GetPolicyVersionResponse(TypedDict, total=False):
    PolicyVersion: PolicyVersion

class GetRolePolicyRequest(TypedDict, total=False):
    RoleName: Required[str]
    PolicyName: Required[str]

class GetRolePolicyResponse(TypedDict, total=False):
    RoleName: str
    PolicyName: str
    PolicyDocument: str

class GetRoleRequest(TypedDict, total=False):
    RoleName: Required[str]

class GetRoleResponse(TypedDict, total=False):
    Role: Role

class GetUserPolicyRequest(TypedDict, total=False):
    UserName: Required[str]
    PolicyName: Required[str]

class GetUserPolicyResponse(TypedDict, total=False):
    UserName: str
    PolicyName: str
    PolicyDocument: str

class GetUserRequest(TypedDict, total=False):
    UserName: str

class GetUserResponse(TypedDict, total=False):
    User: User

class Group(TypedDict, total=False):
    Path: str
    GroupName: str
    GroupId: str
    Arn: str
    CreateDate: int

class InstanceProfile(TypedDict, total=False):
    Path: str
    InstanceProfileName: str
    InstanceProfileId: str
    Arn: str
    CreateDate: int
    Roles: list[Role]
    Tags: list[Tag]

class ListAccessKeysRequest(TypedDict, total=False):
    UserName: str
    Marker: str
    MaxItems: int

class ListAccessKeysResponse(TypedDict, total=False):
    AccessKeyMetadata: list[AccessKeyMetadata]
    IsTruncated: bool
    Marker: str

class ListAttachedGroupPoliciesRequest(TypedDict, total=False):
    GroupName: Required[str]
    PathPrefix: str
    Marker: str
    MaxItems: int

class ListAttachedGroupPoliciesResponse(TypedDict, total=False):
    AttachedPolicies: list[AttachedPolicy]
    IsTruncated: bool
    Marker: str

class ListAttachedRolePoliciesRequest(TypedDict, total=False):
    RoleName: Required[str]
    PathPrefix: str
    Marker: str
    MaxItems: int

class ListAttachedRolePoliciesResponse(TypedDict, total=False):
    AttachedPolicies: list[AttachedPolicy]
    IsTruncated: bool
    Marker: str

class ListAttachedUserPoliciesRequest(TypedDict, total=False):
    UserName: Required[str]
    PathPrefix: str
    Marker: str
    MaxItems: int

class ListAttachedUserPoliciesResponse(TypedDict, total=False):
    AttachedPolicies: list[AttachedPolicy]
    IsTruncated: bool
    Marker: str

class ListEntitiesForPolicyRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    EntityFilter: str
    PathPrefix: str
    PolicyUsageFilter: str
    Marker: str
    MaxItems: int

class ListEntitiesForPolicyResponse(TypedDict, total=False):
    PolicyGroups: list[PolicyGroup]
    PolicyUsers: list[PolicyUser]
    PolicyRoles: list[PolicyRole]
    IsTruncated: bool
    Marker: str

class ListGroupPoliciesRequest(TypedDict, total=False):
    GroupName: Required[str]
    Marker: str
    MaxItems: int

class ListGroupPoliciesResponse(TypedDict, total=False):
    PolicyNames: list[str]
    IsTruncated: bool
    Marker: str

class ListGroupsForUserRequest(TypedDict, total=False):
    UserName: Required[str]
    Marker: str
    MaxItems: int

class ListGroupsForUserResponse(TypedDict, total=False):
    Groups: list[Group]
    IsTruncated: bool
    Marker: str

class ListGroupsRequest(TypedDict, total=False):
    PathPrefix: str
    Marker: str
    MaxItems: int

class ListGroupsResponse(TypedDict, total=False):
    Groups: list[Group]
    IsTruncated: bool
    Marker: str

class ListInstanceProfilesForRoleRequest(TypedDict, total=False):
    RoleName: Required[str]
    Marker: str
    MaxItems: int

class ListInstanceProfilesForRoleResponse(TypedDict, total=False):
    InstanceProfiles: list[InstanceProfile]
    IsTruncated: bool
    Marker: str

class ListMFADeviceTagsRequest(TypedDict, total=False):
    SerialNumber: Required[str]
    Marker: str
    MaxItems: int

class ListMFADeviceTagsResponse(TypedDict, total=False):
    Tags: list[Tag]
    IsTruncated: bool
    Marker: str

class ListMFADevicesRequest(TypedDict, total=False):
    UserName: str
    Marker: str
    MaxItems: int

class ListMFADevicesResponse(TypedDict, total=False):
    MFADevices: list[MFADevice]
    IsTruncated: bool
    Marker: str

class ListPoliciesRequest(TypedDict, total=False):
    Scope: str
    OnlyAttached: bool
    PathPrefix: str
    PolicyUsageFilter: str
    Marker: str
    MaxItems: int

class ListPoliciesResponse(TypedDict, total=False):
    Policies: list[Policy]
    IsTruncated: bool
    Marker: str

class ListPolicyTagsRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    Marker: str
    MaxItems: int

class ListPolicyTagsResponse(TypedDict, total=False):
    Tags: list[Tag]
    IsTruncated: bool
    Marker: str

class ListPolicyVersionsRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    Marker: str
    MaxItems: int

class ListPolicyVersionsResponse(TypedDict, total=False):
    Versions: list[PolicyVersion]
    IsTruncated: bool
    Marker: str

class ListRolePoliciesRequest(TypedDict, total=False):
    RoleName: Required[str]
    Marker: str
    MaxItems: int

class ListRolePoliciesResponse(TypedDict, total=False):
    PolicyNames: list[str]
    IsTruncated: bool
    Marker: str

class ListRoleTagsRequest(TypedDict, total=False):
    RoleName: Required[str]
    Marker: str
    MaxItems: int

class ListRoleTagsResponse(TypedDict, total=False):
    Tags: list[Tag]
    IsTruncated: bool
    Marker: str

class ListRolesRequest(TypedDict, total=False):
    PathPrefix: str
    Marker: str
    MaxItems: int

class ListRolesResponse(TypedDict, total=False):
    Roles: list[Role]
    IsTruncated: bool
    Marker: str

class ListUserPoliciesRequest(TypedDict, total=False):
    UserName: Required[str]
    Marker: str
    MaxItems: int

class ListUserPoliciesResponse(TypedDict, total=False):
    PolicyNames: list[str]
    IsTruncated: bool
    Marker: str

class ListUserTagsRequest(TypedDict, total=False):
    UserName: Required[str]
    Marker: str
    MaxItems: int

class ListUserTagsResponse(TypedDict, total=False):
    Tags: list[Tag]
    IsTruncated: bool
    Marker: str

class ListUsersRequest(TypedDict, total=False):
    PathPrefix: str
    Marker: str
    MaxItems: int

class ListUsersResponse(TypedDict, total=False):
    Users: list[User]
    IsTruncated: bool
    Marker: str

class ListVirtualMFADevicesRequest(TypedDict, total=False):
    AssignmentStatus: str
    Marker: str
    MaxItems: int

class ListVirtualMFADevicesResponse(TypedDict, total=False):
    VirtualMFADevices: list[VirtualMFADevice]
    IsTruncated: bool
    Marker: str

class MFADevice(TypedDict, total=False):
    UserName: str
    SerialNumber: str
    EnableDate: int

class Policy(TypedDict, total=False):
    PolicyName: str
    PolicyId: str
    Arn: str
    Path: str
    DefaultVersionId: str
    AttachmentCount: int
    PermissionsBoundaryUsageCount: int
    IsAttachable: bool
    Description: str
    CreateDate: int
    UpdateDate: int
    Tags: list[Tag]

class PolicyGroup(TypedDict, total=False):
    GroupName: str
    GroupId: str

class PolicyRole(TypedDict, total=False):
    RoleName: str
    RoleId: str

class PolicyUser(TypedDict, total=False):
    UserName: str
    UserId: str

class PolicyVersion(TypedDict, total=False):
    Document: str
    VersionId: str
    IsDefaultVersion: bool
    CreateDate: int

class PutGroupPolicyRequest(TypedDict, total=False):
    GroupName: Required[str]
    PolicyName: Required[str]
    PolicyDocument: Required[str]

class PutRolePermissionsBoundaryRequest(TypedDict, total=False):
    RoleName: Required[str]
    PermissionsBoundary: Required[str]

class PutRolePolicyRequest(TypedDict, total=False):
    RoleName: Required[str]
    PolicyName: Required[str]
    PolicyDocument: Required[str]

class PutUserPermissionsBoundaryRequest(TypedDict, total=False):
    UserName: Required[str]
    PermissionsBoundary: Required[str]

class PutUserPolicyRequest(TypedDict, total=False):
    UserName: Required[str]
    PolicyName: Required[str]
    PolicyDocument: Required[str]

class RemoveUserFromGroupRequest(TypedDict, total=False):
    GroupName: Required[str]
    UserName: Required[str]

class ResyncMFADeviceRequest(TypedDict, total=False):
    UserName: Required[str]
    SerialNumber: Required[str]
    AuthenticationCode1: Required[str]
    AuthenticationCode2: Required[str]

class Role(TypedDict, total=False):
    Path: str
    RoleName: str
    RoleId: str
    Arn: str
    CreateDate: int
    AssumeRolePolicyDocument: str
    Description: str
    MaxSessionDuration: int
    MaxSigninSessionDuration: int
    PermissionsBoundary: AttachedPermissionsBoundary
    Tags: list[Tag]
    RoleLastUsed: RoleLastUsed
    SourceRoleTemplate: SourceRoleTemplate

class RoleLastUsed(TypedDict, total=False):
    LastUsedDate: int
    Region: str

class SetDefaultPolicyVersionRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    VersionId: Required[str]

class SourceRoleTemplate(TypedDict, total=False):
    TemplateArn: str
    TemplateMinorVersion: int

class Tag(TypedDict, total=False):
    Key: Required[str]
    Value: Required[str]

class TagMFADeviceRequest(TypedDict, total=False):
    SerialNumber: Required[str]
    Tags: Required[list[Tag]]

class TagPolicyRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    Tags: Required[list[Tag]]

class TagRoleRequest(TypedDict, total=False):
    RoleName: Required[str]
    Tags: Required[list[Tag]]

class TagUserRequest(TypedDict, total=False):
    UserName: Required[str]
    Tags: Required[list[Tag]]

class UntagMFADeviceRequest(TypedDict, total=False):
    SerialNumber: Required[str]
    TagKeys: Required[list[str]]

class UntagPolicyRequest(TypedDict, total=False):
    PolicyArn: Required[str]
    TagKeys: Required[list[str]]

class UntagRoleRequest(TypedDict, total=False):
    RoleName: Required[str]
    TagKeys: Required[list[str]]

class UntagUserRequest(TypedDict, total=False):
    UserName: Required[str]
    TagKeys: Required[list[str]]

class UpdateAccessKeyRequest(TypedDict, total=False):
    UserName: str
    AccessKeyId: Required[str]
    Status: Required[str]

class UpdateAssumeRolePolicyRequest(TypedDict, total=False):
    RoleName: Required[str]
    PolicyDocument: Required[str]

class UpdateRoleDescriptionRequest(TypedDict, total=False):
    RoleName: Required[str]
    Description: Required[str]

class UpdateRoleDescriptionResponse(TypedDict, total=False):
    Role: Role

class UpdateRoleRequest(TypedDict, total=False):
    RoleName: Required[str]
    Description: str
    MaxSessionDuration: int
    MaxSigninSessionDuration: int
    ResetMaxSigninSessionDuration: bool

class UpdateRoleResponse(TypedDict, total=False):
    pass

class UpdateUserRequest(TypedDict, total=False):
    UserName: Required[str]
    NewPath: str
    NewUserName: str

class User(TypedDict, total=False):
    Path: str
    UserName: str
    UserId: str
    Arn: str
    CreateDate: int
    PasswordLastUsed: int
    PermissionsBoundary: AttachedPermissionsBoundary
    Tags: list[Tag]

class VirtualMFADevice(TypedDict, total=False):
    SerialNumber: str
    Base32StringSeed: bytes
    QRCodePNG: bytes
    User: User
    EnableDate: int
    Tags: list[Tag]
