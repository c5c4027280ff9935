"""Wire values of s3: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""

from __future__ import annotations
from collections.abc import AsyncIterator
from typing import Required, TypedDict
from fogbank.wire.http import BodyStream

class AbacStatus(TypedDict, total=False):
    Status: str

class AbortIncompleteMultipartUpload(TypedDict, total=False):
    DaysAfterInitiation: int

class AbortMultipartUploadOutput(TypedDict, total=False):
    RequestCharged: str
    VersionId: str

class AbortMultipartUploadRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    UploadId: Required[str]
    RequestPayer: str
    ExpectedBucketOwner: str
    IfMatchInitiatedTime: int

class AccessControlPolicy(TypedDict, total=False):
    Grants: list[Grant]
    Owner: Owner

class AccessControlTranslation(TypedDict, total=False):
    Owner: str

class AnalyticsAndOperator(TypedDict, total=False):
    Prefix: str
    Tags: list[Tag]

class AnalyticsConfiguration(TypedDict, total=False):
    Id: str
    Filter: AnalyticsFilter
    StorageClassAnalysis: StorageClassAnalysis

class AnalyticsExportDestination(TypedDict, total=False):
    S3BucketDestination: AnalyticsS3BucketDestination

class AnalyticsFilter(TypedDict, total=False):
    Prefix: str
    Tag: Tag
    And: AnalyticsAndOperator

class AnalyticsS3BucketDestination(TypedDict, total=False):
    Format: str
    BucketAccountId: str
    Bucket: str
    Prefix: str

class BlockedEncryptionTypes(TypedDict, total=False):
    EncryptionType: list[str]

class Bucket(TypedDict, total=False):
    Name: str
    CreationDate: int
    BucketRegion: str
    BucketArn: str

class BucketInfo(TypedDict, total=False):
    DataRedundancy: str
    Type: str

class BucketLifecycleConfiguration(TypedDict, total=False):
    Rules: Required[list[LifecycleRule]]

class BucketLoggingStatus(TypedDict, total=False):
    LoggingEnabled: LoggingEnabled

class CORSConfiguration(TypedDict, total=False):
    CORSRules: Required[list[CORSRule]]

class CORSRule(TypedDict, total=False):
    ID: str
    AllowedHeaders: list[str]
    AllowedMethods: Required[list[str]]
    AllowedOrigins: Required[list[str]]
    ExposeHeaders: list[str]
    MaxAgeSeconds: int

class Checksum(TypedDict, total=False):
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    ChecksumType: str

class CommonPrefix(TypedDict, total=False):
    Prefix: str

class CompleteMultipartUploadOutput(TypedDict, total=False):
    Location: str
    Bucket: str
    Key: str
    Expiration: str
    ETag: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    ChecksumType: str
    ServerSideEncryption: str
    VersionId: str
    SSEKMSKeyId: str
    BucketKeyEnabled: bool
    RequestCharged: str

class CompleteMultipartUploadRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    MultipartUpload: CompletedMultipartUpload
    UploadId: Required[str]
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    ChecksumType: str
    MpuObjectSize: int
    RequestPayer: str
    ExpectedBucketOwner: str
    IfMatch: str
    IfNoneMatch: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str

class CompletedMultipartUpload(TypedDict, total=False):
    Parts: list[CompletedPart]

class CompletedPart(TypedDict, total=False):
    ETag: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    PartNumber: int

class Condition(TypedDict, total=False):
    HttpErrorCodeReturnedEquals: str
    KeyPrefixEquals: str

class CopyObjectOutput(TypedDict, total=False):
    CopyObjectResult: CopyObjectResult
    Expiration: str
    CopySourceVersionId: str
    VersionId: str
    ServerSideEncryption: str
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    SSEKMSEncryptionContext: str
    BucketKeyEnabled: bool
    RequestCharged: str

class CopyObjectRequest(TypedDict, total=False):
    ACL: str
    Bucket: Required[str]
    CacheControl: str
    ChecksumAlgorithm: str
    ContentDisposition: str
    ContentEncoding: str
    ContentLanguage: str
    ContentType: str
    CopySource: Required[str]
    CopySourceIfMatch: str
    CopySourceIfModifiedSince: int
    CopySourceIfNoneMatch: str
    CopySourceIfUnmodifiedSince: int
    Expires: int
    GrantFullControl: str
    GrantRead: str
    GrantReadACP: str
    GrantWriteACP: str
    IfMatch: str
    IfNoneMatch: str
    Key: Required[str]
    Metadata: dict[str, str]
    MetadataDirective: str
    TaggingDirective: str
    AnnotationDirective: str
    ServerSideEncryption: str
    StorageClass: str
    WebsiteRedirectLocation: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    SSEKMSEncryptionContext: str
    BucketKeyEnabled: bool
    CopySourceSSECustomerAlgorithm: str
    CopySourceSSECustomerKey: str
    CopySourceSSECustomerKeyMD5: str
    RequestPayer: str
    Tagging: str
    ObjectLockMode: str
    ObjectLockRetainUntilDate: int
    ObjectLockLegalHoldStatus: str
    ObjectLockEventHold: str
    ObjectLockEventHoldDurationDays: int
    ObjectLockEventHoldDurationYears: int
    ExpectedBucketOwner: str
    ExpectedSourceBucketOwner: str

class CopyObjectResult(TypedDict, total=False):
    ETag: str
    LastModified: int
    ChecksumType: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str

class CopyPartResult(TypedDict, total=False):
    ETag: str
    LastModified: int
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str

class CreateBucketConfiguration(TypedDict, total=False):
    LocationConstraint: str
    Location: LocationInfo
    Bucket: BucketInfo
    Tags: list[Tag]

class CreateBucketOutput(TypedDict, total=False):
    Location: str
    BucketArn: str

class CreateBucketRequest(TypedDict, total=False):
    ACL: str
    Bucket: Required[str]
    CreateBucketConfiguration: CreateBucketConfiguration
    GrantFullControl: str
    GrantRead: str
    GrantReadACP: str
    GrantWrite: str
    GrantWriteACP: str
    ObjectLockEnabledForBucket: bool
    ObjectOwnership: str
    BucketNamespace: str

class CreateMultipartUploadOutput(TypedDict, total=False):
    AbortDate: int
    AbortRuleId: str
    Bucket: str
    Key: str
    UploadId: str
    ServerSideEncryption: str
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    SSEKMSEncryptionContext: str
    BucketKeyEnabled: bool
    RequestCharged: str
    ChecksumAlgorithm: str
    ChecksumType: str
    VersionId: str

class CreateMultipartUploadRequest(TypedDict, total=False):
    ACL: str
    Bucket: Required[str]
    CacheControl: str
    ContentDisposition: str
    ContentEncoding: str
    ContentLanguage: str
    ContentType: str
    Expires: int
    GrantFullControl: str
    GrantRead: str
    GrantReadACP: str
    GrantWriteACP: str
    Key: Required[str]
    Metadata: dict[str, str]
    ServerSideEncryption: str
    StorageClass: str
    WebsiteRedirectLocation: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    SSEKMSEncryptionContext: str
    BucketKeyEnabled: bool
    RequestPayer: str
    Tagging: str
    ObjectLockMode: str
    ObjectLockRetainUntilDate: int
    ObjectLockLegalHoldStatus: str
    ObjectLockEventHold: str
    ObjectLockEventHoldDurationDays: int
    ObjectLockEventHoldDurationYears: int
    ExpectedBucketOwner: str
    ChecksumAlgorithm: str
    ChecksumType: str

class DefaultRetention(TypedDict, total=False):
    Mode: str
    Days: int
    Years: int
    DefaultEventHold: EventHoldDuration

class Delete(TypedDict, total=False):
    Objects: Required[list[ObjectIdentifier]]
    Quiet: bool

class DeleteBucketAnalyticsConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketCorsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketEncryptionRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketIntelligentTieringConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketInventoryConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketLifecycleRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketMetricsConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketOwnershipControlsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketPolicyRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketReplicationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketTaggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteBucketWebsiteRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeleteMarkerEntry(TypedDict, total=False):
    Owner: Owner
    Key: str
    VersionId: str
    IsLatest: bool
    LastModified: int

class DeleteMarkerReplication(TypedDict, total=False):
    Status: str

class DeleteObjectOutput(TypedDict, total=False):
    DeleteMarker: bool
    VersionId: str
    RequestCharged: str

class DeleteObjectRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    MFA: str
    VersionId: str
    RequestPayer: str
    BypassGovernanceRetention: bool
    ExpectedBucketOwner: str
    IfMatch: str
    IfMatchLastModifiedTime: int
    IfMatchSize: int

class DeleteObjectTaggingOutput(TypedDict, total=False):
    VersionId: str

class DeleteObjectTaggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    ExpectedBucketOwner: str

class DeleteObjectsOutput(TypedDict, total=False):
    Deleted: list[DeletedObject]
    RequestCharged: str
    Errors: list[Error]

class DeleteObjectsRequest(TypedDict, total=False):
    Bucket: Required[str]
    Delete: Required[Delete]
    MFA: str
    RequestPayer: str
    BypassGovernanceRetention: bool
    ExpectedBucketOwner: str
    ChecksumAlgorithm: str

class DeletePublicAccessBlockRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class DeletedObject(TypedDict, total=False):
    Key: str
    VersionId: str
    DeleteMarker: bool
    DeleteMarkerVersionId: str

class Destination(TypedDict, total=False):
    Bucket: str
    Account: str
    StorageClass: str
    AccessControlTranslation: AccessControlTranslation
    EncryptionConfiguration: EncryptionConfiguration
    ReplicationTime: ReplicationTime
    Metrics: Metrics

class EncryptionConfiguration(TypedDict, total=False):
    ReplicaKmsKeyID: str
    UseSourceMultiRegionKey: UseSourceMultiRegionKey

class Error(TypedDict, total=False):
    Key: str
    VersionId: str
    Code: str
    Message: str

class ErrorDocument(TypedDict, total=False):
    Key: str

class EventBridgeConfiguration(TypedDict, total=False):
    pass

class EventHoldDuration(TypedDict, total=False):
    Days: int
    Years: int

class ExistingObjectReplication(TypedDict, total=False):
    Status: str

class FilterRule(TypedDict, total=False):
    Name: str
    Value: str

class GetBucketAbacOutput(TypedDict, total=False):
    AbacStatus: AbacStatus

class GetBucketAbacRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketAccelerateConfigurationOutput(TypedDict, total=False):
    Status: str
    RequestCharged: str

class GetBucketAccelerateConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str
    RequestPayer: str

class GetBucketAclOutput(TypedDict, total=False):
    Owner: Owner
    Grants: list[Grant]

class GetBucketAclRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketAnalyticsConfigurationOutput(TypedDict, total=False):
    AnalyticsConfiguration: AnalyticsConfiguration

class GetBucketAnalyticsConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class GetBucketCorsOutput(TypedDict, total=False):
    CORSRules: list[CORSRule]

class GetBucketCorsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketEncryptionOutput(TypedDict, total=False):
    ServerSideEncryptionConfiguration: ServerSideEncryptionConfiguration

class GetBucketEncryptionRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketIntelligentTieringConfigurationOutput(TypedDict, total=False):
    IntelligentTieringConfiguration: IntelligentTieringConfiguration

class GetBucketIntelligentTieringConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class GetBucketInventoryConfigurationOutput(TypedDict, total=False):
    InventoryConfiguration: InventoryConfiguration

class GetBucketInventoryConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class GetBucketLifecycleConfigurationOutput(TypedDict, total=False):
    Rules: list[LifecycleRule]
    TransitionDefaultMinimumObjectSize: str

class GetBucketLifecycleConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketLocationOutput(TypedDict, total=False):
    LocationConstraint: str

class GetBucketLocationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketLoggingOutput(TypedDict, total=False):
    LoggingEnabled: LoggingEnabled

class GetBucketLoggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketMetricsConfigurationOutput(TypedDict, total=False):
    MetricsConfiguration: MetricsConfiguration

class GetBucketMetricsConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    ExpectedBucketOwner: str

class GetBucketNotificationConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketOwnershipControlsOutput(TypedDict, total=False):
    OwnershipControls: OwnershipControls

class GetBucketOwnershipControlsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketPolicyOutput(TypedDict, total=False):
    Policy: str

class GetBucketPolicyRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketPolicyStatusOutput(TypedDict, total=False):
    PolicyStatus: PolicyStatus

class GetBucketPolicyStatusRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketReplicationOutput(TypedDict, total=False):
    ReplicationConfiguration: ReplicationConfiguration

class GetBucketReplicationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketRequestPaymentOutput(TypedDict, total=False):
    Payer: str

class GetBucketRequestPaymentRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketTaggingOutput(TypedDict, total=False):
    TagSet: list[Tag]

class GetBucketTaggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketVersioningOutput(TypedDict, total=False):
    Status: str
    MFADelete: str

class GetBucketVersioningRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetBucketWebsiteOutput(TypedDict, total=False):
    RedirectAllRequestsTo: RedirectAllRequestsTo
    IndexDocument: IndexDocument
    ErrorDocument: ErrorDocument
    RoutingRules: list[RoutingRule]

class GetBucketWebsiteRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetObjectAclOutput(TypedDict, total=False):
    Owner: Owner
    Grants: list[Grant]
    RequestCharged: str

class GetObjectAclRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    RequestPayer: str
    ExpectedBucketOwner: str

class GetObjectAttributesOutput(TypedDict, total=False):
    DeleteMarker: bool
    LastModified: int
    VersionId: str
    RequestCharged: str
    ETag: str
    Checksum: Checksum
    ObjectParts: GetObjectAttributesParts
    StorageClass: str
    ObjectSize: int

class GetObjectAttributesParts(TypedDict, total=False):
    TotalPartsCount: int
    PartNumberMarker: int
    NextPartNumberMarker: int
    MaxParts: int
    IsTruncated: bool
    Parts: list[ObjectPart]

class GetObjectAttributesRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    MaxParts: int
    PartNumberMarker: int
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    RequestPayer: str
    ExpectedBucketOwner: str
    ObjectAttributes: Required[list[str]]

class GetObjectLegalHoldOutput(TypedDict, total=False):
    LegalHold: ObjectLockLegalHold

class GetObjectLegalHoldRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    RequestPayer: str
    ExpectedBucketOwner: str

class GetObjectLockConfigurationOutput(TypedDict, total=False):
    ObjectLockConfiguration: ObjectLockConfiguration

class GetObjectLockConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class GetObjectOutput(TypedDict, total=False):
    Body: bytes | AsyncIterator[bytes]
    DeleteMarker: bool
    AcceptRanges: str
    Expiration: str
    Restore: str
    LastModified: int
    ContentLength: int
    ETag: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    ChecksumType: str
    MissingMeta: int
    VersionId: str
    CacheControl: str
    ContentDisposition: str
    ContentEncoding: str
    ContentLanguage: str
    ContentRange: str
    ContentType: str
    Expires: int
    WebsiteRedirectLocation: str
    ServerSideEncryption: str
    Metadata: dict[str, str]
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    BucketKeyEnabled: bool
    StorageClass: str
    RequestCharged: str
    ReplicationStatus: str
    PartsCount: int
    TagCount: int
    ObjectLockMode: str
    ObjectLockRetainUntilDate: int
    ObjectLockLegalHoldStatus: str
    ObjectLockEventHold: str
    ObjectLockEventHoldDurationDays: int
    ObjectLockEventHoldDurationYears: int

class GetObjectRequest(TypedDict, total=False):
    Bucket: Required[str]
    IfMatch: str
    IfModifiedSince: int
    IfNoneMatch: str
    IfUnmodifiedSince: int
    Key: Required[str]
    Range: str
    ResponseCacheControl: str
    ResponseContentDisposition: str
    ResponseContentEncoding: str
    ResponseContentLanguage: str
    ResponseContentType: str
    ResponseExpires: int
    VersionId: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    RequestPayer: str
    PartNumber: int
    ExpectedBucketOwner: str
    ChecksumMode: str

class GetObjectRetentionOutput(TypedDict, total=False):
    Retention: ObjectLockRetention

class GetObjectRetentionRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    RequestPayer: str
    ExpectedBucketOwner: str

class GetObjectTaggingOutput(TypedDict, total=False):
    VersionId: str
    TagSet: list[Tag]

class GetObjectTaggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    ExpectedBucketOwner: str
    RequestPayer: str

class GetPublicAccessBlockOutput(TypedDict, total=False):
    PublicAccessBlockConfiguration: PublicAccessBlockConfiguration

class GetPublicAccessBlockRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class Grant(TypedDict, total=False):
    Grantee: Grantee
    Permission: str

class Grantee(TypedDict, total=False):
    DisplayName: str
    EmailAddress: str
    ID: str
    Type: Required[str]
    URI: str

class HeadBucketOutput(TypedDict, total=False):
    BucketArn: str
    BucketLocationType: str
    BucketLocationName: str
    BucketRegion: str
    AccessPointAlias: bool

class HeadBucketRequest(TypedDict, total=False):
    Bucket: Required[str]
    ExpectedBucketOwner: str

class HeadObjectOutput(TypedDict, total=False):
    DeleteMarker: bool
    AcceptRanges: str
    Expiration: str
    Restore: str
    ArchiveStatus: str
    LastModified: int
    ContentLength: int
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    ChecksumType: str
    ETag: str
    MissingMeta: int
    VersionId: str
    CacheControl: str
    ContentDisposition: str
    ContentEncoding: str
    ContentLanguage: str
    ContentType: str
    ContentRange: str
    Expires: int
    WebsiteRedirectLocation: str
    ServerSideEncryption: str
    Metadata: dict[str, str]
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    BucketKeyEnabled: bool
    StorageClass: str
    RequestCharged: str
    ReplicationStatus: str
    PartsCount: int
    TagCount: int
    ObjectLockMode: str
    ObjectLockRetainUntilDate: int
    ObjectLockLegalHoldStatus: str
    ObjectLockEventHold: str
    ObjectLockEventHoldDurationDays: int
    ObjectLockEventHoldDurationYears: int

class HeadObjectRequest(TypedDict, total=False):
    Bucket: Required[str]
    IfMatch: str
    IfModifiedSince: int
    IfNoneMatch: str
    IfUnmodifiedSince: int
    Key: Required[str]
    Range: str
    ResponseCacheControl: str
    ResponseContentDisposition: str
    ResponseContentEncoding: str
    ResponseContentLanguage: str
    ResponseContentType: str
    ResponseExpires: int
    VersionId: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    RequestPayer: str
    PartNumber: int
    ExpectedBucketOwner: str
    ChecksumMode: str

class IndexDocument(TypedDict, total=False):
    Suffix: str

class Initiator(TypedDict, total=False):
    ID: str
    DisplayName: str

class IntelligentTieringAndOperator(TypedDict, total=False):
    Prefix: str
    Tags: list[Tag]

class IntelligentTieringConfiguration(TypedDict, total=False):
    Id: str
    Filter: IntelligentTieringFilter
    Status: str
    Tierings: list[Tiering]

class IntelligentTieringFilter(TypedDict, total=False):
    Prefix: str
    Tag: Tag
    And: IntelligentTieringAndOperator

class InventoryConfiguration(TypedDict, total=False):
    Destination: InventoryDestination
    IsEnabled: bool
    Filter: InventoryFilter
    Id: str
    IncludedObjectVersions: str
    OptionalFields: list[str]
    Schedule: InventorySchedule

class InventoryDestination(TypedDict, total=False):
    S3BucketDestination: InventoryS3BucketDestination

class InventoryEncryption(TypedDict, total=False):
    SSES3: SSES3
    SSEKMS: SSEKMS

class InventoryFilter(TypedDict, total=False):
    Prefix: str

class InventoryS3BucketDestination(TypedDict, total=False):
    AccountId: str
    Bucket: str
    Format: str
    Prefix: str
    Encryption: InventoryEncryption

class InventorySchedule(TypedDict, total=False):
    Frequency: str

class LambdaFunctionConfiguration(TypedDict, total=False):
    Id: str
    LambdaFunctionArn: Required[str]
    Events: Required[list[str]]
    Filter: NotificationConfigurationFilter

class LifecycleExpiration(TypedDict, total=False):
    Date: int
    Days: int
    ExpiredObjectDeleteMarker: bool

class LifecycleRule(TypedDict, total=False):
    Expiration: LifecycleExpiration
    ID: str
    Prefix: str
    Filter: LifecycleRuleFilter
    Status: Required[str]
    Transitions: list[Transition]
    NoncurrentVersionTransitions: list[NoncurrentVersionTransition]
    NoncurrentVersionExpiration: NoncurrentVersionExpiration
    AbortIncompleteMultipartUpload: AbortIncompleteMultipartUpload

class LifecycleRuleAndOperator(TypedDict, total=False):
    Prefix: str
    Tags: list[Tag]
    ObjectSizeGreaterThan: int
    ObjectSizeLessThan: int

class LifecycleRuleFilter(TypedDict, total=False):
    Prefix: str
    Tag: Tag
    ObjectSizeGreaterThan: int
    ObjectSizeLessThan: int
    And: LifecycleRuleAndOperator

class ListBucketAnalyticsConfigurationsOutput(TypedDict, total=False):
    IsTruncated: bool
    ContinuationToken: str
    NextContinuationToken: str
    AnalyticsConfigurationList: list[AnalyticsConfiguration]

class ListBucketAnalyticsConfigurationsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContinuationToken: str
    ExpectedBucketOwner: str

class ListBucketIntelligentTieringConfigurationsOutput(TypedDict, total=False):
    IsTruncated: bool
    ContinuationToken: str
    NextContinuationToken: str
    IntelligentTieringConfigurationList: list[IntelligentTieringConfiguration]

class ListBucketIntelligentTieringConfigurationsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContinuationToken: str
    ExpectedBucketOwner: str

class ListBucketInventoryConfigurationsOutput(TypedDict, total=False):
    ContinuationToken: str
    InventoryConfigurationList: list[InventoryConfiguration]
    IsTruncated: bool
    NextContinuationToken: str

class ListBucketInventoryConfigurationsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContinuationToken: str
    ExpectedBucketOwner: str

class ListBucketMetricsConfigurationsOutput(TypedDict, total=False):
    IsTruncated: bool
    ContinuationToken: str
    NextContinuationToken: str
    MetricsConfigurationList: list[MetricsConfiguration]

class ListBucketMetricsConfigurationsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContinuationToken: str
    ExpectedBucketOwner: str

class ListBucketsOutput(TypedDict, total=False):
    Buckets: list[Bucket]
    Owner: Owner
    ContinuationToken: str
    Prefix: str

class ListBucketsRequest(TypedDict, total=False):
    MaxBuckets: int
    ContinuationToken: str
    Prefix: str
    BucketRegion: str

class ListMultipartUploadsOutput(TypedDict, total=False):
    Bucket: str
    KeyMarker: str
    UploadIdMarker: str
    NextKeyMarker: str
    Prefix: str
    Delimiter: str
    NextUploadIdMarker: str
    MaxUploads: int
    IsTruncated: bool
    Uploads: list[MultipartUpload]
    CommonPrefixes: list[CommonPrefix]
    EncodingType: str
    RequestCharged: str

class ListMultipartUploadsRequest(TypedDict, total=False):
    Bucket: Required[str]
    Delimiter: str
    EncodingType: str
    KeyMarker: str
    MaxUploads: int
    Prefix: str
    UploadIdMarker: str
    ExpectedBucketOwner: str
    RequestPayer: str

class ListObjectVersionsOutput(TypedDict, total=False):
    IsTruncated: bool
    KeyMarker: str
    VersionIdMarker: str
    NextKeyMarker: str
    NextVersionIdMarker: str
    Versions: list[ObjectVersion]
    DeleteMarkers: list[DeleteMarkerEntry]
    Name: str
    Prefix: str
    Delimiter: str
    MaxKeys: int
    CommonPrefixes: list[CommonPrefix]
    EncodingType: str
    RequestCharged: str

class ListObjectVersionsRequest(TypedDict, total=False):
    Bucket: Required[str]
    Delimiter: str
    EncodingType: str
    KeyMarker: str
    MaxKeys: int
    Prefix: str
    VersionIdMarker: str
    ExpectedBucketOwner: str
    RequestPayer: str
    OptionalObjectAttributes: list[str]

class ListObjectsOutput(TypedDict, total=False):
    IsTruncated: bool
    Marker: str
    NextMarker: str
    Contents: list[Object]
    Name: str
    Prefix: str
    Delimiter: str
    MaxKeys: int
    CommonPrefixes: list[CommonPrefix]
    EncodingType: str
    RequestCharged: str

class ListObjectsRequest(TypedDict, total=False):
    Bucket: Required[str]
    Delimiter: str
    EncodingType: str
    Marker: str
    MaxKeys: int
    Prefix: str
    RequestPayer: str
    ExpectedBucketOwner: str
    OptionalObjectAttributes: list[str]

class ListObjectsV2Output(TypedDict, total=False):
    IsTruncated: bool
    Contents: list[Object]
    Name: str
    Prefix: str
    Delimiter: str
    MaxKeys: int
    CommonPrefixes: list[CommonPrefix]
    EncodingType: str
    KeyCount: int
    ContinuationToken: str
    NextContinuationToken: str
    StartAfter: str
    RequestCharged: str

class ListObjectsV2Request(TypedDict, total=False):
    Bucket: Required[str]
    Delimiter: str
    EncodingType: str
    MaxKeys: int
    Prefix: str
    ContinuationToken: str
    FetchOwner: bool
    StartAfter: str
    RequestPayer: str
    ExpectedBucketOwner: str
    OptionalObjectAttributes: list[str]

class ListPartsOutput(TypedDict, total=False):
    AbortDate: int
    AbortRuleId: str
    Bucket: str
    Key: str
    UploadId: str
    PartNumberMarker: int
    NextPartNumberMarker: int
    MaxParts: int
    IsTruncated: bool
    Parts: list[Part]
    Initiator: Initiator
    Owner: Owner
    StorageClass: str
    RequestCharged: str
    ChecksumAlgorithm: str
    ChecksumType: str
    VersionId: str

class ListPartsRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    MaxParts: int
    PartNumberMarker: int
    UploadId: Required[str]
    RequestPayer: str
    ExpectedBucketOwner: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str

class LocationInfo(TypedDict, total=False):
    Type: str
    Name: str

class LoggingEnabled(TypedDict, total=False):
    TargetBucket: Required[str]
    TargetGrants: list[TargetGrant]
    TargetPrefix: Required[str]
    TargetObjectKeyFormat: TargetObjectKeyFormat

class Metrics(TypedDict, total=False):
    Status: str
    EventThreshold: ReplicationTimeValue

class MetricsAndOperator(TypedDict, total=False):
    Prefix: str
    Tags: list[Tag]
    AccessPointArn: str

class MetricsConfiguration(TypedDict, total=False):
    Id: Required[str]
    Filter: MetricsFilter

class MetricsFilter(TypedDict, total=False):
    Prefix: str
    Tag: Tag
    AccessPointArn: str
    And: MetricsAndOperator

class MultipartUpload(TypedDict, total=False):
    UploadId: str
    Key: str
    Initiated: int
    StorageClass: str
    Owner: Owner
    Initiator: Initiator
    ChecksumAlgorithm: str
    ChecksumType: str
    VersionId: str

class NoncurrentVersionExpiration(TypedDict, total=False):
    NoncurrentDays: int
    NewerNoncurrentVersions: int

class NoncurrentVersionTransition(TypedDict, total=False):
    NoncurrentDays: int
    StorageClass: str
    NewerNoncurrentVersions: int

class NotificationConfiguration(TypedDict, total=False):
    TopicConfigurations: list[TopicConfiguration]
    QueueConfigurations: list[QueueConfiguration]
    LambdaFunctionConfigurations: list[LambdaFunctionConfiguration]
    EventBridgeConfiguration: EventBridgeConfiguration

class NotificationConfigurationFilter(TypedDict, total=False):
    Key: S3KeyFilter

class Object(TypedDict, total=False):
    Key: str
    LastModified: int
    ETag: str
    ChecksumAlgorithm: list[str]
    ChecksumType: str
    Size: int
    StorageClass: str
    Owner: Owner
    RestoreStatus: RestoreStatus

class ObjectIdentifier(TypedDict, total=False):
    Key: Required[str]
    VersionId: str
    ETag: str
    LastModifiedTime: int
    Size: int

class ObjectLockConfiguration(TypedDict, total=False):
    ObjectLockEnabled: str
    Rule: ObjectLockRule

class ObjectLockLegalHold(TypedDict, total=False):
    Status: str

class ObjectLockRetention(TypedDict, total=False):
    Mode: str
    RetainUntilDate: int
    EventHold: str
    EventHoldDuration: EventHoldDuration

class ObjectLockRule(TypedDict, total=False):
    DefaultRetention: DefaultRetention

class ObjectPart(TypedDict, total=False):
    PartNumber: int
    Size: int
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str

class ObjectVersion(TypedDict, total=False):
    ETag: str
    ChecksumAlgorithm: list[str]
    ChecksumType: str
    Size: int
    StorageClass: str
    Key: str
    VersionId: str
    IsLatest: bool
    LastModified: int
    Owner: Owner
    RestoreStatus: RestoreStatus

class Owner(TypedDict, total=False):
    DisplayName: str
    ID: str

class OwnershipControls(TypedDict, total=False):
    Rules: Required[list[OwnershipControlsRule]]

class OwnershipControlsRule(TypedDict, total=False):
    ObjectOwnership: Required[str]

class Part(TypedDict, total=False):
    PartNumber: int
    LastModified: int
    ETag: str
    Size: int
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str

class PartitionedPrefix(TypedDict, total=False):
    PartitionDateSource: str

class PolicyStatus(TypedDict, total=False):
    IsPublic: bool

class PublicAccessBlockConfiguration(TypedDict, total=False):
    BlockPublicAcls: bool
    IgnorePublicAcls: bool
    BlockPublicPolicy: bool
    RestrictPublicBuckets: bool

class PutBucketAbacRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    ExpectedBucketOwner: str
    AbacStatus: Required[AbacStatus]

class PutBucketAclRequest(TypedDict, total=False):
    ACL: str
    AccessControlPolicy: AccessControlPolicy
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    GrantFullControl: str
    GrantRead: str
    GrantReadACP: str
    GrantWrite: str
    GrantWriteACP: str
    ExpectedBucketOwner: str

class PutBucketCorsRequest(TypedDict, total=False):
    Bucket: Required[str]
    CORSConfiguration: Required[CORSConfiguration]
    ContentMD5: str
    ChecksumAlgorithm: str
    ExpectedBucketOwner: str

class PutBucketEncryptionRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    ServerSideEncryptionConfiguration: Required[ServerSideEncryptionConfiguration]
    ExpectedBucketOwner: str

class PutBucketLifecycleConfigurationOutput(TypedDict, total=False):
    TransitionDefaultMinimumObjectSize: str

class PutBucketLifecycleConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ChecksumAlgorithm: str
    LifecycleConfiguration: BucketLifecycleConfiguration
    ExpectedBucketOwner: str
    TransitionDefaultMinimumObjectSize: str

class PutBucketLoggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    BucketLoggingStatus: Required[BucketLoggingStatus]
    ContentMD5: str
    ChecksumAlgorithm: str
    ExpectedBucketOwner: str

class PutBucketMetricsConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    Id: Required[str]
    MetricsConfiguration: Required[MetricsConfiguration]
    ExpectedBucketOwner: str

class PutBucketNotificationConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    NotificationConfiguration: Required[NotificationConfiguration]
    ExpectedBucketOwner: str
    SkipDestinationValidation: bool

class PutBucketOwnershipControlsRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ExpectedBucketOwner: str
    OwnershipControls: Required[OwnershipControls]
    ChecksumAlgorithm: str

class PutBucketPolicyRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    ConfirmRemoveSelfBucketAccess: bool
    Policy: Required[str]
    ExpectedBucketOwner: str

class PutBucketRequestPaymentRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    RequestPaymentConfiguration: Required[RequestPaymentConfiguration]
    ExpectedBucketOwner: str

class PutBucketTaggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    Tagging: Required[Tagging]
    ExpectedBucketOwner: str

class PutBucketVersioningRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    MFA: str
    VersioningConfiguration: Required[VersioningConfiguration]
    ExpectedBucketOwner: str

class PutObjectAclOutput(TypedDict, total=False):
    RequestCharged: str

class PutObjectAclRequest(TypedDict, total=False):
    ACL: str
    AccessControlPolicy: AccessControlPolicy
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    GrantFullControl: str
    GrantRead: str
    GrantReadACP: str
    GrantWrite: str
    GrantWriteACP: str
    Key: Required[str]
    RequestPayer: str
    VersionId: str
    ExpectedBucketOwner: str

class PutObjectLegalHoldOutput(TypedDict, total=False):
    RequestCharged: str

class PutObjectLegalHoldRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    LegalHold: ObjectLockLegalHold
    RequestPayer: str
    VersionId: str
    ContentMD5: str
    ChecksumAlgorithm: str
    ExpectedBucketOwner: str

class PutObjectLockConfigurationOutput(TypedDict, total=False):
    RequestCharged: str

class PutObjectLockConfigurationRequest(TypedDict, total=False):
    Bucket: Required[str]
    ObjectLockConfiguration: ObjectLockConfiguration
    RequestPayer: str
    Token: str
    ContentMD5: str
    ChecksumAlgorithm: str
    ExpectedBucketOwner: str

class PutObjectOutput(TypedDict, total=False):
    Expiration: str
    ETag: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    ChecksumType: str
    ServerSideEncryption: str
    VersionId: str
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    SSEKMSEncryptionContext: str
    BucketKeyEnabled: bool
    Size: int
    RequestCharged: str

class PutObjectRequest(TypedDict, total=False):
    ACL: str
    Body: bytes | BodyStream
    Bucket: Required[str]
    CacheControl: str
    ContentDisposition: str
    ContentEncoding: str
    ContentLanguage: str
    ContentLength: int
    ContentMD5: str
    ContentType: str
    ChecksumAlgorithm: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    Expires: int
    IfMatch: str
    IfNoneMatch: str
    GrantFullControl: str
    GrantRead: str
    GrantReadACP: str
    GrantWriteACP: str
    Key: Required[str]
    WriteOffsetBytes: int
    Metadata: dict[str, str]
    ServerSideEncryption: str
    StorageClass: str
    WebsiteRedirectLocation: str
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    SSEKMSEncryptionContext: str
    BucketKeyEnabled: bool
    RequestPayer: str
    Tagging: str
    ObjectLockMode: str
    ObjectLockRetainUntilDate: int
    ObjectLockLegalHoldStatus: str
    ObjectLockEventHold: str
    ObjectLockEventHoldDurationDays: int
    ObjectLockEventHoldDurationYears: int
    ExpectedBucketOwner: str

class PutObjectRetentionOutput(TypedDict, total=False):
    RequestCharged: str

class PutObjectRetentionRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    Retention: ObjectLockRetention
    RequestPayer: str
    VersionId: str
    BypassGovernanceRetention: bool
    ContentMD5: str
    ChecksumAlgorithm: str
    ExpectedBucketOwner: str

class PutObjectTaggingOutput(TypedDict, total=False):
    VersionId: str

class PutObjectTaggingRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    VersionId: str
    ContentMD5: str
    ChecksumAlgorithm: str
    Tagging: Required[Tagging]
    ExpectedBucketOwner: str
    RequestPayer: str

class PutPublicAccessBlockRequest(TypedDict, total=False):
    Bucket: Required[str]
    ContentMD5: str
    ChecksumAlgorithm: str
    PublicAccessBlockConfiguration: Required[PublicAccessBlockConfiguration]
    ExpectedBucketOwner: str

class QueueConfiguration(TypedDict, total=False):
    Id: str
    QueueArn: Required[str]
    Events: Required[list[str]]
    Filter: NotificationConfigurationFilter

class Redirect(TypedDict, total=False):
    HostName: str
    HttpRedirectCode: str
    Protocol: str
    ReplaceKeyPrefixWith: str
    ReplaceKeyWith: str

class RedirectAllRequestsTo(TypedDict, total=False):
    HostName: str
    Protocol: str

class RenameObjectOutput(TypedDict, total=False):
    pass

class RenameObjectRequest(TypedDict, total=False):
    Bucket: Required[str]
    Key: Required[str]
    RenameSource: Required[str]
    DestinationIfMatch: str
    DestinationIfNoneMatch: str
    DestinationIfModifiedSince: int
    DestinationIfUnmodifiedSince: int
    SourceIfMatch: str
    SourceIfNoneMatch: str
    SourceIfModifiedSince: int
    SourceIfUnmodifiedSince: int
    ClientToken: str

class ReplicaModifications(TypedDict, total=False):
    Status: str

class ReplicationConfiguration(TypedDict, total=False):
    Role: str
    Rules: list[ReplicationRule]

class ReplicationRule(TypedDict, total=False):
    ID: str
    Priority: int
    Prefix: str
    Filter: ReplicationRuleFilter
    Status: str
    SourceSelectionCriteria: SourceSelectionCriteria
    ExistingObjectReplication: ExistingObjectReplication
    Destination: Destination
    DeleteMarkerReplication: DeleteMarkerReplication

class ReplicationRuleAndOperator(TypedDict, total=False):
    Prefix: str
    Tags: list[Tag]
    Not: ReplicationRuleNotOperator

class ReplicationRuleFilter(TypedDict, total=False):
    Prefix: str
    Tag: Tag
    And: ReplicationRuleAndOperator
    Not: ReplicationRuleNotOperator

class ReplicationRuleNotOperator(TypedDict, total=False):
    Prefix: str
    Tag: Tag
    Or: ReplicationRuleOrOperator

class ReplicationRuleOrOperator(TypedDict, total=False):
    Prefixes: list[str]
    Tags: list[Tag]

class ReplicationTime(TypedDict, total=False):
    Status: str
    Time: ReplicationTimeValue

class ReplicationTimeValue(TypedDict, total=False):
    Minutes: int

class RequestPaymentConfiguration(TypedDict, total=False):
    Payer: Required[str]

class RestoreStatus(TypedDict, total=False):
    IsRestoreInProgress: bool
    RestoreExpiryDate: int

class RoutingRule(TypedDict, total=False):
    Condition: Condition
    Redirect: Redirect

class S3KeyFilter(TypedDict, total=False):
    FilterRules: list[FilterRule]

class SSEKMS(TypedDict, total=False):
    KeyId: str

class SSES3(TypedDict, total=False):
    pass

class ServerSideEncryptionByDefault(TypedDict, total=False):
    SSEAlgorithm: Required[str]
    KMSMasterKeyID: str

class ServerSideEncryptionConfiguration(TypedDict, total=False):
    Rules: Required[list[ServerSideEncryptionRule]]

class ServerSideEncryptionRule(TypedDict, total=False):
    ApplyServerSideEncryptionByDefault: ServerSideEncryptionByDefault
    BucketKeyEnabled: bool
    BlockedEncryptionTypes: BlockedEncryptionTypes

class SimplePrefix(TypedDict, total=False):
    pass

class SourceSelectionCriteria(TypedDict, total=False):
    SseKmsEncryptedObjects: SseKmsEncryptedObjects
    ReplicaModifications: ReplicaModifications

class SseKmsEncryptedObjects(TypedDict, total=False):
    Status: str

class StorageClassAnalysis(TypedDict, total=False):
    DataExport: StorageClassAnalysisDataExport

class StorageClassAnalysisDataExport(TypedDict, total=False):
    OutputSchemaVersion: str
    Destination: AnalyticsExportDestination

class Tag(TypedDict, total=False):
    Key: Required[str]
    Value: Required[str]

class Tagging(TypedDict, total=False):
    TagSet: Required[list[Tag]]

class TargetGrant(TypedDict, total=False):
    Grantee: Grantee
    Permission: str

class TargetObjectKeyFormat(TypedDict, total=False):
    SimplePrefix: SimplePrefix
    PartitionedPrefix: PartitionedPrefix

class Tiering(TypedDict, total=False):
    Days: int
    AccessTier: str

class TopicConfiguration(TypedDict, total=False):
    Id: str
    TopicArn: Required[str]
    Events: Required[list[str]]
    Filter: NotificationConfigurationFilter

class Transition(TypedDict, total=False):
    Date: int
    Days: int
    StorageClass: str

class UploadPartCopyOutput(TypedDict, total=False):
    CopySourceVersionId: str
    CopyPartResult: CopyPartResult
    ServerSideEncryption: str
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    BucketKeyEnabled: bool
    RequestCharged: str
    VersionId: str

class UploadPartCopyRequest(TypedDict, total=False):
    Bucket: Required[str]
    CopySource: Required[str]
    CopySourceIfMatch: str
    CopySourceIfModifiedSince: int
    CopySourceIfNoneMatch: str
    CopySourceIfUnmodifiedSince: int
    CopySourceRange: str
    Key: Required[str]
    PartNumber: Required[int]
    UploadId: Required[str]
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    CopySourceSSECustomerAlgorithm: str
    CopySourceSSECustomerKey: str
    CopySourceSSECustomerKeyMD5: str
    RequestPayer: str
    ExpectedBucketOwner: str
    ExpectedSourceBucketOwner: str

class UploadPartOutput(TypedDict, total=False):
    ServerSideEncryption: str
    ETag: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str
    SSEKMSKeyId: str
    BucketKeyEnabled: bool
    RequestCharged: str
    VersionId: str

class UploadPartRequest(TypedDict, total=False):
    Body: bytes | BodyStream
    Bucket: Required[str]
    ContentLength: int
    ContentMD5: str
    ChecksumAlgorithm: str
    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str
    Key: Required[str]
    PartNumber: Required[int]
    UploadId: Required[str]
    SSECustomerAlgorithm: str
    SSECustomerKey: str
    SSECustomerKeyMD5: str
    RequestPayer: str
    ExpectedBucketOwner: str

class UseSourceMultiRegionKey(TypedDict, total=False):
    Status: str

class VersioningConfiguration(TypedDict, total=False):
    MFADelete: str
    Status: str
