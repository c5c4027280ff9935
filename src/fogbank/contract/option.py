"""Choices with names that a deployment makes for a service: on or off, the default is today's AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Option(NamedTuple):
    """One choice."""

    name: str
    """``<service>.<what>``, as it stands in the settings."""
    default: bool = False


class Options:
    """The choices in force: defaults under what the settings say."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, bool] | None = None) -> None:
        self._values = dict(values or {})

    def value(self, option: Option) -> bool:
        """Return the choice in force."""
        return self._values.get(option.name, option.default)
