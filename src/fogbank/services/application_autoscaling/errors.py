"""The errors Application Auto Scaling tells, each named as its wire code."""

from __future__ import annotations

from typing import ClassVar

from fogbank.base.errors import ServiceError


class InvalidNextTokenException(ServiceError):
    """A page does not begin there."""


class LimitExceededException(ServiceError):
    """There are as many as there may be."""


class ObjectNotFoundException(ServiceError):
    """There is no such target, policy or scheduled action."""


class ResourceNotFoundException(ServiceError):
    """There is no scalable target with that ARN."""


class TooManyTagsException(ServiceError):
    """The target would have more tags than one may have."""


class ValidationException(ServiceError):
    """The request is not one that could be meant."""

    status: ClassVar[int | None] = 400
