"""Errors as plain values, and back: a client error keeps its code, weather its kind."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from fogbank.base import errors
from fogbank.base.errors import Corrupt, NotBuilt, ServiceError, Weather
from fogbank.platform.link.port import LinkLost, RemoteBugError

CLASSES_REMEMBERED_MAX: Final = 4_096
_SERVICE: Final = 0
_WEATHER: Final = 1
_CORRUPT: Final = 2
_BUG: Final = 3
_KINDS: Final[dict[str, type[Weather]]] = {
    kind.__name__: kind
    for kind in (
        errors.Conflict,
        errors.Unavailable,
        errors.Throttled,
        errors.CommitUnknown,
        errors.Fenced,
        errors.Full,
        errors.TransactionTooLarge,
    )
}


def value_of(error: BaseException) -> list[Any]:
    """Return an error as plain values; of a bug only that it was one."""
    if isinstance(error, ServiceError):
        return [
            _SERVICE,
            error.code,
            error.status,
            error.message,
            error.members,
            error.headers,
        ]
    if isinstance(error, LinkLost):
        # Whoever asked us cannot know either.
        return [_WEATHER, errors.CommitUnknown.__name__, str(error)]
    if isinstance(error, Weather):
        known = next((each for each in type(error).__mro__ if each.__name__ in _KINDS), None)
        return [_WEATHER, known.__name__ if known else "Unavailable", str(error)]
    if isinstance(error, Corrupt):
        return [_CORRUPT, str(error)]
    return [_BUG, type(error).__name__]


def error_of(value: list[Any]) -> Exception:
    """Return the error whose plain values these are."""
    kind = value[0]
    if kind == _SERVICE:
        _, code, status, message, members, headers = value
        error = _class_of(code, status)(message, **members)
        error.headers.update(headers)
        return error
    if kind == _WEATHER:
        return _KINDS[value[1]](value[2])
    if kind == _CORRUPT:
        return Corrupt(value[1])
    assert kind == _BUG, f"{value!r} is no error"
    return RemoteBugError(f"the other process met a bug ({value[1]}); its log has it")


@lru_cache(maxsize=CLASSES_REMEMBERED_MAX)
def _class_of(code: str, status: int | None) -> type[ServiceError]:
    """Return an error class of a code; there are as many as the services have errors."""
    if code == NotBuilt.code:
        return NotBuilt
    return type(code, (ServiceError,), {"code": code, "status": status})
