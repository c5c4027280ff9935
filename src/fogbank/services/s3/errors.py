"""The errors of S3, named as on the wire, with the words AWS uses.

Source: Amazon S3 API Reference, "Error responses", and answers recorded from AWS by LocalStack's
snapshot tests (tests/aws/services/s3/*.snapshot.json). The published model declares few of them,
so each says its HTTP status itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fogbank.base.errors import ServiceError


class S3Error(ServiceError):
    """An error of S3 with the message AWS gives unless the place that raises it knows better."""

    text: ClassVar[str] = ""
    status = 400

    def __init__(self, message: str = "", **members: Any) -> None:
        super().__init__(message or self.text, **members)


class AccessControlListNotSupported(S3Error):
    """The owner of the bucket owns all that is in it: lists do not count."""

    text = "The bucket does not allow ACLs"


class AccessPointAlreadyOwnedByYou(S3Error):
    """The account has an access point of that name in the region."""

    status = 409
    text = "Your previous request to create the named accesspoint succeeded and you already own it."


class BadDigest(S3Error):
    """A digest or checksum that the client sent is not that of the bytes it sent."""

    text = "The Content-MD5 you specified did not match what we received."


class BadRequest(S3Error):
    """More tags than there may be."""


class BucketAlreadyExists(S3Error):
    """The name belongs to another account."""

    status = 409
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all users "
        "of the system. Please select a different name and try again."
    )


class BucketAlreadyOwnedByYou(S3Error):
    """The name belongs to the caller's account already."""

    status = 409
    text = "Your previous request to create the named bucket succeeded and you already own it."


class BucketHasAccessPointsAttached(S3Error):
    """A bucket with access points is not deleted."""

    text = (
        "The bucket you are trying to delete has access points attached. Delete your access points "
        "and try again."
    )


class BucketNotEmpty(S3Error):
    """A bucket that holds objects is not deleted."""

    status = 409
    text = "The bucket you tried to delete is not empty"


class EncryptionTypeMismatch(S3Error):
    """An append asks for another encryption than the object has."""

    text = (
        "The existing object was created with a different encryption type. Subsequent write "
        "requests must include the appropriate encryption parameters in the request or while "
        "creating the session."
    )


class EntityTooLarge(S3Error):
    """The body is larger than one request may carry."""

    text = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(S3Error):
    """A part that is not the last has less than 5 MiB."""

    text = "Your proposed upload is smaller than the minimum allowed size"


class IdempotencyParameterMismatch(S3Error):
    """A token was used for another request before."""

    text = (
        "Parameters on this idempotent request are inconsistent with parameters used in previous "
        "request(s)."
    )


class IllegalLocationConstraintException(S3Error):
    """The region asked for does not go with the endpoint that was called."""


class IllegalVersioningConfigurationException(S3Error):
    """A versioning configuration that does not say what it should be."""

    text = "The Versioning element must be specified"


class IncompleteBody(S3Error):
    """The body is not as long as its declared length."""

    text = "The request body terminated unexpectedly"


class InvalidArgument(S3Error):
    """A value that S3 cannot take."""

    text = "Invalid Argument"


class InvalidBucketAclWithBlockPublicAccessError(S3Error):
    """A new bucket blocks public access: its list cannot let the public in."""

    text = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"


class InvalidBucketAclWithObjectOwnership(S3Error):
    """Where the bucket's owner owns everything, no list lets anybody else in."""

    text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"


class InvalidBucketName(S3Error):
    """The name breaks the rules of bucket names."""

    text = "The specified bucket is not valid."


class InvalidBucketOwnerAWSAccountID(S3Error):
    """The expected owner is not an account id."""


class InvalidBucketState(S3Error):
    """The bucket's versions and its Object Lock do not go together with what is asked."""

    status = 409


class InvalidDigest(S3Error):
    """Content-MD5 is not the Base64 of an MD5 digest."""

    text = "The Content-MD5 you specified was invalid."


class InvalidEncryptionAlgorithmError(S3Error):
    """A client's key is for another algorithm than AES-256."""

    text = "The encryption request you specified is not valid. The valid value is AES256."


class InvalidLocationConstraint(S3Error):
    """There is no such region to create buckets in."""

    text = "The specified location-constraint is not valid"


class InvalidPart(S3Error):
    """A listed part was not uploaded, or is another one by now."""

    text = (
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag."
    )


class InvalidPartNumber(S3Error):
    """The object has no part of that number."""

    status = 416
    text = "The requested partnumber is not satisfiable"


class InvalidPartOrder(S3Error):
    """Parts are completed in ascending order."""

    text = "The list of parts was not in ascending order. Parts must be ordered by part number."


class InvalidRange(S3Error):
    """The range begins behind the end of the object."""

    status = 416
    text = "The requested range is not satisfiable"


class InvalidRetentionPeriod(S3Error):
    """A default retention of no days, or of more than a hundred years."""

    text = "The retention period must be a positive integer value."


class InvalidTag(S3Error):
    """A tag that cannot be, or a key that is given twice."""


class CrossLocationLoggingProhibitted(S3Error):
    """Records are delivered in the region of their bucket (AWS writes the code so)."""

    status = 403
    text = "Cross S3 location logging not allowed. "


class InvalidTargetBucketForLogging(S3Error):
    """The target of a log is none, another account's, or does not let records be delivered."""


class InvalidURI(S3Error):
    """The name of an access point breaks the rules."""

    text = "Couldn't parse the specified URI."


class InvalidRequest(S3Error):
    """A request that makes no sense as a whole."""


class InvalidWriteOffset(S3Error):
    """An append does not begin where the object ends."""

    text = "The write offset value that you specified does not match the current object size."


