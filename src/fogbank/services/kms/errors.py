"""The errors KMS tells, each named as its wire code."""

from __future__ import annotations

from typing import ClassVar

from fogbank.base.errors import ServiceError


class AccessDeniedException(ServiceError):
    """The caller may not use the key, or may not know whether there is one."""

    status: ClassVar[int | None] = 400


class AlreadyExistsException(ServiceError):
    """There is an alias of that name."""


class DisabledException(ServiceError):
    """The key is disabled."""


class DryRunOperationException(ServiceError):
    """The request would have succeeded."""


class IncorrectKeyException(ServiceError):
    """The ciphertext is not of the key that the request names."""


class InvalidAliasNameException(ServiceError):
    """No alias can have that name."""


class InvalidArnException(ServiceError):
    """A text is no ARN, or not one of whom it must name."""


class InvalidCiphertextException(ServiceError):
    """The ciphertext is damaged, or its encryption context is another."""


class InvalidGrantIdException(ServiceError):
    """The key has no such grant."""


class InvalidGrantTokenException(ServiceError):
    """A grant token is none that was given out, or its grant is gone."""


class InvalidKeyUsageException(ServiceError):
    """The key is not for that."""


class KMSInvalidMacException(ServiceError):
    """The MAC is not that of the message."""


class KMSInvalidStateException(ServiceError):
    """The key's state does not allow that."""


class LimitExceededException(ServiceError):
    """There are as many as there may be."""


class MalformedPolicyDocumentException(ServiceError):
    """The key policy is not one, or would lock out who puts it."""


class NotAuthorizedException(ServiceError):
    """That is AWS's alone."""

    status: ClassVar[int | None] = 400


class NotFoundException(ServiceError):
    """There is no such key, alias or policy."""


class TagException(ServiceError):
    """The tags are not ones that a key may have."""


class UnsupportedOperationException(ServiceError):
    """Keys of this kind cannot do that."""


class ValidationException(ServiceError):
    """The request is not one that could be meant."""

    status: ClassVar[int | None] = 400
