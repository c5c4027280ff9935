"""The errors STS tells, each named as its wire code."""

from __future__ import annotations

from fogbank.base.errors import ServiceError


class InvalidParameterValue(ServiceError):
    """A value that does not fit the others or the caller."""

    status = 400


class MalformedPolicyDocument(ServiceError):
    """The session policy is no policy."""


class PackedPolicyTooLarge(ServiceError):
    """Session policies and tags are too large together."""


class ValidationError(ServiceError):
    """The request breaks a rule that the model does not state."""

    status = 400
