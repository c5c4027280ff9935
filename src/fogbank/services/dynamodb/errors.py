"""The errors DynamoDB tells, each named as its wire code."""

from __future__ import annotations

from fogbank.base.errors import ServiceError


class AccessDeniedException(ServiceError):
    """The resource is another account's; the model does not list this error."""

    status = 400


class ValidationException(ServiceError):
    """The request breaks a rule that DynamoDB states; the model does not list this error."""

    status = 400


class ExpiredIteratorException(ServiceError):
    """An iterator of a shard is older than it may be."""


class TrimmedDataAccessException(ServiceError):
    """A place in a stream lies before its oldest record."""


class BackupInUseException(ServiceError):
    """The backup is being made, or a table is being restored from it."""


class BackupNotFoundException(ServiceError):
    """There is no such backup."""


class ConditionalCheckFailedException(ServiceError):
    """The condition of a write does not hold for the item as it is."""


class DuplicateItemException(ServiceError):
    """An INSERT names the key of an item that is there."""


class GlobalTableNotFoundException(ServiceError):
    """There is no such global table of 2017."""


class IdempotentParameterMismatchException(ServiceError):
    """A token came before, with another request."""


class ExportConflictException(ServiceError):
    """An export's token came before, with another request."""


class ExportNotFoundException(ServiceError):
    """There is no such export."""


class InvalidExportTimeException(ServiceError):
    """The time of an export lies outside of those to which the table can be restored."""


class ImportConflictException(ServiceError):
    """An import's token came before, with another request."""


class ImportNotFoundException(ServiceError):
    """There is no such import."""


class InvalidRestoreTimeException(ServiceError):
    """The table is not to be had as of that time."""


class InternalServerError(ServiceError):
    """What DynamoDB tells of a key that no item can be sealed with: AWS's own choice."""

    status = 500


class ItemCollectionSizeLimitExceededException(ServiceError):
    """The items of one partition key, with their entries in local indexes, have become too large."""


class LimitExceededException(ServiceError):
    """A limit of the account has been reached."""


class PointInTimeRecoveryUnavailableException(ServiceError):
    """The table does not keep its history."""


class PolicyNotFoundException(ServiceError):
    """The resource has no policy, or not the one that is expected."""


class ProvisionedThroughputExceededException(ServiceError):
    """Provisioned units are used up for now."""


class ResourceInUseException(ServiceError):
    """The table exists already, or is in a state that forbids the change."""


class ResourceNotFoundException(ServiceError):
    """There is no such table."""


class TableAlreadyExistsException(ServiceError):
    """There is a table of the name that a restored one is to have."""


class TableInUseException(ServiceError):
    """The table is being restored."""


class TableNotFoundException(ServiceError):
    """There is no such table, as the operations on backups say it."""


class ThrottlingException(ServiceError):
    """The maximum of an on-demand table or index, or what one partition may take, is used up."""


class TransactionCanceledException(ServiceError):
    """A part of a transaction could not be done, and so none of it was."""
