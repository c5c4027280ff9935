"""The errors CloudWatch Logs tells, each named as its wire code."""

from __future__ import annotations

from fogbank.base.errors import ServiceError


class InvalidParameterException(ServiceError):
    """A parameter is not what it may be."""


class ResourceAlreadyExistsException(ServiceError):
    """There is a group or stream of that name."""


class ResourceNotFoundException(ServiceError):
    """There is no such group or stream."""
