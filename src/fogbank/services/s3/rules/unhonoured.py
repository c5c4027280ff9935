"""Modelled members that are not acted on yet, each with the values that ask for nothing.

Rule: a value stands here only if ignoring it gives what AWS would give, as things are: there are no
storage classes or websites. A client that wants one of those is told that it is not built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fogbank.contract.operation import ANY

_NEVER: Final = frozenset[Any]()
"""No value is neutral."""

DIGESTS: Final[Mapping[str, Any]] = {"ContentMD5": ANY, "ChecksumAlgorithm": ANY}
"""Of documents: the front has compared them (``wire/integrity``)."""

WRITE: Final[Mapping[str, Any]] = {
    "StorageClass": "STANDARD",
    "WebsiteRedirectLocation": _NEVER,
    "ObjectLockEventHold": _NEVER,
    "ObjectLockEventHoldDurationDays": _NEVER,
    "ObjectLockEventHoldDurationYears": _NEVER,
}
"""What a new object may carry."""

CREATE_BUCKET: Final[Mapping[str, Any]] = {
    "BucketNamespace": "global",
}

COPY: Final[Mapping[str, Any]] = {
    **WRITE,
    # There are no annotations to copy or to replace.
    "AnnotationDirective": ANY,
}

LIST: Final[Mapping[str, Any]] = {
    # No object is archived, so none has a RestoreStatus.
    "OptionalObjectAttributes": ANY,
}
