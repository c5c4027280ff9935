"""The errors IAM tells, each named as its wire code."""

from __future__ import annotations

from fogbank.base.errors import ServiceError


class DeleteConflict(ServiceError):
    """What is to be deleted still has something that must be removed first."""


class EntityAlreadyExists(ServiceError):
    """The name is taken, without regard to case."""


class InvalidAuthenticationCode(ServiceError):
    """The codes are not two of the device, one behind the other."""


class InvalidInput(ServiceError):
    """A value is not acceptable."""


class LimitExceeded(ServiceError):
    """A quota of the account or of the entity is used up."""


class MalformedPolicyDocument(ServiceError):
    """The document is no policy of its kind."""


class NoSuchEntity(ServiceError):
    """There is no such entity."""


class PolicyNotAttachable(ServiceError):
    """The policy is one of a service-linked role, and of no other."""


class UnmodifiableEntity(ServiceError):
    """The role is a service's own: only the service changes it."""


class ValidationError(ServiceError):
    """The request breaks a rule that the model does not state."""

    status = 400
