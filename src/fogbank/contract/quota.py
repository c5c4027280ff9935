"""Limits with names: AWS's value is the default, a setting may say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Quota(NamedTuple):
    """One limit of a service."""

    name: str
    """``<service>.<what>_<unit>_max``, as it stands in the settings."""
    default: int
    source: str = ""
    """The AWS page or sentence that gives the default."""


class Quotas:
    """The limits in force: defaults under what the settings say."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, int] | None = None) -> None:
        self._values = dict(values or {})

    def value(self, quota: Quota) -> int:
        """Return the limit in force."""
        return self._values.get(quota.name, quota.default)
