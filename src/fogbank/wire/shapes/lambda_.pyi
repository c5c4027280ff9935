"""Wire values of lambda: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""

from __future__ import annotations
from typing import Any, Required, TypedDict
from fogbank.wire.http import BodyStream

class AcceleratorConfig(TypedDict, total=False):
    AcceleratorMemorySize: Required[int]

class AccountLimit(TypedDict, total=False):
    TotalCodeSize: int
    CodeSizeUnzipped: int
    CodeSizeZipped: int
    ConcurrentExecutions: int
    UnreservedConcurrentExecutions: int

class AccountUsage(TypedDict, total=False):
    TotalCodeSize: int
    FunctionCount: int

class AddLayerVersionPermissionRequest(TypedDict, total=False):
    LayerName: Required[str]
    VersionNumber: Required[int]
    StatementId: Required[str]
    Action: Required[str]
    Principal: Required[str]
    OrganizationId: str
    RevisionId: str

class AddLayerVersionPermissionResponse(TypedDict, total=False):
    Statement: str
    RevisionId: str

class AddPermissionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    StatementId: Required[str]
    Action: Required[str]
    Principal: Required[str]
    SourceArn: str
    FunctionUrlAuthType: str
    InvokedViaFunctionUrl: bool
    SourceAccount: str
    EventSourceToken: str
    Qualifier: str
    RevisionId: str
    PrincipalOrgID: str

class AddPermissionResponse(TypedDict, total=False):
    Statement: str

class AliasConfiguration(TypedDict, total=False):
    AliasArn: str
    Name: str
    FunctionVersion: str
    Description: str
    RoutingConfig: AliasRoutingConfiguration
    RevisionId: str

class AliasRoutingConfiguration(TypedDict, total=False):
    AdditionalVersionWeights: dict[str, float]

class AmazonManagedKafkaEventSourceConfig(TypedDict, total=False):
    ConsumerGroupId: str
    SchemaRegistryConfig: KafkaSchemaRegistryConfig

class CapacityProviderConfig(TypedDict, total=False):
    LambdaManagedInstancesCapacityProviderConfig: Required[LambdaManagedInstancesCapacityProviderConfig]

class Concurrency(TypedDict, total=False):
    ReservedConcurrentExecutions: int

class Cors(TypedDict, total=False):
    AllowCredentials: bool
    AllowHeaders: list[str]
    AllowMethods: list[str]
    AllowOrigins: list[str]
    ExposeHeaders: list[str]
    MaxAge: int

class CreateAliasRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Name: Required[str]
    FunctionVersion: Required[str]
    Description: str
    RoutingConfig: AliasRoutingConfiguration

class CreateEventSourceMappingRequest(TypedDict, total=False):
    EventSourceArn: str
    FunctionName: Required[str]
    Enabled: bool
    BatchSize: int
    FilterCriteria: FilterCriteria
    KMSKeyArn: str
    MetricsConfig: EventSourceMappingMetricsConfig
    LoggingConfig: EventSourceMappingLoggingConfig
    ScalingConfig: ScalingConfig
    MaximumBatchingWindowInSeconds: int
    ParallelizationFactor: int
    StartingPosition: str
    StartingPositionTimestamp: int
    DestinationConfig: DestinationConfig
    MaximumRecordAgeInSeconds: int
    BisectBatchOnFunctionError: bool
    MaximumRetryAttempts: int
    Tags: dict[str, str]
    TumblingWindowInSeconds: int
    Topics: list[str]
    Queues: list[str]
    SourceAccessConfigurations: list[SourceAccessConfiguration]
    SelfManagedEventSource: SelfManagedEventSource
    FunctionResponseTypes: list[str]
    AmazonManagedKafkaEventSourceConfig: AmazonManagedKafkaEventSourceConfig
    SelfManagedKafkaEventSourceConfig: SelfManagedKafkaEventSourceConfig
    DocumentDBEventSourceConfig: DocumentDBEventSourceConfig
    ProvisionedPollerConfig: ProvisionedPollerConfig

class CreateFunctionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Runtime: str
    Role: Required[str]
    Handler: str
    Code: Required[FunctionCode]
    Description: str
    Timeout: int
    MemorySize: int
    Publish: bool
    PublishTo: str
    VpcConfig: VpcConfig
    PackageType: str
    DeadLetterConfig: DeadLetterConfig
    Environment: Environment
    KMSKeyArn: str
    TracingConfig: TracingConfig
    Tags: dict[str, str]
    Layers: list[str]
    FileSystemConfigs: list[FileSystemConfig]
    CodeSigningConfigArn: str
    ImageConfig: ImageConfig
    Architectures: list[str]
    EphemeralStorage: EphemeralStorage
    SnapStart: SnapStart
    LoggingConfig: LoggingConfig
    TenancyConfig: TenancyConfig
    CapacityProviderConfig: CapacityProviderConfig
    DurableConfig: DurableConfig
    RuntimeConfig: FunctionRuntimeConfig
    AcceleratorConfig: AcceleratorConfig

class CreateFunctionUrlConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str
    AuthType: Required[str]
    Cors: Cors
    InvokeMode: str

class CreateFunctionUrlConfigResponse(TypedDict, total=False):
    FunctionUrl: str
    FunctionArn: str
    AuthType: str
    Cors: Cors
    CreationTime: str
    InvokeMode: str

class DeadLetterConfig(TypedDict, total=False):
    TargetArn: str

class DeleteAliasRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Name: Required[str]

class DeleteEventSourceMappingRequest(TypedDict, total=False):
    UUID: Required[str]

class DeleteFunctionConcurrencyRequest(TypedDict, total=False):
    FunctionName: Required[str]

class DeleteFunctionEventInvokeConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class DeleteFunctionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class DeleteFunctionResponse(TypedDict, total=False):
    StatusCode: int

class DeleteFunctionUrlConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class DeleteLayerVersionRequest(TypedDict, total=False):
    LayerName: Required[str]
    VersionNumber: Required[int]

class DeleteProvisionedConcurrencyConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: Required[str]

class DeleteResourcePolicyRequest(TypedDict, total=False):
    ResourceArn: Required[str]
    RevisionId: str

class DestinationConfig(TypedDict, total=False):
    OnSuccess: OnSuccess
    OnFailure: OnFailure

class DocumentDBEventSourceConfig(TypedDict, total=False):
    DatabaseName: str
    CollectionName: str
    FullDocument: str

class DurableConfig(TypedDict, total=False):
    KMSKeyArn: str
    RetentionPeriodInDays: int
    ExecutionTimeout: int

class Environment(TypedDict, total=False):
    Variables: dict[str, str]

class EnvironmentError(TypedDict, total=False):
    ErrorCode: str
    Message: str

class EnvironmentResponse(TypedDict, total=False):
    Variables: dict[str, str]
    Error: EnvironmentError

class EphemeralStorage(TypedDict, total=False):
    Size: Required[int]

class EventSourceMappingConfiguration(TypedDict, total=False):
    UUID: str
    StartingPosition: str
    StartingPositionTimestamp: int
    BatchSize: int
    MaximumBatchingWindowInSeconds: int
    ParallelizationFactor: int
    EventSourceArn: str
    FilterCriteria: FilterCriteria
    FilterCriteriaError: FilterCriteriaError
    KMSKeyArn: str
    MetricsConfig: EventSourceMappingMetricsConfig
    LoggingConfig: EventSourceMappingLoggingConfig
    ScalingConfig: ScalingConfig
    FunctionArn: str
    LastModified: int
    LastProcessingResult: str
    State: str
    StateTransitionReason: str
    DestinationConfig: DestinationConfig
    Topics: list[str]
    Queues: list[str]
    SourceAccessConfigurations: list[SourceAccessConfiguration]
    SelfManagedEventSource: SelfManagedEventSource
    MaximumRecordAgeInSeconds: int
    BisectBatchOnFunctionError: bool
    MaximumRetryAttempts: int
    TumblingWindowInSeconds: int
    FunctionResponseTypes: list[str]
    AmazonManagedKafkaEventSourceConfig: AmazonManagedKafkaEventSourceConfig
    SelfManagedKafkaEventSourceConfig: SelfManagedKafkaEventSourceConfig
    DocumentDBEventSourceConfig: DocumentDBEventSourceConfig
    EventSourceMappingArn: str
    ProvisionedPollerConfig: ProvisionedPollerConfig

class EventSourceMappingLoggingConfig(TypedDict, total=False):
    SystemLogLevel: str

class EventSourceMappingMetricsConfig(TypedDict, total=False):
    Metrics: list[str]

class FileSystemConfig(TypedDict, total=False):
    Arn: Required[str]
    LocalMountPath: Required[str]
    S3FilesConfig: S3FilesConfig

class Filter(TypedDict, total=False):
    Pattern: str

class FilterCriteria(TypedDict, total=False):
    Filters: list[Filter]

class FilterCriteriaError(TypedDict, total=False):
    ErrorCode: str
    Message: str

class FunctionCode(TypedDict, total=False):
    ZipFile: bytes
    S3Bucket: str
    S3Key: str
    S3ObjectVersion: str
    S3ObjectStorageMode: str
    ImageUri: str
    SourceKMSKeyArn: str

class FunctionCodeLocation(TypedDict, total=False):
    RepositoryType: str
    Location: str
    ImageUri: str
    ResolvedImageUri: str
    ResolvedS3Object: ResolvedS3Object
    SourceKMSKeyArn: str
    Error: FunctionCodeLocationError

class FunctionCodeLocationError(TypedDict, total=False):
    ErrorCode: str
    Message: str

class FunctionConfiguration(TypedDict, total=False):
    FunctionName: str
    FunctionArn: str
    Runtime: str
    Role: str
    Handler: str
    CodeSize: int
    Description: str
    Timeout: int
    MemorySize: int
    LastModified: str
    CodeSha256: str
    Version: str
    VpcConfig: VpcConfigResponse
    DeadLetterConfig: DeadLetterConfig
    Environment: EnvironmentResponse
    KMSKeyArn: str
    TracingConfig: TracingConfigResponse
    MasterArn: str
    RevisionId: str
    Layers: list[Layer]
    State: str
    StateReason: str
    StateReasonCode: str
    LastUpdateStatus: str
    LastUpdateStatusReason: str
    LastUpdateStatusReasonCode: str
    FileSystemConfigs: list[FileSystemConfig]
    SigningProfileVersionArn: str
    SigningJobArn: str
    PackageType: str
    ImageConfigResponse: ImageConfigResponse
    Architectures: list[str]
    EphemeralStorage: EphemeralStorage
    SnapStart: SnapStartResponse
    RuntimeVersionConfig: RuntimeVersionConfig
    LoggingConfig: LoggingConfig
    TenancyConfig: TenancyConfig
    CapacityProviderConfig: CapacityProviderConfig
    ConfigSha256: str
    DurableConfig: DurableConfig
    RuntimeConfig: FunctionRuntimeConfig
    AcceleratorConfig: AcceleratorConfig

class FunctionEventInvokeConfig(TypedDict, total=False):
    LastModified: int
    FunctionArn: str
    MaximumRetryAttempts: int
    MaximumEventAgeInSeconds: int
    DestinationConfig: DestinationConfig

class FunctionRuntimeConfig(TypedDict, total=False):
    RuntimeArn: Required[str]
    RuntimeAlias: Required[str]

class FunctionUrlConfig(TypedDict, total=False):
    FunctionUrl: str
    FunctionArn: str
    CreationTime: str
    LastModifiedTime: str
    Cors: Cors
    AuthType: str
    InvokeMode: str

class GetAccountSettingsRequest(TypedDict, total=False):
    pass

class GetAccountSettingsResponse(TypedDict, total=False):
    AccountLimit: AccountLimit
    AccountUsage: AccountUsage

class GetAliasRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Name: Required[str]

class GetEventSourceMappingRequest(TypedDict, total=False):
    UUID: Required[str]

class GetFunctionConcurrencyRequest(TypedDict, total=False):
    FunctionName: Required[str]

class GetFunctionConcurrencyResponse(TypedDict, total=False):
    ReservedConcurrentExecutions: int

class GetFunctionConfigurationRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class GetFunctionEventInvokeConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class GetFunctionRecursionConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]

class GetFunctionRecursionConfigResponse(TypedDict, total=False):
    RecursiveLoop: str

class GetFunctionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class GetFunctionResponse(TypedDict, total=False):
    Configuration: FunctionConfiguration
    Code: FunctionCodeLocation
    Tags: dict[str, str]
    TagsError: TagsError
    Concurrency: Concurrency

class GetFunctionUrlConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class GetFunctionUrlConfigResponse(TypedDict, total=False):
    FunctionUrl: str
    FunctionArn: str
    AuthType: str
    Cors: Cors
    CreationTime: str
    LastModifiedTime: str
    InvokeMode: str

class GetLayerVersionByArnRequest(TypedDict, total=False):
    Arn: Required[str]

class GetLayerVersionPolicyRequest(TypedDict, total=False):
    LayerName: Required[str]
    VersionNumber: Required[int]

class GetLayerVersionPolicyResponse(TypedDict, total=False):
    Policy: str
    RevisionId: str

class GetLayerVersionRequest(TypedDict, total=False):
    LayerName: Required[str]
    VersionNumber: Required[int]

class GetLayerVersionResponse(TypedDict, total=False):
    Content: LayerVersionContentOutput
    LayerArn: str
    LayerVersionArn: str
    Description: str
    CreatedDate: str
    Version: int
    CompatibleArchitectures: list[str]
    CompatibleRuntimes: list[str]
    LicenseInfo: str

class GetPolicyRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class GetPolicyResponse(TypedDict, total=False):
    Policy: str
    RevisionId: str

class GetProvisionedConcurrencyConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: Required[str]

class GetProvisionedConcurrencyConfigResponse(TypedDict, total=False):
    RequestedProvisionedConcurrentExecutions: int
    AvailableProvisionedConcurrentExecutions: int
    AllocatedProvisionedConcurrentExecutions: int
    Status: str
    StatusReason: str
    LastModified: str

class GetResourcePolicyRequest(TypedDict, total=False):
    ResourceArn: Required[str]

class GetResourcePolicyResponse(TypedDict, total=False):
    Policy: str
    RevisionId: str

class GetRuntimeManagementConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str

class GetRuntimeManagementConfigResponse(TypedDict, total=False):
    UpdateRuntimeOn: str
    FunctionArn: str
    RuntimeVersionArn: str

class ImageConfig(TypedDict, total=False):
    EntryPoint: list[str]
    Command: list[str]
    WorkingDirectory: str

class ImageConfigError(TypedDict, total=False):
    ErrorCode: str
    Message: str

class ImageConfigResponse(TypedDict, total=False):
    ImageConfig: ImageConfig
    Error: ImageConfigError

class InvocationRequest(TypedDict, total=False):
    FunctionName: Required[str]
    InvocationType: str
    LogType: str
    ClientContext: str
    DurableExecutionName: str
    Payload: bytes
    Qualifier: str
    TenantId: str

class InvocationResponse(TypedDict, total=False):
    StatusCode: int
    FunctionError: str
    LogResult: str
    Payload: bytes
    ExecutedVersion: str
    DurableExecutionArn: str

class InvokeAsyncRequest(TypedDict, total=False):
    FunctionName: Required[str]
    InvokeArgs: Required[bytes | BodyStream]

class InvokeAsyncResponse(TypedDict, total=False):
    Status: int

class InvokeResponseStreamUpdate(TypedDict, total=False):
    Payload: bytes

class InvokeWithResponseStreamCompleteEvent(TypedDict, total=False):
    ErrorCode: str
    ErrorDetails: str
    LogResult: str

class InvokeWithResponseStreamRequest(TypedDict, total=False):
    FunctionName: Required[str]
    LogType: str
    ClientContext: str
    Qualifier: str
    Payload: bytes
    TenantId: str
    InvocationType: str

class InvokeWithResponseStreamResponse(TypedDict, total=False):
    StatusCode: int
    ExecutedVersion: str
    EventStream: Any
    ResponseStreamContentType: str

class KafkaSchemaRegistryAccessConfig(TypedDict, total=False):
    Type: str
    URI: str

class KafkaSchemaRegistryConfig(TypedDict, total=False):
    SchemaRegistryURI: str
    EventRecordFormat: str
    AccessConfigs: list[KafkaSchemaRegistryAccessConfig]
    SchemaValidationConfigs: list[KafkaSchemaValidationConfig]

class KafkaSchemaValidationConfig(TypedDict, total=False):
    Attribute: str

class LambdaManagedInstancesCapacityProviderConfig(TypedDict, total=False):
    CapacityProviderArn: Required[str]
    PerExecutionEnvironmentMaxConcurrency: int
    ExecutionEnvironmentMemoryGiBPerVCpu: float

class Layer(TypedDict, total=False):
    Arn: str
    CodeSize: int
    SigningProfileVersionArn: str
    SigningJobArn: str

class LayerVersionContentInput(TypedDict, total=False):
    S3Bucket: str
    S3Key: str
    S3ObjectVersion: str
    S3ObjectStorageMode: str
    ZipFile: bytes

class LayerVersionContentOutput(TypedDict, total=False):
    Location: str
    CodeSha256: str
    CodeSize: int
    SigningProfileVersionArn: str
    SigningJobArn: str
    ResolvedS3Object: ResolvedS3Object

class LayerVersionsListItem(TypedDict, total=False):
    LayerVersionArn: str
    Version: int
    Description: str
    CreatedDate: str
    CompatibleArchitectures: list[str]
    CompatibleRuntimes: list[str]
    LicenseInfo: str

class LayersListItem(TypedDict, total=False):
    LayerName: str
    LayerArn: str
    LatestMatchingVersion: LayerVersionsListItem

class ListAliasesRequest(TypedDict, total=False):
    FunctionName: Required[str]
    FunctionVersion: str
    Marker: str
    MaxItems: int

class ListAliasesResponse(TypedDict, total=False):
    NextMarker: str
    Aliases: list[AliasConfiguration]

class ListEventSourceMappingsRequest(TypedDict, total=False):
    EventSourceArn: str
    FunctionName: str
    Marker: str
    MaxItems: int

class ListEventSourceMappingsResponse(TypedDict, total=False):
    NextMarker: str
    EventSourceMappings: list[EventSourceMappingConfiguration]

class ListFunctionEventInvokeConfigsRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Marker: str
    MaxItems: int

class ListFunctionEventInvokeConfigsResponse(TypedDict, total=False):
    FunctionEventInvokeConfigs: list[FunctionEventInvokeConfig]
    NextMarker: str

class ListFunctionUrlConfigsRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Marker: str
    MaxItems: int

class ListFunctionUrlConfigsResponse(TypedDict, total=False):
    FunctionUrlConfigs: list[FunctionUrlConfig]
    NextMarker: str

class ListFunctionsRequest(TypedDict, total=False):
    MasterRegion: str
    FunctionVersion: str
    Marker: str
    MaxItems: int

class ListFunctionsResponse(TypedDict, total=False):
    NextMarker: str
    Functions: list[FunctionConfiguration]

class ListLayerVersionsRequest(TypedDict, total=False):
    CompatibleArchitecture: str
    CompatibleRuntime: str
    LayerName: Required[str]
    Marker: str
    MaxItems: int

class ListLayerVersionsResponse(TypedDict, total=False):
    NextMarker: str
    LayerVersions: list[LayerVersionsListItem]

class ListLayersRequest(TypedDict, total=False):
    CompatibleArchitecture: str
    CompatibleRuntime: str
    Marker: str
    MaxItems: int

class ListLayersResponse(TypedDict, total=False):
    NextMarker: str
    Layers: list[LayersListItem]

class ListProvisionedConcurrencyConfigsRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Marker: str
    MaxItems: int

class ListProvisionedConcurrencyConfigsResponse(TypedDict, total=False):
    ProvisionedConcurrencyConfigs: list[ProvisionedConcurrencyConfigListItem]
    NextMarker: str

class ListTagsRequest(TypedDict, total=False):
    Resource: Required[str]

class ListTagsResponse(TypedDict, total=False):
    Tags: dict[str, str]

class ListVersionsByFunctionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Marker: str
    MaxItems: int

class ListVersionsByFunctionResponse(TypedDict, total=False):
    NextMarker: str
    Versions: list[FunctionConfiguration]

class LoggingConfig(TypedDict, total=False):
    LogFormat: str
    ApplicationLogLevel: str
    SystemLogLevel: str
    LogGroup: str

class OnFailure(TypedDict, total=False):
    Destination: str

class OnSuccess(TypedDict, total=False):
    Destination: str

class ProvisionedConcurrencyConfigListItem(TypedDict, total=False):
    FunctionArn: str
    RequestedProvisionedConcurrentExecutions: int
    AvailableProvisionedConcurrentExecutions: int
    AllocatedProvisionedConcurrentExecutions: int
    Status: str
    StatusReason: str
    LastModified: str

class ProvisionedPollerConfig(TypedDict, total=False):
    MinimumPollers: int
    MaximumPollers: int
    PollerGroupName: str

class PublishLayerVersionRequest(TypedDict, total=False):
    LayerName: Required[str]
    Description: str
    Content: Required[LayerVersionContentInput]
    CompatibleArchitectures: list[str]
    CompatibleRuntimes: list[str]
    LicenseInfo: str

class PublishLayerVersionResponse(TypedDict, total=False):
    Content: LayerVersionContentOutput
    LayerArn: str
    LayerVersionArn: str
    Description: str
    CreatedDate: str
    Version: int
    CompatibleArchitectures: list[str]
    CompatibleRuntimes: list[str]
    LicenseInfo: str

class PublishVersionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    CodeSha256: str
    Description: str
    RevisionId: str
    PublishTo: str

class PutFunctionConcurrencyRequest(TypedDict, total=False):
    FunctionName: Required[str]
    ReservedConcurrentExecutions: Required[int]

class PutFunctionEventInvokeConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str
    MaximumRetryAttempts: int
    MaximumEventAgeInSeconds: int
    DestinationConfig: DestinationConfig

class PutFunctionRecursionConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    RecursiveLoop: Required[str]

class PutFunctionRecursionConfigResponse(TypedDict, total=False):
    RecursiveLoop: str

class PutProvisionedConcurrencyConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: Required[str]
    ProvisionedConcurrentExecutions: Required[int]

class PutProvisionedConcurrencyConfigResponse(TypedDict, total=False):
    RequestedProvisionedConcurrentExecutions: int
    AllocatedProvisionedConcurrentExecutions: int
    AvailableProvisionedConcurrentExecutions: int
    Status: str
    StatusReason: str
    LastModified: str

class PutResourcePolicyRequest(TypedDict, total=False):
    ResourceArn: Required[str]
    Policy: Required[str]
    RevisionId: str

class PutResourcePolicyResponse(TypedDict, total=False):
    Policy: str
    RevisionId: str

class PutRuntimeManagementConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str
    UpdateRuntimeOn: Required[str]
    RuntimeVersionArn: str

class PutRuntimeManagementConfigResponse(TypedDict, total=False):
    UpdateRuntimeOn: str
    FunctionArn: str
    RuntimeVersionArn: str

class RemoveLayerVersionPermissionRequest(TypedDict, total=False):
    LayerName: Required[str]
    VersionNumber: Required[int]
    StatementId: Required[str]
    RevisionId: str

class RemovePermissionRequest(TypedDict, total=False):
    FunctionName: Required[str]
    StatementId: Required[str]
    Qualifier: str
    RevisionId: str

class ResolvedS3Object(TypedDict, total=False):
    S3Bucket: str
    S3Key: str
    S3ObjectVersion: str

class RuntimeVersionConfig(TypedDict, total=False):
    RuntimeVersionArn: str
    Error: RuntimeVersionError

class RuntimeVersionError(TypedDict, total=False):
    ErrorCode: str
    Message: str

class S3FilesConfig(TypedDict, total=False):
    DirectS3Read: str

class ScalingConfig(TypedDict, total=False):
    MaximumConcurrency: int

class SelfManagedEventSource(TypedDict, total=False):
    Endpoints: dict[str, list[str]]

class SelfManagedKafkaEventSourceConfig(TypedDict, total=False):
    ConsumerGroupId: str
    SchemaRegistryConfig: KafkaSchemaRegistryConfig
    ConsumptionMode: str

class SnapStart(TypedDict, total=False):
    ApplyOn: str

class SnapStartResponse(TypedDict, total=False):
    ApplyOn: str
    OptimizationStatus: str

class SourceAccessConfiguration(TypedDict, total=False):
    Type: str
    URI: str

class TagResourceRequest(TypedDict, total=False):
    Resource: Required[str]
    Tags: Required[dict[str, str]]

class TagsError(TypedDict, total=False):
    ErrorCode: str
    Message: str

class TenancyConfig(TypedDict, total=False):
    TenantIsolationMode: Required[str]

class TracingConfig(TypedDict, total=False):
    Mode: str

class TracingConfigResponse(TypedDict, total=False):
    Mode: str

class UntagResourceRequest(TypedDict, total=False):
    Resource: Required[str]
    TagKeys: Required[list[str]]

class UpdateAliasRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Name: Required[str]
    FunctionVersion: str
    Description: str
    RoutingConfig: AliasRoutingConfiguration
    RevisionId: str

class UpdateEventSourceMappingRequest(TypedDict, total=False):
    UUID: Required[str]
    FunctionName: str
    Enabled: bool
    BatchSize: int
    FilterCriteria: FilterCriteria
    KMSKeyArn: str
    MetricsConfig: EventSourceMappingMetricsConfig
    LoggingConfig: EventSourceMappingLoggingConfig
    ScalingConfig: ScalingConfig
    MaximumBatchingWindowInSeconds: int
    ParallelizationFactor: int
    DestinationConfig: DestinationConfig
    MaximumRecordAgeInSeconds: int
    BisectBatchOnFunctionError: bool
    MaximumRetryAttempts: int
    TumblingWindowInSeconds: int
    SourceAccessConfigurations: list[SourceAccessConfiguration]
    FunctionResponseTypes: list[str]
    AmazonManagedKafkaEventSourceConfig: AmazonManagedKafkaEventSourceConfig
    SelfManagedKafkaEventSourceConfig: SelfManagedKafkaEventSourceConfig
    DocumentDBEventSourceConfig: DocumentDBEventSourceConfig
    ProvisionedPollerConfig: ProvisionedPollerConfig

class UpdateFunctionCodeRequest(TypedDict, total=False):
    FunctionName: Required[str]
    ZipFile: bytes
    S3Bucket: str
    S3Key: str
    S3ObjectVersion: str
    S3ObjectStorageMode: str
    ImageUri: str
    Architectures: list[str]
    Publish: bool
    PublishTo: str
    DryRun: bool
    RevisionId: str
    SourceKMSKeyArn: str

class UpdateFunctionConfigurationRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Role: str
    Handler: str
    Description: str
    Timeout: int
    MemorySize: int
    VpcConfig: VpcConfig
    Environment: Environment
    Runtime: str
    DeadLetterConfig: DeadLetterConfig
    KMSKeyArn: str
    TracingConfig: TracingConfig
    RevisionId: str
    Layers: list[str]
    FileSystemConfigs: list[FileSystemConfig]
    ImageConfig: ImageConfig
    EphemeralStorage: EphemeralStorage
    SnapStart: SnapStart
    LoggingConfig: LoggingConfig
    CapacityProviderConfig: CapacityProviderConfig
    DurableConfig: DurableConfig
    RuntimeConfig: FunctionRuntimeConfig
    AcceleratorConfig: AcceleratorConfig

class UpdateFunctionEventInvokeConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str
    MaximumRetryAttempts: int
    MaximumEventAgeInSeconds: int
    DestinationConfig: DestinationConfig

class UpdateFunctionUrlConfigRequest(TypedDict, total=False):
    FunctionName: Required[str]
    Qualifier: str
    AuthType: str
    Cors: Cors
    InvokeMode: str

class UpdateFunctionUrlConfigResponse(TypedDict, total=False):
    FunctionUrl: str
    FunctionArn: str
    AuthType: str
    Cors: Cors
    CreationTime: str
    LastModifiedTime: str
    InvokeMode: str

class VpcConfig(TypedDict, total=False):
    SubnetIds: list[str]
    SecurityGroupIds: list[str]
    Ipv6AllowedForDualStack: bool

class VpcConfigResponse(TypedDict, total=False):
    SubnetIds: list[str]
    SecurityGroupIds: list[str]
    VpcId: str
    Ipv6AllowedForDualStack: bool