class KeyTooLongError(S3Error):
    """A key has at most 1,024 bytes of UTF-8."""

    text = "Your key is too long"


class KMSDisabledException(S3Error):
    """The KMS key of an object is disabled."""

    code = "KMS.DisabledException"


class KMSKMSInvalidStateException(S3Error):
    """The KMS key of an object cannot be used as things are: it is to be deleted."""

    code = "KMS.KMSInvalidStateException"


class KMSNotFoundException(S3Error):
    """There is no such KMS key where the bucket lies."""

    code = "KMS.NotFoundException"


class MalformedACLError(S3Error):
    """The document is no access control list."""

    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )


class MalformedPolicy(S3Error):
    """The document is no policy of this bucket."""


class MalformedXML(S3Error):
    """The document is not what the schema asks for."""

    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )


class MetadataTooLarge(S3Error):
    """User metadata has at most 2 KB."""

    text = "Your metadata headers exceed the maximum allowed metadata size"


class MissingSecurityHeader(S3Error):
    """The request does not say what it asks for."""

    text = "Your request was missing a required header"


class MethodNotAllowed(S3Error):
    """What is named is there, and cannot be done that with: a delete marker is not read."""

    status = 405
    text = "The specified method is not allowed against this resource."


class NoSuchAccessPoint(S3Error):
    """There is no access point of that name."""

    status = 404
    text = "The specified accesspoint does not exist"


class NoSuchAccessPointPolicy(S3Error):
    """The access point has no policy."""

    status = 404
    text = "The specified accesspoint does not have a policy"


class NoSuchBucket(S3Error):
    """There is no bucket of that name."""

    status = 404
    text = "The specified bucket does not exist"


class NoSuchBucketPolicy(S3Error):
    """The bucket has no policy."""

    status = 404
    text = "The bucket policy does not exist"


class NoSuchCORSConfiguration(S3Error):
    """The bucket has no CORS configuration."""

    status = 404
    text = "The CORS configuration does not exist"


class NoSuchConfiguration(S3Error):
    """The bucket has no configuration of that id."""

    status = 404
    text = "The specified configuration does not exist."


class NoSuchKey(S3Error):
    """There is no object at that key."""

    status = 404
    text = "The specified key does not exist."


class NoSuchLifecycleConfiguration(S3Error):
    """The bucket has no lifecycle configuration."""

    status = 404
    text = "The lifecycle configuration does not exist"


class NoSuchObjectLockConfiguration(S3Error):
    """The version has no retention, or never had a legal hold."""

    status = 404
    text = "The specified object does not have a ObjectLock configuration"


class NoSuchTagSet(S3Error):
    """The bucket has no tags."""

    status = 404
    text = "The TagSet does not exist"


class NoSuchPublicAccessBlockConfiguration(S3Error):
    """Nothing of the bucket is blocked."""

    status = 404
    text = "The public access block configuration was not found"


class NoSuchUpload(S3Error):
    """There is no upload of that id at that key."""

    status = 404
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed."
    )


class NoSuchVersion(S3Error):
    """There is no such version of the object."""

    status = 404
    text = "The specified version does not exist."


class NoSuchWebsiteConfiguration(S3Error):
    """The bucket is no website."""

    status = 404
    text = "The specified bucket does not have a website configuration"


class NotModified(S3Error):
    """The client's copy is still good: status 304, no body."""

    status = 304
    text = "Not Modified"


class ObjectLockConfigurationNotFoundError(S3Error):
    """The bucket has no Object Lock."""

    status = 404
    text = "Object Lock configuration does not exist for this bucket"


class OperationAborted(S3Error):
    """Another operation on the same bucket is under way."""

    status = 409
    text = (
        "A conflicting conditional operation is currently in progress against this resource. "
        "Please try again."
    )


class OwnershipControlsNotFoundError(S3Error):
    """The bucket does not say who owns its objects: whoever writes them."""

    status = 404
    text = "The bucket ownership controls were not found"


class PermanentRedirect(S3Error):
    """The bucket lies in another region than the one that was asked: the reply says which."""

    status = 301
    text = (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )


class PreconditionFailed(S3Error):
    """A condition of the request does not hold."""

    status = 412
    text = "At least one of the pre-conditions you specified did not hold"


class ServerSideEncryptionConfigurationNotFoundError(S3Error):
    """The bucket has no default encryption."""

    status = 404
    text = "The server side encryption configuration was not found"


class ReplicationConfigurationNotFoundError(S3Error):
    """The bucket is not replicated."""

    status = 404
    text = "The replication configuration was not found"


class TooManyAccessPoints(S3Error):
    """The account has as many access points in the region as it may."""

    text = "You have attempted to create more access points than allowed"


class TooManyBuckets(S3Error):
    """The account has as many buckets as it may have."""

    text = "You have attempted to create more buckets than allowed"


class TooManyConfigurations(S3Error):
    """The bucket has as many configurations of the kind as it may."""

    text = (
        "You are attempting to create a new configuration but have already reached the "
        "1,000-configuration limit."
    )


class TooManyParts(S3Error):
    """An object has as many parts as there may be: no append adds one."""

    text = (
        "You have attempted to add more parts than the maximum of 10000 that are allowed for this "
        "object. You can use the CopyObject operation to copy this object to another and then add "
        "more data to the newly copied object."
    )


class UnexpectedContent(S3Error):
    """The request has a body beside the headers that say the same."""

    text = "This request does not support content"


class UnresolvableGrantByEmailAddress(S3Error):
    """No account has the address."""

    text = "The e-mail address you provided does not match any account on record."
