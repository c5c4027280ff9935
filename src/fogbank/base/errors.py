"""The three kinds of error.

*Client errors* are subclasses of ``ServiceError``: a client may see them, and the class is named
exactly as the wire code. *Weather* is raised by the platform and retried or rendered by the
gateway. Anything else is a bug: logged with the request id, answered ``InternalFailure``.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ServiceError(Exception):
    """A modelled error that a client may see.

    The class name is the wire code unless ``code`` says otherwise; the HTTP status comes from the
    service's model unless ``status`` says otherwise. ``members`` are further modelled members of
    the error shape, by wire name.
    """

    code: ClassVar[str] = ""
    status: ClassVar[int | None] = None

    def __init__(self, message: str = "", **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members
        self.headers: dict[str, str] = {}
        """Headers of the reply that no model lists, such as ``x-amz-bucket-region``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = cls.__name__


class NotBuilt(ServiceError):
    """Fogbank has not built what the client asked for: HTTP 501, never an empty success."""

    code = "NotImplemented"
    status = 501

    @classmethod
    def operation(cls, service: str, operation: str) -> NotBuilt:
        """Return the error for an operation that is modelled and not built."""
        return cls(f"fogbank has not built {service}:{operation}")

    @classmethod
    def member(cls, service: str, operation: str, member: str) -> NotBuilt:
        """Return the error for a member of a built operation that is not honoured."""
        return cls(f"fogbank has not built the member {member} of {service}:{operation}")


class AccessDenied(ServiceError):
    """The caller may not do this; the gateway renders it in the service's own words."""

    status = 403


class Weather(Exception):
    """A condition of the platform, not of the request: worth another try later."""


class Conflict(Weather):
    """Retries of a transaction are used up."""


class Unavailable(Weather):
    """A part of the platform cannot be reached just now."""


class Throttled(Weather):
    """A bounded queue is full: the caller must slow down."""


class CommitUnknown(Weather):
    """The connection was lost during a commit; it may or may not have happened."""


class Fenced(Weather):
    """The lease under which this was written has passed to another holder."""


class CutRevoked(Weather):
    """A consistent cut of a store lasted too long or cost too much: its reader takes a new one."""


class Full(Weather):
    """There is no space to write to."""


class TransactionTooLarge(Weather):
    """A transaction passed the store's limits of size."""


class TokenReused(Exception):
    """A client's token came with another request than the one that it stands for.

    Services answer their modelled error, such as ``IdempotentParameterMismatchException``.
    """


class Corrupt(Exception):
    """Stored bytes are not what was written: named, and never served."""
