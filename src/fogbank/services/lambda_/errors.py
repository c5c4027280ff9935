"""The errors Lambda tells, each named as its wire code.

Every one of them says whose fault it is: ``Type`` is ``User`` in all that we tell.
"""

from __future__ import annotations

from typing import Any

from fogbank.base.errors import ServiceError


class UserError(ServiceError):
    """What is common to Lambda's errors."""

    def __init__(self, message: str = "", **members: Any) -> None:
        super().__init__(message, **{"Type": "User", **members})


class AccessDeniedException(UserError):
    """The execution role cannot be used; the model does not list this error."""

    status = 403


class AliasLimitExceededException(UserError):
    """A function would have too many aliases."""


class CodeStorageExceededException(UserError):
    """An account would store too much code."""


class InvalidParameterValueException(UserError):
    """A parameter is not what it may be."""


class InvalidRequestContentException(UserError):
    """The payload of an invocation is no JSON."""


class InvalidZipFileException(UserError):
    """The deployment package cannot be unpacked any more."""


class KMSAccessDeniedException(UserError):
    """The role may not have the variables of its function decrypted."""


class KMSDisabledException(UserError):
    """The key that the variables are sealed with is disabled."""


class KMSInvalidStateException(UserError):
    """The key that the variables are sealed with is to be deleted, or has no material."""


class KMSNotFoundException(UserError):
    """The key that the variables are sealed with is gone."""


class PolicyLengthExceededException(UserError):
    """A function's policy would become too long."""


class PreconditionFailedException(UserError):
    """The function is no longer at the revision that the request names."""


class ProvisionedConcurrencyConfigNotFoundException(UserError):
    """Nothing is provisioned of that version or alias."""


class PublicPolicyException(UserError):
    """A policy would let in whoever comes."""


class RecursiveInvocationException(UserError):
    """A function has invoked itself, by whatever way, too often."""


class RequestEntityTooLargeException(ServiceError):
    """A deployment package is too large; the model does not list this error."""

    status = 413


class RequestTooLargeException(UserError):
    """The payload of an invocation is too large."""


class ResourceConflictException(UserError):
    """There is a function or a statement of that name."""


class ResourceNotFoundException(UserError):
    """There is no such function, policy or statement."""


class TooManyRequestsException(UserError):
    """There is no room for another invocation."""
