"""Names for the plain values that cross every floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NewType

AccountId = NewType("AccountId", str)
"""Twelve decimal digits."""

RegionName = NewType("RegionName", str)
"""A region of the published model, such as ``us-east-1``."""

Wire = dict[str, Any]
"""A decoded request or a reply to encode: wire names to values, absent members absent."""

Request = Mapping[str, Any]
"""A decoded request that is only read, whether it is typed as ``Wire`` or by ``wire/shapes``."""
