"""Wire values of kms: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""

from __future__ import annotations
from typing import Required, TypedDict

class AliasListEntry(TypedDict, total=False):
    AliasName: str
    AliasArn: str
    TargetKeyId: str
    CreationDate: int
    LastUpdatedDate: int

class CancelKeyDeletionRequest(TypedDict, total=False):
    KeyId: Required[str]

class CancelKeyDeletionResponse(TypedDict, total=False):
    KeyId: str

class CreateAliasRequest(TypedDict, total=False):
    AliasName: Required[str]
    TargetKeyId: Required[str]

class CreateGrantRequest(TypedDict, total=False):
    KeyId: Required[str]
    GranteePrincipal: str
    RetiringPrincipal: str
    Operations: Required[list[str]]
    Constraints: GrantConstraints
    GrantTokens: list[str]
    Name: str
    DryRun: bool
    GranteeServicePrincipal: str
    RetiringServicePrincipal: str

class CreateGrantResponse(TypedDict, total=False):
    GrantToken: str
    GrantId: str

class CreateKeyRequest(TypedDict, total=False):
    Policy: str
    Description: str
    KeyUsage: str
    CustomerMasterKeySpec: str
    KeySpec: str
    Origin: str
    CustomKeyStoreId: str
    BypassPolicyLockoutSafetyCheck: bool
    Tags: list[Tag]
    MultiRegion: bool
    XksKeyId: str

class CreateKeyResponse(TypedDict, total=False):
    KeyMetadata: KeyMetadata

class DecryptRequest(TypedDict, total=False):
    CiphertextBlob: bytes
    EncryptionContext: dict[str, str]
    GrantTokens: list[str]
    KeyId: str
    EncryptionAlgorithm: str
    Recipient: RecipientInfo
    DryRun: bool
    DryRunModifiers: list[str]

class DecryptResponse(TypedDict, total=False):
    KeyId: str
    Plaintext: bytes
    EncryptionAlgorithm: str
    CiphertextForRecipient: bytes
    KeyMaterialId: str

class DeleteAliasRequest(TypedDict, total=False):
    AliasName: Required[str]

class DescribeKeyRequest(TypedDict, total=False):
    KeyId: Required[str]
    GrantTokens: list[str]

class DescribeKeyResponse(TypedDict, total=False):
    KeyMetadata: KeyMetadata

class DisableKeyRequest(TypedDict, total=False):
    KeyId: Required[str]

class DisableKeyRotationRequest(TypedDict, total=False):
    KeyId: Required[str]

class EnableKeyRequest(TypedDict, total=False):
    KeyId: Required[str]

class EnableKeyRotationRequest(TypedDict, total=False):
    KeyId: Required[str]
    RotationPeriodInDays: int

class EncryptRequest(TypedDict, total=False):
    KeyId: Required[str]
    Plaintext: Required[bytes]
    EncryptionContext: dict[str, str]
    GrantTokens: list[str]
    EncryptionAlgorithm: str
    DryRun: bool

class EncryptResponse(TypedDict, total=False):
    CiphertextBlob: bytes
    KeyId: str
    EncryptionAlgorithm: str

class GenerateDataKeyRequest(TypedDict, total=False):
    KeyId: Required[str]
    EncryptionContext: dict[str, str]
    NumberOfBytes: int
    KeySpec: str
    GrantTokens: list[str]
    Recipient: RecipientInfo
    DryRun: bool

class GenerateDataKeyResponse(TypedDict, total=False):
    CiphertextBlob: bytes
    Plaintext: bytes
    KeyId: str
    CiphertextForRecipient: bytes
    KeyMaterialId: str

class GenerateDataKeyWithoutPlaintextRequest(TypedDict, total=False):
    KeyId: Required[str]
    EncryptionContext: dict[str, str]
    KeySpec: str
    NumberOfBytes: int
    GrantTokens: list[str]
    DryRun: bool

class GenerateDataKeyWithoutPlaintextResponse(TypedDict, total=False):
    CiphertextBlob: bytes
    KeyId: str
    KeyMaterialId: str

class GenerateMacRequest(TypedDict, total=False):
    Message: Required[bytes]
    KeyId: Required[str]
    MacAlgorithm: Required[str]
    GrantTokens: list[str]
    DryRun: bool

class GenerateMacResponse(TypedDict, total=False):
    Mac: bytes
    MacAlgorithm: str
    KeyId: str

class GenerateRandomRequest(TypedDict, total=False):
    NumberOfBytes: int
    CustomKeyStoreId: str
    Recipient: RecipientInfo

class GenerateRandomResponse(TypedDict, total=False):
    Plaintext: bytes
    CiphertextForRecipient: bytes

class GetKeyPolicyRequest(TypedDict, total=False):
    KeyId: Required[str]
    PolicyName: str

class GetKeyPolicyResponse(TypedDict, total=False):
    Policy: str
    PolicyName: str

class GetKeyRotationStatusRequest(TypedDict, total=False):
    KeyId: Required[str]

class GetKeyRotationStatusResponse(TypedDict, total=False):
    KeyRotationEnabled: bool
    KeyId: str
    RotationPeriodInDays: int
    NextRotationDate: int
    OnDemandRotationStartDate: int

class GrantConstraints(TypedDict, total=False):
    EncryptionContextSubset: dict[str, str]
    EncryptionContextEquals: dict[str, str]
    SourceArn: str

class GrantListEntry(TypedDict, total=False):
    KeyId: str
    GrantId: str
    Name: str
    CreationDate: int
    GranteePrincipal: str
    RetiringPrincipal: str
    IssuingAccount: str
    Operations: list[str]
    Constraints: GrantConstraints
    GranteeServicePrincipal: str
    RetiringServicePrincipal: str

class KeyListEntry(TypedDict, total=False):
    KeyId: str
    KeyArn: str

class KeyMetadata(TypedDict, total=False):
    AWSAccountId: str
    KeyId: str
    Arn: str
    CreationDate: int
    Enabled: bool
    Description: str
    KeyUsage: str
    KeyState: str
    DeletionDate: int
    ValidTo: int
    Origin: str
    CustomKeyStoreId: str
    CloudHsmClusterId: str
    ExpirationModel: str
    KeyManager: str
    CustomerMasterKeySpec: str
    KeySpec: str
    EncryptionAlgorithms: list[str]
    SigningAlgorithms: list[str]
    KeyAgreementAlgorithms: list[str]
    EncapsulationAlgorithms: list[str]
    MultiRegion: bool
    MultiRegionConfiguration: MultiRegionConfiguration
    PendingDeletionWindowInDays: int
    MacAlgorithms: list[str]
    XksKeyConfiguration: XksKeyConfigurationType
    CurrentKeyMaterialId: str

class ListAliasesRequest(TypedDict, total=False):
    KeyId: str
    Limit: int
    Marker: str

class ListAliasesResponse(TypedDict, total=False):
    Aliases: list[AliasListEntry]
    NextMarker: str
    Truncated: bool

class ListGrantsRequest(TypedDict, total=False):
    Limit: int
    Marker: str
    KeyId: Required[str]
    GrantId: str
    GranteePrincipal: str
    GranteeServicePrincipal: str

class ListGrantsResponse(TypedDict, total=False):
    Grants: list[GrantListEntry]
    NextMarker: str
    Truncated: bool

class ListKeyPoliciesRequest(TypedDict, total=False):
    KeyId: Required[str]
    Limit: int
    Marker: str

class ListKeyPoliciesResponse(TypedDict, total=False):
    PolicyNames: list[str]
    NextMarker: str
    Truncated: bool

class ListKeyRotationsRequest(TypedDict, total=False):
    KeyId: Required[str]
    IncludeKeyMaterial: str
    Limit: int
    Marker: str

class ListKeyRotationsResponse(TypedDict, total=False):
    Rotations: list[RotationsListEntry]
    NextMarker: str
    Truncated: bool

class ListKeysRequest(TypedDict, total=False):
    Limit: int
    Marker: str
    ResourceOwners: list[str]

class ListKeysResponse(TypedDict, total=False):
    Keys: list[KeyListEntry]
    NextMarker: str
    Truncated: bool

class ListResourceTagsRequest(TypedDict, total=False):
    KeyId: Required[str]
    Limit: int
    Marker: str

class ListResourceTagsResponse(TypedDict, total=False):
    Tags: list[Tag]
    NextMarker: str
    Truncated: bool

class ListRetirableGrantsRequest(TypedDict, total=False):
    Limit: int
    Marker: str
    RetiringPrincipal: str
    RetiringServicePrincipal: str

class MultiRegionConfiguration(TypedDict, total=False):
    MultiRegionKeyType: str
    PrimaryKey: MultiRegionKey
    ReplicaKeys: list[MultiRegionKey]

class MultiRegionKey(TypedDict, total=False):
    Arn: str
    Region: str

class PutKeyPolicyRequest(TypedDict, total=False):
    KeyId: Required[str]
    PolicyName: str
    Policy: Required[str]
    BypassPolicyLockoutSafetyCheck: bool

class ReEncryptRequest(TypedDict, total=False):
    CiphertextBlob: bytes
    SourceEncryptionContext: dict[str, str]
    SourceKeyId: str
    DestinationKeyId: Required[str]
    DestinationEncryptionContext: dict[str, str]
    SourceEncryptionAlgorithm: str
    DestinationEncryptionAlgorithm: str
    GrantTokens: list[str]
    DryRun: bool
    DryRunModifiers: list[str]

class ReEncryptResponse(TypedDict, total=False):
    CiphertextBlob: bytes
    SourceKeyId: str
    KeyId: str
    SourceEncryptionAlgorithm: str
    DestinationEncryptionAlgorithm: str
    SourceKeyMaterialId: str
    DestinationKeyMaterialId: str

class RecipientInfo(TypedDict, total=False):
    KeyEncryptionAlgorithm: str
    AttestationDocument: bytes

class RetireGrantRequest(TypedDict, total=False):
    GrantToken: str
    KeyId: str
    GrantId: str
    DryRun: bool

class RevokeGrantRequest(TypedDict, total=False):
    KeyId: Required[str]
    GrantId: Required[str]
    DryRun: bool

class RotateKeyOnDemandRequest(TypedDict, total=False):
    KeyId: Required[str]

class RotateKeyOnDemandResponse(TypedDict, total=False):
    KeyId: str

class RotationsListEntry(TypedDict, total=False):
    KeyId: str
    KeyMaterialId: str
    KeyMaterialDescription: str
    ImportState: str
    KeyMaterialState: str
    ExpirationModel: str
    ValidTo: int
    RotationDate: int
    RotationType: str

class ScheduleKeyDeletionRequest(TypedDict, total=False):
    KeyId: Required[str]
    PendingWindowInDays: int

class ScheduleKeyDeletionResponse(TypedDict, total=False):
    KeyId: str
    DeletionDate: int
    KeyState: str
    PendingWindowInDays: int

class Tag(TypedDict, total=False):
    TagKey: Required[str]
    TagValue: Required[str]

class TagResourceRequest(TypedDict, total=False):
    KeyId: Required[str]
    Tags: Required[list[Tag]]

class UntagResourceRequest(TypedDict, total=False):
    KeyId: Required[str]
    TagKeys: Required[list[str]]

class UpdateAliasRequest(TypedDict, total=False):
    AliasName: Required[str]
    TargetKeyId: Required[str]

class UpdateKeyDescriptionRequest(TypedDict, total=False):
    KeyId: Required[str]
    Description: Required[str]

class VerifyMacRequest(TypedDict, total=False):
    Message: Required[bytes]
    KeyId: Required[str]
    MacAlgorithm: Required[str]
    Mac: Required[bytes]
    GrantTokens: list[str]
    DryRun: bool

class VerifyMacResponse(TypedDict, total=False):
    KeyId: str
    MacValid: bool
    MacAlgorithm: str

class XksKeyConfigurationType(TypedDict, total=False):
    Id: str
