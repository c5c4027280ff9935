"""Pages of the Describe operations: filters, sizes, and where the next one begins.

Source: API Reference, ``MaxResults``, ``NextToken``, ``ResourceIds`` and ``ScalableDimension``.
"""

from __future__ import annotations

import json
from typing import Any

from fogbank.base.types import Request
from fogbank.services.application_autoscaling.errors import (
    InvalidNextTokenException,
    ValidationException,
)
from fogbank.services.application_autoscaling.rules.dimensions import (
    DIMENSIONS,
    UNSUPPORTED,
    dimensions_of,
)
from fogbank.services.application_autoscaling.schema import Place


def limit_of(request: Request, most: int) -> int:
    """Return how many a page may hold.

    Raises:
        ValidationException: It can be no such number.
    """
    given: int = request.get("MaxResults", most)
    if given < 1:
        raise ValidationException(f"MaxResults must be between 1 and {most}")
    return min(given, most)


def after_of(request: Request, kinds: tuple[type, ...]) -> tuple[Any, ...] | None:
    """Return the key behind which a page begins, or None for the first.

    Args:
        request: With ``NextToken``, which the gateway has sealed and opened.
        kinds: Of what types the parts of the key are.

    Raises:
        InvalidNextTokenException: It is none of this operation.
    """
    token: str | None = request.get("NextToken")
    if token is None:
        return None
    try:
        parts: list[Any] = json.loads(token)
        found = [kind(part) for part, kind in zip(parts, kinds, strict=True)]
    except (TypeError, ValueError):
        found, parts = [], [token]
    if found != parts:
        raise InvalidNextTokenException("The next token is not valid.")
    return tuple(found)


def token_of(*parts: str | int) -> str:
    """Return the token of the page behind a key."""
    return json.dumps(parts)


def require_dimension(request: Request, resources: list[str]) -> None:
    """Refuse a dimension without a resource, and one of another namespace or type.

    Raises:
        ValidationException: It is so.
    """
    name: str | None = request.get("ScalableDimension")
    if name is None:
        return
    if not resources:
        raise ValidationException(
            "Resource ID must be specified when a scalable dimension is specified"
        )
    dimension = DIMENSIONS.get(name)
    fits = dimension is None or all(dimension.fits(each) for each in resources)
    if not name.startswith(f"{request['ServiceNamespace']}:") or not fits:
        raise ValidationException(UNSUPPORTED)


def places_of(request: Request, resources: list[str]) -> list[Place]:
    """Return the places of some resources that a request asks for: of one dimension, or of all."""
    namespace, wanted = request["ServiceNamespace"], request.get("ScalableDimension")
    return [
        (namespace, resource, name)
        for resource in sorted(set(resources))
        for name in dimensions_of(namespace, resource)
        if wanted in (None, name)
    ]
